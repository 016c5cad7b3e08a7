/* forward.c - the forward pass over a ragged batch: x ← x + Σ mixer(norm(x)), block by block. */
#include "forward.h"

#include "mixer/product.h"


struct job {
    const bb_graph *g;
    const bb_batch *b;
    const float    *norm;                 /* [D] */
};

static void run_embed(const bb_exec *e, const void *p, int t)
{
    const struct job *j = p;
    const bb_matrix  *m = &j->g->embed;
    const size_t      cols = (size_t)m->cols;

    bb_format_of(e->k, m->type)->decode(1, m->cols, m->data, j->b->token[t], e->x + (size_t)t * cols,
                                        cols);
}

/* Row t of what a block's mixers read. */
static void make_norm(const bb_exec *e, const void *p, int t, float *to)
{
    const struct job *j = p;
    const size_t      D = (size_t)j->g->d_model;

    e->k->rmsnorm((int)D, e->x + (size_t)t * D, j->norm, j->g->epsilon, to);
}

/* The same into memory, for a block of several mixers: the first changes the stream. */
static void run_norm(const bb_exec *e, const void *p, int t)
{
    const struct job *j = p;
    make_norm(e, p, t, e->normed + (size_t)t * (size_t)j->g->d_model);
}

/* Row i of what the head reads: the wanted ones. */
static void make_head_norm(const bb_exec *e, const void *p, int i, float *to)
{
    const struct job *j = p;
    make_norm(e, p, j->b->wanted[i], to);
}

/* What the block's mixers read: made where they need it. */
static void norm(bb_exec *e, const bb_block *k, const struct job *j)
{
    e->h = (bb_rows){ .make = make_norm, .job = j, .op = BB_OP_NORM };
    if (k->n_mixers < 2) return;
    bb_each_tile(e, e->T, run_norm, j);
    bb_mark(e, BB_OP_NORM);
    e->h = bb_rows_at(e->normed, (size_t)j->g->d_model);
}

/* Thread 0 asks; the others leave when they see what it heard, and until then do work that nobody
   needs. */
static bool is_cancelled(const bb_exec *e, const bb_batch *b)
{
    if (!b->cancel) return false;
    if (e->thread == 0 && b->cancel(b->cancel_context)) atomic_store(b->cancelled, true);
    return atomic_load(b->cancelled);
}

void bb_forward(const bb_graph *g, bb_exec *e, const bb_batch *b)
{
    struct job j = { g, b, NULL };

    bb_each_tile(e, b->T, run_embed, &j);                           /* e->x [T, D] */
    bb_mark(e, BB_OP_EMBED);
    for (size_t i = 0; i < g->n_blocks; i++) {
        const bb_block *k = &g->block[i];

        j.norm = k->norm;
        norm(e, k, &j);                                             /* e->h [T, D] = norm(e->x) */
        for (int m = 0; m < k->n_mixers; m++)
            k->mixer[m]->kind->forward(k->mixer[m], e);             /* e->x += mixer(e->h) */
        if (is_cancelled(e, b)) return;
    }
    if (b->n_wanted == 0) return;
    j.norm = g->norm;

    const bb_product head = { &g->head, b->logits, (size_t)g->n_vocab };
    bb_operand       h = bb_operand_of(b->n_wanted, g->d_model, (bb_rows){
        .make = make_head_norm, .job = &j, .op = BB_OP_NORM });
    bb_multiply(e, BB_OP_HEAD, &head, 1, &h, NULL, NULL);
}
