/* fuzz_chat.c - the input is a chat template, a NUL, messages, a NUL, tools, a NUL and
   variables. */
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    bamba_chat_template_options to = BAMBA_CHAT_TEMPLATE_OPTIONS;
    bamba_chat_options          co = BAMBA_CHAT_OPTIONS;
    bamba_chat_template        *t = NULL;
    bamba_prompt               *p = NULL;
    bamba_error                 err;
    input                       in;

    if (!target_begin(&in, data, n, &to.allocator)) return 0;
    const input text = target_part(&in), messages = target_part(&in);
    const input tools = target_part(&in), variables = target_part(&in);
    to.text = (const char *)text.data;
    to.n_text = text.n;
    co.tools = tools.n ? (const char *)tools.data : NULL;
    co.n_tools = tools.n;
    co.variables = variables.n ? (const char *)variables.data : NULL;
    co.n_variables = variables.n;
    co.now = 1772874302;
    co.max_steps = 200000;
    co.max_bytes = 1 << 20;
    bamba_status status = bamba_chat_template_open(&t, NULL, NULL, &to, &err);
    target_check(status, t, &err, true);
    if (t) {
        status = bamba_chat_render(t, (const char *)messages.data, messages.n, &co, &p, &err);
        target_check(status, p, &err, true);
    }
    bamba_prompt_free(p);
    bamba_chat_template_free(t);
    target_end();
    return 0;
}
