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

void bb_count_product(const bb_linear *l, uint64_t T, bb_count *c)
{
    const bb_matrix *w = &l->w;
    const uint64_t   rows = (uint64_t)w->rows;
    const uint64_t   vectors = (l->bias != NULL) + (uint64_t)(l->row_scale != NULL);

    bb_count_add(c, w->format->bytes(w->rows, w->cols) + vectors * rows * sizeof(float),
                 (2 * rows * (uint64_t)w->cols + vectors * rows) * T);
}

static void count_norm(uint64_t width, uint64_t T, bb_count *c)
{
    bb_count_add(&c[BB_OP_NORM], width * sizeof(float), 4 * width * T);
}

void bb_count_pass(const bb_graph *g, const bb_work *w, bb_count *c)
{
    const uint64_t D = (uint64_t)g->d_model;

    if (bb_graph_has_embed(g))
        bb_count_add(&c[BB_OP_EMBED], w->T * g->embed.format->bytes(1, g->d_model), 0);
    for (size_t i = g->first; i < g->end; i++) {
        const bb_block *b = &g->block[i];
        if (b->norm_name[0]) count_norm(b->input == BB_INPUT_BESIDE_EMBEDDING ? 2 * D : D, w->T, c);
        for (int j = 0; j < b->n_uses; j++) {
            const bb_mixer *m = b->use[j].mixer;
            if (m->kind->count) m->kind->count(m, w, c);
        }
    }
    if (w->n_wanted == 0 || !bb_graph_has_head(g)) return;
    count_norm(D, w->n_wanted, c);
    bb_count_product(&g->head, w->n_wanted, &c[BB_OP_HEAD]);
}
