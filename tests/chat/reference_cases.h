/* reference_cases.h - small templates and what Jinja makes of them as transformers sets it up;
 * NULL: it fails. Written by tests/oracle/make_chat_cases.py. */
static const char VARIABLES[] =
     "{\042s\042: \042  Hello, World!\134t\042, \042t\042: \042na\134u00efve \134u6771\134u4ea"
     "c \134ud83d\134ude42\042, \042e\042: \042\042, \042n\042: null, \042i\042: 7, \042f\042:"
     " 2.5, \042neg\042: -3, \042big\042: 123456789012345678901234567890, \042l\042: [3, 1, 2]"
     ", \042w\042: [\042b\042, \042A\042, \042c\042, \042B\042], \042d\042: {\042b\042: 1, "
     "\042a\042: [1, {\042x\042: null}], \042items\042: \042own\042, \042C\042: true}, \042m\042:"
     " [{\042role\042: \042user\042, \042content\042: \042hi\042, \042n\042: 2}, {\042role\042"
     ": \042assistant\042, \042content\042: \042yo\042, \042n\042: 1, \042tools\042: []}, {"
     "\042role\042: \042user\042, \042content\042: \042end\042, \042n\042: 2, \042a\042: {\042b"
     "\042: \042deep\042}}], \042q\042: \042it's \134\042q\134\042\134n\134\134\042, \042z\042: "
     "[[1, [2, [3]]], []]}";

static const struct { const char *text, *expected; } CASES[] = {
    {"plain text",
     "plain text"},
    {"a{{ i }}b",
     "a7b"},
    {"{{ s }}|{{ s|trim }}|{{ s.strip() }}|{{ s.lstrip() }}|{{ s.rstrip() }}",
     "  Hello, World!\011|Hello, World!|Hello, World!|Hello, World!\011|  Hello, World!"},
    {"x  {%- if true -%}  y  {%- endif -%}  z",
     "xyz"},
    {"  {% if true %}   \012 a\012  {% endif %}  \012b",
     "   \012 a\012  \012b"},
    {"{% if true %}\012line\012{% endif %}\012after",
     "line\012after"},
    {"   {{ i }}   ",
     "   7   "},
    {"   {{- i -}}   ",
     "7"},
    {"  {# comment #}  \012c",
     "  \012c"},
    {"  {#- comment -#}  \012d",
     "d"},
    {"x{# {{ not #}y",
     "xy"},
    {"{%+ if true %} a {%+ endif %} b",
     " a  b"},
    {"  {%+ if true +%}\012a{% endif +%}\012b",
     "  \012a\012b"},
    {"{% raw %}{{ i }} {% if %}{% endraw %}",
     "{{ i }} {% if %}"},
    {"  {%- raw -%}  a {{ b }}  {%- endraw -%}  c",
     "a {{ b }}c"},
    {"{% raw %}\012 a\012{% endraw %}\012b",
     "\012 a\012b"},
    {"{{ \042a\042 \042b\042 'c' }}",
     "abc"},
    {"{{ \042\134n\134t\134\134\134\042\134x41\134u00e9\134U0001F600\134101\134d\042 }}",
     "\012\011\134\042A\303\251\360\237\230\200A\134d"},
    {"{{ 'a\012b' }}",
     "a\012b"},
    {"{{ 1_000 }} {{ 1.5 }} {{ 1e3 }} {{ 1.5e-7 }}",
     "1000 1.5 1000.0 1.5e-07"},
    {"{{ .5 }}",
     NULL},
    {"{{ 1e16 }} {{ 123456789.0 }} {{ 1e22 }} {{ 0.1 + 0.2 }} {{ 100.0 }} {{ 1e-4 }} {{ 1e-5 }"
     "}",
     "1e+16 123456789.0 1e+22 0.30000000000000004 100.0 0.0001 1e-05"},
    {"{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7 / 2 }} {{ 2 ** 10 "
     "}} {{ 2 ** -1 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }}",
     "3 -4 1 2 -2 3.5 1024 0.5 3.0 0.5"},
    {"{{ 1 + 2 * 3 - 4 }} {{ (1 + 2) * 3 }} {{ -i }} {{ +i }} {{ - 3 | abs }} {{ -2 ** 2 }}",
     "3 9 -7 7 3 4"},
    {"{{ 2 ** 3 ** 2 }} {{ 1 - 2 - 3 }} {{ 8 / 4 / 2 }}",
     "64 -4 1.0"},
    {"{{ 1 ~ 2 ~ none ~ true ~ 1.0 }}",
     "12NoneTrue1.0"},
    {"{{ \042a\042 ~ 1 + 2 }}",
     NULL},
    {"{{ \042a\042 ~ 1 + \0422\042 }}",
     "a12"},
    {"{{ \042ab\042 * 3 }} {{ [1] * 2 }} {{ 3 * \042x\042 }} {{ \042a\042 + \042b\042 }} {{ [1"
     "] + [2] }} {{ (1,) + (2,) }}",
     "ababab [1, 1] xxx ab [1, 2] (1, 2)"},
    {"{{ 1 == 1.0 }} {{ true == 1 }} {{ \0421\042 == 1 }} {{ none == false }} {{ [1, 2] == [1,"
     " 2] }} {{ {\042a\042: 1} == {\042a\042: 1.0} }} {{ (1, 2) == [1, 2] }}",
     "True True False False True True False"},
    {"{{ 1 < 2 < 3 }} {{ 1 < 2 > 3 }} {{ \042a\042 < \042b\042 }} {{ [1, 2] < [1, 3] }} {{ 3 >"
     "= 3 }} {{ 2 <= 1 }} {{ 1 != 2 }}",
     "True False True True True False True"},
    {"{{ 1 in l }} {{ 9 not in l }} {{ \042a\042 in d }} {{ \042ell\042 in s }} {{ \042\042 in"
     " s }} {{ not 1 in l }} {{ \042b\042 in w and \042z\042 not in w }}",
     "True True True True True False True"},
    {"{{ 1 and 0 }} {{ 0 or \042x\042 }} {{ \042\042 or none }} {{ not \042\042 }} {{ 1 and 2 "
     "and 3 }} {{ none and 1 or 5 }}",
     "0 x None True 3 5"},
    {"{{ \042yes\042 if i else \042no\042 }} {{ \042yes\042 if e }}| {{ 1 if false else 2 if f"
     "alse else 3 }}",
     "yes | 3"},
    {"{{ undefined_thing }}|{{ undefined_thing is defined }}|{{ undefined_thing | default(\042"
     "d\042) }}|{{ e | default(\042d\042) }}|{{ e | default(\042d\042, true) }}|{{ n | default"
     "(\042d\042) }}",
     "|False|d||d|None"},
    {"{{ d.b }} {{ d[\042b\042] }} {{ d.missing is defined }} {{ d[\042items\042] }} {{ d.get("
     "\042b\042) }} {{ d.get(\042zz\042) }} {{ d.get(\042zz\042, 5) }}",
     "1 1 False own 1 None 5"},
    {"{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
     "b=1;a=[1, {'x': None}];items=own;C=True;"},
    {"{% for k in d %}{{ k }},{% endfor %} {{ d.keys() | list }} {{ d.values() | list }} {{ d."
     "items() }} {{ d.keys() }}",
     "b,a,items,C, ['b', 'a', 'items', 'C'] [1, [1, {'x': None}], 'own', True] dict_items([('b"
     "', 1), ('a', [1, {'x': None}]), ('items', 'own'), ('C', True)]) dict_keys(['b', 'a', 'it"
     "ems', 'C'])"},
    {"{{ l[0] }} {{ l[-1] }} {{ l[9] is defined }} {{ l[1:] }} {{ l[:1] }} {{ l[::-1] }} {{ l["
     "-2:] }} {{ l[5:] }} {{ l[::2] }} {{ l[2:0:-1] }}",
     "3 2 False [1, 2] [3] [2, 1, 3] [1, 2] [] [3, 2] [2, 1]"},
    {"{{ t[0] }} {{ t[6:8] }} {{ t[::-1] }} {{ t[-1] }} {{ t | length }} {{ t[::3] }} {{ t[:-3"
     "] }} {{ t[100:] }}|",
     "n \346\235\261\344\272\254 \360\237\231\202 \344\272\254\346\235\261 ev\303\257an \360"
     "\237\231\202 10 nv\346\235\261\360\237\231\202 na\303\257ve \346\235\261 |"},
    {"{{ s[2:7] }} {{ \042abc\042[1] }} {{ \042abc\042[9] is defined }} {{ \042abc\042.0 }} {{"
     " l.1 }}",
     "Hello b False a 1"},
    {"{{ (1, 2, 3)[1:] }} {{ (1,) }} {{ () }} {{ [] }} {{ {} }} {{ [1, \042a\042, none, true, "
     "1.5] }} {{ {\042a\042: \042b\042, 1: [2]} }}",
     "(2, 3) (1,) () [] {} [1, 'a', None, True, 1.5] {'a': 'b', 1: [2]}"},
    {"{{ q }} {{ [q] }} {{ [\042'\042] }} {{ ['\042'] }} {{ [\042'\134\042\042] }} {{ [\042"
     "\134n\134t\134r\134x00\134x7f\134u200b \303\251 \360\237\231\202 \134u00a0\042] }} {{ [\042"
     "\134\134\042] }}",
     "it's \042q\042\012\134 ['it\134's \042q\042\134n\134\134'] [\042'\042] ['\042'] ['\134'"
     "\042'] ['\134n\134t\134r\134x00\134x7f\134u200b \303\251 \360\237\231\202 \134xa0'] ['"
     "\134\134']"},
    {"{{ none }} {{ true }} {{ false }} {{ True }} {{ None }} {{ big }} {{ neg }} {{ z }}",
     "None True False True None 123456789012345678901234567890 -3 [[1, [2, [3]]], []]"},
    {"{{ d | tojson }} {{ q | tojson }} {{ t | tojson }} {{ t | tojson(ensure_ascii=true) }} {"
     "{ big | tojson }} {{ 1.0 | tojson }} {{ \042<&>'\042 | tojson }}",
     "{\042b\042: 1, \042a\042: [1, {\042x\042: null}], \042items\042: \042own\042, \042C\042:"
     " true} \042it's \134\042q\134\042\134n\134\134\042 \042na\303\257ve \346\235\261\344\272"
     "\254 \360\237\231\202\042 \042na\134u00efve \134u6771\134u4eac \134ud83d\134ude42\042 12"
     "3456789012345678901234567890 1.0 \042<&>'\042"},
    {"{{ d | tojson(indent=2) }}",
     "{\012  \042b\042: 1,\012  \042a\042: [\012    1,\012    {\012      \042x\042: null\012  "
     "  }\012  ],\012  \042items\042: \042own\042,\012  \042C\042: true\012}"},
    {"{{ z | tojson(indent=4) }} {{ [] | tojson(indent=2) }} {{ {} | tojson(indent=2) }} {{ l "
     "| tojson(indent=0) }} {{ l | tojson(indent=\042--\042) }}",
     "[\012    [\012        1,\012        [\012            2,\012            [\012            "
     "    3\012            ]\012        ]\012    ],\012    []\012] [] {} [\0123,\0121,\0122"
     "\012] [\012--3,\012--1,\012--2\012]"},
    {"{{ d | tojson(separators=(\042,\042, \042:\042)) }} {{ d | tojson(sort_keys=true) }} {{ "
     "{1: 2, none: 3, true: 4, 1.5: 5} | tojson }} {{ (1, 2) | tojson }}",
     "{\042b\042:1,\042a\042:[1,{\042x\042:null}],\042items\042:\042own\042,\042C\042:true} {"
     "\042C\042: true, \042a\042: [1, {\042x\042: null}], \042b\042: 1, \042items\042: \042own"
     "\042} {\0421\042: 4, \042null\042: 3, \0421.5\042: 5} [1, 2]"},
    {"{{ \042\134x00\134x1f\134x7f\134u2028\134b\134f\042 | tojson }} {{ \042\134x7f\042 | toj"
     "son(true) }}",
     "\042\134u0000\134u001f\177\342\200\250\134b\134f\042 \042\134u007f\042"},
    {"{{ \042a,b,,c\042.split(\042,\042) }} {{ \042 a  b \042.split() }} {{ \042a,b,c\042.spli"
     "t(\042,\042, 1) }} {{ \042a,b,c\042.rsplit(\042,\042, 1) }} {{ \042\042.split() }} {{ "
     "\042\042.split(\042,\042) }} {{ \042abc\042.split(\042b\042)[0] }}",
     "['a', 'b', '', 'c'] ['a', 'b'] ['a', 'b,c'] ['a,b', 'c'] [] [''] a"},
    {"{{ \042  1  2   3  \042.split(none, 1) }} {{ \042  1  2   3  \042.rsplit(none, 1) }} {{ "
     "\042a b c\042.rsplit() }} {{ \042a<x>b<x>c\042.split(\042<x>\042)[-1] }}",
     "['1', '2   3  '] ['  1  2', '3'] ['a', 'b', 'c'] c"},
    {"{{ \042abc\042.split(\042\042) }}",
     NULL},
    {"{{ \042a\134nb\134r\134nc\134u2028d\134n\042.splitlines() }} {{ \042a\134nb\042.splitlin"
     "es(true) }} {{ \042a-b-c\042.partition(\042-\042) }} {{ \042a-b-c\042.rpartition(\042-"
     "\042) }} {{ \042abc\042.partition(\042x\042) }} {{ \042abc\042.rpartition(\042x\042) }}",
     "['a', 'b', 'c', 'd'] ['a\134n', 'b'] ('a', '-', 'b-c') ('a-b', '-', 'c') ('abc', '', '')"
     " ('', '', 'abc')"},
    {"{{ \042Hello\042.startswith(\042He\042) }} {{ \042Hello\042.endswith((\042x\042, \042lo"
     "\042)) }} {{ \042Hello\042.startswith(\042l\042, 2) }} {{ \042Hello\042.find(\042l\042) }"
     "} {{ \042Hello\042.rfind(\042l\042) }} {{ \042Hello\042.find(\042z\042) }} {{ \042Hello"
     "\042.index(\042l\042) }} {{ \042Hello\042.count(\042l\042) }} {{ \042aaa\042.count(\042aa"
     "\042) }} {{ t.find(\042\346\235\261\042) }}",
     "True True True 2 3 -1 2 2 1 6"},
    {"{{ \042xxhixx\042.strip(\042x\042) }} {{ \042xxhixy\042.rstrip(\042xy\042) }} {{ \042xyh"
     "i\042.lstrip(\042yx\042) }} {{ \042aXbX\042.replace(\042X\042, \042--\042) }} {{ \042aXb"
     "X\042.replace(\042X\042, \042-\042, 1) }} {{ \042ab\042.replace(\042\042, \042-\042) }} "
     "{{ \042abc\042.removeprefix(\042ab\042) }} {{ \042abc\042.removesuffix(\042bc\042) }}",
     "hi xxhi hi a--b-- a-bX -a-b- c a"},
    {"{{ \042,\042.join([\042a\042, \042b\042]) }} {{ \042-\042.join(\042abc\042) }} {{ \042he"
     "llo world\042.title() }} {{ \042hELLO\042.capitalize() }} {{ \042Hello\042.upper() }} {{"
     " \042HELLO \316\243\316\221\316\243\042.lower() }} {{ \042\303\237 \357\254\201 \307\206"
     "\042.upper() }} {{ \042stra\303\237e\042.title() }} {{ \042aB\042.swapcase() }}",
     "a,b a-b-c Hello World Hello HELLO hello \317\203\316\261\317\202 SS FI \307\204 Stra\303"
     "\237e Ab"},
    {"{{ \042abc\042.isalpha() }} {{ \042ab1\042.isalnum() }} {{ \04212\042.isdigit() }} {{ "
     "\042\302\262\042.isdigit() }} {{ \042\302\262\042.isdecimal() }} {{ \042 \134t\042.isspace"
     "() }} {{ \042\042.isspace() }} {{ \042aB\042.islower() }} {{ \042AB1\042.isupper() }} {{"
     " \042\303\251\042.isascii() }} {{ \042a\134n\042.isprintable() }}",
     "True True True True False True False False True False False"},
    {"{{ \042ab\042.ljust(5) }}|{{ \042ab\042.rjust(5, \042*\042) }}|{{ \042ab\042.center(5) }"
     "}|{{ \042abc\042.center(6) }}|{{ \042-42\042.zfill(6) }}|{{ \042abc\042|center(9) }}|",
     "ab   |***ab|  ab | abc  |-00042|   abc   |"},
    {"{{ \042%s is %d years, %5.2f%% %r %x %-5s| %05d %+d\042 % (\042Bob\042, 42, 99.5, \042it"
     "'s\042, 255, \042ab\042, 42, 3) }} {{ \042%s\042 % i }} {{ \042%(a)s-%(b)d\042 % {\042a"
     "\042: 1, \042b\042: 2} }} {{ \042%s\042 % [1] }} {{ \042%%\042 % () }} {{ \042%c%c\042 % "
     "(65, \042b\042) }} {{ \042%e %g %G\042 % (12345.678, 0.0001, 1e20) }} {{ \042%.3s|%10s|%"
     "-10s|\042 % (\042abcdef\042, \042hi\042, \042hi\042) }} {{ \042%#x %#o %X\042 % (255, 8,"
     " 255) }} {{ \042%i\042 % 3.9 }} {{ \042% d\042 % 5 }}",
     "Bob is 42 years, 99.50% \042it's\042 ff ab   | 00042 +3 7 1-2 [1] % Ab 1.234568e+04 0.00"
     "01 1E+20 abc|        hi|hi        | 0xff 0o10 FF 3  5"},
    {"{{ \042{} {} {}\042.format(1, \042a\042, none) }} {{ \042{0}{1}{0}\042.format(\042a\042,"
     " \042b\042) }} {{ \042{x}-{y}\042.format(x=1, y=2) }} {{ \042{{}}\042.format() }} {{ "
     "\042{:>5}|{:<5}|{:^5}|{:*^7}|\042.format(\042a\042, \042b\042, \042c\042, \042d\042) }} {{ "
     "\042{:05d} {:+d} {:,} {:x} {:b} {:.2f} {:e} {:%} {:10.3f}|\042.format(42, 42, 1234567, 2"
     "55, 5, 3.14159, 1234.5, 0.25, 2.5) }} {{ \042{!r} {!s}\042.format(\042a\042, \042b\042) "
     "}} {{ \042{0[a]} {0.a} {1[0]}\042.format({\042a\042: 1}, [7]) }} {{ \042{:5}|{:5}|\042.f"
     "ormat(1, \042a\042) }} {{ \042{:.2}|\042.format(\042abc\042) }} {{ \042{:_}\042.format(1"
     "234567) }} {{ \042{:g}\042.format(0.5) }}",
     "1 a None aba 1-2 {}     a|b    |  c  |***d***| 00042 +42 1,234,567 ff 101 3.14 1.234500e"
     "+03 25.000000%      2.500| 'a' b 1 1 7     1|a    | ab| 1_234_567 0.5"},
    {"{{ \042Hi %s\042|format(\042Bob\042) }} {{ \042%(x)s\042|format(x=3) }}",
     "Hi Bob 3"},
    {"{{ [1, 2, 3] | join }} {{ [1, 2, 3] | join(\042, \042) }} {{ m | join(\042|\042, attribu"
     "te=\042role\042) }} {{ \042abc\042 | join(\042-\042) }} {{ [] | join(\042,\042) }} {{ d "
     "| join(\042,\042) }}",
     "123 1, 2, 3 user|assistant|user a-b-c  b,a,items,C"},
    {"{{ l | sort }} {{ l | sort(reverse=true) }} {{ w | sort }} {{ w | sort(case_sensitive=tr"
     "ue) }} {{ m | sort(attribute=\042n\042) | map(attribute=\042content\042) | list }} {{ m "
     "| sort(attribute=\042n,content\042) | map(attribute=\042content\042) | join }} {{ \042he"
     "llo\042 | sort }}",
     "[1, 2, 3] [3, 2, 1] ['A', 'b', 'B', 'c'] ['A', 'B', 'b', 'c'] ['yo', 'hi', 'end'] yoendh"
     "i ['e', 'h', 'l', 'l', 'o']"},
    {"{{ l | first }} {{ l | last }} {{ [] | first is defined }} {{ \042abc\042 | last }} {{ l"
     " | min }} {{ l | max }} {{ l | sum }} {{ m | sum(attribute=\042n\042) }} {{ w | min }} {"
     "{ [] | max is defined }} {{ l | length }} {{ d | count }} {{ undefined_thing | length }}",
     "3 2 False c 1 3 6 5 A False 3 4 0"},
    {"{{ w | unique | list }} {{ [1, 1.0, true, 2] | unique | list }} {{ m | unique(attribute="
     "\042role\042) | map(attribute=\042content\042) | list }} {{ l | reverse | list }} {{ "
     "\042abc\042 | reverse }} {{ l | list }} {{ \042abc\042 | list }}",
     "['b', 'A', 'c'] [1, 2] ['hi', 'yo'] [2, 1, 3] cba [3, 1, 2] ['a', 'b', 'c']"},
    {"{{ m | selectattr(\042role\042, \042equalto\042, \042user\042) | map(attribute=\042conte"
     "nt\042) | list }} {{ m | selectattr(\042tools\042, \042defined\042) | list | length }} {"
     "{ m | rejectattr(\042role\042, \042eq\042, \042user\042) | list | length }} {{ m | selec"
     "tattr(\042tools\042) | list }} {{ [0, 1, 2, none] | select | list }} {{ [1, 2, 3, 4] | s"
     "elect(\042odd\042) | list }} {{ [1, 2, 3, 4] | reject(\042divisibleby\042, 2) | list }} "
     "{{ l | select(\042in\042, [1, 2]) | list }} {{ l | select(\042>\042, 1) | list }}",
     "['hi', 'end'] 1 1 [] [1, 2] [1, 3] [1, 3] [1, 2] [3, 2]"},
    {"{{ w | map(\042upper\042) | list }} {{ w | map(\042replace\042, \042b\042, \042x\042) | "
     "list }} {{ m | map(attribute=\042a.b\042, default=\042-\042) | list }} {{ m | map(attrib"
     "ute=\042zz\042) | list }} {{ [\0421\042, \0422\042] | map(\042int\042) | sum }} {{ [[1, "
     "2], [3]] | map(\042first\042) | list }} {{ [[1, 2], [3, 4]] | map(attribute=1) | list }}",
     "['B', 'A', 'C', 'B'] ['x', 'A', 'c', 'B'] ['-', '-', 'deep'] [Undefined, Undefined, Unde"
     "fined] 3 [1, 3] [2, 4]"},
    {"{{ d | dictsort }} {{ {\042b\042: 2, \042a\042: 1} | dictsort(false, \042value\042) }} {"
     "{ {\042b\042: 2, \042a\042: 1} | dictsort(reverse=true) }} {{ d | items | list }} {{ und"
     "efined_thing | items | list }}",
     "[('a', [1, {'x': None}]), ('b', 1), ('C', True), ('items', 'own')] [('a', 1), ('b', 2)] "
     "[('b', 2), ('a', 1)] [('b', 1), ('a', [1, {'x': None}]), ('items', 'own'), ('C', True)] "
     "[]"},
    {"{{ m | groupby(\042role\042) | list | length }} {% for k, g in m | groupby(\042role\042)"
     " %}{{ k }}:{{ g | map(attribute=\042content\042) | join(\042,\042) }};{% endfor %} {{ [1"
     ", 2, 3, 4, 5] | batch(2) | list }} {{ [1, 2, 3] | batch(2, 0) | list }} {{ [1, 2, 3, 4, "
     "5] | slice(3) | list }} {{ [1, 2, 3, 4, 5] | slice(3, \042x\042) | list }}",
     "2 assistant:yo;user:hi,end; [[1, 2], [3, 4], [5]] [[1, 2], [3, 0]] [[1, 2], [3, 4], [5]]"
     " [[1, 2], [3, 4], [5, 'x']]"},
    {"{{ \04242\042 | int }} {{ \04242.9\042 | int }} {{ \042x\042 | int }} {{ \042x\042 | int"
     "(5) }} {{ \0420x1f\042 | int(0, 16) }} {{ \042 7_0 \042 | int }} {{ 3.99 | int }} {{ non"
     "e | int }} {{ true | int }} {{ \0423.5\042 | float }} {{ \042x\042 | float }} {{ \0421e3"
     "\042 | float }} {{ \042inf\042 | float }} {{ \042nan\042 | float }} {{ 5 | float }} {{ "
     "\042 .5 \042 | float }} {{ \0425.\042 | float }} {{ \042-1\042 | int }} {{ \042007\042 | "
     "int }} {{ \0421e3\042 | int }}",
     "42 42 0 5 31 70 3 0 1 3.5 0.0 1000.0 inf nan 5.0 0.5 5.0 -1 7 1000"},
    {"{{ 2.5 | round }} {{ 3.5 | round }} {{ 2.675 | round(2) }} {{ 2.1 | round(0, \042ceil"
     "\042) }} {{ 2.9 | round(method=\042floor\042) }} {{ 42.55 | round(1, \042floor\042) }} {{ 5"
     " | round }} {{ -3 | abs }} {{ -3.5 | abs }} {{ 1.15 | round(1) }} {{ -2.5 | round }}",
     "2.0 4.0 2.67 3.0 2.0 42.5 5 3 3.5 1.1 -2.0"},
    {"{{ \042a\134nb\134n\134nc\042 | indent }} {{ \042a\134nb\042 | indent(2) }} {{ \042a\134"
     "nb\042 | indent(2, true) }} {{ \042a\134n\134nb\042 | indent(2, false, true) }} {{ \042a"
     "\134nb\042 | indent(\042> \042, first=true) }}",
     "a\012    b\012\012    c a\012  b   a\012  b a\012  \012  b > a\012> b"},
    {"{{ \042hello world-foo (bar)\042 | title }} {{ \042HELLO\042 | capitalize }} {{ \042a b"
     "\042 | upper }} {{ none | upper }} {{ 1 | string + \042x\042 }} {{ \042Hello World\042 | "
     "replace(\042o\042, \0420\042, 1) }} {{ 123 | replace(2, \042x\042) }} {{ \042a b  c\042 "
     "| wordcount }} {{ \042 x \042 | trim }}| {{ \042xax\042 | trim(\042x\042) }} {{ [1] | st"
     "ring }} {{ \042x\042 | lower | upper }}",
     "Hello World-Foo (Bar) Hello A B NONE 1x Hell0 World 1x3 3 x| a [1] X"},
    {"{{ \042<b>\042 | safe }} {{ \042<b>\042 | e }} {{ \042<a>\042 | safe + \042<b>\042 }} {{"
     " \042<b>\042 + (\042<a>\042 | safe) }} {{ (\042<a>\042 | safe) ~ \042<b>\042 }} {{ [("
     "\042a\042 | safe)] }} {{ (\042<a>\042 | safe).replace(\042a\042, \042<\042) }} {{ (\042<a> "
     "\042 | safe | trim) + \042&\042 }} {{ (\042<a>\042 | safe | upper) + \042<\042 }} {{ "
     "\042'\134\042&\042 | escape }} {{ [\042<\042, (\042<\042 | safe)] | join(\042&\042) }} {{ ("
     "\042<\042 | safe | string) + \042>\042 }} {{ (\042a\042 | safe) == \042a\042 }} {{ (\042"
     "<\042 | safe) * 2 + \042>\042 }}",
     "<b> &lt;b&gt; <a>&lt;b&gt; &lt;b&gt;<a> <a><b> [Markup('a')] <&lt;> <a>&amp; <A>&lt; &#3"
     "9;&#34;&amp; <&< <&gt; True <<&gt;"},
    {"{{ i is number }} {{ f is float }} {{ i is integer }} {{ true is integer }} {{ true is n"
     "umber }} {{ s is string }} {{ l is iterable }} {{ d is mapping }} {{ l is sequence }} {{"
     " d is sequence }} {{ s is sequence }} {{ n is none }} {{ n is not none }} {{ true is boo"
     "lean }} {{ 1 is true }} {{ false is false }} {{ undefined_thing is undefined }} {{ undef"
     "ined_thing is iterable }} {{ undefined_thing is sequence }} {{ big is number }} {{ d.key"
     "s() is sequence }} {{ (l | map(\042string\042)) is iterable }}",
     "True True True False True True True True True True True True False True False True True "
     "True True True False True"},
    {"{{ 4 is even }} {{ 3 is odd }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ 1 i"
     "s eq 1 }} {{ 1 is sameas 1 }} {{ n is sameas none }} {{ 2 is in [1, 2] }} {{ \042a\042 i"
     "s lower }} {{ \042A\042 is upper }} {{ 3 is gt 2 }} {{ 3 is lessthan 2 }} {{ 3 is ge 3 }"
     "} {{ not i is defined }} {{ i is defined and f is defined }}",
     "True True True False True True True True True True True False True False True"},
    {"{% for x in l %}{{ loop.index }}/{{ loop.index0 }}/{{ loop.revindex }}/{{ loop.revindex0"
     " }}/{{ loop.first }}/{{ loop.last }}/{{ loop.length }}/{{ loop.previtem }}/{{ loop.nexti"
     "tem }}/{{ loop.depth }} {% endfor %}",
     "1/0/3/2/True/False/3//1/1 2/1/2/1/False/False/3/3/2/1 3/2/1/0/False/True/3/1//1 "},
    {"{% for x in [] %}a{% else %}none{% endfor %} {% for x in l if x > 1 %}{{ x }}:{{ loop.in"
     "dex }}:{{ loop.length }}:{{ loop.last }} {% else %}-{% endfor %} {% for x in l if x > 9 "
     "%}{{ x }}{% else %}none{% endfor %}",
     "none 3:1:2:False 2:2:2:True  none"},
    {"{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %} {% for x in "
     "l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %} {% for x in l %}{% for y in"
     " l %}{% if y == 1 %}{% break %}{% endif %}{{ y }}{% endfor %}{{ loop.index }}{% endfor %"
     "}",
     "32 3 313233"},
    {"{% for a, b in [(1, 2), (3, 4)] %}{{ a }}{{ b }} {% endfor %}{% for a, (b, c) in [(1, (2"
     ", 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %} {% for c in \042a\303\261\360\237\231\202\042"
     " %}{{ c }}.{% endfor %} {% for x in undefined_thing %}x{% endfor %} {% for x in range(3)"
     " %}{{ x }}{% endfor %} {{ range(1, 10, 3) | list }} {{ range(5, 0, -2) | list }} {{ rang"
     "e(3) }} {{ range(3)[1] }} {{ range(5)[1:3] | list }}",
     "12 34 123 a.\303\261.\360\237\231\202.  012 [1, 4, 7] [5, 3, 1] range(0, 3) 1 [1, 2]"},
    {"{% for x in [[1, [2, []]]] recursive %}{{ loop.depth }}:{% if x is iterable %}{{ loop(x)"
     " }}{% else %}{{ x }}{% endif %};{% endfor %}",
     "1:2:1;2:3:2;3:;;;"},
    {"{% for n in [{\042v\042: 1, \042c\042: [{\042v\042: 2, \042c\042: []}]}] recursive %}<{{"
     " n.v }}{{ loop(n.c) }}>{% endfor %}",
     "<1<2>>"},
    {"{% for x in l %}{{ loop.cycle(\042a\042, \042b\042) }}{{ loop.changed(x > 1) }} {% endfo"
     "r %}",
     "aTrue bTrue aTrue "},
    {"{% for x in (l | map(\042string\042)) %}{{ x }}{{ loop.last }}{{ loop.length }} {% endfo"
     "r %} {% set g = l | map(\042string\042) %}{{ g | list }}{{ g | list }} {% set g = l | se"
     "lect %}{% for x in g %}{{ x }}{% break %}{% endfor %}{{ g | list }}",
     "3False3 1False3 2True3  ['3', '1', '2'][] 3[1, 2]"},
    {"{% set x = 1 %}{% for y in l %}{% set x = y %}{{ x }}{% endfor %}{{ x }} {% if true %}{%"
     " set x = 5 %}{% endif %}{{ x }} {% set a, b = 1, 2 %}{{ a }}{{ b }} {% set c = 1, 2 %}{{"
     " c }} {% set ns = namespace(v=0, w=[1]) %}{% for y in l %}{% set ns.v = ns.v + y %}{% en"
     "dfor %}{{ ns.v }} {{ ns.w }} {{ ns.zz is defined }} {{ ns[\042v\042] }}",
     "3121 5 12 (1, 2) 6 [1] False 6"},
    {"{% set ns = namespace() %}{% set ns.a = 1 %}{{ ns.a }}{{ ns }} {% set ns.a, x = 3, 4 %}{"
     "{ ns.a }}{{ x }} {% set d2 = dict(a=1, b=\042x\042) %}{{ d2 }} {{ dict([(\042k\042, 1)])"
     " }} {{ dict({\042q\042: 1}, r=2) }} {{ namespace(d2).b }}",
     "1<Namespace {'a': 1}> 34 {'a': 1, 'b': 'x'} {'k': 1} {'q': 1, 'r': 2} x"},
    {"{% set x %}captured {{ i }}{% endset %}[{{ x }}] {% set x | upper | trim %} abc {% endse"
     "t %}[{{ x }}] {% filter upper %}abc{{ i }}{% endfilter %} {% filter replace(\042a\042, "
     "\042b\042) | trim %} aaa {% endfilter %}| {% with a = 1, b = i %}{{ a }}{{ b }}{% endwith"
     " %}{{ a is defined }} {% with %}{% set zz = 1 %}{% endwith %}{{ zz is defined }}",
     "[captured 7] [ABC] ABC7 bbb| 17False False"},
    {"{% macro m1(a, b=2, c=a) %}[{{ a }},{{ b }},{{ c }}]{% endmacro %}{{ m1(1) }}{{ m1(1, 3)"
     " }}{{ m1(b=5, a=4) }}{{ m1() }} {{ m1 is defined }} {{ m1(1) | length }} {{ m1(*[7, 8]) "
     "}} {{ m1(**{\042a\042: 9}) }}",
     "[1,2,1][1,3,1][4,5,4][,2,] True 7 [7,8,7] [9,2,9]"},
    {"{% macro f() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, x=3) }} {% macro rec(n)"
     " %}{{ n }}{% if n > 0 %}{{ rec(n - 1) }}{% endif %}{% endmacro %}{{ rec(5) }} {% macro b"
     "ox() %}<{{ caller() }}>{% endmacro %}{% call box() %}in{{ i }}{% endcall %} {% macro eac"
     "h(xs) %}{% for x in xs %}{{ caller(x) }}{% endfor %}{% endmacro %}{% call(y) each(l) %}("
     "{{ y }}){% endcall %}",
     "(1, 2){'x': 3} 543210 <in7> (3)(1)(2)"},
    {"{% macro outer() %}{{ glob }}{% endmacro %}{% set glob = \042late\042 %}{{ outer() }} {%"
     " for x in l %}{% macro inner() %}{{ x }}{% endmacro %}{{ inner() }}{% endfor %} {% macro"
     " a() %}{% set loc = 1 %}{{ loc }}{% endmacro %}{{ a() }}{{ loc is defined }}",
     "late 312 1False"},
    {"{% generation %}gen {{ i }}{% endgeneration %} {% for x in l %}{% generation %}{{ x }}{%"
     " endgeneration %}{% endfor %} {%- generation -%}  x  {%- endgeneration -%}",
     "gen 7 312x"},
    {"{% if i == 1 %}a{% elif i == 7 %}b{% elif i == 8 %}c{% else %}d{% endif %} {% if n %}x{%"
     " elif e %}y{% else %}z{% endif %} {% if i: %}colon{% endif %}",
     "b z colon"},
    {"{{ m[0].content }} {{ m[0][\042content\042] }} {{ m[-1].a.b }} {{ m[0].a is defined }} {"
     "{ (m | last).content }} {{ m[1:][0].role }} {{ m | length - 1 }} {{ m[i - 6].role }}",
     "hi hi deep False end assistant 2 assistant"},
    {"{{ {\042a\042: {\042b\042: [10, 20]}}.a.b[1] }} {{ [1, 2, 3][1] }} {{ \042abc\042.upper("
     ")[0] }} {{ (\042a\042 if i else \042b\042).upper() }} {{ [[1, 2], [3]][0][1] }} {{ {\042"
     "x\042: 1}[\042x\042] }} {{ ({\042x\042: 1}).x }} {{ {\042k\042: 1,}.k }} {{ [1, 2,] }}",
     "20 2 A A 2 1 1 1 [1, 2]"},
    {"{{ n.foo is defined }} {{ i.foo is defined }} {{ \042abc\042.foo is defined }} {{ l.appe"
     "nd is defined }} {{ d.pop is defined }} {{ d.__class__ is defined }} {{ d.__class__ }}| "
     "{{ s[\042strip\042]() }}",
     "False False False False False False | Hello, World!"},
    {"{{ undefined_thing.foo }}",
     NULL},
    {"{{ undefined_thing + 1 }}",
     NULL},
    {"{{ undefined_thing() }}",
     NULL},
    {"{{ none.foo.bar }}",
     NULL},
    {"{{ d.a.b.c.d }}",
     NULL},
    {"{{ 1 / 0 }}",
     NULL},
    {"{{ \042a\042 + 1 }}",
     NULL},
    {"{{ 1 + \042a\042 }}",
     NULL},
    {"{{ [1] + (2,) }}",
     NULL},
    {"{{ l.append(4) }}",
     NULL},
    {"{{ d.update({}) }}",
     NULL},
    {"{{ d() }}",
     NULL},
    {"{{ 1 in 2 }}",
     NULL},
    {"{{ 1 in \042abc\042 }}",
     NULL},
    {"{{ none in \042abc\042 }}",
     NULL},
    {"{{ 1 < \042a\042 }}",
     NULL},
    {"{{ none < 1 }}",
     NULL},
    {"{{ {[1]: 2} }}",
     NULL},
    {"{{ none | list }}",
     NULL},
    {"{% for x in none %}{% endfor %}",
     NULL},
    {"{% for x in 5 %}{% endfor %}",
     NULL},
    {"{% for a, b in [1] %}{% endfor %}",
     NULL},
    {"{% for a, b in [(1, 2, 3)] %}{% endfor %}",
     NULL},
    {"{% set a, b = [1] %}",
     NULL},
    {"{{ l | join(1) }} {{ [none, true] | join(\042-\042) }}",
     "31112 None-True"},
    {"{{ raise_exception(\042no \042 ~ i) }}",
     NULL},
    {"{% set s.x = 1 %}",
     NULL},
    {"{% set ns = namespace() %}{% set ns._a = 1 %}",
     NULL},
    {"{{ namespace(_x=1) }}",
     NULL},
    {"{{ i | nofilter }}",
     NULL},
    {"{% if false %}{{ i | nofilter }}{% endif %}ok",
     "ok"},
    {"{% if true %}{{ i | nofilter }}{% endif %}",
     NULL},
    {"{{ (i | nofilter) if false else \042ok\042 }}",
     "ok"},
    {"{% if i is notest %}{% endif %}",
     NULL},
    {"{% if false and i is notest %}{% endif %}ok",
     "ok"},
    {"{% for x in l %}{% if false %}{% for y in l %}{{ y | nofilter }}{% endfor %}{% endif %}{"
     "% endfor %}",
     NULL},
    {"{{ \042abc\042 | first | upper }}",
     "A"},
    {"{{ \042%s\042 | format }}",
     NULL},
    {"{{ \042%d\042 % \042a\042 }}",
     NULL},
    {"{{ \042%s %s\042 % (1,) }}",
     NULL},
    {"{{ \042%s\042 % (1, 2) }}",
     NULL},
    {"{{ \042{}\042.format() }}",
     NULL},
    {"{{ \042{:d}\042.format(\042a\042) }}",
     NULL},
    {"{{ m | map(\042nofilter\042) | list }}",
     NULL},
    {"{{ m | map(attribute=\042a.b.c\042) | list }}",
     NULL},
    {"{{ undefined_thing | tojson }}",
     NULL},
    {"{{ (l | map(\042string\042)) | tojson }}",
     NULL},
    {"{{ (l | map(\042string\042)) | length }}",
     NULL},
    {"{{ (l | map(\042string\042)) | last }}",
     NULL},
    {"{{ range(200000) }}",
     NULL},
    {"{{ l | sort(attribute=\042x\042) }}",
     "[3, 1, 2]"},
    {"{{ [1, \042a\042] | sort }}",
     NULL},
    {"{{ [{}, {}] | sort }}",
     "[{}, {}]"},
    {"{{ \042abc\042.index(\042z\042) }}",
     NULL},
    {"{{ \042abc\042 | int(none) }} {{ \042z\042 | int(none) }}",
     "None None"},
    {"{{ l[1.0] is defined }} {{ l[\042x\042] is defined }} {{ l[true] }} {{ d[1] is defined }"
     "} {{ \042abc\042[none] is defined }}",
     "False False 1 False False"},
    {"{{ l[\042a\042:] }}",
     NULL},
    {"{{ n[1:] }}",
     NULL},
    {"{{ l[::0] }}",
     NULL},
    {"{{ d[1:2] }}",
     NULL},
    {"{{ l | length > 2 and l | first == 3 }} {{ \042a\042 \042b\042 ~ \042c\042 | upper }} {{"
     " 1 if true }}{{ 2 if false }} {{ not true == false }} {{ (not true) == false }} {{ 10 - "
     "2 | abs }}",
     "True abC 1 True True 8"},
    {"{{ 1 + 1 ~ 1 }}",
     NULL},
    {"{{ loop is defined }} {% for x in [1] %}{% for y in [1, 2] %}{{ loop.index }}{% endfor %"
     "}{{ loop.index }}{% endfor %} {% for x in l %}{% set x = x * 2 %}{{ x }}{% endfor %}",
     "False 121 624"},
    {"{% for k, v in {\042a\042: 1}.items() %}{% for k2 in [k] %}{{ k2 }}{{ v }}{% endfor %}{%"
     " endfor %} {% set x = 3 %}{% macro g(x) %}{{ x }}{% endmacro %}{{ g(4) }}{{ x }} {{ x if"
     " x is defined and x else \042none\042 }}",
     "a1 43 3"},
    {"{% for x in l if ns is defined %}{{ x }}{% endfor %}{% set ns = namespace(stop=false) %}"
     "{% for x in l if not ns.stop %}{{ x }}{% set ns.stop = true %}{% endfor %}",
     "3"},
    {"{% print(1) %} {% print i %} {{ 1, 2 }} {{ (1) }} {{ ((1,)) }}",
     "1 7 (1, 2) 1 (1,)"},
    {"{{ strftime_now(\042%Y\042) | length }} {{ strftime_now is defined }} {{ range is define"
     "d }} {{ messages is defined }} {{ cycler is defined }}",
     "4 True True True True"},
    {"{{ d.a[1].x is none }} {{ d.C is true }} {{ d | length }} {{ d.items() | length }} {{ d."
     "a | length }} {{ d.copy().b }} {{ d == d }} {{ l == l[:] }} {{ l.index(2) }} {{ l.count("
     "1) }} {{ (1, 2).index(2) }}",
     "True True 4 4 2 1 True True 2 1 1"},
    {"{{ \042a b c\042 | replace(\042 \042, \042\042) }} {{ s | trim | replace(\042World\042, "
     "\042X\042) | upper }} {{ ([\042x\042] * 3) | length }} {{ \042abc\042[:2] ~ \042z\042 }}"
     " {{ t.split(\042 \042)[1] }} {{ t.upper() }} {{ t | title }} {{ t.encode is defined }}",
     "abc HELLO, X! 3 abz \346\235\261\344\272\254 NA\303\217VE \346\235\261\344\272\254 \360"
     "\237\231\202 Na\303\257ve \346\235\261\344\272\254 \360\237\231\202 True"},
    {"{% set foo = undefined_thing %}{{ foo is defined }} {{ [undefined_thing] }} {{ undefined"
     "_thing == undefined_thing }} {{ undefined_thing or \042x\042 }} {{ undefined_thing ~ "
     "\042a\042 }} {{ undefined_thing in l }} {{ 1 in undefined_thing }} {{ undefined_thing | str"
     "ing }}| {{ undefined_thing | list }} {{ undefined_thing | default }}| {{ [undefined_thin"
     "g, 1] | join(\042-\042) }} {{ undefined_thing | upper }}| {{ undefined_thing | trim }}|",
     "False [Undefined] True x a False False | [] | -1 | |"},
    {"{% if s.strip().startswith(\042Hello\042) and s.strip()[-1] == \042!\042 %}match{% endif"
     " %} {{ \042abc\042 in [\042abc\042] }} {{ [\042a\042] in [[\042a\042]] }} {{ s.strip().s"
     "plit(\042,\042)[1].strip() }} {{ \042\134\134n\042 }} {{ '\134'' }} {{ \042a\134\134b"
     "\042 }}",
     "match True True World! \134n ' a\134b"},
    {"{{ 1 if 1 is defined else 2 }} {{ \042x\042 is string and \042y\042 }} {{ 5 is divisible"
     "by 5 and true }} {{ i is in [7] }} {{ i is not in [7] }} {{ [i is odd, not i is even] }}",
     "1 y True True False [True, True]"},
    {"{%- macro x(a) -%}  {{ a }}  {%- endmacro -%}[{{ x(1) }}] {% macro y(a) %}\012\012 {{ a "
     "}}\012\012{% endmacro %}[{{ y(1) }}]",
     "[1] [\012 1\012\012]"},
    {"a\012{%- if true %}\012\012b\012{%- endif %}\012\012c\012\012d",
     "a\012b\012c\012\012d"},
    {"{% for x in l -%}\012  {{ x }}\012{%- endfor %}\012end",
     "312end"},
    {"\011{% if true %}\011\012tab\012\011{% endif %}\011",
     "\011\012tab\012\011"},
    {"{{ \042trailing\042 }}\012\012{{ 1 }}\012{{ 2 }}",
     "trailing\012\0121\0122"},
    {"{% set x = 1 -%}\012   y\012{%- set x = 2 %}\012z",
     "yz"},
    {"{{ }}",
     NULL},
    {"{{ 1 + }}",
     NULL},
    {"{% if %}{% endif %}",
     NULL},
    {"{% if true %}",
     NULL},
    {"{% for x in l %}",
     NULL},
    {"{% endfor %}",
     NULL},
    {"{% endif %}",
     NULL},
    {"{% elif %}",
     NULL},
    {"{% unknown %}",
     NULL},
    {"{{ \042abc }}",
     NULL},
    {"{{ 'a' 'b }}",
     NULL},
    {"{{ (1 }}",
     NULL},
    {"{{ 1) }}",
     NULL},
    {"{{ [1, 2 }}",
     NULL},
    {"{{ {1: 2 }}",
     NULL},
    {"{{ a b }}",
     NULL},
    {"{% for in l %}{% endfor %}",
     NULL},
    {"{% for x l %}{% endfor %}",
     NULL},
    {"{% for x in %}{% endfor %}",
     NULL},
    {"{% for loop in l %}{% endfor %}",
     NULL},
    {"{% set 1 = 2 %}",
     NULL},
    {"{% set true = 2 %}",
     NULL},
    {"{% set x = %}",
     NULL},
    {"{% set x.y.z = 1 %}",
     NULL},
    {"{% macro %}{% endmacro %}",
     NULL},
    {"{% macro f(a=1, b) %}{% endmacro %}",
     NULL},
    {"{% macro f(a, a.b) %}{% endmacro %}",
     NULL},
    {"{% call f %}{% endcall %}",
     NULL},
    {"{% break %}",
     NULL},
    {"{% continue %}",
     NULL},
    {"{% for x in l %}{% macro f() %}{% break %}{% endmacro %}{% endfor %}",
     NULL},
    {"{# never ends",
     NULL},
    {"{% raw %} never ends",
     NULL},
    {"{% if true",
     NULL},
    {"{{ i",
     NULL},
    {"{{ i }",
     NULL},
    {"{{ i | }}",
     NULL},
    {"{{ i is }}",
     NULL},
    {"{{ i is defined is defined }}",
     NULL},
    {"{{ f(a=1, 2) }}",
     NULL},
    {"{{ f(**a, *b) }}",
     NULL},
    {"{{ f(a b) }}",
     NULL},
    {"{{ i ! j }}",
     NULL},
    {"{{ i \077 j }}",
     NULL},
    {"{{ @ }}",
     NULL},
    {"{{ 1..2 }}",
     NULL},
    {"{{ a.b. }}",
     NULL},
    {"{{ a. }}",
     NULL},
    {"{{ a[ }}",
     NULL},
    {"{{ a[] }}",
     NULL},
    {"{{ if }}",
     ""},
    {"{{ not }}",
     NULL},
    {"{{ \042\134xZZ\042 }}",
     NULL},
    {"{{ \042\134u12\042 }}",
     NULL},
    {"{% endfor %}",
     NULL},
    {"{% endif %}",
     NULL},
    {"{% else %}",
     NULL},
    {"{% if true %}{% else %}{% else %}{% endif %}",
     NULL},
    {"{% filter %}{% endfilter %}",
     NULL},
    {"{% filter upper %}",
     NULL},
    {"{% set x %}",
     NULL},
    {"{% with a %}{% endwith %}",
     NULL},
    {"{% generation %}",
     NULL},
    {"{% if true %}a{% endfor %}",
     NULL},
    {"{%%}",
     NULL},
    {"{{ - }}",
     NULL},
    {"{{ * }}",
     NULL},
    {"{{ 1 if }}",
     NULL},
    {"{{ 1 is not }}",
     NULL},
    {"{{ x.1a }}",
     NULL},
    {"{% for x in l %}{{ i }}{% endfor %}{% set i = 1 %}{{ i }}",
     "1"},
    {"{% macro f() %}{{ i }}{% endmacro %}{{ f() }}{% set i = 1 %}{{ f() }}",
     "1"},
    {"{{ i }}{% for x in l %}{{ i }}{% endfor %}{% set i = 1 %}{{ i }}",
     "77771"},
    {"{% for x in l %}{% set i = x %}{{ i }}{% endfor %}{{ i }}",
     "3127"},
    {"{% for x in l %}{% if x == 1 %}{% set i = x %}{% endif %}{{ i }}{% endfor %}{{ i }}",
     "7177"},
    {"{% if false %}{% set i = 3 %}{% endif %}{{ i }}",
     "7"},
    {"{% for x in l %}{% for y in l %}{{ i }}{% endfor %}{% set i = x %}{% endfor %}{{ i }}",
     "7777777777"},
    {"{% macro f() %}{% set i = 2 %}{{ i }}{% endmacro %}{{ f() }}{{ i }}",
     "27"},
    {"{% macro f() %}{% for x in l %}{{ i }}{% endfor %}{% set i = 2 %}{% endmacro %}{{ f() }}"
     "{{ i }}",
     "7777"},
    {"{% set v = 1 %}{% for x in l %}{{ v }}{% set v = v + 1 %}{% endfor %}{{ v }}",
     "1111"},
    {"{% set v = 1 %}{% macro f() %}{{ v }}{% set v = 5 %}{{ v }}{% endmacro %}{{ f() }}{{ v }"
     "}{% set v = 7 %}{{ f() }}",
     "15175"},
    {"{% for x in l %}{% macro f() %}{{ x }}{{ i }}{% endmacro %}{{ f() }}{% set i = 8 %}{{ f("
     ") }}{% endfor %}",
     "338118228"},
    {"{% set q %}{% set i = 9 %}{{ i }}{% endset %}{{ q }}{{ i }}",
     "97"},
    {"{% with i = 2 %}{{ i }}{% set i = 3 %}{{ i }}{% endwith %}{{ i }}",
     "237"},
    {"{% with a = i, i = 4 %}{{ a }}{{ i }}{% endwith %}",
     "74"},
    {"{% for i in l %}{{ i }}{% endfor %}{{ i }}",
     "3127"},
    {"{% for i in l %}{% for i in [8] %}{{ i }}{% endfor %}{{ i }}{% endfor %}{{ i }}",
     "8381827"},
    {"{% macro f(i) %}{% if true %}{% set i = i + 1 %}{% endif %}{{ i }}{% endmacro %}{{ f(1) "
     "}}",
     "2"},
    {"{% call(i) g() %}{{ i }}{% endcall %}{% macro g() %}{{ caller(3) }}{% endmacro %}",
     NULL},
    {"{% macro g() %}{{ caller(3) }}{{ i }}{% endmacro %}{% call(i) g() %}{{ i }}{% endcall %}",
     "37"},
    {"{% if i %}{% for x in l %}{{ n2 }}{% set n2 = x %}{% endfor %}{% endif %}{{ n2 is define"
     "d }}",
     "False"},
    {"{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}G{% endmacro %}{{ f() }}",
     "G"},
    {"{% for x in l %}{{ g() }}{% endfor %}{% macro g() %}G{% endmacro %}",
     NULL},
    {"{% for x in l if x > i - 6 %}{{ x }}{% set i = 0 %}{% endfor %}",
     "32"},
    {"{% filter upper %}{% set i = \042a\042 %}{{ i }}{% endfilter %}{{ i }}",
     "A7"},
    {"{% generation %}{% set i = \042a\042 %}{{ i }}{% endgeneration %}{{ i }}",
     "a7"},
    {"{% for x in l %}{% if x == 3 %}{% set first = x %}{% endif %}{{ first is defined }}{% en"
     "dfor %}",
     "TrueFalseFalse"},
    {"{% set i = i + 1 %}{{ i }}",
     "8"},
    {"{% for x in l %}{% set i = i + 1 %}{{ i }}{% endfor %}{{ i }}",
     "8887"},
    {"{% if true %}{% macro f() %}{{ z9 }}{% endmacro %}{% endif %}{% set z9 = 4 %}{{ f() }}",
     "4"},
    {"{% for x in [] %}{% else %}{% set i = 1 %}{{ i }}{% endfor %}{{ i }}",
     "17"},
    {"{% for x in [1] %}{% else %}{{ x }}{% endfor %}{{ x is defined }}",
     "False"},
    {"{{ '12345678901234567890'|float }} {{ big|float }} {{ 1e20|round }} {{ 9.3e18|round }} {"
     "{ ('9' * 17)|float }} {{ '9007199254740993'|float }} {{ ('1' * 500 ~ 'e-450')|float }} {"
     "{ ('0.' ~ '0' * 500 ~ '1e500')|float }} {{ 123456789012345678.9|round(2) }}",
     "1.2345678901234567e+19 1.2345678901234568e+29 1e+20 9.3e+18 1e+17 9007199254740992.0 1.1"
     "111111111111111e+49 0.1 1.2345678901234568e+17"},
    {"{{ ['1_0.5', '1_0', '1__0', '_1', '1_', '1_.5', '1._5', '1.5_5', '1e1_0', '1e_1', '1_e1'"
     ", '+.5', '5.', '.', '.e1', '1.2.3', '1e', '1e+', '0x10', '00001.5', '0e99999999999999999"
     "999']|map('float')|list }}",
     "[10.5, 10.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.55, 10000000000.0, 0.0, 0.0, 0.5, 5.0, 0.0, 0.0,"
     " 0.0, 0.0, 0.0, 0.0, 1.5, 0.0]"},
    {"{{ ['-inf', '+Infinity', ' INFINITY ', '-nan', 'infi', 'i_nf', 'inf\134x00', '1e400', '-"
     "1e400', '1e-400', '1e99999999999999999999', '4.9e-324']|map('float')|list }}",
     "[-inf, inf, inf, nan, 0.0, 0.0, 0.0, inf, -inf, 0.0, inf, 5e-324]"},
    {"{{ ['1_0', '1__0', '_1', '1_', '+1', '+-1', '- 1', ' 1 ', '1 1', '+_1', '', '+', '0x1f',"
     " '0_7', '00', '1\134x00', 'inf', 'nan', '1e400', '1e5', '-1e19', '9.3e18']|map('int')|li"
     "st }}",
     "[10, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 100000, -10000000000000000000"
     ", 9300000000000000000]"},
    {"{{ ['\331\243', '\340\245\247\340\245\250', '\360\235\237\227\360\235\237\216', '\357"
     "\274\221\357\274\222', '\331\243_\331\241', '\302\262', '\134u00a0 1\134u2003', '\134x1c1',"
     " '1\134x1f', '\134x0b1\134x0c']|map('int')|list }} {{ ['\331\241\331\242.\331\245', '"
     "\360\235\237\227\360\235\237\216', '\134x1c1']|map('float')|list }}",
     "[3, 12, 90, 12, 31, 0, 1, 0, 0, 1] [12.5, 90.0, 0.0]"},
    {"{{ '0x_1f'|int(0, 16) }} {{ '0x__1f'|int(7, 16) }} {{ '-0X1F'|int(7, 16) }} {{ '0B1_01'|"
     "int(7, 2) }} {{ '0o17'|int(7, 8) }} {{ '0x1f'|int(7, 0) }} {{ '0b11'|int(7, 0) }} {{ '01"
     "1'|int(7, 0) }} {{ '00'|int(7, 0) }} {{ 'zz'|int(7, 36) }} {{ '12'|int(7, 37) }} {{ '12'"
     "|int(7, 1) }} {{ 'x'|int(7, 1) }} {{ '0x'|int(7, 16) }}",
     "31 7 -31 5 15 31 3 11 0 1295 12 12 7 7"},
    {"{{ '12345678901234567890'|int }} {{ '-12345678901234567890'|int }} {{ '0' * 30 ~ '7'|int"
     " }} {{ '9223372036854775808'|int }} {{ '-9223372036854775808'|int - 0 }} {{ 1e20|int }} "
     "{{ -9.3e18|int }} {{ ('1' * 4300)|int|string|length }} {{ ('1' * 4301)|int(3) }}",
     "12345678901234567890 -12345678901234567890 0000000000000000000000000000007 9223372036854"
     "775808 -9223372036854775808 100000000000000000000 -9300000000000000000 4300 3"},
    {"{{ ('1' * 400)|int|float }}",
     NULL},
    {"{% set u = {\042__x\042: 1, \042_y\042: 2, \042__class__\042: 3, \042__\042: 4, \042__in"
     "it__\042: 5, \042keys\042: 6, \042__xyz__\042: 7} %}{{ u.__x }} {{ u._y }} {{ u.__class_"
     "_ }}|{{ u[\042__class__\042] }} {{ u.__ }} {{ u.__init__ }}|{{ u[\042__init__\042] }} {{"
     " u.__xyz__ }} {{ u[\042__zz\042] is defined }} {{ u.__zz is defined }} {{ u|attr(\042__x"
     "\042) is defined }} {{ [u]|map(attribute=\042__x\042)|list }} {{ \042{0.__x}\042.format("
     "u) }}",
     "1 2 |3 4 |5 7 False False False [1] 1"},
    {"{{ {\042__iter__\042: 1}.__iter__.x }}",
     NULL},
    {"{% macro m(a, b=2) %}{% endmacro %}{{ m.name }} {{ m.arguments }} {{ m[\042name\042] }} "
     "{{ m.catch_kwargs }} {{ m.catch_varargs }} {{ m.caller }} {{ m.explicit_caller }} {{ m.f"
     "oo }}| {{ m }} {{ [m] }} {{ m.__class__ }}| {{ m._func }}| {{ m|attr(\042name\042) }}",
     "m ('a', 'b') m False False False False | <Macro 'm'> [<Macro 'm'>] | | m"},
    {"{% macro m() %}{{ kwargs }}{{ varargs }}{{ caller() }}{% endmacro %}{{ m.arguments }} {{"
     " m.catch_kwargs }} {{ m.catch_varargs }} {{ m.caller }} {{ m.explicit_caller }}",
     "() True True True False"},
    {"{% macro m() %}{{ caller.name }} {{ caller.arguments }} {{ caller }}{% endmacro %}{% cal"
     "l(a) m() %}{% endcall %} {% macro n(caller=none) %}{{ caller }}|{% endmacro %}{{ n() }}{"
     "{ n(3) }}{{ n(caller=4) }}{{ n.caller }}{{ n.explicit_caller }} {% call n() %}in{% endca"
     "ll %}",
     "None ('a',) <Macro anonymous> None|3|4|TrueTrue <Macro anonymous>|"},
    {"{% macro n(kwargs, varargs=1) %}{{ kwargs }}{{ varargs }}{% endmacro %}{{ n(5) }}{{ n.ca"
     "tch_kwargs }}{{ n.catch_varargs }} {% macro o() %}{% set kwargs = 1 %}{{ kwargs }}{% end"
     "macro %}{{ o() }}{{ o.catch_kwargs }} {% macro p() %}{% macro q(a) %}{{ varargs }}{% end"
     "macro %}{{ q(1, 2) }}{% endmacro %}{{ p(3) }}{{ p.catch_varargs }} {% macro r() %}{% mac"
     "ro q(caller) %}{% endmacro %}{{ caller }}{% endmacro %}{{ r.caller }}",
     "51FalseFalse 1False (2,)True False"},
    {"{% macro o() %}{% set kwargs = 1 %}{{ kwargs }}{% endmacro %}{{ o(x=2) }}",
     NULL},
    {"{% macro n(kwargs) %}{{ kwargs }}{% endmacro %}{{ n(5, x=2) }}",
     NULL},
    {"{% macro n(caller) %}{{ caller }}{% endmacro %}{{ n(1) }}",
     NULL},
    {"{{ 0x10 }} {{ 0X1f }} {{ 0b11 }} {{ 0B_1_0 }} {{ 0o17 }} {{ 0O1_7 }} {{ 0xFF_fe + 0x_1 }"
     "} {{ 00 }} {{ 0_0 }} {{ 1e400 }} {{ -1e400 }} {{ 1_0.0_1 }} {{ 1_0E1_0 }} {{ 1e-400 }} {"
     "{ l[0x1] }} {{ \042a\042.0 }} {{ [[5, 6]].0.1 }} {{ 0xe+1 }} {{ 0e5 }} {{ 1e+2 }}",
     "16 31 3 2 15 15 65535 0 0 inf -inf 10.01 100000000000.0 0.0 1 a 6 15 0.0 100.0"},
    {"{{ 12345678901234567890 }} {{ -12345678901234567890 }} {{ -9223372036854775808 }} {{ +12"
     "345678901234567890 }} {{ -(-12345678901234567890) }} {{ 9223372036854775808 == big }} {{"
     " 12345678901234567890 > 1 }} {{ 10000000000000000000000000000000000000000000000000000000"
     "0000000 }}",
     "12345678901234567890 -12345678901234567890 -9223372036854775808 12345678901234567890 123"
     "45678901234567890 False True 10000000000000000000000000000000000000000000000000000000000"
     "0000"},
    {"{{ 007 }}",
     NULL},
    {"{{ 0070 }}",
     NULL},
    {"{{ 0x }}",
     NULL},
    {"{{ 0xg }}",
     NULL},
    {"{{ 0b2 }}",
     NULL},
    {"{{ 0b12 }}",
     NULL},
    {"{{ 0x1_ }}",
     NULL},
    {"{{ 0x__1 }}",
     NULL},
    {"{{ 1_ }}",
     NULL},
    {"{{ 0_7 }}",
     NULL},
    {"{{ 1e }}",
     NULL},
    {"{{ 0o18 }}",
     NULL},
    {"{% set gr\303\266\303\237e = 1 %}{% set \345\220\215\345\211\215 = \042n\042 %}{% set _"
     "\303\2512 = 3 %}{{ gr\303\266\303\237e }}{{ \345\220\215\345\211\215 }}{{ _\303\2512 }}{{"
     " \303\237 }} {% macro \303\261(\303\274=1) %}{{ \303\274 }}{% endmacro %}{{ \303\261() }"
     "}{{ \303\261(\303\274=5) }} {{ {\042\303\251\042: 4}.\303\251 }} {{ a\302\267b }} {% for"
     " \320\272\320\273\321\216\321\207, \303\251 in {\042k\042: 2}.items() %}{{ \320\272\320"
     "\273\321\216\321\207 }}{{ \303\251 }}{% endfor %} {% set ns = namespace(\303\244=1) %}{% "
     "set ns.\303\244 = ns.\303\244 + 1 %}{{ ns.\303\244 }} {{ \042x\042.\303\251 is defined }"
     "} {{ \342\204\256 }}{{ e\331\243 }}",
     "1n3 15 4  k2 2 False "},
    {"{{ a\302\262 }}",
     NULL},
    {"{{ \302\262 }}",
     NULL},
    {"{{ \331\243 }}",
     NULL},
    {"{{ \360\237\231\202 }}",
     NULL},
    {"{{ a\360\237\231\202 }}",
     NULL},
    {"{{ i\342\200\242j }}",
     NULL},
    {"{{ \314\201a }}",
     NULL},
    {"{% \303\251 %}",
     NULL},
    {"{{ i|\303\251 }}",
     NULL},
    {"{{ '{:010,}'.format(12345) }}",
     "00,012,345"},
    {"{{ '{:09,}|{:08,}|{:07,}|{:06,}|{:05,}|{:04,}'.format(12345,12345,12345,12345,12345,1234"
     "5) }}",
     "0,012,345|0,012,345|012,345|12,345|12,345|12,345"},
    {"{{ '{:0=10,}|{:*=10,}|{:0<10,}|{:0>10,}|{:<010,}|{:>010,}'.format(12345,12345,12345,1234"
     "5,12345,12345) }}",
     "00,012,345|****12,345|12,3450000|000012,345|12,3450000|000012,345"},
    {"{{ '{:010_}|{:+010,}|{: 010,}|{:010,}'.format(12345,12345,12345,-12345) }}",
     "00_012_345|+0,012,345| 0,012,345|-0,012,345"},
    {"{{ '{:_x}|{:#_x}|{:012_x}|{:#012_b}|{:_o}|{:_b}|{:_X}'.format(1234567,1234567,1234567,37"
     ",1234567,1234567,1234567) }}",
     "12_d687|0x12_d687|00_0012_d687|0b0_0010_0101|455_3207|1_0010_1101_0110_1000_0111|12_D687"},
    {"{{ '{:,}|{:,.2f}|{:,.0f}|{:020,.2f}|{:,e}|{:,g}|{:,%}'.format(1234567.891,1234567.891,12"
     "34567.891,1234567.891,1234567.891,1234567.891,1234567.891) }}",
     "1,234,567.891|1,234,567.89|1,234,568|0,000,001,234,567.89|1.234568e+06|1.23457e+06|123,4"
     "56,789.100000%"},
    {"{{ '{:020,.2f}|{:019,.2f}|{:018,.2f}'.format(-1234.5,-1234.5,-1234.5) }}",
     "-0,000,000,001,234.50|-000,000,001,234.50|-00,000,001,234.50"},
    {"{{ '{:,.60f}'.format(1e60) }} {{ '{:,}'.format(1e15) }} {{ '{:,}|{:,}'.format(1e16,1e-7)"
     " }}",
     "999,999,999,999,999,949,387,135,297,074,018,866,963,645,011,013,410,073,083,904.00000000"
     "0000000000000000000000000000000000000000000000000000 1,000,000,000,000,000.0 1e+16|1e-07"},
    {"{{ '{:06d}|{:<06d}|{:^06d}|{:06}'.format(42,42,42,4.5) }} {{ '{:06}'.format('ab') }}",
     "000042|420000|004200|0004.5 ab0000"},
    {"{{ '{:<06}|{:06s}'.format('ab','ab') }}",
     "ab0000|ab0000"},
    {"{{ '{:.3}|{:.5}|{:.1}|{:.2}|{:.3}|{:.17}|{:.0}|{:.3}'.format(300.0,300.0,0.0,123.0,123.4"
     ",0.1,5.5,1e-5) }}",
     "3e+02|300.0|0e+00|1.2e+02|1.23e+02|0.10000000000000001|6e+00|1e-05"},
    {"{{ '{:.3}|{:.3}|{:.4}|{:.10}|{:10.3}|{:.1}|{:.20}'.format(1e10,999.9,999.99,2.0,2.0,10.0"
     ",1e15) }}",
     "1e+10|1e+03|1e+03|2.0|       2.0|1e+01|1000000000000000.0"},
    {"{{ '{:5}|{:<5}|{:^5}'.format(true,1.5,1.5) }} {{ '{:{}}'.format(3, 5) }}",
     "    1|1.5  | 1.5      3"},
    {"{{ '{:{}.{}f}|'.format(3.14159, 10, 2) }} {{ '{0:{1}}'.format(3, 5) }}",
     "      3.14|     3"},
    {"{{ '{x:{w}}|'.format(x='a', w=5) }} {{ '{:{}{}}|'.format('a', '>', 5) }}",
     "a    |     a|"},
    {"{{ '{:{w[0]}}|'.format('a', w=[4]) }} {{ '{!r:{}}|'.format('a', 5) }}",
     "a   | 'a'  |"},
    {"{{ '{:{!r}}|'.format('a', 5) }} {{ '{}{x}{}'.format(1,2,x=3) }}",
     "a    | 132"},
    {"{{ '{!s:>5}|{!r:>5}'.format(1,'a') }} {{ '{:x}'.format(-255) }}",
     "    1|  'a' -ff"},
    {"{{ '{:#x}|{:#o}|{:#b}|{:#X}|{:#010x}'.format(255,8,5,255,255) }}",
     "0xff|0o10|0b101|0XFF|0x000000ff"},
    {"{{ '{:c}|{:5c}|'.format(65,66) }} {{ '{:n}|{:n}'.format(1234567,2.5) }}",
     "A|    B| 1234567|2.5"},
    {"{{ '{: }|{:+}|{:-}'.format(1,1,1) }} {{ '{:%}'.format(1) }}",
     " 1|+1|1 100.000000%"},
    {"{{ '{:.0f}|{:#.0f}|{:g}|{:#g}|{:G}|{:E}'.format(2.5,2.5,2.5,2.5,1e20,1.5) }}",
     "2|2.|2.5|2.50000|1E+20|1.500000E+00"},
    {"{{ '{:e}'.format(10) }} {{ '{}'.format(none) }} {{ '{:>10}|{:\303\251^7}'.format('\346"
     "\235\261\344\272\254','x') }}",
     "1.000000e+01 None         \346\235\261\344\272\254|\303\251\303\251\303\251x\303\251\303"
     "\251\303\251"},
    {"{{ '{a.b[c].d}'.format(a={'b': {'c': {'d': 9}}}) }}",
     "9"},
    {"{{ '{0[a b]}{0[-1]}'.format({'a b': 1, '-1': 2}) }} {{ '{0[}]}'.format({'}': 1}) }}",
     "12 1"},
    {"{{ '{0[{]}'.format({'{': 1}) }} {{ '{00}'.format(1) }} {{ '{0:}'.format(1) }}",
     "1 1 1"},
    {"{{ '}}{{'.format() }} {{ '{}'.format(big) }} {{ '{:d}'.format(big) }}",
     "}{ 123456789012345678901234567890 123456789012345678901234567890"},
    {"{{ '{:,}'.format(big) }} {{ '{:>40}'.format(big) }} {{ '{:.2f}'.format(big) }}",
     "123,456,789,012,345,678,901,234,567,890           123456789012345678901234567890 1234567"
     "89012345677877719597056.00"},
    {"{{ '%d' % big }} {{ '%d' % 1e20 }} {{ '%s' % big }} {{ '%05d|%5d|%-5d|%+d' % (3,3,3,3) }"
     "}",
     "123456789012345678901234567890 100000000000000000000 123456789012345678901234567890 0000"
     "3|    3|3    |+3"},
    {"{{ '%.3d' % 5 }} {{ '%c' % 300 }} {{ '%5.1f|%-8.2e|%08.2f' % (3.14159, 1234.5, -3.14159)"
     " }}",
     "005 \304\254   3.1|1.23e+03|-0003.14"},
    {"{{ '%s %r' % ('\303\251', '\303\251') }} {{ '%i%%' % 5 }}",
     "\303\251 '\303\251' 5%"},
    {"{{ '%*d|%-*d|%.*f' % (5, 3, 5, 3, 2, 3.14159) }} {{ '%#x|%#X|%#o' % (255,255,8) }}",
     "    3|3    |3.14 0xff|0XFF|0o10"},
    {"{{ '%u' % 5 }} {{ '%ld' % 5 }} {{ '%F' % 1.5 }}",
     "5 5 1.500000"},
    {"{{ '%5s|%.2s|%-5s|' % ('abc','abc','abc') }} {{ '%05s' % 'a' }} {{ '% 05d' % 3 }}",
     "  abc|ab|abc  |     a  0003"},
    {"{{ '%+.1e' % 1e10 }} {{ '%(a)s%(b)05d' % {'a': 1, 'b': 2} }} {{ '%s' % {'a': 1} }}",
     "+1.0e+10 100002 {'a': 1}"},
    {"{{ '%s' % none }} {{ '%f' % true }} {{ '%s|%s' % (1.0, 1e16) }}",
     "None 1.000000 1.0|1e+16"},
    {"{{ '%g|%g|%g' % (1e5, 1e6, 1e-5) }}",
     "100000|1e+06|1e-05"},
    {"{{ '{:010,}|{:08,}|{:010}|{:07,}|{:09,}'.format((e~'inf')|float,(e~'inf')|float,(e~'nan'"
     ")|float,(e~'-inf')|float,(e~'inf')|float) }}",
     "0000000inf|00000inf|0000000nan|-000inf|000000inf"},
    {"{{ '{:.3}|{:.0f}|{:e}'.format((e~'inf')|float,(e~'nan')|float,(e~'-inf')|float) }}",
     "inf|nan|-inf"},
    {"{{ '{0[0]}{}'.format([1],2) }} {{ '{}{0[0]}'.format([1],2) }}",
     "1[1] [1]1"},
    {"{{ '{x:{y}}{:{}}|{}'.format(1,5,9,x='a',y=3) }} {{ '{:05c}|{:<5c}|'.format(65,66) }}",
     "a      1|9 0000A|B    |"},
    {"{{ '{:c}'.format(0x1F642) }} {{ '{:#.3}|{:#}'.format(1.5,2.5) }}",
     "\360\237\231\202 1.50|2.5"},
    {"{{ '{:+.3}|{:-.3}|{:08.3}|{:,.9}'.format(1.5,-2.5,-2.5,1234567.25) }}",
     "+1.5|-2.5|-00002.5|1,234,567.25"},
    {"{{ '{:.60}|{:.15}'.format(1/3,1/3) }} {{ '{:.1%}'.format(0.1234) }}",
     "0.333333333333333314829616256247390992939472198486328125|0.333333333333333 12.3%"},
    {"{{ '{:012,.1%}'.format(123.4) }} {{ '{:+,}'.format(-big) }} {{ '{:045,}'.format(big) }}",
     "0,012,340.0% -123,456,789,012,345,678,901,234,567,890 0,000,123,456,789,012,345,678,901,"
     "234,567,890"},
    {"{{ '{:x}'.format(5000000000) }}",
     "12a05f200"},
    {"{{ '%.5d|%+.5d|%08.5d|%-8.5d|%.5x|%#.5x|%.0d' % (5,5,5,5,255,255,0) }}",
     "00005|+00005|00000005|00005   |000ff|0x000ff|0"},
    {"{{ '%c|%5c|%-5c|' % (65, 'b', 66) }} {{ '{0!r:>{1}}'.format('x', 6) }}",
     "A|    b|B    |    'x'"},
    {"{{ '{!s}{!r}'.format(undefined_thing, 1) }}",
     "1"},
    {"{{ '{}|{:}'.format(undefined_thing, undefined_thing) }} {{ '{!r:}'.format('a') }}",
     "| 'a'"},
    {"{{ '{:{}}'.format('abc', '') }} {{ '{:{}}|'.format('abc', '<6.2') }}",
     "abc ab    |"},
    {"{{ '{:_x}|{:_X}|{:012_x}'.format(3735928559,3735928559,11) }}",
     "dead_beef|DEAD_BEEF|00_0000_000b"},
    {"{{ '{:,x}'.format(5) }}",
     NULL},
    {"{{ '{:,b}'.format(5) }}",
     NULL},
    {"{{ '{:,s}'.format('a') }}",
     NULL},
    {"{{ '{:_s}'.format('a') }}",
     NULL},
    {"{{ '{:,}'.format('a') }}",
     NULL},
    {"{{ '{:,c}'.format(65) }}",
     NULL},
    {"{{ '{:=6}'.format('ab') }}",
     NULL},
    {"{{ '{:.3}'.format(3) }}",
     NULL},
    {"{{ '{:.3d}'.format(3) }}",
     NULL},
    {"{{ '{:{0}}'.format(3, 5) }}",
     NULL},
    {"{{ '{:{:{}}}'.format(1,2,3) }}",
     NULL},
    {"{{ '{:{{}}}'.format(3, 5) }}",
     NULL},
    {"{{ '{:}}'.format(1) }}",
     NULL},
    {"{{ '{:{}'.format(1,2) }}",
     NULL},
    {"{{ '{0}{}'.format(1,2) }}",
     NULL},
    {"{{ '{}{0}'.format(1,2) }}",
     NULL},
    {"{{ '{!x}'.format(1) }}",
     NULL},
    {"{{ '{!}'.format(1) }}",
     NULL},
    {"{{ '{!rr}'.format(1) }}",
     NULL},
    {"{{ '{:d}'.format(1.5) }}",
     NULL},
    {"{{ '{:+}'.format('a') }}",
     NULL},
    {"{{ '{:s}'.format(1) }}",
     NULL},
    {"{{ '{:5}'.format(none) }}",
     NULL},
    {"{{ '{:5}'.format([1]) }}",
     NULL},
    {"{{ '{[0]}{.a}'.format([1], {'a': 2}) }}",
     NULL},
    {"{{ '{0[]}'.format([1]) }}",
     NULL},
    {"{{ '{0.}'.format([1]) }}",
     NULL},
    {"{{ '{0[0}'.format([1]) }}",
     NULL},
    {"{{ '{0[0]x}'.format([1]) }}",
     NULL},
    {"{{ '{ 0 }'.format(1) }}",
     NULL},
    {"{{ '{-1}'.format(1) }}",
     NULL},
    {"{{ '}'.format() }}",
     NULL},
    {"{{ '{'.format() }}",
     NULL},
    {"{{ '%x' % 1.5 }}",
     NULL},
    {"{{ '%d' % '5' }}",
     NULL},
    {"{{ '%' % () }}",
     NULL},
    {"{{ '%z' % 1 }}",
     NULL},
    {"{{ '%s' % () }}",
     NULL},
    {"{{ '{:{{x}}}'.format(1) }}",
     NULL},
    {"{{ '{:{{}'.format(1) }}",
     NULL},
    {"{{ '{:c}'.format(-1) }}",
     NULL},
    {"{{ '{:#c}'.format(65) }}",
     NULL},
    {"{{ '{:+c}'.format(65) }}",
     NULL},
    {"{{ '{:#s}'.format('a') }}",
     NULL},
    {"{{ '{:-}'.format('a') }}",
     NULL},
    {"{{ '{:,n}'.format(1) }}",
     NULL},
    {"{{ '{:5}'.format(undefined_thing) }}",
     NULL},
    {"{{ '{ }'.format(1) }}",
     NULL},
    {"{{ '{0!}'.format(1) }}",
     NULL},
    {"{{ '{0!r'.format(1) }}",
     NULL},
    {"{{ '{a[}'.format(a=1) }}",
     NULL},
    {"{{ '{0:0>{w}}'.format('a', w='x') }}",
     NULL},
    {"{{ '{:{}}'.format(1) }}",
     NULL},
    {"{{ 1250|round(-2) }} {{ 1350|round(-2) }} {{ -1350|round(-2) }} {{ 1250.0|round(-2) }}",
     "1200 1400 -1400 1200.0"},
    {"{{ 1250.1|round(-2) }} {{ 150.4|round(-2) }} {{ 250.4|round(-2) }} {{ 50.0|round(-2) }}",
     "1300.0 200.0 300.0 0.0"},
    {"{{ 50.5|round(-2) }} {{ 49.0|round(-2) }} {{ -40.0|round(-2) }} {{ -51.0|round(-2) }}",
     "100.0 0.0 -0.0 -100.0"},
    {"{{ 5|round(-1) }} {{ 15|round(-1) }} {{ true|round(-1) }} {{ true|round }}",
     "0 20 0 1"},
    {"{{ 9223372036854775807|round(-19) }} {{ 9223372036854775807|round(-18) }}",
     "10000000000000000000 9000000000000000000"},
    {"{{ 9223372036854775807|round(-20) }} {{ 9223372036854775807|round(-1) }}",
     "0 9223372036854775810"},
    {"{{ -9223372036854775807|round(-3) }} {{ 1|round(-400) }} {{ 1.5|round(-400) }}",
     "-9223372036854776000 0 0.0"},
    {"{{ -1.5|round(-309) }} {{ 1.4e308|round(-308) }} {{ 5e22|round(-23) }}",
     "-0.0 1e+308 0.0"},
    {"{{ 6e22|round(-23) }} {{ 123456.789|round(-3) }} {{ 1e300|round(-299) }}",
     "1e+23 123000.0 1e+300"},
    {"{{ 1.23456e300|round(-298) }} {{ 0.5|round(-1) }} {{ 2.675|round(2) }} {{ 0.1|round(20) "
     "}}",
     "1.23e+300 0.0 2.67 0.1"},
    {"{{ 1.5e-10|round(12) }} {{ 1e-300|round(305) }} {{ 5e-324|round(323) }}",
     "1.5e-10 1e-300 0.0"},
    {"{{ 1.5|round(400) }} {{ 1/3|round(17) }} {{ 1/3|round(30) }} {{ big|round }}",
     "1.5 0.3333333333333333 0.3333333333333333 123456789012345678901234567890"},
    {"{{ big|round(3) }} {{ 1250|round(-2,'ceil') }} {{ 1250.5|round(-2,'floor') }}",
     "123456789012345678901234567890 1300.0 1200.0"},
    {"{{ -0.5|round(0,'ceil') }} {{ (-0.5)|round(0,'ceil') }} {{ (-0.05)|round(1,'ceil') }}",
     "0.0 0.0 0.0"},
    {"{{ 5|round(1,'floor') }} {{ 7|round(method='ceil') }} {{ 1.23456789|round(7,'ceil') }}",
     "5.0 7.0 1.2345679"},
    {"{{ 1.5|round(0,'common') }} {{ (e~'inf')|float|round }} {{ (e~'nan')|float|round(2) }}",
     "2.0 inf nan"},
    {"{{ 1|round(25,'floor') }} {{ 1.1|round(22,'floor') }} {{ 2.5|round|int }}",
     "1.0 1.1 2"},
    {"{{ 9007199254740993|round(3,'floor') }} {{ 12345678901234567|round(-2,'ceil') }}",
     "9007199254740992.0 1.23456789012346e+16"},
    {"{{ 1.7e308|round(-308) }}",
     NULL},
    {"{{ 1.5|round(0,'up') }}",
     NULL},
    {"{{ 1.5|round(0,none) }}",
     NULL},
    {"{{ 'a'|round }}",
     NULL},
    {"{{ none|round }}",
     NULL},
    {"{{ 1.5|round(1.5) }}",
     NULL},
    {"{{ (e~'inf')|float|round(0,'ceil') }}",
     NULL},
    {"{{ (e~'nan')|float|round(0,'floor') }}",
     NULL},
    {"{{ 1|round(-400,'floor') }}",
     NULL},
    {"{{ m|groupby('role', default='x')|list|length }}",
     "2"},
    {"{% for k, g in m|groupby('a.b', default='none') %}{{ k }}:{{ g|map(attribute='content')|"
     "join(',') }};{% endfor %}",
     "deep:end;none:hi,yo;"},
    {"{% for k, g in m|groupby('zz', 'dflt') %}{{ k }}:{{ g|length }};{% endfor %}",
     "dflt:3;"},
    {"{% for k, g in [{'v':'B'},{'v':'a'},{},{'v':'b'}]|groupby('v', default='A') %}{{ k }}:{{"
     " g }};{% endfor %}",
     "a:[{'v': 'a'}, {}];B:[{'v': 'B'}, {'v': 'b'}];"},
    {"{% for k, g in [{'v':'B'},{'v':'a'},{},{'v':'b'}]|groupby('v', 'A', true) %}{{ k }}:{{ g"
     " }};{% endfor %}",
     "A:[{}];B:[{'v': 'B'}];a:[{'v': 'a'}];b:[{'v': 'b'}];"},
    {"{% for k, g in [{'v':1},{},{'v':0}]|groupby('v', default=0) %}{{ k }}:{{ g }};{% endfor "
     "%}",
     "0:[{}, {'v': 0}];1:[{'v': 1}];"},
    {"{% for g in m|groupby('role') %}{{ g.grouper }}{{ g.list|length }}{{ g[0] }}{% endfor %}",
     "assistant1assistantuser2user"},
    {"{{ m|groupby('role') }}",
     "[('assistant', [{'role': 'assistant', 'content': 'yo', 'n': 1, 'tools': []}]), ('user', "
     "[{'role': 'user', 'content': 'hi', 'n': 2}, {'role': 'user', 'content': 'end', 'n': 2, '"
     "a': {'b': 'deep'}}])]"},
    {"{% for g in m|groupby('role') %}{{ g['grouper'] }}{{ g[1:]|length }}{{ g }}{{ g|length }"
     "}{{ g == (g.grouper, g.list) }}{{ g[:].grouper }}{% endfor %}",
     "assistant1('assistant', [{'role': 'assistant', 'content': 'yo', 'n': 1, 'tools': []}])2T"
     "rueuser1('user', [{'role': 'user', 'content': 'hi', 'n': 2}, {'role': 'user', 'content':"
     " 'end', 'n': 2, 'a': {'b': 'deep'}}])2True"},
    {"{{ m|groupby('role')|map(attribute='grouper')|join }}",
     "assistantuser"},
    {"{% for k, g in [{},{}]|groupby('v', none) %}{{ k }}:{{ g }};{% endfor %}",
     NULL},
    {"{{ [{'v':1},{}]|groupby('v') }}",
     NULL},
    {"{{ [{'v':1},{}]|groupby('v', default='x') }}",
     NULL},
    {"{{ 1e20|int == 1e20 }} {{ 1e20 == 100000000000000000000 }}",
     "True True"},
    {"{{ 100000000000000000001 == 1e20 }} {{ 100000000000000000001 > 1e20 }}",
     "False True"},
    {"{{ 99999999999999999999 < 1e20 }} {{ -100000000000000000001 < -1e20 }}",
     "True True"},
    {"{{ 100000000000000000000 <= 1.5 }} {{ -100000000000000000000 < 1.5 }}",
     "False True"},
    {"{{ 1.5 < 100000000000000000000 }} {{ (e~'inf')|float > big }} {{ (e~'-inf')|float < big "
     "}}",
     "True True True"},
    {"{{ big < (e~'-inf')|float }} {{ big < (e~'nan')|float }} {{ big > (e~'nan')|float }}",
     "False False False"},
    {"{{ big == (e~'nan')|float }} {{ big == big }} {{ big != big }} {{ big > 5 }} {{ 5 < -big"
     " }}",
     "False True False True False"},
    {"{{ big == 5 }} {{ [1e20, 100000000000000000000, 100000000000000000001]|unique|list }}",
     "False [1e+20, 100000000000000000001]"},
    {"{{ [big, 1, -big, 2.5, 1e29, 2e29]|sort }} {{ {100000000000000000000: 1}[1e20] }}",
     "[-123456789012345678901234567890, 1, 2.5, 1e+29, 123456789012345678901234567890, 2e+29] "
     "1"},
    {"{{ {1e20: 1}.get(100000000000000000000) }} {{ 100000000000000000000 * 1.5 }}",
     "1 1.5e+20"},
    {"{{ 1.5 - 100000000000000000000 }} {{ big / 2.0 }} {{ 2.0 // big }} {{ big % 7.5 }}",
     "-1e+20 6.172839450617284e+28 0.0 1.0"},
    {"{{ 1e300 * big }} {{ big|abs }} {{ -big|abs }} {{ (-big)|abs }}",
     "inf 123456789012345678901234567890 123456789012345678901234567890 1234567890123456789012"
     "34567890"},
    {"{{ 9223372036854775808|abs }} {{ (-9223372036854775809)|abs }} {{ big in [1, big] }}",
     "9223372036854775808 9223372036854775809 True"},
    {"{{ big is sameas 5 }} {{ big is eq(big) }} {{ big is gt(1.5) }} {{ [big, 2]|max }}",
     "False True True 123456789012345678901234567890"},
    {"{{ {9.1e18: 1}[9100000000000000000] }} {{ {(e~'nan')|float: 1, (e~'inf')|float: 2} }}",
     "1 {nan: 1, inf: 2}"},
    {"{{ {9.223372036854775807e18: 1}.get(9223372036854775807, 3) }}",
     "3"},
    {"{{ ('9'*400)|int * 1.0 }}",
     NULL},
    {"{{ 2.5|round(none) }} {{ 1e20|round(none) }} {{ 7|round(none) }} {{ 3.5|round(none, \042"
     "common\042) }}",
     "2 100000000000000000000 7 4"},
    {"{{ 2.5|round(none, \042floor\042) }}",
     NULL},
    {"{{ (e~\042inf\042)|float|round(none) }}",
     NULL},
    {"{% macro m() %}{{ varargs }}{% endmacro %}{{ m.arguments }}{{ m.name|upper }}{{ m.x is d"
     "efined }}",
     "()MFalse"},
    {"{% macro m() %}{% for kwargs in [1] %}{{ kwargs }}{% endfor %}{% endmacro %}{{ m.catch_k"
     "wargs }}{{ m() }}",
     "False1"},
    {"{% macro m() %}{% call n() %}{{ caller }}{% endcall %}{% endmacro %}{{ m.caller }}",
     "True"},
    {"{% macro m() %}{{ kwargs.a }}{% set kwargs = 2 %}{{ kwargs }}{% endmacro %}{{ m(a=1) }}",
     "12"},
    {"{% macro m(x=caller) %}{% endmacro %}{{ m.caller }}",
     "False"},
    {"{% macro m() %}{% if caller %}{{ caller() }}{% else %}none{% endif %}{% endmacro %}{{ m("
     ") }}{% call m() %}c{% endcall %}",
     "nonec"},
    {"{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}{% call m() %}c{% endcall %"
     "}",
     "FalseTrue"},
    {"{% macro outer() %}{% macro inner() %}{{ caller() }}{% endmacro %}{% call inner() %}x{% "
     "endcall %}{% endmacro %}{{ outer() }}{{ outer.caller }}",
     "xTrue"},
    {"{% macro a(x) %}{{ x }}{{ caller(1) }}{% endmacro %}{% call(y) a(2) %}<{{ y }}>{% endcal"
     "l %}",
     "2<1>"},
    {"{% macro a() %}{% set x = varargs %}{{ x }}{% endmacro %}{{ a(1, 2) }}",
     "(1, 2)"},
    {"{% macro a() %}{% set varargs = varargs %}{{ varargs }}{% endmacro %}{{ a() }}",
     ""},
    {"{% macro a() %}{% with kwargs = 1 %}{{ kwargs }}{% endwith %}{% endmacro %}{{ a() }}{{ a"
     ".catch_kwargs }}",
     "1False"},
    {"{% macro a() %}{% with kwargs = kwargs %}{{ kwargs }}{% endwith %}{% endmacro %}{{ a.cat"
     "ch_kwargs }}",
     "False"},
    {"{% macro a() %}{% set ns = namespace(kwargs=1) %}{{ ns.kwargs }}{% endmacro %}{{ a() }}{"
     "{ a.catch_kwargs }}",
     "1False"},
    {"{% macro a() %}{% for x in l if kwargs %}{{ x }}{% endfor %}{% endmacro %}{{ a(k=1) }}{{"
     " a.catch_kwargs }}",
     "312True"},
    {"{% macro a() %}{% set x %}{{ kwargs }}{% endset %}{{ x }}{% endmacro %}{{ a(k=1) }}{{ a."
     "catch_kwargs }}",
     "{'k': 1}True"},
    {"{% macro a() %}{{ f(kwargs=1) }}{% endmacro %}{{ a.catch_kwargs }}",
     "False"},
    {"{% macro a() %}{% set varargs = [] %}{{ varargs }}{% endmacro %}{{ a(1) }}",
     NULL},
    {"",
     ""},
    {"\012",
     ""},
    {"\012\012",
     "\012"},
    {"a\015\012b\015c\012",
     "a\012b\012c"},
    {"a\012",
     "a"},
    {" {{ i }}\012",
     " 7"},
    {"{{ i }}\012\012",
     "7\012"},
};
static const struct { long long now; const char *format, *expected; } CLOCK[] = {
    {1707116889,
     "%a|%b|%c|%d|%e|%f|%g|%h|%i|%j|%k|%l|%m|%n|%o|%p|%q|%r|%s|%t",
     "Mon|Feb|Mon Feb  5 07:08:09 2024|05| 5|000000|24|Feb|%i|036| 7| 7|02|\012|%o|AM|%q|07:08"
     ":09 AM|1707116889|\011"},
    {1707116889,
     "%u|%v|%w|%x|%y|%z|%A|%B|%C|%D|%E|%F|%G|%H|%I|%J|%K|%L|%M|%N",
     "1|%v|1|02/05/24|24||Monday|February|20|02/05/24|%E|2024-02-05|2024|07|07|%J|%K|%L|08|%N"},
    {1707116889,
     "%O|%P|%Q|%R|%S|%T|%U|%V|%W|%X|%Y|%Z|%%|%+|% |%Ea|%Eb|%Ec|%Ed|%Ee",
     "%O|am|%Q|07:08|09|07:08:09|05|06|06|07:08:09|2024||%|%+|% |%Ea|%Eb|Mon Feb  5 07:08:09 2"
     "024|%Ed|%Ee"},
    {1707116889,
     "%Ef|%Eg|%Eh|%Ei|%Ej|%Ek|%El|%Em|%En|%Eo|%Ep|%Eq|%Er|%Es|%Et|%Eu|%Ev|%Ew|%Ex|%Ey",
     "%Ef|%Eg|%Eh|%Ei|%Ej|%Ek|%El|%Em|\012|%Eo|AM|%Eq|07:08:09 AM|1707116889|\011|1|%Ev|%Ew|02"
     "/05/24|24"},
    {1707116889,
     "%EA|%EB|%EC|%ED|%EE|%EF|%EG|%EH|%EI|%EJ|%EK|%EL|%EM|%EN|%EO|%EP|%EQ|%ER|%ES|%ET",
     "%EA|%EB|20|%ED|%EE|%EF|%EG|%EH|%EI|%EJ|%EK|%EL|%EM|%EN|%EO|am|%EQ|07:08|%ES|07:08:09"},
    {1707116889,
     "%EU|%EV|%EW|%EX|%EY|%E%|%E+|%E |%Oa|%Ob|%Oc|%Od|%Oe|%Of|%Og|%Oh|%Oi|%Oj|%Ok|%Ol",
     "%EU|%EV|%EW|07:08:09|2024|%|%E+|%E |%Oa|Feb|%Oc|05| 5|%Of|24|Feb|%Oi|036| 7| 7"},
    {1707116889,
     "%Om|%On|%Oo|%Op|%Oq|%Or|%Os|%Ot|%Ou|%Ov|%Ow|%Ox|%Oy|%Oz|%OA|%OB|%OC|%OD|%OE|%OF",
     "02|\012|%Oo|AM|%Oq|07:08:09 AM|1707116889|\011|1|%Ov|1|%Ox|24||%OA|February|20|%OD|%OE|%"
     "OF"},
    {1707116889,
     "%OG|%OH|%OI|%OJ|%OK|%OL|%OM|%ON|%OO|%OP|%OQ|%OR|%OS|%OT|%OU|%OV|%OW|%OX|%OY|%OZ",
     "2024|07|07|%OJ|%OK|%OL|08|%ON|%OO|am|%OQ|07:08|09|07:08:09|05|06|06|%OX|%OY|"},
    {1707116889,
     "%O%|%O+|%O ",
     "%|%O+|%O "},
    {1707116889,
     "%^a|%#a|%^A|%#b|%^h|%#h|%#B|%^p|%#p|%P|%#P|%^P|%^c|%#c|%^x|%^r|%^d|%#Y|%^Q|%^n%#t%^%",
     "MON|MON|MONDAY|FEB|FEB|FEB|FEBRUARY|AM|am|am|am|am|MON FEB  5 07:08:09 2024|Mon Feb  5 0"
     "7:08:09 2024|02/05/24|07:08:09 AM|05|2024|%^Q|\012\011%"},
    {1707116889,
     "%5d|%_5d|%-5d|%05d|%-d|%_d|%0e|%-e|%_H|%-I|%0k|%0l|%_j|%-j|%-y|%_y|%_m|%10Y|%_10Y|%-U|%0"
     "15s",
     "00005|    5|    5|00005|5| 5|05|5| 7|7|07|07| 36|36|24|24| 2|0000002024|      2024|5|000"
     "001707116889"},
    {1707116889,
     "%10A|%-10A|%_10A|%010A|%^10b|%20c|%020c|%12F|%012F|%_12F|%-F|%10D|%12r|%8R|%10T|%5p|%05P"
     "|%3%",
     "    Monday|    Monday|    Monday|0000Monday|       FEB|Mon Feb  5 07:08:09 2024|Mon Feb "
     " 5 07:08:09 2024|  2024-02-05|002024-02-05|  2024-02-05|2024-02-05|  02/05/24| 07:08:09 "
     "AM|   07:08|  07:08:09|   AM|000am|  %"},
    {1707116889,
     "%Q|%5Q|%05Q|%^5Q|%5f|%-f|%^f|%_-05d|%#^a|%+Y|%:z|%E|%5|%\303\251|%5\303\251|%-Ey|%_3Od|%"
     "05Om|%E5d|%%d",
     "%Q|  %5Q|0%05Q| %^5Q|  %5f|%-f|%^F|00005|MON|%+Y|%:z|%E|  %5|%\303\251|  %5\303\251|24| "
     " 5|00002|%E5d|%d"},
    {1707116889,
     "%",
     "%"},
    {1707116889,
     "a%",
     "a%"},
    {1707116889,
     "%5",
     "   %5"},
    {1707116889,
     "%-",
     "%-"},
    {1707116889,
     "%E",
     "%E"},
    {951825599,
     "%a|%b|%c|%d|%e|%f|%g|%h|%i|%j|%k|%l|%m|%n|%o|%p|%q|%r|%s|%t",
     "Tue|Feb|Tue Feb 29 11:59:59 2000|29|29|000000|00|Feb|%i|060|11|11|02|\012|%o|AM|%q|11:59"
     ":59 AM|951825599|\011"},
    {951825599,
     "%u|%v|%w|%x|%y|%z|%A|%B|%C|%D|%E|%F|%G|%H|%I|%J|%K|%L|%M|%N",
     "2|%v|2|02/29/00|00||Tuesday|February|20|02/29/00|%E|2000-02-29|2000|11|11|%J|%K|%L|59|%N"},
    {951825599,
     "%O|%P|%Q|%R|%S|%T|%U|%V|%W|%X|%Y|%Z|%%|%+|% |%Ea|%Eb|%Ec|%Ed|%Ee",
     "%O|am|%Q|11:59|59|11:59:59|09|09|09|11:59:59|2000||%|%+|% |%Ea|%Eb|Tue Feb 29 11:59:59 2"
     "000|%Ed|%Ee"},
    {951825599,
     "%Ef|%Eg|%Eh|%Ei|%Ej|%Ek|%El|%Em|%En|%Eo|%Ep|%Eq|%Er|%Es|%Et|%Eu|%Ev|%Ew|%Ex|%Ey",
     "%Ef|%Eg|%Eh|%Ei|%Ej|%Ek|%El|%Em|\012|%Eo|AM|%Eq|11:59:59 AM|951825599|\011|2|%Ev|%Ew|02/"
     "29/00|00"},
    {951825599,
     "%EA|%EB|%EC|%ED|%EE|%EF|%EG|%EH|%EI|%EJ|%EK|%EL|%EM|%EN|%EO|%EP|%EQ|%ER|%ES|%ET",
     "%EA|%EB|20|%ED|%EE|%EF|%EG|%EH|%EI|%EJ|%EK|%EL|%EM|%EN|%EO|am|%EQ|11:59|%ES|11:59:59"},
    {951825599,
     "%EU|%EV|%EW|%EX|%EY|%E%|%E+|%E |%Oa|%Ob|%Oc|%Od|%Oe|%Of|%Og|%Oh|%Oi|%Oj|%Ok|%Ol",
     "%EU|%EV|%EW|11:59:59|2000|%|%E+|%E |%Oa|Feb|%Oc|29|29|%Of|00|Feb|%Oi|060|11|11"},
    {951825599,
     "%Om|%On|%Oo|%Op|%Oq|%Or|%Os|%Ot|%Ou|%Ov|%Ow|%Ox|%Oy|%Oz|%OA|%OB|%OC|%OD|%OE|%OF",
     "02|\012|%Oo|AM|%Oq|11:59:59 AM|951825599|\011|2|%Ov|2|%Ox|00||%OA|February|20|%OD|%OE|%O"
     "F"},
    {951825599,
     "%OG|%OH|%OI|%OJ|%OK|%OL|%OM|%ON|%OO|%OP|%OQ|%OR|%OS|%OT|%OU|%OV|%OW|%OX|%OY|%OZ",
     "2000|11|11|%OJ|%OK|%OL|59|%ON|%OO|am|%OQ|11:59|59|11:59:59|09|09|09|%OX|%OY|"},
    {951825599,
     "%O%|%O+|%O ",
     "%|%O+|%O "},
    {951825599,
     "%^a|%#a|%^A|%#b|%^h|%#h|%#B|%^p|%#p|%P|%#P|%^P|%^c|%#c|%^x|%^r|%^d|%#Y|%^Q|%^n%#t%^%",
     "TUE|TUE|TUESDAY|FEB|FEB|FEB|FEBRUARY|AM|am|am|am|am|TUE FEB 29 11:59:59 2000|Tue Feb 29 "
     "11:59:59 2000|02/29/00|11:59:59 AM|29|2000|%^Q|\012\011%"},
    {951825599,
     "%5d|%_5d|%-5d|%05d|%-d|%_d|%0e|%-e|%_H|%-I|%0k|%0l|%_j|%-j|%-y|%_y|%_m|%10Y|%_10Y|%-U|%0"
     "15s",
     "00029|   29|   29|00029|29|29|29|29|11|11|11|11| 60|60|0| 0| 2|0000002000|      2000|9|0"
     "00000951825599"},
    {951825599,
     "%10A|%-10A|%_10A|%010A|%^10b|%20c|%020c|%12F|%012F|%_12F|%-F|%10D|%12r|%8R|%10T|%5p|%05P"
     "|%3%",
     "   Tuesday|   Tuesday|   Tuesday|000Tuesday|       FEB|Tue Feb 29 11:59:59 2000|Tue Feb "
     "29 11:59:59 2000|  2000-02-29|002000-02-29|  2000-02-29|2000-02-29|  02/29/00| 11:59:59 "
     "AM|   11:59|  11:59:59|   AM|000am|  %"},
    {951825599,
     "%Q|%5Q|%05Q|%^5Q|%5f|%-f|%^f|%_-05d|%#^a|%+Y|%:z|%E|%5|%\303\251|%5\303\251|%-Ey|%_3Od|%"
     "05Om|%E5d|%%d",
     "%Q|  %5Q|0%05Q| %^5Q|  %5f|%-f|%^F|00029|TUE|%+Y|%:z|%E|  %5|%\303\251|  %5\303\251|0| 2"
     "9|00002|%E5d|%d"},
    {951825599,
     "%",
     "%"},
    {951825599,
     "a%",
     "a%"},
    {951825599,
     "%5",
     "   %5"},
    {951825599,
     "%-",
     "%-"},
    {951825599,
     "%E",
     "%E"},
    {1230768000,
     "%a|%b|%c|%d|%e|%f|%g|%h|%i|%j|%k|%l|%m|%n|%o|%p|%q|%r|%s|%t",
     "Thu|Jan|Thu Jan  1 00:00:00 2009|01| 1|000000|09|Jan|%i|001| 0|12|01|\012|%o|AM|%q|12:00"
     ":00 AM|1230768000|\011"},
    {1230768000,
     "%u|%v|%w|%x|%y|%z|%A|%B|%C|%D|%E|%F|%G|%H|%I|%J|%K|%L|%M|%N",
     "4|%v|4|01/01/09|09||Thursday|January|20|01/01/09|%E|2009-01-01|2009|00|12|%J|%K|%L|00|%N"},
    {1230768000,
     "%O|%P|%Q|%R|%S|%T|%U|%V|%W|%X|%Y|%Z|%%|%+|% |%Ea|%Eb|%Ec|%Ed|%Ee",
     "%O|am|%Q|00:00|00|00:00:00|00|01|00|00:00:00|2009||%|%+|% |%Ea|%Eb|Thu Jan  1 00:00:00 2"
     "009|%Ed|%Ee"},
    {1230768000,
     "%Ef|%Eg|%Eh|%Ei|%Ej|%Ek|%El|%Em|%En|%Eo|%Ep|%Eq|%Er|%Es|%Et|%Eu|%Ev|%Ew|%Ex|%Ey",
     "%Ef|%Eg|%Eh|%Ei|%Ej|%Ek|%El|%Em|\012|%Eo|AM|%Eq|12:00:00 AM|1230768000|\011|4|%Ev|%Ew|01"
     "/01/09|09"},
    {1230768000,
     "%EA|%EB|%EC|%ED|%EE|%EF|%EG|%EH|%EI|%EJ|%EK|%EL|%EM|%EN|%EO|%EP|%EQ|%ER|%ES|%ET",
     "%EA|%EB|20|%ED|%EE|%EF|%EG|%EH|%EI|%EJ|%EK|%EL|%EM|%EN|%EO|am|%EQ|00:00|%ES|00:00:00"},
    {1230768000,
     "%EU|%EV|%EW|%EX|%EY|%E%|%E+|%E |%Oa|%Ob|%Oc|%Od|%Oe|%Of|%Og|%Oh|%Oi|%Oj|%Ok|%Ol",
     "%EU|%EV|%EW|00:00:00|2009|%|%E+|%E |%Oa|Jan|%Oc|01| 1|%Of|09|Jan|%Oi|001| 0|12"},
    {1230768000,
     "%Om|%On|%Oo|%Op|%Oq|%Or|%Os|%Ot|%Ou|%Ov|%Ow|%Ox|%Oy|%Oz|%OA|%OB|%OC|%OD|%OE|%OF",
     "01|\012|%Oo|AM|%Oq|12:00:00 AM|1230768000|\011|4|%Ov|4|%Ox|09||%OA|January|20|%OD|%OE|%O"
     "F"},
    {1230768000,
     "%OG|%OH|%OI|%OJ|%OK|%OL|%OM|%ON|%OO|%OP|%OQ|%OR|%OS|%OT|%OU|%OV|%OW|%OX|%OY|%OZ",
     "2009|00|12|%OJ|%OK|%OL|00|%ON|%OO|am|%OQ|00:00|00|00:00:00|00|01|00|%OX|%OY|"},
    {1230768000,
     "%O%|%O+|%O ",
     "%|%O+|%O "},
    {1230768000,
     "%^a|%#a|%^A|%#b|%^h|%#h|%#B|%^p|%#p|%P|%#P|%^P|%^c|%#c|%^x|%^r|%^d|%#Y|%^Q|%^n%#t%^%",
     "THU|THU|THURSDAY|JAN|JAN|JAN|JANUARY|AM|am|am|am|am|THU JAN  1 00:00:00 2009|Thu Jan  1 "
     "00:00:00 2009|01/01/09|12:00:00 AM|01|2009|%^Q|\012\011%"},
    {1230768000,
     "%5d|%_5d|%-5d|%05d|%-d|%_d|%0e|%-e|%_H|%-I|%0k|%0l|%_j|%-j|%-y|%_y|%_m|%10Y|%_10Y|%-U|%0"
     "15s",
     "00001|    1|    1|00001|1| 1|01|1| 0|12|00|12|  1|1|9| 9| 1|0000002009|      2009|0|0000"
     "01230768000"},
    {1230768000,
     "%10A|%-10A|%_10A|%010A|%^10b|%20c|%020c|%12F|%012F|%_12F|%-F|%10D|%12r|%8R|%10T|%5p|%05P"
     "|%3%",
     "  Thursday|  Thursday|  Thursday|00Thursday|       JAN|Thu Jan  1 00:00:00 2009|Thu Jan "
     " 1 00:00:00 2009|  2009-01-01|002009-01-01|  2009-01-01|2009-01-01|  01/01/09| 12:00:00 "
     "AM|   00:00|  00:00:00|   AM|000am|  %"},
    {1230768000,
     "%Q|%5Q|%05Q|%^5Q|%5f|%-f|%^f|%_-05d|%#^a|%+Y|%:z|%E|%5|%\303\251|%5\303\251|%-Ey|%_3Od|%"
     "05Om|%E5d|%%d",
     "%Q|  %5Q|0%05Q| %^5Q|  %5f|%-f|%^F|00001|THU|%+Y|%:z|%E|  %5|%\303\251|  %5\303\251|9|  "
     "1|00001|%E5d|%d"},
    {1230768000,
     "%",
     "%"},
    {1230768000,
     "a%",
     "a%"},
    {1230768000,
     "%5",
     "   %5"},
    {1230768000,
     "%-",
     "%-"},
    {1230768000,
     "%E",
     "%E"},
};
