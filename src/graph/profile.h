/* profile.h - where the time of a pass goes: kinds of stage, their clocks and their counts.
 *
 * Owns:    the kinds; adding up.
 * Not:     what a kind costs (mixer/count.h).
 *
 * Thread 0 looks at the clock after each stage, when all have met; without a profile a stage
 * costs one comparison with NULL.
 */
#ifndef BB_GRAPH_PROFILE_H
#define BB_GRAPH_PROFILE_H

#include <stdint.h>

typedef enum bb_op {
    BB_OP_EMBED, BB_OP_NORM, BB_OP_IN_PROJ, BB_OP_CONV, BB_OP_SCAN, BB_OP_GATED_NORM,
    BB_OP_OUT_PROJ, BB_OP_QKV, BB_OP_ROPE, BB_OP_ATTENTION, BB_OP_MLP, BB_OP_HEAD, BB_N_OPS
} bb_op;

typedef struct bb_count {
    uint64_t bytes;                       /* of weights and state, that memory must move  */
    uint64_t flops;                       /* additions and multiplications of the formulas    */
} bb_count;

typedef struct bb_profile {
    uint64_t last_ns;                     /* when the clock was looked at                     */
    uint64_t ns[BB_N_OPS];
    bb_count count[BB_N_OPS];
} bb_profile;

const char *bb_op_name(bb_op op);         /* "in_proj" */

void bb_profile_begin(bb_profile *p);     /* a pass begins */
void bb_profile_add(bb_profile *p, bb_op op);         /* what has gone by since was this */

#endif
