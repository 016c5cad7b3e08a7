/* product_tile.c - one tile of a product: some weight rows times prepared rows, by the kernels of
 * the weights' format, or those of float32 on decoded weights, or BLAS. */
#include "mixer/product_internal.h"

#include "base/prefetch.h"
#include "mixer/blas.h"

#include <string.h>

enum { HEAD = 4096 };                     /* bytes of a tile's weights that kernels do not prefetch
                                             themselves: they look so far ahead */
enum { MANY_DECODED = 32 };               /* weight rows decoded at a time, for many rows */

bool bb_product_has_many(const bb_kernels *k, const bb_format *f)
{
    return f->many || (!f->few && k->format[BB_FORMAT_F32].many);
}

void bb_product_prefetch(const bb_linear *l, int first)
{
    const bb_format     *f = l->w.format;
    const unsigned char *head = l->w.data;

    if (!f->few || first >= l->w.rows) return;
    head += f->bytes(first, l->w.cols);
    bb_prefetch(head, HEAD);
}

/* T prepared rows times n weight rows. Weights without kernels of their own are decoded, a few rows
   at a time, which stay in the caches, for those of float32. */
static void multiply_few(const bb_kernels *k, const bb_matrix *w, int T, int first, int n,
                         const void *x, float *panel, float *y, size_t ldy)
{
    const bb_format *f = w->format;

    if (f->few) {
        f->few(T, n, w->cols, w->data, first, x, y, ldy);
        return;
    }
    for (int r = 0; r < n; r += BB_FEW_DECODED) {
        const int m = bb_smaller(BB_FEW_DECODED, n - r);
        f->decode(m, w->cols, w->data, first + r, panel, (size_t)w->cols);
        k->format[BB_FORMAT_F32].few(T, m, w->cols, panel, 0, x, y + r, ldy);
    }
}

static void multiply_many(const bb_kernels *k, const bb_product_own *o, const bb_matrix *w, int T,
                          int first, int n, const void *x, float *y, size_t ldy)
{
    const bb_format *f = w->format;

    if (f->many) {
        f->many(T, n, w->cols, w->data, first, x, y, ldy, o->scratch);
        return;
    }
    for (int r = 0; r < n; r += MANY_DECODED) {
        const int m = bb_smaller(MANY_DECODED, n - r);
        f->decode(m, w->cols, w->data, first + r, o->rows, (size_t)w->cols);
        k->format[BB_FORMAT_F32].many(T, m, w->cols, o->rows, 0, x, y + r, ldy, o->scratch);
    }
}

/* Many rows at a level without kernels for them: by BLAS from decoded weights, or a few rows at a
   time. */
static void multiply_without(const bb_kernels *k, const bb_product_own *o, const bb_matrix *w,
                             int T, int first, int n, const float *x, float *y, size_t ldy)
{
    const bb_format *f = w->format;
    const int        cols = w->cols;
    float           *panel = (float *)(void *)o->scratch;

    if (bb_blas_present()) {
        f->decode(n, cols, w->data, first, panel, (size_t)cols);
        bb_blas_product(T, n, cols, panel, (size_t)cols, x, (size_t)cols, y, ldy);
        return;
    }
    for (int t = 0; t < T; t += BB_FEW_ROWS) {
        const int m = bb_smaller(BB_FEW_ROWS, T - t);
        f->prepare_few(m, cols, x + (size_t)t * (size_t)cols, (size_t)cols, o->prepared[0]);
        multiply_few(k, w, m, first, n, o->prepared[0], panel, y + (size_t)t * ldy, ldy);
    }
}

void bb_product_tile(const bb_kernels *k, const bb_product_own *o, const bb_linear *l,
                     const bb_prepared *x, int first, int n, float *y, size_t ldy)
{
    const bb_matrix *w = &l->w;
    const bb_format *f = w->format;
    const int        T = x->T;

    if (!x->many)
        multiply_few(k, w, T, first, n, x->x, (float *)(void *)o->scratch, y, ldy);
    else if (bb_product_has_many(k, f))
        multiply_many(k, o, w, T, first, n, x->x, y, ldy);
    else multiply_without(k, o, w, T, first, n, x->x, y, ldy);
    for (int t = 0; l->row_scale && t < T; t++)
        k->mul(n, l->row_scale + first, y + (size_t)t * ldy);
    for (int t = 0; l->bias && t < T; t++)
        k->axpy(n, 1.0f, l->bias + first, y + (size_t)t * ldy);
}

void bb_sink_put(const bb_kernels *k, const bb_sink *to, int t, int first, int n, const float *y)
{
    const float alpha = to->weight ? to->alpha * to->weight[t] : to->alpha;
    float      *out = to->y + (size_t)(to->index ? to->index[t] : t) * to->ld + first;

    if (to->add) k->axpy(n, alpha, y, out);
    else if (alpha != 1.0f)
        for (int i = 0; i < n; i++) out[i] = alpha * y[i];
    else if (y != out) memcpy(out, y, (size_t)n * sizeof *y);
}
