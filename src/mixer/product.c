/* product.c - rows times weight matrices, by all threads. */
#include "mixer/product.h"

#include "mixer/blas.h"

enum { FEW_TILE_ROWS = 48 };              /* weight rows a thread takes at a time, few rows */
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
    bool              many;
    int               tile_rows;
} job;

static int smaller(int a, int b) { return a < b ? a : b; }

static int count_tiles(const job *j, const bb_product *p)
{
    return (p->linear->w.rows + j->tile_rows - 1) / j->tile_rows;
}

static const bb_format *format_of(const bb_exec *e, const bb_product *p)
{
    return &e->k->format[p->linear->w.type];
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
    if (x->arranged_by == f->arrange) return e->arranged;
    make_own(e, op, x);
    f->arrange(x->T, x->cols, row_at(e, x, 0), x->rows.x ? x->rows.ld : (size_t)x->cols, e->arranged);
    x->arranged_by = f->arrange;
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
    pack->format->pack(n, x->cols, rows, x->rows.x ? x->rows.ld : cols,
                       (unsigned char *)to + (size_t)first * BB_PACKED(cols) * (is_f32 ? 4 : 2));
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

    if (f->gemm && !*is_packed) {
        bb_each_tile(e, (x->T + f->group - 1) / f->group, run_pack, &pack);
        *is_packed = true;
    }
    if (!f->gemm && !x->rows.x) {
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
    const void       *panel = e->panel;

    if (w->type == BB_TYPE_F32) panel = bb_matrix_row(w, first);
    else e->k->widen[w->type]((size_t)n * (size_t)w->cols, bb_matrix_row(w, first), e->panel);
    bb_blas_product(x->T, n, w->cols, panel, (size_t)w->cols, x->rows.x, x->rows.ld, y, ldy);
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
        f->arrange(m, x->cols, row_at(e, x, t), x->rows.ld, e->arranged);
        f->rows(m, n, w->cols, bb_matrix_row(w, first), (size_t)w->cols, e->arranged,
                y + (size_t)t * ldy, ldy);
    }
}

/* y = W · x for n weight rows from `first` on, all rows of x. */
static void multiply(const bb_exec *e, const job *j, const bb_product *p, int first, int n, float *y,
                     size_t ldy)
{
    const bb_matrix *w = &p->linear->w;
    const bb_format *f = format_of(e, p);

    if (!j->many)
        f->rows(j->x->T, n, w->cols, bb_matrix_row(w, first), (size_t)w->cols,
                arrange_own(e, j->op, f, j->x), y, ldy);
    else if (!f->gemm)
        (bb_blas_present() ? multiply_blas : multiply_by_few)(e, j, p, first, n, y, ldy);
    else
        f->gemm(j->x->T, n, w->cols, bb_matrix_row(w, first), (size_t)w->cols,
                f->activation == BB_TYPE_F32 ? (const void *)e->packed
                                             : (const void *)e->packed_rounded,
                y, ldy, e->panel);
    if (p->linear->bias)
        for (int t = 0; t < j->x->T; t++)
            e->k->axpy(n, 1.0f, p->linear->bias + first, y + (size_t)t * ldy);
}

/* Where the `up` half of a tile goes: behind what the kernels need of the panel. */
static float *up_at(const bb_exec *e, const job *j)
{
    return (float *)(void *)((unsigned char *)e->panel
                             + bb_panel_bytes(e->k, j->x->T, j->x->cols))
         - (size_t)j->x->T * MANY_TILE_ROWS;
}

static void run_tile(const bb_exec *e, const void *context, int tile)
{
    const job        *j = context;
    const bb_product *p = j->product;
    int               before = 0;         /* columns of the products before this one */

    for (; tile >= count_tiles(j, p); p++) {
        tile -= count_tiles(j, p);
        before += p->linear->w.rows;
    }
    const int first = tile * j->tile_rows;
    const int n = smaller(j->tile_rows, p->linear->w.rows - first);
    float    *y = p->y + first;

    multiply(e, j, p, first, n, y, p->ldy);
    if (j->is_gated) {
        float *up = up_at(e, j);
        multiply(e, j, p + 1, first, n, up, (size_t)n);
        for (int t = 0; t < j->x->T; t++, y += p->ldy)
            e->k->silu_mul(n, y, up + (size_t)t * (size_t)n, y);
    }
    if (j->stream)
        for (int t = 0; t < j->x->T; t++)
            e->k->axpy(n, 1.0f, p->y + (size_t)t * p->ldy + first,
                       j->stream + (size_t)t * (size_t)p->linear->w.rows + first);
    if (!j->finish) return;
    bb_mark(e, j->op);
    j->finish(e, j->finish_job, before + first, n);
}

/* -------------------------------------------------------------- products ----------------- */

static void run(const bb_exec *e, job *j, bb_operand *x)
{
    int n_tiles = 0;

    j->x = x;
    j->many = x->T > BB_FEW_ROWS;
    j->tile_rows = j->many ? MANY_TILE_ROWS : FEW_TILE_ROWS;
    for (int i = 0; i < (j->is_gated ? 1 : j->n); i++) n_tiles += count_tiles(j, &j->product[i]);
    if (j->many)
        for (int i = 0; i < j->n; i++) prepare_many(e, j->op, format_of(e, &j->product[i]), x);
    bb_each_tile(e, n_tiles, run_tile, j);
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

    if (k->format[BB_TYPE_F32].gemm) return BB_GEMM_SCRATCH(T, MANY_TILE_ROWS) + up;
    return (bb_blas_present() ? (size_t)MANY_TILE_ROWS * (size_t)widest * sizeof(float) : 0) + up;
}

size_t bb_packed_elements(int T, int widest)
{
    return ((size_t)T + BB_MOST_GROUP) * BB_PACKED(widest);
}
