/* random.c - seeded values.
 *
 * A counter goes through the finaliser of splitmix64 (Steele, Lea & Flood 2014); each byte of
 * what comes out chooses one of LEVELS values. None of them is 0, and the least is far above
 * what is denormal in IEEE half precision. */
#include "graph/random.h"

#include <math.h>

enum { LEVELS = 256 };

static uint64_t mix(uint64_t seed, uint64_t i)
{
    uint64_t z = seed + (i + 1) * 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void bb_random_fill(float bound, uint64_t seed, size_t first, size_t n, float *to)
{
    float value[LEVELS];

    for (int i = 0; i < LEVELS; i++) value[i] = bound * (float)(2 * i - 255) / LEVELS;
    for (size_t i = 0; i < n;) {
        uint64_t z = mix(seed, (first + i) / 8) >> (first + i) % 8 * 8;
        do {
            to[i++] = value[z & 0xff];
            z >>= 8;
        } while (i < n && (first + i) % 8 != 0);
    }
}

float bb_random_bound(int cols)
{
    const float least = 0x1p-6f;          /* / LEVELS = 2^-14, the least normal half */
    const float bound = sqrtf(3.0f / (float)cols);
    return bound > least ? bound : least;
}

void bb_random_range(float low, float high, uint64_t seed, size_t n, float *to)
{
    for (size_t i = 0; i < n; i++)
        to[i] = low + (high - low) * ((float)(mix(seed, i) >> 40) + 0.5f) * 0x1p-24f;
}
