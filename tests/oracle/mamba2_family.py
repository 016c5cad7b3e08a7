"""Pure Mamba-2 in three layouts: random checkpoints, a double-precision forward, transformers'
side.

Weights have short names of our own; `stored` gives them the names of the layout.
"""
import dataclasses
import math
from dataclasses import dataclass

import torch
from transformers import Mamba2Config, Mamba2ForCausalLM

import reference
from checkpoints import INFINITY, mamba_weights
from reference import rms_norm

LAYOUTS = ("transformers", "mamba_ssm", "mistral")


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
    heads: int
    head_width: int
    groups: int
    state: int
    conv: int
    expand: int
    conv_bias: bool
    proj_bias: bool
    dt_limit: tuple

    inner = property(lambda s: s.heads * s.head_width)
    conv_channels = property(lambda s: s.inner + 2 * s.groups * s.state)
    width = property(lambda s: s.head_width)  # as reference.mamba and mamba_weights call it
    max_positions = property(lambda s: 0)

    def describe(self):
        flags = "".join(f for f, on in (("t", self.tied), ("c", self.conv_bias),
                                        ("p", self.proj_bias)) if on)
        return (f"{self.layout} L{self.layers} H{self.hidden} V{self.vocab}/{self.rows} "
                f"nh{self.heads}x{self.head_width} G{self.groups} N{self.state} k{self.conv} "
                f"dt{list(self.dt_limit)} {flags or '-'}")


def random_shape(rng, seed, layout, many_groups):
    def pick(*choices):
        return choices[rng.integers(len(choices))]

    if layout == "mistral":  # its file leaves everything else to the module's defaults
        hidden, expand, width, state, conv, conv_bias, proj_bias = (pick(64, 128), 2, 64, 128, 4,
                                                                    True, False)
        limit = (0.0, INFINITY)
    else:
        hidden, expand = pick(32, 48, 64, 96), pick(1, 2, 2, 2, 3)
        width = pick(*[n for n in (4, 8, 12, 16, 24, 32) if expand * hidden % (n * 4) == 0])
        state, conv, conv_bias, proj_bias = (pick(8, 16, 32, 64), pick(2, 3, 4, 4),
                                             bool(pick(0, 1, 1)), bool(pick(0, 0, 1)))
        limit = pick((0.0, INFINITY), (0.0, INFINITY), (0.05, INFINITY), (0.01, 1.0), (0.002, 6.0))
    heads = expand * hidden // width
    groups = pick(*[g for g in (2, 4, 8) if heads % g == 0]) if many_groups else 1
    vocab, multiple = pick(64, 97, 130, 256, 401), pick(1, 8, 16)
    rows = vocab if layout == "transformers" else -(-vocab // multiple) * multiple
    return Shape(layout=layout, vocab=vocab, rows=rows, multiple=multiple, hidden=hidden,
                 layers=pick(2, 3, 4),
                 eps=1e-5 if layout != "transformers" else pick(1e-5, 1e-6, 1e-2),
                 tied=bool(pick(0, 1)), heads=heads, head_width=width, groups=groups, state=state,
                 conv=conv, expand=expand, conv_bias=conv_bias, proj_bias=proj_bias, dt_limit=limit)


def random_weights(rng, s):
    def normal(*shape, std=1.0):
        return rng.normal(0.0, std, shape)

    def norm_weight(n):
        return rng.uniform(0.5, 1.5, n)

    w = {"embed": normal(s.rows, s.hidden, std=0.5 if s.tied else 1.0),
         "norm_f.weight": norm_weight(s.hidden)}
    if not s.tied:
        w["head"] = normal(s.rows, s.hidden, std=2 / math.sqrt(s.hidden))
    for name in ("embed", "head"):
        if name in w:
            w[name][s.vocab:] *= 20  # a padding row that counted would win every choice
    for i in range(s.layers):
        w[f"layers.{i}.norm.weight"] = norm_weight(s.hidden)
        w.update({f"layers.{i}.{k}": v
                  for k, v in mamba_weights(rng, s, normal, norm_weight).items()})
    return w


def forward(s, w, tokens, forget=None, length=None):
    """Logits [T, vocab]. forget: (layer, "conv" | "ssm", position); length does not matter."""
    x = w["embed"][tokens]
    for i in range(s.layers):
        cut = {forget[1]: forget[2]} if forget and forget[0] == i else {}
        x = x + reference.mamba(s, w, f"layers.{i}.",
                                rms_norm(x, w[f"layers.{i}.norm.weight"], s.eps), cut)
    return rms_norm(x, w["norm_f.weight"], s.eps) @ w["embed" if s.tied else "head"][:s.vocab].T


def memories(s):
    return [(i, kind) for i in range(s.layers) for kind in ("conv", "ssm")]


def other_settings(s):
    if s.dt_limit[0] > 0 or s.dt_limit[1] < INFINITY:
        yield "dt_limit", dataclasses.replace(s, dt_limit=(0.0, INFINITY))
    if s.groups > 1:
        yield "eps", dataclasses.replace(s, eps=s.eps * 100 + 0.1)


def config_dict(s, rng, dtype):
    name = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}[dtype]
    if s.layout == "mistral":
        return {"dim": s.hidden, "n_layers": s.layers, "vocab_size": s.vocab, "n_groups": s.groups,
                "rms_norm": True, "residual_in_fp32": True, "fused_add_norm": True,
                "pad_vocab_size_multiple": s.multiple, "tie_embeddings": s.tied,
                "model_type": "mamba"}
    if s.layout == "mamba_ssm":
        ssm = {"layer": "Mamba2", "d_state": s.state, "d_conv": s.conv, "expand": s.expand,
               "headdim": s.head_width, "ngroups": s.groups, "bias": s.proj_bias,
               "conv_bias": s.conv_bias, "chunk_size": 64, "dt_limit": list(s.dt_limit),
               "norm_before_gate": False, "rmsnorm": True, "d_ssm": None}
        for key, default in (("d_state", 128), ("d_conv", 4), ("expand", 2), ("ngroups", 1),
                             ("bias", False), ("conv_bias", True), ("dt_limit", [0.0, INFINITY])):
            if ssm[key] == default and rng.integers(2):
                del ssm[key]
        return {"d_model": s.hidden, "d_intermediate": 0, "n_layer": s.layers,
                "vocab_size": s.vocab, "ssm_cfg": ssm, "attn_layer_idx": [], "attn_cfg": {},
                "rms_norm": True, "residual_in_fp32": True, "fused_add_norm": True,
                "pad_vocab_size_multiple": s.multiple, "tie_embeddings": s.tied}
    return transformers_config(s) | {"architectures": ["Mamba2ForCausalLM"], "model_type": "mamba2",
                                     "torch_dtype": name, "rms_norm": True,
                                     "residual_in_fp32": True}


def transformers_config(s):
    return {"vocab_size": s.rows, "hidden_size": s.hidden, "num_hidden_layers": s.layers,
            "num_heads": s.heads, "head_dim": s.head_width, "state_size": s.state,
            "n_groups": s.groups, "conv_kernel": s.conv, "expand": s.expand,
            "use_bias": s.proj_bias, "use_conv_bias": s.conv_bias, "layer_norm_epsilon": s.eps,
            "time_step_limit": list(s.dt_limit), "tie_word_embeddings": s.tied, "chunk_size": 16,
            "hidden_act": "silu", "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}


def renamed(s, w, embed, prefix=""):
    def name(k):
        special = {"embed": f"backbone.{embed}.weight", "head": "lm_head.weight"}
        return prefix + special.get(k, "backbone." + k.replace(".mamba.", ".mixer."))
    return {name(k): v for k, v in w.items()}


def stored(s, w, rng):
    if s.layout == "mistral":
        return renamed(s, w, "embedding", "model.")
    if s.layout == "mamba_ssm":
        tensors = renamed(s, w, "embedding")
        if s.tied and rng.integers(2):
            tensors["lm_head.weight"] = tensors["backbone.embedding.weight"].copy()
        return tensors
    return renamed(s, w, "embedding" if rng.integers(4) == 0 else "embeddings")


def load(folder, s, w, dtype):
    """From the weights, since transformers knows one of the layouts only."""
    model = Mamba2ForCausalLM(Mamba2Config(**transformers_config(s)))
    tensors = {k: torch.from_numpy(v).to(dtype) for k, v in renamed(s, w, "embeddings").items()}
    report = model.to(dtype).load_state_dict(tensors, strict=False)
    if (report.unexpected_keys
            or set(report.missing_keys) - ({"lm_head.weight"} if s.tied else set())):
        raise RuntimeError(f"{folder}: transformers does not load it cleanly: {report}")
    model.tie_weights()
    return model.eval()
