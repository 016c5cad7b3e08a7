#!/usr/bin/env python3
"""Two models over batch x length, as Bamba's announcement has it: a table, CSV and pictures.

    figure.py BAMBA SHAPE_A SHAPE_B PATH [-p PROMPT] [-d DEPTHS] [-npl BATCHES] [-- OPTIONS]

Writes PATH.csv and, with gnuplot, PATH-throughput.svg, PATH-latency.svg and the same as .png.
OPTIONS are those of `bamba bench`: -t 2, --type f32.

Nobody generates 64,000 tokens for a figure. The time of one step, t(B, d), is measured for B
sequences standing at depth d, and summed over a text: with a prompt of p tokens, length L,

    time(B, L) = B * time of a prompt of p + integral of t(B, x) for x from p to L

t taken as linear between the depths measured. Throughput is B * (L - p) / time. The bounds are the
same integrals over what a step costs: if memory alone, or arithmetic alone, set the pace. The two
models run in turn, batch by batch. A full run of the shortest text behind real tokens checks the
integral, against steps timed just before and just after it: minutes away, the machine is another
one.
"""
import argparse
import json
import math
import shutil
import subprocess
import sys

STEPS, PROMPTS = 16, 3
NONE = {"ns": math.nan, "bytes": math.nan, "flops": math.nan}


def bench(o, shape, *options):
    """Rows of a benchmark; None if its sessions do not fit into memory."""
    done = subprocess.run([o.bamba, "bench", "--shape", shape, *map(str, options), *o.options,
                           "-o", "jsonl"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    if done.returncode == 0:
        return [json.loads(line) for line in done.stdout.splitlines()]
    if "out of memory" in done.stderr:
        return None
    sys.exit(f"figure.py: {shape}: {done.stderr.strip()}")


def cost(row, steps):
    ns = (row["itl_p50_ns"] if row["n_gen"]
          else sorted(row["samples_ns"])[len(row["samples_ns"]) // 2])
    return {"ns": ns, "bytes": row["moved_bytes"] / steps, "flops": row["flops"] / steps}


def time_steps(o, shape, batch, depths):
    """What a step costs at each depth, as deep as memory allows."""
    for n in range(len(depths), 0, -1):
        rows = bench(o, shape, "-p", 0, "-n", STEPS, "-r", 1, "-npl", batch,
                     "-d", ",".join(map(str, depths[:n])))
        if rows is not None:
            return [cost(row, STEPS) for row in rows] + [NONE] * (len(depths) - n)
    return [NONE] * len(depths)


def integrate(depths, prompt, steps, batch, last):
    total = {}
    for key in NONE:
        total[key] = batch * prompt[key] + sum(
            0.5 * (depths[d + 1] - depths[d]) * (steps[d][key] + steps[d + 1][key])
            for d in range(last))
    return total


def check(o, shape, prompt):
    """Says how far a text really run is from its integral."""
    ends = o.depths[:2]
    n = ends[1] - ends[0]
    before = time_steps(o, shape, 1, ends)
    rows = bench(o, shape, "-p", 0, "-n", n, "-r", 1, "-d", ends[0], "--fill", "real")
    after = time_steps(o, shape, 1, ends)
    if rows is None:
        return
    mean = [{k: 0.5 * (x[k] + y[k]) for k in NONE} for x, y in zip(before, after)]
    full = prompt["ns"] + rows[0]["avg_ns"]
    guess = integrate(ends, prompt, mean, 1, 1)["ns"]
    print(f"check {shape}: a text of {ends[1]} really run takes {full * 1e-9:.3g} s, integrated "
          f"{guess * 1e-9:.3g} s ({100 * (guess / full - 1):+.1f} %)")


def measure(o, shapes):
    prompts = []
    for shape in shapes:
        rows = bench(o, shape, "-p", o.depths[0], "-n", 0, "-r", PROMPTS)
        if rows is None:
            sys.exit(f"figure.py: {shape}: does not fit into memory")
        prompts.append(cost(rows[0], 1))
        check(o, shape, prompts[-1])
    lines = []
    for batch in o.batches:
        steps = [time_steps(o, shape, batch, o.depths) for shape in shapes]
        for d, length in enumerate(o.depths):
            a, b = (integrate(o.depths, p, s, batch, d) for p, s in zip(prompts, steps))
            n = length - o.depths[0]
            tokens = 1e9 * batch * n if n else math.nan
            lines.append([batch, length, tokens / a["ns"], tokens / b["ns"], b["ns"] / a["ns"],
                          b["bytes"] / a["bytes"], b["flops"] / a["flops"],
                          *(1e-6 * side[d]["ns"] for side in steps)])
    return lines


HEAD = "batch,length,a_tps,b_tps,ratio,memory_bound,compute_bound,a_step_ms,b_step_ms"


def write(o, shapes, lines):
    with open(o.path + ".csv", "w") as to:
        print(HEAD, file=to)
        for line in lines:
            print(text_of(line), file=to)
    lengths = o.depths[1:]
    print(f"\nthroughput of {shapes[0]} / throughput of {shapes[1]}, prompt {o.depths[0]}\n")
    print("| batch |" + "".join(f" {n:7} |" for n in lengths))
    print("| ----: |" + " ------: |" * len(lengths))
    cells = {(line[0], line[1]): line for line in lines}
    for batch in o.batches:
        row = f"| {batch:5} |"
        for n in lengths:
            a, b, ratio = cells[batch, n][2:5]
            only = ("-" if math.isnan(a) and math.isnan(b)
                    else "only A" if math.isnan(b) else "only B")
            row += f" {only:>7} |" if math.isnan(ratio) else f" {ratio:7.2f} |"
        print(row)
    print("\nonly A, only B: sessions of the other do not fit into memory; -: of neither")


PLOT = {
    "throughput": """set xlabel 'sequences together'
set ylabel 'throughput, '.a.' / '.b
plot 1 with lines lc 'gray' notitle, \\
  for [i=1:nd-1] $data every nd::i using 1:5 with linespoints lw 2 pt 7 lc i \\
    title 'length '.word(lengths, i+1), \\
  for [i=1:nd-1] $data every nd::i using 1:6 with lines dt 2 lc i notitle, \\
  for [i=1:nd-1] $data every nd::i using 1:7 with lines dt 3 lc i notitle, \\
  NaN with lines dt 2 lc 'black' title 'if memory alone set the pace', \\
  NaN with lines dt 3 lc 'black' title 'if arithmetic alone did'
""",
    "latency": """set xlabel 'tokens before'
set ylabel 'ms a step'
set logscale y
plot for [i=1:words(batches)] $data every ::nd*(i-1)::nd*i-1 using 2:8 \\
    with linespoints lw 2 pt 7 lc i title a.', batch '.word(batches, i), \\
  for [i=1:words(batches)] $data every ::nd*(i-1)::nd*i-1 using 2:9 \\
    with linespoints dt 2 pt 6 lc i title b.', batch '.word(batches, i)
"""}


def text_of(line):
    return ",".join("" if math.isnan(x) else f"{x:.6g}" for x in line)


def draw(o, shapes, lines):
    if not shutil.which("gnuplot"):
        print(f"no picture: gnuplot is not installed; the numbers are in {o.path}.csv",
              file=sys.stderr)
        return

    def quote(s):
        return "'" + str(s).replace("'", "''") + "'"
    for kind, plot in PLOT.items():
        for end, terminal in (("svg", "svg size 1000,600 dashed background 'white'"),
                              ("png", "png size 1000,600")):
            script = "\n".join(["$data << END", *map(text_of, lines), f"""END
set datafile separator ','
set key outside right noenhanced
set grid
set logscale x 2
set terminal {terminal}
set output {quote(f"{o.path}-{kind}.{end}")}
a = {quote(shapes[0])}
b = {quote(shapes[1])}
nd = {len(o.depths)}
lengths = {quote(" ".join(map(str, o.depths)))}
batches = {quote(" ".join(map(str, o.batches)))}
{plot}"""])
            if subprocess.run(["gnuplot"], input=script, text=True).returncode != 0:
                sys.exit(f"figure.py: gnuplot could not draw {o.path}-{kind}.{end}")


def numbers(text):
    return [int(part) for part in text.split(",")]


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].strip())
    for name in "bamba", "a", "b", "path":
        parser.add_argument(name)
    parser.add_argument("-p", type=int, default=1024)
    parser.add_argument("-d", type=numbers, default=[2048 << i for i in range(6)])
    parser.add_argument("-npl", type=numbers, default=[1 << i for i in range(6)])
    arguments = sys.argv[1:]
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    o = parser.parse_args(arguments[:cut])
    o.options, o.batches, o.depths = arguments[cut + 1:], o.npl, [o.p] + [d for d in o.d if d > o.p]
    if o.p < 1 or len(o.depths) < 2 or o.depths != sorted(o.depths):
        parser.error("expected a prompt in -p and ascending lengths above it in -d")
    shapes = [o.a, o.b]
    lines = measure(o, shapes)
    write(o, shapes, lines)
    draw(o, shapes, lines)


main()
