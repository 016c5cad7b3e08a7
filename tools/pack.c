/* pack.c - pieces of many sequences, packed into calls of an engine. */
#include "pack.h"

#include "console.h"

#include <stdlib.h>
#include <string.h>

enum { EDGE = 64 };                       /* where a sequence can be cut without a trace */

int pack_create(pack *p, setup *s, const setup_flags *f, bool hidden)
{
    *p = (pack){ .setup = s, .hidden = hidden };
    p->width = (size_t)(hidden ? s->info.d_model : s->info.n_vocab);
    p->n_batch = f->n_batch ? (size_t)f->n_batch : SETUP_USUAL_BATCH;
    p->most_rows = hidden ? p->n_batch : setup_logits_rows(s);
    p->most_bytes = bamba_free_memory() / 2;
    return setup_create_engine(s, f, hidden ? 1 : (int)p->most_rows, hidden ? (int)p->most_rows : 0,
                               false);
}

/* ---- sessions ---- */

static uint64_t count_bytes(const pack *p, const sequence *s)
{
    return bamba_model_state_bytes(p->setup->model, s->n_context);
}

static int keep(pack *p, const sequence *s, bamba_status status, const bamba_error *err)
{
    if (status != BAMBA_OK) return console_fail_library(status, err);
    p->n_live++;
    p->live_bytes += count_bytes(p, s);
    return EXIT_SUCCESS;
}

int pack_open(pack *p, sequence *s)
{
    bamba_session_options o = p->setup->session_options;
    bamba_error           err = { BAMBA_OK, "" };
    const uint64_t        bytes = count_bytes(p, s), free_bytes = bamba_free_memory();

    if (bytes > free_bytes)
        return console_fail("out of memory: a text of %zu tokens needs %.1f MiB, %.1f MiB are free",
                            s->n_context, (double)bytes / 0x1p20, (double)free_bytes / 0x1p20);
    if (p->setup->info.n_context && s->n_context > (size_t)p->setup->info.n_context
        && !p->has_warned) {
        console_warn("a text has %zu tokens; the model was made for %d", s->n_context,
                     p->setup->info.n_context);
        p->has_warned = true;
    }
    o.n_context = s->n_context;
    return keep(p, s, bamba_session_create(&s->session, p->setup->model, &o, &err), &err);
}

int pack_fork(pack *p, sequence *s, const bamba_session *from)
{
    bamba_error err = { BAMBA_OK, "" };
    return keep(p, s, bamba_session_fork(&s->session, from, NULL, &err), &err);
}

void pack_end(pack *p, sequence *s)
{
    if (!s->session) return;
    bamba_session_free(s->session);
    s->session = NULL;
    p->n_live--;
    p->live_bytes -= count_bytes(p, s);
}

/* ---- calls ---- */

void pack_clear(pack *p)
{
    p->n = p->n_tokens = p->n_rows = 0;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* How many of the next n tokens of s give rows that are wanted. */
static size_t count_rows(const sequence *s, size_t n)
{
    const size_t end = s->n_fed + n, first = s->n_skipped > s->n_fed ? s->n_skipped : s->n_fed;
    return end > first ? end - first : 0;
}

size_t pack_fit(const pack *p, const sequence *s)
{
    const size_t left = s->n - s->n_fed;
    const bool   is_new = s->session == NULL;

    if (p->n == PACK_MOST) return 0;
    if (p->n > 0 && is_new && (p->n_live >= PACK_MOST
                               || p->live_bytes + count_bytes(p, s) > p->most_bytes))
        return 0;
    if (left <= p->n_batch - p->n_tokens && count_rows(s, left) <= p->most_rows - p->n_rows)
        return left;
    if (p->n > 0) return 0;
    size_t n = least(left, p->n_batch);
    const size_t rows = count_rows(s, n);
    if (rows > p->most_rows) n -= rows - p->most_rows;
    return n > EDGE && n < left ? n - n % EDGE : n;
}

void pack_put(pack *p, sequence *s, size_t n)
{
    const size_t n_rows = count_rows(s, n);

    p->of[p->n] = s;
    p->item[p->n++] = (bamba_feed_item){ .session = s->session, .tokens = s->ids + s->n_fed, .n = n,
                                         .n_logits = p->hidden ? 0 : n_rows,
                                         .n_hidden = p->hidden ? n_rows : 0 };
    p->n_tokens += n;
    p->n_rows += n_rows;
    s->n_fed += n;
}

int pack_run(pack *p)
{
    bamba_error        err = { BAMBA_OK, "" };
    const bamba_status status = bamba_feed_batch(p->setup->engine, p->item, p->n, &err);
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

const float *pack_rows(const pack *p, size_t i, size_t *first, size_t *n)
{
    const bamba_feed_item *item = &p->item[i];

    *n = p->hidden ? item->n_hidden : item->n_logits;
    *first = p->of[i]->n_fed - *n;
    return p->hidden ? item->hidden : item->logits;
}
