"""Llama and Mistral: random checkpoints, a double-precision forward, transformers' side."""
import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import torch
from transformers import AutoModelForCausalLM

import rope_reference
from checkpoints import add_biases, attention_weights
from reference import linear, rms_norm, silu
from rope_reference import angles_per_position, attention

GREEDY_TOTAL = 264         # most tokens a comparison feeds one session


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
    attention_bias: bool
    mlp_bias: bool
    max_positions: int
    rope: dict            # what the config says about scaling
    model_type: str

    rows = property(lambda s: s.vocab)
    width = property(lambda s: s.hidden)

    def describe(self):
        flags = "".join(f for f, on in (("t", self.tied), ("a", self.attention_bias),
                                        ("f", self.mlp_bias)) if on)
        return (f"{self.model_type} L{self.layers} H{self.hidden} V{self.vocab} F{self.mlp} "
                f"q{self.q_heads}/{self.kv_heads}x{self.head_dim} {self.rope.get('rope_type', '')} "
                f"{flags or '-'}")


def random_shape(rng, seed, kind):
    def pick(*choices):
        return choices[rng.integers(len(choices))]

    hidden = pick(32, 40, 48, 64, 72, 96)
    q_heads = pick(2, 4, 6, 8)
    head_dim = hidden // q_heads
    if head_dim * q_heads != hidden or head_dim % 2 or head_dim < 6 or pick(0, 0, 1):
        head_dim = pick(8, 16, 20, 32)
        hidden = hidden // q_heads * q_heads  # transformers insists, even when head_dim is said
    mistral = kind == "default" and seed % 4 == 3
    rope, max_positions = rope_reference.random_settings(rng, kind, head_dim, GREEDY_TOTAL)
    return Shape(
        vocab=pick(64, 97, 130, 256, 401), hidden=hidden, mlp=pick(32, 56, 96, 160),
        layers=pick(2, 3, 4), q_heads=q_heads,
        kv_heads=pick(*[n for n in (1, 2, 3, 4, 6, 8) if q_heads % n == 0]), head_dim=head_dim,
        theta=pick(10000.0, 10000.0, 500.0, 500000.0), eps=pick(1e-5, 1e-6, 1e-2),
        tied=bool(pick(0, 1)), attention_bias=bool(pick(0, 0, 1)) and not mistral,
        mlp_bias=bool(pick(0, 0, 1)) and not mistral, max_positions=max_positions, rope=rope,
        model_type="mistral" if mistral else "llama")


def random_weights(rng, s):
    def normal(*shape, std=1.0):
        return rng.normal(0.0, std, shape)

    def norm_weight(n):
        return rng.uniform(0.5, 1.5, n)

    w = {"model.embed_tokens.weight": normal(s.vocab, s.hidden, std=0.5 if s.tied else 1.0),
         "model.norm.weight": norm_weight(s.hidden)}
    if not s.tied:
        w["lm_head.weight"] = normal(s.vocab, s.hidden, std=2 / math.sqrt(s.hidden))
    for i in range(s.layers):
        p = f"model.layers.{i}."
        w[p + "input_layernorm.weight"] = norm_weight(s.hidden)
        w[p + "post_attention_layernorm.weight"] = norm_weight(s.hidden)
        for name, rows, columns in (("gate_proj", s.mlp, s.hidden), ("up_proj", s.mlp, s.hidden),
                                    ("down_proj", s.hidden, s.mlp)):
            w[f"{p}mlp.{name}.weight"] = normal(rows, columns, std=1.2 / math.sqrt(columns))
        if s.mlp_bias:
            add_biases(w, p + "mlp.", ("gate_proj", "up_proj", "down_proj"), normal)
        parts = attention_weights(rng, s, normal, norm_weight)
        # keys' biases alone would not show: softmax does not see what all positions share, were it
        # not for rope
        w.update({p + name: value for name, value in parts.items()})
    return w


def forward(s, w, tokens, forget=None, length=None):
    """Logits [T, V]. length: what the positions are scaled for; forget: (layer, "kv", position)."""
    table = angles_per_position(s.rope, s.head_dim, s.theta, s.max_positions, length or len(tokens))
    x = w["model.embed_tokens.weight"][tokens]
    for i in range(s.layers):
        p = f"model.layers.{i}."
        cut = {forget[1]: forget[2]} if forget and forget[0] == i else {}
        x = x + attention(s, w, p, rms_norm(x, w[p + "input_layernorm.weight"], s.eps), cut, table)
        h = rms_norm(x, w[p + "post_attention_layernorm.weight"], s.eps)
        gate, up = (linear(w, f"{p}mlp.{name}_proj", h) for name in ("gate", "up"))
        x = x + linear(w, p + "mlp.down_proj", silu(gate) * up)
    head = w["model.embed_tokens.weight" if s.tied else "lm_head.weight"]
    return rms_norm(x, w["model.norm.weight"], s.eps) @ head.T


def memories(s):
    return [(i, "kv") for i in range(s.layers)]


def other_settings(s):
    """Shapes that differ in what no tensor shows."""
    yield "theta", dataclasses.replace(s, theta=s.theta * 2)
    if s.rope:
        yield "scaling", dataclasses.replace(s, rope={})


def config_dict(s, rng, dtype):
    """Flat keys as published checkpoints have them, or rope_parameters as transformers 5 writes."""
    c = {"architectures": [f"{s.model_type.capitalize()}ForCausalLM"], "model_type": s.model_type,
         "vocab_size": s.vocab, "hidden_size": s.hidden, "intermediate_size": s.mlp,
         "num_hidden_layers": s.layers, "num_attention_heads": s.q_heads,
         "num_key_value_heads": s.kv_heads, "hidden_act": "silu",
         "max_position_embeddings": s.max_positions, "rms_norm_eps": s.eps,
         "tie_word_embeddings": s.tied, "attention_bias": s.attention_bias, "mlp_bias": s.mlp_bias,
         "pretraining_tp": 1, "use_cache": True, "bos_token_id": 1, "eos_token_id": [2, 3],
         "initializer_range": 0.02,
         "torch_dtype": {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}[dtype]}
    if s.head_dim * s.q_heads != s.hidden:
        c["head_dim"] = s.head_dim
    elif rng.integers(2):
        c["head_dim"] = None if rng.integers(2) else s.head_dim
    if s.kv_heads == s.q_heads and s.model_type == "llama":  # Mistral's class takes no null
        c["num_key_value_heads"] = None
    if s.model_type == "mistral":
        c["sliding_window"] = None if rng.integers(2) else s.max_positions
        del c["attention_bias"], c["mlp_bias"]
    style = rng.integers(3)
    rope = dict(s.rope)
    if style == 2:
        c["rope_parameters"] = {"rope_type": "default"} | rope | {"rope_theta": s.theta}
        return c
    if rope and style == 1:
        rope["type"] = rope.pop("rope_type")             # the old spelling
    if "original_max_position_embeddings" in rope and rng.integers(3) == 0:
        c["original_max_position_embeddings"] = rope.pop("original_max_position_embeddings")
        rope["original_max_position_embeddings"] = 7     # loses
    c |= {"rope_theta": s.theta, "rope_scaling": rope or None}
    return c


def load(folder, s, w, dtype):
    model, report = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype,
                                                         output_loading_info=True)
    if any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")):
        raise RuntimeError(f"{folder}: transformers does not load it cleanly: {report}")
    return model.eval()


def stored(s, w, rng):
    """Names and values as the files have them."""
    extra = {}
    if rng.integers(3) == 0:                             # a buffer of old exports
        extra["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.ones(s.head_dim // 2)
    return w | extra
