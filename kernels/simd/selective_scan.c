/* selective_scan.c - the recurrence of Mamba-1: VL channels, 16 elements of their states at a time.
 *
 * Of many tokens, lanes run over channels: what is summed over the state is then summed without
 * moving lanes, and the one price is to transpose S and A once a call; both stay in registers or in
 * the first-level cache. Of a single token, lanes run over the state, as memory has it, and only
 * the new S is transposed, for the sum. Each element is made by the same operations either way.
 * Nearly all time goes into exponentials: A is taken times log2(e) once, for powers of two. */
#include "../variants.h"
#include "vec.h"

enum {
    BLOCK = 16,                           /* elements of a state */
    STRIPS = BB_VEC_512 ? 1 : 2,          /* of VL channels: a row's share of a cache line is used
                                             at once */
    AHEAD = 8                             /* tokens to prefetch: rows lie in different pages */
};

/* Operands of a block, at the first of its channels and elements. */
typedef struct block {
    int          T, n_channels, n;        /* n_channels <= VL or two strips, n <= BLOCK */
    bool         is_first;                /* of the state: y begins with D · x */
    const float *x, *dt, *A, *B, *C, *D, *S_in;
    size_t       ldx, ld_dt, ldb, ldy, N;
    float       *S_out, *y;
} block;

BB_INLINE vf rates(vf A) { return vf_mul(A, vf_set1(0x1.715476p+0f)); }

/* S_out of lanes whose step is dt, whose input is dx = dt · x times B. */
BB_INLINE vf advance(vf dt, vf rate, vf S, vf dx, vf B)
{
    return vf_fma(vf_exp2_negative(vf_mul(dt, rate)), S, vf_mul(dx, B));
}

/* column[i] lane j = p[j · ld + i]; 0 beyond `rows` and `n`. */
BB_INLINE void load_columns(int rows, int n, const float *p, size_t ld, vf column[BLOCK])
{
    for (int i = 0; i < BLOCK; i += VL) {
        for (int j = 0; j < VL; j++)
            column[i + j] = j < rows ? vf_load_up_to(p + (size_t)j * ld + i, n - i) : vf_zero();
        vf_transpose(column + i);
    }
}

BB_INLINE void store_columns(int rows, int n, vf column[BLOCK], float *p, size_t ld)
{
    for (int i = 0; i < BLOCK; i += VL) {
        vf_transpose(column + i);
        for (int j = 0; j < rows; j++) vf_store_up_to(p + (size_t)j * ld + i, n - i, column[i + j]);
    }
}

/* What y is before this block's part of the sum, in a strip. */
BB_INLINE vf begin_sum(const block *b, int n_channels, int strip, vf x, const float *y)
{
    return b->is_first ? vf_mul(vf_load_up_to(b->D + strip * VL, n_channels), x)
                       : vf_load_up_to(y + strip * VL, n_channels);
}

/* ------------------------------------------------------------- many tokens -------------- */

/* Strips of VL channels side by side; if there are two, both are whole. n_channels and n are those
   of b, constants in the usual case. */
BB_INLINE void run_all(const block *b, int strips, int n_channels, int n,
                       vf rate[STRIPS][BLOCK], vf S[STRIPS][BLOCK])
{
    const float *x = b->x, *dt = b->dt, *B = b->B, *C = b->C;
    float       *y = b->y;

    for (int t = 0; t < b->T; t++) {
        vf step[STRIPS], dx[STRIPS], sum[STRIPS];
        BB_UNROLL
        for (int s = 0; s < strips; s++) {
            const vf in = vf_load_up_to(x + s * VL, n_channels);
            step[s] = vf_load_up_to(dt + s * VL, n_channels);
            dx[s]   = vf_mul(step[s], in);
            sum[s]  = begin_sum(b, n_channels, s, in, y);
        }
        _mm_prefetch((const char *)((uintptr_t)x + AHEAD * b->ldx * sizeof *x), _MM_HINT_T0);
        _mm_prefetch((const char *)((uintptr_t)dt + AHEAD * b->ld_dt * sizeof *dt), _MM_HINT_T0);
        BB_UNROLL
        for (int i = 0; i < n; i++)
            BB_UNROLL
            for (int s = 0; s < strips; s++) {
                S[s][i] = advance(step[s], rate[s][i], S[s][i], dx[s], vf_set1(B[i]));
                sum[s]  = vf_fma(vf_set1(C[i]), S[s][i], sum[s]);
            }
        BB_UNROLL
        for (int s = 0; s < strips; s++) vf_store_up_to(y + s * VL, n_channels, sum[s]);
        x += b->ldx, dt += b->ld_dt, B += b->ldb, C += b->ldb, y += b->ldy;
    }
}

static void run_many(const block *b)
{
    const int n_channels = b->n_channels < VL ? b->n_channels : VL, strips = b->n_channels / VL;
    vf        rate[STRIPS][BLOCK], S[STRIPS][BLOCK];

    for (int s = 0; s == 0 || s < strips; s++) {
        const size_t at = (size_t)(s * VL) * b->N;
        load_columns(n_channels, b->n, b->A + at, b->N, rate[s]);
        for (int i = 0; i < BLOCK; i++) rate[s][i] = rates(rate[s][i]);
        load_columns(n_channels, b->n, b->S_in + at, b->N, S[s]);
    }
    if (strips < STRIPS)     run_all(b, 1, n_channels, b->n, rate, S);
    else if (b->n == BLOCK)  run_all(b, STRIPS, VL, BLOCK, rate, S);
    else                     run_all(b, STRIPS, VL, b->n, rate, S);
    for (int s = 0; s == 0 || s < strips; s++)
        store_columns(n_channels, b->n, S[s], b->S_out + (size_t)(s * VL) * b->N, b->N);
}

/* ------------------------------------------------------------- one token ---------------- */

/* Elements i … i + VL - 1 of the channels' states; what these add to y. */
BB_INLINE vf run_part(const block *b, int n_channels, int n, int i, vf sum)
{
    const vf B = vf_load_up_to(b->B + i, n - i);
    vf       S[VL];

    for (int j = 0; j < VL; j++) {
        const size_t at = (size_t)j * b->N + (size_t)i;
        if (j >= n_channels) {
            S[j] = vf_zero();
            continue;
        }
        S[j] = advance(vf_set1(b->dt[j]), rates(vf_load_up_to(b->A + at, n - i)),
                       vf_load_up_to(b->S_in + at, n - i), vf_set1(b->dt[j] * b->x[j]), B);
        vf_store_up_to(b->S_out + at, n - i, S[j]);
    }
    vf_transpose(S);
    for (int j = 0; j < VL && i + j < n; j++) sum = vf_fma(vf_set1(b->C[i + j]), S[j], sum);
    return sum;
}

BB_INLINE void run_token(const block *b, int n_channels, int n)
{
    vf sum = begin_sum(b, n_channels, 0, vf_load_up_to(b->x, n_channels), b->y);

    for (int i = 0; i < n; i += VL) sum = run_part(b, n_channels, n, i, sum);
    vf_store_up_to(b->y, n_channels, sum);
}

static void run_one(const block *b)
{
    if (b->n_channels == VL && b->n == BLOCK) run_token(b, VL, BLOCK);
    else run_token(b, b->n_channels, b->n);
}

void BB_ISA(bb_selective_scan)(int T, int I, int N, const float *x, size_t ldx, const float *dt,
                               size_t ld_dt, const float *A, const float *B, const float *C,
                               size_t ldb, const float *D, const float *S_in, float *S_out,
                               float *y, size_t ldy)
{
    for (int i = 0, width; i < I; i += width) {
        const int most = T > 1 && I - i >= STRIPS * VL ? STRIPS * VL : VL;
        width = I - i < most ? I - i : most;
        for (int n = 0; n == 0 || n < N; n += BLOCK) {
            const size_t at = (size_t)i * (size_t)N + (size_t)n;
            const block  b = {
                .T = T, .n_channels = width, .n = N - n < BLOCK ? N - n : BLOCK,
                .is_first = n == 0, .x = x + i, .dt = dt + i, .A = A + at, .B = B + n, .C = C + n,
                .D = D + i, .S_in = S_in + at, .ldx = ldx, .ld_dt = ld_dt, .ldb = ldb, .ldy = ldy,
                .N = (size_t)N, .S_out = S_out + at, .y = y + i,
            };
            if (T == 1) run_one(&b);
            else        run_many(&b);
        }
    }
}
