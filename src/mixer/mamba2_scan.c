/* mamba2_scan.c - the state space of one head of Mamba-2, over tokens of one sequence.
 *
 * S may be kept in fewer bits (bb_rows). It is then rounded wherever a kernel ends, after each
 * token or chunk, so that the promises about bits hold as in float32: a call may end there or not.
 * The noise of the rounding depends on the last token's position and on the row's place in S
 * alone. */
#include "mixer/mamba2_internal.h"

/* Scratch of a thread: that of a chunk, and a head's S [P, N] where it is kept in fewer bits. */
static size_t chunk_floats(const bb_mamba2 *m)
{
    return BB_SSD_SCRATCH(BB_MAMBA2_CHUNK, m->dims.d_head, m->dims.d_state);
}

size_t bb_mamba2_own_floats(const bb_mamba2 *m)
{
    const size_t head = (size_t)m->dims.d_head * (size_t)m->dims.d_state;
    return chunk_floats(m) + (m->state.type == BB_TYPE_F32 ? 0 : head);
}

/* Rows p … p + n - 1 of the head, whose S_in and S_out are float32 [n, N], through the chunk or
   through token t. Rows of the state do not depend on each other. */
static void advance(const bb_mamba2 *m, const bb_kernels *k, const bb_mamba2_input *in, int t,
                    int p, int n, const float *S_in, float *S_out, float *scratch)
{
    const size_t ld = (size_t)m->d_xbc, at = (size_t)t * ld;
    const int    N = m->dims.d_state;
    float *const x = in->x + at + p;

    if (in->is_chunk)
        k->ssd_chunk(in->n, n, N, x, ld, in->dt, in->ld_dt, m->A[in->h], in->B, in->C, ld, in->CB,
                     m->D[in->h], S_in, S_out, x, ld, scratch);
    else k->ssd_step(1, n, N, x, in->dt + (size_t)t * in->ld_dt, m->A + in->h, in->B + at,
                     in->C + at, m->D + in->h, S_in, S_out, x);
}

/* advance() where S is kept in fewer bits than float32: its rows are widened to `wide` [n, N],
   advanced there, and rounded back. */
static void advance_narrow(const bb_mamba2 *m, const bb_kernels *k, const bb_mamba2_input *in,
                           int t, int p, int n, const unsigned char *S_in, unsigned char *S_out,
                           float *wide, float *scratch)
{
    const bb_rows *r = &k->rows[m->state.type];
    const int      N = m->dims.d_state, last = in->pos + (in->is_chunk ? in->n - 1 : t);
    const uint32_t noise = (uint32_t)last * 0x9e3779b1u + (uint32_t)(in->h * m->dims.d_head + p);

    r->get(n, N, S_in, wide);
    advance(m, k, in, t, p, n, wide, wide, scratch);
    r->put(n, N, wide, noise, S_out);
}

/* All tokens of a head. In steps a few rows of S take all of them before the next rows do, in the
   first-level cache; a single token has nothing to find there again. */
void bb_mamba2_advance(const bb_mamba2 *m, const bb_kernels *k, const bb_mamba2_input *in,
                       const unsigned char *S_in, unsigned char *S_out, float *own)
{
    enum { PIECE = 16 };
    const bool is_wide = m->state.type == BB_TYPE_F32;
    const int  P = m->dims.d_head, n_steps = in->is_chunk ? 1 : in->n;
    const int  piece = in->is_chunk || (is_wide && n_steps == 1) ? P : PIECE;

    for (int p = 0; p < P; p += piece) {
        const int            n = piece < P - p ? piece : P - p;
        const size_t         at = (size_t)p * bb_recurrent_row_bytes(&m->state);
        const unsigned char *from = S_in + at;
        unsigned char *const to = S_out + at;
        for (int t = 0; t < n_steps; t++, from = to) {
            if (is_wide)
                advance(m, k, in, t, p, n, (const float *)(const void *)from,
                        (float *)(void *)to, own);
            else advance_narrow(m, k, in, t, p, n, from, to, own + chunk_floats(m), own);
        }
    }
}
