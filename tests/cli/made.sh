#!/bin/sh
# made.sh - the command on models made for it: one without attention, one whose keys float16 cannot
# hold.
#
#     made.sh PATH_TO_BAMBA PATH_TO_MAKE_MODEL MODEL_WITH_TOKENIZER
set -u
bamba=$1 make_model=$2 tokenizer=$3
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
failed=0

check() {                                 # check TEXT CONDITION...
    told=$1
    shift
    "$@" || { echo "FAILED  $told"; head -c 300 "$work/err"; failed=1; }
}

for name in endless large; do
    mkdir "$work/$name" &&
        cp "$tokenizer/tokenizer.json" "$tokenizer/tokenizer_config.json" "$work/$name"
done
"$make_model" "$work/endless" 4096 0 1 && "$make_model" "$work/large" 4096 1 1e7 || exit 2

run() {                                   # run MODEL ARGS...
    model=$work/$1
    shift
    "$bamba" generate -m "$model" --temp 0 --ignore-eos --no-display-prompt --json "$@" \
        > "$work/out" 2> "$work/err"
}

# 9,000 words are more than the 4096 tokens of a model that names no context.
awk 'BEGIN { for (i = 0; i < 9000; i++) printf "the " }' > "$work/long"
check "a long prompt"      run endless -f "$work/long" -n 2
check "its length"         grep -q '"finish": "length"' "$work/out"
check "a long text"        run endless -p the -n 5000
check "and its length"     grep -q '"finish": "length"' "$work/out"
check "-c bounds it"       sh -c '! "$@" 2> "$0"' "$work/err" \
    "$bamba" generate -m "$work/endless" -f "$work/long" -c 100
check "-c ends the text"   run endless -p the -n -1 -c 50
check "by context"         grep -q '"finish": "context"' "$work/out"

check "keys too large"     sh -c '! "$@" 2> "$0"' "$work/err" \
    "$bamba" generate -m "$work/large" -p the -n 3
check "one line about it"  test "$(grep -c . "$work/err")" -eq 1
check "says what helps"    grep -q 'position 0: .*65504.*try kv_type bf16' "$work/err"
check "which is so"        run large -p the -n 3 --kv-type bf16
exit $failed
