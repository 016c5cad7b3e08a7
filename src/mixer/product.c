/* product.c - rows times a weight matrix, by all threads. */
#include "mixer/product.h"

#include "mixer/blas.h"

enum { FEW_TILE_ROWS = 48 };              /* weight rows a thread takes at a time, few rows */
enum { MANY_TILE_ROWS = 128 };            /* and many: T rows of a KC-wide slice stay in cache */

typedef struct job {
    const bb_linear  *l;
    const bb_format  *format;
    const bb_operand *x;
    const void       *rows;               /* x in the format's activation type */
    size_t            ld;
    float            *y;
    size_t            ldy;
    float            *stream;             /* [T, rows] to add y to, or NULL */
} job;

static int smaller(int a, int b) { return a < b ? a : b; }

/* -------------------------------------------------------------- tiles -------------------- */

/* Bias and residual for columns first … first + n - 1 of y. */
static void finish(const bb_exec *e, const job *j, int first, int n)
{
    for (int t = 0; t < j->x->T; t++) {
        float *y = j->y + (size_t)t * j->ldy + first;
        if (j->l->bias) e->k->axpy(n, 1.0f, j->l->bias + first, y);
        if (j->stream) e->k->axpy(n, 1.0f, y, j->stream + (size_t)t * (size_t)j->l->w.rows + first);
    }
}

static const void *row_at(const job *j, int t)
{
    const size_t element_bytes = j->format->activation == BB_TYPE_F32 ? 4 : 2;
    return (const unsigned char *)j->rows + (size_t)t * j->ld * element_bytes;
}

static void run_few(const bb_exec *e, const void *p, int tile)
{
    const job       *j = p;
    const bb_matrix *w = &j->l->w;
    const int        first = tile * FEW_TILE_ROWS;
    const int        n = smaller(FEW_TILE_ROWS, w->rows - first);

    for (int t = 0; t < j->x->T; t += BB_FEW_ROWS)    /* once, unless there is nothing for many */
        j->format->rows(smaller(BB_FEW_ROWS, j->x->T - t), n, w->cols, bb_matrix_row(w, first),
                        (size_t)w->cols, row_at(j, t), j->ld, j->y + (size_t)t * j->ldy + first,
                        j->ldy);
    finish(e, j, first, n);
}

static void run_many(const bb_exec *e, const void *p, int tile)
{
    const job       *j = p;
    const bb_matrix *w = &j->l->w;
    const int        first = tile * MANY_TILE_ROWS;
    const int        n = smaller(MANY_TILE_ROWS, w->rows - first);

    j->format->gemm(j->x->T, n, w->cols, bb_matrix_row(w, first), (size_t)w->cols, j->rows, j->ld,
                    j->y + first, j->ldy, e->panel);
    finish(e, j, first, n);
}

/* For levels without a kernel for many rows: widen a panel of weights, let BLAS multiply. */
static void run_blas(const bb_exec *e, const void *p, int tile)
{
    const job       *j = p;
    const bb_matrix *w = &j->l->w;
    const int        first = tile * MANY_TILE_ROWS;
    const int        n = smaller(MANY_TILE_ROWS, w->rows - first);
    const float     *panel = e->panel;

    if (w->type == BB_TYPE_F32) panel = bb_matrix_row(w, first);
    else e->k->widen[w->type]((size_t)n * (size_t)w->cols, bb_matrix_row(w, first), e->panel);
    bb_blas_product(j->x->T, n, w->cols, panel, (size_t)w->cols, j->x->x, j->x->ld, j->y + first,
                    j->ldy);
    finish(e, j, first, n);
}

/* -------------------------------------------------------------- rounding ----------------- */

static void round_row(const bb_exec *e, const bb_operand *x, uint16_t *to, int t)
{
    const size_t cols = (size_t)x->cols;
    e->k->narrow[BB_TYPE_BF16](cols, x->x + (size_t)t * x->ld, to + (size_t)t * cols);
}

static void run_round(const bb_exec *e, const void *p, int t)
{
    round_row(e, p, e->rounded_many, t);
}

/* x in bfloat16 [T, cols]. Few rows: each thread rounds for itself, which costs less than meeting. */
static const uint16_t *round_operand(const bb_exec *e, bb_operand *x)
{
    const bool few = x->T <= BB_FEW_ROWS;

    if (!x->is_rounded && few)
        for (int t = 0; t < x->T; t++) round_row(e, x, e->rounded_few, t);
    if (!x->is_rounded && !few) bb_each_tile(e, x->T, run_round, x);
    x->is_rounded = true;
    return few ? e->rounded_few : e->rounded_many;
}

/* -------------------------------------------------------------- products ----------------- */

static void run(const bb_exec *e, const bb_linear *l, bb_operand *x, float *y, size_t ldy,
                float *stream)
{
    const bb_format *f = &e->k->format[l->w.type];
    job j = { .l = l, .format = f, .x = x, .rows = x->x, .ld = x->ld, .y = y, .ldy = ldy,
              .stream = stream };
    const bool has_many = f->gemm || bb_blas_present();
    const bool many = x->T > BB_FEW_ROWS && has_many;
    const int  tile = many ? MANY_TILE_ROWS : FEW_TILE_ROWS;

    if (f->activation == BB_TYPE_BF16) {
        j.rows = round_operand(e, x);
        j.ld = (size_t)x->cols;
    }
    bb_each_tile(e, (l->w.rows + tile - 1) / tile,
                 !many ? run_few : f->gemm ? run_many : run_blas, &j);
}

void bb_product(const bb_exec *e, const bb_linear *l, bb_operand *x, float *y, size_t ldy)
{
    run(e, l, x, y, ldy, NULL);
}

void bb_product_add(const bb_exec *e, const bb_linear *l, bb_operand *x, float *y)
{
    run(e, l, x, y, (size_t)l->w.rows, e->x);
}

size_t bb_panel_bytes(const bb_kernels *k, int widest)
{
    if (k->format[BB_TYPE_F32].gemm) return BB_GEMM_SCRATCH;
    return bb_blas_present() ? (size_t)MANY_TILE_ROWS * (size_t)widest * sizeof(float) : 0;
}
