/* pooling.h - one vector for a text, from the hidden rows of its tokens.
 *
 * Owns:    means and last rows, lengths of vectors.
 * Not:     where rows come from.
 * Source:  llama.cpp's --pooling and --embd-normalize.
 */
#ifndef BAMBA_TOOLS_POOLING_H
#define BAMBA_TOOLS_POOLING_H

#include <stddef.h>

enum { POOLING_MEAN, POOLING_LAST };
extern const char *const pooling_words[];             /* by these numbers; ends with NULL */

/* Add n rows [n, width] of a text to its sums [width]; the last row takes their place where that
   alone counts. */
void pooling_add(int pooling, double *sum, const float *rows, size_t n, size_t width);

/* The vector of a text of n tokens whose length is made what `norm` says: -1 as it is, 0 its
   largest magnitude 32760, 1 the sum of magnitudes 1, 2 its Euclidean length 1, p the p-norm 1. A
   vector of zeros stays. */
void pooling_finish(int pooling, int norm, const double *sum, size_t n, size_t width, float *out);

#endif
