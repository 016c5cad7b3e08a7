# cases_use.sh - wrong use: one line, exit code 2, nothing on stdout.

begin "a near name";              wrong_use "did you mean --prompt?" generate --promt x
begin "swapped letters";          wrong_use "did you mean --top-k?" generate --tpo-k 1
begin "a near name of all";       wrong_use "did you mean --verbose?" info --verbos
begin "layers on a GPU";          wrong_use "-ngl 99: everything runs on" generate -ngl 99
begin "an adapter";               wrong_use "--lora: adapters are directories" generate --lora x
begin "another adapter"
wrong_use "--control-vector: control vectors" logits --control-vector=x
begin "a dialogue without an end"
wrong_use "-r: the model's end tokens end an answer; bamba generate --stop TEXT" chat -r x
wrong_use "-st: it is a dialogue" chat -st
begin "two cache types";          wrong_use "one type for both" generate -ctk f16 -ctv bf16
begin "a quantized cache";        wrong_use "expected one of f32, bf16, f16, q8, q8_0" \
                                  generate -ctv q4_0
begin "unknown option";           wrong_use "'--frob'" generate --frob
begin "unknown short option";     wrong_use "'-Z'" generate -Z
begin "stray argument";           wrong_use "argument 'hello'" generate hello
begin "missing value";            wrong_use "-n needs a value" generate -p x -n
begin "not an integer";           wrong_use "--top-k: expected an integer" generate --top-k 1.5
begin "not a number";             wrong_use "--temp: expected a number" generate --temp hot
begin "NaN is not a number";      wrong_use "--temp" generate --temp nan
begin "empty number";             wrong_use "--top-k" generate --top-k ""
begin "trailing characters";      wrong_use "'12x'" generate -n 12x
begin "below the range";          wrong_use "--temp" generate --temp -1
begin "above the range";          wrong_use "--top-p" generate --top-p 1.5
begin "beyond 64 bits";           wrong_use "--seed" generate --seed 99999999999999999999
begin "threads out of range";     wrong_use "--threads" info --threads 5000
begin "unknown word";             wrong_use "--type: expected one of" info --type q5
begin "value after =";            wrong_use "--top-p" generate --top-p=2
begin "flag with a value";        wrong_use "takes no value" generate --json=yes
begin "two prompts";              wrong_use "not both" generate -p x -f y
begin "zero byte to stop at";     wrong_use "--stop" generate -p x --stop 'a\0b'
begin "empty stop string";        wrong_use "--stop" generate -p x --stop ""
begin "two sources";              wrong_use "not both" info -m x --config y
begin "perplexity without text";  wrong_use "-f FILE" perplexity
begin "logits without text";      wrong_use "one of -p, -f and --ids" logits
begin "logits with two texts";    wrong_use "one of -p, -f and --ids" logits -p x --ids 1
begin "ids that are none";        wrong_use "--ids" logits --ids 1,x
begin "ids with a gap";           wrong_use "--ids" logits --ids 1,,2
begin "negative id";              wrong_use "--ids" logits --ids -1
begin "decode and jsonl";         wrong_use "not both" tokenize --decode --jsonl
begin "ids and json";             wrong_use "not both" tokenize --ids --json

for bias in 5 +1 x+1 5+ 5+x 99999999999999+1 5*2; do
    begin "logit bias '$bias'"
    wrong_use "--logit-bias" generate -m "$model" -p x --logit-bias "$bias"
done

for scale in =abc = =nan =inf =-infinity =1e40 =1x; do
    begin "an adapter with the scale '$scale'"
    for use in "generate -p x" "bench -r 1 -p 1" "merge -o new" chat embed score \
        "logits -p x" "perplexity -f x"; do
        wrong_use "--adapter: expected DIR or DIR=SCALE with a finite number, found 'x$scale'" \
            $use -m "$model" --adapter "x$scale"
    done
done
begin "an adapter without a name"
wrong_use "--adapter: expected DIR" generate -m "$model" -p x --adapter =2
wrong_use "--adapter: expected DIR" generate -m "$model" -p x --adapter ""

begin "a CPU level that is none, in the environment"
BAMBA_CPU=x86
export BAMBA_CPU
fails "environment BAMBA_CPU: unknown CPU level 'x86'; the best of this processor is '" \
    generate -m "$model" -p x -n 1
unset BAMBA_CPU
