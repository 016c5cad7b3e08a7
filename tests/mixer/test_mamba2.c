/* test_mamba2.c - the Mamba-2 mixer against the recurrence in double, one token at a time. */
#include "mixer/mixers.h"

#include "support/lab.h"
#include "support/refer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SESSIONS = 5, LENGTH = 330 };

typedef struct mamba2_case {
    const char    *what;
    bb_mamba2_dims dims;
    bb_type        type;                  /* of the matrices */
    bb_type        state_type;            /* of S */
    double         bound;                 /* of the error */
} mamba2_case;

#define DIMS(D, H, P, N, G, K, conv_b, biases, lo, hi, eps)                                        \
    { .d_model = D, .n_heads = H, .d_head = P, .d_state = N, .n_groups = G, .d_conv = K,           \
      .conv_bias = conv_b, .in_bias = biases, .out_bias = biases, .dt_min = lo, .dt_max = hi,      \
      .epsilon = eps }

static const mamba2_case cases[] = {
    { "one group",      DIMS(24, 4, 8, 16, 1, 4, true, false, 0, INFINITY, 1e-5f), BB_TYPE_F32,
      BB_TYPE_F32, 1e-5 },
    { "two groups",     DIMS(20, 6, 4, 8, 2, 3, false, true, 0, INFINITY, 1e-5f),  BB_TYPE_BF16,
      BB_TYPE_F32, 1e-5 },
    { "a group a head", DIMS(19, 3, 5, 7, 3, 2, true, true, 0.02f, 0.3f, 1e-3f),   BB_TYPE_F16,
      BB_TYPE_F32, 1e-5 },
    { "no window",      DIMS(16, 4, 3, 5, 2, 1, true, false, 0, 0.5f, 1e-5f),      BB_TYPE_F32,
      BB_TYPE_F32, 1e-5 },
    { "wide",           DIMS(33, 8, 36, 20, 4, 4, true, true, 0, INFINITY, 1e-6f), BB_TYPE_BF16,
      BB_TYPE_F32, 1e-5 },
    { "bf16 state",     DIMS(20, 6, 19, 33, 2, 3, false, true, 0, INFINITY, 1e-5f), BB_TYPE_F32,
      BB_TYPE_BF16, 2e-2 },
    { "int8 state",     DIMS(20, 6, 19, 33, 2, 3, false, true, 0, INFINITY, 1e-5f), BB_TYPE_F32,
      BB_TYPE_Q8, 5e-2 },
    { "norm, then gate", { .d_model = 20, .n_heads = 6, .d_head = 4, .d_state = 8, .n_groups = 2,
                           .d_conv = 3, .conv_bias = true, .out_bias = true, .dt_max = INFINITY,
                           .epsilon = 1e-5f, .gate = BB_NORM_THEN_GATE }, BB_TYPE_F32,
      BB_TYPE_F32, 1e-5 },
    { "gate alone, factors", { .d_model = 24, .n_heads = 4, .d_head = 9, .d_state = 8,
                               .n_groups = 1, .d_conv = 4, .conv_bias = true, .in_bias = true,
                               .dt_max = INFINITY, .gate = BB_GATE_ALONE, .times_in = 1.25,
                               .times = { 0.5, 2.0, 1.5, -0.75, 0.6 } }, BB_TYPE_BF16,
      BB_TYPE_F32, 1e-5 },
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
    if (d->gate != BB_GATE_ALONE)
        lab_add(s, "m.norm.weight", type, 1, 0.2, &seed, (const int[]){ I, 0 });
    lab_add(s, "m.out_proj.weight", type, 0, 1 / sqrt(I), &seed,
            (const int[]){ d->d_model, I, 0 });
    if (d->conv_bias)
        lab_add(s, "m.conv1d.bias", "F32", 0, 0.3, &seed, (const int[]){ C, 0 });
    if (d->in_bias)
        lab_add(s, "m.in_proj.bias", type, 0, 0.3, &seed, (const int[]){ I + C + d->n_heads, 0 });
    if (d->out_bias)
        lab_add(s, "m.out_proj.bias", "F32", 0, 0.3, &seed, (const int[]){ d->d_model, 0 });
}

/* -------------------------------------------------------------- tests -------------------- */

static void begin(lab *l, const mamba2_case *c, store *s)
{
    uint64_t seed = 5;

    memset(s, 0, sizeof *s);
    lab_begin(l, c->dims.d_model, BB_TYPE_F32);
    l->plan.state_type = c->state_type;
    lab_use(l, bb_plan_mamba2(&l->plan, "m.", &c->dims));
    add_weights(c, s);
    lab_bind(l, s);
    for (int i = 0; i < SESSIONS; i++) lab_add_session(l, LENGTH, &seed);
}

static void expect_recurrence(const lab *l, const mamba2_case *c, double *const *expected,
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
        const mamba2_case *c = &cases[i];
        double *expected[SESSIONS];
        store   s;
        lab     l;

        begin(&l, c, &s);
        for (int j = 0; j < SESSIONS; j++) {
            double *h = lab_doubles(l.session[j].h, (size_t)(LENGTH * c->dims.d_model));
            expected[j] = calloc((size_t)(LENGTH * c->dims.d_model), sizeof(double));
            assert_non_null(expected[j]);
            refer_mamba2(&c->dims, &s, "m.", h, LENGTH, expected[j]);
            free(h);
        }
        lab_run(&l, 2, script[0], N_SCRIPT);
        assert_int_equal(l.session[0].pos, 287);
        expect_recurrence(&l, c, expected, "mixed");
        lab_run(&l, 1, alone[0], SESSIONS);
        expect_recurrence(&l, c, expected, "alone");
        for (int j = 0; j < SESSIONS; j++) free(expected[j]);
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
        if (bb_format_of(&l.kernels, cases[i].type)->many) {
            lab_run(&l, 1, whole[0], 2);
            unsigned char *bits = lab_bits(&l, &n);
            assert_true(lab_repeats(&l, 2, parts[0], 4, bits, n));
            free(bits);
        }
        lab_close(&l);
        store_free(&s);
    }
}

enum { N_STEPS = 5, SPLIT = 2 };
static const int steps[N_STEPS][SESSIONS] = {     /* the third is cut at an edge below */
    { 20, 1, 0, 3, 70 }, { 1, 63, 1, 2, 0 }, { 7, 7, 7, 7, 4 }, { 40, 130, 100, 1, 33 },
    { 1, 1, 1, 1, 1 },
};

/* Replay steps first … N_STEPS - 1 of a session, whose row 0 is log's first, from one state to
   another; of the session that brings 100 rows in step 3 an edge is crossed in two calls. */
static void replay_steps(const lab *l, const bb_mixer *m, int session, const float *log, int first,
                         const void *from, void *to, float *scratch)
{
    const size_t width = m->kind->log_floats(m);
    int          pos = 0;

    for (int i = 0; i < first; i++) pos += steps[i][session];
    for (int i = first; i < N_STEPS; i++) {
        const bool is_long = steps[i][session] > BB_FEW_ROWS;
        int        n = steps[i][session], part = n;

        if (is_long && n == 100) part = BB_EDGE - pos % BB_EDGE;
        for (; n > 0; n -= part, pos += part, part = n, from = to)
            m->kind->replay(m, &l->kernels, log + (size_t)pos * width, pos, part, is_long, from, to,
                            scratch);
    }
}

/* What rows leave in the log rebuilds the state they left, from the state before them: all of them,
   or the last ones from a saved state. The log of the last rows holds the window. */
static void test_replay(void **unused)
{
    (void)unused;
    for (int i = 0; i < N_CASES; i++) {
        store s;
        lab   l;

        begin(&l, &cases[i], &s);
        const bb_mixer      *m = l.graph->block[0].use[0].mixer;
        const bb_mixer_kind *k = m->kind;
        const size_t         width = k->log_floats(m), bytes = k->saved_bytes(m, 0);
        float *scratch = malloc(k->scratch_floats(m) * sizeof *scratch);
        void  *state[2] = { aligned_alloc(64, (k->state_bytes(m) + 63) / 64 * 64),
                            aligned_alloc(64, (k->state_bytes(m) + 63) / 64 * 64) };
        unsigned char *before = malloc(bytes), *expected = malloc(bytes), *found = malloc(bytes);

        for (int j = 0; j < SESSIONS; j++)
            l.session[j].log = malloc(LENGTH * width * sizeof(float));
        for (int j = 0; j < SESSIONS; j++) {
            lab_run(&l, 2, steps[0], SPLIT);
            lab_save(&l, j, before);
            lab_run(&l, 2, steps[0], N_STEPS);
            lab_save(&l, j, expected);
            const int    end = l.session[j].pos;
            const float *log = l.session[j].log;

            memset(state[0], 0, k->state_bytes(m));
            memset(state[1], 0xFF, k->state_bytes(m));
            replay_steps(&l, m, j, log, 0, state[0], state[1], scratch);
            k->save(m, &l.kernels, state[1], NULL, 0, 0, found, scratch);
            assert_memory_equal(found, expected, bytes);

            memset(state[0], 0xFF, k->state_bytes(m));
            k->load(m, &l.kernels, before, 0, 0, state[0], NULL, scratch);
            replay_steps(&l, m, j, log, SPLIT, state[0], state[0], scratch);
            k->save(m, &l.kernels, state[0], NULL, 0, 0, found, scratch);
            assert_memory_equal(found, expected, bytes);

            const bb_mamba2_dims *d = &cases[i].dims;
            const size_t C = width - (size_t)d->n_heads, kept = (size_t)d->d_conv - 1;
            for (size_t r = 0; r < kept && (size_t)end >= kept; r++)
                assert_memory_equal(expected + r * C * sizeof(float),
                                    log + ((size_t)end - kept + r) * width, C * sizeof(float));
        }
        for (int j = 0; j < SESSIONS; j++) free(l.session[j].log);
        free(scratch), free(state[0]), free(state[1]), free(before), free(expected), free(found);
        lab_close(&l);
        store_free(&s);
    }
}

static void test_memory(void **unused)
{
    /* Rows of a state, bytes of each: case 1 has C = 24 + 2·2·8 = 56, the others 114 + 2·2·33. */
    static const struct { int number; size_t window, rows, row, saved_row; } memory[] = {
        { 1, 2 * 56, 6 * 4, 8 * 4, 8 * 4 },
        { 5, 2 * 246, 6 * 19, 33 * 2, 33 * 4 },
        { 6, 2 * 246, 6 * 19, 33 + 4, 33 * 4 },
    };

    (void)unused;
    for (int i = 0; i < 3; i++) {
        const size_t window = memory[i].window * sizeof(float);
        const size_t exact = window + memory[i].rows * memory[i].row;
        store s;
        lab   l;

        begin(&l, &cases[memory[i].number], &s);
        const bb_mixer *m = l.graph->block[0].use[0].mixer;
        assert_in_range(m->kind->state_bytes(m), exact, exact + 126);
        assert_int_equal(m->kind->saved_bytes(m, 1000),
                         window + memory[i].rows * memory[i].saved_row);
        assert_null(m->kind->page_bytes);
        assert_int_equal(l.graph->block[0].use[0].slot, 0);
        lab_close(&l);
        store_free(&s);
    }
}

static void test_print(void **unused)
{
    static const char *const lines[N_CASES] = {
        "24 -> 4 heads x 8, state 16, groups 1, conv 4 + bias",
        "20 -> 6 heads x 4, state 8, groups 2, conv 3, bias",
        "19 -> 3 heads x 5, state 7, groups 3, conv 2 + bias, bias, dt 0.02 ... 0.3",
        "16 -> 4 heads x 3, state 5, groups 2, conv 1 + bias, dt 0 ... 0.5",
        "33 -> 8 heads x 36, state 20, groups 4, conv 4 + bias, bias",
        "20 -> 6 heads x 19, state 33, groups 2, conv 3, bias",
        "20 -> 6 heads x 19, state 33, groups 2, conv 3, bias",
        "20 -> 6 heads x 4, state 8, groups 2, conv 3 + bias, output bias, norm before gate",
        ("24 -> 4 heads x 9, state 8, groups 1, conv 4 + bias, input bias, no norm, input x 1.25, "
         "z x 0.5, x x 2, B x 1.5, C x -0.75, dt x 0.6"),
    };

    (void)unused;
    for (int i = 0; i < N_CASES; i++) {
        store      s;
        lab        l;
        char       text[200];
        bb_printer p = { .buffer = text, .size = sizeof text };

        begin(&l, &cases[i], &s);
        l.graph->block[0].use[0].mixer->kind->print(l.graph->block[0].use[0].mixer, &p);
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
    lab_use(&l, bb_plan_mamba2(&l.plan, "m.", &d));
    assert_int_equal(bb_plan_status(&l.plan, &err), BAMBA_ERR_UNSUPPORTED);
    assert_string_equal(err.message, "'m.': Mamba-2 mixer wider than 16777216");
    assert_int_equal(l.graph->block[0].n_uses, 0);
    lab_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recurrence),
        cmocka_unit_test(test_any_number_of_threads),
        cmocka_unit_test(test_company_up_to_32_rows),
        cmocka_unit_test(test_chunks_at_absolute_positions),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_too_wide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
