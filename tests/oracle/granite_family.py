"""Granite: 4.0-h hybrids and 4.0 transformers, dense or with experts; GraniteForCausalLM; their
forward in double.

Experts are chosen by the largest scores, which rounding may exchange where two nearly tie:
`least_margin` tells.
"""
import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import torch
from transformers import AutoModelForCausalLM

import checkpoints
import rope_reference
from checkpoints import INFINITY, add_biases, attention_weights, mamba_weights
from llama_family import GREEDY_TOTAL
from reference import linear, mamba, rms_norm, silu

KINDS = ("dense", "moe", "attention", "llama")


@dataclass(frozen=True)
class Shape(checkpoints.Shape):
    kind: str
    rope: dict | None         # None: no positions
    experts: int
    used: int
    expert_mlp: int
    embed_times: float
    residual_times: float
    scale: float              # of attention
    logits_over: float

    rows = property(lambda s: s.vocab)

    def describe(self):
        rope = "nope" if self.rope is None else self.rope.get("rope_type", "rope")
        return (f"{self.kind} {self.used}/{self.experts}x{self.expert_mlp} {rope} "
                f"{super().describe()}")


def random_shape(rng, seed, kind):
    def pick(*choices):
        return choices[rng.integers(len(choices))]

    has_mamba = kind in ("dense", "moe")
    while True:
        base = checkpoints.random_shape(rng, seed)
        if has_mamba != (len(base.attention) == base.layers):
            break
        seed += 1
    base = dataclasses.replace(base, mlp_bias=kind == "llama" and bool(pick(0, 1)),
                               rotary=base.head_dim)
    if base.head_dim * base.q_heads != base.hidden:  # its class insists, even when head_dim is said
        base = dataclasses.replace(base, q_heads=4, kv_heads=pick(1, 2, 4),
                                   head_dim=pick(8, 16, 20), hidden=base.hidden)
        base = dataclasses.replace(base, rotary=base.head_dim)
    rope, max_positions = None, base.max_positions
    if kind == "llama" or kind == "attention" or pick(0, 0, 1):
        rope, max_positions = rope_reference.random_settings(
            rng, pick("default", "default", "linear", "llama3", "yarn"), base.head_dim,
            GREEDY_TOTAL)
    experts = pick(2, 4, 7, 12, 24) if kind == "moe" or kind == "attention" and pick(0, 1) else 0
    return Shape(**{**dataclasses.asdict(base), "max_positions": max_positions},
                 kind=kind, rope=rope, experts=experts,
                 used=int(rng.integers(1, min(experts, 6) + 1)) if experts else 0,
                 expert_mlp=pick(8, 16, 24, 40), embed_times=pick(1.0, 2.5, 12.0),
                 residual_times=pick(1.0, 0.5, 0.35),
                 scale=pick(1.0, 0.5, 1.5) / math.sqrt(base.head_dim),
                 logits_over=pick(1.0, 3.0, 8.0))


def random_weights(rng, s):
    def normal(*shape, std=1.0):
        return rng.normal(0.0, std, shape)

    def norm_weight(n):
        return rng.uniform(0.5, 1.5, n)

    w = {"model.embed_tokens.weight": normal(s.vocab, s.hidden,
                                             std=(0.5 if s.tied else 1.0) / s.embed_times),
         "model.norm.weight": norm_weight(s.hidden)}
    if s.tied:
        w["model.embed_tokens.weight"] *= 1.5
    else:
        w["lm_head.weight"] = normal(s.vocab, s.hidden, std=2 / math.sqrt(s.hidden))
    up, down = 1.2 / math.sqrt(s.hidden) / s.residual_times ** 0.5, 1.2 / s.residual_times ** 0.5
    for i in range(s.layers):
        p = f"model.layers.{i}."
        w[p + "input_layernorm.weight"] = norm_weight(s.hidden)
        w[p + "post_attention_layernorm.weight"] = norm_weight(s.hidden)
        if s.kind == "llama":
            for name, rows, columns in (("gate_proj", s.mlp, s.hidden),
                                        ("up_proj", s.mlp, s.hidden),
                                        ("down_proj", s.hidden, s.mlp)):
                w[f"{p}mlp.{name}.weight"] = normal(rows, columns, std=1.2 / math.sqrt(columns))
            if s.mlp_bias:
                add_biases(w, p + "mlp.", ("gate_proj", "up_proj", "down_proj"), normal)
        else:
            w[p + "shared_mlp.input_linear.weight"] = normal(2 * s.mlp, s.hidden, std=up)
            w[p + "shared_mlp.output_linear.weight"] = normal(s.hidden, s.mlp,
                                                              std=down / math.sqrt(s.mlp))
        if s.experts:
            m = p + "block_sparse_moe."
            w[m + "router.layer.weight"] = normal(s.experts, s.hidden,
                                                  std=1.5 / math.sqrt(s.hidden))
            w[m + "input_linear.weight"] = normal(s.experts, 2 * s.expert_mlp, s.hidden, std=up)
            w[m + "output_linear.weight"] = normal(s.experts, s.hidden, s.expert_mlp,
                                                   std=1.5 * down / math.sqrt(s.expert_mlp))
        mixer = attention_weights if i in s.attention else mamba_weights
        w.update({p + name: value for name, value in mixer(rng, s, normal, norm_weight).items()})
    return w


def attention(s, w, p, u, cut, table):
    p += "self_attn."
    n = len(u)
    q, k, v = (linear(w, p + name, u).reshape(n, -1, s.head_dim)
               for name in ("q_proj", "k_proj", "v_proj"))
    if table:
        q, k = rope_reference.rotate(q, table), rope_reference.rotate(k, table)
    k, v = (np.repeat(m, s.q_heads // s.kv_heads, axis=1) for m in (k, v))
    scores = np.einsum("thd,shd->hts", q, k) * s.scale
    hidden = np.triu(np.ones((n, n), bool), 1)
    if "kv" in cut:
        hidden[cut["kv"]:, :cut["kv"]] = True
    scores[:, hidden] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return linear(w, p + "o_proj", np.einsum("hts,shd->thd", weights, v).reshape(n, -1))


def gated(x, both, down):
    gate, up = np.split(x @ both.T, 2, axis=-1)
    return (silu(gate) * up) @ down.T


def experts(s, w, p, u, margins):
    scores = linear(w, p + "router.layer", u)
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, 1)
    if s.used < s.experts:
        margins.append((ranked[:, s.used - 1] - ranked[:, s.used]).min())
    share = np.exp(ranked[:, :s.used] - ranked[:, :1])
    share /= share.sum(1, keepdims=True)
    y = np.zeros_like(u)
    for j in range(s.used):
        for e in range(s.experts):
            at = order[:, j] == e
            y[at] += share[at, j, None] * gated(u[at], w[p + "input_linear.weight"][e],
                                                w[p + "output_linear.weight"][e])
    return y


def forward(s, w, tokens, forget=None, length=None, margins=None):
    margins = [] if margins is None else margins
    table = None
    if s.rope is not None:
        table = rope_reference.angles_per_position(s.rope, s.rotary, s.theta, s.max_positions,
                                                   length or len(tokens))
    x = w["model.embed_tokens.weight"][tokens] * s.embed_times
    for i in range(s.layers):
        p = f"model.layers.{i}."
        cut = {forget[1]: forget[2]} if forget and forget[0] == i else {}
        u = rms_norm(x, w[p + "input_layernorm.weight"], s.eps)
        x = x + s.residual_times * (attention(s, w, p, u, cut, table) if i in s.attention
                                    else mamba(s, w, p, u, cut))
        u = rms_norm(x, w[p + "post_attention_layernorm.weight"], s.eps)
        if s.kind == "llama":
            f = linear(w, p + "mlp.down_proj",
                       silu(linear(w, p + "mlp.gate_proj", u)) * linear(w, p + "mlp.up_proj", u))
        else:
            f = gated(u, w[p + "shared_mlp.input_linear.weight"],
                      w[p + "shared_mlp.output_linear.weight"])
        if s.experts:
            f = f + experts(s, w, p + "block_sparse_moe.", u, margins)
        x = x + s.residual_times * f
    head = w["model.embed_tokens.weight" if s.tied else "lm_head.weight"]
    return rms_norm(x, w["model.norm.weight"], s.eps) @ head.T / s.logits_over


def least_margin(s, w, tokens, length):
    """The smallest distance between the score of an expert that is chosen and of one that is
    not."""
    margins = [np.inf]
    forward(s, w, tokens, None, length, margins)
    return min(margins)


def memories(s):
    return [(i, kind) for i in range(s.layers)
            for kind in (("kv",) if i in s.attention else ("conv", "ssm"))]


def other_settings(s):
    for name in ("embed_times", "residual_times", "logits_over"):
        yield name, dataclasses.replace(s, **{name: 1.0 if getattr(s, name) != 1.0 else 1.3})
    if s.attention:
        yield "scale", dataclasses.replace(s, scale=1.7 * s.scale)
    if s.attention and s.rope is not None:
        yield "theta", dataclasses.replace(s, theta=s.theta * 2)
        yield "nope", dataclasses.replace(s, rope=None)
    if s.used > 1:
        yield "used", dataclasses.replace(s, used=s.used - 1)


def config_dict(s, rng, dtype):
    style = ("flat", "v5")[rng.integers(2)]
    c = checkpoints.config_dict(s, rng, style, dtype)
    for key in ("attn_rotary_emb", "partial_rotary_factor", "attn_layer_indices", "mlp_bias"):
        c.pop(key, None)
    c |= {"architectures": ["GraniteMoeHybridForCausalLM"], "model_type": "granitemoehybrid",
          "embedding_multiplier": s.embed_times, "residual_multiplier": s.residual_times,
          "attention_multiplier": s.scale, "logits_scaling": s.logits_over}
    for key in ("embedding_multiplier", "residual_multiplier", "logits_scaling"):
        if c[key] == 1.0 and rng.integers(2):
            del c[key]
    if s.kind == "llama":
        c = {k: v for k, v in c.items() if not k.startswith("mamba_")
             and not k.startswith("time_step")}
        c |= {"architectures": ["GraniteForCausalLM"], "model_type": "granite",
              "mlp_bias": s.mlp_bias}
    else:
        names = (("mamba", "attention"), ("linear_attention", "full_attention"))[style == "v5"]
        c |= {"layer_types": [names[i in s.attention] for i in range(s.layers)],
              "shared_intermediate_size": s.mlp, "num_local_experts": s.experts,
              "num_experts_per_tok": s.used, "intermediate_size": s.expert_mlp,
              "position_embedding_type": "rope" if s.rope is not None
              else (None, "nope")[rng.integers(2)], "normalization_function": "rmsnorm",
              "output_router_logits": False}
        if not s.attention and rng.integers(2):
            del c["layer_types"]
    if style == "flat":
        c["rope_scaling"] = dict(s.rope) if s.rope else None
    else:
        c["rope_parameters"] = {"rope_type": "default", "rope_theta": s.theta} | (s.rope or {})
    return c


def load(folder, s, w, dtype):
    model, report = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype,
                                                         output_loading_info=True)
    if any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")):
        raise RuntimeError(f"{folder}: transformers does not load it cleanly: {report}")
    return model.eval()


def stored(s, w, rng):
    return w
