/* product.h - rows times weight matrices, by all threads.
 *
 * Owns:    cutting products into tiles; preparing rows once for all products that read them;
 *          the choice between few rows (weights are read once, each row in the order of the
 *          one-row product) and many (panels, one order for any number of rows).
 * Not:     the arithmetic (kernels/, blas.c).
 */
#ifndef BB_MIXER_PRODUCT_H
#define BB_MIXER_PRODUCT_H

#include "graph/linear.h"
#include "graph/mixer.h"

enum { BB_FEW_ROWS = 32 };                /* bits of a row do not depend on its company up to here */

/* Rows to be multiplied. Begin with bb_operand_of; products of the same operand share what it takes to
   prepare them. One operand is in use at a time, and every thread has a copy of its own. Few rows
   are made and arranged by each thread for itself, which costs less than meeting. */
typedef struct bb_operand {
    bb_rows rows;                         /* [T, cols] */
    int     T, cols;
    bool    is_packed[2];                 /* the exec's packed rows are these: rounded, not rounded */
    bool    is_made;                      /* this thread's own rows are these */
    bb_prepare_fn *arranged_by;           /* and what it arranged; NULL: nothing yet */
} bb_operand;

static inline bb_operand bb_operand_of(int T, int cols, bb_rows rows)
{
    return (bb_operand){ .rows = rows, .T = T, .cols = cols };
}

/* The rows of a matrix in memory. */
static inline bb_rows bb_rows_at(const float *x, size_t ld)
{
    return (bb_rows){ .x = x, .ld = ld };
}

/* Columns first … first + n - 1 of a product's y stand, for all T rows: what comes next for them. */
typedef void bb_finish_fn(const bb_exec *e, const void *job, int first, int n);

/* y[t, r] = Σc W[r, c] · x[t, c] + b[r].   y [T, rows] row stride ldy. */
typedef struct bb_product {
    const bb_linear *linear;
    float           *y;
    size_t           ldy;
} bb_product;

/* Several products of one operand in one stage; op is whose time it is, save for what makes the rows.
   finish, if not NULL, is called with columns of each, counted through all products, by the
   thread that made them; its time is what it marks. */
void bb_multiply(const bb_exec *e, bb_op op, const bb_product *p, int n, bb_operand *x,
                 bb_finish_fn *finish, const void *job);

/* y[t, r] = silu(gate · x) · (up · x), gate and up of the same shape. */
void bb_multiply_gated(const bb_exec *e, bb_op op, const bb_linear *gate, const bb_linear *up,
                       bb_operand *x, float *y, size_t ldy);

/* e->x[t, r] += W · x: a mixer's last projection. y [T, rows] is scratch. */
void bb_multiply_add(const bb_exec *e, bb_op op, const bb_linear *l, bb_operand *x, float *y);

/* For passes of T rows and matrices of up to `widest` columns: bytes of bb_exec.panel, elements of
   bb_exec.packed and packed_rounded, and, for any, of own_tiles. */
size_t bb_panel_bytes(const bb_kernels *k, int T, int widest);
size_t bb_packed_elements(int T, int widest);
size_t bb_own_tile_elements(void);

/* Floats of a row, made or prepared for few. */
static inline size_t bb_own_width(int cols) { return ((size_t)cols + 31) / 32 * 32; }

#endif
