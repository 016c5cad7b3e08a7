# cases_main.sh - the program itself, and --help of each command.

begin "no command"
run 2
out_empty
err_has "usage: bamba COMMAND"

begin "--help"
run 0 --help
out_has "usage: bamba COMMAND"
for command in generate info tokenize perplexity compare logits embed score; do
    out_has "  $command "
done

begin "--version"
run 0 --version
[ "$(grep -cE '^bamba [0-9]+\.[0-9]+\.[0-9]+$' out)" -eq 1 ] || wrong "no version"

begin "help and version everywhere"
run 0 help
out_has "usage: bamba COMMAND"
run 0 help info
cp out expected
run 0 info --help
out_same expected
for command in generate info tokenize perplexity compare logits embed score bench models help; do
    run 0 $command --version
    [ "$(grep -cE '^bamba [0-9]+\.[0-9]+\.[0-9]+$' out)" -eq 1 ] || wrong "no version: $command"
done

begin "unknown command"
wrong_use "did you mean tokenize?" tokenise
wrong_use "unknown command 'frobnicate'" help frobnicate
wrong_use "unknown command 'frobnicate'" frobnicate

for command in generate info tokenize perplexity compare logits embed score bench models help; do
    begin "$command --help"
    run 0 $command --help
    out_has "usage: bamba $command"
    out_has "--help"
    [ ! -s err ] || wrong "stderr is not empty"
    [ "$(awk 'length > 80' out | wc -l)" -eq 0 ] || wrong "lines over 80 columns"
    run 0 $command -h
done

begin "full device"
if [ -w /dev/full ]; then
    "$bamba" --help > /dev/full 2> err
    code=$?
    [ $code -eq 1 ] || wrong "exit code $code"
    err_has "cannot write"
fi

begin "the embedded model beside the program"
for tree in prefix/bin:prefix/share/bamba/models source/build:source/models \
            deep/build/release:deep/models; do
    mkdir -p "${tree%:*}" "${tree#*:}"
    cp "$bamba" "${tree%:*}/bamba"
    ln -s "$model" "${tree#*:}/fable"
    "${tree%:*}/bamba" info > out 2> err || wrong "not found from ${tree%:*}"
    out_has architecture
done
mkdir -p alone/very/deep
cp "$bamba" alone/very/deep/bamba
alone/very/deep/bamba info > out 2> err && wrong "found from nowhere"
err_has "no model"
rm -rf prefix source deep alone
