/* expand.c - what low-rank terms add to products, a tile of rows at a time.
 *
 * A tile's sums stand in registers, one or two a row of u, and each number of u meets them by a
 * broadcast: there are no lanes to add up, which would cost more than so few multiply-adds. While
 * a call reads its part of B, it prefetches as much behind it, which the next call will read. */
#include "../variants.h"
#include "vec.h"

enum { ROWS = BB_EXPAND_ROWS, PARTS = ROWS / VL };
enum { MOST = 4 };                        /* rows of u at a time */

/* Loads VL elements from element `at` on. */
typedef vf load_fn(const void *B, size_t at);

BB_INLINE vf load_f32(const void *B, size_t at) { return vf_load((const float *)B + at); }
BB_INLINE vf load_f16(const void *B, size_t at) { return vf_load_f16((const uint16_t *)B + at); }

/* A call, and where a tile of it begins. */
typedef struct part {
    int          n;
    size_t       ahead;                   /* bytes from an element to what is prefetched */
    const float *u;
    size_t       ldu;
    float       *y;
    size_t       ldy;
    int          at;                      /* row of the call that is row 0 of the tile; or < 0 */
    int          low, high;               /* rows of the tile that the call is about */
} part;

/* Adds the sums of a tile to y. */
BB_INLINE void put(const part *p, float *y, const vf *sum)
{
    float all[ROWS];

    if (p->high - p->low == ROWS) {
        for (int i = 0; i < PARTS; i++)
            vf_store(y + p->at + i * VL, vf_add(vf_load(y + p->at + i * VL), sum[i]));
        return;
    }
    for (int i = 0; i < PARTS; i++) vf_store(all + i * VL, sum[i]);
    for (int r = p->low; r < p->high; r++) y[p->at + r] += all[r];
}

/* One tile of B, M rows of u; M and the type's bytes are constants where this is inlined. */
BB_INLINE void tile(load_fn *load, size_t bytes, int M, const part *p, const void *B, int t)
{
    const float *u = p->u + (size_t)t * p->ldu;
    vf           sum[MOST][PARTS];

    BB_UNROLL
    for (int m = 0; m < M; m++)
        BB_UNROLL
        for (int i = 0; i < PARTS; i++) sum[m][i] = vf_zero();
    for (int k = 0; k < p->n; k++) {
        const size_t at = (size_t)k * ROWS;
        vf           b[PARTS];
        BB_UNROLL
        for (int i = 0; i < PARTS; i++) b[i] = load(B, at + (size_t)(i * VL));
        if (t == 0) _mm_prefetch((const char *)B + at * bytes + p->ahead, _MM_HINT_T1);
        BB_UNROLL
        for (int m = 0; m < M; m++) {
            const vf v = vf_set1(u[(size_t)m * p->ldu + (size_t)k]);
            BB_UNROLL
            for (int i = 0; i < PARTS; i++) sum[m][i] = vf_fma(b[i], v, sum[m][i]);
        }
    }
    for (int m = 0; m < M; m++) put(p, p->y + (size_t)(t + m) * p->ldy, sum[m]);
}

BB_INLINE void expand(load_fn *load, size_t bytes, int T, int rows, const void *B, int first,
                      part p)
{
    const int    end = first + rows;
    const size_t tile_bytes = (size_t)p.n * ROWS * bytes;

    p.ahead = (size_t)((rows + ROWS - 1) / ROWS) * tile_bytes;
    for (int r = first - first % ROWS; r < end; r += ROWS) {
        const unsigned char *b = (const unsigned char *)B + (size_t)(r / ROWS) * tile_bytes;
        int                  t = 0;
        p.at = r - first;
        p.low = first > r ? first - r : 0;
        p.high = end - r < ROWS ? end - r : ROWS;
        for (; t + MOST <= T; t += MOST) tile(load, bytes, MOST, &p, b, t);
        for (; t < T; t++) tile(load, bytes, 1, &p, b, t);
    }
}

#define EXPAND(type)                                                                              \
    void BB_ISA(bb_expand_##type)(int T, int rows, int n, const void *B, int first,               \
                                  const float *u, size_t ldu, float *y, size_t ldy)               \
    {                                                                                             \
        const part p = { .n = n, .u = u, .ldu = ldu, .y = y, .ldy = ldy };                        \
        expand(load_##type, sizeof(type), T, rows, B, first, p);                                  \
    }
typedef float    f32;
typedef uint16_t f16;
EXPAND(f32)
EXPAND(f16)
