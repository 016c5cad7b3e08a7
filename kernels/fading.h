/* fading.h - how a Mamba-2 state fades, more exactly than by one float.
 *
 * Owns:    a decay a as two factors:  a · S = kept · S - lost · S.
 * Not:     the decays between the tokens of a chunk, which meet no state twice.
 *
 * A decay near 1 keeps 1 and loses 1 - a, of which a float holds all digits, as it does not of a.
 * Where a token repeats, each step would repeat the same rounding of a and of a · S, and a state
 * that remembers a thousand tokens would add up a thousand of them.
 */
#ifndef BB_FADING_H
#define BB_FADING_H

#include <math.h>

typedef struct bb_fading { float kept, lost; } bb_fading;

/* The decay exp(log_decay), which the contracts have in (0, 1]. */
static inline bb_fading bb_fading_of(double log_decay)
{
    const double a = exp(log_decay);
    return a >= 0.5 ? (bb_fading){ 1.0f, (float)-expm1(log_decay) } : (bb_fading){ (float)a, 0.0f };
}

#endif
