/* product.c - weights of any type times float32 rows.
 *
 * Few rows: a group of weight rows is streamed from memory once; each (row of x, weight row) has a
 * sum of its own over lanes of K, so its bits do not depend on its company. Sums over more than
 * BLOCK columns are kept in parts, so that a long row does not lose what float32 cannot hold.
 * Many rows: gemm.h, the weights widened on their way into the panel. */
#include "../variants.h"
#include "vec.h"

enum { UNIT = 1 };                        /* float32 to multiply at once */
#if BB_VEC_512
enum { MR = 14 };                         /* 28 sums, 2 weights, 1 broadcast of 32 registers */
#else
enum { MR = 6 };                          /* 12 sums, 2 weights, 1 broadcast of 16 registers */
#endif
BB_INLINE vf gemm_fma(vf u, vf p, vf sum) { return vf_fma(u, p, sum); }
#include "gemm.h"

enum { BLOCK = 2048 };                    /* columns summed before the parts are added up */
/* Elements i … i + VL - 1 of a row, widened; type is a constant where this is inlined. */
BB_INLINE vf load_weights(int type, const void *row, size_t i)
{
    if (type == BB_TYPE_F32) return vf_load((const float *)row + i);
    if (type == BB_TYPE_BF16) return vf_load_bf16((const uint16_t *)row + i);
    return vf_load_f16((const uint16_t *)row + i);
}

BB_INLINE vf load_weights_part(int type, const void *row, size_t i, int n)
{
    if (type == BB_TYPE_F32) return vf_load_part((const float *)row + i, n);
    if (type == BB_TYPE_BF16) return vf_load_bf16_part((const uint16_t *)row + i, n);
    return vf_load_f16_part((const uint16_t *)row + i, n);
}

/* For gemm.h. */
#define LOAD(name, type)                                                                          \
    BB_INLINE vf gemm_load_##name(const void *row, size_t at, int left)                           \
    {                                                                                             \
        return left >= VL ? load_weights(type, row, at) : load_weights_part(type, row, at, left); \
    }
LOAD(f32, BB_TYPE_F32)
LOAD(bf16, BB_TYPE_BF16)
LOAD(f16, BB_TYPE_F16)

BB_INLINE const void *weight_row(int type, const void *w, size_t i)
{
    return (const unsigned char *)w + i * (type == BB_TYPE_F32 ? 4 : 2);
}

/* ------------------------------------------------------------- few rows ----------------- */

/* y[t, r] for T <= 8 rows of x and R <= 8 weight rows; type, T, R and ahead (bytes of weights to
   prefetch ahead, 0 = none) are constants where this is inlined. */
BB_INLINE void few_tile(int type, int T, int R, int ahead, int cols, const void *w, size_t ldw,
                        const float *x, size_t ldx, float *y, size_t ldy)
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
        for (; k + VL <= end; k += VL) {
            vf v[8];
            BB_UNROLL
            for (int r = 0; r < R; r++) {
                const size_t i = (size_t)r * ldw + (size_t)k;
                v[r] = load_weights(type, w, i);
                if (ahead)
                    _mm_prefetch((const char *)weight_row(type, w, i) + ahead, _MM_HINT_T1);
            }
            BB_UNROLL
            for (int t = 0; t < T; t++) {
                const vf u = vf_load(x + (size_t)t * ldx + k);
                BB_UNROLL
                for (int r = 0; r < R; r++) sum[t][r] = vf_fma(u, v[r], sum[t][r]);
            }
        }
        if (k < end)
            BB_UNROLL
            for (int t = 0; t < T; t++) {
                const vf u = vf_load_part(x + (size_t)t * ldx + k, end - k);
                BB_UNROLL
                for (int r = 0; r < R; r++)
                    sum[t][r] = vf_fma(u, load_weights_part(type, w, (size_t)r * ldw + (size_t)k,
                                                            end - k), sum[t][r]);
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

typedef void few_fn(int rows, int cols, const void *w, size_t ldw, const float *x, size_t ldx,
                    float *y, size_t ldy);

/* All weight rows for T rows of x, R at a time. Weights ahead may lie beyond the last row: a
   prefetch does not fault. */
#define FEW(name, type, T, R, ahead)                                                              \
    static void name##_##T(int rows, int cols, const void *w, size_t ldw, const float *x,         \
                           size_t ldx, float *y, size_t ldy)                                      \
    {                                                                                             \
        int r = 0;                                                                                \
        for (; r + (R) <= rows; r += (R))                                                         \
            few_tile(type, T, R, ahead, cols, weight_row(type, w, (size_t)r * ldw), ldw, x, ldx,  \
                     y + r, ldy);                                                                 \
        for (; r < rows; r++)                                                                     \
            few_tile(type, T, 1, ahead, cols, weight_row(type, w, (size_t)r * ldw), ldw, x, ldx,  \
                     y + r, ldy);                                                                 \
    }
/* R: as many sums as registers allow beside the weights and a row of x. */
#if BB_VEC_512
#  define R_OF(few, many) many
#else
#  define R_OF(few, many) few
#endif
#define FEW_OF_TYPE(name, type)                                                                   \
    FEW(name, type, 1, 4, 0)                                                                      \
    FEW(name, type, 2, 4, 8192)                                                                   \
    FEW(name, type, 3, R_OF(3, 4), 8192)                                                          \
    FEW(name, type, 4, R_OF(2, 4), 8192)                                                          \
    FEW(name, type, 5, R_OF(2, 3), 8192)                                                          \
    FEW(name, type, 6, R_OF(2, 3), 8192)                                                          \
    FEW(name, type, 7, R_OF(1, 3), 8192)                                                          \
    FEW(name, type, 8, R_OF(1, 3), 8192)                                                          \
    static few_fn *const name[8] = { name##_1, name##_2, name##_3, name##_4,                      \
                                     name##_5, name##_6, name##_7, name##_8 };
FEW_OF_TYPE(few_f32, BB_TYPE_F32)
FEW_OF_TYPE(few_bf16, BB_TYPE_BF16)
FEW_OF_TYPE(few_f16, BB_TYPE_F16)

enum { GROUP = 24 };                      /* weight rows kept in cache while rows of x pass by */

BB_INLINE void few_rows(int type, few_fn *const *few, int T, int rows, int cols, const void *w,
                        size_t ldw, const float *x, size_t ldx, float *y, size_t ldy)
{
    for (int r = 0; r < rows; r += GROUP) {
        const int   n = rows - r < GROUP ? rows - r : GROUP;
        const void *group = weight_row(type, w, (size_t)r * ldw);
        for (int t = 0; t < T; t += 8) {
            const int m = T - t < 8 ? T - t : 8;
            few[m - 1](n, cols, group, ldw, x + (size_t)t * ldx, ldx, y + (size_t)t * ldy + r, ldy);
        }
    }
}

/* ------------------------------------------------------------- many rows ---------------- */

void BB_ISA(bb_gemm_pack_f32)(int T, int cols, const float *x, size_t ldx, void *packed)
{
    gemm_pack(gemm_load_f32, T, cols, x, ldx * sizeof *x, packed);
}

/* ------------------------------------------------------------- the kernels -------------- */

#define KERNELS(type, TYPE)                                                                       \
    void BB_ISA(bb_rows_##type)(int T, int rows, int cols, const void *W, size_t ldw,             \
                                const void *x, size_t ldx, float *y, size_t ldy)                  \
    {                                                                                             \
        few_rows(TYPE, few_##type, T, rows, cols, W, ldw, x, ldx, y, ldy);                        \
    }                                                                                             \
    void BB_ISA(bb_gemm_##type)(int T, int rows, int cols, const void *W, size_t ldw,             \
                                const void *packed, float *y, size_t ldy, void *scratch)          \
    {                                                                                             \
        gemm(gemm_load_##type, TYPE == BB_TYPE_F32 ? 4 : 2, T, rows, cols, W, ldw, packed, y,     \
             ldy, scratch);                                                                       \
    }
KERNELS(f32, BB_TYPE_F32)
KERNELS(bf16, BB_TYPE_BF16)
KERNELS(f16, BB_TYPE_F16)
