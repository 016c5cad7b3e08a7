/* world.c - a session with a past, and a fresh one that is fed the same. */
#include "support/world.h"

#include "bamba_measure.h"

#include "support/running.h"
#include "support/tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void history_add(history *h, size_t n) { h->call[h->n_calls++] = n, h->n += n; }

void history_cut(history *h, size_t n)
{
    while (h->n > n) {
        const size_t last = h->call[h->n_calls - 1], extra = h->n - n;
        if (extra >= last) h->n -= last, h->n_calls--;
        else h->n -= extra, h->call[h->n_calls - 1] -= extra;
    }
}

static int cancel(void *context)
{
    world *w = context;
    return w->n_until_cancel >= 0 && w->n_until_cancel-- == 0;
}

static bamba_model *make_model(const char *dir, const tiny_dims *d, const char *config,
                               const bamba_model_options *o)
{
    bamba_model *m = NULL;
    bamba_error  err;
    char         path[300];

    tempdir_empty(dir);
    snprintf(path, sizeof path, "%s/config.json", dir);
    if (config) tempdir_write_text(dir, "config.json", config);
    else tiny_write(d, dir);
    const bamba_status status = config ? bamba_model_open_random(&m, path, 1, o, &err)
                                       : bamba_model_open(&m, dir, o, &err);
    if (status != BAMBA_OK) fail_msg("%s", err.message);
    return m;
}

void world_open(world *w, const char *dir, const tiny_dims *d, const char *config,
                const bamba_model_options *o, const bamba_session_options *s, int n_batch)
{
    bamba_engine_options  e = BAMBA_ENGINE_OPTIONS;
    bamba_session_options plain = BAMBA_SESSION_OPTIONS;

    memset(w, 0, sizeof *w);
    w->n_until_cancel = -1;
    w->model = make_model(dir, d, config, o);
    e.n_batch = n_batch;
    e.n_threads = 1;
    w->fresh_engine = running_engine(w->model, &e);
    e.n_threads = 2;
    e.cancel = cancel;
    e.cancel_context = w;
    w->engine = running_engine(w->model, &e);
    w->session = running_session(w->model, s);
    plain.n_context = s->n_context;
    plain.n_window = s->n_window;
    plain.n_sink = s->n_sink;
    w->fresh = running_session(w->model, &plain);
}

void world_close(world *w)
{
    bamba_session_free(w->session);
    bamba_session_free(w->fresh);
    bamba_engine_free(w->engine);
    bamba_engine_free(w->fresh_engine);
    bamba_model_free(w->model);
}

const float *world_feed(world *w, size_t n)
{
    const float *logits;
    bamba_error  err;

    if (bamba_feed(w->engine, w->session, w->past.token + w->past.n, n, &logits, &err) != BAMBA_OK)
        fail_msg("%s", err.message);
    history_add(&w->past, n);
    return logits;
}
