/* low_rank.c - low-rank terms by which each use of a shared mixer changes one of its maps. */
#include "mixer/low_rank.h"

#include <stdio.h>

void bb_bind_low_rank(bb_binder *b, bb_use_term *l, const char *list, const bb_low_rank_dims *d,
                      int nth, int cols, int rows, int n_parts)
{
    const int number = d->first + nth * d->step, part = rows / n_parts;
    char      name[BB_MAX_NAME];

    snprintf(name, sizeof name, "%s.%d.0", list, number);
    bb_bind_linear(b, &l->down, name, d->rank, cols, false);
    snprintf(name, sizeof name, "%s.%d.1.weight", list, number);
    for (int i = 0; i < n_parts; i++)
        bb_bind_slice(b, &l->up[i], name, part, d->rank,
                      (bb_slice){ .first = i * part, .of = rows });
    bb_bind_for_use(b, &l->down, nth);
    bb_bind_for_use(b, &l->up[0], nth);
}

void bb_low_rank_add(const bb_exec *e, int op, const bb_use_term *l, int n_parts, const float *low,
                     float *const *y)
{
    const int  rank = l->down.w.rows;
    bb_source  x = bb_source_of(e, low, (size_t)rank, rank);
    bb_product p[BB_LOW_RANK_PARTS];

    for (int i = 0; i < n_parts; i++) {
        p[i] = (bb_product){ &l->up[i], NULL, bb_sink_store(y[i], (size_t)l->up[i].w.rows) };
        p[i].to.add = true;
    }
    bb_multiply(e, op, p, n_parts, &x, NULL);
}
