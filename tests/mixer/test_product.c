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
static double     weight[MOST_ROWS * MOST_COLS];      /* the values behind either */
static float      bias[MOST_ROWS];
static float      x[MOST_T * LDX], y[MOST_T * LDY], other[MOST_T * LDY];
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

static bb_linear make_linear(int type, int rows, int cols, bool has_bias)
{
    uint64_t seed = (uint64_t)(rows * 1000 + cols);

    for (int i = 0; i < rows * cols; i++) {
        weight[i] = lab_round(type, lab_normal(&seed));
        weight_f32[i] = (float)weight[i];
        if (type != BB_TYPE_F32)
            weight_16[i] = type == BB_TYPE_BF16 ? store_bf16(weight_f32[i])
                                                : store_f16(weight_f32[i]);
    }
    return (bb_linear){ { rows, cols, type, type == BB_TYPE_F32 ? (void *)weight_f32
                                                                : (void *)weight_16 },
                        has_bias ? bias : NULL };
}

typedef struct call {
    const bb_linear *l;
    int              T;
    const float     *x;
    float           *y;
    bool             add;
} call;

static void run_call(const bb_exec *e, void *context)
{
    const call *c = context;
    bb_operand       operand = bb_operand_of(c->T, c->l->w.cols, bb_rows_at(c->x, LDX));
    const bb_product p = { c->l, c->y, LDY };

    if (c->add) bb_multiply_add(e, BB_OP_MLP, c->l, &operand, c->y);
    else bb_multiply(e, BB_OP_MLP, &p, 1, &operand, NULL, NULL);
}

static void multiply(const bb_linear *l, int T, const float *from, float *to, int n_threads)
{
    const bb_exec e = { .k = &kernels, .T = T };
    call          c = { l, T, from, to, false };

    memset(to, 0xFF, sizeof *y * (size_t)(T < MOST_T ? T + 1 : T) * LDY);
    lab_team(&e, n_threads, l->w.cols, run_call, &c);
}

/* What the rows of T <= MOST_T should be, whatever T. */
static void compute_exact(const bb_linear *l)
{
    const int rows = l->w.rows;
    const int cols = l->w.cols;
    const int activation = (int)bb_format_of(&kernels, l->w.type)->activation;

    for (int i = 0; i < MOST_T * LDX; i++) seen[i] = lab_round(activation, (double)x[i]);
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
                         lab_dtype(l->w.type), rows, l->w.cols, T, t, r,
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
    for (int type = BB_TYPE_F32; type < BB_N_FLOATS; type++)
        for (int i = 0; i < N_SHAPES; i++) {
            const bb_linear l = make_linear(type, shapes[i][0], shapes[i][1], i % 2);
            compute_exact(&l);
            for (int T = 1; T <= 33; T++) {
                multiply(&l, T, x, y, 1 + i % 3);
                expect_exact(&l, T);
            }
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
    for (int type = BB_TYPE_F32; type < BB_N_FLOATS; type++)
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
    static const int counts[] = { 1, 5, 32, 33, 64, MOST_T };

    (void)unused;
    for (int type = BB_TYPE_F32; type < BB_N_FLOATS; type++)
        for (int i = 0; i < N_SHAPES; i++) {
            const bb_linear l = make_linear(type, shapes[i][0], shapes[i][1], true);
            for (int j = 0; j < 6; j++) {
                multiply(&l, counts[j], x, y, 1);
                for (int n = 2; n <= 3; n++) {
                    multiply(&l, counts[j], x, other, n);
                    assert_memory_equal(y, other, sizeof *y * (size_t)counts[j] * LDY);
                }
            }
        }
}

/* Products that share an operand share its rounding. */
static void run_pair(const bb_exec *e, void *context)
{
    const call *c = context;
    bb_operand       operand = bb_operand_of(c->T, c->l->w.cols, bb_rows_at(c->x, LDX));
    const bb_product p[2] = { { c->l, other, LDY }, { c->l, c->y, LDY } };

    bb_multiply(e, BB_OP_MLP, &p[0], 1, &operand, NULL, NULL);
    bb_multiply(e, BB_OP_MLP, &p[1], 1, &operand, NULL, NULL);
}

static void test_shared_operand(void **unused)
{
    static const int counts[] = { 1, 32, 33, MOST_T };

    (void)unused;
    for (int type = BB_TYPE_F32; type < BB_N_FLOATS; type++)
        for (int i = 0; i < 4; i++) {
            const bb_linear l = make_linear(type, 300, 100, true);
            const bb_exec   e = { .k = &kernels, .T = counts[i] };
            call            c = { &l, counts[i], x, y, false };
            memset(y, 0xFF, sizeof y);
            memset(other, 0xFF, sizeof other);
            lab_team(&e, 2, l.w.cols, run_pair, &c);
            assert_memory_equal(y, other, sizeof y);
            compute_exact(&l);
            expect_exact(&l, counts[i]);
        }
}

/* A kernel for many rows gives a row the same bits among any number. */
static void test_many_rows(void **unused)
{
    (void)unused;
    for (int type = BB_TYPE_F32; type < BB_N_FLOATS; type++) {
        const bb_linear l = make_linear(type, 300, 260, true);
        if (!bb_format_of(&kernels, (bb_type)type)->many) continue;
        multiply(&l, MOST_T, x, y, 2);
        for (int T = 33; T < MOST_T; T += 31) {
            multiply(&l, T, x, other, 2);
            for (int t = 0; t < T; t++)
                assert_memory_equal(y + t * LDY, other + t * LDY, 300 * sizeof *y);
        }
    }
}

/* bb_multiply_add: the sum of the stream and of the product as bb_multiply has it; where the stream is 0,
   all bits of the product. */
static void test_add(void **unused)
{
    static const int counts[] = { 1, 32, 33, MOST_T };
    static float     packed[MOST_T * MOST_ROWS];

    (void)unused;
    for (int type = BB_TYPE_F32; type < BB_N_FLOATS; type++)
        for (int i = 0; i < N_SHAPES; i++)
            for (int j = 0; j < 4; j++) {
                const bb_linear l = make_linear(type, shapes[i][0], shapes[i][1], j % 2);
                const bb_exec   e = { .k = &kernels, .T = counts[j], .x = stream };
                call            c = { &l, counts[j], x, packed, true };
                const int       rows = l.w.rows;
                for (int n = 0; n < MOST_T * MOST_ROWS; n++) stream[n] = (float)(n % 2 * n);
                lab_team(&e, 2, l.w.cols, run_call, &c);
                multiply(&l, counts[j], x, y, 1);
                for (int n = 0; n < counts[j] * rows; n++) {
                    const float sum = (float)(n % 2 * n) + y[n / rows * LDY + n % rows];
                    assert_true(stream[n] == sum);
                }
                for (int n = counts[j] * rows; n < MOST_T * MOST_ROWS; n++)
                    assert_true(stream[n] == (float)(n % 2 * n));
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_number_of_rows),
        cmocka_unit_test(test_rows_alone),
        cmocka_unit_test(test_any_number_of_threads),
        cmocka_unit_test(test_shared_operand),
        cmocka_unit_test(test_many_rows),
        cmocka_unit_test(test_add),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
