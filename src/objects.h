/* objects.h - what is inside the public nouns.
 *
 * Owns:    the structs of model, engine and session.
 * Not:     the public contract (bamba.h, bamba_measure.h).
 */
#ifndef BB_OBJECTS_H
#define BB_OBJECTS_H

#include "bamba_measure.h"
#include "forward.h"
#include "generation_config.h"
#include "load/checkpoint.h"
#include "graph/bind.h"

struct bamba_model {
    bb_allocator   alloc;
    bb_kernels     kernels;
    const char    *architecture;          /* static */
    bb_graph      *graph;
    bb_checkpoint *checkpoint;            /* NULL: opened from a config.json alone */
    void          *block;                 /* weights that are not used in place, never none of them;
                                             NULL: a model without weights */
    bb_bind_stats  stats;
    bb_type       weight_type;           /* of the matrices */
    bb_type        kv_type;
    int            n_context;             /* 0 = not said */
    bb_generation_config generation;
};

struct bamba_session {
    bb_allocator       alloc;
    const bamba_model *model;
    void              *block;
    void             **state;             /* [n_slots], into block */
    unsigned char     *shadow;            /* copy of the constant state while a feed may be cancelled */
    size_t             position, n_context;
    int                length;            /* what rotary angles are scaled for: n_context, or that
                                             of the session this one was copied from */
    bool               in_call;           /* seen in the batch that is being checked */
};

/* Copy the constant part of all slots to the shadow, or back. */
void bb_session_save(bamba_session *s);
void bb_session_restore(bamba_session *s);

struct bamba_engine {
    bb_allocator         alloc;
    const bamba_model   *model;
    bb_team             *team;
    bamba_engine_options options;         /* with defaults filled in */
    void                *block;
    size_t               block_bytes;
    float               *logits;          /* [n_logits, V] */
    unsigned char       *panels;          /* [n_threads, panel_bytes] weights and sums */
    size_t               panel_bytes;
    float               *own_rows;        /* [n_threads, BB_FEW_ROWS, bb_own_width(widest)] rows made */
    float               *arranged;        /* and arranged by a thread */
    float               *own_tiles;       /* [n_threads, bb_own_tile_elements()] */
    int32_t             *tokens;          /* [n_batch] of the piece */
    bb_segment          *segments;        /* [n_batch] */
    bamba_session      **sessions;        /* [n_batch] of the segments */
    int                 *wanted;          /* [n_batch] rows whose logits are wanted */
    bb_profile          *profile;         /* [n_threads]; exec.profile while it is wanted */
    bb_exec              exec;            /* what all threads share */
};

#endif
