/* adapter.h - what a low-rank adapter adds to the linear maps of a graph.
 *
 * Owns:    the layout of an adapter in memory, and its use with a scale.
 * Not:     files (src/adapter.c), the arithmetic (mixer/lora.h).
 *
 * A linear map y = W · x becomes y = W · x + B · (s · A · x, u): s · A · x are `rank` inputs of B,
 * and u is a constant that multiplies B's last column, where an adapter changes a bias.
 * Source: Hu et al. 2021, arXiv:2106.09685.
 */
#ifndef BB_GRAPH_ADAPTER_H
#define BB_GRAPH_ADAPTER_H

#include "graph/linear.h"

#include <stdbool.h>

typedef struct bb_low_rank {
    int         rank;                     /* 0: there is no A */
    int         n_inputs;                 /* columns of B: rank, or rank + 1; 0: nothing added */
    bb_type     type;                     /* of the elements of A and B: F32 or F16 */
    float       scale;                    /* of A · x, with the units of A and of B */
    float       unit;                     /* a power of two: elements of B are what is kept · it */
    const void *A;                        /* [rank, columns of the map] as bb_format keeps it */
    const void *B;                        /* [rows of the stored tensor, or of a stack's matrix,
                                             n_inputs] as bb_expand_fn reads it */
} bb_low_rank;

/* What a low-rank term adds to embeddings. */
typedef struct bb_low_rank_embed {
    int          rank;                    /* 0: nothing */
    float        scale;
    const float *A;                       /* [rows of the embedding, rank] */
    const float *B;                       /* [rank, D] */
} bb_low_rank_embed;

typedef struct bb_adapter {
    const bb_low_rank *map;               /* [n_linears of the graph] by their ids */
    int                widest;            /* most inputs of any of them */
    bb_low_rank_embed  embed;
    bb_matrix          own_embed;         /* in place of the model's; data NULL: the model's */
    bb_linear          own_head;          /* likewise, w.data NULL: the model's */
} bb_adapter;

/* An adapter and the factor of all that it adds. */
typedef struct bb_adapter_use {
    const bb_adapter *adapter;
    float             scale;
} bb_adapter_use;

#endif
