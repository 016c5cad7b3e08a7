#!/bin/sh
# check_layers.sh SOURCE - reads the #include lines: a file sees its own folder and lower ranks.
#
#   include  the public headers, seen by src and tools    kernels  0, sees itself only
#   base 0   load 1   graph, text 2   mixer, chat 3   arch 4   src/*.c 5   tools: include, its own
#
# Of kernels/ only kernels.h is seen from outside, of any folder no x_internal.h. Headers of other
# libraries stand in one .c file of src each, json-c in json.c and bench_print.c of tools; those of
# the operating system in src/base, but pthread.h only in base/threads_*.c, of which a build has
# one; else C11's alone.
cd "$1" || exit 1

set -- $(find include src kernels tools -name '*.[ch]' | sort)

awk '
function fail(message) {
    printf "%s:%d: %s\n", FILENAME, FNR, message
    failures++
}
function folder(path,    part) {
    split(path, part, "/")
    if (part[1] != "src") return part[1]
    return path ~ /^src\/.*\// ? part[2] : "src"
}
function normal(path) {
    while (match(path, /[^\/]+\/\.\.\//))
        path = substr(path, 1, RSTART - 1) substr(path, RSTART + RLENGTH)
    return path
}
function resolve(name,    here, n, i, place) {
    here = FILENAME
    sub(/[^\/]*$/, "", here)
    n = split(here " include/ src/ kernels/", place, " ")
    for (i = 1; i <= n; i++) if (normal(place[i] name) in file) return normal(place[i] name)
    return ""
}
function may_see(from, to) {
    if (from == to) return 1
    if (to == "include") return from != "kernels"
    if (!(from in rank) || !(to in rank)) return 0
    return rank[to] < rank[from]
}
function check_own(name,    path, from, to) {
    path = resolve(name)
    if (path == "") { fail("no such file of ours: \"" name "\""); return }
    from = folder(FILENAME)
    to = folder(path)
    if (!may_see(from, to)) fail(from " must not see " path)
    if (from != to && path ~ /_internal\.h$/) fail(path " is for " to " alone")
    if (from != to && to == "kernels" && path != "kernels/kernels.h")
        fail(path " is for kernels alone")
}
function check_other(name,    from) {
    from = folder(FILENAME)
    if (name in c11) return
    if (from == "tools") {
        if (name == "json-c/json.h" && FILENAME !~ /^tools\/(json|bench_print)\.c$/)
            fail("<" name "> belongs into tools/json.c")
        return
    }
    if (name in third) {
        users[name]++
        if (FILENAME !~ /^src\/.*\.c$/) fail("<" name "> belongs into a .c file of src")
        else if (users[name] > 1) fail("<" name "> has another user already")
        return
    }
    if (name == "pthread.h") {
        n_pthread++
        if (FILENAME !~ /^src\/base\/threads_[a-z]+\.c$/)
            fail("<pthread.h> is for base/threads_*.c")
        return
    }
    if (from == "kernels" && name in intrinsics) return
    if (from != "base") fail("<" name "> is not a header of C11")
}
BEGIN {
    n = split("base:0 kernels:0 load:1 graph:2 text:2 mixer:3 chat:3 arch:4 src:5", pair, " ")
    for (i = 1; i <= n; i++) { split(pair[i], p, ":"); rank[p[1]] = p[2] + 0 }
    n = split("assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp " \
              "signal stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn " \
              "string tgmath threads time uchar wchar wctype", word, " ")
    for (i = 1; i <= n; i++) c11[word[i] ".h"] = 1
    n = split("pcre2.h utf8proc.h xxhash.h omp.h", word, " ")
    for (i = 1; i <= n; i++) third[word[i]] = 1
    n = split("immintrin.h cpuid.h arm_neon.h", word, " ")
    for (i = 1; i <= n; i++) intrinsics[word[i]] = 1
    for (i = 1; i < ARGC; i++) file[ARGV[i]] = 1
}
/^[ \t]*#[ \t]*include/ {
    n_lines++
    if (match($0, /"[^"]+"/)) check_own(substr($0, RSTART + 1, RLENGTH - 2))
    else if (match($0, /<[^>]+>/)) check_other(substr($0, RSTART + 1, RLENGTH - 2))
    else fail("an #include that this check cannot read")
}
END {
    for (header in third) if (users[header] != 1) {
        printf "<%s>: expected one user in src, found %d\n", header, users[header]
        failures++
    }
    if (!n_pthread) { print "<pthread.h>: expected a user in src/base, found none"; failures++ }
    if (n_lines < 100) { print "read only " n_lines + 0 " #include lines"; failures++ }
    if (!failures) print "layers: " n_lines " #include lines point downwards"
    exit failures > 0
}' "$@"
