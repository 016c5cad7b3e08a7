/* selective_scan.c - checks of Mamba-1's recurrence: against double, and its laws: any cut of
   tokens and channels gives the same bits, no time leaves the state alone. */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double eps = (double)FLT_EPSILON;

/* Operands with strides of their own; S [I, N] is the state before. */
typedef struct scan {
    int    T, I, N;
    size_t ldx, ld_dt, ldb, ldy;
    const float *x, *dt, *B, *C, *A, *D, *S;
} scan;

static scan make_scan(check *c, int T, int I, int N, double rate, int fill)
{
    const size_t t = (size_t)T, i = (size_t)I, n = (size_t)N;
    scan s = { .T = T, .I = I, .N = N, .ldx = i + 3, .ld_dt = i + 1, .ldb = n + 5, .ldy = i + 2 };
    float *dt = check_input(c, FILL_RANDOM, t * s.ld_dt);
    float *A = check_input(c, FILL_RANDOM, i * n);

    for (size_t j = 0; j < t * s.ld_dt; j++) dt[j] = 0.001f + 0.1f * fabsf(dt[j]);
    for (size_t j = 0; j < i * n; j++) A[j] = (float)-rate * fabsf(A[j]);
    s.dt = dt;
    s.A = A;
    s.x = check_input(c, fill, t * s.ldx);
    s.B = check_input(c, fill, t * s.ldb);
    s.C = check_input(c, fill, t * s.ldb);
    s.S = check_input(c, fill, i * n);
    s.D = check_input(c, FILL_RANDOM, i);
    return s;
}

/* Tokens t … t + n - 1 of channels i … i + m - 1; states and y of all channels. */
static void run(check *c, const scan *s, int t, int n, int i, int m, const float *S_in,
                float *S_out, float *y)
{
    const size_t at = (size_t)t, ch = (size_t)i, row = ch * (size_t)s->N;

    c->k->selective_scan(n, m, s->N, s->x + at * s->ldx + ch, s->ldx, s->dt + at * s->ld_dt + ch,
                         s->ld_dt, s->A + row, s->B + at * s->ldb, s->C + at * s->ldb, s->ldb,
                         s->D + ch, S_in + row, S_out + row, y + at * s->ldy + ch, s->ldy);
}

static float *copy_of(check *c, size_t n, const float *from)
{
    float *to = check_floats(c, n);
    if (n) memcpy(to, from, n * sizeof *to);
    return to;
}

/* One element of a state over all tokens, in double; y and its magnitudes [T] grow. */
static void recur(check *c, const scan *s, size_t i, size_t n, float found, double *y,
                  double *y_size, double *y_most)
{
    const size_t T = (size_t)s->T, at = i * (size_t)s->N + n;
    double       S = (double)s->S[at], size = fabs(S), sum = 0;

    for (size_t t = 0; t < T; t++) {
        const double dt = (double)s->dt[t * s->ld_dt + i], x = (double)s->x[t * s->ldx + i];
        const double C = (double)s->C[t * s->ldb + n], in = dt * x * (double)s->B[t * s->ldb + n];
        const double a = exp(dt * (double)s->A[at]);
        S    = a * S + in;
        size = a * size + fabs(in);
        sum += fabs(dt * (double)s->A[at]);
        y[t] += C * S;
        y_size[t] += fabs(C) * size;
        y_most[t] = fmax(y_most[t], sum);
    }
    check_near(c, at, found, S, (6.0 * s->T + sum) * eps * size);
}

static void compare(check *c, const scan *s, const float *S, const float *y)
{
    const size_t T = (size_t)s->T, N = (size_t)s->N;
    double      *sums = malloc((3 * T + 1) * sizeof *sums);

    if (!sums) exit(2);
    for (size_t i = 0; i < (size_t)s->I; i++) {
        double *want = sums, *size = want + T, *most = size + T;
        for (size_t t = 0; t < T; t++) {
            want[t] = (double)s->D[i] * (double)s->x[t * s->ldx + i];
            size[t] = fabs(want[t]);
            most[t] = 0;
        }
        for (size_t n = 0; n < N; n++) recur(c, s, i, n, S[i * N + n], want, size, most);
        for (size_t t = 0; t < T; t++)
            check_near(c, t * (size_t)s->I + i, y[t * s->ldy + i], want[t],
                       (6.0 * (double)(t + 1) + s->N + 6 + most[t]) * eps * size[t]);
    }
    free(sums);
}

static void check_scan(check *c, int T, int I, int N, double rate, int fill)
{
    check_case(c, "T %d I %d N %d rate %g fill %d", T, I, N, rate, fill);
    const size_t IN = (size_t)I * (size_t)N;
    const scan   s = make_scan(c, T, I, N, rate, fill);
    float       *from = copy_of(c, IN, s.S), *S = copy_of(c, IN, s.S), *to = check_floats(c, IN);
    float       *y = check_floats(c, (size_t)T * s.ldy), *y2 = check_floats(c, (size_t)T * s.ldy);

    run(c, &s, 0, T, 0, I, from, to, y2);
    check_bits(c, IN, from, s.S);
    run(c, &s, 0, T, 0, I, S, S, y);      /* in place */
    check_bits(c, IN, to, S);
    check_bits(c, (size_t)T * s.ldy, y2, y);
    compare(c, &s, S, y);
    check_done(c);
}

/* Any cut of the tokens, and of the channels, gives the same bits. */
static void check_cuts(check *c, int T, int I, int N, int tokens, int channels)
{
    check_case(c, "cuts: T %d I %d N %d by %d tokens and %d channels", T, I, N, tokens, channels);
    const size_t IN = (size_t)I * (size_t)N;
    const scan   s = make_scan(c, T, I, N, 8, FILL_RANDOM);
    float       *S = copy_of(c, IN, s.S), *whole = copy_of(c, IN, s.S);
    float       *y = check_floats(c, (size_t)T * s.ldy), *y2 = check_floats(c, (size_t)T * s.ldy);

    run(c, &s, 0, T, 0, I, whole, whole, y);
    for (int t = 0; t < T; t += tokens)
        for (int i = 0; i < I; i += channels)
            run(c, &s, t, T - t < tokens ? T - t : tokens, i, I - i < channels ? I - i : channels,
                S, S, y2);
    check_bits(c, IN, S, whole);
    check_bits(c, (size_t)T * s.ldy, y2, y);
    check_done(c);
}

/* dt = 0 leaves the state as it is; a decay that vanishes leaves what flowed in last, and no
   NaN. */
static void check_ends(check *c)
{
    enum { T = 3, I = 18, N = 17, IN = I * N };
    check_case(c, "no time, and a state that vanishes");
    scan   s = make_scan(c, T, I, N, 8, FILL_RANDOM);
    float *dt = check_floats(c, T * s.ld_dt), *y = check_floats(c, T * s.ldy);
    float *S = copy_of(c, IN, s.S);

    memset(dt, 0, T * s.ld_dt * sizeof *dt);
    s.dt = dt;
    run(c, &s, 0, T, 0, I, S, S, y);
    check_bits(c, IN, S, s.S);

    for (size_t i = 0; i < T * s.ld_dt; i++) dt[i] = 1e4f;
    run(c, &s, 0, T, 0, I, S, S, y);
    for (int i = 0; i < IN; i++) {
        const float decay = s.A[i] * 1e4f;
        const size_t t = T - 1;
        if (decay < -200.0f)
            check_near(c, (size_t)i, S[i], 1e4 * (double)s.x[t * s.ldx + (size_t)(i / N)]
                       * (double)s.B[t * s.ldb + (size_t)(i % N)], 1e-2);
    }
    check_done(c);
}

void check_selective_scan(check *c)
{
    static const int size[][2] = { { 0, 5 }, { 1, 1 }, { 3, 0 }, { 2, 15 }, { 7, 16 }, { 8, 8 },
                                   { 16, 16 }, { 17, 17 }, { 33, 31 }, { 48, 16 }, { 40, 64 } };
    static const int T[] = { 0, 1, 2, 7, 33, 100 };
    static const int cut[][2] = { { 1, 64 }, { 1, 1 }, { 7, 16 }, { 64, 5 }, { 100, 24 } };

    if (!CHECK_BEGIN(c, "selective_scan", selective_scan)) return;
    for (size_t i = 0; i < sizeof size / sizeof *size; i++)
        for (size_t t = 0; t < sizeof T / sizeof *T; t++)
            check_scan(c, T[t], size[i][0], size[i][1], t % 2 ? 8 : 400, FILL_RANDOM);
    for (int fill = 0; fill < N_FILLS; fill++) check_scan(c, 5, 19, 21, 4, fill);
    for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
        check_cuts(c, 100, 50, 16, cut[i][0], cut[i][1]);
        check_cuts(c, 40, 21, 35, cut[i][0], cut[i][1]);
    }
    check_ends(c);
    check_end(c);
}
