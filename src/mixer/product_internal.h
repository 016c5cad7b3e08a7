/* product_internal.h - the parts of a product, for the files that put products together.
 *
 * Owns:    the room (product_room.c); the rows that products read (product_rows.c); one tile of
 *          weight rows times prepared rows, and its way into a sink (product_tile.c).
 * Not:     cutting into tiles, and who runs them (product.c, grouped.c).
 */
#ifndef BB_MIXER_PRODUCT_INTERNAL_H
#define BB_MIXER_PRODUCT_INTERNAL_H

#include "mixer/product.h"

enum { BB_FEW_TILE = 48 };                /* weight rows of a tile at most, few rows of x */
enum { BB_MANY_TILE = 128 };              /* many rows of x: sums and x of a panel stay in cache */
enum { BB_COPIES = 2 };                   /* of a source, prepared for different formats at once */
enum { BB_FEW_DECODED = 2 };              /* weight rows decoded at a time, few rows of x */

static inline int    bb_smaller(int a, int b) { return a < b ? a : b; }
static inline size_t bb_larger(size_t a, size_t b) { return a > b ? a : b; }
static inline int    bb_divide_up(int a, int b) { return (a + b - 1) / b; }

/* ------------------------------------------------------------- product_room.c ------------ */

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

struct bb_product_room {
    unsigned char *prepared[BB_COPIES];   /* many rows, shared by all threads */
    bb_product_own first;                 /* of thread 0; thread i's is i · own_bytes further on */
    size_t         own_bytes;
    int            T, widest;
};

bb_product_own bb_product_own_of(const bb_product_room *room, int thread);

/* ------------------------------------------------------------- product_rows.c ------------ */

/* One thread's reading of a source, in a call of operation `op`. */
typedef struct bb_reader {
    int            op;
    bb_source     *x;
    bb_product_own own;
} bb_reader;

/* Rows first … first + n - 1 of the source, n <= BB_FEW_ROWS, row stride *ld: where they lie, or
   made or gathered into own.rows. */
const float *bb_reader_rows(const bb_exec *e, const bb_reader *r, int first, int n, size_t *ld);

/* All rows of a source that has few, made or gathered once for all calls that share it. */
const float *bb_reader_few_rows(const bb_exec *e, const bb_reader *r, size_t *ld);

/* The function that prepares rows of x for weights of format f. */
static inline bb_prepare_fn *bb_preparer(const bb_format *f, bool many)
{
    return many ? f->prepare_many : f->prepare_few;
}

/* All rows as format f wants them. Rows that the same function has prepared before are used again;
   else preparing many rows is a stage of its own, run by all threads. */
const void *bb_reader_prepare(const bb_exec *e, const bb_reader *r, const bb_format *f);

/* See that rows prepared for formats a and b can stand side by side, for a pair that needs both. */
void bb_source_keep_apart(bb_source *x, const bb_format *a, const bb_format *b);

/* ------------------------------------------------------------- product_tile.c ------------ */

/* Whether there are kernels for many rows, of the format or of what it is decoded to; BLAS
   otherwise, whose bits depend on the tile. */
bool bb_product_has_many(const bb_kernels *k, const bb_format *f);

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

/* Prefetch the first 4 KiB of the weight rows from `first` on, which this thread reads next, for
   few rows of x: after a jump to other weights the processor's own prefetchers do not follow at
   once, and the first reads would wait for memory. Nothing, if the matrix has no such row. */
void bb_product_prefetch(const bb_linear *l, int first);

/* n columns y of row t, from column `first` on, into the sink; they may stand there already. */
void bb_sink_put(const bb_kernels *k, const bb_sink *to, int t, int first, int n, const float *y);

#endif
