/* elementwise.c - checks of axpy, products, squared ReLU, GELU, SiLU, softplus and rotation. */
#include "check.h"

#include <math.h>
#include <string.h>

static const double eps = (double)FLT_EPSILON;

static const int length[] = { 0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 127, 1031, 14336 };
enum { N_LENGTHS = sizeof length / sizeof *length };

static void check_axpy(check *c, int n, int fill)
{
    check_case(c, "n %d fill %d", n, fill);
    const size_t m   = (size_t)n;
    const float *x   = check_input(c, fill, m), *old = check_input(c, fill, m);
    float       *y   = check_floats(c, m);
    const float  a   = (float)check_uniform(c);

    if (n) memcpy(y, old, m * sizeof *y);
    c->k->axpy(n, a, x, y);
    for (size_t i = 0; i < m; i++) {
        const double p = (double)a * (double)x[i];
        check_near(c, i, y[i], (double)old[i] + p, eps * (fabs((double)old[i]) + 2 * fabs(p)));
    }
    check_done(c);
}

static void check_mul(check *c, int n, int fill)
{
    check_case(c, "n %d fill %d", n, fill);
    const size_t m   = (size_t)n;
    const float *x   = check_input(c, fill, m), *old = check_input(c, fill, m);
    float       *y   = check_floats(c, m);

    if (n) memcpy(y, old, m * sizeof *y);
    c->k->mul(n, x, y);
    for (size_t i = 0; i < m; i++)
        check_near(c, i, y[i], (double)(float)((double)x[i] * (double)old[i]), 0.0);
    check_done(c);
}

static void check_relu2(check *c, int n, int fill, bool alias)
{
    check_case(c, "n %d fill %d alias %d", n, fill, alias);
    const size_t m = (size_t)n;
    const float *x = check_input(c, fill, m);
    float       *y = check_floats(c, m);

    if (n && alias) memcpy(y, x, m * sizeof *y);
    c->k->relu2(n, alias ? y : x, y);
    for (size_t i = 0; i < m; i++) {
        const double v = fmax((double)x[i], 0.0);
        check_near(c, i, y[i], (double)(float)(v * v), 0.0);
    }
    check_done(c);
}

static void check_relu2_special(check *c)
{
    static const float x[]    = { NAN, INFINITY, -INFINITY, -0.0f, 1e30f, -1e30f };
    static const float want[] = { NAN, INFINITY, 0.0f, 0.0f, INFINITY, 0.0f };
    enum { N = sizeof x / sizeof *x, MOST = 37 };
    float              in[MOST], y[MOST];

    check_case(c, "special");
    for (int i = 0; i < MOST; i++) in[i] = x[i % N];
    c->k->relu2(MOST, in, y);
    for (int i = 0; i < MOST; i++) check_near(c, (size_t)i, y[i], (double)want[i % N], 0.0);
    check_done(c);
}

static double silu_of(double v) { return v / (1.0 + exp(-v)); }

static double gelu_of(double v) { return 0.5 * v * erfc(-v * sqrt(0.5)); }

/* What a kernel of gate and up should do: its function of the gate, and how far off a result may
   be. */
typedef struct gating {
    bb_silu_mul_fn *run;
    double        (*exact)(double gate);
    double          of_result, of_gate, of_up;
} gating;

static gating silu_gating(const check *c)
{
    return (gating){ c->k->silu_mul, silu_of, 6 * eps, 0, 1e-36 };
}
static gating gelu_gating(const check *c)
{
    return (gating){ c->k->gelu_mul, gelu_of, 0, 3 * eps, 0 };
}

/* alias: 0 none, 1 y is gate, 2 y is up */
static void check_gating(check *c, gating g, int n, int fill, double scale, int alias)
{
    check_case(c, "n %d fill %d scale %g alias %d", n, fill, scale, alias);
    const size_t m = (size_t)n;
    float       *gate = check_input(c, fill, m), *up = check_input(c, fill, m);
    float       *gate0 = check_floats(c, m), *up0 = check_floats(c, m);
    float       *y = alias == 1 ? gate : alias == 2 ? up : check_floats(c, m);

    for (size_t i = 0; i < m; i++) {
        gate0[i] = gate[i] *= (float)scale;
        up0[i]   = up[i];
    }
    g.run(n, gate, up, y);
    for (size_t i = 0; i < m; i++) {
        const double v = (double)gate0[i], u = (double)up0[i], want = g.exact(v) * u;
        check_near(c, i, y[i], want,
                   g.of_result * fabs(want) + g.of_gate * fabs(v * u) + g.of_up * fabs(u));
    }
    check_done(c);
}

static void check_gatings(check *c, gating g)
{
    for (int i = 0; i < N_LENGTHS; i++)
        for (int alias = 0; alias < 3; alias++)
            check_gating(c, g, length[i], FILL_RANDOM, alias == 1 ? 120.0 : 8.0, alias);
    for (int fill = 0; fill < N_FILLS; fill++) check_gating(c, g, 77, fill, 1.0, 0);
}

static void check_gelu_special(check *c)
{
    static const float at[] = { 0.0f, -0.0f, 1e-30f, -1e-30f, 5.5f, -5.5f, 14.0f, -14.0f,
                                1e30f, -1e30f, INFINITY, NAN };
    static const float ones[] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
    enum { N = sizeof at / sizeof *at };
    float              y[N];

    check_case(c, "special");
    c->k->gelu_mul(N, at, ones, y);
    for (size_t i = 0; i < N; i++) {
        const double v = (double)at[i];
        check_near(c, i, y[i], isinf(v) ? (double)INFINITY : gelu_of(v), 3 * eps * fabs(v));
    }
    check_done(c);
}

static void check_silu_special(check *c)
{
    const float at[]  = { 0.0f, 20.0f, 88.0f, 1e30f, -20.0f, -88.0f, -89.0f, -104.0f, -1e30f,
                          INFINITY, NAN };
    const float ones[] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
    float       y[sizeof at / sizeof *at];

    check_case(c, "special");
    c->k->silu_mul((int)(sizeof at / sizeof *at), at, ones, y);
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        const double want = isinf(at[i]) ? (double)INFINITY : silu_of((double)at[i]);
        check_near(c, i, y[i], want, 6 * eps * fabs(want) + 1e-36);
    }
    check_done(c);
}

static double softplus_of(double v) { return v > 0 ? v + log1p(exp(-v)) : log1p(exp(v)); }

static void check_softplus(check *c, int n, double scale, float lo, float hi, bool alias)
{
    check_case(c, "n %d scale %g clamp %g %g alias %d", n, scale, (double)lo, (double)hi,
               alias);
    const size_t m   = (size_t)n;
    float       *raw = check_input(c, FILL_RANDOM, m), *raw0 = check_floats(c, m);
    const float *bias = check_input(c, FILL_RANDOM, m);
    float       *dt   = alias ? raw : check_floats(c, m);

    for (size_t i = 0; i < m; i++) raw0[i] = raw[i] *= (float)scale;
    c->k->softplus_clamp(n, raw, bias, lo, hi, dt);
    for (size_t i = 0; i < m; i++) {
        const double v    = (double)raw0[i] + (double)bias[i], s = softplus_of(v);
        const double want = fmin(fmax(s, (double)lo), (double)hi);
        check_near(c, i, dt[i], want,
                   4 * eps * (1 + fabs((double)raw0[i]) + fabs((double)bias[i])) * s);
        check_true(c, dt[i] >= lo && dt[i] <= hi, "outside the clamp");
    }
    check_done(c);
}

static void check_softplus_nan(check *c)
{
    const float raw[2] = { NAN, -INFINITY }, bias[2] = { 0.0f, 0.0f };
    float       dt[2];

    check_case(c, "NaN and -infinity");
    c->k->softplus_clamp(2, raw, bias, 0.0f, INFINITY, dt);
    check_near(c, 0, dt[0], (double)NAN, 0.0);
    check_near(c, 1, dt[1], 0.0, 0.0);
    check_done(c);
}

static void check_rope(check *c, int heads, int width, int d)
{
    check_case(c, "heads %d width %d d %d", heads, width, d);
    const size_t n    = (size_t)heads * (size_t)width, half = (size_t)d / 2;
    const float *x0   = check_input(c, FILL_RANDOM, n);
    float       *x    = check_floats(c, n);
    float       *cs   = check_floats(c, half), *sn = check_floats(c, half);
    float       *back = check_floats(c, half);

    for (size_t i = 0; i < half; i++) {
        const double angle = 1000.0 * check_uniform(c);
        cs[i]   = (float)cos(angle);
        sn[i]   = (float)sin(angle);
        back[i] = -sn[i];
    }
    if (n) memcpy(x, x0, n * sizeof *x);
    c->k->rope(heads, width, d, cs, sn, x);
    for (size_t h = 0; h < (size_t)heads; h++) {
        const float *u = x0 + h * (size_t)width, *v = x + h * (size_t)width;
        double       before = 0.0, after = 0.0;
        for (size_t i = 0; i < half; i++) {
            const double a = (double)u[i], b = (double)u[i + half];
            const double co = (double)cs[i], si = (double)sn[i];
            check_near(c, i, v[i], a * co - b * si, 2 * eps * (fabs(a * co) + fabs(b * si)));
            check_near(c, i + half, v[i + half], b * co + a * si,
                       2 * eps * (fabs(b * co) + fabs(a * si)));
        }
        check_bits(c, (size_t)(width - d), v + d, u + d);       /* the rest stays */
        for (size_t i = 0; i < (size_t)width; i++) {
            before += (double)u[i] * (double)u[i];
            after += (double)v[i] * (double)v[i];
        }
        check_true(c, fabs(after - before) <= 8 * eps * before, "the norm changed");
    }
    c->k->rope(heads, width, d, cs, back, x);
    for (size_t i = 0; i < n; i++) check_near(c, i, x[i], (double)x0[i], 8 * eps);
    check_done(c);
}

void check_elementwise(check *c)
{
    if (CHECK_BEGIN(c, "axpy", axpy)) {
        for (int i = 0; i < N_LENGTHS; i++) check_axpy(c, length[i], FILL_RANDOM);
        for (int fill = 0; fill < N_FILLS; fill++) check_axpy(c, 77, fill);
        check_end(c);
    }
    if (CHECK_BEGIN(c, "mul", mul)) {
        for (int i = 0; i < N_LENGTHS; i++) check_mul(c, length[i], FILL_RANDOM);
        for (int fill = 0; fill < N_FILLS; fill++) check_mul(c, 77, fill);
        check_end(c);
    }
    if (CHECK_BEGIN(c, "relu2", relu2)) {
        for (int i = 0; i < N_LENGTHS; i++)
            for (int alias = 0; alias < 2; alias++) check_relu2(c, length[i], FILL_RANDOM, alias);
        for (int fill = 0; fill < N_FILLS; fill++) check_relu2(c, 77, fill, false);
        check_relu2_special(c);
        check_end(c);
    }
    if (CHECK_BEGIN(c, "gelu_mul", gelu_mul)) {
        check_gatings(c, gelu_gating(c));
        check_gelu_special(c);
        check_end(c);
    }
    if (CHECK_BEGIN(c, "silu_mul", silu_mul)) {
        check_gatings(c, silu_gating(c));
        check_silu_special(c);
        check_end(c);
    }
    if (CHECK_BEGIN(c, "softplus_clamp", softplus_clamp)) {
        for (int i = 0; i < N_LENGTHS; i++) {
            check_softplus(c, length[i], 1.0, 0.0f, INFINITY, false);
            check_softplus(c, length[i], 30.0, 0.0f, INFINITY, true);
            check_softplus(c, length[i], 80.0, 1e-3f, 10.0f, false);
        }
        check_softplus_nan(c);
        check_end(c);
    }
    if (CHECK_BEGIN(c, "rope", rope)) {
        static const int shape[][3] = { { 0, 128, 128 }, { 1, 2, 2 }, { 3, 5, 4 },
                                        { 2, 16, 16 }, { 4, 80, 40 }, { 3, 34, 34 },
                                        { 32, 128, 64 }, { 32, 128, 128 }, { 2, 7, 0 } };
        for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
            check_rope(c, shape[i][0], shape[i][1], shape[i][2]);
        check_end(c);
    }
}
