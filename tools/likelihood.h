/* likelihood.h - the probabilities of continuations.
 *
 * Owns:    the order of feeding: contexts once, then a fork for each continuation.
 * Not:     which pieces share a call (pack.h), tokens (requests.h).
 * Errors:  reported here; callers pass the exit code on.
 */
#ifndef BAMBA_TOOLS_LIKELIHOOD_H
#define BAMBA_TOOLS_LIKELIHOOD_H

#include "requests.h"

/* Fill in ln and is_greedy of all continuations in r. p: a pack whose calls give logits. */
int likelihood_find(pack *p, requests *r);

#endif
