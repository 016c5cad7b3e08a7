/* expand.c - what low-rank terms add to products, in portable C. */
#include "../variants.h"
#include "scalar.h"

enum { ROWS = BB_EXPAND_ROWS };

/* Row r of B in its tile: the first of its elements, which are ROWS apart. */
static size_t at_row(int r, int n)
{
    return (size_t)(r / ROWS) * (size_t)n * ROWS + (size_t)(r % ROWS);
}

typedef float get_fn(const void *B, size_t at);

static inline float get_f32(const void *B, size_t at) { return ((const float *)B)[at]; }
static inline float get_f16(const void *B, size_t at)
{
    return widen_f16(((const uint16_t *)B)[at]);
}

static inline void expand(get_fn *get, int T, int rows, int n, const void *B, int first,
                          const float *u, size_t ldu, float *y, size_t ldy)
{
    for (int t = 0; t < T; t++, u += ldu, y += ldy)
        for (int r = 0; r < rows; r++) {
            const size_t at = at_row(first + r, n);
            float        sum = 0.0f;
            for (int i = 0; i < n; i++) sum += get(B, at + (size_t)i * ROWS) * u[i];
            y[r] += sum;
        }
}

void bb_expand_f32_c(int T, int rows, int n, const void *B, int first, const float *u, size_t ldu,
                     float *y, size_t ldy)
{
    expand(get_f32, T, rows, n, B, first, u, ldu, y, ldy);
}

void bb_expand_f16_c(int T, int rows, int n, const void *B, int first, const float *u, size_t ldu,
                     float *y, size_t ldy)
{
    expand(get_f16, T, rows, n, B, first, u, ldu, y, ldy);
}
