"""Checks an exported model folder, and measures it on held-out text.

    python check.py [--model FOLDER] [--corpus CORPUS]

In float32, the forward of bamba.py and transformers' BambaForCausalLM must give the same logits and
the same greedy tokens. With a corpus, prints the loss on its valid-* files in nats a token and nats
a character.
"""
import argparse
import json
import os

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from bamba import Bamba
from train import documents

PROMPTS = ("Once upon a time there was a fox", "The King's Daughter\n\nThere was once a king",
           "The Moon\n\n[Verse 1]\n", '"Where are you going?" said')


def load(folder):
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
        cfg = json.load(f)
    weights = load_file(os.path.join(folder, "model.safetensors"))
    assert all(w.dtype == torch.bfloat16 for w in weights.values())
    model = Bamba(cfg)
    model.load_state_dict({name: w.float() for name, w in weights.items()})
    return model.eval(), Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))


def greedy(model, ids, count):
    ids = list(ids)
    for _ in range(count):
        ids.append(model(torch.tensor([ids]))[0, -1].argmax().item())
    return ids


def against_transformers(folder, model, tok, count=48):
    from transformers import AutoModelForCausalLM, AutoTokenizer
    other = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    other_tok = AutoTokenizer.from_pretrained(folder)
    width = model.cfg["attn_rotary_emb"]
    assert other.model.rotary_emb.inv_freq.numel() * 2 == width, \
        "this transformers builds another rope table"
    for prompt in PROMPTS:
        ids = tok.encode(prompt).ids
        assert other_tok(prompt)["input_ids"] == ids and tok.decode(ids) == prompt
        mine = greedy(model, ids, count)
        theirs = list(ids)
        for _ in range(count):
            theirs.append(other(torch.tensor([theirs]),
                                use_cache=False).logits[0, -1].argmax().item())
        cached = other.generate(torch.tensor([ids]), do_sample=False, repetition_penalty=1.0,
                                temperature=None, top_p=None, top_k=None, min_new_tokens=count,
                                max_new_tokens=count, eos_token_id=None)[0].tolist()
        whole = torch.tensor([mine])
        gap = (model(whole) - other(whole).logits).abs().max().item()
        assert gap < 1e-4 and mine == theirs == cached, (prompt, gap, mine, theirs, cached)
        print(f"{prompt!r}: {count} greedy tokens equal, logits within {gap:.1e}")


def held_out(model, tok, corpus, name, length):
    """Mean loss over the whole text, cut in rows of `length` targets that know nothing of the row
    before."""
    texts = documents(corpus, name)
    end = model.cfg["eos_token_id"]
    stream = [end]
    for encoding in tok.encode_batch(texts):
        stream += encoding.ids + [end]
    total, count = 0.0, 0
    full = (len(stream) - 1) // length
    rows = torch.tensor(stream[:full * length + 1]).unfold(0, length + 1, length)
    for part in list(rows.split(max(1, 4096 // length))) + [torch.tensor([stream[full * length:]])]:
        if part.shape[1] > 1:
            total += model.loss(part, "sum").item()
            count += part[:, 1:].numel()
    chars = sum(map(len, texts))
    print(f"{name}: rows of {length}: {total / count:.4f} nats a token, "
          f"{total / chars:.4f} nats a character ({count} tokens, {chars} characters)")


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--model", default=os.path.dirname(os.path.abspath(__file__)))
    ap.add_argument("--corpus")
    ap.add_argument("--threads", type=int, default=1)
    args = ap.parse_args()
    torch.set_num_threads(args.threads)
    model, tok = load(args.model)
    with torch.no_grad():
        against_transformers(args.model, model, tok)
        if args.corpus:
            for name in ("valid-prose", "valid-verse"):
                for length in (256, 1024, 4096):
                    held_out(model, tok, args.corpus, name, length)


if __name__ == "__main__":
    main()
