# cases_tokenize.sh - ids and text.

text="Once upon a time, the naïve fox said: “Hello, wörld!”  12345"

begin "ids and back"
run 0 tokenize -m "$model" --no-bos --ids -p "$text"
[ "$(wc -l < out)" -eq 1 ] || wrong "not one line"
ids=$(cat out)
run 0 tokenize -m "$model" --decode -p "$ids"
out_is "$text"

begin "as JSON"
run 0 tokenize -m "$model" --no-bos --json -p "$text"
out_is "[ $(echo "$ids" | sed 's/ /, /g') ]"
cp out in
run 0 tokenize -m "$model" --decode
out_is "$text"
run 0 tokenize -m "$model" --decode --json
out_is "\"$text\""
: > in

begin "pieces"
run 0 tokenize -m "$model" --no-bos -p "$text"
[ "$(wc -l < out)" -eq "$(count $ids)" ] || wrong "not a line an id"

begin "from a file, byte for byte"
printf '%s\n' "$text" > in
run 0 tokenize -m "$model" --no-bos --ids
cp out expected
run 0 tokenize -m "$model" --no-bos --ids -f in
out_same expected
[ "$(cat out)" != "$ids" ] || wrong "the newline is lost"
: > in

begin "nothing"
run 0 tokenize -m "$model" --no-bos --json -p ""
out_is "[ ]"
run 0 tokenize -m "$model" --decode -p ""
out_empty

begin "JSON lines"
printf '"%s"\n"a\\nb"\n""\n' "$text" > lines
run 0 tokenize -m "$model" --no-bos --jsonl -f lines
[ "$(wc -l < out)" -eq 3 ] || wrong "not 3 lines"
[ "$(head -1 out)" = "[ $(echo "$ids" | sed 's/ /, /g') ]" ] || wrong "line 1"
[ "$(tail -1 out)" = "[ ]" ] || wrong "line 3"

printf ' "\\u00e9\\ud83d\\ude00\\/\\"\\\\\\b\\f\\r\\t" \r\n"\\ud83dx\\ude00"' > lines
run 0 tokenize -m "$model" --no-bos --jsonl -f lines
cp out expected
printf '\303\251\360\237\230\200/"\\\b\f\r\t' > text
run 0 tokenize -m "$model" --no-bos --json -f text
[ "$(head -1 expected)" = "$(cat out)" ] || wrong "escapes"
printf '\357\277\275x\357\277\275' > text
run 0 tokenize -m "$model" --no-bos --json -f text
[ "$(tail -1 expected)" = "$(cat out)" ] || wrong "halves of pairs"

begin "JSON lines that are none"
for line in '"a' '"a\\' '"\\x"' '"\\u12g4"' '"\\u12"' '' '"a""b"' '"\377"' 'null'; do
    printf "\"good\"\n$line\n" > lines
    fails "line 2: " tokenize -m "$model" --jsonl -f lines
done
printf '"a"\nb\n' > lines
fails "line 2" tokenize -m "$model" --jsonl -f lines
printf '"a"\n"b" 3\n' > lines
fails "line 2" tokenize -m "$model" --jsonl -f lines
printf '12\n' > lines
fails "expected a JSON string" tokenize -m "$model" --jsonl -f lines

begin "special tokens"
run 0 info -m "$model" --json
end=$(json_list eos)
end=${end%%,*}
run 0 tokenize -m "$model" --decode -p "$end"
special=$(cat out)
[ -n "$special" ] || wrong "no name"
run 0 tokenize -m "$model" --no-bos --ids -p "$special"
out_is "$end"
run 0 tokenize -m "$model" --no-bos --no-special --ids -p "$special"
[ "$(cat out)" != "$end" ] || wrong "--no-special"
run 0 tokenize -m "$model" --decode --skip-special -p "$end"
out_empty

begin "a directory with a tokenizer alone"
mkdir -p tokenizer
cp "$model/tokenizer.json" tokenizer/
run 0 tokenize -m tokenizer --no-bos --ids -p "$text"
out_is "$ids"

begin "ids that are none"
fails "expected an id" tokenize -m "$model" --decode -p "1 2 -3"
fails "expected an id" tokenize -m "$model" --decode -p "100000000"
fails "expected an id" tokenize -m "$model" --decode -p "99999999999999999999"

begin "not UTF-8"
printf 'ab\200' > in
fails "2" tokenize -m "$model"
: > in

begin "no tokenizer"
mkdir -p empty
fails "tokenizer.json" tokenize -m empty -p x
