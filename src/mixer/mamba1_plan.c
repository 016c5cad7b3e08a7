/* mamba1_plan.c - the Mamba-1 mixer in a plan: its dimensions, its weights, what it costs. */
#include "graph/bind.h"
#include "mixer/count.h"
#include "mixer/mamba1_internal.h"

#include <math.h>

/* -------------------------------------------------------------- weights ------------------ */

static float minus_exp(float a_log) { return -expf(a_log); }

/* Each head's own matrices, out of stacks. */
static void bind_heads(bb_mamba1 *m, bb_binder *b)
{
    const int R = m->dims.dt_rank, H = m->n_heads;

    for (int h = 0; h < H; h++) {
        bb_bind_slice(b, &m->head[h].x_proj, "x_proj_weight", m->d_proj, m->d_head,
                      (bb_slice){ .of = m->d_proj, .index = h, .n = H });
        bb_bind_slice(b, &m->head[h].dt_proj, "dt_proj_weight", m->d_head, R,
                      (bb_slice){ .of = m->d_head, .index = h, .n = H });
    }
}

/* Random models begin as training does: A from -1 to -16, dt from 0.001 to 0.1. */
static void bind_scan(bb_mamba1 *m, bb_binder *b)
{
    const int  H = m->n_heads, P = m->d_head, N = m->dims.d_state;
    const bool is_stacked = m->dims.n_heads > 0;
    const bb_range dt = { -6.9f, -2.25f }, log_rate = { 0.0f, 2.75f };

    bb_bind_small(b, &m->dt_bias, is_stacked ? "dt_proj_bias" : "dt_proj.bias",
                  is_stacked ? (const int[]){ H, P, 0 } : (const int[]){ P, 0 }, dt);
    bb_bind_small(b, &m->A, "A_log",
                  is_stacked ? (const int[]){ H, P, N, 0 } : (const int[]){ P, N, 0 }, log_rate);
    bb_bind_map(b, m->A, m->dims.d_inner * N, minus_exp);
    bb_bind_small(b, &m->D, "D", is_stacked ? (const int[]){ H, P, 0 } : (const int[]){ P, 0 },
                  BB_RANGE_SCALE);
}

static void bind(bb_mixer *base, bb_binder *b)
{
    bb_mamba1            *m = (bb_mamba1 *)base;
    const bb_mamba1_dims *d = &m->dims;
    const int             I = d->d_inner;
    const float           tap = 1.0f / sqrtf((float)d->d_conv);

    bb_bind_linear(b, &m->in_proj, "in_proj", 2 * I, d->d_model, d->proj_bias);
    bb_bind_small(b, &m->conv_w, "conv1d.weight", (const int[]){ I, 1, d->d_conv, 0 },
                  (bb_range){ -tap, tap });
    if (d->conv_bias) bb_bind_vector(b, &m->conv_b, "conv1d.bias", I, BB_RANGE_BIAS);
    if (d->n_heads > 0) {
        bind_heads(m, b);
    } else {
        bb_bind_linear(b, &m->head[0].x_proj, "x_proj", m->d_proj, I, false);
        bb_bind_linear(b, &m->head[0].dt_proj, "dt_proj", I, d->dt_rank, false);
    }
    if (d->inner_norm == BB_INNER_NORM_WEIGHTED) {
        bb_bind_vector(b, &m->norm[0], "dt_layernorm.weight", d->dt_rank, BB_RANGE_SCALE);
        bb_bind_vector(b, &m->norm[1], "b_layernorm.weight", d->d_state, BB_RANGE_SCALE);
        bb_bind_vector(b, &m->norm[2], "c_layernorm.weight", d->d_state, BB_RANGE_SCALE);
    }
    bind_scan(m, b);
    bb_bind_linear(b, &m->out_proj, "out_proj", d->d_model, I, d->proj_bias);
}

/* -------------------------------------------------------------- print, count ------------- */

static void print(const bb_mixer *base, bb_printer *p)
{
    static const char *const norms[] = { "", ", inner norms without weights", ", inner norms" };
    const bb_mamba1_dims *d = &((const bb_mamba1 *)base)->dims;

    bb_print(p, "%d -> %d, state %d, dt rank %d, conv %d%s%s%s", d->d_model, d->d_inner, d->d_state,
             d->dt_rank, d->d_conv, d->conv_bias ? " + bias" : "", d->proj_bias ? ", bias" : "",
             norms[d->inner_norm]);
    if (d->n_heads > 0) bb_print(p, ", heads %d", d->n_heads);
}

/* A scan counts as the recurrence: 7·I·N operations a row. */
static void count(const bb_mixer *base, const bb_work *w, bb_count *c)
{
    const bb_mamba1 *m = (const bb_mamba1 *)base;
    const uint64_t   inner = (uint64_t)m->dims.d_inner, elements = bb_recurrent_elements(&m->state);
    const uint64_t   taps = inner * (uint64_t)m->dims.d_conv * sizeof(float);
    const uint64_t   window = bb_recurrent_window_bytes(&m->state);
    const uint64_t   ssm = bb_recurrent_ssm_bytes(&m->state);

    bb_count_product(&m->in_proj, w, &c[base->op[BB_MAMBA1_IN_PROJ]]);
    bb_count_add(&c[base->op[BB_MAMBA1_CONV]], taps + 2 * window * w->n_segments,
                 2 * taps / sizeof(float) * w->T);
    for (int h = 0; h < m->n_heads; h++) {
        bb_count_product(&m->head[h].x_proj, w, &c[base->op[BB_MAMBA1_X_PROJ]]);
        bb_count_product(&m->head[h].dt_proj, w, &c[base->op[BB_MAMBA1_DT_PROJ]]);
    }
    bb_count_add(&c[base->op[BB_MAMBA1_SCAN]], elements * sizeof(float) + 2 * ssm * w->n_segments,
                 7 * elements * w->T);
    bb_count_add(&c[base->op[BB_MAMBA1_GATE]], 0, 5 * inner * w->T);
    bb_count_product(&m->out_proj, w, &c[base->op[BB_MAMBA1_OUT_PROJ]]);
}

static const bb_mixer_kind kind = {
    .name = "mamba1",
    .op_name = { "in_proj", "conv", "x_proj", "dt_proj", "scan", "gate", "out_proj" },
    .bind = bind,
    .print = print,
    .count = count,
    .scratch_bytes = bb_mamba1_scratch_bytes,
    .forward = bb_mamba1_forward,
    .state_bytes = bb_mamba1_state_bytes,
    .saved_bytes = bb_mamba1_saved_bytes,
    .parts = bb_mamba1_parts,
    .save = bb_mamba1_save,
    .load = bb_mamba1_load,
    .log_floats = bb_mamba1_log_floats,
    .replay = bb_mamba1_replay,
    .fill = bb_mamba1_fill,
    .scratch_floats = bb_mamba1_scratch_floats,
};

bb_mixer *bb_plan_mamba1(bb_plan *p, const char *prefix, const bb_mamba1_dims *dims)
{
    const int     H = dims->n_heads > 0 ? dims->n_heads : 1;
    const int64_t low = dims->dt_rank + 2 * (int64_t)dims->d_state;
    const size_t  head = sizeof(((bb_mamba1 *)NULL)->head[0]);

    if (2 * (int64_t)dims->d_inner > BB_MAX_DIM || low > BB_MAX_DIM
        || (int64_t)dims->d_inner * dims->d_state > BB_MAX_DIM * (int64_t)64) {
        bb_plan_fail(p, BAMBA_ERR_UNSUPPORTED, "'%.80s%s': Mamba-1 mixer too wide", p->prefix,
                     prefix);
        return NULL;
    }
    bb_mamba1 *m = (bb_mamba1 *)bb_plan_mixer(p, &kind, sizeof *m + (size_t)H * head, prefix);
    if (!m) return NULL;
    m->dims = *dims;
    m->n_heads = H;
    m->d_head = dims->d_inner / H;
    m->d_proj = (int)low;
    m->state = (bb_recurrent){ dims->d_conv, dims->d_inner, dims->d_inner, dims->d_state,
                               p->state_type ? p->state_type : BB_TYPE_F32 };
    return &m->base;
}
