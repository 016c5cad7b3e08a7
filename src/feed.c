/* feed.c - feeding sessions: check everything, cut into pieces, run each piece.
 *
 * A piece is up to n_batch rows, taken from the items in order; a long prompt spans several, the
 * tail of one item and the heads of the next share one. Only a feed that is cancelled can stop
 * half-way, and then every session stands where its last finished piece ended. */
#include "objects.h"

#include "mixer/count.h"
#include "mixer/product.h"

#include <string.h>

/* -------------------------------------------------------------- checks ------------------- */

static bb_status check_item(const bamba_engine *e, const bamba_feed_item *item, size_t i,
                            bamba_error *err)
{
    const bamba_session *s = item->session;
    const int            V = e->model->graph->n_vocab;

    if (!s || !item->tokens)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "feed: item %zu has no %s", i,
                       s ? "tokens" : "session");
    if (s->model != e->model)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "feed: item %zu belongs to another model", i);
    if (s->in_call)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "feed: item %zu repeats a session", i);
    if (item->n == 0)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "feed: item %zu: expected tokens, found none", i);
    if (item->n_logits > item->n)
        return bb_fail(err, BAMBA_ERR_ARGUMENT,
                       "feed: item %zu: expected n_logits <= n = %zu, found %zu", i, item->n,
                       item->n_logits);
    if (item->n_logits > 0 && !bb_graph_has_head(e->model->graph))
        return bb_fail(err, BAMBA_ERR_ARGUMENT,
                       "feed: item %zu: expected n_logits 0, the model ends before the head", i);
    if (item->n > bamba_session_room(s))
        return bb_fail(err, BAMBA_ERR_FULL,
                       "feed: item %zu: expected at most %zu tokens (context %zu, position %zu), "
                       "found %zu", i, bamba_session_room(s), s->n_context, s->position, item->n);
    for (size_t t = 0; t < item->n; t++)
        if (item->tokens[t] < 0 || item->tokens[t] >= V)
            return bb_fail(err, BAMBA_ERR_ARGUMENT,
                           "feed: item %zu: token %zu: expected an id from 0 to %d, found %d", i, t,
                           V - 1, item->tokens[t]);
    return BAMBA_OK;
}

static bb_status check_items(const bamba_engine *e, const bamba_feed_item *items, size_t n_items,
                             bamba_error *err)
{
    const size_t most = (size_t)e->options.n_logits;
    bb_status    status = BAMBA_OK;
    size_t       n_logits = 0;
    size_t       seen = 0;

    for (; seen < n_items && status == BAMBA_OK; seen++) {
        status = check_item(e, &items[seen], seen, err);
        if (status != BAMBA_OK) break;
        items[seen].session->in_call = true;
        n_logits += items[seen].n_logits;
        if (n_logits > most)
            status = bb_fail(err, BAMBA_ERR_ARGUMENT,
                             "feed: expected at most %zu rows of logits (n_logits of the engine)",
                             most);
    }
    while (seen > 0)
        if (items[--seen].session) items[seen].session->in_call = false;
    return status;
}

/* -------------------------------------------------------------- pieces ------------------- */

/* Where the next piece starts. */
typedef struct cursor {
    const bamba_feed_item *items;
    size_t                 n_items;
    size_t                 item, offset;
    size_t                 n_logits;      /* rows of logits made so far */
    uint64_t               done, total;   /* tokens */
} cursor;

/* Fill the engine's piece from the cursor on, and move it. */
static bb_batch next_piece(bamba_engine *e, cursor *c)
{
    bb_batch b = { .token = e->tokens, .segment = e->segments, .wanted = e->wanted,
                   .logits = e->logits + c->n_logits * (size_t)e->model->graph->n_vocab };

    while (c->item < c->n_items && b.T < e->options.n_batch) {
        const bamba_feed_item *item = &c->items[c->item];
        const size_t           left = item->n - c->offset;
        const size_t           room = (size_t)(e->options.n_batch - b.T);
        const size_t           n = left < room ? left : room;

        memcpy(e->tokens + b.T, item->tokens + c->offset, n * sizeof *e->tokens);
        e->sessions[b.n_segments] = item->session;
        e->segments[b.n_segments++] = (bb_segment){
            .slot = item->session->slot, .from = item->session->current,
            .to = item->session->current, .row = b.T, .n_rows = (int)n,
            .pos = (int)item->session->position, .length = item->session->length };
        for (size_t t = c->offset; t < c->offset + n; t++, b.T++)
            if (t >= item->n - item->n_logits) e->wanted[b.n_wanted++] = b.T;
        c->offset += n;
        if (c->offset == item->n) {
            c->item++;
            c->offset = 0;
        }
    }
    c->n_logits += (size_t)b.n_wanted;
    c->done += (uint64_t)b.T;
    return b;
}

typedef struct running {
    const bb_graph *g;
    const bb_batch *b;
    const bb_pass  *pass;
} running;

static void run_thread(void *context, int thread)
{
    const running *r = context;
    const bb_exec  e = { r->pass, thread };

    if (r->pass->profile) bb_profile_begin(&r->pass->profile[thread]);
    bb_forward(r->g, &e, r->b);
}

static void count_piece(const bamba_engine *e, const bb_batch *b)
{
    bb_work w = { .n_wanted = (uint64_t)b->n_wanted };

    for (int i = 0; i < b->n_segments; i++)
        bb_work_add(&w, (uint64_t)b->segment[i].pos, (uint64_t)b->segment[i].n_rows);
    bb_count_pass(e->model->graph, &w, e->pass.profile->count);
}

/* Rows [T, D] from the engine that runs the blocks before, or to the one that runs those behind:
   the stream, then the embeddings if any block from there on reads them. */
static bb_status pass_on(const bamba_engine *e, const bb_pass *p, bool receive, bamba_error *err)
{
    const bamba_link *link = &e->options.link;
    const bb_graph   *g = e->model->graph;
    float *const      rows[2] = { p->x, p->embedded };
    const size_t      T = (size_t)p->T, D = (size_t)g->d_model;
    const int         n = bb_graph_reads_embedding(g, receive ? g->first : g->end) ? 2 : 1;

    for (int i = 0; i < n; i++)
        if (receive ? link->receive(link->context, rows[i], T, D)
                    : link->send(link->context, rows[i], T, D))
            return bb_fail(err, BAMBA_ERR_IO, "feed: the link did not %s %zu rows",
                           receive ? "give" : "take", T);
    return BAMBA_OK;
}

/* Run a piece. One that may be undone leaves the states it begins with as they are, and writes the
   others; sessions move on at the end. */
static bb_status run_piece(bamba_engine *e, bb_batch *b, bamba_error *err)
{
    const bb_graph *g = e->model->graph;
    const bool      may_stop = e->options.cancel && b->T > b->n_segments;
    atomic_bool     cancelled = false;
    bb_pass         pass = e->pass;
    running         r = { g, b, &pass };
    bb_status       status = BAMBA_OK;

    pass.T = b->T;
    pass.many = bb_is_many(b->T);
    pass.segment = b->segment;
    pass.n_segments = b->n_segments;
    b->cancelled = &cancelled;
    if (may_stop) {
        b->cancel = e->options.cancel;
        b->cancel_context = e->options.cancel_context;
    }
    for (int i = 0; i < b->n_segments && (may_stop || !bb_graph_has_head(g)); i++)
        e->segments[i].to = !e->segments[i].from;
    if (pass.profile) count_piece(e, b);
    if (!bb_graph_has_embed(g)) BB_TRY(pass_on(e, &pass, true, err));
    bb_team_run(pass.team, run_thread, &r);
    if (cancelled) {
        status = BAMBA_ERR_CANCELLED;
        goto done;
    }
    if (!bb_graph_has_head(g)) BB_TRY(pass_on(e, &pass, false, err));
    for (int i = 0; i < b->n_segments; i++) {
        e->sessions[i]->position += (size_t)b->segment[i].n_rows;
        e->sessions[i]->current = b->segment[i].to;
    }
done:
    return status;
}

static bb_status report_cancel(const bamba_feed_item *items, bamba_error *err)
{
    return bb_fail(err, BAMBA_ERR_CANCELLED, "feed: cancelled; the first session stands at %zu",
                   items[0].session->position);
}

static bb_status run_pieces(bamba_engine *e, cursor *c, bamba_error *err)
{
    const bamba_engine_options *o = &e->options;

    while (c->item < c->n_items) {
        if (o->cancel && o->cancel(o->cancel_context)) return report_cancel(c->items, err);
        bb_batch        b = next_piece(e, c);
        const bb_status status = run_piece(e, &b, err);
        if (status == BAMBA_ERR_CANCELLED) return report_cancel(c->items, err);
        if (status != BAMBA_OK) return status;
        if (o->progress && o->progress(o->progress_context, c->done, c->total) && c->done < c->total)
            return report_cancel(c->items, err);
    }
    return BAMBA_OK;
}

/* -------------------------------------------------------------- public ------------------- */

bamba_status bamba_feed_batch(bamba_engine *e, bamba_feed_item *items, size_t n_items,
                              bamba_error *err)
{
    cursor c = { .items = items, .n_items = n_items };

    if (!e || !items || n_items == 0)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "feed: expected an engine and at least one item");
    bb_status status = check_items(e, items, n_items, err);
    if (status != BAMBA_OK) return status;

    for (size_t i = 0; i < n_items; i++) c.total += items[i].n;
    status = run_pieces(e, &c, err);
    const float *logits = e->logits;
    for (size_t i = 0; i < n_items; i++) {
        items[i].logits = status == BAMBA_OK && items[i].n_logits ? logits : NULL;
        logits += items[i].n_logits * (size_t)e->model->graph->n_vocab;
    }
    return status;
}

bamba_status bamba_feed(bamba_engine *e, bamba_session *s, const int32_t *tokens, size_t n,
                        const float **logits, bamba_error *err)
{
    bamba_feed_item item = { .session = s, .tokens = tokens, .n = n, .n_logits = logits ? 1 : 0 };
    const bb_status status = bamba_feed_batch(e, &item, 1, err);

    if (logits) *logits = status == BAMBA_OK ? item.logits : NULL;
    return status;
}
