/* rewrite.h - the weights of a model written anew: which tensors, in which files; their making.
 *
 * Owns:    model.safetensors, in shards where it is large, and their index; tensors made a few
 *          tiles at a time, by all threads, and written where they belong.
 * Not:     which format a tensor gets (the binder's policy), config.json and the files beside it
 *          (quantize.c), what adapters make of a tensor (merge.h).
 * Errors:  BAMBA_ERR_MEMORY, BAMBA_ERR_IO, BAMBA_ERR_CANCELLED; a failed rewrite is only to be
 *          released.
 */
#ifndef BB_REWRITE_H
#define BB_REWRITE_H

#include "merge.h"
#include "objects.h"

#include "base/printer.h"

typedef struct bb_rewritten {
    bb_need   need;
    size_t    order;                      /* in which the binder named it */
    bb_tensor changed;                    /* in place of the tensor, where adapters have another */
} bb_rewritten;

typedef struct bb_rewrite {
    bb_allocator               a;
    const bamba_model_options *options;   /* complete */
    uint64_t                   shard_bytes;
    const char                *dir, *out; /* out: as the caller names it, for messages */
    const char                *to;        /* where files are made */
    bamba_model               *model;
    bb_merge                  *merge;     /* adapters to merge in; or NULL */
    bb_rewritten              *item;      /* [n] by name */
    size_t                     n, capacity;
    bool                       is_short;  /* of memory for them */
    bb_tensor                 *tensor;    /* [n] as written */
    char                      *names;
    size_t                    *shard_end; /* [n_shards] first item behind it */
    size_t                     n_shards;
    int                        n_workers;
    unsigned char             *room;      /* [n_workers, n_room] */
    size_t                     n_room;
    uint64_t                   done, total;           /* bytes */
} bb_rewrite;

/* A bb_need_fn: one tensor more, for a context that is a bb_rewrite. */
void bb_rewrite_note(void *context, const bb_need *need);

/* Put items in the order of their names. */
void bb_rewrite_sort(bb_rewrite *w);

/* Settle what is written of each item, which shard it lies in, and the room for making it. */
bb_status bb_rewrite_plan(bb_rewrite *w, bamba_error *err);

/* Write all shards, and their index if there are several. */
bb_status bb_rewrite_weights(bb_rewrite *w, bamba_error *err);

/* The text [*n] that a function prints; NULL: out of memory. The caller releases it. */
char *bb_rewrite_print(const bb_rewrite *w, void (*print)(const bb_rewrite *w, bb_printer *p),
                       size_t *n);

bb_status bb_rewrite_no_memory(const bb_rewrite *w, bamba_error *err);

#endif
