#!/bin/sh
# starve.sh - what the command writes while allocations fail, of json-c or, with FAIL_IN, its own:
# each fails once, and once and for all. Then the command says that memory is short, or what it
# writes is right.
#
#     starve.sh PATH_TO_BAMBA PATH_TO_MODEL PATH_TO_FAILING_MALLOC
set -u

bamba=$1
model=$2
library=$3
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 2
unset BAMBA_MODEL BAMBA_CPU
bad=0

# Times and speeds, which differ from run to run; they are written with a point.
steady() {
    sed 's/[0-9][0-9]*\.[0-9]*/X/g; s/"noise": "[^"]*"/"noise": X/
         s/"test_time": "[^"]*"/"test_time": X/; s/"\(rss_bytes\|[a-z_0-9]*_ns\)": [0-9]*/"\1": X/g
         s/"samples_\(ns\|ts\)": \[[^]]*\]/"samples_\1": X/g' "$1"
}

starve() {                                # starve STEP ARGS...: every STEP-th from $first on
    step=$1
    shift
    FAIL_COUNT=$work/count LD_PRELOAD=$library "$bamba" "$@" < in > out 2> err || {
        echo "FAILED  $*: $(cat err)"; bad=1; return; }
    steady out > expected
    n=$(cat count)
    n_failed=0
    for on in '' 1; do
        at=$first
        while [ $at -le "$n" ]; do
            if [ -n "$on" ]; then export FAIL_ON=1; else unset FAIL_ON; fi
            FAIL_AT=$at LD_PRELOAD=$library "$bamba" "$@" < in > out 2> err
            code=$?
            steady out > found
            if [ $code -eq 1 ] && grep -q "out of memory" err; then
                n_failed=$((n_failed + 1))
                [ ! -s out ] || head -c "$(wc -c < out)" expected | cmp -s - out ||
                    { echo "FAILED  $*: allocation $at${on:+ and later}: wrote $(head -c 300 out)"
                      bad=1; }
            elif [ $code -ne 0 ] || ! cmp -s found expected; then
                echo "FAILED  $*: allocation $at${on:+ and later}: exit code $code: $(cat err)"
                echo "        found    $(cat found)" | head -3
                echo "        expected $(cat expected)" | head -3
                bad=1
            fi
            at=$((at + step))
        done
    done
    unset FAIL_ON
    if [ "$n" -lt 3 ] || [ $n_failed -lt 3 ]; then
        echo "FAILED  $*: $n allocations, $n_failed times out of memory"
        bad=1
    else
        echo "ok      $*: $n allocations, $n_failed times out of memory"
    fi
}

first=1
: > in
cat > tiny.json << 'END'
{"model_type": "mamba2", "hidden_size": 32, "vocab_size": 48, "num_hidden_layers": 1,
 "num_heads": 4, "head_dim": 16, "state_size": 16, "n_groups": 1}
END
starve 1 generate -m "$model" -p 'Once "upon"\na time' -n 6 --temp 0 --seed 7 -t 1 --json -q
starve 1 info -m "$model" --json
bench="bench --shape ./tiny.json -t 1 -r 1 -p 1 -n 0 -q"
starve 83 $bench -o jsonl --ops
starve 110 $bench -o csv

# A draft model: its vocabulary, session, sampler and distributions, and guesses by rejection.
export FAIL_IN="$bamba"
starve 1 generate -m "$model" --draft "$model" --draft-min 2 --draft-max 2 -p Once -n 5 -t 1 -c 32 \
    -s 3 --temp 0.8 --draft-sampling rejection --json -q

# A conversation that is rendered, one that goes on in several ways, and what is saved of it. What
# the second allocates before its first turn is tried above and in api/chat.
mkdir talker
for file in "$model"/*; do ln -s "$file" talker/; done
rm -f talker/chat_template.jinja
printf '%s' '{%- for m in messages -%}{{ m.role }}: {{ m.content|trim }}{{ "\n" }}{%- endfor -%}' \
    '{%- if add_generation_prompt -%}assistant:{%- endif -%}' > talker/chat_template.jinja
printf '[{"role": "user", "content": "a"}, {"role": "tool", "content": [1, "b"]}]' > list.json
starve 1 chat --messages list.json --chat-template talker/chat_template.jinja --render
talk="chat -m talker -n 2 -s 3 -t 1 -c 64 -q"
FAIL_COUNT=$work/count LD_PRELOAD=$library "$bamba" $talk < in
first=$(cat count)
printf '%s\n' "Once" "/save a.safetensors" "/load a.safetensors" "/regen" "/save a.json" \
    "/load a.json" "Who?" > in
starve 1 $talk
exit $bad
