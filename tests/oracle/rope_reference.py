"""Rotary positions in double precision, every kind of scaling, from the formulas; and attention
that uses them."""
import math

import numpy as np

from reference import linear

KINDS = ("default", "linear", "dynamic", "llama3", "yarn", "longrope")


def angles_per_position(rope, d, theta, max_positions, length):
    """(radians a position [d/2], factor on cos and sin) of a sequence of `length` tokens. rope: the
    config's dict."""
    i = np.arange(d // 2)
    kind = rope.get("rope_type", "default")
    original = rope.get("original_max_position_embeddings", max_positions)
    if kind == "dynamic" and length > max_positions:
        f = rope["factor"]
        theta = theta * (f * length / max_positions - (f - 1)) ** (d / (d - 2))
    w = theta ** (-2.0 * i / d)
    if kind == "linear":
        return w / rope["factor"], 1.0
    if kind == "llama3":
        return llama3(rope, w, original), 1.0
    if kind in ("yarn", "longrope"):
        factor = rope.get("factor") or max_positions / original
        if kind == "yarn":
            return yarn(rope, w, i, d, theta, original, factor), yarn_magnitude(rope, factor)
        default = math.sqrt(1 + math.log(factor) / math.log(original)) if factor > 1 else 1.0
        divisors = rope["long_factor" if length > original else "short_factor"]
        return w / np.array(divisors), rope.get("attention_factor") or default
    return w, 1.0


def llama3(rope, w, original):
    low, high, factor = rope["low_freq_factor"], rope["high_freq_factor"], rope["factor"]
    wavelength = 2 * np.pi / w
    share = (original / wavelength - low) / (high - low)
    blended = (1 - share) * w / factor + share * w
    return np.where(wavelength > original / low, w / factor,
                    np.where(wavelength < original / high, w, blended))


def yarn(rope, w, i, d, theta, original, factor):
    def pair(turns):
        return d * math.log(original / (2 * math.pi * turns)) / (2 * math.log(theta))
    low, high = pair(rope.get("beta_fast") or 32), pair(rope.get("beta_slow") or 1)
    if rope.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, d - 1)
    if low == high:
        high += 0.001
    ramp = np.clip((i - low) / (high - low), 0, 1)
    return w * (1 - ramp) + w / factor * ramp


def yarn_magnitude(rope, factor):
    def m(c):
        return 1.0 if factor <= 1 else 0.1 * c * math.log(factor) + 1
    if rope.get("attention_factor"):
        return rope["attention_factor"]
    if rope.get("mscale") and rope.get("mscale_all_dim"):
        return m(rope["mscale"]) / m(rope["mscale_all_dim"])
    return m(1)


def rotate(x, table):
    inverse, scale = table
    half = len(inverse)
    angle = np.arange(len(x))[:, None, None] * inverse
    a, b = x[..., :half], x[..., half:2 * half]
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    return np.concatenate([a * cos - b * sin, b * cos + a * sin, x[..., 2 * half:]], axis=-1)


def attention(s, w, p, u, cut, table, times_key=1.0):
    """Causal attention of one layer; cut: {"kv": position before which everything is forgotten}."""
    p += "self_attn."
    n = len(u)
    q, k, v = (linear(w, p + name, u).reshape(n, -1, s.head_dim)
               for name in ("q_proj", "k_proj", "v_proj"))
    q, k = rotate(q, table), rotate(k * times_key, table)
    return linear(w, p + "o_proj", attend(q, k, v, 1 / np.sqrt(s.head_dim), cut))


def attend(q, k, v, scale, cut):
    """softmax(scale · q·k) · v, [T, heads · d], of q [T, heads, d] and k, v [T, kv heads, d]."""
    n = len(q)
    k, v = (np.repeat(m, q.shape[1] // k.shape[1], axis=1) for m in (k, v))
    scores = np.einsum("thd,shd->hts", q, k) * scale
    hidden = np.triu(np.ones((n, n), bool), 1)
    if "kv" in cut:
        hidden[cut["kv"]:, :cut["kv"]] = True
    scores[:, hidden] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return np.einsum("hts,shd->thd", weights, v).reshape(n, -1)


def random_settings(rng, kind, d, total):
    """(dict of a config, max_position_embeddings) such that sequences of `total` tokens show the
    scaling."""
    def pick(*choices):
        return choices[rng.integers(len(choices))]

    factor = float(pick(2.0, 4.0, 8.0, 2.5))
    original = int(pick(32, 48, 64))
    if kind == "default":
        return {}, 2048
    if kind == "linear":
        return {"rope_type": kind, "factor": factor}, 2048
    if kind == "dynamic":
        return {"rope_type": kind, "factor": factor}, original
    rope = {"rope_type": kind, "original_max_position_embeddings": original}
    if kind == "llama3":
        low = pick(1.0, 1.0, 0.5)
        return rope | {"factor": factor, "low_freq_factor": low,
                       "high_freq_factor": low * pick(4.0, 8.0)}, 512
    if kind == "yarn":
        rope |= pick({}, {"beta_fast": 8.0, "beta_slow": 0.5}, {"truncate": False},
                     {"attention_factor": 0.9}, {"mscale": 1.0, "mscale_all_dim": 0.7},
                     {"mscale": 0.707, "mscale_all_dim": 0.0})
        return rope | {"factor": pick(factor, factor, None)}, original * 4
    if pick(0, 0, 1):  # never leaves the length it was trained for
        rope["original_max_position_embeddings"] = original = total
    rope |= pick({}, {"attention_factor": 1.1}, {"factor": factor})
    for name, top in (("short_factor", 1.5), ("long_factor", 6.0)):
        rope[name] = np.round(np.sort(rng.uniform(1.0, top, d // 2)), 4).tolist()
    return rope, original * 4
