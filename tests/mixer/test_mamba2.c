/* test_mamba2.c - the Mamba-2 mixer against the recurrence in double, one token at a time. */
#include "mixer/mixers.h"

#include "support/lab.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SESSIONS = 5, LENGTH = 330 };

typedef struct mamba2_case {
    const char    *what;
    bb_mamba2_dims dims;                  /* D, H, P, N, G, K, biases, dt limits, epsilon */
    int            type;                  /* BB_TYPE_… of the matrices */
} mamba2_case;

static const mamba2_case cases[] = {
    { "one group",      { 24, 4, 8, 16, 1, 4, true, false, 0, INFINITY, 1e-5f }, BB_TYPE_F32 },
    { "two groups",     { 20, 6, 4, 8, 2, 3, false, true, 0, INFINITY, 1e-5f },  BB_TYPE_BF16 },
    { "a group a head", { 19, 3, 5, 7, 3, 2, true, true, 0.02f, 0.3f, 1e-3f },   BB_TYPE_F16 },
    { "no window",      { 16, 4, 3, 5, 2, 1, true, false, 0, 0.5f, 1e-5f },      BB_TYPE_F32 },
    { "wide",           { 33, 8, 36, 20, 4, 4, true, true, 0, INFINITY, 1e-6f }, BB_TYPE_BF16 },
};
enum { N_CASES = sizeof cases / sizeof cases[0] };

/* Lines: rows of each session in one call. The first brings the sessions to positions around
   the edge of a chunk of 64; then long and short segments share calls, at and across edges. */
static const int script[][SESSIONS] = {
    { 0, 1, 63, 64, 100 },
    { 70, 33, 2, 65, 32 },
    { 1, 94, 1, 1, 33 },
    { 0, 0, 0, 0, 1 },
    { 185, 1, 130, 32, 40 },
    { 31, 64, 64, 128, 1 },
};
enum { N_SCRIPT = sizeof script / sizeof script[0] };

/* Everything alone, in calls that no edge bounds. */
static const int alone[][SESSIONS] = {
    { 287, 0, 0, 0, 0 }, { 0, 193, 0, 0, 0 }, { 0, 0, 260, 0, 0 }, { 0, 0, 0, 290, 0 },
    { 0, 0, 0, 0, 207 },
};

/* -------------------------------------------------------------- reference ---------------- */

typedef struct weights {
    double *in, *in_b, *conv, *conv_b, *dt_bias, *a_log, *D, *norm, *out, *out_b;
} weights;

static void add_weights(const mamba2_case *c, store *s)
{
    const bb_mamba2_dims *d = &c->dims;
    const int   I = d->n_heads * d->d_head;
    const int   C = I + 2 * d->n_groups * d->d_state;
    const char *type = lab_dtype(c->type);
    uint64_t    seed = 3;

    lab_add(s, "m.in_proj.weight", type, 0, 1 / sqrt(d->d_model), &seed,
            (const int[]){ I + C + d->n_heads, d->d_model, 0 });
    lab_add(s, "m.conv1d.weight", type, 0, 0.5, &seed, (const int[]){ C, 1, d->d_conv, 0 });
    lab_add(s, "m.dt_bias", "F32", -2, 1, &seed, (const int[]){ d->n_heads, 0 });
    lab_add(s, "m.A_log", "BF16", 0.5, 1, &seed, (const int[]){ d->n_heads, 0 });
    lab_add(s, "m.D", "F16", 1, 0.5, &seed, (const int[]){ d->n_heads, 0 });
    lab_add(s, "m.norm.weight", type, 1, 0.2, &seed, (const int[]){ I, 0 });
    lab_add(s, "m.out_proj.weight", type, 0, 1 / sqrt(I), &seed,
            (const int[]){ d->d_model, I, 0 });
    if (d->conv_bias)
        lab_add(s, "m.conv1d.bias", "F32", 0, 0.3, &seed, (const int[]){ C, 0 });
    if (!d->proj_bias) return;
    lab_add(s, "m.in_proj.bias", type, 0, 0.3, &seed, (const int[]){ I + C + d->n_heads, 0 });
    lab_add(s, "m.out_proj.bias", "F32", 0, 0.3, &seed, (const int[]){ d->d_model, 0 });
}

static weights read_weights(const bb_mamba2_dims *d, const store *s)
{
    weights w = { .in = NULL };

    w.in = lab_values(s, "m.in_proj.weight");
    w.conv = lab_values(s, "m.conv1d.weight");
    w.dt_bias = lab_values(s, "m.dt_bias");
    w.a_log = lab_values(s, "m.A_log");
    w.D = lab_values(s, "m.D");
    w.norm = lab_values(s, "m.norm.weight");
    w.out = lab_values(s, "m.out_proj.weight");
    if (d->conv_bias) w.conv_b = lab_values(s, "m.conv1d.bias");
    if (d->proj_bias) w.in_b = lab_values(s, "m.in_proj.bias");
    if (d->proj_bias) w.out_b = lab_values(s, "m.out_proj.bias");
    return w;
}

static void free_weights(weights *w)
{
    free(w->in), free(w->in_b), free(w->conv), free(w->conv_b), free(w->dt_bias);
    free(w->a_log), free(w->D), free(w->norm), free(w->out), free(w->out_b);
}

static double silu(double v) { return v / (1 + exp(-v)); }

/* v [C] of token t after convolution and SiLU; raw [t + 1, C] the columns so far. */
static void convolve(const bb_mamba2_dims *d, const weights *w, int C, const double *raw, int t,
                     double *v)
{
    const int K = d->d_conv;

    for (int c = 0; c < C; c++) {
        double sum = w->conv_b ? w->conv_b[c] : 0;
        for (int j = 0; j < K; j++) {
            const int s = t - (K - 1) + j;
            if (s >= 0) sum += w->conv[c * K + j] * raw[s * C + c];
        }
        v[c] = silu(sum);
    }
}

/* One token: S [H, P, N] updated, y [H, P]. xbc [C] after the convolution, raw_dt [H]. */
static void recur(const bb_mamba2_dims *d, const weights *w, const double *xbc,
                  const double *raw_dt, double *S, double *y)
{
    const int P = d->d_head;
    const int N = d->d_state;
    const int I = d->n_heads * P;

    for (int h = 0; h < d->n_heads; h++) {
        const int     g = h / (d->n_heads / d->n_groups);
        const double *B = xbc + I + g * N;
        const double *C = xbc + I + (d->n_groups + g) * N;
        const double  dt = fmin(fmax(log1p(exp(raw_dt[h] + w->dt_bias[h])), (double)d->dt_min),
                                (double)d->dt_max);
        const double  a = exp(-dt * exp(w->a_log[h]));
        for (int p = 0; p < P; p++) {
            const double x = xbc[h * P + p];
            double       sum = w->D[h] * x;
            for (int n = 0; n < N; n++) {
                double *s = &S[(h * P + p) * N + n];
                *s = a * *s + dt * x * B[n];
                sum += C[n] * *s;
            }
            y[h * P + p] = sum;
        }
    }
}

/* y [I] times silu(z), normed in G groups. */
static void norm(const bb_mamba2_dims *d, const weights *w, const double *z, double *y)
{
    const int n = d->n_heads * d->d_head / d->n_groups;

    for (int g = 0; g < d->n_groups; g++) {
        double squares = 0;
        for (int i = g * n; i < (g + 1) * n; i++) {
            y[i] *= silu(z[i]);
            squares += y[i] * y[i];
        }
        for (int i = g * n; i < (g + 1) * n; i++)
            y[i] *= w->norm[i] / sqrt(squares / n + (double)d->epsilon);
    }
}

/* out [n, D] for the inputs h [n, D] of a session from its start. */
static void refer(const bb_mamba2_dims *d, const weights *w, const float *h, int n, double *out)
{
    enum { MOST = 1024 };
    const int D = d->d_model;
    const int I = d->n_heads * d->d_head;
    const int C = I + 2 * d->n_groups * d->d_state;
    double   *raw = calloc((size_t)(n * C), sizeof *raw);
    double   *S = calloc((size_t)(I * d->d_state), sizeof *S);
    double    u[64], proj[MOST], xbc[MOST], y[MOST];

    assert_true(raw && S && I + C + d->n_heads <= MOST && D <= 64);
    for (int t = 0; t < n; t++) {
        for (int i = 0; i < D; i++) u[i] = (double)h[t * D + i];
        lab_multiply(w->in, w->in_b, I + C + d->n_heads, D, u, proj);
        memcpy(raw + t * C, proj + I, (size_t)C * sizeof *raw);
        convolve(d, w, C, raw, t, xbc);
        recur(d, w, xbc, proj + I + C, S, y);
        norm(d, w, proj, y);
        lab_multiply(w->out, w->out_b, D, I, y, out + t * D);
    }
    free(raw);
    free(S);
}

/* -------------------------------------------------------------- tests -------------------- */

static void begin(lab *l, const mamba2_case *c, store *s)
{
    uint64_t seed = 5;

    memset(s, 0, sizeof *s);
    lab_begin(l, c->dims.d_model, BB_TYPE_F32);
    bb_plan_mamba2(&l->plan, "m.", &c->dims);
    add_weights(c, s);
    lab_bind(l, s);
    for (int i = 0; i < SESSIONS; i++) lab_add_session(l, LENGTH, &seed);
}

static void expect_recurrence(const lab *l, const mamba2_case *c, double *const *expected,
                              const char *how)
{
    for (int i = 0; i < SESSIONS; i++) {
        const double error = lab_error(l, i, expected[i]);
        if (!(error < lab_bound(l, c->type, 1e-5)))
            fail_msg("%s, %s: session %d: error %g", c->what, how, i, error);
    }
}

static void test_recurrence(void **unused)
{
    (void)unused;
    for (int i = 0; i < N_CASES; i++) {
        const mamba2_case *c = &cases[i];
        double *expected[SESSIONS];
        store   s;
        lab     l;

        begin(&l, c, &s);
        weights w = read_weights(&c->dims, &s);
        for (int j = 0; j < SESSIONS; j++) {
            expected[j] = calloc((size_t)(LENGTH * c->dims.d_model), sizeof(double));
            assert_non_null(expected[j]);
            refer(&c->dims, &w, l.session[j].h, LENGTH, expected[j]);
        }
        lab_run(&l, 2, script[0], N_SCRIPT);
        assert_int_equal(l.session[0].pos, 287);
        expect_recurrence(&l, c, expected, "mixed");
        lab_run(&l, 1, alone[0], SESSIONS);
        expect_recurrence(&l, c, expected, "alone");
        for (int j = 0; j < SESSIONS; j++) free(expected[j]);
        free_weights(&w);
        lab_close(&l);
        store_free(&s);
    }
}

static void test_any_number_of_threads(void **unused)
{
    (void)unused;
    for (int i = 0; i < N_CASES; i++) {
        store  s;
        lab    l;
        size_t n;

        begin(&l, &cases[i], &s);
        lab_run(&l, 1, script[0], N_SCRIPT);
        unsigned char *bits = lab_bits(&l, &n);
        assert_true(lab_repeats(&l, 2, script[0], N_SCRIPT, bits, n));
        assert_true(lab_repeats(&l, 3, script[0], N_SCRIPT, bits, n));
        free(bits);
        lab_close(&l);
        store_free(&s);
    }
}

/* Calls of up to 32 rows: outputs and states have the bits of one token at a time. */
static void test_company_up_to_32_rows(void **unused)
{
    enum { EACH = 70 };
    static const int together[][SESSIONS] = {
        { 30, 1, 0, 1, 0 }, { 0, 5, 20, 0, 7 }, { 32, 0, 0, 0, 0 }, { 1, 1, 1, 1, 1 },
        { 7, 7, 7, 7, 4 },
    };
    static int one_by_one[SESSIONS * EACH][SESSIONS];
    int        n_lines = 0;

    (void)unused;
    for (int i = 0; i < SESSIONS; i++)
        for (int j = 0; j < (int)(sizeof together / sizeof together[0]); j++)
            for (int r = 0; r < together[j][i]; r++) one_by_one[n_lines++][i] = 1;

    for (int i = 0; i < N_CASES; i++) {
        store  s;
        lab    l;
        size_t n;

        begin(&l, &cases[i], &s);
        lab_run(&l, 1, one_by_one[0], n_lines);
        unsigned char *bits = lab_bits(&l, &n);
        assert_true(lab_repeats(&l, 2, together[0], sizeof together / sizeof together[0], bits,
                                n));
        free(bits);
        lab_close(&l);
        store_free(&s);
    }
}

/* Chunks begin at multiples of 64, not where a call does: a cut there changes no bit, as long
   as the products' rows do not depend on their number. */
static void test_chunks_at_absolute_positions(void **unused)
{
    static const int whole[][SESSIONS] = { { 80, 0, 64, 40, 0 }, { 150, 200, 128, 240, 70 } };
    static const int parts[][SESSIONS] = {
        { 80, 128, 64, 40, 0 }, { 48, 0, 0, 88, 0 }, { 102, 72, 64, 152, 70 },
        { 0, 0, 64, 0, 0 },
    };

    (void)unused;
    for (int i = 0; i < N_CASES; i++) {
        store  s;
        lab    l;
        size_t n;

        begin(&l, &cases[i], &s);
        if (bb_format_of(&l.kernels, (bb_type)cases[i].type)->many) {
            lab_run(&l, 1, whole[0], 2);
            unsigned char *bits = lab_bits(&l, &n);
            assert_true(lab_repeats(&l, 2, parts[0], 4, bits, n));
            free(bits);
        }
        lab_close(&l);
        store_free(&s);
    }
}

static void test_memory(void **unused)
{
    store s;
    lab   l;

    (void)unused;
    begin(&l, &cases[1], &s);             /* C = 24 + 2·2·8 = 56, K - 1 = 2; S 6 · 4 · 8 */
    const bb_mixer *m = l.graph->block[0].mixer[0];
    const size_t    exact = (2 * 56 + 192) * sizeof(float);
    assert_in_range(m->kind->state_bytes(m, 0), exact, exact + 126);
    assert_int_equal(m->kind->state_bytes(m, 1 << 20), m->kind->state_bytes(m, 0));
    assert_int_equal(m->slot, 0);
    lab_close(&l);
    store_free(&s);
}

static void test_print(void **unused)
{
    static const char *const lines[N_CASES] = {
        "24 -> 4 heads x 8, state 16, groups 1, conv 4 + bias",
        "20 -> 6 heads x 4, state 8, groups 2, conv 3, bias",
        "19 -> 3 heads x 5, state 7, groups 3, conv 2 + bias, bias, dt 0.02 ... 0.3",
        "16 -> 4 heads x 3, state 5, groups 2, conv 1 + bias, dt 0 ... 0.5",
        "33 -> 8 heads x 36, state 20, groups 4, conv 4 + bias, bias",
    };

    (void)unused;
    for (int i = 0; i < N_CASES; i++) {
        store      s;
        lab        l;
        char       text[200];
        bb_printer p = { .buffer = text, .size = sizeof text };

        begin(&l, &cases[i], &s);
        l.graph->block[0].mixer[0]->kind->print(l.graph->block[0].mixer[0], &p);
        assert_string_equal(text, lines[i]);
        lab_close(&l);
        store_free(&s);
    }
}

static void test_too_wide(void **unused)
{
    bb_mamba2_dims d = cases[0].dims;
    lab            l;
    bamba_error    err;

    (void)unused;
    lab_begin(&l, 24, BB_TYPE_F32);
    d.n_heads = d.d_head = 1 << 13;
    bb_plan_mamba2(&l.plan, "m.", &d);
    assert_int_equal(bb_plan_status(&l.plan, &err), BAMBA_ERR_UNSUPPORTED);
    assert_string_equal(err.message, "'m.': Mamba-2 mixer wider than 16777216");
    assert_int_equal(l.graph->block[0].n_mixers, 0);
    lab_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recurrence),
        cmocka_unit_test(test_any_number_of_threads),
        cmocka_unit_test(test_company_up_to_32_rows),
        cmocka_unit_test(test_chunks_at_absolute_positions),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_too_wide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
