/* expand.c - what low-rank terms add to products, in portable C. */
#include "../variants.h"
#include "scalar.h"

enum { ROWS = BB_EXPAND_ROWS };

/* Row r of B in its tile: the first of its elements, which are ROWS apart. */
static size_t at_row(int r, int n)
{
    return (size_t)(r / ROWS) * (size_t)n * ROWS + (size_t)(r % ROWS);
}

void bb_expand_f32_c(int T, int rows, int n, const void *B, int first, const float *u, size_t ldu,
                     float *y, size_t ldy)
{
    for (int t = 0; t < T; t++, u += ldu, y += ldy)
        for (int r = 0; r < rows; r++) {
            const float *b = (const float *)B + at_row(first + r, n);
            float        sum = 0.0f;
            for (int i = 0; i < n; i++) sum += b[i * ROWS] * u[i];
            y[r] += sum;
        }
}

void bb_expand_f16_c(int T, int rows, int n, const void *B, int first, const float *u, size_t ldu,
                     float *y, size_t ldy)
{
    for (int t = 0; t < T; t++, u += ldu, y += ldy)
        for (int r = 0; r < rows; r++) {
            const uint16_t *b = (const uint16_t *)B + at_row(first + r, n);
            float           sum = 0.0f;
            for (int i = 0; i < n; i++) sum += widen_f16(b[i * ROWS]) * u[i];
            y[r] += sum;
        }
}
