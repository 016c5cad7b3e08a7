/* exec.c - sharing out the tiles of a stage. */
#include "graph/mixer.h"

struct stage {
    const bb_exec *e;
    bb_prepare_fn *prepare;               /* NULL once done */
    void          *own;
    bb_tile_fn    *run;
    const void    *job;
};

static void run_tiles(void *context, int thread, int first, int end)
{
    struct stage *s = context;

    (void)thread;
    if (s->prepare) s->prepare(s->e, s->own);
    s->prepare = NULL;
    for (int tile = first; tile < end; tile++) s->run(s->e, s->job, tile);
}

void bb_each_tile_after(const bb_exec *e, bb_prepare_fn *prepare, void *own, int n, bb_tile_fn *run,
                        const void *job)
{
    struct stage s = { e, prepare, own, run, job };
    bb_team_stage(e->team, e->thread, n, run_tiles, &s);
}

void bb_each_tile(const bb_exec *e, int n, bb_tile_fn *run, const void *job)
{
    bb_each_tile_after(e, NULL, NULL, n, run, job);
}
