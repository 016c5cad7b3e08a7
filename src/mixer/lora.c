/* lora.c - what adapters add to products.
 *
 * Neighbouring rows that have the same adapters are a group of up to BB_FEW_ROWS. */
#include "mixer/lora.h"

#include <string.h>

/* -------------------------------------------------------------- room --------------------- */

enum { READ_TILE = 8 };                   /* inputs of a tile: rows of A */
enum { HALVES, FLOATS, N_KINDS };         /* of elements of A, for which x is prepared apart */

/* What a thread keeps to itself. */
typedef struct own {
    float         *inputs;                /* [BB_FEW_ROWS, BB_LORA_MAPS, n_inputs] of few rows */
    unsigned char *prepared[N_KINDS];     /* BB_FEW_ROWS rows of x, group after group */
    float         *tile;                  /* [BB_PLACES, BB_FEW_ROWS, READ_TILE] */
} own;

struct bb_lora_room {
    float *inputs;                        /* [T · most_used, BB_LORA_MAPS, n_inputs] */
    own    first;                         /* of thread 0; thread i's is i · own_bytes further on */
    size_t own_bytes;
    int    n_inputs;
};

static const bb_format *format_of(const bb_kernels *k, int kind)
{
    return &k->format[kind == HALVES ? BB_FORMAT_F16 : BB_FORMAT_F32];
}

static own take_own(const bb_kernels *k, int widest, int n_inputs, bb_arena *a)
{
    own o;

    o.inputs = bb_take(a, (size_t)BB_FEW_ROWS * BB_LORA_MAPS * (size_t)n_inputs, sizeof(float));
    for (int i = 0; i < N_KINDS; i++)
        o.prepared[i] = bb_take(a, BB_FEW_ROWS, format_of(k, i)->few_bytes(1, widest));
    o.tile = bb_take(a, (size_t)BB_PLACES * BB_FEW_ROWS * READ_TILE, sizeof(float));
    return o;
}

bb_lora_room *bb_lora_room_take(bb_arena *a, const bb_kernels *k, int T, int most_used, int widest,
                                int n_inputs, int n_threads)
{
    bb_lora_room *room = bb_take(a, 1, sizeof *room);
    bb_lora_room  r = { .n_inputs = n_inputs };
    const size_t  rows = (size_t)T * (size_t)most_used;

    r.inputs = bb_take(a, rows * BB_LORA_MAPS * (size_t)n_inputs, sizeof(float));
    for (int i = 0; i < n_threads; i++) {
        const size_t before = a->used;
        const own    o = take_own(k, widest, n_inputs, a);
        if (i == 0) r.first = o;
        r.own_bytes = a->used - before;
    }
    if (room) *room = r;
    return room;
}

static own own_of(const bb_exec *e)
{
    const bb_lora_room *room = e->pass->lora;
    const size_t        bytes = (size_t)e->thread * room->own_bytes;
    own                 o = room->first;

    o.inputs += bytes / sizeof(float);
    for (int i = 0; i < N_KINDS; i++) o.prepared[i] += bytes;
    o.tile += bytes / sizeof(float);
    return o;
}

/* -------------------------------------------------------------- groups ------------------- */

typedef struct group {
    int                   first, n;       /* rows of the source */
    const bb_adapter_use *use;            /* [n_uses] */
    int                   n_uses;
} group;

static const bb_segment *segment_of(const bb_pass *p, int row)
{
    const bb_segment *s = p->segment;
    while (row >= s->row + s->n_rows) s++;
    return s;
}

static bool have_the_same(const bb_segment *a, const bb_segment *b)
{
    bool same = a == b || a->n_adapters == b->n_adapters;

    for (int i = 0; a != b && same && i < a->n_adapters; i++)
        same = a->adapter[i].adapter == b->adapter[i].adapter
            && a->adapter[i].scale == b->adapter[i].scale;
    return same;
}

/* Step to the next group among rows before `end`; begin with g->first + g->n where they begin. */
static bool next_group(const bb_exec *e, const bb_lora *l, int end, group *g)
{
    const int first = g->first + g->n;

    if (first >= end) return false;
    const bb_segment *s = segment_of(e->pass, l->row ? l->row[first] : first);
    *g = (group){ first, 1, s->adapter, s->n_adapters };
    for (; g->n < BB_FEW_ROWS && first + g->n < end; g->n++) {
        const int t = l->row ? l->row[first + g->n] : first + g->n;
        if (!have_the_same(s, segment_of(e->pass, t))) break;
    }
    return true;
}

static const bb_low_rank *map_of(const bb_exec *e, const bb_adapter_use *use, const bb_linear *l)
{
    return &use->adapter->map[l->id + e->shift];
}

/* -------------------------------------------------------------- inputs ------------------- */

static bool is_adapted(const bb_exec *e, const bb_linear *l)
{
    const bb_pass *p = e->pass;

    for (int s = 0; s < p->n_segments; s++)
        for (int i = 0; i < p->segment[s].n_adapters; i++)
            if (map_of(e, &p->segment[s].adapter[i], l)->n_inputs > 0) return true;
    return false;
}

bb_lora bb_lora_of(const bb_exec *e, const bb_source *x, const bb_linear *const *map, int n)
{
    bb_lora l = { .row = x->row ? x->row : x->index, .T = x->T };
    bool    any = false;

    for (int i = 0; i < n; i++) {
        l.map[i] = map[i];
        any = any || is_adapted(e, map[i]);
    }
    l.n = any ? n : 0;
    if (any) l.inputs = e->pass->lora->inputs;
    return l;
}

/* Floats from a row's inputs to the next row's. */
static size_t stride_of(const bb_exec *e)
{
    return (size_t)BB_LORA_MAPS * (size_t)e->pass->lora->n_inputs;
}

bool bb_lora_is_adapted(const bb_exec *e, const bb_linear *map, int n)
{
    for (int i = 0; e->pass->lora && i < n; i++)
        if (is_adapted(e, &map[i])) return true;
    return false;
}

/* Whether some row of a group has an adapter for one of the maps. */
static bool is_group_adapted(const bb_exec *e, const bb_lora *l, const group *g, int n)
{
    for (int i = 0; i < g->n_uses; i++)
        for (int j = 0; j < n; j++)
            if (map_of(e, &g->use[i], l->map[j])->n_inputs > 0) return true;
    return false;
}

bb_lora bb_lora_of_pairs(const bb_exec *e, const bb_linear *map, const bb_linear *pair,
                         const int *row, int n, int before)
{
    bb_lora   l = { .map = { map, pair }, .row = row, .T = n };
    const int n_maps = pair && pair->id != map->id ? 2 : 1;       /* slices read the same */
    group     g = { 0 };

    while (l.n == 0 && next_group(e, &l, n, &g))
        if (is_group_adapted(e, &l, &g, n_maps)) l.n = n_maps;
    if (l.n > 0) l.inputs = e->pass->lora->inputs + (size_t)before * stride_of(e);
    return l;
}

static float *inputs_at(const bb_exec *e, const bb_lora *l, int t, int map)
{
    return l->inputs + (size_t)t * stride_of(e) + (size_t)map * (size_t)e->pass->lora->n_inputs;
}

static int kind_of(const bb_low_rank *m) { return m->type == BB_TYPE_F16 ? HALVES : FLOATS; }

/* Whether x must be prepared for elements of this kind, for any map of a group. */
static bool has_kind(const bb_exec *e, const bb_lora *l, const group *g, int kind)
{
    for (int j = 0; j < l->n; j++)
        for (int i = 0; i < g->n_uses; i++) {
            const bb_low_rank *m = map_of(e, &g->use[i], l->map[j]);
            if (m->rank > 0 && kind_of(m) == kind) return true;
        }
    return false;
}

void bb_lora_prepare(const bb_exec *e, const bb_lora *l, int first, int n, const float *x,
                     size_t ld)
{
    const int cols = l->map[0]->w.cols;
    const own o = own_of(e);
    group     g = { .first = first };

    while (next_group(e, l, first + n, &g))
        for (int i = 0; i < N_KINDS; i++) {
            const bb_format *f = format_of(e->pass->k, i);
            const size_t     before = (size_t)(g.first - first);
            if (has_kind(e, l, &g, i))
                f->prepare_few(g.n, cols, x + before * ld, ld,
                               o.prepared[i] + before * f->few_bytes(1, cols));
        }
}

/* Inputs of a map, first … end - 1 of those of all adapters of a group one behind the other. */
typedef struct range {
    const bb_linear *map;
    int              first, end;
} range;

/* What one adapter makes of a group, of its inputs `at` … in a range: to y [g->n, READ_TILE]. */
static void make_inputs(const bb_exec *e, const group *g, const bb_adapter_use *use, const range *r,
                        int at, size_t before, float *y)
{
    const bb_low_rank *m = map_of(e, use, r->map);
    const int          first = r->first > at ? r->first - at : 0;
    const int          end = r->end - at < m->n_inputs ? r->end - at : m->n_inputs;
    const int          n = (end < m->rank ? end : m->rank) - first, cols = r->map->w.cols;
    const float        scale = use->scale * m->scale;
    const int          kind = kind_of(m);
    const bb_format   *f = format_of(e->pass->k, kind);
    const void        *x = own_of(e).prepared[kind] + before * f->few_bytes(1, cols);

    if (first >= end) return;
    y += at + first - r->first;
    if (n > 0) f->few(g->n, n, cols, m->A, first, x, y, READ_TILE);
    for (int t = 0; t < g->n; t++, y += READ_TILE) {
        for (int i = 0; i < n; i++) y[i] *= scale;
        if (end > m->rank) y[m->rank - first] = use->scale * m->unit;
    }
}

/* Tiles go through the maps, READ_TILE inputs of each at a time. */
static range range_of(const bb_exec *e, const bb_lora *l, int tile, int *map)
{
    const int n_inputs = e->pass->lora->n_inputs, across = (n_inputs + READ_TILE - 1) / READ_TILE;
    range     r = { .first = tile % across * READ_TILE };

    *map = tile / across;
    r.map = l->map[*map];
    r.end = r.first + READ_TILE < n_inputs ? r.first + READ_TILE : n_inputs;
    return r;
}

int bb_lora_tiles(const bb_exec *e, const bb_lora *l)
{
    return l->n * ((e->pass->lora->n_inputs + READ_TILE - 1) / READ_TILE);
}

static float *place_at(const bb_exec *e, int place)
{
    return own_of(e).tile + (size_t)place * BB_FEW_ROWS * READ_TILE;
}

/* A tile of rows first … first + n - 1. */
static void compute(const bb_exec *e, const bb_lora *l, int first, int n, int tile, int place)
{
    int         map;
    const range r = range_of(e, l, tile, &map);
    group       g = { .first = first };

    while (next_group(e, l, first + n, &g)) {
        const size_t before = (size_t)(g.first - first);
        for (int i = 0, at = 0; i < g.n_uses && at < r.end; i++) {
            make_inputs(e, &g, &g.use[i], &r, at, before, place_at(e, place) + before * READ_TILE);
            at += map_of(e, &g.use[i], r.map)->n_inputs;
        }
    }
}

static void commit(const bb_exec *e, const bb_lora *l, int first, int n, int tile, int place)
{
    int          map;
    const range  r = range_of(e, l, tile, &map);
    const float *y = place_at(e, place);

    for (int t = first; t < first + n; t++, y += READ_TILE)
        memcpy(inputs_at(e, l, t, map) + r.first, y, (size_t)(r.end - r.first) * sizeof *y);
}

void bb_lora_compute(const bb_exec *e, const bb_lora *l, int tile, int place)
{
    compute(e, l, 0, l->T, tile, place);
}

void bb_lora_commit(const bb_exec *e, const bb_lora *l, int tile, int place)
{
    commit(e, l, 0, l->T, tile, place);
}

void bb_lora_take(const bb_exec *e, bb_lora *l)
{
    float *inputs = own_of(e).inputs;

    memcpy(inputs, l->inputs, (size_t)l->T * stride_of(e) * sizeof *inputs);
    l->inputs = inputs;
}

void bb_lora_read(const bb_exec *e, const bb_lora *l, int first, int n, const float *x, size_t ld)
{
    const int n_tiles = bb_lora_tiles(e, l);

    bb_lora_prepare(e, l, first, n, x, ld);
    for (int tile = 0; tile < n_tiles; tile++) {
        compute(e, l, first, n, tile, 0);
        commit(e, l, first, n, tile, 0);
    }
}

/* -------------------------------------------------------------- outputs ------------------ */

/* map: the place of at, or of a slice of the same tensor, among l's maps. */
static void add_group(const bb_exec *e, const bb_lora *l, const group *g, const bb_linear *at,
                      int map, int first, int n, float *y, size_t ldy)
{
    const float *inputs = inputs_at(e, l, g->first, map);

    for (int i = 0; i < g->n_uses; i++) {
        const bb_low_rank *m = map_of(e, &g->use[i], at);
        if (m->n_inputs == 0) continue;
        e->pass->k->expand[m->type](g->n, n, m->n_inputs, m->B, at->first + first, inputs,
                                    stride_of(e), y, ldy);
        inputs += m->n_inputs;
    }
}

void bb_lora_add(const bb_exec *e, const bb_lora *l, const bb_linear *at, int first, int n,
                 float *y, size_t ldy)
{
    group g = { 0 };
    int   map = 0;

    while (l->map[map]->id != at->id) map++;
    while (next_group(e, l, l->T, &g))
        if (g.n_uses > 0) add_group(e, l, &g, at, map, first, n, y + (size_t)g.first * ldy, ldy);
}

/* -------------------------------------------------------------- embedding and head ------- */

void bb_lora_embed(const bb_exec *e, int t, int token, int D, float *x)
{
    const bb_segment *s = segment_of(e->pass, t);

    for (int i = 0; i < s->n_adapters; i++) {
        const bb_low_rank_embed *m = &s->adapter[i].adapter->embed;
        const size_t at = (size_t)token * (size_t)m->rank;
        const float  scale = s->adapter[i].scale * m->scale;
        for (int r = 0; r < m->rank; r++)
            e->pass->k->axpy(D, scale * m->A[at + (size_t)r], m->B + (size_t)r * (size_t)D, x);
    }
}

const bb_matrix *bb_lora_own_embed(const bb_exec *e, int t, const bb_matrix *embed)
{
    const bb_segment *s = segment_of(e->pass, t);

    for (int i = 0; i < s->n_adapters; i++)
        if (s->adapter[i].adapter->own_embed.data) return &s->adapter[i].adapter->own_embed;
    return embed;
}

const bb_linear *bb_lora_own_head(const bb_exec *e, int t, const bb_linear *head)
{
    const bb_segment *s = segment_of(e->pass, t);

    for (int i = 0; i < s->n_adapters; i++)
        if (s->adapter[i].adapter->own_head.w.data) return &s->adapter[i].adapter->own_head;
    return head;
}
