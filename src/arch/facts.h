/* facts.h - what is known of one network, and the plan that follows from it.
 *
 * Owns:    facts and names of tensors, whatever kind of file they were read from.
 * Not:     the keys of a file (keys.h), the families (registry.h, bamba.c …).
 * Errors:  a reader of facts has checked them; planning reports through the plan.
 */
#ifndef BB_ARCH_FACTS_H
#define BB_ARCH_FACTS_H

#include "mixer/mixers.h"

/* What a kind of file calls the tensors of a family. */
typedef struct bb_names {
    const char *base;                     /* prefix of the base model, which files may lack */
    const char *base_alias;               /* another that files may have in its place; NULL: none */
    const char *embed, *embed_alias;      /* the alias may be NULL */
    const char *layer;                    /* prefix of all names of a layer, with one %d */
    const char *mixer_norm;               /* a layer's first block: its norm */
    const char *attention, *mamba1, *mamba2;          /* prefixes; not both kinds of Mamba */
    const char *mlp_norm, *mlp;           /* its second block; NULL: there is none */
    const char *moe;                      /* experts in the same block, if there are any */
    const char *norm, *head;              /* norm before the head; head unless it is tied */
    const char *const *unused;            /* endings of names of tensors that may be there and are
                                             not needed, ends with NULL; may be NULL */
} bb_names;

/* Numbers of longrope, to which rope.shorter and rope.longer of the attention point. */
typedef struct bb_rope_factors {
    double shorter[BB_ROPE_PAIRS], longer[BB_ROPE_PAIRS];
} bb_rope_factors;

/* What embeddings, the outputs of mixers and logits are multiplied by; 0: by 1. */
typedef struct bb_multipliers { double embed, mamba2, attention, mlp, logits; } bb_multipliers;

/* The mixer of a layer, in families whose layers are one mixer each. */
typedef enum bb_layer_kind {
    BB_LAYER_MAMBA2, BB_LAYER_ATTENTION, BB_LAYER_MLP, BB_LAYER_MOE
} bb_layer_kind;

/* A reader starts from zeros. d_model of the dims is left 0: it is that of the network. */
typedef struct bb_facts {
    const bb_names   *names;
    int               d_model, n_layers;
    int               n_vocab, n_rows;    /* rows of the embedding: n_vocab and padding */
    int               n_context;          /* positions the model was made for; 0 = not said */
    bool              tied;               /* the head is the embedding */
    const char       *tie_key;            /* of config.json, which says so and nothing else; NULL:
                                             there is none */
    bb_type           stored_type;        /* in which matrices are stored, as far as it is said */
    double            epsilon;            /* of the norms */
    bool              is_attention[BB_MAX_LAYERS];    /* [n_layers] the mixer of each layer */
    unsigned char     kind[BB_MAX_LAYERS];            /* [n_layers] bb_layer_kind, if it has them */
    int               n_shared;           /* attention blocks that layers take turns at; 0: none */
    bb_mamba1_dims    mamba1;
    bb_mamba2_dims    mamba2;
    bb_attention_dims attention;
    bb_mlp_dims       mlp;
    bb_moe_dims       moe;                /* n_experts 0: there are none */
    int               moe_period, moe_offset;         /* experts stand in place of the MLP of layers
                                             moe_offset modulo moe_period; 0: beside all */
    bb_mlp_dims       shared;             /* an MLP beside the experts, if it is not `mlp` */
    bb_multipliers    times;
    bb_rope_factors   rope;
} bb_facts;

/* Plan layers of one mixer each, attention or Mamba, and a block of an MLP, experts or both, if the
   names have one. */
void bb_plan_layers(const bb_facts *f, bb_plan *p);

/* The parts of a plan before its layers and behind them. */
void bb_plan_front(const bb_facts *f, bb_plan *p);
void bb_plan_back(const bb_facts *f, bb_plan *p);

#endif
