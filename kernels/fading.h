/* fading.h - how a Mamba-2 state fades, more exactly than by one float.
 *
 * Owns:    a decay a as two factors:  a · S = kept · S - lost · S; how many tokens of a chunk are
 *          fed to a state at once.
 * Not:     the decays between the tokens of one chunk: a state is not multiplied by them again and
 *          again.
 *
 * Near 1 a float holds few digits of what is lost, 1 - a. So a decay of at least 1/2 is kept = 1
 * and lost = 1 - a, which a float holds to its own precision. With a itself as one float, a token
 * that repeats would repeat the same rounding of a and of a · S at each step, and a state that
 * remembers a thousand tokens would have the sum of a thousand such errors.
 */
#ifndef BB_FADING_H
#define BB_FADING_H

#include <math.h>

/* Tokens whose terms are summed before they are added to the state. It can be a thousand times as
   large as the term of one token, which would lose its low digits in each addition. */
enum { BB_FED = 32 };

typedef struct bb_fading { float kept, lost; } bb_fading;

/* The decay exp(log_decay), log_decay <= 0. */
static inline bb_fading bb_fading_of(double log_decay)
{
    const double a = exp(log_decay);
    return a >= 0.5 ? (bb_fading){ 1.0f, (float)-expm1(log_decay) } : (bb_fading){ (float)a, 0.0f };
}

#endif
