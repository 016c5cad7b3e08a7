/* attention.c - checks of attention: against softmax in double, weights that sum to one, no
   interest in a shift of the scores, rows keeping the bits they have alone, ranges of positions
   that joined are the whole, windows. What was never put into a cache is NaN; a block that no row
   sees is nowhere. */
#include "check.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double eps = (double)FLT_EPSILON;

typedef struct shape { int n_rows, heads, d, pos, window; } shape;      /* window 0: all */

/* What values are: inputs, or 1 everywhere. What keys begin with: inputs, or 3 everywhere. */
enum { PLAIN = 0, ONES = 1, SHIFTED = 2 };

enum { GAP = 7 };                         /* elements between blocks, rows of parts, parts */

enum { AT = 24 };                         /* bytes from what a kernel is given to its block */

/* What a kernel rounds queries and probabilities to. */
enum { NOTHING, TO_BF16, TO_WHOLE };

/* The kernel under test. */
typedef struct kernel {
    int             type;
    const bb_cache *cache;
    bb_attend_fn   *attend;
    int             rounds;
} kernel;

/* Keys and values of one kv head, and the same in double [S, d]. */
typedef struct memory {
    void   *kv;
    size_t  block_stride;                 /* bytes */
    char  **block;                        /* AT bytes before each */
    double *k, *v;
} memory;

/* -------------------------------------------------------------- inputs ------------------- */

/* Bytes of what a cache is made of here: floats or halves; int8 in pairs. */
static size_t unit_of(const kernel *f) { return f->type == BB_TYPE_F32 ? 4 : 2; }

static bool is_untouched(const kernel *f, const memory *m, size_t at)
{
    return f->type == BB_TYPE_F32 ? check_is_sentinel(((const float *)m->kv)[at])
                                  : ((const uint16_t *)m->kv)[at] == 0x7fff;
}

/* from [n], as it was put, and got, as it came back: rounded as the contract says. */
static void check_rounded(check *c, const kernel *f, size_t n, const float *from, const float *got)
{
    double most = 0.0;

    for (size_t i = 0; i < n; i++) most = fmax(most, fabs((double)from[i]));
    const double scale = most / 127.0 < 0x1p-100 ? 0.0 : decode_half(BB_TYPE_BF16,
        encode_half(BB_TYPE_BF16, most / 127.0));
    for (size_t i = 0; i < n; i++) {
        const double x = (double)from[i];
        if (f->type == BB_TYPE_F32) check_near(c, i, got[i], x, 0.0);
        else if (f->type != BB_TYPE_Q8)
            check_near(c, i, got[i], decode_half(f->type, encode_half(f->type, x)), 0.0);
        else {
            check_near(c, i, got[i], scale > 0.0 ? x : 0.0, 0.501 * scale);
            check_near(c, i, got[i], scale > 0.0 ? scale * rint((double)got[i] / scale) : 0.0, 0.0);
        }
    }
}

/* Positions 0 … S-1, the last first. */
static memory make_memory(check *c, const kernel *f, int d, int S, int what)
{
    const size_t width = (size_t)d, blocks = (size_t)(S + 63) / 64;
    const size_t unit = unit_of(f), units = bb_kv_bytes((bb_type)f->type, d) / unit + GAP;
    memory       m = { .block_stride = units * unit };
    const size_t n = blocks == 0 ? 0 : blocks * units - GAP;
    float       *k = check_floats(c, width), *v = check_floats(c, width);
    float       *back = check_floats(c, 2 * width);

    m.kv = f->type == BB_TYPE_F32 ? (void *)check_floats(c, n) : (void *)check_halves(c, n);
    m.k  = malloc(((size_t)S * width + 1) * sizeof *m.k);
    m.v  = malloc(((size_t)S * width + 1) * sizeof *m.v);
    m.block = malloc((blocks + 1) * sizeof *m.block);
    if (!m.k || !m.v || !m.block) exit(2);
    for (size_t b = 0; b < blocks; b++) m.block[b] = (char *)m.kv + b * m.block_stride - AT;

    if (f->type != BB_TYPE_F32)
        for (size_t i = 0; i < n; i++) ((uint16_t *)m.kv)[i] = 0x7fff;
    for (int s = S - 1; s >= 0; s--) {
        for (size_t i = 0; i < width; i++) {
            k[i] = what == SHIFTED && i == 0 ? 3.0f : (float)check_uniform(c);
            v[i] = what == ONES ? 1.0f : (float)check_uniform(c);
        }
        char *block = (char *)m.kv + (size_t)(s / 64) * m.block_stride;
        f->cache->put(d, k, v, s % 64, block);
        f->cache->get(d, block, s % 64, back, back + width);
        check_rounded(c, f, width, k, back);
        check_rounded(c, f, width, v, back + width);
        for (size_t i = 0; i < width; i++) {
            m.k[(size_t)s * width + i] = (double)back[i];
            m.v[(size_t)s * width + i] = (double)back[width + i];
        }
    }
    for (size_t b = 1; b < blocks; b++)
        for (size_t i = 1; i <= GAP; i++)
            check_true(c, is_untouched(f, &m, b * units - i), "put beyond a block");
    return m;
}

static void free_memory(memory *m)
{
    free(m->k);
    free(m->v);
    free(m->block);
}

/* What was put comes back as it was rounded; put back, it leaves the block as it is. */
static void check_get(check *c, const kernel *f, int d)
{
    const size_t width = (size_t)d, bytes = bb_kv_bytes((bb_type)f->type, d);

    check_case(c, "get d %d", d);
    memory m = make_memory(c, f, d, BB_KV_BLOCK, PLAIN);
    float *k = check_floats(c, width), *v = check_floats(c, width);
    void  *before = malloc(bytes);

    if (!before) exit(2);
    memcpy(before, m.kv, bytes);
    for (int s = 0; s < BB_KV_BLOCK; s++) {
        f->cache->get(d, m.kv, s, k, v);
        for (size_t i = 0; i < width; i++) {
            check_near(c, i, k[i], m.k[(size_t)s * width + i], 0.0);
            check_near(c, i, v[i], m.v[(size_t)s * width + i], 0.0);
        }
        f->cache->put(d, k, v, s, m.kv);
    }
    check_true(c, memcmp(before, m.kv, bytes) == 0, "putting back what get gave changes a block");
    free(before);
    free_memory(&m);
    check_done(c);
}

/* -------------------------------------------------------------- reference ---------------- */

/* One query over positions first … S - 1: want [d], bound [d]. */
static void attend_exactly(const kernel *f, const memory *m, const float *q, int d,
                           int first, int S, double scale, double *want, double *bound)
{
    double largest = -INFINITY, size = 0.0, sum = 0.0, most_q = 0.0, keys = 0.0, most_v = 0.0;

    for (int i = 0; i < d; i++) most_q = fmax(most_q, fabs((double)q[i]));
    for (int s = first; s < S; s++) {
        double score = 0.0, part = 0.0, key = 0.0;
        for (int i = 0; i < d; i++) {
            const double p = scale * (double)q[i] * m->k[s * d + i];
            score += p;
            part += fabs(p);
            key += fabs(m->k[s * d + i]);
        }
        largest = fmax(largest, score);
        size    = fmax(size, part);
        keys    = fmax(keys, key);
    }
    for (int i = 0; i < d; i++) want[i] = bound[i] = 0.0;
    for (int s = first; s < S; s++) {
        double score = 0.0;
        for (int i = 0; i < d; i++) score += scale * (double)q[i] * m->k[s * d + i];
        const double p = exp(score - largest);
        double       value = 0.0;
        sum += p;
        for (int i = 0; i < d; i++) {
            want[i] += p * m->v[s * d + i];
            bound[i] += p * fabs(m->v[s * d + i]);
            value = fmax(value, fabs(m->v[s * d + i]));
        }
        most_v += p * value;
    }
    const double share = eps * ((d + 20) * size + S + 20)         /* those of the contract */
                       + (f->rounds == TO_BF16 ? 0x1p-8 * (size + 1) : 0.0);
    const double whole = f->rounds == TO_WHOLE ? 0x1p-9 + 0x1p-14 * scale * most_q * keys : 0.0;
    for (int i = 0; i < d; i++) {
        want[i] /= sum;
        bound[i] = (bound[i] * share + most_v * whole) / sum;
    }
}

/* -------------------------------------------------------------- attend ------------------- */

/* What a case has in its hands. */
typedef struct setting {
    shape  s;
    float  scale;
    memory m;
    float *q;                             /* [n_rows, ldq] */
    size_t ldq;
    float *part, *alone;                  /* [n_rows, ld_part], [ld_part] */
    size_t ld_part;
    float *scratch;
} setting;

static void attend(const kernel *f, const setting *t, int row, int n_rows, int begin, int end,
                   float *part)
{
    f->attend(n_rows, t->s.heads, t->s.d, t->scale, t->q + (size_t)row * t->ldq, t->ldq,
              (const void *const *)t->m.block, AT, t->s.pos + row, begin, end,
              t->s.window ? t->s.window : INT_MAX, part, t->ld_part, t->scratch);
}

/* The first position that row r sees. */
static int first_of(const setting *t, int r)
{
    const int pos = t->s.pos + r;
    return t->s.window > 0 && pos >= t->s.window ? pos - t->s.window + 1 : 0;
}

/* All rows over begin … end - 1: parts with the bits each row has alone, empty where it sees
   nothing, nothing written between them. */
static void check_parts(check *c, const kernel *f, const setting *t, int begin, int end)
{
    const size_t d = (size_t)t->s.d, W = BB_KV_WIDTH(d);

    attend(f, t, 0, t->s.n_rows, begin, end, t->part);
    for (int r = 0; r < t->s.n_rows; r++) {
        const float *part = t->part + (size_t)r * t->ld_part;
        attend(f, t, r, 1, begin, end, t->alone);
        for (int h = 0; h < t->s.heads; h++) {
            const float *u = part + (size_t)h * BB_ATTEND_PART(d);
            const float *a = t->alone + (size_t)h * BB_ATTEND_PART(d);
            check_bits(c, d, u, a);
            check_bits(c, 2, u + W, a + W);
            if (begin <= t->s.pos + r && begin < end && first_of(t, r) < end) continue;
            for (size_t i = 0; i < d; i++) check_near(c, i, u[i], 0.0, 0.0);
            check_near(c, W, u[W], -INFINITY, 0.0);
            check_near(c, W + 1, u[W + 1], 0.0, 0.0);
        }
        check_true(c, check_is_sentinel(part[t->ld_part - 1]), "wrote between the rows of parts");
    }
}

/* Row r from ranges of `range` positions. */
static void check_joined(check *c, const kernel *f, const setting *t, int r, int range, int what)
{
    const size_t d = (size_t)t->s.d;
    const int    S = t->s.pos + r + 1, n = (S - 1) / range + 1;
    float       *parts = check_floats(c, (size_t)n * t->ld_part);
    float       *out = check_floats(c, (size_t)t->s.heads * d);
    double      *want = malloc(2 * (d + 1) * sizeof *want), *bound = want + d + 1;

    if (!want) exit(2);
    for (int i = 0; i < n; i++)
        attend(f, t, r, 1, i * range, range == INT_MAX ? INT_MAX : (i + 1) * range,
               parts + (size_t)i * t->ld_part);
    c->k->attend_join(n, t->s.heads, t->s.d, parts, t->ld_part, out);
    for (size_t h = 0; h < (size_t)t->s.heads; h++) {
        attend_exactly(f, &t->m, t->q + (size_t)r * t->ldq + h * d, t->s.d, first_of(t, r), S,
                       (double)t->scale, want, bound);
        for (size_t i = 0; i < d; i++) {
            check_near(c, h * d + i, out[h * d + i], want[i], bound[i]);
            if (what == ONES)
                check_near(c, h * d + i, out[h * d + i], want[i],
                           (S + 20) * eps + (f->rounds == TO_WHOLE ? 0x1p-9 : 0.0));
        }
    }
    free(want);
}

static void check_shape(check *c, const kernel *f, shape s, double spread, int what)
{
    static const int ranges[] = { INT_MAX, 64, 128, 1024 };
    const size_t     width = (size_t)s.heads * (size_t)s.d;
    setting          t = { .s = s, .scale = (float)(1.0 / sqrt(s.d)), .ldq = width + 3,
                           .ld_part = (size_t)s.heads * BB_ATTEND_PART(s.d) + GAP };

    check_case(c, "rows %d heads %d d %d pos %d window %d spread %g what %d", s.n_rows,
               s.heads, s.d, s.pos, s.window, spread, what);
    t.m       = make_memory(c, f, s.d, s.pos + s.n_rows, what);
    for (int b = 0; b < first_of(&t, 0) / 64; b++) t.m.block[b] = NULL;
    t.q       = check_input(c, FILL_RANDOM, (size_t)s.n_rows * t.ldq);
    t.part    = check_floats(c, (size_t)s.n_rows * t.ld_part);
    t.alone   = check_floats(c, t.ld_part);
    t.scratch = check_floats(c, BB_ATTEND_SCRATCH(s.heads, s.d));
    for (size_t i = 0; i < (size_t)s.n_rows * t.ldq; i++) t.q[i] *= (float)spread;

    check_parts(c, f, &t, 0, INT_MAX);
    check_parts(c, f, &t, 64, 128);
    check_parts(c, f, &t, 64, 64);
    check_parts(c, f, &t, 0, 5);
    check_parts(c, f, &t, (s.pos + 64) / 64 * 64, INT_MAX);       /* seen by the later rows only */
    for (int r = 0; r < s.n_rows; r += r < 3 ? 1 : 6)
        check_joined(c, f, &t, r, ranges[(s.pos + r) % 4], what);
    free_memory(&t.m);
    check_done(c);
}

/* Keys begin with 3: the first element of q shifts all scores alike. */
static void check_shift(check *c, const kernel *f, int d, int S, float by)
{
    const size_t width = (size_t)d;
    float       *q[2], *out[2];

    check_case(c, "d %d positions %d scores shifted by %g", d, S, 3 * (double)by);
    memory m       = make_memory(c, f, d, S, SHIFTED);
    float *part    = check_floats(c, BB_ATTEND_PART(d));
    float *scratch = check_floats(c, BB_ATTEND_SCRATCH(1, d));
    q[0] = check_input(c, FILL_RANDOM, width);
    for (int i = 0; i < 2; i++) {
        out[i]  = check_floats(c, width);
        q[i]    = q[0];
        q[i][0] = i ? by : 0.0f;
        f->attend(1, 1, d, 1.0f, q[i], width, (const void *const *)m.block, AT, S - 1, 0, S,
                  INT_MAX, part, 0, scratch);
        c->k->attend_join(1, 1, d, part, 0, out[i]);
    }
    const double size = 3 * fabs((double)by) + d;
    const double bound = eps * ((d + 20) * size + S + 20)
                       + (f->rounds == TO_BF16 ? 0x1p-7 * (d + 1)
                          : f->rounds == TO_WHOLE ? 0x1p-8 + 0x1p-13 * fabs((double)by) * (d + 3)
                          : 0.0);
    for (size_t i = 0; i < width; i++) check_near(c, i, out[1][i], (double)out[0][i], bound);
    free_memory(&m);
    check_done(c);
}

/* Zeros come back, so do tiny and large values; a number that is not finite spoils what attends to
   it. An int8 key or value that has one is NaN throughout. */
static void check_special(check *c, const kernel *f)
{
    enum { D = 20 };
    static const float first[] = { 0.0f, 1e-38f, 3e-31f, 1e4f, 6e4f, INFINITY, -INFINITY, NAN };

    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        check_case(c, "a key and value of %g", (double)first[i]);
        float     *k = check_floats(c, D), *v = check_floats(c, D), *q = check_floats(c, D);
        float     *back = check_floats(c, 2 * D), *part = check_floats(c, BB_ATTEND_PART(D));
        float     *scratch = check_floats(c, BB_ATTEND_SCRATCH(1, D)), *out = check_floats(c, D);
        const bool finite = isfinite(first[i]), whole = f->type == BB_TYPE_Q8;
        void      *block = malloc(bb_kv_bytes((bb_type)f->type, D));
        if (!block) exit(2);
        for (int j = 0; j < D; j++) {
            k[j] = j ? first[i] / 2 : first[i];
            v[j] = finite || j == 3 ? k[j] : 1.0f;
            q[j] = 1e-6f;
        }
        memset(block, 0xff, bb_kv_bytes((bb_type)f->type, D));
        f->cache->put(D, k, v, 0, block);
        f->cache->get(D, block, 0, back, back + D);
        if (finite && f->type != BB_TYPE_F16) {
            check_rounded(c, f, D, k, back);
            check_rounded(c, f, D, v, back + D);
        }
        for (int j = 0; j < 2 * D && whole && !finite; j++)
            check_true(c, isnan(back[j]), "is not NaN");
        f->attend(1, 1, D, 1.0f, q, D, (const void *const *)&block, 0, 0, 0, 1, INT_MAX, part, 0,
                  scratch);
        c->k->attend_join(1, 1, D, part, 0, out);
        check_true(c, finite ? isfinite(out[3]) : !isfinite(out[3]), "finite or not");
        free(block);
        check_done(c);
    }
}

static void check_kernel(check *c, const kernel *f)
{
    static const int rows[]  = { 0, 1, 2, 5, 16 };
    static const int heads[] = { 1, 3, 4, 6 };
    static const int d[]     = { 1, 2, 15, 16, 17, 64, 80, 128 };
    static const int pos[]   = { 0, 1, 14, 15, 47, 48, 62, 63, 64, 65, 200 };
    static const int far[]   = { 0, 63, 64, 120, 190, 255, 256, 300 };
    static const int window[] = { 1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 200, 1 << 20 };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t j = 0; j < sizeof d / sizeof *d; j++)
            for (size_t l = 0; l < sizeof pos / sizeof *pos; l++)
                check_shape(c, f, (shape){ rows[i], heads[(i + j + l) % 4], d[j], pos[l], 0 },
                            l % 2 ? 1.0 : 20.0, PLAIN);
    for (size_t i = 1; i < sizeof rows / sizeof *rows; i++)
        for (size_t j = 0; j < sizeof window / sizeof *window; j++)
            for (size_t l = 0; l < sizeof far / sizeof *far; l++)
                check_shape(c, f, (shape){ rows[i], heads[(i + j + l) % 4], d[(i + 2 * j + l) % 8],
                                           far[l], window[j] }, l % 2 ? 1.0 : 20.0, PLAIN);
    for (int i = 1; i <= 130; i = i * 2 + i % 3) check_get(c, f, i);
    check_special(c, f);
    check_shape(c, f, (shape){ 16, 2, 80, 300, 0 }, 0.0, PLAIN);           /* equal scores */
    check_shape(c, f, (shape){ 3, 2, 33, 150, 0 }, 1e4, PLAIN);            /* one position wins */
    check_shape(c, f, (shape){ 5, 2, 33, 150, 0 }, 1.0, ONES);
    check_shape(c, f, (shape){ 5, 2, 33, 150, 40 }, 1.0, ONES);
    check_shape(c, f, (shape){ 1, 4, 128, 8191, 0 }, 3.0, PLAIN);
    check_shift(c, f, 24, 101, 100.0f);
    check_shift(c, f, 24, 101, -100.0f);
}

/* -------------------------------------------------------------- join --------------------- */

static void check_join_of(check *c, int n, int heads, int d, double spread)
{
    const size_t W = BB_KV_WIDTH(d), ld = (size_t)heads * BB_ATTEND_PART(d) + GAP;

    check_case(c, "%d parts, heads %d d %d spread %g", n, heads, d, spread);
    float *part = check_input(c, FILL_RANDOM, (size_t)n * ld);
    float *out  = check_floats(c, (size_t)heads * (size_t)d);
    for (int j = 0; j < n; j++)
        for (int h = 0; h < heads; h++) {
            float     *u = part + (size_t)j * ld + (size_t)h * BB_ATTEND_PART(d);
            const bool empty = n > 1 && (j + h) % 5 == 4;
            u[W]     = empty ? -INFINITY : (float)(spread * check_uniform(c));
            u[W + 1] = empty ? 0.0f : 1.0f + fabsf(u[0]);
            for (int i = 0; empty && i < d; i++) u[i] = 0.0f;
            for (size_t i = (size_t)d; i < W; i++) u[i] = NAN;
        }
    c->k->attend_join(n, heads, d, part, ld, out);
    for (int h = 0; h < heads; h++) {
        const float *u = part + (size_t)h * BB_ATTEND_PART(d);
        double       most = -INFINITY, weight = 0.0;
        for (int j = 0; j < n; j++) most = fmax(most, (double)u[(size_t)j * ld + W]);
        for (int j = 0; j < n; j++)
            weight += exp((double)u[(size_t)j * ld + W] - most)
                    * (double)u[(size_t)j * ld + W + 1];
        for (int i = 0; i < d; i++) {
            double sum = 0.0, size = 0.0;
            for (int j = 0; j < n; j++) {
                const float *v = u + (size_t)j * ld;
                const double f = exp((double)v[W] - most);
                sum += f * (double)v[i];
                size += f * fabs((double)v[i]);
            }
            check_near(c, (size_t)(h * d + i), out[h * d + i], sum / weight,
                       eps * (2 * n + 16 + 4 * spread) * (size + fabs(sum)) / weight);
        }
    }
    check_done(c);
}

void check_attention(check *c)
{
    static const char *const few[BB_N_CACHES] = { NULL, "attend f32", "attend bf16", "attend f16",
                                                  "attend q8" };
    static const char *const many[BB_N_CACHES] = { NULL, "attend_many f32", "attend_many bf16",
                                                   "attend_many f16", "attend_many q8" };

    for (int type = BB_TYPE_F32; type < BB_N_CACHES; type++) {
        const bb_cache *cache = &c->k->cache[type];
        const bool      rounds = cache->attend_many != cache->attend;
        if (CHECK_BEGIN(c, few[type], cache[type].attend)) {
            check_kernel(c, &(kernel){ type, cache, cache->attend,
                                       type == BB_TYPE_Q8 ? TO_WHOLE : NOTHING });
            check_end(c);
        }
        if (rounds && CHECK_BEGIN(c, many[type], cache[type].attend_many)) {
            bb_kernels strict = *c->k;
            check_case(c, "kept to float32");
            bb_kernels_keep_f32(&strict);
            check_true(c, strict.cache[type].attend_many == cache->attend, "still rounds");
            check_true(c, strict.cache[type].put == cache->put, "another layout");
            check_done(c);
            check_kernel(c, &(kernel){ type, cache, cache->attend_many, TO_BF16 });
            check_end(c);
        }
    }
    if (CHECK_BEGIN(c, "attend_join", attend_join)) {
        for (int n = 1; n <= 16; n++)
            for (int d = 1; d <= 130; d = d * 2 + d % 3) check_join_of(c, n, 1 + n % 4, d, 10.0);
        check_join_of(c, 16, 8, 128, 200.0);
        check_end(c);
    }
}
