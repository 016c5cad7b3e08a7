/* bench_figure.c - two shapes over batch x length: step times, integrated; CSV and a picture.
 *
 * Nobody generates 64,000 tokens for a figure. The time of one step, t(B, d), is measured for B
 * sequences standing at depth d, and summed over a text: with a prompt of p tokens, length L,
 *
 *     time(B, L) = B * time of a prompt of p + integral of t(B, x) for x from p to L
 *
 * t taken as linear between the depths measured. Throughput is B * (L - p) / time. The bounds
 * are the same integrals over what a step costs (bamba_model_count): if memory alone, or
 * arithmetic alone, set the pace. A full run of the shortest text checks the integral, and a
 * few steps behind it check that random values cost what real ones do. What the check integrates
 * is timed just before that run and just after it: minutes away, the machine is another one. */
#include "bench.h"

#include "console.h"
#include "machine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DEPTHS = 24, MOST_BATCHES = 24, LEAST_STEPS = 3, MOST_STEPS = 32, PROMPTS = 3 };
static const double CELL_SECONDS = 1.0;   /* of steps, once there are LEAST_STEPS */

typedef struct cost {
    double ns, bytes, flops;              /* ns is NAN where it does not fit into memory */
} cost;

typedef struct side {                     /* one of the two */
    bench_model  model;
    bench_engine engine;
    cost         step[MOST_BATCHES][MOST_DEPTHS];
    cost         prompt;                  /* of one sequence */
    double       full_ns, full_step_ns;   /* the check: a whole text, a step behind it */
    double       guess_ns, end_ns;        /* the same by the integral, behind random values */
} side;

typedef struct figure {
    const bench_options *o;
    const bench_source  *source;          /* [2] */
    int                  depth[MOST_DEPTHS];          /* [0] is the prompt's length */
    int                  n_depths, n_batches;
    side                 side[2];
} figure;

/* -------------------------------------------------------------- measuring ----------------- */

static void count(const bamba_model *m, int seqs, int n, int depth, cost *c)
{
    bamba_op ops[BENCH_OPS];
    const size_t k = bamba_model_count(m, (size_t)seqs, (size_t)n, (size_t)depth, (size_t)seqs,
                                       ops, BENCH_OPS);

    c->bytes = c->flops = 0.0;
    for (size_t i = 0; i < k && i < BENCH_OPS; i++) {
        c->bytes += (double)ops[i].bytes;
        c->flops += (double)ops[i].flops;
    }
}

/* The median of some steps of all sessions, after one that does not count. */
static int time_steps(bench_engine *e, bench_sessions *s, double *ns)
{
    double took[MOST_STEPS], sum = 0.0;
    int32_t *tokens = bench_tokens(s->n, e->model->info.n_vocab, 3);
    uint64_t one;
    size_t n = 0;

    if (!tokens) return console_fail("out of memory");
    int code = bench_feed(e, s, tokens, 1, &one);
    while (code == EXIT_SUCCESS && n < MOST_STEPS &&
           (n < LEAST_STEPS || sum < 1e9 * CELL_SECONDS)) {
        code = bench_feed(e, s, tokens, 1, &one);
        took[n++] = (double)one;
        sum += (double)one;
        if (console_interrupted()) code = EXIT_INTERRUPTED;
    }
    free(tokens);
    *ns = bench_median(took, n);
    return code;
}

/* A step of so many sequences at the d-th depth. */
static int time_cell(figure *f, side *s, int seqs, int d, double *ns)
{
    const size_t depth = (size_t)f->depth[d];
    bench_sessions sessions;

    int code = bench_open_sessions(&s->engine, &sessions, seqs, depth + MOST_STEPS + 1);
    if (code == EXIT_SUCCESS) code = bench_fill(&s->engine, &sessions, depth, f->o->real_fill);
    if (code == EXIT_SUCCESS) code = time_steps(&s->engine, &sessions, ns);
    bench_close_sessions(&sessions);
    return code;
}

static int measure_cell(figure *f, side *s, int b, int d)
{
    const int seqs = f->o->sequences.value[b];
    const size_t n_context = (size_t)f->depth[d] + MOST_STEPS + 1;
    const uint64_t needed = (uint64_t)seqs * bamba_model_state_bytes(s->model.model, n_context);
    cost *c = &s->step[b][d];

    count(s->model.model, seqs, 1, f->depth[d], c);
    c->ns = NAN;
    if (needed + needed / 16 > bamba_free_memory()) return EXIT_SUCCESS;
    const int code = time_cell(f, s, seqs, d, &c->ns);
    if (code == EXIT_SUCCESS && f->o->progress)
        console_say("%s: %d sequences at %d: %.1f ms", s->model.type, seqs, f->depth[d],
                    c->ns * 1e-6);
    return code;
}

/* A prompt in an empty session, the second of two: the first, of one token, does not count. */
static int time_prompt(figure *f, side *s, double *took)
{
    int32_t *tokens = bench_tokens((size_t)f->depth[0], s->model.info.n_vocab, 5);
    bench_sessions one;
    uint64_t ns = 0;

    int code = bench_open_sessions(&s->engine, &one, 1, (size_t)f->depth[0]);
    if (code == EXIT_SUCCESS && !tokens) code = console_fail("out of memory");
    if (code == EXIT_SUCCESS) code = bench_feed(&s->engine, &one, tokens, 1, &ns);
    if (code == EXIT_SUCCESS) {
        bamba_session_reset(one.session[0]);
        code = bench_feed(&s->engine, &one, tokens, (size_t)f->depth[0], &ns);
    }
    bench_close_sessions(&one);
    free(tokens);
    *took = (double)ns;
    return code;
}

/* Sides in turn, the median of some: large batches are mostly made of it. */
static int measure_prompts(figure *f, int first, int last)
{
    double took[2][PROMPTS];
    int code = EXIT_SUCCESS;

    for (int r = 0; r < PROMPTS; r++)
        for (int i = first; i < last && code == EXIT_SUCCESS; i++)
            code = time_prompt(f, &f->side[i], &took[i][r]);
    for (int i = first; i < last && code == EXIT_SUCCESS; i++) {
        side *s = &f->side[i];
        count(s->model.model, 1, f->depth[0], 0, &s->prompt);
        s->prompt.ns = bench_median(took[i], PROMPTS);
        if (f->o->progress)
            console_say("%s: a prompt of %d: %.1f s", s->model.type, f->depth[0],
                        s->prompt.ns * 1e-9);
    }
    return code;
}

/* One sequence at both ends of the shortest text. */
static int time_ends(figure *f, side *s, double ns[2])
{
    const int code = time_cell(f, s, 1, 0, &ns[0]);
    return code == EXIT_SUCCESS ? time_cell(f, s, 1, 1, &ns[1]) : code;
}

/* The prompt, then the shortest text to its end, then steps behind it. */
static int run_through(figure *f, side *s, double *prompt_ns)
{
    const size_t p = (size_t)f->depth[0], n = (size_t)f->depth[1];
    int32_t *tokens = bench_tokens(n, s->model.info.n_vocab, 5);
    bench_sessions one;
    uint64_t ns = 0;

    int code = bench_open_sessions(&s->engine, &one, 1, n + MOST_STEPS + 1);
    if (code == EXIT_SUCCESS && !tokens) code = console_fail("out of memory");
    if (code == EXIT_SUCCESS) code = bench_feed(&s->engine, &one, tokens, p, &ns);
    s->full_ns = *prompt_ns = (double)ns;
    for (size_t i = p; i < n && code == EXIT_SUCCESS; i++) {
        code = bench_feed(&s->engine, &one, tokens + i, 1, &ns);
        s->full_ns += (double)ns;
        if (console_interrupted()) code = EXIT_INTERRUPTED;
    }
    if (code == EXIT_SUCCESS) code = time_steps(&s->engine, &one, &s->full_step_ns);
    bench_close_sessions(&one);
    free(tokens);
    return code;
}

static int check_integral(figure *f, side *s)
{
    const double n = f->depth[1] - f->depth[0];
    double before[2], after[2], prompt_ns;

    int code = time_ends(f, s, before);
    if (code == EXIT_SUCCESS) code = run_through(f, s, &prompt_ns);
    if (code == EXIT_SUCCESS) code = time_ends(f, s, after);
    if (code != EXIT_SUCCESS) return code;
    s->end_ns = 0.5 * (before[1] + after[1]);
    s->guess_ns = prompt_ns + 0.5 * n * (0.5 * (before[0] + after[0]) + s->end_ns);
    if (f->o->progress)
        console_say("%s: a text of %d: %.1f s", s->model.type, f->depth[1], s->full_ns * 1e-9);
    return code;
}

static int open_side(figure *f, int i)
{
    side *s = &f->side[i];
    int code = bench_open(&s->model, &f->source[i], f->o, f->o->types.value[0],
                          f->o->kv_types.value[0], f->o->threads.value[0]);
    if (code == EXIT_SUCCESS)
        code = bench_start(&s->engine, f->o, &s->model, f->o->threads.value[0]);
    return code;
}

static void close_side(side *s)
{
    bench_stop(&s->engine);
    bench_close(&s->model);
}

/* Sides first … last - 1, cell by cell in turn, so that a drift of the machine meets both. */
static int measure_sides(figure *f, int first, int last)
{
    int code = EXIT_SUCCESS;

    for (int i = first; i < last && code == EXIT_SUCCESS; i++) code = open_side(f, i);
    if (code == EXIT_SUCCESS) code = measure_prompts(f, first, last);
    for (int i = first; i < last && code == EXIT_SUCCESS; i++)
        code = check_integral(f, &f->side[i]);
    for (int b = 0; b < f->n_batches; b++)
        for (int d = 0; d < f->n_depths; d++)
            for (int i = first; i < last && code == EXIT_SUCCESS; i++)
                code = measure_cell(f, &f->side[i], b, d);
    return code;
}

/* Both models at once if that leaves most of the memory to sessions. */
static int measure(figure *f)
{
    uint64_t weights = 0;
    bamba_error err = { BAMBA_OK, "" };

    for (int i = 0; i < 2; i++) {
        bamba_model *config = NULL;
        bamba_model_info info = BAMBA_MODEL_INFO;
        bamba_model_options o = BAMBA_MODEL_OPTIONS;
        o.weight_type = (bamba_type)f->o->types.value[0];
        const bamba_status status = bamba_model_open_config(&config, f->source[i].config, &o,
                                                            &err);
        if (status != BAMBA_OK) return console_fail_library(status, &err);
        bamba_model_info_get(config, &info);
        bamba_model_free(config);
        const uint64_t one = info.mapped_bytes + info.resident_bytes;
        const uint64_t free_bytes = bamba_free_memory();
        char needed[32], have[32];
        if (f->source[i].is_shape && one > free_bytes)
            return console_fail("out of memory: the weights of %s need %s, %s are free",
                                f->source[i].name, bench_bytes(one, needed, sizeof needed),
                                bench_bytes(free_bytes, have, sizeof have));
        weights += one;
    }
    if (weights < bamba_free_memory() / 3) return measure_sides(f, 0, 2);
    const int code = measure_sides(f, 0, 1);
    close_side(&f->side[0]);
    return code == EXIT_SUCCESS ? measure_sides(f, 1, 2) : code;
}

/* -------------------------------------------------------------- integrals ----------------- */

/* A whole text of the length depth[last], b-th batch. */
static cost integrate(const figure *f, const side *s, int b, int last)
{
    const double seqs = f->o->sequences.value[b];
    cost all = { seqs * s->prompt.ns, seqs * s->prompt.bytes, seqs * s->prompt.flops };

    for (int d = 0; d < last; d++) {
        const cost *x = &s->step[b][d], *y = x + 1;
        const double steps = 0.5 * (f->depth[d + 1] - f->depth[d]);
        all.ns += steps * (x->ns + y->ns);
        all.bytes += steps * (x->bytes + y->bytes);
        all.flops += steps * (x->flops + y->flops);
    }
    return all;
}

/* Tokens a second. */
static double throughput(const figure *f, int b, int last, double ns)
{
    return 1e9 * f->o->sequences.value[b] * (f->depth[last] - f->depth[0]) / ns;
}

/* -------------------------------------------------------------- output -------------------- */

static void print_value(FILE *to, double value)
{
    putc(',', to);
    if (isfinite(value)) fprintf(to, "%.4f", value);
}

static void write_csv(FILE *to, const figure *f)
{
    fprintf(to, "batch,length,a_tps,b_tps,ratio,memory_bound,compute_bound,a_ms,b_ms,a_step_ms,"
                "b_step_ms,a_fits,b_fits\n");
    for (int b = 0; b < f->n_batches; b++)
        for (int d = 1; d < f->n_depths; d++) {
            const cost x = integrate(f, &f->side[0], b, d), y = integrate(f, &f->side[1], b, d);
            const double n = f->depth[d] - f->depth[0];
            fprintf(to, "%d,%d", f->o->sequences.value[b], f->depth[d]);
            print_value(to, throughput(f, b, d, x.ns));
            print_value(to, throughput(f, b, d, y.ns));
            print_value(to, y.ns / x.ns);
            print_value(to, y.bytes / x.bytes);
            print_value(to, y.flops / x.flops);
            print_value(to, x.ns * 1e-6 / n);
            print_value(to, y.ns * 1e-6 / n);
            print_value(to, f->side[0].step[b][d].ns * 1e-6);
            print_value(to, f->side[1].step[b][d].ns * 1e-6);
            fprintf(to, ",%d,%d\n", isfinite(x.ns), isfinite(y.ns));
        }
}

static void print_table(const figure *f)
{
    printf("throughput of %s / throughput of %s, prompt %d\n\n| batch |", f->side[0].model.type,
           f->side[1].model.type, f->depth[0]);
    for (int d = 1; d < f->n_depths; d++) printf(" %7d |", f->depth[d]);
    printf("\n| ----: |");
    for (int d = 1; d < f->n_depths; d++) printf(" ------: |");
    for (int b = 0; b < f->n_batches; b++) {
        printf("\n| %5d |", f->o->sequences.value[b]);
        for (int d = 1; d < f->n_depths; d++) {
            const double x = integrate(f, &f->side[0], b, d).ns;
            const double y = integrate(f, &f->side[1], b, d).ns;
            if (isfinite(y / x)) printf(" %7.2f |", y / x);
            else printf(" %7s |", isfinite(x) ? "only A" : isfinite(y) ? "only B" : "-");
        }
    }
    printf("\n\nonly A, only B: sessions of the other do not fit into memory; -: of neither\n");
}

static void print_checks(const figure *f)
{
    for (int i = 0; i < 2; i++) {
        const side *s = &f->side[i];
        printf("check %s: a text of %d really run takes %.1f s, integrated %.1f s (%+.1f %%); a "
               "step behind real tokens %.1f ms, behind random values %.1f ms (%+.1f %%)\n",
               s->model.type, f->depth[1], s->full_ns * 1e-9, s->guess_ns * 1e-9,
               100.0 * (s->guess_ns / s->full_ns - 1.0), s->full_step_ns * 1e-6,
               s->end_ns * 1e-6, 100.0 * (s->end_ns / s->full_step_ns - 1.0));
    }
}

/* A name between single quotes, for gnuplot. */
static void put_name(FILE *to, const char *path, const char *end)
{
    putc('\'', to);
    for (; *path; path++) {
        if (*path == '\'') putc('\'', to);
        putc(*path, to);
    }
    fprintf(to, "%s'", end);
}

static void put_number(FILE *to, double value)
{
    if (isfinite(value)) fprintf(to, " %.6g", value);
    else fputs(" -", to);
}

/* A block of data for each length: batch, ratio, bounds. */
static void plot_throughput(FILE *to, const figure *f)
{
    for (int d = 1; d < f->n_depths; d++) {
        fprintf(to, "$series%d << END\n", d);
        for (int b = 0; b < f->n_batches; b++) {
            const cost x = integrate(f, &f->side[0], b, d), y = integrate(f, &f->side[1], b, d);
            fprintf(to, "%d", f->o->sequences.value[b]);
            put_number(to, y.ns / x.ns);
            put_number(to, y.bytes / x.bytes);
            put_number(to, y.flops / x.flops);
            putc('\n', to);
        }
        fprintf(to, "END\n");
    }
    fprintf(to,
            "set xlabel 'sequences together'\nset ylabel 'throughput, %s / %s'\nplot 1 with "
            "lines lc 'gray' notitle",
            f->side[0].model.type, f->side[1].model.type);
    for (int d = 1; d < f->n_depths; d++)
        fprintf(to,
                ", \\\n  $series%d using 1:2 with linespoints lw 2 pt 7 lc %d title 'length %d'"
                ", \\\n  '' using 1:3 with lines dt 2 lc %d notitle"
                ", \\\n  '' using 1:4 with lines dt 3 lc %d notitle",
                d, d, f->depth[d], d, d);
    fprintf(to, ", \\\n  NaN with lines dt 2 lc 'black' title 'if memory alone set the pace'"
                ", \\\n  NaN with lines dt 3 lc 'black' title 'if arithmetic alone did'\n");
}

/* A block of data for each batch: depth, ms of both. */
static void plot_latency(FILE *to, const figure *f)
{
    for (int b = 0; b < f->n_batches; b++) {
        fprintf(to, "$series%d << END\n", b);
        for (int d = 0; d < f->n_depths; d++) {
            fprintf(to, "%d", f->depth[d]);
            put_number(to, f->side[0].step[b][d].ns * 1e-6);
            put_number(to, f->side[1].step[b][d].ns * 1e-6);
            putc('\n', to);
        }
        fprintf(to, "END\n");
    }
    fprintf(to, "set xlabel 'tokens before'\nset ylabel 'ms a step'\nset logscale y\nplot ");
    for (int b = 0; b < f->n_batches; b++)
        fprintf(to,
                "%s$series%d using 1:2 with linespoints lw 2 pt 7 lc %d title '%s, batch %d'"
                ", \\\n  '' using 1:3 with linespoints dt 2 pt 6 lc %d title '%s, batch %d'",
                b ? ", \\\n  " : "", b, b + 1, f->side[0].model.type, f->o->sequences.value[b],
                b + 1, f->side[1].model.type, f->o->sequences.value[b]);
    putc('\n', to);
}

/* The CSV stays if gnuplot is not there. */
static int draw(const figure *f, int kind, const char *path)
{
    static const char *const terminals[] = {
        "set terminal svg size 1000,600 dashed background 'white'",
        "if (strstrt(GPVAL_TERMINALS, 'pngcairo') > 0) { set terminal pngcairo size 1000,600 } "
        "else { set terminal png size 1000,600 }",
    };
    static const char *const endings[] = { ".svg", ".png" };

    if (system("command -v gnuplot > /dev/null 2>&1") != 0) {
        console_say("no picture: gnuplot is not installed; the numbers are in %s.csv", path);
        return EXIT_SUCCESS;
    }
    for (int i = 0; i < 2; i++) {
        FILE *to = popen("gnuplot", "w");
        if (!to) return console_fail("cannot start gnuplot");
        fprintf(to, "%s\nset output ", terminals[i]);
        put_name(to, path, endings[i]);
        fprintf(to, "\nset datafile missing '-'\nset key outside right noenhanced\n"
                    "set logscale x 2\nset grid\n");
        if (kind == BENCH_THROUGHPUT) plot_throughput(to, f);
        else plot_latency(to, f);
        if (pclose(to) != 0)
            return console_fail("gnuplot could not draw %s%s", path, endings[i]);
    }
    return EXIT_SUCCESS;
}

static int write_all(const figure *f, int kind, const char *path)
{
    char name[4096];

    if (snprintf(name, sizeof name, "%s.csv", path) >= (int)sizeof name)
        return console_fail("%s: the name is too long", path);
    FILE *to = fopen(name, "w");
    if (!to) return console_fail("%s: cannot be written", name);
    write_csv(to, f);
    const bool lost = ferror(to) != 0;
    if (fclose(to) != 0 || lost) return console_fail("%s: cannot be written", name);
    print_table(f);
    print_checks(f);
    return draw(f, kind, path);
}

/* The prompt's length, then the depths beyond it, ascending. */
static int read_axes(figure *f)
{
    const bench_options *o = f->o;

    f->depth[f->n_depths++] = o->prompts.value[0];
    for (size_t i = 0; i < o->depths.n; i++) {
        const int d = o->depths.value[i];
        if (d <= f->depth[0]) continue;
        if (d <= f->depth[f->n_depths - 1] || f->n_depths == MOST_DEPTHS)
            return console_fail("--figure: expected at most %d ascending lengths in -d",
                                MOST_DEPTHS);
        f->depth[f->n_depths++] = d;
    }
    if (f->depth[0] < 1 || f->n_depths < 2 || o->sequences.n > MOST_BATCHES)
        return console_fail("--figure: expected a prompt in -p, a length above it in -d, and at "
                            "most %d batches in -npl", MOST_BATCHES);
    f->n_batches = (int)o->sequences.n;
    return EXIT_SUCCESS;
}

int bench_figure(const bench_options *o, const bench_source *pair, int kind, const char *path)
{
    figure *f = calloc(1, sizeof *f);

    if (!f) return console_fail("out of memory");
    f->o = o;
    f->source = pair;
    int code = read_axes(f);
    if (code == EXIT_SUCCESS) code = measure(f);
    if (code == EXIT_SUCCESS) code = write_all(f, kind, path);
    for (int i = 0; i < 2; i++) close_side(&f->side[i]);
    free(f);
    return console_finish(code);
}
