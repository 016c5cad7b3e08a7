/* speculation.h - how many tokens to guess, and what came of it.
 *
 * Owns:    the guesses; how often they were right, what a row costs, how many pay.
 * Not:     feeding and choosing (the caller).
 *
 * In a loop: speculation_guess with the tokens chosen since, feed the last of them with the guesses
 * behind it, choose tokens as long as they are the guesses, then speculation_learn.
 */
#ifndef BAMBA_TOOLS_SPECULATION_H
#define BAMBA_TOOLS_SPECULATION_H

#include "bamba.h"

enum { SPECULATION_MOST = 31 };           /* guesses: with the token before them, few rows */

typedef struct speculation {
    bamba_speculator *lookup;             /* NULL: no guesses */
    int      most;                        /* guesses a pass */
    int32_t  guess[SPECULATION_MOST];     /* [n] of the pass in hand */
    int      n;
    double   right;                       /* share of guesses that are right where those before are */
    double   cost[SPECULATION_MOST + 2];  /* [rows] milliseconds of a pass; 0: not measured */
    int      wait;                        /* passes until guessing is tried again */
    size_t   n_passes, n_guessed, n_right;
} speculation;

/* Guess up to `most` tokens a pass; 0: none, ever. */
bamba_status speculation_open(speculation *s, int most, bamba_error *err);
void speculation_close(speculation *s);

/* Forget the tokens, not what was learnt of costs. */
bamba_status speculation_forget(speculation *s, bamba_error *err);

/* Tell it of tokens of the text, without guessing. */
bamba_status speculation_accept(speculation *s, const int32_t *ids, size_t n, bamba_error *err);

/* Make s->guess [s->n <= room] behind id, which was just chosen: as many as are expected to give the
   most tokens for their time. */
bamba_status speculation_guess(speculation *s, int32_t id, size_t room, bamba_error *err);

/* The pass took so long, and n_right of its guesses stand. */
void speculation_learn(speculation *s, int n_right, double ms);

#endif
