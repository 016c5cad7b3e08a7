/* splitmix.h - seeded random bits for tests, the same everywhere.
 *
 * Source: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators".
 */
#ifndef BAMBA_TESTS_SPLITMIX_H
#define BAMBA_TESTS_SPLITMIX_H

#include <stdint.h>

static inline uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

#endif
