/* attention.c - causal attention over blocks of keys and values, in portable C.
 *
 * A block is keys [64, d], then at 64 · BB_KV_WIDTH(d) elements values [64, d]; of int8, behind
 * them the scales of the keys [64] and of the values [64]. It is widened to float32 once and
 * serves every row and head of the call. Softmax is made in one pass: sums
 * are kept relative to the largest score so far and rescaled when it grows.
 * Source: Milakov & Gimelshein 2018, arXiv:1805.02867. */
#include "../variants.h"
#include "lanes.h"
#include "scalar.h"

#include <stdbool.h>

/* Running softmax of one query. */
struct part {
    float *sum;                           /* [d] Σ p · v */
    float *largest;                       /* of the scores so far */
    float *weight;                        /* Σ p */
};

static struct part part_at(float *p, int d)
{
    return (struct part){ p, p + BB_KV_WIDTH(d), p + BB_KV_WIDTH(d) + 1 };
}

/* -------------------------------------------------------------- the cache ---------------- */

/* Where the scales of a block's keys, or of its values, begin. */
static uint16_t *scales_of(int d, const void *block, int part)
{
    return (uint16_t *)(void *)((char *)(uintptr_t)block + BB_KV_ELEMENTS(d)) + part * BB_KV_BLOCK;
}

/* x [d] as int8 codes; returns their scale. */
static uint16_t put_codes(int d, const float *x, int8_t *code)
{
    uint32_t most = 0;

    for (int i = 0; i < d; i++) {
        const uint32_t size = float_bits(x[i]) & 0x7fffffffu;
        most = size > most ? size : most;
    }
    const bool     finite = most < 0x7f800000u;
    const uint16_t bits = narrow_bf16(finite ? bits_float(most) / 127.0f : NAN);
    const float    scale = widen_bf16(bits), by = scale >= 0x1p-100f ? 1.0f / scale : 0.0f;
    for (int i = 0; i < d; i++) code[i] = (int8_t)(finite ? lrintf(x[i] * by) : 0);
    return scale < 0x1p-100f ? 0 : bits;
}

static inline void put(int type, int d, const float *k, const float *v, int at, void *block)
{
    const size_t row = (size_t)at * (size_t)d;
    const size_t values = (size_t)BB_KV_BLOCK * BB_KV_WIDTH(d);

    for (int i = 0; i < 2; i++) {
        const float *from = i ? v : k;
        const size_t to = row + (i ? values : 0);
        if (type == BB_TYPE_F32)
            memcpy((float *)block + to, from, (size_t)d * sizeof *from);
        else if (type == BB_TYPE_BF16)
            bb_narrow_bf16_c((size_t)d, from, (uint16_t *)block + to);
        else if (type == BB_TYPE_F16)
            bb_narrow_f16_c((size_t)d, from, (uint16_t *)block + to);
        else
            scales_of(d, block, i)[at] = put_codes(d, from, (int8_t *)block + to);
    }
}

/* Keys (part 0) or values (part 1) of n positions from `at` on as float32 [n, d]: in place, or in
   buffer. */
static const float *floats_of(int type, int d, const void *block, int part, int at, int n,
                              float *buffer)
{
    const size_t width = (size_t)d, count = (size_t)n * width;
    const size_t first = (size_t)at * width + (part ? BB_KV_BLOCK * BB_KV_WIDTH(d) : 0);

    if (type == BB_TYPE_F32) return (const float *)block + first;
    if (type == BB_TYPE_BF16) bb_widen_bf16_c(count, (const uint16_t *)block + first, buffer);
    else if (type == BB_TYPE_F16) bb_widen_f16_c(count, (const uint16_t *)block + first, buffer);
    else {
        const int8_t   *code = (const int8_t *)block + first;
        const uint16_t *bits = scales_of(d, block, part) + at;
        float          *to = buffer;
        for (int s = 0; s < n; s++) {
            const float scale = widen_bf16(bits[s]);
            for (size_t i = 0; i < width; i++) *to++ = scale * (float)*code++;
        }
    }
    return buffer;
}

static inline void get(int type, int d, const void *block, int at, float *k, float *v)
{
    for (int i = 0; i < 2; i++) {
        float       *to = i ? v : k;
        const float *from = floats_of(type, d, block, i, at, 1, to);
        if (from != to) memcpy(to, from, (size_t)d * sizeof *to);
    }
}

/* -------------------------------------------------------------- one query ---------------- */

/* sum[i] += Σs p[s] · v[s, i], s in order.   v [n, d] */
static void add_values(int n, int d, const float *restrict p, const float *restrict v,
                       float *restrict sum)
{
    int s = 0;
    for (; s + 4 <= n; s += 4) {
        const float *v0 = v + (size_t)s * (size_t)d, *v1 = v0 + d, *v2 = v1 + d, *v3 = v2 + d;
        for (int i = 0; i < d; i++)
            sum[i] = (((sum[i] + p[s] * v0[i]) + p[s + 1] * v1[i]) + p[s + 2] * v2[i])
                   + p[s + 3] * v3[i];
    }
    for (; s < n; s++) {
        const float *vs = v + (size_t)s * (size_t)d;
        for (int i = 0; i < d; i++) sum[i] += p[s] * vs[i];
    }
}

/* n positions of a block.   k, v [n, d]; p [64]: scores, then probabilities */
static void attend_block(const struct part *u, int n, int d, float scale, const float *q,
                         const float *k, const float *v, float *p)
{
    float largest = *u->largest, weight = 0.0f;

    multiply_rows(n, d, q, k, (size_t)d, p);
    for (int s = 0; s < n; s++) {
        p[s] *= scale;
        largest = p[s] > largest ? p[s] : largest;
    }
    const float fade = expf(*u->largest - largest);       /* 0 for the first block */
    for (int s = 0; s < n; s++) {
        p[s] = expf(p[s] - largest);
        weight += p[s];
    }
    if (fade != 1.0f)
        for (int i = 0; i < d; i++) u->sum[i] *= fade;

    add_values(n, d, p, v, u->sum);
    *u->weight  = *u->weight * fade + weight;
    *u->largest = largest;
}

/* -------------------------------------------------------------- kernels ------------------ */

/* The first position of the first block that a row at pos or behind it sees. */
static int first_block(int pos, int begin, int window)
{
    const int first = pos >= window ? (pos - window + 1) / BB_KV_BLOCK * BB_KV_BLOCK : 0;
    return begin > first ? begin : first;
}

static inline void attend(int type, int n_rows, int heads, int d, float scale, const float *q,
                          size_t ldq, const void *const *kv, size_t at, int pos, int begin,
                          int end, int window, float *part, size_t ld_part, float *scratch)
{
    const size_t width  = (size_t)d, values = (size_t)BB_KV_BLOCK * BB_KV_WIDTH(d);
    const int    last   = pos + n_rows < end ? pos + n_rows : end;
    float *const k_room = scratch, *const v_room = k_room + values, *const p = v_room + values;

    for (int r = 0; r < n_rows; r++)
        for (int h = 0; h < heads; h++) {
            float            *own = part + (size_t)r * ld_part + (size_t)h * BB_ATTEND_PART(d);
            const struct part u = part_at(own, d);
            memset(u.sum, 0, BB_KV_WIDTH(d) * sizeof *u.sum);
            *u.largest = -INFINITY;
            *u.weight  = 0.0f;
        }

    for (int s0 = first_block(pos, begin, window); s0 < last; s0 += BB_KV_BLOCK) {
        const int    seen = last - s0;                    /* by the last row */
        const int    n    = seen < BB_KV_BLOCK ? seen : BB_KV_BLOCK;
        const char  *block = (const char *)kv[s0 / BB_KV_BLOCK] + at;
        const float *k    = floats_of(type, d, block, 0, 0, n, k_room);
        const float *v    = floats_of(type, d, block, 1, 0, n, v_room);

        for (int i = 0; i < n_rows * heads; i++) {
            const size_t r = (size_t)(i / heads), h = (size_t)(i % heads);
            const int    back = pos + (int)r - s0;        /* of the row, from the block's start */
            const int    here = back < end - s0 ? back + 1 : end - s0;
            const int    stop = here < BB_KV_BLOCK ? here : BB_KV_BLOCK;
            const int    start = back >= window ? back - window + 1 : 0;
            const struct part u = part_at(part + r * ld_part + h * BB_ATTEND_PART(d), d);
            if (stop <= start) continue;
            attend_block(&u, stop - start, d, scale, q + r * ldq + h * width,
                         k + (size_t)start * width, v + (size_t)start * width, p);
        }
    }
}

void bb_attend_join_c(int n_parts, int heads, int d, const float *part, size_t ld_part,
                      float *out)
{
    for (int h = 0; h < heads; h++) {
        const float *first = part + (size_t)h * BB_ATTEND_PART(d);
        const size_t at_largest = BB_KV_WIDTH(d), at_weight = at_largest + 1;
        float       *o = out + (size_t)h * (size_t)d;
        float        largest = first[at_largest], weight = 0.0f;

        for (int j = 1; j < n_parts; j++) {
            const float other = first[(size_t)j * ld_part + at_largest];
            largest = other > largest ? other : largest;
        }
        for (int i = 0; i < d; i++) o[i] = 0.0f;
        for (int j = 0; j < n_parts; j++) {
            const float *u = first + (size_t)j * ld_part;
            const float  fade = expf(u[at_largest] - largest);
            weight += u[at_weight] * fade;
            for (int i = 0; i < d; i++) o[i] += u[i] * fade;
        }
        for (int i = 0; i < d; i++) o[i] /= weight;
    }
}

/* The kernels of one type of cache and its row of the table. */
#define CACHE(name, type)                                                                      \
    static void bb_kv_put_##name##_c(int d, const float *k, const float *v, int at,            \
                                     void *block)                                              \
    {                                                                                          \
        put(type, d, k, v, at, block);                                                         \
    }                                                                                          \
    static void bb_kv_get_##name##_c(int d, const void *block, int at, float *k, float *v)     \
    {                                                                                          \
        get(type, d, block, at, k, v);                                                         \
    }                                                                                          \
    static void bb_attend_##name##_c(int n_rows, int heads, int d, float scale,                \
                                     const float *q, size_t ldq, const void *const *kv,        \
                                     size_t at, int pos, int begin, int end, int window,       \
                                     float *part, size_t ld_part, float *scratch)              \
    {                                                                                          \
        attend(type, n_rows, heads, d, scale, q, ldq, kv, at, pos, begin, end, window, part,   \
               ld_part, scratch);                                                              \
    }                                                                                          \
    const bb_cache bb_cache_##name##_c = { bb_kv_put_##name##_c, bb_kv_get_##name##_c,         \
                                           bb_attend_##name##_c, bb_attend_##name##_c };

CACHE(f32, BB_TYPE_F32)
CACHE(bf16, BB_TYPE_BF16)
CACHE(f16, BB_TYPE_F16)
CACHE(q8, BB_TYPE_Q8)
