"""Bamba with scaled rotary positions: the checkpoints of checkpoints.py under other settings."""
import dataclasses
from dataclasses import dataclass

import checkpoints
import hugging
import rope_reference
from llama_family import GREEDY_TOTAL
from reference import linear, mamba, rms_norm, silu
from rope_reference import angles_per_position, attention


@dataclass(frozen=True)
class Shape(checkpoints.Shape):
    rope: dict = None

    rows = property(lambda s: s.vocab)

    def describe(self):
        return f"{self.rope['rope_type']} {super().describe()}"


def random_shape(rng, seed, kind):
    while True:
        base = checkpoints.random_shape(rng, seed)
        if base.attention and base.rotary > 2:
            break
        seed += 1
    rope, max_positions = rope_reference.random_settings(rng, kind, base.rotary, GREEDY_TOTAL)
    return Shape(**{**dataclasses.asdict(base), "max_positions": max_positions, "rope": rope})


random_weights = checkpoints.random_weights


def forward(s, w, tokens, forget=None, length=None):
    table = angles_per_position(s.rope, s.rotary, s.theta, s.max_positions, length or len(tokens))
    x = w["model.embed_tokens.weight"][tokens]
    for i in range(s.layers):
        p = f"model.layers.{i}."
        cut = {forget[1]: forget[2]} if forget and forget[0] == i else {}
        u = rms_norm(x, w[p + "input_layernorm.weight"], s.eps)
        x = x + (attention(s, w, p, u, cut, table) if i in s.attention else mamba(s, w, p, u, cut))
        h = rms_norm(x, w[p + "pre_ff_layernorm.weight"], s.eps)
        gate, up = (linear(w, f"{p}feed_forward.{name}_proj", h) for name in ("gate", "up"))
        x = x + linear(w, p + "feed_forward.down_proj", silu(gate) * up)
    head = w["model.embed_tokens.weight" if s.tied else "lm_head.weight"]
    return rms_norm(x, w["model.final_layernorm.weight"], s.eps) @ head.T


def memories(s):
    return [(i, kind) for i in range(s.layers)
            for kind in (("kv",) if i in s.attention else ("conv", "ssm"))]


def other_settings(s):
    yield "theta", dataclasses.replace(s, theta=s.theta * 2)
    yield "scaling", dataclasses.replace(s, rope={})


def config_dict(s, rng, dtype):
    style = ("flat", "v5")[rng.integers(2)]
    c = checkpoints.config_dict(s, rng, style, dtype)
    if style == "flat":
        c["rope_scaling"] = dict(s.rope)
    else:
        c["rope_parameters"] |= s.rope
    return c


def load(folder, s, w, dtype):
    return hugging.load(folder, s, dtype)


def stored(s, w, rng):
    return w
