/* forward.h - the forward pass over a ragged batch.
 *
 * Owns:    the order: embed, blocks, head.
 * Not:     arithmetic (mixer/), cutting prompts into pieces (feed.c).
 */
#ifndef BB_FORWARD_H
#define BB_FORWARD_H

#include "graph/plan.h"

/* A search for the block that makes a row not finite: the pass ends behind it. */
typedef struct bb_search {
    int        row;
    atomic_int found;                     /* in: -1; out: blocks before which the row was finite,
                                             0: not even the embedding is; -1: it is finite */
} bb_search;

typedef struct bb_batch {                 /* T rows of one or more sessions, in segments */
    const int32_t    *token;              /* [T] */
    int               T;
    const bb_segment *segment;            /* [n_segments] */
    int               n_segments;
    bool              many;               /* multiply as in passes of many rows */
    bool              is_inside, is_cut;  /* its first segment goes on with one that was cut at an
                                             edge; its last one is cut there */
    const int        *wanted;             /* [n_wanted] rows whose logits are wanted, ascending */
    int               n_wanted;
    float            *logits;             /* [n_wanted, V] */
    const int        *shown;              /* [n_shown] rows that are wanted themselves, ascending */
    int               n_shown;
    float            *hidden;             /* [n_shown, D] as the head reads them */
    bamba_cancel_fn  *cancel;             /* polled once a block by thread 0; may be NULL */
    void             *cancel_context;
    atomic_bool      *cancelled;          /* out: the pass stopped half-way */
    bb_search        *search;             /* NULL: none */
} bb_batch;

/* Run the part of the network that g has: the embedding if it has block 0 (else pass->x holds what
   earlier blocks made, and pass->embedded, where it is wanted, the embeddings), its blocks, and the
   head if it has the last block (else pass->x is the result). By every thread of the team, each
   with its own exec. What is not finite in a row of x stays so up to the end. */
void bb_forward(const bb_graph *g, const bb_exec *e, const bb_batch *b);

/* Have all threads of pass->team run bb_forward; for a caller outside of bb_team_run. */
void bb_forward_all(const bb_graph *g, const bb_pass *pass, const bb_batch *b);

/* Whether none of n values is NaN or infinite. */
bool bb_is_finite(size_t n, const float *x);

#endif
