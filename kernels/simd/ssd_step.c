/* ssd_step.c - one token of the Mamba-2 recurrence.
 *
 * Lanes run over N, along the rows of the state; four rows at a time share the loads of B and C.
 * The state passes through the processor once, in the order of memory. */
#include "../variants.h"
#include "vec.h"

enum { ROWS = 4 };

/* n lanes from column c on, of ROWS (or fewer) rows of S [.., N]: fade, feed, and sum. */
BB_INLINE void step_lanes(int rows, int N, int c, int n, vf a, const vf *dx, const float *B,
                          const float *C, float *S, vf *sum)
{
    const vf b = n < VL ? vf_load_part(B + c, n) : vf_load(B + c);
    const vf k = n < VL ? vf_load_part(C + c, n) : vf_load(C + c);

    for (int i = 0; i < rows; i++) {
        float   *p   = S + (size_t)i * (size_t)N + c;
        const vf old = n < VL ? vf_load_part(p, n) : vf_load(p);
        const vf s   = vf_fma(a, old, vf_mul(dx[i], b));
        if (n < VL) vf_store_part(p, n, s);
        else        vf_store(p, s);
        sum[i] = vf_fma(k, s, sum[i]);
    }
}

/* y[i] = C · S[i] + D · x[i] after the step, for `rows` rows. */
BB_INLINE void step_rows(int rows, int N, vf a, float dt, float D, const float *x,
                         const float *B, const float *C, float *S, float *y)
{
    vf  dx[ROWS], sum[ROWS];
    int c = 0;

    for (int i = 0; i < rows; i++) {
        dx[i]  = vf_set1(dt * x[i]);
        sum[i] = vf_zero();
    }
    for (; c + VL <= N; c += VL) step_lanes(rows, N, c, VL, a, dx, B, C, S, sum);
    if (c < N) step_lanes(rows, N, c, N - c, a, dx, B, C, S, sum);
    for (int i = 0; i < rows; i++) y[i] = vf_sum(sum[i]) + D * x[i];
}

void BB_ISA(bb_ssd_step)(int H, int P, int N, const float *x, const float *dt, const float *A,
                         const float *B, const float *C, const float *D, float *S, float *y)
{
    for (int h = 0; h < H; h++) {
        const double rate = (double)dt[h] * (double)A[h];
        const float  high = (float)rate, low = (float)(rate - (double)high);
        const vf     a    = vf_exp_sum(vf_set1(high), vf_set1(low));
        int          p    = 0;

        for (; p + ROWS <= P; p += ROWS)
            step_rows(ROWS, N, a, dt[h], D[h], x + p, B, C, S + (size_t)p * (size_t)N, y + p);
        for (; p < P; p++)
            step_rows(1, N, a, dt[h], D[h], x + p, B, C, S + (size_t)p * (size_t)N, y + p);
        x += P;
        y += P;
        S += (size_t)P * (size_t)N;
    }
}
