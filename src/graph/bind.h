/* bind.h - plan × checkpoint → weights attached; nothing missing, nothing left over.
 *
 * Owns:    matching names and shapes, converting to the wanted type, the block of memory that
 *          holds what is not used in place.
 * Not:     which weights a mixer has (its bind verb).
 * Errors:  sticky inside a mixer's bind verb; bb_bind() returns the first.
 *
 * The same walk over all weights runs three times: without a checkpoint it only counts; with one
 * it checks and measures; then it attaches. The passes cannot drift apart.
 */
#ifndef BB_GRAPH_BIND_H
#define BB_GRAPH_BIND_H

#include "graph/plan.h"
#include "load/checkpoint.h"

typedef struct bb_binder bb_binder;

typedef struct bb_bind_options {
    bb_type           type;              /* of matrices; BB_TYPE_NONE = as stored             */
    bb_type           planned_type;      /* without a checkpoint: what it would be stored in   */
    const bb_kernels  *k;
    bool               copy;              /* use nothing in place                                */
    bool               random;            /* without a checkpoint: make weights, from `seed`     */
    uint64_t           seed;
    int                n_threads;         /* for conversions */
    bamba_progress_fn *progress;          /* bytes of weights bound; may be NULL */
    void              *progress_context;
} bb_bind_options;

typedef struct bb_bind_stats {
    uint64_t n_params;                    /* tied matrices once */
    uint64_t weights_bytes;               /* read by one decoded token */
    uint64_t mapped_bytes;                /* used in place */
    uint64_t resident_bytes;              /* in the block */
    uint64_t converted_bytes;             /* of them matrices that are stored in another type */
    uint64_t misaligned_bytes;            /* of them matrices that lie unaligned in their file */
} bb_bind_stats;

/* Attach c's tensors to g. *block (the caller releases it, after g) holds what was copied; NULL if
   c is NULL: then only *stats is filled, unless weights are to be made. Takes every tensor of c or
   fails. */
bb_status bb_bind(bb_graph *g, bb_checkpoint *c, const bb_bind_options *options, void **block,
                  bb_bind_stats *stats, bamba_error *err);

/* For the mixers' bind verbs. Names are relative to the mixer's prefix. */

/* A matrix in the wanted type, in place where possible. */
void bb_bind_matrix(bb_binder *b, bb_matrix *out, const char *name, int rows, int cols);
/* name.weight and, if it has one, name.bias. */
void bb_bind_linear(bb_binder *b, bb_linear *out, const char *name, int rows, int cols,
                    bool has_bias);
/* A small tensor as float32, always copied. dim ends with 0. */
void bb_bind_small(bb_binder *b, const float **out, const char *name, const int *dim);
/* The usual case of it: [n]. */
void bb_bind_vector(bb_binder *b, const float **out, const char *name, int n);
/* Apply map once to each of the n values bound last with bb_bind_small / _vector. */
void bb_bind_map(bb_binder *b, const float *values, int n, float (*map)(float));

#endif
