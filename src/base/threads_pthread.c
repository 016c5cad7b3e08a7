/* threads_pthread.c - threads by POSIX alone: where OpenMP is missing, and for ThreadSanitizer,
 * which does not see how libgomp's threads wait for each other. */
#include "base/threads.h"

#include "base/fpmode.h"
#include "base/system.h"
#include "base/threads_start.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

typedef struct starter {
    bb_threads *all;
    int         thread;
    pthread_t   handle;
} starter;

struct bb_threads {
    bb_allocator alloc;
    int          n;                       /* started, and the caller */
    starter     *starter;                 /* [n] */
    void       (*run)(void *context, int thread);
    void        *context;
};

static void *run_thread(void *context)
{
    const starter *s = context;
    s->all->run(s->all->context, s->thread);
    return NULL;
}

int bb_threads_start(bb_threads **out, const bb_allocator *a, int n,
                     void (*run)(void *context, int thread), void *context)
{
    bb_threads *t = bb_new(a, 1, sizeof *t);

    *out = t;
    if (!t) return 0;
    *t = (bb_threads){ .alloc = *a, .n = 1, .run = run, .context = context };
    if (!(t->starter = bb_new(a, (size_t)n, sizeof *t->starter))) return 0;
    for (; t->n < n; t->n++) {
        starter *s = &t->starter[t->n];
        s->all = t;
        s->thread = t->n;
        if (!bb_threads_start_one(&s->handle, run_thread, s)) break;
    }
    return t->n;
}

void bb_threads_join(bb_threads *t)
{
    if (!t) return;
    const bb_allocator a = t->alloc;

    for (int i = 1; i < t->n; i++) pthread_join(t->starter[i].handle, NULL);
    bb_release(&a, t->starter);
    bb_release(&a, t);
}

bool bb_threads_are_placed(const bb_threads *t) { return (void)t, false; }

int bb_threads_default(void) { return bb_system_cores(); }

/* -------------------------------------------------------------- loops -------------------- */

typedef struct loop {
    int        n;
    atomic_int n_to_start, n_taken;
    void     (*run)(void *context, int i);
    void      *context;
} loop;

/* Each thread starts the next one before it works, and joins it afterwards. */
static void *run_loop(void *context)
{
    loop          *l = context;
    pthread_t      next;
    const bool     has_next = atomic_fetch_sub(&l->n_to_start, 1) > 0 &&
                              bb_threads_start_one(&next, run_loop, l);
    const uint64_t mode = bb_fpmode_enter();

    for (int i; (i = atomic_fetch_add(&l->n_taken, 1)) < l->n;) l->run(l->context, i);
    bb_fpmode_leave(mode);
    if (has_next) pthread_join(next, NULL);
    return NULL;
}

void bb_loop(int n_threads, int n, void (*run)(void *context, int i), void *context)
{
    const int saved = errno;
    loop      l = { .n = n, .run = run, .context = context };

    atomic_init(&l.n_to_start, (n < n_threads ? n : n_threads) - 1);
    atomic_init(&l.n_taken, 0);
    run_loop(&l);
    errno = saved;
}
