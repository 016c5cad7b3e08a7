/* attention_plan.c - the attention mixer in a plan: its dimensions, its weights, what it costs. */
#include "graph/bind.h"
#include "mixer/attention_internal.h"
#include "mixer/count.h"

#include <math.h>

/* -------------------------------------------------------------- weights ------------------ */

/* The factors of q, of k and of v, of d_q and twice d_kv rows. */
static void bind_factors(bb_binder *b, bb_attention *m, int d_q, int d_kv)
{
    const double in = m->dims.times_in, key = m->dims.times_key;

    bb_bind_factors(b, &m->q, (bb_factor[]){ { d_q, in, 1.0 }, { 0 } });
    bb_bind_factors(b, &m->k, (bb_factor[]){ { d_kv, in * key, key }, { 0 } });
    bb_bind_factors(b, &m->v, (bb_factor[]){ { d_kv, in, 1.0 }, { 0 } });
}

/* Rows of q, k and v one behind the other in in_proj, maybe a convolution over their columns. */
static void bind_fused(bb_binder *b, bb_attention *m, int d_q, int d_kv)
{
    const bb_attention_dims *d = &m->dims;
    const int                C = d_q + 2 * d_kv;
    const float              tap = 1.0f / sqrtf((float)(d->d_conv + 1));
    const float             *bias = NULL;

    bb_bind_slice(b, &m->q, "in_proj.weight", d_q, d->d_model, (bb_slice){ .of = C });
    bb_bind_slice(b, &m->k, "in_proj.weight", d_kv, d->d_model,
                  (bb_slice){ .first = d_q, .of = C });
    bb_bind_slice(b, &m->v, "in_proj.weight", d_kv, d->d_model,
                  (bb_slice){ .first = d_q + d_kv, .of = C });
    if (d->bias) bb_bind_vector(b, &bias, "in_proj.bias", C, BB_RANGE_BIAS);
    if (bias) m->q.bias = bias, m->k.bias = bias + d_q, m->v.bias = bias + d_q + d_kv;
    bind_factors(b, m, d_q, d_kv);
    bb_bind_linear(b, &m->o, "out_proj", d->d_out, d_q, d->out_bias);
    if (d->d_conv == 0) return;
    bb_bind_small(b, &m->conv_w, "conv1d.weight", (const int[]){ C, 1, d->d_conv, 0 },
                  (bb_range){ -tap, tap });
    bb_bind_vector(b, &m->conv_b, "conv1d.bias", C, BB_RANGE_BIAS);
}

static void bind(bb_mixer *base, bb_binder *b)
{
    static const char *const lists[3] = { "linear_q_adapter_list", "linear_k_adapter_list",
                                          "linear_v_adapter_list" };
    bb_attention            *m = (bb_attention *)base;
    const bb_attention_dims *d = &m->dims;
    const int                d_q = d->n_heads * d->d_head;
    const int                d_kv = d->n_kv_heads * d->d_head;

    if (d->is_fused) {
        bind_fused(b, m, d_q, d_kv);
        return;
    }
    bb_bind_linear(b, &m->q, "q_proj", d_q, d->d_model, d->bias);
    bb_bind_linear(b, &m->k, "k_proj", d_kv, d->d_model, d->bias);
    bb_bind_linear(b, &m->v, "v_proj", d_kv, d->d_model, d->bias);
    bind_factors(b, m, d_q, d_kv);
    for (int i = 0; i < d->low_rank.n_uses; i++)
        for (int j = 0; j < 3; j++)
            bb_bind_low_rank(b, &m->low_rank[3 * i + j], lists[j], &d->low_rank, i, d->d_model,
                             j == 0 ? d_q : d_kv, 1);
    bb_bind_linear(b, &m->o, "o_proj", d->d_out, d_q, d->out_bias);
}

/* -------------------------------------------------------------- print, count ------------- */

static void print(const bb_mixer *base, bb_printer *p)
{
    const bb_attention_dims *d = &((const bb_attention *)base)->dims;

    bb_print(p, "%d -> %d heads (%d kv) x %d", d->d_model, d->n_heads, d->n_kv_heads, d->d_head);
    bb_rope_print(&d->rope, d->d_head, p);
    if (d->d_conv > 0) bb_print(p, ", conv %d + bias", d->d_conv);
    if (d->bias && d->out_bias) bb_print(p, ", bias");
    else if (d->bias || d->out_bias) bb_print(p, d->bias ? ", input bias" : ", output bias");
    if (d->scale != 1.0f / sqrtf((float)d->d_head)) bb_print(p, ", scale %g", (double)d->scale);
    if (d->d_out != d->d_model) bb_print(p, ", -> %d", d->d_out);
    if (d->low_rank.rank) bb_print(p, ", rank %d of %d uses", d->low_rank.rank, d->low_rank.n_uses);
    if (d->times_in != 1.0) bb_print(p, ", input x %g", d->times_in);
    if (d->times_key != 1.0) bb_print(p, ", keys x %g", d->times_key);
}

/* RoPE counts 3 operations a rotated element, attention 4·d for each position a row sees. */
static void count(const bb_mixer *base, const bb_work *w, bb_count *c)
{
    const bb_attention *m = (const bb_attention *)base;
    const uint64_t      heads = (uint64_t)m->dims.n_heads, n_kv = (uint64_t)m->dims.n_kv_heads;
    const uint64_t      kv_bytes = bb_attention_page(m) / BB_KV_BLOCK;        /* of a position */
    const uint64_t      taps = (uint64_t)bb_attention_columns(m) * (uint64_t)m->dims.d_conv;

    bb_count_product(&m->q, w, &c[base->op[BB_ATTENTION_QKV]]);
    bb_count_product(&m->k, w, &c[base->op[BB_ATTENTION_QKV]]);
    bb_count_product(&m->v, w, &c[base->op[BB_ATTENTION_QKV]]);
    bb_count_add(&c[base->op[BB_ATTENTION_ROPE]], kv_bytes * w->T,
                 3 * (heads + n_kv) * (uint64_t)m->dims.rope.d * w->T);
    bb_count_add(&c[base->op[BB_ATTENTION_ATTEND]], kv_bytes * w->reached,
                 4 * heads * (uint64_t)m->dims.d_head * w->seen);
    bb_count_product(&m->o, w, &c[base->op[BB_ATTENTION_OUT_PROJ]]);
    for (int i = 0; i < 3 && m->dims.low_rank.rank; i++) {
        const bb_use_term *l = &m->low_rank[3 * w->nth + i];
        bb_count_product(&l->down, w, &c[base->op[BB_ATTENTION_QKV]]);
        bb_count_product(l->up, w, &c[base->op[BB_ATTENTION_QKV]]);
    }
    if (taps > 0)
        bb_count_add(&c[base->op[BB_ATTENTION_CONV]],
                     taps * sizeof(float) + 2 * bb_attention_window(m) * w->n_segments,
                     2 * taps * w->T);
}

static size_t page_bytes(const bb_mixer *base)
{
    return bb_attention_page((const bb_attention *)base);
}

#define SHARED                                                                                     \
    .bind = bind, .print = print, .count = count, .page_bytes = page_bytes,                      \
    .scratch_bytes = bb_attention_scratch_bytes, .forward = bb_attention_forward,                  \
    .saved_bytes = bb_attention_saved_bytes,                                                       \
    .parts = bb_attention_parts, .save = bb_attention_save, .load = bb_attention_load,             \
    .minds_length = bb_attention_minds_length, .fill = bb_attention_fill,                          \
    .scratch_floats = bb_attention_scratch_floats

static const bb_mixer_kind kind = {
    .name = "attention", .op_name = { "q/k/v", "rope", "attention", "out_proj" }, SHARED,
};

/* With a convolution: it remembers a window of columns too. */
static const bb_mixer_kind conv_kind = {
    .name = "attention", .op_name = { "q/k/v", "rope", "attention", "out_proj", "conv" }, SHARED,
    .state_bytes = bb_attention_state_bytes, .log_floats = bb_attention_log_floats,
    .replay = bb_attention_replay,
};

bb_mixer *bb_plan_attention(bb_plan *p, const char *prefix, const bb_attention_dims *dims)
{
    const size_t table = bb_rope_table_size(&dims->rope) * sizeof(double);
    const size_t terms = 3 * (size_t)dims->low_rank.n_uses * sizeof(bb_use_term);

    if (dims->rope.d > 2 * BB_ROPE_PAIRS || (int64_t)dims->n_heads * dims->d_head > BB_MAX_DIM) {
        bb_plan_fail(p, BAMBA_ERR_UNSUPPORTED,
                     "'%.80s%s': attention of %d heads x %d, %d rotated: too wide", p->prefix,
                     prefix, dims->n_heads, dims->d_head, dims->rope.d);
        return NULL;
    }
    bb_attention *m = (bb_attention *)bb_plan_mixer(p, dims->d_conv > 0 ? &conv_kind : &kind,
                                                    sizeof *m + terms + table, prefix);
    if (!m) return NULL;
    m->dims = *dims;
    if (dims->d_out == 0) m->dims.d_out = dims->d_model;
    if (dims->scale == 0.0f) m->dims.scale = 1.0f / sqrtf((float)dims->d_head);
    if (dims->times_in == 0.0) m->dims.times_in = 1.0;
    if (dims->times_key == 0.0) m->dims.times_key = 1.0;
    m->dims.rope.shorter = m->dims.rope.longer = NULL;            /* the caller's, read here only */
    bb_rope_init(&m->rope, &dims->rope,
                 (double *)(void *)(m->low_rank + 3 * dims->low_rank.n_uses));
    m->kv_type = p->kv_type;
    return &m->base;
}
