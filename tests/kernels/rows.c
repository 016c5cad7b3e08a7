/* rows.c - checks of few rows times a matrix: the bound per element, the error on average, and
   rows that share a call keeping the bits they have alone. */
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct shape { int T, rows, cols; } shape;

static void check_shape(check *c, int type, shape s, int fill)
{
    const size_t ldw = (size_t)s.cols + 3, ldx = (size_t)s.cols + 1, ldy = (size_t)s.rows + 2;
    double       error = 0.0, w2 = 0.0, x2 = 0.0;

    check_case(c, "T %d rows %d cols %d fill %d", s.T, s.rows, s.cols, fill);
    const typed  W = check_typed(c, type, fill, (size_t)s.rows * ldw);
    const float *x = check_input(c, fill, (size_t)s.T * ldx);
    float       *y = check_floats(c, (size_t)s.T * ldy), *one = check_floats(c, ldy);

    c->k->rows[type](s.T, s.rows, s.cols, W.data, ldw, x, ldx, y, ldy);
    for (int t = 0; t < s.T; t++) {
        const float *xt = x + (size_t)t * ldx, *yt = y + (size_t)t * ldy;
        for (int r = 0; r < s.rows; r++) {
            const double *w   = W.value + (size_t)r * ldw;
            double        sum = 0.0, size = 0.0;
            for (int i = 0; i < s.cols; i++) {
                const double p = w[i] * (double)xt[i];
                sum += p;
                size += fabs(p);
                w2 += w[i] * w[i];
                x2 += (double)xt[i] * (double)xt[i];
            }
            check_near(c, (size_t)t * ldy + (size_t)r, yt[r], sum,
                       (s.cols / 16.0 + 6) * (double)FLT_EPSILON * size);
            error += ((double)yt[r] - sum) * ((double)yt[r] - sum);
        }
        check_true(c, check_is_sentinel(yt[s.rows]) && check_is_sentinel(yt[s.rows + 1]),
                   "wrote between the rows of y");
        c->k->rows[type](1, s.rows, s.cols, W.data, ldw, xt, ldx, one, ldy);
        check_bits(c, (size_t)s.rows, yt, one);
    }
    if (s.cols && fill == FILL_RANDOM) {
        const double n = (double)s.T * s.rows, m = n * s.cols;       /* rms over the call */
        check_true(c, sqrt(error / n) <= 4 * (double)FLT_EPSILON * sqrt(s.cols) * sqrt(w2 / m)
                                             * sqrt(x2 / m) || n == 0, "mean error too large");
    }
    check_done(c);
    free(W.value);
}

void check_rows(check *c)
{
    static const char *const name[] = { "rows f32", "rows bf16", "rows f16" };
    static const int T[]    = { 0, 1, 2, 3, 4, 8, 17, 32, 33 };
    static const int rows[] = { 0, 1, 2, 3, 5, 19 };
    static const int cols[] = { 0, 1, 2, 7, 8, 15, 16, 17, 31, 33, 97, 511, 512, 513, 1031 };
    static const shape real[] = { { 1, 3, 4096 }, { 3, 2, 8192 }, { 2, 2, 14336 },
                                  { 32, 4, 4096 } };

    for (int type = 0; type < BB_N_TYPES; type++) {
        if (!CHECK_BEGIN(c, name[type], rows[type])) continue;
        for (size_t i = 0; i < sizeof T / sizeof *T; i++)
            for (size_t j = 0; j < sizeof rows / sizeof *rows; j++)
                for (size_t l = 0; l < sizeof cols / sizeof *cols; l++)
                    check_shape(c, type, (shape){ T[i], rows[j], cols[l] }, FILL_RANDOM);
        for (size_t i = 0; i < sizeof real / sizeof *real; i++)
            check_shape(c, type, real[i], FILL_RANDOM);
        for (int fill = 0; fill < N_FILLS; fill++) {
            check_shape(c, type, (shape){ 1, 3, 77 }, fill);
            check_shape(c, type, (shape){ 5, 4, 1031 }, fill);
        }
        check_end(c);
    }
}
