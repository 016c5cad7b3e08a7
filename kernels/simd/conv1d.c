/* conv1d.c - causal depthwise convolution with SiLU and a carried window, a vector of channels
 * at a time.
 *
 * Blocks of channels; their taps are turned to [tap][channel] once. A block is narrow enough
 * for its last K rows to stay in L1, so rows are read again for every tap. More than MAX_TAPS
 * taps take several passes, with the sums in out between them: the same order of additions. */
#include "../variants.h"
#include "vec.h"

enum {
    BLOCK    = 256,                       /* channels: rows of 1 KiB, K of them in L1 */
    MAX_TAPS = 8
};

/* One block of channels and one pass over its taps. */
typedef struct pass {
    int          n;                       /* channels, at most BLOCK */
    int          first, taps;             /* of the K taps */
    const float *bias;                    /* [n] or NULL */
    float        tap[MAX_TAPS][BLOCK];
} pass;

/* window_in ‖ x, columns of one block. */
typedef struct input {
    int          K;
    const float *x;
    size_t       ldx;
    const float *window;
    size_t       ld_window;
} input;

BB_INLINE const float *column(const input *in, int t)
{
    return t < in->K - 1 ? in->window + (size_t)t * in->ld_window
                         : in->x + (size_t)(t - (in->K - 1)) * in->ldx;
}

/* Four taps of 16 channels: rows of four floats, transposed. */
BB_INLINE void load_four_taps(const float *w, size_t ldw, float *tap)
{
    for (int c = 0; c < 16; c += 4) {
        const float *p = w + (size_t)c * ldw;
        __m128       a = _mm_loadu_ps(p), b = _mm_loadu_ps(p + ldw);
        __m128       d = _mm_loadu_ps(p + 2 * ldw), e = _mm_loadu_ps(p + 3 * ldw);
        _MM_TRANSPOSE4_PS(a, b, d, e);
        _mm_storeu_ps(tap + c, a);
        _mm_storeu_ps(tap + BLOCK + c, b);
        _mm_storeu_ps(tap + 2 * BLOCK + c, d);
        _mm_storeu_ps(tap + 3 * BLOCK + c, e);
    }
}

/* w [n, taps of this pass] row stride ldw */
static void load_taps(pass *k, const float *w, size_t ldw)
{
    int c = 0;

    if (k->taps == 4)
        for (; c + 16 <= k->n; c += 16)
            load_four_taps(w + (size_t)c * ldw, ldw, k->tap[0] + c);
    for (; c < k->n; c++)
        for (int j = 0; j < k->taps; j++) k->tap[j][c] = w[(size_t)c * ldw + (size_t)j];
}

/* Channels c … c + n - 1, n <= VL, of one token; row[j]: its input for tap j. */
BB_INLINE void convolve(const pass *k, int taps, bool last, const float *const *row, int c,
                        int n, float *out)
{
    const float *before = k->first > 0 ? out : k->bias;
    vf           sum = before ? vf_load_up_to(before + c, n) : vf_zero();

    for (int j = 0; j < taps; j++)
        sum = vf_fma(vf_load_up_to(k->tap[j] + c, n), vf_load_up_to(row[j] + c, n), sum);
    if (last) sum = vf_silu(sum);
    vf_store_up_to(out + c, n, sum);
}

BB_INLINE void run_pass(const pass *k, int taps, const input *in, int T, float *out, size_t ldo)
{
    const bool   last = k->first + taps == in->K;
    const float *row[MAX_TAPS];

    for (int t = 0; t < T; t++, out += ldo) {
        int c = 0;
        for (int j = 0; j < taps; j++) row[j] = column(in, t + k->first + j);
        for (; c + VL <= k->n; c += VL) convolve(k, taps, last, row, c, VL, out);
        if (c < k->n) convolve(k, taps, last, row, c, k->n - c, out);
    }
}

/* window_out = last K-1 columns of window_in ‖ x, n channels. In place, a column moves before it is
   written. */
static void shift_window(int T, int n, const input *in, float *window_out)
{
    if (T == 0 && window_out == in->window) return;
    for (int i = 0; i < in->K - 1; i++)
        memcpy(window_out + (size_t)i * in->ld_window, column(in, i + T),
               (size_t)n * sizeof *window_out);
}

void BB_ISA(bb_conv1d)(int T, int C, int K, const float *x, size_t ldx, const float *w,
                       size_t ldw, const float *b, const float *window_in, float *window_out,
                       size_t ld_window, float *out, size_t ldo)
{
    for (int c = 0; c < C; c += BLOCK) {
        const input in = { K, x + c, ldx, window_in + c, ld_window };
        pass        k;

        k.n    = C - c < BLOCK ? C - c : BLOCK;           /* taps are set where they are read */
        k.bias = b ? b + c : NULL;

        for (int first = 0; first < K; first += MAX_TAPS) {
            k.first = first;
            k.taps  = K - first < MAX_TAPS ? K - first : MAX_TAPS;
            load_taps(&k, w + (size_t)c * ldw + first, ldw);
            if (k.taps == 4) run_pass(&k, 4, &in, T, out + c, ldo);
            else             run_pass(&k, k.taps, &in, T, out + c, ldo);
        }
        shift_window(T, k.n, &in, window_out + c);
    }
}
