/* test_mlp.c - the gated MLP against its formula in double. */
#include "mixer/mixers.h"

#include "support/lab.h"
#include "support/refer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SESSIONS = 3, LENGTH = 100 };

typedef struct mlp_case {
    const char *what;
    bb_mlp_dims dims;
    bb_type     type;                     /* of the matrices */
} mlp_case;

#define DIMS(D, F, ...) { .d_model = D, .d_ff = F, __VA_ARGS__ }

static const mlp_case cases[] = {
    { "plain",  DIMS(24, 40, .bias = false, .activation = BB_ACT_SILU_GATED),  BB_TYPE_F32 },
    { "biases", DIMS(20, 33, .bias = true, .activation = BB_ACT_SILU_GATED),   BB_TYPE_BF16 },
    { "wide",   DIMS(31, 150, .bias = true, .activation = BB_ACT_SILU_GATED),  BB_TYPE_F16 },
    { "narrow", DIMS(40, 1, .bias = false, .activation = BB_ACT_SILU_GATED),   BB_TYPE_BF16 },
    { "relu2",  DIMS(24, 40, .bias = true, .activation = BB_ACT_RELU2),  BB_TYPE_F32 },
    { "gelu", DIMS(24, 70, .bias = true, .activation = BB_ACT_GELU_GATED), BB_TYPE_F16 },
    { "factor", DIMS(24, 40, .bias = true, .activation = BB_ACT_SILU_GATED, .times_gate = 0.6),
      BB_TYPE_F32 },
    { "fused", DIMS(24, 40, .activation = BB_ACT_SILU_GATED, .gate_up = "in", .down = "out"),
      BB_TYPE_F32 },
    { "fused, up first", DIMS(20, 33, .gate_up = "fc1", .up_first = true, .down = "fc2"),
      BB_TYPE_BF16 },
    { "gelu", DIMS(24, 40, .activation = BB_ACT_GELU_GATED, .bias = true), BB_TYPE_F32 },
    { "low rank", DIMS(24, 1100, .activation = BB_ACT_GELU_GATED, .gate_up = "in",
                       .down = "down_proj", .bias = true,
                       .low_rank = { 6, 2, 1, 3 }), BB_TYPE_BF16 },
    { "relu2 wide", DIMS(20, 180, .bias = false, .activation = BB_ACT_RELU2), BB_TYPE_BF16 },
};

static const int script[][SESSIONS] = {
    { 1, 0, 0 }, { 1, 30, 1 }, { 3, 0, 40 }, { 70, 1, 5 },
};
static const int one_by_one[][SESSIONS] = {
    { 1, 0, 0 }, { 0, 1, 0 }, { 0, 1, 0 }, { 1, 0, 0 }, { 0, 0, 1 }, { 1, 0, 0 }, { 0, 1, 0 },
};
static const int together[][SESSIONS] = { { 3, 3, 1 } };

enum { N_SCRIPT = sizeof script / sizeof script[0] };
enum { N_SINGLE = sizeof one_by_one / sizeof one_by_one[0] };

static void add_named(store *s, const mlp_case *c, const char *name, int number, const char *ending,
                      int rows, int cols, uint64_t *seed)
{
    char full[64];

    snprintf(full, sizeof full, number < 0 ? "m.%s.weight" : "m.%s.%d.%s.weight", name,
             number, ending);
    lab_add(s, full, lab_dtype(c->type), 0, 1 / sqrt(cols), seed, (const int[]){ rows, cols, 0 });
}

/* One map of gate and up; low-rank terms of every use. */
static void add_fused(const mlp_case *c, store *s)
{
    const bb_mlp_dims *d = &c->dims;
    uint64_t           seed = 7;
    char               name[64];

    add_named(s, c, d->gate_up, -1, "", 2 * d->d_ff, d->d_model, &seed);
    add_named(s, c, d->down, -1, "", d->d_model, d->d_ff, &seed);
    for (int i = 0; i < d->low_rank.n_uses; i++) {
        const int number = d->low_rank.first + i * d->low_rank.step;
        add_named(s, c, "gate_up_proj_adapter_list", number, "0", d->low_rank.rank,
                  d->d_model, &seed);
        add_named(s, c, "gate_up_proj_adapter_list", number, "1", 2 * d->d_ff,
                  d->low_rank.rank, &seed);
    }
    if (!d->bias) return;
    snprintf(name, sizeof name, "m.%s.bias", d->gate_up);
    lab_add(s, name, "F32", 0, 0.3, &seed, (const int[]){ 2 * d->d_ff, 0 });
    snprintf(name, sizeof name, "m.%s.bias", d->down);
    lab_add(s, name, "F32", 0, 0.3, &seed, (const int[]){ d->d_model, 0 });
}

static void add_weights(const mlp_case *c, store *s)
{
    const bb_mlp_dims *d = &c->dims;
    uint64_t           seed = 7;

    if (d->gate_up) {
        add_fused(c, s);
        return;
    }
    if (d->activation != BB_ACT_RELU2)
        lab_add(s, "m.gate_proj.weight", lab_dtype(c->type), 0, 1 / sqrt(d->d_model), &seed,
            (const int[]){ d->d_ff, d->d_model, 0 });
    lab_add(s, "m.up_proj.weight", lab_dtype(c->type), 0, 1 / sqrt(d->d_model), &seed,
            (const int[]){ d->d_ff, d->d_model, 0 });
    lab_add(s, "m.down_proj.weight", lab_dtype(c->type), 0, 1 / sqrt(d->d_ff), &seed,
            (const int[]){ d->d_model, d->d_ff, 0 });
    if (!d->bias) return;
    if (d->activation != BB_ACT_RELU2)
        lab_add(s, "m.gate_proj.bias", "F32", 0, 0.3, &seed, (const int[]){ d->d_ff, 0 });
    lab_add(s, "m.up_proj.bias", "BF16", 0, 0.3, &seed, (const int[]){ d->d_ff, 0 });
    lab_add(s, "m.down_proj.bias", "F16", 0, 0.3, &seed, (const int[]){ d->d_model, 0 });
}

static void begin(lab *l, const mlp_case *c, store *s)
{
    uint64_t seed = 11;

    lab_begin(l, c->dims.d_model, BB_TYPE_F32);
    lab_use(l, bb_plan_mlp(&l->plan, "m.", &c->dims));
    add_weights(c, s);
    lab_bind(l, s);
    for (int i = 0; i < SESSIONS; i++) lab_add_session(l, LENGTH, &seed);
}

static void expect_formula(const lab *l, const mlp_case *c, const store *s)
{
    const int D = c->dims.d_model;
    double   *y = calloc((size_t)(LENGTH * D), sizeof *y);

    assert_non_null(y);
    for (int i = 0; i < SESSIONS; i++) {
        double *h = lab_doubles(l->session[i].h, (size_t)(LENGTH * D));
        refer_mlp(&c->dims, s, "m.", h, l->session[i].pos, y);
        const double error = lab_error(l, i, y);
        if (!(error < lab_bound(l, c->type, 5e-6)))
            fail_msg("%s: session %d: error %g", c->what, i, error);
        free(h);
    }
    free(y);
}

static void test_formula(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        store s = { NULL, 0, 0 };
        lab   l;
        begin(&l, &cases[i], &s);
        lab_run(&l, 2, script[0], N_SCRIPT);
        assert_int_equal(l.session[0].pos, 75);
        expect_formula(&l, &cases[i], &s);
        lab_close(&l);
        store_free(&s);
    }
}

static void test_bits(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        store s = { NULL, 0, 0 };
        lab   l;
        begin(&l, &cases[i], &s);
        assert_true(lab_scales(&l, script[0], N_SCRIPT));
        assert_true(lab_agrees(&l, one_by_one[0], N_SINGLE, together[0], 1));
        lab_close(&l);
        store_free(&s);
    }
}

static void test_remembers_nothing(void **unused)
{
    store      s = { NULL, 0, 0 };
    lab        l;
    char       text[200];
    bb_printer p = { .buffer = text, .size = sizeof text };

    (void)unused;
    begin(&l, &cases[1], &s);
    const bb_mixer *m = l.graph->block[0].use[0].mixer;
    assert_int_equal(l.graph->n_slots, 0);
    assert_int_equal(l.graph->block[0].use[0].slot, -1);
    assert_null(m->kind->state_bytes);
    assert_null(m->kind->page_bytes);
    m->kind->print(m, &p);
    assert_string_equal(text, "20 -> 33 -> 20, bias");
    lab_close(&l);
    store_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formula),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_remembers_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
