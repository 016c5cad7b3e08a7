#!/usr/bin/env python3
"""How often generated text falls into loops, by temperature and penalty: a table in Markdown.

    loops.py BAMBA [-m DIR] [-n TOKENS] [--samples N] [-j JOBS] [--seed N] [--temperatures T,...]
             [-- OPTIONS]

Each setting writes the same N samples of TOKENS tokens: prompts made of an opening and a subject,
sample i with seed SEED + i. End tokens are never chosen, so that all samples have one length, and
of the samplers only the temperature and the named penalty are on. OPTIONS go to `bamba generate`:
--type q4.

distinct-k   different k-grams of tokens in a sample by all its k-grams; the mean over samples
repeated     lines of three words or more that the sample has before, by all such lines
looping      share of the samples in which a stretch of tokens comes three times running, or a
             shorter one for 48 tokens; at the end: that are in such a loop when they are cut off
perplexity   of the samples behind their prompts, by `bamba score`: of the model alone, without
             temperature, penalties and OPTIONS; outside: of the tokens that repeat no round of a
             loop, since a model is nearly certain of those that do
"""
import argparse
import concurrent.futures
import json
import math
import subprocess
import sys

OPENINGS = ("Once upon a time there was a {}", "The {} and the", "There was once a {} who",
            "A {} was walking", "\"Good morning,\" said the {}",
            "In a far country there lived a {}", "One day the {}", "The {}\n\n",
            "When the {} came home", "The {}\n\n[Verse 1]\n")
SUBJECTS = ("fox", "king", "little girl", "crow", "miller", "giant", "princess", "old woman",
            "wolf", "tailor", "frog", "fairy", "sailor", "hare", "witch", "lion", "shepherd",
            "mouse", "soldier", "moon")
PENALTIES = {"none": (), "repeat 1.1": ("--repeat-penalty", "1.1"),
             "DRY 0.8": ("--dry-multiplier", "0.8"), "loop guard": ("--loop-guard",)}
SHORT_LOOP = 48


def prompt_of(i):
    return OPENINGS[i % len(OPENINGS)].format(SUBJECTS[i // len(OPENINGS) % len(SUBJECTS)])


def run(o, command, *options, text=None):
    """What `bamba COMMAND` prints."""
    done = subprocess.run([o.bamba, command, *(("-m", o.model) if o.model else ()), "-q", "-t", "1",
                           *options],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, input=text)
    if done.returncode != 0:
        sys.exit(f"loops.py: {done.stderr.strip()}")
    return done.stdout


def sample(o, setting, i):
    """The ids and the text that follow prompt i."""
    answer = json.loads(run(o, "generate", "--json", "--no-escape", "-n", str(o.tokens), "-s",
                            str(o.seed + i), "--ignore-eos", "--top-k", "0", "--top-p", "1",
                            "--min-p", "0", "--repeat-penalty", "1", *setting, *o.options,
                            "-p", prompt_of(i)))
    return answer["ids"], answer["text"]


def distinct(ids, k):
    grams = [tuple(ids[i:i + k]) for i in range(len(ids) - k + 1)]
    return len(set(grams)) / max(len(grams), 1)


def repeated_lines(text):
    lines = [line.strip() for line in text.split("\n") if len(line.split()) >= 3]
    return len(lines) - len(set(lines)), len(lines)


def find_loops(ids):
    """Yields where each loop's second round begins and where its last one ends."""
    for period in range(1, len(ids) // 3 + 1):
        # So many tokens in a row equal the one a period before them.
        wanted, first = max(2 * period, SHORT_LOOP - period), period
        for i in range(period, len(ids) + 1):
            if i < len(ids) and ids[i] == ids[i - period]:
                continue
            if i - first >= wanted:
                yield first, i
            first = i + 1


def loops(ids):
    """Whether there is a loop, and whether the ids end in one."""
    found = list(find_loops(ids))
    return bool(found), any(end == len(ids) for _, end in found)


def perplexities(scored):
    """Of all tokens, and of those that repeat no round of a loop."""
    everything, outside = [], []
    for tokens in scored:
        logprobs = [token["logprob"] for token in tokens]
        again = {i for first, end in find_loops([token["id"] for token in tokens])
                 for i in range(first, end)}
        everything += logprobs
        outside += [logprob for i, logprob in enumerate(logprobs) if i not in again]
    return [math.exp(-sum(part) / len(part)) for part in (everything, outside)]


def score(o, texts):
    """Texts as tokens with their probabilities. Tokens are those of the text, which are not always
    those that were drawn."""
    requests = [json.dumps({"context": prompt_of(i), "continuation": text})
                for i, text in enumerate(texts)]
    lines = run(o, "score", "--tokens", "-f", "-", text="\n".join(requests) + "\n").splitlines()
    if len(lines) != len(texts):
        sys.exit(f"loops.py: {len(texts)} texts, but {len(lines)} lines of bamba score")
    return [json.loads(line)["tokens"] for line in lines]


def measure(o, setting):
    with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        samples = list(pool.map(lambda i: sample(o, setting, i), range(o.samples)))
    lines = [repeated_lines(text) for _, text in samples]
    found = [loops(ids) for ids, _ in samples]
    return ([sum(distinct(ids, k) for ids, _ in samples) / len(samples) for k in (1, 2, 4)] +
            [sum(again for again, _ in lines) / max(sum(n for _, n in lines), 1)] +
            [sum(f[which] for f in found) / len(found) for which in (0, 1)] +
            perplexities(score(o, [text for _, text in samples])))


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
    assert list(find_loops([-1] + line * 3 + [-2])) == [(101, 301)]
    scored = [{"id": i, "logprob": -math.log(2 if n < 100 else 1)}
              for n, i in enumerate(line * 3)]
    assert [round(p, 6) for p in perplexities([scored])] == [round(2 ** (1 / 3), 6), 2]


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("bamba")
    ap.add_argument("-m", "--model")
    ap.add_argument("-n", "--tokens", type=int, default=400)
    ap.add_argument("--samples", type=int, default=200)
    ap.add_argument("-j", "--jobs", type=int, default=1)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--temperatures", default="0,0.5,0.8,1")
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    o = ap.parse_args(sys.argv[1:end])
    o.options = sys.argv[end + 1:]
    check_yourself()
    print("| temperature | penalty | distinct-1 | distinct-2 | distinct-4 | repeated | looping | "
          "at the end | perplexity | outside |\n"
          "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for temperature in o.temperatures.split(","):
        for name, options in PENALTIES.items():
            row = measure(o, ("--temp", temperature, *options))
            print(f"| {temperature} | {name} | " + " | ".join(f"{x:.3f}" for x in row[:3]) + " | " +
                  " | ".join(f"{100 * x:.1f} %" for x in row[3:6]) + " | " +
                  " | ".join(f"{x:.3f}" for x in row[6:]) + " |", flush=True)


if __name__ == "__main__":
    main()
