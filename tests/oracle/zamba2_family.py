"""Zamba2: random checkpoints, a double-precision forward, transformers' side."""
import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import torch
from transformers import AutoModelForCausalLM, Zamba2Config, Zamba2ForCausalLM

import reference
from checkpoints import INFINITY, mamba_weights
from reference import linear, rms_norm
from rope_reference import angles_per_position, attend, rotate

GATED_EPS = 1e-5           # of the gated norm, whatever rms_norm_eps is


@dataclass(frozen=True)
class Shape:
    vocab: int
    hidden: int
    mlp: int
    layers: int
    hybrid: tuple          # indices of the layers with a shared block
    shared: int            # how many blocks take turns
    q_heads: int
    kv_heads: int
    rope: bool
    theta: float
    eps: float
    tied: bool
    rank: int
    attention_adapters: bool
    act: str
    heads: int             # Mamba heads; heads * width = expand * hidden
    width: int
    groups: int
    state: int
    conv: int
    expand: int
    bias: bool             # of in_proj, out_proj, gate_up_proj, down_proj
    dt_limit: tuple
    max_positions: int

    rows = property(lambda s: s.vocab)
    head_dim = property(lambda s: 2 * s.hidden // s.q_heads)
    inner = property(lambda s: s.heads * s.width)
    conv_channels = property(lambda s: s.inner + 2 * s.groups * s.state)
    conv_bias = property(lambda s: True)
    proj_bias = property(lambda s: s.bias)

    def describe(self):
        kinds = "".join("H" if i in self.hybrid else "m" for i in range(self.layers))
        flags = "".join(f for f, on in (("t", self.tied), ("b", self.bias), ("r", self.rope),
                                        ("a", self.attention_adapters)) if on)
        return (f"{kinds}/{self.shared} H{self.hidden} V{self.vocab} F{self.mlp} {self.act} "
                f"q{self.q_heads}/{self.kv_heads}x{self.head_dim} rank{self.rank} "
                f"nh{self.heads}x{self.width} G{self.groups} N{self.state} k{self.conv} "
                f"dt{list(self.dt_limit)} {flags or '-'}")


def random_shape(rng, seed):
    def pick(*choices):
        return choices[rng.integers(len(choices))]

    hidden, expand, groups = pick(32, 48, 64), pick(1, 2, 2), (1, 2, 4)[seed // 3 % 3]
    heads = pick(*[n for n in (4, 8, 16) if expand * hidden % n == 0 and n % groups == 0])
    layers = pick(3, 4, 5, 6)
    hybrid = tuple(sorted(rng.choice(layers, (2, 1, 3)[seed % 3], replace=False).tolist()))
    q_heads, adapters = pick(2, 4, 8), bool(pick(0, 1))
    return Shape(
        vocab=pick(64, 97, 130, 256), hidden=hidden, mlp=pick(32, 56, 96), layers=layers,
        hybrid=hybrid, shared=1 + seed // 2 % 2, q_heads=q_heads,
        kv_heads=q_heads if adapters else pick(*[n for n in (1, 2, 4, 8) if q_heads % n == 0]),
        rope=bool(seed % 4 < 3 and pick(0, 1, 1)), theta=pick(10000.0, 500.0),
        eps=pick(1e-5, 1e-6, 1e-2), tied=seed % 5 < 4, rank=pick(1, 4, 8, 24),
        attention_adapters=adapters, act=pick("gelu", "gelu", "gelu", "silu"), heads=heads,
        width=expand * hidden // heads, groups=groups, state=pick(8, 16, 32), conv=pick(2, 3, 4, 4),
        expand=expand, bias=bool(pick(0, 0, 1)),
        dt_limit=pick((0.0, INFINITY), (0.0, INFINITY), (0.05, INFINITY)),
        max_positions=pick(512, 2048))


def random_weights(rng, s):
    def normal(*shape, std=1.0):
        return rng.normal(0.0, std, shape)

    def norm_weight(n):
        return rng.uniform(0.5, 1.5, n)

    def matrix(rows, columns, gain=1.0):
        return normal(rows, columns, std=gain / math.sqrt(columns))

    # All embeddings have something in common, which attention does not average away: the norm
    # behind it would magnify the noise of what is left.
    w = {"model.embed_tokens.weight": (normal(s.vocab, s.hidden) + normal(1, s.hidden))
         * (0.4 if s.tied else 0.8),
         "model.final_layernorm.weight": norm_weight(s.hidden)}
    if not s.tied:
        w["lm_head.weight"] = matrix(s.vocab, s.hidden, 2)
    for use, i in enumerate(s.hybrid[:s.shared]):
        w.update({f"model.layers.{i}.shared_transformer.{k}": v
                  for k, v in shared_weights(s, use, matrix, normal, norm_weight).items()})
    for i in range(s.layers):
        p = f"model.layers.{i}."
        if i in s.hybrid:
            w[p + "linear.weight"] = matrix(s.hidden, s.hidden, 0.3)    # noise grows with each use
            p += "mamba_decoder."
        w[p + "input_layernorm.weight"] = norm_weight(s.hidden)
        w.update({p + name: value
                  for name, value in mamba_weights(rng, s, normal, norm_weight).items()})
    return w


def shared_weights(s, block, matrix, normal, norm_weight):
    wide, out, kv = 2 * s.hidden, s.q_heads * s.head_dim, s.kv_heads * s.head_dim
    w = {"input_layernorm.weight": norm_weight(wide),
         "pre_ff_layernorm.weight": norm_weight(s.hidden),
         "self_attn.q_proj.weight": matrix(out, wide, 1.2),
         "self_attn.k_proj.weight": matrix(kv, wide, 1.2),
         "self_attn.v_proj.weight": matrix(kv, wide, 1.2),
         "self_attn.o_proj.weight": matrix(s.hidden, out, 1.5),
         "feed_forward.gate_up_proj.weight": matrix(2 * s.mlp, s.hidden, 1.2),
         "feed_forward.down_proj.weight": matrix(s.hidden, s.mlp, 1.5)}
    if s.bias:
        w["feed_forward.gate_up_proj.bias"] = normal(2 * s.mlp, std=0.4)
        w["feed_forward.down_proj.bias"] = normal(s.hidden, std=0.4)
    for j in range(block, len(s.hybrid), s.shared):
        lists = {"feed_forward.gate_up_proj_adapter_list": (s.hidden, 2 * s.mlp)}
        if s.attention_adapters:
            lists |= {f"self_attn.linear_{name}_adapter_list": (wide, rows) for name, rows in
                      (("q", wide), ("k", wide), ("v", wide))}
        for name, (columns, rows) in lists.items():
            w[f"{name}.{j}.0.weight"] = matrix(s.rank, columns)
            w[f"{name}.{j}.1.weight"] = matrix(rows, s.rank, 0.7)
    return w


def nudged(name, value):
    """A tensor that is not as it should be. A norm undoes what v_proj and o_proj are multiplied
    by."""
    return (np.roll(value, 1, axis=0) if name.endswith(("v_proj.weight", "o_proj.weight"))
            else value * 1.1)


def adapted(w, p, name, adapter, j, x):
    y = linear(w, p + name, x)
    a = f"{p}{adapter}.{j}."
    return y + linear(w, a + "1", linear(w, a + "0", x)) if a + "0.weight" in w else y


def activate(s, x):
    return (reference.silu(x) if s.act == "silu"
            else 0.5 * x * torch.erfc(torch.from_numpy(-x / math.sqrt(2))).numpy())


def shared_block(s, w, j, x, embedded, cut):
    """What use number j makes of the stream and the embeddings."""
    p, n = f"model.layers.{s.hybrid[j % s.shared]}.shared_transformer.", len(x)
    u = rms_norm(np.concatenate([x, embedded], axis=1), w[p + "input_layernorm.weight"], s.eps)
    q, k, v = (adapted(w, p + "self_attn.", f"{name}_proj", f"linear_{name}_adapter_list", j, u)
               .reshape(n, -1, s.head_dim) for name in "qkv")
    if s.rope:
        table = angles_per_position({}, s.head_dim, s.theta, s.max_positions, n)
        q, k = rotate(q, table), rotate(k, table)
    a = linear(w, p + "self_attn.o_proj", attend(q, k, v, (s.head_dim / 2) ** -0.5, cut))
    m = rms_norm(a, w[p + "pre_ff_layernorm.weight"], s.eps)
    gate, up = np.split(adapted(w, p + "feed_forward.", "gate_up_proj", "gate_up_proj_adapter_list",
                                j, m), 2, axis=1)
    return linear(w, p + "feed_forward.down_proj", activate(s, gate) * up)


def gated(s, weight, y, z):
    return reference.gate_then_norm(dataclasses.replace(s, eps=GATED_EPS), weight, y, z)


def forward(s, w, tokens, forget=None, length=None):
    """Logits [T, V]. forget: (layer, "conv" | "ssm" | "kv", position)."""
    x = embedded = w["model.embed_tokens.weight"][tokens]
    for i in range(s.layers):
        p = f"model.layers.{i}."
        cut = {forget[1]: forget[2]} if forget and forget[0] == i else {}
        told = x
        if i in s.hybrid:
            told = x + linear(w, p + "linear",
                              shared_block(s, w, s.hybrid.index(i), x, embedded, cut))
            p += "mamba_decoder."
        x = x + reference.mamba(s, w, p, rms_norm(told, w[p + "input_layernorm.weight"], s.eps),
                                cut, gate=gated)
    head = w["model.embed_tokens.weight" if s.tied else "lm_head.weight"]
    return rms_norm(x, w["model.final_layernorm.weight"], s.eps) @ head.T


def memories(s):
    return [(i, kind) for i in range(s.layers)
            for kind in ("conv", "ssm") + ("kv",) * (i in s.hybrid)]


def other_settings(s):
    """Shapes that differ in what no tensor shows."""
    if s.rope:
        yield "theta", dataclasses.replace(s, theta=s.theta * 2)
    yield "rope", dataclasses.replace(s, rope=not s.rope)
    yield "act", dataclasses.replace(s, act="silu" if s.act == "gelu" else "gelu")
    if s.dt_limit[0] > 0:
        yield "dt_limit", dataclasses.replace(s, dt_limit=(0.0, INFINITY))


def config_dict(s, rng, dtype):
    """Keys as published checkpoints have them, or as transformers 5 writes them."""
    c = {"architectures": ["Zamba2ForCausalLM"], "model_type": "zamba2", "vocab_size": s.vocab,
         "hidden_size": s.hidden, "intermediate_size": s.mlp, "num_hidden_layers": s.layers,
         "num_attention_heads": s.q_heads, "num_key_value_heads": s.kv_heads, "hidden_act": s.act,
         "max_position_embeddings": s.max_positions, "rms_norm_eps": s.eps,
         "tie_word_embeddings": s.tied, "mamba_d_state": s.state, "mamba_d_conv": s.conv,
         "mamba_expand": s.expand, "mamba_ngroups": s.groups, "n_mamba_heads": s.heads,
         "mamba_headdim": s.width, "num_mem_blocks": s.shared, "adapter_rank": s.rank,
         "use_shared_attention_adapter": s.attention_adapters, "use_mem_rope": s.rope,
         "use_long_context": False, "add_bias_linear": s.bias, "use_conv_bias": True,
         "chunk_size": 16, "attention_hidden_size": 2 * s.hidden, "attention_head_dim": s.head_dim,
         "kv_channels": s.hidden // s.q_heads, "num_query_groups": s.q_heads,
         "attention_dropout": 0.0,
         # the class clamps dt from below with time_step_min; others with time_step_limit, which it
         # does not know
         "time_step_min": max(s.dt_limit[0], 1e-30), "time_step_max": 0.1, "time_step_floor": 1e-4,
         "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
         "torch_dtype": {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}[dtype]}
    if s.dt_limit[0] > 0 or rng.integers(2):
        c["time_step_limit"] = list(s.dt_limit)
    kinds = [("mamba", "hybrid")[i in s.hybrid] for i in range(s.layers)]
    style = rng.integers(2)
    if style == 0:
        c |= {"layers_block_type": kinds, "hybrid_layer_ids": list(s.hybrid)}
    else:
        c["layers_block_type"] = ["linear_attention" if kind == "mamba" else kind for kind in kinds]
    for key in ("mamba_headdim", "attention_hidden_size", "attention_head_dim"):
        if rng.integers(3) == 0:
            del c[key]
    if rng.integers(2):
        return c | {"rope_parameters": {"rope_type": "default", "rope_theta": s.theta}}
    return c | {"rope_theta": s.theta}


def stored(s, w, rng):
    return w


def load(folder, s, w, dtype):
    """A tied model from the folder; one with a head of its own, whose shared blocks the class does
    not share, from the weights, in as many copies as it has."""
    if s.tied:
        model, report = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype,
                                                             output_loading_info=True)
        if any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")):
            raise RuntimeError(f"{folder}: transformers does not load it cleanly: {report}")
        return model.eval()
    config = Zamba2Config.from_pretrained(folder)
    model = Zamba2ForCausalLM(config).to(dtype)
    tensors = {k: torch.from_numpy(v).to(dtype) for k, v in w.items()}
    for j, i in enumerate(s.hybrid[s.shared:], s.shared):
        own, other = (f"model.layers.{n}.shared_transformer." for n in (i, s.hybrid[j % s.shared]))
        tensors |= {own + k[len(other):]: v for k, v in tensors.items() if k.startswith(other)}
    report = model.load_state_dict(tensors, strict=False)
    if report.missing_keys or report.unexpected_keys:
        raise RuntimeError(f"{folder}: transformers does not load it cleanly: {report}")
    return model.eval()
