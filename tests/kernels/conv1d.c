/* conv1d.c - checks of the causal convolution: against the sum, the window it leaves, and any
   split of the tokens giving the same bits. */
#include "check.h"

#include <math.h>
#include <string.h>

typedef struct shape { int T, C, K; } shape;

/* Column t of window ‖ x, counted from the oldest of the window. */
static const float *column(shape s, const float *window, size_t ld_window, const float *x,
                           size_t ldx, int t)
{
    return t < s.K - 1 ? window + (size_t)t * ld_window : x + (size_t)(t - s.K + 1) * ldx;
}

/* The window goes to memory of its own: the bits of the call in place, and the input untouched. */
static void check_apart(check *c, shape s, const float *x, size_t ldx, const float *w, size_t ldw,
                        const float *b, const float *old, const float *window, size_t ld_window,
                        const float *out, size_t ldo)
{
    const size_t n_out = (size_t)s.T * ldo, n_window = (size_t)(s.K - 1) * ld_window;
    float       *from = check_floats(c, n_window), *to = check_floats(c, n_window);
    float       *out2 = check_floats(c, n_out);

    if (n_window) memcpy(from, old, n_window * sizeof *old);
    c->k->conv1d(s.T, s.C, s.K, x, ldx, w, ldw, b, from, to, ld_window, out2, ldo);
    check_bits(c, n_out, out2, out);
    check_bits(c, n_window, from, old);
    for (int t = 0; t < s.K - 1; t++) {
        check_bits(c, (size_t)s.C, to + (size_t)t * ld_window, window + (size_t)t * ld_window);
        check_true(c, check_is_sentinel(to[(size_t)t * ld_window + (size_t)s.C]),
                   "wrote between the columns of the window");
    }
}

static void check_shape(check *c, shape s, bool with_bias, int fill)
{
    const size_t C = (size_t)s.C, T = (size_t)s.T, K = (size_t)s.K;
    const size_t ldx = C + 5, ldo = C + 2, ldw = K + 1, ld_window = C + 1;

    check_case(c, "T %d C %d K %d bias %d fill %d", s.T, s.C, s.K, with_bias, fill);
    const float *x    = check_input(c, fill, T * ldx);
    const float *w    = check_input(c, fill, C * ldw);
    const float *b    = with_bias ? check_input(c, fill, C) : NULL;
    const float *old  = check_input(c, FILL_RANDOM, K * ld_window);
    float       *window = check_floats(c, (K - 1) * ld_window);
    float       *out    = check_floats(c, T * ldo);

    if (K > 1) memcpy(window, old, (K - 1) * ld_window * sizeof *old);
    c->k->conv1d(s.T, s.C, s.K, x, ldx, w, ldw, b, window, window, ld_window, out, ldo);
    check_apart(c, s, x, ldx, w, ldw, b, old, window, ld_window, out, ldo);

    for (int t = 0; t < s.T; t++) {
        for (size_t i = 0; i < C; i++) {
            double sum = b ? (double)b[i] : 0.0, size = fabs(sum);
            for (int j = 0; j < s.K; j++) {
                const double p = (double)w[i * ldw + (size_t)j]
                               * (double)column(s, old, ld_window, x, ldx, t + j)[i];
                sum += p;
                size += fabs(p);
            }
            const double want = sum / (1.0 + exp(-sum));
            check_near(c, (size_t)t * ldo + i, out[(size_t)t * ldo + i], want,
                       (s.K + 4) * (double)FLT_EPSILON * size * 1.1 + 1e-36);
        }
        check_true(c, check_is_sentinel(out[(size_t)t * ldo + C]), "wrote between rows");
    }
    for (int t = 0; t < s.K - 1; t++) {
        check_bits(c, C, window + (size_t)t * ld_window,
                   column(s, old, ld_window, x, ldx, t + s.T));
        check_bits(c, 1, window + (size_t)t * ld_window + C, old + (size_t)t * ld_window + C);
    }
    check_done(c);
}

static void check_split(check *c, shape s, int first, int second)
{
    const size_t C = (size_t)s.C, T = (size_t)s.T, W = (size_t)(s.K - 1) * C;
    const int    cut[] = { 0, first, first + second, s.T };

    check_case(c, "T %d split %d %d", s.T, first, second);
    const float *x = check_input(c, FILL_RANDOM, T * C), *b = check_input(c, FILL_RANDOM, C);
    const float *w = check_input(c, FILL_RANDOM, C * (size_t)s.K);
    float *window = check_input(c, FILL_RANDOM, W), *window2 = check_floats(c, W);
    float *out = check_floats(c, T * C), *out2 = check_floats(c, T * C);

    memcpy(window2, window, W * sizeof *window);
    c->k->conv1d(s.T, s.C, s.K, x, C, w, (size_t)s.K, b, window, window, C, out, C);
    for (int i = 0; i < 3; i++)
        c->k->conv1d(cut[i + 1] - cut[i], s.C, s.K, x + (size_t)cut[i] * C, C, w, (size_t)s.K,
                     b, window2, window2, C, out2 + (size_t)cut[i] * C, C);
    check_bits(c, T * C, out2, out);
    check_bits(c, W, window2, window);
    check_done(c);
}

void check_conv1d(check *c)
{
    static const int T[] = { 0, 1, 2, 3, 4, 5, 17, 64 };
    static const int C[] = { 0, 1, 5, 16, 64, 65, 131 };
    static const int K[] = { 1, 2, 4, 7 };

    if (!CHECK_BEGIN(c, "conv1d", conv1d)) return;
    for (size_t i = 0; i < sizeof T / sizeof *T; i++)
        for (size_t j = 0; j < sizeof C / sizeof *C; j++)
            for (size_t l = 0; l < sizeof K / sizeof *K; l++)
                check_shape(c, (shape){ T[i], C[j], K[l] }, (i + j) % 2, FILL_RANDOM);
    for (int fill = 0; fill < N_FILLS; fill++) check_shape(c, (shape){ 6, 70, 4 }, true, fill);
    check_shape(c, (shape){ 5, 8448, 4 }, true, FILL_RANDOM);
    for (int first = 0; first <= 9; first++)
        for (int second = 0; first + second <= 9; second++)
            check_split(c, (shape){ 9, 67, 4 }, first, second);
    check_end(c);
}
