# cases_chat.sh - conversations as prompts.

printf '%s' '{%- for m in messages -%}<{{ m.role }}>{{ m.content|trim }}{{ "\n" }}{%- endfor -%}
{%- if tools %}{{ tools|tojson }}{% endif %}{% if add_generation_prompt %}<assistant>{{ bos_token }}{% endif %}{{ x }}' > chat.jinja
printf '%s' '[{"role": "user", "content": " naïve "}]' > messages.json
printf '%s' '[{"name": "f"}]' > tools.json

begin "a template of its own"
run 0 chat --messages messages.json --chat-template chat.jinja --render
printf '<user>naïve\n<assistant>' > expected
out_same expected
run 0 chat --messages messages.json --chat-template chat.jinja --render --no-generation-prompt --tools tools.json
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
echo '{}' > bad.json
fails "messages" chat --messages bad.json --chat-template chat.jinja --render
echo '[' > bad.json
fails "messages: not JSON at byte 2" chat --messages bad.json --chat-template chat.jinja --render
printf '{%% if %%}' > bad.jinja
fails "template:1:7: expected an expression" chat --messages messages.json --chat-template bad.jinja --render
wrong_use "--messages" chat --render
wrong_use "not both" chat --messages messages.json --chat-template a --chat-template-name b --render
