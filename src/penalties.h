/* penalties.h - tokens that were seen lately become less likely.
 *
 * Owns:    counts of the tokens in the window.
 * Not:     sequences that repeat (dry.h).
 */
#ifndef BB_PENALTIES_H
#define BB_PENALTIES_H

#include "bamba.h"

#include "base/alloc.h"
#include "candidates.h"

typedef struct bb_penalties {
    float     repetition, presence, frequency;
    int       n_vocab;                    /* V                                               */
    uint32_t *counts;                     /* [V] in the window; NULL: no penalties           */
    int32_t  *window;                     /* [size] ring; NULL: all tokens are in it         */
    size_t    size;
    size_t    n;                          /* tokens in the ring                              */
    size_t    oldest;                     /* index of the next to be overwritten             */
} bb_penalties;

/* False without memory; bb_penalties_close in any case. */
bool bb_penalties_open(bb_penalties *p, const bamba_sampler_options *o, int n_vocab,
                       const bb_allocator *a);
void bb_penalties_close(bb_penalties *p, const bb_allocator *a);

void bb_penalties_reset(bb_penalties *p);
void bb_penalties_accept(bb_penalties *p, int32_t id);
void bb_penalties_apply(const bb_penalties *p, bb_pool *pool);

#endif
