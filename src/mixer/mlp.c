/* mlp.c - the gated MLP: down(silu(gate(x)) · up(x)). */
#include "graph/bind.h"
#include "mixer/count.h"
#include "mixer/mixers.h"
#include "mixer/product.h"

typedef struct bb_mlp {
    bb_mixer    base;
    bb_mlp_dims dims;
    bb_linear   gate, up, down;
} bb_mlp;

static void bind(bb_mixer *base, bb_binder *b)
{
    bb_mlp            *m = (bb_mlp *)base;
    const bb_mlp_dims *d = &m->dims;

    bb_bind_linear(b, &m->gate, "gate_proj", d->d_ff, d->d_model, d->bias);
    bb_bind_linear(b, &m->up,   "up_proj",   d->d_ff, d->d_model, d->bias);
    bb_bind_linear(b, &m->down, "down_proj", d->d_model, d->d_ff, d->bias);
}

static size_t state_bytes(const bb_mixer *base, size_t S)
{
    (void)base, (void)S;
    return 0;
}

struct scratch {
    float *gated;                         /* [T, F] silu(gate) · up */
    float *out;                           /* [T, D] */
};

static struct scratch take_scratch(const bb_mlp *m, int T, bb_arena *a)
{
    const size_t   t = (size_t)T;
    struct scratch s;

    s.gated = bb_take(a, t * (size_t)m->dims.d_ff, sizeof(float));
    s.out   = bb_take(a, t * (size_t)m->dims.d_model, sizeof(float));
    return s;
}

static size_t scratch_bytes(const bb_mixer *base, int T, int n_threads)
{
    bb_arena a = BB_MEASURE;

    (void)n_threads;
    take_scratch((const bb_mlp *)base, T, &a);
    return a.overflow ? SIZE_MAX : a.used;
}

static void forward(const bb_mixer *base, const bb_exec *e)
{
    const bb_mlp        *m = (const bb_mlp *)base;
    const size_t         F = (size_t)m->dims.d_ff;
    bb_arena             arena = e->scratch;
    const struct scratch s = take_scratch(m, e->T, &arena);
    bb_operand           h = bb_operand_of(e->T, m->dims.d_model, e->h);
    bb_operand           gated = bb_operand_of(e->T, m->dims.d_ff, bb_rows_at(s.gated, F));

    bb_multiply_gated(e, BB_OP_MLP, &m->gate, &m->up, &h, s.gated, F);
    bb_multiply_add(e, BB_OP_MLP, &m->down, &gated, s.out);
}

static void print(const bb_mixer *base, bb_printer *p)
{
    const bb_mlp *m = (const bb_mlp *)base;
    bb_print(p, "%d -> %d -> %d%s", m->dims.d_model, m->dims.d_ff, m->dims.d_model,
             m->dims.bias ? ", bias" : "");
}

static void count(const bb_mixer *base, const bb_work *w, bb_count *c)
{
    const bb_mlp *m = (const bb_mlp *)base;

    bb_count_product(&m->gate, w->T, &c[BB_OP_MLP]);
    bb_count_product(&m->up, w->T, &c[BB_OP_MLP]);
    bb_count_product(&m->down, w->T, &c[BB_OP_MLP]);
    c[BB_OP_MLP].flops += 5 * (uint64_t)m->dims.d_ff * w->T;
}

static const bb_mixer_kind kind = {
    .name = "mlp", .bind = bind, .state_bytes = state_bytes, .scratch_bytes = scratch_bytes,
    .forward = forward, .print = print, .count = count,
};

void bb_plan_mlp(bb_plan *p, const char *prefix, const bb_mlp_dims *dims)
{
    bb_mlp *m = (bb_mlp *)bb_plan_mixer(p, &kind, sizeof *m, prefix, false);
    if (m) m->dims = *dims;
}
