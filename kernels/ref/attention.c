/* attention.c - causal attention over blocks of keys and values, in portable C.
 *
 * A block is widened to float32 once and serves every row and head of the call. Softmax is made
 * in one pass: sums are kept relative to the largest score so far and rescaled when it grows.
 * Source: Milakov & Gimelshein 2018, arXiv:1805.02867. */
#include "../variants.h"
#include "lanes.h"
#include "scalar.h"

/* Running softmax of one query. */
struct query {
    const float *q;                       /* [d] */
    float       *sum;                     /* [d] Σ p · v */
    float       *largest;                 /* of the scores so far */
    float       *weight;                  /* Σ p */
    float       *p;                       /* [64] scores, then probabilities of this block */
};

static void widen(int type, size_t n, const void *src, float *dst)
{
    if (type == BB_TYPE_BF16) bb_widen_bf16_c(n, src, dst);
    else                      bb_widen_f16_c(n, src, dst);
}

/* n positions from `at` elements on, as float32: in place, or in buffer. */
static const float *floats_of(int type, const void *kv, size_t at, size_t n, float *buffer)
{
    if (type == BB_TYPE_F32) return (const float *)kv + at;
    widen(type, n, (const uint16_t *)kv + at, buffer);
    return buffer;
}

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

/* The first n positions of a block.   k, v [n, d] */
static void attend_block(const struct query *u, int n, int d, float scale, const float *k,
                         const float *v)
{
    float *p = u->p, largest = *u->largest, weight = 0.0f;

    multiply_rows(n, d, u->q, k, (size_t)d, p);
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

static inline void attend(int type, int n_rows, int heads, int d, float scale, const float *q,
                          size_t ldq, const void *kv, size_t block_stride, size_t value_offset,
                          int pos, float *out, size_t ldo, float *scratch)
{
    const size_t width   = (size_t)d;
    const int    n_query = n_rows * heads;
    float *const keys    = scratch;                               /* [64, d] */
    float *const values  = keys + BB_KV_BLOCK * width;            /* [64, d] */
    float *const sum     = values + BB_KV_BLOCK * width;          /* [n_query, d] */
    float *const p       = sum + (size_t)n_query * width;         /* [64] */
    float *const largest = p + BB_KV_BLOCK;                       /* [n_query] */
    float *const weight  = largest + n_query;                     /* [n_query] */

    for (int i = 0; i < n_query; i++) {
        largest[i] = -INFINITY;
        weight[i]  = 0.0f;
    }
    memset(sum, 0, (size_t)n_query * width * sizeof *sum);

    for (int s0 = 0; s0 < pos + n_rows; s0 += BB_KV_BLOCK) {
        const int    seen = pos + n_rows - s0;            /* by the last row */
        const size_t n    = (size_t)(seen < BB_KV_BLOCK ? seen : BB_KV_BLOCK) * width;
        const size_t at   = (size_t)(s0 / BB_KV_BLOCK) * block_stride;
        const float *k    = floats_of(type, kv, at, n, keys);
        const float *v    = floats_of(type, kv, at + value_offset, n, values);

        for (int i = 0; i < n_query; i++) {
            const int          r       = i / heads, h = i % heads;
            const int          visible = pos + r + 1 - s0;
            const struct query u = { q + (size_t)r * ldq + (size_t)h * width,
                                     sum + (size_t)i * width, largest + i, weight + i, p };
            if (visible <= 0) continue;
            attend_block(&u, visible < BB_KV_BLOCK ? visible : BB_KV_BLOCK, d, scale, k, v);
        }
    }

    for (int i = 0; i < n_query; i++) {
        float      *o = out + (size_t)(i / heads) * ldo + (size_t)(i % heads) * width;
        const float w = 1.0f / weight[i];
        for (int j = 0; j < d; j++) o[j] = sum[(size_t)i * width + (size_t)j] * w;
    }
}

void bb_attend_f32_c(int n_rows, int heads, int d, float scale, const float *q, size_t ldq,
                     const void *kv, size_t block_stride, size_t value_offset, int pos,
                     float *out, size_t ldo, float *scratch)
{
    attend(BB_TYPE_F32, n_rows, heads, d, scale, q, ldq, kv, block_stride, value_offset, pos,
           out, ldo, scratch);
}

void bb_attend_bf16_c(int n_rows, int heads, int d, float scale, const float *q, size_t ldq,
                      const void *kv, size_t block_stride, size_t value_offset, int pos,
                      float *out, size_t ldo, float *scratch)
{
    attend(BB_TYPE_BF16, n_rows, heads, d, scale, q, ldq, kv, block_stride, value_offset, pos,
           out, ldo, scratch);
}

void bb_attend_f16_c(int n_rows, int heads, int d, float scale, const float *q, size_t ldq,
                     const void *kv, size_t block_stride, size_t value_offset, int pos,
                     float *out, size_t ldo, float *scratch)
{
    attend(BB_TYPE_F16, n_rows, heads, d, scale, q, ldq, kv, block_stride, value_offset, pos,
           out, ldo, scratch);
}
