/* mamba1.c - the Mamba-1 mixer: a pass.
 *
 * A tile of dt_proj's columns goes on at once: dt, then the scan of its channels over all rows,
 * since channels do not depend on each other.
 * Source: Gu & Dao 2023, arXiv:2312.00752; state-spaces/mamba modules/mamba_simple.py; of the norms
 *         transformers models/{falcon_mamba,jamba}, of the heads models/zamba. */
#include "mixer/mamba1_internal.h"
#include "mixer/product.h"

#include <math.h>

enum { NORM_ROWS = 8 };                   /* rows of a tile of the inner norms */

/* -------------------------------------------------------------- memory ------------------- */

struct scratch {
    float *mixed;                         /* [T, 2I]  in_proj's output where x and z alternate */
    float *xz;                            /* [T, 2I]  x, then z; y replaces x */
    float *x;                             /* [T, I]   after conv and SiLU */
    float *proj;                          /* [heads, T, R + 2N]  dt's low rank, B, C */
    float *dt;                            /* [T, I]   after softplus */
    float *own;                           /* [n_threads, own_floats] */
};

/* Weights of a norm that has none: as many ones as it is long. */
static size_t n_ones(const bb_mamba1 *m)
{
    const int R = m->dims.dt_rank, N = m->dims.d_state;
    return m->dims.inner_norm == BB_INNER_NORM_PLAIN ? (size_t)(R > N ? R : N) : 0;
}

/* Of a thread: channels widened, then ones. */
static size_t own_floats(const bb_mamba1 *m) { return bb_mamba1_wide(m) + n_ones(m); }

static struct scratch take_scratch(const bb_mamba1 *m, int T, int n_threads, bb_arena *a)
{
    const size_t   t = (size_t)T, I = (size_t)m->dims.d_inner;
    struct scratch s;

    s.xz    = bb_take(a, t * 2 * I, sizeof(float));
    s.mixed = m->dims.n_heads > 0 ? bb_take(a, t * 2 * I, sizeof(float)) : s.xz;
    s.x     = bb_take(a, t * I, sizeof(float));
    s.proj  = bb_take(a, (size_t)m->n_heads * t * (size_t)m->d_proj, sizeof(float));
    s.dt    = bb_take(a, t * I, sizeof(float));
    s.own   = bb_take(a, (size_t)n_threads * own_floats(m), sizeof(float));
    return s;
}

size_t bb_mamba1_scratch_bytes(const bb_mixer *base, int T, int n_threads)
{
    bb_arena a = BB_MEASURE;

    take_scratch((const bb_mamba1 *)base, T, n_threads, &a);
    return a.overflow ? SIZE_MAX : a.used;
}

/* -------------------------------------------------------------- up to the scan ----------- */

struct job {
    const bb_mamba1 *m;
    int              slot;
    struct scratch   s;
    int              h;                   /* head whose dt_proj it is */
};

static int smaller(int a, int b) { return a < b ? a : b; }

static bb_recurrent_state state_before(const struct job *j, const bb_segment *seg)
{
    return bb_recurrent_at(&j->m->state, seg->slot[j->slot].state[seg->from]);
}

static bb_recurrent_state state_after(const struct job *j, const bb_segment *seg)
{
    return bb_recurrent_at(&j->m->state, seg->slot[j->slot].state[seg->to]);
}

static float *own_of(const bb_exec *e, const struct job *j)
{
    return j->s.own + (size_t)e->thread * own_floats(j->m);
}

static float *ones_of(const bb_exec *e, const struct job *j)
{
    return own_of(e, j) + own_floats(j->m) - n_ones(j->m);
}

/* n floats from `first` on of each row's log. values [T rows, ld] */
static void log_columns(const bb_exec *e, const struct job *j, size_t first, int n,
                        const float *values, size_t ld)
{
    bb_recurrent_log(e->pass, j->slot, bb_mamba1_log_floats(&j->m->base), first, n, values, ld);
}

/* Channels c … end - 1, all segments: convolve, keep the window. */
static void convolve(const bb_exec *e, const struct job *j, int c, int end)
{
    const bb_mamba1 *m = j->m;
    const size_t     I = (size_t)m->dims.d_inner, at = (size_t)c, K = (size_t)m->dims.d_conv;

    if (c >= end) return;
    log_columns(e, j, at, end - c, j->s.xz + at, 2 * I);
    for (int i = 0; i < e->pass->n_segments; i++) {
        const bb_segment *seg = &e->pass->segment[i];
        const size_t      row = (size_t)seg->row;
        e->pass->k->conv1d(seg->n_rows, end - c, (int)K, j->s.xz + row * 2 * I + at, 2 * I,
                           m->conv_w + at * K, K, m->conv_b ? m->conv_b + at : NULL,
                           state_before(j, seg).window + at, state_after(j, seg).window + at, I,
                           j->s.x + row * I + at, I);
    }
}

/* Columns first … first + n - 1 of in_proj, of which x and z take turns: each to its half. */
static void sort(const bb_exec *e, const struct job *j, int first, int n)
{
    const size_t I = (size_t)j->m->dims.d_inner;

    for (size_t t = 0; t < (size_t)e->pass->T; t++) {
        const float *from = j->s.mixed + t * 2 * I;
        float       *to = j->s.xz + t * 2 * I;
        for (size_t c = (size_t)first; c < (size_t)(first + n); c++)
            to[c % 2 * I + c / 2] = from[c];
    }
}

/* Columns first … first + n - 1 of in_proj's output stand: z waits for the gate, x goes on. */
static void finish_in_proj(const bb_exec *e, const void *p, int first, int n)
{
    const struct job *j = p;
    const int         I = j->m->dims.d_inner;

    if (j->m->dims.n_heads > 0) {
        sort(e, j, first, n);
        convolve(e, j, first / 2, (first + n) / 2);     /* tiles are even */
    } else {
        convolve(e, j, first, smaller(first + n, I));
    }
    bb_mark(e, j->m->base.op[BB_MAMBA1_CONV]);
}

static float *proj_of(const bb_exec *e, const struct job *j, int h)
{
    return j->s.proj + (size_t)h * (size_t)e->pass->T * (size_t)j->m->d_proj;
}

static void fill_ones(const bb_exec *e, void *p)
{
    const struct job *j = p;
    float            *ones = ones_of(e, j);

    for (size_t i = 0; i < n_ones(j->m); i++) ones[i] = 1.0f;
}

/* The norms of dt's low rank, B and C in place: NORM_ROWS of the heads' rows. */
static void run_norm(const bb_exec *e, const void *p, int tile)
{
    const struct job     *j = p;
    const bb_mamba1_dims *d = &j->m->dims;
    const int             widths[3] = { d->dt_rank, d->d_state, d->d_state };
    const int             end = smaller((tile + 1) * NORM_ROWS, j->m->n_heads * e->pass->T);

    for (int r = tile * NORM_ROWS; r < end; r++) {
        float *x = j->s.proj + (size_t)r * (size_t)j->m->d_proj;
        for (int i = 0; i < 3; x += widths[i], i++)
            e->pass->k->rmsnorm(widths[i], x, j->m->norm[i] ? j->m->norm[i] : ones_of(e, j),
                                d->epsilon, x);
    }
}

/* -------------------------------------------------------------- scan and gate ------------ */

/* Columns first … first + n - 1 of a head's dt_proj stand: dt, then the scan of these channels. */
static void finish_dt_proj(const bb_exec *e, const void *p, int first, int n)
{
    const struct job *j = p;
    const bb_mamba1  *m = j->m;
    const size_t      I = (size_t)m->dims.d_inner, ldb = (size_t)m->d_proj;
    const int         c = j->h * m->d_head + first;

    for (size_t t = 0; t < (size_t)e->pass->T; t++) {
        float *dt = j->s.dt + t * I + c;
        e->pass->k->softplus_clamp(n, dt, m->dt_bias + c, 0.0f, INFINITY, dt);
    }
    log_columns(e, j, I + (size_t)c, n, j->s.dt + c, I);
    if (first == 0)
        log_columns(e, j, 2 * I + (size_t)(j->h * m->dims.d_state), m->dims.d_state,
                    proj_of(e, j, j->h) + m->dims.dt_rank, ldb);
    bb_mark(e, m->base.op[BB_MAMBA1_DT_PROJ]);
    for (int i = 0; i < e->pass->n_segments; i++) {
        const bb_segment      *seg = &e->pass->segment[i];
        const size_t           row = (size_t)seg->row;
        const float           *B = proj_of(e, j, j->h) + row * ldb + m->dims.dt_rank;
        const bb_recurrent_state before = state_before(j, seg), after = state_after(j, seg);
        const bb_mamba1_input  in = {
            .c = c, .n = n, .T = seg->n_rows, .pos = seg->pos, .x = j->s.x + row * I + c, .ldx = I,
            .dt = j->s.dt + row * I + c, .ld_dt = I, .B = B, .C = B + m->dims.d_state, .ldb = ldb,
            .y = j->s.xz + row * 2 * I + c, .ldy = 2 * I,
        };
        bb_mamba1_scan(m, e->pass->k, &in, &before, &after, own_of(e, j));
    }
    bb_mark(e, m->base.op[BB_MAMBA1_SCAN]);
}

/* dt's low rank, B and C of a head, from its channels. */
static void run_x_proj(const bb_exec *e, const struct job *j, int h)
{
    const bb_mamba1 *m = j->m;
    const size_t     I = (size_t)m->dims.d_inner, at = (size_t)h * (size_t)m->d_head;
    const bb_product p = { &m->head[h].x_proj, NULL,
                           bb_sink_store(proj_of(e, j, h), (size_t)m->d_proj) };
    bb_source        x = bb_source_of(e, j->s.x + at, I, m->d_head);

    bb_multiply(e, m->base.op[BB_MAMBA1_X_PROJ], &p, 1, &x, NULL);
}

/* dt_proj of a head, and at once what reads its columns. */
static void run_dt_proj(const bb_exec *e, const struct job *all, int h)
{
    const bb_mamba1  *m = all->m;
    const size_t      I = (size_t)m->dims.d_inner, at = (size_t)h * (size_t)m->d_head;
    const struct job  j = { m, all->slot, all->s, h };
    const bb_product  p = { &m->head[h].dt_proj, NULL, bb_sink_store(j.s.dt + at, I) };
    const bb_epilogue then = { .after = finish_dt_proj, .job = &j };
    const float      *proj = proj_of(e, &j, h);
    bb_source         x = bb_source_of(e, proj, (size_t)m->d_proj, m->dims.dt_rank);

    bb_multiply(e, m->base.op[BB_MAMBA1_DT_PROJ], &p, 1, &x, &then);
}

/* Row t of what out_proj reads: y · silu(z). */
static void make_gated(const bb_exec *e, const void *p, int t, float *to)
{
    const struct job *j = p;
    const size_t      I = (size_t)j->m->dims.d_inner;
    const float      *y = j->s.xz + (size_t)t * 2 * I;

    e->pass->k->silu_mul((int)I, y + I, y, to);
}

void bb_mamba1_forward(const bb_mixer *base, const bb_exec *e, const bb_call *c)
{
    const bb_mamba1  *m = (const bb_mamba1 *)base;
    const int         I = m->dims.d_inner, n_rows = m->n_heads * e->pass->T;
    bb_arena          arena = e->pass->scratch;
    struct job        j = { m, c->slot, take_scratch(m, e->pass->T, e->pass->n_threads, &arena),
                            0 };
    const bb_product  in_proj = { &m->in_proj, NULL, bb_sink_store(j.s.mixed, 2 * (size_t)I) };
    const bb_product  out_proj = { &m->out_proj, NULL, c->out };
    const bb_epilogue then = { .after = finish_in_proj, .job = &j };
    bb_source         h = c->in, y = bb_source_of(e, NULL, 0, I);

    y.make = make_gated;
    y.job = &j;
    y.op = base->op[BB_MAMBA1_GATE];
    bb_multiply(e, base->op[BB_MAMBA1_IN_PROJ], &in_proj, 1, &h, &then);
    for (int i = 0; i < m->n_heads; i++) run_x_proj(e, &j, i);
    if (m->dims.inner_norm != BB_INNER_NORM_NONE) {
        bb_each_tile_after(e, fill_ones, &j, (n_rows + NORM_ROWS - 1) / NORM_ROWS, run_norm, &j);
        bb_mark(e, base->op[BB_MAMBA1_X_PROJ]);
    }
    for (int i = 0; i < m->n_heads; i++) run_dt_proj(e, &j, i);
    bb_multiply(e, base->op[BB_MAMBA1_OUT_PROJ], &out_proj, 1, &y, NULL);
}
