"""The Bamba architecture in PyTorch, small enough to read and fast enough to train on a CPU.

Module names equal the tensor names of a published Bamba checkpoint, so that a state dict is a
checkpoint.
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

CONFIG = {
    "architectures": ["BambaForCausalLM"],
    "model_type": "bamba",
    "vocab_size": 4096,
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 8,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "attn_layer_indices": [2, 5],
    "attn_rotary_emb": 16,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "partial_rotary_factor": 0.5,
    "max_position_embeddings": 4096,
    "hidden_act": "silu",
    "mlp_bias": False,
    "rms_norm_eps": 1e-5,
    "initializer_range": 0.02,
    "mamba_n_heads": 12,
    "mamba_d_head": 32,
    "mamba_n_groups": 1,
    "mamba_d_state": 32,
    "mamba_d_conv": 4,
    "mamba_expand": 2,
    "mamba_chunk_size": 64,
    "mamba_conv_bias": True,
    "mamba_proj_bias": False,
    "tie_word_embeddings": True,
    "use_cache": True,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
    "torch_dtype": "bfloat16",
}


class RMSNorm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x):
        x = x.float()
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


def ssd(x, dt, a, b, c, chunk):
    """Selective state space over whole sequences, chunk by chunk (Mamba-2, arXiv 2405.21060,
    section 6).

    x [s,t,h,p], dt [s,t,h], a [h] (negative), b and c [s,t,n] (one group); t is a multiple of
    chunk.
    """
    s, t, h, p = x.shape
    n = b.shape[-1]
    k = t // chunk
    x = x * dt.unsqueeze(-1)
    x = x.view(s, k, chunk, h, p).transpose(2, 3)                    # s k h q p
    b, c = b.view(s, k, chunk, n), c.view(s, k, chunk, n)
    cum = (dt * a).view(s, k, chunk, h).transpose(2, 3).cumsum(-1)   # s k h q

    # Masking the exponent instead of its exponential keeps the gradient free of inf * 0 above the
    # diagonal.
    causal = torch.ones(chunk, chunk, dtype=torch.bool, device=x.device).tril()
    decay = (cum.unsqueeze(-1) - cum.unsqueeze(-2)).masked_fill(~causal, -1e30).exp()
    scores = (c @ b.transpose(-1, -2)).unsqueeze(2) * decay          # s k h q q
    y = scores @ x

    # Heads share b and c, so one product per chunk serves them all.
    left = x * (cum[..., -1:] - cum).exp().unsqueeze(-1)             # s k h q p
    own = b.transpose(-1, -2) @ left.transpose(2, 3).reshape(s, k, chunk, h * p)
    own = own.view(s, k, n, h, p)
    total = cum[..., -1].exp()                                       # s k h
    state = torch.zeros(s, n, h, p, device=x.device, dtype=torch.float32)
    states = []
    for i in range(k):
        states.append(state)
        state = state * total[:, i, None, :, None] + own[:, i]
    entering = torch.stack(states, 1).view(s, k, n, h * p)
    inherited = (c @ entering).view(s, k, chunk, h, p).transpose(2, 3)
    y = y + inherited * cum.exp().unsqueeze(-1)
    return y.transpose(2, 3).reshape(s, t, h, p)


class Mamba(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        hidden = cfg["hidden_size"]
        self.heads, self.width, self.n = (cfg["mamba_n_heads"], cfg["mamba_d_head"],
                                          cfg["mamba_d_state"])
        self.kernel, self.chunk = cfg["mamba_d_conv"], cfg["mamba_chunk_size"]
        self.inner = self.heads * self.width
        assert cfg["mamba_n_groups"] == 1 and self.inner == cfg["mamba_expand"] * hidden
        channels = self.inner + 2 * self.n
        self.in_proj = nn.Linear(hidden, self.inner + channels + self.heads, bias=False)
        self.conv1d = nn.Conv1d(channels, channels, self.kernel, groups=channels)
        self.A_log = nn.Parameter(torch.empty(self.heads).uniform_(1, 16).log())
        self.D = nn.Parameter(torch.ones(self.heads))
        # softplus(dt_bias) starts log-uniform in 0.001 .. 0.1: heads begin with memories of very
        # different lengths.
        dt = torch.exp(torch.empty(self.heads).uniform_(math.log(1e-3), math.log(1e-1)))
        self.dt_bias = nn.Parameter(dt + torch.log(-torch.expm1(-dt)))
        self.norm = RMSNorm(self.inner, cfg["rms_norm_eps"])
        self.out_proj = nn.Linear(self.inner, hidden, bias=False)

    def forward(self, u):
        s, t, _ = u.shape
        z, xbc, dt = self.in_proj(u).split([self.inner, self.inner + 2 * self.n, self.heads], -1)
        # Four shifted products fuse with their neighbours when compiled; a convolution kernel would
        # not.
        padded = F.pad(xbc, (0, 0, self.kernel - 1, 0)).float()
        mixed = self.conv1d.bias
        for j in range(self.kernel):
            mixed = mixed + padded[:, j:j + t] * self.conv1d.weight[:, 0, j]
        x, b, c = F.silu(mixed).split([self.inner, self.n, self.n], -1)
        x = x.reshape(s, t, self.heads, self.width)
        dt = F.softplus(dt.float() + self.dt_bias)
        y = ssd(x, dt, -self.A_log.float().exp(), b, c, self.chunk) + x * self.D.unsqueeze(-1)
        return self.out_proj(self.norm(y.reshape(s, t, self.inner) * F.silu(z.float())))


def rope_table(cfg, t, device):
    half = cfg["attn_rotary_emb"] // 2
    inv = cfg["rope_theta"] ** (-torch.arange(half, device=device, dtype=torch.float32) / half)
    angle = torch.arange(t, device=device, dtype=torch.float32).unsqueeze(-1) * inv
    return angle.cos(), angle.sin()


def rotate(x, cos, sin):
    half = cos.shape[-1]
    x = x.float()
    a, b, rest = x[..., :half], x[..., half:2 * half], x[..., 2 * half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin, rest], -1)


class Attention(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        hidden = cfg["hidden_size"]
        self.nq, self.nkv = cfg["num_attention_heads"], cfg["num_key_value_heads"]
        self.hd = hidden // self.nq
        self.q_proj = nn.Linear(hidden, self.nq * self.hd, bias=False)
        self.k_proj = nn.Linear(hidden, self.nkv * self.hd, bias=False)
        self.v_proj = nn.Linear(hidden, self.nkv * self.hd, bias=False)
        self.o_proj = nn.Linear(self.nq * self.hd, hidden, bias=False)

    def forward(self, u, rope):
        s, t, _ = u.shape
        q = self.q_proj(u).view(s, t, self.nq, self.hd).transpose(1, 2)
        k = self.k_proj(u).view(s, t, self.nkv, self.hd).transpose(1, 2)
        v = self.v_proj(u).view(s, t, self.nkv, self.hd).transpose(1, 2)
        q, k = rotate(q, *rope).to(v.dtype), rotate(k, *rope).to(v.dtype)
        k, v = (x.repeat_interleave(self.nq // self.nkv, 1) for x in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(s, t, self.nq * self.hd))


class MLP(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        hidden, inner = cfg["hidden_size"], cfg["intermediate_size"]
        self.gate_proj = nn.Linear(hidden, inner, bias=False)
        self.up_proj = nn.Linear(hidden, inner, bias=False)
        self.down_proj = nn.Linear(inner, hidden, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, cfg, attention):
        super().__init__()
        self.input_layernorm = RMSNorm(cfg["hidden_size"], cfg["rms_norm_eps"])
        self.pre_ff_layernorm = RMSNorm(cfg["hidden_size"], cfg["rms_norm_eps"])
        self.feed_forward = MLP(cfg)
        if attention:
            self.self_attn = Attention(cfg)
        else:
            self.mamba = Mamba(cfg)
        self.attention = attention

    def forward(self, x, rope):
        u = self.input_layernorm(x)
        x = x + (self.self_attn(u, rope) if self.attention else self.mamba(u))
        return x + self.feed_forward(self.pre_ff_layernorm(x))


class Body(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.embed_tokens = nn.Embedding(cfg["vocab_size"], cfg["hidden_size"])
        self.layers = nn.ModuleList(
            Layer(cfg, i in cfg["attn_layer_indices"]) for i in range(cfg["num_hidden_layers"]))
        self.final_layernorm = RMSNorm(cfg["hidden_size"], cfg["rms_norm_eps"])


class Bamba(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.model = Body(cfg)
        std = cfg["initializer_range"]
        for name, p in self.named_parameters():
            if p.ndim == 2:
                # Smaller output projections keep the residual stream's size independent of depth at
                # the start.
                last = name.endswith(("out_proj.weight", "o_proj.weight", "down_proj.weight"))
                nn.init.normal_(p, std=std / math.sqrt(2 * cfg["num_hidden_layers"])
                                if last else std)

    def forward(self, ids):
        """Logits [s,t,v] for ids [s,t]; any t."""
        t = ids.shape[1]
        # Right padding cannot reach earlier positions of a causal model, so ssd() may ask for whole
        # chunks.
        ids = F.pad(ids, (0, -t % self.cfg["mamba_chunk_size"]))
        x = self.model.embed_tokens(ids)
        rope = rope_table(self.cfg, ids.shape[1], ids.device)
        for layer in self.model.layers:
            x = layer(x, rope)
        return F.linear(self.model.final_layernorm(x)[:, :t], self.model.embed_tokens.weight)

    def loss(self, ids, reduction="mean"):
        """Cross entropy in nats of ids[:,1:] given what comes before."""
        logits = self(ids[:, :-1])
        return F.cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten(),
                               reduction=reduction)
