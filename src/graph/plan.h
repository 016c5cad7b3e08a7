/* plan.h - a network described by names and dimensions, before any weight is loaded.
 *
 * Owns:    the list of blocks, mixers and slots; the graph they live in; operation names.
 * Not:     weights (bind.h), arithmetic (mixer/), configuration keys (arch/).
 * Errors:  sticky; ask bb_plan_status() once, after building. Names that do not fit are errors.
 */
#ifndef BB_GRAPH_PLAN_H
#define BB_GRAPH_PLAN_H

#include "base/alloc.h"
#include "graph/linear.h"
#include "graph/mixer.h"

enum { BB_MAX_DIM = 1 << 24, BB_MAX_LAYERS = 4096 };

/* Operations that every graph has; those of the mixers follow. */
enum { BB_OP_EMBED, BB_OP_NORM, BB_OP_HEAD, BB_N_GRAPH_OPS };

/* Rows of a tensor whose products with x, and whose bias, the model multiplies by constants. */
typedef struct bb_row_factor {
    int   first, n;
    float product, bias;
} bb_row_factor;
enum { BB_MOST_FACTORS = 8 };

/* Where a matrix lies in a parameter [n, rows of all its parts, columns] that has several. */
typedef struct bb_part_of {
    const char *parameter;                /* behind the mixer's prefix; NULL: nobody calls it so */
    int         index, n;                 /* which of n; 1: the parameter is one matrix */
    int         row;                      /* its rows begin here */
} bb_part_of;

/* What a linear map is called, and its shape. A mixer that several layers share has one for each of
   its uses, since adapters may differ there: the later ones name no tensor of the checkpoint, but
   what the layer of that use would call it. */
typedef struct bb_linear_name {
    char name[2 * BB_MAX_NAME];           /* of its weight, with the prefix of its mixer */
    int  shift;                           /* the id less this is that of the first use's map, whose
                                             name is the tensor's; 0 in the first use (bb_exec) */
    int  only;                            /* 1 + the number of the only use that multiplies by it
                                             (low-rank terms of Zamba2's blocks); 0: all uses do */
    bool is_idle;                         /* an entry of a use that does not multiply by it */
    int  n_prefix;                        /* bytes of the mixer's prefix in `name` */
    int  rows, cols;                      /* rows: of the tensor, or of one matrix of a stack */
    int  index, n_stack;                  /* which matrix of a stack; n_stack 0: of none. The ids
                                             of a stack's matrices follow one another */
    bb_part_of part_of;                   /* what transformers calls it, if not `name` */
    bool is_small;                        /* a small tensor, in float32: a router */
    bool is_coarse;                       /* some of it is kept in fewer than 16 bits */
    int  n_factors;
    bb_row_factor factor[BB_MOST_FACTORS];
} bb_linear_name;

/* A whole network: planned first, then bound. Immutable afterwards. */
typedef struct bb_graph {
    bb_allocator alloc;
    int          d_model, n_vocab, n_layers;
    int          n_rows;                  /* of embedding and head as stored: n_vocab and padding,
                                             which nobody can feed or choose */
    float        epsilon;                 /* of the norms */
    float        embed_scale;             /* embeddings are multiplied by it; 1 */
    float        logit_scale;             /* logits are multiplied by it; 1 */
    int          widest;                  /* most columns of any matrix; known once bound */
    int          most_used;               /* most experts of a row; 1 without; known once bound */
    char         base[BB_MAX_NAME];       /* prefix of names that a checkpoint may have without it,
                                             and other names with it: "model."; "" */
    char         base_alias[BB_MAX_NAME]; /* a prefix that a checkpoint may have in its place; "" */
    char         embed_name[BB_MAX_NAME];
    char         embed_alias[BB_MAX_NAME];            /* if the checkpoint lacks that; "" */
    bb_matrix    embed;                   /* [n_rows, D] */
    char         norm_name[BB_MAX_NAME];
    const float *norm;                    /* [D] before the head */
    char         head_name[BB_MAX_NAME];  /* "" = tied to the embedding */
    char         head_alias[BB_MAX_NAME]; /* name of a tied head in checkpoints that have one; "" */
    char         twin_name[BB_MAX_NAME];  /* of the tied pair: the one that is not embed_name; "" */
    const char  *tie_key;                 /* of config.json: ties them and nothing else; NULL */
    bb_linear    head;                    /* [V, D]; padding cut off */
    bb_block    *block;                   /* [n_blocks] */
    size_t       n_blocks, cap_blocks;
    size_t       first, end;              /* blocks this model runs; all: 0 and n_blocks */
    bb_mixer   **mixer;                   /* [n_mixers] each once, however often it is used */
    size_t       n_mixers, cap_mixers;
    const bb_mixer **slot;                /* [n_slots] whose memory each slot is */
    size_t       n_slots, cap_slots;
    const char  *op_name[BB_MAX_OPS];     /* [n_ops] static */
    int          n_ops;
    bb_linear_name *linear;               /* [n_linears] by their id, the head last; once bound */
    int          n_linears;
    const char *const *leftovers;         /* endings of tensor names that may be left over;
                                             static, ends with NULL; may be NULL */
} bb_graph;

typedef struct bb_plan {
    bb_graph    *g;
    char         prefix[BB_MAX_NAME];     /* "model.layers.3." */
    int          layer;
    bb_type      kv_type, state_type;     /* of attention caches, and of states [H, P, N] */
    bamba_error  first;                   /* sticky */
} bb_plan;

/* Start a plan in an empty graph of d_model columns. */
void bb_plan_begin(bb_plan *p, int d_model, int n_vocab, double epsilon);
/* A prefix of tensor names that checkpoints of the base model alone lack. */
void bb_plan_base(bb_plan *p, const char *prefix);

/* A prefix that checkpoints may have in place of that one. */
void bb_plan_base_alias(bb_plan *p, const char *prefix);
void bb_plan_embed(bb_plan *p, const char *name);
/* A name that the embedding has in files without the other. */
void bb_plan_embed_alias(bb_plan *p, const char *name);
/* Embedding and head are stored with n_rows >= n_vocab rows; without this call, with n_vocab. */
void bb_plan_padded(bb_plan *p, int n_rows);
/* Embeddings and logits are multiplied by these; without this call, by 1. */
void bb_plan_scales(bb_plan *p, double embed, double logits);
/* head NULL: tied to the embedding. */
void bb_plan_head(bb_plan *p, const char *norm, const char *head);
/* What a checkpoint of a tied model calls the head, if it has it in place of the embedding, or
   beside it: a head that differs is used as it is. */
void bb_plan_tied_head(bb_plan *p, const char *name, const char *tie_key);
/* Endings of tensor names that may belong to no part of the model. Static; ends with NULL; may
   be NULL. */
void bb_plan_leftovers(bb_plan *p, const char *const *endings);
/* Prefix of everything that follows, until changed. format has one %d, the layer. */
void bb_plan_layer(bb_plan *p, const char *format, int layer);
/* Open the next block, whose input, the stream, is normed by prefix + norm (NULL: not normed). */
void bb_plan_block(bb_plan *p, const char *norm);
/* For the block that is open: another input; the side stream as its output; and the norm of block
   number `block`, its first being 0. */
void bb_plan_input(bb_plan *p, bb_input input);
void bb_plan_to_side(bb_plan *p);
void bb_plan_norm_of(bb_plan *p, size_t block);
/* A mixer for the graph: zeroed memory of `bytes` that begins with a bb_mixer. NULL on failure,
   which is remembered. No block uses it yet. */
bb_mixer *bb_plan_mixer(bb_plan *p, const bb_mixer_kind *kind, size_t bytes, const char *prefix);
/* The block uses m (NULL: nothing happens), with a slot of its own if m remembers anything:
   x += alpha · m(norm(input)). */
void bb_plan_use(bb_plan *p, bb_mixer *m, double alpha);

/* Remember a failure; the first stays. */
void      bb_plan_fail(bb_plan *p, bb_status code, const char *format, ...) BB_PRINTF(3, 4);
bb_status bb_plan_status(const bb_plan *p, bamba_error *err);

bb_graph *bb_graph_create(const bb_allocator *a);
void      bb_graph_free(bb_graph *g);
void      bb_graph_print(const bb_graph *g, bb_printer *p);

/* Let the model run layers first … end - 1 alone: the others' weights are not bound. False if
   there are no such layers. */
bool      bb_graph_cut(bb_graph *g, int first, int end);
static inline bool bb_graph_has_embed(const bb_graph *g) { return g->first == 0; }
static inline bool bb_graph_has_head(const bb_graph *g)  { return g->end == g->n_blocks; }

/* Whether block number `from` or one behind it reads the embeddings beside the stream. */
bool      bb_graph_reads_embedding(const bb_graph *g, size_t from);
/* Whether a block that this model runs has the side stream as its output. */
bool      bb_graph_has_side(const bb_graph *g);
/* Widest input of the blocks this model runs, in columns: D, or 2D. */
int       bb_graph_input_width(const bb_graph *g);

/* The name of a linear map's tensor in the checkpoint. */
static inline const char *bb_graph_stored_name(const bb_graph *g, size_t id)
{
    return g->linear[id - (size_t)g->linear[id].shift].name;
}

/* Whether a linear map stands for a tensor that may be rounded: of a stack's matrices the first, of
   a shared mixer's uses the first, and no small one. */
static inline bool bb_linear_is_of_tensor(const bb_linear_name *l)
{
    return !l->is_small && l->index == 0 && l->shift == 0;
}

/* Bytes of the state of a slot. Slots of blocks that this model
   does not run have none. */
size_t    bb_graph_state_bytes(const bb_graph *g, size_t slot);
/* Where in a page the cache of a slot begins; of n_slots: the bytes of a page. */
size_t    bb_graph_page_bytes(const bb_graph *g, size_t slot);
static inline size_t bb_graph_n_pages(size_t n_positions)
{
    return n_positions / BB_KV_BLOCK + (n_positions % BB_KV_BLOCK > 0);
}
/* Floats that save, load, replay and fill of any slot's mixer work in. */
size_t    bb_graph_scratch_floats(const bb_graph *g);
/* Bytes of the states and caches of all slots. */
size_t    bb_graph_session_bytes(const bb_graph *g, size_t n_positions);

#endif
