/* decay.h - the decay of a Mamba-2 state, more exact than one float.
 *
 * Owns:    exp of a log-decay as the sum of two floats; a state faded by it.
 * Not:     the decays between the tokens of a chunk (ssd_chunk.c), which meet each state once.
 *
 * Where a token repeats, each step would repeat the same rounding of one float, and a head that
 * remembers a thousand tokens would add up a thousand of them. */
#ifndef BB_SIMD_DECAY_H
#define BB_SIMD_DECAY_H

#include "vec.h"

#include <math.h>

/* A decay within 2^-48: high + low. */
typedef struct decay { vf high, low; } decay;

/* exp(log_decay). The contracts have no decay above 1; of one, low might be infinity less
   infinity. */
BB_INLINE decay make_decay(double log_decay)
{
    const double a    = exp(log_decay);
    const float  high = (float)a, low = high <= 1.0f ? (float)(a - (double)high) : 0.0f;
    return (decay){ vf_set1(high), vf_set1(low) };
}

/* a · S + in, where a is not rounded. */
BB_INLINE vf fade(decay a, vf S, vf in)
{
    return vf_fma(a.high, S, vf_fma(a.low, S, in));
}

#endif
