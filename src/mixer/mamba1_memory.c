/* mamba1_memory.c - what a Mamba-1 mixer remembers of a session: saved, loaded, replayed. */
#include "mixer/mamba1_internal.h"

size_t bb_mamba1_state_bytes(const bb_mixer *base)
{
    return bb_recurrent_bytes(&((const bb_mamba1 *)base)->state);
}

size_t bb_mamba1_saved_bytes(const bb_mixer *base, size_t n_positions)
{
    (void)n_positions;
    return bb_recurrent_saved_bytes(&((const bb_mamba1 *)base)->state);
}

int bb_mamba1_parts(const bb_mixer *base, size_t n_positions, bb_part part[BB_MIXER_PARTS])
{
    const bb_mamba1_dims *d = &((const bb_mamba1 *)base)->dims;

    (void)n_positions;
    part[0] = (bb_part){ "window", BB_TYPE_F32, { (size_t)(d->d_conv - 1), (size_t)d->d_inner } };
    part[1] = (bb_part){ "state", BB_TYPE_F32, { (size_t)d->d_inner, (size_t)d->d_state } };
    return 2;
}

void bb_mamba1_save(const bb_mixer *base, const bb_kernels *k, const void *state,
                    const bb_pages *cache, size_t first, size_t end, void *out, float *scratch)
{
    (void)cache, (void)first, (void)end, (void)scratch;
    bb_recurrent_save(&((const bb_mamba1 *)base)->state, k, state, out);
}

void bb_mamba1_load(const bb_mixer *base, const bb_kernels *k, const void *in, size_t first,
                    size_t end, void *state, const bb_pages *cache, float *scratch)
{
    (void)cache, (void)first, (void)end, (void)scratch;
    if (state) bb_recurrent_load(&((const bb_mamba1 *)base)->state, k, in, state);
}

size_t bb_mamba1_log_floats(const bb_mixer *base)
{
    const bb_mamba1 *m = (const bb_mamba1 *)base;
    return 2 * (size_t)m->dims.d_inner + (size_t)m->n_heads * (size_t)m->dims.d_state;
}

/* The scratch of a replay: x and y of STRETCH rows, and the widened channels of bb_mamba1_scan. */
enum { STRETCH = 64 };

size_t bb_mamba1_scratch_floats(const bb_mixer *base)
{
    const bb_mamba1 *m = (const bb_mamba1 *)base;
    return 2 * STRETCH * (size_t)m->dims.d_inner + bb_mamba1_wide(m);
}

/* The kernels that the pass ran, on what these were given: the bits are equal. C is not in the log,
   and what C makes, y, is not wanted: B serves as C. */
static void replay_stretch(const bb_mamba1 *m, const bb_kernels *k, const float *log, int pos,
                           int n, const bb_recurrent_state *before,
                           const bb_recurrent_state *after, float *scratch)
{
    const bb_mamba1_dims *d = &m->dims;
    const size_t          I = (size_t)d->d_inner, width = bb_mamba1_log_floats(&m->base);

    k->conv1d(n, d->d_inner, d->d_conv, log, width, m->conv_w, (size_t)d->d_conv, m->conv_b,
              before->window, after->window, I, scratch, I);
    for (int h = 0; h < m->n_heads; h++) {
        const int             c = h * m->d_head;
        const float          *B = log + 2 * I + (size_t)(h * d->d_state);
        const bb_mamba1_input in = {
            .c = c, .n = m->d_head, .T = n, .pos = pos, .x = scratch + c, .ldx = I,
            .dt = log + I + c, .ld_dt = width, .B = B, .C = B, .ldb = width,
            .y = scratch + STRETCH * I + c, .ldy = I,
        };
        bb_mamba1_scan(m, k, &in, before, after, scratch + 2 * STRETCH * I);
    }
}

void bb_mamba1_replay(const bb_mixer *base, const bb_kernels *k, const float *log, int pos, int n,
                      bool is_part_of_long, const void *from, void *to, float *scratch)
{
    const bb_mamba1         *m = (const bb_mamba1 *)base;
    bb_recurrent_state       before = bb_recurrent_at(&m->state, from);
    const bb_recurrent_state after = bb_recurrent_at(&m->state, to);

    (void)is_part_of_long;                /* any cut gives the same bits */
    for (int i = 0; i < n; i += STRETCH, before = after)
        replay_stretch(m, k, log + (size_t)i * bb_mamba1_log_floats(base), pos + i,
                       n - i < STRETCH ? n - i : STRETCH, &before, &after, scratch);
}

void bb_mamba1_fill(const bb_mixer *base, const bb_kernels *k, uint64_t seed, size_t n_positions,
                    void *state, const bb_pages *cache, float *scratch)
{
    (void)cache, (void)n_positions;
    bb_recurrent_fill(&((const bb_mamba1 *)base)->state, k, seed, state, scratch);
}
