"""Published chat templates rendered by libbamba and by transformers' apply_chat_template: the same
bytes, errors where it raises.

    chat_oracle.py --lib LIBBAMBA.SO --templates FOLDER [--only TEXT] [-v]

Prints a line a disagreement, and one with the numbers; exit status 1 if there is a disagreement or
too few were compared.
"""
import argparse
import ctypes as ct
import datetime
import json
import pathlib
import sys
import tempfile
import time

import transformers.utils.chat_template_utils as utils
from jinja2.exceptions import TemplateError
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from chat_conversations import conversations
from engine import Allocator, EngineError, Library, options

NOW = datetime.datetime(2026, 3, 7, 9, 5, 2)
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


class FixedClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


class TemplateOptions(ct.Structure):
    _fields_ = [("struct_bytes", ct.c_size_t), ("allocator", Allocator), ("text", ct.c_char_p),
                ("n_text", ct.c_size_t)]


class ChatOptions(ct.Structure):
    _fields_ = [("struct_bytes", ct.c_size_t), ("tools", ct.c_char_p), ("n_tools", ct.c_size_t),
                ("variables", ct.c_char_p), ("n_variables", ct.c_size_t),
                ("no_generation_prompt", ct.c_int), ("now", ct.c_int64), ("max_steps", ct.c_uint64),
                ("max_bytes", ct.c_size_t)]


class Range(ct.Structure):
    _fields_ = [("begin", ct.c_size_t), ("end", ct.c_size_t)]


class Prompt(ct.Structure):
    _fields_ = [("text", ct.POINTER(ct.c_char)), ("n_bytes", ct.c_size_t),
                ("user", ct.POINTER(Range)), ("n_user", ct.c_size_t)]


class ChatTemplate:
    def __init__(self, lib, folder, text, name=None):
        raw = text.encode() if text is not None else None
        wanted = options(TemplateOptions, text=raw, n_text=len(raw) if raw is not None else 0)
        lib.c.bamba_chat_template_free.argtypes = [ct.c_void_p]
        lib.c.bamba_prompt_free.argtypes = [ct.POINTER(Prompt)]
        self.lib = lib
        self.handle = lib.create("bamba_chat_template_open",
                                 str(folder).encode() if folder else None,
                                 name.encode() if name else None, ct.byref(wanted))

    def close(self):
        self.lib.c.bamba_chat_template_free(self.handle)

    def render(self, messages, tools=None, variables=None, add_generation_prompt=True):
        """(text, [(begin, end)] of what users typed)"""
        texts = [json.dumps(x, ensure_ascii=False).encode() if x is not None else None
                 for x in (messages, tools, variables)]
        wanted = options(ChatOptions, tools=texts[1], n_tools=len(texts[1] or b""),
                         variables=texts[2], n_variables=len(texts[2] or b""),
                         no_generation_prompt=not add_generation_prompt,
                         now=int(NOW.replace(tzinfo=datetime.timezone.utc).timestamp()))
        out = ct.POINTER(Prompt)()
        self.lib.call("bamba_chat_render", self.handle, texts[0], ct.c_size_t(len(texts[0])),
                      ct.byref(wanted), ct.byref(out))
        p = out.contents
        text = ct.string_at(p.text, p.n_bytes)
        ranges = [(p.user[i].begin, p.user[i].end) for i in range(p.n_user)]
        self.lib.c.bamba_prompt_free(out)
        return text, ranges


def reference():
    utils.datetime = FixedClock
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), **TOKENS)


def expected(tokenizer, template, messages, tools, variables, add):
    try:
        return tokenizer.apply_chat_template(messages, tools=tools, chat_template=template,
                                             tokenize=False, add_generation_prompt=add,
                                             **variables).encode()
    except Exception as e:                    # whatever a template runs into
        return e


def ours(template, *arguments):
    if isinstance(template, EngineError):
        return template
    try:
        return template.render(*arguments)[0]
    except EngineError as e:
        return e


def same_failure(want, got):
    """A template's own exception comes with its message; others are no lack of ours."""
    if type(want) is TemplateError:
        return str(want)[:100].splitlines()[0] in str(got)
    return "refuses the conversation" not in str(got) and "not supported" not in str(got)


def first_difference(a, b):
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return (f"at byte {at}: expected {a[max(0, at - 30):at + 40]!r}, "
            f"found {b[max(0, at - 30):at + 40]!r}")


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--lib", required=True)
    args.add_argument("--templates", required=True)
    args.add_argument("--only", default="")
    args.add_argument("-v", action="store_true")
    args = args.parse_args()
    lib, tokenizer = Library(args.lib), reference()
    n = n_errors = n_wrong = 0
    seconds = 0.0
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "tokenizer_config.json").write_text(json.dumps(TOKENS))
        files = sorted(f for f in pathlib.Path(args.templates).glob("*.jinja")
                       if args.only in f.name)
        for file in files:
            text = file.read_text(encoding="utf-8")
            try:
                template = ChatTemplate(lib, folder, text)
            except EngineError as e:
                template = e
            for name, (messages, tools, variables) in conversations().items():
                for add in (True, False):
                    want = expected(tokenizer, text, messages, tools, variables, add)
                    begin = time.perf_counter()
                    got = ours(template, messages, tools, variables, add)
                    seconds += time.perf_counter() - begin
                    n += 1
                    n_errors += isinstance(want, Exception)
                    if (isinstance(want, Exception) and isinstance(got, Exception)
                            and same_failure(want, got)):
                        if args.v:
                            print(f"{file.name} {name}: both fail: {want!r:.150} | {got}")
                        continue
                    if want == got:
                        continue
                    n_wrong += 1
                    if isinstance(want, Exception):
                        print(f"{file.name} {name} {add}: expected an error, {want!r:.200}; found "
                              f"{got!r:.200}")
                    elif isinstance(got, Exception):
                        print(f"{file.name} {name} {add}: expected text; found: {got}")
                    else:
                        print(f"{file.name} {name} {add}: {first_difference(want, got)}")
            if not isinstance(template, EngineError):
                template.close()
    print(f"{len(files)} templates, {n} renderings, of which {n_errors} fail in both; {n_wrong} "
          f"disagree; {seconds:.2f} s in libbamba")
    return n_wrong > 0 or (not args.only and (len(files) < 70 or n < 1400))


if __name__ == "__main__":
    sys.exit(main())
