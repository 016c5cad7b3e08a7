/* attention.h - causal attention over blocks of keys and values, a vector at a time.
 *
 * Owns:    the order of a block in memory; the running softmax; the one inner loop.
 * Not:     contracts (kernels.h). Included by attention files of simd/ and avx512/ only.
 *
 * Keys are stored with 16 positions side by side, values with 16 of their elements, in panels of
 * rows x 16 lanes:
 *     keys    [4 panels of 16 positions][W rows, 16]            W = BB_KV_WIDTH(d), d in use
 *     values  [W / 16 panels of 16 elements][64 positions, 16]
 * So scores and sums are the same product of coefficients and a panel, y[lane] += Σ c[row] ·
 * m[row, lane], with no sum across lanes; the coefficients are four queries, then their
 * probabilities. Two rows of a bfloat16 or int8 panel lie lane by lane in pairs: dot-product
 * instructions take them so, elsewhere a shift and a mask take them apart.
 *
 * Behind an int8 block are its scales in bfloat16, [64] of the keys, then [64] of the values. It is
 * multiplied in whole numbers: queries are rounded to 16 bits, each with a factor of its own, and
 * so are probabilities times the values' scales, with a factor for each block. Widened to float32
 * instead, it would take the time of a float16 cache, in which arithmetic is the limit.
 *
 * In decoding, memory sets the time. While a block is multiplied, the next one is prefetched in the
 * order of memory into the second-level cache (into the first, or by the processor alone, it takes
 * twice as long).
 * Source: Milakov & Gimelshein 2018, arXiv:1805.02867; Dao et al. 2022, arXiv:2205.14135.
 */
#ifndef BB_SIMD_ATTENTION_H
#define BB_SIMD_ATTENTION_H

#include "simd/vec.h"
#include "variants.h"

#include <math.h>
#include <stdbool.h>

enum { LANES = 16 };                      /* of a panel */
enum { PARTS = LANES / VL };              /* vectors of a panel's row */
enum { QUERIES = 4 };                     /* multiplied side by side */
enum { VECTORS = 4 };                     /* of sums of each, at most */
enum { DOT = BB_N_CACHES };                /* bfloat16, the coefficients too */

/* In every function below, type (BB_TYPE_… or DOT), Q <= QUERIES and N, the panels multiplied
   side by side, are constants where it is inlined. */

BB_INLINE bool   is_whole(int type) { return type == BB_TYPE_Q8; }
BB_INLINE bool   takes_halves(int type) { return type == DOT || is_whole(type); }
BB_INLINE size_t bytes_of(int type) { return type == BB_TYPE_F32 ? 4 : is_whole(type) ? 1 : 2; }
BB_INLINE size_t row_bytes(int type) { return LANES * bytes_of(type); }
BB_INLINE int    panels_of(int type)
{
    return type == DOT ? 4 : !BB_VEC_512 ? 1 : is_whole(type) ? 4 : 2;
}

/* The scales of an int8 block. */
BB_INLINE const uint16_t *scales_of(int d, const char *block)
{
    return (const uint16_t *)(const void *)(block + BB_KV_ELEMENTS(d));
}

/* -------------------------------------------------------------- the product -------------- */

/* VL lanes of rows i and i + 1 of a panel, i even. */
BB_INLINE void load_rows(int type, const char *panel, int i, int lane, vf *a, vf *b)
{
    const void *row = panel + (size_t)i * row_bytes(type);

    if (type == BB_TYPE_F32) {
        *a = vf_load((const float *)row + lane);
        *b = vf_load((const float *)row + LANES + lane);
    } else if (type == BB_TYPE_F16) {
        *a = vf_load_f16((const uint16_t *)row + lane);
        *b = vf_load_f16((const uint16_t *)row + LANES + lane);
    } else {
        vf_load_bf16_pairs((const uint16_t *)row + 2 * lane, a, b);
    }
}

/* Prefetches as much as two rows of N panels, in the order of memory: the share of `ahead` that is
   due when rows i and i + 1 are multiplied. */
BB_INLINE void fetch_rows(int type, int N, const char *ahead, int i)
{
    const char *p = ahead + (size_t)(i * N) * row_bytes(type);

    for (size_t at = 0; at < 2 * (size_t)N * row_bytes(type); at += 64)
        _mm_prefetch(p + at, _MM_HINT_T1);
}

/* y[j] += Σ c[j][i] · panel[i] over i < n for N panels; c [Q][n].
   ahead, if not NULL, is of the same shape. */
BB_INLINE void multiply(int type, int Q, int N, int n, const void *const *c, const char *m,
                        size_t panel_bytes, const char *ahead, vf y[QUERIES][VECTORS])
{
    const bool   two = BB_VEC_512;        /* registers for sums of odd rows by themselves */
    const float *coefficient[QUERIES];
    vf           odd[QUERIES][VECTORS];
    int          i = 0;

    for (int j = 0; j < Q; j++) {
        coefficient[j] = c[j];
        for (int v = 0; v < N * PARTS; v++) odd[j][v] = vf_zero();
    }
    for (; i + 2 <= n; i += 2) {
        vf a[VECTORS], b[VECTORS];
        for (int v = 0; v < N * PARTS; v++)
            load_rows(type, m + (size_t)(v / PARTS) * panel_bytes, i, v % PARTS * VL, &a[v],
                      &b[v]);
        if (ahead) fetch_rows(type, N, ahead, i);
        for (int j = 0; j < Q; j++) {
            const vf c0 = vf_set1(coefficient[j][i]), c1 = vf_set1(coefficient[j][i + 1]);
            for (int v = 0; v < N * PARTS; v++) {
                y[j][v] = vf_fma(c0, a[v], y[j][v]);
                if (two) odd[j][v] = vf_fma(c1, b[v], odd[j][v]);
                else     y[j][v]   = vf_fma(c1, b[v], y[j][v]);
            }
        }
    }
    if (i < n)                            /* the pair's other row may hold anything */
        for (int v = 0; v < N * PARTS; v++) {
            vf a, b;
            load_rows(type, m + (size_t)(v / PARTS) * panel_bytes, i, v % PARTS * VL, &a, &b);
            for (int j = 0; j < Q; j++)
                y[j][v] = vf_fma(vf_set1(coefficient[j][i]), a, y[j][v]);
        }
    if (two)
        for (int j = 0; j < Q; j++)
            for (int v = 0; v < N * PARTS; v++) y[j][v] = vf_add(y[j][v], odd[j][v]);
}

#ifdef __AVX512BF16__

/* multiply() by dot products: coefficients and panels in bfloat16. If n is odd, a coefficient of 0
   stands behind the last. */
BB_INLINE void multiply_dot(int Q, int N, int n, const void *const *c, const char *m,
                            size_t panel_bytes, const char *ahead, vf y[QUERIES][VECTORS])
{
    for (int i = 0; i < n; i += 2) {
        const char     *row  = m + (size_t)i * row_bytes(DOT);
        const __mmask32 have = i + 1 < n ? 0xffffffffu : 0x55555555u;     /* both of a pair? */
        __m512bh        a[VECTORS];
        for (int v = 0; v < N; v++)
            a[v] = (__m512bh)_mm512_maskz_loadu_epi16(have, row + (size_t)v * panel_bytes);
        if (ahead) fetch_rows(DOT, N, ahead, i);
        for (int j = 0; j < Q; j++) {
            int pair;
            memcpy(&pair, (const uint16_t *)c[j] + i, sizeof pair);
            for (int v = 0; v < N; v++)
                y[j][v] = _mm512_dpbf16_ps(y[j][v], a[v], (__m512bh)_mm512_set1_epi32(pair));
        }
    }
}

#else
#  define multiply_dot(Q, N, n, c, m, panel_bytes, ahead, y) ((void)0)
#endif

/* multiply() in whole numbers: int16 coefficients and an int8 panel. If n is odd, a coefficient of
   0 stands behind the last. Sums fit: coefficients are at most 2^24 / n. */
BB_INLINE void multiply_whole(int Q, int N, int n, const void *const *c, const char *m,
                              size_t panel_bytes, const char *ahead, vf y[QUERIES][VECTORS],
                              const vf *factor)
{
    vi sum[QUERIES][VECTORS];

    for (int j = 0; j < Q; j++)
        for (int v = 0; v < N * PARTS; v++) sum[j][v] = vi_set1(0);
    for (int i = 0; i < n; i += 2) {
        const char *row = m + (size_t)i * row_bytes(BB_TYPE_Q8);
        vi          a[VECTORS];
        for (int v = 0; v < N * PARTS; v++)
            a[v] = vi_load_bytes(row + (size_t)(v / PARTS) * panel_bytes + v % PARTS * 2 * VL);
        if (ahead) fetch_rows(BB_TYPE_Q8, N, ahead, i);
        for (int j = 0; j < Q; j++) {
            int pair;
            memcpy(&pair, (const uint16_t *)c[j] + i, sizeof pair);
            for (int v = 0; v < N * PARTS; v++)
                sum[j][v] = vi_add_pairs(sum[j][v], a[v], vi_set1(pair));
        }
    }
    for (int j = 0; j < Q; j++)
        for (int v = 0; v < N * PARTS; v++)
            y[j][v] = vf_fma(vf_of_ints(sum[j][v]), factor[j], y[j][v]);
}

/* x [n] as whole numbers up to `most` times the factor that is returned, zeros behind up to a
   multiple of VL; out may be x. */
BB_INLINE float make_whole(int n, const float *x, int most, uint16_t *out)
{
    const uint32_t bits = vf_most(n, x);
    float          size;

    memcpy(&size, &bits, sizeof size);
    const bool none = bits < 0x08800000u;             /* 2^-110: its inverse would not be finite */
    const vf   by = vf_set1(none ? 0.0f : (float)most / size);
    for (int i = 0; i < n; i += VL)
        vh_store(out + i, vh_of_ints(vi_near(vf_mul(vf_load_up_to(x + i, n - i), by))));
    return none ? 0.0f : bits < 0x7f800000u ? size / (float)most : NAN;
}

/* -------------------------------------------------------------- softmax ------------------ */

/* Running softmax of one query. */
typedef struct running {
    float *sum;                           /* [W] Σ p · v */
    float *largest;                       /* of the scores so far */
    float *weight;                        /* Σ p */
} running;

BB_INLINE running running_at(float *p, int d)
{
    return (running){ p, p + BB_KV_WIDTH(d), p + BB_KV_WIDTH(d) + 1 };
}

/* The scores p [n] become probabilities relative to the largest score so far, in bfloat16 for
   DOT; zeros behind, and before the position `first`, which is not seen. Returns what sums made
   before shrink by.   p [64] */
BB_INLINE vf weigh(int type, int first, int n, float *p, const running *u)
{
    const vf before = vf_set1(*u->largest);
    vf       most = before, weight = vf_zero();

    for (int s = 0; s < first; s++) p[s] = -INFINITY;
    for (int s = n; s % VL != 0; s++) p[s] = -INFINITY;
    for (int s = 0; s < n; s += VL) most = vf_max(vf_load(p + s), most);
    const vf largest = vf_set1(vf_largest(most)), fade = vf_exp(vf_sub(before, largest));

    for (int s = 0; s < n; s += VL) {
        vf e = vf_exp(vf_sub(vf_load(p + s), largest));
        if (type == DOT) {                /* what is summed is what will be multiplied */
            const vh h = vf_to_bf16(e);
            vh_store((uint16_t *)(void *)p + s, h);
            e = vf_from_bf16(h);
        } else {
            vf_store(p + s, e);
        }
        weight = vf_add(weight, e);
    }
    vf_store_part(u->largest, 1, largest);
    vf_store_part(u->weight, 1, vf_fma(vf_set1(*u->weight), fade, vf_set1(vf_sum(weight))));
    return fade;
}

/* -------------------------------------------------------------- blocks ------------------- */

/* A call of attend. */
typedef struct call {
    int             n_rows, heads, d, pos, end, window;
    float           scale;
    const float    *q;
    size_t          ldq;
    const uint16_t *halves;               /* [n_rows, heads, W] q for DOT, or whole numbers */
    const float    *factors;              /* [n_rows, heads] of whole numbers */
    float          *part;
    size_t          ld_part;
    size_t          key_panel, value_panel;               /* bytes */
} call;

/* Up to QUERIES neighbouring queries that see the same positions first … n - 1 of a block. */
typedef struct tile {
    int         first, n;
    const void *q[QUERIES];               /* [d] */
    vf          factor[QUERIES];          /* of whole numbers */
    running     sums[QUERIES];
} tile;

/* p[j][s] = scale · q[j] · k[s] for the 16·N positions of N panels, whose scales of whole numbers
   are `scales`. */
BB_INLINE void score(int type, int Q, int N, const call *a, const tile *t, const char *keys,
                     const uint16_t *scales, const char *ahead, float *p)
{
    const vf scale = vf_set1(a->scale);
    vf       y[QUERIES][VECTORS];

    for (int j = 0; j < Q; j++)
        for (int v = 0; v < N * PARTS; v++) y[j][v] = vf_zero();
    if (type == DOT) multiply_dot(Q, N, a->d, t->q, keys, a->key_panel, ahead, y);
    else if (is_whole(type))
        multiply_whole(Q, N, a->d, t->q, keys, a->key_panel, ahead, y, t->factor);
    else multiply(type, Q, N, a->d, t->q, keys, a->key_panel, ahead, y);
    for (int v = 0; v < N * PARTS; v++) {
        const vf by = is_whole(type) ? vf_mul(scale, vf_load_bf16(scales + v * VL)) : scale;
        for (int j = 0; j < Q; j++)
            vf_store(p + j * BB_KV_BLOCK + v * VL, vf_mul(y[j][v], by));
    }
}

/* sum[j][w …] = fade[j] · sum[j][w …] + Σs p[j][s] · v[s, w …] for 16·N elements of values.
   factor [Q]: of whole numbers p */
BB_INLINE void add_values(int type, int Q, int N, const call *a, const tile *t, int w,
                          const float *p, const vf *fade, const vf *factor, const char *values,
                          const char *ahead)
{
    const void *c[QUERIES];
    vf          y[QUERIES][VECTORS];

    for (int j = 0; j < Q; j++) {
        c[j] = p + j * BB_KV_BLOCK;
        for (int v = 0; v < N * PARTS; v++)
            y[j][v] = vf_mul(vf_load(t->sums[j].sum + w + v * VL), fade[j]);
    }
    if (type == DOT) multiply_dot(Q, N, t->n, c, values, a->value_panel, ahead, y);
    else if (is_whole(type))
        multiply_whole(Q, N, t->n, c, values, a->value_panel, ahead, y, factor);
    else multiply(type, Q, N, t->n, c, values, a->value_panel, ahead, y);
    for (int j = 0; j < Q; j++)
        for (int v = 0; v < N * PARTS; v++) vf_store(t->sums[j].sum + w + v * VL, y[j][v]);
}

/* Probabilities p [n] times the values' scales become whole numbers; returns their factor. Zeros
   stand behind p, and what stands behind the scales may be anything. */
BB_INLINE vf scale_values(int n, const uint16_t *scales, float *p)
{
    for (int s = 0; s < n; s += VL) {
        const vf scale = n - s < VL ? vf_load_bf16_part(scales + s, n - s)
                                    : vf_load_bf16(scales + s);
        vf_store(p + s, vf_mul(vf_load(p + s), scale));
    }
    return vf_set1(make_whole(n, p, INT16_MAX, (uint16_t *)(void *)p));
}

/* next, if not NULL, is the block to prefetch. */
BB_INLINE void attend_tile(int type, int Q, const call *a, const tile *t, const char *block,
                           const char *next)
{
    enum { LONE = 1 };
    const int    N = panels_of(type), width = (int)BB_KV_WIDTH(a->d);
    const char  *values = block + BB_KV_BLOCK / LANES * a->key_panel;
    const uint16_t *scales = scales_of(a->d, block);
    float        p[QUERIES * BB_KV_BLOCK];
    vf           fade[QUERIES], factor[QUERIES];
    int          w = 0;

    for (int s = 0; s < t->n; s += N * LANES) {
        const size_t at = (size_t)(s / LANES) * a->key_panel;
        score(type, Q, N, a, t, block + at, scales + s, next ? next + at : NULL, p + s);
    }
    for (int j = 0; j < Q; j++) {
        fade[j] = weigh(type, t->first, t->n, p + j * BB_KV_BLOCK, &t->sums[j]);
        if (is_whole(type))
            factor[j] = scale_values(t->n, scales + BB_KV_BLOCK, p + j * BB_KV_BLOCK);
    }
    for (size_t at = 0; is_whole(type) && next && at < 4 * BB_KV_BLOCK; at += 64)
        _mm_prefetch((const char *)scales_of(a->d, next) + at, _MM_HINT_T1);
    for (; w + N * LANES <= width; w += N * LANES) {
        const size_t at = (size_t)(w / LANES) * a->value_panel;
        add_values(type, Q, N, a, t, w, p, fade, factor, values + at,
                   next ? next + (values - block) + at : NULL);
    }
    for (; w < width; w += LANES) {
        const size_t at = (size_t)(w / LANES) * a->value_panel;
        add_values(type, Q, LONE, a, t, w, p, fade, factor, values + at,
                   next ? next + (values - block) + at : NULL);
    }
}

/* Query i sees positions first … n - 1 of the block from s0 on; none if n <= first. */
BB_INLINE void look(const call *a, int i, int s0, int *first, int *n)
{
    const int back = a->pos + i / a->heads - s0, most = a->end - s0;

    *n = back < most ? back + 1 : most;
    if (*n > BB_KV_BLOCK) *n = BB_KV_BLOCK;
    *first = back >= a->window ? back - a->window + 1 : 0;
}

/* All queries and the block from position s0 on. */
BB_INLINE void attend_block(int type, const call *a, int s0, const char *block, const char *next)
{
    const int n_queries = a->n_rows * a->heads;
    tile      t;

    for (int i = 0, Q; i < n_queries; i += Q) {
        look(a, i, s0, &t.first, &t.n);
        for (Q = 0; Q < QUERIES && i + Q < n_queries; Q++) {
            int first, n;
            look(a, i + Q, s0, &first, &n);
            if (n != t.n || first != t.first) break;
            const size_t r = (size_t)((i + Q) / a->heads), h = (size_t)((i + Q) % a->heads);
            t.q[Q] = takes_halves(type)
                   ? (const void *)(a->halves + (size_t)(i + Q) * BB_KV_WIDTH(a->d))
                   : (const void *)(a->q + r * a->ldq + h * (size_t)a->d);
            if (is_whole(type)) t.factor[Q] = vf_set1(a->factors[i + Q]);
            t.sums[Q] = running_at(a->part + r * a->ld_part + h * BB_ATTEND_PART(a->d), a->d);
        }
        if (t.n <= t.first) continue;
        switch (Q) {
        case 4:  attend_tile(type, 4, a, &t, block, next); break;
        case 3:  attend_tile(type, 3, a, &t, block, next); break;
        case 2:  attend_tile(type, 2, a, &t, block, next); break;
        default: attend_tile(type, 1, a, &t, block, next);
        }
        next = NULL;
    }
}

/* -------------------------------------------------------------- kernels ------------------ */

/* Empty parts, and for DOT the queries in bfloat16, or as whole numbers, with zeros behind. */
BB_INLINE void begin_call(int type, const call *a, uint16_t *halves, float *factors)
{
    const int most = a->d <= 512 ? INT16_MAX : (1 << 24) / a->d;

    for (int i = 0; i < a->n_rows * a->heads; i++) {
        const size_t r = (size_t)(i / a->heads), h = (size_t)(i % a->heads);
        const running u = running_at(a->part + r * a->ld_part + h * BB_ATTEND_PART(a->d), a->d);
        memset(u.sum, 0, BB_KV_WIDTH(a->d) * sizeof *u.sum);
        *u.largest = -INFINITY;
        *u.weight  = 0.0f;
        const float *q = a->q + r * a->ldq + h * (size_t)a->d;
        uint16_t    *half = halves + (size_t)i * BB_KV_WIDTH(a->d);
        if (is_whole(type)) factors[i] = make_whole(a->d, q, most, half);
        for (int w = 0; type == DOT && w < a->d; w += VL)
            vf_store_bf16(half + w, vf_load_part(q + w, a->d - w < VL ? a->d - w : VL));
    }
}

BB_INLINE void attend(int type, call a, const void *const *kv, size_t at, int begin, float *scratch)
{
    const int    last = a.pos + a.n_rows < a.end ? a.pos + a.n_rows : a.end;
    const int    first = a.pos >= a.window ? (a.pos - a.window + 1) / BB_KV_BLOCK * BB_KV_BLOCK : 0;
    uint16_t    *halves = (uint16_t *)(void *)(scratch + a.n_rows * a.heads);

    a.halves      = halves;
    a.factors     = scratch;
    a.key_panel   = BB_KV_WIDTH(a.d) * row_bytes(type);
    a.value_panel = BB_KV_BLOCK * row_bytes(type);
    begin_call(type, &a, halves, scratch);
    for (int s0 = begin > first ? begin : first; s0 < last; s0 += BB_KV_BLOCK) {
        const void *const *b = kv + s0 / BB_KV_BLOCK;
        const void *const *next = s0 + BB_KV_BLOCK < last ? b + 1 : b;
        attend_block(type, &a, s0, (const char *)*b + at, (const char *)*next + at);
    }
}

/* Defines a bb_attend_fn. */
#define DEFINE_ATTEND(name, type)                                                              \
    void name(int n_rows, int heads, int d, float scale, const float *q, size_t ldq,           \
              const void *const *kv, size_t at, int pos, int begin, int end, int window,       \
              float *part, size_t ld_part, float *scratch)                                     \
    {                                                                                          \
        attend(type, (call){ .n_rows = n_rows, .heads = heads, .d = d, .pos = pos, .end = end, \
                             .window = window, .scale = scale, .q = q, .ldq = ldq,             \
                             .part = part, .ld_part = ld_part }, kv, at, begin, scratch);      \
    }

#endif
