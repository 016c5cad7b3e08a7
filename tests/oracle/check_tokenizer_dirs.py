"""Compare bamba's tokenizer with transformers' AutoTokenizer on whole directories.

Makes directories with a small trained tokenizer.json and, at random, the files that lay something
over it: tokenizer_config.json, special_tokens_map.json, added_tokens.json. For each directory the
ids of every text must be the same: with special tokens parsed and added, and taken as ordinary
text; so must the end token. The same directories for a seed.

    python check_tokenizer_dirs.py --lib build/libbamba.so [--dirs 300] [--texts 50] [--seed 1]
"""

import argparse
import json
import logging
import os
import pathlib
import random
import shutil
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
from tokenizers import (Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
                        trainers)
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.utils import logging as hf_logging

from check_tokenizers import ADD_SPECIAL, PARSE_SPECIAL, Bamba, Tally

STANDARD = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token",
            "mask_token"]
OTHER = ["image_token", "audio_token", "x_token"]
NAMES = ["<s>", "</s>", "<unk>", "<pad>", "<|im_start|>", "<|im_end|>", "<image>", "[MASK]", "the",
         "word", "The", " and ", "ing", "é", "中文", "a b", "<|a|><|b|>", "<|a|>", "<|b|>", "\n\n",
         "  ", "x_y", "▁the", "Ġthe", "<0x0A>", "", "😀", "1", "tool", "<tool>", "<tool", "e"]
WORDS = ("the of and to in a is that for it as was with be by on not he I this are or his from at "
         "which but have an had they you were their one all we can her has there been if more when "
         "will would who so no Straße naïve "
         "中文 字 日本 😀 Привет 123 4,567 x_y __init__ words word wording  <|im_start|>user end. (yes) "
         "don't").split(" ")


def lines(rng, n):
    return [" ".join(rng.choice(WORDS) for _ in range(rng.randint(3, 20))) for _ in range(n)]


def byte_level(rng, normalizer):
    tok = Tokenizer(models.BPE())
    tok.normalizer = normalizer
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=rng.random() < 0.3)
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(lines(rng, 300), trainers.BpeTrainer(
        vocab_size=400, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return tok


def byte_fallback(rng, metaspace):
    tok = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    if metaspace:
        tok.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme=metaspace,
                                                     split=rng.random() < 0.5)
    else:
        tok.normalizer = normalizers.Sequence([normalizers.Prepend("▁"),
                                               normalizers.Replace(" ", "▁")])
    tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(),
                                     decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    tok.train_from_iterator(lines(rng, 300),
                            trainers.BpeTrainer(vocab_size=420, show_progress=False,
                                                                 special_tokens=special))
    data = json.loads(tok.to_str())
    data["added_tokens"] = data["added_tokens"][:3]
    return Tokenizer.from_str(json.dumps(data))


def bases():
    rng = random.Random(7)
    return [byte_level(rng, None), byte_level(rng, normalizers.NFC()),
            byte_level(rng, normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])),
            byte_fallback(rng, None), byte_fallback(rng, "first"), byte_fallback(rng, "always"),
            byte_fallback(rng, "never")]


def maybe(rng, chance, make, into, key):
    if rng.random() < chance:
        into[key] = make()


def flags(rng, every):
    token = {}
    for name in ("single_word", "lstrip", "rstrip", "normalized", "special"):
        if every or rng.random() < 0.6:
            token[name] = rng.random() < (0.5 if name in ("normalized", "special") else 0.25)
    return token


def token(rng, typed=True):
    name = rng.choice(NAMES)
    if rng.random() < 0.6:
        return name
    return {"content": name, **flags(rng, False), **({"__type": "AddedToken"} if typed else {})}


def tokens(rng, most, typed=True):
    return [token(rng, typed) for _ in range(rng.randint(0, most))]


def extra(rng):
    kind = rng.random()
    if kind < 0.15:
        return None
    if kind < 0.4:
        return {rng.choice(OTHER + ["y", "z"]): token(rng) for _ in range(rng.randint(0, 3))}
    return tokens(rng, 4)


def config(rng, n_vocab):
    c = {"model_max_length": 1000000000000000019884624838656}
    for key in STANDARD:
        maybe(rng, 0.35, lambda: None if rng.random() < 0.1 else token(rng), c, key)
    for key in OTHER:
        maybe(rng, 0.1, lambda: token(rng), c, key)
    maybe(rng, 0.3, lambda: tokens(rng, 4), c, "additional_special_tokens")
    maybe(rng, 0.3, lambda: extra(rng), c, "extra_special_tokens")
    for key in ("add_bos_token", "add_eos_token", "add_prefix_space",
                "clean_up_tokenization_spaces"):
        maybe(rng, 0.3, lambda: rng.random() < 0.5, c, key)
    maybe(rng, 0.2, lambda: True, c, "split_special_tokens")
    maybe(rng, 0.5, lambda: rng.choice(["PreTrainedTokenizerFast", "TokenizersBackend"]), c,
          "tokenizer_class")
    if rng.random() < 0.55:
        ids = rng.sample(range(n_vocab + 12), rng.randint(0, 8))
        ids += [n_vocab + i for i in range(rng.randint(0, 3))]
        c["added_tokens_decoder"] = {str(i): {"content": rng.choice(NAMES),
                                              **flags(rng, rng.random() < 0.7)}
                                     for i in ids}
    items = list(c.items())
    rng.shuffle(items)
    return dict(items)


def special_map(rng):
    m = {}
    for key in STANDARD + OTHER:
        maybe(rng, 0.25, lambda: token(rng, False), m, key)
    maybe(rng, 0.3, lambda: tokens(rng, 4), m, "additional_special_tokens")
    maybe(rng, 0.2, lambda: tokens(rng, 4, False), m, "extra_special_tokens")
    # the reference sets it, and refuses to set it twice
    for t in m.get("extra_special_tokens", []):
        if isinstance(t, dict):
            t.pop("special", None)
    return m


def whole(rng, base):
    """tokenizer.json with added tokens that repeat, clash and leave gaps."""
    data = json.loads(base.to_str())
    n = len(data["model"]["vocab"])
    for _ in range(rng.randint(0, 6)):
        data["added_tokens"].append({"id": n + rng.randint(0, 8), "content": rng.choice(NAMES),
                                     **flags(rng, True)})
    if rng.random() < 0.3:
        data["added_tokens"] = []
    ids = rng.sample(range(n), 2)
    if rng.random() < 0.5:
        data["post_processor"] = json.loads(processors.TemplateProcessing(
            single="<B> $A <E>" if rng.random() < 0.5 else "<B> $A",
            special_tokens=[("<B>", ids[0]), ("<E>", ids[1])]).__getstate__())
    if rng.random() < 0.1:
        data["padding"] = {"strategy": "BatchLongest", "direction": "Right",
                           "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0,
                           "pad_token": rng.choice(NAMES)}
    return data, n


def make(rng, folder, base):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    data, n = whole(rng, base)
    files = {"tokenizer.json": data, "config.json": {"model_type": "bamba"}}
    maybe(rng, 0.85, lambda: config(rng, n), files, "tokenizer_config.json")
    maybe(rng, 0.4, lambda: special_map(rng), files, "special_tokens_map.json")
    maybe(rng, 0.4, lambda: {rng.choice(NAMES): n + rng.randint(0, 10)
                             for _ in range(rng.randint(0, 5))}, files,
          "added_tokens.json")
    for name, value in files.items():
        (folder / name).write_text(json.dumps(value, ensure_ascii=rng.random() < 0.5),
                                   encoding="utf-8")
    return files


def text(rng):
    parts = [rng.choice(NAMES + WORDS + [" ", "\n", "\t", "  ", "."])
             for _ in range(rng.randint(0, 12))]
    if rng.random() < 0.03:  # longer than the windows that patterns are matched in
        parts = ((parts + [rng.choice([" ", "\n", "x", "é", "1"]) * rng.choice([100, 900, 1100])])
                 * rng.randint(1, 4))
    return rng.choice(["", " ", ""]).join(parts)


def is_determined(theirs):
    """Tokens that normalize to the same text: which one the reference finds depends on a random
    hash. An unknown token without a name: it recurs for ever."""
    normalizer = theirs.backend_tokenizer.normalizer
    seen = [normalizer.normalize_str(t.content) if normalizer else t.content
            for t in theirs.added_tokens_decoder.values() if t.normalized]
    return len(seen) == len(set(seen))


def open_theirs(folder):
    try:
        return AutoTokenizer.from_pretrained(str(folder))
    except RecursionError:
        return None


def encode_theirs(theirs, text, **kwargs):
    """None where the reference panics: a token that is stripped of more than there is."""
    try:
        return theirs(text, **kwargs).input_ids
    except BaseException as e:
        if type(e).__name__ != "PanicException":
            raise
        return None


def check(rng, files, folder, lib, n_texts, tally):
    """False if the reference's answers cannot be had."""
    theirs = open_theirs(folder)
    if theirs is None or not is_determined(theirs):
        return False
    ours = Bamba(lib, folder)
    eos = theirs.convert_tokens_to_ids(theirs.eos_token) if theirs.eos_token else None
    tally.compare("end token", files, ours.lib.bamba_tokenizer_eos(ours.handle),
                  -1 if eos is None else eos)
    for _ in range(n_texts):
        t = text(rng)
        both = encode_theirs(theirs, t)
        plain = encode_theirs(theirs, t, add_special_tokens=False, split_special_tokens=True)
        if both is not None:
            tally.compare("special", (t, files), ours.encode(t, ADD_SPECIAL | PARSE_SPECIAL), both)
        if plain is not None:
            tally.compare("plain", (t, files), ours.encode(t, 0), plain)
    ours.close()
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lib", required=True, help="the shared library")
    parser.add_argument("--dirs", type=int, default=300)
    parser.add_argument("--texts", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    hf_logging.set_verbosity_error()
    logging.disable(logging.WARNING)
    tally, used, all_bases = Tally(), 0, bases()
    with tempfile.TemporaryDirectory() as scratch:
        for i in range(args.dirs):
            rng = random.Random(f"{args.seed} {i}")
            folder = pathlib.Path(scratch) / "model"
            files = make(rng, folder, all_bases[i % len(all_bases)])
            failed = tally.failed
            used += check(rng, files, folder, args.lib, args.texts, tally)
            if tally.failed > failed:
                print(f"directory {i} differs", flush=True)
    print(f"{args.dirs} directories, {args.dirs - used} without an answer; {tally.passed} passed, "
          f"{tally.failed} failed")
    return 1 if tally.failed or used < args.dirs * 9 // 10 else 0


if __name__ == "__main__":
    sys.exit(main())
