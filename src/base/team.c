/* team.c - the threads of an engine: one program on all of them, stages of tiles.
 *
 * Tiles are numbered within a stage and stages within the life of a team. Thread i has a word of its
 * own that says which tile of its part of which stage comes next; taking tiles is one
 * compare-and-swap on it, by its owner on a cache line nobody else wants yet, or by a thread that
 * has finished its own part. A word of an earlier stage means that nothing of this part is taken:
 * nobody has to be there to prepare a stage. One counter of tiles done in all tells when a stage
 * is over. Who waits spins for microseconds, then sleeps on a futex: beside other programs it
 * gives up its core. Tiles that can be computed twice are offered while they are computed, in
 * another word of each thread: its owner closes the offer before it commits, or finds it taken.
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
#include <time.h>

#ifdef __linux__
#  include <linux/futex.h>
#  include <sys/syscall.h>
#  include <unistd.h>
#endif

enum { CACHE_LINE = 64 };
enum { STAGE_SPIN_NS = 20000, LONG_SPIN_NS = 200000, IDLE_SPIN_NS = 50000 };
enum { PATIENCE = 2 };                    /* of the time a tile takes, before another's is repeated */
enum { MOVE_NS = 4000000 };               /* at least, between moves of a thread to another core */
enum { LOOKS = 16 };                      /* between those at the clock */
enum { SHARE = 8 };                       /* a thread takes an 8th of what is left of a part */
#define FOREVER UINT64_MAX
enum { RENUMBER = 1 << 30 };              /* stages, which a call adds far fewer to */

/* Those of a call: how many threads are inside, whether more may come, and its number. */
enum { INSIDE = 0xFFFF, OPEN = 0x10000, NUMBER_SHIFT = 32 };

typedef struct member {
    _Alignas(CACHE_LINE) _Atomic uint64_t next;       /* stage << 32 | tile */
    _Alignas(CACHE_LINE) _Atomic uint64_t offer;      /* see offer_of; 0: none */
    /* The others are this thread's, and the caller's between calls. */
    _Alignas(CACHE_LINE) uint32_t stage;  /* it is in, or was */
    uint32_t      target;                 /* tiles done in all when that one is over */
    uint32_t      n_done;                 /* tiles of this stage not yet counted in `done` */
    uint32_t      n_own;                  /* tiles of this stage that this thread did */
    uint64_t      begin_ns;               /* of a repeatable stage */
    uint64_t      moved_ns;               /* when it last left a core to another thread of the team */
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
    atomic_int       *cpu;                /* [n_threads] where each was last; -1: in no call */
};

/* -------------------------------------------------------------- waiting ------------------ */

/* 10 to 50 ns, by the processor. */
static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Until the word is another, or for at most that long. */
static void sleep_on(atomic_uint *word, unsigned value, uint64_t ns)
{
#ifdef __linux__
    const struct timespec most = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, ns == FOREVER ? NULL : &most, NULL, 0);
#else
    (void)word, (void)value, (void)ns;
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

/* True once so many tiles are done; false if they are not for so long. Short waits do not look at the
   clock. */
static bool spin_until(const bb_team *t, uint32_t target, uint64_t ns)
{
    uint64_t start = 0, now = 0;

    do {
        for (int i = 0; i < LOOKS; i++) {
            if (has_reached(t, target)) return true;
            pause_briefly();
        }
        now = bb_system_now_ns();
        if (start == 0) start = now;
    } while (now - start < ns);
    return false;
}

/* The same asleep. */
static bool sleep_until(bb_team *t, uint32_t target, uint64_t ns)
{
    const uint64_t start = bb_system_now_ns();
    uint64_t       slept = 0;

    atomic_fetch_add(&t->n_waiting, 1);
    for (unsigned seen; slept < ns && (int32_t)((seen = atomic_load(&t->done)) - target) < 0;) {
        sleep_on(&t->done, seen, ns == FOREVER ? FOREVER : ns - slept);
        if (ns != FOREVER) slept = bb_system_now_ns() - start;
    }
    atomic_fetch_sub(&t->n_waiting, 1);
    return has_reached(t, target);
}

/* -------------------------------------------------------------- processors --------------- */

#ifdef __linux__

/* The i-th processor of a mask. */
static size_t cpu_of(const cpu_set_t *mask, int i)
{
    size_t cpu = 0;

    while (!CPU_ISSET(cpu, mask) || i-- > 0) cpu++;
    return cpu;
}

static bool move_to(size_t cpu)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    return sched_setaffinity(0, sizeof one, &one) == 0;
}

/* To one processor of the mask, counted round; *before is what to go back to. */
static bool pin_thread(int thread, cpu_set_t *before)
{
    if (sched_getaffinity(0, sizeof *before, before) != 0 || CPU_COUNT(before) < 1) return false;
    return move_to(cpu_of(before, thread % CPU_COUNT(before)));
}

static void unpin_thread(const cpu_set_t *before) { sched_setaffinity(0, sizeof *before, before); }

static bool is_taken(bb_team *t, const member *m, int cpu)
{
    for (int i = 0; i < t->n_threads; i++)
        if (i != m->thread && atomic_load_explicit(&t->cpu[i], memory_order_relaxed) == cpu) return true;
    return false;
}

/* With another program on one core, the system often has two threads of the team take turns on the
   other for many milliseconds, since no core is idle: one of them goes where none of the team is. */
static void spread(bb_team *t, member *m)
{
    const int cpu = sched_getcpu();
    cpu_set_t mask;

    if (atomic_load_explicit(&t->cpu[m->thread], memory_order_relaxed) != cpu)
        atomic_store_explicit(&t->cpu[m->thread], cpu, memory_order_relaxed);
    if (t->is_pinned || cpu < 0 || !is_taken(t, m, cpu)) return;
    const uint64_t now = bb_system_now_ns();
    if (now - m->moved_ns < MOVE_NS) return;
    m->moved_ns = now;
    if (sched_getaffinity(0, sizeof mask, &mask) != 0 || CPU_COUNT(&mask) < t->n_threads) return;
    for (int i = 0; i < CPU_COUNT(&mask); i++) {
        const size_t to = cpu_of(&mask, i);
        if (is_taken(t, m, (int)to)) continue;
        if (move_to(to)) unpin_thread(&mask);
        return;
    }
}

#else

typedef int cpu_set_t;
static bool pin_thread(int thread, cpu_set_t *before) { return (void)thread, (void)before, false; }
static void unpin_thread(const cpu_set_t *before) { (void)before; }
static void spread(bb_team *t, member *m) { (void)t, (void)m; }

#endif

/* -------------------------------------------------------------- tiles -------------------- */

struct stage {
    int                  n;
    bb_tiles_fn         *run;             /* or: */
    const bb_repeatable *repeat;
    void                *context;
};

/* First tile of a thread's part of n. */
static uint32_t part_of(const bb_team *t, int thread, int n)
{
    const uint64_t N = (uint64_t)t->n_threads;
    return (uint32_t)(((uint64_t)n * (uint64_t)thread + N - 1) / N);
}

/* Some tiles of the part of thread `owner`: the number taken, *first the first of them. */
static int take(bb_team *t, int owner, uint32_t number, const struct stage *s, int *first)
{
    _Atomic uint64_t *next = &t->member[owner].next;
    const uint32_t    begin = part_of(t, owner, s->n);
    const uint32_t    end = part_of(t, owner + 1, s->n);
    uint64_t          word = atomic_load_explicit(next, memory_order_relaxed);

    for (;;) {
        const uint32_t from = word >> 32 < number ? begin : (uint32_t)word;
        if (word >> 32 > number || from >= end) return 0;         /* newer: this stage is over */
        uint32_t count = (end - from + SHARE - 1) / SHARE;
        if (s->repeat && count > (uint32_t)s->repeat->most) count = (uint32_t)s->repeat->most;
        const uint64_t then = (uint64_t)number << 32 | (from + count);
        if (atomic_compare_exchange_weak_explicit(next, &word, then, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            *first = (int)from;
            return (int)count;
        }
    }
}

/* What a thread offers: stage << 32 | first tile << 16 | count << 10 | n_done, which goes along since
   the owner may not come to count it. 0 where that does not fit: then nobody can take it over. */
static uint64_t offer_of(const member *m, int first, int count)
{
    if (first > 0xFFFF || m->n_done > 0x3FF) return 0;
    return (uint64_t)m->stage << 32 | (uint64_t)first << 16 | (uint64_t)count << 10 | m->n_done;
}

static void run_taken(member *m, const struct stage *s, int first, int count)
{
    const bb_repeatable *r = s->repeat;
    const int            end = first + count;

    if (!r) {
        s->run(s->context, m->thread, first, end);
    } else {
        uint64_t offer = offer_of(m, first, count);
        if (r->begin) r->begin(s->context, m->thread, first, end);
        atomic_store_explicit(&m->offer, offer, memory_order_release);
        r->compute(s->context, m->thread, first, end);
        if (offer && !atomic_compare_exchange_strong(&m->offer, &offer, 0)) {
            m->n_done = 0;
            return;
        }
        r->commit(s->context, m->thread, first, end);
    }
    m->n_done += (uint32_t)count;
    m->n_own += (uint32_t)count;
}

/* Add to the tiles done; true when the stage is over. */
static bool count_done(bb_team *t, member *m)
{
    const uint32_t n = m->n_done;

    m->n_done = 0;
    if (n == 0) return has_reached(t, m->target);
    if (atomic_fetch_add(&t->done, n) + n != m->target) return false;
    if (atomic_load(&t->n_waiting) > 0) wake(&t->done);
    return true;
}

/* All that can be had of one part; true when the stage is over. */
static bool work_on(bb_team *t, member *m, int owner, const struct stage *s)
{
    int first;

    for (int count; (count = take(t, owner, m->stage, s, &first)) > 0;) run_taken(m, s, first, count);
    return count_done(t, m);
}

/* Tiles that another thread offers; false if there are none. */
static bool take_over(bb_team *t, member *m, const struct stage *s)
{
    for (int i = 0; i < t->n_threads; i++) {
        uint64_t offer = atomic_load(&t->member[i].offer);
        if (offer >> 32 != m->stage) continue;
        if (!atomic_compare_exchange_strong(&t->member[i].offer, &offer, 0)) continue;
        m->n_done += (uint32_t)(offer & 0x3FF);
        run_taken(m, s, (int)(offer >> 16 & 0xFFFF), (int)(offer >> 10 & 0x3F));
        return true;
    }
    return false;
}

/* How long to wait for tiles that can be repeated: some times what one took here. */
static uint64_t patience_of(const member *m)
{
    const uint64_t ns = bb_system_now_ns() - m->begin_ns;

    return m->n_own == 0 ? LONG_SPIN_NS : PATIENCE * ns / m->n_own;
}

/* For tiles that others have. Who sleeps, even for microseconds, loses the core to another program for
   milliseconds: where tiles can be taken over soon, rather not. */
static void wait_for_tiles(bb_team *t, member *m, const struct stage *s)
{
    bool may_repeat = s->repeat != NULL;

    while (!spin_until(t, m->target, STAGE_SPIN_NS)) {
        const uint64_t ns = may_repeat ? patience_of(m) : FOREVER;
        if (ns > LONG_SPIN_NS ? sleep_until(t, m->target, ns) : spin_until(t, m->target, ns)) return;
        may_repeat = take_over(t, m, s);
        if (may_repeat && count_done(t, m)) return;
    }
}

static void run_stage(bb_team *t, member *m, const struct stage *s)
{
    spread(t, m);
    m->stage++;
    m->target += (uint32_t)s->n;
    m->n_own = 0;
    if (s->repeat) m->begin_ns = bb_system_now_ns();
    for (int i = 0; i < t->n_threads; i++)
        if (work_on(t, m, (m->thread + i) % t->n_threads, s)) return;
    wait_for_tiles(t, m, s);
}

void bb_team_stage(bb_team *team, int thread, int n, bb_tiles_fn *run, void *context)
{
    const struct stage s = { .n = n, .run = run, .context = context };

    if (n <= 0) return;
    if (team->n_threads == 1) run(context, thread, 0, n);
    else run_stage(team, &team->member[thread], &s);
}

void bb_team_repeatable(bb_team *team, int thread, int n, const bb_repeatable *r, void *context)
{
    const struct stage s = { .n = n, .repeat = r, .context = context };

    if (team->n_threads > 1 && n > 0) {
        run_stage(team, &team->member[thread], &s);
        return;
    }
    for (int first = 0, end; first < n; first = end) {
        end = n - first < r->most ? n : first + r->most;
        if (r->begin) r->begin(context, thread, first, end);
        r->compute(context, thread, first, end);
        r->commit(context, thread, first, end);
    }
}

/* -------------------------------------------------------------- threads ------------------ */

static void run_member(member *m)
{
    m->stage = m->team->first_stage;
    m->target = m->team->first_target;
    m->team->body(m->team->context, m->thread);
    atomic_store_explicit(&m->team->cpu[m->thread], -1, memory_order_relaxed);
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
        for (int i = 0; i < LOOKS; i++) {
            if (atomic_load(&t->n_calls) != seen) return;
            pause_briefly();
        }
    } while (bb_system_now_ns() - start < IDLE_SPIN_NS);
    atomic_fetch_add(&t->n_idle, 1);
    while (atomic_load(&t->n_calls) == seen) sleep_on(&t->n_calls, seen, FOREVER);
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
        else sleep_on(&t->n_exits, seen, FOREVER);
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
    t->cpu = bb_new(a, (size_t)n_threads, sizeof *t->cpu);
    if (!t->member || !t->cpu) {
        bb_team_free(t);
        return bb_fail(err, BAMBA_ERR_MEMORY, "thread team: out of memory");
    }
    for (int i = 0; i < n_threads; i++) {
        t->member[i].team = t;
        t->member[i].thread = i;
        atomic_init(&t->cpu[i], -1);
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
    bb_release(&a, team->cpu);
    bb_release(&a, team);
}

int bb_team_size(const bb_team *team) { return team->n_threads; }
