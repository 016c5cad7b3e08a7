/* count.h - what a pass costs: the operations and bytes that speeds and shares are counted by.
 *
 * Owns:    the shape of a pass; products, what adapters add to them, norms, embedding and head.
 * Not:     time (graph/profile.h); what else a mixer does (its count verb).
 *
 * bytes    what must cross the memory bus once a pass however well it is done: every weight
 *          used, once for all rows; each session's window and state, read and written; keys
 *          and values, read once a session up to its last position, and the new ones written.
 *          Activations stay in the caches and are not counted.
 * flops    additions and multiplications of the formulas, a multiply-add as two: the work, not
 *          what a kernel makes of it (scans count as the recurrence, attention the positions a
 *          row sees).   With T rows:   product [R, C] 2·R·C·T,   norm 4·D·T.
 * adapters A and B of a map of a session's adapters belong to the map's product; each adapter's
 *          bytes are counted once, however many sessions have it.
 */
#ifndef BB_MIXER_COUNT_H
#define BB_MIXER_COUNT_H

#include "graph/pass.h"
#include "graph/plan.h"

/* The shape of a pass: all that its cost depends on. */
typedef struct bb_work {
    uint64_t T;                           /* rows                                             */
    uint64_t n_segments;
    uint64_t seen;                        /* Σ over rows of the positions a row attends to    */
    uint64_t reached;                     /* Σ over segments of the positions after the pass  */
    uint64_t n_wanted;                    /* rows of logits                                   */
    const bb_segment *segment;            /* [n_adapted] whose adapters are counted, each for */
    int      n_adapted;                   /* `times` its rows                                 */
    uint64_t times;
    int      nth;                         /* of the mixer's uses, as in bb_call; and what that  */
    int      shift;                       /* use adds to ids of its maps, as in bb_exec       */
} bb_work;

/* One more segment; window and sink as in bb_segment. */
void bb_work_add(bb_work *w, uint64_t pos, uint64_t n_rows, uint64_t window, uint64_t sink);

/* Of the blocks that g runs: c [BB_MAX_OPS] grows by what the pass costs. */
void bb_count_pass(const bb_graph *g, const bb_work *w, bb_count *c);

/* For the mixers' count verbs: *c grows. */
void bb_count_add(bb_count *c, uint64_t bytes, uint64_t flops);
/* The product of all rows by a map, with what adapters add to it; the latter alone. */
void bb_count_product(const bb_linear *l, const bb_work *w, bb_count *c);
void bb_count_adapters(const bb_linear *l, const bb_work *w, bb_count *c);

#endif
