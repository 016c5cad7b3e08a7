#!/usr/bin/env python3
"""What guessing from the text itself (--lookup) gains where a model copies, and loses where it does
not: a table in Markdown.

    copying.py BAMBA -m DIR [--lookup K] [-n TOKENS] [--rounds N] [--tasks NAME,...] [-- OPTIONS]

A model is given a document and the beginning of a second copy with changes, and goes on; chosen is
the likeliest token, so that a model that can copy does. In two more tasks guesses are wrong, or
there are none.

prose      tests/oracle/prose.txt, where two words are others in the copy
code       a source file of the command, where a structure is renamed
records    names and numbers in JSON, where a key is renamed
shuffled   a few words in random order, drawn nearly evenly from the eight likeliest tokens: pairs
           of words were there before, but what followed them says little
hot        words drawn at temperature 2 from all: pairs are new

Each round generates with --lookup and without, in turn; the two texts must be the same, else the
exit code is 1. Times are those of the generated tokens alone. OPTIONS go to `bamba generate`:
--type f32.

copied     stretches of four generated tokens that stand in the prompt
right      guesses right, of all; a pass: tokens that a pass of the model gives
plain, lookup   tokens a second, the medians; ratio: the median of the rounds' ratios, and the span
"""
import argparse
import json
import random
import statistics
import subprocess
import sys
from pathlib import Path

import phonebook

ROOT = Path(__file__).resolve().parents[2]
WORDS = "stone river green candle seven window under silver horse never table cloud".split()


def copy_of(document, begun, *changes):
    """A document and the first `begun` characters of its copy, up to a blank."""
    copy = document[:begun].rsplit(" ", 1)[0]
    for old, new in changes:
        if old not in copy:
            sys.exit(f"copying.py: no {old!r} in the part of the copy that is given")
        copy = copy.replace(old, new)
    return f"{document}\n\n{copy}"


def prose():
    return copy_of((ROOT / "tests/oracle/prose.txt").read_text().strip(), 1480,
                   ("ferry", "boat"), ("captain", "skipper"))


def code():
    return copy_of((ROOT / "tools/backtrack.c").read_text().strip(), 500,
                   ("backtrack", "rewinder"))


def records():
    people = [{"name": name, "number": number} for name, number in phonebook.make_book(20, 1)]
    return copy_of("\n".join(map(json.dumps, people)), 250, ("number", "telephone"))


def shuffled():
    rng = random.Random(1)
    return " ".join(rng.choice(WORDS) for _ in range(400))


def hot():
    return "Once upon a time"


DRAWN = ("--seed", "1", "--top-p", "1", "--min-p", "0")
TASKS = {"prose": (prose, ("--temp", "0")), "code": (code, ("--temp", "0")),
         "records": (records, ("--temp", "0")),
         "shuffled": (shuffled, (*DRAWN, "--top-k", "8", "--temp", "10")),
         "hot": (hot, (*DRAWN, "--top-k", "0", "--temp", "2"))}


def generate(o, name, k):
    text, choice = TASKS[name]
    done = subprocess.run([o.bamba, "generate", "-m", o.model, "--no-escape", "-q", "--json", "-n",
                           str(o.tokens), "--ignore-eos", "--repeat-penalty", "1", *choice,
                           "--lookup", str(k), *o.options, "-p", text()],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"copying.py: {done.stderr.strip()}")
    return json.loads(done.stdout)


def copied(prompt, ids):
    def stretches(tokens):
        return [tuple(tokens[i:i + 4]) for i in range(len(tokens) - 3)]
    known, found = set(stretches(prompt)), stretches(ids)
    return sum(s in known for s in found) / max(len(found), 1)


def measure(o, name):
    ratios, speeds = [], {0: [], o.lookup: []}
    for i in range(o.rounds):
        order = (0, o.lookup) if i % 2 == 0 else (o.lookup, 0)
        found = {k: generate(o, name, k) for k in order}
        plain, other = found[0], found[o.lookup]
        if plain["ids"] != other["ids"]:
            sys.exit(f"copying.py: {name}: --lookup {o.lookup} changes the text")
        for k in order:
            speeds[k].append(found[k]["timings"]["eval_per_second"])
        ratios.append(speeds[o.lookup][-1] / speeds[0][-1])
    times = other["timings"]
    print(f"| {name} | {len(plain['prompt_ids'])} | {len(plain['ids'])} | "
          f"{100 * copied(plain['prompt_ids'], plain['ids']):.0f} % | "
          f"{times['n_right']} of {times['n_guessed']} ({100 * times['acceptance']:.0f} %) | "
          f"{times['n_eval'] / times['n_passes']:.2f} | "
          + " | ".join(f"{statistics.median(speeds[k]):.1f}" for k in (0, o.lookup))
          + f" | {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f}) |",
          flush=True)
    if o.show:
        print(plain["text"], file=sys.stderr)


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("bamba")
    ap.add_argument("-m", "--model", required=True)
    ap.add_argument("--lookup", type=int, default=8)
    ap.add_argument("-n", "--tokens", type=int, default=200)
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--tasks", default=",".join(TASKS))
    ap.add_argument("--show", action="store_true", help="print the texts")
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    o = ap.parse_args(sys.argv[1:end])
    o.options = sys.argv[end + 1:]
    if o.lookup < 1 or o.rounds < 1 or o.tokens < 5:
        ap.error("expected --lookup and --rounds of 1 and more, -n of 5 and more")
    for name in o.tasks.split(","):
        if name not in TASKS:
            ap.error(f"unknown task {name!r}, expected {', '.join(TASKS)}")
    print("| task | prompt | tokens | copied | right | a pass | plain | lookup | ratio |\n"
          "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name in o.tasks.split(","):
        measure(o, name)


if __name__ == "__main__":
    main()
