#!/bin/sh
# beside.sh - this engine beside another one, on the same shapes, in turn.
#
#     beside.sh BAMBA LLAMA_BENCH DIRECTORY [-p LIST] [-n LIST] [-d LIST] [-t N] [-r ROUNDS]
#               [-npl LIST --batched LLAMA_BATCHED_BENCH]
#
# DIRECTORY holds SHAPE-TYPE.gguf: hybrid-1b-bf16.gguf is measured beside
# `bamba bench --shape hybrid-1b --type bf16`. Each round runs one, then the other; a row is the
# median of the rounds of each, and their ratio. With -npl, numbers of sequences generate
# together behind 16 tokens each: "8xtg64@d16", in tokens a second of all of them. Types that one
# of the programs does not have are said and left out. Exit code 1 if nothing could be compared.
set -u

usage() {
    sed -n '4,5p' "$0" | cut -c 7- >&2
    exit 2
}

[ $# -ge 3 ] || usage
bamba=$1
rival=$2
files=$3
shift 3
prompts=512 generated=64 depths=0 rounds=5 threads= sequences= batched=
while [ $# -ge 2 ]; do
    case $1 in
        -p) prompts=$2 ;;
        -n) generated=$2 ;;
        -d) depths=$2 ;;
        -t) threads=$2 ;;
        -r) rounds=$2 ;;
        -npl) sequences=$2 ;;
        --batched) batched=$2 ;;
        *) usage ;;
    esac
    shift 2
done
[ $# -eq 0 ] || usage
[ -z "$sequences$batched" ] || { [ -n "$sequences" ] && [ -n "$batched" ]; } || usage
for program in "$bamba" "$rival" ${batched:+"$batched"}; do
    command -v "$program" > /dev/null || { echo "beside.sh: $program: no program" >&2; exit 2; }
done

work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT

# The lines of -o jsonl, or of the batched bench, as "shape-type test who tokens/s".
tell() {                                  # tell NAME WHO BATCHED
    awk -v name="$1" -v who="$2" -v batched="$3" '
        function number(key,    text) {
            if (!match($0, "\"" key "\": *[0-9.]+")) return 0
            text = substr($0, RSTART, RLENGTH)
            sub(/.*: */, "", text)
            return text + 0
        }
        function row(prompt, generated, depth, sequences, speed) {
            print name, (batched ? sequences "x" : "") (prompt > 0 ? "pp" prompt : \
                  "tg" generated) (depth > 0 ? "@d" depth : ""), who, speed
        }
        /"avg_ts"/ {
            row(number("n_prompt"), number("n_gen"), number("n_depth"), number("n_batch_seqs"),
                number("avg_ts"))
        }
        /"speed_tg"/ { row(0, number("tg"), number("pp"), number("pl"), number("speed_tg")) }'
}

# The same of a program; what it says if it fails.
measure() {                               # measure NAME WHO BATCHED PROGRAM ARGS...
    row_name=$1 row_who=$2 row_batched=$3
    shift 3
    if "$@" > "$work/out" 2> "$work/err"; then
        tell "$row_name" "$row_who" "$row_batched" < "$work/out" >> "$work/rows"
    else
        echo "beside.sh: $row_name: $1: $(tail -1 "$work/err")" >&2
        return 1
    fi
}

one_by_one() {
    set -- -p "$prompts" -n "$generated" -d "$depths" -r 1 -o jsonl ${threads:+-t "$threads"}
    measure "$name" ours "" "$bamba" bench --shape "$shape" --type "$type" "$@" &&
    measure "$name" theirs "" "$rival" -m "$file" "$@"
}

together() {                              # the context they need is said: theirs is one block
    context=$(echo "$sequences $generated" | awk '
        function most(list,    n, i, v, m) {
            n = split(list, v, ",")
            for (i = 1; i <= n; i++) if (v[i] + 0 > m) m = v[i] + 0
            return m
        }
        { print most($1) * (16 + most($2)) }')
    measure "$name" ours yes "$bamba" bench --shape "$shape" --type "$type" -p 0 \
        -n "$generated" -d 16 -npl "$sequences" -r 1 -o jsonl ${threads:+-t "$threads"} &&
    measure "$name" theirs yes "$batched" -m "$file" -c "$context" -npp 16 -ntg "$generated" \
        -npl "$sequences" --output-format jsonl ${threads:+-t "$threads"}
}

: > "$work/rows"
for file in "$files"/*.gguf; do
    [ -r "$file" ] || continue
    name=$(basename "$file" .gguf)
    type=${name##*-}
    shape=${name%-*}
    round=0
    while [ $round -lt "$rounds" ]; do
        round=$((round + 1))
        one_by_one || break
        [ -z "$sequences" ] || together || break
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
