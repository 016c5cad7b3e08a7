/* lanes.h - the inner loops of the portable kernels: sixteen sums side by side.
 *
 * Owns:    the order of summation of every product: element c goes to lane c mod 16 in order of
 *          c, panel by panel; the lanes are added as a tree. Who shares a call changes nothing.
 * Not:     contracts; conversions (scalar.h).
 *
 * Sixteen lanes are four SSE or NEON registers. They are written with the vector type of gcc
 * and clang, which any target has (scalar code where there is no SIMD): gcc 12 makes code ten
 * times slower of the same loops over arrays. Two products at a time hide the latency of
 * additions and load the shared operand once.
 */
#ifndef BB_REF_LANES_H
#define BB_REF_LANES_H

#include <stddef.h>
#include <string.h>

enum { LANES = 16 };

typedef float quad __attribute__((vector_size(16)));

typedef struct lanes { quad a, b, c, d; } lanes;

static inline lanes load_lanes(const float *p)
{
    lanes v;
    memcpy(&v.a, p, sizeof v.a);
    memcpy(&v.b, p + 4, sizeof v.b);
    memcpy(&v.c, p + 8, sizeof v.c);
    memcpy(&v.d, p + 12, sizeof v.d);
    return v;
}

static inline void store_lanes(float *p, lanes v)
{
    memcpy(p, &v.a, sizeof v.a);
    memcpy(p + 4, &v.b, sizeof v.b);
    memcpy(p + 8, &v.c, sizeof v.c);
    memcpy(p + 12, &v.d, sizeof v.d);
}

static inline lanes fill_lanes(float f)
{
    const quad q = { f, f, f, f };
    return (lanes){ q, q, q, q };
}

/* x · y */
static inline lanes multiply_lanes(lanes x, lanes y)
{
    return (lanes){ x.a * y.a, x.b * y.b, x.c * y.c, x.d * y.d };
}

/* sum + x · y, rounded twice */
static inline lanes add_product(lanes sum, lanes x, lanes y)
{
    return (lanes){ sum.a + x.a * y.a, sum.b + x.b * y.b,
                    sum.c + x.c * y.c, sum.d + x.d * y.d };
}

/* sum - x · y, rounded twice */
static inline lanes subtract_product(lanes sum, lanes x, lanes y)
{
    return (lanes){ sum.a - x.a * y.a, sum.b - x.b * y.b,
                    sum.c - x.c * y.c, sum.d - x.d * y.d };
}

static inline void add_lanes(float *acc, lanes v)
{
    const lanes w = load_lanes(acc);
    store_lanes(acc, (lanes){ w.a + v.a, w.b + v.b, w.c + v.c, w.d + v.d });
}

/* acc[l] += Σ a[c] · x[c] over c < n with c mod 16 = l; n a multiple of 16. The sum is made
   first: long rows come in panels, and sums of sums lose fewer digits. */
static inline void add_products(int n, const float *a, const float *x, float *acc)
{
    lanes s = fill_lanes(0.0f);
    for (int c = 0; c < n; c += LANES) s = add_product(s, load_lanes(a + c), load_lanes(x + c));
    add_lanes(acc, s);
}

/* add_products() for two x at once; acc [2, 16]. */
static inline void add_products_2(int n, const float *a, const float *x0, const float *x1,
                                  float *acc)
{
    lanes s = fill_lanes(0.0f), t = s;
    for (int c = 0; c < n; c += LANES) {
        const lanes v = load_lanes(a + c);
        s = add_product(s, v, load_lanes(x0 + c));
        t = add_product(t, v, load_lanes(x1 + c));
    }
    add_lanes(acc, s);
    add_lanes(acc + LANES, t);
}

/* The last n < 16 elements. */
static inline void add_tail(int n, const float *restrict a, const float *restrict x,
                            float *restrict acc)
{
    for (int l = 0; l < n; l++) acc[l] += a[l] * x[l];
}

static inline float sum_lanes(const float *acc)
{
    float s[8];
    for (int l = 0; l < 8; l++) s[l] = acc[l] + acc[l + 8];
    for (int l = 0; l < 4; l++) s[l] += s[l + 4];
    return (s[0] + s[2]) + (s[1] + s[3]);
}

/* out[s] = a · x[s] for m rows of x, row stride ldx; a, x[s] [n]. */
static inline void multiply_rows(int m, int n, const float *restrict a, const float *restrict x,
                                 size_t ldx, float *restrict out)
{
    const int whole = n - n % LANES;
    int       s     = 0;

    for (; s + 2 <= m; s += 2) {
        const float *x0 = x + (size_t)s * ldx, *x1 = x0 + ldx;
        float        acc[2 * LANES] = { 0 };
        add_products_2(whole, a, x0, x1, acc);
        add_tail(n - whole, a + whole, x0 + whole, acc);
        add_tail(n - whole, a + whole, x1 + whole, acc + LANES);
        out[s]     = sum_lanes(acc);
        out[s + 1] = sum_lanes(acc + LANES);
    }
    if (s < m) {
        const float *x0         = x + (size_t)s * ldx;
        float        acc[LANES] = { 0 };
        add_products(whole, a, x0, acc);
        add_tail(n - whole, a + whole, x0 + whole, acc);
        out[s] = sum_lanes(acc);
    }
}

/* out[i, j] += a[i, s] · b[s, j] for s = 0 … k-1 in this order; i < m <= 2, j < n.
   a[i, s] stands at a[i · a_row + s · a_col]; b row stride ldb; out row stride ldo. */
static inline void add_outer(int m, int n, int k, const float *restrict a, size_t a_row,
                             size_t a_col, const float *restrict b, size_t ldb,
                             float *restrict out, size_t ldo)
{
    int j = 0;
    if (m == 2) {
        for (; j + LANES <= n; j += LANES) {
            lanes p = load_lanes(out + j), q = load_lanes(out + ldo + j);
            for (int s = 0; s < k; s++) {
                const size_t at = (size_t)s * a_col;
                const lanes  bs = load_lanes(b + (size_t)s * ldb + j);
                p = add_product(p, fill_lanes(a[at]), bs);
                q = add_product(q, fill_lanes(a[a_row + at]), bs);
            }
            store_lanes(out + j, p);
            store_lanes(out + ldo + j, q);
        }
    }
    for (int i = 0; i < m; i++)
        for (int s = 0; s < k; s++) {
            const float  as = a[(size_t)i * a_row + (size_t)s * a_col];
            const float *bs = b + (size_t)s * ldb;
            float       *o  = out + (size_t)i * ldo;
            for (int l = j; l < n; l++) o[l] += as * bs[l];
        }
}

#endif
