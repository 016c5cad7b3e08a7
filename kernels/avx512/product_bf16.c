/* product_bf16.c - bfloat16 weights times bfloat16 rows by dot-product instructions.
 *
 * vdpbf16ps multiplies 32 pairs and adds them two by two into 16 float32 lanes. One such instruction
 * starts a cycle (Zen 4) or two (Zen 5), each result some six cycles later: the tiles below keep
 * 8 to 28 independent sums going. Sums over more than BLOCK columns are kept in parts, so that a
 * long row does not lose what float32 cannot hold.
 *
 * Few rows: a group of weight rows is streamed from memory once; each (row of x, weight row) has a
 * sum of its own over lanes of K, so its bits do not depend on its company.
 * Many rows: ../simd/gemm.h, pairs of columns as units. */
#include "../simd/vec.h"
#include "../variants.h"

typedef __m512bh bf16x32;

enum { UNIT = 2 };                        /* bfloat16 to multiply at once */
enum { MR = 14 };                         /* 28 sums, 2 weights, 1 broadcast of 32 registers */
BB_INLINE vf gemm_fma(vf u, vf p, vf sum)
{
    return _mm512_dpbf16_ps(sum, (bf16x32)_mm512_castps_si512(u), (bf16x32)_mm512_castps_si512(p));
}
#include "../simd/gemm.h"

enum { LANES = 32 };                      /* bfloat16 in a register */
enum { BLOCK = 2048 };                    /* columns summed before the parts are added up */
enum { AHEAD = 8192 };                    /* elements of weights to prefetch ahead: 16 KiB */

BB_INLINE bf16x32 load(const uint16_t *p)
{
    return (bf16x32)_mm512_loadu_si512(p);
}

/* The first n < 32 elements, zeros behind. */
BB_INLINE bf16x32 load_part(const uint16_t *p, int n)
{
    return (bf16x32)_mm512_maskz_loadu_epi16((1u << n) - 1, p);
}

/* ------------------------------------------------------------- few rows ----------------- */

/* y[t, r] for T rows of x and R weight rows; T and R are constants where this is inlined. */
BB_INLINE void few_tile(int T, int R, int cols, const uint16_t *w, size_t ldw, const uint16_t *x,
                        size_t ldx, float *y, size_t ldy, int ahead)
{
    vf total[8][8], sum[8][8];

    BB_UNROLL
    for (int t = 0; t < T; t++)
        BB_UNROLL
        for (int r = 0; r < R; r++) total[t][r] = vf_zero();
    for (int begin = 0; begin < cols; begin += BLOCK) {
        const int end = cols - begin < BLOCK ? cols : begin + BLOCK;
        int       k = begin;

        BB_UNROLL
        for (int t = 0; t < T; t++)
            BB_UNROLL
            for (int r = 0; r < R; r++) sum[t][r] = vf_zero();
        for (; k + LANES <= end; k += LANES) {
            bf16x32 v[8];
            BB_UNROLL
            for (int r = 0; r < R; r++) {
                v[r] = load(w + (size_t)r * ldw + k);
                if (ahead) _mm_prefetch((const char *)(w + (size_t)r * ldw + k + ahead), _MM_HINT_T1);
            }
            BB_UNROLL
            for (int t = 0; t < T; t++) {
                const bf16x32 u = load(x + (size_t)t * ldx + k);
                BB_UNROLL
                for (int r = 0; r < R; r++) sum[t][r] = _mm512_dpbf16_ps(sum[t][r], u, v[r]);
            }
        }
        if (k < end)
            BB_UNROLL
            for (int t = 0; t < T; t++) {
                const bf16x32 u = load_part(x + (size_t)t * ldx + k, end - k);
                BB_UNROLL
                for (int r = 0; r < R; r++)
                    sum[t][r] = _mm512_dpbf16_ps(sum[t][r], u,
                                                 load_part(w + (size_t)r * ldw + k, end - k));
            }
        BB_UNROLL
        for (int t = 0; t < T; t++)
            BB_UNROLL
            for (int r = 0; r < R; r++) total[t][r] = vf_add(total[t][r], sum[t][r]);
    }
    BB_UNROLL
    for (int t = 0; t < T; t++)
        BB_UNROLL
        for (int r = 0; r < R; r++) y[(size_t)t * ldy + (size_t)r] = vf_sum(total[t][r]);
}

/* All weight rows for T rows of x, R weight rows at a time. Weights ahead may lie beyond the last
   row: a prefetch does not fault. */
#define FEW(T, R, ahead)                                                                          \
    static void few_##T(int rows, int cols, const uint16_t *w, size_t ldw, const uint16_t *x,     \
                        size_t ldx, float *y, size_t ldy)                                         \
    {                                                                                             \
        int r = 0;                                                                                \
        for (; r + R <= rows; r += R)                                                             \
            few_tile(T, R, cols, w + (size_t)r * ldw, ldw, x, ldx, y + r, ldy, ahead);            \
        for (; r < rows; r++)                                                                     \
            few_tile(T, 1, cols, w + (size_t)r * ldw, ldw, x, ldx, y + r, ldy, ahead);            \
    }
FEW(1, 4, 0)
FEW(2, 4, AHEAD)
FEW(3, 4, AHEAD)
FEW(4, 4, AHEAD)
FEW(5, 3, AHEAD)
FEW(6, 3, AHEAD)
FEW(7, 3, AHEAD)
FEW(8, 3, AHEAD)

typedef void few_fn(int rows, int cols, const uint16_t *w, size_t ldw, const uint16_t *x, size_t ldx,
                    float *y, size_t ldy);

enum { GROUP = 24 };                      /* weight rows kept in cache while rows of x pass by */

void bb_rows_bf16_avx512bf16(int T, int rows, int cols, const void *W, size_t ldw, const void *X,
                             size_t ldx, float *y, size_t ldy)
{
    static few_fn *const few[8] = { few_1, few_2, few_3, few_4, few_5, few_6, few_7, few_8 };
    const uint16_t *w = W;
    const uint16_t *x = X;

    if (T <= 0) return;
    if (T <= 8) {
        few[T - 1](rows, cols, w, ldw, x, ldx, y, ldy);
        return;
    }
    for (int r = 0; r < rows; r += GROUP) {
        const int n = rows - r < GROUP ? rows - r : GROUP;
        for (int t = 0; t < T; t += 8) {
            const int m = T - t < 8 ? T - t : 8;
            few[m - 1](n, cols, w + (size_t)r * ldw, ldw, x + (size_t)t * ldx, ldx,
                       y + (size_t)t * ldy + r, ldy);
        }
    }
}

/* ------------------------------------------------------------- many rows ---------------- */

/* 32 columns of weights as they are. */
BB_INLINE vf load_pairs(const void *row, size_t at, int left)
{
    const uint16_t *p = (const uint16_t *)row + at;
    return _mm512_castsi512_ps((__m512i)(left >= LANES ? load(p) : load_part(p, left)));
}

/* 32 columns of x, rounded. */
BB_INLINE vf load_rounded(const void *row, size_t at, int left)
{
    const float *p = (const float *)row + at;
    const int    n0 = left < VL ? left : VL;
    const int    n1 = left - n0 < VL ? left - n0 : VL;
    const vh     low = vf_to_bf16(vf_load_part(p, n0));
    const vh     high = vf_to_bf16(n1 > 0 ? vf_load_part(p + VL, n1) : vf_zero());

    return _mm512_castsi512_ps(_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1));
}

void bb_gemm_pack_bf16_avx512bf16(int T, int cols, const float *x, size_t ldx, void *packed)
{
    gemm_pack(load_rounded, T, cols, x, ldx * sizeof *x, packed);
}

void bb_gemm_bf16_avx512bf16(int T, int rows, int cols, const void *W, size_t ldw,
                             const void *packed, float *y, size_t ldy, void *scratch)
{
    gemm(load_pairs, sizeof(uint16_t), T, rows, cols, W, ldw, packed, y, ldy, scratch);
}
