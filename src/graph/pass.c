/* pass.c - sharing out the tiles of a stage. */
#include "graph/pass.h"

struct stage {
    const bb_exec *e;
    bb_begin_fn   *begin;                 /* NULL once done */
    void          *own;
    bb_tile_fn    *run;                   /* of a plain stage */
    bb_places_fn  *compute, *commit;      /* of a repeatable one */
    const void    *job;
};

static void begin(void *context, int thread, int first, int end)
{
    struct stage *s = context;

    (void)thread, (void)first, (void)end;
    if (s->begin) s->begin(s->e, s->own);
    s->begin = NULL;
}

static void run_tiles(void *context, int thread, int first, int end)
{
    const struct stage *s = context;

    begin(context, thread, first, end);
    for (int tile = first; tile < end; tile++) s->run(s->e, s->job, tile);
}

static void compute_tiles(void *context, int thread, int first, int end)
{
    const struct stage *s = context;

    (void)thread;
    s->compute(s->e, s->job, first, end);
}

static void commit_tiles(void *context, int thread, int first, int end)
{
    const struct stage *s = context;

    (void)thread;
    s->commit(s->e, s->job, first, end);
}

void bb_each_tile_after(const bb_exec *e, bb_begin_fn *begin_first, void *own, int n,
                        bb_tile_fn *run, const void *job)
{
    struct stage s = { .e = e, .begin = begin_first, .own = own, .run = run, .job = job };
    bb_team_stage(e->pass->team, e->thread, n, run_tiles, &s);
}

void bb_each_tile(const bb_exec *e, int n, bb_tile_fn *run, const void *job)
{
    bb_each_tile_after(e, NULL, NULL, n, run, job);
}

void bb_each_tile_repeatable(const bb_exec *e, bb_begin_fn *begin_first, void *own, int n,
                             bb_places_fn *compute, bb_places_fn *commit, const void *job)
{
    static const bb_repeatable steps = { begin, compute_tiles, commit_tiles, BB_PLACES };
    struct stage               s = { .e = e, .begin = begin_first, .own = own,
                                     .compute = compute, .commit = commit, .job = job };
    bb_team_repeatable(e->pass->team, e->thread, n, &steps, &s);
}
