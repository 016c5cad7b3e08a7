/* merge.h - adapters as changes of a model's tensors on their way to a file.
 *
 * Owns:    opening the adapters' directories; which tensor each of them changes; the sums.
 * Not:     writing (quantize.c), adapters in memory (adapter.c).
 * Errors:  one line that names the adapter's file and tensor, or the model.
 */
#ifndef BB_MERGE_H
#define BB_MERGE_H

#include "objects.h"

typedef struct bb_merge bb_merge;

/* Open the adapters [n] for a model that is bound. */
bb_status bb_merge_open(bb_merge **out, const bb_allocator *a, const bamba_model *model,
                        const bamba_adapter_source *source, size_t n, bamba_error *err);
void      bb_merge_close(bb_merge *m);

/* Whether the adapters part the model's embedding from the head that is tied to it. Then the model
   that is written has both: `need` is that of the tensor for the pair, and a second need the
   other's. */
bool    bb_merge_unties(const bb_merge *m);
bb_need bb_merge_twin(bb_merge *m, const bb_need *need);

/* Let a need stand for the changed tensor. place: of the caller, lives as long as the need. Where
   rows are changed as they are made, the need gets a change that lives as long as m. */
bb_status bb_merge_change(bb_merge *m, bb_need *need, bb_tensor *place, bamba_error *err);
/* Fails if an adapter has something for which bb_merge_change was not called. */
bb_status bb_merge_check(const bb_merge *m, bamba_error *err);

#endif
