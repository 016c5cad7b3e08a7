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
n_gpu_layers n_cpu_moe split_mode main_gpu no_kv_offload flash_attn tensor_split \
tensor_buft_overrides use_mmap load_mode embeddings no_op_offload fit_target fit_min_ctx \
n_prompt n_gen n_depth test_time avg_ns stddev_ns avg_ts stddev_ts"
our_fields="n_batch_seqs isa weight_type fill avg_gbs stream_gbs pct_stream mapped_gbs \
avg_gflops peak_gflops pct_peak ttft_ns itl_p50_ns itl_p95_ns itl_p99_ns state_bytes kv_bytes rss_bytes \
moved_bytes flops noise"

begin "bench: the table"
run 0 $bench -p 16 -n 4 -d 0,64 -o md
for word in "| model" "t/s" "% read" "% peak" "p99 ms" "tiny BF16" "pp16 " "tg4 " \
            "pp16 @ d64*" "tg4 @ d64*" "random values"; do out_has "$word"; done
[ "$(head -1 out | tr -s ' ')" = "| model | size | params | backend | threads | kv | test | t/s \
| GB/s | % read | GFLOP/s | % peak | first ms | p50 ms | p95 ms | p99 ms | state+kv | RSS |" ] ||
    wrong "head"
[ "$(grep -c '^| tiny' out)" -eq 4 ] || wrong "rows"
grep '^|' out | awk -F'|' '{ n[NF]++ } END { exit length(n) != 1 }' || wrong "columns differ"

begin "bench -o json"
run 0 $bench -p 16 -n 4 -o json
for key in $llama_fields $our_fields samples_ns samples_ts; do
    [ "$(grep -c "\"$key\": " out)" -eq 2 ] || wrong "$key"
done
if command -v python3 > /dev/null; then
    python3 - << 'END' || wrong "the values are not as they should be"
import json
rows = json.load(open("out"))
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
    assert r["type_k"] == "f16" and r["use_mmap"] is False and r["cpu_strict"] is False
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
[ "$(grep -c ',"0x0","0","50","f16","f16","0","0","layer","0","0","0","0\.00",' out)" -eq 2 ] ||
    wrong "values"

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
run 0 bench -m "$model" -r 1 -p 4 -n 2 -t 1 -o json
err_has "reading its mapped files gives"
out_has '"use_mmap": true'
out_has '"load_mode": "mmap"'
run 0 bench -m "$model" --load copy -r 1 -p 4 -n 0 -t 1 --pin -o jsonl
out_has '"use_mmap": false'
out_has '"cpu_strict": true'

begin "bench --ops"
run 0 $bench -p 40 -n 2 --ops
for word in embedding norms in_proj conv scan "gated norm" out_proj q/k/v rope attention mlp \
            head "% roofline" "timers off"; do out_has "$word"; done
run 0 $bench -p 40 -n 0 --ops -o jsonl
out_has '"ops": [{"name": "embedding", "ns": '
wrong_use "--ops needs" $bench --ops -o csv

begin "bench --limits"
run 0 bench --limits -r 1 -t 1
for word in caches kernels "read GB/s" "f32 GFLOP/s" "bf16 dot" "int8 dot"; do
    out_has "$word"
done

begin "bench --figure"
run 0 $bench --shape ./tiny.json --figure throughput -p 8 -d 16,32 -npl 1,2 --figure-file 'a b'
out_has "throughput of tiny BF16"
out_has "| batch |      16 |      32 |"
out_has "check tiny BF16: a text of 16"
[ "$(wc -l < 'a b.csv')" -eq 5 ] || wrong "lines of the CSV"
[ "$(head -1 'a b.csv')" = "batch,length,a_tps,b_tps,ratio,memory_bound,compute_bound,a_ms,\
b_ms,a_step_ms,b_step_ms,a_fits,b_fits" ] || wrong "head of the CSV"
awk -F, 'NR > 1 && ($6 != 1 || $7 != 1 || $12 + $13 != 2 || !($5 > 0)) { bad = 1 }
         END { exit bad }' 'a b.csv' || wrong "a shape differs from itself"
if command -v gnuplot > /dev/null; then
    grep -q '<svg' 'a b.svg' && [ -s 'a b.png' ] || wrong "no picture"
else
    err_has "gnuplot is not installed"
fi
run 0 $bench --shape ./tiny.json --figure latency -p 8 -d 16 -npl 2 --figure-file latency
fails "a length above it in -d" $bench --shape ./tiny.json --figure latency -p 8 -d 8
fails "cannot be written" $bench --shape ./tiny.json --figure latency -p 8 -d 16 -npl 1 \
    --figure-file no/such/place

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
wrong_use "length above 0" $bench -p 0 -n 0
wrong_use "-p: expected" $bench -p -5
wrong_use "-n: expected" $bench -n 4,,5
wrong_use "-d: expected" $bench -d 1-
wrong_use "-npl: expected" $bench -npl 0
wrong_use "-npl: expected" $bench -npl 0-8*2
wrong_use "-t: expected" $bench -t 2000
wrong_use "--type: unknown 'q9'" $bench --type f32,q9
wrong_use "expected one of md" $bench -o xml
wrong_use "compares two models" $bench --figure throughput
sed 's/"hidden_size": 32/"hidden_size": 65536/; s/"mamba_n_heads": 8/"mamba_n_heads": 16384/
     s/"intermediate_size": 40/"intermediate_size": 16000000/' tiny.json > huge.json
fails "out of memory: ./huge.json needs" bench --shape ./huge.json -p 1 -n 0
fails "out of memory: ./huge.json needs" bench --shape ./tiny.json,./huge.json -p 1 -n 0
out_empty                                 # said before anything is measured
fails "out of memory: the weights of ./huge.json need" bench --shape ./tiny.json,./huge.json \
    --figure throughput -p 8 -d 16 -npl 1
fails "out of memory: ./tiny.json needs" $bench -p 16777216 -d 16777216 -npl 65536 -n 0
sed 's/bamba/no-such-family/; s/BambaForCausalLM/NoSuchFamily/' tiny.json > other.json
run 1 bench --shape ./other.json -p 1 -n 0
err_has "no-such-family"
