/* bench_figure.c - two models over batch x length: step times, integrated; CSV and a picture.
 *
 * Nobody generates 64,000 tokens for a figure. The time of one step, t(B, d), is measured for B
 * sequences standing at depth d, and summed over a text: with a prompt of p tokens, length L,
 *
 *     time(B, L) = B * time of a prompt of p + integral of t(B, x) for x from p to L
 *
 * t taken as linear between the depths measured. Throughput is B * (L - p) / time. The bounds
 * are the same integrals over what a step costs (bamba_model_count): if memory alone, or
 * arithmetic alone, set the pace. A full run of the shortest text checks the integral, and its
 * last steps check that random values cost what real ones do. What the check integrates is timed
 * just before that run and just after it: minutes away, the machine is another one. */
#include "bench.h"

#include "console.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DEPTHS = 24, MOST_BATCHES = 24, LEAST_STEPS = 3, MOST_STEPS = 32, PROMPTS = 3 };
static const double CELL_NS = 1e9;

typedef struct side {                     /* one of the two models */
    bench_model  m;
    bench_cost   step[MOST_BATCHES][MOST_DEPTHS];     /* ns is NAN if it does not fit memory */
    bench_cost   prompt;                  /* of one sequence */
    double       full_ns, full_step_ns;   /* the check: a whole text, a step at its end */
    double       guess_ns, end_ns;        /* the same by the integral, behind random values */
    double       last_ns;                 /* the step timed last; 0: none yet */
} side;

typedef struct figure {
    bench_options o;                      /* for one sample of each test */
    int           depth[MOST_DEPTHS];     /* [0] is the prompt's length */
    int           n_depths, n_batches;
    side          side[2];
} figure;

/* -------------------------------------------------------------- measuring ----------------- */

/* Runs a test once. Gives the median time of its last steps, and the time of all steps. */
static int time_test(side *s, bench_test t, double *step_ns, double *all_ns)
{
    bench_run r;
    const int code = bench_measure(&r, &s->m, &t);

    if (code == EXIT_SUCCESS) {
        const size_t n = r.steps < MOST_STEPS ? r.steps : MOST_STEPS;
        *all_ns = r.sample_ns[0];
        *step_ns = bench_median(r.step_ns + r.steps - n, n);
    }
    bench_forget(&r);
    return code;
}

/* Times a step of n_seqs sequences at a depth: enough of them to take CELL_NS, if that is between
   LEAST_STEPS and MOST_STEPS. */
static int time_step(side *s, int n_seqs, int depth, double *ns)
{
    const double n = fmin(fmax(CELL_NS / s->last_ns, LEAST_STEPS), MOST_STEPS);
    double all;
    const int code = time_test(s, (bench_test){ 0, (int)n, depth, n_seqs }, ns, &all);

    s->last_ns = *ns;
    return code;
}

static int measure_cell(const figure *f, side *s, int b, int d)
{
    const int n_seqs = f->o.sequences.value[b];
    const size_t n_context = (size_t)f->depth[d] + MOST_STEPS;
    const uint64_t needed = (uint64_t)(n_seqs + (f->o.real_fill != 0)) *
                            bamba_model_state_bytes(s->m.model, n_context);
    bench_cost *c = &s->step[b][d];

    bench_count(s->m.model, (size_t)n_seqs, 1, (size_t)f->depth[d], (size_t)n_seqs, c);
    c->ns = NAN;
    if (needed + needed / 16 > bamba_free_memory()) return EXIT_SUCCESS;
    return time_step(s, n_seqs, f->depth[d], &c->ns);
}

/* Times prompts of both sides in turn and takes medians: large batches are mostly made of it. */
static int measure_prompts(figure *f, int first, int last)
{
    const bench_test t = { f->depth[0], 0, 0, 1 };
    double took[2][PROMPTS], all;
    int code = EXIT_SUCCESS;

    for (int r = 0; r < PROMPTS; r++)
        for (int i = first; i < last && code == EXIT_SUCCESS; i++)
            code = time_test(&f->side[i], t, &took[i][r], &all);
    for (int i = first; i < last && code == EXIT_SUCCESS; i++) {
        bench_cost *c = &f->side[i].prompt;
        bench_count(f->side[i].m.model, 1, (size_t)f->depth[0], 0, 1, c);
        c->ns = bench_median(took[i], PROMPTS);
    }
    return code;
}

static int check_integral(figure *f, side *s)
{
    const int n = f->depth[1] - f->depth[0], real_fill = f->o.real_fill;
    const bench_test text = { 0, n, f->depth[0], 1 };
    double ends[4] = { 0 };               /* first and last step, before and after the text */
    int code = EXIT_SUCCESS;

    for (int i = 0; i < 4 && code == EXIT_SUCCESS; i++) {
        code = time_step(s, 1, f->depth[i % 2], &ends[i]);
        if (i != 1 || code != EXIT_SUCCESS) continue;
        f->o.real_fill = 1;
        code = time_test(s, text, &s->full_step_ns, &s->full_ns);
        f->o.real_fill = real_fill;
    }
    s->full_ns += s->prompt.ns;
    s->end_ns = 0.5 * (ends[1] + ends[3]);
    s->guess_ns = s->prompt.ns + 0.5 * n * (0.5 * (ends[0] + ends[2]) + s->end_ns);
    return code;
}

/* Measures sides first … last - 1, cell by cell in turn, so that a drift of the machine meets
   both. */
static int measure_sides(figure *f, const bench_source *pair, int first, int last)
{
    const bench_options *o = &f->o;
    int code = EXIT_SUCCESS;

    for (int i = first; i < last && code == EXIT_SUCCESS; i++) {
        bench_model *m = &f->side[i].m;
        code = bench_open(m, &pair[i], o, o->types.value[0], o->kv_types.value[0]);
        if (code == EXIT_SUCCESS) code = bench_start(m, o->threads.value[0]);
    }
    if (code == EXIT_SUCCESS) code = measure_prompts(f, first, last);
    for (int i = first; i < last && code == EXIT_SUCCESS; i++)
        code = check_integral(f, &f->side[i]);
    for (int b = 0; b < f->n_batches; b++)
        for (int d = 0; d < f->n_depths; d++)
            for (int i = first; i < last && code == EXIT_SUCCESS; i++)
                code = measure_cell(f, &f->side[i], b, d);
    for (int i = first; i < last; i++) bench_close(&f->side[i].m);
    return code;
}

/* Opens both models at once if that leaves most of the memory to sessions. */
static int measure(figure *f, const bench_source *pair)
{
    const int type = f->o.types.value[0], kv_type = f->o.kv_types.value[0];
    uint64_t weights[2];

    int code = bench_check(&pair[0], &f->o, type, kv_type, false, &weights[0]);
    if (code == EXIT_SUCCESS)
        code = bench_check(&pair[1], &f->o, type, kv_type, false, &weights[1]);
    if (code != EXIT_SUCCESS) return code;
    if (weights[0] + weights[1] < bamba_free_memory() / 3) return measure_sides(f, pair, 0, 2);
    code = measure_sides(f, pair, 0, 1);
    return code == EXIT_SUCCESS ? measure_sides(f, pair, 1, 2) : code;
}

/* -------------------------------------------------------------- values -------------------- */

/* The columns of the CSV, of the models A and B; NAN where sessions do not fit into memory. */
enum { A_TPS, B_TPS, RATIO, MEMORY, COMPUTE, A_MS, B_MS, A_STEP, B_STEP, N_VALUES };

/* Sums up a text of the length depth[last] for the b-th batch. */
static bench_cost integrate(const figure *f, const side *s, int b, int last)
{
    const double n = f->o.sequences.value[b];
    bench_cost all = { n * s->prompt.ns, n * s->prompt.bytes, n * s->prompt.flops };

    for (int d = 0; d < last; d++) {
        const bench_cost *x = &s->step[b][d], *y = x + 1;
        const double steps = 0.5 * (f->depth[d + 1] - f->depth[d]);
        all.ns += steps * (x->ns + y->ns);
        all.bytes += steps * (x->bytes + y->bytes);
        all.flops += steps * (x->flops + y->flops);
    }
    return all;
}

static void find_values(const figure *f, int b, int d, double v[N_VALUES])
{
    const bench_cost x = integrate(f, &f->side[0], b, d), y = integrate(f, &f->side[1], b, d);
    const double steps = f->depth[d] - f->depth[0], tokens = f->o.sequences.value[b] * steps;
    const double values[N_VALUES] = {
        [A_TPS] = 1e9 * tokens / x.ns, [B_TPS] = 1e9 * tokens / y.ns, [RATIO] = y.ns / x.ns,
        [MEMORY] = y.bytes / x.bytes, [COMPUTE] = y.flops / x.flops,
        [A_MS] = 1e-6 * x.ns / steps, [B_MS] = 1e-6 * y.ns / steps,
        [A_STEP] = 1e-6 * f->side[0].step[b][d].ns, [B_STEP] = 1e-6 * f->side[1].step[b][d].ns,
    };
    memcpy(v, values, sizeof values);
}

/* -------------------------------------------------------------- output -------------------- */

/* Writes lines of the CSV: batch, length, values, and whether the sessions of A and B fit. */
static void write_lines(FILE *to, const figure *f, int first_depth)
{
    double v[N_VALUES];

    for (int b = 0; b < f->n_batches; b++)
        for (int d = first_depth; d < f->n_depths; d++) {
            find_values(f, b, d, v);
            fprintf(to, "%d,%d", f->o.sequences.value[b], f->depth[d]);
            for (int i = 0; i < N_VALUES; i++)
                isfinite(v[i]) ? fprintf(to, ",%.4f", v[i]) : fprintf(to, ",");
            fprintf(to, ",%d,%d\n", isfinite(v[A_TPS]), isfinite(v[B_TPS]));
        }
}

static void print_table(const figure *f)
{
    double v[N_VALUES];

    printf("throughput of %s / throughput of %s, prompt %d\n\n| batch |", f->side[0].m.type,
           f->side[1].m.type, f->depth[0]);
    for (int d = 1; d < f->n_depths; d++) printf(" %7d |", f->depth[d]);
    printf("\n| ----: |");
    for (int d = 1; d < f->n_depths; d++) printf(" ------: |");
    for (int b = 0; b < f->n_batches; b++) {
        printf("\n| %5d |", f->o.sequences.value[b]);
        for (int d = 1; d < f->n_depths; d++) {
            find_values(f, b, d, v);
            if (isfinite(v[RATIO])) printf(" %7.2f |", v[RATIO]);
            else printf(" %7s |", isfinite(v[A_TPS])   ? "only A"
                                  : isfinite(v[B_TPS]) ? "only B"
                                                       : "-");
        }
    }
    printf("\n\nonly A, only B: sessions of the other do not fit into memory; -: of neither\n");
    for (const side *s = f->side; s < f->side + 2; s++)
        printf("check %s: a text of %d really run takes %.1f s, integrated %.1f s (%+.1f %%); a "
               "step behind real tokens %.1f ms, behind random values %.1f ms (%+.1f %%)\n",
               s->m.type, f->depth[1], s->full_ns * 1e-9, s->guess_ns * 1e-9,
               100.0 * (s->guess_ns / s->full_ns - 1.0), s->full_step_ns * 1e-6,
               s->end_ns * 1e-6, 100.0 * (s->end_ns / s->full_step_ns - 1.0));
}

/* Draws the picture as .svg and .png. It is no failure if gnuplot is not installed. */
static int draw(const figure *f, bool throughput, const char *path)
{
    static const char settings[] =
        "set datafile separator ','\nset key outside right noenhanced\nset grid\n"
        "set logscale x 2\nset terminal svg size 1000,600 dashed background 'white'\n"
        "set output path.'.svg'\n";
    static const char plot_throughput[] =
        "set xlabel 'sequences together'\nset ylabel 'throughput, '.a.' / '.b\n"
        "plot 1 with lines lc 'gray' notitle, \\\n"
        "  for [i=1:nd-1] $data every nd::i using 1:5 with linespoints lw 2 pt 7 lc i "
        "title 'length '.word(lengths, i+1), \\\n"
        "  for [i=1:nd-1] $data every nd::i using 1:6 with lines dt 2 lc i notitle, \\\n"
        "  for [i=1:nd-1] $data every nd::i using 1:7 with lines dt 3 lc i notitle, \\\n"
        "  NaN with lines dt 2 lc 'black' title 'if memory alone set the pace', \\\n"
        "  NaN with lines dt 3 lc 'black' title 'if arithmetic alone did'\n";
    static const char plot_latency[] =
        "set xlabel 'tokens before'\nset ylabel 'ms a step'\nset logscale y\n"
        "plot for [i=1:words(batches)] $data every ::nd*(i-1)::nd*i-1 using 2:10 "
        "with linespoints lw 2 pt 7 lc i title a.', batch '.word(batches, i), \\\n"
        "  for [i=1:words(batches)] $data every ::nd*(i-1)::nd*i-1 using 2:11 "
        "with linespoints dt 2 pt 6 lc i title b.', batch '.word(batches, i)\n";
    static const char again[] =
        "if (strstrt(GPVAL_TERMINALS, 'pngcairo') > 0) { set terminal pngcairo size 1000,600 } "
        "else { set terminal png size 1000,600 }\nset output path.'.png'\nreplot\n";

    if (system("command -v gnuplot > /dev/null 2>&1") != 0) {
        console_say("no picture: gnuplot is not installed; the numbers are in %s.csv", path);
        return EXIT_SUCCESS;
    }
    FILE *to = popen("gnuplot", "w");
    if (!to) return console_fail("cannot start gnuplot");
    fputs("$data << END\n", to);
    write_lines(to, f, 0);
    fprintf(to, "END\nnd = %d\nlengths = '", f->n_depths);
    for (int d = 0; d < f->n_depths; d++) fprintf(to, "%d ", f->depth[d]);
    fputs("'\nbatches = '", to);
    for (int b = 0; b < f->n_batches; b++) fprintf(to, "%d ", f->o.sequences.value[b]);
    fputs("'\npath = ", to);
    bench_put_quoted(to, path, '\'');
    fputs("\na = ", to);
    bench_put_quoted(to, f->side[0].m.type, '\'');
    fputs("\nb = ", to);
    bench_put_quoted(to, f->side[1].m.type, '\'');
    fprintf(to, "\n%s%s%s", settings, throughput ? plot_throughput : plot_latency, again);
    return pclose(to) == 0 ? EXIT_SUCCESS : console_fail("gnuplot could not draw %s.svg", path);
}

static int write_all(const figure *f, bool throughput, const char *path)
{
    char name[4096];

    if (snprintf(name, sizeof name, "%s.csv", path) >= (int)sizeof name)
        return console_fail("%s: the name is too long", path);
    FILE *to = fopen(name, "w");
    if (!to) return console_fail("%s: cannot be written", name);
    fprintf(to, "batch,length,a_tps,b_tps,ratio,memory_bound,compute_bound,a_ms,b_ms,a_step_ms,"
                "b_step_ms,a_fits,b_fits\n");
    write_lines(to, f, 1);
    const bool lost = ferror(to) != 0;
    if (fclose(to) != 0 || lost) return console_fail("%s: cannot be written", name);
    print_table(f);
    return draw(f, throughput, path);
}

/* Reads the prompt's length, then the depths beyond it, ascending. */
static int read_axes(figure *f)
{
    f->depth[f->n_depths++] = f->o.prompts.value[0];
    for (size_t i = 0; i < f->o.depths.n; i++) {
        const int d = f->o.depths.value[i];
        if (d <= f->depth[0]) continue;
        if (d <= f->depth[f->n_depths - 1] || f->n_depths == MOST_DEPTHS)
            return console_fail("--figure: expected at most %d ascending lengths in -d",
                                MOST_DEPTHS);
        f->depth[f->n_depths++] = d;
    }
    f->n_batches = (int)f->o.sequences.n;
    if (f->depth[0] > 0 && f->n_depths > 1 && f->n_batches <= MOST_BATCHES) return EXIT_SUCCESS;
    return console_fail("--figure: expected a prompt in -p, a length above it in -d, and at most "
                        "%d batches in -npl", MOST_BATCHES);
}

int bench_figure(const bench_options *o, const bench_source *pair, int kind, const char *path)
{
    figure *f = calloc(1, sizeof *f);

    if (!f) return console_fail("out of memory");
    f->o = *o;
    f->o.repetitions = 1;
    f->o.ops = false;
    int code = read_axes(f);
    if (code == EXIT_SUCCESS) code = measure(f, pair);
    if (code == EXIT_SUCCESS) code = write_all(f, kind == BENCH_THROUGHPUT, path);
    free(f);
    return console_finish(code);
}
