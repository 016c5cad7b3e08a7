/* cmd_generate.c - continue a text.
 *
 * The prompt is fed at once, then one token after the other is chosen, shown and fed. The text goes
 * to stdout, everything about it to stderr.
 */
#include "commands.h"

#include "console.h"
#include "generation.h"
#include "json.h"
#include "option_texts.h"
#include "sampling.h"
#include "setup.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { UNSAID = INT_MIN, CONTEXT_IF_UNSAID = 4096, MOST_CONTEXT = 1 << 30 };

typedef struct flags {
    setup_flags    setup;
    sampling_flags sampling;
    const char    *prompt, *file;
    int            n_predict, n_context;
    arg_list       stops;
    bool           escapes, show_prompt, special, json, perf;
} flags;

typedef struct times {                    /* milliseconds */
    double load, prompt, eval, sampling, total;
    size_t n_eval;                        /* tokens fed one by one */
} times;

typedef struct run {
    const command        *self;
    const flags          *flags;
    setup                 setup;
    bamba_sampler        *sampler;
    sampling              sampling;
    text_buffer           prompt;
    option_texts          stops;
    int32_t              *prompt_ids;     /* made by the tokenizer */
    const int32_t        *fed;            /* prompt_ids, or the begin token for an empty prompt */
    size_t                n_prompt;
    generation            out;
    times                 times;
} run;

/* ---- the prompt ---- */

static int read_prompt(run *r)
{
    const flags *f = r->flags;
    int code = EXIT_SUCCESS;

    if (f->prompt && f->file) return args_wrong(r->self, "either -p or -f, not both");
    if (f->prompt) {
        code = text_append_flag(&r->prompt, f->prompt, f->escapes);
    } else if (f->file || !isatty(STDIN_FILENO)) {
        code = text_read_plain(&r->prompt, f->file ? f->file : "-");
        text_chomp(&r->prompt);           /* it belongs to the file, not to the text to continue */
    } else {
        return args_wrong(r->self, "no prompt: -p TEXT, -f FILE, or standard input");
    }
    return code;
}

static int tokenize_prompt(run *r)
{
    const unsigned how = BAMBA_TOKENIZE_ADD_SPECIAL | BAMBA_TOKENIZE_PARSE_SPECIAL;
    const int code = setup_tokenize(&r->setup, r->prompt.bytes, r->prompt.n, how,
                                    &r->prompt_ids, &r->n_prompt);

    if (code != EXIT_SUCCESS) return code;
    r->fed = r->prompt_ids;
    if (r->n_prompt > 0) return EXIT_SUCCESS;
    if (r->setup.info.bos < 0)
        return console_fail("the prompt is empty, and the model names no begin token; "
                            "give a text with -p or -f");
    r->fed = &r->setup.info.bos;
    r->n_prompt = 1;
    return EXIT_SUCCESS;
}

/* ---- preparing ---- */

/* Decide how long the session may grow, and create it with an engine. */
static int create_session(run *r)
{
    const flags *f = r->flags;
    /* A model without attention keeps a constant state: only -c bounds it. */
    const bool grows = bamba_model_state_bytes(r->setup.model, MOST_CONTEXT) >
                       bamba_model_state_bytes(r->setup.model, 1);
    const size_t said = (size_t)(r->setup.info.n_context ? r->setup.info.n_context
                                 : grows ? CONTEXT_IF_UNSAID : MOST_CONTEXT);
    size_t n_context = f->n_context ? (size_t)f->n_context : said;
    size_t n_used = n_context;

    /* A state that does not grow has no limit but the one that is asked for. */
    if (f->n_context == 0 && bamba_model_state_bytes(r->setup.model, 1)
                             == bamba_model_state_bytes(r->setup.model, 0))
        return setup_create(&r->setup, &f->setup, 0, 0, 1);
    if (n_context > said && r->setup.info.n_context)
        console_warn("-c %zu: the model was made for %zu tokens; beyond them text may be poor",
                     n_context, said);
    if (r->n_prompt > n_context)
        return console_fail("the prompt has %zu tokens, the context holds %zu; -c N makes it "
                            "longer", r->n_prompt, n_context);
    if (r->out.limit >= 0 && (size_t)r->out.limit < n_context - r->n_prompt) {
        n_used = r->n_prompt + (size_t)r->out.limit;
        if (f->n_context == 0) n_context = n_used;    /* some models scale rotary positions by it */
    } else if (f->n_context == 0) {         /* the length is the model's: lower it to what fits */
        n_used = setup_fitting(&r->setup, n_context);
        if (n_used < r->n_prompt) n_used = r->n_prompt;
        if (n_used < n_context)
            console_warn("context lowered from %zu to %zu tokens, for want of memory", n_context,
                         n_used);
        n_context = n_used;
    }
    return setup_create(&r->setup, &f->setup, n_context, n_used, 1);
}

static int prepare(run *r)
{
    const flags *f = r->flags;
    const double start = console_now_ms();

    int code = setup_open_tokenizer(&r->setup, &f->setup);
    if (code == EXIT_SUCCESS) code = setup_open_model(&r->setup, &f->setup);
    if (code == EXIT_SUCCESS)
        code = sampling_resolve(&r->sampling, r->self, &f->sampling, &r->setup, f->escapes);
    if (code != EXIT_SUCCESS) return code;

    r->out.tokenizer = r->setup.tokenizer;
    r->out.model = r->setup.model;
    r->out.special = f->special;
    r->out.limit = f->n_predict != UNSAID ? f->n_predict
                   : r->setup.info.max_new_tokens ? r->setup.info.max_new_tokens : -1;
    code = tokenize_prompt(r);
    if (code == EXIT_SUCCESS) code = create_session(r);
    if (code != EXIT_SUCCESS) return code;
    code = sampling_create(&r->sampler, &r->sampling, &r->setup);
    r->times.load = console_now_ms() - start;
    return code;
}

/* ---- generating ---- */

static int fail_generation(bamba_status status)
{
    return console_fail("generating: %s", bamba_status_string(status));
}

/* Print what has become certain; with --json the text is printed at the end. */
static int show(run *r)
{
    size_t n;
    const char *text = generation_take(&r->out, &n);

    if (n == 0 || r->flags->json) return EXIT_SUCCESS;
    fwrite(text, 1, n, stdout);
    return console_flush();
}

static int feed_prompt(run *r, const float **logits)
{
    bamba_error err = { BAMBA_OK, "" };
    const double start = console_now_ms();

    for (size_t i = 0; i < r->n_prompt; i++) bamba_sampler_accept(r->sampler, r->fed[i]);
    bamba_status status = generation_skip(&r->out, r->fed, r->n_prompt);
    if (status != BAMBA_OK) return fail_generation(status);
    setup_begin_prompt(r->n_prompt);
    status = bamba_feed(r->setup.engine, r->setup.session, r->fed, r->n_prompt, logits, &err);
    console_progress_clear();
    r->times.prompt = console_now_ms() - start;
    if (status == BAMBA_OK) return EXIT_SUCCESS;
    r->n_prompt = bamba_session_position(r->setup.session);
    return status == BAMBA_ERR_CANCELLED ? EXIT_INTERRUPTED : console_fail_library(status, &err);
}

/* Choose a token, put it into the text and show that. */
static int choose(run *r, const float *logits, int32_t *id)
{
    const double start = console_now_ms();
    *id = bamba_sample(r->sampler, logits);
    bamba_sampler_accept(r->sampler, *id);
    r->times.sampling += console_now_ms() - start;

    const bamba_status status = generation_put(&r->out, *id, bamba_session_room(r->setup.session));
    if (status != BAMBA_OK) return fail_generation(status);
    return show(r);
}

static int generate(run *r, const float *logits)
{
    bamba_error err = { BAMBA_OK, "" };
    int32_t id;

    if (r->out.limit == 0) return EXIT_SUCCESS;
    for (;;) {
        if (console_interrupted()) return EXIT_INTERRUPTED;
        const int code = choose(r, logits, &id);
        if (code != EXIT_SUCCESS || r->out.end != GENERATION_RUNNING) return code;

        const double start = console_now_ms();
        const bamba_status status = bamba_feed(r->setup.engine, r->setup.session, &id, 1, &logits,
                                               &err);
        r->times.eval += console_now_ms() - start;
        r->times.n_eval += status == BAMBA_OK;
        if (status == BAMBA_ERR_CANCELLED) return EXIT_INTERRUPTED;
        if (status != BAMBA_OK) return console_fail_library(status, &err);
    }
}

/* ---- reporting ---- */

static double per_second(size_t n, double ms)
{
    return ms > 0.0 ? 1e3 * (double)n / ms : 0.0;
}

static const char *format_seed(const run *r, char *out, size_t size)
{
    *out = '\0';
    if (sampling_draws(&r->sampling))
        snprintf(out, size, "seed = %llu, ", (unsigned long long)r->sampling.options.seed);
    return out;
}

static void print_summary(const run *r)
{
    const times *t = &r->times;
    char seed[40];

    console_say("%sprompt: %zu tokens, %.1f per second; text: %zu tokens, %.1f per second; end: %s",
                format_seed(r, seed, sizeof seed), r->n_prompt, per_second(r->n_prompt, t->prompt),
                r->out.n_ids, per_second(t->n_eval, t->eval), generation_end_name(r->out.end));
}

static void print_times(const run *r)
{
    const times *t = &r->times;
    char seed[40];
    const double per_token = r->n_prompt ? t->prompt / (double)r->n_prompt : 0.0;
    const double per_run = t->n_eval ? t->eval / (double)t->n_eval : 0.0;

    sampling_print(&r->sampling, format_seed(r, seed, sizeof seed));
    console_say("finish reason    = %s", generation_end_name(r->out.end));
    console_say("load time        = %10.2f ms", t->load);
    console_say("prompt eval time = %10.2f ms / %5zu tokens (%8.2f ms per token, %8.2f tokens "
                "per second)", t->prompt, r->n_prompt, per_token,
                per_second(r->n_prompt, t->prompt));
    console_say("eval time        = %10.2f ms / %5zu runs   (%8.2f ms per token, %8.2f tokens "
                "per second)", t->eval, t->n_eval, per_run, per_second(t->n_eval, t->eval));
    console_say("sampling time    = %10.2f ms / %5zu runs", t->sampling, r->out.n_ids);
    console_say("total time       = %10.2f ms / %5zu tokens", t->total,
                r->n_prompt + t->n_eval);
}

static int print_json(const run *r)
{
    const times *t = &r->times;
    json all = JSON_OBJECT, parameters = JSON_OBJECT, timings = JSON_OBJECT;

    json_add_string(&all, "model", r->setup.dir);
    json_add_text(&all, "prompt", r->prompt.bytes, r->prompt.n);
    json_add_ids(&all, "prompt_ids", r->fed, r->n_prompt);
    json_add_text(&all, "text", r->out.text, r->out.n_text);
    json_add_ids(&all, "ids", r->out.ids, r->out.n_ids);
    json_add_string(&all, "finish", generation_end_name(r->out.end));

    sampling_add_json(&r->sampling, &parameters);
    json_add_object(&all, "parameters", &parameters);

    json_add_uint(&timings, "n_prompt", r->n_prompt);
    json_add_uint(&timings, "n_eval", t->n_eval);
    json_add_fixed(&timings, "load_ms", t->load, 3);
    json_add_fixed(&timings, "prompt_ms", t->prompt, 3);
    json_add_fixed(&timings, "eval_ms", t->eval, 3);
    json_add_fixed(&timings, "sampling_ms", t->sampling, 3);
    json_add_fixed(&timings, "total_ms", t->total, 3);
    json_add_fixed(&timings, "prompt_per_second", per_second(r->n_prompt, t->prompt), 3);
    json_add_fixed(&timings, "eval_per_second", per_second(t->n_eval, t->eval), 3);
    json_add_object(&all, "timings", &timings);
    return json_print(&all);
}

/* ---- the command ---- */

/* The end of what stands on stdout: the JSON object, or a newline if the text lacks one. */
static int end_output(run *r)
{
    const bool empty = r->out.n_text == 0;
    const char *bytes = empty ? r->prompt.bytes : r->out.text;
    const size_t n = empty ? r->prompt.n : r->out.n_text;

    if (r->flags->json) return print_json(r);
    if (n == 0 || bytes[n - 1] != '\n') putchar('\n');
    return EXIT_SUCCESS;
}

static int run_prompt(run *r)
{
    const flags *f = r->flags;
    const float *logits = NULL;
    const double start = console_now_ms();

    int code = feed_prompt(r, &logits);
    if (f->show_prompt && !f->json && (code == EXIT_SUCCESS || code == EXIT_INTERRUPTED)) {
        fwrite(r->prompt.bytes, 1, r->prompt.n, stdout);
        if (console_flush() != EXIT_SUCCESS) return EXIT_FAILURE;
    }
    if (code == EXIT_SUCCESS) code = generate(r, logits);
    if (code != EXIT_SUCCESS && code != EXIT_INTERRUPTED) return code;

    const bamba_status status = generation_finish(
        &r->out, code == EXIT_INTERRUPTED ? GENERATION_INTERRUPT : GENERATION_LENGTH);
    if (status != BAMBA_OK) return fail_generation(status);
    r->times.total = console_now_ms() - start;
    if (show(r) != EXIT_SUCCESS || end_output(r) != EXIT_SUCCESS) return EXIT_FAILURE;
    code = console_finish(code);
    if (code == EXIT_FAILURE) return code;
    if (f->perf || args_verbose()) print_times(r);
    else print_summary(r);
    return code;
}

static int generate_text(const command *self, const flags *f)
{
    run r = { .self = self, .flags = f, .setup = SETUP, .sampling = SAMPLING,
              .out = GENERATION };

    console_catch_interrupt();
    int code = option_texts_read(&r.stops, self, "--stop", &f->stops, f->escapes);
    r.out.stops = r.stops.items;
    r.out.n_stops = r.stops.n;
    if (code == EXIT_SUCCESS) code = read_prompt(&r);
    if (code == EXIT_SUCCESS) code = prepare(&r);
    if (code == EXIT_SUCCESS) code = run_prompt(&r);

    sampling_free(&r.sampling);
    bamba_sampler_free(r.sampler);
    if (r.setup.tokenizer) bamba_tokens_free(r.setup.tokenizer, r.prompt_ids);
    generation_free(&r.out);
    setup_close(&r.setup);
    free(r.prompt.bytes);
    option_texts_free(&r.stops);
    return code;
}

int cmd_generate(const command *self, int argc, char **argv)
{
    flags f = { .setup = SETUP_FLAGS, .sampling = SAMPLING_FLAGS, .n_predict = UNSAID,
                .show_prompt = true, .escapes = true };
    const arg args[] = {
        SETUP_MODEL_ROW(&f.setup),
        ADAPTERS_ROW(&f.setup.adapter),
        ARG_TEXT_ROW("-p, --prompt", "TEXT", &f.prompt, "text to continue"),
        ARG_TEXT_ROW("-f, --file", "FILE", &f.file, "read it from a file, - for standard input",
                     .usual = "standard input", .more = "One newline at the end is not part of "
                     "the prompt. Text must be UTF-8."),
        TEXT_ESCAPE_ROW(&f.escapes),
        ARG_INT_ROW("-n, --predict, --n-predict", "N", &f.n_predict, -2, INT_MAX,
                    "most tokens to generate; -1: until an end token or the context is full",
                    .usual = "max_new_tokens of generation_config.json, or -1"),
        ARG_INT_ROW("-c, --ctx-size", "N", &f.n_context, 0, MOST_CONTEXT, "context length",
                    .usual = "0, the model's", .more = "A model without attention has no limit. "
                    "The model's length is lowered if there is not memory for it. A length "
                    "given that cannot be had is an error."),
        ARG_LIST_ROW("--stop", "TEXT", &f.stops, "end before this text; may be repeated",
                     .more = "The text itself is not printed."),
        SAMPLING_ROWS(&f.sampling),
        ARG_HEAD("Output"),
        ARG_UNFLAG_ROW("--no-display-prompt", &f.show_prompt, "print only what is generated"),
        ARG_FLAG_ROW("--special, -sp", &f.special, "print special tokens too"),
        ARG_FLAG_ROW("--json", &f.json, "one JSON object instead of text", .more = "It has model, "
                     "prompt, prompt_ids, text, ids (every token chosen, the end token too), "
                     "finish (length, end, stop, context or interrupt), parameters and timings."),
        ARG_FLAG_ROW("--perf", &f.perf, "a table of times instead of one line, as with -v"),
        SETUP_TYPE_ROWS(&f.setup),
        SETUP_BATCH_ROW(&f.setup),
        ARG_END
    };
    int code = args_read(self, args, argc, argv);
    if (code == ARGS_READ) code = generate_text(self, &f);
    free(f.stops.items);
    sampling_free_flags(&f.sampling);
    setup_free_flags(&f.setup);
    return code;
}
