# cases_sessions.sh - texts that go on: saved sessions, prompts in the cache, guesses.

prompt="Once upon a time there was a fox"

begin "a saved session goes on as it would have"
for how in "--temp 0" "-s 7 --temp 0.9 --top-k 30 --repeat-penalty 1.1" \
    "-s 7 --dry-multiplier 0.8"; do
run 0 generate -m "$model" -p "$prompt" -n 60 --ignore-eos $how --no-display-prompt
cp out whole
run 0 generate -m "$model" -p "$prompt" -n 20 --ignore-eos $how --no-display-prompt --save session
head -c -1 out > parts                    # the newline at its end
run 0 generate -m "$model" --session session -n 40 --ignore-eos -t 1
cat out >> parts
cmp -s parts whole || wrong "$how: another text"
done

begin "a session is saved where it is interrupted by a stop string"
run 0 generate -m "$model" -p "$prompt" -n 200 -s 3 --stop " the" --save session
run 0 generate -m "$model" --session session -n 5
one_line

begin "a text behind a saved session"
run 0 generate -m "$model" -p "$prompt" -n 3 --temp 0 --save session
run 0 generate -m "$model" --session session -p " and a crow" -n 5
grep -q "^ and a crow" out || wrong "the text is not shown"
run 0 generate -m "$model" -p "$prompt" -n 0 --save session
run 1 generate -m "$model" --session session -n 5
err_has "was saved before a token was chosen"
run 0 generate -m "$model" --session session -p " and a crow" -n 5

begin "what is no session of this model"
run 1 generate -m "$model" --session "$model/model.safetensors" -n 5
one_line
err_has "expected a saved session"
run 1 generate -m "$model" --session nowhere -n 5
one_line
run 1 generate -m "$model" --session session --kv-type bf16 -n 5
one_line
err_has "another type of keys and values"
run 1 generate -m "$model" -p "$prompt" -n 5 --save nowhere/session
err_has "nowhere/session"

begin "guesses change no text"
for how in "--temp 0" "-s 4 --temp 0.8"; do
run 0 generate -m "$model" -p "one two three four, one two three four, one two" -n 120 \
    --ignore-eos $how
cp out whole
run 0 generate -m "$model" -p "one two three four, one two three four, one two" -n 120 \
    --ignore-eos $how --lookup 8
out_same whole
err_has "guesses right ("
run 0 generate -m "$model" -p "one two three four, one two three four, one two" -n 120 \
    --ignore-eos $how --lookup 31 --json
grep -q '"n_guessed"' out || wrong "no number of guesses"
done
run 0 generate -m "$model" -p "$prompt" -n 40 --ignore-eos --temp 0 --lookup 5 --save session
head -c -1 out > parts
run 0 generate -m "$model" --session session -n 40 --ignore-eos
cat out >> parts
run 0 generate -m "$model" -p "$prompt" -n 80 --ignore-eos --temp 0
cmp -s parts out || wrong "a session saved after guesses goes on otherwise"

# Guesses that are often wrong: of the model with its weights in 4 bits, whether they pay or not.
often="--draft-min 5 --draft-max 5"
draft="--draft rounded $often"

begin "a draft model is rounded when it is loaded, or was before"
run 0 quantize -m "$model" --type q4 -o rounded
run 0 generate -m "$model" -p "$prompt" -n 40 --ignore-eos --temp 0 $draft --json
grep -o '"n_right": [0-9]*' out > counted
run 0 generate -m "$model" -p "$prompt" -n 40 --ignore-eos --temp 0 --draft "$model" \
    --draft-type q4 $often --json
grep -o '"n_right": [0-9]*' out | cmp -s - counted || wrong "other guesses are right"

begin "a draft model changes no greedy text"
for from in ${BAMBA_CLI_PASSAGES:-1 400 900 1500 2100 2900 3300 4100}; do    # where they begin
    tail -c +$from "$here/../oracle/prose.txt" | head -c 150 | iconv -c -f UTF-8 -t UTF-8 > passage
    for how in "--temp 0" "--temp 0 --repeat-penalty 1.3" "-s $from --temp 0.8"; do
        run 0 generate -m "$model" -f passage -n 50 --ignore-eos $how
        cp out whole
        run 0 generate -m "$model" -f passage -n 50 --ignore-eos $how $draft
        out_same whole
        run 0 generate -m "$model" -f passage -n 50 --ignore-eos $how $draft --lookup 6 -t 1
        out_same whole
    done
done
run 0 generate -m "$model" -p "$prompt" -n 90 --temp 0 --stop "e t" --ban " fox"
cp out whole
run 0 generate -m "$model" -p "$prompt" -n 90 --temp 0 --stop "e t" --ban " fox" $draft
out_same whole
run 0 generate -m "$model" -p "$prompt" -n 300 --temp 0 --ignore-eos --loop-guard
cp out whole
run 0 generate -m "$model" -p "$prompt" -n 300 --temp 0 --ignore-eos --loop-guard $draft
out_same whole
run 0 generate -m "$model" -p "$prompt" -n 30 --ignore-eos --temp 0 $draft --save session
head -c -1 out > parts
run 0 generate -m "$model" --session session -n 40 --ignore-eos $draft
cat out >> parts
run 0 generate -m "$model" -p "$prompt" -n 70 --ignore-eos --temp 0
cmp -s parts out || wrong "a session saved behind a draft goes on otherwise"

begin "what came of the guesses of a draft"
run 0 generate -m "$model" -p "$prompt" -n 60 --ignore-eos --temp 0 $draft --json
out_has '"draft": { "n_passes": '
for key in acceptance draft_ms draft_prompt_ms; do out_has "\"$key\": "; done
python3 - << 'END' || wrong "the numbers do not go together"
import json
t = json.load(open("out"))["timings"]
assert t["n_guessed"] >= t["n_right"] > 0 and t["n_passes"] + t["n_right"] == t["n_eval"] == 59
assert abs(t["acceptance"] - t["n_right"] / t["n_guessed"]) < 1e-4
assert t["draft"]["n_guessed"] == t["n_guessed"] and "lookup" not in t
END
run 0 generate -m "$model" -p "$prompt" -n 60 --ignore-eos --temp 0 $draft --perf
for line in "draft guesses" passes "draft time"; do err_has "$line"; done
run 0 generate -m "$model" -p "$prompt" -n 60 --ignore-eos --temp 0 $draft
err_has "%) in "
run 0 generate -m "$model" -p "$prompt" -n 60 --ignore-eos --temp 0 $draft --draft-p-min 1 --json
out_has '"n_guessed": 0'

begin "drawn texts by rejection sampling"
run 0 generate -m "$model" -p "$prompt" -n 60 --ignore-eos -s 7
cp out whole
run 0 generate -m "$model" -p "$prompt" -n 60 --ignore-eos -s 7 $draft --draft-sampling rejection
cmp -s out whole && wrong "the text of the seed without a draft: nothing was sampled by rejection"
cp out whole
run 0 generate -m "$model" -p "$prompt" -n 60 --ignore-eos -s 7 $draft \
    --draft-sampling rejection -t 1
out_same whole
run 0 generate -m "$model" -p "$prompt" -n 60 --ignore-eos $draft --loop-guard --ban " the" \
    --no-display-prompt
out_lacks " the"
! grep -q seed err || wrong "a seed that does not give the text again"

begin "a draft model of another vocabulary"
mkdir -p other
cp "$model"/*.json other
cp "$model/model.safetensors" other
python3 - "$model/tokenizer.json" << 'END' > other/tokenizer.json || wrong "a tokenizer to be made"
import json, sys
t = json.load(open(sys.argv[1]))
v = t["model"]["vocab"]
v["the"], v["in"] = v["in"], v["the"]
print(json.dumps(t))
END
run 1 generate -m "$model" -p "$prompt" -n 5 --draft other
one_line
err_has "a draft model needs the model's vocabulary"
run 1 generate -m "$model" -p "$prompt" -n 5 --draft nowhere
one_line
err_has "nowhere"
wrong_use "--draft-max" generate -m "$model" -p "$prompt" --draft "$model" --draft-max 0

begin "a prompt from the cache"
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    printf 'The %s. fox and the crow went to the well, and the crow said nothing at all. ' "$i"
done > long
run 0 generate -m "$model" -f long -n 20 -s 1
cp out whole
run 0 generate -m "$model" -f long -n 20 -s 1 --cache states
err_has "0 of them from the cache"
out_same whole
run 0 generate -m "$model" -f long -n 20 -s 1 --cache states
! grep -q " 0 of them from the cache" err || wrong "nothing came from the cache"
out_same whole
run 2 generate -m "$model" -p "$prompt" --cache states --session session

begin "banned texts do not appear"
for how in "--temp 0" "-s 1" "-s 2" "-s 3 --lookup 6"; do
run 0 generate -m "$model" -p "Once upon a time there was a king" -n 90 --ignore-eos $how \
    --no-display-prompt --ban " the" --ban king --ban "said"
! grep -q " the\|king\|said" out || wrong "$how: a banned text"
[ "$(wc -w < out)" -gt 20 ] || wrong "$how: hardly any text"
done
run 0 generate -m "$model" -p "$prompt" -n 60 --temp 0 --ignore-eos
cp out whole
run 0 generate -m "$model" -p "$prompt" -n 60 --temp 0 --ignore-eos --ban "a text that never comes"
out_same whole
wrong_use "--ban" generate -m "$model" -p "$prompt" --ban ""

begin "a text does not go round in circles"
run 0 generate -m "$model" -p "$prompt" -n 400 --temp 0 --ignore-eos --no-display-prompt \
    --loop-guard
[ "$(wc -w < out)" -gt 100 ] || wrong "hardly any text"
n=$(tr -s ' \n' '\n\n' < out | awk '{ w[NR] = $0 } END {
    for (p = 1; p <= 20; p++) for (i = 4 * p; i <= NR; i++) {
        for (j = 0; j < 3 * p && w[i - j] == w[i - j - p]; j++);
        if (j == 3 * p && 4 * p >= 24) { print p; exit } } }')
[ -z "$n" ] || wrong "the same $n words four times over"

begin "a window goes on beyond the model's length"
mkdir -p short                            # the model as if it had been trained for 300 tokens
for file in "$model"/*; do ln -sf "$file" short/; done
rm short/config.json
sed 's/"max_position_embeddings": [0-9]*/"max_position_embeddings": 300/' "$model/config.json" \
    > short/config.json
run 0 generate -m short -p "$prompt" -n 400 --ignore-eos -s 1 --temp 0.8
err_has "end: context"
run 0 generate -m short -p "$prompt" -n 400 --ignore-eos -s 1 --temp 0.8 --window 64 --sink 10
err_has "text: 400 tokens"
err_has "end: length"
run 0 generate -m "$model" -p "$prompt" -n 60 --ignore-eos -s 1 --temp 0.8
cp out whole
run 0 generate -m "$model" -p "$prompt" -n 60 --ignore-eos -s 1 --temp 0.8 --window 100
out_same whole
run 0 generate -m "$model" -p "$prompt" -n 60 --ignore-eos -s 1 --temp 0.8 --window 3 --sink 0
! cmp -s out whole || wrong "a window of 3 hides nothing"
run 0 generate -m "$model" -p "$prompt" -n 300 -c 50 --ignore-eos --window 16
err_has "end: context"
wrong_use "--window" generate -m "$model" -p "$prompt" --window -1
for told in "generate -p x" "chat" "perplexity -f long.txt"; do
    wrong_use "--sink needs --window" $told -m "$model" --sink 4
done
wrong_use "--sink needs --window" generate -m "$model" -p x --sink 0 --window 0

begin "a saved session keeps its window"
run 0 generate -m "$model" -p "$prompt" -n 200 --ignore-eos --temp 0 --no-display-prompt --window 40
cp out whole
run 0 generate -m "$model" -p "$prompt" -n 140 --ignore-eos --temp 0 --no-display-prompt \
    --window 40 --save session
head -c -1 out > parts
run 0 generate -m "$model" --session session -n 60 --ignore-eos
cat out >> parts
cmp -s parts whole || wrong "another text"
run 1 generate -m "$model" --session session -n 5 --window 41
one_line
err_has "saved with a window of 40 and a sink of 4"

begin "windows with guesses, bans and the cache"
run 0 generate -m "$model" -p "one two three four, one two three four, one two" -n 160 \
    --ignore-eos --temp 0 --window 30
cp out whole
run 0 generate -m "$model" -p "one two three four, one two three four, one two" -n 160 \
    --ignore-eos --temp 0 --window 30 --lookup 8
out_same whole
run 0 generate -m "$model" -f long -n 90 --ignore-eos -s 1 --window 50 --ban " the" \
    --no-display-prompt
! grep -q " the" out || wrong "a banned text"
run 0 generate -m "$model" -f long -n 20 -s 1 --window 50
cp out whole
run 0 generate -m "$model" -f long -n 20 -s 1 --window 50 --cache states
err_has " 0 of them from the cache"
run 0 generate -m "$model" -f long -n 20 -s 1 --window 50 --cache states
! grep -q " 0 of them from the cache" err || wrong "nothing came from the cache"
out_same whole

begin "a context is not shifted"
run 2 generate -m "$model" -p "$prompt" -n 3 --context-shift
one_line
err_has "--context-shift: a recurrent state cannot forget the tokens that are shifted out; bamba \
generate --window N"
run 2 generate -m "$model" -p "$prompt" -n 3 --keep 5
one_line
err_has "--window N"
run 0 generate -m "$model" -p "$prompt" -n 3 --keep 0 --no-context-shift
