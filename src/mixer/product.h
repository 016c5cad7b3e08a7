/* product.h - rows times a weight matrix, by all threads.
 *
 * Owns:    cutting a product into tiles; the two ways of computing one: up to BB_FEW_ROWS rows
 *          read the weights once, each row in the order of the one-row product; more rows widen
 *          panels of weights to float32 for BLAS.
 * Not:     the arithmetic (kernels/, blas.c).
 */
#ifndef BB_MIXER_PRODUCT_H
#define BB_MIXER_PRODUCT_H

#include "graph/linear.h"
#include "graph/mixer.h"

enum { BB_FEW_ROWS = 32 };                /* design: bits of a row do not depend on its company */
enum { BB_PANEL_ROWS = 128 };             /* weight rows per BLAS call; fixed, so bits are */

/* y[t, r] = Σc W[r, c] · x[t, c] + b[r].   x [T, cols] row stride ldx, y [T, rows] row stride ldy.
   Ends with a barrier. */
void bb_product(const bb_exec *e, const bb_linear *l, int T, const float *x, size_t ldx, float *y,
                size_t ldy);

/* The same, then e->x[t, r] += y[t, r]: a mixer's last projection. y [T, rows] is scratch. */
void bb_product_add(const bb_exec *e, const bb_linear *l, const float *x, size_t ldx, float *y);

/* Floats of bb_exec.panel for the widest matrix of `cols` columns. */
size_t bb_panel_size(int cols);

#endif
