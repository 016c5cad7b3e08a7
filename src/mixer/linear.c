/* linear.c - one linear map, as a mixer. */
#include "graph/bind.h"
#include "mixer/count.h"
#include "mixer/mixers.h"
#include "mixer/product.h"

typedef struct bb_plain_linear {
    bb_mixer  base;
    int       d_in, d_out;
    bb_linear map;
} bb_plain_linear;

enum { LINEAR };                          /* its one operation */

static void bind(bb_mixer *base, bb_binder *b)
{
    bb_plain_linear *m = (bb_plain_linear *)base;
    bb_bind_slice(b, &m->map, "weight", m->d_out, m->d_in, (bb_slice){ 0 });
}

static size_t scratch_bytes(const bb_mixer *base, int T, int n_threads)
{
    (void)base, (void)T, (void)n_threads;
    return 0;
}

static void forward(const bb_mixer *base, const bb_exec *e, const bb_call *c)
{
    const bb_product out = { &((const bb_plain_linear *)base)->map, NULL, c->out };
    bb_source        h = c->in;

    bb_multiply(e, base->op[LINEAR], &out, 1, &h, NULL);
}

static void print(const bb_mixer *base, bb_printer *p)
{
    const bb_plain_linear *m = (const bb_plain_linear *)base;
    bb_print(p, "%d -> %d", m->d_in, m->d_out);
}

static void count(const bb_mixer *base, const bb_work *w, bb_count *c)
{
    bb_count_product(&((const bb_plain_linear *)base)->map, w, &c[base->op[LINEAR]]);
}

static const bb_mixer_kind kind = {
    .name = "linear", .op_name = { "linear" }, .bind = bind, .scratch_bytes = scratch_bytes,
    .forward = forward, .writes_early = true, .print = print, .count = count,
};

bb_mixer *bb_plan_linear(bb_plan *p, const char *prefix, int d_in, int d_out)
{
    bb_plain_linear *m = (bb_plain_linear *)bb_plan_mixer(p, &kind, sizeof *m, prefix);

    if (!m) return NULL;
    m->d_in = d_in;
    m->d_out = d_out;
    return &m->base;
}
