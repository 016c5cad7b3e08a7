/* feed_pieces.c - cutting what is fed into pieces of up to n_batch rows. */
#include "feed_internal.h"

#include "rewind.h"

#include <string.h>

typedef bb_feed_cursor cursor;

bool bb_feed_can_cut(const bamba_engine *e)
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
    return wished > 0 || !bb_feed_can_cut(e) ? wished : bb_rewind_cut(s, n, left);
}

void bb_feed_skip_spoilt(bb_feed_cursor *c)
{
    for (; c->item < c->n_items && c->items[c->item].session->spoilt; c->item++, c->offset = 0) {
        const bamba_feed_item *item = &c->items[c->item];
        const size_t           left = item->n - c->offset;

        c->n_logits += left < item->n_logits ? left : item->n_logits;
        c->n_hidden += left < item->n_hidden ? left : item->n_hidden;
        c->done += left;
    }
}

/* n rows of a session, from row `row` of the piece on. */
static bb_segment segment_of(const bamba_session *s, int row, int n)
{
    return (bb_segment){
        .slot = s->slot, .from = s->current, .to = s->current, .row = row, .n_rows = n,
        .pos = (int)(s->position % BB_MOST_POSITIONS), .length = s->length,
        .window = (int)s->window, .sink = (int)s->sink, .adapter = s->adapter,
        .n_adapters = s->n_adapters };
}

bb_batch bb_feed_next_piece(bamba_engine *e, bb_feed_cursor *c)
{
    bb_batch b = { .token = e->tokens, .segment = e->segments, .wanted = e->wanted,
                   .logits = e->logits + c->n_logits * (size_t)e->model->graph->n_vocab,
                   .shown = e->shown,
                   .hidden = e->hidden + c->n_hidden * (size_t)e->model->graph->d_model };
    bool     cut = false;

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
        e->segments[b.n_segments++] = segment_of(item->session, b.T, (int)n);
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
