/* bind_make.c - making the matrices that cannot be used where they lie, by all threads. */
#include "graph/binder.h"

#include "base/threads.h"
#include "graph/random.h"

#include <stdatomic.h>

enum { TILE = 1 << 16 };                  /* elements a worker makes at a time, about */

typedef struct making {
    const bb_job     *j;
    uint64_t       seed;
    unsigned char *room;                  /* [n_workers, n_room] */
    size_t         n_room;
    int            tile_rows;
    atomic_int     next;                  /* row that nobody has taken yet */
} making;

static int count_tile_rows(const bb_matrix *m)
{
    const int together = m->format->rows_together;
    const int rows = TILE / m->cols / together * together;
    return rows > together ? rows : together;
}

static void make_rows(const making *k, int first, int n, void *room)
{
    const bb_job   *j = k->j;
    const size_t cols = (size_t)j->to.cols;

    if (j->recode.from) {
        bb_recode_rows(&j->recode, first, n, j->data, first, room);
    } else {
        bb_random_fill(bb_random_bound(j->to.cols), k->seed, (size_t)first * cols, (size_t)n * cols,
                       room);
        j->to.format->encode(n, j->to.cols, room, cols, NULL, j->data, first);
    }
}

static void make_some(void *context, int worker)
{
    making   *k = context;
    const int rows = k->j->to.rows;

    for (int first; (first = atomic_fetch_add(&k->next, k->tile_rows)) < rows;)
        make_rows(k, first, rows - first < k->tile_rows ? rows - first : k->tile_rows,
                  k->room + (size_t)worker * k->n_room);
}

bool bb_binder_report(const bb_binder *b, uint64_t done)
{
    const bb_bind_options *o = b->options;
    const uint64_t total = b->stats.mapped_bytes + b->stats.resident_bytes;

    return !o->progress
        || o->progress(o->progress_context, done < total ? done : total, total) == 0;
}

bb_status bb_binder_make(bb_binder *b, bamba_error *err)
{
    const bb_allocator *a = &b->g->alloc;
    const int n_workers = b->options->n_threads ? b->options->n_threads : bb_threads_default();
    size_t    most = 1;
    uint64_t  done = b->stats.mapped_bytes;
    bb_status status = BAMBA_OK;

    if (b->n_jobs == 0) return BAMBA_OK;
    for (size_t i = 0; i < b->n_jobs; i++) {
        const bb_job   *j = &b->jobs[i];
        const size_t n = bb_recode_bytes(&j->recode, count_tile_rows(&j->to)) + 63;
        if (n > most) most = n / 64 * 64;
    }
    unsigned char *room = bb_allocate(a, (size_t)n_workers, most);
    if (!room) return bb_fail(err, BAMBA_ERR_MEMORY, "weights: out of memory");
    for (size_t i = 0; status == BAMBA_OK && i < b->n_jobs; i++) {
        const bb_matrix *m = &b->jobs[i].to;
        making k = { &b->jobs[i], b->options->seed + i, room, most, count_tile_rows(m), 0 };
        const int n_tiles = (m->rows + k.tile_rows - 1) / k.tile_rows;
        const int n = n_tiles < n_workers ? n_tiles : n_workers;
        bb_loop(n, n, make_some, &k);
        done += m->format->bytes(m->rows, m->cols);
        if (!bb_binder_report(b, done))
            status = bb_fail(err, BAMBA_ERR_CANCELLED, "cancelled while loading weights");
    }
    bb_release(a, room);
    return status;
}
