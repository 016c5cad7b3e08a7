/* mamba2.c - the Mamba-2 mixer: a pass.
 *
 * Segments of up to BB_FEW_ROWS rows run the recurrence token by token (a row then has the bits it
 * has when fed alone); longer ones run in chunks of Q tokens whose edges sit at absolute positions.
 * Source: Dao & Gu 2024, arXiv:2405.21060; state-spaces/mamba modules/mamba2.py. */
#include "mixer/mamba2_internal.h"
#include "mixer/product.h"

enum { Q = BB_MAMBA2_CHUNK };

/* -------------------------------------------------------------- memory ------------------- */

struct scratch {
    float *zxbcdt;                        /* [T, 2I + 2GN + H]  in_proj output */
    float *xbc;                           /* [T, I + 2GN]       after conv and SiLU; y replaces x */
    float *dt;                            /* [T, H]             after softplus and clamp */
    float *cb;                            /* [chunks, G, Q, Q]  C·Bᵀ of the long segments */
    float *own;                           /* [n_threads, bb_mamba2_own_floats] */
};

/* Most chunks that segments of more than BB_FEW_ROWS rows can have in T rows: a segment of n rows
   touches at most n/Q + 2, and there are at most T/33 such segments. */
static size_t max_chunks(int T) { return (size_t)T / Q + 2 * ((size_t)T / (BB_FEW_ROWS + 1)); }

static struct scratch take_scratch(const bb_mamba2 *m, int T, int n_threads, bb_arena *a)
{
    const size_t   t = (size_t)T;
    struct scratch s;

    s.zxbcdt = bb_take(a, t * (size_t)m->d_proj, sizeof(float));
    s.xbc    = bb_take(a, t * (size_t)m->d_xbc, sizeof(float));
    s.dt     = bb_take(a, t * (size_t)m->dims.n_heads, sizeof(float));
    s.cb     = bb_take(a, max_chunks(T) * (size_t)m->dims.n_groups * Q * Q, sizeof(float));
    s.own    = bb_take(a, (size_t)n_threads * bb_mamba2_own_floats(m), sizeof(float));
    return s;
}

size_t bb_mamba2_scratch_bytes(const bb_mixer *base, int T, int n_threads)
{
    bb_arena a = BB_MEASURE;

    take_scratch((const bb_mamba2 *)base, T, n_threads, &a);
    return a.overflow ? SIZE_MAX : a.used;
}

/* -------------------------------------------------------------- stages ------------------- */

struct job {
    const bb_mamba2 *m;
    int              slot;
    struct scratch   s;
};

static bool is_long(const bb_segment *seg) { return seg->n_rows > BB_FEW_ROWS; }

static int larger(int a, int b) { return a > b ? a : b; }
static int smaller(int a, int b) { return a < b ? a : b; }

static bb_recurrent_state state_before(const struct job *j, const bb_segment *seg)
{
    return bb_recurrent_at(&j->m->state, seg->slot[j->slot].state[seg->from]);
}

static bb_recurrent_state state_after(const struct job *j, const bb_segment *seg)
{
    return bb_recurrent_at(&j->m->state, seg->slot[j->slot].state[seg->to]);
}

/* n columns from `first` on of what the state space is fed. values [T rows, ld] */
static void log_columns(const bb_exec *e, const struct job *j, int first, int n,
                        const float *values, size_t ld)
{
    bb_recurrent_log(e->pass, j->slot, bb_mamba2_log_floats(&j->m->base), (size_t)first, n, values,
                     ld);
}

/* Channels first … end - 1 of xBC, all segments: convolve, keep the window. */
static void convolve(const bb_exec *e, const struct job *j, int first, int end)
{
    const bb_mamba2 *m = j->m;
    const size_t     ld = (size_t)m->d_proj;
    const int        K = m->dims.d_conv;
    const size_t     c = (size_t)first;

    if (first >= end) return;
    log_columns(e, j, first, end - first, j->s.zxbcdt + (size_t)m->d_inner + c, ld);
    for (int i = 0; i < e->pass->n_segments; i++) {
        const bb_segment *seg = &e->pass->segment[i];
        const size_t      row = (size_t)seg->row;
        e->pass->k->conv1d(seg->n_rows, end - first, K,
                           j->s.zxbcdt + row * ld + (size_t)m->d_inner + c, ld,
                           m->conv_w + c * (size_t)K, (size_t)K, m->conv_b ? m->conv_b + c : NULL,
                           state_before(j, seg).window + c, state_after(j, seg).window + c,
                           (size_t)m->d_xbc, j->s.xbc + row * (size_t)m->d_xbc + c,
                           (size_t)m->d_xbc);
    }
}

/* dt of heads h … end - 1, all rows. */
static void make_dt(const bb_exec *e, const struct job *j, int h, int end)
{
    const bb_mamba2      *m = j->m;
    const bb_mamba2_dims *d = &m->dims;
    const float          *raw = j->s.zxbcdt + m->d_inner + m->d_xbc + h;

    if (h >= end) return;
    for (size_t t = 0; t < (size_t)e->pass->T; t++)
        e->pass->k->softplus_clamp(end - h, raw + t * (size_t)m->d_proj, m->dt_bias + h, d->dt_min,
                                   d->dt_max, j->s.dt + t * (size_t)d->n_heads + h);
    log_columns(e, j, m->d_xbc + h, end - h, j->s.dt + h, (size_t)d->n_heads);
}

/* Columns first … first + n - 1 of in_proj's output stand: z waits for the norm; xBC, dt go on. */
static void finish_in_proj(const bb_exec *e, const void *p, int first, int n)
{
    const struct job *j = p;
    const bb_mamba2  *m = j->m;
    const int         xbc_end = m->d_inner + m->d_xbc;

    convolve(e, j, larger(first - m->d_inner, 0), smaller(first + n, xbc_end) - m->d_inner);
    make_dt(e, j, larger(first - xbc_end, 0), first + n - xbc_end);
    bb_mark(e, m->base.op[BB_MAMBA2_CONV]);
}

/* Rows of a segment's chunk number i: [*first, *first + count) relative to the segment. */
static int chunk_rows(const bb_segment *seg, int i, int *first)
{
    const int lead = Q - seg->pos % Q;                /* rows up to the first absolute edge */
    const int begin = i == 0 ? 0 : lead + (i - 1) * Q;
    const int end = lead + i * Q < seg->n_rows ? lead + i * Q : seg->n_rows;

    *first = begin;
    return end - begin;
}

/* 0 if the segment runs token by token. */
static int count_chunks(const bb_segment *seg)
{
    const int after = seg->n_rows - (Q - seg->pos % Q);
    return !is_long(seg) ? 0 : after > 0 ? 1 + (after + Q - 1) / Q : 1;
}

/* One tile a chunk and group: C·Bᵀ, which the heads of the group share. */
static void run_cb(const bb_exec *e, const void *p, int tile)
{
    const struct job *j = p;
    const bb_mamba2  *m = j->m;
    const int         G = m->dims.n_groups;
    const int         N = m->dims.d_state;
    const int         g = tile % G;
    const size_t      ld = (size_t)m->d_xbc;
    int               chunk = tile / G;

    for (int i = 0; i < e->pass->n_segments; i++) {
        const bb_segment *seg = &e->pass->segment[i];
        const int         n = count_chunks(seg);
        int               first;
        if (chunk >= n) {
            chunk -= n;
            continue;
        }
        const int    rows = chunk_rows(seg, chunk, &first);
        const float *B = j->s.xbc + (size_t)(seg->row + first) * ld + (size_t)m->d_inner
                       + (size_t)g * (size_t)N;
        e->pass->k->ssd_cb(rows, N, B, B + (size_t)G * (size_t)N, ld,
                           j->s.cb + (size_t)tile * Q * Q);
        return;
    }
}

/* Head h of a segment, token by token or in chunks, of which the first is number first_cb of the
   pass. */
static void scan(const bb_exec *e, const struct job *j, const bb_segment *seg, int first_cb, int h)
{
    const bb_mamba2     *m = j->m;
    const size_t         N = (size_t)m->dims.d_state, G = (size_t)m->dims.n_groups;
    const size_t         g = (size_t)(h / (m->dims.n_heads / m->dims.n_groups));
    const size_t         x_at = (size_t)h * (size_t)m->dims.d_head;
    const size_t         at = x_at * bb_recurrent_row_bytes(&m->state);
    const unsigned char *S_in = state_before(j, seg).S + at;
    unsigned char       *S = state_after(j, seg).S + at;
    float               *own = j->s.own + (size_t)e->thread * bb_mamba2_own_floats(m);
    const int            n = is_long(seg) ? count_chunks(seg) : 1;

    for (int i = 0; i < n; i++, S_in = S) {
        int          first = 0;
        const int    rows = is_long(seg) ? chunk_rows(seg, i, &first) : seg->n_rows;
        const size_t t = (size_t)(seg->row + first);
        float *const xbc = j->s.xbc + t * (size_t)m->d_xbc;

        const bb_mamba2_input in = {
            .h = h, .pos = seg->pos + first, .n = rows, .is_chunk = is_long(seg),
            .dt = j->s.dt + t * (size_t)m->dims.n_heads + h,
            .ld_dt = (size_t)m->dims.n_heads, .x = xbc + x_at,
            .B = xbc + m->d_inner + g * N, .C = xbc + m->d_inner + (G + g) * N,
            .CB = j->s.cb + ((size_t)(first_cb + i) * G + g) * Q * Q,
        };
        bb_mamba2_advance(m, e->pass->k, &in, S_in, S, own);
    }
}

/* One tile a segment and head. */
static void run_scan(const bb_exec *e, const void *p, int tile)
{
    const struct job *j = p;
    const int         i = tile / j->m->dims.n_heads;
    int               first_cb = 0;

    for (int s = 0; s < i && is_long(&e->pass->segment[i]); s++)
        first_cb += count_chunks(&e->pass->segment[s]);
    scan(e, j, &e->pass->segment[i], first_cb, tile % j->m->dims.n_heads);
}

/* Row t of what out_proj reads: y, gated by z, normed by groups, or both. */
static void make_gated(const bb_exec *e, const void *p, int t, float *to)
{
    const struct job *j = p;
    const bb_mamba2  *m = j->m;
    const bb_kernels *k = e->pass->k;
    const int         n = m->dims.gate == BB_NORM_THEN_GATE ? m->d_inner / m->dims.n_groups : 0;
    const float      *y = j->s.xbc + (size_t)t * (size_t)m->d_xbc;
    const float      *z = j->s.zxbcdt + (size_t)t * (size_t)m->d_proj;

    if (m->dims.gate == BB_GATE_THEN_NORM) {
        k->gated_rmsnorm(m->d_inner, m->dims.n_groups, y, z, m->norm, m->dims.epsilon, to);
        return;
    }
    for (int i = 0; n > 0 && i < m->d_inner; i += n)
        k->rmsnorm(n, y + i, m->norm + i, m->dims.epsilon, to + i);
    k->silu_mul(m->d_inner, z, n > 0 ? to : y, to);
}

void bb_mamba2_forward(const bb_mixer *base, const bb_exec *e, const bb_call *c)
{
    const bb_mamba2    *m = (const bb_mamba2 *)base;
    bb_arena            arena = e->pass->scratch;
    const struct job    j = { m, c->slot, take_scratch(m, e->pass->T, e->pass->n_threads, &arena) };
    const bb_product    in_proj = { &m->in_proj, NULL,
                                    bb_sink_store(j.s.zxbcdt, (size_t)m->d_proj) };
    const bb_product    out_proj = { &m->out_proj, NULL, c->out };
    const bb_epilogue   then = { .after = finish_in_proj, .job = &j };
    bb_source           h = c->in, y = bb_source_of(e, NULL, 0, m->d_inner);
    int                 n_chunks = 0;

    y.make = make_gated;
    y.job = &j;
    y.op = base->op[BB_MAMBA2_GATED_NORM];
    for (int i = 0; i < e->pass->n_segments; i++) n_chunks += count_chunks(&e->pass->segment[i]);

    bb_multiply(e, base->op[BB_MAMBA2_IN_PROJ], &in_proj, 1, &h, &then);
    if (n_chunks > 0) bb_each_tile(e, n_chunks * m->dims.n_groups, run_cb, &j);
    bb_each_tile(e, e->pass->n_segments * m->dims.n_heads, run_scan, &j);
    bb_mark(e, base->op[BB_MAMBA2_SCAN]);
    bb_multiply(e, base->op[BB_MAMBA2_OUT_PROJ], &out_proj, 1, &y, NULL);
}
