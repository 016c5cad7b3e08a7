/* team.c - the calls of a team: its threads come in, run the body and leave; create and free.
 *
 * The word `door` holds the number of a call << 32, whether threads may still come in, and how many
 * are inside. A call ends when those inside have left. It does not wait for threads that have not
 * come, as a parallel region of OpenMP would: beside a busy program that takes a time slice. */
#include "base/team_internal.h"

#include "base/fpmode.h"
#include "base/futex.h"
#include "base/system.h"

#include <errno.h>

enum { IDLE_SPIN_NS = 50000 };            /* before a thread sleeps that waits for the next call */
enum { RENUMBER = 1 << 30 };              /* numbers begin anew after it; a call has far fewer */
enum { INSIDE = 0xFFFF, OPEN = 0x10000, NUMBER_SHIFT = 32 };          /* fields of the door */

/* -------------------------------------------------------------- threads of the team ------ */

static void run_body(bb_team *t, int thread)
{
    t->member[thread].stage = t->first_stage;
    t->member[thread].target = t->first_target;
    t->body(t->context, thread);
    atomic_store_explicit(&t->cpu[thread], -1, memory_order_relaxed);
}

/* Come into the call that is open. Returns false if none is. *seen becomes the number of the latest
   call, so that the thread waits for one after it. */
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
        for (int i = 0; i < BB_LOOKS; i++) {
            if (atomic_load(&t->n_calls) != seen) return;
            bb_pause();
        }
    } while (bb_system_now_ns() - start < IDLE_SPIN_NS);
    atomic_fetch_add(&t->n_idle, 1);
    while (atomic_load(&t->n_calls) == seen) bb_sleep_on(&t->n_calls, seen, BB_FOREVER);
    atomic_fetch_sub(&t->n_idle, 1);
}

/* What threads 1 … n_threads - 1 do until the team is freed. They put affinity and floating-point
   mode back, since a runtime may use its threads again for others. */
static void serve(void *context, int thread)
{
    bb_team       *t = context;
    unsigned       seen = 0;
    bb_affinity    before;
    const bool     is_pinned = t->is_pinned && bb_pin(thread, &before);
    const uint64_t mode = bb_fpmode_enter();

    bb_identify(&t->member[thread]);
    for (;;) {
        wait_for_call(t, seen);
        if (atomic_load(&t->quit)) break;
        if (!enter(t, &seen)) continue;
        run_body(t, thread);
        atomic_fetch_sub(&t->door, 1);
        atomic_fetch_add(&t->n_exits, 1);
        bb_wake(&t->n_exits);
    }
    bb_fpmode_leave(mode);
    if (is_pinned) bb_unpin(&before);
}

/* -------------------------------------------------------------- the caller --------------- */

static void open_door(bb_team *t)
{
    const unsigned number = atomic_load(&t->n_calls) + 1;

    atomic_store(&t->door, (uint64_t)number << NUMBER_SHIFT | OPEN);
    atomic_store(&t->n_calls, number);
    if (atomic_load(&t->n_idle) > 0) bb_wake(&t->n_calls);
}

/* Let no more threads in, and wait until those inside have left. */
static void close_door(bb_team *t)
{
    const uint64_t start = bb_system_now_ns();

    atomic_fetch_and(&t->door, ~(uint64_t)OPEN);
    for (;;) {
        const unsigned seen = atomic_load(&t->n_exits);
        if (!(atomic_load(&t->door) & INSIDE)) return;
        if (bb_system_now_ns() - start < BB_STAGE_SPIN_NS) bb_pause();
        else bb_sleep_on(&t->n_exits, seen, BB_FOREVER);
    }
}

/* Let the next call's stages begin after the highest number that a thread has reached: threads may
   have left the body at different stages. Nobody is inside, so numbers can begin anew before they
   run out. */
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

void bb_team_run(bb_team *team, void (*body)(void *context, int thread), void *context)
{
    const int      saved = errno;
    bb_affinity    before;
    const bool     is_pinned = team->is_pinned && bb_pin(0, &before);
    const uint64_t mode = bb_fpmode_enter();

    team->body = body;
    team->context = context;
    if (team->n_threads > 1) open_door(team);
    run_body(team, 0);
    if (team->n_threads > 1) {
        close_door(team);
        end_stages(team);
    }
    bb_fpmode_leave(mode);
    if (is_pinned) bb_unpin(&before);
    errno = saved;
}

/* -------------------------------------------------------------- create, free ------------- */

static bool allocate_members(bb_team *t, const bb_allocator *a)
{
    t->member = bb_new(a, (size_t)t->n_threads, sizeof *t->member);
    t->cpu = bb_new(a, (size_t)t->n_threads, sizeof *t->cpu);
    if (!t->member || !t->cpu) return false;
    for (int i = 0; i < t->n_threads; i++) {
        t->member[i].thread = i;
        atomic_init(&t->cpu[i], -1);
    }
    return true;
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
    t->is_pinned = pin;
    if (!allocate_members(t, a)) {
        bb_team_free(t);
        return bb_fail(err, BAMBA_ERR_MEMORY, "thread team: out of memory");
    }
    const int n = bb_threads_start(&t->threads, a, n_threads, serve, t);
    t->may_move = !pin && !bb_threads_are_placed(t->threads);
    errno = saved;
    if (n < n_threads) {
        bb_team_free(t);
        if (n == 0) return bb_fail(err, BAMBA_ERR_MEMORY, "thread team: out of memory");
        return bb_fail(err, BAMBA_ERR_MEMORY, "thread team: expected %d threads, got %d", n_threads,
                       n);
    }
    *out = t;
    return BAMBA_OK;
}

void bb_team_free(bb_team *team)
{
    if (!team) return;
    const bb_allocator a = team->alloc;

    atomic_store(&team->quit, true);
    atomic_fetch_add(&team->n_calls, 1);
    bb_wake(&team->n_calls);
    bb_threads_join(team->threads);
    bb_release(&a, team->member);
    bb_release(&a, team->cpu);
    bb_release(&a, team);
}

int bb_team_size(const bb_team *team) { return team->n_threads; }
