/* mamba1_scan.c - the state space of some channels of Mamba-1, over tokens of one sequence.
 *
 * Channels do not depend on each other, and any cut of the tokens gives the same bits. S may be
 * kept in fewer bits (bb_rows). It is then rounded after each token, so that the promises about
 * bits hold as in float32; the noise depends on the token's position and on the row of S alone. */
#include "mixer/mamba1_internal.h"

enum { PIECE = 16 };                      /* channels widened at a time: in the first-level cache */

/* Where S is kept in fewer bits: widened, and rounded after each token. wide [PIECE, N] */
static void scan_narrow(const bb_mamba1 *m, const bb_kernels *k, const bb_mamba1_input *in,
                        const unsigned char *S_in, unsigned char *S_out, float *wide)
{
    const bb_rows *r = &k->rows[m->state.type];
    const int      N = m->dims.d_state;

    for (int i = 0, n; i < in->n; i += n) {
        n = in->n - i < PIECE ? in->n - i : PIECE;
        const int            c = in->c + i;
        const size_t         first = (size_t)i, at = (size_t)c * bb_recurrent_row_bytes(&m->state);
        const unsigned char *from = S_in + at;
        for (int j = 0; j < in->T; j++, from = S_out + at) {
            const size_t t = (size_t)j;
            r->get(n, N, from, wide);
            k->selective_scan(1, n, N, in->x + t * in->ldx + first, in->ldx,
                              in->dt + t * in->ld_dt + first, in->ld_dt,
                              m->A + (size_t)c * (size_t)N, in->B + t * in->ldb,
                              in->C + t * in->ldb, in->ldb, m->D + c, wide, wide,
                              in->y + t * in->ldy + first, in->ldy);
            r->put(n, N, wide, (uint32_t)(in->pos + j) * 0x9e3779b1u + (uint32_t)c, S_out + at);
        }
    }
}

size_t bb_mamba1_wide(const bb_mamba1 *m)
{
    return m->state.type == BB_TYPE_F32 ? 0 : PIECE * (size_t)m->dims.d_state;
}

void bb_mamba1_scan(const bb_mamba1 *m, const bb_kernels *k, const bb_mamba1_input *in,
                    const bb_recurrent_state *before, const bb_recurrent_state *after,
                    float *wide)
{
    const size_t at = (size_t)in->c * (size_t)m->dims.d_state;

    if (m->state.type != BB_TYPE_F32) {
        scan_narrow(m, k, in, before->S, after->S, wide);
        return;
    }
    k->selective_scan(in->T, in->n, m->dims.d_state, in->x, in->ldx, in->dt, in->ld_dt, m->A + at,
                      in->B, in->C, in->ldb, m->D + in->c, (const float *)(void *)before->S + at,
                      (float *)(void *)after->S + at, in->y, in->ldy);
}
