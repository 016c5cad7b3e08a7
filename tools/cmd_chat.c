/* cmd_chat.c - a conversation as the prompt that a model was trained on. */
#include "commands.h"

#include "console.h"
#include "setup.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct flags {
    setup_flags setup;
    const char *messages, *tools, *template_file, *template_name, *variables;
    bool        no_prompt, render;
} flags;

/* What the files hold. */
typedef struct texts {
    text_buffer messages, tools, template_text;
} texts;

static int open_template(const flags *f, setup *s, const texts *in, bamba_chat_template **out)
{
    bamba_chat_template_options o = BAMBA_CHAT_TEMPLATE_OPTIONS;
    bamba_error err = { BAMBA_OK, "" };

    /* A template of its own needs no model; with -m it has the model's special tokens. */
    if (!f->template_file || f->setup.dir) {
        const int code = setup_find(s, &f->setup);
        if (code != EXIT_SUCCESS) return code;
    }
    if (f->template_file) {
        o.text = in->template_text.bytes ? in->template_text.bytes : "";
        o.n_text = in->template_text.n;
    }
    const bamba_status status = bamba_chat_template_open(out, s->dir, f->template_name, &o, &err);
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

static int render(const flags *f, setup *s, const texts *in)
{
    bamba_chat_options o = BAMBA_CHAT_OPTIONS;
    bamba_error err = { BAMBA_OK, "" };
    bamba_chat_template *t = NULL;
    bamba_prompt *p = NULL;

    int code = open_template(f, s, in, &t);
    if (code == EXIT_SUCCESS) {
        o.tools = in->tools.bytes;
        o.n_tools = in->tools.n;
        o.variables = f->variables;
        o.n_variables = f->variables ? strlen(f->variables) : 0;
        o.no_generation_prompt = f->no_prompt;
        const char *messages = in->messages.bytes ? in->messages.bytes : "";
        const bamba_status status = bamba_chat_render(t, messages, in->messages.n, &o, &p, &err);
        if (status != BAMBA_OK) code = console_fail_library(status, &err);
    }
    if (p) fwrite(p->text, 1, p->n_bytes, stdout);
    bamba_prompt_free(p);
    bamba_chat_template_free(t);
    return console_finish(code);
}

static int run_chat(const command *self, const flags *f, setup *s, texts *in)
{
    if (!f->messages) return args_wrong(self, "expected --messages FILE");
    if (!f->render) return args_wrong(self, "expected --render");
    if (f->template_file && f->template_name)
        return args_wrong(self, "either --chat-template or --chat-template-name, not both");
    console_catch_interrupt();
    int code = text_read(&in->messages, f->messages);
    if (code == EXIT_SUCCESS && f->tools) code = text_read(&in->tools, f->tools);
    if (code == EXIT_SUCCESS && f->template_file)
        code = text_read(&in->template_text, f->template_file);
    return code == EXIT_SUCCESS ? render(f, s, in) : code;
}

int cmd_chat(const command *self, int argc, char **argv)
{
    setup s = SETUP;
    texts in = { 0 };
    flags f = { .setup = SETUP_FLAGS };
    const arg args[] = {
        SETUP_MODEL_ROW(&f.setup),
        ARG_TEXT_ROW("--messages", "FILE", &f.messages, "the conversation: JSON, a list of objects "
                     "with role and content"),
        ARG_TEXT_ROW("--tools", "FILE", &f.tools, "tools that the model may call: JSON, a list"),
        ARG_TEXT_ROW("--chat-template", "FILE", &f.template_file,
                     "a Jinja template, instead of the model's"),
        ARG_TEXT_ROW("--chat-template-name", "NAME", &f.template_name,
                     "which of several templates", .usual = "default, or tool_use with --tools"),
        ARG_TEXT_ROW("--chat-template-kwargs", "OBJECT", &f.variables, "further variables of the "
                     "template: an object, {\"enable_thinking\": false}"),
        ARG_FLAG_ROW("--no-generation-prompt", &f.no_prompt, "do not begin the model's answer"),
        ARG_FLAG_ROW("--render", &f.render, "print the prompt's exact bytes and end"),
        ARG_END
    };

    int code = args_read(self, args, argc, argv);
    if (code == ARGS_READ) code = run_chat(self, &f, &s, &in);
    setup_close(&s);
    free(in.messages.bytes);
    free(in.tools.bytes);
    free(in.template_text.bytes);
    return code;
}
