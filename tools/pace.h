/* pace.h - how many tokens to guess a pass.
 *
 * Owns:    how often the guesses of each source were right, what passes cost, how many guesses pay.
 * Not:     guessing and feeding; clocks (callers measure).
 *
 * A source is where guesses come from: the text itself, a draft model. Costs are milliseconds.
 */
#ifndef BAMBA_TOOLS_PACE_H
#define BAMBA_TOOLS_PACE_H

#include <stddef.h>

enum { PACE_MOST = 31 };                  /* guesses: with the token before them, few rows */

typedef struct pace {
    double cost[PACE_MOST + 2];           /* [rows] of a pass; 0: not measured */
    size_t n_measured[PACE_MOST + 2];     /* [rows] so often … */
    size_t measured_at[PACE_MOST + 2];    /* … and at this number of passes last */
    size_t n_passes;
} pace;

typedef struct pace_source {
    double right;                         /* share of guesses right where those before are */
    double weight;                        /* guesses that it is known from */
    double balance;                       /* what its guesses have saved, in passes of one row */
    double step_ms;                       /* of making a guess; 0: nothing, or not measured */
    int    least;                         /* guesses in any case, if they are possible */
    int    wait, pause;                   /* passes until the next trial; the next wait's length */
    size_t n_passes, n_guessed, n_right;
} pace_source;

/* Until something is known. The balance is what trying may lose. */
#define PACE_SOURCE { .right = 0.6, .weight = 2.0, .balance = 4.0, .pause = 32 }

/* How many guesses, up to `most`, are expected to give the most tokens for their time, or nearly so
   where a cost is not certain yet. Where none pay, now and then some for a trial. 0 where a source
   could lose more than it has saved, but for a hundredth of all passes and what its balance began
   with. first_ms: what a source takes before its first guess. */
int pace_number(const pace *p, pace_source *s, int most, double first_ms);

/* A pass with n guesses took pass_ms, making them guess_ms, and n_right of them stand. s: NULL if
   there were none. */
void pace_learn(pace *p, pace_source *s, int n, int n_right, double pass_ms, double guess_ms);

#endif
