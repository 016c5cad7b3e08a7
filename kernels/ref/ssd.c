/* ssd.c - the Mamba-2 state space in portable C: one token, and a chunk of tokens in dual form.
 *
 * Decays of a chunk are exponentials of differences of the cumulated log-decay, never
 * quotients, both sides of which may vanish. Tokens are taken in blocks of 8; for s before the
 * block that begins at token e,  exp(c[t]-c[s]) = exp(c[t]-c[e]) · exp(c[e]-c[s]),  two factors
 * <= 1: Q/16 + 5 exponentials a token instead of Q/2.
 * Source: Dao & Gu 2024, arXiv:2405.21060, section 6. */
#include "../fading.h"
#include "../variants.h"
#include "lanes.h"

#include <math.h>

enum { BLOCK = 8 };                       /* tokens whose decays have a factor in common */

/* An element S of the state after the decay f, and what is fed to it, `in`. */
static inline float fade(bb_fading f, float S, float in)
{
    return f.kept * S + (in - f.lost * S);
}

static inline lanes fade_lanes(lanes kept, lanes lost, lanes S, lanes in)
{
    return add_product(subtract_product(in, lost, S), kept, S);
}

/* One row of the state [N] forward by one token; its product with C. S_out may be S_in. */
static inline float step_row(int N, bb_fading f, float dx, const float *B, const float *C,
                             const float *S_in, float *S_out)
{
    const lanes kept = fill_lanes(f.kept), lost = fill_lanes(f.lost), in = fill_lanes(dx);
    const int   whole = N - N % LANES;
    lanes       sum   = fill_lanes(0.0f);
    float       acc[LANES];

    for (int n = 0; n < whole; n += LANES) {
        const lanes fed = multiply_lanes(in, load_lanes(B + n));
        const lanes s   = fade_lanes(kept, lost, load_lanes(S_in + n), fed);
        store_lanes(S_out + n, s);
        sum = add_product(sum, load_lanes(C + n), s);
    }
    store_lanes(acc, sum);
    for (int n = whole; n < N; n++) {
        const float s = fade(f, S_in[n], dx * B[n]);
        S_out[n]      = s;
        acc[n - whole] += C[n] * s;
    }
    return sum_lanes(acc);
}

void bb_ssd_step_c(int H, int P, int N, const float *x, const float *dt, const float *A,
                   const float *B, const float *C, const float *D, const float *S_in, float *S_out,
                   float *y)
{
    for (int h = 0; h < H; h++) {
        const bb_fading f = bb_fading_of((double)dt[h] * (double)A[h]);
        for (int p = 0; p < P; p++) {
            const size_t i  = (size_t)h * (size_t)P + (size_t)p, row = i * (size_t)N;
            const float  xi = x[i];
            y[i] = step_row(N, f, dt[h] * xi, B, C, S_in + row, S_out + row) + D[h] * xi;
        }
    }
}

void bb_ssd_cb_c(int Q, int N, const float *B, const float *C, size_t ldb, float *CB)
{
    for (int t = 0; t < Q; t++)
        multiply_rows(t + 1, N, C + (size_t)t * ldb, B, ldb, CB + (size_t)t * (size_t)Q);
}

/* Cumulated log-decay: double[Q] kept in 2·Q floats, which need not be aligned for doubles. */
static inline double log_decay(const float *c, int t)
{
    double v;
    memcpy(&v, c + 2 * (size_t)t, sizeof v);
    return v;
}

static void cumulate(int Q, const float *dt, size_t ld_dt, float A, float *c)
{
    double sum = 0;
    for (int t = 0; t < Q; t++) {
        sum += (double)dt[(size_t)t * ld_dt] * (double)A;
        memcpy(c + 2 * (size_t)t, &sum, sizeof sum);
    }
}

/* exp(c[t] - c[s]), s <= t. */
static inline float decay(const float *c, int t, int s)
{
    return (float)exp(log_decay(c, t) - log_decay(c, s));
}

/* out[i] = the faded S[i] + in[i]; out may be S. */
static inline void fade_row(int n, bb_fading f, const float *S, const float *in, float *out)
{
    const lanes kept = fill_lanes(f.kept), lost = fill_lanes(f.lost);
    const int   whole = n - n % LANES;

    for (int i = 0; i < whole; i += LANES)
        store_lanes(out + i, fade_lanes(kept, lost, load_lanes(S + i), load_lanes(in + i)));
    for (int i = whole; i < n; i++) out[i] = fade(f, S[i], in[i]);
}

/* m <= 2 rows of the state over a chunk: S_out [m, N] = the faded S_in + Σs dx[s]ᵀ · B[s].
   fed [m, N]: scratch */
static void feed_rows(int m, int N, int Q, const float *dx, size_t ld_dx, const float *B,
                      size_t ldb, bb_fading f, const float *S_in, float *S_out, float *fed)
{
    for (int s = 0; s < Q; s += BB_FED, S_in = S_out, f = (bb_fading){ 1.0f, 0.0f }) {
        const int n_fed = Q - s < BB_FED ? Q - s : BB_FED;
        memset(fed, 0, (size_t)(m * N) * sizeof *fed);
        add_outer(m, N, n_fed, dx + (size_t)s * ld_dx, 1, ld_dx, B + (size_t)s * ldb, ldb, fed,
                  (size_t)N);
        fade_row(m * N, f, S_in, fed, S_out);
    }
}

/* out[i] = a · in[i]; out may be in. */
static inline void scale_row(int n, float a, const float *in, float *out)
{
    for (int i = 0; i < n; i++) out[i] = a * in[i];
}

/* M[t, s] = CB[t, s] · exp(c[t] - c[s]) for s <= t.   CB, M [Q, Q]   before [Q]: scratch */
static void weigh(int Q, const float *c, const float *restrict CB, float *restrict M,
                  float *restrict before)
{
    for (int e = 0; e < Q; e += BLOCK) {
        const int end = Q - e < BLOCK ? Q : e + BLOCK;
        for (int s = 0; s < e; s++) before[s] = decay(c, e, s);
        for (int t = e; t < end; t++) {
            const float *in     = CB + (size_t)t * (size_t)Q;
            float       *out    = M + (size_t)t * (size_t)Q;
            const float  within = decay(c, t, e);
            for (int s = 0; s < e; s++) out[s] = in[s] * (within * before[s]);
            for (int s = e; s <= t; s++) out[s] = in[s] * decay(c, t, s);
        }
    }
}

/* y[t, p] = exp(c[t]) · (C[t] · S[p]) + D · x[t, p];   row [P]: scratch; y may be x */
static void inherit(int Q, int P, int N, const float *c, const float *C, size_t ldb,
                    const float *S, float D, const float *x, size_t ldx, float *y, size_t ldy,
                    float *row)
{
    for (int t = 0; t < Q; t++) {
        const float  e  = (float)exp(log_decay(c, t));
        const float *xt = x + (size_t)t * ldx;
        float       *yt = y + (size_t)t * ldy;
        multiply_rows(P, N, C + (size_t)t * ldb, S, (size_t)N, row);
        for (int p = 0; p < P; p++) yt[p] = e * row[p] + D * xt[p];
    }
}

void bb_ssd_chunk_c(int Q, int P, int N, const float *x, size_t ldx, const float *dt,
                    size_t ld_dt, float A, const float *B, const float *C, size_t ldb,
                    const float *CB, float D, const float *S_in, float *S_out, float *y, size_t ldy,
                    float *scratch)
{
    const size_t q = (size_t)Q, width = (size_t)P;
    float *const M      = scratch;        /* [Q, Q] */
    float *const dx     = M + q * q;      /* [Q, P] dt[s] · x[s] */
    float *const c      = dx + q * width; /* [Q] doubles */
    float *const before = c + 2 * q;      /* [Q] */
    float *const row    = before + q;     /* [P] */
    float *const fed    = row + width;    /* [2, N] what two rows of S are fed */

    if (Q <= 0) {
        if (S_out != S_in) memcpy(S_out, S_in, width * (size_t)N * sizeof *S_out);
        return;
    }
    cumulate(Q, dt, ld_dt, A, c);
    for (int s = 0; s < Q; s++)
        scale_row(P, dt[(size_t)s * ld_dt], x + (size_t)s * ldx, dx + (size_t)s * width);

    inherit(Q, P, N, c, C, ldb, S_in, D, x, ldx, y, ldy, row);
    weigh(Q, c, CB, M, before);
    for (int t = 0; t < Q; t += 2) {      /* the causal half: row t+1 has one term more */
        const int m = Q - t < 2 ? 1 : 2;
        add_outer(m, P, t + 1, M + (size_t)t * q, q, 1, dx, width, y + (size_t)t * ldy, ldy);
        if (m == 2) {
            const size_t u = (size_t)t + 1;
            add_outer(1, P, 1, M + u * q + u, q, 1, dx + u * width, width, y + u * ldy, ldy);
        }
    }

    const bb_fading all = bb_fading_of(log_decay(c, Q - 1));
    for (int s = 0; s < Q; s++)
        scale_row(P, decay(c, Q - 1, s), dx + (size_t)s * width, dx + (size_t)s * width);
    for (int p = 0; p < P; p += 2) {
        const int    m  = P - p < 2 ? 1 : 2;
        const size_t at = (size_t)p * (size_t)N;
        feed_rows(m, N, Q, dx + p, width, B, ldb, all, S_in + at, S_out + at, fed);
    }
}
