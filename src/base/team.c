/* team.c - the threads of an engine: one program on all of them, tiles, a barrier.
 *
 * OpenMP starts and keeps the threads. The barrier is ours: it spins for some microseconds and
 * then sleeps on a futex, so that beside other programs a waiting thread gives up its core.
 * ThreadSanitizer does not see libgomp's synchronisation; BB_TEAM_PTHREAD starts plain threads. */
#include "base/team.h"

#include "base/fpmode.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>

#ifdef BB_TEAM_PTHREAD
#  include <pthread.h>
#else
#  include <omp.h>
#endif
#ifdef __linux__
#  include <linux/futex.h>
#  include <sched.h>
#  include <sys/syscall.h>
#  include <unistd.h>
#else
#  include <sched.h>
#endif

enum { SPINS = 2000 };                    /* some 20 µs of pause instructions */
enum { CACHE_LINE = 64 };

/* Tile counters of even and odd stages: the last thread at a barrier clears the one that the next
   stage will use, which nobody can touch any more. */
typedef struct counter {
    _Alignas(CACHE_LINE) atomic_int next;
} counter;

struct bb_team {
    counter          stage_counter[2];
    _Alignas(CACHE_LINE) atomic_uint generation;      /* barriers passed; the futex word */
    atomic_int       arrived;
    atomic_int       sleepers;
    int              n_threads;
    bool             is_pinned;
    bb_allocator     alloc;
};

bb_status bb_team_create(bb_team **out, const bb_allocator *a, int n_threads, bamba_error *err)
{
    bb_team *t = bb_new(a, 1, sizeof *t);

    *out = t;
    if (!t) return bb_fail(err, BAMBA_ERR_MEMORY, "thread team: out of memory");
    t->alloc = *a;
    t->n_threads = n_threads;
    return BAMBA_OK;
}

void bb_team_free(bb_team *team)
{
    if (!team) return;
    const bb_allocator a = team->alloc;
    bb_release(&a, team);
}

void bb_team_pin(bb_team *team, bool pin) { team->is_pinned = pin; }

int bb_team_size(const bb_team *team) { return team->n_threads; }

int bb_team_next(bb_team *team)
{
    const unsigned g = atomic_load_explicit(&team->generation, memory_order_relaxed);
    return atomic_fetch_add_explicit(&team->stage_counter[g & 1].next, 1, memory_order_relaxed);
}

/* -------------------------------------------------------------- barrier ------------------ */

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void sleep_while(bb_team *t, unsigned generation)
{
#ifdef __linux__
    atomic_fetch_add(&t->sleepers, 1);
    while (atomic_load(&t->generation) == generation)
        syscall(SYS_futex, &t->generation, FUTEX_WAIT_PRIVATE, generation, NULL, NULL, 0);
    atomic_fetch_sub(&t->sleepers, 1);
#else
    while (atomic_load(&t->generation) == generation) sched_yield();
#endif
}

static void wake_sleepers(bb_team *t)
{
#ifdef __linux__
    if (atomic_load(&t->sleepers) > 0)
        syscall(SYS_futex, &t->generation, FUTEX_WAKE_PRIVATE, t->n_threads, NULL, NULL, 0);
#else
    (void)t;
#endif
}

void bb_team_barrier(bb_team *team, int thread)
{
    const unsigned g = atomic_load_explicit(&team->generation, memory_order_relaxed);

    (void)thread;
    if (atomic_fetch_add(&team->arrived, 1) == team->n_threads - 1) {
        atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&team->stage_counter[(g + 1) & 1].next, 0, memory_order_relaxed);
        atomic_store(&team->generation, g + 1);
        wake_sleepers(team);
        return;
    }
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&team->generation, memory_order_acquire) != g) return;
        pause_briefly();
    }
    sleep_while(team, g);
}

/* -------------------------------------------------------------- running ------------------ */

typedef struct call {
    const bb_team *team;
    void (*body)(void *context, int thread);
    void  *context;
    int    thread;
} call;

#ifdef __linux__

/* To one processor of the mask, counted round; *before is what to go back to. */
static bool pin_thread(int thread, cpu_set_t *before)
{
    cpu_set_t one;
    int       n = 0, wanted;

    if (sched_getaffinity(0, sizeof *before, before) != 0 || CPU_COUNT(before) < 1) return false;
    wanted = thread % CPU_COUNT(before);
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, before) && n++ == wanted) CPU_SET(cpu, &one);
    return sched_setaffinity(0, sizeof one, &one) == 0;
}

static void run_one(const call *c)
{
    cpu_set_t      before;
    const bool     is_pinned = c->team->is_pinned && pin_thread(c->thread, &before);
    const uint64_t mode = bb_fpmode_enter();

    c->body(c->context, c->thread);
    bb_fpmode_leave(mode);
    if (is_pinned) sched_setaffinity(0, sizeof before, &before);
}

#else

static void run_one(const call *c)
{
    const uint64_t mode = bb_fpmode_enter();
    c->body(c->context, c->thread);
    bb_fpmode_leave(mode);
}

#endif

#ifdef BB_TEAM_PTHREAD

enum { MAX_PTHREADS = 64 };

static void *run_pthread(void *c)
{
    run_one(c);
    return NULL;
}

static void run_all(bb_team *team, void (*body)(void *context, int thread), void *context)
{
    pthread_t thread[MAX_PTHREADS];
    call      c[MAX_PTHREADS];

    if (team->n_threads > MAX_PTHREADS) team->n_threads = MAX_PTHREADS;
    for (int i = 0; i < team->n_threads; i++) c[i] = (call){ team, body, context, i };
    for (int i = 1; i < team->n_threads; i++)
        if (pthread_create(&thread[i], NULL, run_pthread, &c[i]) != 0) __builtin_trap();
    run_one(&c[0]);
    for (int i = 1; i < team->n_threads; i++) pthread_join(thread[i], NULL);
}

#else

static void run_all(bb_team *team, void (*body)(void *context, int thread), void *context)
{
    const int n = team->n_threads;
    int       missing = 0;

    /* The barrier counts on exactly n threads. A nested region or a thread limit may give fewer:
       then everybody leaves at once and thread 0 runs alone. */
#pragma omp parallel num_threads(n)
    {
        const call c = { team, body, context, omp_get_thread_num() };
        if (omp_get_num_threads() == n) run_one(&c);
        else if (c.thread == 0) missing = 1;
    }
    if (missing) {
        const call alone = { team, body, context, 0 };
        team->n_threads = 1;
        run_one(&alone);
        team->n_threads = n;
    }
}

#endif

void bb_team_run(bb_team *team, void (*body)(void *context, int thread), void *context)
{
    const int saved = errno;
    const unsigned g = atomic_load_explicit(&team->generation, memory_order_relaxed);

    atomic_store_explicit(&team->stage_counter[g & 1].next, 0, memory_order_relaxed);
    run_all(team, body, context);
    errno = saved;
}
