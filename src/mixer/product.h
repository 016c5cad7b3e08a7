/* product.h - rows times a weight matrix, by all threads.
 *
 * Owns:    cutting a product into tiles; rounding rows once where a format's kernels want bfloat16;
 *          the choice between few rows (weights are read once, each row in the order of the
 *          one-row product) and many (panels, one order for any number of rows).
 * Not:     the arithmetic (kernels/, blas.c).
 */
#ifndef BB_MIXER_PRODUCT_H
#define BB_MIXER_PRODUCT_H

#include "graph/linear.h"
#include "graph/mixer.h"

enum { BB_FEW_ROWS = 32 };                /* bits of a row do not depend on its company up to here */

/* Rows to be multiplied. Begin with bb_operand_of; products of the same operand share the rounding.
   One operand is in use at a time, and every thread has a copy of its own. */
typedef struct bb_operand {
    const float *x;                       /* [T, cols] row stride ld */
    size_t       ld;
    int          T, cols;
    bool         is_rounded;              /* the exec's rounded rows are these */
} bb_operand;

static inline bb_operand bb_operand_of(int T, int cols, const float *x, size_t ld)
{
    return (bb_operand){ .x = x, .ld = ld, .T = T, .cols = cols };
}

/* y[t, r] = Σc W[r, c] · x[t, c] + b[r].   y [T, rows] row stride ldy. Ends with a barrier. */
void bb_product(const bb_exec *e, const bb_linear *l, bb_operand *x, float *y, size_t ldy);

/* The same, then e->x[t, r] += y[t, r]: a mixer's last projection. y [T, rows] is scratch. */
void bb_product_add(const bb_exec *e, const bb_linear *l, bb_operand *x, float *y);

/* Bytes of bb_exec.panel for matrices of up to `widest` columns with these kernels. */
size_t bb_panel_bytes(const bb_kernels *k, int widest);

#endif
