/* ssd_step.c - one token of the Mamba-2 recurrence.
 *
 * Lanes run over N, and the state is read and written once, strictly in the order of memory:
 * four rows side by side, which would share the loads of B and C, reach half the bandwidth (18
 * of 38 GB/s on Zen 4, where this reaches 35), whatever is prefetched. */
#include "../fading.h"
#include "../variants.h"
#include "vec.h"

#include <stdbool.h>

enum {
    ROWS  = 4,                            /* whose sums over lanes are made together */
    AHEAD = 8192                          /* bytes to prefetch into L2: beyond this page */
};

/* n lanes of a row of the state: fade, feed; returns sum + C · S_out. */
BB_INLINE vf step_lanes(int n, bb_fading f, vf dx, const float *B, const float *C,
                        const float *S_in, float *S_out, vf sum)
{
    const bool whole = n >= VL;
    const vf   b     = whole ? vf_load(B) : vf_load_part(B, n);
    const vf   c     = whole ? vf_load(C) : vf_load_part(C, n);
    const vf   old   = whole ? vf_load(S_in) : vf_load_part(S_in, n);
    const vf   s     = vf_fade(f.kept, f.lost, old, vf_mul(dx, b));

    if (whole) vf_store(S_out, s);
    else       vf_store_part(S_out, n, s);
    return vf_fma(c, s, sum);
}

/* A row of the state [N]; lanes of C · S_out. */
BB_INLINE vf step_row(int N, bb_fading f, float dx, const float *B, const float *C,
                      const float *S_in, float *S_out)
{
    const vf in  = vf_set1(dx);
    vf       sum = vf_zero();
    int      n   = 0;

    for (; n + VL <= N; n += VL) {
        _mm_prefetch((const char *)((uintptr_t)(S_in + n) + AHEAD), _MM_HINT_T1);
        sum = step_lanes(VL, f, in, B + n, C + n, S_in + n, S_out + n, sum);
    }
    if (n < N) sum = step_lanes(N - n, f, in, B + n, C + n, S_in + n, S_out + n, sum);
    return sum;
}

/* One head. */
static void step(int P, int N, bb_fading f, float dt, float D, const float *x, const float *B,
                 const float *C, const float *S_in, float *S_out, float *y)
{
    int p = 0;

    for (; p + ROWS <= P; p += ROWS) {
        vf sum[ROWS];
        for (int i = 0; i < ROWS; i++, S_in += N, S_out += N)
            sum[i] = step_row(N, f, dt * x[p + i], B, C, S_in, S_out);
        const __m128 skip = _mm_mul_ps(_mm_set1_ps(D), _mm_loadu_ps(x + p));
        _mm_storeu_ps(y + p, _mm_add_ps(vf_sum4(sum[0], sum[1], sum[2], sum[3]), skip));
    }
    for (; p < P; p++, S_in += N, S_out += N)
        y[p] = vf_sum(step_row(N, f, dt * x[p], B, C, S_in, S_out)) + D * x[p];
}

void BB_ISA(bb_ssd_step)(int H, int P, int N, const float *x, const float *dt, const float *A,
                         const float *B, const float *C, const float *D, const float *S_in,
                         float *S_out, float *y)
{
    for (int h = 0; h < H; h++) {
        const size_t    i = (size_t)h * (size_t)P, row = i * (size_t)N;
        const bb_fading f = bb_fading_of((double)dt[h] * (double)A[h]);
        step(P, N, f, dt[h], D[h], x + i, B, C, S_in + row, S_out + row, y + i);
    }
}
