/* backtrack.h - tokens that may not be chosen at a place, and a stricter sampler for a while.
 *
 * Owns:    which ids are banned at which place of the text; how often circles were left.
 * Not:     going back (cmd_generate.c).
 */
#ifndef BAMBA_TOOLS_BACKTRACK_H
#define BAMBA_TOOLS_BACKTRACK_H

#include "bamba.h"

#include <stdbool.h>

enum { BACKTRACK_MOST = 256 };            /* banned ids of all places in reach */

typedef struct backtrack {
    struct { size_t place; int32_t id; } banned[BACKTRACK_MOST];
    size_t n_banned;
    size_t strict_until;                  /* places before it are chosen by the stricter sampler */
    size_t n_bans, n_loops;               /* how often each made the text go back */
} backtrack;

/* Ban id at a place; bans of places behind it are forgotten, since the text before them changes.
   False: there is no room for more. */
bool backtrack_ban(backtrack *b, size_t place, int32_t id);

/* Whether any id is banned at the place; if so logits [n_vocab] are -infinity there in out. */
bool backtrack_apply(const backtrack *b, size_t place, const float *logits, size_t n_vocab,
                     float *out);

#endif
