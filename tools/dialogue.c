/* dialogue.c - a user and a model take turns. */
#include "dialogue.h"

#include "chat_commands.h"
#include "console.h"
#include "decoding.h"
#include "thinking.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char end_line[] = "/end";

int dialogue_open(dialogue *d)
{
    const int code = conversation_open(&d->talk, d->setup, d->format);

    if (code != EXIT_SUCCESS) return code;
    d->turn_end = chat_format_turn_end(d->format, d->setup);
    return d->system ? messages_add(&d->talk.messages, MESSAGE_SYSTEM, d->system, strlen(d->system))
                     : EXIT_SUCCESS;
}

void dialogue_close(dialogue *d)
{
    conversation_close(&d->talk);
    line_editor_close(d->editor);
    free(d->turn.bytes);
}

/* ---- an answer ---- */

typedef struct view {
    dialogue  *dialogue;
    generation out;
    thinking   thinking;
    double     begun;                     /* ms                                              */
    size_t     n_shown;                   /* tokens                                          */
} view;

static void write_text(view *v, const char *text, size_t n)
{
    if (n == 0) return;
    if (v->dialogue->colour) thinking_write(&v->thinking, text, n);
    else fwrite(text, 1, n, stdout);
}

/* Marks of thoughts that are special tokens are shown, unlike others. */
static void show_mark(view *v)
{
    const int32_t id = v->out.ids[v->out.n_ids - 1];
    size_t n;
    const char *text = bamba_token_text(v->dialogue->setup->tokenizer, id, &n);

    if (text && bamba_token_is_special(v->dialogue->setup->tokenizer, id) &&
        thinking_is_mark(text, n))
        write_text(v, text, n);
}

static int show(void *context)
{
    view  *v = context;
    size_t n;
    const char *text = generation_take(&v->out, &n);

    if (v->n_shown == 0) v->dialogue->times.first_ms = console_now_ms() - v->begun;
    write_text(v, text, n);
    if (v->out.n_ids > v->n_shown) show_mark(v);
    v->n_shown = v->out.n_ids;
    return console_flush();
}

/* Each answer has a beginning of its own: what was drawn for answers that were taken back does not
   matter. */
static void restart_sampler(dialogue *d)
{
    const int32_t *tokens = bamba_session_tokens(d->setup->session);
    const size_t n = bamba_session_position(d->setup->session);

    if (!d->seeded) d->sampling->options.seed = sampling_make_seed();
    bamba_sampler_reset(d->sampler, d->sampling->options.seed);
    for (size_t i = 0; i < n; i++) bamba_sampler_accept(d->sampler, tokens[i]);
}

/* A text that ends without an end token goes on behind its last one. */
static int feed_last(dialogue *d, const generation *g)
{
    bamba_error err = { BAMBA_OK, "" };
    const bool fed = g->end == GENERATION_INTERRUPT || g->n_ids == 0;

    if (fed || generation_is_end(g, g->ids[g->n_ids - 1]) ||
        bamba_session_room(d->setup->session) == 0)
        return EXIT_SUCCESS;
    const bamba_status status = bamba_feed(d->setup->engine, d->setup->session,
                                           &g->ids[g->n_ids - 1], 1, NULL, &err);
    return status == BAMBA_OK || status == BAMBA_ERR_CANCELLED
               ? EXIT_SUCCESS : console_fail_library(status, &err);
}

static int finish_answer(view *v, int code)
{
    dialogue *d = v->dialogue;
    generation *g = &v->out;
    const bamba_status status = generation_finish(g, code == EXIT_INTERRUPTED ? GENERATION_INTERRUPT
                                                                              : GENERATION_LENGTH);

    if (status != BAMBA_OK) return decoding_fail(status);
    const int shown = show(v);
    if (d->colour) thinking_end(&v->thinking);
    if (g->n_text == 0 || g->text[g->n_text - 1] != '\n') putchar('\n');
    if (shown != EXIT_SUCCESS || console_flush() != EXIT_SUCCESS) return EXIT_FAILURE;

    size_t n = g->n_ids;
    if (n == 0 && code == EXIT_INTERRUPTED) return code;
    if (n > 0 && generation_is_end(g, g->ids[n - 1])) n--;
    const int fed = feed_last(d, g);
    const int added = conversation_add_answer(&d->talk, g->ids, n);
    return fed != EXIT_SUCCESS ? fed : added != EXIT_SUCCESS ? added : code;
}

/* Write the answer behind the prompt that was read. */
static int write_answer(view *v, const float *logits)
{
    dialogue *d = v->dialogue;
    const size_t n_prompt = bamba_session_position(d->setup->session);
    const text_buffer *prompt = &d->talk.prompt;
    decoding run = { .setup = d->setup, .sampler = d->sampler, .out = &v->out, .show = show,
                     .context = v };

    v->out.tokenizer = d->setup->tokenizer;
    v->out.model = d->setup->model;
    v->out.turn_end = d->turn_end;
    v->out.limit = d->n_predict;
    /* The decoder wants to know only that something stands before the text. */
    const bamba_status status = generation_skip(
        &v->out, bamba_session_tokens(d->setup->session) + n_prompt - 1, 1);
    if (status != BAMBA_OK) return decoding_fail(status);
    if (d->colour) thinking_begin(&v->thinking, stdout, prompt->bytes, prompt->n);
    int code = decoding_run(&run, logits);
    if (code == EXIT_SUCCESS || code == EXIT_INTERRUPTED) code = finish_answer(v, code);

    d->times.n_prompt = n_prompt;
    d->times.n_answer = v->out.n_ids;
    d->times.n_eval = run.n_eval;
    d->times.eval_ms = run.eval_ms;
    d->times.end = v->out.end;
    return code;
}

int dialogue_answer(dialogue *d)
{
    view v = { .dialogue = d, .out = GENERATION, .begun = console_now_ms() };
    const float *logits;

    int code = conversation_read(&d->talk, &logits);
    d->times = (dialogue_times){ .n_read = d->talk.n_read, .n_back = d->talk.n_back,
                                 .read_ms = d->talk.read_ms };
    if (code == EXIT_SUCCESS) {
        restart_sampler(d);
        code = write_answer(&v, logits);
    }
    generation_free(&v.out);
    console_clear_interrupt();            /* it was meant for the answer */
    return code;
}

/* ---- turns ---- */

void dialogue_print_times(const dialogue *d)
{
    const dialogue_times *t = &d->times;

    if (t->n_prompt == 0) return;
    fprintf(stderr, "last turn: %zu tokens taken back, %zu read of %zu before the answer, %.1f per "
            "second; first token after %.0f ms; answer: %zu tokens, %.1f per second; end: %s\n",
            t->n_back, t->n_read, t->n_prompt, console_per_second(t->n_read, t->read_ms),
            t->first_ms, t->n_answer, console_per_second(t->n_eval, t->eval_ms),
            generation_end_name(t->end));
}

/* A turn without an answer is as if it had not been. */
static int take_turn(dialogue *d)
{
    const size_t before = d->talk.messages.n;
    int code = messages_add(&d->talk.messages, MESSAGE_USER, d->turn.bytes, d->turn.n);

    d->turn.n = 0;
    if (code == EXIT_SUCCESS) code = dialogue_answer(d);
    if (d->talk.messages.n == before + 1) {
        conversation_cut(&d->talk, before);
        if (code == EXIT_INTERRUPTED)
            console_say("stopped before an answer: the turn is not part of the conversation");
    }
    if (code == EXIT_SUCCESS && d->perf) dialogue_print_times(d);
    return code;
}

/* *whole: the turn is complete with this line. A backslash at its end asks for another. */
static int add_line(dialogue *d, const text_buffer *line, bool *whole)
{
    const bool more = line->n > 0 && line->bytes[line->n - 1] == '\\' && !d->several;
    const bool ends = d->several && line->n == strlen(end_line) &&
                      memcmp(line->bytes, end_line, line->n) == 0;

    *whole = ends || (!more && !d->several);
    if (ends) {
        text_chomp(&d->turn);
        d->several = false;
        return EXIT_SUCCESS;
    }
    if (text_append(&d->turn, line->bytes, line->n - more) &&
        (*whole || text_append(&d->turn, "\n", 1)))
        return EXIT_SUCCESS;
    d->turn.n = 0;                        /* a part of a turn is none */
    d->several = false;
    return EXIT_FAILURE;
}

static bool is_command(const dialogue *d, const text_buffer *line)
{
    return d->turn.n == 0 && !d->several && line->n > 0 && line->bytes[0] == '/' &&
           (line->n == 1 || line->bytes[1] != '/');
}

/* A line that begins with two slashes is text that begins with one. */
static int obey(dialogue *d, text_buffer *line)
{
    if (is_command(d, line)) {
        if (!text_append(line, "", 1)) return EXIT_FAILURE;
        return chat_command_run(d, line->bytes);
    }
    if (d->turn.n == 0 && !d->several && line->n > 1 && line->bytes[0] == '/')
        memmove(line->bytes, line->bytes + 1, --line->n);
    bool whole;
    const int code = add_line(d, line, &whole);
    return code == EXIT_SUCCESS && whole && d->turn.n > 0 ? take_turn(d) : code;
}

/* What a turn fails of is told, and the dialogue goes on; on standard input it ends with it. A
   command that fails changes nothing and ends no dialogue, but its exit code. */
static int run_turns(dialogue *d, text_buffer *line)
{
    const bool terminal = line_editor_is_terminal(d->editor);
    int code = EXIT_SUCCESS;

    for (;;) {
        const bool inside = d->several || d->turn.n > 0;
        const line_end end = line_editor_read(d->editor, inside ? ". " : "> ", line);

        if (end == LINE_FAILED) return EXIT_FAILURE;
        if (end == LINE_INTERRUPTED && !terminal) return EXIT_INTERRUPTED;
        if (end == LINE_NO_MORE && d->turn.n > 0) code = take_turn(d);
        if (end == LINE_NO_MORE && (!inside || !terminal))
            return terminal || (code == EXIT_SUCCESS && !d->failed) ? EXIT_SUCCESS
                 : code == EXIT_SUCCESS ? EXIT_FAILURE : code;
        if (end != LINE_READ) {
            d->several = false;
            d->turn.n = 0;
        }
        if (end == LINE_READ) code = obey(d, line);
        if (code != EXIT_SUCCESS && code != EXIT_INTERRUPTED && !terminal) return code;
        if (end == LINE_INTERRUPTED) console_clear_interrupt();
        code = EXIT_SUCCESS;
    }
}

int dialogue_run(dialogue *d)
{
    text_buffer line = { 0 };

    d->editor = line_editor_open();
    if (!d->editor) return EXIT_FAILURE;
    if (line_editor_is_terminal(d->editor))
        console_say("%s: /help shows the commands, Ctrl-C stops an answer, Ctrl-D ends",
                    d->setup->dir);
    const int code = run_turns(d, &line);
    free(line.bytes);
    return code;
}
