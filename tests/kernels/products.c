/* products.c - checks of rows times a matrix, few rows and many: the bound per element, the error on
   average, and rows that share a call keeping the bits they have alone. */
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct shape { int T, rows, cols; } shape;

/* One call of the kernel under test. */
typedef struct call {
    int         type;
    bool        many;
    const void *W;
    size_t      ldw, ldx, ldy;
    void       *packed, *arranged, *scratch;
} call;

/* The first group is packed by a call of its own. */
static void pack(const bb_format *f, const call *k, int T, int cols, const float *x)
{
    const size_t bytes = f->activation == BB_TYPE_F32 ? 4 : 2;
    const int    first = T < f->group ? T : f->group;

    f->pack(first, cols, x, k->ldx, k->packed);
    f->pack(T - first, cols, x + (size_t)first * k->ldx, k->ldx,
            (unsigned char *)k->packed + (size_t)first * BB_PACKED(cols) * bytes);
}

static void run(const check *c, const call *k, int T, int rows, int cols, const float *x, float *y)
{
    const bb_format *f = &c->k->format[k->type];

    if (!k->many) {
        f->arrange(T, cols, x, k->ldx, k->arranged);
        f->rows(T, rows, cols, k->W, k->ldw, k->arranged, y, k->ldy);
        return;
    }
    pack(f, k, T, cols, x);
    f->gemm(T, rows, cols, k->W, k->ldw, k->packed, y, k->ldy, k->scratch);
}

/* Rows are float32, their values what is left of them when the format rounds. */
static typed make_rows(check *c, const call *k, int fill, size_t n)
{
    const int   type = c->k->format[k->type].activation;
    const typed x = check_typed(c, BB_TYPE_F32, fill, n);

    for (size_t i = 0; type != BB_TYPE_F32 && i < n; i++)
        x.value[i] = decode_half(type, encode_half(type, x.value[i]));
    return x;
}

/* Room for the packed rows and not more; aligned as floats are, whatever they hold. */
static float *make_packed(check *c, const call *k, int T, int cols)
{
    const bb_format *f = &c->k->format[k->type];
    const size_t     n = (size_t)((T + f->group - 1) / f->group * f->group) * BB_PACKED(cols);

    return check_floats(c, f->activation == BB_TYPE_F32 ? n : n / 2);
}

static void check_shape(check *c, int type, bool many, shape s, int fill)
{
    call         k = { .type = type, .many = many, .ldw = (size_t)s.cols + 3,
                       .ldx = (size_t)s.cols + 1, .ldy = (size_t)s.rows + 2 };
    double       error = 0.0, w2 = 0.0, x2 = 0.0;

    check_case(c, "T %d rows %d cols %d fill %d", s.T, s.rows, s.cols, fill);
    const typed W = check_typed(c, type, fill, (size_t)s.rows * k.ldw);
    const typed x = make_rows(c, &k, fill, (size_t)s.T * k.ldx);
    float      *y = check_floats(c, (size_t)s.T * k.ldy), *one = check_floats(c, k.ldy);

    k.W = W.data;
    k.packed = many ? make_packed(c, &k, s.T, s.cols) : NULL;
    k.arranged = many ? NULL : check_floats(c, (size_t)s.T * BB_ARRANGED(s.cols));
    k.scratch = aligned_alloc(64, BB_GEMM_SCRATCH(s.T, s.rows));
    run(c, &k, s.T, s.rows, s.cols, x.data, y);
    for (int t = 0; t < s.T; t++) {
        const double *xt = x.value + (size_t)t * k.ldx;
        const float  *yt = y + (size_t)t * k.ldy;
        for (int r = 0; r < s.rows; r++) {
            const double *w   = W.value + (size_t)r * k.ldw;
            double        sum = 0.0, size = 0.0;
            for (int i = 0; i < s.cols; i++) {
                const double p = w[i] * xt[i];
                sum += p;
                size += fabs(p);
                w2 += w[i] * w[i];
                x2 += xt[i] * xt[i];
            }
            check_near(c, (size_t)t * k.ldy + (size_t)r, yt[r], sum,
                       (s.cols / 16.0 + 6) * (double)FLT_EPSILON * size);
            error += ((double)yt[r] - sum) * ((double)yt[r] - sum);
        }
        check_true(c, check_is_sentinel(yt[s.rows]) && check_is_sentinel(yt[s.rows + 1]),
                   "wrote between the rows of y");
        if (t % 16 > 2) continue;         /* alone: some of the rows */
        run(c, &k, 1, s.rows, s.cols, (const float *)x.data + (size_t)t * k.ldx, one);
        check_bits(c, (size_t)s.rows, yt, one);
    }
    if (s.cols && fill == FILL_RANDOM && s.T * s.rows >= 64) {       /* an average needs many */
        const double n = (double)s.T * s.rows, m = n * s.cols;
        check_true(c, sqrt(error / n) <= 4 * (double)FLT_EPSILON * sqrt(s.cols) * sqrt(w2 / m)
                                             * sqrt(x2 / m), "mean error too large");
    }
    free(k.scratch);
    check_done(c);
    free(W.value);
    free(x.value);
}

static void check_few(check *c, int type)
{
    static const int   T[]    = { 0, 1, 2, 3, 4, 8, 17, 32, 33 };
    static const int   rows[] = { 0, 1, 2, 3, 5, 19 };
    static const int   cols[] = { 0, 1, 2, 7, 8, 15, 16, 17, 31, 33, 97, 511, 512, 513, 1031 };
    static const shape real[] = { { 1, 3, 4096 }, { 3, 2, 8192 }, { 2, 2, 14336 },
                                  { 5, 50, 2049 }, { 32, 4, 4096 } };

    for (size_t i = 0; i < sizeof T / sizeof *T; i++)
        for (size_t j = 0; j < sizeof rows / sizeof *rows; j++)
            for (size_t l = 0; l < sizeof cols / sizeof *cols; l++)
                check_shape(c, type, false, (shape){ T[i], rows[j], cols[l] }, FILL_RANDOM);
    for (int t = 1; t <= 33; t++) check_shape(c, type, false, (shape){ t, 27, 130 }, FILL_RANDOM);
    for (size_t i = 0; i < sizeof real / sizeof *real; i++)
        check_shape(c, type, false, real[i], FILL_RANDOM);
    for (int fill = 0; fill < N_FILLS; fill++) {
        check_shape(c, type, false, (shape){ 1, 3, 77 }, fill);
        check_shape(c, type, false, (shape){ 5, 4, 1031 }, fill);
    }
}

static void check_many(check *c, int type)
{
    static const int   T[]    = { 0, 1, 5, 13, 14, 15, 33, 64 };
    static const int   rows[] = { 0, 1, 15, 16, 17, 31, 33, 70 };
    static const int   cols[] = { 0, 1, 2, 17, 31, 64, 255, 257, 513 };
    static const shape real[] = { { 200, 40, 2048 }, { 33, 8, 14336 }, { 64, 33, 4095 } };

    for (size_t i = 0; i < sizeof T / sizeof *T; i++)
        for (size_t j = 0; j < sizeof rows / sizeof *rows; j++)
            for (size_t l = 0; l < sizeof cols / sizeof *cols; l++)
                check_shape(c, type, true, (shape){ T[i], rows[j], cols[l] }, FILL_RANDOM);
    for (size_t i = 0; i < sizeof real / sizeof *real; i++)
        check_shape(c, type, true, real[i], FILL_RANDOM);
    for (int fill = 0; fill < N_FILLS; fill++) check_shape(c, type, true, (shape){ 15, 33, 600 }, fill);
}

void check_products(check *c)
{
    static const char *const few[BB_N_FLOATS] = { NULL, "rows f32", "rows bf16", "rows f16" };
    static const char *const many[BB_N_FLOATS] = { NULL, "gemm f32", "gemm bf16", "gemm f16" };

    for (int type = BB_TYPE_F32; type < BB_N_FLOATS; type++) {
        if (!CHECK_BEGIN(c, few[type], format[type].rows)) continue;
        check_few(c, type);
        check_end(c);
    }
    for (int type = BB_TYPE_F32; type < BB_N_FLOATS; type++) {
        if (!CHECK_BEGIN(c, many[type], format[type].gemm)) continue;
        if (c->k->format[type].gemm) check_many(c, type);
        check_end(c);
    }
}
