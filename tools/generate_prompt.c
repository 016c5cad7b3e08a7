/* generate_prompt.c - the text to continue, from the options to tokens. */
#include "generate.h"

#include "chat_format.h"
#include "console.h"
#include "messages.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int generate_read_prompt(generate_run *r)
{
    const generate_flags *f = r->flags;
    int code = EXIT_SUCCESS;

    if (f->prompt && f->file) return args_wrong(r->self, "either -p or -f, not both");
    if (f->prompt) {
        code = text_append_flag(&r->prompt, f->prompt, f->escapes);
    } else if (f->session && !f->file) {
        return EXIT_SUCCESS;              /* the session goes on from itself */
    } else if (f->file || !isatty(STDIN_FILENO)) {
        code = text_read_plain(&r->prompt, f->file ? f->file : "-");
        text_chomp(&r->prompt);           /* it belongs to the file, not to the text to continue */
    } else {
        return args_wrong(r->self, "no prompt: -p TEXT, -f FILE, or standard input");
    }
    return code;
}

/* Before the prompt comes the token of the session file that was chosen and not fed. */
static int join_prompt(generate_run *r)
{
    r->joined = malloc((r->n_prompt + 1) * sizeof *r->joined);
    if (!r->joined) return console_fail("out of memory");
    r->joined[0] = r->resume.pending;
    if (r->n_prompt > 0) memcpy(r->joined + 1, r->prompt_ids, r->n_prompt * sizeof *r->joined);
    r->fed = r->joined;
    r->n_prompt++;
    return EXIT_SUCCESS;
}

static int tokenize_text(generate_run *r)
{
    const unsigned how = BAMBA_TOKENIZE_PARSE_SPECIAL
                       | (r->flags->session ? 0 : BAMBA_TOKENIZE_ADD_SPECIAL);
    const int code = setup_tokenize(&r->setup, r->prompt.bytes, r->prompt.n, how,
                                    &r->prompt_ids, &r->n_prompt);

    if (code != EXIT_SUCCESS) return code;
    r->fed = r->prompt_ids;
    if (r->flags->session && r->resume.pending >= 0) return join_prompt(r);
    if (r->flags->session && r->n_prompt == 0)
        return console_fail("%s: was saved before a token was chosen; give a text to go on with -p or "
                            "-f", r->flags->session);
    if (r->n_prompt > 0) return EXIT_SUCCESS;
    if (r->setup.info.bos < 0)
        return console_fail("the prompt is empty, and the model names no begin token; "
                            "give a text with -p or -f");
    r->fed = &r->setup.info.bos;
    r->n_prompt = 1;
    return EXIT_SUCCESS;
}

/* The prompt as a user's turn. */
static int render_prompt(generate_run *r)
{
    chat_format chat = CHAT_FORMAT;
    messages turn = { 0 };
    text_buffer list = { 0 };
    bamba_prompt *p = NULL;

    int code = chat_format_open(&chat, r->self, &(const chat_flags){ .tools = NULL }, &r->setup,
                                &r->flags->setup);
    if (code == EXIT_SUCCESS)
        code = messages_add(&turn, MESSAGE_USER, r->prompt.bytes ? r->prompt.bytes : "",
                            r->prompt.n);
    if (code == EXIT_SUCCESS) code = messages_write(&turn, &list);
    if (code == EXIT_SUCCESS) code = chat_format_render(&chat, list.bytes, list.n, &p);
    if (code == EXIT_SUCCESS)
        code = chat_format_tokenize(&r->setup, p, 0, &r->prompt_ids, &r->n_prompt);
    if (code == EXIT_SUCCESS) {
        r->prompt.n = 0;
        if (!text_append(&r->prompt, p->text, p->n_bytes)) code = EXIT_FAILURE;
        r->out.turn_end = chat_format_turn_end(&chat, &r->setup);
        r->fed = r->prompt_ids;
        if (r->n_prompt == 0) code = console_fail("the template makes an empty prompt");
    }
    bamba_prompt_free(p);
    free(list.bytes);
    messages_free(&turn);
    chat_format_close(&chat);
    return code;
}

int generate_tokenize_prompt(generate_run *r)
{
    return r->flags->chat ? render_prompt(r) : tokenize_text(r);
}
