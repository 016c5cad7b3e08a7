/* checkpoint.h - all tensors of a model directory, whatever files hold them.
 *
 * Owns:    finding model.safetensors or the shards of model.safetensors.index.json; lookup by
 *          name; remembering which tensors were taken.
 * Not:     a file's format (safetensors.h), what the names mean (arch/, graph/).
 */
#ifndef BB_LOAD_CHECKPOINT_H
#define BB_LOAD_CHECKPOINT_H

#include "base/alloc.h"
#include "load/tensor.h"

typedef struct bb_checkpoint bb_checkpoint;

/* model.safetensors if it is there, else the shards that model.safetensors.index.json names:
   the order in which transformers looks. Every mapping stays until bb_checkpoint_close. */
bb_status bb_checkpoint_open(bb_checkpoint **out, const bb_allocator *a, const char *dir,
                             bamba_error *err);
/* All tensors of one container, which is closed with the checkpoint, or at once on failure. */
bb_status bb_checkpoint_of(bb_checkpoint **out, const bb_allocator *a, bb_container *file,
                           bamba_error *err);
void      bb_checkpoint_close(bb_checkpoint *c);

/* The tensor of that name, marked as taken from now on; NULL if there is none. */
const bb_tensor *bb_checkpoint_take(bb_checkpoint *c, const char *name);
/* The tensor of that name; NULL if there is none. */
const bb_tensor *bb_checkpoint_find(const bb_checkpoint *c, const char *name);

/* A tensor nobody took, the first in the order of names, or NULL; call again with the last
   answer for the next. */
const bb_tensor *bb_checkpoint_untaken(const bb_checkpoint *c, const bb_tensor *after);

/* All tensors, [*n] by name. */
const bb_tensor *bb_checkpoint_tensors(const bb_checkpoint *c, size_t *n);

/* Bytes of all tensors together. */
uint64_t bb_checkpoint_bytes(const bb_checkpoint *c);

/* Bytes of its files that were read into memory, since they could not be mapped. */
uint64_t bb_checkpoint_read_bytes(const bb_checkpoint *c);

#endif
