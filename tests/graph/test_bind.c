/* test_bind.c - binding a plan's matrices to a checkpoint's tensors: which are refused, used where
 * they lie, copied, converted; parts of tensors; policies; progress and cancelling.
 *
 * Long because one plan and its tensors serve every test here. */
#include "graph/bind.h"

#include "mixer/mixers.h"
#include "support/fault.h"
#include "support/lab.h"
#include "support/tempdir.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The plan: one MLP with biases between embedding and head. Counts are of elements. */
enum { D = 5, F = 3, V = 7 };
enum { N_MATRIX = V * D + 3 * F * D, N_SMALL = D + D + 2 * F + D, N_HEAD = V * D };

/* -------------------------------------------------------------- plan and tensors --------- */

static const char *const may_remain[] = { ".old", "out.weight", NULL };

static bb_graph *make_graph(const bb_allocator *a, bool tied)
{
    static const bb_mlp_dims dims = { .d_model = D, .d_ff = F, .bias = true };
    bb_plan p = { .g = bb_graph_create(a) };

    assert_non_null(p.g);
    bb_plan_begin(&p, D, V, 1e-5);
    bb_plan_embed(&p, "in.weight");
    bb_plan_layer(&p, "l.%d.", 0);
    bb_plan_block(&p, "norm");
    bb_plan_use(&p, bb_plan_mlp(&p, "mlp.", &dims), 1.0);
    bb_plan_head(&p, "last", tied ? NULL : "out.weight");
    assert_int_equal(bb_plan_status(&p, NULL), BAMBA_OK);
    bb_plan_leftovers(&p, may_remain);
    return p.g;
}

static store make_tensors(const char *dtype, bool tied)
{
    store    s = { NULL, 0, 0 };
    uint64_t seed = 17;

    lab_add(&s, "in.weight", dtype, 0, 1, &seed, (const int[]){ V, D, 0 });
    lab_add(&s, "l.0.norm", dtype, 1, 0.1, &seed, (const int[]){ D, 0 });
    lab_add(&s, "l.0.mlp.gate_proj.weight", dtype, 0, 1, &seed, (const int[]){ F, D, 0 });
    lab_add(&s, "l.0.mlp.gate_proj.bias", dtype, 0, 1, &seed, (const int[]){ F, 0 });
    lab_add(&s, "l.0.mlp.up_proj.weight", dtype, 0, 1, &seed, (const int[]){ F, D, 0 });
    lab_add(&s, "l.0.mlp.up_proj.bias", dtype, 0, 1, &seed, (const int[]){ F, 0 });
    lab_add(&s, "l.0.mlp.down_proj.weight", dtype, 0, 1, &seed, (const int[]){ D, F, 0 });
    lab_add(&s, "l.0.mlp.down_proj.bias", dtype, 0, 1, &seed, (const int[]){ D, 0 });
    lab_add(&s, "last", dtype, 1, 0.1, &seed, (const int[]){ D, 0 });
    if (!tied) lab_add(&s, "out.weight", dtype, 0, 1, &seed, (const int[]){ V, D, 0 });
    return s;
}

/* -------------------------------------------------------------- binding ------------------ */

typedef struct bound {
    fault          memory;
    bb_allocator   alloc;
    bb_kernels     kernels;
    bb_graph      *g;
    bb_checkpoint *c;
    void          *block;
    bb_bind_stats  stats;
    bamba_error    err;
    bb_status      status;
} bound;

/* A policy: all matrices in the format that is its context. */
static const bb_format *use_context(const void *context, bb_role role, const char *name, int rows,
                                    int cols, const bb_format *stored)
{
    (void)role, (void)name, (void)rows, (void)cols, (void)stored;
    return context;
}

/* Bind what lies in tempdir, matrices as stored (NONE) or in the format of a type. */
static void bind_dir(bound *b, bool tied, bb_type type, bb_bind_options o)
{
    memset(b, 0, sizeof *b);
    b->alloc = fault_allocator(&b->memory);
    b->kernels = lab_kernels();
    b->g = make_graph(&b->alloc, tied);
    o.k = &b->kernels;
    if (type != BB_TYPE_NONE) o.policy = use_context;
    o.policy_context = bb_format_of(&b->kernels, type);
    if (bb_checkpoint_open(&b->c, &b->alloc, tempdir, &b->err) != BAMBA_OK)
        fail_msg("%s", b->err.message);
    b->status = bb_bind(b->g, b->c, &o, &b->block, &b->stats, &b->err);
}

static void unbind(bound *b)
{
    if (b->block) bb_unguard(b->block, b->stats.resident_bytes);
    bb_release(&b->alloc, b->block);
    bb_graph_free(b->g);
    bb_checkpoint_close(b->c);
    assert_int_equal(b->memory.n_live, 0);
}

static void bind_tensors(bound *b, const store *s, bool tied, bb_type type)
{
    store_write(s, 0, s->n, tempdir, "model.safetensors");
    bind_dir(b, tied, type, (bb_bind_options){ .n_threads = 2 });
}

static void expect_refused(const store *s, bool tied, bb_status code, const char *message)
{
    bound b;

    bind_tensors(&b, s, tied, BB_TYPE_NONE);
    assert_string_equal(b.err.message, message);
    assert_int_equal(b.status, code);
    assert_int_equal(b.err.code, code);
    assert_null(b.block);
    unbind(&b);
}

static float read_element(const bb_matrix *m, size_t i)
{
    if (m->format->type == BB_TYPE_F32) return ((const float *)m->data)[i];
    const uint16_t half = ((const uint16_t *)m->data)[i];
    return (float)(m->format->type == BB_TYPE_BF16 ? lab_bf16(half) : lab_f16(half));
}

static void expect_matrix(const bb_matrix *m, const store *s, const char *name, int rows,
                          int cols, int type)
{
    double *values = lab_values(s, name);

    assert_int_equal(m->rows, rows);
    assert_int_equal(m->cols, cols);
    assert_int_equal(m->format->type, type);
    assert_int_equal((uintptr_t)m->data % (type == BB_TYPE_F32 ? 4 : 2), 0);
    for (int i = 0; i < rows * cols; i++) {
        const double wanted = lab_round(type, values[i]);
        if (!((double)read_element(m, (size_t)i) == wanted))
            fail_msg("%s[%d] as %s: %g, expected %g", name, i, lab_dtype(type),
                     (double)read_element(m, (size_t)i), wanted);
    }
    free(values);
}

static bool is_mapped(const bound *b, const bb_matrix *m, const char *name)
{
    return m->data == bb_checkpoint_find(b->c, name)->data;
}

/* -------------------------------------------------------------- refusals ----------------- */

static void test_missing_tensor(void **unused)
{
    store s = make_tensors("F32", false);

    (void)unused;
    store_drop(&s, "l.0.mlp.up_proj.bias");
    expect_refused(&s, false, BAMBA_ERR_FORMAT,
                   "'l.0.mlp.up_proj.bias': expected this tensor, the checkpoint does not "
                   "have it");
    store_drop(&s, "in.weight");          /* the first in the order of the plan is named */
    expect_refused(&s, false, BAMBA_ERR_FORMAT,
                   "'in.weight': expected this tensor, the checkpoint does not have it");
    store_free(&s);
}

static void test_wrong_shape(void **unused)
{
    static const struct { int n; size_t dim[3]; const char *found; } shapes[] = {
        { 2, { F, D + 1 }, "BF16 [3, 6]" },     { 2, { D, F }, "BF16 [5, 3]" },
        { 1, { F * D }, "BF16 [15]" },          { 3, { F, 1, D }, "BF16 [3, 1, 5]" },
        { 2, { F, 0 }, "BF16 [3, 0]" },
    };

    (void)unused;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        store s = make_tensors("BF16", true);
        char  message[200];
        store_reshape(store_find(&s, "l.0.mlp.gate_proj.weight"), "BF16", shapes[i].n,
                      shapes[i].dim);
        snprintf(message, sizeof message, "model.safetensors: 'l.0.mlp.gate_proj.weight': "
                 "expected BF16 [3, 5], found %s", shapes[i].found);
        expect_refused(&s, true, BAMBA_ERR_FORMAT, message);
        store_free(&s);
    }
}

static void test_unsupported_type(void **unused)
{
    store s = make_tensors("F32", true);

    (void)unused;
    store_reshape(store_find(&s, "last"), "F64", 1, (const size_t[]){ D });
    expect_refused(&s, true, BAMBA_ERR_UNSUPPORTED,
                   "model.safetensors: 'last': expected F32, BF16 or F16, found F64");
    store_free(&s);
}

static void test_superfluous_tensor(void **unused)
{
    uint64_t seed = 1;
    store    s = make_tensors("F32", false);

    (void)unused;
    lab_add(&s, "l.0.mlp.inv_freq.older", "F32", 0, 1, &seed, (const int[]){ 2, 0 });
    expect_refused(&s, false, BAMBA_ERR_FORMAT,
                   "model.safetensors: 'l.0.mlp.inv_freq.older': this tensor belongs to no "
                   "part of the model that config.json describes");
    store_free(&s);
}

static void test_allowed_leftovers(void **unused)
{
    uint64_t seed = 1;
    store    s = make_tensors("F32", false);          /* with the head … */
    bound    b;

    (void)unused;
    lab_add(&s, "l.0.some.old", "F32", 0, 1, &seed, (const int[]){ 2, 0 });
    bind_tensors(&b, &s, true, BB_TYPE_NONE);        /* … that a tied plan does not take */
    assert_int_equal(b.status, BAMBA_OK);
    assert_ptr_equal(b.g->head.w.data, b.g->embed.data);
    assert_int_equal(b.stats.n_params, N_MATRIX + N_SMALL);
    unbind(&b);
    store_free(&s);
}

/* -------------------------------------------------------------- types -------------------- */

static void test_in_place(void **unused)
{
    static const char *const dtypes[] = { NULL, "F32", "BF16", "F16" };

    (void)unused;
    for (int type = BB_TYPE_F32; type < BB_N_FLOATS; type++) {
        const size_t size = type == BB_TYPE_F32 ? 4 : 2;
        store        s = make_tensors(dtypes[type], false);
        bound        b;

        bind_tensors(&b, &s, false, BB_TYPE_NONE);
        assert_int_equal(b.status, BAMBA_OK);
        assert_true(is_mapped(&b, &b.g->embed, "in.weight"));
        assert_true(is_mapped(&b, &b.g->head.w, "out.weight"));
        assert_null(b.g->head.bias);
        expect_matrix(&b.g->embed, &s, "in.weight", V, D, type);
        expect_matrix(&b.g->head.w, &s, "out.weight", V, D, type);
        assert_int_equal(b.g->widest, D);
        assert_int_equal(b.stats.n_params, N_MATRIX + N_SMALL + N_HEAD);
        assert_int_equal(b.stats.mapped_bytes, (N_MATRIX + N_HEAD) * size);
        /* the embedding is not read, but for a row */
        assert_int_equal(b.stats.weights_bytes, N_MATRIX * size + N_SMALL * sizeof(float));
        assert_in_range(b.stats.resident_bytes, N_SMALL * sizeof(float),
                        N_SMALL * sizeof(float) + 5 * 127);
        unbind(&b);
        store_free(&s);
    }
}

static void test_small_tensors_are_floats(void **unused)
{
    static const char *const dtypes[] = { NULL, "F32", "BF16", "F16" };

    (void)unused;
    for (int type = BB_TYPE_F32; type < BB_N_FLOATS; type++) {
        store s = make_tensors(dtypes[type], true);
        bound b;

        bind_tensors(&b, &s, true, BB_TYPE_BF16);
        assert_int_equal(b.status, BAMBA_OK);
        double *norm = lab_values(&s, "l.0.norm");
        double *last = lab_values(&s, "last");
        for (int i = 0; i < D; i++) {
            assert_true((double)b.g->block[0].norm[i] == norm[i]);
            assert_true((double)b.g->norm[i] == last[i]);
        }
        free(norm);
        free(last);
        unbind(&b);
        store_free(&s);
    }
}

static void test_conversions(void **unused)
{
    static const bb_type wanted[] = { BB_TYPE_NONE, BB_TYPE_F32, BB_TYPE_BF16, BB_TYPE_F16 };

    (void)unused;
    for (int from = BB_TYPE_F32; from < BB_N_FLOATS; from++)
        for (int to = BB_TYPE_F32; to < BB_N_FLOATS; to++) {
            const size_t size = to == BB_TYPE_F32 ? 4 : 2;
            store        s = make_tensors(lab_dtype(from), false);
            bound        b;

            bind_tensors(&b, &s, false, wanted[to]);
            assert_int_equal(b.status, BAMBA_OK);
            expect_matrix(&b.g->embed, &s, "in.weight", V, D, to);
            expect_matrix(&b.g->head.w, &s, "out.weight", V, D, to);
            assert_int_equal(is_mapped(&b, &b.g->embed, "in.weight"), from == to);
            assert_int_equal(b.stats.mapped_bytes, from == to ? (N_MATRIX + N_HEAD) * size : 0);
            if (from != to)
                assert_true(b.stats.resident_bytes >= (N_MATRIX + N_HEAD) * size + N_SMALL * 4);
            assert_int_equal(b.stats.weights_bytes, N_MATRIX * size + N_SMALL * 4);
            unbind(&b);
            store_free(&s);
        }
}

/* Conversion of a matrix of several tiles by several threads. Among its values are ties between two
   numbers of the type, and those at the ends of its range. */
static void test_large_conversion(void **unused)
{
    enum { ROWS = 700, COLS = 201 };
    static const float special[] = {
        0.0f, -0.0f, 1.00390625f, 1.01171875f, 65519.9f, 65520.0f, 3.4e38f, 6e-8f,
        2.9802322e-8f, 1e-40f, -1.0004883f, 1e-45f,
    };
    static const bb_type wanted[] = { BB_TYPE_BF16, BB_TYPE_F16 };
    static float values[ROWS * COLS];
    store        s = { NULL, 0, 0 };
    uint64_t     seed = 99;

    (void)unused;
    for (int i = 0; i < ROWS * COLS; i++)
        values[i] = i % 97 ? (float)(lab_normal(&seed) * exp(10 * lab_normal(&seed)))
                           : special[i / 97 % 12];
    store_add(&s, "in", "F32", 2, (const size_t[]){ ROWS, COLS }, values);
    for (int i = 0; i < COLS; i++) values[i] = 1;
    store_add(&s, "last", "F32", 1, (const size_t[]){ COLS }, values);
    store_write(&s, 0, s.n, tempdir, "model.safetensors");

    for (int i = 0; i < 2; i++) {
        fault           f = { 0 };
        bb_allocator    a = fault_allocator(&f);
        bb_kernels      k = lab_kernels();
        bb_plan         p = { .g = bb_graph_create(&a) };
        bb_checkpoint  *c = NULL;
        void           *block;
        bb_bind_stats   stats;
        bb_bind_options o = { .k = &k, .policy = use_context, .n_threads = 3,
                              .policy_context = bb_format_of(&k, wanted[i]) };

        bb_plan_begin(&p, COLS, ROWS, 1e-5);
        bb_plan_embed(&p, "in");
        bb_plan_head(&p, "last", NULL);
        assert_int_equal(bb_checkpoint_open(&c, &a, tempdir, NULL), BAMBA_OK);
        assert_int_equal(bb_bind(p.g, c, &o, &block, &stats, NULL), BAMBA_OK);
        expect_matrix(&p.g->embed, &s, "in", ROWS, COLS, i ? BB_TYPE_F16 : BB_TYPE_BF16);
        assert_int_equal(stats.weights_bytes, ROWS * COLS * 2 + COLS * 4);
        bb_unguard(block, stats.resident_bytes);
        bb_release(&a, block);
        bb_graph_free(p.g);
        bb_checkpoint_close(c);
        assert_int_equal(f.n_live, 0);
    }
    store_free(&s);
}

/* The tensors behind a header of an odd number of bytes. */
static void write_misaligned(const store *s)
{
    char          header[2048] = "{";
    char          shape[32];
    unsigned char data[2048];
    size_t        n = 0;
    size_t        at = 1;

    for (size_t i = 0; i < s->n; i++) {
        const store_tensor *t = &s->tensor[i];
        if (t->n_dims == 1) snprintf(shape, sizeof shape, "[%zu]", t->dim[0]);
        else snprintf(shape, sizeof shape, "[%zu,%zu]", t->dim[0], t->dim[1]);
        at += (size_t)snprintf(header + at, sizeof header - at,
                               "%s\"%s\":{\"dtype\":\"%s\",\"shape\":%s,"
                               "\"data_offsets\":[%zu,%zu]}",
                               i ? "," : "", t->name, t->dtype, shape, n, n + t->bytes);
        memcpy(data + n, t->data, t->bytes);
        n += t->bytes;
    }
    strcpy(header + at, at % 2 ? " }" : "}");
    store_write_raw(tempdir, "model.safetensors", header, data, n);
}

/* A tensor whose data begin between two elements is copied, bits unchanged. */
static void test_misaligned(void **unused)
{
    (void)unused;
    for (int type = BB_TYPE_F32; type < BB_N_FLOATS; type++) {
        const size_t size = type == BB_TYPE_F32 ? 4 : 2;
        store        s = make_tensors(lab_dtype(type), false);
        bound        b;

        write_misaligned(&s);
        bind_dir(&b, false, BB_TYPE_NONE, (bb_bind_options){ .n_threads = 1 });
        if (b.status != BAMBA_OK) fail_msg("%s", b.err.message);
        assert_int_equal((uintptr_t)bb_checkpoint_find(b.c, "in.weight")->data % 2, 1);
        expect_matrix(&b.g->embed, &s, "in.weight", V, D, type);
        expect_matrix(&b.g->head.w, &s, "out.weight", V, D, type);
        assert_int_equal(b.stats.mapped_bytes, 0);
        assert_true(b.stats.resident_bytes >= (N_MATRIX + N_HEAD) * size);
        unbind(&b);
        store_free(&s);
    }
}

/* -------------------------------------------------------------- parts, policies ---------- */

/* A kind that binds parts of tensors: two halves of one, and a matrix of a stack. */
typedef struct parts {
    bb_mixer  base;
    bb_linear gate, up, expert;
} parts;

static void bind_parts(bb_mixer *base, bb_binder *b)
{
    parts *m = (parts *)base;

    bb_bind_slice(b, &m->gate, "fused", F, D, (bb_slice){ .first = 0, .of = 2 * F });
    bb_bind_slice(b, &m->up, "fused", F, D, (bb_slice){ .first = F, .of = 2 * F });
    bb_bind_slice(b, &m->expert, "stack", 2, D,
                  (bb_slice){ .first = 1, .of = 4, .index = 2, .n = 3 });
}

static const bb_mixer_kind parts_kind = { .name = "parts", .bind = bind_parts };

/* Elements of the whole tensor from row `row` on, as the matrix has them in its own format. */
static void expect_part(const bb_matrix *m, const store *s, const char *name, int row)
{
    double *values = lab_values(s, name);

    for (int i = 0; i < m->rows * m->cols; i++)
        assert_true((double)read_element(m, (size_t)i)
                    == lab_round(m->format->type, values[row * m->cols + i]));
    free(values);
}

/* A policy: the matrix named "fused" becomes BF16, others stay as they are stored. */
static const bb_format *by_name(const void *context, bb_role role, const char *name, int rows,
                                int cols, const bb_format *stored)
{
    const bool is_fused = strcmp(name, "fused") == 0;

    (void)rows, (void)cols;
    assert_int_equal(role, strcmp(name, "in") == 0 ? BB_ROLE_EMBEDDING
                           : strcmp(name, "out") == 0 ? BB_ROLE_HEAD : BB_ROLE_PROJECTION);
    return is_fused ? bb_format_of(context, BB_TYPE_BF16) : stored;
}

static void test_parts_and_policy(void **unused)
{
    (void)unused;
    for (int by_policy = 0; by_policy <= 1; by_policy++) {
        fault           f = { 0 };
        bb_allocator    a = fault_allocator(&f);
        bb_kernels      k = lab_kernels();
        bb_plan         p = { .g = bb_graph_create(&a) };
        bb_bind_options o = { .k = &k, .policy = by_policy ? by_name : NULL, .policy_context = &k,
                              .n_threads = 2 };
        bb_checkpoint  *c = NULL;
        void           *block;
        bb_bind_stats   stats;
        store           s = { NULL, 0, 0 };
        uint64_t        seed = 5;

        lab_add(&s, "in", "F32", 0, 1, &seed, (const int[]){ V, D, 0 });
        lab_add(&s, "norm", "F32", 1, 0, &seed, (const int[]){ D, 0 });
        lab_add(&s, "last", "F32", 1, 0, &seed, (const int[]){ D, 0 });
        lab_add(&s, "fused", "F32", 0, 1, &seed, (const int[]){ 2 * F, D, 0 });
        lab_add(&s, "stack", "F32", 0, 1, &seed, (const int[]){ 3, 4, D, 0 });
        lab_add(&s, "out", "F16", 0, 1, &seed, (const int[]){ V, D, 0 });
        store_write(&s, 0, s.n, tempdir, "model.safetensors");
        bb_plan_begin(&p, D, V, 1e-5);
        bb_plan_embed(&p, "in");
        bb_plan_block(&p, "norm");
        parts *m = (parts *)bb_plan_mixer(&p, &parts_kind, sizeof *m, "");
        bb_plan_use(&p, &m->base, 1.0);
        bb_plan_head(&p, "last", "out");
        assert_int_equal(bb_checkpoint_open(&c, &a, tempdir, NULL), BAMBA_OK);
        assert_int_equal(bb_bind(p.g, c, &o, &block, &stats, NULL), BAMBA_OK);

        assert_int_equal(m->gate.w.format->type, by_policy ? BB_TYPE_BF16 : BB_TYPE_F32);
        expect_part(&m->gate.w, &s, "fused", 0);
        expect_part(&m->up.w, &s, "fused", F);
        expect_part(&m->expert.w, &s, "stack", 2 * 4 + 1);
        assert_int_equal(m->expert.w.format->type, BB_TYPE_F32);
        assert_int_equal(m->gate.id, 0);  /* slices of one tensor are one map, as files name it */
        assert_int_equal(m->up.id, 0);
        assert_int_equal(m->up.first, F);
        assert_int_equal(m->expert.id, 1);
        assert_int_equal(m->expert.first, 2 * 4 + 1);
        assert_int_equal(p.g->head.id, 2);
        assert_int_equal(stats.n_params, 2 * V * D + 2 * D + 2 * F * D + 2 * D);
        assert_int_equal(stats.converted_bytes, by_policy ? 2 * F * D * 2 : 0);
        assert_int_equal(stats.misaligned_bytes, 0);

        bb_unguard(block, stats.resident_bytes);
        bb_release(&a, block);
        bb_graph_free(p.g);
        bb_checkpoint_close(c);
        store_free(&s);
        assert_int_equal(f.n_live, 0);
    }
}

/* -------------------------------------------------------------- counting, cancelling ----- */

static void test_without_checkpoint(void **unused)
{
    static const bb_type planned[] = { BB_TYPE_NONE, BB_TYPE_F32, BB_TYPE_BF16, BB_TYPE_F16 };
    fault              f = { 0 };
    const bb_allocator a = fault_allocator(&f);

    (void)unused;
    for (int type = BB_TYPE_F32; type < BB_N_FLOATS; type++)
        for (int tied = 0; tied <= 1; tied++) {
            const size_t          size = type == BB_TYPE_F32 ? 4 : 2;
            const bb_kernels      k = lab_kernels();
            const bb_bind_options o = { .k = &k, .planned_type = planned[type] };
            const size_t          n_matrix = tied ? N_MATRIX : N_MATRIX + N_HEAD;
            bb_bind_stats         stats;
            void                 *block = &stats;
            bb_graph             *g = make_graph(&a, tied);

            assert_int_equal(bb_bind(g, NULL, &o, &block, &stats, NULL), BAMBA_OK);
            assert_null(block);
            assert_int_equal(stats.n_params, n_matrix + N_SMALL);
            assert_int_equal(stats.weights_bytes, N_MATRIX * size + N_SMALL * 4);
            assert_int_equal(stats.mapped_bytes, n_matrix * size);
            bb_graph_free(g);
        }
    assert_int_equal(f.n_live, 0);
}

typedef struct watcher {
    uint64_t last, total;
    int      n_calls, cancel_at;
} watcher;

static int watch(void *context, uint64_t done, uint64_t total)
{
    watcher *w = context;

    assert_true(done >= w->last && done <= total && total > 0);
    assert_true(w->total == 0 || w->total == total);
    w->last = done;
    w->total = total;
    return ++w->n_calls == w->cancel_at;
}

static void test_progress_and_cancelling(void **unused)
{
    store   s = make_tensors("F32", false);
    watcher all = { .cancel_at = 0 };
    bound   b;

    (void)unused;
    store_write(&s, 0, s.n, tempdir, "model.safetensors");
    bind_dir(&b, false, BB_TYPE_F16, (bb_bind_options){ .progress = watch,
                                                        .progress_context = &all });
    assert_int_equal(b.status, BAMBA_OK);
    assert_int_equal(all.n_calls, 5 + 1); /* a call a matrix, and the end */
    assert_int_equal(all.last, all.total);
    unbind(&b);
    for (int i = 1; i <= all.n_calls; i++) {
        watcher w = { .cancel_at = i };
        bind_dir(&b, false, BB_TYPE_F16, (bb_bind_options){ .progress = watch,
                                                            .progress_context = &w });
        assert_int_equal(b.status, BAMBA_ERR_CANCELLED);
        assert_string_equal(b.err.message, "cancelled while loading weights");
        assert_null(b.block);
        assert_int_equal(w.n_calls, i);
        unbind(&b);
    }
    store_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_missing_tensor, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_wrong_shape, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_unsupported_type, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_superfluous_tensor, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_allowed_leftovers, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_in_place, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_small_tensors_are_floats, tempdir_enter,
                                        tempdir_leave),
        cmocka_unit_test_setup_teardown(test_conversions, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_large_conversion, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_misaligned, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_parts_and_policy, tempdir_enter, tempdir_leave),
        cmocka_unit_test(test_without_checkpoint),
        cmocka_unit_test_setup_teardown(test_progress_and_cancelling, tempdir_enter, tempdir_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
