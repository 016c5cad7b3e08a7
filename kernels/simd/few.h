/* few.h - a few rows times a matrix: one scheme for every type and instruction.
 *
 * Owns:    order, blocking and prefetching of a product of few rows, its register tile.
 * Not:     what a lane multiplies at once: includers say it in product_fma, and how registers of
 *          weights and of x come about by few_load_fn. They also say how many weight rows a
 *          tile has when x is a single row: `alone`, 1 or 2.
 *
 * Weights stay as they are, rows of a matrix in memory, and are read from there once. Each pair
 * of a row of x and a weight row has a sum of its own over lanes of columns, so its bits do not
 * depend on its company: a sum ends after FEW_BLOCK columns and is added to a total, and at the
 * end the lanes of the total are added up. A tile takes R weight rows through a block with up to
 * FEW_T rows of x. x is prepared beforehand, registers in the order in which tiles load them: a
 * block of 8 rows takes 16 KiB, stays in the first-level cache while weight rows pass by, and is
 * one stream. A single row of x is small enough to stay whole.
 *
 * What bounds a decode is how many cache lines are under way, so weights are always prefetched in
 * the order of memory:
 * - Several rows of x: each tile prefetches as many lines as it uses through the next FEW_ROWS
 *   weight rows, which wait in the second-level cache. (Blocks prefetched as they are used, 1 KiB
 *   from each of 24 rows, kept memory and arithmetic from overlapping.) From three rows of x on it
 *   also has the lines of the next tile brought into the first-level cache: 8 rows of x pass 20
 *   GB/s of bfloat16 weights with one core of a Zen 4 instead of 18.
 * - A single row of x and two weight rows side by side: the same, FEW_AHEAD bytes later on.
 * - A single row of x and one weight row after the other: the processor's own prefetchers follow
 *   them, but not beyond a page of 4 KiB. Every second line is prefetched FEW_NEAR bytes early, so
 *   that they find the next page and bring the line beside it. Measured on Zen 4 in one run: one
 *   core reads bfloat16 weights at 29.5 GB/s in this way, at 24 as two rows side by side, and at
 *   27.6 without any arithmetic; two cores at 42, 37 and 41. It needs arithmetic that is quick with
 *   one sum: float32 multiply-adds of AVX2 lose by it, 21 GB/s instead of 25.
 */
#ifndef BB_SIMD_FEW_H
#define BB_SIMD_FEW_H

#include "vec.h"

enum { FEW_BLOCK = 512 };                 /* columns; a multiple of any step */
/* Bytes from a weight to what is prefetched: FEW_AHEAD and FEW_NEAR for the data itself, FEW_FAR so
   that the address of a later page is looked up in time. */
enum { FEW_AHEAD = 16 * 1024, FEW_NEAR = 4096, FEW_FAR = 32 * 1024 };
enum { FEW_MOST_R = 4, FEW_MOST_SUBS = 2 };
enum { FEW_ROWS = 24 };                   /* weight rows whose totals are kept at a time */
enum { FEW_MOST = 36 };                   /* rows of x at a time: groups of FEW_T, 32 at least */
enum { FEW_T = BB_VEC_512 ? 9 : 4 };      /* rows of x of a tile, at most */
_Static_assert(FEW_MOST % FEW_T == 0, "rows of x are prepared by whole groups");

/* Loads the elements of one step, from element `at` of a row on, to v [subs]. The row has `left`
   elements from there on; zeros stand for what it lacks. Weights and x must share lanes. */
typedef void few_load_fn(const void *row, size_t at, int left, vf *v);

/* Constants of a format. */
typedef struct few_kind {
    few_load_fn *weights, *x;
    int          subs;                    /* registers of a step */
    int          step;                    /* columns of it */
    size_t       weight_bytes, x_bytes;   /* of an element in memory, before x is prepared */
} few_kind;

BB_INLINE int few_steps(const few_kind *kind, int cols)
{
    return (cols + kind->step - 1) / kind->step;
}

/* Floats that a row of x takes when it is prepared. */
BB_INLINE size_t few_width(const few_kind *kind, int cols)
{
    return (size_t)few_steps(kind, cols) * (size_t)kind->subs * VL;
}

BB_INLINE size_t few_bytes(const few_kind *kind, int T, int cols)
{
    return (size_t)T * few_width(kind, cols) * sizeof(float);
}

/* x [T, cols] to groups of FEW_T rows (the last one of what is left): [steps][rows][subs][VL]. */
BB_INLINE void few_prepare(const few_kind *kind, int T, int cols, const void *x, size_t ldx,
                           float *to)
{
    for (int t0 = 0; t0 < T; t0 += FEW_T) {
        const int m = T - t0 < FEW_T ? T - t0 : FEW_T;
        for (int k = 0; k < cols; k += kind->step)
            for (int t = t0; t < t0 + m; t++) {
                vf v[FEW_MOST_SUBS];
                kind->x((const unsigned char *)x + (size_t)t * ldx * kind->x_bytes, (size_t)k,
                        cols - k, v);
                for (int s = 0; s < kind->subs; s++, to += VL) vf_store(to, v[s]);
            }
    }
}

/* What a tile function works on: R weight rows at a time, `times` times. */
typedef struct few_piece {
    const unsigned char *w;               /* the first weight */
    size_t               row_bytes;       /* of weights */
    const unsigned char *ahead;           /* what is prefetched meanwhile, line after line */
    int                  fresh;           /* the first rows of x meet these weights, which are not
                                             in the first-level cache yet */
    const float         *x;               /* prepared */
    int                  n;               /* columns, whole blocks but for the last */
    int                  times;
    float               *total;           /* [T][FEW_ROWS][VL], from the first weight row on */
    int                  add;             /* to the totals of earlier pieces */
    int                  finish;          /* the totals are complete: write y */
    float               *y;
    size_t               ldy;
} few_piece;

/* One step of a tile; T and R are constants where this is inlined. */
BB_INLINE void few_step(const few_kind *kind, int T, int R, const few_piece *p, int k, int left,
                        const float *x, vf sum[FEW_T][FEW_MOST_R])
{
    vf v[FEW_MOST_R][FEW_MOST_SUBS];

    BB_UNROLL
    for (int r = 0; r < R; r++) {
        const size_t at = (size_t)(k * R + r * kind->step) * kind->weight_bytes;
        kind->weights(p->w + (size_t)r * p->row_bytes, (size_t)k, left, v[r]);
        if (T * R > 1) _mm_prefetch((const char *)(p->ahead + at), _MM_HINT_T1);
        if (T > 2 && p->fresh)
            _mm_prefetch((const char *)(p->w + (size_t)(R + r) * p->row_bytes
                                        + (size_t)k * kind->weight_bytes), _MM_HINT_T0);
    }
    BB_UNROLL
    for (int s = 0; s < kind->subs; s++)
        BB_UNROLL
        for (int t = 0; t < T; t++) {
            vf u = vf_load(x + (t * kind->subs + s) * VL);
            BB_KEEP(u);
            BB_UNROLL
            for (int r = 0; r < R; r++) sum[t][r] = product_fma(u, v[r][s], sum[t][r]);
        }
}

/* Prefetch for a single row of x and one weight row, of which the `bytes` from w on are multiplied
   next: every second line of as many bytes FEW_NEAR later; and a line FEW_FAR later, so that the
   address of its page is known when it is reached, which makes decoding 2 to 3 % faster where pages
   have 4 KiB. */
BB_INLINE void few_look_ahead(const unsigned char *w, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 128)
        _mm_prefetch((const char *)(w + FEW_NEAR + i), _MM_HINT_T1);
    _mm_prefetch((const char *)(w + FEW_FAR), _MM_HINT_T1);
}

/* One block of a tile, columns begin … end - 1 of the piece. */
BB_INLINE void few_block(const few_kind *kind, int T, int R, const few_piece *p, int begin, int end)
{
    const float *x = p->x + (size_t)(begin / kind->step * kind->subs * VL * T);
    const bool   add = p->add || begin > 0;
    const bool   finish = p->finish && end == p->n;
    vf           sum[FEW_T][FEW_MOST_R];
    int          k = begin;

    if (T * R == 1)
        few_look_ahead(p->w + (size_t)begin * kind->weight_bytes,
                       (size_t)(end - begin) * kind->weight_bytes);
    BB_UNROLL
    for (int t = 0; t < T; t++)
        BB_UNROLL
        for (int r = 0; r < R; r++) sum[t][r] = vf_zero();
    for (; k + kind->step <= end; k += kind->step, x += T * kind->subs * VL)
        few_step(kind, T, R, p, k, kind->step, x, sum);
    if (k < end) few_step(kind, T, R, p, k, end - k, x, sum);
    BB_UNROLL
    for (int t = 0; t < T; t++)
        BB_UNROLL
        for (int r = 0; r < R; r++) {
            float *total = p->total + (t * FEW_ROWS + r) * VL;
            if (add) sum[t][r] = vf_add(vf_load(total), sum[t][r]);
            if (finish) p->y[(size_t)t * p->ldy + (size_t)r] = vf_sum(sum[t][r]);
            else vf_store(total, sum[t][r]);
        }
}

BB_INLINE void few_tile(const few_kind *kind, int T, int R, const few_piece *piece)
{
    few_piece p = *piece;

    for (int i = 0; i < p.times; i++) {
        int begin = 0;
        do {                              /* once even if there are no columns */
            const int end = p.n - begin < FEW_BLOCK ? p.n : begin + FEW_BLOCK;
            few_block(kind, T, R, &p, begin, end);
            begin += FEW_BLOCK;
        } while (begin < p.n);
        p.w += (size_t)R * p.row_bytes;
        p.ahead += (size_t)R * (size_t)p.n * kind->weight_bytes;
        p.total += R * VL;
        p.y += R;
    }
}

typedef void few_tile_fn(const few_piece *p);

/* The functions of one T: a tile of R weight rows, and one of a single row for those left over. */
typedef struct few_tiles {
    int          R;
    few_tile_fn *tile, *single;
} few_tiles;

/* Tiles of a format for every T, of `alone` weight rows for T = 1. T · R sums, the weights of R
   rows and a register of x fit into the registers. For T = 5, R = 2 is the fastest by
   measurement. */
#define FEW_PAIR(kind, T, R)                                                                      \
    static void kind##_##T(const few_piece *p) { few_tile(&kind, T, R, p); }                      \
    static void kind##_##T##_single(const few_piece *p) { few_tile(&kind, T, 1, p); }
#if BB_VEC_512
#  define FEW_TILES(kind, alone)                                                                  \
    FEW_PAIR(kind, 1, alone) FEW_PAIR(kind, 2, 4) FEW_PAIR(kind, 3, 4)                            \
    FEW_PAIR(kind, 4, 4) FEW_PAIR(kind, 5, 2) FEW_PAIR(kind, 6, 3) FEW_PAIR(kind, 7, 3)           \
    FEW_PAIR(kind, 8, 3) FEW_PAIR(kind, 9, 2)                                                     \
    static const few_tiles kind##_tiles[FEW_T] = {                                                \
        { alone, kind##_1, kind##_1_single }, { 4, kind##_2, kind##_2_single },                   \
        { 4, kind##_3, kind##_3_single }, { 4, kind##_4, kind##_4_single },                       \
        { 2, kind##_5, kind##_5_single }, { 3, kind##_6, kind##_6_single },                       \
        { 3, kind##_7, kind##_7_single }, { 3, kind##_8, kind##_8_single },                       \
        { 2, kind##_9, kind##_9_single },                                                         \
    };
#else
#  define FEW_TILES(kind, alone)                                                                  \
    FEW_PAIR(kind, 1, alone) FEW_PAIR(kind, 2, 3) FEW_PAIR(kind, 3, 2)                            \
    FEW_PAIR(kind, 4, 2)                                                                          \
    static const few_tiles kind##_tiles[FEW_T] = {                                                \
        { alone, kind##_1, kind##_1_single }, { 3, kind##_2, kind##_2_single },                   \
        { 2, kind##_3, kind##_3_single }, { 2, kind##_4, kind##_4_single },                       \
    };
#endif

/* The tile of rows t … of x runs through all weight rows of a piece. */
BB_INLINE void few_run(const few_kind *kind, const few_tiles *f, int t, int rows, few_piece *p,
                       const unsigned char *w, float *total, float *y)
{
    const int whole = rows / f->R * f->R;

    p->w = w;
    p->total = total + t * FEW_ROWS * VL;
    p->y = y + (size_t)t * p->ldy;
    p->times = rows / f->R;
    f->tile(p);
    p->w += (size_t)whole * p->row_bytes;
    p->ahead += (size_t)whole * (size_t)p->n * kind->weight_bytes;
    p->total += whole * VL;
    p->y += whole;
    p->times = rows - whole;
    f->single(p);
}

/* At most FEW_ROWS weight rows w times T <= FEW_MOST rows of x. A single row of x takes all columns
   of R weight rows before the next R; several take all weight rows through a block before the next
   block. Prefetching beyond the matrix is harmless: it never faults. */
BB_INLINE void few_group(const few_kind *kind, const few_tiles *tiles, int T, int rows, int cols,
                         const unsigned char *w, size_t row_bytes, const float *x, float *y,
                         size_t ldy)
{
    _Alignas(64) float total[FEW_MOST * FEW_ROWS * VL];
    const size_t width = few_width(kind, cols);
    const size_t step_bytes = (size_t)tiles[0].R * row_bytes;
    few_piece    p = { .row_bytes = row_bytes, .x = x, .n = cols, .finish = 1, .ldy = ldy };

    if (T == 1) {
        p.ahead = w + (step_bytes ? (FEW_AHEAD + step_bytes - 1) / step_bytes * step_bytes : 0);
        few_run(kind, &tiles[0], 0, rows, &p, w, total, y);
        return;
    }
    for (int at = 0; at == 0 || at < cols; at += FEW_BLOCK) {
        const size_t at_bytes = (size_t)at * kind->weight_bytes;
        p.n = cols - at < FEW_BLOCK ? cols - at : FEW_BLOCK;
        p.add = at > 0;
        p.finish = at + FEW_BLOCK >= cols;
        for (int t = 0; t < T; t += FEW_T) {
            const int m = T - t < FEW_T ? T - t : FEW_T;
            p.x = x + (size_t)t * width + (size_t)m * few_width(kind, at);
            p.fresh = t == 0;
            p.ahead = w + (size_t)rows * (at_bytes + (p.fresh ? row_bytes : 0));  /* once */
            few_run(kind, &tiles[m - 1], t, rows, &p, w + at_bytes, total, y);
        }
    }
}

/* T prepared rows of x times weight rows first … first + rows - 1 of a row-major matrix. */
BB_INLINE void few(const few_kind *kind, const few_tiles *tiles, int T, int rows, int cols,
                   const void *W, int first, const float *x, float *y, size_t ldy)
{
    const size_t         row_bytes = (size_t)cols * kind->weight_bytes;
    const unsigned char *w = (const unsigned char *)W + (size_t)first * row_bytes;

    for (int t = 0; t < T; t += FEW_MOST)
        for (int r = 0; r < rows; r += FEW_ROWS)
            few_group(kind, tiles, T - t < FEW_MOST ? T - t : FEW_MOST,
                      rows - r < FEW_ROWS ? rows - r : FEW_ROWS, cols,
                      w + (size_t)r * row_bytes, row_bytes,
                      x + (size_t)t * few_width(kind, cols), y + (size_t)t * ldy + r, ldy);
}

#endif
