#!/usr/bin/env python3
"""How often generated text falls into loops, by temperature and penalty: a table in Markdown.

    loops.py BAMBA [-m DIR] [-n TOKENS] [--samples N] [-j JOBS] [--seed N] [-- OPTIONS]

Each setting writes the same N samples of TOKENS tokens: prompts made of an opening and a subject,
sample i with seed SEED + i. End tokens are never chosen, so that all samples have one length, and
of the samplers only the temperature and the named penalty are on. OPTIONS go to `bamba generate`:
--type q4.

distinct-k   different k-grams of tokens in a sample by all its k-grams; the mean over samples
repeated     lines of three words or more that the sample has before, by all such lines
looping      share of the samples in which a stretch of tokens comes three times running, or a
             shorter one for 48 tokens; at the end: that are in such a loop when they are cut off
"""
import argparse
import concurrent.futures
import json
import subprocess
import sys

OPENINGS = ("Once upon a time there was a {}", "The {} and the", "There was once a {} who",
            "A {} was walking", "\"Good morning,\" said the {}",
            "In a far country there lived a {}", "One day the {}", "The {}\n\n",
            "When the {} came home", "The {}\n\n[Verse 1]\n")
SUBJECTS = ("fox", "king", "little girl", "crow", "miller", "giant", "princess", "old woman",
            "wolf", "tailor", "frog", "fairy", "sailor", "hare", "witch", "lion", "shepherd",
            "mouse", "soldier", "moon")
TEMPERATURES = (0, 0.5, 0.8, 1)
PENALTIES = {"none": (), "repeat 1.1": ("--repeat-penalty", "1.1"),
             "DRY 0.8": ("--dry-multiplier", "0.8"), "loop guard": ("--loop-guard",)}
SHORT_LOOP = 48


def sample(o, setting, i):
    """The ids and the text that follow prompt i."""
    prompt = OPENINGS[i % len(OPENINGS)].format(SUBJECTS[i // len(OPENINGS) % len(SUBJECTS)])
    done = subprocess.run([o.bamba, "generate", *(("-m", o.model) if o.model else ()), "--json",
                           "--no-escape", "-q", "-t", "1", "-n", str(o.tokens), "-s",
                           str(o.seed + i), "--ignore-eos", "--top-k", "0", "--top-p", "1",
                           "--min-p", "0", "--repeat-penalty", "1", *setting, *o.options,
                           "-p", prompt],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"loops.py: {done.stderr.strip()}")
    answer = json.loads(done.stdout)
    return answer["ids"], answer["text"]


def distinct(ids, k):
    grams = [tuple(ids[i:i + k]) for i in range(len(ids) - k + 1)]
    return len(set(grams)) / max(len(grams), 1)


def repeated_lines(text):
    lines = [line.strip() for line in text.split("\n") if len(line.split()) >= 3]
    return len(lines) - len(set(lines)), len(lines)


def loops(ids):
    """Whether there is a loop, and whether the ids end in one."""
    anywhere = at_end = False
    for period in range(1, len(ids) // 3 + 1):
        # So many tokens in a row equal the one a period before them.
        wanted, run = max(2 * period, SHORT_LOOP - period), 0
        for i in range(period, len(ids)):
            run = run + 1 if ids[i] == ids[i - period] else 0
            anywhere = anywhere or run >= wanted
        at_end = at_end or run >= wanted
    return anywhere, at_end


def measure(o, setting):
    with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        samples = list(pool.map(lambda i: sample(o, setting, i), range(o.samples)))
    lines = [repeated_lines(text) for _, text in samples]
    found = [loops(ids) for ids, _ in samples]
    return ([sum(distinct(ids, k) for ids, _ in samples) / len(samples) for k in (1, 2, 4)] +
            [sum(again for again, _ in lines) / max(sum(n for _, n in lines), 1)] +
            [sum(f[which] for f in found) / len(found) for which in (0, 1)])


def check_yourself():
    """The measures on texts whose values are known."""
    line = list(range(100))
    assert distinct([1, 2, 1, 2], 1) == 0.5 and distinct(line, 4) == 1
    assert repeated_lines("a b c\nd e f\na b c\nx\nx") == (1, 3)
    assert loops(line) == (False, False) and loops(line + line) == (False, False)
    assert (loops(line + [7] * 47 + [8]) == (False, False)
            and loops([7] * 48 + line) == (True, False))
    assert (loops([-1] + line * 3) == (True, True)
            and loops(line * 3 + line[:50] + [-1]) == (True, False))


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("bamba")
    ap.add_argument("-m", "--model")
    ap.add_argument("-n", "--tokens", type=int, default=400)
    ap.add_argument("--samples", type=int, default=200)
    ap.add_argument("-j", "--jobs", type=int, default=1)
    ap.add_argument("--seed", type=int, default=1)
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    o = ap.parse_args(sys.argv[1:end])
    o.options = sys.argv[end + 1:]
    check_yourself()
    print("| temperature | penalty | distinct-1 | distinct-2 | distinct-4 | repeated | looping | "
          "at the end |\n"
          "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for temperature in TEMPERATURES:
        for name, options in PENALTIES.items():
            row = measure(o, ("--temp", str(temperature), *options))
            print(f"| {temperature} | {name} | " + " | ".join(f"{x:.3f}" for x in row[:3]) + " | " +
                  " | ".join(f"{100 * x:.1f} %" for x in row[3:]) + " |", flush=True)


if __name__ == "__main__":
    main()
