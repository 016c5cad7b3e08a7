"""Proof that a checkpoint would show a mistake: every tensor and every carried memory moves its
logits.

Comparisons against a checkpoint without teeth mean little, so checkpoints are drawn again until all
parts bite.
"""
import dataclasses

import numpy as np

from checkpoints import random_shape, random_weights, rounded
from reference import forward

BITE = 3e-4        # of the largest logit
PROMPT = 40        # tokens; memories are lost in the middle
MAX_DRAWS = 20

# Where one group's output nearly cancels, its norm magnifies rounding; a checkpoint full of that
# measures luck.
MAX_GAIN = 60      # relative change of the logits over relative change of the weights
GAIN_PROMPT = 200


def dull_parts(s, w, tokens):
    """Names of what moves the logits by less than BITE: tensors changed by 10 %, memories lost,
    settings changed."""
    base = forward(s, w, tokens)
    least = BITE * np.abs(base).max()
    dull, weakest = [], np.inf

    def try_part(name, logits):
        nonlocal weakest
        moved = np.abs(logits - base).max()
        weakest = min(weakest, moved / least * BITE)
        if not moved >= least:
            dull.append(name)

    for name, value in w.items():
        try_part(name, forward(s, {**w, name: value * 1.1}, tokens))
    middle = len(tokens) // 2
    for i in range(s.layers):
        for memory in ("kv",) if i in s.attention else ("conv", "ssm"):
            try_part(f"layer {i} {memory}", forward(s, w, tokens, (i, memory, middle)))
    settings = {}
    if s.attention:
        settings["theta"] = s.theta * 2
        settings["rotary"] = s.head_dim if s.rotary < s.head_dim else s.head_dim // 2
    if len(s.attention) < s.layers:
        low, high = s.dt_limit
        if low > 0 or np.isfinite(high):
            settings["dt_limit"] = (0.0, np.inf)
    for name, value in settings.items():
        try_part(name, forward(dataclasses.replace(s, **{name: value}), w, tokens))
    return dull, weakest


def gain(s, w, rng):
    """How much relative noise in all weights grows on its way to the logits."""
    tokens, noise = rng.integers(0, s.vocab, GAIN_PROMPT), 1e-6
    base = forward(s, w, tokens)
    moved = forward(s, {name: v * (1 + noise * rng.standard_normal(v.shape))
                        for name, v in w.items()}, tokens)
    return np.abs(moved - base).max() / np.abs(base).max() / noise


def draw(seed, dtypes_of):
    """The seed's first shape and rounded weights that are steady and have teeth.

    dtypes_of: weights -> {tensor name: stored dtype}.
    Returns (shape, weights, dtypes, number of draws, smallest movement relative to the largest
    logit).
    """
    for attempt in range(MAX_DRAWS):
        rng = np.random.default_rng([seed, attempt])
        s = random_shape(rng, seed)
        w = random_weights(rng, s)
        dtypes = dtypes_of(w)
        w = rounded(w, dtypes)
        if gain(s, w, rng) > MAX_GAIN:
            dull = ["all: noise drowns them"]
            continue
        dull, weakest = dull_parts(s, w, rng.integers(0, s.vocab, PROMPT))
        if not dull:
            return s, w, dtypes, attempt + 1, weakest
    raise RuntimeError(f"seed {seed}: {MAX_DRAWS} draws without teeth; of the last, dull: "
                       f"{', '.join(dull)}")
