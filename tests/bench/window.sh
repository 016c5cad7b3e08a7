#!/bin/sh
# window.sh - perplexity by the window of attention, at several lengths: what docs/window.md says.
#
#     window.sh PATH_TO_BAMBA PATH_TO_MODEL TEXT [TOKENS [LENGTHS [WINDOWS]]]
#
# Each length reads the first TOKENS tokens of the text (65536), in chunks of that length whose
# second half is scored. A window of 0 sees all.
set -eu

bamba=$1 model=$2 text=$3 tokens=${4:-65536}
lengths=${5:-1024 2048 4096 16384} windows=${6:-0 1024 512 256 128}

for window in $windows; do
    printf '%7s' "$window"
    for length in $lengths; do
        ppl=$("$bamba" perplexity -q -m "$model" -f "$text" -c "$length" \
            --chunks $((tokens / length)) --window "$window" --json |
            sed 's/.*"ppl": \([0-9.]*\).*/\1/')
        printf ' %9.3f' "$ppl"
    done
    echo
done
