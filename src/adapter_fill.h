/* adapter_fill.h - an adapter's matrices: how they are kept, and their numbers.
 *
 * Owns:    which are kept as halves; B in tiles (bb_expand_fn); constants and factors inside B.
 * Not:     the directory (adapter_file.h), the adapter's memory (adapter.c).
 */
#ifndef BB_ADAPTER_FILL_H
#define BB_ADAPTER_FILL_H

#include "adapter_file.h"
#include "objects.h"

/* Lay the adapter out in an arena, a measuring one first. */
void bb_adapter_carve(bamba_adapter *d, const bb_adapter_file *f, bb_arena *a);

/* What the file says, to where it was carved. */
bb_status bb_adapter_fill(bamba_adapter *d, const bb_adapter_file *f, bamba_error *err);

/* Random matrices in all maps that have any. */
bb_status bb_adapter_fill_random(bamba_adapter *d, uint64_t seed, bamba_error *err);

#endif
