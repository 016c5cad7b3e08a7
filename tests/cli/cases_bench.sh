# cases_bench.sh - speed: the forms that llama-bench has, and what is refused.

cat > tiny.json <<'END'
{"model_type": "bamba", "architectures": ["BambaForCausalLM"], "vocab_size": 64,
 "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4,
 "num_key_value_heads": 2, "attn_layer_indices": [1], "attn_rotary_emb": 4, "mamba_n_heads": 8,
 "mamba_d_head": 8, "mamba_n_groups": 1, "mamba_d_state": 16, "mamba_d_conv": 4,
 "mamba_expand": 2, "hidden_act": "silu", "rms_norm_eps": 1e-5, "torch_dtype": "bfloat16"}
END
bench="bench --shape ./tiny.json -t 1 -r 2"
llama_fields="build_commit build_number cpu_info gpu_info backends model_filename model_type \
model_size model_n_params n_batch n_ubatch n_threads cpu_mask cpu_strict poll type_k type_v \
n_gpu_layers n_cpu_moe split_mode main_gpu no_kv_offload flash_attn devices tensor_split \
tensor_buft_overrides load_mode lazy_mode embeddings no_op_offload no_host repack fit_target \
fit_min_ctx n_prompt n_gen n_depth test_time avg_ns stddev_ns avg_ts stddev_ts"
our_fields="n_batch_seqs isa weight_type state_type fill avg_gbs stream_gbs pct_stream avg_gflops \
peak_gflops pct_peak ttft_ns itl_p50_ns itl_p95_ns itl_p99_ns state_bytes kv_bytes rss_bytes \
moved_bytes flops noise adapters"
columns="model size params backend threads"

head_is() {                               # head_is COLUMNS: of the table in ./out
    [ "$(grep '^| model' out | tr -d '|' | tr -s ' ')" = " $1 " ] || wrong "head: $(head -1 out)"
    grep '^|' out | awk -F'|' '{ n[NF]++ } END { exit length(n) != 1 }' || wrong "columns differ"
}
tests_are() {                             # tests_are NAME...: the column before the speed
    [ "$(awk -F' *[|] *' '/^\| tiny/ { print $7 }' out | paste -sd, -)" = "$1" ] ||
        wrong "tests: $(awk -F'|' '/^\| tiny/ { print $7 }' out)"
}

begin "bench: the table"
run 0 $bench -p 16 -n 4 -d 0,64 -o md
head_is "$columns test t/s % read % peak"
tests_are "pp16,tg4,pp16 @ d64,tg4 @ d64"
out_has "random values"
grep -q '^build: [^ ]* ([0-9]*)$' out || wrong "no build line"
[ "$(grep -c '^| tiny BF16  *|  *[0-9.]* MiB |  *[0-9.]* M | CPU  *|  *1 |' out)" -eq 4 ] ||
    wrong "rows"
run 0 $bench -p 16 -n 0 -d 8 --fill real
out_lacks "random values"
run 0 $bench -p 16 -n 4 --wide
head_is "$columns cpu_strict n_batch n_ubatch type_k type_v states lm adapters \
test t/s % read % peak isa \
GB/s GFLOP/s first ms p50 ms p95 ms p99 ms state kv RSS"
run 0 $bench -p 16 -n 0 -b 8,16 -ctk f32
head_is "$columns n_batch type_k type_v test t/s % read % peak"

begin "bench: options said twice, pairs, lists"
run 0 $bench -p 8 -p 16,24 -n 2 -n 1-4*2 -pg 8,2 -pg 0,3
tests_are "pp8,pp16,pp24,tg2,tg1,tg2,tg4,pp8+tg2,tg3"
run 0 $bench -p 0 -n 0 -pg 8,4 -npl 2 -d 4 -o json
out_has '"n_prompt": 8'
out_has '"n_gen": 4'
out_has '"model_type": "tiny BF16 B=2"'
run 0 $bench -r 1 -p 40 -n 0 -b 16,64 -ub 8,32 --pin --no-warmup --delay 0 -lm none -o jsonl
[ "$(sed 's/.*"n_batch": \([0-9]*\), "n_ubatch": \([0-9]*\),.*/\1 \2/' out | paste -sd, -)" = \
    "16 8,16 32,64 8,64 32" ] || wrong "batches"
[ "$(grep -c '"cpu_strict": true.*"load_mode": "none"' out)" -eq 4 ] || wrong "settings"
run 0 $bench -r 1 -p 8 -n 0 -ctk f32,f16 -ctv f32,f16 -t 2 -o jsonl
[ "$(wc -l < out)" -eq 4 ] || wrong "rows"
run 0 $bench -r 1 -p 8 -n 2 -d 70 -ctk q8_0 -ctv q8_0 --state-type f32,bf16,q8 -o jsonl
[ "$(grep -c '"type_k": "q8", "type_v": "q8"' out)" -eq 6 ] || wrong "int8 caches"
for type in f32 bf16 q8; do
    [ "$(grep -c "\"state_type\": \"$type\"" out)" -eq 2 ] || wrong "states in $type"
done
mkdir -p "with,comma"
cp tiny.json "with,comma/tiny.json"
run 0 bench --shape "./tiny.json,./tiny.json" --shape "./with,comma/tiny.json" -m "$model,$model" \
    -r 1 -p 4 -n 0 -t 1 -o jsonl
[ "$(wc -l < out)" -eq 5 ] || wrong "models"

begin "bench: adapters"
run 0 $bench -r 1 -p 0 -n 4 --no-warmup -o jsonl
out_has '"adapters": ""'
plain="$(json_number moved_bytes) $(json_number flops)"
run 0 $bench -r 1 -p 0 -n 4 --no-warmup --adapter-rank 3 -o jsonl
out_has '"adapters": "rank 3"'
# Rows and columns of all linear maps: two layers of Mamba-2 and one of attention, each with an MLP.
n=$((2 * (168 + 32 + 64 + 32) + 2 * (32 + 32) + 2 * (16 + 32) + 3 * 3 * (40 + 32)))
[ "$(json_number moved_bytes) $(json_number flops)" = "$(echo "$plain" |
    awk -v n=$((4 * 3 * n)) '{ print $1 + 4 * n, $2 + 2 * n }')" ] || wrong "what adapters move"
run 0 $bench -r 1 -p 0 -n 4 --no-warmup --adapter-rank 3
head_is "$columns adapters test t/s % read % peak"
out_has "| rank 3       | "
run 0 $bench -r 1 -n 4 --accept 50 --draft-max 2 --adapter-rank 3
out_has "|  ratio | adapters     |"
out_has " | rank 3       |"
run 0 $bench -r 1 -n 4 --accept 50 --draft-max 2 --adapter-rank 3 -o jsonl
out_has '"adapters": "rank 3"'
if [ -d "$model-verse" ]; then
    run 0 bench -m "$model" -t 1 -r 1 -p 0 -n 4 --adapter "$model-verse=0.5" --adapter-rank 2 -o csv
    out_has "\"$model-verse=0.5,rank 2\""
fi

begin "bench: two outputs"
run 0 $bench -p 16 -n 4 -o jsonl -oe csv
[ "$(grep -c '^{' out)" -eq 2 ] || wrong "rows on stdout"
[ "$(grep -c '^"' err)" -eq 2 ] || wrong "rows on stderr"
err_has "build_commit,build_number,"
run 0 $bench -p 16 -n 0 -o none -oe md
out_empty
err_has "pp16 |"

begin "bench: a command line of llama-bench"
run 0 $bench -p 16 -n 0 -o jsonl --numa distribute --prio 2 -C 0x3 --poll 0 -ngl 0 -ncmoe 0 \
    -sm none -mg 0 -nkvo 0 -fa 1 -dev none -lzm auto -embd 0 -ts 0 -ot 'a=CPU' -nopo 0 --no-host 0 \
    --repack 1 -fitt 512 -fitc 4096 --cpu-strict 0 --progress -v
out_has '"n_prompt": 16'
err_has "--prio is ignored"
err_has "-nkvo is ignored"
run 0 bench -m "$model" -p 8,16 -n 2 -pg 8,2 -d 0 -b 64 -ub 32 -t 1 -C 0x0,0x3 --cpu-strict 0 \
    --poll 50 -ctk f16 -ctv f16 -ngl 99 -fa 1 -mmp 0,1 -nkvo 0 -sm layer -mg 0 -ts 0 -ncmoe 1 \
    -dio 0 -r 1 --prio 0 --delay 0 -o json -oe csv -v --progress --no-warmup --numa distribute
[ "$(grep -c '"n_prompt": ' out)" -eq 8 ] || wrong "rows"
[ "$(grep -c '"load_mode": "mmap"' out)" -eq 4 ] || wrong "what -mmp 1 does"
[ "$(grep -c '"load_mode": "none"' out)" -eq 4 ] || wrong "what -mmp 0 does"
err_has "-ngl is ignored: everything runs on the processor"
[ "$(grep -c '^"' err)" -eq 8 ] || wrong "rows on stderr"
run 0 $bench --n_prompt 16 --n_gen=0 --n_gpu_layers 0-99+33 --main_gpu 1 --split-mode none,row \
    --flash-attn on,off -lm mmap -mmp 0 -r 1 -o jsonl
[ "$(grep -o '"load_mode": "[a-z]*"' out | paste -sd, -)" = \
    '"load_mode": "mmap","load_mode": "none"' ] || wrong "load modes"
wrong_use "--no_such-option" $bench --no_such-option
wrong_use "-mmp: expected" $bench -mmp 2
wrong_use "-fa maybe: expected on, off" $bench -fa maybe
wrong_use "logits are computed" $bench -embd 1
wrong_use "one device" $bench --list-devices

begin "bench -o json"
run 0 $bench -p 16 -n 4 -o json
for key in $llama_fields $our_fields samples_ns samples_ts; do
    [ "$(grep -c "\"$key\": " out)" -eq 2 ] || wrong "$key"
done
if command -v python3 > /dev/null; then
    python3 - << 'END' || wrong "the values are not as they should be"
import json
rows = json.load(open("out"))
# What llama-bench of October 2026 says of a run without options, on the processor.
usual = {"gpu_info": "", "backends": "CPU", "n_batch": 2048, "n_ubatch": 512, "cpu_mask": "0x0",
         "cpu_strict": False, "poll": 50, "type_k": "f16", "type_v": "f16", "n_gpu_layers": -1,
         "n_cpu_moe": 0, "split_mode": "layer", "main_gpu": 0, "no_kv_offload": False,
         "flash_attn": -1, "devices": "auto", "tensor_split": "0.00",
         "tensor_buft_overrides": "none", "load_mode": "auto", "lazy_mode": "auto",
         "embeddings": False, "no_op_offload": 0, "no_host": False, "repack": True,
         "fit_target": 0, "fit_min_ctx": 0}
names = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo")
         if line.startswith("model name")] or ["CPU"]
assert [(r["n_prompt"], r["n_gen"]) for r in rows] == [(16, 0), (0, 4)]
for r in rows:
    assert len(r["samples_ns"]) == len(r["samples_ts"]) == 2
    assert abs(sum(r["samples_ns"]) / 2 - r["avg_ns"]) <= 1
    tokens = r["n_prompt"] + r["n_gen"]
    for ns, ts in zip(r["samples_ns"], r["samples_ts"]):
        assert abs(ts - 1e9 * tokens / ns) < 1e-3 * ts
    median = sum(r["samples_ns"]) / 2
    assert abs(r["avg_gbs"] - r["moved_bytes"] / median) < 0.01 * r["avg_gbs"] + 1e-5
    assert abs(r["avg_gflops"] - r["flops"] / median) < 0.01 * r["avg_gflops"] + 1e-5
    assert abs(r["pct_stream"] - 100 * r["avg_gbs"] / r["stream_gbs"]) < 0.01
    assert r["stream_gbs"] > 0 and r["peak_gflops"] > 0 and r["rss_bytes"] > 0
    for key, value in usual.items():
        assert type(r[key]) is type(value) and r[key] == value, key
    assert list(r)[:4] == ["build_commit", "build_number", "cpu_info", "gpu_info"]
    assert r["cpu_info"] in names
    assert isinstance(r["model_n_params"], int) and r["state_bytes"] > 0 and r["kv_bytes"] > 0
    assert r["model_type"] == "tiny BF16" and r["fill"] == "none" and r["n_threads"] == 1
p, g = rows
assert p["itl_p50_ns"] == 0 and p["ttft_ns"] > 0
assert 0 < g["itl_p50_ns"] <= g["itl_p95_ns"] <= g["itl_p99_ns"] <= max(g["samples_ns"])
END
fi

begin "bench -o jsonl"
run 0 $bench -p 16 -n 0 -npl 1,3 -d 5 --fill real -o jsonl
[ "$(wc -l < out)" -eq 2 ] || wrong "lines"
out_has '"n_batch_seqs": 3'
out_has '"model_type": "tiny BF16 B=3"'
out_has '"fill": "real"'

begin "bench -o csv"
run 0 $bench -p 16 -n 4 -o csv
[ "$(wc -l < out)" -eq 3 ] || wrong "lines"
[ "$(head -1 out)" = "$(echo $llama_fields $our_fields | tr ' ' ',')" ] || wrong "head"
usual='"0x0","0","50","f16","f16","-1","0","layer","0","0","-1","auto","0.00","none","auto","auto",'
[ "$(grep -cF -e "$usual\"0\",\"0\",\"0\",\"1\",\"0\",\"0\"," out)" -eq 2 ] || wrong "values"

begin "bench -o sql"
run 0 $bench -p 16 -n 4 -o sql
out_has "CREATE TABLE IF NOT EXISTS llama_bench ("
out_has "  avg_ts REAL,"
[ "$(grep -c '^INSERT INTO llama_bench (build_commit, ' out)" -eq 2 ] || wrong "rows"
if command -v sqlite3 > /dev/null; then
    [ "$(sqlite3 :memory: "$(cat out) SELECT n_prompt, n_gen FROM llama_bench;")" = "16|0
0|4" ] || wrong "what the database holds"
    [ "$(sqlite3 :memory: "$(cat out) SELECT DISTINCT typeof(avg_ts), typeof(avg_ns), \
typeof(cpu_strict), typeof(noise), cpu_strict, poll, fill FROM llama_bench;")" = \
        "real|integer|integer|text|0|50|none" ] || wrong "types in the database"
fi

begin "bench: lists"
run 0 $bench -p 8-24+8 -n 1-4*2 --type f32,bf16 --kv-type f32,f16 -o csv
[ "$(wc -l < out)" -eq 25 ] || wrong "$(wc -l < out) lines"
run 0 bench --shape ./tiny.json,./tiny.json --shape ./tiny.json -m "$model" -r 1 -p 4 -n 0 \
    -t 1,2 -o csv
[ "$(wc -l < out)" -eq 9 ] || wrong "$(wc -l < out) lines"

begin "bench: a checkpoint"
run 0 bench -m "$model" -r 1 -p 4 -n 2 -t 1 -lm auto,mmap,none --pin -o jsonl
[ "$(grep -o '"load_mode": "[a-z]*"' out | uniq -c | tr -s ' ' | paste -sd, -)" = \
    ' 2 "load_mode": "auto", 2 "load_mode": "mmap", 2 "load_mode": "none"' ] || wrong "load modes"
out_has '"cpu_strict": true'

begin "bench --ops"
run 0 $bench -p 40 -n 2 --ops
for word in embedding norms in_proj conv scan "gated norm" out_proj q/k/v rope attention mlp \
            head "% roofline" "timers off"; do out_has "$word"; done
run 0 $bench -p 40 -n 0 --ops -o jsonl
out_has '"ops": [ { "name": "embedding", "ns": '
wrong_use "--ops needs" $bench --ops -o csv

begin "bench --accept"
run 0 $bench -n 12 -d 0,70 --accept 0,60,100 --draft-max 3
[ "$(grep -c '^| tiny BF16 ' out)" -eq 6 ] || wrong "rows"
run 0 $bench -n 12 --accept 100,0 --draft-max 3 -o jsonl
out_has '"right_share": 1.0000, "tokens_per_pass": 4.0000'
out_has '"right_share": 0.0000, "tokens_per_pass": 1.0000'
run 0 $bench -n 100 --accept 50 --draft-max 1 -o jsonl
out_has '"tokens_per_pass": 1.5'
run 0 $bench -n 12 --accept 50 --adapt -o csv
[ "$(wc -l < out)" -eq 2 ] || wrong "lines"
wrong_use "need --accept" $bench --adapt
wrong_use "--accept: expected -o" $bench --accept 50 -o sql
wrong_use "--accept" $bench --accept 101
for option in "-p 8" "-npl 2" "-pg 8,2" --ops --wide "--fill real" "--delay 1" --progress; do
    wrong_use "--accept measures decoding alone: expected no ${option%% [0-9]*}" \
        $bench -n 4 --accept 50 $option
done
wrong_use "--accept: expected a length above 0 in -n" $bench -n 0 --accept 50

begin "bench --limits"
run 0 bench --limits -r 1 -t 1
for word in processor "cpu quota" caches kernels "read GB/s" "f32 GFLOP/s" "bf16 dot" "int8 dot"; do
    out_has "$word"
done
run 0 bench --limits -r 2 -t 1,2 -o json
for key in cpu_info n_processors cpu_quota l2_bytes isa n_threads read_gbs f32_gflops bf16_gflops \
    i8_gops i8_gops_best; do
    [ "$(grep -c "\"$key\": " out)" -eq 2 ] || wrong "$key"
done
if command -v python3 > /dev/null; then
    python3 -c 'import json
a, b = json.load(open("out"))
assert a["n_threads"] == 1 and b["n_threads"] == 2 and a["cpu_quota"] >= 0
assert 0 < a["read_gbs"] <= a["read_gbs_best"] and 0 <= a["i8_gops"] <= a["i8_gops_best"]' ||
        wrong "values"
fi
run 0 bench --limits -r 1 -t 1 -o csv
head -1 out | grep -q '^cpu_info,n_processors,cpu_quota,' || wrong "head"
wrong_use "--limits: expected" bench --limits -o sql
for option in "-m $model" "--shape ./tiny.json" "-p 8" "-n 8" "-pg 8,2" "-d 4" "-npl 2" "-b 8" \
    "-ub 8" "--type q8" "-ctk f32" "-ctv f16" "--type-of .*=q8" "--state-type q8" "-lm none" \
    "-mmp 0" "--accept 50" "--draft-max 2" --adapt --no-warmup "--delay 1" --wide "--fill real" \
    --ops --progress "-s 7" "--cpu c" "--adapter ." "--adapter-rank 2"; do
    wrong_use "--limits measures the machine alone: expected no ${option%% *}" \
        bench --limits -r 1 -t 1 $option
done

if command -v python3 > /dev/null; then
    begin "bench: two models over whole texts"
    python3 "$here/../bench/figure.py" "$bamba" ./tiny.json ./tiny.json 'a b' -p 8 -d 16,32 \
        -npl 1,2 -- -t 1 > out 2> err || wrong "exit code: $(cat err)"
    out_has "| batch |      16 |      32 |"
    out_has "check ./tiny.json: a text of 16"
    [ "$(wc -l < 'a b.csv')" -eq 7 ] || wrong "lines of the CSV"
    awk -F, 'NR > 1 && ($6 != 1 || $7 != 1 || !($8 > 0 && $9 > 0)) { bad = 1 }
             NR > 1 && $2 > 8 && !($3 > 0 && $4 > 0 && $5 > 0) { bad = 1 }
             END { exit bad }' 'a b.csv' || wrong "a shape differs from itself"
    if command -v gnuplot > /dev/null; then
        grep -q '<svg' 'a b-throughput.svg' && [ -s 'a b-latency.png' ] || wrong "no picture"
    else
        err_has "gnuplot is not installed"
    fi
fi

if command -v python3 > /dev/null; then
    begin "bench: a phone book"
    cat > reader << 'END'
#!/bin/sh
# The model that can do it: prints the number that the prompt has for the name asked for last.
awk '/^Question/ { name = $0; sub(/.*number of /, "", name); sub(/[?]$/, "", name) }
     /: [0-9]/ { i = index($0, ": "); book[substr($0, 1, i - 1)] = substr($0, i + 2) }
     END { printf "{\"prompt_ids\": [1, 2, 3], \"text\": \" %s\"}\n", book[name] }'
END
    chmod +x reader
    for reversed in "" --reversed; do
        python3 "$here/../bench/phonebook.py" ./reader -n 3,5000 --trials 3 $reversed \
            > out 2> err ||
            wrong "exit code: $(cat err)"
        out_has "| 3 | 3 | 100.0 % | 100.0 % |"
        out_has "| 5000 | 3 | 100.0 % | 100.0 % |"
        python3 "$here/../bench/phonebook.py" "$bamba" -m "$model" -n 3 --trials 2 $reversed -- \
            -t 1 > out 2> err || wrong "exit code: $(cat err)"
        grep -qE '^[|] 3 [|] [0-9]{3} [|] [0-9.]+ % [|] [0-9.]+ % [|]$' out ||
            wrong "row: $(cat out)"
    done

    begin "bench: chat at depth"
    depth() { python3 "$here/../bench/chat_depth.py" "$bamba" "$@" > out 2> err; }
    sed '/"tie_word_embeddings"/s/true/false/' "$model/config.json" > untied.json
    depth --make random --shape untied.json || wrong "no model: $(cat err)"
    depth -m random --depths 60,300 --rounds 1 -- -t 1 || wrong "exit code: $(cat err)"
    row='^| [0-9]\{2,3\} | [0-9]\{1,2\} | [0-9]* ([0-9]*-[0-9]*) | [0-9.]* |$'
    [ "$(grep -c "$row" out)" -eq 2 ] || wrong "rows: $(cat out)"
    printf '%s' '{{ messages|length }}{% for m in messages %}{{ m.content }}{% endfor %}' \
        > random/chat_template.jinja
    depth -m random --depths 60,300 --rounds 1 -- -t 1 && wrong "a history that is read anew"
    err_has "the history was not kept"

    begin "bench: loops"
    cat > parrot << 'END'
#!/bin/sh
if [ "$1" = score ]; then                 # a line for each request: two tokens of ln 1/2
    sed 's/.*/{"tokens": [{"id": 1, "logprob": -0.693147}, {"id": 2, "logprob": -0.693147}]}/'
else
    printf '{"ids": [%s7], "text": "a b c\\na b c"}' "$(yes 7, | head -99 | tr -d '\n')"
fi
END
    chmod +x parrot
    python3 "$here/../bench/loops.py" ./parrot --samples 2 > out 2> err ||
        wrong "exit code: $(cat err)"
    row='| 0.010 | 0.010 | 0.010 | 50.0 % | 100.0 % | 100.0 % | 2.000 | 2.000 |$'
    [ "$(grep -c "$row" out)" -eq 16 ] ||
        wrong "rows: $(cat out)"
    python3 "$here/../bench/loops.py" "$bamba" -m "$model" --samples 2 -n 60 -- --type q8 \
        > out 2> err ||
        wrong "exit code: $(cat err)"
    [ "$(grep -c '^| [01][.0-9]* | .* % | [1-9][.0-9]* | [1-9][.0-9]* |$' out)" -eq 16 ] ||
        wrong "rows: $(cat out)"
fi

begin "bench: beside another engine"
printf '#!/bin/sh\nshift 3\nexec "%s" bench --shape ./tiny.json "$@"\n' "$bamba" > ours
cat > theirs << 'END'
#!/bin/sh
echo '{"n_prompt": 16, "n_gen": 0, "n_depth": 4, "avg_ns": 1, "avg_ts": 0.500000}'
echo '{"n_prompt": 0, "n_gen": 4, "n_depth": 4, "avg_ns": 1, "avg_ts": 0.250000}'
END
cat > theirs_batched << 'END'
#!/bin/sh
echo "$*" > asked
echo '{"n_threads": 1, "pp": 16, "tg": 4, "pl": 3, "n_kv": 60, "t_tg": 48.0, "speed_tg": 0.250000}'
END
chmod +x ours theirs theirs_batched
mkdir -p gguf
: > gguf/tiny-bf16.gguf
: > gguf/tiny-q9.gguf
beside() {                                # beside CODE ARGS...
    want=$1
    shift
    sh "$here/../bench/beside.sh" "$@" > out 2> err
    code=$?
    [ $code -eq "$want" ] || wrong "beside.sh: code $code, expected $want"
}
beside 0 ./ours ./theirs gguf -p 16 -n 4 -d 4 -t 1 -r 3
[ "$(grep -c '^| tiny-bf16 ' out)" -eq 2 ] || wrong "rows"
awk -F'|' '/tiny/ { if ($5 + 0 != ($3 ~ /pp16@d4/ ? 0.5 : 0.25) || $4 + 0 <= 0) exit 1 }' out ||
    wrong "speeds"
err_has "tiny-q9: ./ours: "
beside 0 ./ours ./theirs gguf -p 16 -n 4 -d 4 -r 2 -npl 1,3 --batched ./theirs_batched
grep -q '^| tiny-bf16 *| 3xtg4@d16 ' out || wrong "no row of three together"
[ "$(grep -c '^| tiny-bf16 ' out)" -eq 3 ] || wrong "a row without the other's"
grep -q -e '-c 60 -npp 16 -ntg 4 -npl 1,3 ' asked || wrong "what the batched one was asked"
beside 2 ./ours ./theirs gguf -npl 1
beside 2 ./ours ./no-such-program gguf
beside 1 ./ours ./theirs no-such-directory

begin "bench: what is refused"
fails "no shape 'no-such-shape'" bench --shape no-such-shape
fails "no-such-dir" bench -m no-such-dir
fails "./tiny.json: type rule 'zzz': expected a match" $bench --type-of zzz=q8
fails "$model/config.json: type rule 'zzz': expected a match" bench -m "$model" --type-of zzz=q8
wrong_use "length above 0" $bench -p 0 -n 0
wrong_use "-p: expected" $bench -p -5
wrong_use "-n: expected" $bench -n 4,,5
wrong_use "-d: expected" $bench -d 1-
wrong_use "-npl: expected" $bench -npl 0
wrong_use "-npl: expected" $bench -npl 0-8*2
wrong_use "-t: expected" $bench -t 2000
wrong_use "-npl: expected" $bench -npl 1 -npl 0
wrong_use "--type: expected stored, f32, bf16, f16" $bench --type f32,q9
wrong_use "-ctk: expected f32, bf16, f16, q8, q8_0, or some" $bench -ctk q4_0
wrong_use "--state-type: expected f32, bf16, q8, or some" $bench --state-type f16
wrong_use "found 'mlock'" $bench -lm mlock
wrong_use "-ctv: expected the types of -ctk" $bench -ctk f16 -ctv bf16
wrong_use "-pg: expected two lengths" $bench -pg 512
wrong_use "-pg: expected" $bench -pg 1,x
wrong_use "expected one of none, md" $bench -o xml
sed 's/"hidden_size": 32/"hidden_size": 65536/; s/"mamba_n_heads": 8/"mamba_n_heads": 16384/
     s/"intermediate_size": 40/"intermediate_size": 16000000/' tiny.json > huge.json
fails "out of memory: ./huge.json needs" bench --shape ./huge.json -p 1 -n 0
fails "out of memory: ./huge.json needs" bench --shape ./tiny.json,./huge.json -p 1 -n 0
out_empty                                 # said before anything is measured
fails "out of memory: ./tiny.json needs" $bench -p 16777216 -d 16777216 -npl 65536 -n 0
sed 's/bamba/no-such-family/; s/BambaForCausalLM/NoSuchFamily/' tiny.json > other.json
run 1 bench --shape ./other.json -p 1 -n 0
err_has "no-such-family"
