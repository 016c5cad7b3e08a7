/* profile.c - where the time of a pass goes. */
#include "graph/profile.h"

#include "base/system.h"

void bb_profile_begin(bb_profile *p) { p->last_ns = bb_system_now_ns(); }

void bb_profile_add(bb_profile *p, int op)
{
    const uint64_t now = bb_system_now_ns();

    p->ns[op] += now - p->last_ns;
    p->last_ns = now;
}
