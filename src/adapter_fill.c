/* adapter_fill.c - an adapter's matrices: how they are kept, and their numbers. */
#include "adapter_fill.h"

#include "graph/random.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK = 256 };                     /* elements that are converted at a time */

/* -------------------------------------------------------------- layout ------------------- */

static bool has_constant(const bb_adapted *m) { return m->B_bias || m->bias; }

static bool is_float(const bb_tensor *t) { return t->dtype == BB_TYPE_F32; }

/* Whether A and B are kept as halves: those that are stored in 16 bits and are used as they are,
   and all beside weights whose own rounding is coarser. */
static bool are_halves(const bb_adapted *m, const bb_linear_name *name)
{
    bool is_stored = m->A && !is_float(m->A) && !is_float(m->B) && !has_constant(m);

    for (int i = 0; i < name->n_factors; i++) is_stored &= name->factor[i].product == 1.0f;
    return is_stored || (m->A && name->is_coarse);
}

static size_t count_tiled(int rows, int n)
{
    const size_t tiles = ((size_t)rows + BB_EXPAND_ROWS - 1) / BB_EXPAND_ROWS;
    return tiles * BB_EXPAND_ROWS * (size_t)n;
}

/* One linear map's matrices. Run on a measuring arena first. */
static bb_low_rank carve_map(const bb_adapted *m, const bb_linear_name *name, bb_arena *a)
{
    const int    n = (m->A ? m->rank : 0) + (has_constant(m) ? 1 : 0);
    const bool   halves = are_halves(m, name);
    const size_t bytes = halves ? sizeof(uint16_t) : sizeof(float);
    bb_low_rank  l = { .rank = m->A ? m->rank : 0, .n_inputs = n, .scale = m->scale, .unit = 1.0f,
                       .type = halves ? BB_TYPE_F16 : BB_TYPE_F32 };

    if (l.rank > 0) l.A = bb_take(a, (size_t)l.rank * (size_t)name->cols, bytes);
    if (n > 0) l.B = bb_take(a, count_tiled(name->rows, n), bytes);
    return l;
}

static bb_low_rank_embed carve_embed(const bb_adapted *m, const bb_graph *g, bb_arena *a)
{
    bb_low_rank_embed l = { .rank = m->rank, .scale = m->scale };

    if (!m->A) return (bb_low_rank_embed){ 0 };
    l.A = bb_take(a, (size_t)g->n_rows * (size_t)m->rank, sizeof(float));
    l.B = bb_take(a, (size_t)m->rank * (size_t)g->d_model, sizeof(float));
    return l;
}

static bb_matrix carve_own(const bb_tensor *t, const bamba_model *model, bb_arena *a)
{
    const bb_graph *g = model->graph;

    if (!t) return (bb_matrix){ 0 };
    return (bb_matrix){ g->n_rows, g->d_model, bb_format_of(&model->kernels, t->dtype),
                        bb_take(a, t->bytes, 1) };
}

void bb_adapter_carve(bamba_adapter *d, const bb_adapter_file *f, bb_arena *a)
{
    const bb_graph *g = d->model->graph;
    const size_t    n = f->n_maps - 1;

    d->map = bb_take(a, n, sizeof *d->map);
    for (size_t i = 0; i < n; i++) {
        const bb_low_rank l = carve_map(&f->map[i], &g->linear[i], a);
        if (d->map) d->map[i] = l;
        if (l.n_inputs > d->base.widest) d->base.widest = l.n_inputs;
    }
    d->base.map = d->map;
    d->base.embed = carve_embed(&f->map[n], g, a);
    d->base.own_embed = carve_own(f->own_embed, d->model, a);
    d->base.own_head.w = carve_own(f->own_head, d->model, a);
    d->base.own_head.w.rows = g->n_vocab;
    d->base.own_head.id = g->head.id;
}

/* -------------------------------------------------------------- filling ------------------ */

static void *writable(const void *p) { return (void *)(uintptr_t)p; }         /* ours: the block */

/* Matrices are made as float32: in the block if they stay so, else in `room`, which holds the
   largest. */
typedef struct filler {
    const bamba_adapter *d;
    const bb_kernels    *k;
    float               *room;
} filler;

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

static bb_status begin_filling(filler *f, bamba_adapter *d, bamba_error *err)
{
    const bb_graph *g = d->model->graph;
    size_t          most = 0;

    for (int i = 0; i < g->n_linears; i++) {
        const bb_low_rank *l = &d->map[i];
        if (l->n_inputs == 0 || l->type != BB_TYPE_F16) continue;
        most = larger(most, (size_t)l->rank * (size_t)g->linear[i].cols);
        most = larger(most, count_tiled(g->linear[i].rows, l->n_inputs));
    }
    *f = (filler){ .d = d, .k = &d->model->kernels };
    if (most > 0 && !(f->room = bb_allocate(&d->alloc, most, sizeof *f->room)))
        return bb_fail(err, BAMBA_ERR_MEMORY, "adapter: out of memory");
    return BAMBA_OK;
}

static void end_filling(filler *f)
{
    if (f->room) bb_release(&f->d->alloc, f->room);
}

static float *floats_of(const filler *f, const bb_low_rank *l, const void *matrix)
{
    return l->type == BB_TYPE_F16 ? f->room : writable(matrix);
}

/* Element [r, i] of a B that floats stand for. */
static float *B_at(const bb_low_rank *l, float *B, int r, int i)
{
    const size_t tile = (size_t)(r / BB_EXPAND_ROWS) * (size_t)l->n_inputs;
    return B + (tile + (size_t)i) * BB_EXPAND_ROWS + r % BB_EXPAND_ROWS;
}

/* Keep a matrix of n elements, made as float32, as the map keeps it. Returns the power of two that
   its elements are to be multiplied by: halves use their whole range, which makes what 16 bits held
   exact but for elements below 2^-28 of the largest. */
static float keep(const filler *f, const bb_low_rank *l, size_t n, const void *matrix)
{
    enum { TOP = 15, LEAST = -40 };       /* a half is below 2^16; units of A and B multiply */
    float *v = floats_of(f, l, matrix), most = 0.0f;
    int    power = 0;

    if (l->type != BB_TYPE_F16) return 1.0f;
    for (size_t i = 0; i < n; i++)
        if (fabsf(v[i]) > most) most = fabsf(v[i]);
    if (most > 0.0f && isfinite(most)) frexpf(most, &power);
    power = power < LEAST ? LEAST : power;
    for (size_t i = 0; i < n; i++) v[i] = ldexpf(v[i], TOP - power);
    f->k->narrow[BB_TYPE_F16](n, v, writable(matrix));
    return ldexpf(1.0f, power - TOP);
}

/* Keep a map's B, whose A is kept already. */
static void keep_B(const filler *f, size_t i)
{
    bb_low_rank *l = &f->d->map[i];

    if (l->n_inputs == 0) return;
    l->unit = keep(f, l, count_tiled(f->d->model->graph->linear[i].rows, l->n_inputs), l->B);
    l->scale *= l->unit;
}

/* Fill the last column of a map's B, which a constant multiplies: scale · the bias of B, and what
   the adapter's bias differs by from the model's. base may be NULL. */
static void fill_constant(const filler *f, const bb_low_rank *l, const bb_adapted *m, int rows,
                          const bb_tensor *base)
{
    float *B = floats_of(f, l, l->B), v[CHUNK], old[CHUNK];

    for (int first = 0; first < rows; first += CHUNK) {
        const int n = rows - first < CHUNK ? rows - first : CHUNK;
        memset(v, 0, sizeof v);
        if (m->B_bias) bb_adapter_floats(f->k, m->B_bias, (size_t)first, (size_t)n, v);
        for (int i = 0; i < n; i++) *B_at(l, B, first + i, l->rank) = m->scale * v[i];
        if (!m->bias) continue;
        bb_adapter_floats(f->k, m->bias, (size_t)first, (size_t)n, v);
        bb_adapter_floats(f->k, base, (size_t)first, (size_t)n, old);
        for (int i = 0; i < n; i++) *B_at(l, B, first + i, l->rank) += v[i] - old[i];
    }
}

/* The bias of the linear map whose weight is `name`, in the model's files; NULL: there is none. */
static const bb_tensor *base_bias(const bamba_model *m, const char *name)
{
    char         full[2 * BB_MAX_NAME];
    const size_t n = strlen(name);

    if (!m->checkpoint || n < 7) return NULL;
    snprintf(full, sizeof full, "%.*s.bias", (int)(n - 7), name);
    return bb_find_tensor(m->graph, m->checkpoint, full);
}

/* Multiply what B makes of rows by what the model multiplies them by. */
static void apply_factors(const bb_low_rank *l, const bb_linear_name *name, float *B)
{
    for (int i = 0; l->n_inputs > 0 && i < name->n_factors; i++) {
        const bb_row_factor *f = &name->factor[i];
        for (int r = f->first; r < f->first + f->n; r++)
            for (int j = 0; j < l->n_inputs; j++)
                *B_at(l, B, r, j) *= j < l->rank ? f->product : f->bias;
    }
}

/* The map's B to the first columns of B. */
static void fill_B(const filler *f, const bb_low_rank *l, const bb_adapted *m, int rows)
{
    float *B = floats_of(f, l, l->B), v[CHUNK];

    for (int r = 0; r < rows; r++)
        for (int first = 0; first < l->rank; first += CHUNK) {
            const int n = l->rank - first < CHUNK ? l->rank - first : CHUNK;
            bb_adapted_B(f->k, m, r, first, n, v);
            for (int i = 0; i < n; i++) *B_at(l, B, r, first + i) = v[i];
        }
}

static void fill_A(const filler *f, bb_low_rank *l, const bb_adapted *m, int cols)
{
    float *A = floats_of(f, l, l->A);

    for (int i = 0; i < l->rank; i++)
        bb_adapted_A(f->k, m, i, 0, cols, A + (size_t)i * (size_t)cols);
    l->scale *= keep(f, l, (size_t)l->rank * (size_t)cols, l->A);
}

static bb_status fill_map(const filler *f, const bb_adapted *m, size_t i, bamba_error *err)
{
    const bamba_model    *model = f->d->model;
    const bb_linear_name *name = &model->graph->linear[i];
    bb_low_rank          *l = &f->d->map[i];
    const char           *stored = bb_graph_stored_name(model->graph, i);
    const bb_tensor      *base = m->bias ? base_bias(model, stored) : NULL;

    if (m->bias && (!base || base->n_elements != (size_t)name->rows || base->dtype >= BB_N_FLOATS))
        return bb_adapter_fail(err, BAMBA_ERR_FORMAT, m->bias, "the model has no bias there");
    if (l->rank > 0) fill_A(f, l, m, name->cols);
    if (l->n_inputs == 0) return BAMBA_OK;
    float *B = floats_of(f, l, l->B);
    memset(B, 0, count_tiled(name->rows, l->n_inputs) * sizeof *B);
    if (l->rank > 0) fill_B(f, l, m, name->rows);
    if (has_constant(m)) fill_constant(f, l, m, name->rows, base);
    apply_factors(l, name, B);
    keep_B(f, i);
    return BAMBA_OK;
}

/* to [cols, rows] = the tensor [rows, cols] */
static void transpose(const bb_kernels *k, const bb_tensor *t, float *to)
{
    const size_t rows = t->dim[0], cols = t->dim[1];
    float        v[CHUNK];

    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c += CHUNK) {
            const size_t n = cols - c < CHUNK ? cols - c : CHUNK;
            bb_adapter_floats(k, t, r * cols + c, n, v);
            for (size_t i = 0; i < n; i++) to[(c + i) * rows + r] = v[i];
        }
}

static void copy_own(const bb_matrix *to, const bb_tensor *t)
{
    if (to->data) memcpy((void *)(uintptr_t)to->data, t->data, t->bytes);
}

bb_status bb_adapter_fill(bamba_adapter *d, const bb_adapter_file *f, bamba_error *err)
{
    const bb_kernels *k = &d->model->kernels;
    const size_t      n = f->n_maps - 1;
    filler            to = { 0 };
    bb_status         status = BAMBA_OK;

    BB_TRY(begin_filling(&to, d, err));
    for (size_t i = 0; i < n; i++) BB_TRY(fill_map(&to, &f->map[i], i, err));
    if (f->map[n].A) {
        transpose(k, f->map[n].A, writable(d->base.embed.A));
        transpose(k, f->map[n].B, writable(d->base.embed.B));
    }
    if (f->own_embed) copy_own(&d->base.own_embed, f->own_embed);
    if (f->own_head) copy_own(&d->base.own_head.w, f->own_head);
done:
    end_filling(&to);
    return status;
}

/* -------------------------------------------------------------- random ------------------- */

bb_status bb_adapter_fill_random(bamba_adapter *d, uint64_t seed, bamba_error *err)
{
    const bb_graph *g = d->model->graph;
    filler          f;
    bb_status       status = BAMBA_OK;

    BB_TRY(begin_filling(&f, d, err));
    for (size_t i = 0; i < (size_t)g->n_linears; i++) {
        bb_low_rank *l = &d->map[i];
        if (l->rank == 0) continue;
        const size_t n_A = (size_t)l->rank * (size_t)g->linear[i].cols;
        bb_random_fill(bb_random_bound(g->linear[i].cols), seed + 2 * i, 0, n_A,
                       floats_of(&f, l, l->A));
        l->scale *= keep(&f, l, n_A, l->A);
        bb_random_fill(0.1f * bb_random_bound(l->rank), seed + 2 * i + 1, 0,
                       count_tiled(g->linear[i].rows, l->n_inputs), floats_of(&f, l, l->B));
        keep_B(&f, i);
    }
    end_filling(&f);
done:
    return status;
}
