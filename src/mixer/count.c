/* count.c - what a pass costs. */
#include "mixer/count.h"

void bb_work_add(bb_work *w, uint64_t pos, uint64_t n_rows, uint64_t window, uint64_t sink)
{
    const uint64_t most = window > 0 ? window + sink : UINT64_MAX;        /* that a row sees */
    const uint64_t first = most <= pos ? 0 : most - pos < n_rows ? most - pos : n_rows;

    w->T += n_rows;
    w->n_segments++;
    w->seen += first * pos + first * (first + 1) / 2 + (n_rows - first) * most;
    w->reached += pos < most ? pos + n_rows : most + n_rows;
}

void bb_count_add(bb_count *c, uint64_t bytes, uint64_t flops)
{
    c->bytes += bytes;
    c->flops += flops;
}

/* -------------------------------------------------------------- adapters ----------------- */

/* A use of an adapter by a segment. */
typedef struct use {
    int      segment, i;                  /* begin with { 0, -1 } */
    uint64_t rows;
    bool     is_first;                    /* of the adapter in this pass: its bytes count now */
} use;

static const bb_adapter *adapter_of(const bb_work *w, const use *u)
{
    return w->segment[u->segment].adapter[u->i].adapter;
}

/* Whether an adapter is among the first n of a segment's. */
static bool is_among(const bb_segment *s, int n, const bb_adapter *a)
{
    for (int i = 0; i < n; i++)
        if (s->adapter[i].adapter == a) return true;
    return false;
}

/* Neighbouring sessions mostly have the same adapters, so the search ends soon. */
static bool is_first(const bb_work *w, const use *u)
{
    const bb_adapter *a = adapter_of(w, u);

    if (is_among(&w->segment[u->segment], u->i, a)) return false;
    for (int s = u->segment; s-- > 0;)
        if (is_among(&w->segment[s], w->segment[s].n_adapters, a)) return false;
    return true;
}

/* Step to the next use of an adapter; false behind the last. */
static bool next_use(const bb_work *w, use *u)
{
    u->i++;
    while (u->segment < w->n_adapted && u->i >= w->segment[u->segment].n_adapters) {
        u->segment++;
        u->i = 0;
    }
    if (u->segment >= w->n_adapted) return false;
    u->rows = (uint64_t)w->segment[u->segment].n_rows * w->times;
    u->is_first = is_first(w, u);
    return true;
}

/* Slices of one tensor share A, which counts with the first of them, and have rows of B each. */
static void count_low_rank(const bb_low_rank *m, const bb_linear *l, const use *u, bb_count *c)
{
    const uint64_t element = m->type == BB_TYPE_F16 ? sizeof(uint16_t) : sizeof(float);
    const uint64_t n_A = l->first == 0 ? (uint64_t)m->rank * (uint64_t)l->w.cols : 0;
    const uint64_t n_B = (uint64_t)l->w.rows * (uint64_t)m->n_inputs;

    bb_count_add(c, u->is_first ? element * (n_A + n_B) : 0, 2 * (n_A + n_B) * u->rows);
}

void bb_count_adapters(const bb_linear *l, const bb_work *w, bb_count *c)
{
    use u = { .i = -1 };

    while (next_use(w, &u)) count_low_rank(&adapter_of(w, &u)->map[l->id + w->shift], l, &u, c);
}

/* What an adapter adds to the embeddings of its rows, or has in place of the model's. */
static void count_embed(const bb_graph *g, const bb_work *w, bb_count *c)
{
    const uint64_t D = (uint64_t)g->d_model, row = g->embed.format->bytes(1, g->d_model);
    use            u = { .i = -1 };

    bb_count_add(c, w->T * row, 0);
    while (next_use(w, &u)) {
        const bb_adapter        *a = adapter_of(w, &u);
        const bb_low_rank_embed *m = &a->embed;
        const uint64_t           rank = (uint64_t)m->rank, B = u.is_first ? D : 0;
        bb_count_add(c, rank * (u.rows + B) * sizeof(float), 2 * rank * D * u.rows);
        if (a->own_embed.data)
            bb_count_add(c, u.rows * (a->own_embed.format->bytes(1, g->d_model) - row), 0);
    }
}

static void count_product(const bb_linear *l, uint64_t T, bb_count *c)
{
    const bb_matrix *w = &l->w;
    const uint64_t   rows = (uint64_t)w->rows;
    const uint64_t   vectors = (l->bias != NULL) + (uint64_t)(l->row_scale != NULL);

    bb_count_add(c, w->format->bytes(w->rows, w->cols) + vectors * rows * sizeof(float),
                 (2 * rows * (uint64_t)w->cols + vectors * rows) * T);
}

void bb_count_product(const bb_linear *l, const bb_work *w, bb_count *c)
{
    count_product(l, w->T, c);
    bb_count_adapters(l, w, c);
}

/* Rows whose adapter has a head of its own are not multiplied by the model's. Of the rows of a
   segment as large a share counts as wanted as of all. */
static void count_head(const bb_graph *g, const bb_work *w, bb_count *c)
{
    uint64_t rest = w->n_wanted;
    use      u = { .i = -1 };

    while (next_use(w, &u)) {
        const bb_adapter *a = adapter_of(w, &u);
        if (u.rows == w->T) u.rows = w->n_wanted;
        else u.rows = (uint64_t)((double)u.rows / (double)w->T * (double)w->n_wanted + 0.5);
        count_low_rank(&a->map[g->head.id], &g->head, &u, c);
        if (!a->own_head.w.data) continue;
        bb_count own = { 0, 0 };
        count_product(&a->own_head, u.rows, &own);
        bb_count_add(c, u.is_first ? own.bytes : 0, own.flops);
        rest -= u.rows < rest ? u.rows : rest;
    }
    if (rest > 0) count_product(&g->head, rest, c);
}

/* -------------------------------------------------------------- a pass ------------------- */

static void count_norm(uint64_t width, uint64_t T, bb_count *c)
{
    bb_count_add(&c[BB_OP_NORM], width * sizeof(float), 4 * width * T);
}

void bb_count_pass(const bb_graph *g, const bb_work *w, bb_count *c)
{
    const uint64_t D = (uint64_t)g->d_model;
    bb_work        of_use = *w;

    if (bb_graph_has_embed(g)) count_embed(g, w, &c[BB_OP_EMBED]);
    for (size_t i = g->first; i < g->end; i++) {
        const bb_block *b = &g->block[i];
        if (b->norm_name[0]) count_norm(b->input == BB_INPUT_BESIDE_EMBEDDING ? 2 * D : D, w->T, c);
        for (int j = 0; j < b->n_uses; j++) {
            const bb_mixer *m = b->use[j].mixer;
            of_use.nth = b->use[j].nth;
            of_use.shift = of_use.nth * m->n_linears;
            if (m->kind->count) m->kind->count(m, &of_use, c);
        }
    }
    if (w->n_wanted == 0 || !bb_graph_has_head(g)) return;
    count_norm(D, w->n_wanted, c);
    count_head(g, w, &c[BB_OP_HEAD]);
}
