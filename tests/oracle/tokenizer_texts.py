"""Texts to try tokenizers on: every script, and what breaks tokenizers. The same for a seed."""

import random
import sysconfig
import pathlib

SCRIPTS = [(0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F), (0x250, 0x2AF), (0x370, 0x3FF),
           (0x400, 0x52F), (0x530, 0x58F), (0x590, 0x5FF), (0x600, 0x6FF), (0x700, 0x74F),
           (0x780, 0x7BF), (0x900, 0x97F), (0x980, 0x9FF), (0xA00, 0xA7F), (0xB00, 0xB7F),
           (0xB80, 0xBFF), (0xC00, 0xC7F), (0xD00, 0xD7F), (0xD80, 0xDFF), (0xE00, 0xE7F),
           (0xE80, 0xEFF), (0xF00, 0xFFF), (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1100, 0x11FF),
           (0x1200, 0x137F), (0x13A0, 0x13FF), (0x1400, 0x167F), (0x1780, 0x17FF),
           (0x1800, 0x18AF), (0x1E00, 0x1EFF), (0x1F00, 0x1FFF), (0x2C00, 0x2C5F),
           (0x3040, 0x309F), (0x30A0, 0x30FF), (0x3100, 0x312F), (0x4E00, 0x9FFF),
           (0xA000, 0xA48F), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0xFB00, 0xFDFF),
           (0xFE70, 0xFEFF), (0xFF00, 0xFFEF), (0x10000, 0x100FF), (0x10300, 0x1034F),
           (0x10400, 0x1044F), (0x10D40, 0x10D8F), (0x11000, 0x1107F), (0x11380, 0x113FF),
           (0x11F00, 0x11F5F), (0x12000, 0x123FF), (0x1D400, 0x1D7FF), (0x1E900, 0x1E95F),
           (0x20000, 0x2A6DF), (0x2EBF0, 0x2EE5D), (0x31350, 0x323AF)]
SPACES = [*range(9, 14), 0x20, 0x85, 0xA0, 0x1680, 0x180E, *range(0x2000, 0x2010), 0x2028,
          0x2029, 0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF, 0x2581]
NUMBERS = [0xB2, 0xBD, 0x660, 0x6F5, 0x967, 0x2160, 0x2488, 0x3007, 0x4E09, 0xFF11, 0x1D7CE,
           0x10D41, 0x1F100]
SYMBOLS = [*range(0x21, 0x30), *range(0x3A, 0x41), *range(0x5B, 0x61), *range(0x7B, 0x7F),
           0xA1, 0xA7, 0xB4, 0xBF, 0x2013, 0x2014, 0x2018, 0x2019, 0x201C, 0x2026, 0x20AC,
           0x2190, 0x2200, 0x2500, 0x3001, 0x3002, 0x300C, 0xFF0C, 0xFFFD, 0xAD]
EMOJI = ["😀", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "👍🏽", "❤️", "☎", "1️⃣", "🫠", "🪿", "🫩"]
ENDINGS = ["'s", "'S", "'ſ", "'t", "'re", "'RE", "'ve", "'m", "'ll", "'Ll", "'d", "'D", "’s",
           "'", "''"]
WORDS = """the of and to in is that it for as was with on be by are this from at an or hello
world I don't you're can't we'll naïve café straße Ångström São coöperate Москва Ελλάδα 東京 안녕하세요
ภาษาไทย हिन्दी العربية עברית tokenization HTTPServer camelCase snake_case __init__ x86_64
1234567890 3.14159 0xDEADBEEF 1,000,000 2024-01-31 user@example.com https://example.org/a?b=c
for(int i=0;i<n;i++){} #include <stdio.h> \\alpha $x^2$ <div class="a"> == != => ::""".split()


def pick(rng, ranges):
    lo, hi = rng.choice(ranges)
    return chr(rng.randint(lo, hi))


def word(rng):
    script = [rng.choice(SCRIPTS)]
    return "".join(pick(rng, script) for _ in range(rng.randint(1, 9)))


def any_character(rng):
    while True:
        c = rng.choice([rng.randint(0, 0x7F), rng.randint(0, 0x7FF), rng.randint(0, 0xFFFF),
                        rng.randint(0, 0x1FFFF), rng.randint(0, 0x10FFFF)])
        if not 0xD800 <= c < 0xE000:
            return chr(c)


def marks(rng):
    return rng.choice("aeiouAEIOUnscｶ가가") + "".join(
        chr(rng.choice([rng.randint(0x300, 0x36F), 0x327, 0x345, 0x3099, 0x11A8, 0x5B0,
                        0x1AB0]))
        for _ in range(rng.randint(1, 6)))


def run(rng):
    n = rng.choice([1, 2, 3, 4, 7, 15, 16, 17, 24, 25, 31, 64, 100, 300])
    return rng.choice([" ", "\n", "\t", "\r\n", "0", "7", "a", "é", "中", "-", "=", ".",
                       "\u3000", " \n", "ab", "😀", "\0", "\x7f", "▁"]) * n


def atom(rng, special):
    kind = rng.randrange(15)
    if kind < 3:
        return rng.choice(WORDS)
    if kind == 3:
        return word(rng)
    if kind == 4:
        return "".join(chr(rng.choice(SPACES)) for _ in range(rng.randint(1, 4)))
    if kind == 5:
        return "".join(str(rng.randrange(10)) for _ in range(rng.randint(1, 8)))
    if kind == 6:
        return "".join(chr(rng.choice(SYMBOLS)) for _ in range(rng.randint(1, 5)))
    if kind == 7:
        return rng.choice(EMOJI)
    if kind == 8:
        return rng.choice(WORDS) + rng.choice(ENDINGS)
    if kind == 9:
        return "".join(chr(rng.choice(NUMBERS)) for _ in range(rng.randint(1, 4)))
    if kind == 10:
        return marks(rng)
    if kind == 11:
        return run(rng)
    if kind == 12:
        return "".join(any_character(rng) for _ in range(rng.randint(1, 6)))
    if kind == 13 and special:
        return rng.choice(special)
    return chr(rng.randrange(32))


def sources(rng, n):
    """Cuts from the Python library's own files: code and prose."""
    files = sorted(pathlib.Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    for _ in range(n):
        text = rng.choice(files).read_text(encoding="utf-8")
        at = rng.randrange(max(1, len(text)))
        yield text[at:at + rng.randint(1, 400)]


def texts(n, special, seed=1):
    """special: texts of added tokens, strewn in."""
    rng = random.Random(seed)
    fixed = ["", " ", "  ", "\n", "a", " a", "a ", "\0", "\ufeff", "'s", "<0x0A>", "▁", "ſ",
             "\u180e", "x" * 3000, " " * 3000, "中" * 1000, "1" * 1000, "\u0301" * 500]
    fixed += special[:50] + [f" {s} " for s in special[:50]] + [s + s for s in special[:20]]
    yield from fixed
    yield from sources(rng, n // 10)
    for i in range(n - n // 10 - len(fixed)):
        glue = rng.choice(["", " ", " ", "\n"])
        yield glue.join(atom(rng, special) for _ in range(rng.randint(1, 14)))
