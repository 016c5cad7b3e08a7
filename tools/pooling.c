/* pooling.c - one vector for a text, from the hidden rows of its tokens. */
#include "pooling.h"

#include <math.h>

const char *const pooling_words[] = { "mean", "last", NULL };

void pooling_add(int pooling, double *sum, const float *rows, size_t n, size_t width)
{
    for (size_t t = pooling == POOLING_LAST && n > 0 ? n - 1 : 0; t < n; t++)
        for (size_t i = 0; i < width; i++) {
            const double x = (double)rows[t * width + i];
            sum[i] = pooling == POOLING_LAST ? x : sum[i] + x;
        }
}

/* What a vector is divided by. */
static double measure(int norm, const double *x, size_t width)
{
    double most = 0.0, sum = 0.0;

    for (size_t i = 0; i < width; i++) most = fmax(most, fabs(x[i]));
    if (norm == 0) return most / 32760.0;
    for (size_t i = 0; i < width && most > 0.0; i++) sum += pow(fabs(x[i]) / most, norm);
    return most * pow(sum, 1.0 / norm);
}

void pooling_finish(int pooling, int norm, const double *sum, size_t n, size_t width, float *out)
{
    double by = norm < 0 ? pooling == POOLING_MEAN ? (double)n : 1.0 : measure(norm, sum, width);

    if (by == 0.0) by = 1.0;
    for (size_t i = 0; i < width; i++) out[i] = (float)(sum[i] / by);
}
