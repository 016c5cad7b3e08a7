/* elementwise.c - kernels that look at one position, or at a pair, a vector at a time. */
#include "../variants.h"
#include "vec.h"

BB_INLINE vf axpy(vf x, vf y, const vf *alpha) { return vf_fma(*alpha, x, y); }
BB_INLINE vf mul(vf x, vf y, const vf *c) { return (void)c, vf_mul(x, y); }

/* vf_max gives its second operand where one is NaN. */
BB_INLINE vf relu2(vf x, vf same, const vf *zero)
{
    const vf v = vf_max(*zero, x);
    return (void)same, vf_mul(v, v);
}

BB_INLINE vf silu_mul(vf gate, vf up, const vf *c) { return (void)c, vf_mul(vf_silu(gate), up); }

/*
 * v · Φ(v): with x = |v| / √2 and t = 1 / (1 + p·x), 1 - erf(x) = t · q(t) · exp(-x²), q of degree
 * 4; the error is at most 1.5e-7. Abramowitz & Stegun 1964, 7.1.26.
 */
BB_INLINE vf gelu_mul(vf v, vf up, const vf *c)
{
    const vf zero = vf_zero(), one = vf_set1(1.0f);
    const vf x = vf_mul(vf_max(v, vf_sub(zero, v)), vf_set1(0x1.6a09e6p-1f));
    const vf t = vf_div(one, vf_fma(vf_set1(0.3275911f), x, one));
    vf       q = vf_set1(0.5f * 1.061405429f);

    (void)c;
    q = vf_fma(q, t, vf_set1(0.5f * -1.453152027f));
    q = vf_fma(q, t, vf_set1(0.5f * 1.421413741f));
    q = vf_fma(q, t, vf_set1(0.5f * -0.284496736f));
    q = vf_fma(q, t, vf_set1(0.5f * 0.254829592f));
    const vf tail = vf_mul(vf_mul(t, q), vf_exp(vf_fnma(x, x, zero)));
    return vf_mul(vf_mul(v, vf_choose(vf_less(v, zero), tail, vf_sub(one, tail))), up);
}

void BB_ISA(bb_axpy)(int n, float alpha, const float *x, float *y)
{
    const vf a = vf_set1(alpha);
    vf_map(n, axpy, &a, x, y, y);
}

void BB_ISA(bb_gelu_mul)(int n, const float *gate, const float *up, float *y)
{
    vf_map(n, gelu_mul, NULL, gate, up, y);
}

void BB_ISA(bb_mul)(int n, const float *x, float *y) { vf_map(n, mul, NULL, x, y, y); }

void BB_ISA(bb_relu2)(int n, const float *x, float *y)
{
    const vf zero = vf_zero();
    vf_map(n, relu2, &zero, x, x, y);
}

void BB_ISA(bb_silu_mul)(int n, const float *gate, const float *up, float *y)
{
    vf_map(n, silu_mul, NULL, gate, up, y);
}

/*
 * log(1 + u), u >= 0:  w = 1 + u is rounded, so the logarithm of w is corrected by what was
 * lost, (u - (w - 1)) / w.  w = 2^n · m, sqrt(1/2) <= m < sqrt(2); with s = (m - 1) / (m + 1)
 * log(m) = 2·s·(1 + s²/3 + s⁴/5 + s⁶/7 + s⁸/9), the rest below 2e-9.
 */
BB_INLINE vf log1p_of(vf u)
{
    const vf one = vf_set1(1.0f), w = vf_add(one, u);
    const vf lost = vf_div(vf_sub(u, vf_sub(w, one)), w);
    vf       m, n;
    vf_split(w, &m, &n);

    const vf s  = vf_div(vf_sub(m, one), vf_add(m, one)), ss = vf_mul(s, s);
    vf       q  = vf_set1(1.0f / 9);
    q = vf_fma(q, ss, vf_set1(1.0f / 7));
    q = vf_fma(q, ss, vf_set1(1.0f / 5));
    q = vf_fma(q, ss, vf_set1(1.0f / 3));

    const vf s2 = vf_add(s, s), tail = vf_fma(vf_mul(ss, s2), q, lost);
    const vf low = vf_fma(n, vf_set1(-0x1.bd0106p-13f), tail);
    return vf_fma(n, vf_set1(0x1.63p-1f), vf_add(s2, low));
}

/* limit [2]: lo, hi. NaN falls through every comparison. */
BB_INLINE vf softplus_clamp(vf raw, vf bias, const vf *limit)
{
    const vf v = vf_add(raw, bias), twenty = vf_set1(20.0f);
    const vf s = vf_choose(vf_less(twenty, v), v, log1p_of(vf_exp(vf_min(twenty, v))));
    return vf_min(limit[1], vf_max(limit[0], s));
}

void BB_ISA(bb_softplus_clamp)(int H, const float *raw, const float *bias, float lo, float hi,
                               float *dt)
{
    const vf limit[] = { vf_set1(lo), vf_set1(hi) };
    vf_map(H, softplus_clamp, limit, raw, bias, dt);
}

void BB_ISA(bb_rope)(int heads, int width, int d, const float *cos, const float *sin, float *x)
{
    const int half = d / 2;

    for (int h = 0; h < heads; h++) {
        float *low = x + (size_t)h * (size_t)width, *high = low + half;
        int    i   = 0;
        for (; i + VL <= half; i += VL) {
            const vf a = vf_load(low + i), b = vf_load(high + i);
            const vf c = vf_load(cos + i), s = vf_load(sin + i);
            vf_store(low + i, vf_fnma(b, s, vf_mul(a, c)));
            vf_store(high + i, vf_fma(a, s, vf_mul(b, c)));
        }
        if (i < half) {
            const int n = half - i;
            const vf  a = vf_load_part(low + i, n), b = vf_load_part(high + i, n);
            const vf  c = vf_load_part(cos + i, n), s = vf_load_part(sin + i, n);
            vf_store_part(low + i, n, vf_fnma(b, s, vf_mul(a, c)));
            vf_store_part(high + i, n, vf_fma(a, s, vf_mul(b, c)));
        }
    }
}
