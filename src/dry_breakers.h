/* dry_breakers.h - the tokens in which a sequence breaker begins or stands.
 *
 * A breaker is a text. It stands in one token, or begins at the end of one, its head, and goes on
 * as the tokenizer writes the rest: the tail.
 */
#ifndef BB_DRY_BREAKERS_H
#define BB_DRY_BREAKERS_H

#include "bamba.h"

#include "base/alloc.h"

enum { BB_BREAKER_BYTES = 40, BB_TAIL_TOKENS = 20 };

typedef struct bb_tail {
    int32_t ids[BB_TAIL_TOKENS];          /* [n]; what follows is not compared               */
    size_t  n;
} bb_tail;

typedef struct bb_head {
    int32_t id;
    int32_t tail;                         /* index; 0 is the empty one                       */
} bb_head;

typedef struct bb_dry_breakers {
    bb_tail *tails;
    bb_head *heads;                       /* [n_heads], ids ascend                           */
    size_t   n_heads;
} bb_dry_breakers;

/* Find the heads among the tokens below n_vocab. bb_dry_breakers_close in any case. */
bb_status bb_dry_breakers_open(bb_dry_breakers *b, const bamba_sampler_options *o, int n_vocab,
                               const bb_allocator *a, bamba_error *err);
void bb_dry_breakers_close(bb_dry_breakers *b, const bb_allocator *a);

/* Tokens of the longest breaker that begins with recent[at], at most at + 1; 0: none does.
   recent [at + 1], newest first. */
size_t bb_dry_breakers_match(const bb_dry_breakers *b, const int32_t *recent, size_t at);

/* Whether a token holds a whole breaker. */
bool bb_dry_breakers_hold(const bb_dry_breakers *b, int32_t id);

#endif
