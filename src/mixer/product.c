/* product.c - rows times weight matrices, by all threads. */
#include "mixer/product.h"

#include "mixer/blas.h"

#include <string.h>

enum { FEW_TILE_ROWS = 48 };              /* weight rows a thread takes at most at a time, few rows */
enum { MANY_TILE_ROWS = 128 };            /* and many: sums and x of a panel stay in cache */

typedef struct job {
    bb_op             op;
    const bb_product *product;
    int               n;
    bool              is_gated;           /* two products: what they give goes to the first's y */
    float            *stream;             /* [T, rows] to add y to, or NULL */
    bb_finish_fn     *finish;
    const void       *finish_job;
    bb_operand       *x;
    int               tile_rows;
} job;

static int smaller(int a, int b) { return a < b ? a : b; }
static int divide_up(int a, int b) { return (a + b - 1) / b; }

/* Products whose columns are counted: of a gated pair, the first stands for both. */
static int count_products(const job *j) { return j->is_gated ? 1 : j->n; }

/* As many tiles for each thread, of nearly the same size: a small model's stages have few. */
static int few_tile_rows(const bb_exec *e, const job *j)
{
    int rows = 0;

    for (int i = 0; i < count_products(j); i++) rows += j->product[i].linear->w.rows;
    const int share = divide_up(rows, e->n_threads);
    return divide_up(divide_up(share, divide_up(share, FEW_TILE_ROWS)), 4) * 4;
}

static int count_tiles(const job *j, const bb_product *p)
{
    return divide_up(p->linear->w.rows, j->tile_rows);
}

static const bb_format *format_of(const bb_exec *e, const bb_product *p)
{
    return bb_format_of(e->k, p->linear->w.type);
}

/* -------------------------------------------------------------- rows --------------------- */

static void make_own(const bb_exec *e, bb_op op, bb_operand *x)
{
    const size_t cols = (size_t)x->cols;

    if (x->rows.x || x->is_made) return;
    bb_mark(e, op);
    for (int t = 0; t < x->T; t++) x->rows.make(e, x->rows.job, t, e->own_rows + (size_t)t * cols);
    bb_mark(e, x->rows.op);
    x->is_made = true;
}

/* Row t, made by now. */
static const float *row_at(const bb_exec *e, const bb_operand *x, int t)
{
    return x->rows.x ? x->rows.x + (size_t)t * x->rows.ld : e->own_rows + (size_t)t * (size_t)x->cols;
}

/* Few rows as a format wants them: made and arranged by each thread for itself, for the products in a
   row that want the same. */
static const void *arrange_own(const bb_exec *e, bb_op op, const bb_format *f, bb_operand *x)
{
    if (x->arranged_by == f->prepare_few) return e->arranged;
    make_own(e, op, x);
    f->prepare_few(x->T, x->cols, row_at(e, x, 0), x->rows.x ? x->rows.ld : (size_t)x->cols, e->arranged);
    x->arranged_by = f->prepare_few;
    return e->arranged;
}

struct packing {
    const bb_operand *x;
    const bb_format  *format;
    bb_op             op;
};

/* One tile a group of rows. */
static void run_pack(const bb_exec *e, const void *p, int g)
{
    const struct packing *pack = p;
    const bb_operand     *x = pack->x;
    const int             group = pack->format->group;
    const int             first = g * group;
    const int             n = smaller(group, x->T - first);
    const size_t          cols = (size_t)x->cols;
    const bool            is_f32 = pack->format->activation == BB_TYPE_F32;
    void                 *to = is_f32 ? (void *)e->packed : (void *)e->packed_rounded;
    const float          *rows = x->rows.x ? x->rows.x + (size_t)first * x->rows.ld : e->own_rows;

    if (!x->rows.x) {
        bb_mark(e, pack->op);
        for (int i = 0; i < n; i++)
            x->rows.make(e, x->rows.job, first + i, e->own_rows + (size_t)i * cols);
        bb_mark(e, x->rows.op);
    }
    pack->format->prepare_many(n, x->cols, rows, x->rows.x ? x->rows.ld : cols,
                               (unsigned char *)to + pack->format->many_bytes(first, x->cols));
}

/* For levels without kernels for many rows: rows that must be made, one below the other. */
static void run_make(const bb_exec *e, const void *p, int t)
{
    const bb_operand *x = p;
    x->rows.make(e, x->rows.job, t, (float *)e->packed + (size_t)t * (size_t)x->cols);
}

static void prepare_many(const bb_exec *e, bb_op op, const bb_format *f, bb_operand *x)
{
    const struct packing pack = { x, f, op };
    bool                *is_packed = &x->is_packed[f->activation == BB_TYPE_F32];

    if (f->many && !*is_packed) {
        bb_each_tile(e, divide_up(x->T, f->group), run_pack, &pack);
        *is_packed = true;
    }
    if (!f->many && !x->rows.x) {
        bb_each_tile(e, x->T, run_make, x);
        bb_mark(e, x->rows.op);
        x->rows = bb_rows_at(e->packed, (size_t)x->cols);
    }
}

/* -------------------------------------------------------------- tiles -------------------- */

/* Many rows where there is no kernel for them: widen a panel of weights, let BLAS multiply. */
static void multiply_blas(const bb_exec *e, const job *j, const bb_product *p, int first, int n,
                           float *y, size_t ldy)
{
    const bb_matrix  *w = &p->linear->w;
    const bb_operand *x = j->x;

    format_of(e, p)->decode(n, w->cols, w->data, first, e->panel, (size_t)w->cols);
    bb_blas_product(x->T, n, w->cols, e->panel, (size_t)w->cols, x->rows.x, x->rows.ld, y, ldy);
}

/* And without BLAS: a few rows at a time. */
static void multiply_by_few(const bb_exec *e, const job *j, const bb_product *p, int first, int n,
                            float *y, size_t ldy)
{
    const bb_matrix  *w = &p->linear->w;
    const bb_format  *f = format_of(e, p);
    const bb_operand *x = j->x;

    for (int t = 0; t < x->T; t += BB_FEW_ROWS) {
        const int m = smaller(BB_FEW_ROWS, x->T - t);
        f->prepare_few(m, x->cols, row_at(e, x, t), x->rows.ld, e->arranged);
        f->few(m, n, w->cols, w->data, first, e->arranged, y + (size_t)t * ldy, ldy);
    }
}

/* y = W · x for n weight rows from `first` on, all rows of x. */
static void multiply_many(const bb_exec *e, const job *j, const bb_product *p, int first, int n,
                          float *y, size_t ldy)
{
    const bb_matrix *w = &p->linear->w;
    const bb_format *f = format_of(e, p);

    if (!f->many)
        (bb_blas_present() ? multiply_blas : multiply_by_few)(e, j, p, first, n, y, ldy);
    else
        f->many(j->x->T, n, w->cols, w->data, first,
                f->activation == BB_TYPE_F32 ? (const void *)e->packed
                                             : (const void *)e->packed_rounded,
                y, ldy, e->panel);
}

/* Where the `up` half of a tile goes: behind what the kernels need of the panel. */
static float *up_at(const bb_exec *e, const job *j)
{
    return (float *)(void *)((unsigned char *)e->panel
                             + bb_panel_bytes(e->k, j->x->T, j->x->cols))
         - (size_t)j->x->T * MANY_TILE_ROWS;
}

struct place {
    const bb_product *p;
    int               first, n;           /* its weight rows */
    int               before;             /* columns of the products before this one */
};

static struct place place_of(const job *j, int tile)
{
    struct place at = { .p = j->product };

    for (; tile >= count_tiles(j, at.p); at.p++) {
        tile -= count_tiles(j, at.p);
        at.before += at.p->linear->w.rows;
    }
    at.first = tile * j->tile_rows;
    at.n = smaller(j->tile_rows, at.p->linear->w.rows - at.first);
    return at;
}

static void add_bias(const bb_exec *e, const job *j, const bb_product *p, const struct place *at,
                     float *y, size_t ldy)
{
    for (int t = 0; p->linear->bias && t < j->x->T; t++)
        e->k->axpy(at->n, 1.0f, p->linear->bias + at->first, y + (size_t)t * ldy);
}

/* What remains for a tile whose products are made_y [T, n] and, if gated, made_up; made_y may be the
   product's own y. */
static void complete(const bb_exec *e, const job *j, const struct place *at, float *made_y,
                     size_t ldy, float *made_up, size_t ld_up)
{
    const bb_product *p = at->p;
    const size_t      n = (size_t)at->n;

    add_bias(e, j, p, at, made_y, ldy);
    if (j->is_gated) add_bias(e, j, p + 1, at, made_up, ld_up);
    for (size_t t = 0; t < (size_t)j->x->T; t++) {
        const float *y = made_y + t * ldy;
        if (j->stream)
            e->k->axpy(at->n, 1.0f, y, j->stream + t * (size_t)p->linear->w.rows + at->first);
        else if (j->is_gated)
            e->k->silu_mul(at->n, y, made_up + t * ld_up, p->y + t * p->ldy + at->first);
        else if (y != p->y + t * p->ldy + at->first)
            memcpy(p->y + t * p->ldy + at->first, y, n * sizeof *y);
    }
    if (!j->finish) return;
    bb_mark(e, j->op);
    j->finish(e, j->finish_job, at->before + at->first, at->n);
}

static void run_many(const bb_exec *e, const void *context, int tile)
{
    const job         *j = context;
    const struct place at = place_of(j, tile);
    float             *y = at.p->y + at.first;
    float             *up = j->is_gated ? up_at(e, j) : NULL;

    multiply_many(e, j, at.p, at.first, at.n, y, at.p->ldy);
    if (up) multiply_many(e, j, at.p + 1, at.first, at.n, up, (size_t)at.n);
    complete(e, j, &at, y, at.p->ldy, up, (size_t)at.n);
}

/* Of few rows, tiles are made in a thread's own memory, from rows it arranged there: another can repeat
   them. A slot holds [T, FEW_TILE_ROWS], and the same for `up`. */
static float *slot_at(const bb_exec *e, const job *j, int slot)
{
    return e->own_tiles + (size_t)slot * 2 * (size_t)j->x->T * FEW_TILE_ROWS;
}

static void multiply_few(const bb_exec *e, const job *j, const bb_product *p, const struct place *at,
                         float *y)
{
    const bb_matrix *w = &p->linear->w;
    const bb_format *f = format_of(e, p);

    f->few(j->x->T, at->n, w->cols, w->data, at->first, arrange_own(e, j->op, f, j->x), y,
           FEW_TILE_ROWS);
}

static void prepare_few(const bb_exec *e, void *own)
{
    const job *j = own;
    arrange_own(e, j->op, format_of(e, j->product), j->x);
}

static void compute_few(const bb_exec *e, const void *context, int tile, int slot)
{
    const job         *j = context;
    const struct place at = place_of(j, tile);
    float             *y = slot_at(e, j, slot);

    multiply_few(e, j, at.p, &at, y);
    if (j->is_gated) multiply_few(e, j, at.p + 1, &at, y + (size_t)j->x->T * FEW_TILE_ROWS);
}

static void commit_few(const bb_exec *e, const void *context, int tile, int slot)
{
    const job         *j = context;
    const struct place at = place_of(j, tile);
    float             *y = slot_at(e, j, slot);

    complete(e, j, &at, y, FEW_TILE_ROWS, y + (size_t)j->x->T * FEW_TILE_ROWS, FEW_TILE_ROWS);
}

/* Products that want their rows arranged differently: prepared for as they come, so not twice. */
static void run_few(const bb_exec *e, const void *context, int tile)
{
    compute_few(e, context, tile, 0);
    commit_few(e, context, tile, 0);
}

static bool is_arranged_once(const bb_exec *e, const job *j)
{
    for (int i = 1; i < j->n; i++)
        if (format_of(e, &j->product[i])->prepare_few != format_of(e, j->product)->prepare_few) return false;
    return true;
}

/* -------------------------------------------------------------- products ----------------- */

static void run(const bb_exec *e, job *j, bb_operand *x)
{
    const bool many = x->T > BB_FEW_ROWS;
    int        n_tiles = 0;

    j->x = x;
    j->tile_rows = many ? MANY_TILE_ROWS : few_tile_rows(e, j);
    for (int i = 0; i < count_products(j); i++) n_tiles += count_tiles(j, &j->product[i]);
    if (many) {
        for (int i = 0; i < j->n; i++) prepare_many(e, j->op, format_of(e, &j->product[i]), x);
        bb_each_tile(e, n_tiles, run_many, j);
    } else if (is_arranged_once(e, j)) {
        bb_each_tile_repeatable(e, prepare_few, j, n_tiles, compute_few, commit_few, j);
    } else {
        bb_each_tile(e, n_tiles, run_few, j);
    }
    bb_mark(e, j->op);
}

void bb_multiply(const bb_exec *e, bb_op op, const bb_product *p, int n, bb_operand *x,
                 bb_finish_fn *finish, const void *finish_job)
{
    job j = { .op = op, .product = p, .n = n, .finish = finish, .finish_job = finish_job };
    run(e, &j, x);
}

void bb_multiply_gated(const bb_exec *e, bb_op op, const bb_linear *gate, const bb_linear *up,
                       bb_operand *x, float *y, size_t ldy)
{
    const bb_product p[2] = { { gate, y, ldy }, { up, NULL, 0 } };
    job j = { .op = op, .product = p, .n = 2, .is_gated = true };
    run(e, &j, x);
}

void bb_multiply_add(const bb_exec *e, bb_op op, const bb_linear *l, bb_operand *x, float *y)
{
    const bb_product p = { l, y, (size_t)l->w.rows };
    job j = { .op = op, .product = &p, .n = 1, .stream = e->x };
    run(e, &j, x);
}

size_t bb_panel_bytes(const bb_kernels *k, int T, int widest)
{
    const size_t up = (size_t)T * MANY_TILE_ROWS * sizeof(float);

    if (k->format[BB_FORMAT_F32].many) return BB_MANY_SCRATCH(T, MANY_TILE_ROWS) + up;
    return (bb_blas_present() ? (size_t)MANY_TILE_ROWS * (size_t)widest * sizeof(float) : 0) + up;
}

size_t bb_packed_elements(int T, int widest)
{
    return ((size_t)T + BB_MOST_GROUP) * (((size_t)widest + 1) / 2 * 2);
}

size_t bb_own_tile_elements(void)
{
    return (size_t)BB_SLOTS * 2 * BB_FEW_ROWS * FEW_TILE_ROWS;
}
