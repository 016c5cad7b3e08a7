"""Writes tests/chat/reference_cases.h: what transformers' Jinja environment makes of small
templates.

    make_chat_cases.py > tests/chat/reference_cases.h
"""
import datetime
import json
import os
import string
import time

from transformers.utils.chat_template_utils import _compile_jinja_template

V = {"s": "  Hello, World!\t", "t": "naïve 東京 🙂", "e": "", "n": None, "i": 7, "f": 2.5, "neg": -3,
     "big": 123456789012345678901234567890, "l": [3, 1, 2], "w": ["b", "A", "c", "B"],
     "d": {"b": 1, "a": [1, {"x": None}], "items": "own", "C": True},
     "m": [{"role": "user", "content": "hi", "n": 2},
           {"role": "assistant", "content": "yo", "n": 1, "tools": []},
           {"role": "user", "content": "end", "n": 2, "a": {"b": "deep"}}], "q": "it's \"q\"\n\\",
     "z": [[1, [2, [3]]], []]}

# A line that ends in a backslash goes on in the next one.
CASES = r"""
plain text
a{{ i }}b
{{ s }}|{{ s|trim }}|{{ s.strip() }}|{{ s.lstrip() }}|{{ s.rstrip() }}
x  {%- if true -%}  y  {%- endif -%}  z
  {% if true %}   
 a
  {% endif %}  
b
{% if true %}
line
{% endif %}
after
   {{ i }}   
   {{- i -}}   
  {# comment #}  
c
  {#- comment -#}  
d
x{# {{ not #}y
{%+ if true %} a {%+ endif %} b
  {%+ if true +%}
a{% endif +%}
b
{% raw %}{{ i }} {% if %}{% endraw %}
  {%- raw -%}  a {{ b }}  {%- endraw -%}  c
{% raw %}
 a
{% endraw %}
b
{{ "a" "b" 'c' }}
{{ "\n\t\\\"\x41\u00e9\U0001F600\101\d" }}
{{ 'a
b' }}
{{ 1_000 }} {{ 1.5 }} {{ 1e3 }} {{ 1.5e-7 }}
{{ .5 }}
{{ 1e16 }} {{ 123456789.0 }} {{ 1e22 }} {{ 0.1 + 0.2 }} {{ 100.0 }} {{ 1e-4 }} {{ 1e-5 }}
{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7 / 2 }} {{ 2 ** 10 }} \
{{ 2 ** -1 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }}
{{ 1 + 2 * 3 - 4 }} {{ (1 + 2) * 3 }} {{ -i }} {{ +i }} {{ - 3 | abs }} {{ -2 ** 2 }}
{{ 2 ** 3 ** 2 }} {{ 1 - 2 - 3 }} {{ 8 / 4 / 2 }}
{{ 1 ~ 2 ~ none ~ true ~ 1.0 }}
{{ "a" ~ 1 + 2 }}
{{ "a" ~ 1 + "2" }}
{{ "ab" * 3 }} {{ [1] * 2 }} {{ 3 * "x" }} {{ "a" + "b" }} {{ [1] + [2] }} {{ (1,) + (2,) }}
{{ 1 == 1.0 }} {{ true == 1 }} {{ "1" == 1 }} {{ none == false }} {{ [1, 2] == [1, 2] }} \
{{ {"a": 1} == {"a": 1.0} }} {{ (1, 2) == [1, 2] }}
{{ 1 < 2 < 3 }} {{ 1 < 2 > 3 }} {{ "a" < "b" }} {{ [1, 2] < [1, 3] }} {{ 3 >= 3 }} {{ 2 <= 1 }} \
{{ 1 != 2 }}
{{ 1 in l }} {{ 9 not in l }} {{ "a" in d }} {{ "ell" in s }} {{ "" in s }} {{ not 1 in l }} \
{{ "b" in w and "z" not in w }}
{{ 1 and 0 }} {{ 0 or "x" }} {{ "" or none }} {{ not "" }} {{ 1 and 2 and 3 }} {{ none and 1 or 5 }}
{{ "yes" if i else "no" }} {{ "yes" if e }}| {{ 1 if false else 2 if false else 3 }}
{{ undefined_thing }}|{{ undefined_thing is defined }}|{{ undefined_thing | default("d") }}|{{ e | \
default("d") }}|{{ e | default("d", true) }}|{{ n | default("d") }}
{{ d.b }} {{ d["b"] }} {{ d.missing is defined }} {{ d["items"] }} {{ d.get("b") }} \
{{ d.get("zz") }} {{ d.get("zz", 5) }}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}
{% for k in d %}{{ k }},{% endfor %} {{ d.keys() | list }} {{ d.values() | list }} {{ d.items() }} \
{{ d.keys() }}
{{ l[0] }} {{ l[-1] }} {{ l[9] is defined }} {{ l[1:] }} {{ l[:1] }} {{ l[::-1] }} {{ l[-2:] }} \
{{ l[5:] }} {{ l[::2] }} {{ l[2:0:-1] }}
{{ t[0] }} {{ t[6:8] }} {{ t[::-1] }} {{ t[-1] }} {{ t | length }} {{ t[::3] }} {{ t[:-3] }} \
{{ t[100:] }}|
{{ s[2:7] }} {{ "abc"[1] }} {{ "abc"[9] is defined }} {{ "abc".0 }} {{ l.1 }}
{{ (1, 2, 3)[1:] }} {{ (1,) }} {{ () }} {{ [] }} {{ {} }} {{ [1, "a", none, true, 1.5] }} \
{{ {"a": "b", 1: [2]} }}
{{ q }} {{ [q] }} {{ ["'"] }} {{ ['"'] }} {{ ["'\""] }} {{ ["\n\t\r\x00\x7f\u200b é 🙂 \u00a0"] }} \
{{ ["\\"] }}
{{ none }} {{ true }} {{ false }} {{ True }} {{ None }} {{ big }} {{ neg }} {{ z }}
{{ d | tojson }} {{ q | tojson }} {{ t | tojson }} {{ t | tojson(ensure_ascii=true) }} \
{{ big | tojson }} {{ 1.0 | tojson }} {{ "<&>'" | tojson }}
{{ d | tojson(indent=2) }}
{{ z | tojson(indent=4) }} {{ [] | tojson(indent=2) }} {{ {} | tojson(indent=2) }} \
{{ l | tojson(indent=0) }} {{ l | tojson(indent="--") }}
{{ d | tojson(separators=(",", ":")) }} {{ d | tojson(sort_keys=true) }} \
{{ {1: 2, none: 3, true: 4, 1.5: 5} | tojson }} {{ (1, 2) | tojson }}
{{ "\x00\x1f\x7f\u2028\b\f" | tojson }} {{ "\x7f" | tojson(true) }}
{{ "a,b,,c".split(",") }} {{ " a  b ".split() }} {{ "a,b,c".split(",", 1) }} \
{{ "a,b,c".rsplit(",", 1) }} {{ "".split() }} {{ "".split(",") }} {{ "abc".split("b")[0] }}
{{ "  1  2   3  ".split(none, 1) }} {{ "  1  2   3  ".rsplit(none, 1) }} {{ "a b c".rsplit() }} \
{{ "a<x>b<x>c".split("<x>")[-1] }}
{{ "abc".split("") }}
{{ "a\nb\r\nc\u2028d\n".splitlines() }} {{ "a\nb".splitlines(true) }} {{ "a-b-c".partition("-") }} \
{{ "a-b-c".rpartition("-") }} {{ "abc".partition("x") }} {{ "abc".rpartition("x") }}
{{ "Hello".startswith("He") }} {{ "Hello".endswith(("x", "lo")) }} \
{{ "Hello".startswith("l", 2) }} {{ "Hello".find("l") }} {{ "Hello".rfind("l") }} \
{{ "Hello".find("z") }} {{ "Hello".index("l") }} {{ "Hello".count("l") }} {{ "aaa".count("aa") }} \
{{ t.find("東") }}
{{ "xxhixx".strip("x") }} {{ "xxhixy".rstrip("xy") }} {{ "xyhi".lstrip("yx") }} \
{{ "aXbX".replace("X", "--") }} {{ "aXbX".replace("X", "-", 1) }} {{ "ab".replace("", "-") }} \
{{ "abc".removeprefix("ab") }} {{ "abc".removesuffix("bc") }}
{{ ",".join(["a", "b"]) }} {{ "-".join("abc") }} {{ "hello world".title() }} \
{{ "hELLO".capitalize() }} {{ "Hello".upper() }} {{ "HELLO ΣΑΣ".lower() }} {{ "ß ﬁ ǆ".upper() }} \
{{ "straße".title() }} {{ "aB".swapcase() }}
{{ "abc".isalpha() }} {{ "ab1".isalnum() }} {{ "12".isdigit() }} {{ "²".isdigit() }} \
{{ "²".isdecimal() }} {{ " \t".isspace() }} {{ "".isspace() }} {{ "aB".islower() }} \
{{ "AB1".isupper() }} {{ "é".isascii() }} {{ "a\n".isprintable() }}
{{ "ab".ljust(5) }}|{{ "ab".rjust(5, \
"*") }}|{{ "ab".center(5) }}|{{ "abc".center(6) }}|{{ "-42".zfill(6) }}|{{ "abc"|center(9) }}|
{{ "%s is %d years, %5.2f%% %r %x %-5s| %05d %+d" % ("Bob", 42, 99.5, "it's", 255, "ab", 42, 3) }} \
{{ "%s" % i }} {{ "%(a)s-%(b)d" % {"a": 1, "b": 2} }} {{ "%s" % [1] }} {{ "%%" % () }} \
{{ "%c%c" % (65, "b") }} {{ "%e %g %G" % (12345.678, 0.0001, 1e20) }} \
{{ "%.3s|%10s|%-10s|" % ("abcdef", "hi", "hi") }} {{ "%#x %#o %X" % (255, 8, 255) }} \
{{ "%i" % 3.9 }} {{ "% d" % 5 }}
{{ "{} {} {}".format(1, "a", none) }} {{ "{0}{1}{0}".format("a", "b") }} \
{{ "{x}-{y}".format(x=1, y=2) }} {{ "{{}}".format() }} \
{{ "{:>5}|{:<5}|{:^5}|{:*^7}|".format("a", "b", "c", "d") }} \
{{ "{:05d} {:+d} {:,} {:x} {:b} {:.2f} {:e} {:%} \
{:10.3f}|".format(42, 42, 1234567, 255, 5, 3.14159, 1234.5, 0.25, 2.5) }} \
{{ "{!r} {!s}".format("a", "b") }} {{ "{0[a]} {0.a} {1[0]}".format({"a": 1}, [7]) }} \
{{ "{:5}|{:5}|".format(1, "a") }} {{ "{:.2}|".format("abc") }} {{ "{:_}".format(1234567) }} \
{{ "{:g}".format(0.5) }}
{{ "Hi %s"|format("Bob") }} {{ "%(x)s"|format(x=3) }}
{{ [1, 2, 3] | join }} {{ [1, 2, 3] | join(", ") }} {{ m | join("|", attribute="role") }} \
{{ "abc" | join("-") }} {{ [] | join(",") }} {{ d | join(",") }}
{{ l | sort }} {{ l | sort(reverse=true) }} {{ w | sort }} {{ w | sort(case_sensitive=true) }} \
{{ m | sort(attribute="n") | map(attribute="content") | list }} \
{{ m | sort(attribute="n,content") | map(attribute="content") | join }} {{ "hello" | sort }}
{{ l | first }} {{ l | last }} {{ [] | first is defined }} {{ "abc" | last }} {{ l | min }} \
{{ l | max }} {{ l | sum }} {{ m | sum(attribute="n") }} {{ w | min }} {{ [] | max is defined }} \
{{ l | length }} {{ d | count }} {{ undefined_thing | length }}
{{ w | unique | list }} {{ [1, 1.0, true, 2] | unique | list }} \
{{ m | unique(attribute="role") | map(attribute="content") | list }} {{ l | reverse | list }} \
{{ "abc" | reverse }} {{ l | list }} {{ "abc" | list }}
{{ m | selectattr("role", "equalto", "user") | map(attribute="content") | list }} \
{{ m | selectattr("tools", "defined") | list | length }} \
{{ m | rejectattr("role", "eq", "user") | list | length }} {{ m | selectattr("tools") | list }} \
{{ [0, 1, 2, none] | select | list }} {{ [1, 2, 3, 4] | select("odd") | list }} \
{{ [1, 2, 3, 4] | reject("divisibleby", 2) | list }} {{ l | select("in", [1, 2]) | list }} \
{{ l | select(">", 1) | list }}
{{ w | map("upper") | list }} {{ w | map("replace", "b", "x") | list }} \
{{ m | map(attribute="a.b", default="-") | list }} {{ m | map(attribute="zz") | list }} \
{{ ["1", "2"] | map("int") | sum }} {{ [[1, 2], [3]] | map("first") | list }} \
{{ [[1, 2], [3, 4]] | map(attribute=1) | list }}
{{ d | dictsort }} {{ {"b": 2, "a": 1} | dictsort(false, "value") }} \
{{ {"b": 2, "a": 1} | dictsort(reverse=true) }} {{ d | items | list }} \
{{ undefined_thing | items | list }}
{{ m | groupby("role") | list | length }} \
{% for k, g in m | groupby("role") %}\
{{ k }}:{{ g | map(attribute="content") | join(",") }};{% endfor %} \
{{ [1, 2, 3, 4, 5] | batch(2) | list }} {{ [1, 2, 3] | batch(2, 0) | list }} \
{{ [1, 2, 3, 4, 5] | slice(3) | list }} {{ [1, 2, 3, 4, 5] | slice(3, "x") | list }}
{{ "42" | int }} {{ "42.9" | int }} {{ "x" | int }} {{ "x" | int(5) }} {{ "0x1f" | int(0, 16) }} \
{{ " 7_0 " | int }} {{ 3.99 | int }} {{ none | int }} {{ true | int }} {{ "3.5" | float }} \
{{ "x" | float }} {{ "1e3" | float }} {{ "inf" | float }} {{ "nan" | float }} {{ 5 | float }} \
{{ " .5 " | float }} {{ "5." | float }} {{ "-1" | int }} {{ "007" | int }} {{ "1e3" | int }}
{{ 2.5 | round }} {{ 3.5 | round }} {{ 2.675 | round(2) }} {{ 2.1 | round(0, "ceil") }} \
{{ 2.9 | round(method="floor") }} {{ 42.55 | round(1, "floor") }} {{ 5 | round }} {{ -3 | abs }} \
{{ -3.5 | abs }} {{ 1.15 | round(1) }} {{ -2.5 | round }}
{{ "a\nb\n\nc" | indent }} {{ "a\nb" | indent(2) }} {{ "a\nb" | indent(2, true) }} \
{{ "a\n\nb" | indent(2, false, true) }} {{ "a\nb" | indent("> ", first=true) }}
{{ "hello world-foo (bar)" | title }} {{ "HELLO" | capitalize }} {{ "a b" | upper }} \
{{ none | upper }} {{ 1 | string + "x" }} {{ "Hello World" | replace("o", "0", 1) }} \
{{ 123 | replace(2, "x") }} {{ "a b  c" | wordcount }} {{ " x " | trim }}| {{ "xax" | trim("x") }} \
{{ [1] | string }} {{ "x" | lower | upper }}
{{ "<b>" | safe }} {{ "<b>" | e }} {{ "<a>" | safe + "<b>" }} {{ "<b>" + ("<a>" | safe) }} \
{{ ("<a>" | safe) ~ "<b>" }} {{ [("a" | safe)] }} {{ ("<a>" | safe).replace("a", "<") }} \
{{ ("<a> " | safe | trim) + "&" }} {{ ("<a>" | safe | upper) + "<" }} {{ "'\"&" | escape }} \
{{ ["<", ("<" | safe)] | join("&") }} {{ ("<" | safe | string) + ">" }} {{ ("a" | safe) == "a" }} \
{{ ("<" | safe) * 2 + ">" }}
{{ i is number }} {{ f is float }} {{ i is integer }} {{ true is integer }} {{ true is number }} \
{{ s is string }} {{ l is iterable }} {{ d is mapping }} {{ l is sequence }} {{ d is sequence }} \
{{ s is sequence }} {{ n is none }} {{ n is not none }} {{ true is boolean }} {{ 1 is true }} \
{{ false is false }} {{ undefined_thing is undefined }} {{ undefined_thing is iterable }} \
{{ undefined_thing is sequence }} {{ big is number }} {{ d.keys() is sequence }} \
{{ (l | map("string")) is iterable }}
{{ 4 is even }} {{ 3 is odd }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ 1 is eq 1 }} \
{{ 1 is sameas 1 }} {{ n is sameas none }} {{ 2 is in [1, 2] }} {{ "a" is lower }} \
{{ "A" is upper }} {{ 3 is gt 2 }} {{ 3 is lessthan 2 }} {{ 3 is ge 3 }} {{ not i is defined }} \
{{ i is defined and f is defined }}
{% for x in l %}{{ loop.index }}/{{ loop.index0 }}/{{ loop.revindex }}/{{ loop.revindex0 }}/{{ \
loop.first }}/{{ loop.last }}/{{ loop.length }}/{{ loop.previtem }}/{{ loop.nextitem }}/{{ \
loop.depth }} {% endfor %}
{% for x in [] %}a{% else %}none{% endfor %} \
{% for x in l if x > 1 %}{{ x }}:{{ loop.index }}:{{ loop.length }}:{{ loop.last }} \
{% else %}-{% endfor %} {% for x in l if x > 9 %}{{ x }}{% else %}none{% endfor %}
{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %} \
{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %} \
{% for x in l %}{% for y in l %}{% if y == 1 %}{% break %}{% endif %}{{ y }}{% endfor %}\
{{ loop.index }}{% endfor %}
{% for a, b in [(1, 2), (3, 4)] %}{{ a }}{{ b }} \
{% endfor %}{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %} \
{% for c in "añ🙂" %}{{ c }}.{% endfor %} {% for x in undefined_thing %}x{% endfor %} \
{% for x in range(3) %}{{ x }}{% endfor %} {{ range(1, 10, 3) | list }} \
{{ range(5, 0, -2) | list }} {{ range(3) }} {{ range(3)[1] }} {{ range(5)[1:3] | list }}
{% for x in [[1, [2, []]]] recursive %}{{ loop.depth }}:{% if x is iterable %}{{ loop(x) }}\
{% else %}{{ x }}{% endif %};{% endfor %}
{% for n in [{"v": 1, "c": [{"v": 2, "c": []}]}] recursive %}<{{ n.v }}{{ loop(n.c) }}>{% endfor %}
{% for x in l %}{{ loop.cycle("a", "b") }}{{ loop.changed(x > 1) }} {% endfor %}
{% for x in (l | map("string")) %}{{ x }}{{ loop.last }}{{ loop.length }} {% endfor %} \
{% set g = l | map("string") %}{{ g | list }}{{ g | list }} \
{% set g = l | select %}{% for x in g %}{{ x }}{% break %}{% endfor %}{{ g | list }}
{% set x = 1 %}{% for y in l %}{% set x = y %}{{ x }}{% endfor %}{{ x }} \
{% if true %}{% set x = 5 %}{% endif %}{{ x }} {% set a, b = 1, 2 %}{{ a }}{{ b }} \
{% set c = 1, 2 %}{{ c }} {% set ns = namespace(v=0, w=[1]) %}{% for y in l %}\
{% set ns.v = ns.v + y %}{% endfor %}{{ ns.v }} {{ ns.w }} {{ ns.zz is defined }} {{ ns["v"] }}
{% set ns = namespace() %}{% set ns.a = 1 %}{{ ns.a }}{{ ns }} \
{% set ns.a, x = 3, 4 %}{{ ns.a }}{{ x }} {% set d2 = dict(a=1, b="x") %}{{ d2 }} \
{{ dict([("k", 1)]) }} {{ dict({"q": 1}, r=2) }} {{ namespace(d2).b }}
{% set x %}captured {{ i }}{% endset %}[{{ x }}] {% set x | upper | trim %} abc {% endset %}[{{ x \
}}] {% filter upper %}abc{{ i }}{% endfilter %} \
{% filter replace("a", "b") | trim %} aaa {% endfilter %}| {% with a = 1, b = i %}{{ a }}{{ b }}\
{% endwith %}{{ a is defined }} {% with %}{% set zz = 1 %}{% endwith %}{{ zz is defined }}
{% macro m1(a, b=2, c=a) %}[{{ a }},{{ b }},{{ c }}]{% endmacro %}{{ m1(1) }}{{ m1(1, 3) }}\
{{ m1(b=5, a=4) }}{{ m1() }} {{ m1 is defined }} {{ m1(1) | length }} {{ m1(*[7, 8]) }} \
{{ m1(**{"a": 9}) }}
{% macro f() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, x=3) }} \
{% macro rec(n) %}{{ n }}{% if n > 0 %}{{ rec(n - 1) }}{% endif %}{% endmacro %}{{ rec(5) }} \
{% macro box() %}<{{ caller() }}>{% endmacro %}{% call box() %}in{{ i }}{% endcall %} \
{% macro each(xs) %}{% for x in xs %}{{ caller(x) }}{% endfor %}{% endmacro %}\
{% call(y) each(l) %}({{ y }}){% endcall %}
{% macro outer() %}{{ glob }}{% endmacro %}{% set glob = "late" %}{{ outer() }} \
{% for x in l %}{% macro inner() %}{{ x }}{% endmacro %}{{ inner() }}{% endfor %} \
{% macro a() %}{% set loc = 1 %}{{ loc }}{% endmacro %}{{ a() }}{{ loc is defined }}
{% generation %}gen {{ i }}{% endgeneration %} \
{% for x in l %}{% generation %}{{ x }}{% endgeneration %}{% endfor %} \
{%- generation -%}  x  {%- endgeneration -%}
{% if i == 1 %}a{% elif i == 7 %}b{% elif i == 8 %}c{% else %}d{% endif %} \
{% if n %}x{% elif e %}y{% else %}z{% endif %} {% if i: %}colon{% endif %}
{{ m[0].content }} {{ m[0]["content"] }} {{ m[-1].a.b }} {{ m[0].a is defined }} \
{{ (m | last).content }} {{ m[1:][0].role }} {{ m | length - 1 }} {{ m[i - 6].role }}
{{ {"a": {"b": [10, 20]}}.a.b[1] }} {{ [1, 2, 3][1] }} {{ "abc".upper()[0] }} \
{{ ("a" if i else "b").upper() }} {{ [[1, 2], [3]][0][1] }} {{ {"x": 1}["x"] }} {{ ({"x": 1}).x }} \
{{ {"k": 1,}.k }} {{ [1, 2,] }}
{{ n.foo is defined }} {{ i.foo is defined }} {{ "abc".foo is defined }} {{ l.append is defined }} \
{{ d.pop is defined }} {{ d.__class__ is defined }} {{ d.__class__ }}| {{ s["strip"]() }}
{{ undefined_thing.foo }}
{{ undefined_thing + 1 }}
{{ undefined_thing() }}
{{ none.foo.bar }}
{{ d.a.b.c.d }}
{{ 1 / 0 }}
{{ "a" + 1 }}
{{ 1 + "a" }}
{{ [1] + (2,) }}
{{ l.append(4) }}
{{ d.update({}) }}
{{ d() }}
{{ 1 in 2 }}
{{ 1 in "abc" }}
{{ none in "abc" }}
{{ 1 < "a" }}
{{ none < 1 }}
{{ {[1]: 2} }}
{{ none | list }}
{% for x in none %}{% endfor %}
{% for x in 5 %}{% endfor %}
{% for a, b in [1] %}{% endfor %}
{% for a, b in [(1, 2, 3)] %}{% endfor %}
{% set a, b = [1] %}
{{ l | join(1) }} {{ [none, true] | join("-") }}
{{ raise_exception("no " ~ i) }}
{% set s.x = 1 %}
{% set ns = namespace() %}{% set ns._a = 1 %}
{{ namespace(_x=1) }}
{{ i | nofilter }}
{% if false %}{{ i | nofilter }}{% endif %}ok
{% if true %}{{ i | nofilter }}{% endif %}
{{ (i | nofilter) if false else "ok" }}
{% if i is notest %}{% endif %}
{% if false and i is notest %}{% endif %}ok
{% for x in l %}{% if false %}{% for y in l %}{{ y | nofilter }}{% endfor %}{% endif %}{% endfor %}
{{ "abc" | first | upper }}
{{ "%s" | format }}
{{ "%d" % "a" }}
{{ "%s %s" % (1,) }}
{{ "%s" % (1, 2) }}
{{ "{}".format() }}
{{ "{:d}".format("a") }}
{{ m | map("nofilter") | list }}
{{ m | map(attribute="a.b.c") | list }}
{{ undefined_thing | tojson }}
{{ (l | map("string")) | tojson }}
{{ (l | map("string")) | length }}
{{ (l | map("string")) | last }}
{{ range(200000) }}
{{ l | sort(attribute="x") }}
{{ [1, "a"] | sort }}
{{ [{}, {}] | sort }}
{{ "abc".index("z") }}
{{ "abc" | int(none) }} {{ "z" | int(none) }}
{{ l[1.0] is defined }} {{ l["x"] is defined }} {{ l[true] }} {{ d[1] is defined }} \
{{ "abc"[none] is defined }}
{{ l["a":] }}
{{ n[1:] }}
{{ l[::0] }}
{{ d[1:2] }}
{{ l | length > 2 and l | first == 3 }} {{ "a" "b" ~ "c" | upper }} \
{{ 1 if true }}{{ 2 if false }} {{ not true == false }} {{ (not true) == false }} {{ 10 - 2 | abs }}
{{ 1 + 1 ~ 1 }}
{{ loop is defined }} {% for x in [1] %}{% for y in [1, 2] %}{{ loop.index }}{% endfor %}\
{{ loop.index }}{% endfor %} {% for x in l %}{% set x = x * 2 %}{{ x }}{% endfor %}
{% for k, v in {"a": 1}.items() %}{% for k2 in [k] %}{{ k2 }}{{ v }}{% endfor %}{% endfor %} \
{% set x = 3 %}{% macro g(x) %}{{ x }}{% endmacro %}{{ g(4) }}{{ x }} \
{{ x if x is defined and x else "none" }}
{% for x in l if ns is defined %}{{ x }}{% endfor %}{% set ns = namespace(stop=false) %}\
{% for x in l if not ns.stop %}{{ x }}{% set ns.stop = true %}{% endfor %}
{% print(1) %} {% print i %} {{ 1, 2 }} {{ (1) }} {{ ((1,)) }}
{{ strftime_now("%Y") | length }} {{ strftime_now is defined }} {{ range is defined }} \
{{ messages is defined }} {{ cycler is defined }}
{{ d.a[1].x is none }} {{ d.C is true }} {{ d | length }} {{ d.items() | length }} \
{{ d.a | length }} {{ d.copy().b }} {{ d == d }} {{ l == l[:] }} {{ l.index(2) }} {{ l.count(1) }} \
{{ (1, 2).index(2) }}
{{ "a b c" | replace(" ", "") }} {{ s | trim | replace("World", "X") | upper }} \
{{ (["x"] * 3) | length }} {{ "abc"[:2] ~ "z" }} {{ t.split(" ")[1] }} {{ t.upper() }} \
{{ t | title }} {{ t.encode is defined }}
{% set foo = undefined_thing %}{{ foo is defined }} {{ [undefined_thing] }} \
{{ undefined_thing == undefined_thing }} {{ undefined_thing or "x" }} {{ undefined_thing ~ "a" }} \
{{ undefined_thing in l }} {{ 1 in undefined_thing }} \
{{ undefined_thing | string }}| {{ undefined_thing | list }} \
{{ undefined_thing | default }}| {{ [undefined_thing, 1] | join("-") }} \
{{ undefined_thing | upper }}| {{ undefined_thing | trim }}|
{% if s.strip().startswith("Hello") and s.strip()[-1] == "!" %}match{% endif %} \
{{ "abc" in ["abc"] }} {{ ["a"] in [["a"]] }} {{ s.strip().split(",")[1].strip() }} {{ "\\n" }} \
{{ '\'' }} {{ "a\\b" }}
{{ 1 if 1 is defined else 2 }} {{ "x" is string and "y" }} {{ 5 is divisibleby 5 and true }} \
{{ i is in [7] }} {{ i is not in [7] }} {{ [i is odd, not i is even] }}
{%- macro x(a) -%}  {{ a }}  {%- endmacro -%}[{{ x(1) }}] {% macro y(a) %}

 {{ a }}

{% endmacro %}[{{ y(1) }}]
a
{%- if true %}

b
{%- endif %}

c

d
{% for x in l -%}
  {{ x }}
{%- endfor %}
end
	{% if true %}	
tab
	{% endif %}	
{{ "trailing" }}

{{ 1 }}
{{ 2 }}

{% set x = 1 -%}
   y
{%- set x = 2 %}
z
{{ }}
{{ 1 + }}
{% if %}{% endif %}
{% if true %}
{% for x in l %}
{% endfor %}
{% endif %}
{% elif %}
{% unknown %}
{{ "abc }}
{{ 'a' 'b }}
{{ (1 }}
{{ 1) }}
{{ [1, 2 }}
{{ {1: 2 }}
{{ a b }}
{% for in l %}{% endfor %}
{% for x l %}{% endfor %}
{% for x in %}{% endfor %}
{% for loop in l %}{% endfor %}
{% set 1 = 2 %}
{% set true = 2 %}
{% set x = %}
{% set x.y.z = 1 %}
{% macro %}{% endmacro %}
{% macro f(a=1, b) %}{% endmacro %}
{% macro f(a, a.b) %}{% endmacro %}
{% call f %}{% endcall %}
{% break %}
{% continue %}
{% for x in l %}{% macro f() %}{% break %}{% endmacro %}{% endfor %}
{# never ends
{% raw %} never ends
{% if true
{{ i
{{ i }
{{ i | }}
{{ i is }}
{{ i is defined is defined }}
{{ f(a=1, 2) }}
{{ f(**a, *b) }}
{{ f(a b) }}
{{ i ! j }}
{{ i ? j }}
{{ @ }}
{{ 1..2 }}
{{ a.b. }}
{{ a. }}
{{ a[ }}
{{ a[] }}
{{ if }}
{{ not }}
{{ "\xZZ" }}
{{ "\u12" }}
{% endfor %}
{% endif %}
{% else %}
{% if true %}{% else %}{% else %}{% endif %}
{% filter %}{% endfilter %}
{% filter upper %}
{% set x %}
{% with a %}{% endwith %}
{% generation %}
{% if true %}a{% endfor %}
{%%}
{{ - }}
{{ * }}
{{ 1 if }}
{{ 1 is not }}
{{ x.1a }}
{% for x in l %}{{ i }}{% endfor %}{% set i = 1 %}{{ i }}
{% macro f() %}{{ i }}{% endmacro %}{{ f() }}{% set i = 1 %}{{ f() }}
{{ i }}{% for x in l %}{{ i }}{% endfor %}{% set i = 1 %}{{ i }}
{% for x in l %}{% set i = x %}{{ i }}{% endfor %}{{ i }}
{% for x in l %}{% if x == 1 %}{% set i = x %}{% endif %}{{ i }}{% endfor %}{{ i }}
{% if false %}{% set i = 3 %}{% endif %}{{ i }}
{% for x in l %}{% for y in l %}{{ i }}{% endfor %}{% set i = x %}{% endfor %}{{ i }}
{% macro f() %}{% set i = 2 %}{{ i }}{% endmacro %}{{ f() }}{{ i }}
{% macro f() %}{% for x in l %}{{ i }}{% endfor %}{% set i = 2 %}{% endmacro %}{{ f() }}{{ i }}
{% set v = 1 %}{% for x in l %}{{ v }}{% set v = v + 1 %}{% endfor %}{{ v }}
{% set v = 1 %}{% macro f() %}{{ v }}{% set v = 5 %}{{ v }}{% endmacro %}{{ f() }}{{ v }}\
{% set v = 7 %}{{ f() }}
{% for x in l %}{% macro f() %}{{ x }}{{ i }}{% endmacro %}{{ f() }}{% set i = 8 %}{{ f() }}\
{% endfor %}
{% set q %}{% set i = 9 %}{{ i }}{% endset %}{{ q }}{{ i }}
{% with i = 2 %}{{ i }}{% set i = 3 %}{{ i }}{% endwith %}{{ i }}
{% with a = i, i = 4 %}{{ a }}{{ i }}{% endwith %}
{% for i in l %}{{ i }}{% endfor %}{{ i }}
{% for i in l %}{% for i in [8] %}{{ i }}{% endfor %}{{ i }}{% endfor %}{{ i }}
{% macro f(i) %}{% if true %}{% set i = i + 1 %}{% endif %}{{ i }}{% endmacro %}{{ f(1) }}
{% call(i) g() %}{{ i }}{% endcall %}{% macro g() %}{{ caller(3) }}{% endmacro %}
{% macro g() %}{{ caller(3) }}{{ i }}{% endmacro %}{% call(i) g() %}{{ i }}{% endcall %}
{% if i %}{% for x in l %}{{ n2 }}{% set n2 = x %}{% endfor %}{% endif %}{{ n2 is defined }}
{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}G{% endmacro %}{{ f() }}
{% for x in l %}{{ g() }}{% endfor %}{% macro g() %}G{% endmacro %}
{% for x in l if x > i - 6 %}{{ x }}{% set i = 0 %}{% endfor %}
{% filter upper %}{% set i = "a" %}{{ i }}{% endfilter %}{{ i }}
{% generation %}{% set i = "a" %}{{ i }}{% endgeneration %}{{ i }}
{% for x in l %}{% if x == 3 %}{% set first = x %}{% endif %}{{ first is defined }}{% endfor %}
{% set i = i + 1 %}{{ i }}
{% for x in l %}{% set i = i + 1 %}{{ i }}{% endfor %}{{ i }}
{% if true %}{% macro f() %}{{ z9 }}{% endmacro %}{% endif %}{% set z9 = 4 %}{{ f() }}
{% for x in [] %}{% else %}{% set i = 1 %}{{ i }}{% endfor %}{{ i }}
{% for x in [1] %}{% else %}{{ x }}{% endfor %}{{ x is defined }}
{{ '12345678901234567890'|float }} {{ big|float }} {{ 1e20|round }} {{ 9.3e18|round }} \
{{ ('9' * 17)|float }} {{ '9007199254740993'|float }} {{ ('1' * 500 ~ 'e-450')|float }} \
{{ ('0.' ~ '0' * 500 ~ '1e500')|float }} {{ 123456789012345678.9|round(2) }}
{{ ['1_0.5', '1_0', '1__0', '_1', '1_', '1_.5', '1._5', '1.5_5', '1e1_0', '1e_1', '1_e1', '+.5', \
'5.', '.', '.e1', '1.2.3', '1e', '1e+', '0x10', '00001.5', '0e99999999999999999999']|map('float')\
|list }}
{{ ['-inf', '+Infinity', ' INFINITY ', '-nan', 'infi', 'i_nf', 'inf\x00', '1e400', '-1e400', \
'1e-400', '1e99999999999999999999', '4.9e-324']|map('float')|list }}
{{ ['1_0', '1__0', '_1', '1_', '+1', '+-1', '- 1', ' 1 ', '1 1', '+_1', '', '+', '0x1f', '0_7', \
'00', '1\x00', 'inf', 'nan', '1e400', '1e5', '-1e19', '9.3e18']|map('int')|list }}
{{ ['٣', '१२', '𝟗𝟎', '１２', '٣_١', '²', '\u00a0 1\u2003', '\x1c1', '1\x1f', '\x0b1\x0c']\
|map('int')|list }} {{ ['١٢.٥', '𝟗𝟎', '\x1c1']|map('float')|list }}
{{ '0x_1f'|int(0, 16) }} {{ '0x__1f'|int(7, 16) }} {{ '-0X1F'|int(7, 16) }} \
{{ '0B1_01'|int(7, 2) }} {{ '0o17'|int(7, 8) }} {{ '0x1f'|int(7, 0) }} {{ '0b11'|int(7, 0) }} \
{{ '011'|int(7, 0) }} {{ '00'|int(7, 0) }} {{ 'zz'|int(7, 36) }} {{ '12'|int(7, 37) }} \
{{ '12'|int(7, 1) }} {{ 'x'|int(7, 1) }} {{ '0x'|int(7, 16) }}
{{ '12345678901234567890'|int }} {{ '-12345678901234567890'|int }} {{ '0' * 30 ~ '7'|int }} \
{{ '9223372036854775808'|int }} {{ '-9223372036854775808'|int - 0 }} {{ 1e20|int }} \
{{ -9.3e18|int }} {{ ('1' * 4300)|int|string|length }} {{ ('1' * 4301)|int(3) }}
{{ ('1' * 400)|int|float }}
{% set u = {"__x": 1, "_y": 2, "__class__": 3, "__": 4, "__init__": 5, "keys": 6, "__xyz__": 7} %}\
{{ u.__x }} {{ u._y }} {{ u.__class__ }}|{{ u["__class__"] }} {{ u.__ }} {{ u.__init__ }}|\
{{ u["__init__"] }} {{ u.__xyz__ }} {{ u["__zz"] is defined }} {{ u.__zz is defined }} \
{{ u|attr("__x") is defined }} {{ [u]|map(attribute="__x")|list }} {{ "{0.__x}".format(u) }}
{{ {"__iter__": 1}.__iter__.x }}
{% macro m(a, b=2) %}{% endmacro %}{{ m.name }} {{ m.arguments }} {{ m["name"] }} \
{{ m.catch_kwargs }} {{ m.catch_varargs }} {{ m.caller }} {{ m.explicit_caller }} {{ m.foo }}| \
{{ m }} {{ [m] }} {{ m.__class__ }}| {{ m._func }}| {{ m|attr("name") }}
{% macro m() %}{{ kwargs }}{{ varargs }}{{ caller() }}{% endmacro %}{{ m.arguments }} \
{{ m.catch_kwargs }} {{ m.catch_varargs }} {{ m.caller }} {{ m.explicit_caller }}
{% macro m() %}{{ caller.name }} {{ caller.arguments }} {{ caller }}{% endmacro %}\
{% call(a) m() %}{% endcall %} {% macro n(caller=none) %}{{ caller }}|{% endmacro %}{{ n() }}\
{{ n(3) }}{{ n(caller=4) }}{{ n.caller }}{{ n.explicit_caller }} {% call n() %}in{% endcall %}
{% macro n(kwargs, varargs=1) %}{{ kwargs }}{{ varargs }}{% endmacro %}{{ n(5) }}\
{{ n.catch_kwargs }}{{ n.catch_varargs }} \
{% macro o() %}{% set kwargs = 1 %}{{ kwargs }}{% endmacro %}{{ o() }}{{ o.catch_kwargs }} \
{% macro p() %}{% macro q(a) %}{{ varargs }}{% endmacro %}{{ q(1, 2) }}{% endmacro %}{{ p(3) }}\
{{ p.catch_varargs }} {% macro r() %}{% macro q(caller) %}{% endmacro %}{{ caller }}{% endmacro %}\
{{ r.caller }}
{% macro o() %}{% set kwargs = 1 %}{{ kwargs }}{% endmacro %}{{ o(x=2) }}
{% macro n(kwargs) %}{{ kwargs }}{% endmacro %}{{ n(5, x=2) }}
{% macro n(caller) %}{{ caller }}{% endmacro %}{{ n(1) }}
{{ 0x10 }} {{ 0X1f }} {{ 0b11 }} {{ 0B_1_0 }} {{ 0o17 }} {{ 0O1_7 }} {{ 0xFF_fe + 0x_1 }} {{ 00 }} \
{{ 0_0 }} {{ 1e400 }} {{ -1e400 }} {{ 1_0.0_1 }} {{ 1_0E1_0 }} {{ 1e-400 }} {{ l[0x1] }} \
{{ "a".0 }} {{ [[5, 6]].0.1 }} {{ 0xe+1 }} {{ 0e5 }} {{ 1e+2 }}
{{ 12345678901234567890 }} {{ -12345678901234567890 }} {{ -9223372036854775808 }} \
{{ +12345678901234567890 }} {{ -(-12345678901234567890) }} {{ 9223372036854775808 == big }} \
{{ 12345678901234567890 > 1 }} {{ 100000000000000000000000000000000000000000000000000000000000000 }}
{{ 007 }}
{{ 0070 }}
{{ 0x }}
{{ 0xg }}
{{ 0b2 }}
{{ 0b12 }}
{{ 0x1_ }}
{{ 0x__1 }}
{{ 1_ }}
{{ 0_7 }}
{{ 1e }}
{{ 0o18 }}
{% set größe = 1 %}{% set 名前 = "n" %}{% set _é2 = 3 %}{{ größe }}{{ 名前 }}{{ _é2 }}{{ ß }} \
{% macro ñ(ü=1) %}{{ ü }}{% endmacro %}{{ ñ() }}{{ ñ(ü=5) }} {{ {"é": 4}.é }} {{ a·b }} \
{% for ключ, é in {"k": 2}.items() %}{{ ключ }}{{ é }}{% endfor %} {% set ns = namespace(ä=1) %}\
{% set ns.ä = ns.ä + 1 %}{{ ns.ä }} {{ "x".é is defined }} {{ ℮ }}{{ e٣ }}
{{ a² }}
{{ ² }}
{{ ٣ }}
{{ 🙂 }}
{{ a🙂 }}
{{ i•j }}
{{ ́a }}
{% é %}
{{ i|é }}
{{ '{:010,}'.format(12345) }}
{{ '{:09,}|{:08,}|{:07,}|{:06,}|{:05,}|{:04,}'.format(12345,12345,12345,12345,12345,12345) }}
{{ \
'{:0=10,}|{:*=10,}|{:0<10,}|{:0>10,}|{:<010,}|{:>010,}'.format(12345,12345,12345,12345,12345,12345)\
 }}
{{ '{:010_}|{:+010,}|{: 010,}|{:010,}'.format(12345,12345,12345,-12345) }}
{{ \
'{:_x}|{:#_x}|{:012_x}|{:#012_b}|{:_o}|{:_b}|{:_X}'.format(1234567,1234567,1234567,37,1234567,12345\
67,1234567) }}
{{ \
'{:,}|{:,.2f}|{:,.0f}|{:020,.2f}|{:,e}|{:,g}|{:,%}'.format(1234567.891,1234567.891,1234567.891,1234\
567.891,1234567.891,1234567.891,1234567.891) }}
{{ '{:020,.2f}|{:019,.2f}|{:018,.2f}'.format(-1234.5,-1234.5,-1234.5) }}
{{ '{:,.60f}'.format(1e60) }} {{ '{:,}'.format(1e15) }} {{ '{:,}|{:,}'.format(1e16,1e-7) }}
{{ '{:06d}|{:<06d}|{:^06d}|{:06}'.format(42,42,42,4.5) }} {{ '{:06}'.format('ab') }}
{{ '{:<06}|{:06s}'.format('ab','ab') }}
{{ \
'{:.3}|{:.5}|{:.1}|{:.2}|{:.3}|{:.17}|{:.0}|{:.3}'.format(300.0,300.0,0.0,123.0,123.4,0.1,5.5,1e-5)\
 }}
{{ '{:.3}|{:.3}|{:.4}|{:.10}|{:10.3}|{:.1}|{:.20}'.format(1e10,999.9,999.99,2.0,2.0,10.0,1e15) }}
{{ '{:5}|{:<5}|{:^5}'.format(true,1.5,1.5) }} {{ '{:{}}'.format(3, 5) }}
{{ '{:{}.{}f}|'.format(3.14159, 10, 2) }} {{ '{0:{1}}'.format(3, 5) }}
{{ '{x:{w}}|'.format(x='a', w=5) }} {{ '{:{}{}}|'.format('a', '>', 5) }}
{{ '{:{w[0]}}|'.format('a', w=[4]) }} {{ '{!r:{}}|'.format('a', 5) }}
{{ '{:{!r}}|'.format('a', 5) }} {{ '{}{x}{}'.format(1,2,x=3) }}
{{ '{!s:>5}|{!r:>5}'.format(1,'a') }} {{ '{:x}'.format(-255) }}
{{ '{:#x}|{:#o}|{:#b}|{:#X}|{:#010x}'.format(255,8,5,255,255) }}
{{ '{:c}|{:5c}|'.format(65,66) }} {{ '{:n}|{:n}'.format(1234567,2.5) }}
{{ '{: }|{:+}|{:-}'.format(1,1,1) }} {{ '{:%}'.format(1) }}
{{ '{:.0f}|{:#.0f}|{:g}|{:#g}|{:G}|{:E}'.format(2.5,2.5,2.5,2.5,1e20,1.5) }}
{{ '{:e}'.format(10) }} {{ '{}'.format(none) }} {{ '{:>10}|{:é^7}'.format('東京','x') }}
{{ '{a.b[c].d}'.format(a={'b': {'c': {'d': 9}}}) }}
{{ '{0[a b]}{0[-1]}'.format({'a b': 1, '-1': 2}) }} {{ '{0[}]}'.format({'}': 1}) }}
{{ '{0[{]}'.format({'{': 1}) }} {{ '{00}'.format(1) }} {{ '{0:}'.format(1) }}
{{ '}}{{'.format() }} {{ '{}'.format(big) }} {{ '{:d}'.format(big) }}
{{ '{:,}'.format(big) }} {{ '{:>40}'.format(big) }} {{ '{:.2f}'.format(big) }}
{{ '%d' % big }} {{ '%d' % 1e20 }} {{ '%s' % big }} {{ '%05d|%5d|%-5d|%+d' % (3,3,3,3) }}
{{ '%.3d' % 5 }} {{ '%c' % 300 }} {{ '%5.1f|%-8.2e|%08.2f' % (3.14159, 1234.5, -3.14159) }}
{{ '%s %r' % ('é', 'é') }} {{ '%i%%' % 5 }}
{{ '%*d|%-*d|%.*f' % (5, 3, 5, 3, 2, 3.14159) }} {{ '%#x|%#X|%#o' % (255,255,8) }}
{{ '%u' % 5 }} {{ '%ld' % 5 }} {{ '%F' % 1.5 }}
{{ '%5s|%.2s|%-5s|' % ('abc','abc','abc') }} {{ '%05s' % 'a' }} {{ '% 05d' % 3 }}
{{ '%+.1e' % 1e10 }} {{ '%(a)s%(b)05d' % {'a': 1, 'b': 2} }} {{ '%s' % {'a': 1} }}
{{ '%s' % none }} {{ '%f' % true }} {{ '%s|%s' % (1.0, 1e16) }}
{{ '%g|%g|%g' % (1e5, 1e6, 1e-5) }}
{{ \
'{:010,}|{:08,}|{:010}|{:07,}|{:09,}'.format((e~'inf')|float,(e~'inf')|float,(e~'nan')|float,(e~'-i\
nf')|float,(e~'inf')|float) }}
{{ '{:.3}|{:.0f}|{:e}'.format((e~'inf')|float,(e~'nan')|float,(e~'-inf')|float) }}
{{ '{0[0]}{}'.format([1],2) }} {{ '{}{0[0]}'.format([1],2) }}
{{ '{x:{y}}{:{}}|{}'.format(1,5,9,x='a',y=3) }} {{ '{:05c}|{:<5c}|'.format(65,66) }}
{{ '{:c}'.format(0x1F642) }} {{ '{:#.3}|{:#}'.format(1.5,2.5) }}
{{ '{:+.3}|{:-.3}|{:08.3}|{:,.9}'.format(1.5,-2.5,-2.5,1234567.25) }}
{{ '{:.60}|{:.15}'.format(1/3,1/3) }} {{ '{:.1%}'.format(0.1234) }}
{{ '{:012,.1%}'.format(123.4) }} {{ '{:+,}'.format(-big) }} {{ '{:045,}'.format(big) }}
{{ '{:x}'.format(5000000000) }}
{{ '%.5d|%+.5d|%08.5d|%-8.5d|%.5x|%#.5x|%.0d' % (5,5,5,5,255,255,0) }}
{{ '%c|%5c|%-5c|' % (65, 'b', 66) }} {{ '{0!r:>{1}}'.format('x', 6) }}
{{ '{!s}{!r}'.format(undefined_thing, 1) }}
{{ '{}|{:}'.format(undefined_thing, undefined_thing) }} {{ '{!r:}'.format('a') }}
{{ '{:{}}'.format('abc', '') }} {{ '{:{}}|'.format('abc', '<6.2') }}
{{ '{:_x}|{:_X}|{:012_x}'.format(3735928559,3735928559,11) }}
{{ '{:,x}'.format(5) }}
{{ '{:,b}'.format(5) }}
{{ '{:,s}'.format('a') }}
{{ '{:_s}'.format('a') }}
{{ '{:,}'.format('a') }}
{{ '{:,c}'.format(65) }}
{{ '{:=6}'.format('ab') }}
{{ '{:.3}'.format(3) }}
{{ '{:.3d}'.format(3) }}
{{ '{:{0}}'.format(3, 5) }}
{{ '{:{:{}}}'.format(1,2,3) }}
{{ '{:{{}}}'.format(3, 5) }}
{{ '{:}}'.format(1) }}
{{ '{:{}'.format(1,2) }}
{{ '{0}{}'.format(1,2) }}
{{ '{}{0}'.format(1,2) }}
{{ '{!x}'.format(1) }}
{{ '{!}'.format(1) }}
{{ '{!rr}'.format(1) }}
{{ '{:d}'.format(1.5) }}
{{ '{:+}'.format('a') }}
{{ '{:s}'.format(1) }}
{{ '{:5}'.format(none) }}
{{ '{:5}'.format([1]) }}
{{ '{[0]}{.a}'.format([1], {'a': 2}) }}
{{ '{0[]}'.format([1]) }}
{{ '{0.}'.format([1]) }}
{{ '{0[0}'.format([1]) }}
{{ '{0[0]x}'.format([1]) }}
{{ '{ 0 }'.format(1) }}
{{ '{-1}'.format(1) }}
{{ '}'.format() }}
{{ '{'.format() }}
{{ '%x' % 1.5 }}
{{ '%d' % '5' }}
{{ '%' % () }}
{{ '%z' % 1 }}
{{ '%s' % () }}
{{ '{:{{x}}}'.format(1) }}
{{ '{:{{}'.format(1) }}
{{ '{:c}'.format(-1) }}
{{ '{:#c}'.format(65) }}
{{ '{:+c}'.format(65) }}
{{ '{:#s}'.format('a') }}
{{ '{:-}'.format('a') }}
{{ '{:,n}'.format(1) }}
{{ '{:5}'.format(undefined_thing) }}
{{ '{ }'.format(1) }}
{{ '{0!}'.format(1) }}
{{ '{0!r'.format(1) }}
{{ '{a[}'.format(a=1) }}
{{ '{0:0>{w}}'.format('a', w='x') }}
{{ '{:{}}'.format(1) }}
{{ 1250|round(-2) }} {{ 1350|round(-2) }} {{ -1350|round(-2) }} {{ 1250.0|round(-2) }}
{{ 1250.1|round(-2) }} {{ 150.4|round(-2) }} {{ 250.4|round(-2) }} {{ 50.0|round(-2) }}
{{ 50.5|round(-2) }} {{ 49.0|round(-2) }} {{ -40.0|round(-2) }} {{ -51.0|round(-2) }}
{{ 5|round(-1) }} {{ 15|round(-1) }} {{ true|round(-1) }} {{ true|round }}
{{ 9223372036854775807|round(-19) }} {{ 9223372036854775807|round(-18) }}
{{ 9223372036854775807|round(-20) }} {{ 9223372036854775807|round(-1) }}
{{ -9223372036854775807|round(-3) }} {{ 1|round(-400) }} {{ 1.5|round(-400) }}
{{ -1.5|round(-309) }} {{ 1.4e308|round(-308) }} {{ 5e22|round(-23) }}
{{ 6e22|round(-23) }} {{ 123456.789|round(-3) }} {{ 1e300|round(-299) }}
{{ 1.23456e300|round(-298) }} {{ 0.5|round(-1) }} {{ 2.675|round(2) }} {{ 0.1|round(20) }}
{{ 1.5e-10|round(12) }} {{ 1e-300|round(305) }} {{ 5e-324|round(323) }}
{{ 1.5|round(400) }} {{ 1/3|round(17) }} {{ 1/3|round(30) }} {{ big|round }}
{{ big|round(3) }} {{ 1250|round(-2,'ceil') }} {{ 1250.5|round(-2,'floor') }}
{{ -0.5|round(0,'ceil') }} {{ (-0.5)|round(0,'ceil') }} {{ (-0.05)|round(1,'ceil') }}
{{ 5|round(1,'floor') }} {{ 7|round(method='ceil') }} {{ 1.23456789|round(7,'ceil') }}
{{ 1.5|round(0,'common') }} {{ (e~'inf')|float|round }} {{ (e~'nan')|float|round(2) }}
{{ 1|round(25,'floor') }} {{ 1.1|round(22,'floor') }} {{ 2.5|round|int }}
{{ 9007199254740993|round(3,'floor') }} {{ 12345678901234567|round(-2,'ceil') }}
{{ 1.7e308|round(-308) }}
{{ 1.5|round(0,'up') }}
{{ 1.5|round(0,none) }}
{{ 'a'|round }}
{{ none|round }}
{{ 1.5|round(1.5) }}
{{ (e~'inf')|float|round(0,'ceil') }}
{{ (e~'nan')|float|round(0,'floor') }}
{{ 1|round(-400,'floor') }}
{{ m|groupby('role', default='x')|list|length }}
{% for k, g in m|groupby('a.b', default='none') %}{{ k }}:{{ g|map(attribute='content')|join(',') \
}};{% endfor %}
{% for k, g in m|groupby('zz', 'dflt') %}{{ k }}:{{ g|length }};{% endfor %}
{% for k, g in [{'v':'B'},{'v':'a'},{},{'v':'b'}]|groupby('v', default='A') %}{{ k }}:{{ g }};{% \
endfor %}
{% for k, g in [{'v':'B'},{'v':'a'},{},{'v':'b'}]|groupby('v', 'A', true) %}{{ k }}:{{ g }};{% \
endfor %}
{% for k, g in [{'v':1},{},{'v':0}]|groupby('v', default=0) %}{{ k }}:{{ g }};{% endfor %}
{% for g in m|groupby('role') %}{{ g.grouper }}{{ g.list|length }}{{ g[0] }}{% endfor %}
{{ m|groupby('role') }}
{% for g in m|groupby('role') %}{{ g['grouper'] }}{{ g[1:]|length }}{{ g }}{{ g|length }}{{ g == \
(g.grouper, g.list) }}{{ g[:].grouper }}{% endfor %}
{{ m|groupby('role')|map(attribute='grouper')|join }}
{% for k, g in [{},{}]|groupby('v', none) %}{{ k }}:{{ g }};{% endfor %}
{{ [{'v':1},{}]|groupby('v') }}
{{ [{'v':1},{}]|groupby('v', default='x') }}
{{ 1e20|int == 1e20 }} {{ 1e20 == 100000000000000000000 }}
{{ 100000000000000000001 == 1e20 }} {{ 100000000000000000001 > 1e20 }}
{{ 99999999999999999999 < 1e20 }} {{ -100000000000000000001 < -1e20 }}
{{ 100000000000000000000 <= 1.5 }} {{ -100000000000000000000 < 1.5 }}
{{ 1.5 < 100000000000000000000 }} {{ (e~'inf')|float > big }} {{ (e~'-inf')|float < big }}
{{ big < (e~'-inf')|float }} {{ big < (e~'nan')|float }} {{ big > (e~'nan')|float }}
{{ big == (e~'nan')|float }} {{ big == big }} {{ big != big }} {{ big > 5 }} {{ 5 < -big }}
{{ big == 5 }} {{ [1e20, 100000000000000000000, 100000000000000000001]|unique|list }}
{{ [big, 1, -big, 2.5, 1e29, 2e29]|sort }} {{ {100000000000000000000: 1}[1e20] }}
{{ {1e20: 1}.get(100000000000000000000) }} {{ 100000000000000000000 * 1.5 }}
{{ 1.5 - 100000000000000000000 }} {{ big / 2.0 }} {{ 2.0 // big }} {{ big % 7.5 }}
{{ 1e300 * big }} {{ big|abs }} {{ -big|abs }} {{ (-big)|abs }}
{{ 9223372036854775808|abs }} {{ (-9223372036854775809)|abs }} {{ big in [1, big] }}
{{ big is sameas 5 }} {{ big is eq(big) }} {{ big is gt(1.5) }} {{ [big, 2]|max }}
{{ {9.1e18: 1}[9100000000000000000] }} {{ {(e~'nan')|float: 1, (e~'inf')|float: 2} }}
{{ {9.223372036854775807e18: 1}.get(9223372036854775807, 3) }}
{{ ('9'*400)|int * 1.0 }}
{{ 2.5|round(none) }} {{ 1e20|round(none) }} {{ 7|round(none) }} {{ 3.5|round(none, "common") }}
{{ 2.5|round(none, "floor") }}
{{ (e~"inf")|float|round(none) }}
{% macro m() %}{{ varargs }}{% endmacro %}{{ m.arguments }}{{ m.name|upper }}{{ m.x is defined }}
{% macro m() %}{% for kwargs in [1] %}{{ kwargs }}{% endfor %}{% endmacro %}{{ m.catch_kwargs }}{{ \
m() }}
{% macro m() %}{% call n() %}{{ caller }}{% endcall %}{% endmacro %}{{ m.caller }}
{% macro m() %}{{ kwargs.a }}{% set kwargs = 2 %}{{ kwargs }}{% endmacro %}{{ m(a=1) }}
{% macro m(x=caller) %}{% endmacro %}{{ m.caller }}
{% macro m() %}{% if caller %}{{ caller() }}{% else %}none{% endif %}{% endmacro %}{{ m() }}{% \
call m() %}c{% endcall %}
{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}{% call m() %}c{% endcall %}
{% macro outer() %}{% macro inner() %}{{ caller() }}{% endmacro %}{% call inner() %}x{% endcall \
%}{% endmacro %}{{ outer() }}{{ outer.caller }}
{% macro a(x) %}{{ x }}{{ caller(1) }}{% endmacro %}{% call(y) a(2) %}<{{ y }}>{% endcall %}
{% macro a() %}{% set x = varargs %}{{ x }}{% endmacro %}{{ a(1, 2) }}
{% macro a() %}{% set varargs = varargs %}{{ varargs }}{% endmacro %}{{ a() }}
{% macro a() %}{% with kwargs = 1 %}{{ kwargs }}{% endwith %}{% endmacro %}{{ a() }}{{ \
a.catch_kwargs }}
{% macro a() %}{% with kwargs = kwargs %}{{ kwargs }}{% endwith %}{% endmacro %}{{ a.catch_kwargs }}
{% macro a() %}{% set ns = namespace(kwargs=1) %}{{ ns.kwargs }}{% endmacro %}{{ a() }}{{ \
a.catch_kwargs }}
{% macro a() %}{% for x in l if kwargs %}{{ x }}{% endfor %}{% endmacro %}{{ a(k=1) }}{{ \
a.catch_kwargs }}
{% macro a() %}{% set x %}{{ kwargs }}{% endset %}{{ x }}{% endmacro %}{{ a(k=1) }}{{ \
a.catch_kwargs }}
{% macro a() %}{{ f(kwargs=1) }}{% endmacro %}{{ a.catch_kwargs }}
{% macro a() %}{% set varargs = [] %}{{ varargs }}{% endmacro %}{{ a(1) }}
""".replace("\\\n", "")


# Formats for strftime_now, at each of some moments of a clock in UTC.
CLOCK = ["%" + m + c for m in ("", "E", "O") for c in string.ascii_letters + "%+ "
         if m + c not in ("Ez", "EZ")]
CLOCK = ["|".join(CLOCK[i:i + 20]) for i in range(0, len(CLOCK), 20)] + [
    "%^a|%#a|%^A|%#b|%^h|%#h|%#B|%^p|%#p|%P|%#P|%^P|%^c|%#c|%^x|%^r|%^d|%#Y|%^Q|%^n%#t%^%",
    "%5d|%_5d|%-5d|%05d|%-d|%_d|%0e|%-e|%_H|%-I|%0k|%0l|%_j|%-j|%-y|%_y|%_m|%10Y|%_10Y|%-U|%015s",
    "%10A|%-10A|%_10A|%010A|%^10b|%20c|%020c|%12F|%012F|%_12F|%-F|%10D|%12r|%8R|%10T|%5p|%05P|%3%",
    "%Q|%5Q|%05Q|%^5Q|%5f|%-f|%^f|%_-05d|%#^a|%+Y|%:z|%E|%5|%é|%5é|%-Ey|%_3Od|%05Om|%E5d|%%d",
    "%", "a%", "%5", "%-", "%E"]
MOMENTS = [1707116889, 951825599, 1230768000]


def cases():
    """Each line is a template, but for some that have several: these are known by their first."""
    lines = CASES.strip("\n").split("\n")
    out, at = [], 0
    while at < len(lines):
        line, n = lines[at], 1
        if line == "  {% if true %}   ": n = 4
        elif line == "{% if true %}" and lines[at + 1] == "line": n = 4
        elif line in ("{{ 'a", "  {#- comment -#}  ", "  {# comment #}  "): n = 2
        elif line == "  {%+ if true +%}": n = 3
        elif line == "{% raw %}": n = 4
        elif line.startswith("{%- macro x(a) -%}"): n = 5
        elif line == "a": n = 9
        elif line == "{% for x in l -%}": n = 4
        elif line == "\t{% if true %}\t": n = 3
        elif line == '{{ "trailing" }}': n = 4
        elif line == "{% set x = 1 -%}": n = 4
        out.append("\n".join(lines[at:at + n]))
        at += n
    return [c for c in out if c] + ["", "\n", "\n\n", "a\r\nb\rc\n", "a\n", " {{ i }}\n",
                                    "{{ i }}\n\n"]


def quote(text):
    out = "".join(c if 32 <= ord(c) < 127 and c not in '"\\?'
                  else "".join(f"\\{b:03o}" for b in c.encode()) for c in text)
    parts = [out[i:i + 88] for i in range(0, len(out), 88)] or [""]
    for i in range(len(parts) - 1):                    # not inside an escape
        for k in range(1, 4):
            if "\\" in parts[i][-k:] and len(parts[i]) - parts[i].rindex("\\") < 4:
                cut = parts[i].rindex("\\")
                parts[i + 1] = parts[i][cut:] + parts[i + 1]
                parts[i] = parts[i][:cut]
    return "\n     ".join(f'"{p}"' for p in parts)


def main():
    print("/* reference_cases.h - small templates and what Jinja makes of them as transformers "
          "sets "
          "it up;\n * NULL: it fails. Written by tests/oracle/make_chat_cases.py. */")
    print(f"static const char VARIABLES[] =\n     {quote(json.dumps(V))};\n")
    print("static const struct { const char *text, *expected; } CASES[] = {")
    for case in cases():
        try:
            value = quote(_compile_jinja_template(case).render(
                messages=[{"role": "user", "content": "x"}], tools=None, documents=None,
                add_generation_prompt=True, **V))
        except Exception:
            value = "NULL"
        print(f"    {{{quote(case)},\n     {value}}},")
    print("};")
    os.environ["TZ"] = "UTC"
    time.tzset()
    print("static const struct { long long now; const char *format, *expected; } CLOCK[] = {")
    for now in MOMENTS:
        date = datetime.datetime.fromtimestamp(now)
        for text in CLOCK:
            print(f"    {{{now},\n     {quote(text)},\n     {quote(date.strftime(text))}}},")
    print("};")


if __name__ == "__main__":
    main()
