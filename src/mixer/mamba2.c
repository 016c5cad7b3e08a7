/* mamba2.c - the Mamba-2 mixer.
 *
 * Segments of up to BB_FEW_ROWS rows run the recurrence token by token (a row then has the bits it
 * has when fed alone); longer ones run in chunks of Q tokens whose edges sit at absolute positions.
 * State of a session: the window of K-1 raw (pre-conv) columns, then S [H, P, N].
 * Source: Dao & Gu 2024, arXiv:2405.21060; state-spaces/mamba modules/mamba2.py. */
#include "graph/bind.h"
#include "mixer/count.h"
#include "mixer/mixers.h"
#include "mixer/product.h"

#include <math.h>

enum { Q = 64 };                          /* chunk: decays cost Q²/2 exp per head, states N·P/Q */

typedef struct bb_mamba2 {
    bb_mixer       base;
    bb_mamba2_dims dims;
    int            d_inner, d_xbc, d_proj;            /* I, C = I + 2GN, 2I + 2GN + H */
    bb_linear      in_proj, out_proj;
    const float   *conv_w;                /* [C, K] */
    const float   *conv_b;                /* [C] or NULL */
    const float   *dt_bias, *A, *D;       /* [H]; A = -exp(A_log) */
    const float   *norm;                  /* [I] */
} bb_mamba2;

/* -------------------------------------------------------------- weights ------------------ */

static float minus_exp(float a_log) { return -expf(a_log); }

static void bind(bb_mixer *base, bb_binder *b)
{
    bb_mamba2            *m = (bb_mamba2 *)base;
    const bb_mamba2_dims *d = &m->dims;

    bb_bind_linear(b, &m->in_proj, "in_proj", m->d_proj, d->d_model, d->proj_bias);
    bb_bind_small(b, &m->conv_w, "conv1d.weight", (const int[]){ m->d_xbc, 1, d->d_conv, 0 });
    if (d->conv_bias) bb_bind_vector(b, &m->conv_b, "conv1d.bias", m->d_xbc);
    bb_bind_vector(b, &m->dt_bias, "dt_bias", d->n_heads);
    bb_bind_vector(b, &m->A, "A_log", d->n_heads);
    bb_bind_map(b, m->A, d->n_heads, minus_exp);
    bb_bind_vector(b, &m->D, "D", d->n_heads);
    bb_bind_vector(b, &m->norm, "norm.weight", m->d_inner);
    bb_bind_linear(b, &m->out_proj, "out_proj", d->d_model, m->d_inner, d->proj_bias);
}

/* -------------------------------------------------------------- memory ------------------- */

struct state {
    float *window;                        /* [K-1, C] raw columns, oldest first */
    float *S;                             /* [H, P, N] */
};

static struct state take_state(const bb_mamba2 *m, bb_arena *a)
{
    const bb_mamba2_dims *d = &m->dims;
    struct state          s;

    s.window = bb_take(a, (size_t)(d->d_conv - 1) * (size_t)m->d_xbc, sizeof(float));
    s.S      = bb_take(a, (size_t)m->d_inner * (size_t)d->d_state, sizeof(float));
    return s;
}

static size_t state_bytes(const bb_mixer *base, size_t positions)
{
    bb_arena a = BB_MEASURE;

    (void)positions;
    a.plain = true;
    take_state((const bb_mamba2 *)base, &a);
    return a.overflow ? SIZE_MAX : a.used;
}

/* The state of a session lies where the engine put it; carve it the way it was measured. */
static struct state state_of(const bb_mamba2 *m, const bb_segment *seg)
{
    bb_arena a = { .base = seg->state[m->base.slot], .size = SIZE_MAX, .plain = true };
    return take_state(m, &a);
}

struct scratch {
    float *zxbcdt;                        /* [T, 2I + 2GN + H]  in_proj output */
    float *xbc;                           /* [T, I + 2GN]       after conv and SiLU; y replaces x */
    float *dt;                            /* [T, H]             after softplus and clamp */
    float *cb;                            /* [chunks, G, Q, Q]  C·Bᵀ of the long segments */
    float *decay;                         /* [n_threads, BB_SSD_SCRATCH] */
    float *out;                           /* [T, D] */
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
    s.decay  = bb_take(a, (size_t)n_threads
                              * BB_SSD_SCRATCH(Q, m->dims.d_head, m->dims.d_state),
                       sizeof(float));
    s.out    = bb_take(a, t * (size_t)m->dims.d_model, sizeof(float));
    return s;
}

static size_t scratch_bytes(const bb_mixer *base, int T, int n_threads)
{
    bb_arena a = BB_MEASURE;

    take_scratch((const bb_mamba2 *)base, T, n_threads, &a);
    return a.overflow ? SIZE_MAX : a.used;
}

/* -------------------------------------------------------------- stages ------------------- */

struct job {
    const bb_mamba2 *m;
    struct scratch   s;
};

static bool is_long(const bb_segment *seg) { return seg->n_rows > BB_FEW_ROWS; }

static int larger(int a, int b) { return a > b ? a : b; }
static int smaller(int a, int b) { return a < b ? a : b; }

/* Channels first … end - 1 of xBC, all segments: convolve, remember the window. */
static void convolve(const bb_exec *e, const struct job *j, int first, int end)
{
    const bb_mamba2 *m = j->m;
    const size_t     ld = (size_t)m->d_proj;
    const int        K = m->dims.d_conv;
    const size_t     c = (size_t)first;

    if (first >= end) return;
    for (int i = 0; i < e->n_segments; i++) {
        const bb_segment *seg = &e->segment[i];
        const size_t      row = (size_t)seg->row;
        e->k->conv1d(seg->n_rows, end - first, K, j->s.zxbcdt + row * ld + (size_t)m->d_inner + c, ld,
                     m->conv_w + c * (size_t)K, (size_t)K, m->conv_b ? m->conv_b + c : NULL,
                     state_of(m, seg).window + c, state_of(m, seg).window + c, (size_t)m->d_xbc,
                     j->s.xbc + row * (size_t)m->d_xbc + c, (size_t)m->d_xbc);
    }
}

/* Columns first … first + n - 1 of in_proj's output stand: z waits for the norm, xBC and dt can go on. */
static void finish_in_proj(const bb_exec *e, const void *p, int first, int n)
{
    const struct job     *j = p;
    const bb_mamba2      *m = j->m;
    const bb_mamba2_dims *d = &m->dims;
    const int             xbc_end = m->d_inner + m->d_xbc;
    const int             h = larger(first - xbc_end, 0);          /* heads h … h_end - 1 of dt */
    const int             h_end = first + n - xbc_end;

    convolve(e, j, larger(first - m->d_inner, 0), smaller(first + n, xbc_end) - m->d_inner);
    for (size_t t = 0; h < h_end && t < (size_t)e->T; t++)
        e->k->softplus_clamp(h_end - h, j->s.zxbcdt + t * (size_t)m->d_proj + (size_t)(xbc_end + h),
                             m->dt_bias + h, d->dt_min, d->dt_max,
                             j->s.dt + t * (size_t)d->n_heads + (size_t)h);
    bb_mark(e, BB_OP_CONV);
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

static int count_chunks(const bb_segment *seg)
{
    const int after = seg->n_rows - (Q - seg->pos % Q);
    return after > 0 ? 1 + (after + Q - 1) / Q : 1;
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

    for (int i = 0; i < e->n_segments; i++) {
        const bb_segment *seg = &e->segment[i];
        const int         n = is_long(seg) ? count_chunks(seg) : 0;
        int               first;
        if (chunk >= n) {
            chunk -= n;
            continue;
        }
        const int    rows = chunk_rows(seg, chunk, &first);
        const float *B = j->s.xbc + (size_t)(seg->row + first) * ld + (size_t)m->d_inner
                       + (size_t)g * (size_t)N;
        e->k->ssd_cb(rows, N, B, B + (size_t)G * (size_t)N, ld, j->s.cb + (size_t)tile * Q * Q);
        return;
    }
}

static void scan_steps(const bb_exec *e, const struct job *j, const bb_segment *seg, int h)
{
    const bb_mamba2 *m = j->m;
    const int        P = m->dims.d_head;
    const int        N = m->dims.d_state;
    const int        g = h / (m->dims.n_heads / m->dims.n_groups);
    float           *S = state_of(m, seg).S + (size_t)h * (size_t)P * (size_t)N;

    for (int t = seg->row; t < seg->row + seg->n_rows; t++) {
        float       *xbc = j->s.xbc + (size_t)t * (size_t)m->d_xbc;
        float       *x = xbc + (size_t)h * (size_t)P;
        const float *B = xbc + (size_t)m->d_inner + (size_t)g * (size_t)N;
        const float *C = B + (size_t)m->dims.n_groups * (size_t)N;
        const float *dt = j->s.dt + (size_t)t * (size_t)m->dims.n_heads + h;
        e->k->ssd_step(1, P, N, x, dt, m->A + h, B, C, m->D + h, S, S, x);
    }
}

/* first_cb: number of the segment's first chunk among all. */
static void scan_chunks(const bb_exec *e, const struct job *j, const bb_segment *seg, int first_cb,
                        int h)
{
    const bb_mamba2 *m = j->m;
    const size_t     ld = (size_t)m->d_xbc;
    const int        P = m->dims.d_head;
    const int        N = m->dims.d_state;
    const int        G = m->dims.n_groups;
    const int        g = h / (m->dims.n_heads / G);
    float           *S = state_of(m, seg).S + (size_t)h * (size_t)P * (size_t)N;
    float           *decay = j->s.decay + (size_t)e->thread * BB_SSD_SCRATCH(Q, P, N);

    for (int i = 0, n = count_chunks(seg); i < n; i++) {
        int          first;
        const int    rows = chunk_rows(seg, i, &first);
        const size_t t = (size_t)(seg->row + first);
        float       *x = j->s.xbc + t * ld + (size_t)h * (size_t)P;
        const float *B = j->s.xbc + t * ld + (size_t)m->d_inner + (size_t)g * (size_t)N;
        const float *cb = j->s.cb + ((size_t)(first_cb + i) * (size_t)G + (size_t)g) * Q * Q;
        e->k->ssd_chunk(rows, P, N, x, ld, j->s.dt + t * (size_t)m->dims.n_heads + h,
                        (size_t)m->dims.n_heads, m->A[h], B, B + (size_t)G * (size_t)N, ld, cb,
                        m->D[h], S, S, x, ld, decay);
    }
}

/* One tile a segment and head. */
static void run_scan(const bb_exec *e, const void *p, int tile)
{
    const struct job *j = p;
    const int         h = tile % j->m->dims.n_heads;
    const int         i = tile / j->m->dims.n_heads;
    int               first_cb = 0;

    if (!is_long(&e->segment[i])) {
        scan_steps(e, j, &e->segment[i], h);
        return;
    }
    for (int s = 0; s < i; s++)
        if (is_long(&e->segment[s])) first_cb += count_chunks(&e->segment[s]);
    scan_chunks(e, j, &e->segment[i], first_cb, h);
}

/* Row t of what out_proj reads: norm(y · silu(z)). */
static void make_normed(const bb_exec *e, const void *p, int t, float *to)
{
    const struct job *j = p;
    const bb_mamba2  *m = j->m;

    e->k->gated_rmsnorm(m->d_inner, m->dims.n_groups, j->s.xbc + (size_t)t * (size_t)m->d_xbc,
                        j->s.zxbcdt + (size_t)t * (size_t)m->d_proj, m->norm, m->dims.epsilon, to);
}

static void forward(const bb_mixer *base, const bb_exec *e)
{
    const bb_mamba2 *m = (const bb_mamba2 *)base;
    bb_arena         arena = e->scratch;
    const struct job j = { .m = m, .s = take_scratch(m, e->T, e->n_threads, &arena) };
    const bb_product in_proj = { &m->in_proj, j.s.zxbcdt, (size_t)m->d_proj };
    bb_operand       h = bb_operand_of(e->T, m->dims.d_model, e->h);
    bb_operand       y = bb_operand_of(e->T, m->d_inner, (bb_rows){ .make = make_normed, .job = &j, .op = BB_OP_GATED_NORM });
    int              n_chunks = 0;

    for (int i = 0; i < e->n_segments; i++)
        if (is_long(&e->segment[i])) n_chunks += count_chunks(&e->segment[i]);

    bb_multiply(e, BB_OP_IN_PROJ, &in_proj, 1, &h, finish_in_proj, &j);
    if (n_chunks > 0) bb_each_tile(e, n_chunks * m->dims.n_groups, run_cb, &j);
    bb_each_tile(e, e->n_segments * m->dims.n_heads, run_scan, &j);
    bb_mark(e, BB_OP_SCAN);
    bb_multiply_add(e, BB_OP_OUT_PROJ, &m->out_proj, &y, j.s.out);
}

static void print(const bb_mixer *base, bb_printer *p)
{
    const bb_mamba2_dims *d = &((const bb_mamba2 *)base)->dims;

    bb_print(p, "%d -> %d heads x %d, state %d, groups %d, conv %d%s%s", d->d_model, d->n_heads,
             d->d_head, d->d_state, d->n_groups, d->d_conv, d->conv_bias ? " + bias" : "",
             d->proj_bias ? ", bias" : "");
    if (d->dt_min > 0 || isfinite(d->dt_max))
        bb_print(p, ", dt %g ... %g", (double)d->dt_min, (double)d->dt_max);
}

static void count(const bb_mixer *base, const bb_work *w, bb_count *c)
{
    const bb_mamba2      *m = (const bb_mamba2 *)base;
    const bb_mamba2_dims *d = &m->dims;

    bb_count_product(&m->in_proj, w->T, &c[BB_OP_IN_PROJ]);
    bb_count_conv((uint64_t)m->d_xbc, (uint64_t)d->d_conv, w, &c[BB_OP_CONV]);
    bb_count_scan((uint64_t)d->n_heads, (uint64_t)d->d_head, (uint64_t)d->d_state, w,
                  &c[BB_OP_SCAN]);
    bb_count_gated_norm((uint64_t)m->d_inner, w, &c[BB_OP_GATED_NORM]);
    bb_count_product(&m->out_proj, w->T, &c[BB_OP_OUT_PROJ]);
}

static const bb_mixer_kind kind = {
    .name = "mamba2", .bind = bind, .state_bytes = state_bytes, .scratch_bytes = scratch_bytes,
    .forward = forward, .print = print, .count = count,
};

void bb_plan_mamba2(bb_plan *p, const char *prefix, const bb_mamba2_dims *dims)
{
    const int64_t inner = (int64_t)dims->n_heads * dims->d_head;
    const int64_t xbc = inner + 2 * (int64_t)dims->n_groups * dims->d_state;

    if (2 * inner + xbc + dims->n_heads > BB_MAX_DIM) {
        bb_plan_fail(p, BAMBA_ERR_UNSUPPORTED, "'%s%s': Mamba-2 mixer wider than %d", p->prefix,
                     prefix, BB_MAX_DIM);
        return;
    }
    bb_mamba2 *m = (bb_mamba2 *)bb_plan_mixer(p, &kind, sizeof *m, prefix, true);
    if (!m) return;
    m->dims = *dims;
    m->d_inner = (int)inner;
    m->d_xbc = (int)xbc;
    m->d_proj = (int)(inner + xbc) + dims->n_heads;
}
