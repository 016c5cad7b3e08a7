#!/bin/sh
# beside.sh - this engine beside another one, on the same shapes, in turn.
#
#     beside.sh BAMBA LLAMA_BENCH DIRECTORY [-p LIST] [-n LIST] [-d LIST] [-t N] [-r ROUNDS]
#
# DIRECTORY holds SHAPE-TYPE.gguf: hybrid-1b-bf16.gguf is measured beside
# `bamba bench --shape hybrid-1b --type bf16`. Each round runs one, then the other; a row is the
# median of the rounds of each, and their ratio. Types that one of them does not have are said
# and left out. Exit code 1 if nothing could be compared.
set -u

usage() {
    sed -n '4p' "$0" | cut -c 7- >&2
    exit 2
}

[ $# -ge 3 ] || usage
bamba=$1
rival=$2
files=$3
shift 3
prompts=512 generated=64 depths=0 rounds=5 threads=
while [ $# -ge 2 ]; do
    case $1 in
        -p) prompts=$2 ;;
        -n) generated=$2 ;;
        -d) depths=$2 ;;
        -t) threads=$2 ;;
        -r) rounds=$2 ;;
        *) usage ;;
    esac
    shift 2
done
[ $# -eq 0 ] || usage
command -v "$bamba" > /dev/null || { echo "beside.sh: $bamba: no program" >&2; exit 2; }
command -v "$rival" > /dev/null || { echo "beside.sh: $rival: no program" >&2; exit 2; }

work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT

# The lines of -o jsonl as "shape-type test who tokens/s".
tell() {                                  # tell NAME WHO
    number='\([0-9.]*\)'
    sed -n "s/.*\"n_prompt\": *$number.*\"n_gen\": *$number.*\"n_depth\": *$number.*\
\"avg_ts\": *$number.*/\\1 \\2 \\3 \\4/p" |
    awk -v name="$1" -v who="$2" '{
        print name, ($1 > 0 ? "pp" $1 : "tg" $2) ($3 > 0 ? "@d" $3 : ""), who, $4 }'
}

: > "$work/rows"
for file in "$files"/*.gguf; do
    [ -r "$file" ] || continue
    name=$(basename "$file" .gguf)
    type=${name##*-}
    shape=${name%-*}
    set -- -p "$prompts" -n "$generated" -d "$depths" -r 1 -o jsonl
    [ -z "$threads" ] || set -- "$@" -t "$threads"
    round=0
    while [ $round -lt "$rounds" ]; do
        round=$((round + 1))
        if ! "$bamba" bench --shape "$shape" --type "$type" "$@" > "$work/ours" \
                2> "$work/err"; then
            echo "beside.sh: $name: $(tail -1 "$work/err")" >&2
            break
        fi
        if ! "$rival" -m "$file" "$@" > "$work/theirs" 2> "$work/err"; then
            echo "beside.sh: $name: $rival: $(tail -1 "$work/err")" >&2
            break
        fi
        tell "$name" ours < "$work/ours" >> "$work/rows"
        tell "$name" theirs < "$work/theirs" >> "$work/rows"
    done
done

awk '
function median(key,    n, i, j, v) {
    n = split(values[key], v, " ")
    for (i = 2; i <= n; i++)
        for (j = i; j > 1 && v[j - 1] + 0 > v[j] + 0; j--) {
            t = v[j]; v[j] = v[j - 1]; v[j - 1] = t
        }
    return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}
{
    row = $1 " " $2
    if (!(row in seen)) { seen[row] = 1; order[++n_rows] = row }
    values[row " " $3] = values[row " " $3] " " $4
}
END {
    for (i = 1; i <= n_rows; i++) {
        if (!((order[i] " ours") in values) || !((order[i] " theirs") in values)) continue
        if (!n_told++) {
            printf "| %-24s | %-12s | %10s | %10s | %6s |\n", "model", "test", "ours t/s",
                   "theirs t/s", "ratio"
            print "| ------------------------ | ------------ | ---------: | ---------: | -----: |"
        }
        split(order[i], part, " ")
        a = median(order[i] " ours"); b = median(order[i] " theirs")
        printf "| %-24s | %-12s | %10.2f | %10.2f | %6.2f |\n", part[1], part[2], a, b,
               (b > 0 ? a / b : 0)
    }
    if (!n_told) { print "nothing to compare" > "/dev/stderr"; exit 1 }
}' "$work/rows"
