/* mamba2_memory.c - what a Mamba-2 mixer remembers of a session: saved, loaded, replayed. */
#include "mixer/mamba2_internal.h"

enum { Q = BB_MAMBA2_CHUNK };

size_t bb_mamba2_state_bytes(const bb_mixer *base)
{
    return bb_recurrent_bytes(&((const bb_mamba2 *)base)->state);
}

size_t bb_mamba2_log_floats(const bb_mixer *base)
{
    const bb_mamba2 *m = (const bb_mamba2 *)base;
    return (size_t)m->d_xbc + (size_t)m->dims.n_heads;
}

size_t bb_mamba2_saved_bytes(const bb_mixer *base, size_t n_positions)
{
    (void)n_positions;
    return bb_recurrent_saved_bytes(&((const bb_mamba2 *)base)->state);
}

int bb_mamba2_parts(const bb_mixer *base, size_t n_positions, bb_part part[BB_MIXER_PARTS])
{
    const bb_mamba2      *m = (const bb_mamba2 *)base;
    const bb_mamba2_dims *d = &m->dims;

    (void)n_positions;
    part[0] = (bb_part){ "window", BB_TYPE_F32, { (size_t)(d->d_conv - 1), (size_t)m->d_xbc } };
    part[1] = (bb_part){ "state", BB_TYPE_F32,
                         { (size_t)d->n_heads, (size_t)d->d_head, (size_t)d->d_state } };
    return 2;
}

void bb_mamba2_save(const bb_mixer *base, const bb_kernels *k, const void *state,
                    const bb_pages *cache, size_t first, size_t end, void *out, float *scratch)
{
    (void)cache, (void)first, (void)end, (void)scratch;
    bb_recurrent_save(&((const bb_mamba2 *)base)->state, k, state, out);
}

void bb_mamba2_load(const bb_mixer *base, const bb_kernels *k, const void *in, size_t first,
                    size_t end, void *state, const bb_pages *cache, float *scratch)
{
    (void)cache, (void)first, (void)end, (void)scratch;
    if (state) bb_recurrent_load(&((const bb_mamba2 *)base)->state, k, in, state);
}

/* Of replay: xBC of a chunk, its C·Bᵀ, and what a thread has. */
size_t bb_mamba2_scratch_floats(const bb_mixer *base)
{
    const bb_mamba2 *m = (const bb_mamba2 *)base;
    return Q * (size_t)m->d_xbc + Q * Q + bb_mamba2_own_floats(m);
}

/* Up to Q rows that end at or before an edge of chunks, from the log [n, bb_mamba2_log_floats]. */
struct stretch {
    const float *log;
    int          pos, n;
    bool         is_chunk;
};

/* The state of head h over a stretch, from before to after; xbc [n, C] is its convolved rows. */
static void replay_head(const bb_mamba2 *m, const bb_kernels *k, const struct stretch *s, int h,
                        float *xbc, const float *cb, const bb_recurrent_state *before,
                        const bb_recurrent_state *after, float *own)
{
    const size_t C = (size_t)m->d_xbc, N = (size_t)m->dims.d_state, G = (size_t)m->dims.n_groups;
    const size_t width = bb_mamba2_log_floats(&m->base);
    const size_t g = (size_t)(h / (m->dims.n_heads / m->dims.n_groups));
    const size_t x = (size_t)h * (size_t)m->dims.d_head;
    const size_t at = x * bb_recurrent_row_bytes(&m->state);
    const bb_mamba2_input in = {
        .h = h, .pos = s->pos, .n = s->n, .is_chunk = s->is_chunk, .dt = s->log + C + h,
        .ld_dt = width, .x = xbc + x, .B = xbc + m->d_inner + g * N,
        .C = xbc + m->d_inner + (G + g) * N, .CB = cb,
    };

    bb_mamba2_advance(m, k, &in, before->S + at, after->S + at, own);
}

static void replay_stretch(const bb_mamba2 *m, const bb_kernels *k, const struct stretch *s,
                           const bb_recurrent_state *before, const bb_recurrent_state *after,
                           float *scratch)
{
    const bb_mamba2_dims *d = &m->dims;
    const size_t          C = (size_t)m->d_xbc, N = (size_t)d->d_state, G = (size_t)d->n_groups;
    float *const          cb = scratch + Q * C, *const own = cb + Q * Q;

    k->conv1d(s->n, m->d_xbc, d->d_conv, s->log, bb_mamba2_log_floats(&m->base), m->conv_w,
              (size_t)d->d_conv, m->conv_b, before->window, after->window, C, scratch, C);
    for (int h = 0; h < d->n_heads; h++) {
        const int    share = d->n_heads / d->n_groups;
        const float *B = scratch + m->d_inner + (size_t)(h / share) * N;
        if (s->is_chunk && h % share == 0) k->ssd_cb(s->n, d->d_state, B, B + G * N, C, cb);
        replay_head(m, k, s, h, scratch, cb, before, after, own);
    }
}

/* Runs the kernels that the pass ran, on what these were given: the bits are equal. */
void bb_mamba2_replay(const bb_mixer *base, const bb_kernels *k, const float *log, int pos, int n,
                      bool is_part_of_long, const void *from, void *to, float *scratch)
{
    const bb_mamba2         *m = (const bb_mamba2 *)base;
    bb_recurrent_state       before = bb_recurrent_at(&m->state, from);
    const bb_recurrent_state after = bb_recurrent_at(&m->state, to);

    for (struct stretch s = { log, pos, 0, is_part_of_long }; n > 0; n -= s.n, before = after) {
        const int to_edge = Q - s.pos % Q;

        s.n = to_edge < n ? to_edge : n;
        replay_stretch(m, k, &s, &before, &after, scratch);
        s.log += (size_t)s.n * bb_mamba2_log_floats(base);
        s.pos += s.n;
    }
}

void bb_mamba2_fill(const bb_mixer *base, const bb_kernels *k, uint64_t seed, size_t n_positions,
                    void *state, const bb_pages *cache, float *scratch)
{
    (void)cache, (void)n_positions;
    bb_recurrent_fill(&((const bb_mamba2 *)base)->state, k, seed, state, scratch);
}
