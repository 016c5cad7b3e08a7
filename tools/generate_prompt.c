/* generate_prompt.c - the text to continue, from the options to tokens. */
#include "generate.h"

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
        return console_fail("%s: was saved before a token was chosen; give a text to go on "
                            "with -p or -f", r->flags->session);
    if (r->n_prompt > 0) return EXIT_SUCCESS;
    if (r->setup.info.bos < 0)
        return console_fail("the prompt is empty, and the model names no begin token; "
                            "give a text with -p or -f");
    r->fed = &r->setup.info.bos;
    r->n_prompt = 1;
    return EXIT_SUCCESS;
}

int generate_write_turn(const char *text, size_t n, text_buffer *list)
{
    messages turn = { 0 };

    int code = messages_add(&turn, MESSAGE_USER, text ? text : "", n);
    if (code == EXIT_SUCCESS) code = messages_write(&turn, list);
    messages_free(&turn);
    return code;
}

int generate_render(const chat_format *chat, const setup *s, const char *list, size_t n,
                    text_buffer *text, int32_t **ids, size_t *n_ids)
{
    bamba_prompt *p = NULL;

    int code = chat_format_render(chat, NULL, list, n, &p);
    if (code == EXIT_SUCCESS) code = chat_format_tokenize(s, p, 0, ids, n_ids);
    text->n = 0;
    if (code == EXIT_SUCCESS && !text_append(text, p->text, p->n_bytes)) code = EXIT_FAILURE;
    if (code == EXIT_SUCCESS && *n_ids == 0)
        code = console_fail("the template makes an empty prompt");
    bamba_prompt_free(p);
    return code;
}

/* The prompt as a user's turn. */
static int render_prompt(generate_run *r)
{
    chat_format chat = CHAT_FORMAT;
    text_buffer list = { 0 };

    int code = chat_format_open(&chat, r->self, &(const chat_flags){ .tools = NULL }, &r->setup,
                                &r->flags->setup);
    if (code == EXIT_SUCCESS) code = generate_write_turn(r->prompt.bytes, r->prompt.n, &list);
    if (code == EXIT_SUCCESS)
        code = generate_render(&chat, &r->setup, list.bytes, list.n, &r->prompt, &r->prompt_ids,
                               &r->n_prompt);
    if (code == EXIT_SUCCESS) r->out.turn_end = chat_format_turn_end(&chat, &r->setup);
    r->fed = r->prompt_ids;
    free(list.bytes);
    chat_format_close(&chat);
    return code;
}

int generate_tokenize_prompt(generate_run *r)
{
    return r->flags->chat ? render_prompt(r) : tokenize_text(r);
}
