/* attend_scratch.c - the memory that an attention mixer works in during a pass. */
#include "mixer/attend_internal.h"

static bb_attend_own take_own(const bb_attention *m, bb_arena *a)
{
    const size_t  rows = BB_ATTEND_ROWS, share = (size_t)bb_attend_share(m);
    const size_t  pairs = (size_t)m->dims.rope.d / 2;
    bb_attend_own o;

    o.part   = bb_take(a, 2 * rows * bb_attend_part_size(m), sizeof(float));
    o.q      = bb_take(a, rows * share * (size_t)m->dims.d_head, sizeof(float));
    o.cosine = bb_take(a, BB_FEW_ROWS * pairs, sizeof(float));
    o.sine   = bb_take(a, BB_FEW_ROWS * pairs, sizeof(float));
    o.attend = bb_take(a, BB_ATTEND_SCRATCH(share, m->dims.d_head), sizeof(float));
    return o;
}

static size_t own_bytes(const bb_attention *m)
{
    bb_arena a = BB_MEASURE;
    a.plain = true;
    take_own(m, &a);
    return a.overflow ? SIZE_MAX : a.used;
}

bb_attend_scratch bb_attend_scratch_take(const bb_attention *m, int T, int n_threads, bb_arena *a)
{
    const size_t      t = (size_t)T;
    const size_t      few = (size_t)(T < BB_FEW_ROWS ? T : BB_FEW_ROWS);
    const size_t      d = (size_t)m->dims.d_head;
    bb_attend_scratch s;

    s.q      = bb_take(a, t * (size_t)m->dims.n_heads * d, sizeof(float));
    s.k      = bb_take(a, t * (size_t)m->dims.n_kv_heads * d, sizeof(float));
    s.v      = bb_take(a, t * (size_t)m->dims.n_kv_heads * d, sizeof(float));
    s.raw    = m->dims.d_conv > 0 ? bb_take(a, t * (size_t)bb_attention_columns(m), sizeof(float))
                                  : NULL;
    s.low    = m->dims.low_rank.rank
             ? bb_take(a, 3 * t * (size_t)m->dims.low_rank.rank, sizeof(float)) : NULL;
    s.part   = bb_take(a, few * (size_t)m->dims.n_kv_heads * BB_ATTEND_PARTS,
                       bb_attend_part_size(m) * sizeof(float));
    s.own    = bb_take(a, (size_t)n_threads, own_bytes(m));
    return s;
}

size_t bb_attention_scratch_bytes(const bb_mixer *base, int T, int n_threads)
{
    bb_arena a = BB_MEASURE;

    bb_attend_scratch_take((const bb_attention *)base, T, n_threads, &a);
    return a.overflow ? SIZE_MAX : a.used;
}

bb_attend_own bb_attend_own_of(const bb_exec *e, const bb_attend_job *j)
{
    const size_t bytes = own_bytes(j->m);
    bb_arena     a = { .base = j->s.own + (size_t)e->thread * bytes, .size = bytes, .plain = true };
    return take_own(j->m, &a);
}
