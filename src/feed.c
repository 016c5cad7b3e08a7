/* feed.c - feeding sessions: check everything, cut into pieces, run each piece.
 *
 * A piece is up to n_batch rows, taken from the items in order; a long prompt spans several, the
 * tail of one item and the heads of the next share one. Where somebody may cancel, the first ones
 * are smaller. Only a feed that is cancelled can stop half-way, and then every session stands where
 * its last finished piece ended. */
#include "feed.h"

#include "adapters.h"
#include "mixer/count.h"
#include "mixer/product.h"
#include "rewind.h"
#include "window.h"

#include <string.h>

/* -------------------------------------------------------------- checks ------------------- */

static bb_status check_item(const bamba_engine *e, const bamba_feed_item *item, bamba_error *err)
{
    const bamba_session *s = item->session;
    const int            V = e->model->graph->n_vocab;

    if (!s || !item->tokens)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "feed: %s is NULL", s ? "tokens" : "session");
    if (s->model != e->model)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "feed: the session belongs to another model");
    if (s->in_call)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "feed: repeats a session");
    if (s->spoilt)
        return bb_fail(err, BAMBA_ERR_NUMBER, "feed: the session holds numbers that are not finite "
                       "since an earlier call: expected it to be reset");
    if (item->n == 0)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "feed: expected tokens, found none");
    if (item->n_logits > item->n)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "feed: expected n_logits <= n = %zu, found %zu",
                       item->n, item->n_logits);
    if (item->n_hidden > item->n)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "feed: expected n_hidden <= n = %zu, found %zu",
                       item->n, item->n_hidden);
    if ((item->n_logits > 0 || item->n_hidden > 0) && !bb_graph_has_head(e->model->graph))
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "feed: expected %s, the model ends before the head",
                       item->n_logits > 0 ? "no logits" : "no hidden rows");
    if (item->n > bamba_session_room(s))
        return bb_fail(err, BAMBA_ERR_FULL,
                       "feed: expected at most %zu tokens (context %zu, position %zu), found %zu",
                       bamba_session_room(s), s->n_context, s->position, item->n);
    for (size_t t = 0; t < item->n; t++)
        if (item->tokens[t] < 0 || item->tokens[t] >= V)
            return bb_fail(err, BAMBA_ERR_ARGUMENT,
                           "feed: token %zu: expected an id from 0 to %d, found %d", t, V - 1,
                           item->tokens[t]);
    return BAMBA_OK;
}

/* Say which item of a batch the message is about. */
static void name_item(bamba_error *err, size_t i)
{
    if (!err) return;
    const bamba_error e = *err;
    bb_fail(err, e.code, "feed: item %zu: %s", i, e.message + strlen("feed: "));
}

static bb_status check_items(const bamba_engine *e, const bamba_feed_item *items, size_t n_items,
                             bool single, bamba_error *err)
{
    const size_t most = (size_t)e->options.n_logits, most_hidden = (size_t)e->options.n_hidden;
    bb_status    status = BAMBA_OK;
    size_t       n_logits = 0, n_hidden = 0;
    size_t       seen = 0;

    for (; seen < n_items && status == BAMBA_OK; seen++) {
        status = check_item(e, &items[seen], err);
        if (status != BAMBA_OK) {
            if (!single) name_item(err, seen);
            break;
        }
        items[seen].session->in_call = true;
        n_logits += items[seen].n_logits;
        if (n_logits > most)
            status = bb_fail(err, BAMBA_ERR_ARGUMENT,
                             "feed: expected at most %zu rows of logits (n_logits of the engine)",
                             most);
        n_hidden += items[seen].n_hidden;
        if (n_hidden > most_hidden)
            status = bb_fail(err, BAMBA_ERR_ARGUMENT,
                             "feed: expected at most %zu hidden rows (n_hidden of the engine)",
                             most_hidden);
    }
    while (seen > 0)
        if (items[--seen].session) items[seen].session->in_call = false;
    return status;
}

/* -------------------------------------------------------------- pieces ------------------- */

enum { FIRST_PIECE = BB_EDGE };

/* Where the next piece starts. A piece cut in two at an edge, both parts long, gives the bits that
   it gives as a whole; so a small one is cut from the first full one, and the rest is as before. */
typedef struct cursor {
    const bamba_feed_item *items;
    size_t                 n_items;
    size_t                 item, offset;
    size_t                 n_logits;      /* rows of logits made so far */
    size_t                 n_hidden;      /* hidden rows made so far */
    uint64_t               done, total;   /* tokens */
    int                    window;        /* rows left of a full piece */
    int                    wish;          /* rows of the next piece; 0: a full one */
    bool                   many;          /* multiply as in passes of many rows, however few */
    bool                   is_inside;     /* of a segment that the last piece cut at an edge */
} cursor;

/* OpenBLAS's sums (level c) depend on the number of rows: there a cut changes bits. Engines of
   parts of a network cut alike, not knowing of each other's sessions. */
static bool can_cut(const bamba_engine *e)
{
    const bb_graph *g = e->model->graph;
    return bb_graph_has_embed(g) && bb_graph_has_head(g) && e->pass.k->format[BB_FORMAT_F32].many;
}

/* How many of the n rows that an item at pos has left in a full piece come first if `wish` are
   wanted; 0: it cannot be cut. */
static int find_wished(size_t pos, int n, int wish)
{
    int first = (wish > 0 ? wish : 0) - (int)((pos + (size_t)(wish > 0 ? wish : 0)) % BB_EDGE);

    while (first <= BB_FEW_ROWS) first += BB_EDGE;
    return n - first > BB_FEW_ROWS ? first : 0;
}

/* Rows of the n of a session with `left` rows to come in a piece that has T already; 0: all. */
static int find_cut(const bamba_engine *e, const cursor *c, const bamba_session *s, int n,
                    size_t left, int T)
{
    const int wished = c->wish ? find_wished(s->position, n, c->wish - T) : 0;
    return wished > 0 || !can_cut(e) ? wished : bb_rewind_cut(s, n, left);
}

/* Leave out what is left of items that gave numbers that are not finite. */
static void skip_spoilt(cursor *c)
{
    for (; c->item < c->n_items && c->items[c->item].session->spoilt; c->item++, c->offset = 0) {
        const bamba_feed_item *item = &c->items[c->item];
        const size_t           left = item->n - c->offset;

        c->n_logits += left < item->n_logits ? left : item->n_logits;
        c->n_hidden += left < item->n_hidden ? left : item->n_hidden;
        c->done += left;
    }
}

/* Fill the engine's piece from the cursor on, and move it. */
static bb_batch next_piece(bamba_engine *e, cursor *c)
{
    bb_batch b = { .token = e->tokens, .segment = e->segments, .wanted = e->wanted,
                   .logits = e->logits + c->n_logits * (size_t)e->model->graph->n_vocab,
                   .shown = e->shown,
                   .hidden = e->hidden + c->n_hidden * (size_t)e->model->graph->d_model };

    bool cut = false;

    if (c->window == 0) c->window = e->options.n_batch;
    while (c->item < c->n_items && b.T < c->window && !cut) {
        const bamba_feed_item *item = &c->items[c->item];
        const size_t           left = item->n - c->offset;
        const size_t           room = (size_t)(c->window - b.T);
        size_t                 n = left < room ? left : room;
        const int              first = find_cut(e, c, item->session, (int)n, left, b.T);

        cut = first > 0;
        if (cut) n = (size_t)first;

        memcpy(e->tokens + b.T, item->tokens + c->offset, n * sizeof *e->tokens);
        e->sessions[b.n_segments] = item->session;
        e->segments[b.n_segments++] = (bb_segment){
            .slot = item->session->slot, .from = item->session->current,
            .to = item->session->current, .row = b.T, .n_rows = (int)n,
            .pos = (int)(item->session->position % BB_MOST_POSITIONS),
            .length = item->session->length,
            .window = (int)item->session->window, .sink = (int)item->session->sink,
            .adapter = item->session->adapter, .n_adapters = item->session->n_adapters };
        for (size_t t = c->offset; t < c->offset + n; t++, b.T++) {
            if (t >= item->n - item->n_logits) e->wanted[b.n_wanted++] = b.T;
            if (t >= item->n - item->n_hidden) e->shown[b.n_shown++] = b.T;
        }
        c->offset += n;
        if (c->offset == item->n) {
            c->item++;
            c->offset = 0;
        }
    }
    b.many = c->many || bb_is_many(b.T);
    c->n_logits += (size_t)b.n_wanted;
    c->n_hidden += (size_t)b.n_shown;
    c->done += (uint64_t)b.T;
    c->window -= b.T;
    b.is_inside = c->is_inside;
    b.is_cut = c->is_inside = cut;
    c->wish = 0;                          /* a cut packs all weights once more: 1.7 % of 512 rows */
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

/* ---- numbers that are not finite ---- */

/* Whether what was made of row t is finite, or nothing was: made [n, width] of the rows `of` [n],
   ascending; *at is where to look in them for this row or a later one. */
static bool is_made_finite(const float *made, size_t width, const int *of, int n, int t, int *at)
{
    while (*at < n && of[*at] < t) ++*at;
    return *at == n || of[*at] != t || bb_is_finite(width, made + (size_t)*at * width);
}

/* The first of a segment's rows that is not finite at the end of the pass, or whose logits or
   hidden row are not; -1: none. */
static int find_bad_row(const bb_graph *g, const bb_batch *b, const float *x, const bb_segment *seg)
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

/* Row number `row` of the pass, in this segment, is bad, and not by an overflow: run the segment
   again, up to the block that spoils it, and report that. */
static bb_status report_number(const bamba_engine *e, bb_segment seg, bool many, int row,
                               size_t position, bamba_error *err)
{
    const bb_graph *g = e->model->graph;
    bb_search       search = { row - seg.row, -1 };
    bb_batch        b = { .token = e->tokens + seg.row, .T = seg.n_rows, .segment = &seg,
                          .n_segments = 1, .search = &search };
    bb_pass         pass = e->pass;
    running         r = { g, &b, &pass };

    seg.row = 0;
    pass.T = seg.n_rows;
    pass.many = many;
    pass.segment = &seg;
    pass.n_segments = 1;
    pass.lora = seg.n_adapters > 0 ? e->lora : NULL;
    if (!bb_graph_has_embed(g))
        return bb_fail(err, BAMBA_ERR_NUMBER, "feed: position %zu gives NaN or infinity", position);
    bb_team_run(pass.team, run_thread, &r);

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

/* The piece has run: sessions move on, but for those whose numbers are not finite. */
static bb_status finish_piece(bamba_engine *e, const bb_batch *b, bool overflow, bamba_error *err)
{
    const bb_graph *g = e->model->graph;
    int             first = -1, segment = 0;          /* bad row, and its segment */

    for (int i = 0; i < b->n_segments; i++) {
        bamba_session *s = e->sessions[i];
        const int      bad = find_bad_row(g, b, e->pass.x, &b->segment[i]);
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
    return report_number(e, *seg, b->many, first, position, err);
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
    running         r = { g, b, &pass };
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
    bb_team_run(pass.team, run_thread, &r);
    if (cancelled) {
        status = BAMBA_ERR_CANCELLED;
        goto done;
    }
    if (!bb_graph_has_head(g)) BB_TRY(pass_on(e, &pass, false, err));
    status = finish_piece(e, b, overflow, err);
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
    const bb_graph             *g = e->model->graph;
    const bool                  is_part = !bb_graph_has_embed(g) || !bb_graph_has_head(g);
    bb_status                   result = BAMBA_OK;

    if ((o->cancel || o->progress) && can_cut(e)) c->wish = FIRST_PIECE;
    while (c->item < c->n_items) {
        if (o->cancel && o->cancel(o->cancel_context)) return report_cancel(c->items, err);
        bb_batch        b = next_piece(e, c);
        const bb_status status = run_piece(e, &b, result == BAMBA_OK ? err : NULL);
        if (status == BAMBA_ERR_CANCELLED) return report_cancel(c->items, err);
        if (status == BAMBA_ERR_NUMBER) result = status;
        else if (status != BAMBA_OK) return status;
        if (result != BAMBA_OK && !is_part) skip_spoilt(c);
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
    cursor                c = { .items = &item, .n_items = 1, .total = n, .many = many };

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
    cursor c = { .items = items, .n_items = n_items };

    if (e->in_call)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "feed: a callback feeds the engine it belongs to");
    bb_status status = check_items(e, items, n_items, single, err);
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
        if (spoilt && !named) name_item(err, i);
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
