/* blas.h - large float32 products by the system's OpenBLAS, if it has one.
 *
 * Owns:    the one BLAS call, always on one thread.
 * Not:     cutting (product.c).
 */
#ifndef BB_MIXER_BLAS_H
#define BB_MIXER_BLAS_H

#include <stdbool.h>
#include <stddef.h>

/* Load OpenBLAS and make its calls run on the calling thread alone, for the whole process (there is
   no other way to say it). What the first call finds holds from then on. Call before a team's
   threads ask for a product. */
void bb_blas_prepare(void);

/* Whether bb_blas_prepare found it: without, bb_blas_product must not be called. */
bool bb_blas_present(void);

/* y[t, r] = Σc w[r, c] · x[t, c].   w [rows, cols] row stride ldw, x [T, cols] row stride ldx,
   y [T, rows] row stride ldy, all float32. */
void bb_blas_product(int T, int rows, int cols, const float *w, size_t ldw, const float *x,
                     size_t ldx, float *y, size_t ldy);

#endif
