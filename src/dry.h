/* dry.h - the token that would go on with a repeated sequence becomes less likely ("don't repeat
 * yourself").
 *
 * Owns:    the last tokens, the tokens that break sequences.
 * Not:     penalties for single tokens (penalties.h).
 * Errors:  bb_fail.
 *
 * If the last n tokens also stand earlier in the text, and are at least `allowed`, the token that
 * followed them there loses multiplier · base^(n - allowed); of several such places the longest
 * counts. A sequence breaker ends what n counts, and a token that holds one loses nothing.
 *
 * Source: p-e-w, "DRY: a modern repetition penalty", oobabooga/text-generation-webui pull request
 * 5677; as llama.cpp understands it.
 */
#ifndef BB_DRY_H
#define BB_DRY_H

#include "bamba.h"

#include "base/alloc.h"
#include "candidates.h"

typedef struct bb_dry bb_dry;

/* *out becomes NULL if the options turn it off; the other functions accept that. */
bb_status bb_dry_create(bb_dry **out, const bamba_sampler_options *o, int n_vocab,
                        const bb_allocator *a, bamba_error *err);
void bb_dry_free(bb_dry *d);

void bb_dry_reset(bb_dry *d);
void bb_dry_accept(bb_dry *d, int32_t id);
void bb_dry_apply(bb_dry *d, bb_pool *pool);

#endif
