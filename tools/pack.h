/* pack.h - pieces of many sequences, packed into calls of an engine.
 *
 * Owns:    which pieces share a call, how many sessions live at once.
 * Not:     what a row means, where the tokens come from.
 * Errors:  reported here; callers pass the exit code on.
 *
 * Calls take whole sequences as long as they fit. One that is longer than a call begins a call of
 * its own and goes on in the next ones, cut at multiples of 64 tokens, where a cut changes no bits.
 */
#ifndef BAMBA_TOOLS_PACK_H
#define BAMBA_TOOLS_PACK_H

#include "setup.h"

/* Tokens for one session, and which rows that follow them are wanted. */
typedef struct sequence {
    const int32_t *ids;
    size_t         n, n_fed;              /* of them; so many are fed                         */
    size_t         n_skipped;             /* the rows of the first so many are not wanted     */
    bamba_session *session;               /* pack_open, pack_fork; NULL: not yet              */
    size_t         n_context;             /* tokens that the session will have in the end     */
    void          *owner;                 /* whose it is, and the owner's number for it       */
    int            kind;
} sequence;

enum { PACK_MOST = 64 };                  /* sessions at once */

typedef struct pack {
    const setup     *setup;
    bool             hidden;              /* rows are hidden ones, not logits                 */
    size_t           width;               /* of a row                                         */
    size_t           n_batch, most_rows;  /* tokens, and wanted rows, of a call               */
    bamba_feed_item  item[PACK_MOST];     /* [n] of the call                                  */
    sequence        *of[PACK_MOST];       /* [n] whose they are                               */
    size_t           n, n_tokens, n_rows;
    size_t           n_live;              /* sessions                                         */
    uint64_t         live_bytes, most_bytes;          /* of them                              */
    bool             has_warned;          /* of a text longer than the model was made for     */
} pack;

/* Give the setup, which has a model, an engine. */
int  pack_create(pack *p, setup *s, const setup_flags *f, bool hidden);

/* Begin a call. */
void pack_clear(pack *p);

/* How many of the tokens of s that are not fed the call takes beside what it has; 0: none, it is to
   be run first. */
size_t pack_fit(const pack *p, const sequence *s);

/* Give s an empty session, or one that goes on from another. */
int  pack_open(pack *p, sequence *s);
int  pack_fork(pack *p, sequence *s, const bamba_session *from);
void pack_end(pack *p, sequence *s);      /* frees its session                                */

/* Put the next n tokens of s, which has a session, into the call. */
void pack_put(pack *p, sequence *s, size_t n);

/* Feed what is in the call, which is something. */
int  pack_run(pack *p);

/* After that: the rows [*n, width] of the i-th sequence, the first of which follows its token
   *first. */
const float *pack_rows(const pack *p, size_t i, size_t *first, size_t *n);

#endif
