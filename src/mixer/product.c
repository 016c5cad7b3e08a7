/* product.c - rows times a weight matrix, by all threads. */
#include "mixer/product.h"

#include "mixer/blas.h"

enum { FEW_TILE_ROWS = 32 };              /* weight rows a thread takes at a time, few rows */

typedef struct job {
    const bb_linear *l;
    int              T;
    const float     *x;
    size_t           ldx;
    float           *y;
    size_t           ldy;
    float           *stream;              /* [T, rows] to add y to, or NULL */
} job;

static int smaller(int a, int b) { return a < b ? a : b; }

/* Bias and residual for columns first … first + n - 1 of y. */
static void finish(const bb_exec *e, const job *j, int first, int n)
{
    for (int t = 0; t < j->T; t++) {
        float *y = j->y + (size_t)t * j->ldy + first;
        if (j->l->bias) e->k->axpy(n, 1.0f, j->l->bias + first, y);
        if (j->stream) e->k->axpy(n, 1.0f, y, j->stream + (size_t)t * (size_t)j->l->w.rows + first);
    }
}

static void run_few(const bb_exec *e, const void *p, int tile)
{
    const job       *j = p;
    const bb_matrix *w = &j->l->w;
    const int        first = tile * FEW_TILE_ROWS;
    const int        n = smaller(FEW_TILE_ROWS, w->rows - first);

    for (int t = 0; t < j->T; t += BB_FEW_ROWS)       /* once, unless there is no BLAS */
        e->k->rows[w->type](smaller(BB_FEW_ROWS, j->T - t), n, w->cols, bb_matrix_row(w, first),
                            (size_t)w->cols, j->x + (size_t)t * j->ldx, j->ldx,
                            j->y + (size_t)t * j->ldy + first, j->ldy);
    finish(e, j, first, n);
}

static void run_panel(const bb_exec *e, const void *p, int tile)
{
    const job       *j = p;
    const bb_matrix *w = &j->l->w;
    const int        first = tile * BB_PANEL_ROWS;
    const int        n = smaller(BB_PANEL_ROWS, w->rows - first);
    const float     *panel = e->panel;

    if (w->type == BB_TYPE_F32) panel = bb_matrix_row(w, first);
    else e->k->widen[w->type]((size_t)n * (size_t)w->cols, bb_matrix_row(w, first), e->panel);
    bb_blas_product(j->T, n, w->cols, panel, (size_t)w->cols, j->x, j->ldx, j->y + first, j->ldy);
    finish(e, j, first, n);
}

static void run(const bb_exec *e, const job *j)
{
    const bool large = j->T > BB_FEW_ROWS && bb_blas_present();
    const int  tile = large ? BB_PANEL_ROWS : FEW_TILE_ROWS;

    bb_each_tile(e, (j->l->w.rows + tile - 1) / tile, large ? run_panel : run_few, j);
}

void bb_product(const bb_exec *e, const bb_linear *l, int T, const float *x, size_t ldx, float *y,
                size_t ldy)
{
    const job j = { l, T, x, ldx, y, ldy, NULL };
    run(e, &j);
}

void bb_product_add(const bb_exec *e, const bb_linear *l, const float *x, size_t ldx, float *y)
{
    const job j = { l, e->T, x, ldx, y, (size_t)l->w.rows, e->x };
    run(e, &j);
}

size_t bb_panel_size(int cols) { return (size_t)BB_PANEL_ROWS * (size_t)cols; }
