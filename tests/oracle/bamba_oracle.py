"""Compare libbamba with transformers' Bamba and with a double-precision forward on random
checkpoints.

    bamba_oracle.py --lib libbamba.so [--seeds 40] [--first-seed 0] [--cpu LEVEL] [--keep FOLDER]

Bars, with M the largest logit of the reference:
    reference  the double forward and transformers' float32 differ by at most 3e-4 M
    float32    ours (float32 weights and KV) and the double forward: 2e-5 M, or three times
               transformers' own float32 error; whole prompts, pieces, token by token, and 16-bit
               weights used as stored
    hidden     rows after the final norm and transformers' last_hidden_state: the two bars above
               together, of the largest hidden number
    greedy     64 tokens as the reference chooses them, up to a step whose two best logits lie
               within the float32 bar; at most 2 % of the checkpoints may end early
    bfloat16   pooled over all checkpoints, the RMS error of our logits is at most that of
               transformers' bfloat16
    bits       batches of up to 32 rows, 1 and 2 threads: identical bits; another cutting, larger
               batches, another CPU level: 1e-4 M, for float32 and for bfloat16 models whose
               activations are kept in float32 (bamba.h, "Bits")
Every checkpoint has teeth (teeth.py). Exit status 1 if anything fails.
"""
import argparse
import collections
import os
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

# Read when the libraries are loaded: products this small only lose by threads that wait for each
# other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import torch

import checkpoints
import hugging
import teeth
from engine import Engine, Library, Model, Session, cut
from reference import forward

REFERENCE_BAR = 3e-4
FLOAT_BAR = 2e-5
CUT_BAR = 1e-4
GREEDY = 64
LONG = 1000
MAX_EARLY_ENDS = 0.02


@dataclass
class Result:
    """What one checkpoint showed; errors are relative to the largest logit of the reference."""
    seed: int
    about: str = ""
    errors: dict = field(default_factory=dict)
    failures: list = field(default_factory=list)
    early_end: int = None          # step at which greedy met a tie
    seconds: float = 0.0

    def check(self, name, value, bar):
        """Record an error; anything not at most bar fails, NaN too."""
        self.errors[name] = value
        if not value <= bar:
            self.failures.append(f"{name} {value:.2g} > {bar:.2g}")

    def same_bits(self, name, a, b):
        if a.tobytes() != b.tobytes():
            self.failures.append(f"{name}: bits differ by up to {np.abs(a - b).max():.2g}")

    def line(self):
        text = " ".join(f"{name} {value:.1e}" for name, value in self.errors.items())
        end = f" greedy tie at {self.early_end}" if self.early_end is not None else ""
        verdict = "FAILED: " + "; ".join(self.failures) if self.failures else "ok"
        return f"seed {self.seed:3} {self.about} | {text}{end} | {self.seconds:.1f} s | {verdict}"


def relative(a, b, scale):
    return float(np.abs(a - b).max() / scale)


def rms(a, b, scale):
    return float(np.sqrt(np.mean(np.square((a - b) / scale))))


class Oracle:
    def __init__(self, lib, folder, cpu):
        self.lib, self.folder, self.cpu = lib, Path(folder), cpu
        self.seen = collections.Counter()

    def examine(self, seed):
        result = Result(seed)
        start = time.monotonic()
        try:
            self.compare(seed, result)
        except Exception as failure:  # one bad checkpoint must not hide the others
            traceback.print_exc()
            result.failures.append(f"{type(failure).__name__}: {failure}")
        result.seconds = time.monotonic() - start
        return result

    def open(self, folder, weight_type, kv_type, cpu=None, compute="default"):
        return Model(self.lib, folder, weight_type, kv_type, cpu or self.cpu, compute)

    def compare(self, seed, result):
        rng = np.random.default_rng([seed, 1 << 20])
        dtype = list(checkpoints.DTYPES)[seed // 3 % 3]
        mixed = seed % 4 == 3
        s, w, dtypes, draws, bite = teeth.draw(
            seed, lambda w: checkpoints.storage(w, checkpoints.DTYPES[dtype], mixed))
        style = checkpoints.STYLES[seed % len(checkpoints.STYLES)]
        n_files = 1 + seed % 3 if seed % 2 else 1
        by_transformers = style == "v5" and not mixed
        result.about = (f"{dtype}{'+F32' if mixed else ''} {style}{'*' if by_transformers else ''} "
                        f"files {n_files} "
                        f"{s.describe()}")
        result.errors["bite"] = bite
        self.count(s, dtype, style, draws)

        folder = self.folder / str(seed)
        text = checkpoints.config_text(checkpoints.config_dict(s, rng, style, dtype), rng)
        checkpoints.write_checkpoint(folder, text, w, dtypes, n_files)
        if by_transformers:
            model = hugging.load(folder, s, checkpoints.DTYPES[dtype])
            folder = self.folder / f"{seed}-resaved"
            hugging.resave(model, folder, sum(v.nbytes for v in w.values()) // 4 // n_files)

        prompt = rng.integers(0, s.vocab, rng.integers(80, 201))
        bar, sequence = self.float32(folder, s, w, prompt, rng, result)
        if dtype != "F32":
            self.stored_type(folder, s, w, sequence, bar, result)
        self.bfloat16(seed, s, w, text, prompt, result)
        if seed % 8 == 0:
            self.long_prompt(folder, s, w, rng, result)

    def count(self, s, dtype, style, draws):
        kinds = {0: "none", s.layers: "all"}.get(len(s.attention), "some")
        low, high = s.dt_limit
        self.seen.update([f"dtype {dtype}", f"config {style}", f"G {s.groups}", f"conv {s.conv}",
                          f"expand {s.expand}", f"attention {kinds}", f"tied {s.tied}",
                          f"conv bias {s.conv_bias}", f"proj bias {s.proj_bias}",
                          f"attention, mlp bias {s.attention_bias}, {s.mlp_bias}",
                          f"limit {'finite' if high < np.inf else 'low' if low > 0 else 'off'}"])
        if s.attention:
            self.seen.update([
                f"gqa {s.q_heads // s.kv_heads}",
                f"rotary {'half' if s.rotary == s.head_dim // 2 else 'other'}",
                f"head_dim {'H/nq' if s.head_dim * s.q_heads == s.hidden else 'own'}"])
        if draws > 1:
            self.seen.update(["redrawn"])

    def float32(self, folder, s, w, prompt, rng, result):
        """Whole, pieces, greedy decode, batches, threads. Returns (bar, prompt and
        continuation)."""
        n = len(prompt)
        with self.open(folder, "F32", "F32") as model, Engine(model) as one, \
                Engine(model, n_threads=2) as two, Engine(model, n_batch=33) as small:
            self.facts(model, s, w, result)
            ids, decoded = one.greedy(model, prompt, GREEDY)
            sequence = np.concatenate([prompt, ids])
            want = forward(s, w, sequence)
            theirs = hugging.load(folder, s, torch.float32)
            scale = np.abs(want).max()
            result.check("ref", relative(hugging.logits(theirs, sequence), want, scale),
                         REFERENCE_BAR)
            bar = max(FLOAT_BAR, 3 * result.errors["ref"])

            whole = one.run(model, prompt)
            result.check("whole", relative(whole, want[:n], scale), bar)
            edges = np.sort(rng.choice(n - 1, 5, replace=False)) + 1
            uneven = np.diff(edges, prepend=0, append=n)
            for name, pieces in (("1", cut(n, 1)), ("7", cut(n, 7)), ("64", cut(n, 64)),
                                 ("uneven", uneven.tolist())):
                result.check("by " + name,
                             relative(one.run(model, prompt, pieces), want[:n], scale), bar)
            result.check("batch33", relative(small.run(model, prompt), want[:n], scale), bar)
            result.check("decode", relative(decoded, want[n - 1:-1], scale), bar)
            self.hidden(model, (one, two), hugging.hidden(theirs, sequence), sequence, bar, result)
            self.greedy(ids, want[n - 1:-1], bar * scale, result)
            result.same_bits("2 threads", whole, two.run(model, prompt))
            result.same_bits("2 threads, by 7", one.run(model, prompt, cut(n, 7)),
                             two.run(model, prompt, cut(n, 7)))
            self.batches(model, two, s, rng, result)
        return bar, sequence

    @staticmethod
    def facts(model, s, w, result):
        info = model.info()
        found = info.n_vocab, info.n_layers, info.d_model, info.n_context, info.n_params
        expected = s.vocab, s.layers, s.hidden, s.max_positions, sum(v.size for v in w.values())
        if found != expected:
            result.failures.append(f"vocabulary, layers, width, context, parameters: {found}, "
                                   f"expected {expected}")

    @staticmethod
    def greedy(ids, want, tolerance, result):
        """The reference saw the same prefix at each step, so equal choices throughout mean equal
        texts."""
        for step in np.flatnonzero(want.argmax(-1) != ids):
            second, best = np.partition(want[step], -2)[-2:]
            if best - second > tolerance:
                result.failures.append(f"greedy step {step}: {ids[step]} instead of "
                                       f"{want[step].argmax()}, which leads by {best - second:.2g}")
            else:
                result.early_end = int(step)
            break

    @staticmethod
    def hidden(model, engines, want, tokens, bar, result):
        found = []
        for engine in engines:
            with Session(model, len(tokens)) as session:
                found.append(engine.feed_hidden(session, tokens))
        result.same_bits("2 threads, hidden", *found)
        result.check("hidden", relative(found[0], want, np.abs(want).max()),
                     bar + result.errors["ref"])

    @staticmethod
    def batches(model, engine, s, rng, result):
        """Rounds of up to 32 rows over many sessions give each the bits it has alone; larger ones
        agree."""
        rounds = ([1] * 32, [1] * 32, [5, 1, 1, 20, 2, 3], [1] * 6, [31, 1], [16, 16],
                  [3] * 10, [1] * 17)
        prompts = [rng.integers(0, s.vocab, rng.integers(1, 40)) for _ in range(32)]
        together, alone = ([Session(model) for _ in prompts] for _ in range(2))
        try:
            for group in (together, alone):
                for session, prompt in zip(group, prompts):
                    engine.feed(session, prompt)
            for k, sizes in enumerate(rounds):
                chosen = rng.permutation(32)[:len(sizes)]
                parts = [rng.integers(0, s.vocab, size) for size in sizes]
                rows = engine.feed_batch([(together[i], part) for i, part in zip(chosen, parts)])
                for i, part, row in zip(chosen, parts, rows):
                    result.same_bits(f"batch round {k}", row,
                                     engine.feed_batch([(alone[i], part)])[0])
            parts = [rng.integers(0, s.vocab, size) for size in (50, 1, 130, 3, 33, 64, 7)]
            rows = engine.feed_batch(list(zip(together, parts)))
            lone = [engine.feed_batch([(alone[i], part)])[0] for i, part in enumerate(parts)]
            scale = max(np.abs(row).max() for row in lone)
            result.check("large batch",
                         max(relative(a, b, scale) for a, b in zip(rows, lone)), CUT_BAR)
        finally:
            for session in together + alone:
                session.close()

    def stored_type(self, folder, s, w, sequence, bar, result):
        """16-bit weights used as stored hold the same values, so the float32 KV run has the float32
        bar.

        Activations are kept in float32; instructions that round them are judged by the RMS bar.
        """
        with self.open(folder, "default", "F32", compute="F32") as model, Engine(model) as engine:
            want = forward(s, w, sequence)
            result.check("stored",
                         relative(engine.run(model, sequence), want, np.abs(want).max()), bar)

    def bfloat16(self, seed, s, w, text, prompt, result):
        """Everything rounded to bfloat16: RMS errors of theirs and ours, judged over all
        checkpoints later."""
        dtypes = checkpoints.storage(w, torch.bfloat16)
        w = checkpoints.rounded(w, dtypes)
        folder = self.folder / f"{seed}-bf16"
        checkpoints.write_checkpoint(folder, text, w, dtypes)
        want = forward(s, w, prompt)
        scale = np.abs(want).max()
        result.errors["bf16 theirs"] = rms(
            hugging.logits(hugging.load(folder, s, torch.bfloat16), prompt), want, scale)
        for kv in ("BF16", "F16"):
            with self.open(folder, "default", kv) as model, Engine(model) as engine:
                result.errors["bf16 kv" + kv] = rms(engine.run(model, prompt), want, scale)
                result.errors["bf16 by 1 kv" + kv] = rms(
                    engine.run(model, prompt, cut(len(prompt), 1)), want, scale)

    def long_prompt(self, folder, s, w, rng, result):
        prompt = rng.integers(0, s.vocab, LONG)
        want = forward(s, w, prompt)
        scale = np.abs(want).max()
        theirs = relative(hugging.logits(hugging.load(folder, s, torch.float32), prompt),
                          want, scale)
        with self.open(folder, "F32", "F32") as model, Engine(model) as engine:
            whole = engine.run(model, prompt)
            result.check("long", relative(whole, want, scale), max(FLOAT_BAR, 3 * theirs))
            result.check("long cut", self.cuttings(engine, model, prompt, whole, scale), CUT_BAR)
        self.long_rounded(self.folder / f"{result.seed}-bf16", prompt, scale, result)

    def long_rounded(self, folder, prompt, scale, result):
        """Two levels agree; with keys and values in 16 bits, which fall to either side, as far as
        rounding moves logits."""
        with self.open(folder, "default", "F32", compute="F32") as model, Engine(model) as engine:
            exact = engine.run(model, prompt)
        with self.open(folder, "default", "F32", "c") as model, Engine(model) as engine:
            result.check("bf16 level", relative(engine.run(model, prompt), exact, scale),
                         2 * FLOAT_BAR)
        with self.open(folder, "default", "default", compute="F32") as model, \
                Engine(model) as engine:
            whole = engine.run(model, prompt)
            bar = max(CUT_BAR, relative(whole, exact, scale))
            result.check("bf16 cut", self.cuttings(engine, model, prompt, whole, scale), bar)
        with self.open(folder, "default", "default", "c") as model, Engine(model) as engine:
            result.check("bf16 level kvF16", relative(engine.run(model, prompt), whole, scale), bar)

    @staticmethod
    def cuttings(engine, model, prompt, whole, scale):
        return max(relative(engine.run(model, prompt, cut(LONG, size)), whole, scale)
                   for size in (1, 7, 64, 333))


def pooled(results, name):
    values = [r.errors[name] for r in results if name in r.errors]
    return float(np.sqrt(np.mean(np.square(values)))) if values else float("nan")


def judge_all(results):
    """Failures of the bars that speak of all checkpoints together."""
    failures = []
    early = sum(r.early_end is not None for r in results)
    if early > MAX_EARLY_ENDS * len(results):
        failures.append(f"greedy ended early on {early} of {len(results)} checkpoints")
    theirs = pooled(results, "bf16 theirs")
    for name in ("bf16 kvBF16", "bf16 kvF16", "bf16 by 1 kvBF16", "bf16 by 1 kvF16"):
        ours = pooled(results, name)
        print(f"pooled RMS error, {name}: {ours:.2e}, transformers {theirs:.2e}")
        if not ours <= theirs:
            failures.append(f"{name}: pooled RMS error {ours:.2e} > transformers' {theirs:.2e}")
    return failures


def summarize(results, seen):
    print("\ncheckpoints by property: "
          + "; ".join(f"{name}: {n}" for name, n in sorted(seen.items())))
    names = list(dict.fromkeys(name for r in results for name in r.errors))
    print(f"\n{'error / largest logit':24}{'checkpoints':>12}{'median':>10}{'largest':>10}  "
          "seed of largest")
    for name in names:
        rows = [(r.errors[name], r.seed) for r in results if name in r.errors]
        worst = max(rows)
        print(f"{name:24}{len(rows):12}{np.median([v for v, _ in rows]):10.1e}{worst[0]:10.1e}  "
              f"{worst[1]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--lib", required=True, help="path of libbamba.so")
    parser.add_argument("--seeds", type=int, default=40, help="number of checkpoints")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--cpu", help="CPU level of the library; default: its best")
    parser.add_argument("--keep",
                        help="existing empty folder for the checkpoints; default: a temporary one")
    options = parser.parse_args()

    torch.set_num_threads(1)
    hugging.assert_rope_is_half_a_head()
    lib = Library(options.lib)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        oracle = Oracle(lib, options.keep or scratch, options.cpu)
        results = []
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            results.append(oracle.examine(seed))
            print(results[-1].line(), flush=True)
    summarize(results, oracle.seen)
    failures = judge_all(results)
    for text in failures:
        print("FAILED: " + text)
    failed = sum(bool(r.failures) for r in results)
    print(f"{time.monotonic() - start:.0f} s; {len(results) - failed} passed, "
          f"{failed + len(failures)} failed")
    return 1 if failed or failures else 0


if __name__ == "__main__":
    sys.exit(main())
