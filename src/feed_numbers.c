/* feed_numbers.c - rows of a piece that are not finite: finding them, and what spoils them. */
#include "feed_internal.h"

/* Whether what was made of row t is finite, or nothing was: made [n, width] of the rows `of` [n],
   ascending; *at is where to look in them for this row or a later one. */
static bool is_made_finite(const float *made, size_t width, const int *of, int n, int t, int *at)
{
    while (*at < n && of[*at] < t) ++*at;
    return *at == n || of[*at] != t || bb_is_finite(width, made + (size_t)*at * width);
}

int bb_feed_find_bad_row(const bb_graph *g, const bb_batch *b, const float *x,
                         const bb_segment *seg)
{
    const size_t D = (size_t)g->d_model, V = (size_t)g->n_vocab;
    const int    end = seg->row + seg->n_rows;
    int          wanted = 0, shown = 0;

    for (int t = seg->row; t < end; t++)
        if (!bb_is_finite(D, x + (size_t)t * D)
            || !is_made_finite(b->logits, V, b->wanted, b->n_wanted, t, &wanted)
            || !is_made_finite(b->hidden, D, b->shown, b->n_shown, t, &shown))
            return t;
    return -1;
}

bb_status bb_feed_report_number(const bamba_engine *e, bb_segment seg, bool many, int row,
                                size_t position, bamba_error *err)
{
    const bb_graph *g = e->model->graph;
    bb_search       search = { row - seg.row, -1 };
    bb_batch        b = { .token = e->tokens + seg.row, .T = seg.n_rows, .segment = &seg,
                          .n_segments = 1, .search = &search };
    bb_pass         pass = e->pass;

    seg.row = 0;
    pass.T = seg.n_rows;
    pass.many = many;
    pass.segment = &seg;
    pass.n_segments = 1;
    pass.lora = seg.n_adapters > 0 ? e->lora : NULL;
    if (!bb_graph_has_embed(g))
        return bb_fail(err, BAMBA_ERR_NUMBER, "feed: position %zu gives NaN or infinity", position);
    bb_forward_all(g, &pass, &b);

    const int       found = atomic_load(&search.found);
    const bb_block *at = found > 0 ? &g->block[found - 1] : NULL;
    if (at)
        return bb_fail(err, BAMBA_ERR_NUMBER, "feed: position %zu: layer %d (%s) gives NaN or "
                       "infinity: its weights may be damaged", position, at->layer,
                       at->use[0].mixer->kind->name);
    return bb_fail(err, BAMBA_ERR_NUMBER, "feed: position %zu: the %s gives NaN or infinity: its "
                   "weights may be damaged", position,
                   found == 0 ? "embedding" : "head or its norm");
}
