/* attention.c - causal attention with grouped queries and rotary positions.
 *
 * Cache of a session: a page for each 64 positions, of a block for each kv head, keys and values in
 * the cache's type, in the order that a level's kernels like.
 * A pass of few rows cuts the positions of a row into at most 16 ranges, tiles of their own, whose
 * parts of the softmax are joined in a second stage: so one deep sequence has work for every
 * thread. Where the cuts are depends on the row's position alone. Passes of many rows have tiles
 * enough. Applying RoPE and storing keys is a stage of its own, or, where no tile needs a key that
 * another tile stores (decoding), part of the tile that attends.
 * Source: Ainslie et al. 2023, arXiv:2305.13245 (GQA); Su et al. 2021, arXiv:2104.09864 (RoPE). */
#include "mixer/attention_internal.h"
#include "mixer/product.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <string.h>

enum { RANGE = 1024, MOST_RANGES = 16 };  /* positions of a range at least; ranges of a row */
enum { PARTS = 1 + MOST_RANGES };         /* of a row's softmax: of the sink, then of each range */

/* -------------------------------------------------------------- memory ------------------- */

struct scratch {
    float *q;                             /* [T, heads · d], replaced by the attended values */
    float *k, *v;                         /* [T, kv_heads · d] */
    float *raw;                           /* [T, (heads + 2 kv_heads) · d] before a convolution */
    float *low;                           /* [3, T, rank] on the way to low-rank terms */
    float *part;                          /* [min(T, 32), kv_heads, PARTS, share, PART] */
    unsigned char *own;                   /* [n_threads, own_bytes] */
};

/* The query heads of a kv head. */
static int share_of(const bb_attention *m) { return m->dims.n_heads / m->dims.n_kv_heads; }

/* Floats of the parts that one range makes of one row and kv head. */
static size_t part_size(const bb_attention *m)
{
    return (size_t)share_of(m) * BB_ATTEND_PART(m->dims.d_head);
}

/* Memory that a thread does not share. */
struct own {
    float *part;                          /* [BB_ATTEND_ROWS, 2, share, PART]: group, one range */
    float *q;                             /* [BB_ATTEND_ROWS, share, d] queries after RoPE */
    float *cosine, *sine;                 /* [BB_FEW_ROWS, d/2] of few rows */
    float *attend;                        /* [BB_ATTEND_SCRATCH] */
};

static struct own take_own(const bb_attention *m, bb_arena *a)
{
    const size_t rows = BB_ATTEND_ROWS;
    const size_t pairs = (size_t)m->dims.rope.d / 2;
    struct own   o;

    o.part   = bb_take(a, 2 * rows * part_size(m), sizeof(float));
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
    s.raw    = m->dims.d_conv > 0 ? bb_take(a, t * (size_t)bb_attention_columns(m), sizeof(float))
                                  : NULL;
    s.low    = m->dims.low_rank.rank
             ? bb_take(a, 3 * t * (size_t)m->dims.low_rank.rank, sizeof(float)) : NULL;
    s.part   = bb_take(a, few * (size_t)m->dims.n_kv_heads * PARTS * part_size(m),
                       sizeof(float));
    s.own    = bb_take(a, (size_t)n_threads, own_bytes(m));
    return s;
}

size_t bb_attention_scratch_bytes(const bb_mixer *base, int T, int n_threads)
{
    bb_arena a = BB_MEASURE;

    take_scratch((const bb_attention *)base, T, n_threads, &a);
    return a.overflow ? SIZE_MAX : a.used;
}

/* -------------------------------------------------------------- stages ------------------- */

struct job {
    const bb_attention *m;
    int                 slot;
    struct scratch      s;
};

static struct own own_of(const bb_exec *e, const struct job *j)
{
    const size_t bytes = own_bytes(j->m);
    bb_arena     a = { .base = j->s.own + (size_t)e->thread * bytes, .size = bytes, .plain = true };
    return take_own(j->m, &a);
}

/* How what a row sees is cut: the last `window` positions (INT_MAX: all) into ranges of so many,
   beginning with number `first`; and beside them, if the window hides anything, the sink. */
struct cut {
    int  range, first, window;
    bool has_sink;
};

/* Neighbouring rows of a segment that are cut alike, which a tile takes together. */
struct group {
    const bb_segment *seg;
    int               first, n_rows;      /* rows of the segment */
    struct cut        cut;
    int               n_ranges;           /* of the last row */
};

/* Ranges of a row at pos are doubled until MOST_RANGES are enough. */
static struct cut cut_at(const bb_exec *e, const bb_segment *seg, int pos)
{
    const bool windowed = seg->window > 0 && pos - seg->sink >= seg->window;
    const int  least = windowed ? pos - seg->window + 1 : 0;
    int        range = e->pass->many ? INT_MAX : RANGE;

    while (pos / range - least / range >= MOST_RANGES) range *= 2;
    return (struct cut){ range, least / range, windowed ? seg->window : INT_MAX,
                         windowed && seg->sink > 0 };
}

static bool is_cut_alike(struct cut a, struct cut b)
{
    return a.range == b.range && a.first == b.first && a.window == b.window;
}

static struct group group_from(const bb_exec *e, const bb_segment *seg, int first)
{
    const int    left = seg->n_rows - first;
    const int    pos = seg->pos + first;
    struct group g = { seg, first, left < BB_ATTEND_ROWS ? left : BB_ATTEND_ROWS,
                       cut_at(e, seg, pos), 1 };

    while (!is_cut_alike(g.cut, cut_at(e, seg, pos + g.n_rows - 1))) g.n_rows--;
    g.n_ranges = (pos + g.n_rows - 1) / g.cut.range - g.cut.first + 1;
    return g;
}

static struct group first_group(const bb_exec *e) { return group_from(e, e->pass->segment, 0); }

/* Step to the next group of the pass; false if g is the last. */
static bool next_group(const bb_exec *e, struct group *g)
{
    const bb_segment *seg = g->seg;
    int               first = g->first + g->n_rows;

    if (first == seg->n_rows) {
        seg++;
        first = 0;
    }
    if (seg == e->pass->segment + e->pass->n_segments) return false;
    *g = group_from(e, seg, first);
    return true;
}

static float *key_at(const struct job *j, int t, int h)
{
    const bb_attention_dims *d = &j->m->dims;
    return j->s.k + ((size_t)t * (size_t)d->n_kv_heads + (size_t)h) * (size_t)d->d_head;
}

/* Whether some of n elements are at least `least` and at most `most` in size; NaN is not. */
static bool any_between(float least, float most, int n, const float *x)
{
    int any = 0;

    for (int i = 0; i < n; i++) any |= (fabsf(x[i]) >= least) & (fabsf(x[i]) <= most);
    return any;
}

/* A key [d] and value that float16 does not hold: instead of an infinite key, which could give the
   score -infinity and be passed over in silence, one that is NaN, and so all that attends to it. */
static void check_f16(const bb_exec *e, int d, float *k, const float *v)
{
    const float least = 65520.0f, most = FLT_MAX;     /* least is rounded to infinity */

    if (!any_between(least, INFINITY, d, k) && !any_between(least, INFINITY, d, v)) return;
    if (e->pass->overflow && (any_between(least, most, d, k) || any_between(least, most, d, v)))
        atomic_store(e->pass->overflow, true);
    k[0] = NAN;
}

/* Row r of a segment: its key and value of kv head h into the cache. */
static void store_key(const bb_exec *e, const struct job *j, const bb_segment *seg, int r, int h)
{
    const bb_attention *m = j->m;
    const int           pos = seg->pos + r;
    float              *k = key_at(j, seg->row + r, h), *v = k - j->s.k + j->s.v;

    if (m->kv_type == BB_TYPE_F16) check_f16(e, m->dims.d_head, k, v);
    e->pass->k->cache[m->kv_type].put(m->dims.d_head, k, v, pos % BB_KV_BLOCK,
                                      bb_attention_at(m, &seg->slot[j->slot].cache,
                                                      (size_t)(pos - seg->gone), h));
}

/* One tile a group: RoPE on its queries and keys, keys and values into the cache. Queries that
   attend to a sink are turned in two ways, later. */
static void run_store(const bb_exec *e, const void *p, int tile)
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
            if (!g.cut.has_sink)
                e->pass->k->rope(d->n_heads, d->d_head, d->rope.d, cosine, sine,
                                 j->s.q + (size_t)t * (size_t)d->n_heads * (size_t)d->d_head);
            e->pass->k->rope(d->n_kv_heads, d->d_head, d->rope.d, cosine, sine, key_at(j, t, 0));
        }
        for (int h = 0; h < d->n_kv_heads; h++) store_key(e, j, g.seg, r, h);
    }
}

/* The queries of row t that share kv head h: [share, d]. */
static float *queries_at(const struct job *j, int t, int h)
{
    const bb_attention_dims *d = &j->m->dims;
    return j->s.q + ((size_t)t * (size_t)d->n_heads + (size_t)(h * share_of(j->m)))
                  * (size_t)d->d_head;
}

/* What the sink and the ranges of row t and kv head h make: [PARTS, share, PART]. */
static float *parts_at(const struct job *j, int t, int h)
{
    return j->s.part + ((size_t)t * (size_t)j->m->dims.n_kv_heads + (size_t)h) * PARTS
                     * part_size(j->m);
}

/* A tile: a kv head of a group, and a range of positions. */
struct tile {
    struct group g;
    int          h, begin, end;           /* positions begin … end - 1; end may exceed them */
    int          range;                   /* of the group's ranges */
};

static struct tile tile_of(const bb_exec *e, const struct job *j, int number)
{
    const int   n_kv = j->m->dims.n_kv_heads;
    struct tile t = { .g = first_group(e) };

    for (; number >= t.g.n_ranges * n_kv; next_group(e, &t.g)) number -= t.g.n_ranges * n_kv;
    t.h = number % n_kv;
    t.range = number / n_kv;
    t.begin = (t.g.cut.first + t.range) * t.g.cut.range;
    t.end = t.begin > INT_MAX - t.g.cut.range ? INT_MAX : t.begin + t.g.cut.range;
    return t;
}

/* Where the parts of a tile's rows are made, [rows, n_parts, share, PART], row stride *ld: in
   memory of the thread's own if the group has one range. */
static float *parts_of(const struct job *j, const struct tile *tile, const struct own *own,
                       size_t *ld)
{
    const bool whole = tile->g.n_ranges == 1;

    *ld = part_size(j->m) * (whole ? 2 : (size_t)(j->m->dims.n_kv_heads * PARTS));
    return whole ? own->part : parts_at(j, tile->g.seg->row + tile->g.first, tile->h);
}

/* Row r of a segment, from the parts of kv head h: the attended values replace the queries. */
static void join(const bb_exec *e, const struct job *j, const struct group *g, int r, int h,
                 const float *part)
{
    const int n = (g->seg->pos + r) / g->cut.range - g->cut.first + 1;

    if (!g->cut.has_sink) part += part_size(j->m);
    e->pass->k->attend_join(n + g->cut.has_sink, share_of(j->m), j->m->dims.d_head, part,
                            part_size(j->m), queries_at(j, g->seg->row + r, h));
}

/* Attend with the queries q [rows of the group, share, d] row stride ldq, into parts; a group of
   one range is finished here. */
static void attend(const bb_exec *e, const struct job *j, const struct tile *tile, const float *q,
                   size_t ldq, const struct own *own)
{
    const bb_attention *m = j->m;
    const bb_cache     *c = &e->pass->k->cache[m->kv_type];
    const struct group *g = &tile->g;
    const bb_pages     *cache = &g->seg->slot[j->slot].cache;
    const int           gone = g->seg->gone, pos = g->seg->pos + g->first;
    size_t              ld_part;
    float              *part = parts_of(j, tile, own, &ld_part);

    (e->pass->many ? c->attend_many : c->attend)(
        g->n_rows, share_of(m), m->dims.d_head, m->dims.scale, q, ldq,
        (const void *const *)cache->page, cache->at + (size_t)tile->h * bb_attention_block(m),
        pos - gone, tile->begin > gone ? tile->begin - gone : 0,
        tile->end == INT_MAX ? INT_MAX : tile->end - gone, g->cut.window,
        part + (size_t)(1 + tile->range) * part_size(m), ld_part, own->attend);
    for (int r = 0; g->n_ranges == 1 && r < g->n_rows; r++)
        join(e, j, g, g->first + r, tile->h, part + (size_t)r * ld_part);
    bb_mark(e, m->base.op[BB_ATTENTION_ATTEND]);
}

/* Copies of the tile's queries, [rows, share, d], into own.q, turned by RoPE: to their positions,
   or if `as_last` to the last one of a text that just fills sink and window. */
static void turn_queries(const bb_exec *e, const struct job *j, const struct tile *tile,
                         bool as_last, const struct own *own)
{
    const bb_attention_dims *d = &j->m->dims;
    const struct group      *g = &tile->g;
    const bb_segment        *seg = g->seg;
    const int                share = share_of(j->m);
    const size_t             size = (size_t)share * (size_t)d->d_head;
    float                    cosine[BB_ROPE_PAIRS], sine[BB_ROPE_PAIRS];

    for (int i = 0; i < g->n_rows; i++) {
        const int r = g->first + i;
        memcpy(own->q + (size_t)i * size, queries_at(j, seg->row + r, tile->h),
               size * sizeof(float));
        if (d->rope.d == 0) continue;
        if (!as_last || i == 0)
            bb_rope_angles(&j->m->rope, as_last ? seg->sink + seg->window - 1 : seg->pos + r,
                           seg->length, cosine, sine);
        e->pass->k->rope(share, d->d_head, d->rope.d, cosine, sine, own->q + (size_t)i * size);
    }
}

/* Attend to the sink, if it is this tile's task. To rotary positions it lies where it lay when sink
   and window just held the text: further away than the window is long no key has been seen in
   training. Source: Xiao et al. 2023, arXiv:2309.17453. */
static void attend_sink(const bb_exec *e, const struct job *j, const struct tile *tile,
                        const struct own *own)
{
    const bb_attention *m = j->m;
    const bb_cache     *c = &e->pass->k->cache[m->kv_type];
    const struct group *g = &tile->g;
    const bb_pages     *cache = &g->seg->slot[j->slot].cache;
    const int           share = share_of(m), d = m->dims.d_head, sink = g->seg->sink;
    size_t              ld_part;
    float              *part = parts_of(j, tile, own, &ld_part);

    if (!g->cut.has_sink || tile->range > 0) return;
    turn_queries(e, j, tile, true, own);
    (e->pass->many ? c->attend_many : c->attend)(
        g->n_rows, share, d, m->dims.scale, own->q, (size_t)share * (size_t)d,
        (const void *const *)cache->page, cache->at + (size_t)tile->h * bb_attention_block(m), sink,
        0, sink, INT_MAX, part, ld_part, own->attend);
}

/* Queries and cache are ready, by run_store. */
static void run_attend(const bb_exec *e, const void *p, int number)
{
    const struct job        *j = p;
    const bb_attention_dims *d = &j->m->dims;
    const struct tile        tile = tile_of(e, j, number);
    const struct own         own = own_of(e, j);

    if (!tile.g.cut.has_sink) {
        attend(e, j, &tile, queries_at(j, tile.g.seg->row + tile.g.first, tile.h),
               (size_t)d->n_heads * (size_t)d->d_head, &own);
        return;
    }
    attend_sink(e, j, &tile, &own);
    turn_queries(e, j, &tile, false, &own);
    attend(e, j, &tile, own.q, (size_t)share_of(j->m) * (size_t)d->d_head, &own);
}

/* Before a thread's first run_store_and_attend: the angles of every row. */
static void make_angles(const bb_exec *e, void *p)
{
    const struct job *j = p;
    const struct own  own = own_of(e, j);
    const size_t      pairs = (size_t)j->m->dims.rope.d / 2;

    for (int i = 0; i < e->pass->n_segments; i++) {
        const bb_segment *seg = &e->pass->segment[i];
        for (int r = 0; r < seg->n_rows; r++) {
            const size_t at = (size_t)(seg->row + r) * pairs;
            bb_rope_angles(&j->m->rope, seg->pos + r, seg->length, own.cosine + at, own.sine + at);
        }
    }
}

/* RoPE on a copy of the tile's queries, which other ranges read too, and on the keys of its own
   range, which go into the cache. */
static void run_store_and_attend(const bb_exec *e, const void *p, int number)
{
    const struct job        *j = p;
    const bb_attention_dims *d = &j->m->dims;
    const struct tile        tile = tile_of(e, j, number);
    const struct group      *g = &tile.g;
    const struct own         own = own_of(e, j);
    const int                share = share_of(j->m);
    const size_t             size = (size_t)share * (size_t)d->d_head;
    const size_t             pairs = (size_t)d->rope.d / 2;

    attend_sink(e, j, &tile, &own);
    for (int i = 0; i < g->n_rows; i++) {
        const int    pos = g->seg->pos + g->first + i;
        const int    t = g->seg->row + g->first + i;
        const float *cosine = own.cosine + (size_t)t * pairs;
        const float *sine = own.sine + (size_t)t * pairs;
        const bool   is_here = pos >= tile.begin && pos < tile.end;
        float       *q = own.q + (size_t)i * size;

        memcpy(q, queries_at(j, t, tile.h), size * sizeof *q);
        if (d->rope.d > 0) {
            e->pass->k->rope(share, d->d_head, d->rope.d, cosine, sine, q);
            if (is_here)
                e->pass->k->rope(1, d->d_head, d->rope.d, cosine, sine, key_at(j, t, tile.h));
        }
        if (is_here) store_key(e, j, g->seg, g->first + i, tile.h);
    }
    bb_mark(e, j->m->base.op[BB_ATTENTION_ROPE]);
    attend(e, j, &tile, own.q, size, &own);
}

/* One tile a group and kv head: join the parts of the softmax over all ranges. */
static void run_join(const bb_exec *e, const void *p, int tile)
{
    const struct job *j = p;
    const int         n_kv = j->m->dims.n_kv_heads;
    const int         h = tile % n_kv;
    struct group      g = first_group(e);

    for (int i = tile / n_kv; i > 0; i--) next_group(e, &g);
    if (g.n_ranges == 1) return;
    for (int r = g.first; r < g.first + g.n_rows; r++)
        join(e, j, &g, r, h, parts_at(j, g.seg->row + r, h));
}

/* Columns first … first + n - 1 of q, k and v stand, of one of the three: convolve them. */
static void finish_qkv(const bb_exec *e, const void *p, int first, int n)
{
    const struct job   *j = p;
    const bb_attention *m = j->m;
    const int           d_q = m->q.w.rows, d_kv = m->k.w.rows;
    float *const        to[3] = { j->s.q, j->s.k, j->s.v };
    const int           which = first < d_q ? 0 : first < d_q + d_kv ? 1 : 2;
    const int           before = which == 0 ? 0 : which == 1 ? d_q : d_q + d_kv;

    bb_attention_convolve(m, e, j->slot, first, n, j->s.raw, to[which] + (first - before),
                          which == 0 ? (size_t)d_q : (size_t)d_kv);
    bb_mark(e, m->base.op[BB_ATTENTION_CONV]);
}

/* With low-rank terms, those of use number `nth`. */
static void make_qkv(const bb_exec *e, const struct job *j, int nth, bb_source *h)
{
    const bb_attention *m = j->m;
    const bb_linear    *in[3] = { &m->q, &m->k, &m->v };
    const bb_use_term  *l = j->s.low ? &m->low_rank[3 * nth] : NULL;
    const size_t        rank = (size_t)m->dims.low_rank.rank;
    float              *to[3] = { j->s.q, j->s.k, j->s.v }, *raw = j->s.raw;
    const bb_epilogue   then = { .after = finish_qkv, .job = j };
    bb_product          p[6];

    for (size_t i = 0; i < 3; i++) {
        const size_t rows = (size_t)in[i]->w.rows;
        p[i] = (bb_product){ in[i], NULL, bb_sink_store(to[i], rows) };
        if (raw) p[i].to = bb_sink_store(raw, (size_t)bb_attention_columns(m)), raw += rows;
        if (l) p[3 + i] = (bb_product){ &l[i].down, NULL,
                                        bb_sink_store(j->s.low + i * (size_t)e->pass->T * rank,
                                                      rank) };
    }
    bb_multiply(e, m->base.op[BB_ATTENTION_QKV], p, l ? 6 : 3, h, raw ? &then : NULL);
    for (size_t i = 0; l && i < 3; i++)
        bb_low_rank_add(e, m->base.op[BB_ATTENTION_QKV], &l[i], 1, p[3 + i].to.y, &to[i]);
}

void bb_attention_forward(const bb_mixer *base, const bb_exec *e, const bb_call *c)
{
    const bb_attention *m = (const bb_attention *)base;
    bb_arena            arena = e->pass->scratch;
    struct job          j = { m, c->slot, take_scratch(m, e->pass->T, e->pass->n_threads, &arena) };
    const bb_product    out = { &m->o, NULL, c->out };
    bb_source           h = c->in;
    bb_source           attended = bb_source_of(e, j.s.q, (size_t)m->o.w.cols, m->o.w.cols);
    const int           n_kv = m->dims.n_kv_heads;
    struct group        g = first_group(e);
    int                 n_groups = 0, n_parts = 0;

    do {
        n_groups++;
        n_parts += g.n_ranges;
    } while (next_group(e, &g));

    make_qkv(e, &j, c->nth, &h);
    if (!e->pass->many && n_groups == e->pass->n_segments) {
        bb_each_tile_after(e, make_angles, &j, n_parts * n_kv, run_store_and_attend, &j);
    } else {
        bb_each_tile(e, n_groups, run_store, &j);
        bb_mark(e, base->op[BB_ATTENTION_ROPE]);
        bb_each_tile(e, n_parts * n_kv, run_attend, &j);
    }
    if (n_parts > n_groups) bb_each_tile(e, n_groups * n_kv, run_join, &j);
    bb_mark(e, base->op[BB_ATTENTION_ATTEND]);
    bb_multiply(e, base->op[BB_ATTENTION_OUT_PROJ], &out, 1, &attended, NULL);
}
