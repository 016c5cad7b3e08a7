/* forward.c - the pass over a ragged batch: x ← x + Σ α · mixer(norm(x)), block by block. */
#include "forward.h"

#include "mixer/lora.h"
#include "mixer/product.h"

#include <string.h>

struct job {
    const bb_graph *g;
    const bb_batch *b;
    const float    *norm;                 /* [width]; NULL: none */
    bb_input        input;
    size_t          width;                /* of the rows to be normed: D, or 2D */
    int             side;                 /* which of the two buffers holds the side stream */
    const float    *written;              /* [T, D] by the last block: what a search looks at */
    int             n_blocks;             /* that have been run, while searching */
    const int      *wanted;               /* rows that the head reads */
};

/* -------------------------------------------------------------- embedding ---------------- */

static void run_embed(const bb_exec *e, const void *p, int t)
{
    const struct job *j = p;
    const bb_matrix  *m = &j->g->embed;
    const size_t      D = (size_t)m->cols;
    float            *x = e->pass->x + (size_t)t * D;

    if (e->pass->lora) m = bb_lora_own_embed(e, t, m);
    m->format->decode(1, m->cols, m->data, j->b->token[t], x, D);
    if (e->pass->lora) bb_lora_embed(e, t, j->b->token[t], m->cols, x);
    for (size_t i = 0; j->g->embed_scale != 1.0f && i < D; i++) x[i] *= j->g->embed_scale;
    if (e->pass->embedded) memcpy(e->pass->embedded + (size_t)t * D, x, D * sizeof *x);
}

static void embed(const bb_exec *e, const struct job *j)
{
    bb_each_tile(e, j->b->T, run_embed, j);
    bb_mark(e, BB_OP_EMBED);
}

/* -------------------------------------------------------------- blocks ------------------- */

/* Row t of a block's input before its norm; in `to` if it must be made. */
static const float *input_row(const bb_exec *e, const struct job *j, int t, float *to)
{
    const size_t D = (size_t)j->g->d_model;
    const size_t at = (size_t)t * D;
    const float *x = e->pass->x + at;

    switch (j->input) {
    case BB_INPUT_BESIDE_EMBEDDING:
        memcpy(to, x, D * sizeof *to);
        memcpy(to + D, e->pass->embedded + at, D * sizeof *to);
        return to;
    case BB_INPUT_SIDE: return e->pass->side[j->side] + at;
    case BB_INPUT_JOINED:
        memcpy(to, x, D * sizeof *to);
        e->pass->k->axpy((int)D, 1.0f, e->pass->side[j->side] + at, to);
        return to;
    case BB_INPUT_STREAM: break;
    }
    return x;
}

/* Row t of what a block's mixers read: its input, normed if the block has a norm. */
static void make_norm(const bb_exec *e, const void *p, int t, float *to)
{
    const struct job *j = p;
    const float      *row = input_row(e, j, t, to);

    if (j->norm) e->pass->k->rmsnorm((int)j->width, row, j->norm, j->g->epsilon, to);
    else if (row != to) memcpy(to, row, j->width * sizeof *to);
}

/* For a block of several mixers, into memory: the first of them changes the stream. */
static void run_norm(const bb_exec *e, const void *p, int t)
{
    const struct job *j = p;
    make_norm(e, p, t, e->pass->normed + (size_t)t * j->width);
}

/* What a block's mixers read: made where they need it, if there is only one, and if nothing of what
   it is made from changes meanwhile. */
static bb_source norm(const bb_exec *e, const bb_block *k, struct job *j)
{
    const size_t D = (size_t)j->g->d_model;

    j->norm = k->norm;
    j->input = k->input;
    j->width = k->input == BB_INPUT_BESIDE_EMBEDDING ? 2 * D : D;
    bb_source h = bb_source_of(e, e->pass->normed, j->width, (int)j->width);
    if (k->n_uses > 1 || (k->use[0].mixer->kind->writes_early && !k->to_side)) {
        bb_each_tile(e, e->pass->T, run_norm, j);
        bb_mark(e, BB_OP_NORM);
        return h;
    }
    h.x = NULL;
    h.make = make_norm;
    h.job = j;
    h.op = BB_OP_NORM;
    return h;
}

/* The side stream is written to the buffer that it does not stand in: some mixers write while they
   read. */
static void run_block(const bb_exec *e, const bb_block *k, struct job *j)
{
    const size_t D = (size_t)j->g->d_model;
    float       *to = k->to_side ? e->pass->side[!j->side] : e->pass->x;
    bb_call      c = { .in = norm(e, k, j), .out = { .y = to, .ld = D } };

    for (int i = 0; i < k->n_uses; i++) {
        const bb_mixer *m = k->use[i].mixer;
        const bb_exec   own = { e->pass, e->thread, k->use[i].nth * m->n_linears };
        c.out.add = !k->to_side || i > 0;
        c.out.alpha = k->use[i].alpha;
        c.slot = k->use[i].slot;
        c.nth = k->use[i].nth;
        m->kind->forward(m, &own, &c);
    }
    if (k->to_side) j->side = !j->side;
    j->written = to;
}

/* Thread 0 asks; the others leave when they see what it heard, and until then do work that nobody
   needs. */
static bool is_cancelled(const bb_exec *e, const bb_batch *b)
{
    if (!b->cancel) return false;
    if (e->thread == 0 && b->cancel(b->cancel_context)) atomic_store(b->cancelled, true);
    return atomic_load(b->cancelled);
}

/* -------------------------------------------------------------- finite ------------------- */

bool bb_is_finite(size_t n, const float *x)
{
    const uint32_t infinite = 0x7f800000;
    uint32_t       bits, bad = 0;

    for (size_t i = 0; i < n; i++) {      /* without a branch: 16 values at a time */
        memcpy(&bits, x + i, sizeof bits);
        bad |= (bits & infinite) == infinite;
    }
    return !bad;
}

static void run_search(const bb_exec *e, const void *p, int tile)
{
    const struct job *j = p;
    const size_t      D = (size_t)j->g->d_model;
    bb_search        *s = j->b->search;

    (void)e, (void)tile;
    if (!bb_is_finite(D, j->written + (size_t)s->row * D)) atomic_store(&s->found, j->n_blocks);
}

/* A stage of its own: all threads hear the same. */
static bool search(const bb_exec *e, struct job *j, size_t n_blocks)
{
    if (!j->b->search) return false;
    j->n_blocks = (int)n_blocks;
    bb_each_tile(e, 1, run_search, j);
    return atomic_load(&j->b->search->found) >= 0;
}

/* -------------------------------------------------------------- head --------------------- */

/* Row i of what the head reads: the wanted ones. */
static void make_head_norm(const bb_exec *e, const void *p, int i, float *to)
{
    const struct job *j = p;
    make_norm(e, p, j->wanted[i], to);
}

/* The head of a row of the pass: the model's, or that of an adapter. */
static const bb_linear *head_of(const bb_exec *e, const struct job *j, int row)
{
    return e->pass->lora ? bb_lora_own_head(e, row, &j->g->head) : &j->g->head;
}

/* The wanted rows decide by themselves whether they are few: the last row of a prompt has the bits
   that it has when fed alone. Neighbours among them that have the same head are multiplied
   together. */
static void head(const bb_exec *e, struct job *j)
{
    const bb_graph *g = j->g;
    const bb_batch *b = j->b;
    const size_t    V = (size_t)g->n_vocab;

    for (int i = 0, n; i < b->n_wanted; i += n) {
        const bb_linear *l = head_of(e, j, b->wanted[i]);
        for (n = 1; i + n < b->n_wanted && head_of(e, j, b->wanted[i + n]) == l;) n++;
        const bb_product logits = { l, NULL, { .y = b->logits + (size_t)i * V, .ld = V,
                                               .alpha = g->logit_scale } };
        bb_source        h = { .make = make_head_norm, .job = j, .T = n, .cols = g->d_model,
                               .many = bb_is_many(b->n_wanted), .op = BB_OP_NORM };
        h.row = j->wanted = b->wanted + i;
        bb_multiply(e, BB_OP_HEAD, &logits, 1, &h, NULL);
    }
}

static void run_hidden(const bb_exec *e, const void *p, int i)
{
    const struct job *j = p;
    make_norm(e, p, j->b->shown[i], j->b->hidden + (size_t)i * j->width);
}

/* What is wanted of the stream behind the last block. */
static void finish(const bb_exec *e, struct job *j)
{
    j->norm = j->g->norm;
    j->input = BB_INPUT_STREAM;
    j->width = (size_t)j->g->d_model;
    if (j->b->n_shown > 0) {
        bb_each_tile(e, j->b->n_shown, run_hidden, j);              /* hidden = norm(x) */
        bb_mark(e, BB_OP_NORM);
    }
    head(e, j);                                                     /* logits = W · norm(x) */
}

/* -------------------------------------------------------------- the pass ----------------- */

void bb_forward(const bb_graph *g, const bb_exec *e, const bb_batch *b)
{
    struct job j = { .g = g, .b = b, .written = e->pass->x };

    if (bb_graph_has_embed(g)) embed(e, &j);                        /* x = embedding(token) */
    if (search(e, &j, 0)) return;
    for (size_t i = g->first; i < g->end; i++) {
        run_block(e, &g->block[i], &j);                             /* x += Σ α · mixer(norm(x)) */
        if (is_cancelled(e, b) || search(e, &j, i + 1)) return;
    }
    if (bb_graph_has_head(g)) finish(e, &j);
}

typedef struct running {
    const bb_graph *g;
    const bb_pass  *pass;
    const bb_batch *b;
} running;

static void run_thread(void *context, int thread)
{
    const running *r = context;
    const bb_exec  e = { .pass = r->pass, .thread = thread };

    if (r->pass->profile) bb_profile_begin(&r->pass->profile[thread]);
    bb_forward(r->g, &e, r->b);
}

void bb_forward_all(const bb_graph *g, const bb_pass *pass, const bb_batch *b)
{
    running r = { g, pass, b };

    bb_team_run(pass->team, run_thread, &r);
}
