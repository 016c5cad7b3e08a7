/* ssd_chunk.c - a chunk of the Mamba-2 recurrence in dual form, as small products in registers.
 *
 *     y  = [C · Sᵀ, faded] + (CB ∘ decay) · dx + D · x        lanes over P
 *     S ←  fade · S + dxᵀ · B                                 lanes over N
 *
 * Both products run over tiles of TILE rows x 2 vectors: an operand is broadcast an element at a
 * time and meets two vectors of the other. S is transposed once, in slabs of two vectors; a slab
 * (16 KiB for N = 128) stays in L1 while all tokens pass. B is copied in the same shape: its rows
 * lie kilobytes apart and would crowd a few sets of the cache.
 *
 * Exponents are differences of cumulated log-decays, summed in double and kept as two floats.
 * Source: Dao & Gu 2024, arXiv:2405.21060, section 6; Goto & van de Geijn 2008 for the tiles. */
#include "../variants.h"
#include "vec.h"

enum {
    WIDE = 2 * VL,                        /* lanes of a slab */
    TILE = VL == 16 ? 8 : 4               /* rows: TILE sums of two vectors, in registers */
};

/* What a head's chunk works on. Arrays of `scratch`, each on a cache line. */
typedef struct chunk {
    int          Q, P, N;
    int          lanes_p, lanes_q;        /* P and Q rounded up to WIDE and VL */
    const float *C;                       /* [Q, N] row stride ldb */
    size_t       ldb;
    float       *high, *low;              /* [lanes_q] cumulated log-decay: their sum */
    float       *fade;                    /* [lanes_q] exp(c[t]); then exp(c[Q-1] - c[s]) */
    float       *M;                       /* [TILE, lanes_q] rows of CB ∘ decay */
    float       *dx;                      /* [Q, lanes_p] dt · x; zeros beyond P */
    float       *turned;                  /* [P slabs][N, WIDE] Sᵀ, or [Q, WIDE] a slab of B */
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

/* A full vector unless n < VL; n may be negative. */
BB_INLINE vf load_up_to(const float *p, int n)
{
    return n >= VL ? vf_load(p) : n > 0 ? vf_load_part(p, n) : vf_zero();
}

BB_INLINE void store_up_to(float *p, int n, vf v)
{
    if (n >= VL)    vf_store(p, v);
    else if (n > 0) vf_store_part(p, n, v);
}

/* ------------------------------------------------------------- decay -------------------- */

static void cumulate(chunk *k, const float *dt, size_t ld_dt, float A)
{
    double sum = 0;

    for (int t = 0; t < k->Q; t++) {
        sum += (double)dt[(size_t)t * ld_dt] * (double)A;
        k->high[t] = (float)sum;
        k->low[t]  = (float)(sum - (double)k->high[t]);
    }
    for (int t = k->Q; t < k->lanes_q; t++) k->high[t] = k->low[t] = 0.0f;
    for (int t = 0; t < k->Q; t += VL)
        vf_store(k->fade + t, vf_exp_sum(vf_load(k->high + t), vf_load(k->low + t)));
}

/* exp(c[t] - c[s]) for VL tokens s <= t. The difference of the high parts is rounded, what it lost
   is known exactly (|c[t]| >= |c[s]|: Dekker 1971), and the lower parts join. */
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

/* M[i, s] = CB[t + i, s] · exp(c[t + i] - c[s]); what stands at s > t + i is not used. */
static void weigh(chunk *k, const float *CB, int t)
{
    const int end = smaller(t + TILE, k->Q);

    for (int r = t; r < end; r++) {
        const float *in   = CB + (size_t)r * (size_t)k->Q;
        float       *out  = k->M + (size_t)(r - t) * (size_t)k->lanes_q;
        const vf     high = vf_set1(k->high[r]), low = vf_set1(k->low[r]);
        for (int s = 0; s < end; s += VL)
            vf_store(out + s, vf_mul(load_up_to(in + s, k->Q - s), decay(k, high, low, s)));
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
            vf_store(dx + p, vf_mul(d, load_up_to(xs + p, k->P - p)));
    }
}

/* turned[p / WIDE][n][p mod WIDE] = S[p, n]; zeros beyond P. */
static void transpose_state(chunk *k, const float *S)
{
    for (int p = 0; p < k->lanes_p; p += VL) {
        float *slab = k->turned + (size_t)(p / WIDE) * (size_t)k->N * WIDE + p % WIDE;
        for (int n = 0; n < k->N; n += VL) {
            vf r[VL];
            for (int i = 0; i < VL; i++)
                r[i] = p + i < k->P
                           ? load_up_to(S + (size_t)(p + i) * (size_t)k->N + n, k->N - n)
                           : vf_zero();
            vf_transpose(r);
            if (n + VL <= k->N)
                for (int i = 0; i < VL; i++) vf_store(slab + (size_t)(n + i) * WIDE, r[i]);
            else
                for (int i = 0; i < VL; i++)
                    if (n + i < k->N) vf_store(slab + (size_t)(n + i) * WIDE, r[i]);
        }
    }
}

/* ------------------------------------------------------------- products ----------------- */

/* sum[i][0 … 1] += a[i][j] · b[j, 0 … WIDE-1] for j < n in order; rows of a at a[i]. */
BB_INLINE void multiply_tile(int n, const float *const a[TILE], const float *b, size_t ldb,
                             vf sum[TILE][2])
{
    for (int j = 0; j < n; j++, b += ldb) {
        const vf b0 = vf_load(b), b1 = vf_load(b + VL);
        for (int i = 0; i < TILE; i++) {
            const vf f = vf_set1(a[i][j]);
            sum[i][0]  = vf_fma(f, b0, sum[i][0]);
            sum[i][1]  = vf_fma(f, b1, sum[i][1]);
        }
    }
}

/* y for tokens t … t + TILE - 1 and the lanes from p on. Rows beyond the last token repeat it and
   are not stored. */
static void make_y(const chunk *k, int t, int p, float D, const float *x, size_t ldx, float *y,
                   size_t ldy)
{
    const int    n_rows = smaller(TILE, k->Q - t), part = k->P - p;
    const float *slab   = k->turned + (size_t)(p / WIDE) * (size_t)k->N * WIDE;
    const float *dx     = k->dx + p;
    const vf     skip   = vf_set1(D);
    const float *a[TILE];
    vf           sum[TILE][2];

    for (int i = 0; i < TILE; i++) {
        a[i]      = k->C + (size_t)(t + smaller(i, n_rows - 1)) * k->ldb;
        sum[i][0] = sum[i][1] = vf_zero();
    }
    multiply_tile(k->N, a, slab, WIDE, sum);
    for (int i = 0; i < TILE; i++) {
        const vf f = vf_set1(k->fade[t + smaller(i, n_rows - 1)]);
        sum[i][0]  = vf_mul(f, sum[i][0]);
        sum[i][1]  = vf_mul(f, sum[i][1]);
        a[i]       = k->M + (size_t)smaller(i, n_rows - 1) * (size_t)k->lanes_q;
    }
    multiply_tile(t, a, dx, (size_t)k->lanes_p, sum);
    for (int j = 0; j < TILE; j++) {      /* the triangle */
        if (j >= n_rows) break;
        const float *d  = dx + (size_t)(t + j) * (size_t)k->lanes_p;
        const vf     b0 = vf_load(d), b1 = vf_load(d + VL);
        for (int i = j; i < TILE; i++) {
            const vf f = vf_set1(a[i][t + j]);
            sum[i][0]  = vf_fma(f, b0, sum[i][0]);
            sum[i][1]  = vf_fma(f, b1, sum[i][1]);
        }
    }
    for (int i = 0; i < TILE; i++) {
        if (i >= n_rows) break;
        const float *xt = x + (size_t)(t + i) * ldx + p;
        float       *yt = y + (size_t)(t + i) * ldy + p;
        const vf     x0 = load_up_to(xt, part), x1 = load_up_to(xt + VL, part - VL);
        store_up_to(yt, part, vf_fma(skip, x0, sum[i][0]));
        store_up_to(yt + VL, part - VL, vf_fma(skip, x1, sum[i][1]));
    }
}

/* Rows p … p + TILE - 1 and columns n … n + WIDE - 1 of S; b [Q, WIDE]. */
static void update_state(const chunk *k, int p, int n, vf all, const float *b, float *S)
{
    const int    n_rows = smaller(TILE, k->P - p), part = k->N - n;
    const float *dx     = k->dx + p;
    vf           sum[TILE][2];

    for (int i = 0; i < TILE; i++) {
        const float *s = S + (size_t)(p + smaller(i, n_rows - 1)) * (size_t)k->N + n;
        sum[i][0] = vf_mul(all, load_up_to(s, part));
        sum[i][1] = vf_mul(all, load_up_to(s + VL, part - VL));
    }
    for (int s = 0; s < k->Q; s++, b += WIDE, dx += k->lanes_p) {
        const vf b0 = vf_load(b), b1 = vf_load(b + VL);
        for (int i = 0; i < TILE; i++) {
            const vf f = vf_set1(dx[i]);
            sum[i][0]  = vf_fma(f, b0, sum[i][0]);
            sum[i][1]  = vf_fma(f, b1, sum[i][1]);
        }
    }
    for (int i = 0; i < TILE; i++) {
        if (i >= n_rows) break;
        float *s = S + (size_t)(p + i) * (size_t)k->N + n;
        store_up_to(s, part, sum[i][0]);
        store_up_to(s + VL, part - VL, sum[i][1]);
    }
}

static void update_slab(const chunk *k, int n, vf all, const float *B, float *S)
{
    float *const b = k->turned;           /* Sᵀ is not needed any more */

    for (int s = 0; s < k->Q; s++) {
        const float *from = B + (size_t)s * k->ldb + n;
        vf_store(b + (size_t)s * WIDE, load_up_to(from, k->N - n));
        vf_store(b + (size_t)s * WIDE + VL, load_up_to(from + VL, k->N - n - VL));
    }
    for (int p = 0; p < k->P; p += TILE) update_state(k, p, n, all, b, S);
}

/* ------------------------------------------------------------- kernels ------------------ */

void BB_ISA(bb_ssd_chunk)(int Q, int P, int N, const float *x, size_t ldx, const float *dt,
                          size_t ld_dt, float A, const float *B, const float *C, size_t ldb,
                          const float *CB, float D, float *S, float *y, size_t ldy,
                          float *scratch)
{
    const int lanes_p = round_up(P, WIDE), lanes_q = round_up(Q, VL);
    chunk     k = { Q, P, N, lanes_p, lanes_q, C, ldb, NULL, NULL, NULL, NULL, NULL, NULL };

    if (Q <= 0) return;
    k.high   = align(scratch);
    k.low    = k.high + lanes_q;
    k.fade   = k.low + lanes_q;
    k.M      = k.fade + lanes_q;
    k.dx     = k.M + TILE * (size_t)lanes_q;
    k.turned = k.dx + (size_t)Q * (size_t)lanes_p;

    cumulate(&k, dt, ld_dt, A);
    take_inputs(&k, x, ldx, dt, ld_dt);
    transpose_state(&k, S);
    for (int t = 0; t < Q; t += TILE) {
        weigh(&k, CB, t);
        for (int p = 0; p < P; p += WIDE) make_y(&k, t, p, D, x, ldx, y, ldy);
    }

    const vf all = vf_set1(k.fade[Q - 1]);
    fade_to_end(&k);
    for (int n = 0; n < N; n += WIDE) update_slab(&k, n, all, B, S);
}
