/* chat_format.c - conversations in the form that a model was trained on. */
#include "chat_format.h"

#include "console.h"

#include <stdlib.h>
#include <string.h>

static bool begins(const bamba_error *err, const char *word)
{
    return strncmp(err->message, word, strlen(word)) == 0;
}

static const char *shown(const char *file)
{
    return strcmp(file, "-") == 0 ? "standard input" : file;
}

/* The library knows no files of what it is given, but says first which of its inputs it is. */
static int fail(const chat_format *c, const char *messages_file, bamba_status status,
                const bamba_error *err)
{
    static const char template[] = "template:", variables[] = "variables: ";
    const char *file = begins(err, "tools:") ? c->tools_file
                     : begins(err, "messages:") ? messages_file : NULL;

    if (begins(err, variables))
        return console_fail("--chat-template-kwargs: %s", err->message + strlen(variables));
    if (c->template_file && begins(err, template))            /* its line and column follow */
        return console_fail("%s%s", shown(c->template_file), strchr(err->message, ':'));
    return file ? console_fail("%s: %s", shown(file), err->message)
                : console_fail_library(status, err);
}

int chat_format_open(chat_format *c, const command *self, const chat_flags *f, setup *s,
                     const setup_flags *model)
{
    bamba_chat_template_options o = BAMBA_CHAT_TEMPLATE_OPTIONS;
    bamba_error err = { BAMBA_OK, "" };
    int code = EXIT_SUCCESS;

    if (f->template_file && f->template_name)
        return args_wrong(self, "either --chat-template or --chat-template-name, not both");
    if (f->tools) code = text_read_small(&c->tools, f->tools);
    if (code == EXIT_SUCCESS && f->template_file)
        code = text_read_small(&c->template_text, f->template_file);
    /* A template of its own needs no model; with -m it has the model's special tokens. */
    if (code == EXIT_SUCCESS && (!f->template_file || model->dir)) code = setup_find(s, model);
    if (code != EXIT_SUCCESS) return code;

    if (f->template_file) {
        o.text = c->template_text.bytes ? c->template_text.bytes : "";
        o.n_text = c->template_text.n;
    }
    c->options.tools = c->tools.bytes;
    c->options.n_tools = c->tools.n;
    c->options.variables = f->variables;
    c->options.n_variables = f->variables ? strlen(f->variables) : 0;
    c->options.no_generation_prompt = f->no_prompt;
    c->tools_file = f->tools;
    c->template_file = f->template_file;
    const bamba_status status = bamba_chat_template_open(&c->chat_template, s->dir,
                                                         f->template_name, &o, &err);
    return status == BAMBA_OK ? EXIT_SUCCESS : fail(c, NULL, status, &err);
}

void chat_format_close(chat_format *c)
{
    bamba_chat_template_free(c->chat_template);
    free(c->tools.bytes);
    free(c->template_text.bytes);
}

int chat_format_render(const chat_format *c, const char *file, const char *messages, size_t n,
                       bamba_prompt **out)
{
    bamba_error err = { BAMBA_OK, "" };
    const bamba_status status = bamba_chat_render(c->chat_template, messages ? messages : "", n,
                                                  &c->options, out, &err);
    return status == BAMBA_OK ? EXIT_SUCCESS : fail(c, file, status, &err);
}

/* The ranges of `prompt` that lie behind `from`, counted from there. */
static bamba_range *move_ranges(const bamba_prompt *prompt, size_t from, size_t *n)
{
    bamba_range *moved = malloc((prompt->n_user + 1) * sizeof *moved);

    *n = 0;
    for (size_t i = 0; moved && i < prompt->n_user; i++) {
        const bamba_range r = prompt->user[i];
        if (r.end <= from) continue;
        moved[(*n)++] = (bamba_range){ r.begin > from ? r.begin - from : 0, r.end - from };
    }
    return moved;
}

int chat_format_tokenize(const setup *s, const bamba_prompt *prompt, size_t from, int32_t **ids,
                         size_t *n_ids)
{
    bamba_tokenize_options o = BAMBA_TOKENIZE_OPTIONS;
    bamba_error err = { BAMBA_OK, "" };
    bamba_range *plain = move_ranges(prompt, from, &o.n_plain);

    if (!plain) return console_fail("out of memory");
    o.plain = plain;
    o.flags = BAMBA_TOKENIZE_PARSE_SPECIAL | (from ? BAMBA_TOKENIZE_CONTINUE : 0);
    const bamba_status status = bamba_tokenize_with(s->tokenizer, prompt->text + from,
                                                    prompt->n_bytes - from, &o, ids, n_ids, &err);
    free(plain);
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

/* What follows a known answer in a conversation that ends with it. A template that refuses such a
   conversation has no answer for us. */
int32_t chat_format_turn_end(const chat_format *c, const setup *s)
{
    static const char messages[] = "[{\"role\": \"user\", \"content\": \"Question\"},"
                                   " {\"role\": \"assistant\", \"content\": \"Zebrafish\"}]";
    bamba_chat_options o = BAMBA_CHAT_OPTIONS;
    bamba_prompt *p = NULL;
    int32_t end = -1, *ids = NULL;
    size_t n_ids = 0;

    o.no_generation_prompt = 1;
    if (bamba_chat_render(c->chat_template, messages, strlen(messages), &o, &p, NULL) != BAMBA_OK)
        return -1;
    const char *rest = strstr(p->text, "Zebrafish");
    if (rest) {
        rest += strlen("Zebrafish");
        rest += strspn(rest, " \t\r\n");
        if (bamba_tokenize(s->tokenizer, rest, strlen(rest), BAMBA_TOKENIZE_PARSE_SPECIAL, &ids,
                           &n_ids, NULL) == BAMBA_OK && n_ids > 0 &&
            bamba_token_is_special(s->tokenizer, ids[0]))
            end = ids[0];
        bamba_tokens_free(s->tokenizer, ids);
    }
    bamba_prompt_free(p);
    return end;
}
