/* cmd_chat.c - a conversation: at the terminal, from a file, or only as a prompt. */
#include "commands.h"

#include "console.h"
#include "dialogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { UNSAID = INT_MIN };

static const char *const any_colour[] = { "auto", "on", "off", NULL };
enum { COLOUR_AUTO, COLOUR_ON };

typedef struct flags {
    setup_flags    setup;
    sampling_flags sampling;
    chat_flags     chat;
    const char    *messages, *system;
    int            n_predict, n_context, colour;
    bool           no_system, render, perf, escapes, no_colour;
} flags;

/* See no-color.org: a variable that is empty says nothing. */
static bool choose_colour(const flags *f)
{
    const char *no = getenv("NO_COLOR"), *terminal = getenv("TERM");

    if (f->no_colour) return false;
    if (f->colour != COLOUR_AUTO) return f->colour == COLOUR_ON;
    return isatty(STDOUT_FILENO) && !(no && *no) && terminal && strcmp(terminal, "dumb") != 0;
}

static int render(const chat_format *format, const char *file, const text_buffer *list)
{
    bamba_prompt *p = NULL;
    const int code = chat_format_render(format, file, list->bytes, list->n, &p);

    if (p) fwrite(p->text, 1, p->n_bytes, stdout);
    bamba_prompt_free(p);
    return code;
}

/* Answer the conversation of a file. */
static int answer(dialogue *d, const char *file, const text_buffer *list)
{
    bamba_prompt *p = NULL;
    int code = chat_format_render(d->format, file, list->bytes, list->n, &p); /* is it one? */

    bamba_prompt_free(p);
    if (code == EXIT_SUCCESS) code = messages_add_list(&d->talk.messages, list->bytes, list->n);
    if (code == EXIT_SUCCESS) code = dialogue_answer(d);
    if ((code == EXIT_SUCCESS || code == EXIT_INTERRUPTED) && !args_quiet())
        dialogue_print_times(d);
    return code;
}

static int talk(const command *self, const flags *f, setup *s, chat_format *format,
                const text_buffer *list)
{
    sampling choice = SAMPLING;
    text_buffer system = { 0 };
    dialogue d = { .setup = s, .format = format, .sampling = &choice,
                   .seeded = f->sampling.seed >= 0, .colour = choose_colour(f),
                   .perf = f->perf || args_verbose() };

    s->goes_back = !f->messages;
    int code = setup_open_tokenizer(s, &f->setup);
    if (code == EXIT_SUCCESS) code = setup_open_model(s, &f->setup);
    if (code == EXIT_SUCCESS)
        code = sampling_resolve(&choice, self, &f->sampling, s, f->escapes);
    if (code == EXIT_SUCCESS)
        code = setup_create_for_text(s, &f->setup, f->n_context, 1, -1);
    if (code == EXIT_SUCCESS) code = sampling_create(&d.sampler, &choice, s);
    if (code == EXIT_SUCCESS && f->system) {
        code = text_append_flag(&system, f->system, f->escapes);
        if (!text_append(&system, "", 1)) code = EXIT_FAILURE;
        d.system = system.bytes;
    }
    if (f->no_system) d.system = "";
    d.n_predict = f->n_predict != UNSAID ? f->n_predict
                  : s->info.max_new_tokens ? s->info.max_new_tokens : -1;
    if (code == EXIT_SUCCESS) code = dialogue_open(&d);
    if (code == EXIT_SUCCESS) code = f->messages ? answer(&d, f->messages, list) : dialogue_run(&d);
    dialogue_close(&d);
    bamba_sampler_free(d.sampler);
    sampling_free(&choice);
    free(system.bytes);
    return code;
}

/* Standard input can be read once: by an option, or as the turns. */
static bool reads_input_twice(const flags *f)
{
    const char *const file[] = { f->messages ? f->messages : "-", f->chat.tools,
                                 f->chat.template_file };
    int n = 0;

    for (size_t i = 0; i < sizeof file / sizeof *file; i++)
        n += file[i] && strcmp(file[i], "-") == 0;
    return n > 1;
}

static int run_chat(const command *self, const flags *f, setup *s)
{
    chat_format format = CHAT_FORMAT;
    text_buffer list = { 0 };

    if (setup_lacks_window(&f->setup)) return args_wrong(self, "--sink needs --window");
    if (f->render && !f->messages) return args_wrong(self, "--render: expected --messages FILE");
    if (f->chat.no_prompt && !f->messages)
        return args_wrong(self, "--no-generation-prompt: expected --messages FILE");
    if (f->system && f->no_system)
        return args_wrong(self, "either --system or --no-system, not both");
    if ((f->system || f->no_system) && f->messages)
        return args_wrong(self, "either --messages or --system and --no-system, not both");
    if (reads_input_twice(f))
        return args_wrong(self, "one of --messages, --tools, --chat-template and the turns can "
                          "come from standard input");
    console_catch_interrupt();
    int code = f->messages ? text_read_small(&list, f->messages) : EXIT_SUCCESS;
    if (code == EXIT_SUCCESS) code = chat_format_open(&format, self, &f->chat, s, &f->setup);
    if (code == EXIT_SUCCESS)
        code = f->render ? render(&format, f->messages, &list) : talk(self, f, s, &format, &list);
    chat_format_close(&format);
    free(list.bytes);
    return console_finish(code);
}

int cmd_chat(const command *self, int argc, char **argv)
{
    setup s = SETUP;
    flags f = { .setup = SETUP_FLAGS, .sampling = SAMPLING_FLAGS, .n_predict = UNSAID,
                .escapes = true };
    const arg args[] = {
        SETUP_MODEL_ROW(&f.setup),
        ADAPTERS_ROW(&f.setup.adapter),
        ARG_TEXT_ROW("-sys, --system, --system-prompt", "TEXT", &f.system,
                     "what the model is told first", .usual = "the template's own text"),
        ARG_FLAG_ROW("--no-system", &f.no_system, "tell it nothing, not even the template's text"),
        ARG_INT_ROW("-n, --predict, --n-predict", "N", &f.n_predict, -1, INT_MAX,
                    "most tokens of an answer; -1: until it ends or the context is full",
                    .usual = "max_new_tokens of generation_config.json, or -1"),
        ARG_INT_ROW("-c, --ctx-size", "N", &f.n_context, 0, SETUP_MOST_CONTEXT, "context length",
                    .usual = "0, the model's"),
        SETUP_WINDOW_ROWS(&f.setup),
        TEXT_ESCAPE_ROW(&f.escapes),
        CHAT_FORMAT_ROWS(&f.chat),
        ARG_HEAD("One conversation"),
        ARG_TEXT_ROW("--messages", "FILE", &f.messages, "the conversation, to be answered once: "
                     "JSON, a list of objects with role and content"),
        ARG_FLAG_ROW("--no-generation-prompt", &f.chat.no_prompt,
                     "do not begin the model's answer"),
        ARG_FLAG_ROW("--render", &f.render, "print the prompt's exact bytes and end"),
        SAMPLING_ROWS(&f.sampling),
        ARG_HEAD("Output"),
        ARG_WORD_ROW("--color", "WHEN", &f.colour, any_colour, "thoughts are dimmed",
                     .usual = "auto: on a terminal, unless NO_COLOR is set"),
        ARG_FLAG_ROW("--no-color", &f.no_colour, "the same as --color off"),
        ARG_FLAG_ROW("--perf", &f.perf, "say the times of each answer, as with -v"),
        SETUP_TYPE_ROWS(&f.setup),
        SETUP_BATCH_ROW(&f.setup),
        ARG_HEAD("Of llama-cli, without effect here or refused"),
        ARG_IGNORED_ROW("-i, --interactive, -if, --interactive-first, -cnv, --conversation", NULL,
                        "it is a dialogue in any case"),
        ARG_ROW("-st, --single-turn, -no-cnv, --no-conversation", NULL, ARG_REFUSED, NULL,
                "it is a dialogue; --messages FILE is answered once, and bamba generate --chat"),
        ARG_ROW("-r, --reverse-prompt", "TEXT", ARG_REFUSED, NULL,
                "the model's end tokens end an answer; bamba generate --stop TEXT ends a text"),
        ARG_END
    };

    int code = args_read(self, args, argc, argv);
    if (code == ARGS_READ) code = run_chat(self, &f, &s);
    setup_close(&s);
    sampling_free_flags(&f.sampling);
    setup_free_flags(&f.setup);
    return code;
}
