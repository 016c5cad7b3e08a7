/* elementwise.c - kernels that look at one position, or at a pair, in portable C. */
#include "../variants.h"
#include "scalar.h"

void bb_axpy_c(int n, float alpha, const float *restrict x, float *restrict y)
{
    for (int i = 0; i < n; i++) y[i] += alpha * x[i];
}

void bb_mul_c(int n, const float *restrict x, float *restrict y)
{
    for (int i = 0; i < n; i++) y[i] *= x[i];
}

void bb_relu2_c(int n, const float *x, float *y)
{
    for (int i = 0; i < n; i++) {
        const float v = x[i] < 0.0f ? 0.0f : x[i];         /* NaN is not less than 0 */
        y[i] = v * v;
    }
}

void bb_silu_mul_c(int n, const float *gate, const float *up, float *y)
{
    for (int i = 0; i < n; i++) y[i] = silu(gate[i]) * up[i];
}

void bb_gelu_mul_c(int n, const float *gate, const float *up, float *y)
{
    for (int i = 0; i < n; i++)
        y[i] = gate[i] * (0.5f + 0.5f * erff(gate[i] * 0x1.6a09e6p-1f)) * up[i];
}

static float softplus(float v)
{
    return v > 20.0f ? v : log1pf(expf(v));
}

void bb_softplus_clamp_c(int H, const float *raw, const float *bias, float lo, float hi,
                         float *dt)
{
    for (int h = 0; h < H; h++) {
        const float v = softplus(raw[h] + bias[h]);
        dt[h]         = v < lo ? lo : v > hi ? hi : v;
    }
}

void bb_rope_c(int heads, int width, int d, const float *restrict cos,
               const float *restrict sin, float *restrict x)
{
    const int half = d / 2;
    for (int h = 0; h < heads; h++) {
        float *restrict low  = x + (size_t)h * (size_t)width;
        float *restrict high = low + half;
        for (int i = 0; i < half; i++) {
            const float a = low[i], b = high[i];
            low[i]  = a * cos[i] - b * sin[i];
            high[i] = b * cos[i] + a * sin[i];
        }
    }
}
