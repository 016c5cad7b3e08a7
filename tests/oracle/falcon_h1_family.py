"""Falcon-H1: random checkpoints, a double-precision forward, transformers' side."""
import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from transformers import AutoModelForCausalLM

import reference
from checkpoints import INFINITY, add_biases, attention_weights, mamba_weights
from reference import linear, rms_norm, silu
from rope_reference import angles_per_position, attention

GATES = ("alone", "norm first", "gate first")
MULTIPLIERS = ("embedding", "lm_head", "key", "attention_in", "attention_out", "ssm_in", "ssm_out")


@dataclass(frozen=True)
class Shape:
    vocab: int
    hidden: int
    mlp: int
    layers: int
    q_heads: int
    kv_heads: int
    head_dim: int
    theta: float
    eps: float
    tied: bool
    heads: int            # Mamba heads; heads * width need not be expand * hidden
    width: int
    groups: int
    state: int
    conv: int
    expand: int
    gate: str
    conv_bias: bool
    in_bias: bool
    out_bias: bool
    attention_bias: bool
    mlp_bias: bool
    dt_limit: tuple
    times: tuple          # of MULTIPLIERS
    mlp_times: tuple      # of gate and down
    ssm_times: tuple      # of z, x, B, C, dt
    max_positions: int

    rows = property(lambda s: s.vocab)
    inner = property(lambda s: s.heads * s.width)
    conv_channels = property(lambda s: s.inner + 2 * s.groups * s.state)
    proj_bias = property(lambda s: False)  # mamba_weights makes none; random_weights does

    def multiplier(s, name):
        return s.times[MULTIPLIERS.index(name)]

    def describe(self):
        flags = "".join(f for f, on in (("t", self.tied), ("c", self.conv_bias),
                                        ("i", self.in_bias), ("o", self.out_bias),
                                        ("a", self.attention_bias), ("f", self.mlp_bias)) if on)
        return (f"L{self.layers} H{self.hidden} V{self.vocab} F{self.mlp} "
                f"q{self.q_heads}/{self.kv_heads}x{self.head_dim} nh{self.heads}x{self.width} "
                f"G{self.groups} N{self.state} k{self.conv} "
                f"gate {self.gate} {flags or '-'} x{self.times}")


def random_shape(rng, seed):
    def pick(*choices):
        return choices[rng.integers(len(choices))]

    def factors(n):
        return tuple(pick(1.0, 0.35355339, 0.5, 0.75, 1.25, 2.0) for _ in range(n))

    hidden, q_heads, expand, groups = (pick(32, 48, 64, 72), pick(2, 4, 6, 8),
                                       pick(1, 2, 2, 3), (1, 2, 4)[seed // 3 % 3])
    heads, width = groups * pick(1, 2, 4), pick(3, 4, 8, 16, 20)
    if pick(0, 1, 1) == 0:                               # mamba_expand decides
        heads = pick(*[n for n in (4, 8, 12, 16) if expand * hidden % n == 0 and n % groups == 0])
        width = expand * hidden // heads
    plain = seed % 7 == 6                                # a file without multipliers
    times = factors(len(MULTIPLIERS))
    if seed % 5 == 1:                                    # as published
        times = (5.656854249492381, 0.0390625, 0.390625, 1.0, 0.9375, 1.25, 0.23570226)
    return Shape(
        vocab=pick(64, 97, 130, 256, 401), hidden=hidden, mlp=pick(32, 56, 96, 160),
        layers=pick(1, 2, 3), q_heads=q_heads,
        kv_heads=pick(*[n for n in (1, 2, 3, 4, 6, 8) if q_heads % n == 0]),
        head_dim=hidden // q_heads if hidden % (2 * q_heads) == 0 and pick(0, 1)
        else pick(8, 16, 20), theta=pick(1e11, 1e11, 10000.0, 500.0), eps=pick(1e-5, 1e-6, 1e-2),
        tied=bool(pick(0, 1)), heads=heads, width=width, groups=groups, state=pick(8, 16, 32, 64),
        conv=pick(2, 3, 4, 4), expand=expand, gate=GATES[seed % 3], conv_bias=bool(pick(0, 1, 1)),
        in_bias=bool(pick(0, 0, 1)), out_bias=bool(pick(0, 0, 1)),
        attention_bias=bool(pick(0, 0, 1)), mlp_bias=bool(pick(0, 0, 1)),
        dt_limit=pick((0.0, INFINITY), (0.0, INFINITY), (0.05, INFINITY), (0.01, 1.0),
                      (0.002, 6.0)), times=(1.0,) * len(MULTIPLIERS) if plain else times,
        mlp_times=(1.0, 1.0) if plain else factors(2),
        ssm_times=(1.0,) * 5 if plain else factors(5), max_positions=pick(512, 2048))


def random_weights(rng, s):
    def normal(*shape, std=1.0):
        return rng.normal(0.0, std, shape)

    def norm_weight(n):
        return rng.uniform(0.5, 1.5, n)

    # the factors of whole outputs are taken out again, so that every part of a layer weighs alike
    embedding, ssm_out, attention_out = (s.multiplier(m)
                                         for m in ("embedding", "ssm_out", "attention_out"))
    w = {"model.embed_tokens.weight": normal(s.vocab, s.hidden,
                                             std=(0.5 if s.tied else 1.0) / embedding),
         "model.final_layernorm.weight": norm_weight(s.hidden)}
    if not s.tied:
        w["lm_head.weight"] = normal(s.vocab, s.hidden, std=2 / math.sqrt(s.hidden))
    for i in range(s.layers):
        p = f"model.layers.{i}."
        w[p + "input_layernorm.weight"] = norm_weight(s.hidden)
        w[p + "pre_ff_layernorm.weight"] = norm_weight(s.hidden)
        for name, rows, columns in (("gate_proj", s.mlp, s.hidden), ("up_proj", s.mlp, s.hidden),
                                    ("down_proj", s.hidden, s.mlp)):
            w[f"{p}feed_forward.{name}.weight"] = normal(rows, columns,
                                                         std=1.2 / math.sqrt(columns))
        if s.mlp_bias:
            add_biases(w, p + "feed_forward.", ("gate_proj", "up_proj", "down_proj"), normal)
        mixers = (attention_weights(rng, s, normal, norm_weight)
                  | mamba_weights(rng, s, normal, norm_weight))
        mixers["self_attn.o_proj.weight"] /= attention_out
        mixers["mamba.out_proj.weight"] /= ssm_out
        if s.gate == "alone":
            del mixers["mamba.norm.weight"]
            mixers["mamba.out_proj.weight"] *= 0.5
        for name, on in (("in_proj", s.in_bias), ("out_proj", s.out_bias)):
            if on:
                add_biases(mixers, "mamba.", (name,), normal)
        w.update({p + name: value for name, value in mixers.items()})
    return w


def gated(s, weight, y, z):
    if s.gate == "alone":
        return y * silu(z)
    if s.gate == "gate first":
        return reference.gate_then_norm(s, weight, y, z)
    return rms_norm(y.reshape(len(y), s.groups, -1), weight.reshape(s.groups, -1),
                    s.eps).reshape(y.shape) * silu(z)


def forward(s, w, tokens, forget=None, length=None):
    """Logits [T, V]. forget: (layer, "conv" | "ssm" | "kv", position)."""
    table = angles_per_position({}, s.head_dim, s.theta, s.max_positions, length or len(tokens))
    group = s.groups * s.state
    mup = np.repeat(s.ssm_times, [s.inner, s.inner, group, group, s.heads])
    x = w["model.embed_tokens.weight"][tokens] * s.multiplier("embedding")
    for i in range(s.layers):
        p = f"model.layers.{i}."
        cut = {forget[1]: forget[2]} if forget and forget[0] == i else {}
        u = rms_norm(x, w[p + "input_layernorm.weight"], s.eps)
        ssm = reference.mamba(s, w, p, u * s.multiplier("ssm_in"), cut, mup, gated)
        attended = attention(s, w, p, u * s.multiplier("attention_in"), cut, table,
                             s.multiplier("key"))
        x = x + s.multiplier("ssm_out") * ssm + s.multiplier("attention_out") * attended
        h = rms_norm(x, w[p + "pre_ff_layernorm.weight"], s.eps)
        gate, up = (linear(w, f"{p}feed_forward.{name}_proj", h) for name in ("gate", "up"))
        x = x + s.mlp_times[1] * linear(w, p + "feed_forward.down_proj",
                                        silu(gate * s.mlp_times[0]) * up)
    head = w["model.embed_tokens.weight" if s.tied else "lm_head.weight"]
    return rms_norm(x, w["model.final_layernorm.weight"], s.eps) @ head.T * s.multiplier("lm_head")


def memories(s):
    return [(i, kind) for i in range(s.layers) for kind in ("conv", "ssm", "kv")]


def other_settings(s):
    """Shapes that differ in what no tensor shows."""
    def changed(values, i):
        return values[:i] + (values[i] * 1.1,) + values[i + 1:]

    yield "theta", dataclasses.replace(s, theta=s.theta ** 0.8)
    for i, name in enumerate(MULTIPLIERS):
        yield name, dataclasses.replace(s, times=changed(s.times, i))
    for i in range(2):
        yield f"mlp {i}", dataclasses.replace(s, mlp_times=changed(s.mlp_times, i))
    for i in range(5):
        yield f"ssm {i}", dataclasses.replace(s, ssm_times=changed(s.ssm_times, i))
    if s.gate != "alone":
        yield "gate", dataclasses.replace(s, gate=GATES[3 - GATES.index(s.gate)])
    if s.dt_limit[0] > 0 or s.dt_limit[1] < INFINITY:
        yield "dt_limit", dataclasses.replace(s, dt_limit=(0.0, INFINITY))


def config_dict(s, rng, dtype):
    """Flat keys as published checkpoints have them, or rope_parameters as transformers 5 writes
    them."""
    c = {"architectures": ["FalconH1ForCausalLM"], "model_type": "falcon_h1", "vocab_size": s.vocab,
         "hidden_size": s.hidden, "intermediate_size": s.mlp, "num_hidden_layers": s.layers,
         "num_attention_heads": s.q_heads, "num_key_value_heads": s.kv_heads,
         "head_dim": s.head_dim, "hidden_act": "silu", "max_position_embeddings": s.max_positions,
         "rms_norm_eps": s.eps, "tie_word_embeddings": s.tied, "attention_bias": s.attention_bias,
         "mlp_bias": s.mlp_bias, "projectors_bias": s.out_bias, "mamba_proj_bias": s.in_bias,
         "mamba_conv_bias": s.conv_bias, "mamba_d_ssm": s.inner, "mamba_n_heads": s.heads,
         "mamba_d_head": s.width, "mamba_n_groups": s.groups, "mamba_d_state": s.state,
         "mamba_d_conv": s.conv, "mamba_expand": s.expand, "mamba_chunk_size": 16,
         "mamba_rms_norm": s.gate != "alone", "mamba_norm_before_gate": s.gate != "gate first",
         "mamba_use_mlp": True, "time_step_limit": list(s.dt_limit), "num_logits_to_keep": 1,
         "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 11,
         "mlp_multipliers": list(s.mlp_times), "ssm_multipliers": list(s.ssm_times),
         "torch_dtype": {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}[dtype]}
    c |= {f"{name}_multiplier": value for name, value in zip(MULTIPLIERS, s.times)}
    for key in [key for key in c if "multiplier" in key]:
        ones = c[key] == 1.0 or isinstance(c[key], list) and set(c[key]) == {1.0}
        if ones and rng.integers(2):
            del c[key]
        elif c[key] == [1.0] * 5 or c[key] == [1.0, 1.0]:
            c[key] = None
    if s.inner == s.expand * s.hidden and rng.integers(2):
        c["mamba_d_ssm"] = None
    if rng.integers(2):
        c["mamba_d_head"] = "auto"
    if s.gate == "alone" and rng.integers(2):
        del c["mamba_rms_norm"], c["mamba_norm_before_gate"]
    if s.head_dim * s.q_heads == s.hidden and rng.integers(2):
        del c["head_dim"]
    # published files have an integer of 12 digits
    theta = int(s.theta) if rng.integers(2) else s.theta
    if rng.integers(2):
        return c | {"rope_parameters": {"rope_type": "default", "rope_theta": theta}}
    return c | {"rope_theta": theta, "rope_scaling": None}


def stored(s, w, rng):
    return w


def load(folder, s, w, dtype):
    model, report = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype,
                                                         output_loading_info=True)
    if any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")):
        raise RuntimeError(f"{folder}: transformers does not load it cleanly: {report}")
    return model.eval()
