"""Pure Mamba-1, as transformers stores it, as mamba_ssm does, and Falcon-Mamba: random checkpoints,
a double-precision forward, transformers' side.

Weights have short names of our own; `stored` gives them the names of the layout.
"""
import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import torch
from transformers import FalconMambaConfig, FalconMambaForCausalLM, MambaConfig, MambaForCausalLM

from checkpoints import add_biases
from reference import causal_conv, linear, rms_norm, silu

LAYOUTS = ("transformers", "mamba_ssm", "falcon")


@dataclass(frozen=True)
class Shape:
    layout: str
    vocab: int
    rows: int             # of the embedding; what is beyond vocab is padding
    multiple: int
    hidden: int
    layers: int
    eps: float
    tied: bool
    inner: int
    state: int
    conv: int
    rank: int
    expand: int
    conv_bias: bool
    proj_bias: bool
    norm_eps: float       # of the norms of dt, B and C; None: there are none

    max_positions = property(lambda s: 0)

    def describe(self):
        flags = "".join(f for f, on in (("t", self.tied), ("c", self.conv_bias),
                                        ("p", self.proj_bias)) if on)
        return (f"{self.layout} L{self.layers} H{self.hidden} V{self.vocab}/{self.rows} "
                f"I{self.inner} N{self.state} "
                f"R{self.rank} k{self.conv} {flags or '-'}")


def random_shape(rng, seed, layout):
    def pick(*choices):
        return choices[rng.integers(len(choices))]

    hidden, expand, is_ssm = pick(24, 32, 48, 72, 96), pick(1, 2, 2, 3), layout == "mamba_ssm"
    vocab, multiple = pick(64, 97, 130, 256, 401), pick(1, 8, 16)
    # Falcon-Mamba-7B's file says an "expand" that its inner width is not.
    inner = pick(40, 56, 120) if layout == "falcon" and rng.integers(3) == 0 else expand * hidden
    return Shape(layout=layout, vocab=vocab,
                 rows=-(-vocab // multiple) * multiple if is_ssm else vocab, multiple=multiple,
                 hidden=hidden, layers=pick(2, 3, 4),
                 eps=1e-5 if is_ssm else pick(1e-5, 1e-6, 1e-2), tied=bool(pick(0, 1)), inner=inner,
                 state=pick(4, 8, 16, 16, 16, 20, 32), conv=pick(2, 3, 4, 4),
                 rank=pick(-(-hidden // 16), 1, 3, 8), expand=expand, conv_bias=bool(pick(0, 1, 1)),
                 proj_bias=bool(pick(0, 0, 1)),
                 norm_eps=pick(1e-6, 1e-5, 1e-2) if layout == "falcon" else None)


def mixer_weights(rng, s, normal, p, has_norms=False):
    """One mixer of `inner` channels. Slow and fast elements with large and small steps, so that
    none drowns."""
    step = rng.permutation(np.geomspace(3e-3, 3.0, s.inner))
    rate = rng.permutation(np.geomspace(-math.log(0.9999), -math.log(0.01), s.inner * s.state))
    rate = rate.reshape(s.inner, s.state)

    # A channel's state grows with its step and memory; x and D are scaled so that channels weigh
    # alike.
    memory = np.minimum(1 / -np.expm1(-rate), 50.0).mean(1)
    gain = np.clip(0.5 * step * np.sqrt(s.state * memory), 0.05, 20.0)
    w = {"in_proj.weight": normal(2 * s.inner, s.hidden, std=1 / math.sqrt(s.hidden)),
         "conv1d.weight": normal(s.inner, 1, s.conv,
                                 std=1.5 / math.sqrt(s.conv)) / gain[:, None, None],
         "x_proj.weight": normal(s.rank + 2 * s.state, s.inner,
                                 std=1.5 / math.sqrt(s.inner)) * gain,
         "dt_proj.weight": normal(s.inner, s.rank, std=0.7 / math.sqrt(s.rank)),
         "dt_proj.bias": step + np.log(-np.expm1(-step)),       # inverse of softplus
         "A_log": np.log(rate / step[:, None]),
         "D": rng.choice([-1.0, 1.0], s.inner) * rng.uniform(0.5, 1.5, s.inner) * gain,
         "out_proj.weight": normal(s.hidden, s.inner, std=1 / math.sqrt(s.inner))}
    if s.conv_bias:
        w["conv1d.bias"] = normal(s.inner, std=0.4) / gain
    if s.proj_bias:
        add_biases(w, "", ("in_proj", "out_proj"), normal)
    if has_norms:
        for name, width in (("dt", s.rank), ("b", s.state), ("c", s.state)):
            w[name + "_layernorm.weight"] = rng.uniform(0.5, 1.5, width)
    return {p + name: value for name, value in w.items()}


def random_weights(rng, s):
    def normal(*shape, std=1.0):
        return rng.normal(0.0, std, shape)

    w = {"embed": normal(s.rows, s.hidden, std=0.5 if s.tied else 1.0),
         "norm_f.weight": rng.uniform(0.5, 1.5, s.hidden)}
    if not s.tied:
        w["head"] = normal(s.rows, s.hidden, std=2 / math.sqrt(s.hidden))
    for name in ("embed", "head"):
        if name in w:
            w[name][s.vocab:] *= 20  # a padding row that counted would win every choice
    for i in range(s.layers):
        w[f"layers.{i}.norm.weight"] = rng.uniform(0.5, 1.5, s.hidden)
        w.update(mixer_weights(rng, s, normal, f"layers.{i}.mixer."))
    return w


def mixer(s, w, p, u, cut):
    """One Mamba-1 mixer over u [T, hidden]; cut: {"conv" | "ssm": position at which that memory is
    emptied}."""
    raw, z = np.split(linear(w, p + "in_proj", u), 2, axis=1)
    return linear(w, p + "out_proj", select(s, w, p, raw, cut) * silu(z))


def select(s, w, p, raw, cut):
    """From x before the convolution to y before the gate."""
    conv = w[p + "conv1d.weight"], w.get(p + "conv1d.bias", 0.0)
    x = causal_conv(raw, *conv)
    if "conv" in cut:
        x[cut["conv"]:] = causal_conv(raw[cut["conv"]:], *conv)
    return scan(s, w, p, silu(x), cut)


def scan(s, w, p, x, cut):
    parts = np.split(x @ w[p + "x_proj.weight"].T, [s.rank, s.rank + s.state], axis=1)
    if s.norm_eps is not None:
        parts = [rms_norm(v, w.get(f"{p}{n}_layernorm.weight", 1.0), s.norm_eps)
                 for n, v in zip(("dt", "b", "c"), parts)]
    low, b, c = parts
    dt = np.logaddexp(0.0, linear(w, p + "dt_proj", low))
    rate, y = -np.exp(w[p + "A_log"]), np.empty_like(x)
    state = np.zeros(rate.shape)
    for t in range(len(x)):
        if t == cut.get("ssm"):
            state[:] = 0
        state = np.exp(dt[t, :, None] * rate) * state + (dt[t] * x[t])[:, None] * b[t]
        y[t] = state @ c[t]
    return y + w[p + "D"] * x


def forward(s, w, tokens, forget=None, length=None):
    """Logits [T, vocab]. forget: (layer, "conv" | "ssm", position); length does not matter."""
    x = w["embed"][tokens]
    for i in range(s.layers):
        cut = {forget[1]: forget[2]} if forget and forget[0] == i else {}
        x = x + mixer(s, w, f"layers.{i}.mixer.",
                      rms_norm(x, w[f"layers.{i}.norm.weight"], s.eps), cut)
    return rms_norm(x, w["norm_f.weight"], s.eps) @ w["embed" if s.tied else "head"][:s.vocab].T


def memories(s):
    return [(i, kind) for i in range(s.layers) for kind in ("conv", "ssm")]


def other_settings(s):
    yield "eps", dataclasses.replace(s, eps=s.eps * 100 + 0.1)
    if s.norm_eps is not None:
        yield "norm_eps", dataclasses.replace(s, norm_eps=s.norm_eps + 0.1)
        yield "no norms", dataclasses.replace(s, norm_eps=None)


def nudged(name, value):
    """A norm takes a factor out of what stands before it: x_proj changes by every other column."""
    return value * np.where(np.arange(value.shape[-1]) % 2, 1.1,
                            1.0) if name.endswith("x_proj.weight") else value * 1.1


def config_dict(s, rng, dtype):
    name = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}[dtype]
    if s.layout == "mamba_ssm":
        ssm = {"layer": "Mamba1", "d_state": s.state, "d_conv": s.conv, "expand": s.expand,
               "dt_rank": s.rank, "bias": s.proj_bias, "conv_bias": s.conv_bias}
        auto = -(-s.hidden // 16)
        for key, default in (("layer", "Mamba1"), ("d_state", 16), ("d_conv", 4), ("expand", 2),
                             ("dt_rank", auto), ("bias", False), ("conv_bias", True)):
            if ssm[key] == default and rng.integers(2):
                del ssm[key]
        if ssm.get("dt_rank") == auto:
            ssm["dt_rank"] = "auto"
        c = {"d_model": s.hidden, "n_layer": s.layers, "vocab_size": s.vocab, "ssm_cfg": ssm,
             "rms_norm": True, "residual_in_fp32": True, "fused_add_norm": True,
             "pad_vocab_size_multiple": s.multiple}
        if not ssm:
            c["ssm_cfg"] = {} if rng.integers(2) else None
        if not s.tied or rng.integers(2):                # files of 2023 do not say it
            c["tie_embeddings"] = s.tied
        return c
    falcon = s.layout == "falcon"
    c = transformers_config(s) | {"architectures": ["FalconMambaForCausalLM" if falcon
                                                    else "MambaForCausalLM"],
                                  "model_type": "falcon_mamba" if falcon else "mamba",
                                  "torch_dtype": name, "intermediate_size": s.inner,
                                  "residual_in_fp32": True, "time_step_scale": 1.0,
                                  "time_step_min": 0.001, "time_step_max": 0.1,
                                  "time_step_floor": 1e-4, "time_step_init_scheme": "random"}
    defaults = {"state_size": 16, "conv_kernel": 4, "use_bias": False, "use_conv_bias": True,
                "layer_norm_epsilon": 1e-5, "mixer_rms_eps": 1e-6, "tie_word_embeddings": True,
                "hidden_act": "silu", "time_step_rank": -(-s.hidden // 16)}
    for key, value in defaults.items():
        if c.get(key) == value and rng.integers(3) == 0:
            del c[key]
    if s.inner == s.expand * s.hidden and rng.integers(2):
        del c["intermediate_size"]
    elif s.inner != s.expand * s.hidden:
        c["expand"] = 16
    if not falcon and rng.integers(2):                   # conversions keep the keys of mamba_ssm
        c |= {"d_model": s.hidden, "n_layer": s.layers, "ssm_cfg": {}, "rms_norm": True,
              "fused_add_norm": True, "pad_vocab_size_multiple": 8}
    return c


def transformers_config(s):
    c = {"vocab_size": s.rows, "hidden_size": s.hidden, "num_hidden_layers": s.layers,
         "state_size": s.state, "conv_kernel": s.conv, "expand": s.expand, "time_step_rank": s.rank,
         "use_bias": s.proj_bias, "use_conv_bias": s.conv_bias, "layer_norm_epsilon": s.eps,
         "tie_word_embeddings": s.tied, "hidden_act": "silu", "bos_token_id": 0, "eos_token_id": 2,
         "pad_token_id": 1}
    return c if s.norm_eps is None else c | {"mixer_rms_eps": s.norm_eps}


def renamed(w, embed):
    special = {"embed": f"backbone.{embed}.weight", "head": "lm_head.weight"}
    return {special.get(k, "backbone." + k): v for k, v in w.items()}


def stored(s, w, rng):
    if s.layout != "mamba_ssm":
        return renamed(w, "embedding" if rng.integers(4) == 0 else "embeddings")
    tensors = renamed(w, "embedding")
    if s.tied and rng.integers(2):
        tensors["lm_head.weight"] = tensors["backbone.embedding.weight"].copy()
    return tensors


def load(folder, s, w, dtype):
    """From the weights, since transformers knows one of the layouts only."""
    kind, config = ((MambaForCausalLM, MambaConfig) if s.norm_eps is None
                    else (FalconMambaForCausalLM, FalconMambaConfig))
    config = config(**transformers_config(s))
    config.intermediate_size = s.inner
    model = kind(config)
    tensors = {k: torch.from_numpy(v).to(dtype) for k, v in renamed(w, "embeddings").items()}
    report = model.to(dtype).load_state_dict(tensors, strict=False)
    if (report.unexpected_keys
            or set(report.missing_keys) - ({"lm_head.weight"} if s.tied else set())):
        raise RuntimeError(f"{folder}: transformers does not load it cleanly: {report}")
    model.tie_weights()
    return model.eval()
