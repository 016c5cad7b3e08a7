/* linear.h - weight matrices and what mixers multiply by.
 *
 * Owns:    the handle of a matrix (shape, format, data) and of a linear map.
 * Not:     how a format lays out its bytes (formats.h), where the data came from (bind.h), the
 *          product (mixer/product.h).
 */
#ifndef BB_GRAPH_LINEAR_H
#define BB_GRAPH_LINEAR_H

#include "kernels.h"

typedef struct bb_matrix {
    int              rows, cols;
    const bb_format *format;              /* a row of the model's kernel table                   */
    const void      *data;                /* format->bytes(rows, cols) bytes, of whole matrices  */
} bb_matrix;

typedef struct bb_linear {                /* y = row_scale · (W · x) + bias                      */
    bb_matrix    w;
    const float *bias;                    /* [w.rows] or NULL: 0                                 */
    const float *row_scale;               /* [w.rows] or NULL: 1                                 */
    int          id;                      /* number in the graph, by order of binding: that of its
                                             tensor, or of its matrix in a tensor that is a stack;
                                             slices of either share it                            */
    int          first;                   /* row of that tensor or matrix that is row 0           */
} bb_linear;

#endif
