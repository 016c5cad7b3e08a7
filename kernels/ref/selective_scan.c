/* selective_scan.c - the recurrence of Mamba-1 in portable C. */
#include "../variants.h"

#include <math.h>
#include <string.h>

/* One channel by one token: S [N] updated; the sum of y + C · S. */
static inline float step(int N, float dt, float dx, const float *restrict A,
                         const float *restrict B, const float *restrict C,
                         float *restrict S, float y)
{
    for (int n = 0; n < N; n++) {
        S[n] = expf(dt * A[n]) * S[n] + dx * B[n];
        y += C[n] * S[n];
    }
    return y;
}

void bb_selective_scan_c(int T, int I, int N, const float *x, size_t ldx, const float *dt,
                         size_t ld_dt, const float *A, const float *B, const float *C, size_t ldb,
                         const float *D, const float *S_in, float *S_out, float *y, size_t ldy)
{
    const size_t width = (size_t)N;

    for (int i = 0; i < I; i++) {
        float *S = S_out + (size_t)i * width;

        if (S_out != S_in) memcpy(S, S_in + (size_t)i * width, width * sizeof *S);
        for (int j = 0; j < T; j++) {
            const size_t t = (size_t)j;
            const float  xi = x[t * ldx + (size_t)i], step_dt = dt[t * ld_dt + (size_t)i];
            y[t * ldy + (size_t)i] = step(N, step_dt, step_dt * xi, A + (size_t)i * width,
                                          B + t * ldb, C + t * ldb, S, D[i] * xi);
        }
    }
}
