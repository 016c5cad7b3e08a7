/* norm.c - checks of the norms; scaling the input leaves a norm alone. */
#include "check.h"

#include <math.h>
#include <string.h>

static const double eps = (double)FLT_EPSILON;

static void check_rmsnorm(check *c, int n, int fill, bool alias)
{
    const float epsilon = 1e-5f;

    check_case(c, "n %d fill %d alias %d", n, fill, alias);
    const size_t m   = (size_t)n;
    float       *x   = check_input(c, fill, m), *x0 = check_floats(c, m);
    const float *w   = check_input(c, FILL_RANDOM, m);
    float       *y   = alias ? x : check_floats(c, m);
    double       sum = 0.0;

    for (size_t i = 0; i < m; i++) {
        x0[i] = x[i];
        sum += (double)x[i] * (double)x[i];
    }
    c->k->rmsnorm(n, x, w, epsilon, y);
    for (size_t i = 0; i < m; i++) {
        const double want = (double)x0[i] * (double)w[i] / sqrt(sum / n + (double)epsilon);
        check_near(c, i, y[i], want, 3 * eps * fabs(want));
    }
    check_done(c);
}

static void check_scale(check *c, int n)
{
    check_case(c, "scaled by 8, n %d", n);
    const size_t m = (size_t)n;
    float       *x = check_input(c, FILL_RANDOM, m);
    const float *w = check_input(c, FILL_RANDOM, m);
    float       *y = check_floats(c, m), *y8 = check_floats(c, m);

    c->k->rmsnorm(n, x, w, 0.0f, y);
    for (size_t i = 0; i < m; i++) x[i] *= 8.0f;
    c->k->rmsnorm(n, x, w, 0.0f, y8);
    for (size_t i = 0; i < m; i++) check_near(c, i, y8[i], (double)y[i], 6 * eps);
    check_done(c);
}

static void check_gated(check *c, int n, int G, int fill, bool alias)
{
    const float  epsilon = 1e-5f;
    const size_t m = (size_t)n, width = (size_t)(n / G);

    check_case(c, "n %d G %d fill %d alias %d", n, G, fill, alias);
    float       *y  = check_input(c, fill, m), *y0 = check_floats(c, m);
    float       *z  = check_input(c, fill, m);
    const float *w  = check_input(c, FILL_RANDOM, m);
    float       *out = alias ? y : check_floats(c, m);

    if (n) memcpy(y0, y, m * sizeof *y);
    if (fill == FILL_RANDOM)
        for (size_t i = 0; i < m; i++) z[i] *= 30.0f;
    c->k->gated_rmsnorm(n, G, y, z, w, epsilon, out);
    for (size_t at = 0; at < m; at += width) {
        double sum = 0.0;
        for (size_t i = at; i < at + width; i++) {
            const double u = (double)y0[i] * (double)z[i] / (1.0 + exp(-(double)z[i]));
            sum += u * u;
        }
        for (size_t i = at; i < at + width; i++) {
            const double u    = (double)y0[i] * (double)z[i] / (1.0 + exp(-(double)z[i]));
            const double want = u * (double)w[i] / sqrt(sum / (double)width + (double)epsilon);
            check_near(c, i, out[i], want, 12 * eps * fabs(want) + 1e-33);
        }
    }
    check_done(c);
}

void check_norm(check *c)
{
    static const int length[] = { 0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 127, 1031, 4096,
                                  8192 };

    if (CHECK_BEGIN(c, "rmsnorm", rmsnorm)) {
        for (size_t i = 0; i < sizeof length / sizeof *length; i++) {
            check_rmsnorm(c, length[i], FILL_RANDOM, false);
            check_rmsnorm(c, length[i], FILL_WIDE, true);
        }
        for (int fill = 0; fill < N_FILLS; fill++) check_rmsnorm(c, 77, fill, false);
        check_scale(c, 4096);
        check_end(c);
    }
    if (CHECK_BEGIN(c, "gated_rmsnorm", gated_rmsnorm)) {
        for (size_t i = 0; i < sizeof length / sizeof *length; i++)
            for (int G = 1; G <= 8; G *= 2)
                check_gated(c, length[i] * G, G, FILL_RANDOM, G == 2);
        for (int fill = 0; fill < N_FILLS; fill++) check_gated(c, 78, 3, fill, false);
        check_end(c);
    }
}
