/* bench_run.c - one test: sessions at a depth, samples, and what they come to.
 *
 * Before each sample the machine's own limits are measured, so that shares compare what was
 * possible at the same moment; speeds and shares come from the median sample, avg_ and stddev_
 * from all. With --ops each sample is taken twice, with the engine's timers off, then on: memory
 * changes its speed within a run, and a sum taken after all samples would be another moment's. */
#include "bench.h"

#include "console.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, size_t n)
{
    if (n == 0) return 0.0;
    qsort(values, n, sizeof *values, compare);
    return n % 2 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

int32_t *bench_tokens(size_t n, int n_vocab, uint64_t seed)
{
    int32_t *ids = malloc((n ? n : 1) * sizeof *ids);
    uint64_t z = seed * 2 + 1;

    for (size_t i = 0; ids && i < n; i++) { /* Knuth's multiplier; the high bits are good */
        z = z * 6364136223846793005u + 1442695040888963407u;
        ids[i] = (int32_t)((z >> 33) % (uint64_t)n_vocab);
    }
    return ids;
}

/* -------------------------------------------------------------- engine, sessions ---------- */

int bench_start(bench_engine *e, const bench_options *o, const bench_model *m, int n_threads)
{
    bamba_engine_options eo = BAMBA_ENGINE_OPTIONS;
    bamba_probe_options po = BAMBA_PROBE_OPTIONS;
    bamba_error err = { BAMBA_OK, "" };

    *e = (bench_engine){ .options = o, .model = m };
    eo.n_threads = n_threads;
    eo.n_batch = o->n_batch;
    eo.pin = o->pin;
    eo.cancel = console_cancel;
    for (size_t i = 0; i < o->sequences.n; i++)
        if (o->sequences.value[i] > eo.n_logits) eo.n_logits = o->sequences.value[i];
    po.n_threads = n_threads;
    po.pin = o->pin;
    bamba_status status = bamba_engine_create(&e->engine, m->model, &eo, &err);
    if (status == BAMBA_OK) status = bamba_probe_create(&e->probe, &po, &err);
    if (status != BAMBA_OK) return console_fail_library(status, &err);
    e->mapped_gbs = bench_read_mapped(e->probe, m->source);
    return EXIT_SUCCESS;
}

void bench_stop(bench_engine *e)
{
    bamba_engine_free(e->engine);
    bamba_probe_free(e->probe);
    e->engine = NULL;
    e->probe = NULL;
}

int bench_open_sessions(bench_engine *e, bench_sessions *s, int n_seqs, size_t n_context)
{
    bamba_session_options o = BAMBA_SESSION_OPTIONS;
    bamba_error err = { BAMBA_OK, "" };

    *s = (bench_sessions){ .n = (size_t)n_seqs };
    s->session = calloc(s->n, sizeof *s->session);
    s->item = calloc(s->n, sizeof *s->item);
    if (!s->session || !s->item) return console_fail("out of memory");
    o.n_context = n_context;
    for (size_t i = 0; i < s->n; i++) {
        const bamba_status status = bamba_session_create(&s->session[i], e->model->model, &o,
                                                         &err);
        if (status != BAMBA_OK) return console_fail_library(status, &err);
    }
    return EXIT_SUCCESS;
}

void bench_close_sessions(bench_sessions *s)
{
    for (size_t i = 0; s->session && i < s->n; i++) bamba_session_free(s->session[i]);
    free(s->session);
    free(s->item);
    *s = (bench_sessions){ .n = 0 };
}

/* The first through the engine, the others as copies of it. */
static int fill_really(bench_engine *e, bench_sessions *s, size_t depth)
{
    bamba_error err = { BAMBA_OK, "" };
    int32_t *tokens = bench_tokens(depth, e->model->info.n_vocab, 7);

    if (!tokens) return console_fail("out of memory");
    bamba_session_reset(s->session[0]);
    bamba_status status = bamba_feed(e->engine, s->session[0], tokens, depth, NULL, &err);
    for (size_t i = 1; i < s->n && status == BAMBA_OK; i++)
        status = bamba_session_copy(s->session[i], s->session[0], &err);
    free(tokens);
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

int bench_fill(bench_engine *e, bench_sessions *s, size_t depth, bool real)
{
    bamba_error err = { BAMBA_OK, "" };

    if (depth > 0 && real) return fill_really(e, s, depth);
    for (size_t i = 0; i < s->n; i++) {
        const bamba_status status = bamba_session_fill(s->session[i], depth,
                                                       (uint64_t)e->options->seed + i, &err);
        if (status != BAMBA_OK) return console_fail_library(status, &err);
        if (console_interrupted()) return EXIT_INTERRUPTED;
    }
    return EXIT_SUCCESS;
}

int bench_feed(bench_engine *e, bench_sessions *s, const int32_t *tokens, size_t n,
               uint64_t *ns)
{
    bamba_error err = { BAMBA_OK, "" };

    for (size_t i = 0; i < s->n; i++)
        s->item[i] = (bamba_feed_item){ s->session[i], tokens + i * n, n, 1, NULL };
    const uint64_t start = now_ns();
    const bamba_status status = bamba_feed_batch(e->engine, s->item, s->n, &err);
    *ns = now_ns() - start;
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

/* -------------------------------------------------------------- samples ------------------- */

/* What one test needs while it runs. */
typedef struct run {
    bench_engine     *e;
    const bench_test *t;
    bench_sessions    sessions;
    bench_sessions    origin;             /* one at the depth, if it is really filled */
    int32_t          *tokens;             /* [steps, n_seqs, per_step] */
    size_t            steps, per_step;
    double           *step_ns;            /* [n_samples, steps] */
    double           *first_ns;           /* [n_samples] until the first logits */
    double           *sample_ns, *read;   /* [n_samples] */
    double           *peak;               /* [2 · n_samples] before and after each: clocks move */
    double           *timed_ns;           /* [n_samples] sums of the operations, timers on */
    bamba_op         *timed;              /* [n_samples, BENCH_OPS] */
    size_t            n_samples;
} run;

static int prepare(run *r)
{
    const bench_test *t = r->t;
    const size_t n_context = (size_t)t->n_depth + (size_t)t->n_prompt + (size_t)t->n_gen;
    const size_t n = r->n_samples;

    r->steps = t->n_prompt ? 1 : (size_t)t->n_gen;
    r->per_step = t->n_prompt ? (size_t)t->n_prompt : 1;
    r->tokens = bench_tokens(r->steps * r->per_step * (size_t)t->n_seqs,
                             r->e->model->info.n_vocab, (uint64_t)r->e->options->seed);
    r->step_ns = calloc(n * r->steps, sizeof *r->step_ns);
    r->first_ns = calloc(n, sizeof *r->first_ns);
    r->sample_ns = calloc(n, sizeof *r->sample_ns);
    r->read = calloc(n, sizeof *r->read);
    r->peak = calloc(2 * n, sizeof *r->peak);
    r->timed_ns = calloc(n, sizeof *r->timed_ns);
    r->timed = calloc(n * BENCH_OPS, sizeof *r->timed);
    if (!r->tokens || !r->step_ns || !r->first_ns || !r->sample_ns || !r->read || !r->peak ||
        !r->timed_ns || !r->timed)
        return console_fail("out of memory");
    int code = bench_open_sessions(r->e, &r->sessions, t->n_seqs, n_context);
    if (code == EXIT_SUCCESS && r->e->options->real_fill && t->n_depth > 0) {
        code = bench_open_sessions(r->e, &r->origin, 1, n_context);
        if (code == EXIT_SUCCESS) code = bench_fill(r->e, &r->origin, (size_t)t->n_depth, true);
    }
    return code;
}

static void finish(run *r)
{
    bench_close_sessions(&r->sessions);
    bench_close_sessions(&r->origin);
    free(r->tokens);
    free(r->step_ns);
    free(r->first_ns);
    free(r->sample_ns);
    free(r->read);
    free(r->peak);
    free(r->timed_ns);
    free(r->timed);
}

static int rewind_sessions(run *r)
{
    bamba_error err = { BAMBA_OK, "" };

    if (!r->origin.session)
        return bench_fill(r->e, &r->sessions, (size_t)r->t->n_depth, false);
    for (size_t i = 0; i < r->sessions.n; i++) {
        const bamba_status status = bamba_session_copy(r->sessions.session[i],
                                                       r->origin.session[0], &err);
        if (status != BAMBA_OK) return console_fail_library(status, &err);
    }
    return EXIT_SUCCESS;
}

/* All steps once; the time of each to ns [steps]. */
static int run_steps(run *r, size_t steps, double *ns)
{
    const size_t per_step = r->per_step * r->sessions.n;

    for (size_t i = 0; i < steps; i++) {
        uint64_t took;
        const int code = bench_feed(r->e, &r->sessions, r->tokens + i * per_step, r->per_step,
                                    &took);
        if (code != EXIT_SUCCESS) return code;
        ns[i] = (double)took;
        if (console_interrupted()) return EXIT_INTERRUPTED;
    }
    return EXIT_SUCCESS;
}

/* The most that weights of this type can be multiplied with. On some processors that is float's
   multiply-add, not the dot product of bfloat16, and widening costs it little. */
static double measure_peak(bench_engine *e)
{
    const double own = bamba_probe_run(e->probe, bamba_model_peak(e->model->model));
    const double wide = bamba_probe_run(e->probe, BAMBA_LIMIT_F32);
    return own > wide ? own : wide;
}

static int take_sample(run *r, size_t i)
{
    double *ns = r->step_ns + i * r->steps;

    int code = rewind_sessions(r);
    if (code != EXIT_SUCCESS) return code;
    r->read[i] = bamba_probe_run(r->e->probe, BAMBA_LIMIT_READ);
    r->peak[2 * i] = measure_peak(r->e);
    code = run_steps(r, r->steps, ns);
    if (code != EXIT_SUCCESS) return code;
    r->peak[2 * i + 1] = measure_peak(r->e);
    r->first_ns[i] = ns[0];
    for (size_t k = 0; k < r->steps; k++) r->sample_ns[i] += ns[k];
    return EXIT_SUCCESS;
}

/* The i-th sample again with the timers on, after the same reading: caches start alike. */
static int take_timed(run *r, size_t i, bench_row *row)
{
    bamba_op *ops = r->timed + i * BENCH_OPS;
    double *ns = calloc(r->steps, sizeof *ns);
    int code = ns ? rewind_sessions(r) : console_fail("out of memory");

    if (code == EXIT_SUCCESS) {
        bamba_probe_run(r->e->probe, BAMBA_LIMIT_READ);
        measure_peak(r->e);
        bamba_engine_profile(r->e->engine, 1);
        code = run_steps(r, r->steps, ns);
        row->n_ops = bamba_engine_profile_get(r->e->engine, ops, BENCH_OPS);
        if (row->n_ops > BENCH_OPS) row->n_ops = BENCH_OPS;
        bamba_engine_profile(r->e->engine, 0);
    }
    for (size_t k = 0; k < row->n_ops; k++) r->timed_ns[i] += (double)ops[k].ns;
    free(ns);
    return code;
}

/* The operations of the sample whose sum is the median, or next below it. */
static void choose_timed(const run *r, bench_row *row)
{
    size_t chosen = 0;

    for (size_t i = 0; i < r->n_samples; i++) {
        size_t below = 0;
        for (size_t k = 0; k < r->n_samples; k++)
            below += r->timed_ns[k] < r->timed_ns[i] || (r->timed_ns[k] == r->timed_ns[i] && k < i);
        if (below == (r->n_samples - 1) / 2) chosen = i;
    }
    memcpy(row->ops, r->timed + chosen * BENCH_OPS, row->n_ops * sizeof *row->ops);
}

/* What a sample costs: pieces as the engine cuts them, all sequences' tokens in a row. */
static void count_sample(const run *r, bench_row *row)
{
    const bench_test *t = r->t;
    bamba_op ops[BENCH_OPS];

    for (size_t step = 0; step < r->steps; step++) {
        size_t       rows = r->per_step * (size_t)t->n_seqs;
        size_t       done = 0;
        const size_t most = (size_t)row->n_batch;
        while (rows > 0) {
            const size_t n = rows < most ? rows : most;
            const bool   whole = r->per_step <= most && n % r->per_step == 0;
            const size_t seqs = whole ? n / r->per_step : 1;
            const size_t k = bamba_model_count(r->e->model->model, seqs, n / seqs,
                                               (size_t)t->n_depth + step + (whole ? 0 : done),
                                               rows == n || whole ? seqs : 0, ops, BENCH_OPS);
            for (size_t i = 0; i < k && i < BENCH_OPS; i++) {
                row->bytes += ops[i].bytes;
                row->flops += ops[i].flops;
            }
            rows -= n;
            done = (done + n) % r->per_step;
        }
    }
}

/* -------------------------------------------------------------- what it comes to ---------- */

static uint64_t percentile(const double *sorted, size_t n, double p)
{
    const size_t i = (size_t)ceil(p * (double)n);
    return (uint64_t)sorted[i > 0 ? i - 1 : 0];
}

/* Peak memory of this process without the yardstick's buffer; counted anew from here on. */
static uint64_t peak_memory(bool restart)
{
    unsigned long long kib = 0;
    char line[128];
    FILE *f = fopen(restart ? "/proc/self/clear_refs" : "/proc/self/status",
                    restart ? "w" : "r");

    if (!f) return 0;
    if (restart) fputs("5", f);
    while (!restart && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %llu", &kib) == 1) break;
    fclose(f);
    return (uint64_t)kib * 1024;
}

static void summarise(run *r, bench_row *row)
{
    const bench_test *t = r->t;
    const size_t n = r->n_samples;
    const double tokens = (double)t->n_seqs * (double)(t->n_prompt + t->n_gen);
    double sum = 0.0, sum_ts = 0.0, squares = 0.0, squares_ts = 0.0;

    for (size_t i = 0; i < n; i++) {
        const double ts = 1e9 * tokens / r->sample_ns[i];
        row->samples_ns[i] = (uint64_t)r->sample_ns[i];
        sum += r->sample_ns[i];
        sum_ts += ts;
    }
    row->avg_ns = sum / (double)n;
    row->avg_ts = sum_ts / (double)n;
    for (size_t i = 0; i < n && n > 1; i++) {
        const double d = r->sample_ns[i] - row->avg_ns;
        const double d_ts = 1e9 * tokens / r->sample_ns[i] - row->avg_ts;
        squares += d * d / (double)(n - 1);
        squares_ts += d_ts * d_ts / (double)(n - 1);
    }
    row->stddev_ns = sqrt(squares);
    row->stddev_ts = sqrt(squares_ts);

    const double ns = bench_median(r->sample_ns, n);
    row->avg_gbs = (double)row->bytes / ns;
    row->avg_gflops = (double)row->flops / ns;
    row->stream_gbs = bench_median(r->read, n);
    row->peak_gflops = bench_median(r->peak, 2 * n);
    row->pct_stream = row->stream_gbs > 0.0 ? 100.0 * row->avg_gbs / row->stream_gbs : 0.0;
    row->pct_peak = row->peak_gflops > 0.0 ? 100.0 * row->avg_gflops / row->peak_gflops : 0.0;
    row->ttft_ns = (uint64_t)bench_median(r->first_ns, n);
    if (t->n_gen) {
        bench_median(r->step_ns, n * r->steps);       /* sorts */
        row->p50_ns = percentile(r->step_ns, n * r->steps, 0.50);
        row->p95_ns = percentile(r->step_ns, n * r->steps, 0.95);
        row->p99_ns = percentile(r->step_ns, n * r->steps, 0.99);
    }
}

static void name_row(const bench_engine *e, const bench_test *t, bench_row *row)
{
    const time_t now = time(NULL);
    struct tm utc;
    char depth[24] = "", batch[24] = "";

    if (t->n_depth) snprintf(depth, sizeof depth, " @ d%d", t->n_depth);
    if (t->n_seqs > 1) snprintf(batch, sizeof batch, " B=%d", t->n_seqs);
    snprintf(row->test_name, sizeof row->test_name, "%s%d%s", t->n_prompt ? "pp" : "tg",
             t->n_prompt ? t->n_prompt : t->n_gen, depth);
    snprintf(row->model_type, sizeof row->model_type, "%s%s", e->model->type, batch);
    if (gmtime_r(&now, &utc))
        strftime(row->test_time, sizeof row->test_time, "%Y-%m-%dT%H:%M:%SZ", &utc);
    row->model = e->model;
    row->test = *t;
    row->n_threads = bamba_engine_threads(e->engine);
    row->n_batch = e->options->n_batch ? e->options->n_batch : 512;
    row->mapped_gbs = e->mapped_gbs;
}

static void count_memory(const bench_engine *e, bench_row *row)
{
    const bench_test *t = &row->test;
    const uint64_t seqs = (uint64_t)t->n_seqs;
    const uint64_t fixed = bamba_model_state_bytes(e->model->model, 0);

    row->state_bytes = seqs * fixed;
    row->kv_bytes = seqs * (bamba_model_state_bytes(e->model->model, (size_t)t->n_depth
                            + (size_t)t->n_prompt + (size_t)t->n_gen) - fixed);
}

/* A line of warning if samples differ much, or if something disturbed them. */
static void explain(const noise *before, bench_row *row)
{
    const double spread = row->avg_ns > 0.0 ? row->stddev_ns / row->avg_ns : 0.0;
    char why[128];

    noise_explain(before, row->n_threads, why, sizeof why);
    if (spread > 0.1)
        snprintf(row->noise, sizeof row->noise, "spread of %.0f %%%s%s", 100.0 * spread,
                 why[0] ? ": " : ", no reason found", why);
    else snprintf(row->noise, sizeof row->noise, "%s", why);
}

static int measure(run *r, bench_row *row)
{
    int code = prepare(r);

    peak_memory(true);
    if (code == EXIT_SUCCESS) code = rewind_sessions(r);          /* warm-up */
    if (code == EXIT_SUCCESS) code = run_steps(r, r->steps < 4 ? r->steps : 4, r->step_ns);
    const noise before = noise_now();
    for (size_t i = 0; i < r->n_samples && code == EXIT_SUCCESS; i++) {
        if (r->e->options->progress)
            console_say("%s %s: %zu of %zu", row->model_type, row->test_name, i + 1,
                        r->n_samples);
        code = take_sample(r, i);
        if (code == EXIT_SUCCESS && r->e->options->ops) code = take_timed(r, i, row);
    }
    if (code != EXIT_SUCCESS) return code;
    const uint64_t buffer = bamba_probe_bytes(r->e->probe);
    const uint64_t peak = peak_memory(false);
    row->rss_bytes = peak > buffer ? peak - buffer : peak;
    count_sample(r, row);
    summarise(r, row);
    explain(&before, row);
    row->ops_ns = bench_median(r->sample_ns, r->n_samples);
    if (r->e->options->ops) choose_timed(r, row);
    return EXIT_SUCCESS;
}

int bench_measure(bench_engine *e, const bench_test *t, bench_row *row)
{
    run r = { .e = e, .t = t, .n_samples = (size_t)e->options->repetitions };

    *row = (bench_row){ .n_samples = e->options->repetitions };
    row->samples_ns = calloc(r.n_samples, sizeof *row->samples_ns);
    if (!row->samples_ns) return console_fail("out of memory");
    name_row(e, t, row);
    count_memory(e, row);
    const int code = measure(&r, row);
    finish(&r);
    return code;
}
