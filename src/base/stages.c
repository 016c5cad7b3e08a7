/* stages.c - the stages of a call: taking tiles, waiting for those of others, repeating them.
 *
 * Taking tiles is one compare-and-swap on the word `next` of a part: by its owner, on a cache line
 * that nobody else wants yet, or by a thread that has finished its own part. One counter of tiles
 * done tells when a stage is over. A thread that waits spins for microseconds, then sleeps on a
 * futex, which gives its core to other programs. Tiles that can be computed twice are offered in
 * the word `offer` while they are computed: the owner takes the offer back before it commits them,
 * or finds that another thread has taken it, and drops its results. */
#include "base/team_internal.h"

#include "base/futex.h"
#include "base/system.h"

enum { LONG_SPIN_NS = 200000 };           /* at most, before tiles are repeated */
enum { PATIENCE = 2 };                    /* times what a tile takes, before it is repeated */
enum { SHARE = 8 };                       /* a thread takes an 8th of what is left of a part */

/* -------------------------------------------------------------- waiting ------------------ */

static bool has_reached(const bb_team *t, uint32_t target)
{
    return (int32_t)(atomic_load(&t->done) - target) >= 0;
}

/* Spin until `target` tiles are done, for about `ns` nanoseconds at most. Returns whether they are.
   Short waits do not look at the clock. */
static bool spin_until(const bb_team *t, uint32_t target, uint64_t ns)
{
    uint64_t start = 0, now = 0;

    do {
        for (int i = 0; i < BB_LOOKS; i++) {
            if (has_reached(t, target)) return true;
            bb_pause();
        }
        now = bb_system_now_ns();
        if (start == 0) start = now;
    } while (now - start < ns);
    return false;
}

/* Sleep until `target` tiles are done, at most `ns` nanoseconds. Returns whether they are. */
static bool sleep_until(bb_team *t, uint32_t target, uint64_t ns)
{
    const uint64_t start = bb_system_now_ns();
    uint64_t       slept = 0;

    atomic_fetch_add(&t->n_waiting, 1);
    for (unsigned seen; slept < ns && (int32_t)((seen = atomic_load(&t->done)) - target) < 0;) {
        bb_sleep_on(&t->done, seen, ns == BB_FOREVER ? BB_FOREVER : ns - slept);
        if (ns != BB_FOREVER) slept = bb_system_now_ns() - start;
    }
    atomic_fetch_sub(&t->n_waiting, 1);
    return has_reached(t, target);
}

/* -------------------------------------------------------------- tiles -------------------- */

struct stage {
    int                  n;               /* tiles */
    bb_tiles_fn         *run;             /* or, if tiles can be computed twice, NULL and: */
    const bb_repeatable *repeat;
    void                *context;
};

int bb_team_part(const bb_team *team, int thread, int n)
{
    const uint64_t N = (uint64_t)team->n_threads;
    return (int)(((uint64_t)n * (uint64_t)thread + N - 1) / N);
}

/* Take some tiles of the part of thread `owner`. Returns how many, 0 if none are left; *first is
   the first of them. */
static int take(bb_team *t, int owner, uint32_t number, const struct stage *s, int *first)
{
    _Atomic uint64_t *next = &t->member[owner].next;
    const uint32_t    begin = (uint32_t)bb_team_part(t, owner, s->n);
    const uint32_t    end = (uint32_t)bb_team_part(t, owner + 1, s->n);
    uint64_t          word = atomic_load_explicit(next, memory_order_relaxed);

    for (;;) {
        const uint32_t from = word >> 32 < number ? begin : (uint32_t)word;
        if (word >> 32 > number || from >= end) return 0;         /* a newer stage, or none left */
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

/* The word of an offer: stage << 32 | first tile << 16 | count << 10 | n_done. The thread that
   takes the offer counts those n_done tiles too, since the owner may be stopped before it does. 0
   if a number does not fit: then the tiles are not offered. */
static uint64_t offer_of(const bb_member *m, int first, int count)
{
    if (first > 0xFFFF || m->n_done > 0x3FF) return 0;
    return (uint64_t)m->stage << 32 | (uint64_t)first << 16 | (uint64_t)count << 10 | m->n_done;
}

/* Run tiles that this thread has taken, and count them in n_done unless another took them over. */
static void run_taken(bb_member *m, const struct stage *s, int first, int count)
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

/* Add this thread's n_done to the team's tiles done. Returns whether the stage is over. */
static bool count_done(bb_team *t, bb_member *m)
{
    const uint32_t n = m->n_done;

    m->n_done = 0;
    if (n == 0) return has_reached(t, m->target);
    if (atomic_fetch_add(&t->done, n) + n != m->target) return false;
    if (atomic_load(&t->n_waiting) > 0) bb_wake(&t->done);
    return true;
}

/* Run all tiles that are left of the part of thread `owner`. Returns whether the stage is over. */
static bool work_on(bb_team *t, bb_member *m, int owner, const struct stage *s)
{
    int first;

    for (int count; (count = take(t, owner, m->stage, s, &first)) > 0;)
        run_taken(m, s, first, count);
    return count_done(t, m);
}

/* Run tiles that another thread offers. Returns false if no thread offers any. */
static bool take_over(bb_team *t, bb_member *m, const struct stage *s)
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

/* Nanoseconds to wait for repeatable tiles of others: PATIENCE times what a tile took here. */
static uint64_t patience_of(const bb_member *m)
{
    const uint64_t ns = bb_system_now_ns() - m->begin_ns;

    return m->n_own == 0 ? LONG_SPIN_NS : PATIENCE * ns / m->n_own;
}

/* Wait until others have done the tiles they took, or take them over where that is possible. A
   thread that sleeps even for microseconds may lose its core to another program for milliseconds,
   so it spins if tiles can be taken over soon. */
static void wait_for_tiles(bb_team *t, bb_member *m, const struct stage *s)
{
    bool may_repeat = s->repeat != NULL;

    while (!spin_until(t, m->target, BB_STAGE_SPIN_NS)) {
        const uint64_t ns = may_repeat ? patience_of(m) : BB_FOREVER;
        if (ns > LONG_SPIN_NS ? sleep_until(t, m->target, ns) : spin_until(t, m->target, ns))
            return;
        may_repeat = take_over(t, m, s);
        if (may_repeat && count_done(t, m)) return;
    }
}

static void run_stage(bb_team *t, bb_member *m, const struct stage *s)
{
    bb_spread(t, m);
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
