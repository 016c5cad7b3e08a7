/* mlp.c - two linear maps with an activation between them, gated or not. */
#include "graph/bind.h"
#include "mixer/activation.h"
#include "mixer/count.h"
#include "mixer/low_rank.h"

#include <stdio.h>

typedef struct bb_mlp {
    bb_mixer    base;
    bb_mlp_dims dims;
    bb_linear   gate, up, down;           /* without a gate: gate is unbound */
    bb_use_term low_rank[];               /* [dims.low_rank.n_uses] of gate and up */
} bb_mlp;

enum { MLP };                             /* its one operation */

/* -------------------------------------------------------------- verbs -------------------- */

/* Slices of one map, in the order of their rows. */
static void bind_fused(bb_binder *b, bb_mlp *m)
{
    const bb_mlp_dims *d = &m->dims;
    const int          F = d->d_ff, D = d->d_model;
    bb_linear         *first = d->up_first ? &m->up : &m->gate;
    bb_linear         *second = d->up_first ? &m->gate : &m->up;
    const float       *bias = NULL;
    char               name[BB_MAX_NAME];

    snprintf(name, sizeof name, "%s.weight", d->gate_up);
    bb_bind_slice(b, first, name, F, D, (bb_slice){ .of = 2 * F });
    bb_bind_slice(b, second, name, F, D, (bb_slice){ .first = F, .of = 2 * F });
    snprintf(name, sizeof name, "%s.bias", d->gate_up);
    if (d->bias) bb_bind_vector(b, &bias, name, 2 * F, BB_RANGE_BIAS);
    if (bias) first->bias = bias, second->bias = bias + F;
}

static void bind(bb_mixer *base, bb_binder *b)
{
    bb_mlp            *m = (bb_mlp *)base;
    const bb_mlp_dims *d = &m->dims;
    const bool         is_gated = bb_activations[d->activation].is_gated;

    if (d->gate_up) bind_fused(b, m);
    else if (is_gated) bb_bind_linear(b, &m->gate, "gate_proj", d->d_ff, d->d_model, d->bias);
    if (is_gated)
        bb_bind_factors(b, &m->gate,
                        (bb_factor[]){ { d->d_ff, d->times_gate, d->times_gate }, { 0 } });
    if (!d->gate_up) bb_bind_linear(b, &m->up, "up_proj", d->d_ff, d->d_model, d->bias);
    for (int i = 0; i < d->low_rank.n_uses; i++)
        bb_bind_low_rank(b, &m->low_rank[i], "gate_up_proj_adapter_list", &d->low_rank, i,
                         d->d_model, 2 * d->d_ff, 2);
    bb_bind_linear(b, &m->down, d->down ? d->down : "down_proj", d->d_model, d->d_ff, d->bias);
}

/* [T, F] between the two maps; with low-rank terms, that of the gate, and behind it that of up and
   [T, rank]. */
static float *take_scratch(const bb_mlp *m, int T, bb_arena *a)
{
    const bb_mlp_dims *d = &m->dims;
    const size_t       cols = d->low_rank.rank ? 2 * (size_t)d->d_ff + (size_t)d->low_rank.rank
                                               : (size_t)d->d_ff;
    return bb_take(a, (size_t)T * cols, sizeof(float));
}

static size_t scratch_bytes(const bb_mixer *base, int T, int n_threads)
{
    bb_arena a = BB_MEASURE;

    (void)n_threads;
    take_scratch((const bb_mlp *)base, T, &a);
    return a.overflow ? SIZE_MAX : a.used;
}

/* ---- with low-rank terms, without which nothing may be activated ---- */

enum { CHUNK = 1024 };                    /* columns that are activated at a time */

typedef struct job {
    const bb_mlp *m;
    float        *gate, *up;              /* [T, F] */
} job;

static int count_chunks(const bb_mlp *m) { return (m->dims.d_ff + CHUNK - 1) / CHUNK; }

static void run_activate(const bb_exec *e, const void *p, int tile)
{
    const job   *j = p;
    const int    F = j->m->dims.d_ff, first = tile % count_chunks(j->m) * CHUNK;
    const size_t at = (size_t)(tile / count_chunks(j->m)) * (size_t)F + (size_t)first;

    bb_activations[j->m->dims.activation].run(e->pass->k, F - first < CHUNK ? F - first : CHUNK,
                                              j->gate + at, j->up + at, j->gate + at);
}

/* What `down` reads, into inner [T, F]; 2·F and rank columns more are behind it. */
static void make_inner(const bb_exec *e, const bb_mlp *m, const bb_call *c, float *inner)
{
    const size_t       F = (size_t)m->dims.d_ff, rank = (size_t)m->dims.low_rank.rank;
    const bb_use_term *l = &m->low_rank[c->nth];
    float *const       y[2] = { inner, inner + (size_t)e->pass->T * F };
    float *const       low = y[1] + (size_t)e->pass->T * F;
    const bb_product   in[] = { { &m->gate, NULL, bb_sink_store(y[0], F) },
                                { &m->up, NULL, bb_sink_store(y[1], F) },
                                { &l->down, NULL, bb_sink_store(low, rank) } };
    const job          j = { m, y[0], y[1] };
    bb_source          h = c->in;

    bb_multiply(e, m->base.op[MLP], in, 3, &h, NULL);
    bb_low_rank_add(e, m->base.op[MLP], l, 2, low, y);
    bb_each_tile(e, e->pass->T * count_chunks(m), run_activate, &j);
    bb_mark(e, m->base.op[MLP]);
}

/* ---- */

static void forward(const bb_mixer *base, const bb_exec *e, const bb_call *c)
{
    const bb_mlp     *m = (const bb_mlp *)base;
    const size_t      F = (size_t)m->dims.d_ff;
    const bool        is_gated = bb_activations[m->dims.activation].is_gated;
    const bb_epilogue then = { .activate = bb_activations[m->dims.activation].run };
    bb_arena          arena = e->pass->scratch;
    float            *inner = take_scratch(m, e->pass->T, &arena);
    bb_source         h = c->in, x = bb_source_of(e, inner, F, m->dims.d_ff);
    const bb_product  in = { is_gated ? &m->gate : &m->up, is_gated ? &m->up : NULL,
                             bb_sink_store(inner, F) };
    const bb_product  out = { &m->down, NULL, c->out };

    if (m->dims.low_rank.rank) make_inner(e, m, c, inner);
    else bb_multiply(e, base->op[MLP], &in, 1, &h, &then);
    bb_multiply(e, base->op[MLP], &out, 1, &x, NULL);
}

static void print(const bb_mixer *base, bb_printer *p)
{
    const bb_mlp_dims *d = &((const bb_mlp *)base)->dims;
    bb_print(p, "%d -> %d -> %d%s%s", d->d_model, d->d_ff, d->d_model, d->bias ? ", bias" : "",
             bb_activations[d->activation].name);
    if (d->low_rank.rank) bb_print(p, ", rank %d of %d uses", d->low_rank.rank, d->low_rank.n_uses);
    if (d->times_gate != 0.0 && d->times_gate != 1.0) bb_print(p, ", gate x %g", d->times_gate);
}

static void count(const bb_mixer *base, const bb_work *w, bb_count *c)
{
    const bb_mlp *m = (const bb_mlp *)base;
    bb_count     *mlp = &c[base->op[MLP]];

    if (bb_activations[m->dims.activation].is_gated) bb_count_product(&m->gate, w, mlp);
    bb_count_product(&m->up, w, mlp);
    bb_count_product(&m->down, w, mlp);
    if (m->dims.low_rank.rank) {
        const bb_use_term *l = &m->low_rank[w->nth];
        bb_count_product(&l->down, w, mlp);
        for (int i = 0; i < BB_LOW_RANK_PARTS; i++) bb_count_product(&l->up[i], w, mlp);
    }
    bb_count_add(mlp, 0, (uint64_t)bb_activations[m->dims.activation].flops
                         * (uint64_t)m->dims.d_ff * w->T);
}

static const bb_mixer_kind kind = {
    .name = "mlp", .op_name = { "mlp" }, .bind = bind, .scratch_bytes = scratch_bytes,
    .forward = forward, .print = print, .count = count,
};

bb_mixer *bb_plan_mlp(bb_plan *p, const char *prefix, const bb_mlp_dims *dims)
{
    const size_t terms = (size_t)dims->low_rank.n_uses * sizeof(bb_use_term);
    bb_mlp      *m = (bb_mlp *)bb_plan_mixer(p, &kind, sizeof *m + terms, prefix);

    if (!m) return NULL;
    m->dims = *dims;
    return &m->base;
}
