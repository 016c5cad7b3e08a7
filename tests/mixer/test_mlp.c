/* test_mlp.c - the gated MLP against its formula in double. */
#include "mixer/mixers.h"

#include "support/lab.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SESSIONS = 3 };

typedef struct mlp_case {
    const char *what;
    bb_mlp_dims dims;
    int         type;                     /* BB_TYPE_… of the matrices */
} mlp_case;

static const mlp_case cases[] = {
    { "plain",  { 24, 40, false },  BB_TYPE_F32 },
    { "biases", { 20, 33, true },   BB_TYPE_BF16 },
    { "wide",   { 31, 150, true },  BB_TYPE_F16 },
    { "narrow", { 40, 1, false },   BB_TYPE_BF16 },
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

static void add_weights(const mlp_case *c, store *s)
{
    const bb_mlp_dims *d = &c->dims;
    uint64_t           seed = 7;

    lab_add(s, "m.gate_proj.weight", lab_dtype(c->type), 0, 1 / sqrt(d->d_model), &seed,
            (const int[]){ d->d_ff, d->d_model, 0 });
    lab_add(s, "m.up_proj.weight", lab_dtype(c->type), 0, 1 / sqrt(d->d_model), &seed,
            (const int[]){ d->d_ff, d->d_model, 0 });
    lab_add(s, "m.down_proj.weight", lab_dtype(c->type), 0, 1 / sqrt(d->d_ff), &seed,
            (const int[]){ d->d_model, d->d_ff, 0 });
    if (!d->bias) return;
    lab_add(s, "m.gate_proj.bias", "F32", 0, 0.3, &seed, (const int[]){ d->d_ff, 0 });
    lab_add(s, "m.up_proj.bias", "BF16", 0, 0.3, &seed, (const int[]){ d->d_ff, 0 });
    lab_add(s, "m.down_proj.bias", "F16", 0, 0.3, &seed, (const int[]){ d->d_model, 0 });
}

static void begin(lab *l, const mlp_case *c, store *s)
{
    uint64_t seed = 11;

    lab_begin(l, c->dims.d_model, BB_TYPE_F32);
    bb_plan_mlp(&l->plan, "m.", &c->dims);
    add_weights(c, s);
    lab_bind(l, s);
    for (int i = 0; i < SESSIONS; i++) lab_add_session(l, 100, &seed);
}

static void expect_formula(const lab *l, const mlp_case *c, const store *s)
{
    const int D = c->dims.d_model;
    const int F = c->dims.d_ff;
    double   *gate = lab_values(s, "m.gate_proj.weight");
    double   *up = lab_values(s, "m.up_proj.weight");
    double   *down = lab_values(s, "m.down_proj.weight");
    double   *gate_b = c->dims.bias ? lab_values(s, "m.gate_proj.bias") : NULL;
    double   *up_b = c->dims.bias ? lab_values(s, "m.up_proj.bias") : NULL;
    double   *down_b = c->dims.bias ? lab_values(s, "m.down_proj.bias") : NULL;
    double    h[64], g[160], u[160], y[100 * 64];

    for (int i = 0; i < SESSIONS; i++) {
        for (int t = 0; t < l->session[i].pos; t++) {
            for (int j = 0; j < D; j++) h[j] = (double)l->session[i].h[t * D + j];
            lab_multiply(gate, gate_b, F, D, h, g);
            lab_multiply(up, up_b, F, D, h, u);
            for (int j = 0; j < F; j++) u[j] *= g[j] / (1 + exp(-g[j]));
            lab_multiply(down, down_b, D, F, u, y + t * D);
        }
        const double error = lab_error(l, i, y);
        if (!(error < lab_bound(l, c->type, 5e-6)))
            fail_msg("%s: session %d: error %g", c->what, i, error);
    }
    free(gate), free(up), free(down), free(gate_b), free(up_b), free(down_b);
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
        store  s = { NULL, 0, 0 };
        lab    l;
        size_t n;
        begin(&l, &cases[i], &s);
        lab_run(&l, 1, script[0], N_SCRIPT);
        unsigned char *bits = lab_bits(&l, &n);
        assert_true(lab_repeats(&l, 2, script[0], N_SCRIPT, bits, n));
        assert_true(lab_repeats(&l, 3, script[0], N_SCRIPT, bits, n));
        free(bits);

        lab_run(&l, 1, one_by_one[0], N_SINGLE);
        bits = lab_bits(&l, &n);
        assert_true(lab_repeats(&l, 2, together[0], 1, bits, n));
        free(bits);
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
    const bb_mixer *m = l.graph->block[0].mixer[0];
    assert_int_equal(l.graph->n_slots, 0);
    assert_int_equal(m->slot, -1);
    assert_int_equal(m->kind->state_bytes(m, 1000), 0);
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
