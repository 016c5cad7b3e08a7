/* plan.h - a network described by names and dimensions, before any weight is loaded.
 *
 * Owns:    the list of blocks and mixers, in order of execution; the graph they live in.
 * Not:     weights (bind.h), arithmetic (mixer/), configuration keys (arch/).
 * Errors:  sticky; ask bb_plan_status() once, after building.
 */
#ifndef BB_GRAPH_PLAN_H
#define BB_GRAPH_PLAN_H

#include "base/alloc.h"
#include "graph/linear.h"
#include "graph/mixer.h"

enum { BB_MAX_DIM = 1 << 24, BB_MAX_LAYERS = 4096 };

/* A whole network: planned first, then bound. Immutable afterwards. */
typedef struct bb_graph {
    bb_allocator alloc;
    int          d_model, n_vocab, n_layers;
    int          n_rows;                  /* of embedding and head as stored: n_vocab and padding,
                                             which nobody can feed or choose */
    float        epsilon;                 /* of the norms */
    int          widest;                  /* most columns of any matrix; known once bound */
    char         embed_name[64];
    char         embed_alias[64];         /* where the checkpoint lacks embed_name; "" = none */
    bb_matrix    embed;                   /* [n_rows, D] */
    char         norm_name[64];
    const float *norm;                    /* [D] before the head */
    char         head_name[64];           /* "" = tied to the embedding */
    bb_linear    head;                    /* [V, D]; padding cut off */
    bb_block    *block;                   /* [n_blocks] */
    size_t       n_blocks, cap_blocks;
    bb_mixer   **stateful;                /* [n_slots] the mixer of each slot */
    size_t       n_slots, cap_slots;
    const char *const *leftovers;         /* endings of tensor names that may be left over;
                                             static, ends with NULL; may be NULL */
} bb_graph;

typedef struct bb_plan {
    bb_graph    *g;
    char         prefix[32];              /* "model.layers.3." */
    int          kv_type;                 /* BB_TYPE_… of attention caches */
    bamba_error  first;                   /* sticky */
} bb_plan;

/* Start a plan in an empty graph of d_model columns. */
void bb_plan_begin(bb_plan *p, int d_model, int n_vocab, double epsilon);
void bb_plan_embed(bb_plan *p, const char *name);
/* Another name that the embedding has in some files. */
void bb_plan_embed_alias(bb_plan *p, const char *name);
/* Embedding and head are stored with n_rows >= n_vocab rows; without this call, with n_vocab. */
void bb_plan_padded(bb_plan *p, int n_rows);
/* head NULL: tied to the embedding. */
void bb_plan_head(bb_plan *p, const char *norm, const char *head);
/* Endings of tensor names that may be left over: static, ends with NULL. */
void bb_plan_leftovers(bb_plan *p, const char *const *endings);
/* Prefix of everything that follows, until changed. format has one %d, the layer. */
void bb_plan_layer(bb_plan *p, const char *format, int layer);
/* Open the next block, normed by prefix + norm. */
void bb_plan_block(bb_plan *p, const char *norm);
/* Add a mixer object to the block: zeroed memory of `bytes` that begins with a bb_mixer. NULL on
   failure, which is remembered. */
bb_mixer *bb_plan_mixer(bb_plan *p, const bb_mixer_kind *kind, size_t bytes, const char *prefix,
                        bool stateful);

/* Remember a failure; the first stays. */
void      bb_plan_fail(bb_plan *p, bb_status code, const char *format, ...) BB_PRINTF(3, 4);
bb_status bb_plan_status(const bb_plan *p, bamba_error *err);

bb_graph *bb_graph_create(const bb_allocator *a);
void      bb_graph_free(bb_graph *g);
void      bb_graph_print(const bb_graph *g, bb_printer *p);

/* Bytes of one session's state for S positions, all slots. */
size_t    bb_graph_state_bytes(const bb_graph *g, size_t S);

#endif
