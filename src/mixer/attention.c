/* attention.c - causal attention with grouped queries and rotary positions: the order of a pass.
 *
 * Cache of a session: a page for each 64 positions, of a block for each kv head, keys and values in
 * the cache's type, in the order that a level's kernels like. */
#include "mixer/attend_internal.h"
#include "mixer/product.h"

typedef bb_attend_job   job;
typedef bb_attend_group group;

/* Columns first … first + n - 1 of q, k and v stand, of one of the three: convolve them. */
static void finish_qkv(const bb_exec *e, const void *p, int first, int n)
{
    const job          *j = p;
    const bb_attention *m = j->m;
    const int           d_q = m->q.w.rows, d_kv = m->k.w.rows;
    float *const        to[3] = { j->s.q, j->s.k, j->s.v };
    const int           which = first < d_q ? 0 : first < d_q + d_kv ? 1 : 2;
    const int           before = which == 0 ? 0 : which == 1 ? d_q : d_q + d_kv;

    bb_attention_convolve(m, e, j->slot, first, n, j->s.raw, to[which] + (first - before),
                          which == 0 ? (size_t)d_q : (size_t)d_kv);
    bb_mark(e, m->base.op[BB_ATTENTION_CONV]);
}

/* With low-rank terms, those of use number `nth`. */
static void make_qkv(const bb_exec *e, const job *j, int nth, bb_source *h)
{
    const bb_attention *m = j->m;
    const bb_linear    *in[3] = { &m->q, &m->k, &m->v };
    const bb_use_term  *l = j->s.low ? &m->low_rank[3 * nth] : NULL;
    const size_t        rank = (size_t)m->dims.low_rank.rank;
    float              *to[3] = { j->s.q, j->s.k, j->s.v }, *raw = j->s.raw;
    const bb_epilogue   then = { .after = finish_qkv, .job = j };
    bb_product          p[6];

    for (size_t i = 0; i < 3; i++) {
        const size_t rows = (size_t)in[i]->w.rows;
        p[i] = (bb_product){ in[i], NULL, bb_sink_store(to[i], rows) };
        if (raw) p[i].to = bb_sink_store(raw, (size_t)bb_attention_columns(m)), raw += rows;
        if (l) p[3 + i] = (bb_product){ &l[i].down, NULL,
                                        bb_sink_store(j->s.low + i * (size_t)e->pass->T * rank,
                                                      rank) };
    }
    bb_multiply(e, m->base.op[BB_ATTENTION_QKV], p, l ? 6 : 3, h, raw ? &then : NULL);
    for (size_t i = 0; l && i < 3; i++)
        bb_low_rank_add(e, m->base.op[BB_ATTENTION_QKV], &l[i], 1, p[3 + i].to.y, &to[i]);
}

void bb_attention_forward(const bb_mixer *base, const bb_exec *e, const bb_call *c)
{
    const bb_attention     *m = (const bb_attention *)base;
    bb_arena                arena = e->pass->scratch;
    const bb_attend_scratch s = bb_attend_scratch_take(m, e->pass->T, e->pass->n_threads, &arena);
    job                     j = { m, c->slot, s };
    const bb_product        out = { &m->o, NULL, c->out };
    bb_source               h = c->in;
    bb_source               attended = bb_source_of(e, j.s.q, (size_t)m->o.w.cols, m->o.w.cols);
    const int               n_kv = m->dims.n_kv_heads;
    group                   g = bb_attend_first_group(e);
    int                     n_groups = 0, n_parts = 0;

    do {
        n_groups++;
        n_parts += g.n_ranges;
    } while (bb_attend_next_group(e, &g));

    make_qkv(e, &j, c->nth, &h);
    if (!e->pass->many && n_groups == e->pass->n_segments) {
        bb_each_tile_after(e, bb_attend_angles, &j, n_parts * n_kv, bb_attend_store_and_run, &j);
    } else {
        bb_each_tile(e, n_groups, bb_attend_store, &j);
        bb_mark(e, base->op[BB_ATTENTION_ROPE]);
        bb_each_tile(e, n_parts * n_kv, bb_attend_run, &j);
    }
    if (n_parts > n_groups) bb_each_tile(e, n_groups * n_kv, bb_attend_join, &j);
    bb_mark(e, base->op[BB_ATTENTION_ATTEND]);
    bb_multiply(e, base->op[BB_ATTENTION_OUT_PROJ], &out, 1, &attended, NULL);
}
