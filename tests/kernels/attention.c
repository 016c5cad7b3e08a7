/* attention.c - checks of attention: against softmax in double, weights that sum to one, no
   interest in a shift of the scores, and rows keeping the bits they have alone. Keys nobody may
   see hold NaN; values end where they must not be read. */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double eps = (double)FLT_EPSILON;

typedef struct shape { int n_rows, heads, d, pos; } shape;

/* What values are: inputs, or 1 everywhere. What keys begin with: inputs, or 3 everywhere. */
enum { PLAIN = 0, ONES = 1, SHIFTED = 2 };

/* Keys and values of one kv head with their gaps, and the same in double [S, d]. */
typedef struct cache {
    void   *kv;
    size_t  block_stride, value_offset;
    double *k, *v;
} cache;

static void put(void *kv, int type, size_t at, double v)
{
    if (type == BB_TYPE_F32) ((float *)kv)[at] = (float)v;
    else ((uint16_t *)kv)[at] = isnan(v) ? 0x7fff : encode_half(type, v);
}

static double get(const void *kv, int type, size_t at)
{
    return type == BB_TYPE_F32 ? (double)((const float *)kv)[at]
                               : decode_half(type, ((const uint16_t *)kv)[at]);
}

static cache make_cache(check *c, int type, shape s, double scale, int what)
{
    const size_t d = (size_t)s.d, S = (size_t)(s.pos + s.n_rows);
    cache        m = { .block_stride = 128 * d + 7, .value_offset = 64 * d + 3 };
    const size_t n = S == 0 ? 0                   /* ends with the last visible value */
                            : (S - 1) / 64 * m.block_stride + m.value_offset
                                  + ((S - 1) % 64 + 1) * d;

    m.kv = type == BB_TYPE_F32 ? (void *)check_floats(c, n) : (void *)check_halves(c, n);
    m.k  = malloc((S * d + 1) * sizeof *m.k);
    m.v  = malloc((S * d + 1) * sizeof *m.v);
    if (!m.k || !m.v) exit(2);

    for (size_t i = 0; i < n; i++) put(m.kv, type, i, (double)NAN);
    for (size_t i = 0; i < S * d; i++) {
        const size_t pos = i / d, at = pos / 64 * m.block_stride + pos % 64 * d + i % d;
        const bool   fixed = what == SHIFTED && i % d == 0;
        put(m.kv, type, at, fixed ? 3.0 : scale * check_uniform(c));
        put(m.kv, type, at + m.value_offset, what == ONES ? 1.0 : check_uniform(c));
        m.k[i] = get(m.kv, type, at);
        m.v[i] = get(m.kv, type, at + m.value_offset);
    }
    return m;
}

static void free_cache(cache *m)
{
    free(m->k);
    free(m->v);
}

/* One query over S positions: want [d], bound [d]. */
static void attend_exactly(const cache *m, const float *q, int d, int S, double scale,
                           double *want, double *bound)
{
    double largest = -INFINITY, size = 0.0, sum = 0.0;

    for (int s = 0; s < S; s++) {
        double score = 0.0, part = 0.0;
        for (int i = 0; i < d; i++) {
            const double p = scale * (double)q[i] * m->k[s * d + i];
            score += p;
            part += fabs(p);
        }
        largest = fmax(largest, score);
        size    = fmax(size, part);
    }
    for (int i = 0; i < d; i++) want[i] = bound[i] = 0.0;
    for (int s = 0; s < S; s++) {
        double score = 0.0;
        for (int i = 0; i < d; i++) score += scale * (double)q[i] * m->k[s * d + i];
        const double p = exp(score - largest);
        sum += p;
        for (int i = 0; i < d; i++) {
            want[i] += p * m->v[s * d + i];
            bound[i] += p * fabs(m->v[s * d + i]);
        }
    }
    for (int i = 0; i < d; i++) {         /* bound: that of the contract */
        want[i] /= sum;
        bound[i] *= eps * (2 * (d / 16.0 + 10) * size + S + 16) / sum;
    }
}

static void check_shape(check *c, int type, shape s, double spread, int what)
{
    const size_t d = (size_t)s.d, width = (size_t)s.heads * d, ldq = width + 3, ldo = width + 3;
    const size_t n_q = (size_t)s.n_rows * ldq;
    const float  scale = (float)(1.0 / sqrt(s.d));
    double      *want = malloc(2 * (d + 1) * sizeof *want), *bound = want + d + 1;

    check_case(c, "rows %d heads %d d %d pos %d spread %g what %d", s.n_rows, s.heads, s.d,
               s.pos, spread, what);
    if (!want) exit(2);
    cache  m   = make_cache(c, type, s, 1.0, what);
    float *q   = check_input(c, FILL_RANDOM, n_q), *out = check_floats(c, n_q);
    float *one = check_floats(c, ldo);
    float *scratch = check_floats(c, BB_ATTEND_SCRATCH(s.heads, s.d));
    for (size_t i = 0; i < n_q; i++) q[i] *= (float)spread;

    c->k->attend[type](s.n_rows, s.heads, s.d, scale, q, ldq, m.kv, m.block_stride,
                       m.value_offset, s.pos, out, ldo, scratch);
    for (int r = 0; r < s.n_rows; r++) {
        const float *o = out + (size_t)r * ldo, *qr = q + (size_t)r * ldq;
        for (int h = 0; h < s.heads; h++) {
            const size_t at = (size_t)h * d;
            attend_exactly(&m, qr + at, s.d, s.pos + r + 1, (double)scale, want, bound);
            for (size_t i = 0; i < d; i++) {
                check_near(c, at + i, o[at + i], want[i], bound[i]);
                if (what == ONES)
                    check_near(c, at + i, o[at + i], 1.0, (s.pos + s.n_rows + 16) * eps);
            }
        }
        check_true(c, check_is_sentinel(o[width]), "wrote between the rows of out");
        c->k->attend[type](1, s.heads, s.d, scale, qr, ldq, m.kv, m.block_stride,
                           m.value_offset, s.pos + r, one, ldo, scratch);
        check_bits(c, width, o, one);
    }
    c->k->attend[type](s.n_rows, s.heads, s.d, scale, q, ldq, m.kv, m.block_stride,
                       m.value_offset, s.pos, q, ldq, scratch);     /* in place */
    for (int r = 0; r < s.n_rows; r++)
        check_bits(c, width, q + (size_t)r * ldq, out + (size_t)r * ldo);
    free(want);
    free_cache(&m);
    check_done(c);
}

/* Keys begin with 3: the first element of q shifts all scores alike. */
static void check_shift(check *c, int type, shape s, float by)
{
    const size_t d = (size_t)s.d;

    check_case(c, "d %d pos %d scores shifted by %g", s.d, s.pos, 3 * (double)by);
    cache  m = make_cache(c, type, s, 1.0, SHIFTED);
    float *q = check_input(c, FILL_RANDOM, d), *out = check_floats(c, d);
    float *shifted = check_floats(c, d), *scratch = check_floats(c, BB_ATTEND_SCRATCH(1, s.d));

    for (int i = 0; i < 2; i++) {
        q[0] = i ? by : 0.0f;
        c->k->attend[type](1, 1, s.d, 1.0f, q, d, m.kv, m.block_stride, m.value_offset, s.pos,
                           i ? shifted : out, d, scratch);
    }
    for (size_t i = 0; i < d; i++)
        check_near(c, i, shifted[i], (double)out[i],
                   eps * (2 * (s.d / 16.0 + 10) * (3 * fabs((double)by) + s.d) + s.pos + 16));
    free_cache(&m);
    check_done(c);
}

static void check_type(check *c, int type)
{
    static const int rows[]  = { 0, 1, 2, 5, 16 };
    static const int heads[] = { 1, 3, 4 };
    static const int d[]     = { 1, 2, 15, 16, 17, 64, 128 };
    static const int pos[]   = { 0, 1, 47, 48, 62, 63, 64, 65, 200 };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t j = 0; j < sizeof d / sizeof *d; j++)
            for (size_t l = 0; l < sizeof pos / sizeof *pos; l++)
                check_shape(c, type, (shape){ rows[i], heads[(i + j + l) % 3], d[j], pos[l] },
                            l % 2 ? 1.0 : 20.0, PLAIN);
    check_shape(c, type, (shape){ 16, 2, 80, 300 }, 0.0, PLAIN);        /* equal scores */
    check_shape(c, type, (shape){ 3, 2, 33, 150 }, 1e4, PLAIN);         /* one position wins */
    check_shape(c, type, (shape){ 5, 2, 33, 150 }, 1.0, ONES);
    check_shape(c, type, (shape){ 1, 4, 128, 8192 }, 3.0, PLAIN);
    check_shift(c, type, (shape){ 1, 1, 24, 100 }, 100.0f);
    check_shift(c, type, (shape){ 1, 1, 24, 100 }, -100.0f);
}

void check_attention(check *c)
{
    static const char *const name[] = { "attend f32", "attend bf16", "attend f16" };

    for (int type = 0; type < BB_N_TYPES; type++)
        if (CHECK_BEGIN(c, name[type], attend[type])) {
            check_type(c, type);
            check_end(c);
        }
}
