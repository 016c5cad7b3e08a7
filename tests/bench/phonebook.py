#!/usr/bin/env python3
"""Retrieval at length: a book of N random names and numbers, then the number of one of them is
asked for.

    phonebook.py BAMBA [-m DIR] [-n ENTRIES,...] [--trials N] [--reversed] [-j JOBS] [--seed N]
                 [-- OPTIONS]

The task is that of Jelassi and others (arXiv 2402.01032) as Waleffe and others (arXiv 2406.07887)
put it to Mamba-2 and hybrids: two questions with their answers come first, and with --reversed the
question is said before the book too, so that a model with little memory knows what to keep. Entries
are random, questions go through the book in equal steps, decoding is greedy. OPTIONS go to `bamba
generate`: --kv-type q8. The table has for each length of the book

tokens   of the longest prompt
right    answers that begin with the whole number
digits   digits before the first wrong one, as a share of all

A model that cannot do the task still passes through all of it: the numbers are then about 0.
"""
import argparse
import concurrent.futures
import json
import random
import subprocess
import sys

FIRST = ("Ada", "Amos", "Anna", "Basil", "Bella", "Carl", "Clara", "Conrad", "Daisy", "David",
         "Edith", "Edward", "Emma", "Felix", "Flora", "Frank", "George", "Grace", "Hanna", "Henry",
         "Ida", "Isaac", "Jane", "John", "Julia", "Karl", "Laura", "Leo", "Lucy", "Mark", "Martha",
         "Max", "Nora", "Oscar", "Paul", "Rosa", "Ruth", "Simon", "Thomas", "Walter")
LAST = ("Adler", "Baker", "Barnes", "Bell", "Brook", "Carter", "Clark", "Cook", "Dale", "Dean",
        "Fisher", "Ford", "Fox", "Gardner", "Grant", "Gray", "Green", "Hall", "Hardy", "Hill",
        "Hunt", "Kent", "King", "Lamb", "Lane", "Marsh", "Mason", "Miller", "Moore", "Page",
        "Parker", "Pike", "Reed", "Shaw", "Stone", "Taylor", "Wade", "Ward", "Wells", "Wood")


def make_book(entries, seed):
    """Names, each once, with numbers of seven digits: "555-0123" and the like."""
    rng = random.Random(seed)
    numbers = rng.sample(range(10 ** 7), entries)
    # More people than two names can tell apart have a middle initial.
    names = [f"{a} {b}" for a in FIRST for b in LAST]
    if entries > len(names):
        names = [f"{a} {m}. {b}" for a in FIRST for m in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" for b in LAST]
    return [(name, f"{n // 10000:03d}-{n % 10000:04d}")
            for name, n in zip(rng.sample(names, entries), numbers)]


def prompt_for(book, at, reverse):
    """The text up to the number of entry `at`; the two entries behind it are the worked
    questions."""
    asked = book[at][0]
    shown = [book[(at + i) % len(book)] for i in (1, 2)]
    lines = [f"Question: What is the number of {asked}?\n"] if reverse else []
    lines += ["The phone book:\n"] + [f"{name}: {number}" for name, number in book] + [""]
    lines += [f"Question: What is the number of {name}?\nAnswer: {number}\n"
              for name, number in shown]
    return "\n".join(lines + [f"Question: What is the number of {asked}?\nAnswer:"])


def score(answer, number):
    """Whether the answer begins with the number, and how many digits are right before the first
    wrong one."""
    answer, digits = answer.strip(), 0
    for said, wanted in zip(answer, number):
        if said != wanted:
            break
        digits += wanted.isdigit()
    # A longer number is another number.
    return answer.startswith(number) and not answer[len(number):len(number) + 1].isdigit(), digits


def ask(o, book, at):
    done = subprocess.run([o.bamba, "generate", *(("-m", o.model) if o.model else ()), "--json",
                           "-q", "-n", "24", "--temp", "0", "--repeat-penalty", "1", "--stop", "\n",
                           *o.options, "-f", "-"],
                          input=prompt_for(book, at, o.reversed), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"phonebook.py: {done.stderr.strip()}")
    said = json.loads(done.stdout)
    return (len(said["prompt_ids"]), *score(said["text"], book[at][1]))


def check_yourself():
    """The task's own text answered by a reader, and answers that are right, half right and too
    long."""
    book = make_book(2000, 1)
    assert len({name for name, _ in book}) == len({number for _, number in book}) == 2000
    for reverse in (False, True):
        text = prompt_for(book, 1999, reverse)
        name, number = book[1999]
        assert text.count(number) == 1 and text.count(f"number of {name}?") == 1 + reverse
        assert text.endswith(f"Question: What is the number of {name}?\nAnswer:")
        assert text.count("Answer: ") == 2 and book[0][1] in text
    assert (score(" 123-4567\n", "123-4567") == (True, 7)
            and score("123-4567.", "123-4567") == (True, 7))
    assert (score("123-45678", "123-4567") == (False, 7)
            and score("124-4567", "123-4567") == (False, 2))
    assert score("", "123-4567") == (False, 0)


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("bamba")
    ap.add_argument("-m", "--model")
    ap.add_argument("-n", "--entries", default="10,20,50,100,200,400")
    ap.add_argument("--trials", type=int, default=20)
    ap.add_argument("--reversed", action="store_true")
    ap.add_argument("-j", "--jobs", type=int, default=1)
    ap.add_argument("--seed", type=int, default=1)
    arguments = sys.argv[1:]
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    o = ap.parse_args(arguments[:cut])
    o.options = arguments[cut + 1:]
    lengths = [int(n) for n in o.entries.split(",")]
    if min(lengths) < 3 or o.trials < 1:
        ap.error("expected books of three entries and more, and a trial")
    check_yourself()
    print("| entries | tokens | right | digits |\n| ---: | ---: | ---: | ---: |")
    for entries in lengths:
        book = make_book(entries, o.seed)
        with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
            answers = list(pool.map(lambda t: ask(o, book, t * entries // o.trials % entries),
                                    range(o.trials)))
        right = sum(a[1] for a in answers) / o.trials
        digits = sum(a[2] for a in answers) / (7 * o.trials)
        print(f"| {entries} | {max(a[0] for a in answers)} | {100 * right:.1f} % | "
              f"{100 * digits:.1f} % |", flush=True)


if __name__ == "__main__":
    main()
