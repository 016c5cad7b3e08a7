#!/bin/sh
# terminal.sh - bamba chat on a terminal: Ctrl-C stops an answer, Ctrl-D ends, thoughts are dimmed.
#
#     terminal.sh PATH_TO_BAMBA PATH_TO_MODEL
#
# script(1) makes the terminal. What is typed waits for what must be shown before it, for as long as
# that takes: GUARD seconds only end a program that hangs.
set -u

GUARD=300
bamba=$1
model=$2
command -v script > /dev/null || { echo "SKIPPED: script(1) is not installed"; exit 77; }
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 2
unset BAMBA_MODEL BAMBA_CPU NO_COLOR
export TERM=xterm HOME="$work"
bad=0

mkdir talker
for file in "$model"/*; do ln -s "$file" talker/; done
printf '%s' '{%- for m in messages -%}{{ m.role }}:{{ m.content }}{{ "\n" }}{%- endfor -%}' \
    'assistant:<think>' > talker/chat_template.jinja
mkfifo keys

fail() {
    echo "FAILED  $1"
    sed 's/^/        /' shown | tail -20
    bad=1
}

# An answer that never ends by itself. The shell of script(1) would die of a Ctrl-C that bamba
# survives.
begin() {
    : > shown
    (timeout $GUARD script -qefc "exec $bamba chat -m talker -c 1000000 -n -1 --ignore-eos -s 3" \
         shown < keys > /dev/null 2>&1
     echo $? > code) &
    exec 3> keys
}

keys() { printf "$1" >&3; }

await() {                                 # await COUNT TEXT: as many lines of `shown` hold it
    for _ in $(seq $((GUARD * 10))); do
        [ "$(grep -c -e "$2" shown)" -ge "$1" ] && return 0
        [ -s code ] && break
        sleep 0.1
    done
    fail "'$2' was not shown"
    return 1
}

await_bytes() {                           # more than $1 of `shown`
    for _ in $(seq $((GUARD * 10))); do
        [ "$(wc -c < shown)" -gt "$1" ] && return 0
        [ -s code ] && break
        sleep 0.1
    done
    fail "nothing more was shown"
}

end() {
    exec 3>&-
    wait
    [ "$(cat code)" = "$1" ] || fail "exit code $(cat code), not $1"
    rm -f code
}

# Ctrl-C stops an answer, and what was written is part of the conversation.
begin
await 1 "/help shows the commands"
keys 'Once upon a time\r'
await_bytes 2000
keys '\003'
keys '/stats\r'
await 1 "end: interrupt"
grep -q "conversation: 2 messages" shown || fail "the stopped answer is not kept"
grep -q "$(printf '\033\\[2m')" shown || fail "the thought is not dimmed"
# It also throws a line away, and the next turn is answered as well.
keys 'never sent\003'
keys 'And then\r'
await_bytes $(($(wc -c < shown) + 2000))
keys '\003'
keys '/save talk.json\r/stats\r'
await 2 "end: interrupt"
keys '\004'
end 0
grep -q '"content": "And then"' talk.json || fail "the second turn"
! grep -q "never sent" talk.json || fail "a line that was thrown away is a turn"

# Lines come back from the history; nothing is dimmed with NO_COLOR.
export NO_COLOR=1
begin
await 1 "/help shows the commands"
keys '/reset\r'
keys '/multi\r'
await 1 "a line with /end alone"
keys '\003'
keys '/stats\r'
await 1 "conversation: 0 messages"
keys '\020\r'
await 2 "conversation: 0 messages"
keys 'Once\r'
await_bytes 2000
keys '\003'
# A character that is cut short does not take the key behind it along.
keys '/reset\rcut \342\202\r'
await_bytes $(($(wc -c < shown) + 500))
keys '\003'
keys '/save cut.json\r/stats\r'
await 1 "conversation: 2 messages"
keys '\004'
end 0
grep -q "\"content\": \"cut $(printf '\357\277\275')\"" cut.json || fail "a character cut short"
! grep -q "$(printf '\033\\[2m')" shown || fail "colour in spite of NO_COLOR"

# /regen that gives no answer leaves the former one: stopped while a long turn is read, or refused
# by the template.
printf '%s' '{%- if messages[-1].content == "refused" -%}{{ raise_exception("refused") }}' \
    '{%- endif -%}' >> talker/chat_template.jinja
{
    printf '[{"role": "user", "content": "'
    yes 'Once upon a time there was a king.' | head -n 30000 | tr '\n' ' '
    printf '"}, {"role": "assistant", "content": "former"}]'
} > long.json
printf '%s' '[{"role": "user", "content": "refused"}, {"role": "assistant", "content": "former"}]' \
    > refused.json
begin
await 1 "/help shows the commands"
keys '/load long.json\r'
await 1 "2 messages"
keys '/regen\r'
await 1 "prompt .*[1-9]%"
keys '\003'
await 1 "stopped before a new answer: the former one stays"
keys '/save regen.json\r/load refused.json\r/regen\r'
keys '/save kept.json\r/stats\r'
await 1 "conversation: 2 messages"
keys '\004'
end 0
grep -q '"content": "former"' regen.json || fail "/regen that was stopped lost the answer"
grep -q '"content": "former"' kept.json || fail "/regen that was refused lost the answer"

[ $bad -eq 0 ] && echo "ok      a dialogue on a terminal"
exit $bad
