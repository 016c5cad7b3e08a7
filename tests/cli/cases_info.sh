# cases_info.sh - what a model is.

begin "info"
run 0 info -m "$model"
for word in architecture parameters vocabulary "state at 0" "state at 4096" "state at 65536"; do
    out_has "$word"
done

begin "info --json"
run 0 info -m "$model" --json
for key in architecture n_params n_layers d_model n_vocab n_context weights_bytes mapped_bytes \
           resident_bytes state_bytes plan eos; do out_has "\"$key\": "; done
n_params=$(json_number n_params)
[ "$n_params" -gt 1000 ] || wrong "n_params"

begin "info --config needs no weights"
mkdir -p bare
cp "$model/config.json" bare/
run 0 info --config bare/config.json --json
[ "$(json_number n_params)" = "$n_params" ] || wrong "n_params differs"
fails "bare" info -m bare

begin "damaged files"
echo '{' > bare/config.json
fails "config.json" info --config bare/config.json
fails "no-such.json" info --config no-such.json

begin "types change what is resident"
run 0 info -m "$model" --type f32 --json
out_has '"weight_type": "f32"'
[ "$(json_number n_params)" = "$n_params" ] || wrong "n_params differs"
run 0 info -m "$model" --kv-type bf16 --json
out_has '"kv_type": "bf16"'
out_has '"state_type": "f32"'
whole=$(json_number 0)
run 0 info -m "$model" --kv-type q8 --state-type q8 --json
out_has '"kv_type": "q8"'
out_has '"state_type": "q8"'
[ "$(json_number 0)" -lt $((whole / 2)) ] || wrong "states are no smaller"
wrong_use "--state-type: expected one of f32, bf16, q8" info -m "$model" --state-type f16

begin "types by the names of tensors"
run 0 info -m "$model" --type f32 --type-of '.*=q8' --json
out_has '"weight_type": "q8"'
run 0 info -m "$model" --type-of '.*=q8' --type-of 'in_proj=q4' --type-of 'embed=bf16'
out_has "weights"
wrong_use "--type-of: expected REGEX=TYPE" info -m "$model" --type-of out_proj=q5
wrong_use "--type-of: expected REGEX=TYPE" info -m "$model" --type-of out_proj
fails "type rule 'zzz': expected a match" info -m "$model" --type-of zzz=q8
fails "type rule 'zzz': expected a match" logits -m "$model" -p a --type-of zzz=q8
fails "type rule 'out_proj['" info -m "$model" --type-of 'out_proj[=q4'
