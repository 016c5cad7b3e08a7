/* moe.c - a mixture of experts.
 *
 * The router is float32 whatever the type of the weights: a choice is not to hang on rounding. Of
 * equal scores that of the lower number is chosen. */
#include "graph/bind.h"
#include "mixer/activation.h"
#include "mixer/count.h"
#include "mixer/grouped.h"
#include "mixer/product.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct bb_moe {
    bb_mixer     base;
    bb_moe_dims  dims;
    int          d_in;                    /* columns of an expert's input and output */
    bb_linear    router;                  /* [E, D] */
    const float *correction;              /* [E] or NULL */
    bb_linear    latent_in, latent_out;
    bb_linear    linear[];                /* [3, E] gate, up and down */
} bb_moe;

enum { ROUTER, EXPERTS, LATENT };         /* operations, as named below */

static bool is_gated(const bb_moe *m) { return bb_activations[m->dims.activation].is_gated; }

static size_t count_experts(const bb_moe *m) { return (size_t)m->dims.n_experts; }

static bb_experts experts_of(const bb_moe *m)
{
    const bb_linear *gate = m->linear, *up = gate + count_experts(m);

    return (bb_experts){ .in = is_gated(m) ? gate : up, .pair = is_gated(m) ? up : NULL,
                         .out = up + count_experts(m), .n = m->dims.n_experts,
                         .activate = bb_activations[m->dims.activation].run };
}

/* -------------------------------------------------------------- weights ------------------ */

/* One expert's matrix; format: its name with the expert's number for %d. */
static void bind_one(bb_binder *b, bb_linear *l, const char *format, int expert, int rows, int cols)
{
    const char *number = strstr(format, "%d");
    char        name[BB_MAX_NAME];

    snprintf(name, sizeof name, "%.*s%d%s", (int)(number - format), format, expert, number + 2);
    bb_bind_slice(b, l, name, rows, cols, (bb_slice){ 0 });
}

static void bind_experts(bb_moe *m, bb_binder *b)
{
    const bb_moe_dims  *d = &m->dims;
    const bb_moe_names *n = &d->names;
    const int           E = d->n_experts, F = d->d_ff, of = is_gated(m) ? 2 * F : F;
    bb_linear          *gate = m->linear, *up = gate + E, *down = up + E;

    for (int i = 0; i < E; i++) {
        if (n->in_stack) {
            bb_slice s = { .of = of, .index = i, .n = E };
            if (is_gated(m)) bb_bind_slice(b, &gate[i], n->in_stack, F, m->d_in, s);
            s.first = of - F;
            bb_bind_slice(b, &up[i], n->in_stack, F, m->d_in, s);
        } else {
            if (is_gated(m)) bind_one(b, &gate[i], n->gate, i, F, m->d_in);
            bind_one(b, &up[i], n->up, i, F, m->d_in);
        }
        if (!n->out_stack) bind_one(b, &down[i], n->down, i, m->d_in, F);
    }
    for (int i = 0; n->out_stack && i < E; i++)
        bb_bind_slice(b, &down[i], n->out_stack, m->d_in, F,
                      (bb_slice){ .of = m->d_in, .index = i, .n = E });
    for (int i = 0; i < E; i++) {         /* as transformers 5 has them, which adapters name */
        const char *in = is_gated(m) ? "experts.gate_up_proj" : "experts.up_proj";
        if (is_gated(m)) bb_bind_part_of(b, &gate[i], in, i, E, 0);
        if (!is_gated(m) || !n->in_stack) bb_bind_part_of(b, &up[i], in, i, E, of - F);
        bb_bind_part_of(b, &down[i], "experts.down_proj", i, E, 0);
    }
}

static void bind(bb_mixer *base, bb_binder *b)
{
    bb_moe             *m = (bb_moe *)base;
    const bb_moe_dims  *d = &m->dims;
    const bb_moe_names *n = &d->names;
    const float         bound = sqrtf(3.0f / (float)d->d_model);

    bb_bind_small_linear(b, &m->router, n->router, d->n_experts, d->d_model,
                         (bb_range){ -bound, bound });
    if (n->router_parameter) bb_bind_part_of(b, &m->router, n->router_parameter, 0, 1, 0);
    if (n->correction)
        bb_bind_vector(b, &m->correction, n->correction, d->n_experts, BB_RANGE_BIAS);
    if (d->d_latent) {
        bb_bind_linear(b, &m->latent_in, n->latent_in, d->d_latent, d->d_model, d->latent_bias);
        bb_bind_linear(b, &m->latent_out, n->latent_out, d->d_model, d->d_latent, d->latent_bias);
    }
    const uint64_t begun = bb_bind_begin_routed(b);
    bind_experts(m, b);
    bb_bind_end_routed(b, begun, d->n_used, d->n_experts);
}

/* -------------------------------------------------------------- memory ------------------- */

struct scratch {
    float         *x;                     /* [T, D] if the source makes its rows */
    float         *latent[2];             /* [T, d_latent] into the experts and out of them */
    float         *score;                 /* [T, E] */
    float         *choice;                /* [T, E] what is chosen by */
    int           *expert;                /* [T, n_used] chosen */
    float         *weight;                /* [T, n_used] */
    bb_groups      groups;
    bb_groups_room room;
};

static struct scratch take_scratch(const bb_moe *m, int T, int n_threads, bb_arena *a)
{
    const bb_moe_dims *d = &m->dims;
    const bb_experts   experts = experts_of(m);
    const size_t       t = (size_t)T, E = count_experts(m), used = (size_t)d->n_used;
    struct scratch     s;

    s.x = bb_take(a, t * (size_t)d->d_model, sizeof(float));
    for (int i = 0; i < 2; i++) s.latent[i] = bb_take(a, t * (size_t)d->d_latent, sizeof(float));
    s.score = bb_take(a, t * E, sizeof(float));
    s.choice = bb_take(a, t * E, sizeof(float));
    s.expert = bb_take(a, t * used, sizeof(int));
    s.weight = bb_take(a, t * used, sizeof(float));
    bb_groups_take(&s.groups, T, d->n_used, d->n_experts, a);
    bb_groups_room_take(&s.room, &s.groups, &experts, n_threads, a);
    return s;
}

static size_t measure(const bb_moe *m, int T, int n_threads)
{
    bb_arena a = BB_MEASURE;

    take_scratch(m, T, n_threads, &a);
    return a.overflow ? SIZE_MAX : a.used;
}

/* Few rows are prepared by each thread, many by all together: either may need more. */
static size_t scratch_bytes(const bb_mixer *base, int T, int n_threads)
{
    const bb_moe *m = (const bb_moe *)base;
    const size_t  all = measure(m, T, n_threads);
    const size_t  few = measure(m, T < BB_FEW_ROWS ? T : BB_FEW_ROWS, n_threads);

    return all > few ? all : few;
}

/* -------------------------------------------------------------- router ------------------- */

struct job {
    const bb_moe   *m;
    const bb_call  *c;
    struct scratch  s;
};

/* The numbers of the n best of `count` scores, best first; of equal ones the lower first. */
static void choose(const float *score, int count, int n, int *best)
{
    int found = 0;

    for (int i = 0; i < count; i++) {
        int at = found < n ? found : n - 1;
        if (found == n && !(score[i] > score[best[at]])) continue;
        for (; at > 0 && score[i] > score[best[at - 1]]; at--) best[at] = best[at - 1];
        best[at] = i;
        if (found < n) found++;
    }
}

/* The sum of the two best of n scores. */
static float rate_group(const float *score, int n)
{
    int best[2];

    choose(score, n, 2, best);
    return score[best[0]] + score[best[1]];
}

/* Take the experts of all but the best groups out of the choice. */
static void keep_best_groups(const bb_moe_dims *d, float *choice)
{
    const int size = d->n_experts / d->n_groups;
    float     rating[BB_MOE_MOST_GROUPS];
    int       best[BB_MOE_MOST_GROUPS];
    bool      stays[BB_MOE_MOST_GROUPS] = { false };

    for (int g = 0; g < d->n_groups; g++) rating[g] = rate_group(choice + g * size, size);
    choose(rating, d->n_groups, d->n_top_groups, best);
    for (int i = 0; i < d->n_top_groups; i++) stays[best[i]] = true;
    for (int i = 0; i < d->n_experts; i++)
        if (!stays[i / size]) choice[i] = -INFINITY;
}

/* exp(v - the largest) of n values; returns the sum. */
static float exponentiate(float *v, int n)
{
    float most = v[0], sum = 0.0f;

    for (int i = 1; i < n; i++) most = v[i] > most ? v[i] : most;
    for (int i = 0; i < n; i++) sum += v[i] = expf(v[i] - most);
    return sum;
}

/* The experts of row t, by its scores, and their weights. */
static void choose_experts(const struct job *j, int t)
{
    const bb_moe      *m = j->m;
    const bb_moe_dims *d = &m->dims;
    const size_t       at = (size_t)t * count_experts(m), first = (size_t)t * (size_t)d->n_used;
    float             *score = j->s.score + at, *choice = j->s.choice + at;
    float             *weight = j->s.weight + first;
    int               *expert = j->s.expert + first;
    const int          E = d->n_experts, n = d->n_used;
    float              sum = 1.0f;

    if (d->router == BB_ROUTER_SOFTMAX) sum = exponentiate(score, E);
    for (int i = 0; i < E; i++) {
        if (d->router == BB_ROUTER_SIGMOID) score[i] = 1.0f / (1.0f + expf(-score[i]));
        choice[i] = m->correction ? score[i] + m->correction[i] : score[i];
    }
    if (d->n_groups > 0) keep_best_groups(d, choice);
    choose(choice, E, n, expert);
    for (int i = 0; i < n; i++) weight[i] = score[expert[i]];
    if (d->router == BB_ROUTER_TOP_SOFTMAX) sum = exponentiate(weight, n);
    if (d->normalise) {
        sum = 1e-20f;
        for (int i = 0; i < n; i++) sum += weight[i];
    }
    for (int i = 0; i < n; i++)
        weight[i] = weight[i] / sum * (d->scaling != 0.0f ? d->scaling : 1.0f);
}

enum { ROWS = 16 };                       /* of a tile that chooses */

static void run_choose(const bb_exec *e, const void *context, int tile)
{
    const struct job *j = context;
    const int         T = e->pass->T;

    for (int t = tile * ROWS; t < T && t < (tile + 1) * ROWS; t++) choose_experts(j, t);
}

static void run_fill(const bb_exec *e, const void *context, int tile)
{
    const struct job *j = context;

    (void)tile;
    for (int t = 0; !e->pass->many && t < e->pass->T; t++) choose_experts(j, t);
    bb_groups_fill(&j->s.groups, j->s.expert, j->s.weight);
}

/* Scores [T, E] of x, then which experts each row goes through. */
static void route(const bb_exec *e, const struct job *j, bb_source *x)
{
    const bb_moe     *m = j->m;
    const int         E = m->dims.n_experts;
    const bb_product  p = { &m->router, NULL, bb_sink_store(j->s.score, (size_t)E) };

    bb_multiply(e, m->base.op[ROUTER], &p, 1, x, NULL);
    if (e->pass->many) bb_each_tile(e, (e->pass->T + ROWS - 1) / ROWS, run_choose, j);
    bb_each_tile(e, 1, run_fill, j);
    bb_mark(e, m->base.op[ROUTER]);
}

/* -------------------------------------------------------------- verbs -------------------- */

static void run_make(const bb_exec *e, const void *context, int t)
{
    const struct job *j = context;
    const bb_source  *in = &j->c->in;
    in->make(e, in->job, t, j->s.x + (size_t)t * (size_t)in->cols);
}

/* The rows in memory: several products read some of them. */
static bb_source settle_rows(const bb_exec *e, const struct job *j)
{
    const bb_source *in = &j->c->in;

    if (in->x) return *in;
    bb_each_tile(e, e->pass->T, run_make, j);
    bb_mark(e, in->op);
    return bb_source_of(e, j->s.x, (size_t)in->cols, in->cols);
}

static void forward(const bb_mixer *base, const bb_exec *e, const bb_call *c)
{
    const bb_moe     *m = (const bb_moe *)base;
    const bb_experts  experts = experts_of(m);
    bb_arena          arena = e->pass->scratch;
    struct job        j = { m, c, take_scratch(m, e->pass->T, e->pass->n_threads, &arena) };
    const size_t      L = (size_t)m->dims.d_latent;
    bb_source         x = settle_rows(e, &j);

    route(e, &j, &x);
    if (L == 0) {
        bb_multiply_grouped(e, base->op[EXPERTS], &experts, &j.s.groups, &j.s.room, x.x, x.ld,
                            &c->out);
        return;
    }
    const bb_product in = { &m->latent_in, NULL, bb_sink_store(j.s.latent[0], L) };
    const bb_product out = { &m->latent_out, NULL, c->out };
    const bb_sink    to = bb_sink_store(j.s.latent[1], L);
    bb_source        sum = bb_source_of(e, j.s.latent[1], L, (int)L);
    bb_multiply(e, base->op[LATENT], &in, 1, &x, NULL);
    bb_multiply_grouped(e, base->op[EXPERTS], &experts, &j.s.groups, &j.s.room,
                        j.s.latent[0], L, &to);
    bb_multiply(e, base->op[LATENT], &out, 1, &sum, NULL);
}

static void print(const bb_mixer *base, bb_printer *p)
{
    const bb_moe      *m = (const bb_moe *)base;
    const bb_moe_dims *d = &m->dims;

    bb_print(p, "%d -> %d of %d experts", d->d_model, d->n_used, d->n_experts);
    if (d->n_groups > 0) bb_print(p, " in %d of %d groups", d->n_top_groups, d->n_groups);
    if (d->d_latent > 0) bb_print(p, ", latent %d", d->d_latent);
    bb_print(p, ", %d -> %d -> %d%s", m->d_in, d->d_ff, m->d_in,
             bb_activations[d->activation].name);
}

/* How many experts T rows are expected to need, if every choice is as likely. */
static double expect_experts(const bb_moe_dims *d, uint64_t T)
{
    const double E = d->n_experts;
    return E * (1.0 - pow(1.0 - d->n_used / E, (double)T));
}

static void count(const bb_mixer *base, const bb_work *w, bb_count *c)
{
    const bb_moe      *m = (const bb_moe *)base;
    const bb_moe_dims *d = &m->dims;
    const uint64_t     E = (uint64_t)d->n_experts, used = (uint64_t)d->n_used;
    bb_count           experts = { 0 };

    bb_count_add(&c[base->op[ROUTER]], E * (uint64_t)d->d_model * sizeof(float),
                 2 * E * (uint64_t)d->d_model * w->T);
    bb_count_adapters(&m->router, w, &c[base->op[ROUTER]]);
    for (size_t i = is_gated(m) ? 0 : count_experts(m); i < 3 * count_experts(m); i++)
        bb_count_product(&m->linear[i], w, &experts);
    bb_count_add(&c[base->op[EXPERTS]],
                 (uint64_t)((double)experts.bytes / (double)E * expect_experts(d, w->T) + 0.5),
                 experts.flops / E * used + (uint64_t)bb_activations[d->activation].flops
                                            * (uint64_t)d->d_ff * used * w->T);
    if (d->d_latent == 0) return;
    bb_count_product(&m->latent_in, w, &c[base->op[LATENT]]);
    bb_count_product(&m->latent_out, w, &c[base->op[LATENT]]);
}

static const bb_mixer_kind kind = {
    .name = "moe", .op_name = { "router", "experts", "latent" }, .bind = bind,
    .scratch_bytes = scratch_bytes, .forward = forward, .print = print, .count = count,
};

bb_mixer *bb_plan_moe(bb_plan *p, const char *prefix, const bb_moe_dims *dims)
{
    const size_t n = 3 * (size_t)dims->n_experts;
    bb_moe      *m = (bb_moe *)bb_plan_mixer(p, &kind, sizeof *m + n * sizeof m->linear[0], prefix);

    assert(!dims->names.in_stack == !dims->names.out_stack);
    if (!m) return NULL;
    m->dims = *dims;
    m->d_in = dims->d_latent ? dims->d_latent : dims->d_model;
    return &m->base;
}
