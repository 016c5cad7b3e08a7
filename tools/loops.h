/* loops.h - whether a text goes round in circles.
 *
 * Owns:    what counts as a circle.
 * Not:     what is done about it (cmd_generate.c).
 */
#ifndef BAMBA_TOOLS_LOOPS_H
#define BAMBA_TOOLS_LOOPS_H

#include <stddef.h>
#include <stdint.h>

/* Tokens of a circle, its rounds, and tokens of all rounds at least. */
enum { LOOPS_LONGEST = 64, LOOPS_TIMES = 3, LOOPS_FEWEST = 24 };

/* If the last tokens of ids [n] are the same up to LOOPS_LONGEST tokens at least LOOPS_TIMES times
   over, the number of the token with which the second time begins; else n. */
size_t loops_find(const int32_t *ids, size_t n);

#endif
