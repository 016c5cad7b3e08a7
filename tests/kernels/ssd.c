/* ssd.c - checks of the state space: each kernel against the recurrence in double, and the laws
   of the scan: any chunks and splits agree, linear in x, no time leaves the state alone. */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double eps = (double)FLT_EPSILON;

/* One head over T tokens. */
typedef struct head {
    int    T, P, N;
    size_t ldx, ld_dt, ldb;
    const float *x, *dt, *B, *C;          /* [T, P], [T], [T, N], [T, N] */
    float  A, D;
    const float *S;                       /* [P, N] before */
} head;

/* The recurrence in double, with the sums of magnitudes that the bounds are made of. */
typedef struct truth {
    double *y, *y_size;                   /* [T, P] */
    double *S, *S_size;                   /* [P, N] after */
    double *S_step;                       /* [P, N] bound of a single step, in units of eps */
} truth;

static double *doubles(size_t n)
{
    double *p = calloc(n ? n : 1, sizeof *p);
    if (!p) exit(2);
    return p;
}

static truth recur(const head *h)
{
    const size_t P = (size_t)h->P, N = (size_t)h->N, T = (size_t)h->T;
    truth        r = { doubles(T * P), doubles(T * P), doubles(P * N), doubles(P * N),
                       doubles(P * N) };

    for (size_t i = 0; i < P * N; i++) {
        r.S[i]      = (double)h->S[i];
        r.S_size[i] = fabs(r.S[i]);
    }
    for (size_t t = 0; t < T; t++) {
        const double dt = (double)h->dt[t * h->ld_dt], a = exp(dt * (double)h->A);
        for (size_t p = 0; p < P; p++) {
            const double x = (double)h->x[t * h->ldx + p];
            double       y = (double)h->D * x, size = fabs(y);
            for (size_t n = 0; n < N; n++) {
                const double in = dt * x * (double)h->B[t * h->ldb + n];
                const double C  = (double)h->C[t * h->ldb + n];
                double      *S = &r.S[p * N + n], *S_size = &r.S_size[p * N + n];
                r.S_step[p * N + n] = fabs(a * *S + in) / 1.99 + 2 * fabs(in)
                                    + 2 * fmin(a, 1 - a) * fabs(*S);
                *S      = a * *S + in;
                *S_size = a * *S_size + fabs(in);
                y += C * *S;
                size += fabs(C) * *S_size;
            }
            r.y[t * P + p]      = y;
            r.y_size[t * P + p] = size;
        }
    }
    return r;
}

static void free_truth(truth *r)
{
    free(r->y);
    free(r->y_size);
    free(r->S);
    free(r->S_size);
    free(r->S_step);
}

/* y [T, P] row stride ldy and S [P, N] against the recurrence, in units of eps. */
static void compare(check *c, const head *h, const truth *r, const float *y, size_t ldy,
                    const float *S, double y_eps, double S_eps)
{
    const size_t P = (size_t)h->P;
    for (size_t t = 0; t < (size_t)h->T; t++)
        for (size_t p = 0; p < P; p++)
            check_near(c, t * P + p, y[t * ldy + p], r->y[t * P + p],
                       y_eps * eps * r->y_size[t * P + p]);
    for (size_t i = 0; i < P * (size_t)h->N; i++)
        check_near(c, i, S[i], r->S[i], S_eps * eps * r->S_size[i]);
}

/* A head with strides of its own; rate scales dt·A. */
static head make_head(check *c, int T, int P, int N, double rate, int fill)
{
    head h = { .T = T, .P = P, .N = N, .ldx = (size_t)P + 3, .ld_dt = 2, .ldb = (size_t)N + 5 };
    const size_t t = (size_t)T;
    float       *dt = check_floats(c, t * h.ld_dt);

    for (size_t i = 0; i < t * h.ld_dt; i++)
        dt[i] = (float)(0.05 + 0.049 * check_uniform(c));
    h.dt = dt;
    h.x  = check_input(c, fill, t * h.ldx);
    h.B  = check_input(c, fill, t * h.ldb);
    h.C  = check_input(c, fill, t * h.ldb);
    h.S  = check_input(c, fill, (size_t)P * (size_t)N);
    h.A  = (float)(-rate * (1.0 + 0.5 * check_uniform(c)));
    h.D  = (float)check_uniform(c);
    return h;
}

/* ------------------------------------------------------------- step --------------------- */

static void check_step(check *c, int H, int P, int N, double rate, int fill, bool alias)
{
    check_case(c, "H %d P %d N %d rate %g fill %d alias %d", H, P, N, rate, fill, alias);
    const size_t n_x = (size_t)H * (size_t)P, PN = (size_t)P * (size_t)N;
    const float *x0 = check_input(c, fill, n_x);
    const float *B = check_input(c, fill, (size_t)N), *C = check_input(c, fill, (size_t)N);
    const float *S0 = check_input(c, fill, (size_t)H * PN);
    float       *x = check_floats(c, n_x), *y = alias ? x : check_floats(c, n_x);
    float       *S = check_floats(c, (size_t)H * PN);
    float       *dt = check_input(c, FILL_RANDOM, (size_t)H);
    float       *A = check_input(c, FILL_RANDOM, (size_t)H);
    const float *D = check_input(c, FILL_RANDOM, (size_t)H);

    for (int h = 0; h < H; h++) {
        dt[h] = 0.001f + 0.1f * fabsf(dt[h]);
        A[h]  = (float)-rate * fabsf(A[h]);
    }
    if (n_x) memcpy(x, x0, n_x * sizeof *x);
    if (H && PN) memcpy(S, S0, (size_t)H * PN * sizeof *S);
    if (!alias) {                         /* the state goes to memory of its own */
        float *from = check_floats(c, (size_t)H * PN), *to = check_floats(c, (size_t)H * PN);
        float *y2 = check_floats(c, n_x);
        if (H && PN) memcpy(from, S0, (size_t)H * PN * sizeof *S);
        c->k->ssd_step(H, P, N, x, dt, A, B, C, D, from, to, y2);
        check_bits(c, (size_t)H * PN, from, S0);
        c->k->ssd_step(H, P, N, x, dt, A, B, C, D, S, S, y);
        check_bits(c, (size_t)H * PN, to, S);
        check_bits(c, n_x, y2, y);
    } else {
        c->k->ssd_step(H, P, N, x, dt, A, B, C, D, S, S, y);
    }
    for (int h = 0; h < H; h++) {
        const size_t i = (size_t)h * (size_t)P;
        const head   one = { .T = 1, .P = P, .N = N, .x = x0 + i, .dt = dt + h,
                             .B = B, .C = C, .A = A[h], .D = D[h],
                             .S = S0 + (size_t)h * PN };
        truth        r   = recur(&one);
        compare(c, &one, &r, y + i, 0, S + (size_t)h * PN, N + 6, 6);
        for (size_t j = 0; j < PN; j++)
            check_near(c, j, S[(size_t)h * PN + j], r.S[j], eps * r.S_step[j]);
        free_truth(&r);
    }
    check_done(c);
}

/* S was 1 and nothing flows in: S is the decay itself. Its exponent dt·A is a product that one
   float cannot hold. */
static void check_decay(check *c, float A, float dt)
{
    const float zero = 0.0f;
    float       S    = 1.0f, y;

    c->k->ssd_step(1, 1, 1, &zero, &dt, &A, &zero, &zero, &zero, &S, &S, &y);
    const double want = exp((double)dt * (double)A);
    if (want < (double)FLT_MIN) check_near(c, 0, S, want, 0.0);
    else if (want > (double)FLT_MAX) check_true(c, isinf(S), "exp does not overflow");
    else if (isnan(want)) check_true(c, isnan(S), "NaN did not stay NaN");
    else check_near(c, 0, S, want, 2 * ldexp(1.0, ilogb(want) - 23));
}

static void check_decays(check *c)
{
    check_case(c, "decay within 2 ulp, both signs of the exponent");
    for (float x = 0x1p-30f; x < 130.0f; x *= 1.0001f) {
        check_decay(c, -x, 1.0f);
        check_decay(c, x, 1.0f);
    }
    check_done(c);

    check_case(c, "decay within 2 ulp, exponents of two floats");
    for (int i = 0; i < 400000; i++) {
        const float dt = (float)fabs(check_uniform(c));
        check_decay(c, (float)(-100.0 * fabs(check_uniform(c))) / dt, dt);
    }
    check_done(c);

    check_case(c, "decay at the ends");
    check_decay(c, -0.0f, 1.0f);
    check_decay(c, -INFINITY, 1.0f);
    check_decay(c, INFINITY, 1.0f);
    check_decay(c, NAN, 1.0f);
    check_decay(c, -FLT_MAX, FLT_MAX);
    check_decay(c, 88.72283f, 1.0f);
    check_decay(c, 88.72284f, 1.0f);
    check_decay(c, -87.33654f, 1.0f);
    check_decay(c, -87.33655f, 1.0f);
    check_done(c);
}

/* ------------------------------------------------------------- products of B and C ------ */

static void check_cb(check *c, int Q, int N, int fill)
{
    const size_t ldb = (size_t)N + 2, q = (size_t)Q;

    check_case(c, "Q %d N %d fill %d", Q, N, fill);
    const float *B = check_input(c, fill, q * ldb), *C = check_input(c, fill, q * ldb);
    float       *CB = check_floats(c, q * q);

    c->k->ssd_cb(Q, N, B, C, ldb, CB);
    for (size_t t = 0; t < q; t++)
        for (size_t s = 0; s < q; s++) {
            double sum = 0.0, size = 0.0;
            for (size_t n = 0; n < (size_t)N; n++) {
                const double p = (double)C[t * ldb + n] * (double)B[s * ldb + n];
                sum += p;
                size += fabs(p);
            }
            const float got = CB[t * q + s];
            if (s <= t) check_near(c, t * q + s, got, sum, (N / 16.0 + 6) * eps * size);
            else check_true(c, check_is_sentinel(got), "wrote above the diagonal");
        }
    check_done(c);
}

/* ------------------------------------------------------------- chunk -------------------- */

/* Memory for chunks of up to Q tokens. */
typedef struct room { float *CB, *scratch; } room;

static room make_room(check *c, int Q, int P, int N)
{
    room r;
    r.CB      = check_floats(c, (size_t)Q * (size_t)Q);
    r.scratch = check_floats(c, BB_SSD_SCRATCH(Q, P, N));
    return r;
}

/* Tokens t0 … t0 + Q - 1 of a head through the chunk kernel; x, y those of token 0. */
static void run_chunk_to(check *c, const head *h, int t0, int Q, room r, const float *x,
                         const float *S_in, float *S_out, float *y, size_t ldy)
{
    const size_t at = (size_t)t0;
    const float *B = h->B + at * h->ldb, *C = h->C + at * h->ldb;

    c->k->ssd_cb(Q, h->N, B, C, h->ldb, r.CB);
    c->k->ssd_chunk(Q, h->P, h->N, x + at * h->ldx, h->ldx, h->dt + at * h->ld_dt, h->ld_dt,
                    h->A, B, C, h->ldb, r.CB, h->D, S_in, S_out, y + at * ldy, ldy, r.scratch);
}

static void run_chunk(check *c, const head *h, int t0, int Q, room r, const float *x, float *S,
                      float *y, size_t ldy)
{
    run_chunk_to(c, h, t0, Q, r, x, S, S, y, ldy);
}

static void run_step(check *c, const head *h, int t, float *S, float *y, size_t ldy)
{
    const size_t at = (size_t)t;
    c->k->ssd_step(1, h->P, h->N, h->x + at * h->ldx, h->dt + at * h->ld_dt, &h->A,
                   h->B + at * h->ldb, h->C + at * h->ldb, &h->D, S, S, y + at * ldy);
}

static void check_chunk(check *c, int Q, int P, int N, double rate, int fill, bool alias)
{
    check_case(c, "Q %d P %d N %d rate %g fill %d alias %d", Q, P, N, rate, fill, alias);
    const size_t PN = (size_t)P * (size_t)N;
    const head   h  = make_head(c, Q, P, N, rate, fill);
    truth        r  = recur(&h);
    float       *S  = check_floats(c, PN), *y = check_floats(c, (size_t)Q * h.ldx);

    if (PN) memcpy(S, h.S, PN * sizeof *S);
    if (alias && Q) memcpy(y, h.x, (size_t)Q * h.ldx * sizeof *y);
    const room m = make_room(c, Q, P, N);
    if (!alias) {                         /* the state goes to memory of its own */
        float *from = check_floats(c, PN), *to = check_floats(c, PN);
        float *y2 = check_floats(c, (size_t)Q * h.ldx);
        if (PN) memcpy(from, h.S, PN * sizeof *S);
        run_chunk_to(c, &h, 0, Q, m, h.x, from, to, y2, h.ldx);
        check_bits(c, PN, from, h.S);
        run_chunk(c, &h, 0, Q, m, h.x, S, y, h.ldx);
        check_bits(c, PN, to, S);
        check_bits(c, (size_t)Q * h.ldx, y2, y);
    } else {
        run_chunk(c, &h, 0, Q, m, y, S, y, h.ldx);
    }
    compare(c, &h, &r, y, h.ldx, S, Q + N + 16, Q + 8);
    for (size_t t = 0; t < (size_t)Q; t++) {
        const float *gap = y + t * h.ldx + P;
        if (alias) check_bits(c, 3, gap, h.x + t * h.ldx + P);
        else check_true(c, check_is_sentinel(gap[0]), "wrote between the rows of y");
    }
    free_truth(&r);
    check_done(c);
}

/* ------------------------------------------------------------- laws --------------------- */

/* scan(a ‖ b) = scan(b) from scan(a)'s state: `first` tokens as one chunk, then chunks of Q,
   the tokens from `steps` on one by one; and all of them one by one. */
static void check_scan(check *c, int T, int Q, int first, int steps, double rate)
{
    check_case(c, "T %d chunks of %d after %d, steps from %d, rate %g", T, Q, first, steps,
               rate);
    const int    P = 7, N = 19;
    const size_t PN = (size_t)(P * N), ldy = (size_t)P;
    const head   h = make_head(c, T, P, N, rate, FILL_RANDOM);
    const room   m = make_room(c, first > Q ? first : Q, P, N);
    truth        r = recur(&h);
    float       *S = check_floats(c, PN), *y = check_floats(c, (size_t)T * ldy);
    float       *S1 = check_floats(c, PN), *y1 = check_floats(c, (size_t)T * ldy);
    int          n;

    memcpy(S, h.S, PN * sizeof *S);
    memcpy(S1, h.S, PN * sizeof *S);
    for (int t = 0; t < steps; t += n) {
        n = t == 0 && first ? first : Q;
        if (n > steps - t) n = steps - t;
        run_chunk(c, &h, t, n, m, h.x, S, y, ldy);
    }
    for (int t = steps; t < T; t++) run_step(c, &h, t, S, y, ldy);
    for (int t = 0; t < T; t++) run_step(c, &h, t, S1, y1, ldy);
    compare(c, &h, &r, y, ldy, S, T + N + 16, T + 8);
    compare(c, &h, &r, y1, ldy, S1, T + N + 16, T + 8);
    for (size_t i = 0; i < (size_t)T * ldy; i++)
        check_near(c, i, y[i], (double)y1[i], 2 * (T + N + 16) * eps * r.y_size[i]);
    free_truth(&r);
    check_done(c);
}

/* scan(x + x') = scan(x) + scan(x'), the state shared out: all to the first. */
static void check_linear(check *c, int Q)
{
    check_case(c, "linear in x, Q %d", Q);
    const int    P = 16, N = 32;
    const size_t PN = (size_t)(P * N);
    const head   h = make_head(c, Q, P, N, 0.5, FILL_RANDOM);
    const room   m = make_room(c, Q, P, N);
    const size_t n = (size_t)Q * h.ldx;
    float       *x = check_floats(c, n), *x1 = check_floats(c, n), *x2 = check_floats(c, n);
    float       *y = check_floats(c, n), *y1 = check_floats(c, n), *y2 = check_floats(c, n);
    float       *S = check_floats(c, PN), *S1 = check_floats(c, PN), *S2 = check_floats(c, PN);
    truth        r;

    for (size_t i = 0; i < n; i++) {      /* twelve bits each: the sum is exact */
        x1[i] = (float)check_below(c, 4096) / 4096.0f;
        x2[i] = (float)check_below(c, 4096) / -4096.0f;
        x[i]  = x1[i] + x2[i];
    }
    memcpy(S, h.S, PN * sizeof *S);
    memcpy(S1, h.S, PN * sizeof *S);
    memset(S2, 0, PN * sizeof *S);
    run_chunk(c, &h, 0, Q, m, x, S, y, h.ldx);
    run_chunk(c, &h, 0, Q, m, x1, S1, y1, h.ldx);
    run_chunk(c, &h, 0, Q, m, x2, S2, y2, h.ldx);

    head sized = h;                       /* magnitudes of x1 and x2 together */
    for (size_t i = 0; i < n; i++) x[i] = x1[i] - x2[i];
    sized.x = x;
    r       = recur(&sized);
    for (int t = 0; t < Q; t++)
        for (int p = 0; p < P; p++) {
            const size_t i = (size_t)t * h.ldx + (size_t)p;
            check_near(c, i, y[i], (double)y1[i] + (double)y2[i],
                       2 * (Q + N + 16) * eps * r.y_size[t * P + p]);
        }
    for (size_t i = 0; i < PN; i++)
        check_near(c, i, S[i], (double)S1[i] + (double)S2[i], 2 * (Q + 8) * eps * r.S_size[i]);
    free_truth(&r);
    check_done(c);
}

/* dt = 0: not a bit of S changes. */
static void check_no_time(check *c, int Q)
{
    check_case(c, "dt 0, Q %d", Q);
    const int    P = 5, N = 33;
    const size_t PN = (size_t)(P * N);
    head         h  = make_head(c, Q, P, N, 1.0, FILL_RANDOM);
    float       *dt = check_input(c, FILL_ZERO, (size_t)Q * h.ld_dt);
    float       *S  = check_floats(c, PN), *y = check_floats(c, (size_t)(Q * P));
    truth        r;

    h.dt = dt;
    r    = recur(&h);
    memcpy(S, h.S, PN * sizeof *S);
    run_chunk(c, &h, 0, Q, make_room(c, Q, P, N), h.x, S, y, (size_t)P);
    check_bits(c, PN, S, h.S);
    compare(c, &h, &r, y, (size_t)P, S, Q + N + 16, 0);
    for (int t = 0; t < Q; t++) run_step(c, &h, t, S, y, (size_t)P);
    check_bits(c, PN, S, h.S);
    free_truth(&r);
    check_done(c);
}

/* One token again and again, from 0 to nearly what the state would become in the end. Each head
   remembers some 400 tokens; rounding its decay moved all of its state together, by hundreds of
   roundings. What is left are the roundings of single elements, whose average is much less. */
static void check_repeated(check *c)
{
    enum { HEADS = 50, P = 4, N = 64, T = 1000 };
    check_case(c, "one token %d times", T);
    const float *x = check_input(c, FILL_RANDOM, P);
    const float *B = check_input(c, FILL_RANDOM, N), *C = check_input(c, FILL_RANDOM, N);
    const float  D = 0.0f;
    float       *S = check_floats(c, P * N), *y = check_floats(c, P);

    for (int i = 0; i < HEADS; i++) {
        const float  dt = (float)(0.0025 + 0.0002 * check_uniform(c)), A = -1.0f;
        const double last = exp((double)dt * (double)A * T);
        const double sum = (1 - last) / -expm1((double)dt * (double)A);
        double       off = 0.0;
        memset(S, 0, P * N * sizeof *S);
        for (int t = 0; t < T; t++)
            c->k->ssd_step(1, P, N, x, &dt, &A, B, C, &D, S, S, y);
        for (int j = 0; j < P * N; j++)
            off += (double)S[j] / (sum * (double)dt * (double)x[j / N] * (double)B[j % N]) - 1;
        check_near(c, (size_t)i, (float)(1 + off / (P * N)), 1.0, 4 * eps);
    }
    check_done(c);
}

/* A state that vanishes leaves zeros, not NaN, and nothing of it in y. */
static void check_vanishing(check *c, int Q)
{
    check_case(c, "vanishing state, Q %d", Q);
    const int    P = 3, N = 20;
    const size_t PN = (size_t)(P * N);
    const head   h = make_head(c, Q, P, N, 1e5, FILL_RANDOM);
    truth        r = recur(&h);
    float       *S = check_floats(c, PN), *y = check_floats(c, (size_t)(Q * P));

    memcpy(S, h.S, PN * sizeof *S);
    run_chunk(c, &h, 0, Q, make_room(c, Q, P, N), h.x, S, y, (size_t)P);
    compare(c, &h, &r, y, (size_t)P, S, Q + N + 16, Q + 8);
    free_truth(&r);
    check_done(c);
}

/* ------------------------------------------------------------- all ---------------------- */

static void check_laws(check *c)
{
    static const int chunk[] = { 1, 2, 3, 7, 8, 9, 16, 31, 64, 100, 130 };
    static const int first[] = { 0, 1, 5, 8, 63, 129 };

    for (size_t i = 0; i < sizeof chunk / sizeof *chunk; i++)
        for (size_t j = 0; j < sizeof first / sizeof *first; j++)
            check_scan(c, 130, chunk[i], first[j], j % 2 ? 130 : 117, j < 3 ? 0.5 : 20.0);
    for (int Q = 1; Q < 70; Q += 17) {
        check_linear(c, Q);
        check_no_time(c, Q);
        check_vanishing(c, Q);
    }
}

void check_ssd(check *c)
{
    static const int size[][2] = { { 1, 1 }, { 0, 5 }, { 3, 0 }, { 2, 15 }, { 5, 16 },
                                   { 4, 17 }, { 16, 33 }, { 33, 31 }, { 64, 128 },
                                   { 80, 256 } };
    static const int Q[]       = { 0, 1, 2, 7, 8, 9, 17, 64, 100 };
    enum { N_SIZES = sizeof size / sizeof *size, N_Q = sizeof Q / sizeof *Q };

    if (CHECK_BEGIN(c, "ssd_step", ssd_step)) {
        for (int i = 0; i < N_SIZES; i++)
            for (int H = 0; H < 4; H++)
                check_step(c, H, size[i][0], size[i][1], H == 2 ? 400 : 8, FILL_RANDOM, H == 3);
        for (int fill = 0; fill < N_FILLS; fill++) check_step(c, 2, 6, 35, 4, fill, false);
        check_decays(c);
        check_repeated(c);
        check_end(c);
    }
    if (CHECK_BEGIN(c, "ssd_cb", ssd_cb)) {
        for (int i = 0; i < N_Q; i++)
            for (int j = 0; j < N_SIZES; j++) check_cb(c, Q[i], size[j][1], FILL_RANDOM);
        for (int fill = 0; fill < N_FILLS; fill++) check_cb(c, 6, 35, fill);
        check_end(c);
    }
    if (CHECK_BEGIN(c, "ssd_chunk", ssd_chunk)) {
        for (int i = 0; i < N_Q; i++)
            for (int j = 0; j < N_SIZES; j++)
                check_chunk(c, Q[i], size[j][0], size[j][1], j % 2 ? 30 : 0.5, FILL_RANDOM,
                            i % 2);
        for (int fill = 0; fill < N_FILLS; fill++) check_chunk(c, 21, 6, 35, 1, fill, false);
        check_chunk(c, 256, 64, 128, 1, FILL_RANDOM, true);
        check_laws(c);
        check_end(c);
    }
}
