/* test_attention.c - the attention mixer against softmax(q·k) · v in double: shapes, types of the
 * cache, windows, deep positions, a convolution before q, k and v.
 *
 * Long because sessions of several lengths, fed in the calls of one script, serve most tests. */
#include "mixer/mixers.h"
#include "mixer/product.h"

#include "support/lab.h"
#include "support/refer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SESSIONS = 5, LENGTH = 300 };

typedef struct attention_case {
    const char       *what;
    bb_type           type, kv_type;
    double            bound;              /* of the error; what rounds otherwise near a tie of
                                             the cache's type makes it larger */
    bb_attention_dims dims;
} attention_case;

#define DIMS(D, heads, kv_heads, width, rotated, base, ...)                                       \
    { .d_model = D, .n_heads = heads, .n_kv_heads = kv_heads, .d_head = width,                    \
      .rope = { .d = rotated, .theta = base }, __VA_ARGS__ }
#define BIASES .bias = true, .out_bias = true
#define NO_BIAS .bias = false

static const attention_case cases[] = {
    { "partial rope", BB_TYPE_F32, BB_TYPE_F32, 1e-5,
      DIMS(32, 4, 2, 8, 4, 1e4, NO_BIAS) },
    { "odd widths", BB_TYPE_BF16, BB_TYPE_F32, 1e-5,
      DIMS(27, 6, 2, 10, 10, 500, BIASES) },
    { "one kv head", BB_TYPE_F16, BB_TYPE_BF16, 2e-3,
      DIMS(24, 8, 1, 6, 2, 1e6, NO_BIAS) },
    { "no sharing", BB_TYPE_BF16, BB_TYPE_F16, 2e-4,
      DIMS(24, 3, 3, 16, 0, 1e4, BIASES) },
    { "half cache", BB_TYPE_F32, BB_TYPE_F16, 2e-4,
      DIMS(32, 6, 3, 12, 6, 1e4, NO_BIAS) },
    { "bf16 cache", BB_TYPE_F32, BB_TYPE_BF16, 2e-3,
      DIMS(32, 4, 2, 20, 20, 1e4, BIASES) },
    { "int8 cache", BB_TYPE_F32, BB_TYPE_Q8, 2e-2,
      DIMS(32, 4, 2, 20, 20, 1e4, BIASES) },
    { "other output, own scale", BB_TYPE_F32, BB_TYPE_F32, 1e-5,
      DIMS(24, 4, 2, 8, 8, 1e4, NO_BIAS, .d_out = 24, .scale = 0.0625f) },
    { "factors", BB_TYPE_BF16, BB_TYPE_F32, 1e-5,
      DIMS(24, 4, 2, 8, 8, 1e4, BIASES, .times_in = 1.25, .times_key = 0.4) },
    { "low rank", BB_TYPE_BF16, BB_TYPE_F32, 1e-5,
      DIMS(24, 4, 2, 8, 8, 1e4, NO_BIAS, .low_rank = { 5, 2, 0, 1 }) },
    { "fused", BB_TYPE_BF16, BB_TYPE_F32, 1e-5,
      DIMS(24, 4, 2, 8, 8, 1e4, .bias = true, .is_fused = true) },
    { "convolution", BB_TYPE_F32, BB_TYPE_F32, 1e-5,
      DIMS(28, 6, 2, 10, 6, 500, .out_bias = true, .is_fused = true, .d_conv = 4) },
    { "short convolution", BB_TYPE_BF16, BB_TYPE_F16, 2e-4,
      DIMS(24, 3, 3, 12, 0, 1e4, BIASES, .is_fused = true, .d_conv = 1) },
};
enum { N_CASES = sizeof cases / sizeof cases[0] };

/* Rows of each session in each call: from and across the edges of blocks of 64 positions and of
   groups of 16 rows, long and short segments together. */
static const int script[][SESSIONS] = {
    { 0, 1, 63, 64, 100 },
    { 70, 15, 2, 65, 32 },
    { 1, 48, 1, 1, 33 },
    { 0, 0, 0, 0, 1 },
    { 185, 1, 130, 32, 40 },
    { 16, 64, 64, 128, 1 },
};
enum { N_SCRIPT = sizeof script / sizeof script[0] };

static void add_fused(const attention_case *c, store *s)
{
    const bb_attention_dims *d = &c->dims;
    const int   C = (d->n_heads + 2 * d->n_kv_heads) * d->d_head, d_q = d->n_heads * d->d_head;
    const char *type = lab_dtype(c->type);
    uint64_t    seed = 3;

    lab_add(s, "m.in_proj.weight", type, 0, 1.5 / sqrt(d->d_model), &seed,
            (const int[]){ C, d->d_model, 0 });
    lab_add(s, "m.out_proj.weight", type, 0, 1 / sqrt(d_q), &seed,
            (const int[]){ d->d_model, d_q, 0 });
    if (d->bias) lab_add(s, "m.in_proj.bias", "F32", 0, 0.3, &seed, (const int[]){ C, 0 });
    if (d->out_bias)
        lab_add(s, "m.out_proj.bias", "F32", 0, 0.3, &seed, (const int[]){ d->d_model, 0 });
    if (d->d_conv == 0) return;
    lab_add(s, "m.conv1d.weight", type, 0, 0.7, &seed, (const int[]){ C, 1, d->d_conv, 0 });
    lab_add(s, "m.conv1d.bias", "F32", 0, 0.3, &seed, (const int[]){ C, 0 });
}

static void add_weights(const attention_case *c, store *s)
{
    const bb_attention_dims *d = &c->dims;
    const int   d_q = d->n_heads * d->d_head;
    const int   d_kv = d->n_kv_heads * d->d_head;
    const char *type = lab_dtype(c->type);
    uint64_t    seed = 3;

    if (d->is_fused) {
        add_fused(c, s);
        return;
    }
    /* queries twice as large as usual, so that the softmax is no average */
    lab_add(s, "m.q_proj.weight", type, 0, 2 / sqrt(d->d_model), &seed,
            (const int[]){ d_q, d->d_model, 0 });
    lab_add(s, "m.k_proj.weight", type, 0, 1 / sqrt(d->d_model), &seed,
            (const int[]){ d_kv, d->d_model, 0 });
    lab_add(s, "m.v_proj.weight", type, 0, 1 / sqrt(d->d_model), &seed,
            (const int[]){ d_kv, d->d_model, 0 });
    lab_add(s, "m.o_proj.weight", type, 0, 1 / sqrt(d_q), &seed,
            (const int[]){ d->d_model, d_q, 0 });
    for (int i = 0; i < 6 * d->low_rank.n_uses; i++) {
        const int rows = i % 6 < 2 ? d_q : d_kv, rank = d->low_rank.rank, number = i / 6;
        char      name[64];
        snprintf(name, sizeof name, "m.linear_%c_adapter_list.%d.%d.weight", "qkv"[i % 6 / 2],
                 number, i % 2);
        lab_add(s, name, type, 0, i % 2 ? 1 / sqrt(rank) : 1 / sqrt(d->d_model), &seed,
                i % 2 ? (const int[]){ rows, rank, 0 } : (const int[]){ rank, d->d_model, 0 });
    }
    if (!d->bias) return;
    lab_add(s, "m.q_proj.bias", "F32", 0, 0.3, &seed, (const int[]){ d_q, 0 });
    lab_add(s, "m.k_proj.bias", "BF16", 0, 0.3, &seed, (const int[]){ d_kv, 0 });
    lab_add(s, "m.v_proj.bias", "F16", 0, 0.3, &seed, (const int[]){ d_kv, 0 });
    lab_add(s, "m.o_proj.bias", "F32", 0, 0.3, &seed, (const int[]){ d->d_model, 0 });
}

/* { window, sink } in positions; blocks have 64. No window; shorter than a block; of several blocks
   without a sink; of one position, with a sink longer than a block; both a block; nearly as long as
   a session, so that only the last rows do not see all. */
static const int windows[][2] = { { 0, 0 }, { 40, 4 }, { 130, 0 }, { 1, 70 }, { 64, 64 },
                                  { 280, 3 } };
enum { N_WINDOWS = sizeof windows / sizeof windows[0] };

/* -------------------------------------------------------------- tests -------------------- */

static void begin(lab *l, const attention_case *c, store *s)
{
    uint64_t seed = 5;

    memset(s, 0, sizeof *s);
    lab_begin(l, c->dims.d_model, c->kv_type);
    lab_use(l, bb_plan_attention(&l->plan, "m.", &c->dims));
    add_weights(c, s);
    lab_bind(l, s);
    for (int i = 0; i < SESSIONS; i++) lab_add_session(l, LENGTH, &seed);
}

static void test_formula(void **unused)
{
    (void)unused;
    for (int i = 0; i < N_CASES * N_WINDOWS; i++) {
        const attention_case *c = &cases[i % N_CASES];
        const int            *window = windows[i / N_CASES];
        store s;
        lab   l;

        begin(&l, c, &s);
        l.window = window[0];
        l.sink = window[1];
        double *expected = calloc((size_t)(LENGTH * c->dims.d_model), sizeof *expected);
        assert_non_null(expected);
        const bb_cache *cache = &l.kernels.cache[c->kv_type];
        const double    bound = c->bound * (cache->attend_many == cache->attend ? 1 : 2);
        lab_run(&l, 2, script[0], N_SCRIPT);
        assert_int_equal(l.session[3].pos, 290);
        for (int j = 0; j < SESSIONS; j++) {
            double *h = lab_doubles(l.session[j].h, (size_t)(LENGTH * c->dims.d_model));
            refer_windowed(&c->dims, c->kv_type, &s, "m.", h, l.session[j].pos,
                           window[0] ? window[0] : LENGTH, window[1], expected);
            free(h);
            const double error = lab_error(&l, j, expected);
            if (!(error < lab_bound(&l, c->type, bound)))
                fail_msg("%s: window %d, sink %d: session %d: error %g", c->what, window[0],
                         window[1], j, error);
        }
        free(expected);
        lab_close(&l);
        store_free(&s);
    }
}

static void test_any_number_of_threads(void **unused)
{
    (void)unused;
    for (int i = 0; i < N_CASES * 2; i++) {
        store s;
        lab   l;

        begin(&l, &cases[i % N_CASES], &s);
        l.window = windows[i / N_CASES][0];
        l.sink = windows[i / N_CASES][1];
        assert_true(lab_scales(&l, script[0], N_SCRIPT));
        lab_close(&l);
        store_free(&s);
    }
}

/* Calls of up to 32 rows: outputs and caches have the bits of one token at a time. */
static void test_company_up_to_32_rows(void **unused)
{
    enum { EACH = 80 };
    static const int together[][SESSIONS] = {
        { 30, 1, 0, 1, 0 }, { 0, 5, 20, 0, 7 }, { 32, 0, 0, 0, 0 }, { 1, 1, 1, 1, 1 },
        { 17, 0, 15, 0, 0 }, { 7, 7, 7, 7, 4 },
    };
    static int one_by_one[SESSIONS * EACH][SESSIONS];
    int        n_lines = 0;

    (void)unused;
    for (int i = 0; i < SESSIONS; i++)
        for (int j = 0; j < (int)(sizeof together / sizeof together[0]); j++)
            for (int r = 0; r < together[j][i]; r++) one_by_one[n_lines++][i] = 1;

    for (int i = 0; i < N_CASES * 2; i++) {
        store s;
        lab   l;

        begin(&l, &cases[i % N_CASES], &s);
        l.window = windows[i / N_CASES][0];
        l.sink = windows[i / N_CASES][1];
        assert_true(lab_agrees(&l, one_by_one[0], n_lines, together[0],
                               sizeof together / sizeof together[0]));
        lab_close(&l);
        store_free(&s);
    }
}

/* One call of the mixer alone: rows h [T, D] in, its output added to the pass's x. */
typedef struct forward {
    const bb_mixer *m;
    const float    *h;
    int             d_model;
} forward;

static void run_forward(const bb_exec *e, void *context)
{
    const forward *f = context;
    const bb_call  c = {
        .in = bb_source_of(e, f->h, (size_t)f->d_model, f->d_model),
        .out = { .y = e->pass->x, .ld = (size_t)f->d_model, .add = true, .alpha = 1.0f },
    };
    f->m->kind->forward(f->m, e, &c);
}

/* In float32 the angle of this position would be off by more than 0.03. The cache must hold what
   the kernels make of the rotated key. */
static void test_far_position(void **unused)
{
    enum { FAR = 1000003, D = 4 };
    static const char *const names[] = { "m.q_proj.weight", "m.k_proj.weight",
                                         "m.v_proj.weight", "m.o_proj.weight" };
    static const bb_attention_dims d = DIMS(D, 1, 1, D, D, 100, NO_BIAS);
    static const float unit[D * D] = { 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1 };
    float      h[D] = { 1, -0.5f, 0.25f, 2 };
    float      x[D] = { 0 };
    double     key[D] = { 1, -0.5, 0.25, 2 };
    store      s = { NULL, 0, 0 };
    lab        l;
    bb_slot    slot = { .log = NULL };
    bb_segment segment = { .slot = &slot, .n_rows = 1, .pos = FAR, .length = FAR + 1 };

    (void)unused;
    lab_begin(&l, D, BB_TYPE_F32);
    lab_use(&l, bb_plan_attention(&l.plan, "m.", &d));
    for (int i = 0; i < 4; i++)
        store_add(&s, names[i], "F32", 2, (const size_t[]){ D, D }, unit);
    lab_bind(&l, &s);
    forward      f = { l.graph->block[0].use[0].mixer, h, D };
    const bb_mixer *m = f.m;
    const size_t bytes = (m->kind->scratch_bytes(m, 1, 1) + 63) / 64 * 64;
    bb_pass      e = { .k = &l.kernels, .x = x, .segment = &segment, .n_segments = 1, .T = 1,
                       .scratch = { .base = aligned_alloc(64, bytes), .size = bytes } };
    slot.cache = lab_make_pages(m, FAR + 1);
    for (size_t i = 0; slot.cache.page[i]; i++)
        memset(slot.cache.page[i], 0, m->kind->page_bytes(m));
    assert_non_null(e.scratch.base);
    lab_team(&e, 1, D, run_forward, &f);

    float        expected[BB_KV_ELEMENTS(D)] = { 0 };
    float        rotated[D];
    const float *found = (const float *)slot.cache.page[FAR / 64];
    refer_rotate(&d, 1, FAR, key);
    for (int i = 0; i < D; i++) rotated[i] = (float)key[i];
    l.kernels.cache[BB_TYPE_F32].put(D, rotated, h, FAR % 64, expected);
    for (size_t i = 0; i < BB_KV_ELEMENTS(D); i++)
        assert_true(fabsf(found[i] - expected[i]) < 1e-6f);

    /* Saved, keys of all positions come first, then values. */
    const size_t saved = m->kind->saved_bytes(m, FAR + 1);
    float       *out = malloc(saved), scratch[2 * D];
    assert_int_equal(saved, 2 * sizeof(float) * D * (FAR + 1));
    assert_non_null(out);
    m->kind->save(m, &l.kernels, NULL, &slot.cache, 0, FAR + 1, out, scratch);
    for (int i = 0; i < D; i++) {
        assert_true(out[(size_t)FAR * D - D + (size_t)i] == 0);
        assert_true(fabsf(out[(size_t)FAR * D + (size_t)i] - rotated[i]) < 1e-6f);
        assert_true(out[(size_t)(2 * FAR + 1) * D + (size_t)i] == h[i]);
    }
    free(out);
    bb_unguard(e.scratch.base, bytes);
    free(e.scratch.base);
    lab_free_pages(&slot.cache);
    lab_close(&l);
    store_free(&s);
}

/* -------------------------------------------------------------- depth -------------------- */

/* Sessions at large positions: keys and values are written into their caches instead of being
   computed, and projections pick a new row's q, k and v out of its elements. */
enum { DEEP = 7, DEEP_ROWS = 33, DEEP_D = 16, DEEP_KV = 8 };
static const int deep_pos[DEEP] = { 0, 1000, 1023, 2040, 16380, 16384, 40000 };

typedef struct deep {
    lab       l;
    forward   f;
    bb_slot   slot[DEEP];
    double   *k[DEEP], *v[DEEP];          /* [pos + rows, 8] */
    float    *h[DEEP];                    /* [33, 16] rows to come */
    int       window, sink;
} deep;

static void remember(deep *d, int i, int pos, const float *k, const float *v)
{
    const size_t block = BB_KV_ELEMENTS(4);

    for (int j = 0; j < DEEP_KV; j++) {
        d->k[i][pos * DEEP_KV + j] = (double)k[j];
        d->v[i][pos * DEEP_KV + j] = (double)v[j];
    }
    for (int head = 0; head < 2; head++)
        d->l.kernels.cache[BB_TYPE_F32].put(4, k + 4 * head, v + 4 * head, pos % 64,
            (float *)d->slot[i].cache.page[pos / 64] + (size_t)head * block);
}

static void deepen(deep *d, store *s)
{
    static const bb_attention_dims dims = DIMS(DEEP_D, 4, 2, 4, 0, 1e4, NO_BIAS);
    float    unit[DEEP_D * DEEP_D] = { 0 };
    uint64_t seed = 11;

    for (int i = 0; i < DEEP_D; i++) unit[i * DEEP_D + i] = 1;
    lab_begin(&d->l, DEEP_D, BB_TYPE_F32);
    lab_use(&d->l, bb_plan_attention(&d->l.plan, "m.", &dims));
    store_add(s, "m.q_proj.weight", "F32", 2, (const size_t[]){ DEEP_D, DEEP_D }, unit);
    store_add(s, "m.k_proj.weight", "F32", 2, (const size_t[]){ DEEP_KV, DEEP_D }, unit);
    store_add(s, "m.v_proj.weight", "F32", 2, (const size_t[]){ DEEP_KV, DEEP_D },
              unit + DEEP_KV * DEEP_D);
    store_add(s, "m.o_proj.weight", "F32", 2, (const size_t[]){ DEEP_D, DEEP_D }, unit);
    lab_bind(&d->l, s);
    d->f = (forward){ d->l.graph->block[0].use[0].mixer, NULL, DEEP_D };
    for (int i = 0; i < DEEP; i++) {
        const size_t n = (size_t)(deep_pos[i] + DEEP_ROWS);
        d->slot[i].cache = lab_make_pages(d->f.m, n);
        d->k[i] = malloc(n * DEEP_KV * sizeof *d->k[i]);
        d->v[i] = malloc(n * DEEP_KV * sizeof *d->v[i]);
        d->h[i] = malloc(DEEP_ROWS * DEEP_D * sizeof *d->h[i]);
        assert_true(d->k[i] && d->v[i] && d->h[i]);
        for (int j = 0; j < DEEP_ROWS * DEEP_D; j++) d->h[i][j] = (float)(2 * lab_normal(&seed));
        for (int t = 0; t < deep_pos[i]; t++) {
            float kv[2 * DEEP_KV];
            for (int j = 0; j < 2 * DEEP_KV; j++) kv[j] = (float)lab_normal(&seed);
            remember(d, i, t, kv, kv + DEEP_KV);
        }
    }
}

static void free_deep(deep *d)
{
    for (int i = 0; i < DEEP; i++) {
        lab_free_pages(&d->slot[i].cache);
        free(d->k[i]);
        free(d->v[i]);
        free(d->h[i]);
    }
    lab_close(&d->l);
}

/* One call: rows first … first + n[i] - 1 of session i; out [Σ n, 16]. */
static void run_deep(deep *d, int n_threads, int first, const int *n, float *out)
{
    float      h[DEEP * DEEP_ROWS * DEEP_D];
    bb_segment segment[DEEP];
    bb_pass    e = { .k = &d->l.kernels, .x = out, .segment = segment };

    for (int i = 0; i < DEEP; i++) {
        if (n[i] == 0) continue;
        segment[e.n_segments++] = (bb_segment){ .slot = &d->slot[i], .row = e.T, .n_rows = n[i],
                                                .pos = deep_pos[i] + first, .length = 1 << 20,
                                                .window = d->window, .sink = d->sink };
        memcpy(h + e.T * DEEP_D, d->h[i] + first * DEEP_D, (size_t)(n[i] * DEEP_D) * sizeof *h);
        e.T += n[i];
    }
    e.many = bb_is_many(e.T);
    d->f.h = h;
    const size_t bytes = (d->f.m->kind->scratch_bytes(d->f.m, e.T, n_threads) + 63) / 64 * 64;
    e.scratch = (bb_arena){ .base = aligned_alloc(64, bytes), .size = bytes };
    assert_non_null(e.scratch.base);
    memset(e.scratch.base, 0xff, bytes);
    memset(out, 0, (size_t)(e.T * DEEP_D) * sizeof *out);
    lab_team(&e, n_threads, DEEP_D, run_forward, &d->f);
    bb_unguard(e.scratch.base, bytes);
    free(e.scratch.base);
}

static void assert_exact(deep *d, int i, int row, const float *out)
{
    const float *h = d->h[i] + row * DEEP_D;
    const int    pos = deep_pos[i] + row;
    double      *p = malloc((size_t)(pos + 1) * sizeof *p);

    assert_non_null(p);
    for (int j = 0; j < DEEP_KV; j++) {
        d->k[i][pos * DEEP_KV + j] = (double)h[j];
        d->v[i][pos * DEEP_KV + j] = (double)h[DEEP_KV + j];
    }
    for (int head = 0; head < 4; head++) {
        double most = -INFINITY, sum = 0, value[4] = { 0 };
        for (int t = 0; t <= pos; t++) {
            p[t] = d->window && t >= d->sink && t <= pos - d->window ? -INFINITY : 0;
            for (int j = 0; j < 4; j++)
                p[t] += (double)h[head * 4 + j] * d->k[i][t * DEEP_KV + head / 2 * 4 + j] / 2;
            most = fmax(most, p[t]);
        }
        for (int t = 0; t <= pos; t++) {
            const double w = exp(p[t] - most);
            sum += w;
            for (int j = 0; j < 4; j++) value[j] += w * d->v[i][t * DEEP_KV + head / 2 * 4 + j];
        }
        for (int j = 0; j < 4; j++)
            assert_true(fabs((double)out[head * 4 + j] - value[j] / sum) < 2e-5);
    }
    free(p);
}

/* Long caches are attended to in ranges, whose edges depend on the row's position alone. So rows in
   one call have the bits of each row alone, for any number of threads: also where the position
   passes an edge, and where the ranges double. */
static void go_deep(int window, int sink)
{
    static const int together[DEEP] = { 2, 1, 3, 10, 9, 1, 2 };
    static const int many[DEEP] = { 0, DEEP_ROWS, 0, 0, DEEP_ROWS, 1, 0 };
    static float     out[DEEP * DEEP_ROWS * DEEP_D], again[DEEP * DEEP_ROWS * DEEP_D];
    store s = { NULL, 0, 0 };
    deep  d;
    int   row = 0;

    deepen(&d, &s);
    d.window = window;
    d.sink = sink;
    run_deep(&d, 1, 0, together, out);
    run_deep(&d, 3, 0, together, again);
    assert_memory_equal(out, again, 28 * DEEP_D * sizeof *out);
    for (int i = 0; i < DEEP; i++)
        for (int r = 0; r < together[i]; r++, row++) {
            int alone[DEEP] = { 0 };
            alone[i] = 1;
            run_deep(&d, 1 + r % 2, r, alone, again);
            assert_memory_equal(out + row * DEEP_D, again, DEEP_D * sizeof *out);
            assert_exact(&d, i, r, again);
        }
    assert_int_equal(row, 28);

    run_deep(&d, 2, 0, many, out);
    run_deep(&d, 1, 0, many, again);
    assert_memory_equal(out, again, (2 * DEEP_ROWS + 1) * DEEP_D * sizeof *out);
    row = 0;
    for (int i = 0; i < DEEP; i++)
        for (int r = 0; r < many[i]; r++, row++) assert_exact(&d, i, r, out + row * DEEP_D);
    free_deep(&d);
    store_free(&s);
}

static void test_depth(void **unused)
{
    (void)unused;
    go_deep(0, 0);
    go_deep(1000, 4);                     /* across ranges, of a block of the first position too */
    go_deep(20000, 1100);                 /* in wider ranges */
    go_deep(16390, 0);                    /* as long as some are deep */
}

static void test_memory(void **unused)
{
    static const size_t positions[][2] = {            /* positions, blocks of 64 */
        { 0, 0 }, { 1, 1 }, { 64, 1 }, { 65, 2 }, { 1 << 30, 1 << 24 },
    };

    (void)unused;
    for (int i = 0; i < N_CASES; i++) {
        const bb_attention_dims *d = &cases[i].dims;
        const size_t width = (size_t)((d->d_head + 15) / 16 * 16);
        const size_t row = cases[i].kv_type == BB_TYPE_Q8 ? width + 2           /* a scale */
                         : width * (cases[i].kv_type == BB_TYPE_F32 ? 4 : 2);
        const size_t block = 2 * 64 * (size_t)d->n_kv_heads * row;
        store s;
        lab   l;

        begin(&l, &cases[i], &s);
        const bb_mixer *m = l.graph->block[0].use[0].mixer;
        assert_int_equal(m->kind->page_bytes(m), block);
        for (int j = 0; j < 5; j++)
            assert_int_equal(bb_graph_n_pages(positions[j][0]), positions[j][1]);
        assert_true(d->d_conv > 0 || !m->kind->state_bytes);
        assert_int_equal(l.graph->block[0].use[0].slot, 0);
        lab_close(&l);
        store_free(&s);
    }
}

/* The logged inputs of the convolution before q, k and v rebuild its window, beginning with an
   empty window or with that behind any earlier row. */
static void test_replay(void **unused)
{
    const attention_case *c = &cases[N_CASES - 2];
    const int             rows = 3, C = 10 * (6 + 2 * 2);
    const size_t          bytes = (size_t)(rows * C) * sizeof(float);
    store                 s;
    lab                   l;

    (void)unused;
    begin(&l, c, &s);
    const bb_mixer *m = l.graph->block[0].use[0].mixer;
    assert_int_equal(m->kind->state_bytes(m), bytes);
    assert_int_equal(m->kind->log_floats(m), C);
    for (int i = 0; i < SESSIONS; i++) {
        l.session[i].log = malloc((size_t)(LENGTH * C) * sizeof(float));
        assert_non_null(l.session[i].log);
    }
    lab_run(&l, 2, script[0], N_SCRIPT);
    for (int i = 0; i < SESSIONS; i++) {
        const int      n = l.session[i].pos;
        float         *log = l.session[i].log, *window = calloc((size_t)(rows * C), sizeof *window);
        unsigned char *saved = malloc(m->kind->saved_bytes(m, (size_t)n));
        assert_true(n > 100 && window && saved);
        lab_save(&l, i, saved);
        m->kind->replay(m, &l.kernels, log, 0, 2, false, window, window, NULL);   /* a part */
        m->kind->replay(m, &l.kernels, log + 2 * C, 2, n - 2, true, window, window, NULL);
        assert_memory_equal(window, saved, bytes);
        free(window), free(saved), free(log);
        l.session[i].log = NULL;
    }
    lab_close(&l);
    store_free(&s);
}

static void test_print(void **unused)
{
    static const char *const lines[N_CASES] = {
        "32 -> 4 heads (2 kv) x 8, rope 4 of 8, theta 10000",
        "27 -> 6 heads (2 kv) x 10, rope 10 of 10, theta 500, bias",
        "24 -> 8 heads (1 kv) x 6, rope 2 of 6, theta 1e+06",
        [N_CASES - 4] = "24 -> 4 heads (2 kv) x 8, rope 8 of 8, theta 10000, rank 5 of 2 uses",
        [N_CASES - 5] = "24 -> 4 heads (2 kv) x 8, rope 8 of 8, theta 10000, bias, input x 1.25, "
                        "keys x 0.4",
        [N_CASES - 3] = "24 -> 4 heads (2 kv) x 8, rope 8 of 8, theta 10000, input bias",
        [N_CASES - 2] = "28 -> 6 heads (2 kv) x 10, rope 6 of 10, theta 500, conv 4 + bias, "
                        "output bias",
        [N_CASES - 1] = "24 -> 3 heads (3 kv) x 12, conv 1 + bias, bias",
    };

    (void)unused;
    for (int i = 0; i < N_CASES; i++) {
        store      s;
        lab        l;
        char       text[200];
        bb_printer p = { .buffer = text, .size = sizeof text };

        if (!lines[i]) continue;
        begin(&l, &cases[i], &s);
        l.graph->block[0].use[0].mixer->kind->print(l.graph->block[0].use[0].mixer, &p);
        assert_string_equal(text, lines[i]);
        lab_close(&l);
        store_free(&s);
    }
}

static void test_too_wide(void **unused)
{
    const bb_attention_dims wide[] = {
        DIMS(32, 1, 1, 4096, 2050, 1e4, NO_BIAS),
        DIMS(32, 1 << 13, 1, 4096, 0, 1e4, NO_BIAS),
    };

    (void)unused;
    for (int i = 0; i < 2; i++) {
        lab         l;
        bamba_error err;
        lab_begin(&l, 32, BB_TYPE_F32);
        lab_use(&l, bb_plan_attention(&l.plan, "m.", &wide[i]));
        assert_int_equal(bb_plan_status(&l.plan, &err), BAMBA_ERR_UNSUPPORTED);
        assert_non_null(strstr(err.message, "'m.': attention of"));
        lab_close(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formula),
        cmocka_unit_test(test_any_number_of_threads),
        cmocka_unit_test(test_company_up_to_32_rows),
        cmocka_unit_test(test_far_position),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_too_wide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
