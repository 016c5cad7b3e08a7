r"""Trains fable-verse, a LoRA adapter of PEFT's over ../fable, on the corpus's verse; writes it and
measures it.

    python train_verse.py CORPUS --minutes 8
    python train_verse.py CORPUS --check
    python train_verse.py CORPUS --sample "[Verse 1]\n"

--check compares bamba.py with transformers' model under PEFT's own loading, and prints losses on
held-out text without and with the adapter.
"""
import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "fable"))

import argparse
import json
import math
import time

import numpy as np
import torch
from peft import (LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict,
                  set_peft_model_state_dict)
from safetensors.torch import load_file, save_file

from check import held_out, load
from sample import pick
from train import documents

LENGTH, ROWS = 256, 16
LINEARS = ["in_proj", "out_proj", "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj",
           "down_proj"]


def poems(corpus, tok, rng):
    """Ids of the poems in a new order. Half of them lose their title, so that "[Verse 1]" may begin
    a text."""
    texts = documents(corpus, "verse")
    for i in rng.permutation(len(texts)):
        at = texts[i].index("[")
        yield tok.encode(texts[i][at if rng.random() < 0.5 else 0:]).ids


def batches(corpus, tok, end, seed):
    """Rows of LENGTH+1 ids. Each begins with a poem, half of the time without the end token before
    it: prompts have none."""
    rng, row, rows = np.random.default_rng(seed), [], []
    while True:
        for ids in poems(corpus, tok, rng):
            row += ids if not row and rng.random() < 0.5 else [end] + ids
            while len(row) > LENGTH:
                rows.append(row[:LENGTH + 1])
                # A long poem goes on in the next row; of a short rest the beginning would be
                # missing.
                row = row[LENGTH:] if len(row) > 2 * LENGTH else []
                if len(rows) == ROWS:
                    yield torch.tensor(rows)
                    rows = []


def train(args, base, tok, end):
    model = get_peft_model(base, LoraConfig(r=16, lora_alpha=32, target_modules=LINEARS))
    mine = [p for p in model.parameters() if p.requires_grad]
    opt = torch.optim.AdamW(mine, lr=0.0, betas=(0.9, 0.95), weight_decay=0.01, fused=True)

    @torch.compile(dynamic=False)
    def loss_of(ids):
        with torch.autocast("cpu", torch.bfloat16):
            return model.loss(ids)

    begin, step, recent = None, 0, []
    for ids in batches(args.corpus, tok, end, args.seed):
        # Compiling is not training: the clock starts behind the first step.
        done = (time.monotonic() - begin) / (60 * args.minutes) if begin else 0.0
        if done >= 1:
            break
        for group in opt.param_groups:
            group["lr"] = args.lr * min((step + 1) / 20, 0.5 * (1 + math.cos(math.pi * done)))
        loss = loss_of(ids)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(mine, 1.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
        begin, step, recent = begin or time.monotonic(), step + 1, recent + [loss.item()]
        if step % 10 == 0:
            print(f"step {step} progress {done:.3f} loss {np.mean(recent):.4f}", flush=True)
            recent = []
    return model, step


def export(model, out):
    state = {name: w.to(torch.bfloat16).contiguous()
             for name, w in get_peft_model_state_dict(model).items()}
    assert all(torch.isfinite(w).all() for w in state.values())
    path = os.path.join(out, "adapter_model.safetensors")
    save_file(state, path, metadata={"format": "pt"})
    os.chmod(path, 0o644)
    cfg = model.peft_config["default"]
    cfg.base_model_name_or_path, cfg.task_type, cfg.inference_mode = "fable", "CAUSAL_LM", True
    cfg.target_modules = sorted(cfg.target_modules)
    cfg.save_pretrained(out)
    print(f"{sum(w.numel() for w in state.values())} parameters in {len(state)} tensors")


def adapted(base, folder):
    """bamba.py's model with the adapter. PEFT's own loading would ask it for the methods of a model
    of transformers'."""
    cfg = LoraConfig.from_pretrained(folder)
    cfg.task_type = None
    model = get_peft_model(base, cfg)
    result = set_peft_model_state_dict(model,
                                       load_file(os.path.join(folder, "adapter_model.safetensors")))
    assert not result.unexpected_keys
    return model.eval().base_model.model


def check(args, base, tok):
    from transformers import AutoModelForCausalLM
    other = AutoModelForCausalLM.from_pretrained(args.base, dtype=torch.float32).eval()
    other = PeftModel.from_pretrained(other, args.out).eval()
    for name, length in (("valid-verse", 256), ("valid-verse", 1024), ("valid-prose", 1024)):
        print("without: ", end="", flush=True)
        held_out(base, tok, args.corpus, name, length)
    model = adapted(base, args.out)
    ids = torch.tensor([tok.encode("The Moon\n\n[Verse 1]\nThe moon was out, and on the hill").ids])
    gap = (model(ids) - other(ids).logits).abs().max().item()
    assert gap < 1e-4, gap
    print(f"logits of PEFT over transformers' model: within {gap:.1e}")
    for name, length in (("valid-verse", 256), ("valid-verse", 1024), ("valid-prose", 1024)):
        print("with: ", end="", flush=True)
        held_out(model, tok, args.corpus, name, length)


def sample(args, base, tok, count=150):
    """Text by the base's sampling settings, as ../fable/sample.py draws it."""
    with open(os.path.join(args.base, "generation_config.json"), encoding="utf-8") as f:
        settings = json.load(f)
    model = adapted(base, args.out)
    generator = torch.Generator().manual_seed(args.seed)
    ids = tok.encode(args.sample.replace("\\n", "\n")).ids
    for _ in range(count):
        token = pick(model(torch.tensor([ids]))[0, -1], ids, settings, generator)
        if token == settings["eos_token_id"]:
            break
        ids.append(token)
    print(tok.decode(ids))


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("corpus")
    ap.add_argument("--base", default=os.path.join(HERE, "..", "fable"))
    ap.add_argument("--out", default=HERE)
    ap.add_argument("--minutes", type=float, default=8)
    ap.add_argument("--lr", type=float, default=2e-3)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--check", action="store_true")
    ap.add_argument("--sample", metavar="PROMPT")
    args = ap.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    base, tok = load(args.base)
    if args.check or args.sample:
        with torch.no_grad():
            check(args, base, tok) if args.check else sample(args, base, tok)
        return
    begin = time.monotonic()
    model, step = train(args, base, tok, base.cfg["eos_token_id"])
    export(model, args.out)
    print(f"done: {step} steps of {LENGTH * ROWS} tokens, {(time.monotonic() - begin) / 60:.1f} "
          f"minutes", flush=True)


if __name__ == "__main__":
    main()
