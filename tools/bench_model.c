/* bench_model.c - from the name of a shape or a directory to a model that may be measured. */
#include "bench.h"

#include "console.h"
#include "machine.h"
#include "setup.h"

#include <stdlib.h>
#include <string.h>

int bench_find(bench_source *s, const char *name, size_t n_bytes, bool is_shape)
{
    const size_t size = sizeof s->name;
    setup_flags flags = SETUP_FLAGS;
    setup found = SETUP;

    s->is_shape = is_shape;
    if (name && snprintf(s->name, size, "%.*s", (int)n_bytes, name) >= (int)size)
        return console_fail("%s: the name is too long", name);
    if (is_shape)
        return machine_find_shape(s->name, s->config, size) ? EXIT_SUCCESS : console_fail(
            "no shape '%s': expected one of models/shapes, without .json, or a file", s->name);
    flags.dir = name ? s->name : NULL;
    const int code = setup_find(&found, &flags);
    if (code != EXIT_SUCCESS) return code;
    if (!name) snprintf(s->name, size, "%s", found.dir);
    snprintf(s->dir, size, "%s", found.dir);
    if (snprintf(s->config, size, "%s/config.json", s->dir) < (int)size) return EXIT_SUCCESS;
    return console_fail("%s: the name is too long", s->name);
}

const char *const bench_loads[] = { "auto", "mmap", "none", NULL };

static bamba_model_options model_options(const bench_options *o, const int *setting)
{
    static char what[] = "loading";
    bamba_model_options m = BAMBA_MODEL_OPTIONS;

    m.weight_type = (bamba_type)setting[BENCH_TYPE];
    m.kv_type = setup_kv_type(setting[BENCH_KV]);
    m.state_type = setup_state_type(setting[BENCH_STATE]);
    m.cpu = o->cpu;
    m.type_rules = o->rules.rule;
    m.n_type_rules = o->rules.n;
    m.n_threads = setting[BENCH_THREADS];
    m.copy_weights = setting[BENCH_LOAD] == BENCH_COPIED;
    m.progress = console_progress;
    m.progress_context = what;
    m.log = console_log;
    return m;
}

/* Bytes that the sessions of the most demanding test hold. */
static uint64_t count_sessions(const bamba_model *config, const bench_options *o)
{
    const int both = o->both[0].largest + o->both[1].largest;
    int n = o->list[BENCH_PROMPT].largest;

    if (n < o->list[BENCH_GEN].largest) n = o->list[BENCH_GEN].largest;
    n = o->list[BENCH_DEPTH].largest + (n > both ? n : both);
    const int n_sessions = o->list[BENCH_SEQS].largest + (o->real_fill != 0);   /* one is copied */
    return (uint64_t)n_sessions * bamba_model_state_bytes(config, (size_t)n);
}

int bench_check(const bench_source *s, const bench_options *o, const int *setting)
{
    const bamba_model_options m = model_options(o, setting);
    bamba_error err = { BAMBA_OK, "" };
    bamba_model *config = NULL;
    bamba_model_info info = BAMBA_MODEL_INFO;
    const bamba_status status = bamba_model_open_config(&config, s->config, &m, &err);

    if (status != BAMBA_OK) return console_fail_library(status, &err);
    bamba_model_info_get(config, &info);
    const uint64_t sessions = count_sessions(config, o), free_bytes = bamba_free_memory();
    bamba_model_free(config);

    const uint64_t mapped = s->is_shape || m.copy_weights ? info.mapped_bytes : 0;
    const uint64_t weights = info.resident_bytes + mapped;
    if (weights + sessions <= free_bytes) return EXIT_SUCCESS;
    return console_fail("out of memory: %s needs %.0f MiB (weights %.0f, sessions %.0f), %.0f are "
                        "free", s->name, (double)(weights + sessions) / 0x1p20,
                        (double)weights / 0x1p20, (double)sessions / 0x1p20,
                        (double)free_bytes / 0x1p20);
}

/* Makes "hybrid-1b BF16" of "dir/hybrid-1b.json" or "dir/hybrid-1b/". */
static void name_type(bench_model *m)
{
    static const char *const types[] = { "?", "F32", "BF16", "F16", "Q8", "Q4", "F8" };
    const char *name = m->source->name;
    size_t end = strlen(name);

    while (end > 1 && name[end - 1] == '/') end--;
    size_t begin = end;
    while (begin > 0 && name[begin - 1] != '/') begin--;
    if (end - begin > 5 && memcmp(name + end - 5, ".json", 5) == 0) end -= 5;
    const int n = end - begin < 47 ? (int)(end - begin) : 47;
    snprintf(m->type, sizeof m->type, "%.*s %s", n, name + begin,
             types[m->info.weight_type <= BAMBA_TYPE_F8 ? m->info.weight_type : 0]);
}

static void stop(bench_model *m)
{
    bamba_engine_free(m->engine);
    bamba_probe_free(m->probe);
    m->engine = NULL;
    m->probe = NULL;
}

void bench_close(bench_model *m)
{
    stop(m);
    if (m->random) m->adapter.n--;        /* the last */
    adapters_close(&m->adapter);
    bamba_adapter_free(m->random);
    m->random = NULL;
    bamba_model_free(m->model);
    m->model = NULL;
}

/* Open the adapters that --adapter names, and behind them the one of random numbers that
   --adapter-rank asks for. */
static int open_adapters(bench_model *m)
{
    const bench_options *o = m->options;
    adapters *a = &m->adapter;
    bamba_error err = { BAMBA_OK, "" };

    const int code = adapters_open(a, m->model, &o->adapter);
    if (code != EXIT_SUCCESS || o->adapter_rank == 0) return code;
    bamba_adapter_use *more = realloc(a->use, (a->n + 1) * sizeof *more);
    if (!more) return console_fail("out of memory");
    a->use = more;
    const bamba_status status = bamba_adapter_open_random(&m->random, m->model, o->adapter_rank,
                                                          (uint64_t)o->seed, NULL, &err);
    if (status != BAMBA_OK) return console_fail_library(status, &err);
    a->use[a->n++] = (bamba_adapter_use){ m->random, 1.0f };
    return EXIT_SUCCESS;
}

char *bench_name_adapters(const bench_options *o)
{
    enum { MOST_RANK = 32 };
    size_t size = MOST_RANK, at = 0;

    for (size_t i = 0; i < o->adapter.n; i++) size += strlen(o->adapter.items[i]) + 1;
    char *names = malloc(size);
    if (!names) return NULL;
    *names = '\0';
    for (size_t i = 0; i < o->adapter.n; i++)
        at += (size_t)snprintf(names + at, size - at, "%s%s", i ? "," : "", o->adapter.items[i]);
    if (o->adapter_rank > 0)
        snprintf(names + at, size - at, "%srank %d", at ? "," : "", o->adapter_rank);
    return names;
}

static int open_model(bench_model *m)
{
    const bench_options *o = m->options;
    const bamba_model_options mo = model_options(o, m->setting);
    const bench_source *s = m->source;
    const uint64_t seed = (uint64_t)o->seed;
    bamba_error err = { BAMBA_OK, "" };

    m->info = (bamba_model_info)BAMBA_MODEL_INFO;
    bamba_status status = s->is_shape
                              ? bamba_model_open_random(&m->model, s->config, seed, &mo, &err)
                              : bamba_model_open(&m->model, s->dir, &mo, &err);
    console_progress_clear();
    if (status == BAMBA_OK) status = bamba_model_info_get(m->model, &m->info);
    if (status != BAMBA_OK) return console_fail_library(status, &err);
    name_type(m);
    return open_adapters(m);
}

static int start_engine(bench_model *m)
{
    const int b = m->setting[BENCH_BATCH], ub = m->setting[BENCH_UBATCH];
    bamba_engine_options eo = BAMBA_ENGINE_OPTIONS;
    bamba_probe_options po = BAMBA_PROBE_OPTIONS;
    bamba_error err = { BAMBA_OK, "" };

    eo.n_threads = po.n_threads = m->setting[BENCH_THREADS];
    eo.pin = po.pin = m->setting[BENCH_PIN];
    eo.n_batch = b < ub ? b : ub;
    const int n_seqs = m->options->list[BENCH_SEQS].largest;
    const int n_rows = m->options->guesses ? m->options->list[BENCH_GUESS].largest + 1 : 0;
    eo.n_logits = n_seqs > n_rows ? n_seqs : n_rows;
    eo.cancel = console_cancel;
    bamba_status status = bamba_engine_create(&m->engine, m->model, &eo, &err);
    if (status == BAMBA_OK) status = bamba_probe_create(&m->probe, &po, &err);
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

int bench_open(bench_model *m, const bench_source *s, const bench_options *o, const int *setting)
{
    const size_t size = sizeof *setting;

    if (m->source != s || memcmp(m->setting, setting, BENCH_OF_MODEL * size) != 0) bench_close(m);
    else if (memcmp(m->setting, setting, BENCH_OF_ENGINE * size) != 0) stop(m);
    m->options = o;
    m->source = s;
    memcpy(m->setting, setting, sizeof m->setting);
    int code = m->model ? EXIT_SUCCESS : open_model(m);
    if (code == EXIT_SUCCESS && !m->engine) code = start_engine(m);
    return code;
}
