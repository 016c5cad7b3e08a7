/* cmd_generate.c - continue a text.
 *
 * The prompt is fed at once, then one token after the other is chosen, shown and fed. The text goes
 * to stdout, everything about it to stderr.
 */
#include "commands.h"

#include "chat_format.h"
#include "console.h"
#include "decoding.h"
#include "generation.h"
#include "json.h"
#include "loops.h"
#include "messages.h"
#include "option_texts.h"
#include "resume.h"
#include "sampling.h"
#include "setup.h"
#include "speculation.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { UNSAID = INT_MIN };

typedef struct flags {
    setup_flags    setup;
    sampling_flags sampling;
    const char    *prompt, *file, *session, *save, *cache;
    int            n_predict, n_context;
    speculation_flags guesses;
    int64_t        cache_bytes;
    arg_list       stops, bans;
    bool           loop_guard;
    bool           escapes, show_prompt, special, json, perf, chat;
} flags;

typedef struct times {                    /* milliseconds */
    double load, prompt, total;
} times;

typedef struct run {
    const command        *self;
    const flags          *flags;
    setup                 setup;
    bamba_sampler        *sampler;
    sampling              sampling;
    resume                resume;         /* of a session file */
    bamba_cache          *cache;
    size_t                n_before, n_cached;         /* tokens of the session file; that the cache had */
    speculation           guesses;
    bamba_sampler        *strict;         /* with DRY, for a while after a circle; NULL: no guard */
    text_buffer           prompt;
    option_texts          stops, bans;
    int32_t              *prompt_ids;     /* made by the tokenizer */
    int32_t              *joined;         /* a token that was to be fed, and prompt_ids */
    const int32_t        *fed;            /* one of them, or the begin token for an empty prompt */
    size_t                n_prompt;
    generation            out;
    decoding              decoding;
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
static int join_prompt(run *r)
{
    r->joined = malloc((r->n_prompt + 1) * sizeof *r->joined);
    if (!r->joined) return console_fail("out of memory");
    r->joined[0] = r->resume.pending;
    if (r->n_prompt > 0) memcpy(r->joined + 1, r->prompt_ids, r->n_prompt * sizeof *r->joined);
    r->fed = r->joined;
    r->n_prompt++;
    return EXIT_SUCCESS;
}

static int tokenize_prompt(run *r)
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
static int render_prompt(run *r)
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

/* ---- preparing ---- */

/* Print what has become certain; with --json the text is printed at the end. */
static int show(void *context)
{
    run   *r = context;
    size_t n;
    const char *text = generation_take(&r->out, &n);

    if (n == 0 || r->flags->json) return EXIT_SUCCESS;
    fwrite(text, 1, n, stdout);
    return console_flush();
}

/* Tokens of the prompt, and those that can be generated, must fit behind the session's. */
static int create_engine(run *r)
{
    const size_t position = bamba_session_position(r->setup.session);
    const size_t room = bamba_session_room(r->setup.session);
    const size_t more = r->out.limit >= 0 && (size_t)r->out.limit < room - r->n_prompt
                      ? (size_t)r->out.limit : 0;

    if (r->n_prompt > room)
        return console_fail("%s: %zu tokens, and %zu of the prompt, exceed the context; -c N makes it "
                            "longer", r->flags->session, position, r->n_prompt);
    return setup_create(&r->setup, &r->flags->setup, 0, position + r->n_prompt + more,
                        1 + r->guesses.most_rows);
}

/* Open the session file: how tokens are chosen is as it was, where options do not say. */
static int open_session(run *r, sampling_flags *how)
{
    const flags          *f = r->flags;
    bamba_session_options o = BAMBA_SESSION_OPTIONS;
    bamba_error           err = { BAMBA_OK, "" };

    if (!f->session) return EXIT_SUCCESS;
    o.n_context = (size_t)f->n_context;
    o.n_rewind = r->setup.n_rewind;
    o.adapters = r->setup.adapter.use;
    o.n_adapters = r->setup.adapter.n;
    const bamba_status status = bamba_session_open(&r->setup.session, r->setup.model, f->session, &o,
                                                   &err);
    if (status != BAMBA_OK) return console_fail_library(status, &err);
    r->n_before = bamba_session_position(r->setup.session);
    const int code = resume_read(&r->resume, r->setup.session, f->session);
    if (code == EXIT_SUCCESS) resume_fill(how, &r->resume);
    return code;
}

static int open_cache(run *r)
{
    const flags        *f = r->flags;
    bamba_cache_options o = BAMBA_CACHE_OPTIONS;
    bamba_error         err = { BAMBA_OK, "" };

    if (!f->cache) return EXIT_SUCCESS;
    o.max_bytes = (uint64_t)f->cache_bytes;
    o.log = console_log;
    const bamba_status status = bamba_cache_open(&r->cache, r->setup.model, f->cache, &o, &err);
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

/* A sampler that leaves circles. */
static int create_strict(run *r)
{
    sampling strict = r->sampling;

    if (!r->flags->loop_guard) return EXIT_SUCCESS;
    strict.options.dry_multiplier = 2.0f * strict.options.dry_multiplier + 1.0f;
    strict.options.dry_base = 1.75f;
    strict.options.dry_allowed_length = 2;
    strict.options.dry_penalty_last_n = 4 * LOOPS_TIMES * LOOPS_LONGEST;
    strict.options.dry_breakers = (const char *const[]){ "" };        /* circles go through any text */
    strict.options.n_dry_breakers = 0;
    strict.options.stages = NULL;         /* all of them, DRY too */
    return sampling_create(&r->strict, &strict, &r->setup);
}

/* The engine, and unless a file has it the session. */
static int create_session(run *r)
{
    const flags *f = r->flags;

    r->setup.n_logits = 1 + r->guesses.most_rows;
    return f->session ? create_engine(r)
         : setup_create_for_text(&r->setup, &f->setup, f->n_context, r->n_prompt, r->out.limit);
}

static int prepare(run *r)
{
    enum { REWIND = 64 };                 /* for guesses, and for what is saved */
    const flags *f = r->flags;
    const double start = console_now_ms();
    sampling_flags how = f->sampling;
    bamba_error err = { BAMBA_OK, "" };

    if (f->session && f->cache) return args_wrong(r->self, "either --session or --cache, not both");
    if (f->session && f->chat) return args_wrong(r->self, "either --session or --chat, not both");
    if (speculation_open(&r->guesses, &f->guesses, &err) != BAMBA_OK)
        return console_fail_library(err.code, &err);
    if (r->guesses.most_rows > 0 || f->save || f->loop_guard || r->out.n_bans > 0)
        r->setup.n_rewind = REWIND;

    int code = setup_open_tokenizer(&r->setup, &f->setup);
    if (code == EXIT_SUCCESS) code = setup_open_model(&r->setup, &f->setup);
    if (code == EXIT_SUCCESS) code = open_session(r, &how);
    if (code == EXIT_SUCCESS)
        code = sampling_resolve(&r->sampling, r->self, &how, &r->setup, f->escapes);
    if (code != EXIT_SUCCESS) return code;

    r->out.tokenizer = r->setup.tokenizer;
    r->out.model = r->setup.model;
    r->out.special = f->special;
    r->out.limit = f->n_predict != UNSAID ? f->n_predict
                   : r->setup.info.max_new_tokens ? r->setup.info.max_new_tokens : -1;
    code = f->chat ? render_prompt(r) : tokenize_prompt(r);
    if (code == EXIT_SUCCESS) code = create_session(r);
    if (code == EXIT_SUCCESS) code = open_cache(r);
    if (code == EXIT_SUCCESS) code = sampling_create(&r->sampler, &r->sampling, &r->setup);
    if (code == EXIT_SUCCESS) code = create_strict(r);
    if (code == EXIT_SUCCESS)
        code = speculation_open_draft(&r->guesses, &f->guesses, &r->setup, &f->setup, &r->sampling,
                                      f->sampling.seed >= 0 || f->session);
    r->decoding = (decoding){ .setup = &r->setup, .sampler = r->sampler, .out = &r->out,
                              .show = show, .context = r, .guesses = &r->guesses,
                              .strict = r->strict };
    r->times.load = console_now_ms() - start;
    return code;
}

/* ---- generating ---- */

/* Tokens that are not part of the text to come. */
static int take_tokens(run *r, const int32_t *ids, size_t n)
{
    const bamba_status status = generation_skip(&r->out, ids, n);
    return status == BAMBA_OK ? decoding_tell(&r->decoding, ids, n) : decoding_fail(status);
}

static int feed_prompt(run *r, const float **logits)
{
    bamba_session *s = r->setup.session;
    bamba_error err = { BAMBA_OK, "" };
    const double start = console_now_ms();

    int code = take_tokens(r, bamba_session_tokens(s), r->n_before);
    if (code == EXIT_SUCCESS) code = take_tokens(r, r->fed, r->n_prompt);
    if (code != EXIT_SUCCESS) return code;
    if (r->flags->session) bamba_sampler_set_state(r->sampler, &r->resume.state);
    setup_begin_prompt(r->n_prompt);
    const bamba_status status
        = r->cache ? bamba_cache_feed(r->cache, r->setup.engine, s, r->fed, r->n_prompt, logits,
                                      &r->n_cached, &err)
        : bamba_feed(r->setup.engine, s, r->fed, r->n_prompt, logits, &err);
    console_progress_clear();
    r->times.prompt = console_now_ms() - start;
    if (status == BAMBA_OK) return EXIT_SUCCESS;
    r->n_prompt = bamba_session_position(s) - r->n_before;
    return status == BAMBA_ERR_CANCELLED ? EXIT_INTERRUPTED : console_fail_library(status, &err);
}

/* Write the session: where it ends the last token that was chosen has not been fed. */
static int save(const run *r)
{
    const bool has_chosen = r->out.n_ids > 0;

    if (!r->flags->save) return EXIT_SUCCESS;
    return resume_save(r->setup.session, r->flags->save,
                       has_chosen ? r->out.ids[r->out.n_ids - 1] : -1, &r->sampling, r->sampler);
}

/* ---- reporting ---- */

static double per_second(size_t n, double ms)
{
    return ms > 0.0 ? 1e3 * (double)n / ms : 0.0;
}

static const char *format_seed(const run *r, char *out, size_t size)
{
    *out = '\0';
    if (sampling_draws(&r->sampling) && !r->guesses.draft.q)      /* it gives the text again */
        snprintf(out, size, "seed = %llu, ", (unsigned long long)r->sampling.options.seed);
    return out;
}

static const char *format_cached(const run *r, char *out, size_t size)
{
    *out = '\0';
    if (r->cache) snprintf(out, size, ", %zu of them from the cache", r->n_cached);
    return out;
}

static void print_summary(const run *r)
{
    const times *t = &r->times;
    const decoding *d = &r->decoding;
    char seed[40], cached[60], guesses[90];

    console_say("%sprompt: %zu tokens, %.1f per second%s; text: %zu tokens, %.1f per second%s; end: %s",
                format_seed(r, seed, sizeof seed), r->n_prompt, per_second(r->n_prompt, t->prompt),
                format_cached(r, cached, sizeof cached), r->out.n_ids,
                per_second(d->n_eval, d->eval_ms), speculation_summary(&r->guesses, guesses, sizeof guesses),
                generation_end_name(r->out.end));
}

static void print_times(const run *r)
{
    const times *t = &r->times;
    const decoding *d = &r->decoding;
    char seed[40];
    const double per_token = r->n_prompt ? t->prompt / (double)r->n_prompt : 0.0;
    const double per_run = d->n_eval ? d->eval_ms / (double)d->n_eval : 0.0;

    sampling_print(&r->sampling, format_seed(r, seed, sizeof seed));
    console_say("finish reason    = %s", generation_end_name(r->out.end));
    console_say("load time        = %10.2f ms", t->load);
    console_say("prompt eval time = %10.2f ms / %5zu tokens (%8.2f ms per token, %8.2f tokens "
                "per second)", t->prompt, r->n_prompt, per_token,
                per_second(r->n_prompt, t->prompt));
    console_say("eval time        = %10.2f ms / %5zu runs   (%8.2f ms per token, %8.2f tokens "
                "per second)", d->eval_ms, d->n_eval, per_run, per_second(d->n_eval, d->eval_ms));
    speculation_print(&r->guesses);
    console_say("sampling time    = %10.2f ms / %5zu runs", d->sampling_ms, r->out.n_ids);
    console_say("total time       = %10.2f ms / %5zu tokens", t->total,
                r->n_prompt + d->n_eval);
}

static int print_json(const run *r)
{
    const times *t = &r->times;
    const decoding *d = &r->decoding;
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
    json_add_uint(&timings, "n_eval", d->n_eval);
    if (r->cache) json_add_uint(&timings, "n_cached", r->n_cached);
    speculation_add_json(&r->guesses, &timings);
    json_add_fixed(&timings, "load_ms", t->load, 3);
    json_add_fixed(&timings, "prompt_ms", t->prompt, 3);
    json_add_fixed(&timings, "eval_ms", d->eval_ms, 3);
    json_add_fixed(&timings, "sampling_ms", d->sampling_ms, 3);
    json_add_fixed(&timings, "total_ms", t->total, 3);
    json_add_fixed(&timings, "prompt_per_second", per_second(r->n_prompt, t->prompt), 3);
    json_add_fixed(&timings, "eval_per_second", per_second(d->n_eval, d->eval_ms), 3);
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
    if (f->show_prompt && !f->chat && !f->json &&
        (code == EXIT_SUCCESS || code == EXIT_INTERRUPTED)) {
        if (r->prompt.n > 0) fwrite(r->prompt.bytes, 1, r->prompt.n, stdout);
        if (console_flush() != EXIT_SUCCESS) return EXIT_FAILURE;
    }
    if (code == EXIT_SUCCESS) code = decoding_run(&r->decoding, logits);
    if (code != EXIT_SUCCESS && code != EXIT_INTERRUPTED) return code;

    const bamba_status status = generation_finish(
        &r->out, code == EXIT_INTERRUPTED ? GENERATION_INTERRUPT : GENERATION_LENGTH);
    if (status != BAMBA_OK) return decoding_fail(status);
    r->times.total = console_now_ms() - start;
    if (show(r) != EXIT_SUCCESS || end_output(r) != EXIT_SUCCESS) return EXIT_FAILURE;
    if (save(r) != EXIT_SUCCESS) return EXIT_FAILURE;
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
    if (code == EXIT_SUCCESS) code = option_texts_read(&r.bans, self, "--ban", &f->bans, f->escapes);
    r.out.bans = r.bans.items;
    r.out.n_bans = r.bans.n;
    if (code == EXIT_SUCCESS) code = read_prompt(&r);
    if (code == EXIT_SUCCESS) code = prepare(&r);
    if (code == EXIT_SUCCESS) code = run_prompt(&r);

    sampling_free(&r.sampling);
    bamba_sampler_free(r.sampler);
    bamba_sampler_free(r.strict);
    bamba_cache_free(r.cache);
    speculation_close(&r.guesses);
    free(r.joined);
    if (r.setup.tokenizer) bamba_tokens_free(r.setup.tokenizer, r.prompt_ids);
    generation_free(&r.out);
    setup_close(&r.setup);
    free(r.prompt.bytes);
    option_texts_free(&r.stops);
    option_texts_free(&r.bans);
    return code;
}

int cmd_generate(const command *self, int argc, char **argv)
{
    flags f = { .setup = SETUP_FLAGS, .sampling = SAMPLING_FLAGS, .n_predict = UNSAID,
                .guesses = SPECULATION_FLAGS, .show_prompt = true, .escapes = true };
    const arg args[] = {
        SETUP_MODEL_ROW(&f.setup),
        ADAPTERS_ROW(&f.setup.adapter),
        ARG_TEXT_ROW("-p, --prompt", "TEXT", &f.prompt, "text to continue"),
        ARG_TEXT_ROW("-f, --file", "FILE", &f.file, "read it from a file, - for standard input",
                     .usual = "standard input", .more = "One newline at the end is not part of "
                     "the prompt. Text must be UTF-8."),
        TEXT_ESCAPE_ROW(&f.escapes),
        ARG_FLAG_ROW("--chat", &f.chat, "the prompt is one turn of a user, in the form of the "
                     "model's chat template", .more = "Only the answer is printed. bamba chat "
                     "goes on with the conversation."),
        ARG_INT_ROW("-n, --predict, --n-predict", "N", &f.n_predict, -2, INT_MAX,
                    "most tokens to generate; -1: until an end token or the context is full",
                    .usual = "max_new_tokens of generation_config.json, or -1"),
        ARG_INT_ROW("-c, --ctx-size", "N", &f.n_context, 0, SETUP_MOST_CONTEXT, "context length",
                    .usual = "0, the model's", .more = "A model without attention has no limit. "
                    "The model's length is lowered if there is not memory for it. A length "
                    "given that cannot be had is an error."),
        ARG_LIST_ROW("--stop", "TEXT", &f.stops, "end before this text; may be repeated",
                     .more = "The text itself is not printed."),
        ARG_LIST_ROW("--ban", "TEXT", &f.bans, "go back where this text appears, and on without the "
                     "token it began with; may be repeated"),
        ARG_FLAG_ROW("--loop-guard", &f.loop_guard, "where the text goes round in circles, go back to "
                     "the second round, and on with DRY", .more = "Circles of up to 64 tokens, three "
                     "times over. The last 192 tokens are shown at the end."),
        ARG_HEAD("Guesses"),
        SPECULATION_ROWS(&f.guesses),
        ARG_HEAD("Sessions"),
        ARG_TEXT_ROW("--save", "FILE", &f.save, "write the session at the end, to go on from",
                     .more = "With it how tokens are chosen, but for logit biases and sequence "
                     "breakers."),
        ARG_TEXT_ROW("--session", "FILE", &f.session, "go on from a saved session, and with -p from "
                     "a text behind it", .more = "Options that say how tokens are chosen change what "
                     "was saved; without them the text is the one that would have gone on."),
        ARG_TEXT_ROW("--cache", "DIR", &f.cache, "keep states of prompts in a directory, and go on "
                     "from the longest beginning that is there"),
        ARG_NUMBER_ROW(ARG_INT64, "--cache-bytes", "N", &f.cache_bytes, 0, 0x1p62,
                       "most bytes of it", .usual = "4294967296"),
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
    free(f.bans.items);
    sampling_free_flags(&f.sampling);
    setup_free_flags(&f.setup);
    return code;
}
