/* random.c - seeded values.
 *
 * A counter goes through the finaliser of splitmix64 (Steele, Lea & Flood 2014); each byte of
 * what comes out chooses one of LEVELS values. None of them is 0, and the least is far above
 * what is denormal in IEEE half precision. */
#include "graph/random.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { LEVELS = 256 };

static uint64_t mix(uint64_t seed, uint64_t i)
{
    uint64_t z = seed + (i + 1) * 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void fill_wide(const float *value, uint64_t seed, size_t first, size_t n, float *to)
{
    for (size_t i = 0; i < n; i += 8) {
        uint64_t z = mix(seed, (first + i) / 8);
        for (size_t j = i; j < n && j < i + 8; j++, z >>= 8) to[j] = value[z & 0xff];
    }
}

static void fill_half(const uint16_t *value, uint64_t seed, size_t first, size_t n,
                      uint16_t *to)
{
    for (size_t i = 0; i < n; i += 8) {
        uint64_t z = mix(seed, (first + i) / 8);
        for (size_t j = i; j < n && j < i + 8; j++, z >>= 8) to[j] = value[z & 0xff];
    }
}

void bb_random_fill(const bb_kernels *k, int type, float bound, uint64_t seed, size_t first,
                    size_t n, void *to)
{
    float    value[LEVELS];
    uint16_t half[LEVELS];

    for (int i = 0; i < LEVELS; i++) value[i] = bound * (float)(2 * i - 255) / LEVELS;
    if (type == BB_TYPE_F32) {
        fill_wide(value, seed, first, n, to);
        return;
    }
    k->narrow[type](LEVELS, value, half);
    fill_half(half, seed, first, n, to);
}

float bb_random_bound(int cols)
{
    const float least = 0x1p-6f;          /* / LEVELS = 2^-14, the least normal half */
    const float bound = sqrtf(3.0f / (float)cols);
    return bound > least ? bound : least;
}

static bool ends_with(const char *name, const char *end)
{
    const size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

void bb_random_small(const char *name, uint64_t seed, int n_last, size_t n, float *to)
{
    float low = 0.75f, high = 1.25f;

    if (n_last < (int)n) {                /* a filter of n_last taps */
        high = 1.0f / sqrtf((float)n_last);
        low = -high;
    }
    if (ends_with(name, "A_log")) low = 0.0f, high = 2.75f;           /* A from -1 to -16 */
    else if (ends_with(name, "dt_bias")) low = -6.9f, high = -2.25f;  /* dt from 0.001 to 0.1 */
    else if (ends_with(name, "bias")) low = -0.02f, high = 0.02f;
    for (size_t i = 0; i < n; i++)
        to[i] = low + (high - low) * ((float)(mix(seed, i) >> 40) + 0.5f) * 0x1p-24f;
}
