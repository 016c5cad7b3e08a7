# cases_bulk.sh - many texts at once: continuations of one prompt, prompts of a file.

prompt="Once upon a time there was a fox"

texts() {                                 # the texts behind the lines about them in ./out
    sed '/^--- [0-9]* of [0-9]*: seed .* ---$/d' out
}

begin "continuations of one prompt are those of their seeds"
: > expected
for seed in 7 8 9 10; do
run 0 generate -m "$model" -p "$prompt" -n 30 --ignore-eos -s $seed --temp 0.9 --no-display-prompt
cat out >> expected
done
run 0 generate -m "$model" -p "$prompt" -n 30 --ignore-eos -s 7 --temp 0.9 -np 4
one_line
[ "$(grep -c '^--- [1-4] of 4: seed [0-9]*, mean log-probability -[0-9.]*, length ---$' out)" \
    -eq 4 ] ||
    wrong "no line before each text"
texts > found
cmp -s found expected || wrong "other texts"

begin "more continuations than go on at once"
run 0 generate -m "$model" -p "$prompt" -n 6 --ignore-eos -s 7 --n-best 40 -t 2
[ "$(grep -c '^--- ' out)" -eq 40 ] || wrong "not 40 texts"
sed -n '/^--- 37 of /,/^--- 38 of /p' out | sed '1d;$d' > found
run 0 generate -m "$model" -p "$prompt" -n 6 --ignore-eos -s 43 --no-display-prompt
out_same found

begin "the best continuation"
run 0 generate -m "$model" -p "$prompt" -n 12 --ignore-eos -s 7 --temp 1 -np 5
best=$(sed -n 's/^--- \([0-9]*\) of .*probability \(-[0-9.]*\),.*/\2 \1/p' out | sort -g | tail -1)
seed=$((6 + ${best#* }))
run 0 generate -m "$model" -p "$prompt" -n 12 --ignore-eos -s 7 --temp 1 -np 5 --best
cp out found
run 0 generate -m "$model" -p "$prompt" -n 12 --ignore-eos -s $seed --temp 1
out_same found

begin "continuations as JSON"
run 0 generate -m "$model" -p "$prompt" -n 5 --ignore-eos -s 7 -np 3 --json
[ "$(wc -l < out)" -eq 1 ] || wrong "not one line"
[ "$(grep -o '"mean_log_probability": -[0-9.]*' out | wc -l)" -eq 3 ] || wrong "not 3 texts"
out_has '"prompt": "Once upon'
out_has '"seed": 9'
run 0 generate -m "$model" -p "$prompt" -n 5 --ignore-eos -s 7 -np 3 --json --best
[ "$(grep -o '"mean_log_probability"' out | wc -l)" -eq 1 ] || wrong "not the best alone"

begin "continuations that nothing draws"
run 0 generate -m "$model" -p "$prompt" -n 4 --temp 0 -np 2
err_has "warning: -np 2: nothing is drawn"
run 0 generate -m "$model" -p "$prompt" -n 0 -np 2 -s 1
[ "$(texts | grep -c .)" -eq 0 ] || wrong "text of no tokens"

begin "what many texts cannot have"
for option in "--session x" "--save x" "--cache x" "--lookup 4" "--ban x" --loop-guard; do
wrong_use "either -np or ${option% *}, not both" generate -m "$model" -p x -np 2 $option
wrong_use "either --jsonl or ${option% *}, not both" generate -m "$model" --jsonl x $option
done
wrong_use "either --jsonl or -p, not both" generate -m "$model" -p x --jsonl x
wrong_use "-o is where results of --jsonl go" generate -m "$model" -p x -o x
wrong_use "-np: expected at most 32" generate -m "$model" --jsonl x -np 33

# ---- --jsonl ----

long=$(awk 'BEGIN {
    for (i = 0; i < 30; i++) printf "The %s fox and the crow went to the well. ", i }')
longer="$long$long$long"
cat > prompts << END
{"prompt": "Once upon a time", "id": "first \"one\""}
{"prompt": "$long And so", "id": 2, "seed": 5}

{"id": -3, "prompt": "$longer He said", "n_predict": 3}
{"prompt": "$long But the fox", "temperature": 0, "stop": " the"}
{"prompt": "$longer She said", "top_k": 3, "stop": [" and", "\n"]}
{"prompt": "$long And so"}
{"prompt": "Two\nlines, \u00e9 and \"quotes\"", "n_predict": 0}
{"prompt": "$long The king", "repeat-penalty": 1.2, "repeat_last_n": 64, "min_p": 0}
{"prompt": "A"}
{"prompt": "$longer"}
END
lines="generate -m $model --jsonl prompts -n 12 -s 40 --ignore-eos"

begin "prompts of a file, in order"
run 0 $lines
one_line
err_has "10 texts; prompts: "
cp out all
[ "$(wc -l < all)" -eq 10 ] || wrong "not 10 lines"
for word in '"id": "first \"one\""' '"id": 2' '"id": -3' '"model": ' '"prompt": ' '"prompt_ids": ' \
    '"made_by": { "fingerprint": ' '"text": ' '"ids": ' '"finish": ' \
    '"mean_log_probability": ' '"parameters": '; do
    out_has "$word"
done
sed -n 7p all |
    grep -q '"text": "", "ids": \[ \], "finish": "length", "mean_log_probability": 0.0' ||
    wrong "a text of no tokens"

alone() {                            # alone LINE ARGS...: what the prompt alone gives is line LINE
    line=$1
    shift
    run 0 generate -m "$model" --ignore-eos --no-escape --json "$@"
    sed -n "${line}p" all | sed 's/.*"prompt_ids": \(.*"finish": "[a-z]*"\).*/\1/' > expected
    sed 's/.*"prompt_ids": \(.*"finish": "[a-z]*"\).*/\1/' out > found
    cmp -s expected found || wrong "line $line is another text than alone"
}

begin "each text is that of its prompt alone"
alone 1 -p "Once upon a time" -n 12 -s 40
alone 2 -p "$long And so" -n 12 -s 5
alone 3 -p "$longer He said" -n 3 -s 42
alone 4 -p "$long But the fox" -n 12 -s 43 --temp 0 --stop " the"
alone 5 -p "$longer She said" -n 12 -s 44 --top-k 3 --stop " and" --stop "
"
alone 6 -p "$long And so" -n 12 -s 45
alone 8 -p "$long The king" -n 12 -s 47 --repeat-penalty 1.2 --min-p 0
alone 9 -p A -n 12 -s 48
alone 10 -p "$longer" -n 12 -s 49

begin "whatever goes on at once"
for how in "-np 1" "-np 3 -t 1" "-np 32 -t 2" "-b 64 -o /dev/stdout"; do
run 0 $lines $how
case $how in -b*) sed 's/.*"prompt_ids"//; s/"mean_log.*//' all > expected
                  sed 's/.*"prompt_ids"//; s/"mean_log.*//' out > found
                  cmp -s expected found || wrong "$how: other texts" ;;
             *) out_same all ;;
esac
done

begin "a beginning that prompts share is fed once"
run 0 $lines -v
shared=$(sed -n 's/.* \([0-9]*\) more were shared.*/\1/p' err)
[ "${shared:-0}" -gt 1000 ] || wrong "$shared tokens were shared"

begin "standard input and turns of a user"
cp prompts in
run 0 generate -m "$model" --jsonl - -n 12 -s 40 --ignore-eos
out_same all
: > in

begin "a run that ended is continued"
run 0 $lines -o results
out_empty
cmp -s results all || wrong "other results in a file"
for n in 0 1 400 5000 12000 20000; do
head -c $n all > results
run 0 $lines -o results
cmp -s results all || wrong "other results after $n bytes"
done
run 0 $lines -o results
err_has "0 texts more"
cmp -s results all || wrong "a finished run changed its results"

begin "a run is killed and continued"
rm -f expected
awk 'BEGIN {
    for (i = 0; i < 30; i++) printf "{\"prompt\": \"The %d. fox\", \"id\": %d}\n", i, i }' > many
run 0 generate -m "$model" --jsonl many -n 40 -np 4 -o expected
seed=$(sed -n '1s/.*"seed": \([0-9]*\).*/\1/p' expected)
for after in 1 5 15; do
rm -f results
"$bamba" generate -m "$model" --jsonl many -n 40 -np 4 -s "$seed" -o results 2> err &
pid=$!
while kill -0 $pid 2> err && [ "$(cat results 2> err | wc -l)" -lt $after ]; do sleep 0.02; done
kill -9 $pid 2> err
wait $pid 2> err
run 0 generate -m "$model" --jsonl many -n 40 -np 4 -o results
cmp -s results expected || wrong "killed after $after lines: other results"
done

begin "results of something else"
head -3 all > results
fails 'results:1: has another "parameters" than prompts:1' $lines -n 13 -o results
sed 's/first/third/' prompts > changed
fails 'results:1: has another "id" than changed:1' \
    generate -m "$model" --jsonl changed -n 12 -s 40 -o results
sed 's/He said/We said/' prompts > changed
fails 'results:3: has another "prompt" than changed:4' \
    generate -m "$model" --jsonl changed -n 12 -s 40 -o results
sed 's/"stop": " the"/"stop": "the"/' prompts > changed
cp all results
fails 'results:4: has another "parameters" than changed:5' \
    generate -m "$model" --jsonl changed -n 12 -s 40 --ignore-eos -o results
fails 'results:1: has another "parameters" than prompts:1' $lines --stop fox -o results
for option in "--kv-type f32" "--window 200" "--type q8"; do
    fails 'results:1: has another "made_by" than prompts:1' $lines $option -o results
done
cp -r "$model" moved
run 0 generate -m moved --jsonl prompts -n 12 -s 40 --ignore-eos -o results
cmp -s results all || wrong "a model that was moved is another one"
sed 's/"rms_norm_eps": [^,]*/"rms_norm_eps": 0.001/' "$model/config.json" > moved/config.json
fails 'results:1: has another "made_by" than prompts:1' \
    generate -m moved --jsonl prompts -n 12 -s 40 --ignore-eos -o results
cat all all > results
fails "results: has more lines than prompts has prompts, 10" $lines -o results
echo "no JSON" > results
fails "results:1: expected a result" $lines -o results
[ "$(cat results)" = "no JSON" ] || wrong "what was no result is gone"

begin "what cannot be read or written"
fails "cannot be written" $lines -o nowhere/results
fails "prompts: is the file that the prompts are read from" $lines -o prompts
[ "$(wc -l < prompts)" -eq 11 ] || wrong "the prompts are gone"
fails "nowhere" generate -m "$model" --jsonl nowhere
run 0 generate -m "$model" --jsonl /dev/null
out_empty

bad_line() {                         # bad_line TEXT LINE: told by place, before anything is made
    printf '{"prompt": "A"}\n\n%s\n' "$2" > bad
    fails "bad:3: $1" generate -m "$model" --jsonl bad -n 2
    out_empty
}

begin "lines that are wrong"
bad_line "expected a member prompt or messages" '{"id": 1}'
bad_line "either prompt or messages" '{"prompt": "A", "messages": []}'
bad_line 'unknown member "promt"' '{"promt": "A"}'
bad_line 'unknown member "logit_bias"' '{"prompt": "A", "logit_bias": 3}'
bad_line '"temperature": expected a number' '{"prompt": "A", "temperature": "hot"}'
bad_line '"top_k": expected a number' '{"prompt": "A", "top_k": 1.5}'
bad_line '"n_predict": expected an integer' '{"prompt": "A", "n_predict": -7}'
bad_line '"id": expected a text or an integer, found 1.5' '{"prompt": "A", "id": 1.5}'
bad_line '"id": expected a text or an integer' '{"prompt": "A", "id": {"a": 1}}'
bad_line '"stop": expected text without a zero byte' '{"prompt": "A", "stop": ["b", ""]}'
bad_line '"stop": ' '{"prompt": "A", "stop": [3]}'
bad_line '"prompt": expected a JSON string' '{"prompt": 3}'
bad_line '"messages": expected a list' '{"messages": "A"}'
bad_line "byte 1: expected a JSON object" 'A'
bad_line "byte 15: expected a comma or the end" '{"prompt": "A"'
bad_line "byte 17: expected nothing behind the end" '{"prompt": "A"} x'
bad_line '"prompt": expected UTF-8' "$(printf '{"prompt": "\377"}')"
printf '{"prompt": "A"}\n{"prompt": "A", "top_p": 3}\n' > bad
run 1 generate -m "$model" --jsonl bad -n 2
one_line
err_has "bad:2: sampler"
printf '{"prompt": "A"}\n{"prompt": "%s"}\n' "$longer" > bad
run 1 generate -m "$model" --jsonl bad -n 2 -c 100
err_has "bad:2: the prompt has"

begin "messages go through the model's template"
mkdir talk
cp "$model"/* talk
cat > talk/chat_template.jinja << 'END'
{% for m in messages %}{{ m.role }}: {{ m.content }}
{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}
END
{
    printf '%s' '{"messages": [{"role": "user", "content": "Who is there?"}, ' \
        '{"role": "assistant", "content": "A fox."}, {"role": "user", "content": "Why?"}]}'
    printf '\n{"messages": [{"role": "user", "content": "Who is there?"}], "n_predict": 7}\n'
} > turns
run 0 generate -m talk --jsonl turns -n 9 -s 1
out_has '"prompt": "user: Who is there?\nassistant: A fox.\nuser: Why?\nassistant:'
sed -n '2s/.*"text": \(".*"\), "ids".*/\1/p' out > expected
printf '{"prompt": "Who is there?"}\n' > turn
run 0 generate -m talk --jsonl turn -n 7 -s 2 --chat
sed -n '1s/.*"text": \(".*"\), "ids".*/\1/p' out > found
[ -s found ] && cmp -s found expected || wrong "a prompt with --chat is another turn"
printf '{"messages": [{"role": "user"}]}\n{"messages": [3]}\n' > turn
run 1 generate -m talk --jsonl turn -n 7 -s 2
err_has "turn:2: its messages make no prompt"
