/* attention.c - causal attention with grouped queries and rotary positions.
 *
 * State of a session: for each block of 64 positions and each kv head, keys [64, d] then values
 * [64, d] in the cache's type; blocks in the order of positions, so that the first bytes are all
 * an early position needs.
 * Source: Ainslie et al. 2023, arXiv:2305.13245 (GQA); Su et al. 2021, arXiv:2104.09864 (RoPE). */
#include "graph/bind.h"
#include "mixer/mixers.h"
#include "mixer/product.h"

#include <math.h>

typedef struct bb_attention {
    bb_mixer          base;
    bb_attention_dims dims;
    int               kv_type;            /* BB_TYPE_… */
    bb_linear         q, k, v, o;
} bb_attention;

/* -------------------------------------------------------------- weights ------------------ */

static void bind(bb_mixer *base, bb_binder *b)
{
    bb_attention            *m = (bb_attention *)base;
    const bb_attention_dims *d = &m->dims;
    const int                d_q = d->n_heads * d->d_head;
    const int                d_kv = d->n_kv_heads * d->d_head;

    bb_bind_linear(b, &m->q, "q_proj", d_q, d->d_model, d->bias);
    bb_bind_linear(b, &m->k, "k_proj", d_kv, d->d_model, d->bias);
    bb_bind_linear(b, &m->v, "v_proj", d_kv, d->d_model, d->bias);
    bb_bind_linear(b, &m->o, "o_proj", d->d_model, d_q, d->bias);
}

/* -------------------------------------------------------------- memory ------------------- */

static size_t head_block(const bb_attention *m)       /* elements: keys and values of 64 positions */
{
    return 2 * (size_t)BB_KV_BLOCK * (size_t)m->dims.d_head;
}

static size_t whole_block(const bb_attention *m)      /* of all kv heads */
{
    return head_block(m) * (size_t)m->dims.n_kv_heads;
}

static size_t element_bytes(const bb_attention *m) { return m->kv_type == BB_TYPE_F32 ? 4 : 2; }

static size_t state_bytes(const bb_mixer *base, size_t S)
{
    const bb_attention *m = (const bb_attention *)base;
    const size_t        n_blocks = (S + BB_KV_BLOCK - 1) / BB_KV_BLOCK;

    return n_blocks * whole_block(m) * element_bytes(m);
}

struct scratch {
    float *q;                             /* [T, heads · d], replaced by the attended values */
    float *k, *v;                         /* [T, kv_heads · d] */
    float *out;                           /* [T, D] */
    float *attend;                        /* [n_threads, BB_ATTEND_SCRATCH] */
};

static size_t attend_scratch(const bb_attention *m)
{
    return BB_ATTEND_SCRATCH(m->dims.n_heads / m->dims.n_kv_heads, m->dims.d_head);
}

static struct scratch take_scratch(const bb_attention *m, int T, int n_threads, bb_arena *a)
{
    const size_t   t = (size_t)T;
    const size_t   d = (size_t)m->dims.d_head;
    struct scratch s;

    s.q      = bb_take(a, t * (size_t)m->dims.n_heads * d, sizeof(float));
    s.k      = bb_take(a, t * (size_t)m->dims.n_kv_heads * d, sizeof(float));
    s.v      = bb_take(a, t * (size_t)m->dims.n_kv_heads * d, sizeof(float));
    s.out    = bb_take(a, t * (size_t)m->dims.d_model, sizeof(float));
    s.attend = bb_take(a, (size_t)n_threads * attend_scratch(m), sizeof(float));
    return s;
}

static size_t scratch_bytes(const bb_mixer *base, int T, int n_threads)
{
    bb_arena a = BB_MEASURE;

    take_scratch((const bb_attention *)base, T, n_threads, &a);
    return a.overflow ? SIZE_MAX : a.used;
}

/* -------------------------------------------------------------- stages ------------------- */

struct job {
    const bb_attention *m;
    struct scratch      s;
};

static void rotate(const bb_exec *e, const bb_attention_dims *d, int pos, float *q, float *k)
{
    enum { HALF_MAX = 1024 };             /* bounded by bb_plan_attention */
    float     cosine[HALF_MAX], sine[HALF_MAX];
    const int half = d->d_rotary / 2;

    if (half == 0) return;
    for (int i = 0; i < half; i++) {      /* double: positions reach 10^6, float32 has 24 bits */
        const double angle = pos * pow(d->rope_theta, -2.0 * i / d->d_rotary);
        cosine[i] = (float)cos(angle);
        sine[i] = (float)sin(angle);
    }
    e->k->rope(d->n_heads, d->d_head, d->d_rotary, cosine, sine, q);
    e->k->rope(d->n_kv_heads, d->d_head, d->d_rotary, cosine, sine, k);
}

/* One row of keys or values [kv_heads, d] into the cache; which: 0 keys, 1 values. */
static void remember(const bb_exec *e, const bb_attention *m, void *state, int pos, int which,
                     const float *row)
{
    const size_t d = (size_t)m->dims.d_head;
    const size_t block = (size_t)(pos / BB_KV_BLOCK) * whole_block(m);
    const size_t line = ((size_t)which * BB_KV_BLOCK + (size_t)(pos % BB_KV_BLOCK)) * d;

    for (size_t h = 0; h < (size_t)m->dims.n_kv_heads; h++) {
        const size_t at = block + h * head_block(m) + line;
        if (m->kv_type == BB_TYPE_F32)
            for (size_t i = 0; i < d; i++) ((float *)state)[at + i] = row[h * d + i];
        else
            e->k->narrow[m->kv_type](d, row + h * d, (uint16_t *)state + at);
    }
}

static const bb_segment *segment_of_row(const bb_exec *e, int t)
{
    const bb_segment *seg = e->segment;
    while (t >= seg->row + seg->n_rows) seg++;
    return seg;
}

/* One tile a row: rotate, remember. */
static void run_remember(const bb_exec *e, const void *p, int t)
{
    const struct job    *j = p;
    const bb_attention  *m = j->m;
    const bb_segment    *seg = segment_of_row(e, t);
    const int            pos = seg->pos + t - seg->row;
    const size_t         d_kv = (size_t)m->dims.n_kv_heads * (size_t)m->dims.d_head;
    float               *q = j->s.q + (size_t)t * (size_t)m->dims.n_heads * (size_t)m->dims.d_head;
    float               *k = j->s.k + (size_t)t * d_kv;
    void                *state = seg->state[m->base.slot];

    rotate(e, &m->dims, pos, q, k);
    remember(e, m, state, pos, 0, k);
    remember(e, m, state, pos, 1, j->s.v + (size_t)t * d_kv);
}

static int row_groups(const bb_segment *seg)
{
    return (seg->n_rows + BB_ATTEND_ROWS - 1) / BB_ATTEND_ROWS;
}

/* One tile a segment, group of rows and kv head. */
static void run_attend(const bb_exec *e, const void *p, int tile)
{
    const struct job        *j = p;
    const bb_attention      *m = j->m;
    const bb_attention_dims *d = &m->dims;
    const int                share = d->n_heads / d->n_kv_heads;
    const int                h = tile % d->n_kv_heads;
    const bb_segment        *seg = e->segment;
    int                      group = tile / d->n_kv_heads;

    for (; group >= row_groups(seg); seg++) group -= row_groups(seg);
    const int            first = group * BB_ATTEND_ROWS;
    const int            left = seg->n_rows - first;
    const size_t         ldq = (size_t)d->n_heads * (size_t)d->d_head;
    const unsigned char *kv = seg->state[m->base.slot];
    float *q = j->s.q + (size_t)(seg->row + first) * ldq + (size_t)(h * share) * (size_t)d->d_head;

    e->k->attend[m->kv_type](left < BB_ATTEND_ROWS ? left : BB_ATTEND_ROWS, share, d->d_head,
                             1.0f / sqrtf((float)d->d_head), q, ldq,
                             kv + (size_t)h * head_block(m) * element_bytes(m), whole_block(m),
                             head_block(m) / 2, seg->pos + first, q, ldq,
                             j->s.attend + (size_t)e->thread * attend_scratch(m));
}

static void forward(const bb_mixer *base, const bb_exec *e)
{
    const bb_attention *m = (const bb_attention *)base;
    const size_t        D = (size_t)m->dims.d_model;
    bb_arena            arena = e->scratch;
    const struct job    j = { m, take_scratch(m, e->T, e->n_threads, &arena) };
    int                 n_groups = 0;

    for (int i = 0; i < e->n_segments; i++) n_groups += row_groups(&e->segment[i]);

    bb_product(e, &m->q, e->T, e->h, D, j.s.q, (size_t)m->q.w.rows);
    bb_product(e, &m->k, e->T, e->h, D, j.s.k, (size_t)m->k.w.rows);
    bb_product(e, &m->v, e->T, e->h, D, j.s.v, (size_t)m->v.w.rows);
    bb_each_tile(e, e->T, run_remember, &j);
    bb_each_tile(e, n_groups * m->dims.n_kv_heads, run_attend, &j);
    bb_product_add(e, &m->o, j.s.q, (size_t)m->o.w.cols, j.s.out);
}

static void print(const bb_mixer *base, bb_printer *p)
{
    const bb_attention_dims *d = &((const bb_attention *)base)->dims;

    bb_print(p, "%d -> %d heads (%d kv) x %d", d->d_model, d->n_heads, d->n_kv_heads, d->d_head);
    if (d->d_rotary)
        bb_print(p, ", rope %d of %d, theta %g", d->d_rotary, d->d_head, d->rope_theta);
    if (d->bias) bb_print(p, ", bias");
}

static const bb_mixer_kind kind = {
    .name = "attention", .bind = bind, .state_bytes = state_bytes,
    .scratch_bytes = scratch_bytes, .forward = forward, .print = print,
};

void bb_plan_attention(bb_plan *p, const char *prefix, const bb_attention_dims *dims)
{
    if (dims->d_rotary > 2048 || (int64_t)dims->n_heads * dims->d_head > BB_MAX_DIM) {
        bb_plan_fail(p, BAMBA_ERR_UNSUPPORTED,
                     "'%s%s': attention of %d heads x %d, %d rotated: too wide", p->prefix, prefix,
                     dims->n_heads, dims->d_head, dims->d_rotary);
        return;
    }
    bb_attention *m = (bb_attention *)bb_plan_mixer(p, &kind, sizeof *m, prefix, true);
    if (!m) return;
    m->dims = *dims;
    m->kv_type = p->kv_type;
}
