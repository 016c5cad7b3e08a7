/* profile.h - where the time of a pass goes: operations, their clocks and their counts.
 *
 * Owns:    adding up.
 * Not:     names of operations (plan.h), what an operation costs (mixer/count.h).
 *
 * Each thread looks at the clock after each stage; without a profile a stage costs one comparison
 * with NULL.
 */
#ifndef BB_GRAPH_PROFILE_H
#define BB_GRAPH_PROFILE_H

#include <stdint.h>

enum { BB_MAX_OPS = 32 };                 /* kinds of operation in a graph */

typedef struct bb_count {
    uint64_t bytes;                       /* of weights and state, that memory must move */
    uint64_t flops;                       /* additions and multiplications of the formulas */
} bb_count;

typedef struct bb_profile {
    uint64_t last_ns;                     /* when the clock was last looked at */
    uint64_t ns[BB_MAX_OPS];
    bb_count count[BB_MAX_OPS];
} bb_profile;

void bb_profile_begin(bb_profile *p);             /* a pass begins now */
void bb_profile_add(bb_profile *p, int op);       /* the time since the last look was op's */

#endif
