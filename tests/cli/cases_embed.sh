# cases_embed.sh - vectors of texts.

vectors() {                               # the numbers of each line in ./out or $1, a line each
    sed 's/.*"embedding": \[ //; s/ \].*//; s/,//g' "${1:-out}"
}
near() {                                  # near A B LIMIT: the numbers in two files
    [ "$(wc -w < "$1")" -eq "$(wc -w < "$2")" ] && [ -s "$1" ] ||
        wrong "$1 has other numbers than $2"
    paste "$1" "$2" | awk -v limit="$3" '
        { for (i = 1; i <= NF / 2; i++) {
              d = $i - $(NF / 2 + i); if (d < 0) d = -d; if (!(d <= limit)) bad = 1 } }
        END { exit bad }' || wrong "$1 is not near $2"
}
length() {                                # length N: each line's sum of |x|^N lies near 1
    vectors | awk -v n="$1" '{ s = 0; for (i = 1; i <= NF; i++) s += ($i < 0 ? -$i : $i) ^ n
                               if (!(s > 0.99999 && s < 1.00001)) bad = 1 }
                             END { exit bad || NR == 0 }' ||
        wrong "not of length 1 in norm $1"
}
printf 'Once upon a time there was a fox.\nThe king.\nA fox, a wood, and a king\n' > texts

begin "a vector for each line"
run 0 embed -m "$model" -f texts
[ "$(wc -l < out)" -eq 3 ] || wrong "not 3 lines"
length 2
err_has "3 texts"
cp out three
for i in 0 1 2; do
    [ "$(sed -n "$((i + 1))s/{ \"index\": \\([0-9]*\\), .*/\\1/p" three)" = $i ] ||
        wrong "index of line $i"
    text=$(sed -n $((i + 1))p texts)
    run 0 embed -m "$model" -p "$text" -t 2
    sed 's/"index": 0/"index": '$i'/' out > alone
    sed -n $((i + 1))p three | cmp -s - alone || wrong "line $i differs alone"
    run 0 tokenize -m "$model" --ids -p "$text"
    n=$(wc -w < out)
    cp alone out
    [ "$(json_number n_tokens)" = "$n" ] || wrong "n_tokens of line $i"
done

begin "texts from everywhere"
run 0 embed -m "$model" -p 'Once upon a time there was a fox.' -p 'The king.' \
    -p 'A fox, a wood, and a king'
out_same three
sed 's/.*/"&"/' texts > texts.jsonl
run 0 embed -m "$model" --jsonl -f texts.jsonl
out_same three
sed 's/$/\r/' texts > in
run 0 embed -m "$model"
out_same three
printf %s "$(cat texts)" > in
run 0 embed -m "$model" -f -
out_same three
: > in
run 0 embed -m "$model"
out_empty
run 0 embed -m "$model" -p 'two\nlines'
cp out expected
run 0 embed -m "$model" --no-escape -p 'two\nlines'
cmp -s out expected && wrong "--no-escape changes nothing"
printf '"two\\nlines"\n' > texts.jsonl
run 0 embed -m "$model" --jsonl -f texts.jsonl
out_same expected

begin "an empty line is the begin token"
printf 'a\n\nb\n' > in
run 0 embed -m "$model"
sed -n 2p out > empty_line
run 0 info -m "$model" --json
bos=$(json_number bos)
run 0 tokenize -m "$model" --decode -p "${bos:-0}"
run 0 embed -m "$model" -p "$(cat out)"
sed 's/"index": 1/"index": 0/' empty_line | cmp -s - out || wrong "another vector"
: > in

begin "pooling and lengths"
run 0 embed -m "$model" -f texts --pooling last
length 2
cmp -s out three && wrong "last is mean"
cp out last
run 0 embed -m "$model" -p fox --pooling last
cp out expected
run 0 embed -m "$model" -p fox --pooling mean
[ "$(json_number n_tokens)" = 1 ] && out_same expected
run 0 embed -m "$model" -f texts --embd-normalize 1
length 1
run 0 embed -m "$model" -f texts --embd-normalize 3
length 3
run 0 embed -m "$model" -f texts --embd-normalize 0
vectors | awk '{ m = 0; for (i = 1; i <= NF; i++) { x = $i < 0 ? -$i : $i; if (x > m) m = x }
                 if (m != 32760) exit 1 }' ||
    wrong "the largest is not 32760"
run 0 embed -m "$model" -f texts --embd-normalize -1
vectors | awk '{ s = 0; for (i = 1; i <= NF; i++) s += $i * $i; s = sqrt(s)
                 for (i = 1; i <= NF; i++) $i /= s; print }' > a
vectors three > b
near a b 1e-6

begin "long texts, many texts"
i=0
while [ $i -lt 150 ]; do
    echo "the fox number $i"
    i=$((i + 1))
done > many
tr '\n' ' ' < many > long
exact="--type f32 --kv-type f32 --compute f32"
for pooling in mean last; do
    for file in long many; do
        run 0 embed -m "$model" -f $file $exact --pooling $pooling
        vectors > a
        run 0 embed -m "$model" -f $file $exact --pooling $pooling -b 64
        vectors > b
        near a b 2e-5
        run 0 embed -m "$model" -f $file $exact --pooling $pooling -b 3
        vectors > b
        near a b 2e-5
    done
    [ "$(wc -l < a)" -eq 150 ] || wrong "not 150 vectors"
    sed -n 78p many > in
    run 0 embed -m "$model" $exact --pooling $pooling
    vectors > b
    sed -n 78p a > c
    near b c 2e-5
done
: > in

begin "NumPy and other files"
run 0 info -m "$model" --json
width=$(json_number d_model)
run 0 embed -m "$model" -f texts -o e.npy
out_empty
[ "$(wc -c < e.npy)" -eq $((128 + 3 * 4 * width)) ] || wrong "size of e.npy"
head -c 128 e.npy | grep -qaF "'shape': (3, $width), }" || wrong "header"
od -An -v -tf4 -w$((4 * width)) -j128 e.npy > a
vectors three > b
near a b 1e-7
run 0 embed -m "$model" -f texts -o e.jsonl
cmp -s e.jsonl three || wrong "other lines in a file"
fails "no/such/e.npy" embed -m "$model" -p x -o no/such/e.npy
printf '"good"\n"bad\n' > bad.jsonl
echo old > kept.npy
fails "line 2: " embed -m "$model" --jsonl -f bad.jsonl -o kept.npy
[ "$(cat kept.npy)" = old ] || wrong "an existing file is gone"
ls | grep -q '\.tmp$' && wrong "a temporary file is left"

begin "a tokenizer with a begin token"
mkdir -p begins
cp "$model"/config.json "$model"/*.safetensors begins/
single='[{"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}, '
single=$single'{"Sequence": {"id": "A", "type_id": 0}}]'
tokens='{"<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}}'
template='{"type": "TemplateProcessing", "single": '$single', "pair": [], '
template=$template'"special_tokens": '$tokens'}'
sed "s/\"post_processor\": null/\"post_processor\": $template/" "$model/tokenizer.json" \
    > begins/tokenizer.json
if ! cmp -s "$model/tokenizer.json" begins/tokenizer.json; then
    run 0 embed -m begins -p "The king."
    cp out expected
    run 0 embed -m begins --no-bos -p "<|endoftext|>The king."
    out_same expected
    run 0 embed -m begins --no-bos -p "The king."
    vectors > a
    sed -n 2p three | vectors - > b
    cmp -s a b || wrong "--no-bos"
    run 0 embed -m begins --no-bos --no-special -p "<|endoftext|>The king."
    cmp -s out expected && wrong "--no-special"
fi

begin "embed: wrong use"
wrong_use "either -p or -f" embed -p x -f texts
wrong_use "--jsonl" embed -p x --jsonl
wrong_use "--pooling" embed -p x --pooling cls
wrong_use "--embd-normalize" embed -p x --embd-normalize 33
fails "no-such" embed -m "$model" -f no-such
printf 'ab\200\n' > in
fails "UTF-8" embed -m "$model"
: > in
