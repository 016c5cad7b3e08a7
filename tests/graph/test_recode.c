/* test_recode.c - rows of stored matrices in other formats, and the binder on matrices with scales:
 * whole or a slice, at any address, in place where a slice begins with a tile. */
#include "graph/bind.h"

#include "support/fault.h"
#include "support/lab.h"
#include "support/tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 60, COLS = 70, V = 20 };

static const int scaled[] = { BB_FORMAT_Q8, BB_FORMAT_Q4 };

/* A matrix [rows, COLS] of random values in a format, 64-byte aligned, and what it decodes to. */
typedef struct matrix {
    const bb_format *f;
    size_t           bytes;
    unsigned char   *data;
    float            value[ROWS * COLS];
} matrix;

static matrix make_matrix(const bb_format *f, int rows)
{
    matrix   m = { .f = f, .bytes = f->bytes(rows, COLS) };
    uint64_t seed = 3;

    for (int i = 0; i < rows * COLS; i++) m.value[i] = (float)lab_normal(&seed);
    m.data = aligned_alloc(64, (m.bytes + 63) / 64 * 64);
    f->encode(rows, COLS, m.value, COLS, NULL, m.data, 0);
    f->decode(rows, COLS, m.data, 0, m.value, COLS);
    return m;
}

/* -------------------------------------------------------------- recoding ----------------- */

/* Rows first … first + n - 1 of a matrix at an address that is `off` bytes from aligned. */
static void check_rows(const matrix *m, const bb_format *wanted, int off, int first, int n)
{
    unsigned char  *moved = aligned_alloc(64, (m->bytes + 127) / 64 * 64);
    memcpy(moved + off, m->data, m->bytes);
    const bb_recode r = { .stored = m->f, .wanted = wanted, .from = moved + off, .first = first,
                          .cols = COLS };
    const size_t    bytes = wanted->bytes(n, COLS);
    unsigned char  *room = aligned_alloc(64, (bb_recode_bytes(&r, n) + 63) / 64 * 64);
    unsigned char  *found = aligned_alloc(64, (bytes + 63) / 64 * 64);
    unsigned char  *expected = aligned_alloc(64, (bytes + 63) / 64 * 64);

    wanted->encode(n, COLS, m->value + first * COLS, COLS, NULL, expected, 0);
    if (wanted == m->f && first % wanted->rows_together == 0)
        memcpy(expected, m->data + wanted->bytes(first, COLS), bytes);
    bb_recode_rows(&r, 0, n, found, 0, room);
    if (memcmp(found, expected, bytes) != 0)
        fail_msg("%s to %s, rows %d to %d, %d bytes off", m->f->name, wanted->name, first, first + n,
                 off);
    free(moved), free(room), free(found), free(expected);
}

static void test_rows(void **unused)
{
    static const int parts[][2] = { { 0, ROWS }, { 16, 32 }, { 32, 28 }, { 5, 20 }, { 47, 1 }, { 20, 40 } };
    const bb_kernels k = lab_kernels();

    (void)unused;
    for (int i = 0; i <= BB_FORMAT_Q4; i++) {
        matrix m = make_matrix(&k.format[i], ROWS);
        for (int j = 0; j <= BB_FORMAT_Q4; j++)
            for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
                for (int off = 0; off < 4; off++)
                    check_rows(&m, &k.format[j], off, parts[p][0], parts[p][1]);
        free(m.data);
    }
}

/* -------------------------------------------------------------- binding slices ----------- */

/* What a mixer binds of a tensor of ROWS rows: slices that begin with a tile, and inside one. */
enum { N_SLICES = 4 };
static const struct { int rows; bb_slice at; int first; } slices[N_SLICES] = {
    { 16, { .first = 0, .of = ROWS }, 0 },
    { 20, { .first = 16, .of = ROWS }, 16 },
    { 24, { .first = 36, .of = ROWS }, 36 },
    { 9, { .first = 1, .of = ROWS / 3, .index = 1, .n = 3 }, ROWS / 3 + 1 },
};

typedef struct parts {
    bb_mixer  base;
    bb_linear part[N_SLICES];
} parts;

static void bind_parts(bb_mixer *base, bb_binder *b)
{
    for (int i = 0; i < N_SLICES; i++)
        bb_bind_slice(b, &((parts *)base)->part[i], "fused.weight", slices[i].rows, COLS, slices[i].at);
}

static const bb_mixer_kind parts_kind = { .name = "parts", .bind = bind_parts };

typedef struct bound {
    fault          memory;
    bb_allocator   a;
    bb_kernels     k;
    bb_graph      *g;
    parts         *m;
    bb_checkpoint *c;
    void          *block;
    bb_bind_stats  stats;
    bamba_error    err;
} bound;

/* Write fused.weight_q4 as bytes [tiles, width], with `extra` bytes in front of all data, and bind. */
static bb_status bind_tiles(bound *b, const matrix *m, size_t tiles, size_t width, const char *dtype,
                            int extra)
{
    bb_bind_options o = { .k = &b->k, .n_threads = 2 };
    char            name[40];
    store           s = { NULL, 0, 0 };
    uint64_t        seed = 5;
    bb_plan         p;

    if (extra) store_add_random(&s, "aside", 1, (const size_t[]){ 1 }, 1.0f);
    snprintf(name, sizeof name, "fused.weight_%s", m->f->name);
    store_add_random(&s, name, 1, (const size_t[]){ 1 }, 1.0f);
    store_reshape(store_find(&s, name), dtype, 2, (const size_t[]){ tiles, width });
    store_tensor *t = store_find(&s, name);
    memcpy(t->data, m->data, t->bytes < m->bytes ? t->bytes : m->bytes);
    if (extra) store_reshape(store_find(&s, "aside"), "U8", 1, (const size_t[]){ (size_t)extra });
    lab_add(&s, "in", "F32", 0, 1, &seed, (const int[]){ V, COLS, 0 });
    lab_add(&s, "norm", "F32", 1, 0, &seed, (const int[]){ COLS, 0 });
    lab_add(&s, "last", "F32", 1, 0, &seed, (const int[]){ COLS, 0 });
    store_write(&s, 0, s.n, tempdir, "model.safetensors");
    store_free(&s);

    p = (bb_plan){ .g = b->g = bb_graph_create(&b->a) };
    bb_plan_begin(&p, COLS, V, 1e-5);
    bb_plan_embed(&p, "in");
    bb_plan_block(&p, "norm");
    b->m = (parts *)bb_plan_mixer(&p, &parts_kind, sizeof *b->m, "");
    bb_plan_use(&p, &b->m->base, 1.0);
    bb_plan_head(&p, "last", NULL);
    if (bb_checkpoint_open(&b->c, &b->a, tempdir, &b->err) != BAMBA_OK) fail_msg("%s", b->err.message);
    return bb_bind(b->g, b->c, &o, &b->block, &b->stats, &b->err);
}

static void begin(bound *b)
{
    memset(b, 0, sizeof *b);
    b->a = fault_allocator(&b->memory);
    b->k = lab_kernels();
}

static void end(bound *b)
{
    if (b->block) bb_unguard(b->block, b->stats.resident_bytes);
    bb_release(&b->a, b->block);
    bb_graph_free(b->g);
    bb_checkpoint_close(b->c);
    assert_int_equal(b->memory.n_live, 0);
}

/* Where the binder put a slice, and what it holds, within a rounding where it was encoded anew. */
static void check_part(const bound *b, const matrix *m, int i, bool is_aligned)
{
    const bb_matrix *w = &b->m->part[i].w;
    const int        first = slices[i].first;
    const bool       in_place = is_aligned && first % BB_TILE_ROWS == 0;
    const size_t     at = m->f->bytes(first, COLS);
    char             name[40];
    float            value[ROWS * COLS];

    snprintf(name, sizeof name, "fused.weight_%s", m->f->name);
    const unsigned char *data = bb_checkpoint_find(b->c, name)->data;
    assert_ptr_equal(w->format, m->f);
    assert_int_equal(w->rows, slices[i].rows);
    assert_int_equal((const unsigned char *)w->data == data + at, in_place);
    assert_int_equal((uintptr_t)w->data % m->f->align, 0);
    w->format->decode(w->rows, COLS, w->data, 0, value, COLS);
    for (int k = 0; k < w->rows * COLS; k++) {
        const float wanted = m->value[first * COLS + k], error = value[k] - wanted;
        const float most = first % BB_TILE_ROWS == 0 ? 0.0f : 0.4f;
        if (!(error <= most && error >= -most))
            fail_msg("%s slice %d [%d]: %g, expected %g", m->f->name, i, k, (double)value[k],
                     (double)wanted);
    }
}

static void test_slices(void **unused)
{
    (void)unused;
    for (int f = 0; f < 2; f++)
        for (int extra = 0; extra < 3; extra++) {
            bound b;
            begin(&b);
            matrix       m = make_matrix(&b.k.format[scaled[f]], ROWS);
            const size_t tile = m.f->bytes(BB_TILE_ROWS, COLS);
            if (bind_tiles(&b, &m, 4, tile, "U8", extra) != BAMBA_OK) fail_msg("%s", b.err.message);
            char name[40];
            snprintf(name, sizeof name, "fused.weight_%s", m.f->name);
            const bool is_aligned = (uintptr_t)bb_checkpoint_find(b.c, name)->data % m.f->align == 0;
            assert_true(extra > 0 || is_aligned);
            for (int i = 0; i < N_SLICES; i++) check_part(&b, &m, i, is_aligned);
            end(&b);
            free(m.data);
        }
}

static void test_wrong_tiles(void **unused)
{
    static const struct { int tiles, more; const char *dtype; } wrong[] = {
        { 3, 0, "U8" }, { 5, 0, "U8" }, { 4, 1, "U8" }, { 4, -576, "U8" }, { 0, 0, "U8" },
        { 4, 0, "I8" }, { 4, 0, "BF16" },
    };

    (void)unused;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        bound b;
        char  text[200];
        begin(&b);
        matrix       m = make_matrix(&b.k.format[BB_FORMAT_Q4], ROWS);
        const size_t tile = m.f->bytes(BB_TILE_ROWS, COLS), width = (size_t)((int)tile + wrong[i].more);
        assert_int_equal(bind_tiles(&b, &m, (size_t)wrong[i].tiles, width, wrong[i].dtype, 0),
                         BAMBA_ERR_FORMAT);
        snprintf(text, sizeof text, "model.safetensors: 'fused.weight_q4': expected U8 [4, %zu], found "
                 "%s [%d, %zu]", tile, wrong[i].dtype, wrong[i].tiles, width);
        assert_string_equal(b.err.message, text);
        end(&b);
        free(m.data);
    }
}

/* -------------------------------------------------------------- visiting ----------------- */

typedef struct visits { int n_matrices, n_small, n_slices; } visits;

static void note(void *context, const bb_need *need)
{
    visits *v = context;

    if (need->rows == 0) {
        v->n_small++;
        assert_int_equal(need->n_name, strlen(need->tensor->name));
    } else if (need->rows == ROWS) {
        assert_int_equal(need->recode.first, slices[v->n_slices++].first);
        assert_memory_equal(need->tensor->name, "fused.weight", need->n_name);
        assert_int_equal(need->n_name, strlen("fused.weight"));
        assert_ptr_equal(need->recode.from, need->tensor->data);
    } else {
        v->n_matrices++;
    }
}

static void test_visit(void **unused)
{
    bound  b;
    visits v = { 0 };

    (void)unused;
    begin(&b);
    matrix m = make_matrix(&b.k.format[BB_FORMAT_Q8], ROWS);
    assert_int_equal(bind_tiles(&b, &m, 4, m.f->bytes(BB_TILE_ROWS, COLS), "U8", 0), BAMBA_OK);
    const bb_bind_options o = { .k = &b.k, .visit = note, .visit_context = &v };
    bb_unguard(b.block, b.stats.resident_bytes);
    bb_release(&b.a, b.block);
    assert_int_equal(bb_bind(b.g, b.c, &o, &b.block, &b.stats, NULL), BAMBA_OK);
    assert_true(b.stats.resident_bytes < 3 * COLS * sizeof(float));       /* small tensors alone */
    assert_int_equal(v.n_matrices, 1);
    assert_int_equal(v.n_small, 2);
    assert_int_equal(v.n_slices, N_SLICES);
    end(&b);
    free(m.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test_setup_teardown(test_slices, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_wrong_tiles, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_visit, tempdir_enter, tempdir_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
