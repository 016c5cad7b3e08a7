/* norm.c - root-mean-square norms, a vector at a time; sums of squares in double. */
#include "../variants.h"
#include "vec.h"

#include <math.h>

/* The two halves of a vector have sums of their own, to keep additions from waiting. */
typedef struct squares { vd low, high; } squares;

BB_INLINE squares add_squares(squares s, vf v)
{
    const vd a = vd_low(v), b = vd_high(v);
    return (squares){ vd_fma(a, a, s.low), vd_fma(b, b, s.high) };
}

BB_INLINE squares no_squares(void) { return (squares){ vd_zero(), vd_zero() }; }

BB_INLINE vf inverse_rms(squares even, squares odd, int n, float epsilon)
{
    const double sum = vd_sum(vd_add(vd_add(even.low, even.high), vd_add(odd.low, odd.high)));
    return vf_set1((float)(1.0 / sqrt(sum / n + (double)epsilon)));
}

/* x · r · w */
BB_INLINE vf scale(vf x, vf w, const vf *r) { return vf_mul(vf_mul(x, *r), w); }

void BB_ISA(bb_rmsnorm)(int n, const float *x, const float *w, float epsilon, float *y)
{
    squares even = no_squares(), odd = no_squares();
    int     i = 0;

    for (; i + 2 * VL <= n; i += 2 * VL) {
        even = add_squares(even, vf_load(x + i));
        odd  = add_squares(odd, vf_load(x + i + VL));
    }
    for (; i < n; i += VL)
        even = add_squares(even, vf_load_part(x + i, n - i < VL ? n - i : VL));
    const vf r = inverse_rms(even, odd, n, epsilon);
    vf_map(n, scale, &r, x, w, y);
}

/* One group: out = u / sqrt(mean(u²) + epsilon) · w, u = y · silu(z). */
static void norm_group(int n, const float *y, const float *z, const float *w, float epsilon,
                       float *out)
{
    squares even = no_squares(), odd = no_squares();
    int     i = 0;

    for (; i + 2 * VL <= n; i += 2 * VL) {
        const vf u = vf_mul(vf_load(y + i), vf_silu(vf_load(z + i)));
        const vf v = vf_mul(vf_load(y + i + VL), vf_silu(vf_load(z + i + VL)));
        even = add_squares(even, u);
        odd  = add_squares(odd, v);
        vf_store(out + i, u);
        vf_store(out + i + VL, v);
    }
    for (; i < n; i += VL) {
        const int part = n - i < VL ? n - i : VL;
        const vf  u    = vf_mul(vf_load_part(y + i, part), vf_silu(vf_load_part(z + i, part)));
        even = add_squares(even, u);
        vf_store_part(out + i, part, u);
    }
    const vf r = inverse_rms(even, odd, n, epsilon);
    vf_map(n, scale, &r, out, w, out);
}

void BB_ISA(bb_gated_rmsnorm)(int n, int G, const float *y, const float *z, const float *w,
                              float epsilon, float *out)
{
    const int width = n / G;

    for (int g = 0; g < G; g++) {
        const size_t at = (size_t)g * (size_t)width;
        norm_group(width, y + at, z + at, w + at, epsilon, out + at);
    }
}
