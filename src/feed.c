/* feed.c - feeding sessions: check everything, cut into pieces, run each piece.
 *
 * A piece is up to n_batch rows, taken from the items in order; a long prompt spans several, the
 * tail of one item and the heads of the next share one. Where somebody watches progress, the first
 * one is smaller. Only a feed that is cancelled can stop half-way, and then every session stands
 * where its last finished piece ended. */
#include "feed.h"

#include "adapters.h"
#include "feed_internal.h"
#include "mixer/count.h"
#include "rewind.h"
#include "window.h"

enum { FIRST_PIECE = BB_EDGE };           /* rows, where somebody watches progress */

/* -------------------------------------------------------------- a piece ------------------ */

static void count_piece(const bamba_engine *e, const bb_batch *b)
{
    bb_work w = { .n_wanted = (uint64_t)b->n_wanted, .segment = b->segment,
                  .n_adapted = b->n_segments, .times = 1 };

    for (int i = 0; i < b->n_segments; i++)
        bb_work_add(&w, (uint64_t)b->segment[i].pos, (uint64_t)b->segment[i].n_rows,
                    (uint64_t)b->segment[i].window, (uint64_t)b->segment[i].sink);
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

/* The piece has run: sessions move on, but for those whose numbers are not finite. */
static bb_status finish_piece(bamba_engine *e, const bb_batch *b, bool overflow, bamba_error *err)
{
    const bb_graph *g = e->model->graph;
    int             first = -1, segment = 0;          /* bad row, and its segment */

    for (int i = 0; i < b->n_segments; i++) {
        bamba_session *s = e->sessions[i];
        const int      bad = bb_feed_find_bad_row(g, b, e->pass.x, &b->segment[i]);
        if (bad >= 0) {
            s->spoilt = true;
            if (first < 0) first = bad, segment = i;
            continue;
        }
        s->position += (size_t)b->segment[i].n_rows;
        s->current = b->segment[i].to;
        bb_rewind_record(s, &b->segment[i], b->token + b->segment[i].row,
                         (b->many ? BB_FED_MANY : 0) | (b->is_inside && i == 0 ? 0 : BB_FED_START)
                         | (b->is_cut && i == b->n_segments - 1 ? 0 : BB_FED_END));
    }
    if (first < 0) return BAMBA_OK;
    const bb_segment *seg = &b->segment[segment];
    const size_t      position = e->sessions[segment]->position + (size_t)(first - seg->row);
    if (overflow)
        return bb_fail(err, BAMBA_ERR_NUMBER, "feed: position %zu: a key or value exceeds 65504, "
                       "the largest float16: try kv_type bf16", position);
    return bb_feed_report_number(e, *seg, b->many, first, position, err);
}

/* See that the session may write the keys and values of a segment. */
static bool write_pages(bamba_session *s, bb_segment *seg)
{
    bb_window_slide(s);
    const size_t at = bb_window_place(s, s->position);
    const size_t end = bb_graph_n_pages(at + (size_t)seg->n_rows);
    seg->gone = (int)(s->position - at);
    return bb_pages_write(&s->pages, at / BB_KV_BLOCK, end, at % BB_KV_BLOCK > 0);
}

/* Run a piece. One that may be undone leaves the states it begins with as they are, and writes the
   others; sessions move on at the end. */
static bb_status run_piece(bamba_engine *e, bb_batch *b, bamba_error *err)
{
    const bb_graph *g = e->model->graph;
    const bool      may_stop = e->options.cancel && b->T > b->n_segments;
    atomic_bool     cancelled = false, overflow = false;
    bb_pass         pass = e->pass;
    bb_status       status = BAMBA_OK;

    pass.T = b->T;
    pass.many = b->many;
    pass.segment = b->segment;
    pass.n_segments = b->n_segments;
    pass.overflow = &overflow;
    b->cancelled = &cancelled;
    if (may_stop) {
        b->cancel = e->options.cancel;
        b->cancel_context = e->options.cancel_context;
    }
    BB_TRY(bb_adapters_prepare(e, e->sessions, b->n_segments, &pass, err));
    for (int i = 0; i < b->n_segments; i++)
        if (!write_pages(e->sessions[i], &e->segments[i]))
            return bb_fail(err, BAMBA_ERR_MEMORY, "feed: out of memory for a page of keys "
                           "and values");
    for (int i = 0; i < b->n_segments; i++) {
        if (may_stop || !bb_graph_has_head(g)) e->segments[i].to = !e->segments[i].from;
        if (e->sessions[i]->past.n_rewind > 0)
            bb_rewind_prepare(e, e->sessions[i], &e->segments[i]);
    }
    if (pass.profile) count_piece(e, b);
    if (!bb_graph_has_embed(g)) BB_TRY(pass_on(e, &pass, true, err));
    bb_forward_all(g, &pass, b);
    if (cancelled) {
        status = BAMBA_ERR_CANCELLED;
        goto done;
    }
    if (!bb_graph_has_head(g)) BB_TRY(pass_on(e, &pass, false, err));
    status = finish_piece(e, b, overflow, err);
done:
    return status;
}

/* -------------------------------------------------------------- all pieces --------------- */

static bb_status report_cancel(const bamba_feed_item *items, bamba_error *err)
{
    return bb_fail(err, BAMBA_ERR_CANCELLED, "feed: cancelled; the first session stands at %zu",
                   items[0].session->position);
}

static bb_status run_pieces(bamba_engine *e, bb_feed_cursor *c, bamba_error *err)
{
    const bamba_engine_options *o = &e->options;
    const bb_graph             *g = e->model->graph;
    const bool                  is_part = !bb_graph_has_embed(g) || !bb_graph_has_head(g);
    bb_status                   result = BAMBA_OK;

    if (o->progress && bb_feed_can_cut(e)) c->wish = FIRST_PIECE;
    while (c->item < c->n_items) {
        if (o->cancel && o->cancel(o->cancel_context)) return report_cancel(c->items, err);
        bb_batch        b = bb_feed_next_piece(e, c);
        const bb_status status = run_piece(e, &b, result == BAMBA_OK ? err : NULL);
        if (status == BAMBA_ERR_CANCELLED) return report_cancel(c->items, err);
        if (status == BAMBA_ERR_NUMBER) result = status;
        else if (status != BAMBA_OK) return status;
        if (result != BAMBA_OK && !is_part) bb_feed_skip_spoilt(c);
        if (o->progress && o->progress(o->progress_context, c->done, c->total)
            && c->done < c->total)
            return report_cancel(c->items, err);
    }
    return result;
}

/* -------------------------------------------------------------- again -------------------- */

static bb_status feed_stretch(bamba_engine *e, bamba_session *s, size_t n, bool many,
                              bamba_error *err)
{
    const bamba_feed_item item = { .session = s, .tokens = bb_past_tokens(&s->past, s->position),
                                   .n = n };
    bb_feed_cursor        c = { .items = &item, .n_items = 1, .total = n, .many = many };

    e->in_call = true;
    const bb_status status = run_pieces(e, &c, err);
    e->in_call = false;
    return status;
}

bb_status bb_feed_again(bamba_engine *e, bamba_session *s, size_t end, bamba_error *err)
{
    const bb_past  *p = &s->past;
    const bb_graph *g = e->model->graph;
    bb_status       status = BAMBA_OK;

    if (!bb_graph_has_embed(g) || !bb_graph_has_head(g))
        return bb_fail(err, BAMBA_ERR_UNSUPPORTED, "rewind: a model of some layers cannot "
                       "feed again what lies between position %zu and %zu", s->position, end);
    while (s->position < end && status == BAMBA_OK) {
        const unsigned fed = bb_past_fed(p, s->position);
        size_t         n = bb_past_stretch(p, s->position, end) - s->position;
        /* rows that ran one by one have those bits in any company of few rows */
        if (!(fed & BB_FED_LONG) && n > BB_FEW_ROWS) n = BB_FEW_ROWS;
        status = feed_stretch(e, s, n, (fed & BB_FED_MANY) && !(fed & BB_FED_LONG), err);
    }
    return status;
}

/* -------------------------------------------------------------- public ------------------- */

/* single: messages speak of no item. */
static bb_status feed(bamba_engine *e, bamba_feed_item *items, size_t n_items, bool single,
                      bamba_error *err)
{
    bb_feed_cursor c = { .items = items, .n_items = n_items };

    if (e->in_call)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "feed: a callback feeds the engine it belongs to");
    bb_status status = bb_feed_check(e, items, n_items, single, err);
    if (status != BAMBA_OK) return status;

    for (size_t i = 0; i < n_items; i++) {
        bamba_session *s = items[i].session;
        if (!bb_past_reserve(&s->past, &s->alloc, s->position + items[i].n))
            return bb_fail(err, BAMBA_ERR_MEMORY, "feed: out of memory for %zu tokens", items[i].n);
        c.total += items[i].n;
    }
    e->in_call = true;
    status = run_pieces(e, &c, err);
    e->in_call = false;
    const float *logits = e->logits, *hidden = e->hidden;
    bool         named = single || status != BAMBA_ERR_NUMBER;
    for (size_t i = 0; i < n_items; i++) {
        const bool spoilt = items[i].session->spoilt;
        const bool done = status == BAMBA_OK || (status == BAMBA_ERR_NUMBER && !spoilt);
        items[i].logits = done && items[i].n_logits ? logits : NULL;
        items[i].hidden = done && items[i].n_hidden ? hidden : NULL;
        logits += items[i].n_logits * (size_t)e->model->graph->n_vocab;
        hidden += items[i].n_hidden * (size_t)e->model->graph->d_model;
        if (spoilt && !named) bb_feed_name_item(err, i);
        named |= spoilt;
    }
    return status;
}

bamba_status bamba_feed_batch(bamba_engine *e, bamba_feed_item *items, size_t n_items,
                              bamba_error *err)
{
    if (!e || !items || n_items == 0)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "feed: expected an engine and at least one item");
    return feed(e, items, n_items, false, err);
}

bamba_status bamba_feed(bamba_engine *e, bamba_session *s, const int32_t *tokens, size_t n,
                        const float **logits, bamba_error *err)
{
    bamba_feed_item item = { .session = s, .tokens = tokens, .n = n, .n_logits = logits ? 1 : 0 };
    const bb_status status = e ? feed(e, &item, 1, true, err)
                           : bb_fail(err, BAMBA_ERR_ARGUMENT, "feed: the engine is NULL");

    if (logits) *logits = status == BAMBA_OK ? item.logits : NULL;
    return status;
}
