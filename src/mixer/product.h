/* product.h - rows times weight matrices, by all threads.
 *
 * Owns:    cutting products into tiles; preparing rows once for all products that read them; the
 *          room that this works in.
 * Not:     the arithmetic (kernels/, blas.c), whether rows are few or many (bb_is_many).
 *
 * In passes of few rows weights are read once, and a row has the bits that it has alone. In passes
 * of many rows sums are made panel by panel, in one order for any number of rows.
 */
#ifndef BB_MIXER_PRODUCT_H
#define BB_MIXER_PRODUCT_H

#include "graph/linear.h"
#include "graph/pass.h"

/* One linear map of the source's rows; or a pair of the same shape, whose columns meet in the
   epilogue before one of them is stored. */
typedef struct bb_product {
    const bb_linear *linear;
    const bb_linear *pair;                /* NULL: alone */
    bb_sink          to;                  /* columns 0 … rows - 1 */
} bb_product;

/* What is done with a tile's columns at once, while they are in the caches. */
typedef struct bb_epilogue {
    /* A row of n columns on its way to the sink: out from y and, of a pair, the partner's columns.
       out may be y. NULL: y as it is. */
    void (*activate)(const bb_kernels *k, int n, const float *y, const float *partner, float *out);
    /* Columns first … first + n - 1, counted through all products of the call, stand in their sinks
       for all rows: go on with them. Counts its own time. May be NULL. */
    void (*after)(const bb_exec *e, const void *job, int first, int n);
    const void *job;
} bb_epilogue;

/* n products of one source in one stage, into sinks that do not overlap; called by all threads.
   `op`: the operation whose time it is, but for making the source's rows and for `after`. then may
   be NULL. */
void bb_multiply(const bb_exec *e, int op, const bb_product *p, int n, bb_source *x,
                 const bb_epilogue *then);

/* What products of a pass work in, for all threads. */
typedef struct bb_product_room bb_product_room;

/* Carve the room for passes of up to T rows and matrices of up to `widest` columns; run on a
   measuring arena first, which gives NULL. */
bb_product_room *bb_product_room_take(bb_arena *a, const bb_kernels *k, int T, int widest,
                                      int n_threads);

#endif
