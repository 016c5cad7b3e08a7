/* random.h - seeded values, for models and sessions whose contents do not matter.
 *
 * Owns:    which values: finite, of sensible size, never denormal in any type.
 * Not:     where they go.
 *
 * Element i depends on the seed and i alone, so any thread may make any part.
 */
#ifndef BB_GRAPH_RANDOM_H
#define BB_GRAPH_RANDOM_H

#include "kernels.h"

/* Elements first … first + n - 1 (first a multiple of 8) of values spread evenly over
   [-bound, bound], of a type BB_TYPE_…, to `to`. */
void bb_random_fill(const bb_kernels *k, int type, float bound, uint64_t seed, size_t first,
                    size_t n, void *to);

/* The bound for a matrix of `cols` columns: products keep the size of what they multiply. */
float bb_random_bound(int cols);

/* A small tensor [n] by the end of its name: biases near 0, what scales near 1, A_log and
   dt_bias as Mamba-2 begins its training; n_last: last dimension, of tensors that have more. */
void bb_random_small(const char *name, uint64_t seed, int n_last, size_t n, float *to);

#endif
