# cases_sampling.sh - seeds, and who decides: flags, generation_config.json, defaults.

prompt="The old man went"

begin "a seed repeats a text"
run 0 generate -m "$model" -p "$prompt" -n 20 --temp 1.5 -s 7
cp out text
run 0 generate -m "$model" -p "$prompt" -n 20 --temp 1.5 -s 7 -t 2
out_same text
err_has "seed = 7,"

begin "another seed, another text"
run 0 generate -m "$model" -p "$prompt" -n 20 --temp 1.5 -s 8
! cmp -s out text || wrong "the same text"

begin "the seed used is told"
run 0 generate -m "$model" -p "$prompt" -n 20 --temp 1.5
one_line
cp out text
seed=$(sed -n 's/.*seed = \([0-9]*\),.*/\1/p' err)
run 0 generate -m "$model" -p "$prompt" -n 20 --temp 1.5 -s "$seed"
out_same text

begin "every sampling flag"
run 0 generate -m "$model" -p "$prompt" -n 3 --temp 0.5 --top-k 7 --top-p 0.25 --min-p 0.125 \
    --repeat-penalty 1.25 --presence-penalty 0.75 --frequency-penalty 0.625 \
    --repeat-last-n 32 --typical 0.875 --top-n-sigma 1.5 --xtc-probability 0.0625 \
    --xtc-threshold 0.375 --dry-multiplier 0.3125 --dry-base 1.5 --dry-allowed-length 3 \
    --dry-penalty-last-n 48 --json
out_has '"temperature": 0.5,'
out_has '"top_p": 0.25,'
out_has '"min_p": 0.125,'
out_has '"repetition_penalty": 1.25,'
out_has '"presence_penalty": 0.75,'
out_has '"frequency_penalty": 0.625,'
out_has '"typical_p": 0.875,'
out_has '"top_n_sigma": 1.5,'
out_has '"xtc_probability": 0.0625,'
out_has '"xtc_threshold": 0.375,'
out_has '"dry_multiplier": 0.3125,'
out_has '"dry_base": 1.5,'
[ "$(json_number dry_allowed_length)" = 3 ] || wrong "dry_allowed_length"
[ "$(json_number dry_penalty_last_n)" = 48 ] || wrong "dry_penalty_last_n"
[ "$(json_number top_k)" = 7 ] || wrong "top_k"
[ "$(json_number penalty_last_n)" = 32 ] || wrong "penalty_last_n"

begin "names and letters of samplers"
draw() {
    run 0 generate -m "$model" -p "$prompt" -n 20 -s 7 --temp 1.5 --min-p 0.1 \
        --repeat-penalty 1 "$@"
}
draw
cp out usual
draw --samplers "penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature"
out_same usual
draw --sampling-seq edskypmxt
out_same usual
draw --samplers "TOP-K;nucleus;minp;temp"
out_same usual
draw --sampler-seq tm
! cmp -s out usual || wrong "the order changes nothing"
wrong_use "expected penalties (e)" generate -m "$model" -p x --samplers "top_k;infill"
wrong_use "found ''" generate -m "$model" -p x --samplers "top_k;"
wrong_use "found 'q'" generate -m "$model" -p x --sampler-seq kq
wrong_use "at most once" generate -m "$model" -p x --sampler-seq kpk
wrong_use "not both" generate -m "$model" -p x --sampler-seq k --samplers top_k
wrong_use "mirostat is not implemented" generate -m "$model" -p x --mirostat 2
wrong_use "mirostat is not implemented" generate -m "$model" -p x --mirostat-ent 5
run 0 generate -m "$model" -p "$prompt" -n 1 --mirostat 0

begin "DRY ends repetitions"
run 0 tokenize -m "$model" -p "the the" --ids
set -- $(cat out)
repeat() {
    run 0 generate -m "$model" -p "the the the the the the" -n 12 --temp 0 \
        --logit-bias "$last+50" "$@"
}
last=$2
repeat
cp out repeated
repeat --dry-multiplier 100
! cmp -s out repeated || wrong "DRY changes nothing"
repeat --dry-multiplier 100 --dry-sequence-breaker e
out_same repeated
repeat --dry-multiplier 100 --dry-sequence-breaker e --dry-sequence-breaker none
! cmp -s out repeated || wrong "none leaves a breaker"
repeat --dry-multiplier 100 --dry-penalty-last-n 0
out_same repeated
wrong_use "without a zero byte" generate -m "$model" -p x --dry-multiplier 1 \
    --dry-sequence-breaker ""
fails "1 to 40 bytes" generate -m "$model" -p x --dry-multiplier 1 \
    --dry-sequence-breaker "a breaker that is longer than forty bytes"

mkdir -p wishes
for file in "$model"/*; do ln -sf "$file" wishes/; done
rm -f wishes/generation_config.json

begin "defaults without generation_config.json"
run 0 generate -m wishes -p "$prompt" -n 1 -v
err_has "temp = 0.800, top_k = 40, top_p = 0.950, min_p = 0.050"
err_has "repeat_penalty = 1.000, repeat_last_n = 64"

begin "generation_config.json"
cat > wishes/generation_config.json << END
{"do_sample": true, "temperature": 0.5, "top_k": 12, "top_p": 0.75, "min_p": 0.25,
 "repetition_penalty": 1.5, "max_new_tokens": 3, "eos_token_id": null}
END
run 0 generate -m wishes -p "$prompt" --ignore-eos --json -v
[ "$(count $(json_list ids))" -eq 3 ] || wrong "max_new_tokens"
err_has "temp = 0.500, top_k = 12, top_p = 0.750, min_p = 0.250"
err_has "repeat_penalty = 1.500, repeat_last_n = -1"

begin "flags win"
run 0 generate -m wishes -p "$prompt" --ignore-eos -n 2 --temp 0.25 --repeat-penalty 1.125 \
    --json -v
[ "$(count $(json_list ids))" -eq 2 ] || wrong "-n"
err_has "temp = 0.250, top_k = 12"
err_has "repeat_penalty = 1.125, repeat_last_n = 64"

begin "do_sample false is greedy"
echo '{"do_sample": false, "temperature": 0.5}' > wishes/generation_config.json
run 0 generate -m wishes -p "$prompt" -n 1 -v
err_has "temp = 0.000"
run 0 generate -m wishes -p "$prompt" -n 1 -v --temp 0.75
err_has "temp = 0.750"

begin "wrong values in generation_config.json"
echo '{"top_p": "much"}' > wishes/generation_config.json
fails "'top_p': expected a number" generate -m wishes -p x -n 1
echo '{"top_k": 1.5}' > wishes/generation_config.json
fails "'top_k': expected an integer" generate -m wishes -p x -n 1
echo '{"do_sample": 1}' > wishes/generation_config.json
fails "'do_sample': expected true or false" generate -m wishes -p x -n 1
echo '{"top_p": 3}' > wishes/generation_config.json
fails "top_p" generate -m wishes -p x -n 1
echo '{"top_p": ' > wishes/generation_config.json
fails "generation_config.json" generate -m wishes -p x -n 1

begin "an order without temperature draws"
run 0 generate -m "$model" -p "The old king" -n 2 -np 3 --temp 0
err_has "nothing is drawn"
run 0 generate -m "$model" -p "The old king" -n 2 -np 3 --temp 0 --samplers top_p
! grep -q "nothing is drawn" err || wrong "said to draw nothing"
run 0 generate -m "$model" -p "The old king" -n 2 --top-k 1 --samplers "top_p;temperature" -v
err_has "seed"
