/* random.h - seeded values, for models and sessions whose contents do not matter.
 *
 * Owns:    which values: finite, of sensible size, never denormal in any type.
 * Not:     where they go.
 *
 * Element i depends on the seed and i alone, so any thread may make any part.
 */
#ifndef BB_GRAPH_RANDOM_H
#define BB_GRAPH_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Elements first … first + n - 1 of a sequence of 256 values spread evenly over [-bound, bound]. */
void bb_random_fill(float bound, uint64_t seed, size_t first, size_t n, float *to);

/* The bound for a matrix of `cols` columns: products keep the size of what they multiply. */
float bb_random_bound(int cols);

/* n values spread evenly over [low, high). */
void bb_random_range(float low, float high, uint64_t seed, size_t n, float *to);

#endif
