/* mamba2_plan.c - the Mamba-2 mixer in a plan: its dimensions, its weights, what it costs. */
#include "graph/bind.h"
#include "mixer/count.h"
#include "mixer/mamba2_internal.h"

#include <math.h>

/* -------------------------------------------------------------- weights ------------------ */

static float minus_exp(float a_log) { return -expf(a_log); }

/* The factor of the input, which is not the bias's, and those of the parts. */
static void bind_factors(bb_binder *b, bb_mamba2 *m)
{
    const int group = m->dims.n_groups * m->dims.d_state;
    const int rows[BB_MAMBA2_PARTS] = { m->d_inner, m->d_inner, group, group, m->dims.n_heads };
    bb_factor list[BB_MAMBA2_PARTS + 1] = { 0 };

    for (int i = 0; i < BB_MAMBA2_PARTS; i++)
        list[i] = (bb_factor){ rows[i], m->dims.times_in * m->dims.times[i], m->dims.times[i] };
    bb_bind_factors(b, &m->in_proj, list);
}

static void bind(bb_mixer *base, bb_binder *b)
{
    bb_mamba2            *m = (bb_mamba2 *)base;
    const bb_mamba2_dims *d = &m->dims;
    /* Random models begin as training does: A from -1 to -16, dt from 0.001 to 0.1. */
    const float           tap = 1.0f / sqrtf((float)d->d_conv);

    bb_bind_linear(b, &m->in_proj, "in_proj", m->d_proj, d->d_model, d->in_bias);
    bind_factors(b, m);
    bb_bind_small(b, &m->conv_w, "conv1d.weight", (const int[]){ m->d_xbc, 1, d->d_conv, 0 },
                  (bb_range){ -tap, tap });
    if (d->conv_bias) bb_bind_vector(b, &m->conv_b, "conv1d.bias", m->d_xbc, BB_RANGE_BIAS);
    bb_bind_vector(b, &m->dt_bias, "dt_bias", d->n_heads, (bb_range){ -6.9f, -2.25f });
    bb_bind_vector(b, &m->A, "A_log", d->n_heads, (bb_range){ 0.0f, 2.75f });
    bb_bind_map(b, m->A, d->n_heads, minus_exp);
    bb_bind_vector(b, &m->D, "D", d->n_heads, BB_RANGE_SCALE);
    if (d->gate != BB_GATE_ALONE)
        bb_bind_vector(b, &m->norm, "norm.weight", m->d_inner, BB_RANGE_SCALE);
    bb_bind_linear(b, &m->out_proj, "out_proj", d->d_model, m->d_inner, d->out_bias);
}

/* -------------------------------------------------------------- print, count ------------- */

static const char *const part_name[BB_MAMBA2_PARTS] = { "z", "x", "B", "C", "dt" };

static void print(const bb_mixer *base, bb_printer *p)
{
    const bb_mamba2_dims *d = &((const bb_mamba2 *)base)->dims;

    bb_print(p, "%d -> %d heads x %d, state %d, groups %d, conv %d%s%s", d->d_model, d->n_heads,
             d->d_head, d->d_state, d->n_groups, d->d_conv, d->conv_bias ? " + bias" : "",
             d->in_bias && d->out_bias ? ", bias" : d->in_bias ? ", input bias"
             : d->out_bias ? ", output bias" : "");
    if (d->dt_min > 0 || isfinite(d->dt_max))
        bb_print(p, ", dt %g ... %g", (double)d->dt_min, (double)d->dt_max);
    if (d->gate != BB_GATE_THEN_NORM)
        bb_print(p, d->gate == BB_GATE_ALONE ? ", no norm" : ", norm before gate");
    if (d->times_in != 1.0) bb_print(p, ", input x %g", d->times_in);
    for (int i = 0; i < BB_MAMBA2_PARTS; i++)
        if (d->times[i] != 1.0) bb_print(p, ", %s x %g", part_name[i], d->times[i]);
}

/* A scan counts as the recurrence: 5·H·P·N operations a row. */
static void count(const bb_mixer *base, const bb_work *w, bb_count *c)
{
    const bb_mamba2 *m = (const bb_mamba2 *)base;
    const uint64_t   taps = (uint64_t)m->d_xbc * (uint64_t)m->dims.d_conv * sizeof(float);
    const uint64_t   inner = (uint64_t)m->d_inner;
    const uint64_t   window = bb_recurrent_window_bytes(&m->state);
    const uint64_t   ssm = bb_recurrent_ssm_bytes(&m->state);

    bb_count_product(&m->in_proj, w, &c[base->op[BB_MAMBA2_IN_PROJ]]);
    bb_count_add(&c[base->op[BB_MAMBA2_CONV]], taps + 2 * window * w->n_segments,
                 2 * taps / sizeof(float) * w->T);
    bb_count_add(&c[base->op[BB_MAMBA2_SCAN]], 2 * ssm * w->n_segments,
                 5 * bb_recurrent_elements(&m->state) * w->T);
    bb_count_add(&c[base->op[BB_MAMBA2_GATED_NORM]],
                 m->dims.gate == BB_GATE_ALONE ? 0 : inner * sizeof(float),
                 (m->dims.gate == BB_GATE_ALONE ? 5 : 9) * inner * w->T);
    bb_count_product(&m->out_proj, w, &c[base->op[BB_MAMBA2_OUT_PROJ]]);
}

static const bb_mixer_kind kind = {
    .name = "mamba2", .op_name = { "in_proj", "conv", "scan", "gated norm", "out_proj" },
    .bind = bind, .print = print, .count = count, .scratch_bytes = bb_mamba2_scratch_bytes,
    .forward = bb_mamba2_forward, .state_bytes = bb_mamba2_state_bytes,
    .saved_bytes = bb_mamba2_saved_bytes, .parts = bb_mamba2_parts, .save = bb_mamba2_save,
    .load = bb_mamba2_load, .log_floats = bb_mamba2_log_floats, .replay = bb_mamba2_replay,
    .fill = bb_mamba2_fill, .scratch_floats = bb_mamba2_scratch_floats,
};

bb_mixer *bb_plan_mamba2(bb_plan *p, const char *prefix, const bb_mamba2_dims *dims)
{
    const int64_t inner = (int64_t)dims->n_heads * dims->d_head;
    const int64_t xbc = inner + 2 * (int64_t)dims->n_groups * dims->d_state;

    if (2 * inner + xbc + dims->n_heads > BB_MAX_DIM) {
        bb_plan_fail(p, BAMBA_ERR_UNSUPPORTED, "'%.80s%s': Mamba-2 mixer wider than %d", p->prefix,
                     prefix, BB_MAX_DIM);
        return NULL;
    }
    bb_mamba2 *m = (bb_mamba2 *)bb_plan_mixer(p, &kind, sizeof *m, prefix);
    if (!m) return NULL;
    m->dims = *dims;
    if (dims->times_in == 0.0) m->dims.times_in = 1.0;
    for (int i = 0; i < BB_MAMBA2_PARTS; i++)
        if (dims->times[i] == 0.0) m->dims.times[i] = 1.0;
    m->d_inner = (int)inner;
    m->d_xbc = (int)xbc;
    m->d_proj = (int)(inner + xbc) + dims->n_heads;
    m->state = (bb_recurrent){ dims->d_conv, m->d_xbc, m->d_inner, dims->d_state,
                               p->state_type ? p->state_type : BB_TYPE_F32 };
    return &m->base;
}
