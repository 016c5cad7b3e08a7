"""mamba_ssm's hybrids: Mamba-2, attention with a convolution, gated MLPs. transformers has no class
for them.

The double-precision forward is NumPy. The other side is float32 torch: Falcon-H1's mixer of
transformers, which has every order of gate and norm, and attention of a few lines.
"""
import dataclasses
import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from transformers import FalconH1Config
from transformers.models.falcon_h1.modeling_falcon_h1 import FalconH1Mixer

import mamba2_family
import reference
from checkpoints import INFINITY, add_biases, mamba_weights
from falcon_h1_family import gated
from reference import causal_conv, linear, rms_norm, silu
from rope_reference import angles_per_position, attend, rotate

# rmsnorm, norm_before_gate
GATES = {"alone": (False, False), "norm first": (True, True), "gate first": (True, False)}


@dataclass(frozen=True)
class Shape(mamba2_family.Shape):
    gate: str
    attention: tuple          # indices of the attention layers
    q_heads: int
    kv_heads: int
    head_dim: int
    rotary: int
    theta: float
    scale: float              # of scores; 0: the usual
    taps: int                 # of the convolution over q, k, v; 0: none
    qkv_bias: bool
    attention_out_bias: bool
    intermediate: int         # 0: no MLPs

    mlp = property(lambda s: -(-s.intermediate // 128) * 128)
    qkv_rows = property(lambda s: (s.q_heads + 2 * s.kv_heads) * s.head_dim)

    def describe(self):
        kinds = "".join("A" if i in self.attention else "m" for i in range(self.layers))
        return (f"{kinds} q{self.q_heads}/{self.kv_heads}x{self.head_dim} r{self.rotary} "
                f"conv{self.taps} F{self.intermediate} gate {self.gate} " + super().describe())


def random_shape(rng, seed):
    def pick(*choices):
        return choices[rng.integers(len(choices))]

    base = mamba2_family.random_shape(rng, seed, "mamba_ssm", bool(seed % 3 == 2))
    heads = pick(2, 4, 6)
    head_dim = (base.hidden // heads if base.hidden % (2 * heads) == 0 and pick(0, 1)
                else pick(8, 12, 16))
    if seed % 5 == 4:
        attention = tuple(range(base.layers))            # MLPs and attention alone
    else:
        attention = tuple(sorted(rng.choice(base.layers, pick(1, 1, 2), replace=False).tolist()))
    return Shape(
        **dataclasses.asdict(base),
        gate=("gate first", "gate first", "norm first", "alone")[seed % 4], attention=attention,
        q_heads=heads, kv_heads=pick(*[n for n in (1, 2, 3, 4, 6) if heads % n == 0]),
        head_dim=head_dim, rotary=pick(0, head_dim // 2 // 2 * 2, head_dim),
        theta=pick(10000.0, 10000.0, 500.0), scale=pick(0.0, 0.0, 0.3), taps=pick(0, 2, 3, 4, 4),
        qkv_bias=bool(pick(0, 0, 1)), attention_out_bias=bool(pick(0, 0, 1)),
        intermediate=pick(0, 0, 100, 128, 200))


def random_weights(rng, s):
    def normal(*shape, std=1.0):
        return rng.normal(0.0, std, shape)

    def norm_weight(n):
        return rng.uniform(0.5, 1.5, n)

    w = mamba2_family.random_weights(rng, s)
    for i in range(s.layers):
        p = f"layers.{i}."
        if i in s.attention:
            for name in [name for name in w if name.startswith(p + "mamba.")]:
                del w[name]
            w.update({p + k: v for k, v in attention_weights(s, normal).items()})
        elif s.gate == "alone":
            del w[p + "mamba.norm.weight"]
            w[p + "mamba.out_proj.weight"] *= 0.5
        if s.intermediate:
            w[p + "norm2.weight"] = norm_weight(s.hidden)
            w[p + "mlp.fc1.weight"] = normal(2 * s.mlp, s.hidden, std=1.2 / math.sqrt(s.hidden))
            w[p + "mlp.fc2.weight"] = normal(s.hidden, s.mlp, std=1.2 / math.sqrt(s.mlp))
    return w


def attention_weights(s, normal):
    out = s.q_heads * s.head_dim
    w = {"attention.in_proj.weight": normal(s.qkv_rows, s.hidden, std=1.2 / math.sqrt(s.hidden)),
         "attention.out_proj.weight": normal(s.hidden, out, std=2 / math.sqrt(out))}
    if s.qkv_bias:
        add_biases(w, "attention.", ("in_proj",), normal)
    if s.attention_out_bias:
        add_biases(w, "attention.", ("out_proj",), normal)
    if s.taps:
        w["attention.conv1d.weight"] = normal(s.qkv_rows, 1, s.taps, std=1.2 / math.sqrt(s.taps))
        w["attention.conv1d.bias"] = normal(s.qkv_rows, std=0.4)
    return w


def attention(s, w, p, u, cut):
    p += "attention."
    n, qkv = len(u), linear(w, p + "in_proj", u)
    if s.taps:
        conv = w[p + "conv1d.weight"], w[p + "conv1d.bias"]
        raw, qkv = qkv, causal_conv(qkv, *conv)
        if "conv" in cut:
            qkv[cut["conv"]:] = causal_conv(raw[cut["conv"]:], *conv)
    rows = s.q_heads * s.head_dim, s.kv_heads * s.head_dim
    q, k, v = (m.reshape(n, -1, s.head_dim) for m in np.split(qkv, [rows[0], sum(rows)], axis=1))
    if s.rotary:
        table = angles_per_position({}, s.rotary, s.theta, 0, n)
        q, k = rotate(q, table), rotate(k, table)
    return linear(w, p + "out_proj", attend(q, k, v, s.scale or s.head_dim ** -0.5, cut))


def forward(s, w, tokens, forget=None, length=None):
    """Logits [T, vocab]. forget: (layer, "conv" | "ssm" | "kv", position)."""
    x = w["embed"][tokens]
    for i in range(s.layers):
        p = f"layers.{i}."
        cut = {forget[1]: forget[2]} if forget and forget[0] == i else {}
        u = rms_norm(x, w[p + "norm.weight"], s.eps)
        x = x + (attention(s, w, p, u, cut) if i in s.attention
                 else reference.mamba(s, w, p, u, cut, gate=gated))
        if s.intermediate:
            value, gate = np.split(rms_norm(x, w[p + "norm2.weight"],
                                            s.eps) @ w[p + "mlp.fc1.weight"].T, 2, axis=1)
            x = x + (value * silu(gate)) @ w[p + "mlp.fc2.weight"].T
    return rms_norm(x, w["norm_f.weight"], s.eps) @ w["embed" if s.tied else "head"][:s.vocab].T


def memories(s):
    for i in range(s.layers):
        yield from ((i, kind) for kind in (("kv",) + ("conv",) * (s.taps > 1) if i in s.attention
                                           else ("conv", "ssm")))


def other_settings(s):
    """Shapes that differ in what no tensor shows."""
    if s.rotary:
        yield "theta", dataclasses.replace(s, theta=s.theta * 2)
        yield "rotary", dataclasses.replace(s, rotary=s.rotary - 2)
    yield "scale", dataclasses.replace(s, scale=(s.scale or s.head_dim ** -0.5) * 1.1)
    if len(s.attention) < s.layers:
        if s.gate != "alone":
            yield "gate", dataclasses.replace(s, gate="gate first" if s.gate == "norm first"
                                              else "norm first")
        if s.dt_limit[0] > 0 or s.dt_limit[1] < INFINITY:
            yield "dt_limit", dataclasses.replace(s, dt_limit=(0.0, INFINITY))


def config_dict(s, rng, dtype):
    c = mamba2_family.config_dict(s, rng, dtype)
    ssm = c["ssm_cfg"]
    ssm["rmsnorm"], ssm["norm_before_gate"] = GATES[s.gate]
    for key, default in (("rmsnorm", True), ("norm_before_gate", False)):
        if ssm[key] == default and rng.integers(2):
            del ssm[key]
    a = {"causal": True, "d_conv": s.taps, "head_dim": s.head_dim, "num_heads": s.q_heads,
         "num_heads_kv": s.kv_heads, "out_proj_bias": s.attention_out_bias,
         "qkv_proj_bias": s.qkv_bias, "rotary_emb_dim": s.rotary, "rotary_emb_base": s.theta,
         "softmax_scale": s.scale or None}
    defaults = {"d_conv": 0, "head_dim": s.hidden / s.q_heads, "num_heads_kv": s.q_heads,
                "out_proj_bias": True, "qkv_proj_bias": True, "rotary_emb_dim": 0,
                "rotary_emb_base": 10000.0, "softmax_scale": None}
    for key, default in defaults.items():
        if a[key] == default and rng.integers(2):
            del a[key]
    c |= {"attn_layer_idx": list(s.attention), "attn_cfg": a, "d_intermediate": s.intermediate}
    return c


def stored(s, w, rng):
    tensors = mamba2_family.renamed(s, {k.replace(".attention.", ".mamba."): v
                                        for k, v in w.items()}, "embedding")
    if s.tied and rng.integers(2):
        tensors["lm_head.weight"] = tensors["backbone.embedding.weight"].copy()
    return tensors


class Torch:
    """The whole model in float32, called as transformers' are."""
    def __init__(self, s, w, dtype):
        self.s, self.w = s, {k: torch.from_numpy(v).to(dtype) for k, v in w.items()}
        self.mixers = {i: self.mixer(i, dtype) for i in range(s.layers) if i not in s.attention}

    def mixer(self, i, dtype):
        s = self.s
        norm, norm_first = GATES[s.gate]
        config = FalconH1Config(
            hidden_size=s.hidden, mamba_d_ssm=s.inner, mamba_n_heads=s.heads,
            mamba_d_head=s.head_width, mamba_n_groups=s.groups, mamba_d_state=s.state,
            mamba_d_conv=s.conv, mamba_expand=s.expand, mamba_chunk_size=16,
            mamba_conv_bias=s.conv_bias, mamba_proj_bias=s.proj_bias, projectors_bias=s.proj_bias,
            mamba_rms_norm=norm, mamba_norm_before_gate=norm_first, rms_norm_eps=s.eps,
            time_step_limit=s.dt_limit)
        mixer = FalconH1Mixer(config, i)
        p = f"layers.{i}.mamba."
        mixer.load_state_dict({k[len(p):]: v for k, v in self.w.items() if k.startswith(p)})
        mixer.register_buffer("mup_vector", torch.ones(1, 1, s.inner + s.conv_channels + s.heads))
        return mixer.to(dtype).eval()

    def norm(self, x, name):
        return F.rms_norm(x, (self.s.hidden,), self.w[name], self.s.eps)

    def attention(self, x, p):
        s, w, n = self.s, self.w, x.shape[1]
        qkv = F.linear(x, w[p + "in_proj.weight"], w.get(p + "in_proj.bias"))
        if s.taps:
            qkv = F.conv1d(qkv.mT, w[p + "conv1d.weight"], w[p + "conv1d.bias"], padding=s.taps - 1,
                           groups=s.qkv_rows)[..., :n].mT
        q, k, v = (m.unflatten(-1, (-1, s.head_dim)).transpose(1, 2) for m in
                   qkv.split([h * s.head_dim for h in (s.q_heads, s.kv_heads, s.kv_heads)], dim=-1))
        if s.rotary:
            half = s.rotary // 2
            angle = torch.arange(n)[:, None] * s.theta ** (-torch.arange(half) / half)
            cos, sin = angle.cos(), angle.sin()
            q, k = (torch.cat([m[..., :half] * cos - m[..., half:2 * half] * sin,
                               m[..., half:2 * half] * cos + m[..., :half] * sin,
                               m[..., 2 * half:]], -1) for m in (q, k))
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=s.scale or None,
                                             enable_gqa=True)
        return F.linear(out.transpose(1, 2).flatten(2), w[p + "out_proj.weight"],
                        w.get(p + "out_proj.bias"))

    def base_model(self, tokens, use_cache):
        w = self.w
        x = w["embed"][tokens]
        for i in range(self.s.layers):
            p = f"layers.{i}."
            u = self.norm(x, p + "norm.weight")
            x = x + (self.mixers[i](u) if i in self.mixers else self.attention(u, p + "attention."))
            if self.s.intermediate:
                value, gate = F.linear(self.norm(x, p + "norm2.weight"),
                                       w[p + "mlp.fc1.weight"]).chunk(2, dim=-1)
                x = x + F.linear(value * F.silu(gate), w[p + "mlp.fc2.weight"])
        return SimpleNamespace(last_hidden_state=self.norm(x, "norm_f.weight"))

    def __call__(self, tokens, use_cache):
        head = self.w["embed" if self.s.tied else "head"]
        return SimpleNamespace(logits=F.linear(self.base_model(tokens,
                                                               use_cache).last_hidden_state, head))


def load(folder, s, w, dtype):
    return Torch(s, w, dtype)
