/* norm.c - root-mean-square norms, in portable C. */
#include "../variants.h"
#include "scalar.h"

enum { SUMS = 8 };

/* 1 / sqrt(mean(x²) + epsilon), in double: a long sum of float32 squares loses digits. */
static float inverse_rms(int n, const float *x, float epsilon)
{
    double    s[SUMS] = { 0 };
    const int whole   = n - n % SUMS;

    for (int i = 0; i < whole; i += SUMS)
        for (int l = 0; l < SUMS; l++) s[l] += (double)x[i + l] * (double)x[i + l];
    for (int i = whole; i < n; i++) s[i - whole] += (double)x[i] * (double)x[i];

    const double sum = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
    return (float)(1.0 / sqrt(sum / n + (double)epsilon));
}

void bb_rmsnorm_c(int n, const float *x, const float *w, float epsilon, float *y)
{
    const float r = inverse_rms(n, x, epsilon);
    for (int i = 0; i < n; i++) y[i] = x[i] * r * w[i];
}

void bb_gated_rmsnorm_c(int n, int G, const float *y, const float *z, const float *w,
                        float epsilon, float *out)
{
    const int width = n / G;
    for (int i = 0; i < n; i++) out[i] = y[i] * silu(z[i]);
    for (int g = 0; g < G; g++) {
        const size_t at = (size_t)g * (size_t)width;
        bb_rmsnorm_c(width, out + at, w + at, epsilon, out + at);
    }
}
