/* mamba2.c - the Mamba-2 mixer.
 *
 * Segments of up to BB_FEW_ROWS rows run the recurrence token by token (a row then has the bits it
 * has when fed alone); longer ones run in chunks of Q tokens whose edges sit at absolute positions.
 * State of a session: the window of K-1 raw (pre-conv) columns, then S [H, P, N]. A pass reads one
 * state and writes another, or the same in place. The log of a row is what the state space was fed:
 * raw xBC [C], then dt [H] after softplus and clamp.
 * S may be kept in fewer bits (bb_rows). It is then rounded wherever a kernel ends, after each
 * token or chunk, so that the promises about bits hold as in float32: a call may end there or not.
 * The noise of the rounding depends on the last token's position and on the row's place in S alone.
 * Source: Dao & Gu 2024, arXiv:2405.21060; state-spaces/mamba modules/mamba2.py. */
#include "graph/bind.h"
#include "mixer/count.h"
#include "mixer/mixers.h"
#include "mixer/product.h"
#include "mixer/recurrent.h"

#include <math.h>
#include <string.h>

enum { IN_PROJ, CONV, SCAN, GATED_NORM, OUT_PROJ };               /* operations, as named below */
enum { Q = BB_EDGE };                     /* chunk: decays cost Q²/2 exp per head, states N·P/Q */

typedef struct bb_mamba2 {
    bb_mixer       base;
    bb_mamba2_dims dims;
    int            d_inner, d_xbc, d_proj;            /* I, C = I + 2GN, 2I + 2GN + H */
    bb_recurrent   state;
    bb_linear      in_proj, out_proj;
    const float   *conv_w;                /* [C, K] */
    const float   *conv_b;                /* [C] or NULL */
    const float   *dt_bias, *A, *D;       /* [H]; A = -exp(A_log) */
    const float   *norm;                  /* [I]; NULL: y is gated alone */
} bb_mamba2;

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

/* -------------------------------------------------------------- memory ------------------- */

static size_t row_bytes(const bb_mamba2 *m) { return bb_recurrent_row_bytes(&m->state); }

static size_t state_bytes(const bb_mixer *base)
{
    return bb_recurrent_bytes(&((const bb_mamba2 *)base)->state);
}

struct scratch {
    float *zxbcdt;                        /* [T, 2I + 2GN + H]  in_proj output */
    float *xbc;                           /* [T, I + 2GN]       after conv and SiLU; y replaces x */
    float *dt;                            /* [T, H]             after softplus and clamp */
    float *cb;                            /* [chunks, G, Q, Q]  C·Bᵀ of the long segments */
    float *own;                           /* [n_threads, own_floats] */
};

/* Scratch of a thread: that of a chunk, and a head's S [P, N] where it is kept in fewer bits. */
static size_t chunk_floats(const bb_mamba2 *m)
{
    return BB_SSD_SCRATCH(Q, m->dims.d_head, m->dims.d_state);
}

static size_t own_floats(const bb_mamba2 *m)
{
    const size_t head = (size_t)m->dims.d_head * (size_t)m->dims.d_state;
    return chunk_floats(m) + (m->state.type == BB_TYPE_F32 ? 0 : head);
}

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
    s.own    = bb_take(a, (size_t)n_threads * own_floats(m), sizeof(float));
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

static size_t log_floats(const bb_mixer *base)
{
    const bb_mamba2 *m = (const bb_mamba2 *)base;
    return (size_t)m->d_xbc + (size_t)m->dims.n_heads;
}

/* n columns from `first` on of what the state space is fed. values [T rows, ld] */
static void log_columns(const bb_exec *e, const struct job *j, int first, int n,
                        const float *values, size_t ld)
{
    bb_recurrent_log(e->pass, j->slot, log_floats(&j->m->base), (size_t)first, n, values, ld);
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
    bb_mark(e, m->base.op[CONV]);
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

/* ---- the state space of one head ---- */

/* What is fed to a head: n tokens, as one chunk or step by step. The next token's xBC is d_xbc
   further on, its dt ld_dt. */
struct input {
    int          h, pos;                  /* head; position of the first token */
    int          n;
    bool         is_chunk;
    const float *dt;
    size_t       ld_dt;
    const float *B, *C, *CB;              /* CB: of a chunk */
    float       *x;                       /* replaced by y */
};

/* Rows p … p + n - 1 of the head, whose S_in and S_out are float32 [n, N], through the chunk or
   through token t. Rows of the state do not depend on each other. */
static void advance(const bb_mamba2 *m, const bb_kernels *k, const struct input *in, int t, int p,
                    int n, const float *S_in, float *S_out, float *scratch)
{
    const size_t ld = (size_t)m->d_xbc, at = (size_t)t * ld;
    const int    N = m->dims.d_state;
    float *const x = in->x + at + p;

    if (in->is_chunk)
        k->ssd_chunk(in->n, n, N, x, ld, in->dt, in->ld_dt, m->A[in->h], in->B, in->C, ld, in->CB,
                     m->D[in->h], S_in, S_out, x, ld, scratch);
    else k->ssd_step(1, n, N, x, in->dt + (size_t)t * in->ld_dt, m->A + in->h, in->B + at,
                     in->C + at, m->D + in->h, S_in, S_out, x);
}

/* advance() where S is kept in fewer bits than float32: its rows are widened to `wide` [n, N],
   advanced there, and rounded back. */
static void advance_narrow(const bb_mamba2 *m, const bb_kernels *k, const struct input *in, int t,
                           int p, int n, const unsigned char *S_in, unsigned char *S_out,
                           float *wide, float *scratch)
{
    const bb_rows *r = &k->rows[m->state.type];
    const int      N = m->dims.d_state, last = in->pos + (in->is_chunk ? in->n - 1 : t);
    const uint32_t noise = (uint32_t)last * 0x9e3779b1u + (uint32_t)(in->h * m->dims.d_head + p);

    r->get(n, N, S_in, wide);
    advance(m, k, in, t, p, n, wide, wide, scratch);
    r->put(n, N, wide, noise, S_out);
}

/* All tokens of a head. In steps a few rows of S take all of them before the next rows do, in the
   first-level cache; a single token has nothing to find there again. */
static void advance_head(const bb_mamba2 *m, const bb_kernels *k, const struct input *in,
                         const unsigned char *S_in, unsigned char *S_out, float *own)
{
    enum { PIECE = 16 };
    const bool is_wide = m->state.type == BB_TYPE_F32;
    const int  P = m->dims.d_head, n_steps = in->is_chunk ? 1 : in->n;
    const int  piece = in->is_chunk || (is_wide && n_steps == 1) ? P : PIECE;

    for (int p = 0; p < P; p += piece) {
        const int            n = smaller(piece, P - p);
        const size_t         at = (size_t)p * row_bytes(m);
        const unsigned char *from = S_in + at;
        unsigned char *const to = S_out + at;
        for (int t = 0; t < n_steps; t++, from = to) {
            if (is_wide)
                advance(m, k, in, t, p, n, (const float *)(const void *)from,
                        (float *)(void *)to, own);
            else advance_narrow(m, k, in, t, p, n, from, to, own + chunk_floats(m), own);
        }
    }
}

/* Head h of a segment, token by token or in chunks, of which the first is number first_cb of the
   pass. */
static void scan(const bb_exec *e, const struct job *j, const bb_segment *seg, int first_cb, int h)
{
    const bb_mamba2     *m = j->m;
    const size_t         N = (size_t)m->dims.d_state, G = (size_t)m->dims.n_groups;
    const size_t         g = (size_t)(h / (m->dims.n_heads / m->dims.n_groups));
    const size_t         x_at = (size_t)h * (size_t)m->dims.d_head, at = x_at * row_bytes(m);
    const unsigned char *S_in = state_before(j, seg).S + at;
    unsigned char       *S = state_after(j, seg).S + at;
    float               *own = j->s.own + (size_t)e->thread * own_floats(m);
    const int            n = is_long(seg) ? count_chunks(seg) : 1;

    for (int i = 0; i < n; i++, S_in = S) {
        int          first = 0;
        const int    rows = is_long(seg) ? chunk_rows(seg, i, &first) : seg->n_rows;
        const size_t t = (size_t)(seg->row + first);
        float *const xbc = j->s.xbc + t * (size_t)m->d_xbc;
        const struct input in = {
            .h = h, .pos = seg->pos + first, .n = rows, .is_chunk = is_long(seg),
            .dt = j->s.dt + t * (size_t)m->dims.n_heads + h,
            .ld_dt = (size_t)m->dims.n_heads, .x = xbc + x_at,
            .B = xbc + m->d_inner + g * N, .C = xbc + m->d_inner + (G + g) * N,
            .CB = j->s.cb + ((size_t)(first_cb + i) * G + g) * Q * Q,
        };
        advance_head(m, e->pass->k, &in, S_in, S, own);
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

static void forward(const bb_mixer *base, const bb_exec *e, const bb_call *c)
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
    y.op = base->op[GATED_NORM];
    for (int i = 0; i < e->pass->n_segments; i++) n_chunks += count_chunks(&e->pass->segment[i]);

    bb_multiply(e, base->op[IN_PROJ], &in_proj, 1, &h, &then);
    if (n_chunks > 0) bb_each_tile(e, n_chunks * m->dims.n_groups, run_cb, &j);
    bb_each_tile(e, e->pass->n_segments * m->dims.n_heads, run_scan, &j);
    bb_mark(e, base->op[SCAN]);
    bb_multiply(e, base->op[OUT_PROJ], &out_proj, 1, &y, NULL);
}

/* -------------------------------------------------------------- saving and replaying ----- */

static size_t saved_bytes(const bb_mixer *base, size_t n_positions)
{
    (void)n_positions;
    return bb_recurrent_saved_bytes(&((const bb_mamba2 *)base)->state);
}

static int parts(const bb_mixer *base, size_t n_positions, bb_part part[BB_MIXER_PARTS])
{
    const bb_mamba2      *m = (const bb_mamba2 *)base;
    const bb_mamba2_dims *d = &m->dims;

    (void)n_positions;
    part[0] = (bb_part){ "window", BB_TYPE_F32, { (size_t)(d->d_conv - 1), (size_t)m->d_xbc } };
    part[1] = (bb_part){ "state", BB_TYPE_F32,
                         { (size_t)d->n_heads, (size_t)d->d_head, (size_t)d->d_state } };
    return 2;
}

static void save(const bb_mixer *base, const bb_kernels *k, const void *state,
                 const bb_pages *cache, size_t first, size_t end, void *out, float *scratch)
{
    (void)cache, (void)first, (void)end, (void)scratch;
    bb_recurrent_save(&((const bb_mamba2 *)base)->state, k, state, out);
}

static void load(const bb_mixer *base, const bb_kernels *k, const void *in, size_t first,
                 size_t end, void *state, const bb_pages *cache, float *scratch)
{
    (void)cache, (void)first, (void)end, (void)scratch;
    if (state) bb_recurrent_load(&((const bb_mamba2 *)base)->state, k, in, state);
}

/* Of replay: xBC of a chunk, its C·Bᵀ, and what a thread has. */
static size_t scratch_floats(const bb_mixer *base)
{
    const bb_mamba2 *m = (const bb_mamba2 *)base;
    return Q * (size_t)m->d_xbc + Q * Q + own_floats(m);
}

/* Up to Q rows that end at or before an edge of chunks, from the log [n, log_floats]. */
struct stretch {
    const float *log;
    int          pos, n;
    bool         is_chunk;
};

/* The state of head h over a stretch, from before to after; xbc [n, C] is its convolved rows. */
static void replay_head(const bb_mamba2 *m, const bb_kernels *k, const struct stretch *s, int h,
                        float *xbc, const float *cb, const bb_recurrent_state *before,
                        const bb_recurrent_state *after, float *own)
{
    const size_t         C = (size_t)m->d_xbc, N = (size_t)m->dims.d_state;
    const size_t         width = log_floats(&m->base);
    const size_t         G = (size_t)m->dims.n_groups;
    const size_t         g = (size_t)(h / (m->dims.n_heads / m->dims.n_groups));
    const size_t         x = (size_t)h * (size_t)m->dims.d_head, at = x * row_bytes(m);
    const struct input   in = {
        .h = h, .pos = s->pos, .n = s->n, .is_chunk = s->is_chunk, .dt = s->log + C + h,
        .ld_dt = width, .x = xbc + x, .B = xbc + m->d_inner + g * N,
        .C = xbc + m->d_inner + (G + g) * N, .CB = cb,
    };

    advance_head(m, k, &in, before->S + at, after->S + at, own);
}

static void replay_stretch(const bb_mamba2 *m, const bb_kernels *k, const struct stretch *s,
                           const bb_recurrent_state *before, const bb_recurrent_state *after,
                           float *scratch)
{
    const bb_mamba2_dims *d = &m->dims;
    const size_t          C = (size_t)m->d_xbc, N = (size_t)d->d_state, G = (size_t)d->n_groups;
    float *const          cb = scratch + Q * C, *const own = cb + Q * Q;

    k->conv1d(s->n, m->d_xbc, d->d_conv, s->log, log_floats(&m->base), m->conv_w, (size_t)d->d_conv,
              m->conv_b, before->window, after->window, C, scratch, C);
    for (int h = 0; h < d->n_heads; h++) {
        const int    share = d->n_heads / d->n_groups;
        const float *B = scratch + m->d_inner + (size_t)(h / share) * N;
        if (s->is_chunk && h % share == 0) k->ssd_cb(s->n, d->d_state, B, B + G * N, C, cb);
        replay_head(m, k, s, h, scratch, cb, before, after, own);
    }
}

/* Runs the kernels that the pass ran, on what these were given: the bits are equal. */
static void replay(const bb_mixer *base, const bb_kernels *k, const float *log, int pos, int n,
                   bool is_part_of_long, const void *from, void *to, float *scratch)
{
    const bb_mamba2         *m = (const bb_mamba2 *)base;
    bb_recurrent_state       before = bb_recurrent_at(&m->state, from);
    const bb_recurrent_state after = bb_recurrent_at(&m->state, to);

    for (struct stretch s = { log, pos, 0, is_part_of_long }; n > 0; n -= s.n, before = after) {
        s.n = smaller(Q - s.pos % Q, n);
        replay_stretch(m, k, &s, &before, &after, scratch);
        s.log += (size_t)s.n * log_floats(base);
        s.pos += s.n;
    }
}

static void fill(const bb_mixer *base, const bb_kernels *k, uint64_t seed, size_t n_positions,
                 void *state, const bb_pages *cache, float *scratch)
{
    (void)cache, (void)n_positions;
    bb_recurrent_fill(&((const bb_mamba2 *)base)->state, k, seed, state, scratch);
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

    bb_count_product(&m->in_proj, w->T, &c[base->op[IN_PROJ]]);
    bb_count_add(&c[base->op[CONV]], taps + 2 * window * w->n_segments,
                 2 * taps / sizeof(float) * w->T);
    bb_count_add(&c[base->op[SCAN]], 2 * ssm * w->n_segments,
                 5 * bb_recurrent_elements(&m->state) * w->T);
    bb_count_add(&c[base->op[GATED_NORM]],
                 m->dims.gate == BB_GATE_ALONE ? 0 : inner * sizeof(float),
                 (m->dims.gate == BB_GATE_ALONE ? 5 : 9) * inner * w->T);
    bb_count_product(&m->out_proj, w->T, &c[base->op[OUT_PROJ]]);
}

static const bb_mixer_kind kind = {
    .name = "mamba2", .op_name = { "in_proj", "conv", "scan", "gated norm", "out_proj" },
    .bind = bind, .print = print, .count = count, .scratch_bytes = scratch_bytes,
    .forward = forward, .state_bytes = state_bytes, .saved_bytes = saved_bytes, .parts = parts,
    .save = save, .load = load, .log_floats = log_floats, .replay = replay, .fill = fill,
    .scratch_floats = scratch_floats,
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
