"""Writes a trained checkpoint as a Hugging Face model folder with bfloat16 weights.

    python export.py --work WORK --out FOLDER
"""
import argparse
import json
import os

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from bamba import CONFIG, Bamba
from train import END

GENERATION = {
    "bos_token_id": CONFIG["bos_token_id"],
    "eos_token_id": CONFIG["eos_token_id"],
    "pad_token_id": CONFIG["pad_token_id"],
    "do_sample": True,
    "temperature": 0.7,
    "top_p": 0.9,
    "top_k": 0,
    "repetition_penalty": 1.05,
    "max_new_tokens": 400,
}
TOKENIZER = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "bos_token": END,
    "eos_token": END,
    "pad_token": END,
    "add_bos_token": False,
    "add_eos_token": False,
    "clean_up_tokenization_spaces": False,
    "model_max_length": CONFIG["max_position_embeddings"],
    "added_tokens_decoder": {"0": {"content": END, "lstrip": False, "normalized": False,
                                   "rstrip": False, "single_word": False, "special": True}},
}


def write(path, make):
    # A reader that opens the folder during an export sees the old file or the new one, never half
    # of one.
    make(path + ".tmp")
    os.chmod(path + ".tmp", 0o644)
    os.replace(path + ".tmp", path)


def dump(value):
    def make(path):
        with open(path, "w", encoding="utf-8") as f:
            json.dump(value, f, indent=2)
            f.write("\n")
    return make


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--work", default="work")
    ap.add_argument("--out", default=os.path.dirname(os.path.abspath(__file__)))
    args = ap.parse_args()
    os.makedirs(args.out, exist_ok=True)
    state = torch.load(os.path.join(args.work, "checkpoint.pt"), map_location="cpu")
    # refuses a checkpoint of another shape before anything is replaced
    Bamba(CONFIG).load_state_dict(state["model"])
    weights = {name: w.to(torch.bfloat16).contiguous() for name, w in state["model"].items()}
    assert all(torch.isfinite(w).all() for w in weights.values())
    tok = Tokenizer.from_file(os.path.join(args.work, "tokenizer.json"))

    write(os.path.join(args.out, "tokenizer.json"), tok.save)
    write(os.path.join(args.out, "tokenizer_config.json"), dump(TOKENIZER))
    write(os.path.join(args.out, "config.json"), dump(CONFIG))
    write(os.path.join(args.out, "generation_config.json"), dump(GENERATION))
    # transformers asks for the "format" entry.
    write(os.path.join(args.out, "model.safetensors"),
          lambda p: save_file(weights, p, metadata={"format": "pt"}))
    print(f"step {state['step']}, {sum(w.numel() for w in weights.values())} parameters, "
          f"largest magnitude {max(w.abs().max().item() for w in weights.values()):.2f}")


if __name__ == "__main__":
    main()
