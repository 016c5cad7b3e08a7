/* xoshiro.h - a generator of random numbers.
 *
 * xoshiro256** seeded through splitmix64 (Blackman & Vigna, "Scrambled linear pseudorandom number
 * generators", 2018).
 */
#ifndef BB_XOSHIRO_H
#define BB_XOSHIRO_H

#include <stdint.h>

typedef struct bb_xoshiro {
    uint64_t s[4];
} bb_xoshiro;

static inline void bb_xoshiro_seed(bb_xoshiro *x, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = (seed += UINT64_C(0x9E3779B97F4A7C15));
        z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
        x->s[i] = z ^ z >> 31;
    }
}

static inline uint64_t bb_rotate_left(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

/* In [0, 1), a multiple of 2^-53. */
static inline double bb_xoshiro_unit(bb_xoshiro *x)
{
    uint64_t *s = x->s;
    const uint64_t result = bb_rotate_left(s[1] * 5, 7) * 9;
    const uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = bb_rotate_left(s[3], 45);
    return (double)(result >> 11) * 0x1p-53;
}

#endif
