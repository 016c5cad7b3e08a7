# cases_chat.sh - conversations as prompts.

printf '%s' '{%- for m in messages -%}<{{ m.role }}>{{ m.content|trim }}{{ "\n" }}{%- endfor -%}
{%- if tools %}{{ tools|tojson }}{% endif %}' \
    '{% if add_generation_prompt %}<assistant>{{ bos_token }}{% endif %}{{ x }}' > chat.jinja
printf '%s' '[{"role": "user", "content": " naïve "}]' > messages.json
printf '%s' '[{"name": "f"}]' > tools.json

begin "a template of its own"
run 0 chat --messages messages.json --chat-template chat.jinja --render
printf '<user>naïve\n<assistant>' > expected
out_same expected
run 0 chat --messages messages.json --chat-template chat.jinja --render --no-generation-prompt \
    --tools tools.json
printf '<user>naïve\n[{"name": "f"}]' > expected
out_same expected
cp messages.json in
run 0 chat --messages - --chat-template chat.jinja --render --chat-template-kwargs '{"x": 1.50}'
printf '<user>naïve\n<assistant>1.5' > expected
out_same expected
: > in

begin "a directory's template"
mkdir -p chatty
cp chat.jinja chatty/chat_template.jinja
echo '{"bos_token": "<s>", "chat_template": "not this"}' > chatty/tokenizer_config.json
run 0 chat -m chatty --messages messages.json --render
printf '<user>naïve\n<assistant><s>' > expected
out_same expected
rm chatty/chat_template.jinja
run 0 chat -m chatty --messages messages.json --render
out_is "not this"

begin "conversations that are none"
fails "expected a chat template" chat -m "$model" --messages messages.json --render
fails "No such file" chat --messages nowhere.json --chat-template chat.jinja --render
fails "expected at most" chat --messages /dev/zero --chat-template chat.jinja --render
echo '[{"name": "f"}, 3]' > bad.json
fails "bad.json: tools: expected an object as number 2" \
    chat --messages messages.json --tools bad.json \
    --chat-template chat.jinja --render
echo '{}' > bad.json
fails "messages" chat --messages bad.json --chat-template chat.jinja --render
echo '[' > bad.json
fails "bad.json: messages: not JSON at byte 2" \
    chat --messages bad.json --chat-template chat.jinja --render
printf '{%% if %%}' > bad.jinja
fails "bad.jinja:1:7: expected an expression" \
    chat --messages messages.json --chat-template bad.jinja --render
wrong_use "--messages" chat --render
wrong_use "not both" chat --messages messages.json --chat-template a --chat-template-name b --render

# ---- dialogues: the model with a template that has end tokens ----

mkdir -p talker
for file in "$model"/*; do ln -sf "$file" talker/; done
rm -f talker/chat_template.jinja
printf '%s' '{%- for m in messages -%}{{ m.role }}:{{ " " if m.role != "assistant" }}' \
    '{{ m.content }}{{ eos_token if m.role == "assistant" }}{{ "\n" }}{%- endfor -%}
{%- if add_generation_prompt -%}assistant:{%- endif -%}' > talker/chat_template.jinja

talk() {                                  # talk LINE...: turns and commands; options in $options
    printf '%s\n' "$@" > in
    run 0 chat -m talker -n 12 -s 3 -q $options
    : > in
}
talk_wrongly() {                          # the same where one of the commands fails
    printf '%s\n' "$@" > in
    run 1 chat -m talker -n 12 -s 3 -q $options
    : > in
}
options=
line() { sed -n "$1p" out; }
# Of the N-th report of /stats: tokens taken back, read, before the answer, and of the answer.
stat() {
    number='\([0-9]*\)'
    sed -n "s/^last turn: $number tokens taken back, $number read of $number .*answer: $number \
tokens.*/\1 \2 \3 \4/p" err |
        sed -n "$1p"
}

begin "only what is new is read"
talk "Once upon a time" "/stats" "What then?" "/stats" "Who?" "/stats"
set -- $(stat 1) $(stat 2) $(stat 3)
[ $# -eq 12 ] || wrong "three reports"
[ "$1 $5 $9" = "0 0 0" ] || wrong "tokens were taken back"
[ "$2" -eq "$3" ] || wrong "the first turn was read in part"
[ $(($3 + $4 + $6)) -eq "$7" ] && [ $(($7 + $8 + ${10})) -eq ${11} ] || wrong "read: $*"

begin "regen with a seed gives the same"
talk "Once upon a time" "What then?" "/set n=12" "/regen" "/stats" "/save regen.json"
cp out answers
set -- $(stat 1)
[ "$2" -eq 0 ] || wrong "the prompt was read again"
talk "Once upon a time" "What then?" "/save never.json"
head -c "$(wc -c < out)" answers | cmp -s - out || wrong "the first answers differ"
cmp -s regen.json never.json || wrong "the answer differs"

begin "regen without a seed is another draw"
printf '%s\n' "Once upon a time" "/save one.json" "/regen" "/save two.json" > in
run 0 chat -m talker -n 40 -q --temp 1.5
: > in
! cmp -s one.json two.json || wrong "the same answer"

begin "undo, then ask: as if never asked"
talk "Once upon a time" "Who is there?" "/undo" "What then?" "/stats" "/save undone.json"
set -- $(stat 1)
[ "$1" -gt 0 ] || wrong "nothing was taken back"
[ "$2" -lt "$3" ] || wrong "all was read again"
cmp -s undone.json never.json || wrong "the answer differs"
talk_wrongly "Once upon a time" "/undo" "/undo" "/regen" \
    "Once upon a time" "What then?" "/save undone.json"
err_has "/undo: there is no turn"
err_has "/regen: there is no answer"
cmp -s undone.json never.json || wrong "the answer differs after two"

begin "save, load"
talk "/load never.json" "/save again.json" "Who?" "/save more.json"
cmp -s again.json never.json || wrong "the file differs"
talk "Once upon a time" "What then?" "Who?" "/save whole.json"
[ "$(wc -l < whole.json)" -eq 8 ] && [ "$(wc -l < more.json)" -eq 8 ] || wrong "six messages"
head -n 5 whole.json > head.json
head -n 5 more.json | cmp -s - head.json || wrong "what was loaded"
printf '%s' ' [ {"content":"a \" ] b", "x": [1, {"role": 2}], "role" : "user" },' \
    '{"role":"tool","content":"t"} , {"role":"assistant","content":"c"} ] ' > odd.json
talk "/load odd.json" "/save odd2.json" "/undo" "/save odd3.json"
printf '%s\n' '[' ' {"content":"a \" ] b", "x": [1, {"role": 2}], "role" : "user" },' \
    ' {"role":"tool","content":"t"},' ' {"role":"assistant","content":"c"}' ']' > expected
cmp -s odd2.json expected || wrong "messages are not kept to the byte"
printf '[\n]\n' | cmp -s - odd3.json || wrong "/undo of a loaded turn"
talk_wrongly "Once upon a time" "/load nowhere.json" "/load odd" \
    "/save kept.json" "/save no/such/folder"
err_has "nowhere.json: cannot be read"
err_has "no/such/folder"
talk_wrongly "/load /dev/zero" "/save empty.json"
err_has "expected at most"
printf '[\n]\n' | cmp -s - empty.json || wrong "a file without end was loaded"
echo '[{"role": "user"' > broken.json
talk_wrongly "Once upon a time" "/load broken.json" "/save still.json"
err_has "not JSON"
cmp -s kept.json still.json || wrong "a broken file changed the conversation"

begin "save, load with what was read"
talk "Once upon a time" "What then?" "/save kept.safetensors" "Who?" "/save whole.json"
tail -n +3 out > later
talk "/load kept.safetensors" "Who?" "/stats" "/save resumed.json" "/regen" "/save regen.json"
cmp -s resumed.json whole.json || wrong "the conversation differs"
cmp -s regen.json whole.json || wrong "answered again, it differs"
set -- $(stat 1)
[ "$1" -eq 0 ] || wrong "tokens were taken back"
[ "$2" -lt "$3" ] || wrong "all was read again"
talk "Once upon a time" "/save empty-turn.safetensors" "/undo" "/save undone.safetensors" "What?" \
    "/save a.json"
talk "/load undone.safetensors" "What?" "/save b.json"
cmp -s a.json b.json || wrong "after /undo it differs"
talk_wrongly "/load nowhere.safetensors" "/load resumed.json" "/save c.json"
err_has "nowhere.safetensors"
cmp -s c.json whole.json || wrong "a file that cannot be opened changed the conversation"
run 0 generate -m "$model" -p "Once upon" -n 4 --save generated.safetensors
talk_wrongly "/load generated.safetensors" "/save d.json"
err_has "was not saved by 'bamba chat'"
printf '[\n]\n' | cmp -s - d.json || wrong "what was not loaded is there"
fails "was not saved by 'bamba generate'" generate -m "$model" --session kept.safetensors

begin "reset, set, help, multi, unknown commands"
talk "Once upon a time" "/reset" "/save empty.json" "Once upon a time" "/save after-reset.json"
printf '[\n]\n' | cmp -s - empty.json || wrong "/reset leaves messages"
talk "Once upon a time" "/save first.json"
cmp -s after-reset.json first.json || wrong "after /reset the answer differs"
talk "/set temp=0.25" "/set top_k=7" "/set n=3" "Once upon a time" "/stats"
set -- $(stat 1)
[ "$4" -le 3 ] || wrong "/set n"
talk_wrongly "/set temp" "/set colour=1" "/set temp=x" "/set top-p=3" "/set n=-5" "/nothing" \
    "/undo now"     "/save" "/help"
for told in "expected NAME=VALUE" "found 'colour=1'" "found 'temp=x'" "top_p: expected 0 ... 1" \
    "/set n: expected" "unknown command '/nothing'" "/undo takes no value" "/save FILE" "/multi"; do
    err_has "$told"
done
out_empty
talk "/multi" "/undo" "" "b" "/end" "/save lines.json" "/reset" 'a\' '/c' "/save lines2.json" \
    "/reset" "//x" "/save lines3.json" ""
grep -qF '"content": "/undo\n\nb"' lines.json || wrong "/multi: $(cat lines.json)"
grep -qF '"content": "a\n/c"' lines2.json || wrong "a backslash: $(cat lines2.json)"
grep -qF '"content": "/x"' lines3.json || wrong "two slashes: $(cat lines3.json)"
printf 'no newline' > in
run 0 chat -m talker -n 3 -q
[ -s out ] || wrong "a last line without a newline is no turn"
: > in

begin "values of /set are those of the options"
talk_wrongly "/set dry_base=0.5" "/set top_k=-5" "/set seed=-2"
for told in dry_base=0.5 top_k=-5 seed=-2; do err_has "found '$told'"; done
printf '%s\n' "/set typical-p=0.5" "/set top_nsigma=2" "/set temp=0.5  " "/stats" > in
run 0 chat -m talker
for told in "typical = 0.500" "top_n_sigma = 2.000" "temp = 0.500"; do err_has "$told"; done
printf '%s\n' "/set seed=5" "Once upon a time" "/save one.json" "/regen" "/save two.json  " \
    "/set seed=-1" "/regen" "/save three.json" > in
run 0 chat -m talker -n 40 -q --temp 1.5
cmp -s one.json two.json || wrong "a seed that was set gives another answer"
! cmp -s one.json three.json || wrong "seed -1 gives the same answer"
printf '%s\n' "Once upon a time" "/save one.json" "/stats" > in
run 0 chat -m talker -n 40 --temp 1.5
seed=$(sed -n 's/.*seed = \([0-9]*\),.*/\1/p' err)
printf '%s\n' "/set seed=$seed" "Once upon a time" "/save two.json" > in
run 0 chat -m talker -n 40 -q --temp 1.5
cmp -s one.json two.json || wrong "the seed that /stats shows gives another answer"
printf '%s\n' "Once upon a time" "/stats" "/set seed=$seed" "/regen" "/save two.json" > in
run 0 chat -m talker -n 40 -q --temp 1.5 -s "$seed"
cmp -s one.json two.json || wrong "the seed set again gives another answer"
: > in

begin "a conversation that has not begun is saved and loaded"
talk "/save begun.json" "Hi" "/load begun.json" "/stats"
err_has "0 messages"

begin "standard input is read once"
wrong_use "can come from standard input" chat --messages - --tools - --chat-template chat.jinja \
    --render
wrong_use "can come from standard input" chat -m talker --tools -
wrong_use "can come from standard input" chat -m talker --chat-template -

begin "errors name the file that they are in"
for list in '[]' '{"a": 1}' '[1]'; do
    printf '%s' "$list" > bad.json
    fails "bad.json: messages: expected " chat --messages bad.json --chat-template chat.jinja \
        --render
done
fails "--chat-template-kwargs: " chat --messages messages.json --chat-template chat.jinja --render \
    --chat-template-kwargs '{'
talk_wrongly "/load bad.json"
err_has "bad.json: messages: expected "

begin "a file keeps its permissions, a link leads to it"
for file in kept.json kept.safetensors; do
    : > target
    chmod 600 target
    ln -sf target "$file"
    talk "Once upon a time" "/save $file"
    [ -L "$file" ] || wrong "$file: no link any more"
    [ -s target ] || wrong "$file: nothing was written"
    [ "$(ls -l target | cut -c 1-10)" = -rw------- ] || wrong "$file: other permissions"
    rm "$file"
done
talk_wrongly "Once upon a time" "/save ."
mkfifo pipe.safetensors
talk_wrongly "Once upon a time" "/save pipe.safetensors"
err_has "pipe.safetensors: expected a file or a new name"

begin "system messages"
talk "/save none.json" "/reset"
printf '[\n]\n' | cmp -s - none.json || wrong "a message without -sys"
options="-sys brief\\n"
talk "hi" "/reset" "/save system.json"
printf '[\n {"role": "system", "content": "brief\\n"}\n]\n' | cmp -s - system.json ||
    wrong "-sys: $(cat system.json)"
options=--no-system
talk "/save system.json"
printf '[\n {"role": "system", "content": ""}\n]\n' | cmp -s - system.json ||
    wrong "--no-system: $(cat system.json)"
options=
wrong_use "not both" chat -m talker --no-system -sys x
wrong_use "expected --messages" chat -m talker --no-generation-prompt

begin "a template that writes earlier turns anew"
mkdir -p forgetful
for file in talker/*; do ln -sf "../$file" forgetful/; done
rm forgetful/chat_template.jinja
printf '%s' '{%- for m in messages -%}{{ m.role }}: ' \
    '{{ m.content if m.role == "user" else "..." }}{{ "\n" }}{%- endfor -%}assistant:' \
    > forgetful/chat_template.jinja
printf '%s\n' a b c /stats > in
run 0 chat -m forgetful -n 12 -s 3
[ "$(grep -c 'does not go on with the text' err)" -eq 1 ] ||
    wrong "said $(grep -c 'does not go on' err) times"
set -- $(stat 1)
[ "$1" -gt 0 ] && [ "$2" -lt "$3" ] || wrong "read again: $*"
: > in

begin "a loaded conversation goes on where one goes on that was not saved"
# Templates that write the last answer otherwise than it was read: from the second word on, trimmed
# and cut at its end, not at all, and as it was.
long=$(yes "and the wolf went round the wood" | head -n 60 | tr '\n' ' ')
mkdir -p teller
for file in talker/*; do ln -sf "../$file" teller/; done
for written in '"So " ~ m.content.split(" ", 1)[1]' 'm.content.strip()[:-3]' '"..."' m.content; do
    rm teller/chat_template.jinja
    printf '%s' '{%- for m in messages -%}{{ m.role }}:' \
        "{{ ' ' ~ m.content if m.role == 'user' else $written }}" '{{ "\n" }}{%- endfor -%}' \
        '{%- if add_generation_prompt -%}assistant:{%- endif -%}' > teller/chat_template.jinja
    tell() { printf '%s\n' "$@" > in; run 0 chat -m teller -n 12 -s 3 -q; : > in; }
    tell "$long" "Who?" "/stats" "Why?" "/stats" "/save whole.json"
    set -- $(stat 1) $(stat 2)
    tell "$long" "/save told.safetensors" "Who?" "/stats" "/save more.json"
    set -- "$@" $(stat 1)
    tell "/load told.safetensors" "Who?" "/stats" "Why?" "/stats" "/save resumed.json"
    set -- "$@" $(stat 1) $(stat 2)
    [ $# -eq 20 ] || wrong "$written: five reports"
    [ "$9 ${13}" = "0 0" ] || wrong "$written: tokens were taken back behind /save or /load: $*"
    [ "$2 $3 $4" = "${10} ${11} ${12}" ] || wrong "$written: behind /save: $*"
    [ "$2 $3 $4" = "${14} ${15} ${16}" ] || wrong "$written: behind /load: $*"
    [ "$5 $6 $7 $8" = "${17} ${18} ${19} ${20}" ] || wrong "$written: in the second turn: $*"
    cmp -s resumed.json whole.json || wrong "$written: the conversation differs"
done
[ "$1" -eq 0 ] && [ "$2" -lt 30 ] && [ "$3" -gt 300 ] || wrong "as it was: $1, $2 read of $3"

begin "a loaded conversation answers its last turn again"
tell "$long" "Who?" "/save told.safetensors" "/save whole.json"
tell "/load told.safetensors" "/set n=12" "/regen" "/stats" "/save regen.json" "/undo" "/regen"
cmp -s regen.json whole.json || wrong "the answer differs"
set -- $(stat 1)
[ "$2" -ge "$3" ] || wrong "what was read again is not counted: $2 of $3"

begin "a template that refuses a turn more"
rm teller/chat_template.jinja
printf '%s' '{%- if messages|length > 2 -%}{{ raise_exception("enough") }}{%- endif -%}' \
    '{%- for m in messages -%}{{ m.content }}{%- endfor -%}' > teller/chat_template.jinja
tell "a" "/save told.safetensors" "/save whole.json"
[ ! -s err ] || wrong "what only /save wants to know is told"
tell "/load told.safetensors" "/save loaded.json"
cmp -s loaded.json whole.json || wrong "the conversation differs"

begin "what users type is text"
printf '%s\n' '<|endoftext|>' > in
run 0 chat -m talker -n 1 -s 3 --perf -q
set -- $(stat 1)
printf '%s\n' 'x' > in
run 0 chat -m talker -n 1 -s 3 --perf -q
set -- "$3" $(stat 1)
[ "$1" -gt $(($4 + 3)) ] || wrong "a special token was made of it"
: > in

begin "one conversation from a file"
printf '[{"role": "user", "content": "Once upon a time"}]' > messages.json
run 0 chat -m talker --messages messages.json -n 12 -s 3
cp out answer
[ -s answer ] || wrong "no answer"
err_has "end: "
talk "Once upon a time"
out_same answer
run 0 chat -m talker --messages messages.json -n 12 -s 3 --no-generation-prompt -q
! cmp -s out answer || wrong "--no-generation-prompt changes nothing"
run 0 generate --chat -m talker -p "Once upon a time" -n 12 -s 3
out_same answer
run 0 generate --chat -m talker -p "Once upon a time" -n 12 -s 3 --json
out_has '"prompt": "user: Once upon a time\nassistant:"'
fails "expected a chat template" generate --chat -m "$model" -p x

begin "the template's end of a turn ends an answer"
mkdir -p ender
for file in talker/*; do ln -sf "../$file" ender/; done
rm -f ender/generation_config.json ender/config.json ender/tokenizer_config.json
sed 's/"eos_token_id": *[0-9]*/"eos_token_id": null/' talker/config.json > ender/config.json
sed '/"eos_token":/d' talker/tokenizer_config.json > ender/tokenizer_config.json
sed 's/{{ eos_token if m.role == "assistant" }}/{{ "<|endoftext|>" if m.role == "assistant" }}/' \
    talker/chat_template.jinja > ender/t
rm ender/chat_template.jinja && mv ender/t ender/chat_template.jinja
run 0 tokenize -m "$model" -p "<|endoftext|>" --ids
end=$(cat out)
run 0 generate --chat -m ender -p "Once" -n 12 -s 3 --logit-bias "$end+1000" --json
out_has '"finish": "end"'
run 0 generate -m ender -p "Once" -n 12 -s 3 --logit-bias "$end+1000" --json
out_has '"finish": "length"'

begin "a conversation that is too long"
printf '%s\n' 'Once upon a time there was a wolf and a fox and a bear and a man' 'b' /stats > in
run 1 chat -m talker -c 16 -n 4 -q
err_has "-c N makes it longer"
: > in

begin "a conversation with a window"
talk "Once upon a time" "What then?" "/save whole.json"
cp out whole
options="--window 500"
talk "Once upon a time" "What then?" "/save whole.json"
out_same whole
options="--window 6 --sink 2"
talk "Once upon a time" "What then?" "/save narrow.json"
! cmp -s out whole || wrong "a window of 6 hides nothing"
talk "Once upon a time" "Who?" "/undo" "What then?" "/save undone.json"
cmp -s undone.json narrow.json || wrong "another conversation after /undo"
options=
