/* test_product.c - rows times a matrix against double; bits, threads, strides. */
#include "mixer/product.h"

#include "mixer/blas.h"
#include "support/lab.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_T = 200, MOST_ROWS = 300, MOST_COLS = 260 };
enum { LDX = MOST_COLS + 3, LDY = MOST_ROWS + 5 };

static bb_kernels kernels;
static float      weight_f32[MOST_ROWS * MOST_COLS];
static uint16_t   weight_16[MOST_ROWS * MOST_COLS];
static _Alignas(64) unsigned char weight_blocks[2 * MOST_ROWS * MOST_COLS];
static double     weight[MOST_ROWS * MOST_COLS];      /* the values behind either */
static float      bias[MOST_ROWS];
static float      x[MOST_T * LDX], y[MOST_T * LDY], other[MOST_T * LDY], third[MOST_T * LDY];
static float      stream[MOST_T * MOST_ROWS];
static double     seen[MOST_T * LDX];      /* x as the kernels of a type see it */
static double     exact[MOST_T * MOST_ROWS], magnitude[MOST_T * MOST_ROWS];   /* [T, rows] */

static const int shapes[][2] = {                      /* rows, cols */
    { 1, 1 }, { 31, 16 }, { 32, 17 }, { 33, 64 }, { 127, 7 }, { 128, 31 }, { 129, 260 },
    { 300, 100 },
};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

static int set_up(void **unused)
{
    uint64_t seed = 21;

    (void)unused;
    kernels = lab_kernels();
    bb_blas_prepare();
    for (int i = 0; i < MOST_ROWS; i++) bias[i] = (float)lab_normal(&seed);
    for (int i = 0; i < MOST_T * LDX; i++) x[i] = (float)lab_normal(&seed);
    return 0;
}

/* Weights with scales: what encode makes of normally distributed ones. */
static bb_linear make_blocks(bb_type type, int rows, int cols, bool has_bias)
{
    const bb_format *f = bb_format_of(&kernels, type);
    uint64_t         seed = (uint64_t)(rows * 1000 + cols);

    assert_true(f->bytes(rows, cols) <= sizeof weight_blocks);
    for (int i = 0; i < rows * cols; i++) weight_f32[i] = (float)lab_normal(&seed);
    f->encode(rows, cols, weight_f32, (size_t)cols, NULL, weight_blocks, 0);
    f->decode(rows, cols, weight_blocks, 0, weight_f32, (size_t)cols);
    for (int i = 0; i < rows * cols; i++) weight[i] = (double)weight_f32[i];
    return (bb_linear){ .w = { rows, cols, f, weight_blocks }, .bias = has_bias ? bias : NULL };
}

static bb_linear make_linear(bb_type type, int rows, int cols, bool has_bias)
{
    uint64_t seed = (uint64_t)(rows * 1000 + cols);

    if (type >= BB_N_FLOATS) return make_blocks(type, rows, cols, has_bias);

    for (int i = 0; i < rows * cols; i++) {
        weight[i] = lab_round(type, lab_normal(&seed));
        weight_f32[i] = (float)weight[i];
        if (type != BB_TYPE_F32)
            weight_16[i] = type == BB_TYPE_BF16 ? store_bf16(weight_f32[i])
                                                : store_f16(weight_f32[i]);
    }
    return (bb_linear){ .w = { rows, cols, bb_format_of(&kernels, type),
                               type == BB_TYPE_F32 ? (void *)weight_f32 : (void *)weight_16 },
                        .bias = has_bias ? bias : NULL };
}

typedef struct call {
    const bb_linear   *l, *pair;
    const float       *x;
    const int         *index;             /* of the source's rows; NULL */
    bb_sink            to;
    const bb_epilogue *then;
} call;

static void run_call(const bb_exec *e, void *context)
{
    const call      *c = context;
    bb_source        source = bb_source_of(e, c->x, LDX, c->l->w.cols);
    const bb_product p = { c->l, c->pair, c->to };

    source.index = c->index;
    bb_multiply(e, 0, &p, 1, &source, c->then);
}

static bb_pass pass_of(int T)
{
    return (bb_pass){ .k = &kernels, .T = T, .many = bb_is_many(T) };
}

static void multiply(const bb_linear *l, int T, const float *from, float *to, int n_threads)
{
    const bb_pass pass = pass_of(T);
    call          c = { .l = l, .x = from, .to = bb_sink_store(to, LDY) };

    memset(to, 0xFF, sizeof *y * (size_t)(T < MOST_T ? T + 1 : T) * LDY);
    lab_team(&pass, n_threads, l->w.cols, run_call, &c);
}

/* A block of x as kernels of weights with scales see it: its largest / 127, times whole numbers. */
static void round_block(int n, const float *block, double *to)
{
    float most = 0.0f;

    for (int i = 0; i < n; i++) most = fmaxf(most, fabsf(block[i]));
    for (int i = 0; i < n; i++)
        to[i] = (double)(most / 127.0f) * rint((double)(block[i] * (127.0f / most)));
}

/* Whether T rows of x are rounded as the format says: not where BLAS gets them as they are. */
static bool is_rounded(const bb_linear *l, int T)
{
    return l->w.format->many || l->w.format->activation == BB_TYPE_F32 || !bb_is_many(T);
}

/* What the rows of T <= MOST_T should be, whatever T. */
static void compute_exact(const bb_linear *l)
{
    const int rows = l->w.rows;
    const int cols = l->w.cols;
    const bb_type activation = l->w.format->activation;

    for (int i = 0; i < MOST_T * LDX; i++)
        seen[i] = activation == BB_TYPE_I8 ? (double)x[i] : lab_round(activation, (double)x[i]);
    for (int t = 0; activation == BB_TYPE_I8 && t < MOST_T; t++)
        for (int c = 0; c < cols; c += 32)
            round_block(cols - c < 32 ? cols - c : 32, x + t * LDX + c, seen + t * LDX + c);
    for (int t = 0; t < MOST_T; t++)
        for (int r = 0; r < rows; r++) {
            double sum = l->bias ? (double)bias[r] : 0;
            double size = fabs(sum);
            for (int i = 0; i < cols; i++) {
                const double term = weight[r * cols + i] * seen[t * LDX + i];
                sum += term;
                size += fabs(term);
            }
            exact[t * rows + r] = sum;
            magnitude[t * rows + r] = size;
        }
}

/* |y - exact| within what the kernel's contract says, or what any order of float sums gives. */
static void expect_exact(const bb_linear *l, int T)
{
    const int    rows = l->w.rows;
    const double steps = T > BB_FEW_ROWS ? l->w.cols + 3 : l->w.cols / 16.0 + 7;

    for (int t = 0; t < T; t++) {
        for (int r = 0; r < rows; r++) {
            const double error = fabs((double)y[t * LDY + r] - exact[t * rows + r]);
            if (!(error <= steps * (double)FLT_EPSILON * magnitude[t * rows + r]))
                fail_msg("%s [%d, %d] T %d: y[%d, %d] is %g, expected %g",
                         l->w.format->name, rows, l->w.cols, T, t, r,
                         (double)y[t * LDY + r], exact[t * rows + r]);
        }
        for (int r = rows; r < LDY; r++)  /* the gap between rows */
            assert_true(isnan(y[t * LDY + r]));
    }
    if (T == MOST_T) return;
    for (int r = 0; r < LDY; r++) assert_true(isnan(y[T * LDY + r]));
}

static void test_any_number_of_rows(void **unused)
{
    (void)unused;
    for (bb_type type = BB_TYPE_F32; type <= BB_TYPE_Q4; type++)
        for (int i = 0; i < N_SHAPES; i++) {
            const bb_linear l = make_linear(type, shapes[i][0], shapes[i][1], i % 2);
            compute_exact(&l);
            for (int T = 1; T <= 33; T++) {
                multiply(&l, T, x, y, 1 + i % 3);
                if (is_rounded(&l, T)) expect_exact(&l, T);
            }
            if (!is_rounded(&l, 64)) continue;
            multiply(&l, 64, x, y, 2);
            expect_exact(&l, 64);
            multiply(&l, MOST_T, x, y, 2);
            expect_exact(&l, MOST_T);
        }
}

/* Each row of up to 32 has the bits it has alone. */
static void test_rows_alone(void **unused)
{
    (void)unused;
    for (bb_type type = BB_TYPE_F32; type <= BB_TYPE_Q4; type++)
        for (int i = 0; i < N_SHAPES; i++) {
            const bb_linear l = make_linear(type, shapes[i][0], shapes[i][1], i % 2 == 0);
            const size_t    bytes = (size_t)l.w.rows * sizeof *y;
            for (int T = 2; T <= BB_FEW_ROWS; T += T < 5 ? 1 : 9) {
                multiply(&l, T, x, y, 2);
                for (int t = 0; t < T; t++) {
                    multiply(&l, 1, x + t * LDX, other, 1);
                    assert_memory_equal(y + t * LDY, other, bytes);
                }
            }
        }
}

static void test_any_number_of_threads(void **unused)
{
    static const int several[] = { 1, 5, 32, 33, 64, MOST_T };

    (void)unused;
    for (bb_type type = BB_TYPE_F32; type <= BB_TYPE_Q4; type++)
        for (int i = 0; i < N_SHAPES; i++) {
            const bb_linear l = make_linear(type, shapes[i][0], shapes[i][1], true);
            for (int j = 0; j < 6; j++) {
                multiply(&l, several[j], x, y, 1);
                for (int n = 2; n <= 3; n++) {
                    multiply(&l, several[j], x, other, n);
                    assert_memory_equal(y, other, sizeof *y * (size_t)several[j] * LDY);
                }
            }
        }
}

/* Products that share a source share its preparing. */
static void run_pair(const bb_exec *e, void *context)
{
    const call      *c = context;
    bb_source        source = bb_source_of(e, c->x, LDX, c->l->w.cols);
    const bb_product p[2] = { { c->l, NULL, bb_sink_store(other, LDY) }, { c->l, NULL, c->to } };

    bb_multiply(e, 0, &p[0], 1, &source, NULL);
    bb_multiply(e, 0, &p[1], 1, &source, NULL);
}

static const int counts[] = { 1, 32, 33, MOST_T };
enum { N_COUNTS = sizeof counts / sizeof counts[0] };

static void test_shared_source(void **unused)
{
    (void)unused;
    for (bb_type type = BB_TYPE_F32; type <= BB_TYPE_Q4; type++)
        for (int i = 0; i < N_COUNTS; i++) {
            const bb_linear l = make_linear(type, 300, 100, true);
            const bb_pass   pass = pass_of(counts[i]);
            call            c = { .l = &l, .x = x, .to = bb_sink_store(y, LDY) };
            memset(y, 0xFF, sizeof y);
            memset(other, 0xFF, sizeof other);
            lab_team(&pass, 2, l.w.cols, run_pair, &c);
            assert_memory_equal(y, other, sizeof y);
            compute_exact(&l);
            if (is_rounded(&l, counts[i])) expect_exact(&l, counts[i]);
        }
}

/* Formats that prepare rows differently in one call, alone and as a pair: each has the bits it has
   by itself. Weights of the second: those of the first, widened. */
static void run_mixed(const bb_exec *e, void *context)
{
    const call      *c = context;
    bb_source        source = bb_source_of(e, c->x, LDX, c->l->w.cols);
    const bb_sink    to = bb_sink_store(other, LDY), again = bb_sink_store(third, LDY);
    const bb_product p[3] = { { c->l, NULL, c->to }, { c->pair, NULL, to }, { c->l, NULL, again } };

    bb_multiply(e, 0, p, 3, &source, NULL);
}

static void second_only(const bb_kernels *k, int n, const float *gate, const float *up, float *out)
{
    (void)k, (void)gate;
    memcpy(out, up, (size_t)n * sizeof *out);
}

static void test_mixed_formats(void **unused)
{
    static float first[MOST_T * LDY], second[MOST_T * LDY];

    (void)unused;
    for (int i = 0; i < N_COUNTS; i++) {
        const bb_linear   l = make_linear(BB_TYPE_BF16, 300, 100, true);
        const bb_linear   wide = { { 300, 100, bb_format_of(&kernels, BB_TYPE_F32), weight_f32 },
                                   NULL, NULL, 1, 0 };
        const bb_pass     pass = pass_of(counts[i]);
        const bb_epilogue then = { .activate = second_only };
        const size_t      bytes = (size_t)counts[i] * LDY * sizeof(float);
        call              c = { .l = &l, .pair = &wide, .x = x, .to = bb_sink_store(y, LDY) };

        multiply(&l, counts[i], x, first, 2);
        multiply(&wide, counts[i], x, second, 2);
        memset(y, 0xFF, sizeof y);
        memset(other, 0xFF, sizeof other);
        memset(third, 0xFF, sizeof third);
        lab_team(&pass, 2, 100, run_mixed, &c);
        assert_memory_equal(y, first, bytes);
        assert_memory_equal(other, second, bytes);
        assert_memory_equal(third, first, bytes);

        memset(y, 0xFF, sizeof y);
        c.then = &then;
        lab_team(&pass, 2, 100, run_call, &c);
        assert_memory_equal(y, second, bytes);
    }
}

/* A kernel for many rows gives a row the same bits among any number. */
static void test_many_rows(void **unused)
{
    (void)unused;
    for (bb_type type = BB_TYPE_F32; type <= BB_TYPE_Q4; type++) {
        const bb_linear l = make_linear(type, 300, 260, true);
        if (!l.w.format->many) continue;
        multiply(&l, MOST_T, x, y, 2);
        for (int T = 33; T < MOST_T; T += 31) {
            multiply(&l, T, x, other, 2);
            for (int t = 0; t < T; t++)
                assert_memory_equal(y + t * LDY, other + t * LDY, 300 * sizeof *y);
        }
    }
}

/* y of a call with this sink's switches, into `stream` [MOST_T, rows], whose element n begins as
   n % 2 · n. */
static void multiply_into(const bb_linear *l, int T, bb_sink to, const int *index, float *stream_to)
{
    const bb_pass pass = pass_of(T);
    call          c = { .l = l, .x = x, .index = index, .to = to };

    c.to.y = stream_to;
    c.to.ld = (size_t)l->w.rows;
    for (int n = 0; n < MOST_T * l->w.rows; n++) stream_to[n] = (float)(n % 2 * n);
    lab_team(&pass, 2, l->w.cols, run_call, &c);
}

/* A sink that adds: the sum of what is there and of the product; where the stream is 0, all bits of
   the product. */
static void test_add(void **unused)
{
    (void)unused;
    for (bb_type type = BB_TYPE_F32; type <= BB_TYPE_Q4; type++)
        for (int i = 0; i < N_SHAPES; i++)
            for (int j = 0; j < N_COUNTS; j++) {
                const bb_linear l = make_linear(type, shapes[i][0], shapes[i][1], j % 2);
                const int       rows = l.w.rows;
                multiply(&l, counts[j], x, y, 1);
                multiply_into(&l, counts[j], (bb_sink){ .add = true, .alpha = 1 }, NULL, stream);
                for (int n = 0; n < counts[j] * rows; n++) {
                    const float sum = (float)(n % 2 * n) + y[n / rows * LDY + n % rows];
                    assert_true(stream[n] == sum);
                }
                for (int n = counts[j] * rows; n < MOST_T * rows; n++)
                    assert_true(stream[n] == (float)(n % 2 * n));
            }
}

/* Rows from and to elsewhere, each with a weight of its own, times alpha; stored or added. */
static void test_index_weight_alpha(void **unused)
{
    static float weights[MOST_T];
    static int   from[MOST_T], to[MOST_T];

    (void)unused;
    for (int t = 0; t < MOST_T; t++) weights[t] = (float)(t % 5) * 0.25f - 0.5f;
    for (int j = 0; j < N_COUNTS; j++)
        for (int add = 0; add <= 1; add++) {
            const bb_linear l = make_linear(BB_TYPE_F32, 129, 100, true);
            const bb_sink   sink = { .add = add, .alpha = 0.5f, .index = to, .weight = weights };
            const int       T = counts[j] < MOST_T ? counts[j] : MOST_T - 7;
            for (int t = 0; t < T; t++) from[t] = (t * 3 + 1) % MOST_T;
            for (int t = 0; t < T; t++) to[t] = (t * 7 + 2) % MOST_T;
            compute_exact(&l);
            multiply_into(&l, T, sink, from, stream);
            for (int t = 0; t < T; t++)
                for (int r = 0; r < 129; r++) {
                    const int    n = to[t] * 129 + r;
                    const double old = add ? (double)(n % 2 * n) : 0;
                    const double sum = old + 0.5 * (double)weights[t] * exact[from[t] * 129 + r];
                    const double size = fabs(old) + magnitude[from[t] * 129 + r];
                    assert_true(fabs((double)stream[n] - sum) <= 120 * (double)FLT_EPSILON * size);
                }
        }
}

/* A scale a row, before the bias. */
static void test_row_scale(void **unused)
{
    static float scale[MOST_ROWS];

    (void)unused;
    for (int r = 0; r < MOST_ROWS; r++) scale[r] = (float)(r % 7) * 0.5f - 1;
    for (bb_type type = BB_TYPE_F32; type <= BB_TYPE_Q4; type++)
        for (int j = 0; j < N_COUNTS; j++) {
            bb_linear l = make_linear(type, 300, 100, false);
            compute_exact(&l);
            l.row_scale = scale;
            l.bias = bias;
            multiply(&l, counts[j], x, y, 2);
            for (int t = 0; is_rounded(&l, counts[j]) && t < counts[j]; t++)
                for (int r = 0; r < 300; r++) {
                    const double sum = exact[t * 300 + r] * (double)scale[r] + (double)bias[r];
                    const double size = magnitude[t * 300 + r] * fabs((double)scale[r])
                        + fabs((double)bias[r]);
                    assert_true(fabs((double)y[t * LDY + r] - sum)
                                <= 120 * (double)FLT_EPSILON * size);
                }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_number_of_rows),
        cmocka_unit_test(test_rows_alone),
        cmocka_unit_test(test_any_number_of_threads),
        cmocka_unit_test(test_shared_source),
        cmocka_unit_test(test_mixed_formats),
        cmocka_unit_test(test_many_rows),
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_index_weight_alpha),
        cmocka_unit_test(test_row_scale),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
