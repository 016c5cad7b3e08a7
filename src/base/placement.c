/* placement.c - on which processors the threads of a team run. */
#include "base/team_internal.h"

#include "base/system.h"

#ifdef __linux__

enum { MOVE_NS = 4000000 };               /* a thread moves no more often than that */

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

bool bb_pin(int i, bb_affinity *before)
{
    if (sched_getaffinity(0, sizeof *before, before) != 0 || CPU_COUNT(before) < 1) return false;
    return move_to(cpu_of(before, i % CPU_COUNT(before)));
}

void bb_unpin(const bb_affinity *before) { sched_setaffinity(0, sizeof *before, before); }

static bool is_taken(const bb_team *t, const bb_member *m, int cpu)
{
    for (int i = 0; i < t->n_threads; i++)
        if (i != m->thread && atomic_load_explicit(&t->cpu[i], memory_order_relaxed) == cpu)
            return true;
    return false;
}

/* Beside a busy program the system often leaves two threads of a team on one core for many
   milliseconds, because no core is idle. Moving one to the busy core lets both run. */
void bb_spread(bb_team *t, bb_member *m)
{
    const int cpu = sched_getcpu();
    cpu_set_t mask;

    if (atomic_load_explicit(&t->cpu[m->thread], memory_order_relaxed) != cpu)
        atomic_store_explicit(&t->cpu[m->thread], cpu, memory_order_relaxed);
    if (!t->may_move || m->thread == 0 || cpu < 0 || !is_taken(t, m, cpu)) return;
    const uint64_t now = bb_system_now_ns();
    if (now - m->moved_ns < MOVE_NS) return;
    m->moved_ns = now;
    if (sched_getaffinity(0, sizeof mask, &mask) != 0 || CPU_COUNT(&mask) < t->n_threads) return;
    for (int i = 0; i < CPU_COUNT(&mask); i++) {
        const size_t to = cpu_of(&mask, i);
        if (is_taken(t, m, (int)to)) continue;
        if (move_to(to)) bb_unpin(&mask);
        return;
    }
}

#else

bool bb_pin(int i, bb_affinity *before) { return (void)i, (void)before, false; }
void bb_unpin(const bb_affinity *before) { (void)before; }
void bb_spread(bb_team *t, bb_member *m) { (void)t, (void)m; }

#endif
