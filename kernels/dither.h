/* dither.h - what decides the rounding of stored rows, and their scales, at every level.
 *
 * Owns:    noise: a hash for each row, from which elements step by a fixed amount (a Weyl sequence,
 *          whose neighbours are spread evenly); scales of int8 rows.
 * Not:     rounding (stored.c of ref/ and simd/).
 */
#ifndef BB_DITHER_H
#define BB_DITHER_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define BB_DITHER_STEP 0x9e3779b9u        /* 2^32 / golden ratio */
#define BB_DITHER_FIRST (0x1p-13f - 0.5f) /* 12 bits of noise become -1/2 … 1/2, ends excluded */

/* The noise of a row's first element (the finalizer of MurmurHash3). */
static inline uint32_t bb_dither_row(uint32_t n)
{
    n = (n ^ n >> 16) * 0x85ebca6bu;
    n = (n ^ n >> 13) * 0xc2b2ae35u;
    return n ^ n >> 16;
}

/* The scale of a row whose largest magnitude has these bits: cut, not rounded, so that the largest
   code is 127 whatever the noise; with 16 bits, so that scale · code is exact. */
static inline float bb_row_scale(uint32_t most)
{
    float    scale;
    uint32_t bits;

    memcpy(&scale, &most, sizeof scale);
    scale /= 127.0f;
    if (most >= 0x7f800000u) return NAN;
    if (!(scale >= 0x1p-100f)) return 0.0f;
    memcpy(&bits, &scale, sizeof bits);
    bits &= 0xffffff00u;
    memcpy(&scale, &bits, sizeof scale);
    return scale;
}

#endif
