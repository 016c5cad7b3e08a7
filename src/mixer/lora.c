/* lora.c - what adapters add to products.
 *
 * Neighbouring rows that have the same adapters are a group of up to BB_FEW_ROWS. */
#include "mixer/lora.h"

#include <string.h>

/* -------------------------------------------------------------- room --------------------- */

/* What a thread keeps to itself. */
typedef struct own {
    float         *inputs;                /* [BB_FEW_ROWS, BB_LORA_MAPS, n_inputs] of few rows */
    unsigned char *prepared;              /* a group of rows of x, or of inputs */
    float         *added;                 /* [BB_FEW_ROWS, BB_LORA_TILE] */
} own;

struct bb_lora_room {
    float *inputs;                        /* [T, BB_LORA_MAPS, n_inputs] of many rows */
    own    first;                         /* of thread 0; thread i's is i · own_bytes further on */
    size_t own_bytes;
    int    n_inputs;
};

static own take_own(const bb_kernels *k, int widest, int n_inputs, bb_arena *a)
{
    const int most = widest > n_inputs ? widest : n_inputs;
    own       o;

    o.inputs = bb_take(a, (size_t)BB_FEW_ROWS * BB_LORA_MAPS * (size_t)n_inputs, sizeof(float));
    o.prepared = bb_take(a, k->format[BB_FORMAT_F32].few_bytes(BB_FEW_ROWS, most), 1);
    o.added = bb_take(a, (size_t)BB_FEW_ROWS * BB_LORA_TILE, sizeof(float));
    return o;
}

bb_lora_room *bb_lora_room_take(bb_arena *a, const bb_kernels *k, int T, int widest, int n_inputs,
                                int n_threads)
{
    bb_lora_room *room = bb_take(a, 1, sizeof *room);
    bb_lora_room  r = { .n_inputs = n_inputs };

    r.inputs = bb_take(a, (size_t)T * BB_LORA_MAPS * (size_t)n_inputs, sizeof(float));
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
    o.prepared += bytes;
    o.added += bytes / sizeof(float);
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

static const bb_low_rank *map_of(const bb_adapter_use *use, const bb_linear *l)
{
    return &use->adapter->map[l->id];
}

/* -------------------------------------------------------------- inputs ------------------- */

static bool is_adapted(const bb_pass *p, const bb_linear *l)
{
    for (int s = 0; s < p->n_segments; s++)
        for (int i = 0; i < p->segment[s].n_adapters; i++)
            if (map_of(&p->segment[s].adapter[i], l)->n_inputs > 0) return true;
    return false;
}

bb_lora bb_lora_of(const bb_exec *e, const bb_source *x, const bb_linear *const *map, int n)
{
    bb_lora l = { .row = x->row ? x->row : x->index, .T = x->T };
    bool    any = false;

    for (int i = 0; i < n; i++) {
        l.map[i] = map[i];
        any = any || (map[i]->id >= 0 && is_adapted(e->pass, map[i]));
    }
    l.n = any ? n : 0;
    if (any) l.inputs = x->many ? e->pass->lora->inputs : own_of(e).inputs;
    return l;
}

static float *inputs_at(const bb_exec *e, const bb_lora *l, int t, int map)
{
    return l->inputs + ((size_t)t * BB_LORA_MAPS + (size_t)map) * (size_t)e->pass->lora->n_inputs;
}

/* The inputs of one adapter's map from a group's prepared rows, to y row stride ldy. */
static void make_inputs(const bb_format *f, const group *g, const bb_adapter_use *use,
                        const bb_low_rank *m, int cols, const void *x, float *y, size_t ldy)
{
    const float scale = use->scale * m->scale;

    if (m->rank > 0) f->few(g->n, m->rank, cols, m->A, 0, x, y, ldy);
    for (int t = 0; t < g->n; t++, y += ldy) {
        for (int i = 0; i < m->rank; i++) y[i] *= scale;
        if (m->n_inputs > m->rank) y[m->rank] = use->scale;
    }
}

static void read_group(const bb_exec *e, const bb_lora *l, const group *g, const float *x,
                       size_t ld)
{
    const bb_format *f = &e->pass->k->format[BB_FORMAT_F32];
    const size_t     ldy = (size_t)BB_LORA_MAPS * (size_t)e->pass->lora->n_inputs;
    const own        o = own_of(e);
    const int        cols = l->map[0]->w.cols;

    f->prepare_few(g->n, cols, x, ld, o.prepared);
    for (int j = 0; j < l->n; j++) {
        float *y = inputs_at(e, l, g->first, j);
        for (int i = 0; i < g->n_uses && l->map[j]->id >= 0; i++) {
            const bb_low_rank *m = map_of(&g->use[i], l->map[j]);
            if (m->n_inputs > 0) make_inputs(f, g, &g->use[i], m, cols, o.prepared, y, ldy);
            y += m->n_inputs;
        }
    }
}

void bb_lora_read(const bb_exec *e, const bb_lora *l, int first, int n, const float *x, size_t ld)
{
    group g = { .first = first };

    while (next_group(e, l, first + n, &g))
        if (g.n_uses > 0) read_group(e, l, &g, x + (size_t)(g.first - first) * ld, ld);
}

/* -------------------------------------------------------------- outputs ------------------ */

static void add_group(const bb_exec *e, const bb_lora *l, const group *g, int map, int first, int n,
                      float *y, size_t ldy)
{
    const bb_kernels *k = e->pass->k;
    const bb_format  *f = &k->format[BB_FORMAT_F32];
    const size_t      ld = (size_t)BB_LORA_MAPS * (size_t)e->pass->lora->n_inputs;
    const own         o = own_of(e);
    const float      *inputs = inputs_at(e, l, g->first, map);

    for (int i = 0; i < g->n_uses; i++) {
        const bb_low_rank *m = map_of(&g->use[i], l->map[map]);
        if (m->n_inputs == 0) continue;
        f->prepare_few(g->n, m->n_inputs, inputs, ld, o.prepared);
        f->few(g->n, n, m->n_inputs, m->B, l->map[map]->first + first, o.prepared, o.added,
               (size_t)n);
        for (int t = 0; t < g->n; t++) k->axpy(n, 1.0f, o.added + t * n, y + (size_t)t * ldy);
        inputs += m->n_inputs;
    }
}

void bb_lora_add(const bb_exec *e, const bb_lora *l, const bb_linear *at, int first, int n,
                 float *y, size_t ldy)
{
    group g = { 0 };
    int   map = 0;

    while (l->map[map] != at) map++;
    if (at->id < 0) return;
    while (next_group(e, l, l->T, &g))
        if (g.n_uses > 0) add_group(e, l, &g, map, first, n, y + (size_t)g.first * ldy, ldy);
}

/* -------------------------------------------------------------- embedding and head ------- */

void bb_lora_embed(const bb_exec *e, int t, int token, int D, float *x)
{
    const bb_segment *s = segment_of(e->pass, t);

    for (int i = 0; i < s->n_adapters; i++) {
        const bb_low_rank *m = &s->adapter[i].adapter->embed;
        const size_t       at = (size_t)token * (size_t)m->rank;
        const float        scale = s->adapter[i].scale * m->scale;
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
