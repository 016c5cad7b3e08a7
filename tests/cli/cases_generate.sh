# cases_generate.sh - text, its end, and what is told about it.

prompt="The old man went"

begin "the same text twice"
gen 0 -p "$prompt" -n 30 --ignore-eos
[ "$(wc -c < out)" -gt 20 ] || wrong "hardly any text"
cp out text
gen 0 -p "$prompt" -n 30 --ignore-eos
out_same text

begin "any number of threads"
gen 0 -p "$prompt" -n 30 --ignore-eos -t 2
out_same text

begin "the prompt in front"
run 0 generate -m "$model" --temp 0 --repeat-penalty 1 -p "$prompt" -n 30 --ignore-eos
{ printf %s "$prompt"; cat text; } > expected
out_same expected

begin "one line of summary"
one_line
for word in "prompt: " "per second" "text: 30 tokens" "end: length"; do err_has "$word"; done
! grep -q "seed" err || wrong "a seed that does not matter"

begin "-q"
run 0 generate -m "$model" --temp 0 -p "$prompt" -n 3 -q
[ ! -s err ] || wrong "stderr is not empty"

begin "--perf and -v"
for option in --perf -v; do
run 0 generate -m "$model" --temp 0 --repeat-penalty 1 -p "$prompt" -n 30 --ignore-eos $option
out_same expected
for word in "temp = 0.000" "load time" "prompt eval time" "eval time" "total time" \
            "tokens per second" "finish reason    = length"; do err_has "$word"; done
! grep -q "seed" err || wrong "a seed that does not matter"
done

begin "accepted llama.cpp flags"
gen 0 -p "$prompt" -n 30 --ignore-eos -no-cnv --no-warmup --simple-io -st -ngl 0 -fa -ctk f16 \
    -ctv f16 -ub 64 --no-mmap --color --no-perf -cnv --mlock --numa distribute -fa off -t 1
out_same text
one_line
gen 0 -p "$prompt" -n 30 --ignore-eos -ngl 0 -fa --numa isolate -v
out_same text
for word in "-ngl is ignored: " "-fa is ignored: " "--numa is ignored: "; do err_has "$word"; done

begin "--name=value"
gen 0 --prompt="$prompt" --n-predict=30 --ignore-eos
out_same text

begin "--json"
gen 0 -p "$prompt" -n 30 --ignore-eos --json
[ "$(wc -l < out)" -eq 1 ] || wrong "not one line"
out_has '"prompt": "The old man went"'
out_has '"finish": "length"'
[ "$(count $(json_list ids))" -eq 30 ] || wrong "not 30 ids"
[ "$(json_number n_eval)" = 29 ] || wrong "n_eval"
ids=$(json_list ids)
n_prompt=$(json_number n_prompt)
first=${ids%%,*}
"$bamba" tokenize -m "$model" --decode -p "$ids" > decoded
echo >> decoded
cmp -s decoded text || wrong "ids do not decode to the text"

begin "-n 0"
run 0 generate -m "$model" -p "$prompt" -n 0
out_is "$prompt"

begin "context is used up"
gen 0 -p "$prompt" -n -1 -c $((n_prompt + 2)) --ignore-eos --json
out_has '"finish": "context"'
[ "$(count $(json_list ids))" -eq 3 ] || wrong "not 3 ids"

begin "prompt beyond the context"
fails "the context holds 1" generate -m "$model" -p "$prompt" -c 1

begin "batch size"
gen 0 -p "$prompt" -n 5 --ignore-eos -b 2
[ "$(wc -c < out)" -gt 2 ] || wrong "no text"

begin "stop string"
stop=$(dd if=text bs=1 skip=12 count=5 2> /dev/null)
gen 0 -p "$prompt" -n 30 --ignore-eos --stop "$stop"
awk -v stop="$stop" 'BEGIN { RS = "\001" } { sub(/\n$/, ""); i = index($0, stop)
    printf "%s\n", substr($0, 1, i - 1) }' text > expected
out_same expected
err_has "end: stop"

begin "the earliest of two stop strings"
gen 0 -p "$prompt" -n 30 --ignore-eos --stop "no such text" --stop "$stop" --json
out_has '"finish": "stop"'
out_lacks '"text": ""'

begin "half a stop string is text"
gen 0 -p "$prompt" -n 30 --ignore-eos --stop "$(tail -c 4 text | tr -d '\n')zzz"
out_same text

begin "end token"
run 0 info -m "$model" --json
end=$(json_list eos)
end=${end%%,*}
gen 0 -p "$prompt" -n 30 --logit-bias "$end+10000" --json
out_has '"finish": "end"'
out_has '"text": ""'
[ "$(json_list ids)" = "$end" ] || wrong "ids"

begin "--special shows it"
gen 0 -p "$prompt" -n 30 --logit-bias "$end+10000" --special
[ "$(wc -c < out)" -gt 2 ] || wrong "not shown"

begin "--ignore-eos bans it"
gen 0 -p "$prompt" -n 5 --logit-bias "$end+10000" --ignore-eos --json
out_has '"finish": "length"'

begin "logit bias forces and bans"
gen 0 -p "$prompt" -n 4 --logit-bias "$first+10000" --json
[ "$(json_list ids)" = "$first, $first, $first, $first" ] || wrong "not forced"
gen 0 -p "$prompt" -n 1 --logit-bias "$first-inf" --ignore-eos --json
[ "$(json_list ids)" != "$first" ] || wrong "not banned"

begin "logit bias outside the vocabulary"
fails "bias" generate -m "$model" -p x --logit-bias 100000000+1

begin "empty prompt begins a text"
: > in
gen 0 -n 5 --ignore-eos --json
[ "$(count $(json_list ids))" -eq 5 ] || wrong "not 5 ids"
[ "$(json_number n_prompt)" = 1 ] || wrong "the prompt is not the begin token"

begin "memory that is not there"
for n in -1 1073741000; do
    run 1 generate -m "$model" -p "$prompt" -c 1073741824 -n $n
    err_has "out of memory"
    out_empty
done
gen 0 -p "$prompt" -n 3 -c 1073741824

begin "Ctrl-C"
rm -f out
"$bamba" generate -m "$model" -p "$prompt" -n 2000000 -c 2000100 --ignore-eos -v < in > out 2> err &
job=$!
until [ "$(cat out 2> /dev/null | wc -c)" -gt 40 ] || ! kill -0 $job 2> /dev/null; do
    sleep 0.1
done
kill -INT $job
kill -INT $job 2> /dev/null               # a job and its group: the same wish
wait $job
code=$?
[ $code -eq 130 ] || wrong "exit code $code"
err_has "= interrupt"
err_has "total time"
out_has "$prompt"

begin "a later Ctrl-C ends at once"
mkfifo silent
rm -f out err
"$bamba" generate -m "$model" -f silent > out 2> err &    # nobody writes: it waits for ever
job=$!
until [ -e err ]; do sleep 0.1; done      # its shell ignores the signal from here on
tries=0
while kill -INT $job 2> /dev/null && [ $tries -lt 120 ]; do
    tries=$((tries + 1))
    sleep 1
done
[ $tries -lt 120 ] || kill -KILL $job
wait $job
code=$?
[ $code -eq 130 ] || wrong "exit code $code"
[ $tries -ge 2 ] || wrong "ended by the first"
out_empty
rm -f silent

begin "types"
for type in stored f32 bf16 f16 q8 q4; do
    gen 0 -p "$prompt" -n 3 --type $type --kv-type f32
done

begin "kernels by name"
gen 0 -p "$prompt" -n 3 --cpu c
fails "CPU level" generate -m "$model" -p "$prompt" -n 3 --cpu z80

begin "the reader of stdout is gone"
cat > hasty << 'END'
#!/bin/sh
# Runs "$@" with SIGPIPE ignored, for a reader that wants 20 bytes; its exit code goes to ./code.
trap '' PIPE
{ "$@" < in 2> err; echo $? > code; } | head -c 20 > out
END
yes "The old man went to the wood." | head -3000 > long
for arguments in "generate -p x -n 3000 --ignore-eos" "logits --all -f long" \
                 "perplexity -c 8 -f long" "tokenize -f long"; do
    sh hasty "$bamba" $arguments -m "$model"
    [ "$(cat code)" = 1 ] || wrong "exit code $(cat code) of $arguments"
    one_line
    err_has "cannot write to standard output"
done
rm -f long

begin "no such model"
fails "/no/such" generate -m /no/such -p x
BAMBA_MODEL=/no/such/model
export BAMBA_MODEL
fails "/no/such/model" generate -p x
BAMBA_MODEL=$model
run 0 generate -p "$prompt" -n 1
unset BAMBA_MODEL

begin "full device"
if [ -w /dev/full ]; then
    "$bamba" generate -m "$model" -p "$prompt" -n 1 > /dev/full 2> err
    code=$?
    [ $code -eq 1 ] || wrong "exit code $code"
    err_has "cannot write"
fi

begin "progress shows before the first piece of a prompt is done"
if script -qec true typed > /dev/null 2>&1; then          # script gives it a terminal
    yes "The old man went to the wood to look for the fox." | head -4000 > long
    rm -f typed
    cat > slow << END
#!/bin/sh
echo \$\$ > id
exec "$bamba" generate -m "$model" -f long -n 0 -c 100000 -b 65536
END
    script -qefc "sh slow" typed < /dev/null > /dev/null 2>&1 &
    job=$!
    until grep -qa "reading the prompt" typed 2> /dev/null || ! kill -0 $job 2> /dev/null; do
        sleep 0.2
    done
    kill -INT "$(cat id)" 2> /dev/null
    wait $job
    grep -qa "reading the prompt  *[0-9]*%" typed || wrong "no progress"
    rm -f long slow id typed
fi

begin "without attention there is no limit"
if command -v python3 > /dev/null; then
    mkdir -p pure
    cp "$model/tokenizer.json" pure/
    python3 - << 'END'
import json, struct
c = {"model_type": "mamba2", "architectures": ["Mamba2ForCausalLM"], "vocab_size": 4096,
     "hidden_size": 16, "num_hidden_layers": 1, "num_heads": 4, "head_dim": 8, "state_size": 16,
     "n_groups": 1, "conv_kernel": 4, "expand": 2, "chunk_size": 32, "use_bias": False,
     "use_conv_bias": True, "tie_word_embeddings": True, "rms_norm": True, "hidden_act": "silu",
     "layer_norm_epsilon": 1e-5, "eos_token_id": 0, "bos_token_id": 0}
json.dump(c, open("pure/config.json", "w"))
m = "backbone.layers.0."
shapes = {"backbone.embeddings.weight": [4096, 16], "backbone.norm_f.weight": [16],
          m + "norm.weight": [16], m + "mixer.A_log": [4], m + "mixer.D": [4],
          m + "mixer.dt_bias": [4], m + "mixer.conv1d.weight": [64, 1, 4],
          m + "mixer.conv1d.bias": [64], m + "mixer.in_proj.weight": [100, 16],
          m + "mixer.norm.weight": [32], m + "mixer.out_proj.weight": [16, 32]}
header, data = {}, b""
for name, shape in shapes.items():
    n = 1
    for s in shape: n *= s
    values = struct.pack("<%df" % n, *(((i * 37) % 101 - 50) / 500 for i in range(n)))
    header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + 4 * n]}
    data += values
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
open("pure/model.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + data)
END
    yes "The old man went to the wood." | head -1000 > long
    run 0 generate -m pure -f long -n 4 --temp 0 --ignore-eos --json
    [ "$(json_number n_prompt)" -gt 5000 ] || wrong "a short prompt"
    [ "$(count $(json_list ids))" -eq 4 ] || wrong "not 4 ids"
    fails "the context holds 64" generate -m pure -f long -n 4 -c 64
    run 0 generate -m pure -p x -n 6000 --temp 0 --ignore-eos --json
    [ "$(count $(json_list ids))" -eq 6000 ] || wrong "not 6000 ids"
    rm -rf pure long
fi
