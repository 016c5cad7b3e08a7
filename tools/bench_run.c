/* bench_run.c - one test: sessions at a depth, and samples of what they take.
 *
 * Before each sample the machine's own limits are measured, so that shares compare what was
 * possible at the same moment; speeds and shares come from the median sample, avg_ and stddev_
 * from all samples. With --ops each sample is taken twice, with the engine's timers off, then on:
 * memory changes its speed within a run, and a sum of timers is compared with samples beside it. */
#include "bench.h"

#include "console.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

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

/* Returns n ids below n_vocab, of a seed; NULL without memory. */
static int32_t *make_tokens(size_t n, int n_vocab, uint64_t seed)
{
    int32_t *ids = malloc((n ? n : 1) * sizeof *ids);
    uint64_t z = seed * 2 + 1;

    for (size_t i = 0; ids && i < n; i++) { /* Knuth's multiplier; the high bits are good */
        z = z * 6364136223846793005u + 1442695040888963407u;
        ids[i] = (int32_t)((z >> 33) % (uint64_t)n_vocab);
    }
    return ids;
}

/* -------------------------------------------------------------- samples ------------------- */

/* Allocates what the test needs; with --fill real also feeds one session to the depth. */
static int prepare(bench_run *r)
{
    const bench_test *t = &r->test;
    const bamba_model *m = r->m->model;
    const size_t n = r->n, seqs = (size_t)t->n_seqs, depth = (size_t)t->n_depth;
    const size_t n_tokens = (size_t)t->n_prompt + (size_t)t->n_gen;
    const bool real = r->m->options->real_fill && depth > 0;
    const uint64_t seed = (uint64_t)r->m->options->seed;
    bamba_session_options o = BAMBA_SESSION_OPTIONS;
    bamba_error err = { BAMBA_OK, "" };
    bamba_status status = BAMBA_OK;

    r->steps = (size_t)((t->n_prompt > 0) + t->n_gen);
    r->session = calloc(seqs + 1, sizeof *r->session);
    r->item = calloc(seqs, sizeof *r->item);
    r->tokens = make_tokens(n_tokens * seqs, r->m->info.n_vocab, seed);
    r->ops = calloc(n * BENCH_OPS, sizeof *r->ops);
    r->sample_ns = calloc(7 * n + (n + 1) * r->steps, sizeof *r->sample_ns);
    int32_t *before = make_tokens(depth, r->m->info.n_vocab, 7);
    if (r->session && r->item && r->tokens && r->ops && r->sample_ns && before) {
        r->sample_ts = r->sample_ns + n;
        r->first_ns = r->sample_ts + n;
        r->read = r->first_ns + n;
        r->peak = r->read + n;
        r->ops_ns = r->peak + 2 * n;
        r->step_ns = r->ops_ns + n;
        o.n_context = depth + n_tokens;
        o.adapters = r->m->adapter.use;
        o.n_adapters = r->m->adapter.n;
        for (size_t i = 0; i < seqs + real && status == BAMBA_OK; i++)
            status = bamba_session_create(&r->session[i], m, &o, &err);
        if (status == BAMBA_OK && real)
            status = bamba_feed(r->m->engine, r->session[seqs], before, depth, NULL, &err);
    } else {
        status = BAMBA_ERR_MEMORY;
    }
    free(before);
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

/* Puts each session to the depth, wherever it stands. */
static int rewind_sessions(bench_run *r)
{
    const size_t seqs = (size_t)r->test.n_seqs, depth = (size_t)r->test.n_depth;
    const uint64_t seed = (uint64_t)r->m->options->seed;
    bamba_error err = { BAMBA_OK, "" };
    bamba_status status = BAMBA_OK;

    for (size_t i = 0; i < seqs && status == BAMBA_OK; i++) {
        if (console_interrupted()) return EXIT_INTERRUPTED;
        status = r->session[seqs] ? bamba_session_copy(r->session[i], r->session[seqs], &err)
                                  : bamba_session_fill(r->session[i], depth, seed + i, &err);
    }
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

/* Runs `steps` steps and notes the time of each, a whole number, in ns [steps]. */
static int run_steps(bench_run *r, size_t steps, double *ns)
{
    const size_t seqs = (size_t)r->test.n_seqs;
    const int32_t *tokens = r->tokens;
    bamba_error err = { BAMBA_OK, "" };

    for (size_t k = 0; k < steps; k++) {
        const size_t n = k == 0 && r->test.n_prompt ? (size_t)r->test.n_prompt : 1;
        for (size_t i = 0; i < seqs; i++, tokens += n)
            r->item[i] = (bamba_feed_item){ .session = r->session[i], .tokens = tokens, .n = n,
                                           .n_logits = 1 };
        const double start = console_now_ms();
        const bamba_status status = bamba_feed_batch(r->m->engine, r->item, seqs, &err);
        ns[k] = round(1e6 * (console_now_ms() - start));
        if (status != BAMBA_OK) return console_fail_library(status, &err);
        if (console_interrupted()) return EXIT_INTERRUPTED;
    }
    return EXIT_SUCCESS;
}

/* Measures the most that weights of this type can be multiplied with. On some processors that is
   float's multiply-add, not the dot product of bfloat16, and widening costs it little. */
static double measure_peak(const bench_model *m)
{
    const double own = bamba_probe_run(m->probe, bamba_model_peak(m->model));
    const double wide = bamba_probe_run(m->probe, BAMBA_LIMIT_F32);
    return own > wide ? own : wide;
}

/* Takes the i-th sample. With the timers on it follows the same probes, so that caches start
   alike, and only the operations are kept. */
static int take_sample(bench_run *r, size_t i, bool timers)
{
    const int    n_tokens = r->test.n_seqs * (r->test.n_prompt + r->test.n_gen);
    double *ns = r->step_ns + (timers ? r->n : i) * r->steps;

    int code = rewind_sessions(r);
    if (code != EXIT_SUCCESS) return code;
    const double read = bamba_probe_run(r->m->probe, BAMBA_LIMIT_READ);
    const double peak = measure_peak(r->m);
    bamba_engine_profile(r->m->engine, timers);
    code = run_steps(r, r->steps, ns);
    bamba_engine_profile(r->m->engine, 0);
    if (code != EXIT_SUCCESS) return code;
    if (timers) {
        bamba_op *ops = r->ops + i * BENCH_OPS;
        r->n_ops = bamba_engine_profile_get(r->m->engine, ops, BENCH_OPS);
        if (r->n_ops > BENCH_OPS) r->n_ops = BENCH_OPS;
        for (size_t k = 0; k < r->n_ops; k++) r->ops_ns[i] += (double)ops[k].ns;
        return code;
    }
    r->read[i] = read;
    r->peak[2 * i] = peak;
    r->peak[2 * i + 1] = measure_peak(r->m);
    r->first_ns[i] = ns[0];
    for (size_t k = 0; k < r->steps; k++) r->sample_ns[i] += ns[k];
    r->sample_ts[i] = 1e9 * n_tokens / r->sample_ns[i];
    return code;
}

/* Adds what a step costs that feeds n_tokens to each sequence. The engine cuts the tokens of all
   sequences, one sequence behind the other, into pieces of `most` rows. */
static void count_step(bench_run *r, size_t most, size_t n_tokens, size_t depth)
{
    size_t rows = n_tokens * (size_t)r->test.n_seqs, done = 0;
    bamba_op ops[BENCH_OPS];

    while (rows > 0) {
        const size_t n = rows < most ? rows : most;
        const bool   whole = n_tokens <= most && n % n_tokens == 0;
        const size_t seqs = whole ? n / n_tokens : 1;
        const size_t n_ops = bamba_model_count(r->m->model, seqs, n / seqs,
                                               depth + (whole ? 0 : done),
                                               rows == n || whole ? seqs : 0,
                                               r->m->adapter.use, r->m->adapter.n, ops,
                                               BENCH_OPS);
        for (size_t i = 0; i < n_ops && i < BENCH_OPS; i++) {
            r->bytes += (double)ops[i].bytes;
            r->flops += (double)ops[i].flops;
        }
        rows -= n;
        done = (done + n) % n_tokens;
    }
}

static void count_sample(bench_run *r)
{
    const int *setting = r->m->setting, b = setting[BENCH_BATCH], ub = setting[BENCH_UBATCH];
    const size_t most = (size_t)(b < ub ? b : ub), depth = (size_t)r->test.n_depth;
    const size_t prompt = (size_t)r->test.n_prompt;

    if (prompt) count_step(r, most, prompt, depth);
    for (size_t i = 0; i < (size_t)r->test.n_gen; i++)
        count_step(r, most, 1, depth + prompt + i);
}

static void name_test(bench_run *r)
{
    const bench_test *t = &r->test;
    const time_t now = time(NULL);
    struct tm utc;
    char prompt[24] = "", gen[24] = "", depth[24] = "", batch[24] = "";

    if (t->n_depth) snprintf(depth, sizeof depth, " @ d%d", t->n_depth);
    if (t->n_seqs > 1) snprintf(batch, sizeof batch, " B=%d", t->n_seqs);
    if (t->n_prompt) snprintf(prompt, sizeof prompt, "pp%d%s", t->n_prompt, t->n_gen ? "+" : "");
    if (t->n_gen) snprintf(gen, sizeof gen, "tg%d", t->n_gen);
    snprintf(r->test_name, sizeof r->test_name, "%s%s%s", prompt, gen, depth);
    snprintf(r->model_type, sizeof r->model_type, "%s%s", r->m->type, batch);
    if (gmtime_r(&now, &utc))
        strftime(r->test_time, sizeof r->test_time, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

int bench_measure(bench_run *r, bench_model *m, const bench_test *t)
{
    const double buffer = (double)bamba_probe_bytes(m->probe);
    double peak_kib = 0.0;

    if (m->options->delay_s) sleep((unsigned)m->options->delay_s);
    *r = (bench_run){ .m = m, .test = *t, .n = (size_t)m->options->repetitions };
    name_test(r);
    int code = prepare(r);
    FILE *clear = fopen("/proc/self/clear_refs", "w");
    if (clear) {
        fputs("5", clear);                /* VmHWM counts anew */
        fclose(clear);
    }
    if (code == EXIT_SUCCESS && !m->options->no_warmup) {
        code = rewind_sessions(r);
        if (code == EXIT_SUCCESS) code = run_steps(r, r->steps < 4 ? r->steps : 4, r->step_ns);
    }
    const bench_noise before = bench_noise_now();
    for (size_t i = 0; i < r->n && code == EXIT_SUCCESS; i++) {
        if (m->options->progress)
            console_say("%s %s: %zu of %zu", r->model_type, r->test_name, i + 1, r->n);
        code = take_sample(r, i, false);
        if (code == EXIT_SUCCESS && m->options->ops) code = take_sample(r, i, true);
    }
    if (code != EXIT_SUCCESS) return code;
    bench_scan("/proc/self/status", "VmHWM: %lf", &peak_kib);
    r->rss_bytes = 1024.0 * peak_kib - (1024.0 * peak_kib > buffer ? buffer : 0.0);
    count_sample(r);
    bench_noise_explain(&before, bamba_engine_threads(m->engine), r->noise, sizeof r->noise);
    return EXIT_SUCCESS;
}

void bench_forget(bench_run *r)
{
    for (int i = 0; r->session && i <= r->test.n_seqs; i++) bamba_session_free(r->session[i]);
    free(r->session);
    free(r->item);
    free(r->tokens);
    free(r->ops);
    free(r->sample_ns);
}
