/* ssd_cb.c - the products of a chunk's C and B, below the diagonal.
 *
 * Tiles of tokens; lanes run over N, and four sums of lanes are made at a time. */
#include "../variants.h"
#include "vec.h"

enum {
    ROWS = VL == 16 ? 4 : 2,              /* of C: ROWS · COLS sums in registers */
    COLS = 4                              /* of B: the sums of one vf_sum4 */
};

/* sum[i][j] += the products of lanes n … n + part - 1 of c[i] and b[j]. */
BB_INLINE void multiply_lanes(const float *const c[ROWS], const float *const b[COLS], int n,
                              int part, vf sum[ROWS][COLS])
{
    vf v[COLS];

    for (int j = 0; j < COLS; j++) v[j] = vf_load_up_to(b[j] + n, part);
    for (int i = 0; i < ROWS; i++) {
        const vf u = vf_load_up_to(c[i] + n, part);
        for (int j = 0; j < COLS; j++) sum[i][j] = vf_fma(u, v[j], sum[i][j]);
    }
}

/* CB[t …, s …]; rows beyond the last token repeat it and are not stored. */
static void make_tile(int Q, int N, int t, int s, const float *B, const float *C, size_t ldb,
                      float *CB)
{
    const float *c[ROWS], *b[COLS];
    vf           sum[ROWS][COLS];
    int          n = 0;

    for (int i = 0; i < ROWS; i++) {
        c[i] = C + (size_t)(t + i < Q ? t + i : Q - 1) * ldb;
        for (int j = 0; j < COLS; j++) sum[i][j] = vf_zero();
    }
    for (int j = 0; j < COLS; j++) b[j] = B + (size_t)(s + j < Q ? s + j : Q - 1) * ldb;

    for (; n + VL <= N; n += VL) multiply_lanes(c, b, n, VL, sum);
    if (n < N) multiply_lanes(c, b, n, N - n, sum);

    for (int i = 0; i < ROWS; i++) {
        const int    visible = t + i + 1 - s;
        const __m128 four    = vf_sum4(sum[i][0], sum[i][1], sum[i][2], sum[i][3]);
        float       *out     = CB + (size_t)(t + i) * (size_t)Q + s, some[COLS];
        if (t + i >= Q) break;
        if (visible >= COLS) _mm_storeu_ps(out, four);
        else {
            _mm_storeu_ps(some, four);
            for (int j = 0; j < visible; j++) out[j] = some[j];
        }
    }
}

void BB_ISA(bb_ssd_cb)(int Q, int N, const float *B, const float *C, size_t ldb, float *CB)
{
    for (int t = 0; t < Q; t += ROWS)
        for (int s = 0; s < t + ROWS && s < Q; s += COLS) make_tile(Q, N, t, s, B, C, ldb, CB);
}
