/* attention.c - causal attention with grouped queries and rotary positions.
 *
 * State of a session: for each block of 64 positions and each kv head, keys and values in the
 * cache's type, arranged as the kernels like it; blocks in the order of positions, so that the
 * first bytes are all an early position needs.
 * A pass of up to BB_FEW_ROWS rows cuts the positions of a row into at most 16 ranges, tiles of
 * their own, whose parts of the softmax are joined in a second stage: so one deep sequence has
 * work for every thread. Where the cuts are depends on the row's position alone. Longer passes
 * have tiles enough. Where no row needs the key of another tile (decoding), turning and remembering
 * keys is part of the tile that attends to them.
 * Source: Ainslie et al. 2023, arXiv:2305.13245 (GQA); Su et al. 2021, arXiv:2104.09864 (RoPE). */
#include "graph/bind.h"
#include "mixer/count.h"
#include "mixer/mixers.h"
#include "mixer/product.h"

#include <limits.h>
#include <math.h>
#include <string.h>

enum { RANGE = 1024, MOST_RANGES = 16 };  /* positions of a range at least; ranges of a row */

typedef struct bb_attention {
    bb_mixer          base;
    bb_attention_dims dims;
    bb_rope           rope;               /* its table lies behind this struct */
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
    return BB_KV_ELEMENTS(m->dims.d_head);
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
    float *part;                          /* [min(T, 32), kv_heads, MOST_RANGES, share, PART] */
    unsigned char *own;                   /* [n_threads, own_bytes] */
};

/* The query heads of a kv head. */
static int share_of(const bb_attention *m) { return m->dims.n_heads / m->dims.n_kv_heads; }

/* Of one row and kv head. */
static size_t part_size(const bb_attention *m)
{
    return (size_t)share_of(m) * BB_ATTEND_PART(m->dims.d_head);
}

/* A thread's own. */
struct own {
    float *part;                          /* [BB_ATTEND_ROWS, share, PART] of a group of one range */
    float *q;                             /* [BB_ATTEND_ROWS, share, d] turned queries */
    float *cosine, *sine;                 /* [BB_FEW_ROWS, d/2] of few rows */
    float *attend;                        /* [BB_ATTEND_SCRATCH] */
};

static struct own take_own(const bb_attention *m, bb_arena *a)
{
    const size_t rows = BB_ATTEND_ROWS;
    const size_t pairs = (size_t)m->dims.rope.d / 2;
    struct own   o;

    o.part   = bb_take(a, rows * part_size(m), sizeof(float));
    o.q      = bb_take(a, rows * (size_t)share_of(m) * (size_t)m->dims.d_head, sizeof(float));
    o.cosine = bb_take(a, BB_FEW_ROWS * pairs, sizeof(float));
    o.sine   = bb_take(a, BB_FEW_ROWS * pairs, sizeof(float));
    o.attend = bb_take(a, BB_ATTEND_SCRATCH(share_of(m), m->dims.d_head), sizeof(float));
    return o;
}

static size_t own_bytes(const bb_attention *m)
{
    bb_arena a = BB_MEASURE;
    a.plain = true;
    take_own(m, &a);
    return a.overflow ? SIZE_MAX : a.used;
}

static struct scratch take_scratch(const bb_attention *m, int T, int n_threads, bb_arena *a)
{
    const size_t   t = (size_t)T;
    const size_t   few = (size_t)(T < BB_FEW_ROWS ? T : BB_FEW_ROWS);
    const size_t   d = (size_t)m->dims.d_head;
    struct scratch s;

    s.q      = bb_take(a, t * (size_t)m->dims.n_heads * d, sizeof(float));
    s.k      = bb_take(a, t * (size_t)m->dims.n_kv_heads * d, sizeof(float));
    s.v      = bb_take(a, t * (size_t)m->dims.n_kv_heads * d, sizeof(float));
    s.out    = bb_take(a, t * (size_t)m->dims.d_model, sizeof(float));
    s.part   = bb_take(a, few * (size_t)m->dims.n_kv_heads * MOST_RANGES * part_size(m),
                       sizeof(float));
    s.own    = bb_take(a, (size_t)n_threads, own_bytes(m));
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
    bool                at_once;          /* a tile turns and remembers what it attends to */
};

static struct own own_of(const bb_exec *e, const struct job *j)
{
    const size_t bytes = own_bytes(j->m);
    bb_arena     a = { .base = j->s.own + (size_t)e->thread * bytes, .size = bytes, .plain = true };
    return take_own(j->m, &a);
}

/* Neighbouring rows of a segment that a tile takes together, and the ranges of positions they cut
   what they see into. */
struct group {
    const bb_segment *seg;
    int               first, n_rows;      /* rows of the segment */
    int               range, n_ranges;    /* positions of a range; ranges of the last row */
};

/* Positions of a range for a row at pos: doubled until MOST_RANGES are enough. */
static int range_at(const bb_exec *e, int pos)
{
    int range = RANGE;

    if (e->T > BB_FEW_ROWS) return INT_MAX;
    while (pos / range >= MOST_RANGES) range *= 2;
    return range;
}

static struct group group_from(const bb_exec *e, const bb_segment *seg, int first)
{
    const int    left = seg->n_rows - first;
    const int    pos = seg->pos + first;
    struct group g = { seg, first, left < BB_ATTEND_ROWS ? left : BB_ATTEND_ROWS,
                       range_at(e, pos), 1 };

    while (range_at(e, pos + g.n_rows - 1) != g.range) g.n_rows--;
    g.n_ranges = (pos + g.n_rows - 1) / g.range + 1;
    return g;
}

static struct group first_group(const bb_exec *e) { return group_from(e, e->segment, 0); }

/* False after the last. */
static bool next_group(const bb_exec *e, struct group *g)
{
    const bb_segment *seg = g->seg;
    int               first = g->first + g->n_rows;

    if (first == seg->n_rows) {
        seg++;
        first = 0;
    }
    if (seg == e->segment + e->n_segments) return false;
    *g = group_from(e, seg, first);
    return true;
}

static float *key_at(const struct job *j, int t, int h)
{
    const bb_attention_dims *d = &j->m->dims;
    return j->s.k + ((size_t)t * (size_t)d->n_kv_heads + (size_t)h) * (size_t)d->d_head;
}

/* Row r of a segment: its key and value of kv head h into the cache. */
static void remember(const bb_exec *e, const struct job *j, const bb_segment *seg, int r, int h)
{
    const bb_attention *m = j->m;
    const int           pos = seg->pos + r;
    const float        *k = key_at(j, seg->row + r, h);
    unsigned char      *block = (unsigned char *)seg->state[m->base.slot]
                              + ((size_t)(pos / BB_KV_BLOCK) * whole_block(m)
                                 + (size_t)h * head_block(m)) * element_bytes(m);

    e->k->cache[m->kv_type].put(m->dims.d_head, k, k - j->s.k + j->s.v, pos % BB_KV_BLOCK, block);
}

/* One tile a group: its queries and keys turned, keys and values into the cache. */
static void run_remember(const bb_exec *e, const void *p, int tile)
{
    const struct job        *j = p;
    const bb_attention      *m = j->m;
    const bb_attention_dims *d = &m->dims;
    struct group             g = first_group(e);
    float                    cosine[BB_ROPE_PAIRS], sine[BB_ROPE_PAIRS];

    while (tile-- > 0) next_group(e, &g);
    for (int r = g.first; r < g.first + g.n_rows; r++) {
        const int t = g.seg->row + r;
        if (d->rope.d > 0) {
            bb_rope_angles(&m->rope, g.seg->pos + r, g.seg->length, cosine, sine);
            e->k->rope(d->n_heads, d->d_head, d->rope.d, cosine, sine,
                       j->s.q + (size_t)t * (size_t)d->n_heads * (size_t)d->d_head);
            e->k->rope(d->n_kv_heads, d->d_head, d->rope.d, cosine, sine, key_at(j, t, 0));
        }
        for (int h = 0; h < d->n_kv_heads; h++) remember(e, j, g.seg, r, h);
    }
}

/* The queries of row t that share kv head h; their parts of the first range. */
static float *queries_at(const struct job *j, int t, int h)
{
    const bb_attention_dims *d = &j->m->dims;
    return j->s.q + ((size_t)t * (size_t)d->n_heads + (size_t)(h * share_of(j->m)))
                  * (size_t)d->d_head;
}

static float *parts_at(const struct job *j, int t, int h)
{
    return j->s.part + ((size_t)t * (size_t)j->m->dims.n_kv_heads + (size_t)h) * MOST_RANGES
                     * part_size(j->m);
}

/* Before a thread's first tile where tiles do all at once: the angles of every row. */
static void prepare_angles(const bb_exec *e, void *p)
{
    const struct job *j = p;
    const struct own  own = own_of(e, j);
    const size_t      pairs = (size_t)j->m->dims.rope.d / 2;

    for (int i = 0; i < e->n_segments; i++)
        for (int r = 0; r < e->segment[i].n_rows; r++) {
            const size_t at = (size_t)(e->segment[i].row + r) * pairs;
            bb_rope_angles(&j->m->rope, e->segment[i].pos + r, e->segment[i].length,
                           own.cosine + at, own.sine + at);
        }
}

/* The group's queries for kv head h, turned, to own.q; its keys at positions begin … end - 1 too, and
   into the cache. */
static void turn_own(const bb_exec *e, const struct job *j, const struct group *g, int h, int begin,
                     int end, const struct own *own)
{
    const bb_attention_dims *d = &j->m->dims;
    const int                share = share_of(j->m);
    const size_t             size = (size_t)share * (size_t)d->d_head;
    const size_t             pairs = (size_t)d->rope.d / 2;

    for (int i = 0; i < g->n_rows; i++) {
        const int    pos = g->seg->pos + g->first + i;
        const int    t = g->seg->row + g->first + i;
        const float *cosine = own->cosine + (size_t)t * pairs;
        const float *sine = own->sine + (size_t)t * pairs;
        const bool   is_here = pos >= begin && pos < end;

        memcpy(own->q + (size_t)i * size, queries_at(j, t, h), size * sizeof(float));
        if (d->rope.d > 0) {
            e->k->rope(share, d->d_head, d->rope.d, cosine, sine, own->q + (size_t)i * size);
            if (is_here) e->k->rope(1, d->d_head, d->rope.d, cosine, sine, key_at(j, t, h));
        }
        if (is_here) remember(e, j, g->seg, g->first + i, h);
    }
}

/* One tile a group, kv head and range. A group of one range is done here. */
static void run_attend(const bb_exec *e, const void *p, int tile)
{
    const struct job        *j = p;
    const bb_attention      *m = j->m;
    const bb_attention_dims *d = &m->dims;
    const bb_cache          *c = &e->k->cache[m->kv_type];
    const struct own         own = own_of(e, j);
    const int                n_kv = d->n_kv_heads;
    const int                share = share_of(m);
    struct group             g = first_group(e);

    for (; tile >= g.n_ranges * n_kv; next_group(e, &g)) tile -= g.n_ranges * n_kv;
    const int  h = tile % n_kv;
    const int  begin = tile / n_kv * g.range;
    const int  end = begin > INT_MAX - g.range ? INT_MAX : begin + g.range;
    const int  t = g.seg->row + g.first;
    const bool whole = g.n_ranges == 1;
    float     *part = whole ? own.part : parts_at(j, t, h) + (size_t)(tile / n_kv) * part_size(m);
    const size_t ld_part = whole ? part_size(m) : (size_t)(n_kv * MOST_RANGES) * part_size(m);
    const unsigned char *kv = (const unsigned char *)g.seg->state[m->base.slot]
                            + (size_t)h * head_block(m) * element_bytes(m);

    if (j->at_once) {
        turn_own(e, j, &g, h, begin, end, &own);
        bb_mark(e, BB_OP_ROPE);
    }
    (e->T > BB_FEW_ROWS ? c->attend_many : c->attend)(
        g.n_rows, share, d->d_head, 1.0f / sqrtf((float)d->d_head),
        j->at_once ? own.q : queries_at(j, t, h),
        (size_t)(j->at_once ? share : d->n_heads) * (size_t)d->d_head, kv, whole_block(m),
        g.seg->pos + g.first, begin, end, part, ld_part, own.attend);
    if (whole)
        for (int r = 0; r < g.n_rows; r++)
            e->k->attend_join(1, share, d->d_head, part + (size_t)r * ld_part, 0,
                              queries_at(j, t + r, h));
    bb_mark(e, BB_OP_ATTENTION);
}

/* One tile a group and kv head: what run_attend left in parts. */
static void run_join(const bb_exec *e, const void *p, int tile)
{
    const struct job *j = p;
    const int         n_kv = j->m->dims.n_kv_heads;
    const int         h = tile % n_kv;
    struct group      g = first_group(e);

    for (int i = tile / n_kv; i > 0; i--) next_group(e, &g);
    if (g.n_ranges == 1) return;
    for (int r = g.first; r < g.first + g.n_rows; r++)
        e->k->attend_join((g.seg->pos + r) / g.range + 1, share_of(j->m), j->m->dims.d_head,
                          parts_at(j, g.seg->row + r, h), part_size(j->m),
                          queries_at(j, g.seg->row + r, h));
}

static void forward(const bb_mixer *base, const bb_exec *e)
{
    const bb_attention *m = (const bb_attention *)base;
    bb_operand          h = bb_operand_of(e->T, m->dims.d_model, e->h);
    bb_arena            arena = e->scratch;
    struct job          j = { .m = m, .s = take_scratch(m, e->T, e->n_threads, &arena) };
    const bb_product    qkv[3] = { { &m->q, j.s.q, (size_t)m->q.w.rows },
                                   { &m->k, j.s.k, (size_t)m->k.w.rows },
                                   { &m->v, j.s.v, (size_t)m->v.w.rows } };
    const int           n_kv = m->dims.n_kv_heads;
    struct group        g = first_group(e);
    int                 n_groups = 0;
    int                 n_parts = 0;

    do {
        n_groups++;
        n_parts += g.n_ranges;
    } while (next_group(e, &g));
    j.at_once = e->T <= BB_FEW_ROWS && n_groups == e->n_segments;

    bb_multiply(e, BB_OP_QKV, qkv, 3, &h, NULL, NULL);
    if (!j.at_once) {
        bb_each_tile(e, n_groups, run_remember, &j);
        bb_mark(e, BB_OP_ROPE);
    }
    bb_each_tile_after(e, j.at_once ? prepare_angles : NULL, &j, n_parts * n_kv, run_attend, &j);
    if (n_parts > n_groups) bb_each_tile(e, n_groups * n_kv, run_join, &j);
    bb_mark(e, BB_OP_ATTENTION);

    bb_operand attended = bb_operand_of(e->T, m->o.w.cols, bb_rows_at(j.s.q, (size_t)m->o.w.cols));
    bb_multiply_add(e, BB_OP_OUT_PROJ, &m->o, &attended, j.s.out);
}

static void print(const bb_mixer *base, bb_printer *p)
{
    const bb_attention_dims *d = &((const bb_attention *)base)->dims;

    bb_print(p, "%d -> %d heads (%d kv) x %d", d->d_model, d->n_heads, d->n_kv_heads, d->d_head);
    bb_rope_print(&d->rope, d->d_head, p);
    if (d->bias) bb_print(p, ", bias");
}

static void count(const bb_mixer *base, const bb_work *w, bb_count *c)
{
    const bb_attention      *m = (const bb_attention *)base;
    const bb_attention_dims *d = &m->dims;
    const uint64_t           heads = (uint64_t)d->n_heads;
    const uint64_t           d_kv = (uint64_t)d->n_kv_heads * (uint64_t)d->d_head;

    bb_count_product(&m->q, w->T, &c[BB_OP_QKV]);
    bb_count_product(&m->k, w->T, &c[BB_OP_QKV]);
    bb_count_product(&m->v, w->T, &c[BB_OP_QKV]);
    bb_count_rope(heads + (uint64_t)d->n_kv_heads, (uint64_t)d->rope.d, d_kv, element_bytes(m), w,
                  &c[BB_OP_ROPE]);
    bb_count_attention(heads, (uint64_t)d->d_head, d_kv, element_bytes(m), w,
                       &c[BB_OP_ATTENTION]);
    bb_count_product(&m->o, w->T, &c[BB_OP_OUT_PROJ]);
}

static const bb_mixer_kind kind = {
    .name = "attention", .bind = bind, .state_bytes = state_bytes,
    .scratch_bytes = scratch_bytes, .forward = forward, .print = print, .count = count,
};

void bb_plan_attention(bb_plan *p, const char *prefix, const bb_attention_dims *dims)
{
    const size_t table = bb_rope_table_size(&dims->rope) * sizeof(double);

    if (dims->rope.d > 2 * BB_ROPE_PAIRS || (int64_t)dims->n_heads * dims->d_head > BB_MAX_DIM) {
        bb_plan_fail(p, BAMBA_ERR_UNSUPPORTED,
                     "'%s%s': attention of %d heads x %d, %d rotated: too wide", p->prefix, prefix,
                     dims->n_heads, dims->d_head, dims->rope.d);
        return;
    }
    bb_attention *m = (bb_attention *)bb_plan_mixer(p, &kind, sizeof *m + table, prefix, true);
    if (!m) return;
    m->dims = *dims;
    m->dims.rope.shorter = m->dims.rope.longer = NULL;            /* the caller's, read here only */
    bb_rope_init(&m->rope, &dims->rope, (double *)(void *)(m + 1));
    m->kv_type = p->kv_type;
}
