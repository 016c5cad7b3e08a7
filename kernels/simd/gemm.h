/* gemm.h - many rows times a matrix: one scheme for every type and instruction.
 *
 * Owns:    order and blocking of a product of many rows, its register tile.
 * Not:     what a lane multiplies at once, a unit of 32 bits: includers say it in product_fma
 *          (a float with a float, or two bfloat16 with two), UNIT (elements of one), MR.
 *
 * Rows of x stand in groups of MR, units side by side: the tile broadcasts them from one stream,
 * where rows of their own, often 4 KiB apart, would share few sets of the first-level cache. NR
 * weight rows x KU units are transposed into a panel of 32 KiB (16 with 8 lanes), then all groups
 * run through it: 2 · MR sums in registers hide the latency of the multiply-add. Sums end after
 * RUN units and collect in a contiguous block, because rows of y, too, are often 4 KiB apart; only
 * finished ones go to y. KU is 1 KiB of a row so that the x of 512 rows, which every panel passes
 * again, takes half of a second-level cache of 1 MiB. The weights of the next panel are fetched
 * meanwhile. Source: Goto & van de Geijn 2008 (panels), Van Zee & van de Geijn 2015 (BLIS).
 */
#ifndef BB_SIMD_GEMM_H
#define BB_SIMD_GEMM_H

#include "vec.h"

enum { NR = 2 * VL };                     /* weight rows of a panel */
enum { KU = 256 };                        /* units of a panel */
/* Units after which a sum ends and is added to the block. A float32 sum ends after 64 products,
   which bounds its rounding (bb_many_fn). Where x is rounded to bfloat16, that error is larger than
   the sum's own, and a sum runs through the whole panel. */
enum { RUN = UNIT == 1 ? 64 : KU };
enum { PANEL = NR * KU };                 /* units; the sums come behind */

/* In front of the loop over units. A unit of 8 lanes is 12 multiply-adds and 8 loads, to which the
   loop's own instructions add a fifth; four units share them. With 16 lanes they are a tenth. */
#if BB_VEC_512
#  define UNROLL_UNITS
#elif defined(__clang__)
#  define UNROLL_UNITS _Pragma("clang loop unroll_count(4)")
#else
#  define UNROLL_UNITS _Pragma("GCC unroll 4")
#endif

_Static_assert((int)MR <= (int)VL && (int)MR <= (int)BB_MOST_GROUP, "a group is one transpose");
_Static_assert((int)PANEL * 4 <= (int)BB_MANY_PANEL && (int)NR <= (int)BB_MANY_MOST_NR, "scratch");

/* VL units from element `at` of a row on. The row has `left` elements from there on; zeros stand
   for what it lacks. */
typedef vf gemm_load_fn(const void *row, size_t at, int left);

BB_INLINE int gemm_units(int n) { return (n + UNIT - 1) / UNIT; }

BB_INLINE const void *gemm_row(const void *p, size_t row_bytes, int i)
{
    return (const unsigned char *)p + (size_t)i * row_bytes;
}

/* Transposes elements at … at + k - 1 of m <= VL rows to out [units of k][ld], of which the first
   `lanes` of each unit are written; lanes of rows beyond m are 0. */
BB_INLINE void gemm_interleave(gemm_load_fn *load, int m, int lanes, size_t at, int k,
                               const void *rows, size_t row_bytes, float *out, size_t ld)
{
    for (int c = 0; c < k; c += VL * UNIT) {
        const int n = gemm_units(k - c);
        vf        v[VL];
        for (int i = 0; i < VL; i++)
            v[i] = i < m ? load(gemm_row(rows, row_bytes, i), at + (size_t)c, k - c) : vf_zero();
        vf_transpose(v);
        for (int j = 0; j < VL && j < n; j++, out += ld) {
            if (lanes == VL) vf_store(out, v[j]);
            else vf_store_part(out, lanes, v[j]);
        }
    }
}

/* Bytes of T rows of x, prepared: whole groups. */
BB_INLINE size_t gemm_bytes(int T, int cols)
{
    return (size_t)((T + MR - 1) / MR) * MR * (size_t)gemm_units(cols) * sizeof(float);
}

/* x [T, cols] to groups of MR rows: [units of cols][MR]. */
BB_INLINE void gemm_prepare(gemm_load_fn *load, int T, int cols, const void *x, size_t row_bytes,
                            float *out)
{
    for (int t = 0; t < T; t += MR, out += MR * gemm_units(cols)) {
        const int m = T - t < MR ? T - t : MR;
        gemm_interleave(load, m, m, 0, cols, gemm_row(x, row_bytes, t), row_bytes, out, MR);
    }
}

/* Where the sums of a tile go: to a block [MR][NR], and after the last units to y. */
typedef struct gemm_target {
    float *block;
    int    add;                           /* the block has sums of earlier units: add them */
    int    finish;                        /* the last units: write n columns of y instead */
    float *y;
    size_t ldy;
    int    n;
} gemm_target;

/* The sums a, b of row t of a tile to their place. */
BB_INLINE void gemm_put(int t, int finish, vf a, vf b, const gemm_target *to)
{
    if (finish) {
        float *y = to->y + (size_t)t * to->ldy;
        vf_store_part(y, to->n < VL ? to->n : VL, a);
        if (to->n > VL) vf_store_part(y + VL, to->n - VL, b);
    } else {
        vf_store(to->block + t * NR, a);
        vf_store(to->block + t * NR + VL, b);
    }
}

/* M rows of a group through k units of a panel; M is a constant where this is inlined. */
BB_INLINE void gemm_tile(int M, int k, const float *x, const float *panel, const gemm_target *to)
{
    int add = to->add;

    for (bool last = false; !last; k -= RUN, add = 1) {
        const int n = (int)RUN < (int)KU && k > (int)RUN ? (int)RUN : k;
        vf        a[MR], b[MR];

        last = (int)RUN == (int)KU || k <= (int)RUN;
        BB_UNROLL
        for (int t = 0; t < M; t++) a[t] = b[t] = vf_zero();
        UNROLL_UNITS
        for (int c = 0; c < n; c++, x += MR, panel += NR) {
            const vf p = vf_load(panel), q = vf_load(panel + VL);
            BB_UNROLL
            for (int t = 0; t < M; t++) {
                const vf u = vf_set1(x[t]);
                a[t] = product_fma(u, p, a[t]);
                b[t] = product_fma(u, q, b[t]);
            }
        }
        BB_UNROLL
        for (int t = 0; t < M; t++) {
            if (add) {
                a[t] = vf_add(vf_load(to->block + t * NR), a[t]);
                b[t] = vf_add(vf_load(to->block + t * NR + VL), b[t]);
            }
            gemm_put(t, to->finish && last, a[t], b[t], to);
        }
    }
}

typedef void gemm_tile_fn(int k, const float *x, const float *panel, const gemm_target *to);

#define TILE(M)                                                                                   \
    static void tile_##M(int k, const float *x, const float *panel, const gemm_target *to)        \
    {                                                                                             \
        gemm_tile(M, k, x, panel, to);                                                            \
    }
TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
#if BB_VEC_512
TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12) TILE(13) TILE(14)
#endif
#undef TILE

static gemm_tile_fn *const gemm_tile_of[MR + 1] = {
    NULL, tile_1, tile_2, tile_3, tile_4, tile_5, tile_6,
#if BB_VEC_512
    tile_7, tile_8, tile_9, tile_10, tile_11, tile_12, tile_13, tile_14,
#endif
};

/* Prefetches rows part, part + parts … of the weights [n, bytes] that the next panel is made of. */
BB_INLINE void gemm_fetch(int n, size_t bytes, const void *w, size_t row_bytes, int part, int parts)
{
    for (int r = part; r < n; r += parts) {
        const char *row = gemm_row(w, row_bytes, r);
        for (size_t i = 0; i < bytes; i += 64) _mm_prefetch(row + i, _MM_HINT_T1);
    }
}

/* Prepared x times weight rows first … first + rows - 1 of a row-major matrix, element_bytes a
   weight. scratch [BB_MANY_SCRATCH(T, rows)]. */
BB_INLINE void gemm(gemm_load_fn *load, size_t element_bytes, int T, int rows, int cols,
                    const void *W, int first, const float *x, float *y, size_t ldy, float *scratch)
{
    enum { K = KU * UNIT };
    const int    n_groups = (T + MR - 1) / MR;
    const size_t group = (size_t)MR * (size_t)gemm_units(cols);
    const size_t row_bytes = (size_t)cols * element_bytes;
    const void  *w = gemm_row(W, row_bytes, first);
    float       *panel = scratch;
    float       *blocks = scratch + PANEL;

    for (int c = 0; c < cols; c += K) {
        const int k = cols - c < K ? cols - c : K;
        for (int r = 0; r < rows; r += NR) {
            const int   n = rows - r < NR ? rows - r : NR;
            const bool  turn = r + NR >= rows;        /* the next panel starts over, at c + K */
            const int   next_r = turn ? 0 : r + NR;
            const int   next_n = rows - next_r < NR ? rows - next_r : NR;
            const int   next_k = turn ? (cols - c - k < K ? cols - c - k : K) : k;
            const void *next = (const char *)gemm_row(w, row_bytes, next_r)
                             + (size_t)(turn ? c + K : c) * element_bytes;
            const void *own = gemm_row(w, row_bytes, r);

            for (int half = 0; half < NR; half += VL)
                gemm_interleave(load, n - half < 0 ? 0 : n - half < VL ? n - half : VL, VL,
                                (size_t)c, k, gemm_row(own, row_bytes, half), row_bytes,
                                panel + half, NR);
            for (int g = 0; g < n_groups; g++) {
                const int         t = g * MR;
                const gemm_target to = {
                    blocks + ((size_t)(r / NR) * (size_t)n_groups + (size_t)g) * MR * NR,
                    c > 0, c + k == cols, y + (size_t)t * ldy + r, ldy, n
                };
                gemm_fetch(next_n, (size_t)next_k * element_bytes, next, row_bytes, g, n_groups);
                gemm_tile_of[T - t < MR ? T - t : MR](
                    gemm_units(k), x + (size_t)g * group + (size_t)(c / UNIT) * MR, panel, &to);
            }
        }
    }
    for (int t = 0; cols == 0 && t < T; t++)
        for (int r = 0; r < rows; r++) y[(size_t)t * ldy + (size_t)r] = 0.0f;
}

#endif
