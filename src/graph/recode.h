/* recode.h - rows of a stored matrix in the format that is wanted.
 *
 * Owns:    decoding what a file holds, at any address, and encoding it anew.
 * Not:     which format is wanted (bind.h), where the rows go, threads.
 */
#ifndef BB_GRAPH_RECODE_H
#define BB_GRAPH_RECODE_H

#include "kernels.h"

/* Change decoded rows [n, cols], the first of them `row` of the stored matrix. */
typedef void bb_change_fn(const void *context, int row, int n, int cols, float *rows);

typedef struct bb_recode {
    const bb_format     *stored, *wanted;
    const unsigned char *from;            /* the whole stored matrix, at any address */
    int                  first;           /* its row that becomes row 0 */
    int                  cols;
    const float         *importance;      /* [cols] of each input, or NULL (bb_encode_fn) */
    const float         *carry;           /* bb_encode_carrying_fn; or NULL */
    bb_change_fn        *change;          /* between decoding and encoding; or NULL */
    const void          *change_context;
} bb_recode;

/* n elements from element `at` of data of a format without scales, at any address, as float32. */
void   bb_recode_elements(const bb_format *f, const unsigned char *data, size_t at, size_t n,
                          float *to);

/* Bytes that bb_recode_rows works in, for n rows at a time. */
size_t bb_recode_bytes(const bb_recode *r, int n);

/* Rows first … first + n - 1 become rows at … at + n - 1 of the matrix `to`. `at`, and n unless
   they are the last, are multiples of the wanted format's rows_together.
   scratch [bb_recode_bytes(r, n)], 64-byte aligned. */
void   bb_recode_rows(const bb_recode *r, int first, int n, void *to, int at, void *scratch);

#endif
