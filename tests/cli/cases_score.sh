# cases_score.sh - the probabilities of continuations.

score() {                            # score CODE LINES ARGS...: LINES is what printf makes of it
    want=$1
    printf "$2" > in
    shift 2
    run "$want" score -m "$model" "$@"
    : > in
}
logprobs() {                              # each "logprob" of ./out or $1, a line each
    grep -o '"logprob": [-0-9.e]*' "${1:-out}" | sed 's/.*: //'
}
near_logs() {                        # near_logs A B: numbers, a line each, that differ by rounding
    [ -s "$1" ] && [ "$(wc -l < "$1")" -eq "$(wc -l < "$2")" ] ||
        wrong "$1 has other numbers than $2"
    paste "$1" "$2" |
        awk '{ d = $1 - $2; if (d < 0) d = -d; if (!(d <= 0.001)) bad = 1 } END { exit bad }' ||
        wrong "$1 is not near $2"
}

begin "the likeliest token"
run 0 logits -m "$model" -p "Once upon a" --top 1
id=$(awk '{ print $2 }' out)
awk '{ print $4 }' out > best
run 0 tokenize -m "$model" --decode --json -p "$id"
text=$(cat out)
score 0 "{\"context\": \"Once upon a\", \"continuation\": $text}\n"
[ "$(wc -l < out)" -eq 1 ] || wrong "not one line"
out_has '"is_greedy": true, "n_tokens": 1 }'
logprobs > found
near_logs found best

begin "tokens of a continuation"
score 0 '{"continuation": " time there was a king", "context": "Once upon a"}' --tokens
grep -o '"id": [0-9]*' out | sed 's/.*: //' | tr '\n' ' ' > found
run 0 tokenize -m "$model" --no-bos --ids -p " time there was a king"
[ "$(cat found)" = "$(cat out) " ] || wrong "other tokens"
n=$(wc -w < out)
score 0 '{"continuation": " time there was a king", "context": "Once upon a"}' --tokens
[ "$(json_number n_tokens)" = "$n" ] || wrong "n_tokens"
logprobs | awk 'NR == 1 { all = $1 } NR > 1 { s += $1 }
                END { d = all - s; exit !(NR > 2 && d < 1e-5 && d > -1e-5) }' ||
    wrong "the sum is another"

begin "lists, and lines that share a context"
fox='{"context": "The fox", '
fox=$fox'"continuations": [" ran", " was a king", " was", " ran away from the king"]}'
score 0 "$fox"
[ "$(grep -o results out)" = results ] || wrong "no results"
logprobs > list
[ "$(wc -l < list)" -eq 4 ] || wrong "not 4 results"
cp out whole
for text in " ran" " was a king" " was" " ran away from the king"; do
    echo "{\"context\": \"The fox\", \"continuation\": \"$text\"}"
done > shared
run 0 score -m "$model" -f shared -t 2
[ "$(wc -l < out)" -eq 4 ] || wrong "not 4 lines"
logprobs > found
near_logs found list
sed '1,3s/$/\n{"context": "A wood", "continuation": " near"}/' shared > apart
run 0 score -m "$model" -f apart
logprobs | awk 'NR % 2' > found
near_logs found list
score 0 "$fox" -t 2
out_same whole

begin "spaces at the end of a context begin the continuation"
once='{"context": "Once upon a ", "continuation": "time"}\n'
score 0 "$once"'{"context": "Once upon a", "continuation": " time"}'
[ "$(sed -n 1p out)" = "$(sed -n 2p out)" ] || wrong "they differ"
out_has '"n_tokens": 1'

begin "an empty context"
run 0 info -m "$model" --json
bos=$(json_number bos)
run 0 tokenize -m "$model" --decode -p "${bos:-0}"
special=$(cat out)
{
    printf '{"context": "", "continuation": "The king"}\n'
    printf '{"context": "%s", "continuation": "The king"}\n' "$special"
    printf '{"context": "  ", "continuation": "x"}\n'
    printf '{"context": "", "continuation": "  x"}\n'
    printf '{"context": "", "continuation": "%sThe king"}' "$special"
} > in
run 0 score -m "$model"
: > in
[ "$(sed -n 1p out)" = "$(sed -n 2p out)" ] || wrong "not the begin token"
[ "$(sed -n 3p out)" = "$(sed -n 4p out)" ] || wrong "a context of spaces"
[ "$(sed -n 1p out)" = "$(sed -n 5p out)" ] || wrong "a begin token in the text"

begin "long ones, many of them"
i=0
while [ $i -lt 150 ]; do
    printf '{"context": "The fox number %d", ' $i
    echo '"continuations": [" went home", " x", "\\n"]}'
    i=$((i + 1))
done > many
{
    printf '{"context": "", "continuation": "'
    grep -o 'The fox[^"]*' many | tr '\n' ' '
    printf '"}\n'
} > long
exact="--type f32 --kv-type f32 --compute f32"
for file in long many; do
    run 0 score -m "$model" $exact -f $file --tokens
    logprobs > found
    run 0 score -m "$model" $exact -f $file --tokens -b 64
    logprobs > small
    near_logs found small
    run 0 score -m "$model" $exact -f $file --tokens -b 5
    logprobs > small
    near_logs found small
done
[ "$(wc -l < out)" -eq 150 ] || wrong "not 150 lines"
sed -n 99p many > in
sed -n 99p out > one
run 0 score -m "$model" $exact --tokens
logprobs > found
logprobs one > small
near_logs found small
: > in

begin "requests that are none"
bad() {                                   # bad TEXT LINE
    printf '{"context": "a", "continuation": " b"}\n%s\n' "$2" > in
    fails "line 2: $1" score -m "$model"
}
bad "expected a JSON object" ''
bad "expected a JSON object" '["a"]'
bad 'expected a member "context"' '{"continuation": "b"}'
bad 'expected either "continuation" or "continuations"' '{"context": "b"}'
bad 'expected either' '{"context": "b", "continuation": "c", "continuations": ["d"]}'
bad "expected a JSON string" '{"context": 3, "continuation": "b"}'
bad "expected a JSON string" '{"context": "a", "continuations": [" b", null]}'
bad "expected a JSON list" '{"context": "a", "continuations": "b"}'
bad "expected a continuation in the list" '{"context": "a", "continuations": []}'
bad "expected a continuation that adds a token" '{"context": "a", "continuation": ""}'
bad "expected a continuation that adds a token" '{"context": "", "continuation": ""}'
bad "" '{"context": "a", "continuation": "b"'
: > in
run 0 score -m "$model"
out_empty

if [ -d begins ] && ! cmp -s "$model/tokenizer.json" begins/tokenizer.json; then
    begin "a begin token before contexts"
    printf '{"context": "The king", "continuation": " went"}\n' > plain
    printf '{"context": "<|endoftext|>The king", "continuation": " went"}\n' > in
    run 0 score -m begins -f plain
    cp out expected
    run 0 score -m begins --no-bos
    out_same expected
    run 0 score -m begins --no-bos -f plain
    cp out without
    cmp -s out expected && wrong "--no-bos changes nothing"
    run 0 score -m "$model" -f plain
    out_same without
    run 0 score -m begins --no-bos --no-special
    cmp -s out expected && wrong "--no-special changes nothing"
    : > in
fi

begin "score: wrong use"
wrong_use "unknown option" score --continuation x
fails "no-such" score -m "$model" -f no-such
