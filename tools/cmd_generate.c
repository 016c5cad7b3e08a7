/* cmd_generate.c - continue a text.
 *
 * The prompt is fed at once, then one token after the other is chosen, shown and fed. The text goes
 * to stdout, everything about it to stderr.
 */
#include "generate.h"

#include "batch.h"
#include "console.h"
#include "loops.h"

#include <stdio.h>
#include <stdlib.h>

enum { UNSAID = INT_MIN };

/* ---- preparing ---- */

/* Print what has become certain; with --json the text is printed at the end. */
static int show(void *context)
{
    generate_run *r = context;
    size_t n;
    const char *text = generation_take(&r->out, &n);

    if (n == 0 || r->flags->json) return EXIT_SUCCESS;
    fwrite(text, 1, n, stdout);
    return console_flush();
}

/* Tokens of the prompt, and those that can be generated, must fit behind the session's. */
static int create_engine(generate_run *r)
{
    const size_t position = bamba_session_position(r->setup.session);
    const size_t room = bamba_session_room(r->setup.session);
    const size_t more = r->out.limit >= 0 && (size_t)r->out.limit < room - r->n_prompt
                      ? (size_t)r->out.limit : 0;

    if (r->n_prompt > room)
        return console_fail("%s: %zu tokens, and %zu of the prompt, exceed the context; -c N "
                            "makes it longer", r->flags->session, position, r->n_prompt);
    return setup_create(&r->setup, &r->flags->setup, 0, position + r->n_prompt + more,
                        1 + r->guesses.most_rows);
}

/* Open the session file: how tokens are chosen is as it was, where options do not say. */
static int open_session(generate_run *r, sampling_flags *how)
{
    const generate_flags *f = r->flags;

    if (!f->session) return EXIT_SUCCESS;
    setup_set_session_options(&r->setup, &f->setup);
    r->setup.session_options.n_context = (size_t)f->n_context;
    int code = setup_open_session(&r->setup, f->session, &r->setup.session);
    if (code != EXIT_SUCCESS) return code;
    r->n_before = bamba_session_position(r->setup.session);
    code = resume_read(&r->resume, r->setup.session, f->session);
    if (code == EXIT_SUCCESS) resume_fill(how, &r->resume);
    return code;
}

static int open_cache(generate_run *r)
{
    const generate_flags *f = r->flags;
    bamba_cache_options   o = BAMBA_CACHE_OPTIONS;
    bamba_error           err = { BAMBA_OK, "" };

    if (!f->cache) return EXIT_SUCCESS;
    o.max_bytes = (uint64_t)f->cache_bytes;
    o.log = console_log;
    const bamba_status status = bamba_cache_open(&r->cache, r->setup.model, f->cache, &o, &err);
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

/* A sampler that leaves circles. */
static int create_strict(generate_run *r)
{
    sampling strict = r->sampling;

    if (!r->flags->loop_guard) return EXIT_SUCCESS;
    strict.options.dry_multiplier = 2.0f * strict.options.dry_multiplier + 1.0f;
    strict.options.dry_base = 1.75f;
    strict.options.dry_allowed_length = 2;
    strict.options.dry_penalty_last_n = 4 * LOOPS_TIMES * LOOPS_LONGEST;
    strict.options.dry_breakers = (const char *const[]){ "" };    /* circles go through all */
    strict.options.n_dry_breakers = 0;
    strict.options.stages = NULL;         /* all of them, DRY too */
    return sampling_create(&r->strict, &strict, &r->setup);
}

/* The engine, and unless a file has it the session. */
static int create_session(generate_run *r)
{
    const generate_flags *f = r->flags;

    r->setup.n_logits = 1 + r->guesses.most_rows;
    return f->session ? create_engine(r)
         : setup_create_for_text(&r->setup, &f->setup, f->n_context, r->n_prompt, r->out.limit);
}

int generate_open(generate_run *r)
{
    const generate_flags *f = r->flags;
    sampling_flags how = f->sampling;

    int code = setup_open_tokenizer(&r->setup, &f->setup);
    if (code == EXIT_SUCCESS) code = setup_open_model(&r->setup, &f->setup);
    if (code == EXIT_SUCCESS) code = open_session(r, &how);
    if (code == EXIT_SUCCESS)
        code = sampling_resolve(&r->sampling, r->self, &how, &r->setup, f->escapes);
    r->out.tokenizer = r->setup.tokenizer;
    r->out.model = r->setup.model;
    r->out.special = f->special;
    r->out.limit = f->n_predict != UNSAID ? f->n_predict
                   : r->setup.info.max_new_tokens ? r->setup.info.max_new_tokens : -1;
    return code;
}

static int prepare(generate_run *r)
{
    enum { REWIND = 64 };                 /* for guesses, and for what is saved */
    const generate_flags *f = r->flags;
    const double start = console_now_ms();
    bamba_error err = { BAMBA_OK, "" };

    if (speculation_open(&r->guesses, &f->guesses, &err) != BAMBA_OK)
        return console_fail_library(err.code, &err);
    if (r->guesses.most_rows > 0 || f->save || f->loop_guard || r->out.n_bans > 0)
        r->setup.n_rewind = REWIND;

    int code = generate_open(r);
    if (code == EXIT_SUCCESS) code = generate_tokenize_prompt(r);
    if (f->n_texts > 1) {
        r->times.load = console_now_ms() - start;
        return code;
    }
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
static int take_tokens(generate_run *r, const int32_t *ids, size_t n)
{
    const bamba_status status = generation_skip(&r->out, ids, n);
    return status == BAMBA_OK ? decoding_tell(&r->decoding, ids, n) : decoding_fail(status);
}

static int feed_prompt(generate_run *r, const float **logits)
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
static int save(const generate_run *r)
{
    const bool has_chosen = r->out.n_ids > 0;

    if (!r->flags->save) return EXIT_SUCCESS;
    return resume_save(r->setup.session, r->flags->save,
                       has_chosen ? r->out.ids[r->out.n_ids - 1] : -1, &r->sampling, r->sampler);
}

/* ---- the command ---- */

/* The end of what stands on stdout: the JSON object, or a newline if the text lacks one. */
static int end_output(generate_run *r)
{
    const bool empty = r->out.n_text == 0;
    const char *bytes = empty ? r->prompt.bytes : r->out.text;
    const size_t n = empty ? r->prompt.n : r->out.n_text;

    if (r->flags->json) return generate_print_json(r);
    if (n == 0 || bytes[n - 1] != '\n') putchar('\n');
    return EXIT_SUCCESS;
}

static int run_prompt(generate_run *r)
{
    const generate_flags *f = r->flags;
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
    generate_print_report(r);
    return code;
}

/* What cannot be had together. */
static int check_flags(const command *self, const generate_flags *f)
{
    const char *many = f->jsonl ? "--jsonl" : f->n_texts > 1 ? "-np" : NULL;
    const struct { const char *name; bool given; } alone[] = {
        { "--session", f->session != NULL }, { "--save", f->save != NULL },
        { "--cache", f->cache != NULL }, { "--lookup", f->guesses.n_lookup > 0 },
        { "--draft", f->guesses.draft.dir != NULL },
        { "--ban", f->bans.n > 0 }, { "--loop-guard", f->loop_guard },
    };

    if (setup_lacks_window(&f->setup)) return args_wrong(self, "--sink needs --window");
    if (f->session && f->cache) return args_wrong(self, "either --session or --cache, not both");
    if (f->session && f->chat) return args_wrong(self, "either --session or --chat, not both");
    for (size_t i = 0; many && i < sizeof alone / sizeof *alone; i++)
        if (alone[i].given)
            return args_wrong(self, "either %s or %s, not both", many, alone[i].name);
    if (f->jsonl && (f->prompt || f->file || f->best))
        return args_wrong(self, "either --jsonl or %s, not both",
                          f->prompt ? "-p" : f->file ? "-f" : "--best");
    if (f->output && !f->jsonl) return args_wrong(self, "-o is where results of --jsonl go");
    if (f->jsonl && f->n_texts > BATCH_MOST)
        return args_wrong(self, "-np: expected at most %d with --jsonl, found %d", BATCH_MOST,
                          f->n_texts);
    return EXIT_SUCCESS;
}

static int run_text(generate_run *r)
{
    int code = generate_read_prompt(r);

    if (code == EXIT_SUCCESS) code = prepare(r);
    if (code != EXIT_SUCCESS) return code;
    return r->flags->n_texts > 1 ? generate_many(r) : run_prompt(r);
}

static int generate_text(const command *self, const generate_flags *f)
{
    generate_run r = { .self = self, .flags = f, .setup = SETUP, .sampling = SAMPLING,
                       .out = GENERATION };

    console_catch_interrupt();
    int code = check_flags(self, f);
    if (code == EXIT_SUCCESS)
        code = option_texts_read(&r.stops, self, "--stop", &f->stops, f->escapes);
    r.out.stops = r.stops.items;
    r.out.n_stops = r.stops.n;
    if (code == EXIT_SUCCESS)
        code = option_texts_read(&r.bans, self, "--ban", &f->bans, f->escapes);
    r.out.bans = r.bans.items;
    r.out.n_bans = r.bans.n;
    if (code == EXIT_SUCCESS) code = f->jsonl ? generate_lines(&r) : run_text(&r);

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
    generate_flags f = { .setup = SETUP_FLAGS, .sampling = SAMPLING_FLAGS, .n_predict = UNSAID,
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
                    "given that cannot be had is an error. With --window 0 is no limit."),
        SETUP_WINDOW_ROWS(&f.setup),
        ARG_LIST_ROW("--stop", "TEXT", &f.stops, "end before this text; may be repeated",
                     .more = "The text itself is not printed."),
        ARG_LIST_ROW("--ban", "TEXT", &f.bans, "go back where this text appears, and on "
                     "without the token it began with; may be repeated"),
        ARG_FLAG_ROW("--loop-guard", &f.loop_guard, "where the text goes round in circles, go "
                     "back to the second round, and on with DRY", .more = "Circles of up to 64 "
                     "tokens, three times over. The last 192 tokens are shown at the end."),
        ARG_HEAD("Guesses"),
        SPECULATION_ROWS(&f.guesses),
        ARG_HEAD("Many texts"),
        ARG_INT_ROW("-np, --parallel, --n-best", "N", &f.n_texts, 1, 1024, "continue the prompt N "
                    "times, all together; with --jsonl: texts at once",
                    .usual = "1; 16 with --jsonl",
                    .more = "The prompt is fed once. The first text is drawn with the seed, each "
                    "one behind it with the next number. Before each stands a line about it, "
                    "and no prompt. With --json they are a list, continuations."),
        ARG_FLAG_ROW("--best", &f.best, "of these print only the one with the greatest mean "
                     "log-probability"),
        ARG_TEXT_ROW("--jsonl", "FILE", &f.jsonl, "continue the prompts of a file, an object a "
                     "line, - for standard input", .more = "{\"prompt\": TEXT} or {\"messages\": "
                     "LIST}, which go through the model's chat template; with them id (text or "
                     "integer), n_predict, stop (text or list) and what chooses tokens, named "
                     "as its options are: temperature, top_k, seed ... What a line does not say is "
                     "as the options say; the seed is theirs plus the number of lines before it. A "
                     "result has the members of --json, without timings, and "
                     "mean_log_probability. Each text is the one that its prompt alone gives."),
        ARG_TEXT_ROW("-o, --output", "FILE", &f.output, "where the results of --jsonl go, a "
                     "line each, in order", .usual = "standard output", .more = "Lines that are "
                     "there are checked against --jsonl and not made again: a run that was ended "
                     "is continued."),
        ARG_HEAD("Sessions"),
        ARG_TEXT_ROW("--save", "FILE", &f.save, "write the session at the end, to go on from",
                     .more = "With it how tokens are chosen, but for logit biases and sequence "
                     "breakers."),
        ARG_TEXT_ROW("--session", "FILE", &f.session, "go on from a saved session, and with "
                     "-p from a text behind it", .more = "Options that say how tokens are chosen "
                     "change what was saved; without them the text is the one that would have "
                     "gone on."),
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
