/* team.c - the threads of an engine: one program on all of them, stages of tiles.
 *
 * Tiles are numbered within a stage and stages within the life of a team. Thread i has a word of its
 * own that says which tile of its part of which stage comes next; taking tiles is one
 * compare-and-swap on it, by its owner on a cache line nobody else wants yet, or by a thread that
 * has finished its own part. A word of an earlier stage means that nothing of this part is taken:
 * nobody has to be there to prepare a stage. One counter of tiles done in all tells when a stage
 * is over. Who waits spins for microseconds, then sleeps on a futex: beside other programs it
 * gives up its core.
 * OpenMP would start the threads as well, but its regions end only when every thread has been there,
 * which beside a busy program takes a time slice, and it may end the process. */
#include "base/team.h"

#include "base/fpmode.h"
#include "base/system.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>

#ifdef __linux__
#  include <linux/futex.h>
#  include <sys/syscall.h>
#  include <unistd.h>
#endif

enum { CACHE_LINE = 64 };
enum { STAGE_SPIN_NS = 20000, IDLE_SPIN_NS = 50000 };
enum { PAUSES = 16 };                     /* between looks at the clock */
enum { SHARE = 8 };                       /* a thread takes an 8th of what is left of a part */
enum { RENUMBER = 1 << 30 };              /* stages, which a call adds far fewer to */

/* Those of a call: how many threads are inside, whether more may come, and its number. */
enum { INSIDE = 0xFFFF, OPEN = 0x10000, NUMBER_SHIFT = 32 };

typedef struct member {
    _Alignas(CACHE_LINE) _Atomic uint64_t next;       /* stage << 32 | tile */
    /* The others are this thread's, and the caller's between calls. */
    _Alignas(CACHE_LINE) uint32_t stage;  /* it is in, or was */
    uint32_t      target;                 /* tiles done in all when that one is over */
    bb_team      *team;
    int           thread;
    pthread_t     handle;
} member;

struct bb_team {
    _Alignas(CACHE_LINE) atomic_uint done;            /* tiles in all; futex of who waits for them */
    atomic_int        n_waiting;
    _Alignas(CACHE_LINE) _Atomic uint64_t door;       /* number << 32 | OPEN | threads inside */
    atomic_uint       n_calls;            /* futex of idle threads */
    atomic_int        n_idle;             /* of them asleep */
    atomic_uint       n_exits;            /* futex of the caller at the end */
    atomic_bool       quit;
    void            (*body)(void *context, int thread);
    void             *context;
    uint32_t          first_stage, first_target;      /* of the call */
    int               n_threads, n_started;
    bool              is_pinned;
    bb_allocator      alloc;
    member           *member;             /* [n_threads] */
};

/* -------------------------------------------------------------- waiting ------------------ */

static void pause_briefly(void)
{
    for (int i = 0; i < PAUSES; i++) {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
    }
}

static void sleep_on(atomic_uint *word, unsigned value)
{
#ifdef __linux__
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
#else
    (void)word, (void)value;
    sched_yield();
#endif
}

static void wake(atomic_uint *word)
{
#ifdef __linux__
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
#else
    (void)word;
#endif
}

static bool has_reached(const bb_team *t, uint32_t target)
{
    return (int32_t)(atomic_load(&t->done) - target) >= 0;
}

static void wait_for_tiles(bb_team *t, uint32_t target)
{
    const uint64_t start = bb_system_now_ns();

    do {
        for (int i = 0; i < 4; i++) {
            if (has_reached(t, target)) return;
            pause_briefly();
        }
    } while (bb_system_now_ns() - start < STAGE_SPIN_NS);
    atomic_fetch_add(&t->n_waiting, 1);
    for (unsigned seen; (int32_t)((seen = atomic_load(&t->done)) - target) < 0;)
        sleep_on(&t->done, seen);
    atomic_fetch_sub(&t->n_waiting, 1);
}

/* -------------------------------------------------------------- tiles -------------------- */

/* First tile of a thread's part of n. */
static uint32_t part_of(const bb_team *t, int thread, int n)
{
    const uint64_t N = (uint64_t)t->n_threads;
    return (uint32_t)(((uint64_t)n * (uint64_t)thread + N - 1) / N);
}

/* Some tiles of the part of thread `owner`: the number taken, *first the first of them. */
static int take(bb_team *t, int owner, uint32_t stage, int n, int *first)
{
    _Atomic uint64_t *next = &t->member[owner].next;
    const uint32_t    begin = part_of(t, owner, n);
    const uint32_t    end = part_of(t, owner + 1, n);
    uint64_t          word = atomic_load_explicit(next, memory_order_relaxed);

    for (;;) {
        const uint32_t from = word >> 32 < stage ? begin : (uint32_t)word;
        if (word >> 32 > stage || from >= end) return 0;          /* newer: this stage is over */
        const uint32_t count = (end - from + SHARE - 1) / SHARE;
        const uint64_t then = (uint64_t)stage << 32 | (from + count);
        if (atomic_compare_exchange_weak_explicit(next, &word, then, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            *first = (int)from;
            return (int)count;
        }
    }
}

/* All that can be had of one part; true when the stage is over. */
static bool work_on(bb_team *t, int thread, int owner, int n, bb_tiles_fn *run, void *context)
{
    const member *m = &t->member[thread];
    uint32_t      n_done = 0;
    int           first;

    for (int count; (count = take(t, owner, m->stage, n, &first)) > 0; n_done += (uint32_t)count)
        run(context, thread, first, first + count);
    if (n_done == 0) return has_reached(t, m->target);
    if (atomic_fetch_add(&t->done, n_done) + n_done != m->target) return false;
    if (atomic_load(&t->n_waiting) > 0) wake(&t->done);
    return true;
}

void bb_team_stage(bb_team *team, int thread, int n, bb_tiles_fn *run, void *context)
{
    member *m = &team->member[thread];

    if (n <= 0) return;
    if (team->n_threads == 1) {
        run(context, thread, 0, n);
        return;
    }
    m->stage++;
    m->target += (uint32_t)n;
    for (int i = 0; i < team->n_threads; i++)
        if (work_on(team, thread, (thread + i) % team->n_threads, n, run, context)) return;
    wait_for_tiles(team, m->target);
}

/* -------------------------------------------------------------- threads ------------------ */

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

static void unpin_thread(const cpu_set_t *before) { sched_setaffinity(0, sizeof *before, before); }

#else

typedef int cpu_set_t;
static bool pin_thread(int thread, cpu_set_t *before) { return (void)thread, (void)before, false; }
static void unpin_thread(const cpu_set_t *before) { (void)before; }

#endif

static void run_member(member *m)
{
    m->stage = m->team->first_stage;
    m->target = m->team->first_target;
    m->team->body(m->team->context, m->thread);
}

/* Into the call that is open, if one is; *seen becomes the last call that needs nothing more. */
static bool enter(bb_team *t, unsigned *seen)
{
    uint64_t door = atomic_load(&t->door);

    while (door & OPEN)
        if (atomic_compare_exchange_weak(&t->door, &door, door + 1)) {
            *seen = (unsigned)(door >> NUMBER_SHIFT);
            return true;
        }
    *seen = (unsigned)(door >> NUMBER_SHIFT);
    return false;
}

static void wait_for_call(bb_team *t, unsigned seen)
{
    const uint64_t start = bb_system_now_ns();

    do {
        for (int i = 0; i < 4; i++) {
            if (atomic_load(&t->n_calls) != seen) return;
            pause_briefly();
        }
    } while (bb_system_now_ns() - start < IDLE_SPIN_NS);
    atomic_fetch_add(&t->n_idle, 1);
    while (atomic_load(&t->n_calls) == seen) sleep_on(&t->n_calls, seen);
    atomic_fetch_sub(&t->n_idle, 1);
}

static void *live(void *p)
{
    member   *m = p;
    bb_team  *t = m->team;
    unsigned  seen = 0;
    cpu_set_t before;

    if (t->is_pinned) pin_thread(m->thread, &before);
    bb_fpmode_enter();
    for (;;) {
        wait_for_call(t, seen);
        if (atomic_load(&t->quit)) return NULL;
        if (!enter(t, &seen)) continue;
        run_member(m);
        atomic_fetch_sub(&t->door, 1);
        atomic_fetch_add(&t->n_exits, 1);
        wake(&t->n_exits);
    }
}

/* Nobody comes in any more; those inside come out. */
static void close_door(bb_team *t)
{
    const uint64_t start = bb_system_now_ns();

    atomic_fetch_and(&t->door, ~(uint64_t)OPEN);
    for (;;) {
        const unsigned seen = atomic_load(&t->n_exits);
        if (!(atomic_load(&t->door) & INSIDE)) return;
        if (bb_system_now_ns() - start < STAGE_SPIN_NS) pause_briefly();
        else sleep_on(&t->n_exits, seen);
    }
}

/* Threads may have left the body at different stages: the next call begins after all. Nobody is
   inside, so numbers can begin anew before they run out. */
static void end_stages(bb_team *t)
{
    for (int i = 0; i < t->n_threads; i++)
        if (t->member[i].stage > t->first_stage) t->first_stage = t->member[i].stage;
    t->first_target = atomic_load(&t->done);
    if (t->first_stage < RENUMBER) return;
    t->first_stage = 0;
    for (int i = 0; i < t->n_threads; i++) {
        t->member[i].stage = 0;
        atomic_store(&t->member[i].next, 0);
    }
}

static void call_team(bb_team *t)
{
    const unsigned number = atomic_load(&t->n_calls) + 1;

    atomic_store(&t->door, (uint64_t)number << NUMBER_SHIFT | OPEN);
    atomic_store(&t->n_calls, number);
    if (atomic_load(&t->n_idle) > 0) wake(&t->n_calls);
}

void bb_team_run(bb_team *team, void (*body)(void *context, int thread), void *context)
{
    const int      saved = errno;
    cpu_set_t      before;
    const bool     is_pinned = team->is_pinned && pin_thread(0, &before);
    const uint64_t mode = bb_fpmode_enter();

    team->body = body;
    team->context = context;
    if (team->n_threads > 1) call_team(team);
    run_member(&team->member[0]);
    if (team->n_threads > 1) {
        close_door(team);
        end_stages(team);
    }
    bb_fpmode_leave(mode);
    if (is_pinned) unpin_thread(&before);
    errno = saved;
}

/* -------------------------------------------------------------- create, free ------------- */

/* The host's signals are for the host's threads. */
static bool start_thread(member *m)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&m->handle, NULL, live, m);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return !failed;
}

bb_status bb_team_create(bb_team **out, const bb_allocator *a, int n_threads, bool pin,
                         bamba_error *err)
{
    const int saved = errno;
    bb_team  *t = bb_new(a, 1, sizeof *t);

    *out = NULL;
    if (!t) return bb_fail(err, BAMBA_ERR_MEMORY, "thread team: out of memory");
    t->alloc = *a;
    t->n_threads = n_threads;
    t->n_started = 1;
    t->is_pinned = pin;
    t->member = bb_new(a, (size_t)n_threads, sizeof *t->member);
    if (!t->member) {
        bb_team_free(t);
        return bb_fail(err, BAMBA_ERR_MEMORY, "thread team: out of memory");
    }
    for (int i = 0; i < n_threads; i++) {
        t->member[i].team = t;
        t->member[i].thread = i;
        if (i == 0) continue;
        if (!start_thread(&t->member[i])) {
            bb_team_free(t);
            errno = saved;
            return bb_fail(err, BAMBA_ERR_MEMORY, "thread team: expected %d threads, got %d",
                           n_threads, i);
        }
        t->n_started++;
    }
    *out = t;
    errno = saved;
    return BAMBA_OK;
}

void bb_team_free(bb_team *team)
{
    if (!team) return;
    const bb_allocator a = team->alloc;

    atomic_store(&team->quit, true);
    atomic_fetch_add(&team->n_calls, 1);
    wake(&team->n_calls);
    for (int i = 1; i < team->n_started; i++) pthread_join(team->member[i].handle, NULL);
    bb_release(&a, team->member);
    bb_release(&a, team);
}

int bb_team_size(const bb_team *team) { return team->n_threads; }
