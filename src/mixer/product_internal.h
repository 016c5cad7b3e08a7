/* product_internal.h - tiles of products, for the files that cut products into them.
 *
 * Owns:    a thread's memory for tiles; multiplying one tile of prepared rows; its way into a sink.
 * Not:     who prepares rows (product.c, grouped.c).
 */
#ifndef BB_MIXER_PRODUCT_INTERNAL_H
#define BB_MIXER_PRODUCT_INTERNAL_H

#include "mixer/product.h"

enum { BB_FEW_TILE = 48 };                /* weight rows of a tile at most, few rows of x */
enum { BB_MANY_TILE = 128 };              /* many rows of x: sums and x of a panel stay in cache */
enum { BB_COPIES = 2 };                   /* of a source, prepared for different formats at once */

/* What a thread keeps to itself. */
typedef struct bb_product_own {
    /* [BB_FEW_ROWS, widest] made by the source; once many rows are prepared, decoded weights. */
    float         *rows;
    unsigned char *prepared[BB_COPIES];   /* few rows */
    float         *few;                   /* [BB_PLACES, 2, BB_FEW_ROWS, BB_FEW_TILE] tiles and
                                             partners */
    float         *many;                  /* [2, T, BB_MANY_TILE] a tile and its partner */
    unsigned char *scratch;               /* of bb_many_fn, or decoded weights otherwise */
} bb_product_own;

/* Whether there are kernels for many rows, of the format or of what it is decoded to; BLAS
   otherwise, whose bits depend on the tile. */
bool bb_product_has_many(const bb_kernels *k, const bb_format *f);

bb_product_own bb_product_own_of(const bb_product_room *room, int thread);

/* Rows that the format of the matrix they meet has prepared: T <= BB_FEW_ROWS by prepare_few, or,
   for passes of many rows, any T by prepare_many. */
typedef struct bb_prepared {
    const void *x;
    int         T;
    bool        many;
} bb_prepared;

/* y [T, n] row stride ldy = row_scale · (W · x) + bias for n weight rows from `first` on;
   n <= BB_MANY_TILE. Many rows use own->rows. */
void bb_product_tile(const bb_kernels *k, const bb_product_own *own, const bb_linear *l,
                     const bb_prepared *x, int first, int n, float *y, size_t ldy);

/* n columns y of row t, from column `first` on, into the sink; they may stand there already. */
void bb_sink_put(const bb_kernels *k, const bb_sink *to, int t, int first, int n, const float *y);

#endif
