/* exec.c - sharing out the tiles of a stage. */
#include "graph/mixer.h"

struct stage {
    const bb_exec *e;
    bb_begin_fn *prepare;               /* NULL once done */
    void          *own;
    bb_tile_fn    *run;                   /* or: */
    bb_slot_fn    *compute, *commit;
    const void    *job;
};

static void prepare(void *context, int thread, int first, int end)
{
    struct stage *s = context;

    (void)thread, (void)first, (void)end;
    if (s->prepare) s->prepare(s->e, s->own);
    s->prepare = NULL;
}

static void run_tiles(void *context, int thread, int first, int end)
{
    const struct stage *s = context;

    prepare(context, thread, first, end);
    for (int tile = first; tile < end; tile++) s->run(s->e, s->job, tile);
}

static void compute_tiles(void *context, int thread, int first, int end)
{
    const struct stage *s = context;

    (void)thread;
    for (int tile = first; tile < end; tile++) s->compute(s->e, s->job, tile, tile - first);
}

static void commit_tiles(void *context, int thread, int first, int end)
{
    const struct stage *s = context;

    (void)thread;
    for (int tile = first; tile < end; tile++) s->commit(s->e, s->job, tile, tile - first);
}

void bb_each_tile_after(const bb_exec *e, bb_begin_fn *prepare_first, void *own, int n,
                        bb_tile_fn *run, const void *job)
{
    struct stage s = { .e = e, .prepare = prepare_first, .own = own, .run = run, .job = job };
    bb_team_stage(e->team, e->thread, n, run_tiles, &s);
}

void bb_each_tile(const bb_exec *e, int n, bb_tile_fn *run, const void *job)
{
    bb_each_tile_after(e, NULL, NULL, n, run, job);
}

void bb_each_tile_repeatable(const bb_exec *e, bb_begin_fn *prepare_first, void *own, int n,
                             bb_slot_fn *compute, bb_slot_fn *commit, const void *job)
{
    static const bb_repeatable steps = { prepare, compute_tiles, commit_tiles, BB_SLOTS };
    struct stage               s = { .e = e, .prepare = prepare_first, .own = own,
                                     .compute = compute, .commit = commit, .job = job };
    bb_team_repeatable(e->team, e->thread, n, &steps, &s);
}
