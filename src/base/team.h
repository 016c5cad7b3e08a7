/* team.h - the threads of an engine: one program on all of them, stages of tiles.
 *
 * Owns:    keeping threads (threads.h starts them), sharing out tiles, waiting, the floating-point
 *          mode while running.
 * Not:     what a tile is.
 *
 * Every thread runs the same function (SPMD), which goes through the same stages. A stage is over
 * when its tiles are done, not when all threads have come by: a thread that the system keeps from
 * running holds up nobody unless it is inside a tile, and later falls through the stages that
 * others have finished. So between stages a thread may only touch what is its own, and which thread
 * takes a tile must not change what the tile computes. Where tiles can be computed twice, not even
 * a thread inside one holds up the others.
 */
#ifndef BB_BASE_TEAM_H
#define BB_BASE_TEAM_H

#include "base/alloc.h"

typedef struct bb_team bb_team;

/* Starts n_threads - 1 threads, which sleep until there is work. pin: thread i keeps to the i-th
   of the processors this process may use, the caller while it runs. Without pin the caller's
   affinity is never touched; another thread that shares a processor with one of the team is moved
   to one that has none, unless the user placed the threads (OMP_PROC_BIND). Threads do not survive
   fork(): in the child the caller does all the work, and the team must not be freed. */
bb_status bb_team_create(bb_team **out, const bb_allocator *a, int n_threads, bool pin,
                         bamba_error *err);
void      bb_team_free(bb_team *team);
int       bb_team_size(const bb_team *team);

/* Run body(context, thread) on the caller, thread 0, and on those of the others that come before
   thread 0 is through. Returns when all that came are done. Flush-to-zero, denormals-are-zero and
   round-to-nearest hold inside; the caller's modes and errno come back. One call at a time. */
void bb_team_run(bb_team *team, void (*body)(void *context, int thread), void *context);

/* Computes tiles first … end - 1 of a stage. */
typedef void bb_tiles_fn(void *context, int thread, int first, int end);

/* Run a stage of tiles 0 … n-1; every thread inside bb_team_run calls this. Returns when all tiles
   are done, by whomever; what they wrote is visible. Each thread begins with a part of its own,
   neighbouring tiles, and then helps the others. */
void bb_team_stage(bb_team *team, int thread, int n, bb_tiles_fn *run, void *context);

/* The first tile of the part that a thread begins with, of a stage of n tiles; n if it has none. */
int bb_team_part(const bb_team *team, int thread, int n);

/* A stage whose tiles can be computed twice. A thread does `begin`, `compute` and `commit` with the
   tiles it has taken. If it is stopped in compute for much longer than tiles take, because another
   program has its core, a thread that waits does all three with them, and the stopped one does not
   commit. */
typedef struct bb_repeatable {
    bb_tiles_fn *begin;                   /* read what all share into own memory; or NULL */
    bb_tiles_fn *compute;                 /* read that and what never changes, write likewise */
    bb_tiles_fn *commit;                  /* put it where all see it: once a tile */
    int          most;                    /* tiles at a time, 1 … BB_MOST_REPEATED */
} bb_repeatable;
enum { BB_MOST_REPEATED = 63 };
void bb_team_repeatable(bb_team *team, int thread, int n, const bb_repeatable *r, void *context);

#endif
