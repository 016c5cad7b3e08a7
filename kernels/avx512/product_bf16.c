/* product_bf16.c - bfloat16 weights times bfloat16 rows by dot-product instructions.
 *
 * vdpbf16ps multiplies 32 pairs and adds them two by two into 16 float32 lanes. One such instruction
 * starts a cycle (Zen 4) or two (Zen 5), each result some six cycles later: the tiles below keep
 * 8 to 28 independent sums going. Sums over more than BLOCK columns are kept in parts, so that a
 * long row does not lose what float32 cannot hold.
 *
 * Few rows: a group of weight rows is streamed from memory once; each (row of x, weight row) has a
 * sum of its own over lanes of K, so its bits do not depend on its company.
 * Many rows: 32 weight rows x KC columns are transposed into a 32 KiB panel (pairs of K contiguous),
 * then 14 rows of x at a time run through it, broadcast a pair at a time.
 * Source of the shape: Goto & van de Geijn 2008 (panels), Van Zee & van de Geijn 2015 (BLIS). */
#include "../simd/vec.h"
#include "../variants.h"

typedef __m512bh bf16x32;

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

enum { NR = 32 };                         /* weight rows of a panel: two registers of sums */
enum { MR = 14 };                         /* rows of x at a time: 28 sums */
enum { KC = 512 };                        /* columns of a panel: 32 KiB; sums end here */

/* Weights [n <= 32, k <= KC] to panel [ceil(k / 2)][32][2], missing ones zero. */
static void pack(int n, int k, const uint16_t *w, size_t ldw, uint16_t *panel)
{
    for (int half = 0; half < 2; half++)
        for (int c = 0; c < k; c += LANES) {
            const int   left = k - c;
            const __mmask32 m = left >= LANES ? 0xFFFFFFFFu : (1u << left) - 1;
            vf          v[16];            /* 16 pairs of a weight row each */
            for (int i = 0; i < 16; i++) {
                const int r = half * 16 + i;
                v[i] = vf_zero();
                if (r < n)
                    v[i] = _mm512_castsi512_ps(_mm512_maskz_loadu_epi16(m, w + (size_t)r * ldw + c));
            }
            vf_transpose(v);
            const int pairs = left >= LANES ? 16 : (left + 1) / 2;
            for (int j = 0; j < pairs; j++)
                vf_store((float *)(void *)(panel + (size_t)(c / 2 + j) * 2 * NR + half * 32), v[j]);
        }
}

BB_INLINE bf16x32 pair_of(const uint16_t *x)
{
    int pair;
    __builtin_memcpy(&pair, x, sizeof pair);
    return (__m512bh)_mm512_set1_epi32(pair);
}

/* y[t, 0 … 31] (+)= x[t, 0 … k-1] · panel for M rows; n columns of y are written. */
BB_INLINE void many_tile(int M, int k, const uint16_t *x, size_t ldx, const uint16_t *panel,
                         float *y, size_t ldy, int n, int add)
{
    const vm m0 = vm_first(n < 16 ? n : 16);
    const vm m1 = vm_first(n < 16 ? 0 : n - 16);
    vf       a[MR], b[MR];
    int      c = 0;

    BB_UNROLL
    for (int t = 0; t < M; t++) a[t] = b[t] = vf_zero();
    for (; c + 2 <= k; c += 2) {
        const bf16x32 p = load(panel + (size_t)c * NR);
        const bf16x32 q = load(panel + (size_t)c * NR + 32);
        BB_UNROLL
        for (int t = 0; t < M; t++) {
            const bf16x32 u = pair_of(x + (size_t)t * ldx + c);
            a[t] = _mm512_dpbf16_ps(a[t], u, p);
            b[t] = _mm512_dpbf16_ps(b[t], u, q);
        }
    }
    if (c < k)                            /* an odd column: its partner in the panel is zero */
        BB_UNROLL
        for (int t = 0; t < M; t++) {
            const bf16x32 u = (__m512bh)_mm512_set1_epi32(x[(size_t)t * ldx + (size_t)c]);
            a[t] = _mm512_dpbf16_ps(a[t], u, load(panel + (size_t)c * NR));
            b[t] = _mm512_dpbf16_ps(b[t], u, load(panel + (size_t)c * NR + 32));
        }
    BB_UNROLL
    for (int t = 0; t < M; t++) {
        float *out = y + (size_t)t * ldy;
        if (add) {
            a[t] = vf_add(a[t], _mm512_maskz_loadu_ps(m0, out));
            b[t] = vf_add(b[t], _mm512_maskz_loadu_ps(m1, out + 16));
        }
        _mm512_mask_storeu_ps(out, m0, a[t]);
        _mm512_mask_storeu_ps(out + 16, m1, b[t]);
    }
}

#define MANY(M)                                                                                   \
    static void many_##M(int k, const uint16_t *x, size_t ldx, const uint16_t *panel, float *y,   \
                         size_t ldy, int n, int add)                                              \
    {                                                                                             \
        many_tile(M, k, x, ldx, panel, y, ldy, n, add);                                           \
    }
MANY(1) MANY(2) MANY(3) MANY(4) MANY(5) MANY(6) MANY(7)
MANY(8) MANY(9) MANY(10) MANY(11) MANY(12) MANY(13) MANY(14)

typedef void many_fn(int k, const uint16_t *x, size_t ldx, const uint16_t *panel, float *y,
                     size_t ldy, int n, int add);

void bb_gemm_bf16_avx512bf16(int T, int rows, int cols, const void *W, size_t ldw, const void *X,
                             size_t ldx, float *y, size_t ldy, void *scratch)
{
    static many_fn *const many[MR + 1] = {
        NULL, many_1, many_2, many_3, many_4, many_5, many_6, many_7,
        many_8, many_9, many_10, many_11, many_12, many_13, many_14,
    };
    const uint16_t *w = W;
    const uint16_t *x = X;
    uint16_t       *panel = scratch;

    for (int c = 0; c < cols; c += KC) {
        const int k = cols - c < KC ? cols - c : KC;
        for (int r = 0; r < rows; r += NR) {
            const int n = rows - r < NR ? rows - r : NR;
            pack(n, k, w + (size_t)r * ldw + c, ldw, panel);
            for (int t = 0; t < T; t += MR) {
                const int m = T - t < MR ? T - t : MR;
                many[m](k, x + (size_t)t * ldx + c, ldx, panel, y + (size_t)t * ldy + r, ldy, n,
                        c > 0);
            }
        }
    }
    if (cols == 0)
        BB_UNROLL
        for (int t = 0; t < T; t++)
            for (int r = 0; r < rows; r++) y[(size_t)t * ldy + (size_t)r] = 0;
}
