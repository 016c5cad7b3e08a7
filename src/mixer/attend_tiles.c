/* attend_tiles.c - the tiles of attention's stages: RoPE and storing keys, attending, joining.
 *
 * Applying RoPE and storing keys is a stage of its own, or, where no tile needs a key that another
 * tile stores (decoding), part of the tile that attends.
 * Source: Ainslie et al. 2023, arXiv:2305.13245 (GQA); Su et al. 2021, arXiv:2104.09864 (RoPE). */
#include "mixer/attend_internal.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <string.h>

typedef bb_attend_job   job;
typedef bb_attend_group group;

/* -------------------------------------------------------------- keys and RoPE ------------ */

static float *key_at(const job *j, int t, int h)
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
static void store_key(const bb_exec *e, const job *j, const bb_segment *seg, int r, int h)
{
    const bb_attention *m = j->m;
    const int           pos = seg->pos + r;
    float              *k = key_at(j, seg->row + r, h), *v = k - j->s.k + j->s.v;

    if (m->kv_type == BB_TYPE_F16) check_f16(e, m->dims.d_head, k, v);
    e->pass->k->cache[m->kv_type].put(m->dims.d_head, k, v, pos % BB_KV_BLOCK,
                                      bb_attention_at(m, &seg->slot[j->slot].cache,
                                                      (size_t)(pos - seg->gone), h));
}

void bb_attend_store(const bb_exec *e, const void *p, int tile)
{
    const job               *j = p;
    const bb_attention      *m = j->m;
    const bb_attention_dims *d = &m->dims;
    group                    g = bb_attend_first_group(e);
    float                    cosine[BB_ROPE_PAIRS], sine[BB_ROPE_PAIRS];

    while (tile-- > 0) bb_attend_next_group(e, &g);
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

/* -------------------------------------------------------------- attending ---------------- */

/* The queries of row t that share kv head h: [share, d]. */
static float *queries_at(const job *j, int t, int h)
{
    const bb_attention_dims *d = &j->m->dims;
    return j->s.q + ((size_t)t * (size_t)d->n_heads + (size_t)(h * bb_attend_share(j->m)))
                  * (size_t)d->d_head;
}

/* What the sink and the ranges of row t and kv head h make: [PARTS, share, PART]. */
static float *parts_at(const job *j, int t, int h)
{
    return j->s.part + ((size_t)t * (size_t)j->m->dims.n_kv_heads + (size_t)h) * BB_ATTEND_PARTS
                     * bb_attend_part_size(j->m);
}

/* A tile of attending: a kv head of a group, and a range of positions. */
struct tile {
    group g;
    int   h, begin, end;                  /* positions begin … end - 1; end may exceed them */
    int   range;                          /* of the group's ranges */
};

static struct tile tile_of(const bb_exec *e, const job *j, int number)
{
    const int   n_kv = j->m->dims.n_kv_heads;
    struct tile t = { .g = bb_attend_first_group(e) };

    for (; number >= t.g.n_ranges * n_kv; bb_attend_next_group(e, &t.g))
        number -= t.g.n_ranges * n_kv;
    t.h = number % n_kv;
    t.range = number / n_kv;
    t.begin = (t.g.cut.first + t.range) * t.g.cut.range;
    t.end = t.begin > INT_MAX - t.g.cut.range ? INT_MAX : t.begin + t.g.cut.range;
    return t;
}

/* Where the parts of a tile's rows are made, [rows, n_parts, share, PART], row stride *ld: in
   memory of the thread's own if the group has one range. */
static float *parts_of(const job *j, const struct tile *tile, const bb_attend_own *own, size_t *ld)
{
    const bool whole = tile->g.n_ranges == 1;
    const int  n = whole ? 2 : j->m->dims.n_kv_heads * BB_ATTEND_PARTS;

    *ld = bb_attend_part_size(j->m) * (size_t)n;
    return whole ? own->part : parts_at(j, tile->g.seg->row + tile->g.first, tile->h);
}

/* Row r of a segment, from the parts of kv head h: the attended values replace the queries. */
static void join(const bb_exec *e, const job *j, const group *g, int r, int h, const float *part)
{
    const int n = (g->seg->pos + r) / g->cut.range - g->cut.first + 1;

    if (!g->cut.has_sink) part += bb_attend_part_size(j->m);
    e->pass->k->attend_join(n + g->cut.has_sink, bb_attend_share(j->m), j->m->dims.d_head, part,
                            bb_attend_part_size(j->m), queries_at(j, g->seg->row + r, h));
}

/* Attend with the queries q [rows of the group, share, d] row stride ldq, into parts; a group of
   one range is finished here. */
static void attend(const bb_exec *e, const job *j, const struct tile *tile, const float *q,
                   size_t ldq, const bb_attend_own *own)
{
    const bb_attention *m = j->m;
    const bb_cache     *c = &e->pass->k->cache[m->kv_type];
    const group        *g = &tile->g;
    const bb_pages     *cache = &g->seg->slot[j->slot].cache;
    const int           gone = g->seg->gone, pos = g->seg->pos + g->first;
    size_t              ld_part;
    float              *part = parts_of(j, tile, own, &ld_part);

    (e->pass->many ? c->attend_many : c->attend)(
        g->n_rows, bb_attend_share(m), m->dims.d_head, m->dims.scale, q, ldq,
        (const void *const *)cache->page, cache->at + (size_t)tile->h * bb_attention_block(m),
        pos - gone, tile->begin > gone ? tile->begin - gone : 0,
        tile->end == INT_MAX ? INT_MAX : tile->end - gone, g->cut.window,
        part + (size_t)(1 + tile->range) * bb_attend_part_size(m), ld_part, own->attend);
    for (int r = 0; g->n_ranges == 1 && r < g->n_rows; r++)
        join(e, j, g, g->first + r, tile->h, part + (size_t)r * ld_part);
    bb_mark(e, m->base.op[BB_ATTENTION_ATTEND]);
}

/* Copies of the tile's queries, [rows, share, d], into own.q, turned by RoPE: to their positions,
   or if `as_last` to the last one of a text that just fills sink and window. */
static void turn_queries(const bb_exec *e, const job *j, const struct tile *tile,
                         bool as_last, const bb_attend_own *own)
{
    const bb_attention_dims *d = &j->m->dims;
    const group             *g = &tile->g;
    const bb_segment        *seg = g->seg;
    const int                share = bb_attend_share(j->m);
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
static void attend_sink(const bb_exec *e, const job *j, const struct tile *tile,
                        const bb_attend_own *own)
{
    const bb_attention *m = j->m;
    const bb_cache     *c = &e->pass->k->cache[m->kv_type];
    const group        *g = &tile->g;
    const bb_pages     *cache = &g->seg->slot[j->slot].cache;
    const int           share = bb_attend_share(m), d = m->dims.d_head, sink = g->seg->sink;
    size_t              ld_part;
    float              *part = parts_of(j, tile, own, &ld_part);

    if (!g->cut.has_sink || tile->range > 0) return;
    turn_queries(e, j, tile, true, own);
    (e->pass->many ? c->attend_many : c->attend)(
        g->n_rows, share, d, m->dims.scale, own->q, (size_t)share * (size_t)d,
        (const void *const *)cache->page, cache->at + (size_t)tile->h * bb_attention_block(m), sink,
        0, sink, INT_MAX, part, ld_part, own->attend);
}

void bb_attend_run(const bb_exec *e, const void *p, int number)
{
    const job               *j = p;
    const bb_attention_dims *d = &j->m->dims;
    const struct tile        tile = tile_of(e, j, number);
    const bb_attend_own      own = bb_attend_own_of(e, j);

    if (!tile.g.cut.has_sink) {
        attend(e, j, &tile, queries_at(j, tile.g.seg->row + tile.g.first, tile.h),
               (size_t)d->n_heads * (size_t)d->d_head, &own);
        return;
    }
    attend_sink(e, j, &tile, &own);
    turn_queries(e, j, &tile, false, &own);
    attend(e, j, &tile, own.q, (size_t)bb_attend_share(j->m) * (size_t)d->d_head, &own);
}

/* -------------------------------------------------------------- decoding ----------------- */

void bb_attend_angles(const bb_exec *e, void *p)
{
    const job          *j = p;
    const bb_attend_own own = bb_attend_own_of(e, j);
    const size_t        pairs = (size_t)j->m->dims.rope.d / 2;

    for (int i = 0; i < e->pass->n_segments; i++) {
        const bb_segment *seg = &e->pass->segment[i];
        for (int r = 0; r < seg->n_rows; r++) {
            const size_t at = (size_t)(seg->row + r) * pairs;
            bb_rope_angles(&j->m->rope, seg->pos + r, seg->length, own.cosine + at, own.sine + at);
        }
    }
}

void bb_attend_store_and_run(const bb_exec *e, const void *p, int number)
{
    const job               *j = p;
    const bb_attention_dims *d = &j->m->dims;
    const struct tile        tile = tile_of(e, j, number);
    const group             *g = &tile.g;
    const bb_attend_own      own = bb_attend_own_of(e, j);
    const int                share = bb_attend_share(j->m);
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

/* -------------------------------------------------------------- joining ------------------ */

void bb_attend_join(const bb_exec *e, const void *p, int tile)
{
    const job *j = p;
    const int  n_kv = j->m->dims.n_kv_heads;
    const int  h = tile % n_kv;
    group      g = bb_attend_first_group(e);

    for (int i = tile / n_kv; i > 0; i--) bb_attend_next_group(e, &g);
    if (g.n_ranges == 1) return;
    for (int r = g.first; r < g.first + g.n_rows; r++)
        join(e, j, &g, r, h, parts_at(j, g.seg->row + r, h));
}
