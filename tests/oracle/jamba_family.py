"""Jamba: Mamba-1 with inner norms, attention without positions, MLPs and experts: random
checkpoints, a double-precision forward, transformers' side.

Weights have the names they are stored under, experts one by one. They are chosen by the largest
scores, which rounding may exchange where two nearly tie: `least_margin` tells.
"""
import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from transformers import JambaForCausalLM

import mamba1_family
from reference import linear, rms_norm, silu
from rope_reference import attend


@dataclass(frozen=True)
class Shape:
    vocab: int
    hidden: int
    mlp: int
    layers: int
    attention_every: tuple    # period and offset
    experts_every: tuple
    experts: int              # 1: MLPs alone
    used: int
    q_heads: int
    kv_heads: int
    head_dim: int
    eps: float
    tied: bool
    inner: int
    expand: int
    state: int
    conv: int
    rank: int
    conv_bias: bool
    proj_bias: bool
    max_positions: int
    norm_eps: float           # eps again; None: without inner norms

    rows = property(lambda s: s.vocab)

    def is_attention(s, layer):
        return layer % s.attention_every[0] == s.attention_every[1]

    def has_experts(s, layer):
        return s.experts > 1 and layer % s.experts_every[0] == s.experts_every[1]

    def describe(self):
        kinds = "".join(("A" if self.is_attention(i) else "m") + "+" * self.has_experts(i)
                        for i in range(self.layers))
        flags = "".join(f for f, on in (("t", self.tied), ("c", self.conv_bias),
                                        ("p", self.proj_bias)) if on)
        return (f"{kinds} H{self.hidden} V{self.vocab} F{self.mlp} {self.used}/{self.experts} "
                f"I{self.inner} N{self.state} R{self.rank} k{self.conv} "
                f"q{self.q_heads}/{self.kv_heads}x{self.head_dim} {flags or '-'}")


def random_shape(rng, seed):
    def pick(*choices):
        return choices[rng.integers(len(choices))]

    def every(*periods):
        period = pick(*periods)
        return period, int(rng.integers(period))

    hidden, q_heads, expand, eps = (pick(24, 32, 48, 72), pick(2, 4, 6), pick(1, 2, 2),
                                    pick(1e-6, 1e-5, 1e-2))
    experts = 1 if seed % 5 == 4 else pick(2, 4, 7, 16)
    head_dim = hidden // q_heads if hidden % q_heads == 0 and pick(0, 1) else pick(8, 12, 20)
    return Shape(vocab=pick(64, 97, 130, 256), hidden=hidden, mlp=pick(24, 40, 56),
                 layers=pick(2, 3, 4), attention_every=every(1, 2, 3, 4, 8),
                 experts_every=every(1, 2, 2, 3), experts=experts,
                 used=int(rng.integers(1, min(experts, 4) + 1)), q_heads=q_heads,
                 kv_heads=pick(*[n for n in (1, 2, 3, 4, 6) if q_heads % n == 0]),
                 head_dim=head_dim, eps=eps, tied=bool(pick(0, 0, 1)), inner=expand * hidden,
                 expand=expand, state=pick(4, 8, 16, 16, 20), conv=pick(2, 3, 4, 4),
                 rank=pick(-(-hidden // 16), 3, 5), conv_bias=bool(pick(0, 1, 1)),
                 proj_bias=bool(pick(0, 0, 1)), max_positions=pick(512, 262144), norm_eps=eps)


def random_weights(rng, s):
    def normal(*shape, std=1.0):
        return rng.normal(0.0, std, shape)

    def mlp(p, gain):
        w.update({f"{p}{name}.weight": normal(n, m, std=gain / math.sqrt(m)) for name, n, m in
                  (("gate_proj", s.mlp, s.hidden), ("up_proj", s.mlp, s.hidden),
                   ("down_proj", s.hidden, s.mlp))})

    w = {"model.embed_tokens.weight": normal(s.vocab, s.hidden, std=0.5 if s.tied else 1.0),
         "model.final_layernorm.weight": rng.uniform(0.5, 1.5, s.hidden)}
    if not s.tied:
        w["lm_head.weight"] = normal(s.vocab, s.hidden, std=2 / math.sqrt(s.hidden))
    for i in range(s.layers):
        p = f"model.layers.{i}."
        for name in ("input_layernorm", "pre_ff_layernorm"):
            w[f"{p}{name}.weight"] = rng.uniform(0.5, 1.5, s.hidden)
        if s.is_attention(i):
            q, kv = s.q_heads * s.head_dim, s.kv_heads * s.head_dim
            w.update({f"{p}self_attn.{name}.weight": normal(n, m, std=gain / math.sqrt(m))
                      for name, n, m, gain in
                      (("q_proj", q, s.hidden, 1.2), ("k_proj", kv, s.hidden, 1.2),
                       ("v_proj", kv, s.hidden, 1.2), ("o_proj", s.hidden, q, 2))})
        else:
            w.update(mamba1_family.mixer_weights(rng, s, normal, p + "mamba.", has_norms=True))
        if s.has_experts(i):
            w[p + "feed_forward.router.weight"] = normal(s.experts, s.hidden,
                                                         std=1.5 / math.sqrt(s.hidden))
            for e in range(s.experts):
                mlp(f"{p}feed_forward.experts.{e}.", 1.8)
        else:
            mlp(p + "feed_forward.", 1.2)
    return w


def gated(w, p, u):
    return linear(w, p + "down_proj",
                  silu(linear(w, p + "gate_proj", u)) * linear(w, p + "up_proj", u))


def mix_experts(s, w, p, u, margins):
    scores = linear(w, p + "router", u)
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, 1)
    if s.used < s.experts:
        margins.append((ranked[:, s.used - 1] - ranked[:, s.used]).min())
    share = np.exp(ranked - ranked[:, :1])
    share /= share.sum(1, keepdims=True)                     # over all experts
    y = np.zeros_like(u)
    for j in range(s.used):
        for e in range(s.experts):
            at = order[:, j] == e
            y[at] += share[at, j, None] * gated(w, f"{p}experts.{e}.", u[at])
    return y


def forward(s, w, tokens, forget=None, length=None, margins=None):
    """Logits [T, vocab]. forget: (layer, "conv" | "ssm" | "kv", position); length does not
    matter."""
    margins = [] if margins is None else margins
    x = w["model.embed_tokens.weight"][tokens]
    for i in range(s.layers):
        p = f"model.layers.{i}."
        cut = {forget[1]: forget[2]} if forget and forget[0] == i else {}
        u = rms_norm(x, w[p + "input_layernorm.weight"], s.eps)
        if s.is_attention(i):
            q, k, v = (linear(w, f"{p}self_attn.{n}_proj", u).reshape(len(u), -1, s.head_dim)
                       for n in "qkv")
            x = x + linear(w, p + "self_attn.o_proj", attend(q, k, v, s.head_dim ** -0.5, cut))
        else:
            x = x + mamba1_family.mixer(s, w, p + "mamba.", u, cut)
        u = rms_norm(x, w[p + "pre_ff_layernorm.weight"], s.eps)
        p += "feed_forward."
        x = x + (mix_experts(s, w, p, u, margins) if s.has_experts(i) else gated(w, p, u))
    head = w["model.embed_tokens.weight" if s.tied else "lm_head.weight"]
    return rms_norm(x, w["model.final_layernorm.weight"], s.eps) @ head.T


def least_margin(s, w, tokens, length):
    """The smallest distance between the score of an expert that is chosen and of one that is
    not."""
    margins = [np.inf]
    forward(s, w, tokens, None, length, margins)
    return min(margins)


def memories(s):
    return [(i, kind) for i in range(s.layers)
            for kind in (("kv",) if s.is_attention(i) else ("conv", "ssm"))]


def other_settings(s):
    yield "eps", dataclasses.replace(s, eps=s.eps * 100 + 0.1)
    if not all(s.is_attention(i) for i in range(s.layers)):
        yield "inner eps", dataclasses.replace(s, norm_eps=s.eps * 100 + 0.1)
        yield "no inner norms", dataclasses.replace(s, norm_eps=None)
    if s.used > 1 and any(s.has_experts(i) for i in range(s.layers)):
        yield "used", dataclasses.replace(s, used=s.used - 1)


nudged = mamba1_family.nudged


def config_dict(s, rng, dtype):
    c = {"architectures": ["JambaForCausalLM"], "model_type": "jamba", "vocab_size": s.vocab,
         "hidden_size": s.hidden, "intermediate_size": s.mlp, "num_hidden_layers": s.layers,
         "num_attention_heads": s.q_heads, "num_key_value_heads": s.kv_heads,
         "attn_layer_period": s.attention_every[0], "attn_layer_offset": s.attention_every[1],
         "expert_layer_period": s.experts_every[0], "expert_layer_offset": s.experts_every[1],
         "num_experts": s.experts, "num_experts_per_tok": s.used, "hidden_act": "silu",
         "mamba_expand": s.expand, "mamba_d_state": s.state, "mamba_d_conv": s.conv,
         "mamba_dt_rank": s.rank, "mamba_conv_bias": s.conv_bias, "mamba_proj_bias": s.proj_bias,
         "rms_norm_eps": s.eps, "tie_word_embeddings": s.tied,
         "max_position_embeddings": s.max_positions, "mamba_inner_layernorms": True,
         "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "attention_dropout": 0.0,
         "num_logits_to_keep": 1,
         "torch_dtype": {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}[dtype],
         "use_mamba_kernels": True}
    defaults = {"expert_layer_period": 2, "expert_layer_offset": 1, "attn_layer_period": 8,
                "num_experts": 16, "num_experts_per_tok": 2, "hidden_act": "silu",
                "mamba_expand": 2, "mamba_d_state": 16, "mamba_d_conv": 4, "mamba_conv_bias": True,
                "mamba_proj_bias": False, "rms_norm_eps": 1e-6, "tie_word_embeddings": False,
                "max_position_embeddings": 262144, "mamba_inner_layernorms": True}
    for key, value in defaults.items():
        if c[key] == value and rng.integers(3) == 0:
            del c[key]
    if s.rank == -(-s.hidden // 16) and rng.integers(2):
        c["mamba_dt_rank"] = "auto"
    if s.head_dim * s.q_heads != s.hidden or rng.integers(2):
        c["head_dim"] = s.head_dim
    return c


def stored(s, w, rng):
    return w


def load(folder, s, w, dtype):
    model, report = JambaForCausalLM.from_pretrained(folder, dtype=dtype, output_loading_info=True)
    if any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")):
        raise RuntimeError(f"{folder}: transformers does not load it cleanly: {report}")
    return model.eval()
