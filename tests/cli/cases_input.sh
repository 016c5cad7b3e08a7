# cases_input.sh - where a prompt comes from and what may stand in it.

gen 0 -p "One day a fox" -n 10 --ignore-eos
cp out text

begin "prompt from a file"
echo "One day a fox" > prompt.txt
gen 0 -f prompt.txt -n 10 --ignore-eos
out_same text

begin "prompt from standard input"
printf 'One day a fox' > in
gen 0 -n 10 --ignore-eos
out_same text
gen 0 -f - -n 10 --ignore-eos
out_same text
: > in

begin "one newline at the end is the file's"
printf 'A fox\n\n' > prompt.txt
run 0 generate -m "$model" -f prompt.txt -n 0
printf 'A fox\n' > expected
out_same expected
printf 'A fox\n\r\n' > prompt.txt
run 0 generate -m "$model" -f prompt.txt -n 0
out_same expected

begin "a byte order mark"
printf '\357\273\277A fox\r\n' > marked.txt
run 0 generate -m "$model" -f marked.txt -n 0 -q
out_same expected
err_has "warning: marked.txt: the byte order mark"
printf '\377\376A\0' > in
fails "found UTF-16" generate -m "$model"
: > in

begin "escapes"
run 0 generate -m "$model" -p 'a\nb\tc\\d\x41\q' -n 0
printf 'a\nb\tc\\dA\\q\n' > expected
out_same expected
run 0 generate -m "$model" --no-escape -p 'a\nb' -n 0
out_is 'a\nb'
printf '%s' 'a\nb' > in
run 0 generate -m "$model" -n 0
out_is 'a\nb'
: > in
run 0 tokenize -m "$model" --no-bos --ids -p 'a\tb'
ids=$(cat out)
run 0 tokenize -m "$model" --decode -p "$ids"
out_is "$(printf 'a\tb')"
run 0 logits -m "$model" -p 'x\ny'
cp out expected
run 0 logits -m "$model" --no-escape -p 'x
y'
out_same expected
gen 0 -p "One day a fox" -n 10 --ignore-eos --stop 'no\x20such'
out_same text
space=$(cut -c1-12 text | head -1)        # ends before the first space of the text
case $space in *" "*)
    gen 0 -p "One day a fox" -n 10 --ignore-eos --stop '\x20' --json
    out_has '"finish": "stop"' ;;
esac

begin "no such file"
fails "no-such.txt" generate -m "$model" -f no-such.txt

begin "a directory is no file"
fails "wishes" generate -m "$model" -f wishes

begin "not UTF-8"
printf 'abc\377def' > in
fails "3" generate -m "$model" -n 1
out_empty
printf 'abcde\303' > in
fails "5" generate -m "$model" -n 1
: > in

begin "NUL bytes are text"
printf 'a\0b' > in
gen 0 -n 1 --json
out_has '"prompt": "a\u0000b"'
: > in
