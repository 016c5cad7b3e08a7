"""Compare `bamba score` and `bamba embed` with transformers on a model's directory.

    texts_oracle.py --command bamba --model DIR [--requests 60]

Contexts and continuations are cut out of prose wherever it falls, in the middle of words and behind
spaces. Bars, in float32:
    score    the tokens are lm-evaluation-harness's; each logarithm of a probability within 1e-4,
             sums within 1e-4 a token, is_greedy the same unless the two best tokens are that close
    embed    means and last rows, normalised: each number within 1e-5 of transformers'
             last_hidden_state; texts that take several calls; .npy and JSON lines hold the same
"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

import hugging

FLOAT = ("--type", "f32", "--kv-type", "f32", "--compute", "f32")
SCORE_BAR, EMBED_BAR = 1e-4, 1e-5
ODD = ["naïve “fox” — 日本の\u00a0", "tabs\tand\u2003 spaces \n\n", "a  b   ", "1234567 €",
       "\U0001f98a\u3000"]


def run(command, name, folder, *arguments, text=None):
    done = subprocess.run([command, name, "-m", str(folder), "-q", *FLOAT, *arguments], input=text,
                          capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{name} {arguments}: exit code {done.returncode}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


class Texts:
    def __init__(self, command, folder, model, prefix):
        self.command, self.folder, self.model, self.prefix = command, folder, model, prefix
        self.tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        self.prose = 4 * (Path(__file__).parent / "prose.txt").read_text()

    def ids(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def pair(self, context, continuation):
        """lm-evaluation-harness: TemplateLM._encode_pair, and loglikelihood for an empty
        context."""
        spaces = len(context) - len(context.rstrip())
        if spaces:
            context, continuation = context[:-spaces], context[-spaces:] + continuation
        if not context:
            ids = self.ids(continuation)
            return ([self.prefix], ids) if ids[:1] != [self.prefix] else (ids[:1], ids[1:])
        begin, whole = self.ids(context), self.ids(context + continuation)
        return begin, whole[len(begin):]

    # ---- score

    def snippet(self, rng, longest):
        at, n = rng.integers(0, len(self.prose) - 4000), int(rng.integers(1, longest))
        return self.prose[at:at + n] + (ODD[rng.integers(len(ODD))] if rng.random() < 0.2 else "")

    def requests(self, rng, n):
        made = []
        while len(made) < n:
            kind = rng.random()
            context = "" if kind < 0.1 else self.snippet(rng, 3000 if kind > 0.95 else 300)
            if made and rng.random() < 0.2:
                context = made[-1]["context"]
            options = [self.snippet(rng, 60) for _ in range(rng.integers(1, 6))]
            options = [o for o in options if self.pair(context, o)[1]]
            if kind > 0.9:
                options.append(self.snippet(rng, 2500))
            if options and (len(options) > 1 or rng.random() < 0.2):
                made.append({"context": context, "continuations": options})
            elif options:
                made.append({"id": len(made), "continuation": options[0], "context": context,
                             "more": {"a": [1, "}"]}})
        return made

    def expected(self, context, continuation):
        """(ids, ln of each, whether all are greedy, the smallest lead of a best token)."""
        begin, ids = self.pair(context, continuation)
        rows = hugging.logits(self.model, (begin + ids)[:-1])[len(begin) - 1:]
        best = np.sort(rows, axis=-1)
        rows = rows - np.logaddexp.reduce(rows, axis=-1, keepdims=True)
        return (ids, rows[np.arange(len(ids)), ids], bool((rows.argmax(-1) == ids).all()),
                (best[:, -1] - best[:, -2]).min())

    def compare_one(self, found, context, continuation):
        ids, logs, greedy, lead = self.expected(context, continuation)
        if [t["id"] for t in found["tokens"]] != ids or found["n_tokens"] != len(ids):
            raise RuntimeError(f"other tokens for {context[-20:]!r} + {continuation[:20]!r}")
        if found["is_greedy"] != greedy and lead > SCORE_BAR:
            raise RuntimeError(f"is_greedy for {context[-20:]!r} + {continuation[:20]!r}")
        off = max(abs(t["logprob"] - log) for t, log in zip(found["tokens"], logs))
        return max(off, abs(found["logprob"] - logs.sum()) / len(ids))

    def greedy_request(self):
        """A continuation that the model itself chooses."""
        ids = self.ids(self.prose[:200])
        n = len(ids)
        for _ in range(12):
            ids.append(int(hugging.logits(self.model, ids)[-1].argmax()))
        context = self.tokenizer.decode(ids[:n])
        return {"context": context, "continuation": self.tokenizer.decode(ids)[len(context):]}

    def score(self, n):
        made = self.requests(np.random.default_rng(1), n) + [self.greedy_request()]
        lines = "".join(json.dumps(m, ensure_ascii=bool(i % 2)) + "\n" for i, m in enumerate(made))
        worst, count = 0.0, 0
        found = run(self.command, "score", self.folder, "--tokens", "--no-bos", text=lines)
        if len(found) != len(made) or not found[-1]["is_greedy"]:
            raise RuntimeError(f"{len(found)} lines for {len(made)}; greedy {found[-1]}")
        for m, answer in zip(made, found):
            options = m.get("continuations", [m.get("continuation")])
            results = answer["results"] if "continuations" in m else [answer]
            if len(results) != len(options):
                raise RuntimeError(f"{len(results)} results for {len(options)} continuations")
            for option, result in zip(options, results):
                worst, count = max(worst, self.compare_one(result, m["context"], option)), count + 1
        return worst <= SCORE_BAR, (f"{count} continuations, "
                                    f"{sum(a.get('is_greedy', False) for a in found)} greedy, "
                                    f"off by {worst:.1e}")

    # ---- embed

    def embed(self, n):
        rng = np.random.default_rng(2)
        texts = [self.snippet(rng, 300) for _ in range(n)] + [self.prose[:4000],
                                                              self.prose[4000:5500]]
        lines = "".join(json.dumps(t) + "\n" for t in texts)
        rows = [hugging.hidden(self.model, self.ids(t)) for t in texts]
        worst = 0.0
        for pooling, want in ("mean", [r.mean(0) for r in rows]), ("last", [r[-1] for r in rows]):
            want = np.stack([w / np.linalg.norm(w) for w in want])
            for batch in "512", "64":
                found = run(self.command, "embed", self.folder, "--jsonl", "--no-bos", "--pooling",
                            pooling, "-b", batch, text=lines)
                vectors = np.array([f["embedding"] for f in found], np.float32)
                if [(f["index"], f["n_tokens"]) for f in found] != [(i, len(r))
                                                                    for i, r in enumerate(rows)]:
                    raise RuntimeError("other indices or numbers of tokens")
                worst = max(worst, np.abs(vectors - want).max())
        with tempfile.TemporaryDirectory() as scratch:
            name = str(Path(scratch) / "a.npy")
            run(self.command, "embed", self.folder, "--jsonl", "--no-bos", "--pooling", "last",
                "-b", "64", "-o", name, text=lines)
            same = np.array_equal(np.load(name), vectors)
        return (same and worst <= EMBED_BAR,
                f"{len(texts)} texts, off by {worst:.1e}, .npy {'the same' if same else 'other'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--command", required=True, help="path of the bamba command")
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--requests", type=int, default=60)
    options = parser.parse_args()

    torch.set_num_threads(1)
    config = json.loads((options.model / "config.json").read_text())
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).eval()
    texts, failed = Texts(options.command, options.model, model, config["bos_token_id"]), 0
    for name, check in ("score", texts.score), ("embed", texts.embed):
        passed, text = check(options.requests)
        print(f"{'ok' if passed else 'FAILED'}: {name}: {text}", flush=True)
        failed += not passed
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
