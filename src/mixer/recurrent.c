/* recurrent.c - the state that a state-space mixer carries from token to token, and its log. */
#include "mixer/recurrent.h"

#include "graph/random.h"

#include <string.h>

size_t bb_recurrent_window_bytes(const bb_recurrent *r)
{
    return (size_t)(r->n_taps - 1) * (size_t)r->n_columns * sizeof(float);
}

size_t bb_recurrent_row_bytes(const bb_recurrent *r) { return bb_row_bytes(r->type, r->d_state); }

size_t bb_recurrent_ssm_bytes(const bb_recurrent *r)
{
    return (size_t)r->n_rows * bb_recurrent_row_bytes(r);
}

size_t bb_recurrent_elements(const bb_recurrent *r)
{
    return (size_t)r->n_rows * (size_t)r->d_state;
}

size_t bb_recurrent_bytes(const bb_recurrent *r)
{
    return bb_whole_lines(bb_recurrent_window_bytes(r)) + bb_whole_lines(bb_recurrent_ssm_bytes(r));
}

size_t bb_recurrent_saved_bytes(const bb_recurrent *r)
{
    return bb_recurrent_window_bytes(r) + bb_recurrent_elements(r) * sizeof(float);
}

bb_recurrent_state bb_recurrent_at(const bb_recurrent *r, const void *memory)
{
    unsigned char *p = (unsigned char *)(uintptr_t)memory;
    return (bb_recurrent_state){ (float *)(void *)p,
                                 p + bb_whole_lines(bb_recurrent_window_bytes(r)) };
}

/* n rows of float32 [n, N] into S. */
static void put_rows(const bb_recurrent *r, const bb_kernels *k, int n, const void *from,
                     unsigned char *S)
{
    if (r->type == BB_TYPE_F32) memcpy(S, from, (size_t)n * bb_recurrent_row_bytes(r));
    else k->rows[r->type].put(n, r->d_state, from, 0, S);
}

void bb_recurrent_save(const bb_recurrent *r, const bb_kernels *k, const void *state, void *out)
{
    const bb_recurrent_state s = bb_recurrent_at(r, state);
    const size_t             n = bb_recurrent_window_bytes(r);
    void *const              to = (unsigned char *)out + n;

    memcpy(out, s.window, n);
    if (r->type == BB_TYPE_F32) memcpy(to, s.S, bb_recurrent_ssm_bytes(r));
    else k->rows[r->type].get(r->n_rows, r->d_state, s.S, to);
}

void bb_recurrent_load(const bb_recurrent *r, const bb_kernels *k, const void *in, void *state)
{
    const bb_recurrent_state s = bb_recurrent_at(r, state);
    const size_t             n = bb_recurrent_window_bytes(r);

    memcpy(s.window, in, n);
    put_rows(r, k, r->n_rows, (const unsigned char *)in + n, s.S);
}

void bb_recurrent_fill(const bb_recurrent *r, const bb_kernels *k, uint64_t seed, void *state,
                       float *scratch)
{
    const bb_recurrent_state s = bb_recurrent_at(r, state);
    const size_t             C = (size_t)r->n_columns, N = (size_t)r->d_state;

    for (size_t t = 0; t + 1 < (size_t)r->n_taps; t++)
        bb_random_fill(0.5f, seed, t * C, C, s.window + t * C);
    for (size_t i = 0; i < (size_t)r->n_rows; i++) {
        bb_random_fill(0.5f, seed, i * N, N, scratch);
        put_rows(r, k, 1, scratch, s.S + i * bb_recurrent_row_bytes(r));
    }
}

void bb_recurrent_log(const bb_pass *pass, int slot, size_t width, size_t first, int n,
                      const float *values, size_t ld)
{
    for (int i = 0; i < pass->n_segments; i++) {
        const bb_segment *seg = &pass->segment[i];
        float            *log = seg->slot[slot].log;
        for (int t = 0; log && t < seg->n_rows; t++)
            memcpy(log + (size_t)t * width + first, values + (size_t)(seg->row + t) * ld,
                   (size_t)n * sizeof *log);
    }
}
