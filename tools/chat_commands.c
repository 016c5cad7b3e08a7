/* chat_commands.c - what a user of a dialogue says to the program. */
#include "chat_commands.h"

#include "console.h"
#include "conversation_file.h"
#include "output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Told, and not the end, but known at the end. */
#define TELL(d, ...) (console_fail(__VA_ARGS__), go_on(d, EXIT_FAILURE))

static int go_on(dialogue *d, int code)
{
    d->failed |= code != EXIT_SUCCESS;
    return EXIT_SUCCESS;
}

static int run_help(dialogue *d, char *value);

/* ---- the conversation ---- */

/* The system message stays. */
static int run_reset(dialogue *d, char *value)
{
    const messages *m = &d->talk.messages;

    (void)value;
    conversation_cut(&d->talk, m->n > 0 && m->items[0].role == MESSAGE_SYSTEM ? 1 : 0);
    return EXIT_SUCCESS;
}

static int run_undo(dialogue *d, char *value)
{
    const messages *m = &d->talk.messages;
    const size_t last = messages_last(m, MESSAGE_USER);

    (void)value;
    if (last == m->n) return TELL(d, "/undo: there is no turn to take back");
    conversation_cut(&d->talk, last);
    return EXIT_SUCCESS;
}

/* A new answer to the last turn. Where none comes, the former one stays: templates may refuse a
   turn that follows one without an answer. */
static int run_regen(dialogue *d, char *value)
{
    const messages *m = &d->talk.messages;
    const size_t user = messages_last(m, MESSAGE_USER);
    messages former = { 0 };

    (void)value;
    if (user == m->n) return TELL(d, "/regen: there is no answer yet");
    int code = conversation_set_aside(&d->talk, user + 1, &former);
    if (code == EXIT_SUCCESS) code = dialogue_answer(d);
    if (m->n == user + 1) {
        if (code == EXIT_INTERRUPTED)
            console_say(former.n > 0 ? "stopped before a new answer: the former one stays"
                                     : "stopped before an answer: the last turn has none");
        if (conversation_put_back(&d->talk, &former) != EXIT_SUCCESS) code = EXIT_FAILURE;
    }
    messages_free(&former);
    if (code == EXIT_SUCCESS && d->perf) dialogue_print_times(d);
    return code;
}

/* As JSON, or with the session. */
static int run_save(dialogue *d, char *value)
{
    text_buffer list = { 0 };
    output o;

    if (conversation_file_is(value)) return go_on(d, conversation_save(&d->talk, value));
    int code = messages_write(&d->talk.messages, &list);
    if (code == EXIT_SUCCESS) code = output_open(&o, value);
    if (code == EXIT_SUCCESS) {
        if (fwrite(list.bytes, 1, list.n, o.file) != list.n) code = output_fail(&o);
        code = output_close(&o, code);
    }
    free(list.bytes);
    return go_on(d, code);
}

/* Whether a list of messages has none, as that of a conversation that has not begun. */
static bool is_empty(const text_buffer *list)
{
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++)
        if (!strchr(" \t\r\n", list->bytes[i]) && list->bytes[i] != "[]"[n++ > 0]) return false;
    return n == 2;
}

/* The template says whether it is a conversation. */
static int run_load(dialogue *d, char *value)
{
    text_buffer list = { 0 };
    messages loaded = { 0 };
    bamba_prompt *p = NULL;

    if (conversation_file_is(value)) {
        const int status = conversation_load(&d->talk, value);
        if (status == EXIT_SUCCESS)
            console_say("%zu messages, %zu tokens", d->talk.messages.n,
                        bamba_session_position(d->setup->session));
        return go_on(d, status);
    }
    int code = text_read_small(&list, value);
    if (code == EXIT_SUCCESS && !is_empty(&list))
        code = chat_format_render(d->format, value, list.bytes, list.n, &p);
    if (code == EXIT_SUCCESS) code = messages_add_list(&loaded, list.bytes, list.n);
    if (code == EXIT_SUCCESS) {
        conversation_cut(&d->talk, 0);
        messages_free(&d->talk.messages);
        d->talk.messages = loaded;
        console_say("%zu messages", loaded.n);
    } else {
        messages_free(&loaded);
    }
    bamba_prompt_free(p);
    free(list.bytes);
    return go_on(d, code);
}

/* ---- the program ---- */

static int run_stats(dialogue *d, char *value)
{
    char seed[48];

    (void)value;
    fprintf(stderr, "conversation: %zu messages; %zu tokens read", d->talk.messages.n,
            bamba_session_position(d->setup->session));
    if (bamba_session_room(d->setup->session) < SETUP_MOST_CONTEXT)
        fprintf(stderr, ", room for %zu", bamba_session_room(d->setup->session));
    fputc('\n', stderr);
    dialogue_print_times(d);
    snprintf(seed, sizeof seed, "seed = %llu, ",
             (unsigned long long)d->sampling->options.seed);
    sampling_print(d->sampling, sampling_draws(d->sampling) ? seed : "");
    return EXIT_SUCCESS;
}

/* A sampler with the new value takes the place of the old one, if there can be one. */
static int run_set(dialogue *d, char *value)
{
    const sampling old = *d->sampling;
    char *equals = strchr(value, '=');
    bamba_sampler *made;

    if (!equals) return TELL(d, "/set: expected NAME=VALUE, as in /set temp=0.7");
    *equals = '\0';
    if (strcmp(value, "n") == 0) {
        int64_t n;
        if (!args_parse_int(equals + 1, &n) || n < -1 || n > INT32_MAX)
            return TELL(d, "/set n: expected a number of tokens, or -1");
        d->n_predict = (int)n;
        return EXIT_SUCCESS;
    }
    if (strcmp(value, "seed") == 0 && strcmp(equals + 1, "-1") == 0) {        /* a random one */
        d->seeded = false;
        return EXIT_SUCCESS;
    }
    if (!sampling_set(d->sampling, value, equals + 1))
        return TELL(d, "/set: expected a sampling option and a number, found '%s=%s'", value,
                    equals + 1);
    if (sampling_create(&made, d->sampling, d->setup) != EXIT_SUCCESS) {
        *d->sampling = old;
        return go_on(d, EXIT_FAILURE);
    }
    bamba_sampler_free(d->sampler);
    d->sampler = made;
    if (strcmp(value, "seed") == 0) d->seeded = true;
    return EXIT_SUCCESS;
}

static int run_multi(dialogue *d, char *value)
{
    (void)value;
    d->several = true;
    if (line_editor_is_terminal(d->editor)) console_say("a line with /end alone ends the text");
    return EXIT_SUCCESS;
}

/* ---- the table ---- */

typedef int run_fn(dialogue *d, char *value);

static const struct chat_command {
    const char *name, *value;             /* value: NULL, or what must follow                */
    run_fn     *run;
    const char *help;
} table[] = {
    { "help", NULL, run_help, "show this" },
    { "reset", NULL, run_reset, "begin a new conversation" },
    { "regen", NULL, run_regen, "answer the last turn again" },
    { "undo", NULL, run_undo, "take the last turn and its answer back" },
    { "save", "FILE", run_save, "write the conversation, as JSON; with what the model has read, if "
      "FILE ends with .safetensors" },
    { "load", "FILE", run_load, "go on with a conversation that was written" },
    { "stats", NULL, run_stats, "show tokens, tokens a second, how tokens are chosen" },
    { "set", "NAME=VALUE", run_set, "change how tokens are chosen: temp=0.7, seed=1, or n=100" },
    { "multi", NULL, run_multi, "write a turn of several lines; /end ends it" },
};

static int run_help(dialogue *d, char *value)
{
    (void)d;
    (void)value;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char words[40];
        const char *value_name = table[i].value ? table[i].value : "";
        snprintf(words, sizeof words, "/%s %s", table[i].name, value_name);
        fprintf(stderr, "  %-16s %s\n", words, table[i].help);
    }
    fputs("A backslash at the end of a line lets the turn go on in the next one.\n"
          "A turn that begins with // begins with one slash.\n", stderr);
    return EXIT_SUCCESS;
}

int chat_command_run(dialogue *d, char *text)
{
    for (size_t end = strlen(text); end > 0 && strchr(" \t", text[end - 1]);) text[--end] = '\0';

    const size_t n = strcspn(text + 1, " \t");
    char *value = text + 1 + n + strspn(text + 1 + n, " \t");

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strlen(table[i].name) != n || memcmp(table[i].name, text + 1, n) != 0) continue;
        if (!table[i].value && *value) return TELL(d, "/%s takes no value", table[i].name);
        if (table[i].value && !*value) return TELL(d, "/%s %s", table[i].name, table[i].value);
        return table[i].run(d, value);
    }
    return TELL(d, "unknown command '%.*s': /help shows those there are", (int)n + 1, text);
}
