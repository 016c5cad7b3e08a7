/* projection.c - one linear map.
 *
 * Its input is copied first: the map may write where that is read, as from the side stream into it. */
#include "graph/bind.h"
#include "mixer/count.h"
#include "mixer/mixers.h"
#include "mixer/product.h"

#include <string.h>

typedef struct bb_projection {
    bb_mixer  base;
    int       d_in, d_out;
    bb_linear map;
} bb_projection;

enum { MAP };                             /* its one operation */

static void bind(bb_mixer *base, bb_binder *b)
{
    bb_projection *m = (bb_projection *)base;
    bb_bind_slice(b, &m->map, "weight", m->d_out, m->d_in, (bb_slice){ 0 });
}

static float *take_scratch(const bb_projection *m, int T, bb_arena *a)        /* [T, d_in] */
{
    return bb_take(a, (size_t)T * (size_t)m->d_in, sizeof(float));
}

static size_t scratch_bytes(const bb_mixer *base, int T, int n_threads)
{
    bb_arena a = BB_MEASURE;

    (void)n_threads;
    take_scratch((const bb_projection *)base, T, &a);
    return a.overflow ? SIZE_MAX : a.used;
}

typedef struct job {
    const bb_source *from;
    float           *to;
} job;

static void run_copy(const bb_exec *e, const void *p, int t)
{
    const job    *j = p;
    const size_t  n = (size_t)j->from->cols;
    float        *row = j->to + (size_t)t * n;

    if (j->from->x) memcpy(row, j->from->x + (size_t)t * j->from->ld, n * sizeof *row);
    else j->from->make(e, j->from->job, t, row);
}

static void forward(const bb_mixer *base, const bb_exec *e, const bb_call *c)
{
    const bb_projection *m = (const bb_projection *)base;
    bb_arena             arena = e->pass->scratch;
    const job            j = { &c->in, take_scratch(m, e->pass->T, &arena) };
    bb_source            x = bb_source_of(e, j.to, (size_t)m->d_in, m->d_in);
    const bb_product     p = { &m->map, NULL, c->out };

    bb_each_tile(e, e->pass->T, run_copy, &j);
    bb_multiply(e, base->op[MAP], &p, 1, &x, NULL);
}

static void print(const bb_mixer *base, bb_printer *p)
{
    const bb_projection *m = (const bb_projection *)base;
    bb_print(p, "%d -> %d", m->d_in, m->d_out);
}

static void count(const bb_mixer *base, const bb_work *w, bb_count *c)
{
    bb_count_product(&((const bb_projection *)base)->map, w->T, &c[base->op[MAP]]);
}

static const bb_mixer_kind kind = {
    .name = "linear", .op_name = { "linear" }, .bind = bind, .scratch_bytes = scratch_bytes,
    .forward = forward, .print = print, .count = count,
};

bb_mixer *bb_plan_projection(bb_plan *p, const char *prefix, int d_in, int d_out)
{
    bb_projection *m = (bb_projection *)bb_plan_mixer(p, &kind, sizeof *m, prefix);

    if (!m) return NULL;
    m->d_in = d_in;
    m->d_out = d_out;
    return &m->base;
}
