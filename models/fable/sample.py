"""Writes text with an exported model folder, by the folder's own sampling settings.

    python sample.py --prompt "Once upon a time" --seed 1

Without a prompt the model begins a document of its own.
"""
import argparse
import json
import os

import torch

from check import load


def pick(logits, seen, settings, generator):
    if seen:
        at = torch.tensor(sorted(set(seen)))
        p = settings["repetition_penalty"]
        logits[at] = torch.where(logits[at] > 0, logits[at] / p, logits[at] * p)
    prob, order = (logits / settings["temperature"]).softmax(-1).sort(descending=True)
    prob[prob.cumsum(-1) - prob >= settings["top_p"]] = 0
    return order[torch.multinomial(prob, 1, generator=generator)].item()


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--model", default=os.path.dirname(os.path.abspath(__file__)))
    ap.add_argument("--prompt", default="")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--tokens", type=int)
    ap.add_argument("--temperature", type=float)
    ap.add_argument("--top-p", type=float)
    ap.add_argument("--repetition-penalty", type=float)
    ap.add_argument("--threads", type=int, default=1)
    args = ap.parse_args()
    torch.set_num_threads(args.threads)
    model, tok = load(args.model)
    with open(os.path.join(args.model, "generation_config.json"), encoding="utf-8") as f:
        settings = json.load(f)
    for key in ("temperature", "top_p", "repetition_penalty"):
        if getattr(args, key) is not None:
            settings[key] = getattr(args, key)
    generator = torch.Generator().manual_seed(args.seed)
    ids = tok.encode(args.prompt.replace("\\n", "\n")).ids or [settings["bos_token_id"]]
    with torch.no_grad():
        for _ in range(args.tokens or settings["max_new_tokens"]):
            token = pick(model(torch.tensor([ids]))[0, -1], ids, settings, generator)
            if token == settings["eos_token_id"]:
                break
            ids.append(token)
    print(tok.decode(ids))


if __name__ == "__main__":
    main()
