# cases_perplexity.sh - the score of a text.

i=0
while [ $i -lt 30 ]; do
    echo "Once upon a time there was a fox who lived in a wood near the king's castle ($i)."
    i=$((i + 1))
done > long.txt

begin "perplexity"
run 0 perplexity -m "$model" -f long.txt -c 64
out_has "[1]"
out_has "[2]"
out_has "Final estimate: PPL = "
out_has "nats per token"
cp out whole

begin "the first chunks"
run 0 perplexity -m "$model" -f long.txt -c 64 --chunks 2 -t 2
first=$(sed -n 's/^\(\[1\][^,]*,\[2\][^,]*\),.*/\1/p' whole)
[ "$(sed -n 's/^\(\[1\].*\),$/\1/p' out)" = "$first" ] || wrong "other numbers"
out_has "PPL = ${first##*]} +/-"
out_has "62 tokens scored"

begin "too short"
echo "A short text." > prompt.txt
fails "expected at least 1024 tokens" perplexity -m "$model" -f prompt.txt
fails "no-such" perplexity -m "$model" -f no-such

begin "perplexity as JSON"
run 0 perplexity -m "$model" -f long.txt -c 64 --json
[ "$(wc -l < out)" -eq 1 ] || wrong "not one line"
ppl=$(sed -n 's/^Final estimate: PPL = \([0-9.]*\) .*/\1/p' whole)
[ "$(printf %.4f "$(json_number ppl)")" = "$ppl" ] || wrong "another perplexity"

begin "logits of a base"
run 0 perplexity -m "$model" -f long.txt -c 64 --chunks 4 --kl-base base.kl
err_has "base.kl: 4 chunks, logits of 31 tokens in each"
run 0 info -m "$model" --json
n_vocab=$(json_number n_vocab)
size=$((24 + 4 * 4 * (64 + 31 * n_vocab)))
[ "$(wc -c < base.kl)" -eq $size ] || wrong "size of base.kl"
[ "$(od -An -tu4 -j8 -N16 base.kl | tr -s ' ')" = " 1 $n_vocab 64 4" ] || wrong "header"
run 0 tokenize -m "$model" --ids -f long.txt
[ "$(od -An -v -td4 -j28 -N12 base.kl | tr -s ' ')" = " $(cut -d' ' -f2-4 out)" ] || wrong "ids"
# The first row follows the 33rd token: its largest logit, and whose it is.
ids=$(echo $(od -An -v -td4 -j24 -N132 base.kl) | tr ' ' ,)
run 0 logits -m "$model" --ids "$ids" --top 1
od -An -v -tf4 -w4 -j$((24 + 4 * 4 * 64)) -N$((4 * n_vocab)) base.kl |
    awk 'NR == 1 || $1 > most { most = $1; id = NR - 1 } END { print id, most }' > largest
awk 'NR == FNR { id = $1; most = $2; next }
     { exit !($2 == id && $3 - most < 0.01 && most - $3 < 0.01) }' \
    largest out || wrong "the first row has $(cat largest), expected $(cat out)"

begin "a model and itself"
run 0 perplexity -m "$model" --kl base.kl --json
for key in kld kld_error kld_median kld_99.9 kld_max ln_ppl_ratio rms_dp same_top_error; do
    [ "$(json_number $key)" = 0.000000000 ] || wrong "$key is $(json_number $key)"
done
[ "$(json_number same_top)" = 1.000000000 ] || wrong "same_top is $(json_number same_top)"
[ "$(json_number n_chunks)" = 4 ] || wrong "not the chunks of the file"
run 0 perplexity -m "$model" --kl base.kl -f long.txt
out_has "Mean    KLD:   0.000000 ±   0.000000"
out_has "Same top p: 100.000 ± 0.000 %"

begin "a model with a rounded cache, from a file and from memory"
positive() {                              # positive KEY LEAST MOST
    awk -v x="$(json_number "$1")" "BEGIN { exit !(x > $2 && x < $3) }" ||
        wrong "$1 is $(json_number "$1")"
}
run 0 perplexity -m "$model" -f long.txt -c 64 --kv-type f32 --compute f32 --kl-base exact.kl
run 0 perplexity -m "$model" --kl exact.kl --kv-type bf16 --compute f32 --json
positive kld 1e-9 1e-2
positive kld_error 0 1e-2
positive kld_max "$(json_number kld_99)" 1
positive rms_dp 1e-9 0.05
positive same_top 0.9 1.001
positive ppl_ratio 0.95 1.05
cp out from_file
run 0 compare -m "$model" -m "$model" -f long.txt -c 64 --kv-type bf16 --compute f32 --json
out_same from_file
run 0 compare -m "$model" -f long.txt -c 64 --base-type f32 --type f16 --chunks 2
out_has "Same top p:"
[ "$(grep -c '^ *[12]  .*±.* %$' out)" -eq 2 ] || wrong "no line for each chunk"

begin "files that do not serve as a base"
kl_fails() {                              # kl_fails TEXT ARGS...
    told=$1
    shift
    fails "$told" perplexity -m "$model" "$@"
    out_empty
}
patched() {                               # patched OFFSET BYTES: base.kl with these bytes changed
    cp base.kl patched.kl
    printf "$2" | dd of=patched.kl bs=1 seek="$1" conv=notrunc 2> /dev/null
}
kl_fails "no-such.kl: cannot be opened" --kl no-such.kl
kl_fails "expected a file written by --kl-base" --kl long.txt
head -c $((size - 1)) base.kl > cut.kl
kl_fails "cut.kl: expected $size bytes, found $((size - 1))" --kl cut.kl
head -c 20 base.kl > cut.kl
kl_fails "cut.kl: truncated" --kl cut.kl
{ cat base.kl; echo; } > more.kl
kl_fails "found $((size + 1))" --kl more.kl
mkfifo pipe.kl
for bytes in 100 2000; do
    head -c $bytes base.kl > pipe.kl &
    kl_fails "pipe.kl: truncated" --kl pipe.kl
    wait
done
patched 8 '\2'
kl_fails "expected version 1 of the format, found 2" --kl patched.kl
patched 12 '\1'
kl_fails "expected logits of $n_vocab tokens, the model's vocabulary, found $((n_vocab + 1))" \
    --kl patched.kl
patched 20 '\0'
kl_fails "found 0 chunks of 64" --kl patched.kl
patched 16 '\377\377\377\377'
kl_fails "of 4294967295" --kl patched.kl
patched 31 '\377'
kl_fails "expected token ids below $n_vocab" --kl patched.kl
kl_fails "expected chunks of 32 tokens (-c), found 64" --kl base.kl -c 32
sed 's/fox/hen/' long.txt > other.txt
kl_fails "base.kl: token" --kl base.kl -f other.txt

begin "a base that cannot be written"
wrong_use "either --kl or --kl-base" perplexity -m "$model" -f long.txt --kl base.kl --kl-base x.kl
wrong_use "no text" perplexity -m "$model" --kl-base x.kl
kl_fails "no/such/x.kl" -f long.txt -c 64 --kl-base no/such/x.kl
echo old > kept.kl
(trap '' XFSZ; ulimit -f 200
 "$bamba" perplexity -m "$model" -f long.txt -c 64 --kl-base kept.kl) > out 2> err
[ $? -eq 1 ] || wrong "exit code of a file that may not grow"
err_has "kept.kl: cannot be written"
[ "$(cat kept.kl)" = old ] || wrong "an existing file is gone"
ls | grep -q '\.tmp$' && wrong "a temporary file is left"

begin "models that cannot be compared"
wrong_use "no text" compare -m "$model"
wrong_use "found 3 models" compare -m "$model" -m "$model" -m "$model" -f long.txt
fails "no-such" compare -m "$model" -m no-such -f long.txt

begin "the types of B are not those of A"
run 0 compare -m "$model" -f long.txt -c 64 --chunks 4 --type-of '.*=q8' --compute f32 \
    --kv-type f32 --json
positive kld 1e-7 0.1
run 0 compare -m "$model" -f long.txt -c 64 --chunks 4 --base-type f32 --type f32 --compute f32 \
    --kv-type f32 --json
[ "$(json_number kld)" = 0.000000000 ] || wrong "kld is $(json_number kld)"

begin "perplexity with a window"
run 0 perplexity -m "$model" -f long.txt -c 64 --window 60 --sink 4
out_same whole
run 0 perplexity -m "$model" -f long.txt -c 64 --window 8
! cmp -s out whole || wrong "a window of 8 hides nothing"
