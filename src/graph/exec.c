/* exec.c - sharing out the tiles of a stage. */
#include "graph/mixer.h"

void bb_each_tile(const bb_exec *e, int n, bb_tile_fn *run, const void *job)
{
    for (int tile; (tile = bb_team_next(e->team)) < n;) run(e, job, tile);
    bb_team_barrier(e->team, e->thread);
}
