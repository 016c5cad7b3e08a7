/* world.h - a session with a past, and a fresh one that is fed the same: what rewind, fork and
 * files are compared with.
 *
 * Owns:    the model, an engine and a session for each of the two, and the tokens that were fed.
 * Errors:  a failure of the test.
 */
#ifndef SUPPORT_WORLD_H
#define SUPPORT_WORLD_H

#include "bamba.h"

#include "support/tiny.h"

#include <stddef.h>
#include <stdint.h>

enum { WORLD_VOCAB = 96, WORLD_MOST = 1400 };

/* The tokens that were fed, and how many by each call. */
typedef struct history {
    int32_t token[WORLD_MOST];
    size_t  n;
    size_t  call[WORLD_MOST];
    size_t  n_calls;
} history;

typedef struct world {
    bamba_model   *model;
    bamba_engine  *engine, *fresh_engine; /* of two threads, and of one */
    bamba_session *session, *fresh;
    history        past;                  /* of session */
    int            n_until_cancel;        /* engine is cancelled at this call of it; -1: never */
} world;

/* A model in the directory: a tiny Bamba (d), or random weights for the text of a config.json
   (config). session has the options s; fresh has s's context and window alone. */
void world_open(world *w, const char *dir, const tiny_dims *d, const char *config,
                const bamba_model_options *o, const bamba_session_options *s, int n_batch);
void world_close(world *w);

/* Feed session the n tokens that stand behind its past, which they become part of: the logits
   behind the last, until the next call. */
const float *world_feed(world *w, size_t n);

/* Note a call of n tokens that session absorbed; forget all but the first n tokens. */
void history_add(history *h, size_t n);
void history_cut(history *h, size_t n);

#endif
