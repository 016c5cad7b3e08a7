/* bulk.c - the prompts of a file continued, many at once: bamba generate --jsonl.
 *
 * Lines are read as far ahead as WINDOW: so many wait, are made, or are done and wait for one
 * before them to be written. */
#include "generate.h"

#include "batch.h"
#include "bulk_file.h"
#include "bulk_line.h"
#include "console.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 256, USUAL_TEXTS = 16, SAY_EVERY_MS = 10000 };

typedef struct place {                    /* of a line that is not blank */
    json_slice text;
    size_t     number;
} place;

typedef struct bulk {
    generate_run *r;
    const char   *name;                   /* of the file of prompts */
    text_buffer   input;
    place        *place;                  /* [n] */
    size_t        n;
    bool          has_messages;
    chat_format   chat;
    bulk_file     out;
    batch         batch;
    size_t        n_context;
    bulk_text    *text[WINDOW];           /* number i at i % WINDOW */
    size_t        n_before, n_read, n_written;        /* lines, from the first: of an earlier run;
                                                         given to the batch; written      */
    double        started, said;
    char          progress[96];
} bulk;

/* ---- reading ---- */

static int find_lines(bulk *b)
{
    json_slice line;
    size_t at = 0;

    b->place = calloc(text_count_lines(&b->input) + 1, sizeof *b->place);
    if (!b->place) return console_fail("out of memory");
    for (size_t number = 1; text_next_line(&b->input, &at, &line.at, &line.n); number++)
        if (json_skip_spaces(line.at, line.n, 0) < line.n)
            b->place[b->n++] = (place){ line, number };
    return EXIT_SUCCESS;
}

static void free_text(const bulk *b, bulk_text *t)
{
    if (!t) return;
    generation_free(&t->text.out);
    if (t->made) bamba_tokens_free(b->r->setup.tokenizer, t->made);
    bulk_line_free(&t->line);
    free(t);
}

/* The line number i, with the options' values for what it does not say. */
static int read_text(const bulk *b, size_t i, bulk_text **out)
{
    bulk_text *t = calloc(1, sizeof *t);

    *out = t;
    if (!t) return console_fail("out of memory");
    t->line = (bulk_line){ .file = b->name, .number = b->place[i].number, .how = b->r->sampling,
                           .n_predict = b->r->out.limit };
    t->line.how.options.seed += i;
    return bulk_line_read(&t->line, b->place[i].text);
}

/* Whatever is wrong with a line is said before anything is opened. */
static int check_lines(bulk *b)
{
    int code = EXIT_SUCCESS;

    for (size_t i = 0; i < b->n && code == EXIT_SUCCESS; i++) {
        bulk_text *t;
        code = read_text(b, i, &t);
        b->has_messages = b->has_messages || (t && t->line.messages.at);
        free_text(b, t);
    }
    return code;
}

/* ---- prompts ---- */

static int render(const bulk *b, bulk_text *t)
{
    bulk_line *l = &t->line;
    text_buffer turn = { 0 };
    json_slice list = l->messages;
    size_t n_ids;
    int code = EXIT_SUCCESS;

    if (!list.at) {
        code = generate_write_turn(l->prompt.bytes, l->prompt.n, &turn);
        list = (json_slice){ turn.bytes, turn.n };
    }
    if (code == EXIT_SUCCESS)
        code = generate_render(&b->chat, &b->r->setup, list.at, list.n, &l->prompt,
                               &t->made, &n_ids);
    free(turn.bytes);
    if (code != EXIT_SUCCESS) return bulk_line_fail(l, "its messages make no prompt");
    t->text.prompt = t->made;
    t->text.n_prompt = n_ids;
    return EXIT_SUCCESS;
}

static int tokenize(const bulk *b, bulk_text *t)
{
    const setup *s = &b->r->setup;
    const bulk_line *l = &t->line;

    const int code = setup_tokenize(s, l->prompt.bytes, l->prompt.n,
                                    BAMBA_TOKENIZE_PARSE_SPECIAL | BAMBA_TOKENIZE_ADD_SPECIAL,
                                    &t->made, &t->text.n_prompt);
    if (code != EXIT_SUCCESS) return code;
    t->text.prompt = t->made;
    if (t->text.n_prompt > 0) return EXIT_SUCCESS;
    if (s->info.bos < 0)
        return bulk_line_fail(l, "the prompt is empty, and the model names no begin token");
    t->text.prompt = &s->info.bos;
    t->text.n_prompt = 1;
    return EXIT_SUCCESS;
}

/* Whether the values that the line gives its options are in range. */
static int check_options(const bulk *b, const bulk_line *l)
{
    bamba_error err = { BAMBA_OK, "" };
    bamba_sampler *sampler = NULL;

    if (!l->chooses) return EXIT_SUCCESS;
    const bamba_status status = sampling_try(&sampler, &l->how, &b->r->setup, &err);
    bamba_sampler_free(sampler);
    return status == BAMBA_OK ? EXIT_SUCCESS : bulk_line_fail(l, "%s", err.message);
}

/* Make the text of line i ready for the batch. */
static int prepare_text(const bulk *b, size_t i, bulk_text **out)
{
    int code = read_text(b, i, out);
    if (code != EXIT_SUCCESS) return code;
    bulk_text *t = *out;
    const bulk_line *l = &t->line;
    const bool is_chat = l->messages.at || b->r->flags->chat;

    code = is_chat ? render(b, t) : tokenize(b, t);
    if (code == EXIT_SUCCESS) code = check_options(b, l);
    if (code != EXIT_SUCCESS) return code;
    if (b->n_context > 0 && t->text.n_prompt > b->n_context)
        return bulk_line_fail(l, "the prompt has %zu tokens, the context holds %zu; -c N makes it "
                                 "longer", t->text.n_prompt, b->n_context);
    t->text.how = &l->how;
    t->text.out = b->r->out;
    t->text.out.limit = l->n_predict;
    if (!is_chat) t->text.out.turn_end = -1;
    if (l->has_stops) {
        t->text.out.stops = l->stops.items;
        t->text.out.n_stops = l->stops.n;
    }
    return EXIT_SUCCESS;
}

/* ---- lines that an earlier run has written ---- */

/* A line drawn with the seed of the options says which it was: take it from the first of them. */
static int take_seed(bulk *b, json_slice line, size_t i, bool *knows_seed)
{
    bulk_text *t;
    uint64_t seed;

    if (*knows_seed) return EXIT_SUCCESS;
    const int code = read_text(b, i, &t);
    if (code == EXIT_SUCCESS && !t->line.has_seed && bulk_file_find_seed(line, &seed)) {
        b->r->sampling.options.seed = seed - i;
        *knows_seed = true;
    }
    free_text(b, t);
    return code;
}

static int skip_done(bulk *b)
{
    bool knows_seed = b->r->flags->sampling.seed >= 0;
    json_slice line;
    int code = EXIT_SUCCESS;

    for (size_t i = 0; code == EXIT_SUCCESS && bulk_file_take(&b->out, &line); i++) {
        bulk_text *t = NULL;
        if (i == b->n)
            return console_fail("%s: has more lines than %s has prompts, %zu", b->out.name, b->name,
                                b->n);
        code = take_seed(b, line, i, &knows_seed);
        if (code == EXIT_SUCCESS) code = prepare_text(b, i, &t);
        if (code == EXIT_SUCCESS) code = bulk_file_check(&b->out, line, t);
        free_text(b, t);
        b->n_before = i + 1;
    }
    b->n_read = b->n_written = b->n_before;
    return code;
}

/* ---- the run ---- */

static int open_all(bulk *b)
{
    generate_run *r = b->r;
    const generate_flags *f = r->flags;

    int code = generate_open(r);
    if (code == EXIT_SUCCESS && (b->has_messages || f->chat)) {
        code = chat_format_open(&b->chat, r->self, &(const chat_flags){ .tools = NULL }, &r->setup,
                                &f->setup);
        if (code == EXIT_SUCCESS) r->out.turn_end = chat_format_turn_end(&b->chat, &r->setup);
    }
    if (code != EXIT_SUCCESS) return code;
    b->n_context = setup_find_context(&r->setup, &f->setup, f->n_context);
    code = skip_done(b);
    if (code == EXIT_SUCCESS && b->n_before < b->n)
        code = setup_create_engine(&r->setup, &f->setup, BATCH_MOST, 0, false);
    batch_open(&b->batch, &r->setup, &f->setup, b->n_context,
               f->n_texts > 0 ? (size_t)f->n_texts : USUAL_TEXTS);
    return code;
}

static int fill_window(bulk *b)
{
    int code = EXIT_SUCCESS;

    for (; code == EXIT_SUCCESS && b->n_read < b->n && b->n_read < b->n_written + WINDOW;
         b->n_read++) {
        bulk_text **t = &b->text[b->n_read % WINDOW];
        code = prepare_text(b, b->n_read, t);
        if (code == EXIT_SUCCESS) code = batch_add(&b->batch, &(*t)->text);
        else {                            /* it is not in the batch, and is not to be written */
            free_text(b, *t);
            *t = NULL;
        }
    }
    return code;
}

static int write_done(bulk *b)
{
    int code = EXIT_SUCCESS;

    while (code == EXIT_SUCCESS && b->n_written < b->n_read) {
        bulk_text **t = &b->text[b->n_written % WINDOW];
        if (!(*t)->text.done) break;
        code = bulk_file_write(&b->out, b->r->setup.dir, *t);
        free_text(b, *t);
        *t = NULL;
        b->n_written++;
    }
    return code;
}

/* On a terminal always, with -v elsewhere too, every so often. */
static void show_progress(bulk *b)
{
    const double now = console_now_ms(), ms = now - b->started;
    const size_t made = b->n_written - b->n_before, left = b->n - b->n_written;
    const double s = made > 0 ? ms / 1e3 * (double)left / (double)made : 0.0;
    char time[40] = "";

    if (made > 0)
        snprintf(time, sizeof time, ", %.0f:%02d:%02d left", floor(s / 3600.0),
                 (int)(s / 60.0) % 60, (int)s % 60);
    snprintf(b->progress, sizeof b->progress, "%zu of %zu texts, %.1f tokens per second%s",
             b->n_written, b->n, console_per_second(b->batch.n_eval, ms), time);
    if (args_verbose() && now - b->said > SAY_EVERY_MS) {
        console_say("%s", b->progress);
        b->said = now;
    }
    console_progress(b->progress, b->n_written, b->n);
}

static void say_end(const bulk *b, int code)
{
    const batch *x = &b->batch;
    char rate[40] = "";

    if (code == EXIT_INTERRUPTED)
        console_say("interrupted: %zu of %zu texts are written%s", b->n_written, b->n,
                    b->out.file == stdout ? "" : "; the same command goes on");
    if (code != EXIT_SUCCESS) return;
    /* The ends of prompts are fed with the tokens of other texts, and have no time of their own. */
    if (x->prompt_ms > 0.0)
        snprintf(rate, sizeof rate, ", %.1f per second",
                 console_per_second(x->n_many, x->prompt_ms));
    console_say("%zu texts%s; prompts: %zu tokens%s, %zu more were shared; texts: %zu tokens, "
                "%.1f per second", b->n - b->n_before, b->n_before > 0 ? " more" : "",
                x->n_prompt, rate, x->n_shared, x->n_eval,
                console_per_second(x->n_eval, x->eval_ms));
}

static int run(bulk *b)
{
    int code = EXIT_SUCCESS;

    b->started = b->said = console_now_ms();
    while (code == EXIT_SUCCESS && b->n_written < b->n) {
        code = fill_window(b);
        if (code == EXIT_SUCCESS) code = batch_step(&b->batch);
        if (code == EXIT_SUCCESS) code = write_done(b);
        show_progress(b);
    }
    console_progress_clear();
    say_end(b, code);
    return code;
}

int generate_lines(generate_run *r)
{
    bulk b = { .r = r, .name = r->flags->jsonl, .chat = CHAT_FORMAT };

    int code = text_read_plain(&b.input, b.name);
    if (code == EXIT_SUCCESS) code = find_lines(&b);
    if (code == EXIT_SUCCESS) code = check_lines(&b);
    if (code == EXIT_SUCCESS) code = bulk_file_open(&b.out, r->flags->output, b.name);
    if (code == EXIT_SUCCESS) code = open_all(&b);
    if (code == EXIT_SUCCESS) code = run(&b);
    code = bulk_file_close(&b.out, code);

    if (b.batch.setup) batch_close(&b.batch);
    for (size_t i = 0; i < WINDOW; i++) free_text(&b, b.text[i]);
    chat_format_close(&b.chat);
    free(b.place);
    free(b.input.bytes);
    return code;
}
