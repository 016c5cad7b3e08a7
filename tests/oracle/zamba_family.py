"""Zamba: Mamba-1 with heads and shared attention: random checkpoints, a double-precision forward,
transformers' side.

Weights have the names they are stored under. What the hybrid layers share is stored in the first of
them.
"""
import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import torch
from transformers import ZambaConfig, ZambaForCausalLM

import mamba1_family
from checkpoints import add_biases
from mamba1_family import scan
from reference import causal_conv, linear, rms_norm, silu
from rope_reference import attend

STACKS = {"x_proj_weight": "x_proj.weight", "dt_proj_weight": "dt_proj.weight",
          "dt_proj_bias": "dt_proj.bias", "A_log": "A_log", "D": "D"}


@dataclass(frozen=True)
class Shape:
    vocab: int
    hidden: int
    mlp: int
    activation: str
    layers: int
    hybrid: tuple         # indices of the hybrid layers
    period: tuple         # their period and offset; None: they are listed
    q_heads: int
    kv_heads: int
    head_dim: int
    eps: float
    tied: bool
    heads: int            # of a Mamba mixer
    expand: int
    state: int
    conv: int
    rank: int
    conv_bias: bool
    proj_bias: bool
    max_positions: int
    scale_of: float = 0.5     # scores are scaled by (head_dim * scale_of) ** -0.5

    rows = property(lambda s: s.vocab)
    inner = property(lambda s: s.expand * s.hidden // s.heads)  # of a head, as mamba1_family has it
    norm_eps = property(lambda s: None)

    def describe(self):
        kinds = "".join("H" if i in self.hybrid else "m" for i in range(self.layers))
        flags = "".join(f for f, on in (("t", self.tied), ("c", self.conv_bias),
                                        ("p", self.proj_bias)) if on)
        return (f"{kinds} H{self.hidden} V{self.vocab} F{self.mlp} {self.activation} "
                f"{self.heads}x{self.inner} N{self.state} R{self.rank} k{self.conv} "
                f"q{self.q_heads}/{self.kv_heads}x{self.head_dim} {flags or '-'}")


def random_shape(rng, seed):
    def pick(*choices):
        return choices[rng.integers(len(choices))]

    layers, hidden = pick(3, 4, 5), pick(24, 32, 48, 72)
    period = (pick(1, 2, 3), pick(0, 1)) if seed % 4 == 1 else None
    if period:
        hybrid = tuple(i for i in range(2, layers) if i == 2 or (i - 3) % period[0] == period[1])
    else:
        hybrid = tuple(sorted(rng.choice(layers, (2, 1, 2, 3, 2, 2, 0)[seed % 7],
                                         replace=False).tolist()))
    q_heads = pick(2, 4, 6)
    head_dim = 2 * hidden // q_heads if pick(0, 1) else pick(8, 12, 20)
    return Shape(vocab=pick(64, 97, 130, 256), hidden=hidden, mlp=pick(40, 56, 96),
                 activation=pick("gelu", "gelu", "silu"), layers=layers, hybrid=hybrid,
                 period=period, q_heads=q_heads,
                 kv_heads=pick(*[n for n in (1, 2, 3, 4, 6) if q_heads % n == 0]),
                 head_dim=head_dim, eps=pick(1e-5, 1e-5, 1e-6, 1e-2), tied=bool(pick(0, 1)),
                 heads=pick(1, 2, 2, 4), expand=pick(1, 2, 2), state=pick(4, 8, 16, 16, 20),
                 conv=pick(2, 3, 4, 4), rank=pick(-(-hidden // 16), 1, 5),
                 conv_bias=bool(pick(0, 1, 1)), proj_bias=bool(pick(0, 0, 1)),
                 max_positions=pick(512, 4096))


def mixer_weights(rng, s, normal, p):
    """Of heads that are mixers of their own, side by side; in_proj's rows are x and z of a channel
    in turns."""
    head = [mamba1_family.mixer_weights(rng, s, normal, "") for _ in range(s.heads)]
    x, z = (np.concatenate([half[i] for half in (np.split(h["in_proj.weight"], 2) for h in head)])
            for i in (0, 1))
    w = {"in_proj.weight": np.stack([x, z], axis=1).reshape(-1, s.hidden),
         "conv1d.weight": np.concatenate([h["conv1d.weight"] for h in head]),
         "out_proj.weight": np.concatenate([h["out_proj.weight"] for h in head],
                                           axis=1) / math.sqrt(s.heads)}
    w.update({name: np.stack([h[part] for h in head]) for name, part in STACKS.items()})
    if s.conv_bias:
        w["conv1d.bias"] = np.concatenate([h["conv1d.bias"] for h in head])
    if s.proj_bias:
        add_biases(w, "", ("in_proj", "out_proj"), normal)
    return {p + name: value for name, value in w.items()}


def shared_weights(rng, s, normal, p):
    wide, q, kv = 2 * s.hidden, s.q_heads * s.head_dim, s.kv_heads * s.head_dim
    shape = {"self_attn.q_proj": (q, wide, 1.2), "self_attn.k_proj": (kv, wide, 1.2),
             "self_attn.v_proj": (kv, wide, 1), "self_attn.o_proj": (s.hidden, q, 1.5),
             "feed_forward.gate_proj": (s.mlp, s.hidden, 1.2),
             "feed_forward.up_proj": (s.mlp, s.hidden, 1.2),
             "feed_forward.down_proj": (s.hidden, s.mlp, 1.2)}
    w = {f"{p}{name}.weight": normal(n, m, std=gain / math.sqrt(m))
         for name, (n, m, gain) in shape.items()}
    w[p + "input_layernorm.weight"] = rng.uniform(0.5, 1.5, wide)
    w[p + "pre_ff_layernorm.weight"] = rng.uniform(0.5, 1.5, s.hidden)
    return w


def random_weights(rng, s):
    def normal(*shape, std=1.0):
        return rng.normal(0.0, std, shape)

    w = {"model.embed_tokens.weight": normal(s.vocab, s.hidden, std=0.5 if s.tied else 1.0),
         "model.final_layernorm.weight": rng.uniform(0.5, 1.5, s.hidden)}
    if not s.tied:
        w["lm_head.weight"] = normal(s.vocab, s.hidden, std=2 / math.sqrt(s.hidden))
    for i in range(s.layers):
        p = f"model.layers.{i}."
        if i in s.hybrid:
            if i == s.hybrid[0]:
                w.update(shared_weights(rng, s, normal, p + "shared_transf."))
            w[p + "linear.weight"] = normal(s.hidden, s.hidden, std=1.2 / math.sqrt(s.hidden))
            p += "mamba_decoder."
        w[p + "input_layernorm.weight"] = rng.uniform(0.5, 1.5, s.hidden)
        w.update(mixer_weights(rng, s, normal, p + "mamba."))
    return w


def mixer(s, w, p, u, cut):
    both = linear(w, p + "in_proj", u)
    raw, z = both[:, ::2], both[:, 1::2]
    conv = w[p + "conv1d.weight"], w.get(p + "conv1d.bias", 0.0)
    x = causal_conv(raw, *conv)
    if "conv" in cut:
        x[cut["conv"]:] = causal_conv(raw[cut["conv"]:], *conv)
    parts = np.split(silu(x), s.heads, axis=1)
    y = [scan(s, {part: w[p + name][h] for name, part in STACKS.items()}, "", parts[h], cut)
         for h in range(s.heads)]
    return linear(w, p + "out_proj", np.concatenate(y, axis=1) * silu(z))


def gelu(x):
    return x * (1 + torch.erf(torch.from_numpy(x * math.sqrt(0.5))).numpy()) / 2


def shared(s, w, p, x, embedded, cut):
    u = rms_norm(np.concatenate([x, embedded], axis=1), w[p + "input_layernorm.weight"], s.eps)
    q, k, v = (linear(w, f"{p}self_attn.{n}_proj", u).reshape(len(u), -1, s.head_dim)
               for n in "qkv")
    u = linear(w, p + "self_attn.o_proj", attend(q, k, v, (s.head_dim * s.scale_of) ** -0.5, cut))
    u = rms_norm(u, w[p + "pre_ff_layernorm.weight"], s.eps)
    gate, up = (linear(w, f"{p}feed_forward.{n}_proj", u) for n in ("gate", "up"))
    return linear(w, p + "feed_forward.down_proj",
                  (gelu if s.activation == "gelu" else silu)(gate) * up)


def forward(s, w, tokens, forget=None, length=None):
    """Logits [T, vocab]. forget: (layer, "conv" | "ssm" | "kv", position); length does not
    matter."""
    x = embedded = w["model.embed_tokens.weight"][tokens]
    for i in range(s.layers):
        p, t = f"model.layers.{i}.", 0.0
        cut = {forget[1]: forget[2]} if forget and forget[0] == i else {}
        if i in s.hybrid:
            t = linear(w, p + "linear",
                       shared(s, w, f"model.layers.{s.hybrid[0]}.shared_transf.", x, embedded, cut))
            p += "mamba_decoder."
        x = x + mixer(s, w, p + "mamba.",
                      rms_norm(x + t, w[p + "input_layernorm.weight"], s.eps), cut)
    head = w["model.embed_tokens.weight" if s.tied else "lm_head.weight"]
    return rms_norm(x, w["model.final_layernorm.weight"], s.eps) @ head.T


def memories(s):
    return [(i, kind) for i in range(s.layers)
            for kind in ("conv", "ssm") + (("kv",) if i in s.hybrid else ())]


def other_settings(s):
    yield "eps", dataclasses.replace(s, eps=s.eps * 100 + 0.1)
    if s.hybrid:
        yield "activation", dataclasses.replace(s, activation="silu" if s.activation == "gelu"
                                                else "gelu")
        yield "scale", dataclasses.replace(s, scale_of=1.0)


def nudged(name, value):
    """The norm behind the attention takes a factor out of what stands before it: every other column
    changes."""
    is_before = name.endswith(("v_proj.weight", "o_proj.weight"))
    return value * np.where(np.arange(value.shape[-1]) % 2, 1.1, 1.0) if is_before else value * 1.1


def transformers_config(s):
    return {"vocab_size": s.vocab, "hidden_size": s.hidden, "intermediate_size": s.mlp,
            "hidden_act": s.activation, "num_hidden_layers": s.layers,
            "num_attention_heads": s.q_heads, "num_key_value_heads": s.kv_heads,
            "attention_head_dim": s.head_dim, "attention_hidden_size": 2 * s.hidden,
            "n_mamba_heads": s.heads, "hidden_mamba_act": "silu", "mamba_expand": s.expand,
            "mamba_d_state": s.state, "mamba_d_conv": s.conv, "mamba_dt_rank": s.rank,
            "mamba_conv_bias": s.conv_bias, "mamba_proj_bias": s.proj_bias, "rms_norm_eps": s.eps,
            "tie_word_embeddings": s.tied, "max_position_embeddings": s.max_positions,
            "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
            "layers_block_type": ["hybrid" if i in s.hybrid else "mamba" for i in range(s.layers)]}


def config_dict(s, rng, dtype):
    c = transformers_config(s) | {
        "architectures": ["ZambaForCausalLM"], "model_type": "zamba", "use_mamba_kernels": True,
        "num_logits_to_keep": 1,
        "torch_dtype": {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}[dtype],
        "attention_dropout": 0.0}
    defaults = {"hidden_act": "gelu", "n_mamba_heads": 2, "hidden_mamba_act": "silu",
                "mamba_expand": 2, "mamba_d_state": 16, "mamba_d_conv": 4, "mamba_conv_bias": True,
                "mamba_proj_bias": False, "rms_norm_eps": 1e-5, "tie_word_embeddings": True,
                "max_position_embeddings": 4096, "attention_hidden_size": 2 * s.hidden,
                "attention_head_dim": 2 * s.hidden // s.q_heads}
    for key, value in defaults.items():
        if c[key] == value and rng.integers(3) == 0:
            del c[key]
    if s.rank == -(-s.hidden // 16) and rng.integers(2):
        c["mamba_dt_rank"] = "auto"
    if s.period:
        del c["layers_block_type"]
        c |= {"attn_layer_period": s.period[0], "attn_layer_offset": s.period[1]}
    elif rng.integers(2):
        c["layers_block_type"] = [k if k == "hybrid" else "linear_attention"
                                  for k in c["layers_block_type"]]
    return c


def stored(s, w, rng):
    tensors = dict(w)
    if s.tied and rng.integers(3) == 0:
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].copy()
    return tensors


def load(folder, s, w, dtype):
    """From the weights, each hybrid layer with its copy, untied: transformers 5 then shares
    nothing, and 5.23 cannot make a tied model with one hybrid layer."""
    tensors = dict(w)
    for name, value in w.items():
        if ".shared_transf." in name:
            rest = name.split(".shared_transf.")[1]
            tensors.update({f"model.layers.{i}.shared_transf.{rest}": value for i in s.hybrid})
    model = ZambaForCausalLM(ZambaConfig(**transformers_config(s)
                                         | {"tie_word_embeddings": False})).to(dtype)
    report = model.load_state_dict({k: torch.from_numpy(v).to(dtype) for k, v in tensors.items()},
                                   strict=False)
    if (report.unexpected_keys
            or set(report.missing_keys) - ({"lm_head.weight"} if s.tied else set())):
        raise RuntimeError(f"{folder}: transformers does not load it cleanly: {report}")
    if s.tied:
        model.lm_head.weight = model.model.embed_tokens.weight
    return model.eval()
