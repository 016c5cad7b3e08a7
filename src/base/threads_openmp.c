/* threads_openmp.c - threads by OpenMP: the only user of its runtime, and by helper threads alone.
 *
 * The threads of a team are one parallel region that lasts as long as the team. A helper thread
 * enters it and sleeps in it as thread 0, in place of the caller. So thread i of the team has place
 * i of OMP_PLACES; the region's threads inherit the helper's blocked signals; what the host set for
 * its own regions does not hold here; and the caller never becomes a thread of the runtime, which
 * would bind it to a place, and of which libgomp's do not survive fork(). Runtimes end the process
 * when they cannot start a thread, so the helper first tries whether as many can be started. */
#include "base/threads.h"

#include "base/fpmode.h"
#include "base/system.h"
#include "base/threads_start.h"

#include <errno.h>
#include <omp.h>
#include <pthread.h>
#include <stdlib.h>

/* -------------------------------------------------------------- can they start? ---------- */

typedef struct trial {
    int            n, n_alive;
    pthread_attr_t attributes;
} trial;

/* Each thread starts the next one and lives until that one has ended. */
static void *try_next(void *context)
{
    trial    *t = context;
    pthread_t next;

    if (++t->n_alive < t->n && pthread_create(&next, &t->attributes, try_next, t) == 0)
        pthread_join(next, NULL);
    return NULL;
}

/* Bytes of a thread's stack by OMP_STACKSIZE, in KiB or with a unit; 0: the system's default. */
static size_t stack_bytes(void)
{
    static const char units[] = "bBkKmMgG";
    const char       *text = getenv("OMP_STACKSIZE");
    char             *unit = NULL;

    if (!text) return 0;
    const unsigned long long n = strtoull(text, &unit, 10);
    int                      shift = 10;
    while (*unit == ' ') unit++;
    for (int i = 0; *unit && units[i]; i++)
        if (*unit == units[i]) shift = i / 2 * 10;
    return n > SIZE_MAX >> shift ? SIZE_MAX / 2 : (size_t)n << shift;
}

/* How many of n threads can be alive at once, the calling one included, with stacks as large as the
   runtime's. Another process may still take what is left before the runtime does. */
static int count_startable(int n)
{
    trial        t = { .n = n };
    const size_t bytes = stack_bytes();

    pthread_attr_init(&t.attributes);
    if (bytes) pthread_attr_setstacksize(&t.attributes, bytes);
    try_next(&t);
    pthread_attr_destroy(&t.attributes);
    return t.n_alive;
}

/* On the helper: a region gets the threads it asks for, whatever OMP_DYNAMIC and the like say. */
static void allow_all_threads(void)
{
    omp_set_dynamic(0);
    if (omp_get_max_active_levels() < 1) omp_set_max_active_levels(1);
}

/* -------------------------------------------------------------- threads of a team -------- */

struct bb_threads {
    bb_allocator      alloc;
    pthread_t         helper;
    pthread_barrier_t gate;               /* helper and owner meet at start and end */
    int               n, n_there;
    bool              are_placed;
    void            (*run)(void *context, int thread);
    void             *context;
};

static void wait_for_owner(bb_threads *t, int n_there)
{
    t->n_there = n_there;
    pthread_barrier_wait(&t->gate);
    pthread_barrier_wait(&t->gate);
}

static void *hold_region(void *context)
{
    bb_threads *t = context;
    const int   n = count_startable(t->n);

    if (n < t->n) {
        wait_for_owner(t, n);
        return NULL;
    }
    allow_all_threads();
    t->are_placed = omp_get_proc_bind() != omp_proc_bind_false;
#pragma omp parallel num_threads(n)
    {
        const int thread = omp_get_thread_num();
        if (thread == 0) wait_for_owner(t, omp_get_num_threads());
        else t->run(t->context, thread);
    }
    return NULL;
}

int bb_threads_start(bb_threads **out, const bb_allocator *a, int n,
                     void (*run)(void *context, int thread), void *context)
{
    bb_threads *t = NULL;

    *out = NULL;
    if (n == 1) return 1;
    if (!(t = bb_new(a, 1, sizeof *t))) return 0;
    *t = (bb_threads){ .alloc = *a, .n = n, .run = run, .context = context };
    pthread_barrier_init(&t->gate, NULL, 2);
    if (!bb_threads_start_one(&t->helper, hold_region, t)) {
        pthread_barrier_destroy(&t->gate);
        bb_release(a, t);
        return 1;
    }
    pthread_barrier_wait(&t->gate);
    *out = t;
    return t->n_there;
}

void bb_threads_join(bb_threads *t)
{
    if (!t) return;
    const bb_allocator a = t->alloc;

    pthread_barrier_wait(&t->gate);
    pthread_join(t->helper, NULL);
    pthread_barrier_destroy(&t->gate);
    bb_release(&a, t);
}

bool bb_threads_are_placed(const bb_threads *t) { return t && t->are_placed; }

/* -------------------------------------------------------------- how many ----------------- */

/* Where threads are bound, the caller may be so too, to one place: then all places count. */
static int cores_in_places(void)
{
    int       cpu[1024];
    int       n = 0;
    const int n_places = omp_get_num_places();

    for (int i = 0; i < n_places; i++) {
        const int more = omp_get_place_num_procs(i);
        if (n + more > (int)(sizeof cpu / sizeof cpu[0])) break;
        omp_get_place_proc_ids(i, cpu + n);
        n += more;
    }
    return bb_system_cores_among(cpu, n);
}

/* On a helper, where OpenMP's variables are as the environment set them. Without OMP_NUM_THREADS,
   omp_get_max_threads() is the number of processors, which is no less than that of cores. */
static void *read_default(void *context)
{
    int      *n = context;
    const int cores = omp_get_proc_bind() == omp_proc_bind_false ? *n : cores_in_places();
    const int wanted = omp_get_max_threads(), limit = omp_get_thread_limit();

    *n = cores < wanted ? cores : wanted;
    if (*n > limit) *n = limit;
    return NULL;
}

int bb_threads_default(void)
{
    const int saved = errno;
    int       n = bb_system_cores();
    pthread_t helper;

    if (bb_threads_start_one(&helper, read_default, &n)) pthread_join(helper, NULL);
    errno = saved;
    return n;
}

/* -------------------------------------------------------------- loops -------------------- */

typedef struct loop {
    int    n_threads, n;
    void (*run)(void *context, int i);
    void  *context;
} loop;

static void *run_alone(void *context)
{
    const loop    *l = context;
    const uint64_t mode = bb_fpmode_enter();

    for (int i = 0; i < l->n; i++) l->run(l->context, i);
    bb_fpmode_leave(mode);
    return NULL;
}

static void *run_loop(void *context)
{
    const loop *l = context;

    if (count_startable(l->n_threads) < l->n_threads) return run_alone(context);
    allow_all_threads();
#pragma omp parallel num_threads(l->n_threads)
    {
        const uint64_t mode = bb_fpmode_enter();
#pragma omp for schedule(dynamic)
        for (int i = 0; i < l->n; i++) l->run(l->context, i);
        bb_fpmode_leave(mode);
    }
    return NULL;
}

void bb_loop(int n_threads, int n, void (*run)(void *context, int i), void *context)
{
    const int saved = errno;
    loop      l = { n < n_threads ? n : n_threads, n, run, context };
    pthread_t helper;

    if (l.n_threads > 1 && bb_threads_start_one(&helper, run_loop, &l)) pthread_join(helper, NULL);
    else run_alone(&l);
    errno = saved;
}
