/* conv1d.c - causal depthwise convolution with SiLU and a carried window, in portable C.
 *
 * Blocks of channels; one pass over the tokens for each tap, so that a tap's weights are
 * gathered once and the inner loop runs along contiguous channels. */
#include "../variants.h"
#include "scalar.h"

enum { BLOCK = 64 };                      /* channels */

/* acc[c] += w[c] · in[c]. */
static inline void add_tap(int n, const float *restrict w, const float *restrict in,
                           float *restrict acc)
{
    for (int c = 0; c < n; c++) acc[c] += w[c] * in[c];
}

/* window_out = last K-1 columns of window_in ‖ x. In place, a column moves before it is written. */
static void shift_window(int T, int C, int K, const float *x, size_t ldx, const float *window_in,
                         float *window_out, size_t ld_window)
{
    if (T == 0 && window_out == window_in) return;
    for (int i = 0; i < K - 1; i++) {
        const int    from = i + T;        /* column of window_in ‖ x */
        const float *src  = from < K - 1 ? window_in + (size_t)from * ld_window
                                         : x + (size_t)(from - (K - 1)) * ldx;
        memcpy(window_out + (size_t)i * ld_window, src, (size_t)C * sizeof *src);
    }
}

void bb_conv1d_c(int T, int C, int K, const float *x, size_t ldx, const float *w, size_t ldw,
                 const float *b, const float *window_in, float *window_out, size_t ld_window,
                 float *out, size_t ldo)
{
    for (int c0 = 0; c0 < C; c0 += BLOCK) {
        const int n = C - c0 < BLOCK ? C - c0 : BLOCK;
        float     tap[BLOCK];

        for (int c = 0; c < n; c++) tap[c] = b ? b[c0 + c] : 0.0f;
        for (int t = 0; t < T; t++)
            memcpy(out + (size_t)t * ldo + c0, tap, (size_t)n * sizeof *out);

        for (int j = 0; j < K; j++) {
            for (int c = 0; c < n; c++) tap[c] = *(w + (size_t)(c0 + c) * ldw + j);
            for (int t = 0; t < T; t++) {
                const int    from = t + j;        /* column of window_in ‖ x */
                const float *in   = from < K - 1 ? window_in + (size_t)from * ld_window
                                                 : x + (size_t)(from - (K - 1)) * ldx;
                add_tap(n, tap, in + c0, out + (size_t)t * ldo + c0);
            }
        }
        for (int t = 0; t < T; t++) {
            float *o = out + (size_t)t * ldo + c0;
            for (int c = 0; c < n; c++) o[c] = silu(o[c]);
        }
    }
    shift_window(T, C, K, x, ldx, window_in, window_out, ld_window);
}
