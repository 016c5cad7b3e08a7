/* low_rank.h - low-rank terms by which each use of a shared mixer changes one of its maps.
 *
 * Owns:    binding them; the products that add them.
 * Not:     which maps have one (the mixers), adapters that are no part of the model.
 */
#ifndef BB_MIXER_LOW_RANK_H
#define BB_MIXER_LOW_RANK_H

#include "graph/bind.h"
#include "mixer/mixers.h"
#include "mixer/product.h"

enum { BB_LOW_RANK_PARTS = 2 };

/* The term up · (down · x) of one use; rows of up may be those of two maps. */
typedef struct bb_use_term {
    bb_linear down;                       /* [rank, columns] */
    bb_linear up[BB_LOW_RANK_PARTS];      /* [rows, rank] each */
} bb_use_term;

/* Bind use number `nth` of list.n.0.weight and list.n.1.weight, whose rows are n_parts alike. */
void bb_bind_low_rank(bb_binder *b, bb_use_term *l, const char *list, const bb_low_rank_dims *d,
                      int nth, int cols, int rows, int n_parts);

/* Add the terms to what stands in y[part] [T, rows]; low [T, rank] is down · x. */
void bb_low_rank_add(const bb_exec *e, int op, const bb_use_term *l, int n_parts, const float *low,
                     float *const *y);

#endif
