/* batch_idle.c - sessions of texts that are done, for those that come. */
#include "batch_idle.h"

void batch_put_idle(batch *b, batch_text *t)
{
    if (t->session && b->waiting.n > 0 && b->n_idle < sizeof b->idle / sizeof *b->idle) {
        bamba_session_reset(t->session);          /* lets go of pages that it shares */
        b->idle[b->n_idle++] = (batch_idle){ t->session, t->bytes };
    } else {
        bamba_session_free(t->session);
        b->bytes -= t->bytes;
    }
    t->session = NULL;
    t->bytes = 0;
}

bool batch_take_idle(batch *b, batch_text *t)
{
    if (b->n_idle == 0) return false;
    const batch_idle kept = b->idle[--b->n_idle];

    t->session = kept.session;
    b->bytes -= kept.bytes < t->bytes ? kept.bytes : t->bytes;
    if (kept.bytes > t->bytes) t->bytes = kept.bytes;
    return true;
}

static void free_last(batch *b)
{
    const batch_idle kept = b->idle[--b->n_idle];

    bamba_session_free(kept.session);
    b->bytes -= kept.bytes;
}

bool batch_make_room(batch *b, uint64_t bytes)
{
    while (b->n_idle > 0 && b->bytes + bytes > b->budget) free_last(b);
    return b->bytes + bytes <= b->budget;
}

void batch_free_idle(batch *b)
{
    while (b->n_idle > 0) free_last(b);
}
