/* linear.h - weight matrices and what mixers multiply by.
 *
 * Owns:    the handle of a matrix (shape, element type, data) and of a linear map.
 * Not:     where the data came from (bind.h), the product (mixer/linear.c).
 */
#ifndef BB_GRAPH_LINEAR_H
#define BB_GRAPH_LINEAR_H

#include "kernels.h"

typedef struct bb_matrix {
    int         rows, cols;
    bb_type     type;
    const void *data;                     /* [rows, cols], row-major, aligned to its element     */
} bb_matrix;

typedef struct bb_linear {                /* y = W · x + b                                       */
    bb_matrix    w;
    const float *bias;                    /* [w.rows] or NULL                                    */
} bb_linear;

#endif
