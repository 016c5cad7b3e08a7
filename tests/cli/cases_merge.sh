# cases_merge.sh - bamba merge: what it is asked, and what it refuses.

begin "merge without a word"
wrong_use "-o DIR" merge -m "$model" --adapter x
wrong_use "--adapter DIR is needed" merge -m "$model" -o new
[ ! -e new ] || wrong "made a directory"

begin "merge what is not there"
fails "nowhere" merge -m "$model" --adapter nowhere -o new
[ -z "$(ls -d new* 2> /dev/null)" ] || wrong "leaves $(ls -d new*)"

begin "merge what is replaced"
# An adapter that saves the last norm as numbers 0: 8 bytes of length, the header, the numbers.
n=$(sed -n 's/.*"hidden_size": *\([0-9]*\).*/\1/p' "$model/config.json")
norm=final_layernorm
header="{\"base_model.model.model.$norm.weight\":{\"dtype\":\"F32\",\"shape\":[$n],\
\"data_offsets\":[0,$((4 * n))]}}"
mkdir saved
{
    printf "\\$(printf %o ${#header})\\0\\0\\0\\0\\0\\0\\0%s" "$header"
    head -c $((4 * n)) /dev/zero
} > saved/adapter_model.safetensors
printf '%s' '{"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":["in_proj"],' \
    '"modules_to_save":["'$norm'"]}' \
    > saved/adapter_config.json
fails "bamba merge" generate -m "$model" --adapter saved -p "Once" -n 1
run 0 merge -m "$model" --adapter saved -o merged
out_empty
cmp -s "$model/tokenizer.json" merged/tokenizer.json || wrong "another tokenizer"
run 0 logits -m merged -p "Once upon"
cp out expected
run 0 logits -m "$model" -p "Once upon"
cmp -s out expected && wrong "the norm is not replaced"
rm -r saved merged

begin "merge by a name that nothing has"
mkdir saved && echo '{}' > saved/adapter_config.json
fails "type rule 'zzz': expected a match" merge -m "$model" --adapter saved -o new --type-of zzz=q8
[ -z "$(ls -d new* 2> /dev/null)" ] || wrong "leaves $(ls -d new*)"
rm -r saved

begin "merge into a quantized model"
run 0 quantize -m "$model" -o q8 --type q8
mkdir saved && echo '{}' > saved/adapter_config.json
fails "a quantized model" merge -m q8 --adapter saved -o new
rm -r q8 saved
