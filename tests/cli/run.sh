#!/bin/sh
# run.sh - the command line as its users see it: output, messages, exit codes.
#
#     run.sh PATH_TO_BAMBA PATH_TO_MODEL [PART...]
#
# A part is a file of cases: "chat" is cases_chat.sh. Parts need nothing of each other; without
# their names all run.
#
# The model is the embedded one or any other small one: what it writes is never expected
# literally, only compared with what it wrote before. Prints a line a case and
# "N passed, N failed"; exit code 1 if one failed.
set -u

if [ $# -lt 2 ]; then
    echo "usage: run.sh PATH_TO_BAMBA PATH_TO_MODEL [PART...]" >&2
    exit 2
fi
bamba=$1
model=$2
shift 2
case $bamba in /*) ;; *) bamba=$PWD/$bamba ;; esac
case $model in /*) ;; *) model=$PWD/$model ;; esac
[ -x "$bamba" ] || { echo "run.sh: $bamba: no program" >&2; exit 2; }
[ -r "$model/config.json" ] || { echo "run.sh: $model: no model" >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
if [ $# -eq 0 ]; then
    for cases in "$here"/cases_*.sh; do
        part=${cases##*/cases_}
        set -- "$@" "${part%.sh}"
    done
fi
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
unset BAMBA_MODEL BAMBA_CPU HF_HUB_CACHE HUGGINGFACE_HUB_CACHE HF_HOME XDG_CACHE_HOME
n_passed=0
n_failed=0
name=
problem=

# ---- cases ----

begin() {                                 # begin NAME: all checks up to the next belong to it
    finish
    name=$1
    problem=
}

finish() {
    [ -n "$name" ] || return 0
    if [ -z "$problem" ]; then
        n_passed=$((n_passed + 1))
        echo "ok      $name"
    else
        n_failed=$((n_failed + 1))
        echo "FAILED  $name: $problem"
        [ -s err ] && sed 's/^/        stderr: /' err | head -5
    fi
    name=
}

wrong() {
    problem="${problem:+$problem; }$1"
}

run() {                                   # run CODE ARGS...: out, err; stdin from ./in
    want=$1
    shift
    "$bamba" "$@" < in > out 2> err
    code=$?
    [ $code -eq "$want" ] || wrong "exit code $code instead of $want: $*"
}

gen() {                                   # greedy, on one thread, text alone
    want=$1
    shift
    run "$want" generate -m "$model" --temp 0 -t 1 --repeat-penalty 1 --no-display-prompt "$@"
}

out_is()    { [ "$(cat out)" = "$1" ] || wrong "stdout is '$(head -c 200 out)', not '$1'"; }
out_has()   { grep -qF -e "$1" out || wrong "stdout lacks '$1'"; }
out_lacks() { ! grep -qF -e "$1" out || wrong "stdout has '$1'"; }
err_has()   { grep -qF -e "$1" err || wrong "stderr lacks '$1'"; }
out_empty() { [ ! -s out ] || wrong "stdout is not empty"; }
out_same()  { cmp -s out "$1" || wrong "stdout differs from $1"; }
one_line()  { [ "$(wc -l < err)" -eq 1 ] || wrong "stderr has $(wc -l < err) lines"; }

wrong_use() {                             # wrong_use TEXT ARGS...: exit 2, one line with TEXT
    told=$1
    shift
    run 2 "$@"
    out_empty
    one_line
    err_has "$told"
}

fails() {                                 # the same with exit 1
    told=$1
    shift
    run 1 "$@"
    one_line
    err_has "$told"
}

json_number() {                           # json_number KEY: of the object in ./out
    sed -n "s/.*\"$1\": \\(-\\{0,1\\}[0-9][0-9.e+-]*\\).*/\\1/p" out
}
json_list() {
    sed -n "s/.*\"$1\": \\[ *\\([^]]*\\)\\].*/\\1/p" out | sed 's/ *$//'
}
count() {                                 # words in $*
    echo $#
}

for part; do
    mkdir "$work/$part" && cd "$work/$part" || exit 2
    HOME=$PWD/home
    : > in
    . "$here/cases_$part.sh"
    finish
done
echo "$n_passed passed, $n_failed failed"
[ $n_failed -eq 0 ]
