/* elementwise.c - kernels that look at one position, or at a pair, a vector at a time. */
#include "../variants.h"
#include "vec.h"

void BB_ISA(bb_axpy)(int n, float alpha, const float *x, float *y)
{
    const vf a = vf_set1(alpha);
    int      i = 0;

    for (; i + VL <= n; i += VL) vf_store(y + i, vf_fma(a, vf_load(x + i), vf_load(y + i)));
    if (i < n)
        vf_store_part(y + i, n - i,
                      vf_fma(a, vf_load_part(x + i, n - i), vf_load_part(y + i, n - i)));
}

void BB_ISA(bb_mul)(int n, const float *x, float *y)
{
    int i = 0;

    for (; i + VL <= n; i += VL) vf_store(y + i, vf_mul(vf_load(x + i), vf_load(y + i)));
    if (i < n)
        vf_store_part(y + i, n - i, vf_mul(vf_load_part(x + i, n - i), vf_load_part(y + i, n - i)));
}

/* vf_max gives its second operand where one is NaN. */
BB_INLINE vf relu2(vf x)
{
    const vf v = vf_max(vf_zero(), x);
    return vf_mul(v, v);
}

void BB_ISA(bb_relu2)(int n, const float *x, float *y)
{
    int i = 0;

    for (; i + VL <= n; i += VL) vf_store(y + i, relu2(vf_load(x + i)));
    if (i < n) vf_store_part(y + i, n - i, relu2(vf_load_part(x + i, n - i)));
}

void BB_ISA(bb_silu_mul)(int n, const float *gate, const float *up, float *y)
{
    int i = 0;

    for (; i + VL <= n; i += VL)
        vf_store(y + i, vf_mul(vf_silu(vf_load(gate + i)), vf_load(up + i)));
    if (i < n)
        vf_store_part(y + i, n - i, vf_mul(vf_silu(vf_load_part(gate + i, n - i)),
                                           vf_load_part(up + i, n - i)));
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

/* NaN falls through every comparison. */
BB_INLINE vf softplus_clamp(vf raw, vf bias, vf lo, vf hi)
{
    const vf v = vf_add(raw, bias), twenty = vf_set1(20.0f);
    const vf s = vf_choose(vf_less(twenty, v), v, log1p_of(vf_exp(vf_min(twenty, v))));
    return vf_min(hi, vf_max(lo, s));
}

void BB_ISA(bb_softplus_clamp)(int H, const float *raw, const float *bias, float lo, float hi,
                               float *dt)
{
    const vf low = vf_set1(lo), high = vf_set1(hi);
    int      h = 0;

    for (; h + VL <= H; h += VL)
        vf_store(dt + h, softplus_clamp(vf_load(raw + h), vf_load(bias + h), low, high));
    if (h < H) {
        const int n = H - h;
        vf_store_part(dt + h, n, softplus_clamp(vf_load_part(raw + h, n),
                                                vf_load_part(bias + h, n), low, high));
    }
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
