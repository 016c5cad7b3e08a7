/* product.c - weights of any type times float32 rows.
 *
 * Few rows: a group of weight rows is streamed from memory once; each (row of x, weight row) has a
 * sum of its own over lanes of K, so its bits do not depend on its company. Sums over more than
 * BLOCK columns are kept in parts, so that a long row does not lose what float32 cannot hold.
 * Many rows: NR weight rows x KC columns are widened and transposed into a panel that stays in the
 * first-level cache, then MR rows of x at a time run through it, broadcast an element at a time:
 * 2·MR sums in registers hide the latency of the multiply-add.
 * Source of the shape: Goto & van de Geijn 2008 (panels), Van Zee & van de Geijn 2015 (BLIS). */
#include "../variants.h"
#include "vec.h"

enum { BLOCK = 2048 };                    /* columns summed before the parts are added up */
enum { NR = 2 * VL };                     /* weight rows of a panel */
enum { KC = 256 };                        /* columns of a panel: 32 or 16 KiB; sums end here */
#if BB_VEC_512
enum { MR = 14 };                         /* 28 sums, 2 weights, 1 broadcast of 32 registers */
#else
enum { MR = 6 };                          /* 12 sums, 2 weights, 1 broadcast of 16 registers */
#endif
_Static_assert(NR * KC * sizeof(float) <= BB_GEMM_SCRATCH, "panel");

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

/* Weights [n <= NR, k <= KC] to panel [k][NR], missing rows zero. */
BB_INLINE void pack(int type, int n, int k, const void *w, size_t ldw, float *panel)
{
    for (int half = 0; half < NR; half += VL)
        for (int c = 0; c < k; c += VL) {
            const int left = k - c < VL ? k - c : VL;
            vf        v[VL];
            for (int i = 0; i < VL; i++) {
                const int    r = half + i;
                const size_t at = (size_t)r * ldw + (size_t)c;
                v[i] = vf_zero();
                if (r >= n) continue;
                v[i] = left == VL ? load_weights(type, w, at) : load_weights_part(type, w, at, left);
            }
            vf_transpose(v);
            for (int j = 0; j < left; j++) vf_store(panel + (size_t)(c + j) * NR + half, v[j]);
        }
}

static void pack_f32(int n, int k, const void *w, size_t ldw, float *panel)
{
    pack(BB_TYPE_F32, n, k, w, ldw, panel);
}

static void pack_bf16(int n, int k, const void *w, size_t ldw, float *panel)
{
    pack(BB_TYPE_BF16, n, k, w, ldw, panel);
}

static void pack_f16(int n, int k, const void *w, size_t ldw, float *panel)
{
    pack(BB_TYPE_F16, n, k, w, ldw, panel);
}

/* y[t, 0 … n-1] (+)= x[t, 0 … k-1] · panel for M rows; M is a constant where this is inlined. */
BB_INLINE void many_tile(int M, int k, const float *x, size_t ldx, const float *panel, float *y,
                         size_t ldy, int n, int add)
{
    const int n0 = n < VL ? n : VL;
    const int n1 = n - n0;
    vf        a[MR], b[MR];

    BB_UNROLL
    for (int t = 0; t < M; t++) a[t] = b[t] = vf_zero();
    for (int c = 0; c < k; c++) {
        const vf p = vf_load(panel + (size_t)c * NR);
        const vf q = vf_load(panel + (size_t)c * NR + VL);
        BB_UNROLL
        for (int t = 0; t < M; t++) {
            const vf u = vf_set1(x[(size_t)t * ldx + (size_t)c]);
            a[t] = vf_fma(u, p, a[t]);
            b[t] = vf_fma(u, q, b[t]);
        }
    }
    BB_UNROLL
    for (int t = 0; t < M; t++) {
        float *out = y + (size_t)t * ldy;
        if (add) {
            a[t] = vf_add(a[t], vf_load_part(out, n0));
            if (n1) b[t] = vf_add(b[t], vf_load_part(out + VL, n1));
        }
        vf_store_part(out, n0, a[t]);
        if (n1) vf_store_part(out + VL, n1, b[t]);
    }
}

typedef void many_fn(int k, const float *x, size_t ldx, const float *panel, float *y, size_t ldy,
                     int n, int add);

#define MANY(M)                                                                                   \
    static void many_##M(int k, const float *x, size_t ldx, const float *panel, float *y,         \
                         size_t ldy, int n, int add)                                              \
    {                                                                                             \
        many_tile(M, k, x, ldx, panel, y, ldy, n, add);                                           \
    }
MANY(1) MANY(2) MANY(3) MANY(4) MANY(5) MANY(6)
#if BB_VEC_512
MANY(7) MANY(8) MANY(9) MANY(10) MANY(11) MANY(12) MANY(13) MANY(14)
#endif

static many_fn *const many[MR + 1] = {
    NULL, many_1, many_2, many_3, many_4, many_5, many_6,
#if BB_VEC_512
    many_7, many_8, many_9, many_10, many_11, many_12, many_13, many_14,
#endif
};

typedef void pack_fn(int n, int k, const void *w, size_t ldw, float *panel);

BB_INLINE void many_rows(int type, pack_fn *pack_panel, int T, int rows, int cols, const void *w,
                         size_t ldw, const float *x, size_t ldx, float *y, size_t ldy, float *panel)
{
    for (int c = 0; c < cols; c += KC) {
        const int k = cols - c < KC ? cols - c : KC;
        for (int r = 0; r < rows; r += NR) {
            const int n = rows - r < NR ? rows - r : NR;
            pack_panel(n, k, weight_row(type, w, (size_t)r * ldw + (size_t)c), ldw, panel);
            for (int t = 0; t < T; t += MR) {
                const int m = T - t < MR ? T - t : MR;
                many[m](k, x + (size_t)t * ldx + c, ldx, panel, y + (size_t)t * ldy + r, ldy, n,
                        c > 0);
            }
        }
    }
    for (int t = 0; cols == 0 && t < T; t++)
        for (int r = 0; r < rows; r++) y[(size_t)t * ldy + (size_t)r] = 0.0f;
}

/* ------------------------------------------------------------- the kernels -------------- */

#define KERNELS(type, TYPE)                                                                       \
    void BB_ISA(bb_rows_##type)(int T, int rows, int cols, const void *W, size_t ldw,             \
                                const void *x, size_t ldx, float *y, size_t ldy)                  \
    {                                                                                             \
        few_rows(TYPE, few_##type, T, rows, cols, W, ldw, x, ldx, y, ldy);                        \
    }                                                                                             \
    void BB_ISA(bb_gemm_##type)(int T, int rows, int cols, const void *W, size_t ldw,             \
                                const void *x, size_t ldx, float *y, size_t ldy, void *scratch)   \
    {                                                                                             \
        many_rows(TYPE, pack_##type, T, rows, cols, W, ldw, x, ldx, y, ldy, scratch);             \
    }
KERNELS(f32, BB_TYPE_F32)
KERNELS(bf16, BB_TYPE_BF16)
KERNELS(f16, BB_TYPE_F16)
