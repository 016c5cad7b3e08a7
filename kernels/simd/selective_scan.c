/* selective_scan.c - the recurrence of Mamba-1: VL channels side by side, and 16 elements of their
 * states, which stay in registers or in the first-level cache for all tokens.
 *
 * Lanes run over channels: what is summed over the state is then summed without moving lanes, and
 * the one price is to transpose S and A once a call. Nearly all time goes into exponentials. */
#include "../variants.h"
#include "vec.h"

enum {
    BLOCK = 16,                           /* elements of a state */
    AHEAD = 8                             /* tokens to prefetch: rows lie in different pages */
};

/* Operands of a block: channels and elements of it, at the first of each. */
typedef struct block {
    int          T, n_channels, n;        /* n_channels <= VL, n <= BLOCK */
    bool         is_first;                /* of the state: y begins with D · x */
    const float *x, *dt, *B, *C, *D;
    size_t       ldx, ld_dt, ldb, ldy;
    float       *y;
} block;

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

/* All tokens. n is b->n, and n_channels b->n_channels: constants in the usual case. */
BB_INLINE void run(const block *b, int n_channels, int n, const vf A[BLOCK], vf S[BLOCK])
{
    const vf     D = vf_load_up_to(b->D, n_channels);
    const float *x = b->x, *dt = b->dt, *B = b->B, *C = b->C;
    float       *y = b->y;

    for (int t = 0; t < b->T; t++) {
        const vf step = vf_load_up_to(dt, n_channels), in = vf_load_up_to(x, n_channels);
        const vf dx   = vf_mul(step, in);
        vf       sum  = b->is_first ? vf_mul(D, in) : vf_load_up_to(y, n_channels);
        _mm_prefetch((const char *)((uintptr_t)x + AHEAD * b->ldx * sizeof *x), _MM_HINT_T0);
        _mm_prefetch((const char *)((uintptr_t)dt + AHEAD * b->ld_dt * sizeof *dt), _MM_HINT_T0);
        BB_UNROLL
        for (int i = 0; i < n; i++) {
            const vf a = vf_exp(vf_mul(step, A[i]));
            S[i] = vf_fma(a, S[i], vf_mul(dx, vf_set1(B[i])));
            sum  = vf_fma(vf_set1(C[i]), S[i], sum);
        }
        vf_store_up_to(y, n_channels, sum);
        x += b->ldx, dt += b->ld_dt, B += b->ldb, C += b->ldb, y += b->ldy;
    }
}

static void run_block(const block *b, const float *A_rows, const float *S_in, float *S_out, int N)
{
    vf A[BLOCK], S[BLOCK];

    load_columns(b->n_channels, b->n, A_rows, (size_t)N, A);
    load_columns(b->n_channels, b->n, S_in, (size_t)N, S);
    if (b->n_channels == VL && b->n == BLOCK) run(b, VL, BLOCK, A, S);
    else run(b, b->n_channels, b->n, A, S);
    store_columns(b->n_channels, b->n, S, S_out, (size_t)N);
}

void BB_ISA(bb_selective_scan)(int T, int I, int N, const float *x, size_t ldx, const float *dt,
                               size_t ld_dt, const float *A, const float *B, const float *C,
                               size_t ldb, const float *D, const float *S_in, float *S_out,
                               float *y, size_t ldy)
{
    for (int i = 0; i < I; i += VL)
        for (int n = 0; n == 0 || n < N; n += BLOCK) {
            const size_t at = (size_t)i * (size_t)N + (size_t)n;
            const block  b = {
                .T = T, .n_channels = I - i < VL ? I - i : VL, .n = N - n < BLOCK ? N - n : BLOCK,
                .is_first = n == 0, .x = x + i, .dt = dt + i, .B = B + n, .C = C + n, .D = D + i,
                .ldx = ldx, .ld_dt = ld_dt, .ldb = ldb, .ldy = ldy, .y = y + i,
            };
            run_block(&b, A + at, S_in + at, S_out + at, N);
        }
}
