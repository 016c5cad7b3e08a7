/* team.h - the threads of an engine: one program on all of them, tiles, a barrier.
 *
 * Owns:    starting threads (the only user of OpenMP), sharing out tiles, meeting points, the
 *          floating-point mode while running.
 * Not:     what a tile is.
 *
 * Every thread runs the same function (SPMD). Between two barriers each thread takes tile numbers
 * from a shared counter; which thread takes a tile must not change what the tile computes.
 */
#ifndef BB_BASE_TEAM_H
#define BB_BASE_TEAM_H

#include "base/alloc.h"

typedef struct bb_team bb_team;

bb_status bb_team_create(bb_team **out, const bb_allocator *a, int n_threads, bamba_error *err);
void      bb_team_free(bb_team *team);
int       bb_team_size(const bb_team *team);

/* Whether thread i keeps to the i-th of the processors this process may use, while it runs. */
void      bb_team_pin(bb_team *team, bool pin);

/* Run body(context, thread) on threads 0 … size-1, thread 0 being the caller; returns when all are
   done. Flush-to-zero, denormals-are-zero and round-to-nearest hold inside; the caller's modes
   and errno come back. One call at a time. */
void bb_team_run(bb_team *team, void (*body)(void *context, int thread), void *context);

/* Inside bb_team_run. The next tile number, counted from 0 after each barrier. */
int  bb_team_next(bb_team *team);

/* Inside bb_team_run, by every thread: wait for all; everything written before is visible after. */
void bb_team_barrier(bb_team *team, int thread);


#endif
