/* test_mamba1.c - the Mamba-1 mixer against the recurrence in double, one token at a time. */
#include "mixer/mixers.h"

#include "support/lab.h"
#include "support/refer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SESSIONS = 3, LENGTH = 330 };

typedef struct mamba1_case {
    const char    *what;
    bb_mamba1_dims dims;                  /* D, I, N, K, R, heads, biases, inner norms, epsilon */
    bb_type        type;                  /* of the matrices */
    bb_type        state_type;            /* of S */
    double         bound;                 /* of the error */
    const char    *line;                  /* as printed */
} mamba1_case;

#define NONE     BB_INNER_NORM_NONE
#define PLAIN    BB_INNER_NORM_PLAIN
#define WEIGHTED BB_INNER_NORM_WEIGHTED

static const mamba1_case cases[] = {
    { "usual", { 24, 48, 16, 4, 3, 0, true, false, NONE, 0 }, BB_TYPE_F32, BB_TYPE_F32, 1e-5,
      "24 -> 48, state 16, dt rank 3, conv 4 + bias" },
    { "biases", { 20, 37, 5, 3, 7, 0, false, true, NONE, 0 }, BB_TYPE_BF16, BB_TYPE_F32, 1e-5,
      "20 -> 37, state 5, dt rank 7, conv 3, bias" },
    { "norms", { 33, 66, 16, 4, 4, 0, true, false, WEIGHTED, 1e-3f }, BB_TYPE_F16,
      BB_TYPE_F32, 1e-5, "33 -> 66, state 16, dt rank 4, conv 4 + bias, inner norms" },
    { "norms without weights", { 16, 200, 8, 1, 2, 0, true, true, PLAIN, 1e-6f }, BB_TYPE_F32,
      BB_TYPE_F32, 1e-5,
      "16 -> 200, state 8, dt rank 2, conv 1 + bias, bias, inner norms without weights" },
    { "heads", { 24, 72, 16, 4, 3, 2, true, false, NONE, 0 }, BB_TYPE_F32, BB_TYPE_F32, 1e-5,
      "24 -> 72, state 16, dt rank 3, conv 4 + bias, heads 2" },
    { "a head of its own", { 20, 34, 21, 2, 5, 1, false, true, NONE, 0 }, BB_TYPE_BF16, BB_TYPE_F32,
      1e-5, "20 -> 34, state 21, dt rank 5, conv 2, bias, heads 1" },
    { "bf16 state", { 20, 57, 33, 3, 4, 0, false, true, PLAIN, 1e-5f }, BB_TYPE_F32,
      BB_TYPE_BF16, 2e-2, "20 -> 57, state 33, dt rank 4, conv 3, bias, inner norms without "
      "weights" },
    { "int8 state", { 20, 57, 33, 3, 4, 3, false, true, NONE, 0 }, BB_TYPE_F32, BB_TYPE_Q8, 5e-2,
      "20 -> 57, state 33, dt rank 4, conv 3, bias, heads 3" },
};
enum { N_CASES = sizeof cases / sizeof cases[0] };

/* Lines: rows of each session in one call. */
static const int script[][SESSIONS] = {
    { 0, 1, 63 }, { 70, 33, 2 }, { 1, 94, 1 }, { 0, 0, 5 }, { 185, 1, 130 }, { 31, 64, 64 },
};
/* The same rows, each session by itself. */
static const int alone[][SESSIONS] = { { 287, 0, 0 }, { 0, 193, 0 }, { 0, 0, 265 } };

static void add_weights(const mamba1_case *c, store *s)
{
    const bb_mamba1_dims *d = &c->dims;
    const bool  stack = d->n_heads > 0;
    const int   I = d->d_inner, N = d->d_state, R = d->dt_rank, H = stack ? d->n_heads : 1;
    const int   P = I / H;
    const int   low = R + 2 * N;
    const char *type = lab_dtype(c->type);
    uint64_t    seed = 3;

    lab_add(s, "m.in_proj.weight", type, 0, 1 / sqrt(d->d_model), &seed,
            (const int[]){ 2 * I, d->d_model, 0 });
    lab_add(s, "m.conv1d.weight", type, 0, 0.5, &seed, (const int[]){ I, 1, d->d_conv, 0 });
    lab_add(s, stack ? "m.x_proj_weight" : "m.x_proj.weight", type, 0, 1 / sqrt(P), &seed,
            stack ? (const int[]){ H, low, P, 0 } : (const int[]){ low, P, 0 });
    lab_add(s, stack ? "m.dt_proj_weight" : "m.dt_proj.weight", type, 0, 1 / sqrt(R), &seed,
            stack ? (const int[]){ H, P, R, 0 } : (const int[]){ P, R, 0 });
    lab_add(s, stack ? "m.dt_proj_bias" : "m.dt_proj.bias", "F32", -2, 1, &seed,
            stack ? (const int[]){ H, P, 0 } : (const int[]){ P, 0 });
    lab_add(s, "m.A_log", "BF16", 0.5, 1, &seed,
            stack ? (const int[]){ H, P, N, 0 } : (const int[]){ P, N, 0 });
    lab_add(s, "m.D", "F16", 1, 0.5, &seed,
            stack ? (const int[]){ H, P, 0 } : (const int[]){ P, 0 });
    lab_add(s, "m.out_proj.weight", type, 0, 1 / sqrt(I), &seed, (const int[]){ d->d_model, I, 0 });
    if (d->conv_bias) lab_add(s, "m.conv1d.bias", "F32", 0, 0.3, &seed, (const int[]){ I, 0 });
    if (d->inner_norm == WEIGHTED) {
        lab_add(s, "m.dt_layernorm.weight", type, 1, 0.2, &seed, (const int[]){ R, 0 });
        lab_add(s, "m.b_layernorm.weight", "F32", 1, 0.2, &seed, (const int[]){ N, 0 });
        lab_add(s, "m.c_layernorm.weight", type, 1, 0.2, &seed, (const int[]){ N, 0 });
    }
    if (!d->proj_bias) return;
    lab_add(s, "m.in_proj.bias", type, 0, 0.3, &seed, (const int[]){ 2 * I, 0 });
    lab_add(s, "m.out_proj.bias", "F32", 0, 0.3, &seed, (const int[]){ d->d_model, 0 });
}

static void begin(lab *l, const mamba1_case *c, store *s)
{
    uint64_t seed = 5;

    memset(s, 0, sizeof *s);
    lab_begin(l, c->dims.d_model, BB_TYPE_F32);
    l->plan.state_type = c->state_type;
    lab_use(l, bb_plan_mamba1(&l->plan, "m.", &c->dims));
    add_weights(c, s);
    lab_bind(l, s);
    for (int i = 0; i < SESSIONS; i++) lab_add_session(l, LENGTH, &seed);
}

/* -------------------------------------------------------------- tests -------------------- */

static void expect_recurrence(const lab *l, const mamba1_case *c, double *const *expected,
                              const char *how)
{
    for (int i = 0; i < SESSIONS; i++) {
        const double error = lab_error(l, i, expected[i]);
        if (!(error < lab_bound(l, c->type, c->bound)))
            fail_msg("%s, %s: session %d: error %g", c->what, how, i, error);
    }
}

static void test_recurrence(void **unused)
{
    (void)unused;
    for (int i = 0; i < N_CASES; i++) {
        const mamba1_case *c = &cases[i];
        double *expected[SESSIONS];
        store   s;
        lab     l;

        begin(&l, c, &s);
        for (int j = 0; j < SESSIONS; j++) {
            double *h = lab_doubles(l.session[j].h, (size_t)(LENGTH * c->dims.d_model));
            expected[j] = calloc((size_t)(LENGTH * c->dims.d_model), sizeof(double));
            assert_non_null(expected[j]);
            refer_mamba1(&c->dims, &s, "m.", h, LENGTH, expected[j]);
            free(h);
        }
        lab_run(&l, 2, script[0], sizeof script / sizeof script[0]);
        assert_int_equal(l.session[0].pos, 287);
        expect_recurrence(&l, c, expected, "mixed");
        lab_run(&l, 1, alone[0], sizeof alone / sizeof alone[0]);
        expect_recurrence(&l, c, expected, "alone");
        for (int j = 0; j < SESSIONS; j++) free(expected[j]);
        lab_close(&l);
        store_free(&s);
    }
}

/* Outputs and states after a run with one thread are those of another script and number of threads;
   where scripts have other numbers of many rows, only if products do not depend on these. */
static void expect_same(const mamba1_case *c, const int *first, int n_first, const int *second,
                        int n_second, int n_threads, bool are_many)
{
    store  s;
    lab    l;
    size_t n;

    begin(&l, c, &s);
    if (!are_many || bb_format_of(&l.kernels, c->type)->many) {
        lab_run(&l, 1, first, n_first);
        unsigned char *bits = lab_bits(&l, &n);
        if (!lab_repeats(&l, n_threads, second, n_second, bits, n))
            fail_msg("%s: other bits with %d threads", c->what, n_threads);
        free(bits);
    }
    lab_close(&l);
    store_free(&s);
}

static void test_any_number_of_threads(void **unused)
{
    enum { N = sizeof script / sizeof script[0] };

    (void)unused;
    for (int i = 0; i < N_CASES; i++)
        for (int n_threads = 2; n_threads < 4; n_threads++)
            expect_same(&cases[i], script[0], N, script[0], N, n_threads, false);
}

/* Calls of up to 32 rows: outputs and states have the bits of one token at a time. */
static void test_company_up_to_32_rows(void **unused)
{
    static const int together[][SESSIONS] = { { 30, 1, 0 }, { 0, 5, 20 }, { 32, 0, 0 },
                                              { 1, 1, 1 } };
    enum { N = sizeof together / sizeof together[0] };
    static int one_by_one[SESSIONS * 70][SESSIONS];
    int        n_lines = 0;

    (void)unused;
    for (int i = 0; i < SESSIONS; i++)
        for (int j = 0; j < N; j++)
            for (int r = 0; r < together[j][i]; r++) one_by_one[n_lines++][i] = 1;
    for (int i = 0; i < N_CASES; i++)
        expect_same(&cases[i], one_by_one[0], n_lines, together[0], N, 2, false);
}

/* Long segments may be cut anywhere, as long as their parts are long too: not a bit changes. */
static void test_any_cut(void **unused)
{
    static const int parts[][SESSIONS] = {
        { 100, 0, 0 }, { 37, 0, 0 }, { 150, 0, 0 }, { 0, 77, 0 }, { 0, 116, 0 }, { 0, 0, 33 },
        { 0, 0, 232 },
    };

    (void)unused;
    for (int i = 0; i < N_CASES; i++)
        expect_same(&cases[i], alone[0], 3, parts[0], sizeof parts / sizeof parts[0], 2, true);
}

/* What rows leave in the log rebuilds the state they left, from the state before them. */
static void test_replay(void **unused)
{
    static const int steps[][SESSIONS] = { { 20, 1, 0 }, { 1, 63, 1 }, { 70, 7, 100 },
                                           { 1, 1, 130 } };
    enum { N_STEPS = sizeof steps / sizeof steps[0], SPLIT = 2 };

    (void)unused;
    for (int i = 0; i < N_CASES; i++) {
        store s;
        lab   l;

        begin(&l, &cases[i], &s);
        const bb_mixer      *m = l.graph->block[0].use[0].mixer;
        const bb_mixer_kind *k = m->kind;
        const size_t         width = k->log_floats(m), bytes = k->saved_bytes(m, 0);
        const size_t         state_bytes = (k->state_bytes(m) + 63) / 64 * 64;
        float *scratch = malloc(k->scratch_floats(m) * sizeof *scratch);
        void  *from = aligned_alloc(64, state_bytes), *to = aligned_alloc(64, state_bytes);
        unsigned char *before = malloc(bytes), *expected = malloc(bytes), *found = malloc(bytes);

        for (int j = 0; j < SESSIONS; j++)
            l.session[j].log = malloc(LENGTH * width * sizeof(float));
        for (int j = 0; j < SESSIONS; j++) {
            lab_run(&l, 2, steps[0], SPLIT);
            const int split = l.session[j].pos;
            lab_save(&l, j, before);
            lab_run(&l, 2, steps[0], N_STEPS);
            const int    end = l.session[j].pos;
            const float *log = l.session[j].log;
            lab_save(&l, j, expected);

            memset(from, 0, state_bytes);
            memset(to, 0xFF, state_bytes);
            k->replay(m, &l.kernels, log, 0, end, true, from, to, scratch);
            k->save(m, &l.kernels, to, NULL, 0, 0, found, scratch);
            assert_memory_equal(found, expected, bytes);

            memset(from, 0xFF, state_bytes);
            k->load(m, &l.kernels, before, 0, 0, from, NULL, scratch);
            k->replay(m, &l.kernels, log + (size_t)split * width, split, end - split, false,
                      from, from, scratch);
            k->save(m, &l.kernels, from, NULL, 0, 0, found, scratch);
            assert_memory_equal(found, expected, bytes);
        }
        for (int j = 0; j < SESSIONS; j++) free(l.session[j].log);
        free(scratch), free(from), free(to), free(before), free(expected), free(found);
        lab_close(&l);
        store_free(&s);
    }
}

static void test_memory_and_print(void **unused)
{
    (void)unused;
    for (int i = 0; i < N_CASES; i++) {
        const bb_mamba1_dims *d = &cases[i].dims;
        const size_t window = (size_t)((d->d_conv - 1) * d->d_inner) * sizeof(float);
        const size_t rows = (size_t)d->d_inner, n = (size_t)d->d_state;
        const size_t row = cases[i].state_type == BB_TYPE_F32 ? 4 * n
                         : cases[i].state_type == BB_TYPE_BF16 ? 2 * n : n + 4;
        char       text[200];
        bb_printer p = { .buffer = text, .size = sizeof text };
        store      s;
        lab        l;

        begin(&l, &cases[i], &s);
        const bb_mixer *m = l.graph->block[0].use[0].mixer;
        assert_in_range(m->kind->state_bytes(m), window + rows * row, window + rows * row + 126);
        assert_int_equal(m->kind->saved_bytes(m, 1000), window + rows * n * sizeof(float));
        assert_null(m->kind->page_bytes);
        assert_int_equal(l.graph->block[0].use[0].slot, 0);
        m->kind->print(m, &p);
        assert_string_equal(text, cases[i].line);
        lab_close(&l);
        store_free(&s);
    }
}

static void test_too_wide(void **unused)
{
    static const bb_mamba1_dims wide[] = {
        { 24, 1 << 24, 16, 4, 3, 0, true, false, NONE, 0 },
        { 24, 48, 1 << 24, 4, 3, 0, true, false, NONE, 0 },
        { 24, 1 << 20, 2048, 4, 3, 0, true, false, NONE, 0 },
    };
    bamba_error err;

    (void)unused;
    for (int i = 0; i < 3; i++) {
        lab l;
        lab_begin(&l, 24, BB_TYPE_F32);
        lab_use(&l, bb_plan_mamba1(&l.plan, "m.", &wide[i]));
        assert_int_equal(bb_plan_status(&l.plan, &err), BAMBA_ERR_UNSUPPORTED);
        assert_string_equal(err.message, "'m.': Mamba-1 mixer too wide");
        assert_int_equal(l.graph->block[0].n_uses, 0);
        lab_close(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recurrence),
        cmocka_unit_test(test_any_number_of_threads),
        cmocka_unit_test(test_company_up_to_32_rows),
        cmocka_unit_test(test_any_cut),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_memory_and_print),
        cmocka_unit_test(test_too_wide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
