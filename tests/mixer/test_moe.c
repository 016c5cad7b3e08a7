/* test_moe.c - mixtures of experts against their formula in double: routers, stacks, bits,
   costs. */
#include "mixer/count.h"
#include "mixer/mixers.h"

#include "support/lab.h"
#include "support/refer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SESSIONS = 3, LENGTH = 100 };

#define STACKS { .router = "router.layer.weight", .in_stack = "input_linear.weight",               \
                 .out_stack = "output_linear.weight" }
#define SINGLE { .router = "gate.weight", .gate = "experts.%d.gate_proj.weight",                  \
                 .up = "experts.%d.up_proj.weight", .down = "experts.%d.down_proj.weight" }
#define CORRECTED { .router = "gate.weight", .correction = "gate.bias",                           \
                    .up = "experts.%d.up_proj.weight", .down = "experts.%d.down_proj.weight" }
#define LATENT { .router = "gate.weight", .correction = "gate.bias",                              \
                 .up = "experts.%d.up_proj.weight", .down = "experts.%d.down_proj.weight",        \
                 .latent_in = "fc1_latent_proj", .latent_out = "fc2_latent_proj" }

typedef struct moe_case {
    const char *what;
    bb_moe_dims dims;
    bb_type     type;                     /* of the experts' matrices */
} moe_case;

static const moe_case cases[] = {
    { "stacks", { .d_model = 24, .d_ff = 16, .n_experts = 6, .n_used = 2, .names = STACKS },
      BB_TYPE_F32 },
    { "one of many", { .d_model = 20, .d_ff = 50, .n_experts = 70, .n_used = 1, .names = STACKS },
      BB_TYPE_BF16 },
    { "all", { .d_model = 31, .d_ff = 9, .n_experts = 3, .n_used = 3, .names = STACKS },
      BB_TYPE_F16 },
    { "softmax", { .d_model = 24, .d_ff = 33, .n_experts = 8, .n_used = 2,
                   .router = BB_ROUTER_SOFTMAX, .names = SINGLE }, BB_TYPE_F32 },
    { "softmax, normalised", { .d_model = 40, .d_ff = 130, .n_experts = 5, .n_used = 3,
                               .normalise = true, .router = BB_ROUTER_SOFTMAX,
                               .names = SINGLE }, BB_TYPE_F32 },
    { "sigmoid", { .d_model = 24, .d_ff = 16, .n_experts = 12, .n_used = 3,
                   .activation = BB_ACT_RELU2, .router = BB_ROUTER_SIGMOID, .scaling = 2.5f,
                   .normalise = true, .names = CORRECTED }, BB_TYPE_F32 },
    { "groups", { .d_model = 24, .d_ff = 16, .n_experts = 12, .n_used = 4, .n_groups = 4,
                  .n_top_groups = 2, .activation = BB_ACT_RELU2, .router = BB_ROUTER_SIGMOID,
                  .names = CORRECTED }, BB_TYPE_BF16 },
    { "relu2 stacks", { .d_model = 20, .d_ff = 48, .n_experts = 4, .n_used = 2,
                        .activation = BB_ACT_RELU2, .names = STACKS }, BB_TYPE_F32 },
    { "wide", { .d_model = 72, .d_ff = 56, .n_experts = 4, .n_used = 3, .router = BB_ROUTER_SOFTMAX,
                .names = SINGLE }, BB_TYPE_BF16 },
    { "latent", { .d_model = 40, .d_ff = 24, .n_experts = 8, .n_used = 3, .n_groups = 4,
                  .n_top_groups = 2, .activation = BB_ACT_RELU2, .router = BB_ROUTER_SIGMOID,
                  .normalise = true, .scaling = 2.5f, .d_latent = 12, .names = LATENT },
      BB_TYPE_F32 },
    { "wide latent", { .d_model = 20, .d_ff = 33, .n_experts = 5, .n_used = 2,
                       .activation = BB_ACT_RELU2, .router = BB_ROUTER_SIGMOID, .d_latent = 70,
                       .latent_bias = true, .names = LATENT }, BB_TYPE_BF16 },
    { "gated latent", { .d_model = 24, .d_ff = 16, .n_experts = 6, .n_used = 2, .d_latent = 9,
                        .latent_bias = true, .names = { .router = "router.layer.weight",
                        .in_stack = "input_linear.weight", .out_stack = "output_linear.weight",
                        .latent_in = "to", .latent_out = "from" } }, BB_TYPE_F16 },
};
enum { N_CASES = sizeof cases / sizeof cases[0] };

static const int script[][SESSIONS] = {
    { 1, 0, 0 }, { 1, 30, 1 }, { 3, 0, 40 }, { 70, 1, 5 },
};
static const int one_by_one[][SESSIONS] = {
    { 1, 0, 0 }, { 0, 1, 0 }, { 0, 1, 0 }, { 1, 0, 0 }, { 0, 0, 1 }, { 1, 0, 0 }, { 0, 1, 0 },
};
static const int together[][SESSIONS] = { { 3, 3, 1 } };
static const int whole[][SESSIONS] = { { 80, 0, 0 } };
static const int in_company[][SESSIONS] = { { 80, 60, 40 } };

enum { N_SCRIPT = sizeof script / sizeof script[0] };
enum { N_SINGLE = sizeof one_by_one / sizeof one_by_one[0] };

/* -------------------------------------------------------------- weights ------------------ */

static void add(const moe_case *c, store *s, const char *name, const char *dtype, const int *dim,
                uint64_t *seed)
{
    char full[80];
    int  n = 0;

    while (dim[n + 1]) n++;
    snprintf(full, sizeof full, "m.%s", name);
    lab_add(s, full, dtype ? dtype : lab_dtype(c->type), 0, 1.2 / sqrt(dim[n]), seed, dim);
}

static void add_one(const moe_case *c, store *s, const char *format, int i, int rows, int cols,
                    uint64_t *seed)
{
    const char *number = strstr(format, "%d");
    char        name[64];

    snprintf(name, sizeof name, "%.*s%d%s", (int)(number - format), format, i, number + 2);
    add(c, s, name, NULL, (const int[]){ rows, cols, 0 }, seed);
}

static void add_latent(const moe_case *c, store *s, const char *format, int rows, int cols,
                       uint64_t *seed)
{
    char name[64];

    snprintf(name, sizeof name, "%s.weight", format);
    add(c, s, name, NULL, (const int[]){ rows, cols, 0 }, seed);
    snprintf(name, sizeof name, "%s.bias", format);
    if (c->dims.latent_bias) add(c, s, name, "F32", (const int[]){ rows, 0 }, seed);
}

static void add_weights(const moe_case *c, store *s)
{
    const bb_moe_dims  *d = &c->dims;
    const bb_moe_names *n = &d->names;
    const int           L = d->d_latent, D = L ? L : d->d_model, F = d->d_ff, E = d->n_experts;
    const bool          is_gated = d->activation == BB_ACT_SILU_GATED;
    uint64_t            seed = 7;

    add(c, s, n->router, "F32", (const int[]){ E, d->d_model, 0 }, &seed);
    if (L) {
        add_latent(c, s, n->latent_in, L, d->d_model, &seed);
        add_latent(c, s, n->latent_out, d->d_model, L, &seed);
    }
    if (n->correction) add(c, s, n->correction, "F32", (const int[]){ E, 0 }, &seed);
    if (n->in_stack) {
        add(c, s, n->in_stack, NULL, (const int[]){ E, is_gated ? 2 * F : F, D, 0 }, &seed);
        add(c, s, n->out_stack, NULL, (const int[]){ E, D, F, 0 }, &seed);
    }
    for (int i = 0; !n->in_stack && i < E; i++) {
        if (is_gated) add_one(c, s, n->gate, i, F, D, &seed);
        add_one(c, s, n->up, i, F, D, &seed);
        add_one(c, s, n->down, i, D, F, &seed);
    }
}

static void begin(lab *l, const moe_case *c, store *s)
{
    uint64_t seed = 11;

    lab_begin(l, c->dims.d_model, BB_TYPE_F32);
    lab_use(l, bb_plan_moe(&l->plan, "m.", &c->dims));
    add_weights(c, s);
    lab_bind(l, s);
    for (int i = 0; i < SESSIONS; i++) lab_add_session(l, LENGTH, &seed);
}

/* -------------------------------------------------------------- tests -------------------- */

static void expect_formula(const lab *l, const moe_case *c, const store *s)
{
    const int D = c->dims.d_model;
    double   *y = calloc((size_t)(LENGTH * D), sizeof *y);

    assert_non_null(y);
    for (int i = 0; i < SESSIONS; i++) {
        double *h = lab_doubles(l->session[i].h, (size_t)(LENGTH * D));
        refer_moe(&c->dims, s, "m.", h, l->session[i].pos, y);
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
    for (int i = 0; i < N_CASES; i++) {
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

/* The first session's rows of a run; freed by the caller. */
static float *run_first(lab *l, int n_threads, const int *lines)
{
    const size_t n = 80 * (size_t)l->graph->d_model;
    float       *x = malloc(n * sizeof *x);

    assert_non_null(x);
    lab_run(l, n_threads, lines, 1);
    memcpy(x, l->session[0].x, n * sizeof *x);
    return x;
}

/* Neither the number of threads nor other rows, with the same experts or others, change a bit. */
static void test_bits(void **unused)
{
    (void)unused;
    for (int i = 0; i < N_CASES; i++) {
        store s = { NULL, 0, 0 };
        lab   l;
        begin(&l, &cases[i], &s);
        assert_true(lab_scales(&l, script[0], N_SCRIPT));
        assert_true(lab_agrees(&l, one_by_one[0], N_SINGLE, together[0], 1));

        if (l.kernels.format[BB_FORMAT_F32].many) {   /* BLAS's sums depend on the number of rows */
            float *alone = run_first(&l, 1, whole[0]), *others = run_first(&l, 2, in_company[0]);
            assert_memory_equal(alone, others, 80 * (size_t)l.graph->d_model * sizeof *alone);
            free(alone);
            free(others);
        }
        lab_close(&l);
        store_free(&s);
    }
}

/* Of experts with the same scores those with the lowest numbers are chosen. */
static void test_ties(void **unused)
{
    store          s = { NULL, 0, 0 };
    lab            l;
    const moe_case c = { "ties", { .d_model = 8, .d_ff = 4, .n_experts = 5, .n_used = 2,
                                   .names = STACKS }, BB_TYPE_F32 };
    const int      first[][SESSIONS] = { { 40, 2, 0 } };

    (void)unused;
    lab_begin(&l, 8, BB_TYPE_F32);
    lab_use(&l, bb_plan_moe(&l.plan, "m.", &c.dims));
    add_weights(&c, &s);
    store_tensor *router = store_find(&s, "m.router.layer.weight");
    memset(router->data, 0, router->bytes);
    lab_bind(&l, &s);
    uint64_t seed = 3;
    for (int i = 0; i < SESSIONS; i++) lab_add_session(&l, LENGTH, &seed);
    lab_run(&l, 2, first[0], 1);
    expect_formula(&l, &c, &s);
    lab_close(&l);
    store_free(&s);
}

/* Both projections of a latent space are read for each row, beside the experts of n_used. */
static void test_latent_costs(void **unused)
{
    store    s = { NULL, 0, 0 };
    lab      l;
    bb_count one[BB_MAX_OPS] = { { 0, 0 } };

    (void)unused;
    begin(&l, &cases[9], &s);
    const bb_mixer *m = l.graph->block[0].use[0].mixer;
    m->kind->count(m, &(bb_work){ .T = 1 }, one);
    assert_int_equal(one[m->op[0]].bytes, 8 * 40 * 4);
    assert_int_equal(one[m->op[1]].bytes, 3 * 2 * 12 * 24 * 4);
    assert_int_equal(one[m->op[2]].bytes, 2 * 40 * 12 * 4);
    assert_int_equal(one[m->op[2]].flops, 2 * 2 * 40 * 12);
    lab_close(&l);
    store_free(&s);
}

/* One row needs n_used experts, many rows all; a token's bytes count those of its experts alone. */
static void test_costs(void **unused)
{
    store           s = { NULL, 0, 0 };
    lab             l;
    const moe_case *c = &cases[0];
    bb_count        one[BB_MAX_OPS] = { { 0, 0 } }, many[BB_MAX_OPS] = { { 0, 0 } };

    (void)unused;
    begin(&l, c, &s);
    const bb_mixer *m = l.graph->block[0].use[0].mixer;
    const uint64_t  expert = 3 * 24 * 16 * 4;
    m->kind->count(m, &(bb_work){ .T = 1 }, one);
    m->kind->count(m, &(bb_work){ .T = 5000 }, many);
    assert_int_equal(one[m->op[0]].bytes, 6 * 24 * 4);
    assert_int_equal(one[m->op[1]].bytes, 2 * expert);
    assert_int_equal(many[m->op[1]].bytes, 6 * expert);
    assert_int_equal(one[m->op[1]].flops, 2 * (2 * 3 * 24 * 16 + 5 * 16));
    assert_int_equal(many[m->op[1]].flops, 5000 * one[m->op[1]].flops);
    /* embedding (the head is tied to it), two norms, the router and two experts */
    assert_int_equal(l.stats.weights_bytes, (2 * 24 + 2 * 24 + 6 * 24) * 4 + 2 * expert);
    assert_int_equal(l.stats.n_params, 2 * 24 + 2 * 24 + 6 * 24 + 6 * expert / 4);
    lab_close(&l);
    store_free(&s);
}

static void test_plan(void **unused)
{
    store      s = { NULL, 0, 0 };
    lab        l;
    char       text[200];
    bb_printer p = { .buffer = text, .size = sizeof text };

    (void)unused;
    begin(&l, &cases[6], &s);
    const bb_mixer *m = l.graph->block[0].use[0].mixer;
    assert_int_equal(l.graph->n_slots, 0);
    m->kind->print(m, &p);
    assert_string_equal(text, "24 -> 4 of 12 experts in 2 of 4 groups, 24 -> 16 -> 24, relu2");
    lab_close(&l);
    store_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formula),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_ties),
        cmocka_unit_test(test_costs),
        cmocka_unit_test(test_latent_costs),
        cmocka_unit_test(test_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
