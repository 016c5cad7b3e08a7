/* ssd_chunk.c - a chunk of the Mamba-2 recurrence in dual form, as small products in registers.
 *
 *     y     = exp(c) · (C · S_inᵀ) + M · dx + D · x                               lanes over P
 *     S_out = exp(c[Q-1]) · S_in + (decay · dx)ᵀ · B                              lanes over N
 *     M     = CB ∘ decay, dx = dt · x
 *
 * Products run over tiles of TILE rows x 2 vectors: an operand is broadcast an element at a
 * time and meets two vectors of the other. Sᵀ and B are copied in slabs of two vectors (16 and
 * 8 KiB for N = 128, Q = 64), which stay in L1 while all tokens, all rows of S pass; in place,
 * the rows of B and x lie tens of kilobytes apart and crowd a few sets of the cache.
 *
 * Exponents are differences of cumulated log-decays, summed in double and kept as two floats.
 * Source: Dao & Gu 2024, arXiv:2405.21060, section 6; Goto & van de Geijn 2008, tiles. */
#include "../fading.h"
#include "../variants.h"
#include "vec.h"

enum {
    WIDE = 2 * VL,                        /* lanes of a slab */
    TILE = VL == 16 ? 8 : 6               /* rows: TILE sums of two vectors, in registers */
};

/* What a head's chunk works on. Arrays of `scratch`, each on a cache line. */
typedef struct chunk {
    int          Q, P, N;
    int          lanes_p, lanes_q;        /* P and Q rounded up to WIDE and VL */
    const float *C;                       /* [Q, N] row stride ldb */
    size_t       ldb;
    float       *high, *low;              /* [lanes_q] cumulated log-decay: their sum */
    float       *fade;                    /* [lanes_q] exp(c[t]); then exp(c[Q-1] - c[s]) */
    float       *M;                       /* [Q, lanes_q] CB ∘ decay where s <= t */
    float       *dx;                      /* [Q, lanes_p] dt · x; zeros beyond P */
    float       *slab;                    /* [N, WIDE] of Sᵀ, later [Q, WIDE] of B */
} chunk;

static int round_up(int n, int unit)
{
    return (n + unit - 1) / unit * unit;
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

static float *align(float *p)
{
    return p + (64 - (uintptr_t)p % 64) % 64 / sizeof *p;
}

/* ------------------------------------------------------------- decay -------------------- */

static void cumulate(chunk *k, const float *dt, size_t ld_dt, float A)
{
    double sum = 0;

    for (int t = 0; t < k->Q; t++) {
        sum += vf_exp_term((double)dt[(size_t)t * ld_dt] * (double)A);
        k->high[t] = (float)sum;
        k->low[t]  = (float)(sum - (double)k->high[t]);
    }
    for (int t = k->Q; t < k->lanes_q; t++) k->high[t] = k->low[t] = 0.0f;
    for (int t = 0; t < k->Q; t += VL)
        vf_store(k->fade + t, vf_exp_sum(vf_load(k->high + t), vf_load(k->low + t)));
}

/* exp(c[t] - c[s]) for VL tokens s <= t. The difference of the high parts is rounded, what it
   lost is known exactly (|c[t]| >= |c[s]|: Dekker 1971), and the lower parts join. */
BB_INLINE vf decay(const chunk *k, vf high, vf low, int s)
{
    const vf from = vf_load(k->high + s);
    const vf d    = vf_sub(high, from);
    const vf lost = vf_sub(vf_sub(high, d), from);
    const vf rest = vf_add(lost, vf_sub(low, vf_load(k->low + s)));
    const vf sum  = vf_add(d, rest);
    return vf_exp_sum(sum, vf_add(vf_sub(d, sum), rest));
}

/* fade[s] = exp(c[Q-1] - c[s]); dx[s] *= fade[s] */
static void fade_to_end(chunk *k)
{
    const vf high = vf_set1(k->high[k->Q - 1]), low = vf_set1(k->low[k->Q - 1]);

    for (int s = 0; s < k->Q; s += VL) vf_store(k->fade + s, decay(k, high, low, s));
    for (int s = 0; s < k->Q; s++) {
        const vf f  = vf_set1(k->fade[s]);
        float   *dx = k->dx + (size_t)s * (size_t)k->lanes_p;
        for (int p = 0; p < k->lanes_p; p += VL) vf_store(dx + p, vf_mul(f, vf_load(dx + p)));
    }
}

/* M[t, s] = CB[t, s] · exp(c[t] - c[s]); what stands at s > t is not used. */
static void weigh(chunk *k, const float *CB)
{
    for (int t = 0; t < k->Q; t++) {
        const float *in   = CB + (size_t)t * (size_t)k->Q;
        float       *out  = k->M + (size_t)t * (size_t)k->lanes_q;
        const vf     high = vf_set1(k->high[t]), low = vf_set1(k->low[t]);
        for (int s = 0; s <= t; s += VL)
            vf_store(out + s, vf_mul(vf_load_up_to(in + s, k->Q - s), decay(k, high, low, s)));
    }
}

/* ------------------------------------------------------------- operands ----------------- */

static void take_inputs(chunk *k, const float *x, size_t ldx, const float *dt, size_t ld_dt)
{
    for (int s = 0; s < k->Q; s++) {
        const vf     d  = vf_set1(dt[(size_t)s * ld_dt]);
        const float *xs = x + (size_t)s * ldx;
        float       *dx = k->dx + (size_t)s * (size_t)k->lanes_p;
        for (int p = 0; p < k->lanes_p; p += VL)
            vf_store(dx + p, vf_mul(d, vf_load_up_to(xs + p, k->P - p)));
    }
}

/* slab[n][i] = S[p + i, n], i < WIDE; zeros beyond P. */
static void transpose_state(const chunk *k, int p, const float *S)
{
    for (int half = 0; half < 2; half++, p += VL)
        for (int n = 0; n < k->N; n += VL) {
            float    *to   = k->slab + (size_t)n * WIDE + half * VL;
            const int rows = smaller(VL, k->N - n);
            vf        r[VL];
            BB_UNROLL
            for (int i = 0; i < VL; i++)
                r[i] = p + i < k->P
                           ? vf_load_up_to(S + (size_t)(p + i) * (size_t)k->N + n, k->N - n)
                           : vf_zero();
            vf_transpose(r);
            BB_UNROLL
            for (int i = 0; i < VL; i++)
                if (i < rows) vf_store(to + i * WIDE, r[i]);
        }
}

/* Bring rows of `width` floats to L1; they lie too far apart for the processor to guess. */
static void fetch(int n_rows, int width, const float *p, size_t ld)
{
    for (int i = 0; i < n_rows; i++)
        for (int j = 0; j < width; j += 16)
            _mm_prefetch((const char *)(p + (size_t)i * ld + j), _MM_HINT_T0);
}

/* slab[s][i] = B[s, n + i], i < WIDE; zeros beyond N. */
static void copy_inputs(const chunk *k, int n, const float *B)
{
    for (int s = 0; s < k->Q; s++) {
        const float *from = B + (size_t)s * k->ldb + n;
        vf_store(k->slab + (size_t)s * WIDE, vf_load_up_to(from, k->N - n));
        vf_store(k->slab + (size_t)s * WIDE + VL, vf_load_up_to(from + VL, k->N - n - VL));
    }
}

/* ------------------------------------------------------------- products ----------------- */

/* A tile of sums, in registers: everything that indexes it must be unrolled. */
typedef struct tile { vf v[TILE][2]; } tile;

/* v[i] += f[i][at] · (b0, b1) for rows first … TILE - 1. */
BB_INLINE void add_row(tile *sum, int first, const float *const f[TILE], size_t at, vf b0,
                       vf b1)
{
    BB_UNROLL
    for (int i = first; i < TILE; i++) {
        const vf v = vf_set1(f[i][at]);
        sum->v[i][0] = vf_fma(v, b0, sum->v[i][0]);
        sum->v[i][1] = vf_fma(v, b1, sum->v[i][1]);
    }
}

/* sum[i] += Σj a[i][j] · b[j, 0 … WIDE-1] for j < n in order. */
BB_INLINE tile multiply(tile sum, int n, const float *const a[TILE], const float *b, size_t ldb)
{
    for (int j = 0; j < n; j++, b += ldb)
        add_row(&sum, 0, a, (size_t)j, vf_load(b), vf_load(b + VL));
    return sum;
}

/* y of tokens t … t + TILE - 1 and lanes p … p + WIDE - 1. Rows beyond the last token repeat it
   and are not stored. */
static void make_y(const chunk *k, int t, int p, float D, const float *x, size_t ldx, float *y,
                   size_t ldy)
{
    const int    last = smaller(TILE, k->Q - t) - 1, part = k->P - p;
    const float *dx   = k->dx + p;
    const float *a[TILE];
    tile         sum;

    BB_UNROLL
    for (int i = 0; i < TILE; i++) {
        a[i]        = k->C + (size_t)(t + smaller(i, last)) * k->ldb;
        sum.v[i][0] = sum.v[i][1] = vf_zero();
    }
    sum = multiply(sum, k->N, a, k->slab, WIDE);
    BB_UNROLL
    for (int i = 0; i < TILE; i++) {
        const vf f  = vf_set1(k->fade[t + smaller(i, last)]);
        sum.v[i][0] = vf_mul(f, sum.v[i][0]);
        sum.v[i][1] = vf_mul(f, sum.v[i][1]);
        a[i]        = k->M + (size_t)(t + smaller(i, last)) * (size_t)k->lanes_q;
    }
    sum = multiply(sum, t, a, dx, (size_t)k->lanes_p);
    dx += (size_t)t * (size_t)k->lanes_p;
    BB_UNROLL
    for (int j = 0; j < TILE; j++, dx += k->lanes_p)      /* the triangle */
        if (j <= last) add_row(&sum, j, a, (size_t)(t + j), vf_load(dx), vf_load(dx + VL));

    BB_UNROLL
    for (int i = 0; i < TILE; i++)
        if (i <= last) {
            const float *xt = x + (size_t)(t + i) * ldx + p;
            float       *yt = y + (size_t)(t + i) * ldy + p;
            const vf     x0 = vf_load_up_to(xt, part), x1 = vf_load_up_to(xt + VL, part - VL);
            vf_store_up_to(yt, part, vf_fma(vf_set1(D), x0, sum.v[i][0]));
            vf_store_up_to(yt + VL, part - VL, vf_fma(vf_set1(D), x1, sum.v[i][1]));
        }
}

/* Rows p … p + TILE - 1 and columns n … n + WIDE - 1 of the state: S_in faded, then fed tokens
   first … end - 1, whose B are in the slab. */
static void feed_tile(const chunk *k, int p, int n, int first, int end, bb_fading f,
                      const float *S_in, float *S_out)
{
    const int    last = smaller(TILE, k->P - p) - 1, part = k->N - n;
    const float *a[TILE], *b = k->slab + (size_t)first * WIDE;
    tile         sum;

    BB_UNROLL
    for (int i = 0; i < TILE; i++) {
        sum.v[i][0] = sum.v[i][1] = vf_zero();
        a[i]        = k->dx + p + i;
    }
    for (int s = first; s < end; s++, b += WIDE)
        add_row(&sum, 0, a, (size_t)s * (size_t)k->lanes_p, vf_load(b), vf_load(b + VL));
    BB_UNROLL
    for (int i = 0; i < TILE; i++)
        if (i <= last) {
            const size_t at = (size_t)(p + i) * (size_t)k->N + (size_t)n;
            const vf     s0 = vf_load_up_to(S_in + at, part);
            const vf     s1 = vf_load_up_to(S_in + at + VL, part - VL);
            vf_store_up_to(S_out + at, part, vf_fade(f.kept, f.lost, s0, sum.v[i][0]));
            vf_store_up_to(S_out + at + VL, part - VL, vf_fade(f.kept, f.lost, s1, sum.v[i][1]));
        }
}

/* Rows p … p + TILE - 1 and columns n … n + WIDE - 1 of the state, from their values before the
   chunk to those after all Q tokens, whose B are in the slab. */
static void update_tile(const chunk *k, int p, int n, bb_fading all, const float *S_in,
                        float *S_out)
{
    const bb_fading none = { 1.0f, 0.0f };

    feed_tile(k, p, n, 0, smaller(BB_FED, k->Q), all, S_in, S_out);
    for (int s = BB_FED; s < k->Q; s += BB_FED)
        feed_tile(k, p, n, s, smaller(s + BB_FED, k->Q), none, S_out, S_out);
}

/* ------------------------------------------------------------- kernel ------------------- */

void BB_ISA(bb_ssd_chunk)(int Q, int P, int N, const float *x, size_t ldx, const float *dt,
                          size_t ld_dt, float A, const float *B, const float *C, size_t ldb,
                          const float *CB, float D, const float *S_in, float *S_out, float *y,
                          size_t ldy, float *scratch)
{
    const size_t lanes_p = (size_t)round_up(P, WIDE), lanes_q = (size_t)round_up(Q, VL);
    chunk        k = { .Q = Q, .P = P, .N = N, .C = C, .ldb = ldb,
                       .lanes_p = (int)lanes_p, .lanes_q = (int)lanes_q };

    if (Q <= 0) {
        if (S_out != S_in) memcpy(S_out, S_in, (size_t)P * (size_t)N * sizeof *S_out);
        return;
    }
    k.slab = align(scratch);
    k.high = k.slab + (size_t)(N > Q ? N : Q) * WIDE;
    k.low  = k.high + lanes_q;
    k.fade = k.low + lanes_q;
    k.M    = k.fade + lanes_q;
    k.dx   = k.M + (size_t)Q * lanes_q;

    fetch(Q, P, x, ldx);
    cumulate(&k, dt, ld_dt, A);
    weigh(&k, CB);
    take_inputs(&k, x, ldx, dt, ld_dt);
    for (int p = 0; p < P; p += WIDE) {
        transpose_state(&k, p, S_in);
        for (int t = 0; t < Q; t += TILE) make_y(&k, t, p, D, x, ldx, y, ldy);
    }

    const bb_fading all = bb_fading_of((double)k.high[Q - 1] + (double)k.low[Q - 1]);
    fade_to_end(&k);
    for (int n = 0; n < N; n += WIDE) {
        copy_inputs(&k, n, B);
        if (n + WIDE < N) fetch(Q, smaller(WIDE, N - n - WIDE), B + n + WIDE, ldb);
        for (int p = 0; p < P; p += TILE) update_tile(&k, p, n, all, S_in, S_out);
    }
}
