/* feed_check.c - what a feed is given, checked before anything runs. */
#include "feed_internal.h"

#include <string.h>

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

void bb_feed_name_item(bamba_error *err, size_t i)
{
    if (!err) return;
    const bamba_error e = *err;
    bb_fail(err, e.code, "feed: item %zu: %s", i, e.message + strlen("feed: "));
}

bb_status bb_feed_check(const bamba_engine *e, const bamba_feed_item *items, size_t n_items,
                        bool single, bamba_error *err)
{
    const size_t most = (size_t)e->options.n_logits, most_hidden = (size_t)e->options.n_hidden;
    bb_status    status = BAMBA_OK;
    size_t       n_logits = 0, n_hidden = 0;
    size_t       seen = 0;

    for (; seen < n_items && status == BAMBA_OK; seen++) {
        status = check_item(e, &items[seen], err);
        if (status != BAMBA_OK) {
            if (!single) bb_feed_name_item(err, seen);
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
