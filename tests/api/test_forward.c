/* test_forward.c - networks planned by hand, against double: two mixers side by side, a mixer that
 * two blocks share, multipliers everywhere, another activation, an input beside the embedding, and
 * blocks that pass a side stream on. */
#include "forward.h"

#include "mixer/blas.h"
#include "mixer/mixers.h"
#include "mixer/product.h"
#include "support/lab.h"
#include "support/refer.h"
#include "support/tempdir.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { D = 24, V = 40, T = 45, LAYERS = 2, MOST_SLOTS = 8 };

static const double EMBED_SCALE = 3, LOGIT_SCALE = 0.25, EPSILON = 1e-5;
static const double SSM_ALPHA = 0.7, ATTENTION_ALPHA = -1.3, RESIDUAL = 0.22;
static const double SHARED_ALPHA[LAYERS] = { 1, 0.5 };
static const double SIDE_ALPHA[3] = { 0.8, 1.5, -0.6 };

static const bb_mamba2_dims    ssm = {
    .d_model = D, .n_heads = 4, .d_head = 8, .d_state = 16, .n_groups = 2, .d_conv = 4,
    .conv_bias = true, .dt_max = INFINITY, .epsilon = 1e-5f,
};
static const bb_attention_dims attention = {
    .d_model = D, .n_heads = 4, .n_kv_heads = 2, .d_head = 6, .rope = { .d = 6, .theta = 1e4 },
    .bias = true, .out_bias = true, .scale = 0.3f,
};
static const bb_attention_dims shared = {
    .d_model = 2 * D, .n_heads = 6, .n_kv_heads = 3, .d_head = 8, .rope = { .d = 4, .theta = 500 },
    .d_out = D,
};
static const bb_mlp_dims       gelu = { .d_model = D, .d_ff = 34, .activation = BB_ACT_GELU_GATED };
static const bb_mlp_dims       relu2 = {
    .d_model = D, .d_ff = 50, .bias = true, .activation = BB_ACT_RELU2,
};

/* Side stream: the sum of an MLP, with a norm that both layers share, and of a linear map, of the
   stream; then a linear map of itself, without a norm; and its sum with the stream is read by
   another map. */
static void plan_side(bb_plan *p, size_t *norm)
{
    bb_plan_block(p, "norm4");
    if (*norm) bb_plan_norm_of(p, *norm);
    else *norm = p->g->n_blocks - 1;
    bb_plan_to_side(p);
    bb_plan_use(p, bb_plan_mlp(p, "side.", &gelu), SIDE_ALPHA[0]);
    bb_plan_use(p, bb_plan_linear(p, "side.map.", D, D), SIDE_ALPHA[1]);
    bb_plan_block(p, NULL);
    bb_plan_input(p, BB_INPUT_SIDE);
    bb_plan_to_side(p);
    bb_plan_use(p, bb_plan_linear(p, "turn.", D, D), 1.0);
    bb_plan_block(p, "norm5");
    bb_plan_input(p, BB_INPUT_JOINED);
    bb_plan_use(p, bb_plan_linear(p, "back.", D, D), SIDE_ALPHA[2]);
}

/* Each layer: Mamba-2 and attention side by side; an attention that both layers share, on the
   stream beside the embedding; an MLP with a residual multiplier; the side stream. */
static void plan(bb_plan *p)
{
    bb_mixer *both = NULL;
    size_t    norm = 0;

    bb_plan_begin(p, D, V, EPSILON);
    bb_plan_embed(p, "embed");
    bb_plan_scales(p, EMBED_SCALE, LOGIT_SCALE);
    for (int l = 0; l < LAYERS; l++) {
        bb_plan_layer(p, "l.%d.", l);
        bb_plan_block(p, "norm1");
        bb_plan_use(p, bb_plan_mamba2(p, "ssm.", &ssm), SSM_ALPHA);
        bb_plan_use(p, bb_plan_attention(p, "attn.", &attention), ATTENTION_ALPHA);
        bb_plan_block(p, "norm2");
        bb_plan_input(p, BB_INPUT_BESIDE_EMBEDDING);
        if (!both) both = bb_plan_attention(p, "shared.", &shared);
        bb_plan_use(p, both, SHARED_ALPHA[l]);
        bb_plan_block(p, "norm3");
        bb_plan_use(p, bb_plan_mlp(p, "mlp.", &relu2), RESIDUAL);
        plan_side(p, &norm);
    }
    bb_plan_head(p, "last", "head");
}

/* -------------------------------------------------------------- weights ------------------ */

static uint64_t seed = 41;

static void add(store *s, const char *prefix, const char *name, double mean, double scale,
                const int *dim)
{
    char full[100];

    snprintf(full, sizeof full, "%s%s", prefix, name);
    lab_add(s, full, "F32", mean, scale, &seed, dim);
}

static void add_matrix(store *s, const char *prefix, const char *name, int rows, int cols)
{
    add(s, prefix, name, 0, 1 / sqrt(cols), (const int[]){ rows, cols, 0 });
}

static void add_vector(store *s, const char *prefix, const char *name, double mean, double scale,
                       int n)
{
    add(s, prefix, name, mean, scale, (const int[]){ n, 0 });
}

static void add_attention(store *s, const char *prefix, const bb_attention_dims *d)
{
    const int d_q = d->n_heads * d->d_head, d_kv = d->n_kv_heads * d->d_head;
    const int d_out = d->d_out ? d->d_out : d->d_model;

    add_matrix(s, prefix, "q_proj.weight", d_q, d->d_model);
    add_matrix(s, prefix, "k_proj.weight", d_kv, d->d_model);
    add_matrix(s, prefix, "v_proj.weight", d_kv, d->d_model);
    add_matrix(s, prefix, "o_proj.weight", d_out, d_q);
    if (!d->bias) return;
    add_vector(s, prefix, "q_proj.bias", 0, 0.3, d_q);
    add_vector(s, prefix, "k_proj.bias", 0, 0.3, d_kv);
    add_vector(s, prefix, "v_proj.bias", 0, 0.3, d_kv);
    add_vector(s, prefix, "o_proj.bias", 0, 0.3, d_out);
}

static void add_mamba2(store *s, const char *prefix, const bb_mamba2_dims *d)
{
    const int I = d->n_heads * d->d_head, C = I + 2 * d->n_groups * d->d_state;

    add_matrix(s, prefix, "in_proj.weight", I + C + d->n_heads, D);
    add(s, prefix, "conv1d.weight", 0, 0.5, (const int[]){ C, 1, d->d_conv, 0 });
    add_vector(s, prefix, "conv1d.bias", 0, 0.3, C);
    add_vector(s, prefix, "dt_bias", -2, 1, d->n_heads);
    add_vector(s, prefix, "A_log", 0.5, 1, d->n_heads);
    add_vector(s, prefix, "D", 1, 0.5, d->n_heads);
    add_vector(s, prefix, "norm.weight", 1, 0.2, I);
    add_matrix(s, prefix, "out_proj.weight", D, I);
}

static store make_weights(void)
{
    store s = { NULL, 0, 0 };

    seed = 41;
    add_matrix(&s, "", "embed", V, D);
    for (int l = 0; l < LAYERS; l++) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "l.%d.", l);
        add_vector(&s, prefix, "norm1", 1, 0.2, D);
        add_vector(&s, prefix, "norm2", 1, 0.2, 2 * D);
        add_vector(&s, prefix, "norm3", 1, 0.2, D);
        add_matrix(&s, prefix, "mlp.up_proj.weight", relu2.d_ff, D);
        add_matrix(&s, prefix, "mlp.down_proj.weight", D, relu2.d_ff);
        add_vector(&s, prefix, "mlp.up_proj.bias", 0, 0.3, relu2.d_ff);
        add_vector(&s, prefix, "mlp.down_proj.bias", 0, 0.3, D);
        if (l == 0) add_vector(&s, prefix, "norm4", 1, 0.2, D);
        add_vector(&s, prefix, "norm5", 1, 0.2, D);
        add_matrix(&s, prefix, "side.gate_proj.weight", gelu.d_ff, D);
        add_matrix(&s, prefix, "side.up_proj.weight", gelu.d_ff, D);
        add_matrix(&s, prefix, "side.down_proj.weight", D, gelu.d_ff);
        add_matrix(&s, prefix, "side.map.weight", D, D);
        add_matrix(&s, prefix, "turn.weight", D, D);
        add_matrix(&s, prefix, "back.weight", D, D);
        snprintf(prefix, sizeof prefix, "l.%d.ssm.", l);
        add_mamba2(&s, prefix, &ssm);
        snprintf(prefix, sizeof prefix, "l.%d.attn.", l);
        add_attention(&s, prefix, &attention);
    }
    add_attention(&s, "l.0.shared.", &shared);
    add_vector(&s, "", "last", 1, 0.2, D);
    add_matrix(&s, "", "head", V, D);
    return s;
}

/* -------------------------------------------------------------- the formula -------------- */

/* x [T, D] += alpha · out */
static void add_to(double *x, double alpha, const double *out)
{
    for (int i = 0; i < T * D; i++) x[i] += alpha * out[i];
}

static void normed(const store *s, int layer, const char *name, const double *x, int width,
                   double *h)
{
    char full[32];

    snprintf(full, sizeof full, "l.%d.%s", layer, name);
    double *w = lab_values(s, full);
    refer_rmsnorm(w, EPSILON, x, T, width, h);
    free(w);
}

/* out [T, D] = map of x [T, D]. out is not x. */
static void refer_linear(const store *s, int layer, const char *name, const double *x, double *out)
{
    char full[40];

    snprintf(full, sizeof full, "l.%d.%s.weight", layer, name);
    double *w = lab_values(s, full);
    for (int t = 0; t < T; t++) lab_multiply(w, NULL, D, D, x + t * D, out + t * D);
    free(w);
}

static void refer_side(const store *s, int l, double *x)
{
    static double h[T * D], side[2][T * D], out[T * D];
    char          prefix[32];

    normed(s, 0, "norm4", x, D, h);
    snprintf(prefix, sizeof prefix, "l.%d.side.", l);
    memset(side[0], 0, sizeof side[0]);
    refer_mlp(&gelu, s, prefix, h, T, out);
    add_to(side[0], SIDE_ALPHA[0], out);
    refer_linear(s, l, "side.map", h, out);
    add_to(side[0], SIDE_ALPHA[1], out);
    refer_linear(s, l, "turn", side[0], side[1]);
    add_to(side[1], 1, x);
    normed(s, l, "norm5", side[1], D, h);
    refer_linear(s, l, "back", h, out);
    add_to(x, SIDE_ALPHA[2], out);
}

static void refer_layer(const store *s, int l, const double *embedded, double *x)
{
    static double h[T * 2 * D], beside[T * 2 * D], out[2][T * D];
    char          prefix[32];

    normed(s, l, "norm1", x, D, h);
    snprintf(prefix, sizeof prefix, "l.%d.ssm.", l);
    refer_mamba2(&ssm, s, prefix, h, T, out[0]);
    snprintf(prefix, sizeof prefix, "l.%d.attn.", l);
    refer_attention(&attention, BB_TYPE_F32, s, prefix, h, T, out[1]);
    add_to(x, SSM_ALPHA, out[0]);
    add_to(x, ATTENTION_ALPHA, out[1]);

    for (int t = 0; t < T; t++) {
        memcpy(beside + t * 2 * D, x + t * D, D * sizeof *x);
        memcpy(beside + t * 2 * D + D, embedded + t * D, D * sizeof *x);
    }
    normed(s, l, "norm2", beside, 2 * D, h);
    refer_attention(&shared, BB_TYPE_F32, s, "l.0.shared.", h, T, out[0]);
    add_to(x, SHARED_ALPHA[l], out[0]);

    normed(s, l, "norm3", x, D, h);
    snprintf(prefix, sizeof prefix, "l.%d.mlp.", l);
    refer_mlp(&relu2, s, prefix, h, T, out[0]);
    add_to(x, RESIDUAL, out[0]);
    refer_side(s, l, x);
}

/* logits [T, V] */
static void refer(const store *s, const int32_t *token, double *logits)
{
    static double x[T * D], embedded[T * D];
    double       *embed = lab_values(s, "embed"), *last = lab_values(s, "last");
    double       *head = lab_values(s, "head");

    for (int i = 0; i < T * D; i++) x[i] = EMBED_SCALE * embed[token[i / D] * D + i % D];
    memcpy(embedded, x, sizeof x);
    for (int l = 0; l < LAYERS; l++) refer_layer(s, l, embedded, x);
    refer_rmsnorm(last, EPSILON, x, T, D, x);
    for (int t = 0; t < T; t++) {
        lab_multiply(head, NULL, V, D, x + t * D, logits + t * V);
        for (int v = 0; v < V; v++) logits[t * V + v] *= LOGIT_SCALE;
    }
    free(embed), free(last), free(head);
}

/* -------------------------------------------------------------- running ------------------ */

typedef struct network {
    bb_kernels     kernels;
    fault          memory;
    bb_allocator   alloc;
    bb_graph      *g;
    bb_checkpoint *c;
    char          *dir;
    void          *weights;
    bb_bind_stats  stats;
    bb_slot        slot[MOST_SLOTS];
    void           *page[(T + BB_KV_BLOCK - 1) / BB_KV_BLOCK];
    store          s;
} network;

static void *zeros(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 64) / 64 * 64);

    assert_non_null(p);
    return memset(p, 0, bytes);
}

/* Layers first … end - 1 of the network. */
static void begin(network *n, int first, int end)
{
    bb_bind_options o = { .k = &n->kernels, .n_threads = 1 };
    bamba_error     err = { BAMBA_OK, "" };

    memset(n, 0, sizeof *n);
    n->kernels = lab_kernels();
    n->alloc = fault_allocator(&n->memory);
    n->g = bb_graph_create(&n->alloc);
    bb_plan p = { .g = n->g, .kv_type = BB_TYPE_F32 };
    plan(&p);
    assert_int_equal(bb_plan_status(&p, &err), BAMBA_OK);
    assert_true(bb_graph_cut(n->g, first, end));

    n->s = make_weights();
    n->dir = tempdir_make();
    store_write(&n->s, 0, n->s.n, n->dir, "model.safetensors");
    assert_int_equal(bb_checkpoint_open(&n->c, &n->alloc, n->dir, &err), BAMBA_OK);
    if (bb_bind(n->g, n->c, &o, &n->weights, &n->stats, &err) != BAMBA_OK)
        fail_msg("%s", err.message);
    if (!n->kernels.format[BB_FORMAT_F32].many) bb_blas_prepare();
    assert_true(n->g->n_slots <= MOST_SLOTS);
    for (size_t i = 0; i < n->g->n_slots; i++)
        n->slot[i] = (bb_slot){ { zeros(bb_graph_state_bytes(n->g, i)), NULL },
                                { n->page, bb_graph_page_bytes(n->g, i) }, NULL };
    for (size_t i = 0; i < bb_graph_n_pages(T); i++)
        n->page[i] = zeros(bb_graph_page_bytes(n->g, n->g->n_slots));
}

static void end(network *n)
{
    for (size_t i = 0; i < n->g->n_slots; i++) free(n->slot[i].state[0]);
    for (size_t i = 0; i < bb_graph_n_pages(T); i++) free(n->page[i]);
    bb_unguard(n->weights, n->stats.resident_bytes);
    bb_release(&n->alloc, n->weights);
    bb_graph_free(n->g);
    bb_checkpoint_close(n->c);
    tempdir_remove(n->dir);
    store_free(&n->s);
    assert_int_equal(n->memory.n_live, 0);
}

typedef struct running {
    const bb_graph *g;
    const bb_batch *b;
} running;

static void run_forward(const bb_exec *e, void *context)
{
    const running *r = context;
    bb_forward(r->g, e, r->b);
}

/* Rows first … first + n - 1; x, embedded [n, D] in and out where the network lacks an end. */
static void run(network *n, int n_threads, const int32_t *token, int first, int n_rows, float *x,
                float *embedded, float *logits)
{
    static float     normed_rows[T * 2 * D], side[2][T * D];
    static int       wanted[T];
    const bb_segment segment = { .slot = n->slot, .n_rows = n_rows, .pos = first, .length = T };
    bb_batch         b = { .token = token + first, .T = n_rows, .segment = &segment,
                           .n_segments = 1, .wanted = wanted, .n_wanted = n_rows,
                           .logits = logits };
    size_t           bytes = 0;
    running          r = { n->g, &b };

    for (int i = 0; i < n_rows; i++) wanted[i] = i;
    for (size_t i = 0; i < n->g->n_mixers; i++) {
        const bb_mixer *m = n->g->mixer[i];
        const size_t    need = m->kind->scratch_bytes(m, n_rows, n_threads);
        if (need > bytes) bytes = need;
    }
    const bb_pass pass = { .k = &n->kernels, .T = n_rows, .many = bb_is_many(n_rows),
                           .segment = &segment, .n_segments = 1, .x = x, .embedded = embedded,
                           .side = { side[0], side[1] }, .normed = normed_rows,
                           .scratch = { .base = zeros(bytes), .size = bytes, .plain = true } };
    lab_team(&pass, n_threads, n->g->widest, run_forward, &r);
    free(pass.scratch.base);
}

static void make_tokens(int32_t *token)
{
    for (int t = 0; t < T; t++) token[t] = (t * 7 + t / 5) % V;
}

/* -------------------------------------------------------------- tests -------------------- */

static const int cuts[][4] = { { T }, { 1, 40, 4 }, { 32, 1, 12 }, { 5, 5, 35 } };
enum { N_CUTS = sizeof cuts / sizeof cuts[0] };

static void test_formula(void **unused)
{
    static double  expected[T * V];
    static float   logits[T * V], x[T * D], embedded[T * D];
    int32_t        token[T];

    (void)unused;
    make_tokens(token);
    for (int i = 0; i < N_CUTS; i++) {
        network n;
        double  most = 0, error = 0;

        begin(&n, 0, LAYERS);
        refer(&n.s, token, expected);
        for (int j = 0, first = 0; first < T; first += cuts[i][j++])
            run(&n, 1 + i % 3, token, first, cuts[i][j], x, embedded, logits + first * V);
        for (int j = 0; j < T * V; j++) {
            const double size = fabs(expected[j]), off = fabs((double)logits[j] - expected[j]);
            if (size > most) most = size;
            if (!(off <= error)) error = off;         /* NaN too */
        }
        if (!(error <= 2e-5 * most)) fail_msg("cut %d: error %g of %g", i, error, most);
        end(&n);
    }
}

/* The network in two parts, rows handed over: the bits of the whole. The shared mixer, whose
   tensors are named in layer 0, serves layer 1 alone too. */
static void test_two_parts(void **unused)
{
    static float whole[T * V], parts[T * V], x[T * D], embedded[T * D];
    network      all, low, high;
    int32_t      token[T];

    (void)unused;
    make_tokens(token);
    begin(&all, 0, LAYERS);
    begin(&low, 0, 1);
    begin(&high, 1, LAYERS);
    assert_null(low.g->head.w.data);
    assert_null(high.g->embed.data);
    assert_true(low.stats.n_params < all.stats.n_params);
    for (int first = 0; first < T; first += 9) {
        run(&all, 2, token, first, 9, x, embedded, whole + first * V);
        run(&low, 1, token, first, 9, x, embedded, NULL);
        run(&high, 2, token, first, 9, x, embedded, parts + first * V);
    }
    assert_memory_equal(whole, parts, sizeof whole);
    end(&all), end(&low), end(&high);
}

/* One object, two slots, named once. */
static void test_shared_is_one(void **unused)
{
    network n;

    (void)unused;
    begin(&n, 0, LAYERS);
    assert_int_equal(n.g->n_mixers, 7 * LAYERS + 1);
    assert_int_equal(n.g->n_slots, 3 * LAYERS);
    assert_ptr_equal(n.g->block[1].use[0].mixer, n.g->block[7].use[0].mixer);
    assert_int_not_equal(n.g->block[1].use[0].slot, n.g->block[7].use[0].slot);
    assert_ptr_equal(n.g->block[3].norm, n.g->block[9].norm);
    end(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formula),
        cmocka_unit_test(test_two_parts),
        cmocka_unit_test(test_shared_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
