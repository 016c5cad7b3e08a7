/* objects.h - what is inside the public nouns.
 *
 * Owns:    the structs of model, engine and session.
 * Not:     the public contract (bamba.h, bamba_measure.h).
 */
#ifndef BB_OBJECTS_H
#define BB_OBJECTS_H

#include "arch/quantization.h"
#include "base/hash.h"
#include "bamba_measure.h"
#include "forward.h"
#include "generation_config.h"
#include "load/checkpoint.h"
#include "graph/bind.h"
#include "pages.h"
#include "past.h"

enum { BB_MOST_POSITIONS = 1 << 30 };     /* of a session with a cache */

struct bamba_model {
    bb_allocator   alloc;
    bb_kernels     kernels;
    const char    *architecture;          /* static */
    bb_graph      *graph;
    bb_checkpoint *checkpoint;            /* NULL: opened from a config.json alone */
    bb_checkpoint *moments;               /* of a calibration; NULL: none */
    bb_quantization *quantization;        /* NULL: config.json says nothing */
    void          *block;                 /* weights that are not used in place, never none of them;
                                             NULL: a model without weights */
    bb_bind_stats  stats;
    bb_type        stored_type;           /* of matrices in files, as config.json says */
    bb_type        kv_type, state_type;
    int            n_context;             /* 0 = not said */
    bb_generation_config generation;
    unsigned char  config_hash[BB_HASH_BYTES];        /* of config.json */
};

struct bamba_adapter {
    bb_adapter         base;              /* first: a use of it points here */
    bb_allocator       alloc;
    const bamba_model *model;
    bb_low_rank       *map;               /* base.map */
    void              *block;
    size_t             block_bytes;
    char               hash[BB_HASH_TEXT];
};

enum { BB_MOST_ADAPTERS = 64 };           /* of a session */

struct bamba_session {
    bb_allocator       alloc;
    const bamba_model *model;
    void              *block;
    bb_slot           *slot;              /* [n_slots], into block */
    bb_page_table      pages;             /* what attention remembers */
    int                current;           /* which of a slot's two states stands */
    bb_past            past;
    size_t             position, n_context;           /* n_context SIZE_MAX: no limit */
    size_t             window, sink;      /* what attention sees (window.h); window 0: all */
    int                length;            /* what rotary angles are scaled for: n_context, or, where
                                             they are less, sink and window; or that of the session
                                             this one was copied from */
    bb_adapter_use    *adapter;           /* [n_adapters] */
    int                n_adapters;
    int                n_inputs;          /* of all of them together */
    char               adapters_name[BB_HASH_TEXT];   /* a hash of them and their scales; "" if
                                             there are none */
    char              *extras;            /* of the file it was opened from; NULL: none */
    bool               spoilt;            /* holds numbers that are not finite */
    bool               in_call;           /* seen in the batch that is being checked */
};

struct bamba_engine {
    bb_allocator         alloc;
    const bamba_model   *model;
    bamba_engine_options options;         /* with defaults filled in */
    void                *block;
    size_t               block_bytes;
    float               *logits;          /* [n_logits, V] */
    float               *hidden;          /* [n_hidden, D] */
    int32_t             *tokens;          /* [n_batch] of the piece */
    bb_segment          *segments;        /* [n_batch] */
    bamba_session      **sessions;        /* [n_batch] of the segments */
    int                 *wanted;          /* [n_batch] rows whose logits are wanted */
    int                 *shown;           /* [n_batch] rows that are wanted themselves */
    struct bb_lora_room *lora;            /* NULL before adapters are met … */
    void                *lora_block;
    size_t               lora_bytes;
    int                  lora_inputs;     /* … with up to so many inputs */
    bb_profile          *profile;         /* [n_threads]; pass.profile while it is wanted */
    bb_pass              pass;            /* what does not change from piece to piece */
    bool                 in_call;         /* a callback of a call that feeds must not feed */
};

/* Copy the caller's options (NULL: none) over ours, *o, and check them. */
bb_status bb_model_options_read(bamba_model_options *o, const bamba_model_options *given,
                                bamba_error *err);

/* Copy a session's options over the defaults, *o, and check them. */
bb_status bb_session_options_read(bamba_session_options *o, const bamba_session_options *given,
                                  bamba_error *err);

/* As bamba_model_open, but the weights are not attached: visit is told of each tensor that the
   model needs and of the format that the options give it. What it is told of lives as long as the
   model, which is good for nothing else. may_part: type rules may mean the matrix that a tied pair
   has no tensor for. */
bb_status bb_model_visit(bamba_model **out, const char *dir, const bamba_model_options *options,
                         bool may_part, bb_need_fn *visit, void *context, bamba_error *err);

#endif
