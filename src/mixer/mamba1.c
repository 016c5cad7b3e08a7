/* mamba1.c - the Mamba-1 mixer.
 *
 * A tile of dt_proj's columns goes on at once: dt, then the scan of its channels over all rows,
 * since channels do not depend on each other. Any cut of the tokens gives the same bits in the
 * scan.
 * State of a session: the window of K-1 raw (pre-conv) columns, then S [I, N]. A pass reads one
 * state and writes another, or the same in place. The log of a row is what the state space was fed:
 * raw x [I], dt [I], B [heads, N].
 * S may be kept in fewer bits (bb_rows). It is then rounded after each token, so that the promises
 * about bits hold as in float32; the noise depends on the token's position and on the row of S
 * alone.
 * Source: Gu & Dao 2023, arXiv:2312.00752; state-spaces/mamba modules/mamba_simple.py; of the norms
 *         transformers models/{falcon_mamba,jamba}, of the heads models/zamba. */
#include "graph/bind.h"
#include "mixer/count.h"
#include "mixer/mixers.h"
#include "mixer/product.h"
#include "mixer/recurrent.h"

#include <math.h>
#include <string.h>

enum { IN_PROJ, CONV, X_PROJ, DT_PROJ, SCAN, GATE, OUT_PROJ };    /* operations, as named below */
enum { PIECE = 16 };                      /* channels widened at a time: in the first-level cache */
enum { NORM_ROWS = 8 };                   /* rows of a tile of the inner norms */

typedef struct bb_mamba1 {
    bb_mixer       base;
    bb_mamba1_dims dims;
    int            n_heads, d_head;       /* heads of x_proj and dt_proj; I = n_heads · d_head */
    int            d_proj;                /* columns of a head's x_proj: R + 2N */
    bb_recurrent   state;
    bb_linear      in_proj, out_proj;
    const float   *conv_w;                /* [I, K] */
    const float   *conv_b;                /* [I] or NULL */
    const float   *norm[3];               /* [R], [N], [N] of dt, B, C; NULL: none, or no weights */
    const float   *dt_bias, *D;           /* [I] */
    const float   *A;                     /* [I, N] = -exp(A_log) */
    struct { bb_linear x_proj, dt_proj; } head[];     /* [n_heads] */
} bb_mamba1;

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

/* -------------------------------------------------------------- memory ------------------- */

static size_t row_bytes(const bb_mamba1 *m) { return bb_recurrent_row_bytes(&m->state); }

static size_t state_bytes(const bb_mixer *base)
{
    return bb_recurrent_bytes(&((const bb_mamba1 *)base)->state);
}

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
static size_t own_floats(const bb_mamba1 *m)
{
    const size_t wide = PIECE * (size_t)m->dims.d_state;
    return (m->state.type == BB_TYPE_F32 ? 0 : wide) + n_ones(m);
}

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

static size_t scratch_bytes(const bb_mixer *base, int T, int n_threads)
{
    bb_arena a = BB_MEASURE;

    take_scratch((const bb_mamba1 *)base, T, n_threads, &a);
    return a.overflow ? SIZE_MAX : a.used;
}

/* -------------------------------------------------------------- stages ------------------- */

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

static size_t log_floats(const bb_mixer *base)
{
    const bb_mamba1 *m = (const bb_mamba1 *)base;
    return 2 * (size_t)m->dims.d_inner + (size_t)m->n_heads * (size_t)m->dims.d_state;
}

/* n floats from `first` on of each row's log. values [T rows, ld] */
static void log_columns(const bb_exec *e, const struct job *j, size_t first, int n,
                        const float *values, size_t ld)
{
    bb_recurrent_log(e->pass, j->slot, log_floats(&j->m->base), first, n, values, ld);
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
    bb_mark(e, j->m->base.op[CONV]);
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

/* ---- the state space of some channels ---- */

/* Operands, at the first token and channel. */
struct input {
    int          c, n;                    /* channels c … c + n - 1 */
    int          T, pos;                  /* tokens; position of the first */
    const float *x, *dt, *B, *C;
    size_t       ldx, ld_dt, ldb, ldy;
    float       *y;
};

/* Where S is kept in fewer bits: widened, and rounded after each token. wide [PIECE, N] */
static void scan_narrow(const bb_mamba1 *m, const bb_kernels *k, const struct input *in,
                        const unsigned char *S_in, unsigned char *S_out, float *wide)
{
    const bb_rows *r = &k->rows[m->state.type];
    const int      N = m->dims.d_state;

    for (int i = 0, n; i < in->n; i += n) {
        n = smaller(PIECE, in->n - i);
        const int            c = in->c + i;
        const size_t         first = (size_t)i, at = (size_t)c * row_bytes(m);
        const unsigned char *from = S_in + at;
        for (int j = 0; j < in->T; j++, from = S_out + at) {
            const size_t t = (size_t)j;
            r->get(n, N, from, wide);
            k->selective_scan(1, n, N, in->x + t * in->ldx + first, in->ldx,
                              in->dt + t * in->ld_dt + first, in->ld_dt,
                              m->A + (size_t)c * (size_t)N, in->B + t * in->ldb,
                              in->C + t * in->ldb, in->ldb, m->D + c, wide, wide,
                              in->y + t * in->ldy + first, in->ldy);
            r->put(n, N, wide, (uint32_t)(in->pos + j) * 0x9e3779b1u + (uint32_t)c, S_out + at);
        }
    }
}

static void scan(const bb_mamba1 *m, const bb_kernels *k, const struct input *in,
                 const bb_recurrent_state *before, const bb_recurrent_state *after, float *wide)
{
    const size_t at = (size_t)in->c * (size_t)m->dims.d_state;

    if (m->state.type != BB_TYPE_F32) {
        scan_narrow(m, k, in, before->S, after->S, wide);
        return;
    }
    k->selective_scan(in->T, in->n, m->dims.d_state, in->x, in->ldx, in->dt, in->ld_dt, m->A + at,
                      in->B, in->C, in->ldb, m->D + in->c, (const float *)(void *)before->S + at,
                      (float *)(void *)after->S + at, in->y, in->ldy);
}

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
    bb_mark(e, m->base.op[DT_PROJ]);
    for (int i = 0; i < e->pass->n_segments; i++) {
        const bb_segment  *seg = &e->pass->segment[i];
        const size_t       row = (size_t)seg->row;
        const float       *B = proj_of(e, j, j->h) + row * ldb + m->dims.dt_rank;
        const bb_recurrent_state before = state_before(j, seg), after = state_after(j, seg);
        const struct input in = {
            .c = c, .n = n, .T = seg->n_rows, .pos = seg->pos, .x = j->s.x + row * I + c, .ldx = I,
            .dt = j->s.dt + row * I + c, .ld_dt = I, .B = B, .C = B + m->dims.d_state, .ldb = ldb,
            .y = j->s.xz + row * 2 * I + c, .ldy = 2 * I,
        };
        scan(m, e->pass->k, &in, &before, &after, own_of(e, j));
    }
    bb_mark(e, m->base.op[SCAN]);
}

/* A head: dt, B and C from its channels, the norms, dt_proj and what follows it. */
static void run_x_proj(const bb_exec *e, const struct job *j, int h)
{
    const bb_mamba1 *m = j->m;
    const size_t     I = (size_t)m->dims.d_inner, at = (size_t)h * (size_t)m->d_head;
    const bb_product p = { &m->head[h].x_proj, NULL,
                           bb_sink_store(proj_of(e, j, h), (size_t)m->d_proj) };
    bb_source        x = bb_source_of(e, j->s.x + at, I, m->d_head);

    bb_multiply(e, m->base.op[X_PROJ], &p, 1, &x, NULL);
}

static void run_dt_proj(const bb_exec *e, const struct job *all, int h)
{
    const bb_mamba1  *m = all->m;
    const size_t      I = (size_t)m->dims.d_inner, at = (size_t)h * (size_t)m->d_head;
    const struct job  j = { m, all->slot, all->s, h };
    const bb_product  p = { &m->head[h].dt_proj, NULL, bb_sink_store(j.s.dt + at, I) };
    const bb_epilogue then = { .after = finish_dt_proj, .job = &j };
    const float      *proj = proj_of(e, &j, h);
    bb_source         x = bb_source_of(e, proj, (size_t)m->d_proj, m->dims.dt_rank);

    bb_multiply(e, m->base.op[DT_PROJ], &p, 1, &x, &then);
}

/* Row t of what out_proj reads: y · silu(z). */
static void make_gated(const bb_exec *e, const void *p, int t, float *to)
{
    const struct job *j = p;
    const size_t      I = (size_t)j->m->dims.d_inner;
    const float      *y = j->s.xz + (size_t)t * 2 * I;

    e->pass->k->silu_mul((int)I, y + I, y, to);
}

static void forward(const bb_mixer *base, const bb_exec *e, const bb_call *c)
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
    y.op = base->op[GATE];
    bb_multiply(e, base->op[IN_PROJ], &in_proj, 1, &h, &then);
    for (int i = 0; i < m->n_heads; i++) run_x_proj(e, &j, i);
    if (m->dims.inner_norm != BB_INNER_NORM_NONE) {
        bb_each_tile_after(e, fill_ones, &j, (n_rows + NORM_ROWS - 1) / NORM_ROWS, run_norm, &j);
        bb_mark(e, base->op[X_PROJ]);
    }
    for (int i = 0; i < m->n_heads; i++) run_dt_proj(e, &j, i);
    bb_multiply(e, base->op[OUT_PROJ], &out_proj, 1, &y, NULL);
}

/* -------------------------------------------------------------- saving and replaying ----- */

static size_t saved_bytes(const bb_mixer *base, size_t n_positions)
{
    (void)n_positions;
    return bb_recurrent_saved_bytes(&((const bb_mamba1 *)base)->state);
}

static int parts(const bb_mixer *base, size_t n_positions, bb_part part[BB_MIXER_PARTS])
{
    const bb_mamba1_dims *d = &((const bb_mamba1 *)base)->dims;

    (void)n_positions;
    part[0] = (bb_part){ "window", BB_TYPE_F32, { (size_t)(d->d_conv - 1), (size_t)d->d_inner } };
    part[1] = (bb_part){ "state", BB_TYPE_F32, { (size_t)d->d_inner, (size_t)d->d_state } };
    return 2;
}

static void save(const bb_mixer *base, const bb_kernels *k, const void *state,
                 const bb_pages *cache, size_t first, size_t end, void *out, float *scratch)
{
    (void)cache, (void)first, (void)end, (void)scratch;
    bb_recurrent_save(&((const bb_mamba1 *)base)->state, k, state, out);
}

static void load(const bb_mixer *base, const bb_kernels *k, const void *in, size_t first,
                 size_t end, void *state, const bb_pages *cache, float *scratch)
{
    (void)cache, (void)first, (void)end, (void)scratch;
    if (state) bb_recurrent_load(&((const bb_mamba1 *)base)->state, k, in, state);
}

/* Of replay: x and y of STRETCH rows, and channels widened. */
enum { STRETCH = 64 };

static size_t scratch_floats(const bb_mixer *base)
{
    const bb_mamba1 *m = (const bb_mamba1 *)base;
    return 2 * STRETCH * (size_t)m->dims.d_inner + own_floats(m);
}

/* The kernels that the pass ran, on what these were given: the bits are equal. C is not in the log,
   and y is not wanted: B serves as both. */
static void replay_stretch(const bb_mamba1 *m, const bb_kernels *k, const float *log,
                           int pos, int n, const bb_recurrent_state *before,
                           const bb_recurrent_state *after, float *scratch)
{
    const bb_mamba1_dims *d = &m->dims;
    const size_t          I = (size_t)d->d_inner, width = log_floats(&m->base);

    k->conv1d(n, d->d_inner, d->d_conv, log, width, m->conv_w, (size_t)d->d_conv, m->conv_b,
              before->window, after->window, I, scratch, I);
    for (int h = 0; h < m->n_heads; h++) {
        const int          c = h * m->d_head;
        const float       *B = log + 2 * I + (size_t)(h * d->d_state);
        const struct input in = {
            .c = c, .n = m->d_head, .T = n, .pos = pos, .x = scratch + c, .ldx = I,
            .dt = log + I + c, .ld_dt = width, .B = B, .C = B, .ldb = width,
            .y = scratch + STRETCH * I + c, .ldy = I,
        };
        scan(m, k, &in, before, after, scratch + 2 * STRETCH * I);
    }
}

static void replay(const bb_mixer *base, const bb_kernels *k, const float *log, int pos, int n,
                   bool is_part_of_long, const void *from, void *to, float *scratch)
{
    const bb_mamba1         *m = (const bb_mamba1 *)base;
    bb_recurrent_state       before = bb_recurrent_at(&m->state, from);
    const bb_recurrent_state after = bb_recurrent_at(&m->state, to);

    (void)is_part_of_long;                /* any cut gives the same bits */
    for (int i = 0; i < n; i += STRETCH, before = after)
        replay_stretch(m, k, log + (size_t)i * log_floats(base), pos + i, smaller(STRETCH, n - i),
                       &before, &after, scratch);
}

static void fill(const bb_mixer *base, const bb_kernels *k, uint64_t seed, size_t n_positions,
                 void *state, const bb_pages *cache, float *scratch)
{
    (void)cache, (void)n_positions;
    bb_recurrent_fill(&((const bb_mamba1 *)base)->state, k, seed, state, scratch);
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

    bb_count_product(&m->in_proj, w->T, &c[base->op[IN_PROJ]]);
    bb_count_add(&c[base->op[CONV]], taps + 2 * window * w->n_segments,
                 2 * taps / sizeof(float) * w->T);
    for (int h = 0; h < m->n_heads; h++) {
        bb_count_product(&m->head[h].x_proj, w->T, &c[base->op[X_PROJ]]);
        bb_count_product(&m->head[h].dt_proj, w->T, &c[base->op[DT_PROJ]]);
    }
    bb_count_add(&c[base->op[SCAN]], elements * sizeof(float) + 2 * ssm * w->n_segments,
                 7 * elements * w->T);
    bb_count_add(&c[base->op[GATE]], 0, 5 * inner * w->T);
    bb_count_product(&m->out_proj, w->T, &c[base->op[OUT_PROJ]]);
}

static const bb_mixer_kind kind = {
    .name = "mamba1",
    .op_name = { "in_proj", "conv", "x_proj", "dt_proj", "scan", "gate", "out_proj" },
    .bind = bind, .print = print, .count = count, .scratch_bytes = scratch_bytes,
    .forward = forward, .state_bytes = state_bytes, .saved_bytes = saved_bytes, .parts = parts,
    .save = save, .load = load, .log_floats = log_floats, .replay = replay, .fill = fill,
    .scratch_floats = scratch_floats,
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
