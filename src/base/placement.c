/* placement.c - on which processors the threads of a team run. */
#include "base/team_internal.h"

#include "base/system.h"

#ifdef __linux__

#include <unistd.h>

enum { MOVE_NS = 4000000 };               /* a thread moves no more often than that */

/* The i-th processor of a mask. */
static size_t cpu_of(const cpu_set_t *mask, int i)
{
    size_t cpu = 0;

    while (!CPU_ISSET(cpu, mask) || i-- > 0) cpu++;
    return cpu;
}

static bool move_to(int tid, size_t cpu)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    return sched_setaffinity(tid, sizeof one, &one) == 0;
}

bool bb_pin(int i, bb_affinity *before)
{
    if (sched_getaffinity(0, sizeof *before, before) != 0 || CPU_COUNT(before) < 1) return false;
    return move_to(0, cpu_of(before, i % CPU_COUNT(before)));
}

void bb_unpin(const bb_affinity *before) { sched_setaffinity(0, sizeof *before, before); }

void bb_identify(bb_member *m) { atomic_store(&m->tid, gettid()); }

/* A thread other than `thread` that is on that processor; -1: none. */
static int find_on(const bb_team *t, int thread, int cpu)
{
    for (int i = 0; i < t->n_threads; i++)
        if (i != thread && atomic_load_explicit(&t->cpu[i], memory_order_relaxed) == cpu) return i;
    return -1;
}

/* Move m's thread to a processor that has none of the team, by narrowing its mask for a moment.
   Where two threads do so at once, one may find the narrow mask: it has fewer processors than the
   team has threads, so that one leaves it alone. */
static void move_away(const bb_team *t, bb_member *m)
{
    const uint64_t now = bb_system_now_ns();
    const int      tid = atomic_load(&m->tid);
    cpu_set_t      mask;

    if (tid == 0 || now - atomic_load(&m->moved_ns) < MOVE_NS) return;
    atomic_store(&m->moved_ns, now);
    if (sched_getaffinity(tid, sizeof mask, &mask) != 0 || CPU_COUNT(&mask) < t->n_threads) return;
    for (int i = 0; i < CPU_COUNT(&mask); i++) {
        const size_t to = cpu_of(&mask, i);
        if (find_on(t, m->thread, (int)to) >= 0) continue;
        if (move_to(tid, to)) sched_setaffinity(tid, sizeof mask, &mask);
        return;
    }
}

/* Beside a busy program the system often leaves two threads of a team on one core for many
   milliseconds, because no core is idle. Moving one to the busy core lets both run. */
void bb_spread(bb_team *t, bb_member *m)
{
    const int cpu = sched_getcpu();

    if (atomic_load_explicit(&t->cpu[m->thread], memory_order_relaxed) != cpu)
        atomic_store_explicit(&t->cpu[m->thread], cpu, memory_order_relaxed);
    if (!t->may_move || cpu < 0) return;
    const int other = find_on(t, m->thread, cpu);
    if (other >= 0) move_away(t, m->thread == 0 ? &t->member[other] : m);
}

#else

bool bb_pin(int i, bb_affinity *before) { return (void)i, (void)before, false; }
void bb_unpin(const bb_affinity *before) { (void)before; }
void bb_identify(bb_member *m) { (void)m; }
void bb_spread(bb_team *t, bb_member *m) { (void)t, (void)m; }

#endif
