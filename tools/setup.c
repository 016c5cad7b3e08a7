/* setup.c - from the flags of a command to a model, a tokenizer, an engine and a session. */
#include "setup.h"

#include "console.h"
#include "hub.h"
#include "machine.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CONTEXT_IF_UNSAID = 4096, MOST_LOGITS_BYTES = 64 << 20, MOST_LOGITS_ROWS = 512 };

/* For sessions that go back. */
enum { REWIND_TOKENS = 32, SNAPSHOT_TOKENS = 256, SNAPSHOT_BYTES = 1 << 29 };

/* In the order of bamba_type. */
const char *const setup_weight_types[] = { "stored", "f32", "bf16", "f16", "q8", "q4", NULL };
const char *const setup_kv_types[]     = { "default", "f32", "bf16", "f16", "q8", "q8_0", NULL };
const char *const setup_state_types[]  = { "default", "f32", "bf16", "q8", NULL };
const char *const setup_compute_types[] = { "fastest", "f32", NULL };
const char *const setup_cpu_levels[] = {
    "c", "avx2", "avxvnni", "avx512", "avx512vnni", "avx512bf16", NULL
};

/* llama.cpp's name of int8 with scales is the last. */
bamba_type setup_kv_type(int word)
{
    return (bamba_type)(word > BAMBA_TYPE_Q8 ? BAMBA_TYPE_Q8 : word);
}

bamba_type setup_state_type(int word)
{
    return (bamba_type)(word > BAMBA_TYPE_BF16 ? BAMBA_TYPE_Q8 : word);
}

const char *setup_type_name(bamba_type type)
{
    return type == BAMBA_TYPE_F8 ? "f8"
         : type > BAMBA_TYPE_DEFAULT && type <= BAMBA_TYPE_Q4 ? setup_weight_types[type] : "other";
}

int setup_find(setup *s, const setup_flags *f)
{
    char name[sizeof s->found];

    if (s->dir) return EXIT_SUCCESS;
    if (!f->dir && !machine_find_model(name, sizeof name))
        return console_fail("no model: none lies beside this program; name one with -m DIR or "
                            "BAMBA_MODEL=DIR");
    const int code = setup_locate(f->dir ? f->dir : name, s->found, sizeof s->found);
    if (code == EXIT_SUCCESS) s->dir = s->found;
    return code;
}

int setup_locate(const char *name, char *dir, size_t size)
{
    char cache[PATH_MAX];

    if (hub_find(name, dir, size)) return EXIT_SUCCESS;
    if (access(name, F_OK) == 0 || errno != ENOENT)
        return snprintf(dir, size, "%s", name) < (int)size
                   ? EXIT_SUCCESS : console_fail("%s: the path is too long", name);
    if (!hub_is_name(name))
        return console_fail("%s: no such directory (bamba models lists what is here)", name);
    hub_cache(cache, sizeof cache);
    return console_fail("%s: no such directory, and no model of that name in %s; to get it: "
                        "hf download %s", name, cache, name);
}

int setup_open_tokenizer(setup *s, const setup_flags *f)
{
    bamba_tokenizer_options o = BAMBA_TOKENIZER_OPTIONS;
    bamba_error err = { BAMBA_OK, "" };

    const int code = setup_find(s, f);
    if (code != EXIT_SUCCESS) return code;
    o.log = console_log;
    const bamba_status status = bamba_tokenizer_open(&s->tokenizer, s->dir, &o, &err);
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

int setup_model_options(setup *s, const setup_flags *f, bamba_model_options *o)
{
    static char what[] = "loading";

    *o = (bamba_model_options)BAMBA_MODEL_OPTIONS;
    o->weight_type = (bamba_type)f->weight_type;
    o->kv_type = setup_kv_type(f->kv_type);
    o->state_type = setup_state_type(f->state_type);
    o->compute_type = (bamba_type)f->compute_type;
    o->cpu = f->cpu;
    o->calibration = f->calibration;
    o->copy_weights = f->copy;
    o->strict = f->strict;
    o->n_threads = f->n_threads;
    o->progress = console_progress;
    o->progress_context = what;
    o->log = console_log;
    const int code = type_rules_read(&s->rules, &f->type_of);
    o->type_rules = s->rules.rule;
    o->n_type_rules = s->rules.n;
    return code;
}

static void set_window(const setup_flags *f, bamba_session_options *o)
{
    o->n_window = (size_t)f->n_window;
    o->n_sink = f->n_window == 0 || f->n_sink < 0 ? 0 : f->n_sink > 0 ? f->n_sink : -1;
}

void setup_free_flags(setup_flags *f)
{
    free(f->type_of.items);
    free(f->adapter.items);
    f->type_of = f->adapter = (arg_list){ NULL, 0 };
}

int setup_open_model(setup *s, const setup_flags *f)
{
    bamba_model_options o;
    bamba_error err = { BAMBA_OK, "" };

    int code = setup_find(s, f);
    if (code == EXIT_SUCCESS) code = setup_model_options(s, f, &o);
    if (code != EXIT_SUCCESS) return code;
    bamba_status status = bamba_model_open(&s->model, s->dir, &o, &err);
    if (status == BAMBA_OK) status = bamba_model_info_get(s->model, &s->info);
    console_progress_clear();
    if (status != BAMBA_OK) return console_fail_library(status, &err);
    return adapters_open(&s->adapter, s->model, &f->adapter);
}

size_t setup_fitting(const setup *s, size_t most)
{
    const uint64_t free_bytes = bamba_free_memory();
    size_t fits = 0;

    while (fits < most) {                 /* bisection of [fits, most] */
        const size_t middle = most - (most - fits) / 2;
        if (bamba_model_state_bytes(s->model, middle) <= free_bytes) fits = middle;
        else most = middle - 1;
    }
    return fits;
}

static char reading[] = "reading the prompt";

void setup_begin_prompt(size_t n)
{
    if (n > 1) console_progress(reading, 0, n);
}

/* Tokens fed by calls that are over, and by the call that runs, whose progress callback says how
   many of its own are done. */
static uint64_t fed_before, fed_now;

uint64_t setup_count_fed(void) { return fed_before + fed_now; }

/* Show the progress of prompts; a call that feeds one token is over at once. */
static int show_feeding(void *context, uint64_t done, uint64_t total)
{
    if (done <= fed_now) fed_before += fed_now;
    fed_now = done;
    if (done == total) {
        fed_before += done;
        fed_now = 0;
    }
    return total > 1 ? console_progress(context, done, total) : console_cancel(NULL);
}

/* Bytes of what a session remembers at its end. */
static uint64_t state_bytes(const setup *s, const setup_flags *f, size_t n_used)
{
    bamba_session_options o = BAMBA_SESSION_OPTIONS;

    if (f->n_window == 0) return bamba_model_state_bytes(s->model, n_used);
    set_window(f, &o);
    return bamba_session_bytes(s->model, &o, n_used);
}

void setup_set_session_options(setup *s, const setup_flags *f)
{
    bamba_session_options *o = &s->session_options;

    o->adapters = s->adapter.use;
    o->n_adapters = s->adapter.n;
    o->n_rewind = s->n_rewind;
    if (s->goes_back) {
        const uint64_t free_bytes = bamba_free_memory();
        o->n_rewind = REWIND_TOKENS;
        o->snapshot_tokens = SNAPSHOT_TOKENS;
        o->snapshot_bytes = free_bytes / 8 < SNAPSHOT_BYTES ? free_bytes / 8 : SNAPSHOT_BYTES;
    }
    set_window(f, o);
}

int setup_create_engine(setup *s, const setup_flags *f, int n_logits, int n_hidden,
                        bool shows_prompts)
{
    bamba_engine_options e = BAMBA_ENGINE_OPTIONS;
    bamba_error err = { BAMBA_OK, "" };

    setup_set_session_options(s, f);
    e.n_threads = f->n_threads;
    e.n_batch = f->n_batch;
    e.n_logits = n_logits;
    e.n_hidden = n_hidden;
    e.cancel = console_cancel;
    if (shows_prompts) {
        e.progress = show_feeding;
        e.progress_context = reading;
    }
    const bamba_status status = bamba_engine_create(&s->engine, s->model, &e, &err);
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

int setup_create(setup *s, const setup_flags *f, size_t n_context, size_t n_used, int n_logits)
{
    bamba_error err = { BAMBA_OK, "" };
    const uint64_t needed = state_bytes(s, f, n_used);
    const uint64_t free_bytes = bamba_free_memory();

    if (needed > free_bytes)
        return console_fail("out of memory: a context of %zu tokens needs %.1f MiB, %.1f MiB are "
                            "free; a shorter one needs less", n_used,
                            (double)needed / 0x1p20, (double)free_bytes / 0x1p20);
    const int code = setup_create_engine(s, f, n_logits, 0, true);
    s->session_options.n_context = n_context;
    if (code != EXIT_SUCCESS || s->session) return code;
    const bamba_status status = bamba_session_create(&s->session, s->model, &s->session_options,
                                                     &err);
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

/* The most tokens a text should have: what the model was made for, or what is usual. Models without
   attention keep a constant state: only -c bounds them. */
static size_t find_length(const setup *s)
{
    const bool grows = bamba_model_state_bytes(s->model, SETUP_MOST_CONTEXT) >
                       bamba_model_state_bytes(s->model, 1);
    return (size_t)(s->info.n_context ? s->info.n_context
                    : grows ? CONTEXT_IF_UNSAID : SETUP_MOST_CONTEXT);
}

/* A state that does not grow has no limit but the one that is asked for. */
static bool is_endless(const setup *s, const setup_flags *f, int length)
{
    return length == 0
           && (bamba_model_state_bytes(s->model, 1) == bamba_model_state_bytes(s->model, 0)
               || f->n_window > 0);
}

static void warn_of_length(const setup *s, const setup_flags *f, size_t n_context)
{
    if (f->n_window == 0 && s->info.n_context && n_context > (size_t)s->info.n_context)
        console_warn("-c %zu: the model was made for %d tokens; beyond them text may be poor",
                     n_context, s->info.n_context);
}

/* The model's length, lowered to what fits into memory and holds n_least tokens. */
static size_t lower_length(const setup *s, size_t n_context, size_t n_least)
{
    size_t n = setup_fitting(s, n_context);

    if (n < n_least) n = n_least;
    if (n < n_context)
        console_warn("context lowered from %zu to %zu tokens, for want of memory", n_context, n);
    return n;
}

size_t setup_find_context(const setup *s, const setup_flags *f, int length)
{
    if (is_endless(s, f, length)) return 0;
    if (length == 0) return lower_length(s, find_length(s), 1);
    warn_of_length(s, f, (size_t)length);
    return (size_t)length;
}

int setup_create_for_text(setup *s, const setup_flags *f, int length, size_t n_prompt, int limit)
{
    const int n_logits = s->n_logits > 0 ? s->n_logits : 1;
    size_t n_context = length ? (size_t)length : find_length(s);
    size_t n_used = n_context;

    if (is_endless(s, f, length)) return setup_create(s, f, 0, 0, n_logits);
    warn_of_length(s, f, n_context);
    if (n_prompt > n_context)
        return console_fail("the prompt has %zu tokens, the context holds %zu; -c N makes it "
                            "longer", n_prompt, n_context);
    if (limit >= 0 && (size_t)limit < n_context - n_prompt) {
        n_used = n_prompt + (size_t)limit;
        if (length == 0) n_context = n_used;          /* some models scale rotary positions by it */
    } else if (length == 0) {
        n_context = n_used = lower_length(s, n_context, n_prompt);
    }
    return setup_create(s, f, n_context, n_used, n_logits);
}

int setup_open_session(const setup *s, const char *path, bamba_session **out)
{
    bamba_error err = { BAMBA_OK, "" };
    const bamba_status status = bamba_session_open(out, s->model, path, &s->session_options, &err);

    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

void setup_close(setup *s)
{
    bamba_session_free(s->session);
    bamba_engine_free(s->engine);
    adapters_close(&s->adapter);
    bamba_model_free(s->model);
    bamba_tokenizer_free(s->tokenizer);
    type_rules_free(&s->rules);
}

int setup_tokenize(const setup *s, const char *bytes, size_t n, unsigned flags, int32_t **ids,
                   size_t *n_ids)
{
    bamba_error err = { BAMBA_OK, "" };
    const bamba_status status = bamba_tokenize(s->tokenizer, bytes ? bytes : "", n, flags, ids,
                                               n_ids, &err);
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

int setup_find_begin(const setup *s, int32_t *begin)
{
    int32_t *plain = NULL, *with = NULL;
    size_t n_plain = 0, n_with = 0;

    *begin = -1;
    int code = setup_tokenize(s, "a", 1, 0, &plain, &n_plain);
    if (code == EXIT_SUCCESS)
        code = setup_tokenize(s, "a", 1, BAMBA_TOKENIZE_ADD_SPECIAL, &with, &n_with);
    if (code == EXIT_SUCCESS && n_with > n_plain && n_plain > 0 && with[0] != plain[0])
        *begin = with[0];
    bamba_tokens_free(s->tokenizer, plain);
    bamba_tokens_free(s->tokenizer, with);
    return code;
}

size_t setup_logits_rows(const setup *s)
{
    const size_t fit = MOST_LOGITS_BYTES / sizeof(float) / (size_t)s->info.n_vocab;
    return fit < 1 ? 1 : fit > MOST_LOGITS_ROWS ? MOST_LOGITS_ROWS : fit;
}
