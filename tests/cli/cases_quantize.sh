# cases_quantize.sh - bamba quantize: a model that opens at once and says the same.

gen 0 -p "Once upon" -n 20 --type q4
cp out expected

begin "quantize"
run 0 quantize -m "$model" -o q4 --type q4
out_empty
[ ! -s err ] || wrong "says: $(head -c 200 err)"
[ "$(ls -d q4*)" = q4 ] || wrong "leaves $(ls -d q4*)"
cmp -s "$model/tokenizer.json" q4/tokenizer.json || wrong "another tokenizer"
run 0 generate -m q4 --temp 0 -t 1 --repeat-penalty 1 --no-display-prompt -p "Once upon" -n 20
out_same expected
run 0 info -m q4
out_has "weights         q4"

begin "quantize by names, in shards"
run 0 quantize -m "$model" -o mixed --type-of '.*=q8' --type-of 'up_proj=f16' --shard-bytes 1000000
ls mixed/model-00001-of-*.safetensors > /dev/null || wrong "no shards"
gen 0 -p "Once upon" -n 20 --type-of '.*=q8' --type-of 'up_proj=f16'
cp out expected
run 0 generate -m mixed --temp 0 -t 1 --repeat-penalty 1 --no-display-prompt -p "Once upon" -n 20
out_same expected
grep -q '"pattern": "up_proj", "type": "f16"' mixed/config.json ||
    wrong "the rules are not recorded"

begin "quantize by a name that nothing has"
fails "$model: type rule 'zzz': expected a match in the name of a matrix" \
    quantize -m "$model" -o new --type-of '.*=q8' --type-of 'zzz=q8'
[ -z "$(ls -d new* 2> /dev/null)" ] || wrong "leaves $(ls -d new*)"

begin "quantize to what is there"
fails "mixed: expected a new or an empty directory" quantize -m "$model" -o mixed --type q4
fails "expected a new or an empty directory, found a file" \
    quantize -m "$model" -o expected --type q4
fails "nowhere/x: no such file" quantize -m "$model" -o nowhere/x --type q4

begin "quantize without a word"
wrong_use "-o DIR" quantize -m "$model" --type q4
wrong_use "--type or --type-of" quantize -m "$model" -o new
wrong_use "expected one of" quantize -m "$model" -o new --type q3
[ ! -e new ] || wrong "made a directory"

begin "quantize without room"
(ulimit -f 100; "$bamba" quantize -m "$model" -o new --type q4 > out 2> err)
[ $? -eq 1 ] || wrong "exit code $?"
one_line
err_has "no room for"
[ -z "$(ls -d new* 2> /dev/null)" ] || wrong "leaves $(ls -d new*)"

begin "a damaged quantized model"
sed 's/"version": 1/"version": 7/' q4/config.json > changed && mv changed q4/config.json
fails "expected version 1, found 7" info -m q4
rm -r q4 mixed
