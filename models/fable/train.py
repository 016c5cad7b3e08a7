"""Trains fable: reads a folder of packed text, trains the tokenizer, then the model, within a budget of minutes.

    python train.py CORPUS --work WORK --minutes 80

WORK receives tokenizer.json, the encoded text and checkpoint.pt; the same command resumes after a stop.
"""
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import glob
import gzip
import json
import math
import time

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from bamba import CONFIG, Bamba

END = "<|endoftext|>"
TOKENS_PER_STEP = 4096
# Short windows first: they show many documents a step while the learning rate is high. Long ones afterwards teach the
# model to stay steady over a tale's length. Fractions are of the time budget.
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
    """Windows of length+1 tokens, drawn without replacement; every epoch orders documents and windows anew."""

    def __init__(self, data, length, seed, epoch=0, cursor=0):
        ends = np.cumsum(data["train.lengths"])
        self.docs = np.split(data["train"].astype(np.int64), ends[:-1])
        self.length, self.seed = length, seed
        self.start(epoch, cursor)

    def start(self, epoch, cursor=0):
        self.epoch, self.cursor = epoch, cursor
        rng = np.random.default_rng((self.seed, self.length, epoch))
        end = np.array([CONFIG["eos_token_id"]])
        self.stream = np.concatenate([p for i in rng.permutation(len(self.docs)) for p in (end, self.docs[i])])
        shift = int(rng.integers(self.length))
        self.order = shift + self.length * rng.permutation((len(self.stream) - shift - 1) // self.length)

    def batch(self):
        count = TOKENS_PER_STEP // self.length
        if self.cursor + count > len(self.order):
            self.start(self.epoch + 1)
        at = self.order[self.cursor:self.cursor + count]
        self.cursor += count
        return torch.from_numpy(np.stack([self.stream[i:i + self.length + 1] for i in at]))


def valid_rows(data, name, length):
    """The held-out text as rows of length+1 tokens, each beginning where the row before it ended."""
    ends = np.cumsum(data[name + ".lengths"])
    end = np.array([CONFIG["eos_token_id"]])
    stream = np.concatenate([p for d in np.split(data[name].astype(np.int64), ends[:-1]) for p in (end, d)] + [end])
    n = (len(stream) - 1) // length
    return torch.from_numpy(np.stack([stream[i * length:i * length + length + 1] for i in range(n)]))


def optimizer_for(model):
    decay = [p for p in model.parameters() if p.ndim >= 2]
    keep = [p for p in model.parameters() if p.ndim < 2]
    return torch.optim.AdamW([{"params": decay, "weight_decay": 0.1}, {"params": keep, "weight_decay": 0.0}],
                             lr=0.0, betas=(0.9, 0.95), eps=1e-8, fused=True)


def rate(progress, peak, warmup=0.02, floor=0.01):
    if progress < warmup:
        return peak * max(progress / warmup, 0.01)
    x = min(1.0, (progress - warmup) / (1 - warmup))
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * x)))


def save(state, path):
    torch.save(state, path + ".tmp")
    os.replace(path + ".tmp", path)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("corpus")
    ap.add_argument("--work", default="work")
    ap.add_argument("--minutes", type=float, default=80)
    ap.add_argument("--lr", type=float, default=4e-3)
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--save-minutes", type=float, default=5)
    args = ap.parse_args()
    os.makedirs(args.work, exist_ok=True)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)

    _, data = prepare(args.corpus, args.work)
    probe = valid_rows(data, "valid-prose", 256)[::8]
    probe = probe[:len(probe) // 16 * 16]
    model = Bamba(CONFIG)
    opt = optimizer_for(model)
    print(json.dumps({"parameters": sum(p.numel() for p in model.parameters()), "train_tokens": len(data["train"]),
                      "train_chars": int(data["train.chars"])}), flush=True)
    path = os.path.join(args.work, "checkpoint.pt")
    step, elapsed, stage, windows = 0, 0.0, -1, None
    if os.path.exists(path):
        state = torch.load(path)
        model.load_state_dict(state["model"])
        opt.load_state_dict(state["optimizer"])
        step, elapsed, stage = state["step"], state["elapsed"], state["stage"]
        windows = Windows(data, STAGES[stage][1], args.seed, state["epoch"], state["cursor"])

    @torch.compile(dynamic=False)
    def loss_of(ids):
        with torch.autocast("cpu", torch.bfloat16):
            return model.loss(ids)

    def checkpoint():
        save({"model": model.state_dict(), "optimizer": opt.state_dict(), "step": step, "elapsed": now,
              "stage": stage, "epoch": windows.epoch, "cursor": windows.cursor}, path)

    budget = args.minutes * 60
    begin, saved, shown = time.monotonic() - elapsed, elapsed, elapsed
    recent = []
    while True:
        now = time.monotonic() - begin
        if now >= budget:
            break
        wanted = max(i for i, (at, _) in enumerate(STAGES) if now / budget >= at)
        if wanted != stage:
            stage = wanted
            windows = Windows(data, STAGES[stage][1], args.seed)
        lr = rate(now / budget, args.lr)
        for group in opt.param_groups:
            group["lr"] = lr
        loss = loss_of(windows.batch())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
        step += 1
        recent.append(loss.item())
        now = time.monotonic() - begin
        if now - shown >= 20 or step <= 5:
            print(f"step {step} minutes {now / 60:.2f} tokens {step * TOKENS_PER_STEP} window {windows.length} "
                  f"lr {lr:.5f} loss {np.mean(recent):.4f} s/step {(now - shown) / len(recent):.2f}", flush=True)
            shown, recent = now, []
        if now - saved >= args.save_minutes * 60:
            saved = now
            checkpoint()
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                held = [model.loss(r).item() for r in probe.split(16)]
            print(f"held-out sample: {np.mean(held):.4f} nats a token", flush=True)
    now = time.monotonic() - begin
    checkpoint()
    print(f"done: step {step} tokens {step * TOKENS_PER_STEP} minutes {now / 60:.2f}", flush=True)


if __name__ == "__main__":
    main()
