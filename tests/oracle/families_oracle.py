"""Compare libbamba with transformers and with double-precision forwards: every family but plain
Bamba.

    families_oracle.py --lib libbamba.so [--seeds 20] [--only NAME ...] [--cpu LEVEL[,LEVEL ...]]

Groups of checkpoints, --seeds of each: granite-KIND; rope-KIND (Llama; rope-default also Mistral),
bamba-rope-KIND (a quarter as many), falcon-h1, jamba, mamba-ssm-hybrid, nemotron-h-KIND,
mamba1-LAYOUT, mamba2-LAYOUT-g1 and -gn, zamba, zamba2. Bars, with M the largest logit of the double
forward, as in bamba_oracle.py:
    reference  the double forward and transformers' float32 differ by at most 3e-4 M
    float32    ours and the double forward: 2e-5 M, or three times transformers' own float32 error;
               the whole prompt, pieces, token by token, and the stored 16-bit types used in place.
               Where a row magnifies roundings a hundred times, one run's float32 error may be small
               by chance: what fails is compared again, with the largest of transformers' errors on
               this checkpoint and on 8 others whose weights differ from it by a random millionth
               ("shaken"), and passes or fails by that
    hidden     rows after the final norm and transformers' last_hidden_state: the two bars above
               together, of the largest hidden number
    greedy     64 tokens as the reference chooses them, up to a step whose two best logits lie
               within the bar
    bits       batches of up to 32 rows, 1 and 2 threads: identical bits
Sessions are as long as the sequence, which is what dynamic and longrope go by; transformers sees
one whole call. Every checkpoint has teeth. Of several levels, each checkpoint is made once, and the
references again only where a level chooses another text. Exit status 1 if anything fails.
"""
import argparse
import copy
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np
import torch

import bamba_rope_family
import checkpoints
import falcon_h1_family
import granite_family
import hugging
import jamba_family
import llama_family
import mamba1_family
import mamba2_family
import mamba_ssm_family
import nemotron_h_family
import rope_reference
import zamba_family
import zamba2_family
from bamba_oracle import (FLOAT_BAR, GREEDY, MAX_EARLY_ENDS, REFERENCE_BAR, Oracle, Result,
                          relative, summarize)
from engine import Engine, Library, Model, Session, cut
from teeth import BITE, GAIN_PROMPT, MAX_DRAWS, MAX_GAIN, PROMPT

# between the scores of experts that are chosen and not: rounding must not choose
LEAST_MARGIN = 2e-5
SHAKEN = 8             # checkpoints


class Group:
    """Checkpoints that are drawn alike."""
    def __init__(self, name, family, *arguments):
        self.name, self.family, self.arguments = name, family, arguments

    def rng(self, seed):
        return np.random.default_rng([seed, 1 << 20, *self.name.encode()])

    def draw(self, seed, dtype):
        """The seed's first shape and rounded weights that are steady and have teeth; and the
        smallest bite."""
        f = self.family
        for attempt in range(MAX_DRAWS):
            rng = np.random.default_rng([seed, attempt, *self.name.encode()])
            s = f.random_shape(rng, seed, *self.arguments)
            w = f.random_weights(rng, s)
            w = checkpoints.rounded(w, dict.fromkeys(w, dtype))
            if self.gain(s, w, rng) > MAX_GAIN:
                dull = ["all: noise drowns them"]
                continue
            dull, weakest = self.dull_parts(s, w, rng)
            if not dull:
                return s, w, weakest
        raise RuntimeError(f"{self.name} seed {seed}: {MAX_DRAWS} draws without teeth; of the "
                           f"last: {', '.join(dull)}")

    def gain(self, s, w, rng):
        tokens, noise = rng.integers(0, s.vocab, GAIN_PROMPT), 1e-6
        base = self.family.forward(s, w, tokens)
        shaken = {name: v * (1 + noise * rng.standard_normal(v.shape)) for name, v in w.items()}
        return (np.abs(self.family.forward(s, shaken, tokens) - base).max()
                / np.abs(base).max() / noise)

    def dull_parts(self, s, w, rng):
        forward, tokens = self.family.forward, rng.integers(0, s.vocab, PROMPT)
        long = rng.integers(0, s.vocab, GAIN_PROMPT)
        base = forward(s, w, tokens)
        least = BITE * np.abs(base).max()
        nudged = getattr(self.family, "nudged", lambda name, value: value * 1.1)
        moved = {name: forward(s, {**w, name: nudged(name, value)}, tokens) - base
                 for name, value in w.items()}
        for layer, memory in self.family.memories(s):
            moved[f"layer {layer} {memory}"] = (
                forward(s, w, tokens, (layer, memory, len(tokens) // 2)) - base)
        for name, other in self.family.other_settings(s):
            moved[name] = forward(other, w, long) - forward(s, w, long)
        size = {name: np.abs(difference).max() for name, difference in moved.items()}
        return ([name for name, m in size.items() if not m >= least],
                min(size.values()) / least * BITE)


def run(engine, model, tokens, pieces, n_context):
    rows, at = [], 0
    with Session(model, n_context) as session:
        for n in pieces:
            rows += engine.feed_batch([(session, tokens[at:at + n])])
            at += n
    return np.concatenate(rows)


def greedy(engine, model, prompt, n):
    with Session(model, len(prompt) + n) as session:
        rows = [engine.feed(session, prompt)]
        ids = [int(rows[-1].argmax())]
        while len(ids) < n:
            rows.append(engine.feed(session, ids[-1:]))
            ids.append(int(rows[-1].argmax()))
    return np.array(ids), np.stack(rows)


class Checkpoint:
    """A seed's checkpoint on disk, and what the references make of a text: made once for all
    levels."""
    def __init__(self, folder, group, seed):
        family, rng = group.family, group.rng(seed)
        self.group, self.seed = group, seed
        self.dtype = list(checkpoints.DTYPES)[seed % 3]
        stored = checkpoints.DTYPES[self.dtype]
        self.s, self.w, self.bite = group.draw(seed, stored)
        self.folder = Path(folder) / f"{group.name}-{seed}"
        self.write(self.folder, self.w, self.dtype, rng)
        self.theirs = family.load(self.folder, self.s, self.w, torch.float32)
        if seed % 5 == 4 and hasattr(self.theirs, "save_pretrained") and family is llama_family:
            self.folder = self.folder.with_name(self.folder.name + "-resaved")
            hugging.resave(self.theirs, self.folder, "1GB")
        self.rng = rng                 # what levels draw from, copies of it
        self.known = {}

    def write(self, folder, w, dtype, rng):
        tensors = self.group.family.stored(self.s, w, rng)
        config = checkpoints.config_text(self.group.family.config_dict(self.s, rng, dtype), rng)
        checkpoints.write_checkpoint(folder, config, tensors,
                                     dict.fromkeys(tensors, checkpoints.DTYPES[dtype]),
                                     1 + self.seed % 2)

    def margin(self, sequence):
        """Between the scores of experts that are chosen and not."""
        if not hasattr(self.group.family, "least_margin"):
            return np.inf
        return self.once("margin", sequence, lambda: self.group.family.least_margin(
            self.s, self.w, sequence, len(sequence)))

    def references(self, sequence):
        """(logits of the double forward; logits, hidden rows of transformers)."""
        return self.once("references", sequence, lambda: (
            self.group.family.forward(self.s, self.w, sequence, length=len(sequence)),
            hugging.logits(self.theirs, sequence)[:, :self.s.vocab],
            hugging.hidden(self.theirs, sequence)))

    def shaken(self, sequence):
        """Largest errors of transformers on checkpoints that differ from this one by a
        millionth."""
        return self.once("shaken", sequence, lambda: [self.shaken_error(sequence, i)
                                                      for i in range(SHAKEN)])

    def shaken_error(self, sequence, i):
        family, rng = self.group.family, np.random.default_rng([self.seed, i])
        w = {name: v * (1 + 1e-6 * rng.standard_normal(v.shape)) for name, v in self.w.items()}
        w = checkpoints.rounded(w, dict.fromkeys(w, torch.float32))
        folder = self.folder.with_name(f"{self.folder.name}-shaken-{i}")
        self.write(folder, w, "F32", rng)
        want = family.forward(self.s, w, sequence, length=len(sequence))
        theirs = hugging.logits(family.load(folder, self.s, w, torch.float32), sequence)
        return relative(theirs[:, :self.s.vocab], want, np.abs(want).max())

    def once(self, what, sequence, make):
        key = what, sequence.tobytes()
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]


def examine(lib, folder, cpus, group, seed):
    """A Result of each level."""
    results, checkpoint = [], None
    for cpu in cpus:
        result = Result(seed)
        start = time.monotonic()
        try:
            checkpoint = checkpoint or Checkpoint(folder, group, seed)
            compare(lib, cpu, checkpoint, copy.deepcopy(checkpoint.rng), result)
            if result.failures:
                result = Result(seed)
                compare(lib, cpu, checkpoint, copy.deepcopy(checkpoint.rng), result, True)
        except Exception as failure:  # one bad checkpoint must not hide the others
            traceback.print_exc()
            result.failures.append(f"{type(failure).__name__}: {failure}")
        result.seconds = time.monotonic() - start
        results.append(result)
    return results


def compare(lib, cpu, checkpoint, rng, result, shaken=False):
    s, w, folder = checkpoint.s, checkpoint.w, checkpoint.folder
    result.about = f"{checkpoint.group.name} {checkpoint.dtype} {s.describe()} {cpu or ''}".rstrip()
    if shaken:
        result.about += " shaken"
    result.errors["bite"] = checkpoint.bite

    with Model(lib, folder, "F32", "F32", cpu) as model, Engine(model) as one, \
            Engine(model, n_threads=2) as two:
        check_facts(model, s, w, result)
        for _ in range(MAX_DRAWS):
            prompt = rng.integers(0, s.vocab, rng.integers(80, 201))
            n, total = len(prompt), len(prompt) + GREEDY
            ids, decoded = greedy(one, model, prompt, GREEDY)
            sequence = np.concatenate([prompt, ids])
            if checkpoint.margin(sequence) > LEAST_MARGIN:
                break
        want, theirs, hidden = checkpoint.references(sequence)
        scale = np.abs(want).max()
        own = [relative(theirs, want, scale)] + (checkpoint.shaken(sequence) if shaken else [])
        result.check("ref", max(own), REFERENCE_BAR)
        bar = max(FLOAT_BAR, 3 * result.errors["ref"])
        edges = np.sort(rng.choice(n - 1, 5, replace=False)) + 1
        pieces = {"whole": [n], "by 1": cut(n, 1), "by 7": cut(n, 7), "by 64": cut(n, 64),
                  "uneven": np.diff(edges, prepend=0, append=n).tolist()}
        for name, sizes in pieces.items():
            found = run(one, model, prompt, sizes, total)
            result.check(name, relative(found, want[:n], scale), bar)
            if name in ("whole", "by 7"):
                result.same_bits("2 threads, " + name, found, run(two, model, prompt, sizes, total))
        result.check("decode", relative(decoded, want[n - 1:-1], scale), bar)
        Oracle.hidden(model, (one, two), hidden, sequence, bar, result)
        Oracle.greedy(ids, want[n - 1:-1], bar * scale, result)
        Oracle.batches(model, two, s, rng, result)
    if checkpoint.dtype != "F32":
        with Model(lib, folder, "default", "F32", cpu, "F32") as model, Engine(model) as engine:
            result.check("stored",
                         relative(run(engine, model, sequence, [total], total), want, scale), bar)


def check_facts(model, s, w, result):
    info = model.info()
    found = info.n_vocab, info.n_layers, info.d_model, info.n_context, info.n_params
    expected = s.vocab, s.layers, s.hidden, s.max_positions, sum(v.size for v in w.values())
    if found != expected:
        result.failures.append(f"vocabulary, layers, width, context, parameters: {found}, expected "
                               f"{expected}")


def all_groups():
    groups = [Group("rope-" + kind, llama_family, kind) for kind in rope_reference.KINDS]
    groups += [Group("granite-" + kind, granite_family, kind) for kind in granite_family.KINDS]
    groups += [Group("bamba-rope-" + kind, bamba_rope_family, kind)
               for kind in rope_reference.KINDS[1:]]
    groups += [Group("falcon-h1", falcon_h1_family), Group("mamba-ssm-hybrid", mamba_ssm_family)]
    groups += [Group("jamba", jamba_family), Group("zamba", zamba_family),
               Group("zamba2", zamba2_family)]
    groups += [Group("nemotron-h-" + kind, nemotron_h_family, kind)
               for kind in nemotron_h_family.KINDS]
    groups += [Group("mamba1-" + layout, mamba1_family, layout) for layout in mamba1_family.LAYOUTS]
    return groups + [Group(f"mamba2-{layout}-{name}", mamba2_family, layout, many)
                     for layout in mamba2_family.LAYOUTS
                     for name, many in (("g1", False), ("gn", True))]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--lib", required=True, help="path of libbamba.so")
    parser.add_argument("--seeds", type=int, default=20, help="checkpoints of each group")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="groups whose name begins so")
    parser.add_argument("--cpu", help="CPU levels of the library, separated by commas; default: "
                        "its best")
    options = parser.parse_args()

    torch.set_num_threads(1)
    cpus = options.cpu.split(",") if options.cpu else [None]
    lib, start, results = Library(options.lib), time.monotonic(), []
    groups = [g for g in all_groups() if not options.only or g.name.startswith(tuple(options.only))]
    with tempfile.TemporaryDirectory() as folder:
        for group in groups:
            n = options.seeds if group.family is not bamba_rope_family else -(-options.seeds // 4)
            for seed in range(options.first_seed, options.first_seed + n):
                for result in examine(lib, folder, cpus, group, seed):
                    results.append(result)
                    print(result.line(), flush=True)
    summarize(results, {})
    early = sum(r.early_end is not None for r in results)
    failed = sum(bool(r.failures) for r in results)
    shaken = sum(not r.failures and r.about.endswith(" shaken") for r in results)
    print(f"{time.monotonic() - start:.0f} s; {len(results) - failed} passed, {shaken} of them "
          f"only by the bar of shaken weights, {failed} failed; greedy ended early on {early}")
    return 1 if failed or early > max(1, MAX_EARLY_ENDS * len(results)) else 0


if __name__ == "__main__":
    sys.exit(main())
