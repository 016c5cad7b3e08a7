/* profile.c - where the time of a pass goes. */
#include "graph/profile.h"

#include "base/system.h"

const char *bb_op_name(bb_op op)
{
    static const char *const names[BB_N_OPS] = {
        "embedding", "norms", "in_proj", "conv", "scan", "gated norm", "out_proj", "q/k/v",
        "rope", "attention", "mlp", "head",
    };
    return names[op];
}

void bb_profile_begin(bb_profile *p) { p->last_ns = bb_system_now_ns(); }

void bb_profile_add(bb_profile *p, bb_op op)
{
    const uint64_t now = bb_system_now_ns();

    p->ns[op] += now - p->last_ns;
    p->last_ns = now;
}
