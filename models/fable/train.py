"""Trains fable: reads a folder of packed text, trains the tokenizer, then the model, within a
budget of minutes.

    python train.py CORPUS --work WORK --minutes 80

WORK receives tokenizer.json, the encoded text, checkpoint.pt and curve.csv; the same command
resumes after a stop. A tokenizer.json that lies in WORK already is used as it is.
"""
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import csv
import glob
import gzip
import json
import math
import time

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from bamba import CONFIG, Bamba

END = "<|endoftext|>"
TOKENS_PER_STEP = 4096
# Short windows first: they show many documents a step while the learning rate is high. Long ones
# afterwards teach the model to stay steady over a tale's length. Fractions are of the time budget.
STAGES = ((0.0, 256), (0.65, 1024))


def documents(corpus, pattern):
    out = []
    for path in sorted(glob.glob(os.path.join(corpus, pattern + ".txt.gz"))):
        with gzip.open(path, "rt", encoding="utf-8") as f:
            out += [d.strip("\n") + "\n" for d in f.read().split(END) if d.strip()]
    return out


def make_tokenizer(texts, vocab_size):
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=[END], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    assert tok.token_to_id(END) == CONFIG["eos_token_id"] and tok.get_vocab_size() == vocab_size
    return tok


def encode(tok, texts):
    return [np.array(e.ids, dtype=np.uint16) for e in tok.encode_batch(texts)]


def prepare(corpus, work):
    """Tokenizer and encoded documents, made once and kept in the work folder."""
    tok_path, data_path = os.path.join(work, "tokenizer.json"), os.path.join(work, "tokens.npz")
    if os.path.exists(data_path):
        return Tokenizer.from_file(tok_path), dict(np.load(data_path))
    train = documents(corpus, "prose-*") + documents(corpus, "verse")
    if os.path.exists(tok_path):
        tok = Tokenizer.from_file(tok_path)
    else:
        tok = make_tokenizer(train, CONFIG["vocab_size"])
        tok.save(tok_path)
    data = {}
    for name, texts in (("train", train), ("valid-prose", documents(corpus, "valid-prose")),
                        ("valid-verse", documents(corpus, "valid-verse"))):
        ids = encode(tok, texts)
        data[name] = np.concatenate(ids)
        data[name + ".lengths"] = np.array([len(i) for i in ids])
        data[name + ".chars"] = np.array(sum(map(len, texts)))
    np.savez(data_path, **data)
    return tok, data


class Windows:
    """Windows of length+1 tokens, drawn without replacement; every epoch orders documents and
    windows anew."""

    def __init__(self, data, length, seed, epoch=0, cursor=0):
        ends = np.cumsum(data["train.lengths"])
        self.docs = np.split(data["train"].astype(np.int64), ends[:-1])
        self.length, self.seed = length, seed
        self.start(epoch, cursor)

    def start(self, epoch, cursor=0):
        self.epoch, self.cursor = epoch, cursor
        rng = np.random.default_rng((self.seed, self.length, epoch))
        end = np.array([CONFIG["eos_token_id"]])
        self.stream = np.concatenate([p for i in rng.permutation(len(self.docs))
                                      for p in (end, self.docs[i])])
        shift = int(rng.integers(self.length))
        self.order = shift + self.length * rng.permutation(
            (len(self.stream) - shift - 1) // self.length)

    def batch(self):
        count = TOKENS_PER_STEP // self.length
        if self.cursor + count > len(self.order):
            self.start(self.epoch + 1)
        at = self.order[self.cursor:self.cursor + count]
        self.cursor += count
        return torch.from_numpy(np.stack([self.stream[i:i + self.length + 1] for i in at]))


def valid_rows(data, name, length):
    """The held-out text as rows of length+1 tokens, each beginning where the row before it
    ended."""
    ends = np.cumsum(data[name + ".lengths"])
    end = np.array([CONFIG["eos_token_id"]])
    stream = np.concatenate([p for d in np.split(data[name].astype(np.int64), ends[:-1])
                             for p in (end, d)] + [end])
    n = (len(stream) - 1) // length
    return torch.from_numpy(np.stack([stream[i * length:i * length + length + 1]
                                      for i in range(n)]))


def orthogonal(g):
    """The nearest matrix to each g [n,r,c], r >= c, whose singular values are all about 1
    (Newton-Schulz, five steps)."""
    x = (g / (g.norm(dim=(-2, -1), keepdim=True) + 1e-7)).bfloat16()
    for _ in range(5):
        a = x.mT @ x
        x = 3.4445 * x + x @ (-4.7750 * a + 2.0315 * (a @ a))
    return x.float()


class Muon(torch.optim.Optimizer):
    """Momentum whose step is made orthogonal (Jordan and others, 2024), for the matrices between
    the embeddings.

    The step is scaled so that its mean square is that of AdamW's usual step (Liu and others, arXiv
    2502.16982): one learning rate and one weight decay then serve both.
    """

    def __init__(self, params, momentum=0.95, weight_decay=0.1):
        super().__init__(params, {"lr": 0.0, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta, lr = group["momentum"], group["lr"]
            alike = {}
            for p in group["params"]:
                alike.setdefault((max(p.shape), min(p.shape)), []).append(p)
            # Matrices of one shape go through the iteration together: a batch of small products,
            # not many calls.
            for (rows, _), params in alike.items():
                steps = []
                for p in params:
                    mean = self.state[p].setdefault("momentum", torch.zeros_like(p))
                    mean.lerp_(p.grad, 1 - beta)
                    step = p.grad.lerp(mean, beta)
                    steps.append(step if p.shape[0] == rows else step.mT)
                for p, step in zip(params, orthogonal(torch.stack(steps))):
                    p.mul_(1 - lr * group["weight_decay"])
                    p.add_(step if p.shape[0] == rows else step.mT, alpha=-lr * 0.2 * rows ** 0.5)


def optimizers_for(model, muon_ratio):
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    embeddings = [model.model.embed_tokens.weight]
    keep = [p for p in model.parameters() if p.ndim != 2]
    groups = [{"params": embeddings, "weight_decay": 0.1, "ratio": 1.0},
              {"params": keep, "weight_decay": 0.0, "ratio": 1.0}]
    if muon_ratio == 0:
        groups.append({"params": matrices, "weight_decay": 0.1, "ratio": 1.0})
    adam = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.95), eps=1e-8, fused=True)
    if muon_ratio == 0:
        return [adam]
    return [adam, Muon([{"params": matrices, "ratio": muon_ratio}])]


def rate(progress, peak, warmup=0.02, floor=0.01):
    if progress < warmup:
        return peak * max(progress / warmup, 0.01)
    x = min(1.0, (progress - warmup) / (1 - warmup))
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * x)))


class Clock:
    """Which part of the run lies behind, from 0 to 1, when the process may be stopped now and then.

    A pause does not count as progress, yet the run ends on time: the time that remains, less the
    share that pauses have taken so far, is what the remaining schedule is spread over.
    """

    def __init__(self, seconds, progress, elapsed):
        self.end = time.monotonic() + seconds - elapsed
        self.progress, self.last = progress, time.monotonic()
        self.active, self.all, self.usual = 60.0, 60.0, []

    def tick(self):
        now = time.monotonic()
        took, self.last = now - self.last, now
        self.usual = (self.usual + [took])[-31:]
        counted = min(took, 2 * float(np.median(self.usual)))
        self.active, self.all = self.active + counted, self.all + took
        left = max(self.end - now, 0.0) * self.active / self.all + counted
        self.progress += (1 - self.progress) * counted / left
        return now < self.end


def save(state, path):
    torch.save(state, path + ".tmp")
    os.replace(path + ".tmp", path)


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("corpus")
    ap.add_argument("--work", default="work")
    ap.add_argument("--minutes", type=float, default=90)
    ap.add_argument("--lr", type=float, default=4e-3)
    ap.add_argument("--muon", type=float, default=1.5,
                    help="Muon's rate over --lr; 0 trains the matrices by AdamW too")
    ap.add_argument("--start", help="model folder whose weights the run begins with")
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--save-minutes", type=float, default=4)
    args = ap.parse_args()
    os.makedirs(args.work, exist_ok=True)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)

    start = time.monotonic()
    _, data = prepare(args.corpus, args.work)
    probe = valid_rows(data, "valid-prose", 256)[::16]
    probe = probe[:len(probe) // 16 * 16]
    model = Bamba(CONFIG)
    if args.start:
        weights = load_file(os.path.join(args.start, "model.safetensors"))
        model.load_state_dict({name: w.float() for name, w in weights.items()})
    opts = optimizers_for(model, args.muon)
    print(json.dumps({"parameters": sum(p.numel() for p in model.parameters()),
                      "train_tokens": len(data["train"]), "train_chars": int(data["train.chars"])}),
          flush=True)
    path, curve = os.path.join(args.work, "checkpoint.pt"), os.path.join(args.work, "curve.csv")
    step, progress, elapsed, stage, windows = 0, 0.0, 0.0, -1, None
    if os.path.exists(path):
        state = torch.load(path)
        model.load_state_dict(state["model"])
        for opt, kept in zip(opts, state["optimizers"]):
            opt.load_state_dict(kept)
        step, progress, elapsed, stage = (state["step"], state["progress"], state["elapsed"],
                                          state["stage"])
        windows = Windows(data, STAGES[stage][1], args.seed, state["epoch"], state["cursor"])
    else:
        with open(curve, "w", newline="") as f:
            csv.writer(f).writerow(["step", "tokens", "minutes", "window", "lr", "train",
                                    "held_out"])

    @torch.compile(dynamic=False)
    def loss_of(ids):
        with torch.autocast("cpu", torch.bfloat16):
            return model.loss(ids)

    def checkpoint():
        save({"model": model.state_dict(), "optimizers": [o.state_dict() for o in opts],
              "step": step, "progress": clock.progress, "elapsed": minutes() * 60, "stage": stage,
              "epoch": windows.epoch, "cursor": windows.cursor}, path)

    def minutes():
        return (time.monotonic() - start + elapsed) / 60

    def record(held=""):
        with open(curve, "a", newline="") as f:
            csv.writer(f).writerow([step, step * TOKENS_PER_STEP, f"{minutes():.2f}",
                                    windows.length, f"{lr:.6f}", f"{np.mean(recent):.4f}", held])

    def held_out():
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            return f"{np.mean([model.loss(r).item() for r in probe.split(16)]):.4f}"

    clock = Clock(args.minutes * 60 - (time.monotonic() - start), progress, elapsed)
    saved, recent = minutes(), []
    while clock.tick():
        wanted = max(i for i, (at, _) in enumerate(STAGES) if clock.progress >= at)
        if wanted != stage:
            stage = wanted
            windows = Windows(data, STAGES[stage][1], args.seed)
        lr = rate(clock.progress, args.lr)
        loss = loss_of(windows.batch())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = lr * group["ratio"]
            opt.step()
            opt.zero_grad(set_to_none=True)
        step += 1
        recent.append(loss.item())
        if step % 25 == 0 or step == 1:
            keep = minutes() - saved >= args.save_minutes
            record(held_out() if keep else "")
            print(f"step {step} minutes {minutes():.2f} progress {clock.progress:.4f} "
                  f"window {windows.length} lr {lr:.5f} loss {np.mean(recent):.4f}", flush=True)
            recent = []
            if keep:
                saved = minutes()
                checkpoint()
    recent = recent or [loss.item()]
    record(held_out())
    checkpoint()
    print(f"done: step {step} tokens {step * TOKENS_PER_STEP} minutes {minutes():.2f}", flush=True)


if __name__ == "__main__":
    main()
