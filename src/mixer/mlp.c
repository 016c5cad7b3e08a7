/* mlp.c - two linear maps with an activation between them, gated or not. */
#include "graph/bind.h"
#include "mixer/activation.h"
#include "mixer/count.h"
#include "mixer/product.h"

typedef struct bb_mlp {
    bb_mixer    base;
    bb_mlp_dims dims;
    bb_linear   gate, up, down;           /* without a gate: gate is unbound */
} bb_mlp;

enum { MLP };                             /* its one operation */

/* -------------------------------------------------------------- verbs -------------------- */

/* Slices of one tensor, in the order of their rows. */
static void bind_fused(bb_binder *b, bb_mlp *m)
{
    const bb_mlp_dims *d = &m->dims;
    const int          F = d->d_ff, D = d->d_model;

    bb_bind_slice(b, d->up_first ? &m->up : &m->gate, d->gate_up, F, D, (bb_slice){ .of = 2 * F });
    bb_bind_slice(b, d->up_first ? &m->gate : &m->up, d->gate_up, F, D,
                  (bb_slice){ .first = F, .of = 2 * F });
}

static void bind(bb_mixer *base, bb_binder *b)
{
    bb_mlp            *m = (bb_mlp *)base;
    const bb_mlp_dims *d = &m->dims;
    const bool         is_gated = bb_activations[d->activation].is_gated;

    if (d->gate_up) bind_fused(b, m);
    else if (is_gated) bb_bind_linear(b, &m->gate, "gate_proj", d->d_ff, d->d_model, d->bias);
    if (is_gated)
        bb_bind_factors(b, &m->gate, (bb_factor[]){ { d->d_ff, d->times_gate, d->times_gate }, { 0 } });
    if (!d->gate_up) bb_bind_linear(b, &m->up, "up_proj", d->d_ff, d->d_model, d->bias);
    bb_bind_linear(b, &m->down, d->down ? d->down : "down_proj", d->d_model, d->d_ff, d->bias);
}

/* [T, F] between the two maps. */
static float *take_scratch(const bb_mlp *m, int T, bb_arena *a)
{
    return bb_take(a, (size_t)T * (size_t)m->dims.d_ff, sizeof(float));
}

static size_t scratch_bytes(const bb_mixer *base, int T, int n_threads)
{
    bb_arena a = BB_MEASURE;

    (void)n_threads;
    take_scratch((const bb_mlp *)base, T, &a);
    return a.overflow ? SIZE_MAX : a.used;
}

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

    bb_multiply(e, base->op[MLP], &in, 1, &h, &then);
    bb_multiply(e, base->op[MLP], &out, 1, &x, NULL);
}

static void print(const bb_mixer *base, bb_printer *p)
{
    const bb_mlp_dims *d = &((const bb_mlp *)base)->dims;
    bb_print(p, "%d -> %d -> %d%s%s", d->d_model, d->d_ff, d->d_model, d->bias ? ", bias" : "",
             bb_activations[d->activation].name);
    if (d->times_gate != 0.0 && d->times_gate != 1.0) bb_print(p, ", gate x %g", d->times_gate);
}

static void count(const bb_mixer *base, const bb_work *w, bb_count *c)
{
    const bb_mlp *m = (const bb_mlp *)base;
    bb_count     *mlp = &c[base->op[MLP]];

    if (bb_activations[m->dims.activation].is_gated) bb_count_product(&m->gate, w->T, mlp);
    bb_count_product(&m->up, w->T, mlp);
    bb_count_product(&m->down, w->T, mlp);
    bb_count_add(mlp, 0, (uint64_t)bb_activations[m->dims.activation].flops
                         * (uint64_t)m->dims.d_ff * w->T);
}

static const bb_mixer_kind kind = {
    .name = "mlp", .op_name = { "mlp" }, .bind = bind, .scratch_bytes = scratch_bytes,
    .forward = forward, .print = print, .count = count,
};

bb_mixer *bb_plan_mlp(bb_plan *p, const char *prefix, const bb_mlp_dims *dims)
{
    bb_mlp *m = (bb_mlp *)bb_plan_mixer(p, &kind, sizeof *m, prefix);

    if (!m) return NULL;
    m->dims = *dims;
    return &m->base;
}
