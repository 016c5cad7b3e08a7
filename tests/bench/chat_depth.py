#!/usr/bin/env python3
"""How soon an answer begins, by how much was said before: a table in Markdown.

    chat_depth.py BAMBA -m DIR [--depths 100,8000] [--rounds N] [--keep FOLDER] [-- OPTIONS]
    chat_depth.py BAMBA --make DIR [--shape FILE]

A conversation of about as many tokens as each depth says is had once and saved with its session.
Then `bamba chat` loads each of them in turn and is asked the same short question: once to have the
memory warm, then three times, and that in each round. What is timed begins with the question and
ends with the first token of the answer. OPTIONS go to `bamba chat`: --type q8.

--keep has the conversations in a folder that stays, and uses those it finds there.
A question is not what is to be measured if it takes back more than the last answer or reads more
than 64 tokens; that holds for the first one behind a load too. Then the exit code is 1.

--make writes a model of a Bamba's shape with random weights in bfloat16, with fable's tokenizer and
a plain chat template; what it answers means nothing.

question   tokens that are read for a question
ratio      the median time over that of the first depth; in brackets the span of the times
"""
import argparse
import array
import json
import math
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
QUESTION, ASKED, ANSWER, MOST_READ = "And what happened then?", 3, 4, 64
REPORT = re.compile(r"last turn: (\d+) tokens taken back, (\d+) read of (\d+) before .*?"
                    r"first token after (\d+) ms")
TEMPLATE = ("{%- for m in messages -%}{{ m.role }}: {{ m.content }}{{ '\n' }}{%- endfor -%}"
            "{%- if add_generation_prompt -%}assistant:{%- endif -%}")


# ------------------------------------------------------------------------------------- a model

def tensors(c):
    """Names and shapes of a Bamba's tensors, untied."""
    d, f, v = c["hidden_size"], c["intermediate_size"], c["vocab_size"]
    heads, state = c["mamba_n_heads"], c["mamba_n_groups"] * c["mamba_d_state"]
    inner, head = heads * c["mamba_d_head"], d // c["num_attention_heads"]
    conv = inner + 2 * state
    yield from (("model.embed_tokens", v, d), ("lm_head", v, d), ("model.final_layernorm", d))
    for i in range(c["num_hidden_layers"]):
        layer = [("input_layernorm", d), ("pre_ff_layernorm", d)]
        layer += [(f"feed_forward.{n}_proj", f, d) for n in ("gate", "up")]
        layer += [("feed_forward.down_proj", d, f)]
        if i in c["attn_layer_indices"]:
            keys = c["num_key_value_heads"] * head
            layer += [("self_attn.q_proj", d, d), ("self_attn.k_proj", keys, d),
                      ("self_attn.v_proj", keys, d), ("self_attn.o_proj", d, d)]
        else:
            layer += [("mamba.in_proj", inner + conv + heads, d), ("mamba.out_proj", d, inner),
                      ("mamba.conv1d", conv, 1, c["mamba_d_conv"]), ("mamba.norm", inner)]
            layer += [(f"mamba.{n}", heads) for n in ("A_log", "D", "dt_bias")]
            layer += [("mamba.conv1d.bias", conv)]
        yield from ((f"model.layers.{i}.{name}", *shape) for name, *shape in layer)


def bfloat16(values):
    return b"".join(memoryview(array.array("f", [v]).tobytes())[2:] for v in values)


def content(name, n, noise):
    """n numbers; those of matrices repeat after 65,536."""
    if name.endswith(("norm", ".D")):
        return bfloat16([1.0]) * n
    if name.endswith("A_log"):
        return bfloat16(math.log(1 + 15 * i / n) for i in range(n))
    if name.endswith("dt_bias"):
        return bfloat16([-4.0]) * n
    return (noise * (2 * n // len(noise) + 1))[:2 * n]


def make(folder, shape):
    config = json.loads(Path(shape).read_text())
    if config["model_type"] != "bamba" or config["tie_word_embeddings"]:
        sys.exit(f"chat_depth.py: {shape}: expected a Bamba's shape, not tied")
    rng, end, header = random.Random(1), 0, {}
    noise = bfloat16(rng.gauss(0.0, 0.02) for _ in range(1 << 16))
    whole = {"A_log", "D", "dt_bias", "bias"}           # names without ".weight"
    for name, *dims in tensors(config):
        full = name if name.split(".")[-1] in whole else name + ".weight"
        begin, end = end, end + 2 * math.prod(dims)
        header[full] = {"dtype": "BF16", "shape": dims, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    folder.mkdir(parents=True)
    with open(folder / "model.safetensors", "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for name, *dims in tensors(config):
            f.write(content(name, math.prod(dims), noise))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(ROOT / "models/fable" / name, folder)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "chat_template.jinja").write_text(TEMPLATE)


# ------------------------------------------------------------------------------------- measuring

def chat(o, lines):
    """The reports of all turns: tokens taken back, read, before the answer, and milliseconds."""
    context = str(2 * max(o.depths) + 4096)
    done = subprocess.run([o.bamba, "chat", "-m", o.model, "-c", context, "-n", str(ANSWER),
                           "--temp", "0", "--perf", "-q", *o.options],
                          input="\n".join(lines) + "\n", stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"chat_depth.py: {done.stderr.strip()}")
    return [tuple(map(int, found)) for found in REPORT.findall(done.stderr)]


def prose(o, depth):
    """About as many tokens in one line: the ratio of letters to tokens is that of a first part."""
    text = " ".join((ROOT / "tests/oracle/prose.txt").read_text().split())
    [(_, _, n, _)] = chat(o, [text[:1000]])
    text *= depth // (n * len(text) // 1000) + 2
    return text[:depth * 1000 // n]


def measure(o, folder):
    files = {d: f"{folder}/{d}.safetensors" for d in o.depths}
    for depth, file in files.items():
        if not Path(file).exists():
            chat(o, [prose(o, depth), f"/save {file}"])
    found = {d: [] for d in o.depths}
    for _ in range(o.rounds):
        turns = chat(o, [line for file in files.values()
                         for line in (f"/load {file}", *[QUESTION] * (1 + ASKED))])
        if len(turns) != len(files) * (1 + ASKED):
            sys.exit("chat_depth.py: a question was not answered")
        # An answer that is cut off within a character is read again.
        anew = [t for t in turns if t[0] > ANSWER or t[1] > MOST_READ]
        if anew:
            sys.exit(f"chat_depth.py: {anew[0][0]} tokens were taken back, {anew[0][1]} read: the "
                     "history was not kept")
        for i, depth in enumerate(o.depths):
            found[depth] += turns[i * (1 + ASKED) + 1:(i + 1) * (1 + ASKED)]
    return found


def show(found):
    times = {d: [t[3] for t in turns] for d, turns in found.items()}
    first = statistics.median(next(iter(times.values())))
    print("| tokens before | question | first token, ms | ratio |\n| ---: | ---: | ---: | ---: |")
    for depth, turns in found.items():
        median = statistics.median(times[depth])
        print(f"| {turns[0][2] - turns[0][1]} | {turns[0][1]} | {median:.0f} ({min(times[depth])}-"
              f"{max(times[depth])}) | {median / max(first, 1):.2f} |")


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("bamba")
    ap.add_argument("-m", "--model")
    ap.add_argument("--depths", default="100,8000")
    ap.add_argument("--rounds", type=int, default=1)
    ap.add_argument("--keep", metavar="FOLDER", help="where the conversations stay")
    ap.add_argument("--make", type=Path, metavar="DIR", help="write a model for it, and end")
    ap.add_argument("--shape", default=ROOT / "models/shapes/hybrid-1b.json")
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    o = ap.parse_args(sys.argv[1:end])
    o.options = sys.argv[end + 1:]
    o.depths = [int(d) for d in o.depths.split(",")]
    if (o.make is None) == (o.model is None):
        ap.error("expected -m DIR or --make DIR")
    if o.rounds < 1 or min(o.depths) < 20:
        ap.error("expected --rounds of 1 and more, --depths of 20 and more")
    if o.make:
        make(o.make, o.shape)
        return
    with tempfile.TemporaryDirectory(prefix="chat_depth-") as folder:
        show(measure(o, o.keep or folder))


if __name__ == "__main__":
    main()
