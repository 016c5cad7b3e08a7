/* forward.c - the forward pass over a ragged batch: x ← x + Σ mixer(norm(x)), block by block. */
#include "forward.h"

#include "mixer/product.h"

#include <string.h>

struct job {
    const bb_graph *g;
    const bb_batch *b;
    const float    *norm;                 /* [D] */
};

static void run_embed(const bb_exec *e, const void *p, int t)
{
    const struct job *j = p;
    const bb_matrix  *m = &j->g->embed;
    const void       *row = bb_matrix_row(m, j->b->token[t]);
    float            *x = e->x + (size_t)t * (size_t)m->cols;

    if (m->type == BB_TYPE_F32) memcpy(x, row, (size_t)m->cols * sizeof *x);
    else e->k->widen[m->type]((size_t)m->cols, row, x);
}

static void run_norm(const bb_exec *e, const void *p, int t)
{
    const struct job *j = p;
    const size_t      D = (size_t)j->g->d_model;

    e->k->rmsnorm((int)D, e->x + (size_t)t * D, j->norm, j->g->epsilon, e->h + (size_t)t * D);
}

/* The wanted rows, packed. */
static void run_head_norm(const bb_exec *e, const void *p, int i)
{
    const struct job *j = p;
    const size_t      D = (size_t)j->g->d_model;
    const size_t      t = (size_t)j->b->wanted[i];

    e->k->rmsnorm((int)D, e->x + t * D, j->norm, j->g->epsilon, e->h + (size_t)i * D);
}

/* The same answer for all threads. */
static bool is_cancelled(const bb_exec *e, const bb_batch *b)
{
    if (!b->cancel) return false;
    if (e->thread == 0 && b->cancel(b->cancel_context)) *b->cancelled = true;
    bb_team_barrier(e->team, e->thread);
    return *b->cancelled;
}

void bb_forward(const bb_graph *g, const bb_exec *e, const bb_batch *b)
{
    struct job j = { g, b, NULL };

    bb_each_tile(e, b->T, run_embed, &j);                           /* e->x [T, D] */
    bb_mark(e, BB_OP_EMBED);
    for (size_t i = 0; i < g->n_blocks; i++) {
        const bb_block *k = &g->block[i];

        j.norm = k->norm;
        bb_each_tile(e, b->T, run_norm, &j);                        /* e->h [T, D] = norm(e->x) */
        bb_mark(e, BB_OP_NORM);
        for (int m = 0; m < k->n_mixers; m++)
            k->mixer[m]->kind->forward(k->mixer[m], e);             /* e->x += mixer(e->h) */
        if (is_cancelled(e, b)) return;
    }
    if (b->n_wanted == 0) return;
    j.norm = g->norm;
    bb_each_tile(e, b->n_wanted, run_head_norm, &j);
    bb_mark(e, BB_OP_NORM);
    bb_operand h = bb_operand_of(b->n_wanted, g->d_model, e->h, (size_t)g->d_model);
    bb_product(e, &g->head, &h, b->logits, (size_t)g->n_vocab);
    bb_mark(e, BB_OP_HEAD);
}
