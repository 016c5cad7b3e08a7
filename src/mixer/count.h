/* count.h - what a pass costs: the operations and bytes that speeds and shares are counted by.
 *
 * Owns:    every formula; this is the one place.
 * Not:     time (graph/profile.h).
 *
 * bytes    what must cross the memory bus once a pass however well it is done: every weight
 *          used, once for all rows; each session's window and state, read and written; keys
 *          and values, read once a session up to its last position, and the new ones written.
 *          Activations stay in the caches and are not counted.
 * flops    additions and multiplications of the formulas, a multiply-add as two: the work, not
 *          what a kernel makes of it (scans count as the recurrence, attention the positions a
 *          row sees).   With T rows, and s positions seen by a row:
 *
 *     product [R, C]     2·R·C·T           norms              4·D·T
 *     conv [C, K]        2·C·K·T           gated norm [I]     9·I·T
 *     scan [H, P, N]     5·H·P·N·T         rope [heads, d]    3·heads·d·T
 *     attention          4·heads·d·Σs      mlp [F]            its products + 5·F·T
 */
#ifndef BB_MIXER_COUNT_H
#define BB_MIXER_COUNT_H

#include "graph/plan.h"

/* The shape of a pass: all that its cost depends on. */
typedef struct bb_work {
    uint64_t T;                           /* rows                                             */
    uint64_t n_segments;
    uint64_t seen;                        /* Σ over rows of the positions a row attends to    */
    uint64_t reached;                     /* Σ over segments of the positions after the pass  */
    uint64_t n_wanted;                    /* rows of logits                                   */
} bb_work;

void bb_work_add(bb_work *w, uint64_t pos, uint64_t n_rows);          /* one more segment */

/* Of a whole network: c [BB_N_OPS] grows by what the pass costs. */
void bb_count_pass(const bb_graph *g, const bb_work *w, bb_count *c);

/* For the mixers' count verbs: *c grows. */
void bb_count_product(const bb_linear *l, uint64_t T, bb_count *c);
void bb_count_conv(uint64_t channels, uint64_t taps, const bb_work *w, bb_count *c);
void bb_count_scan(uint64_t heads, uint64_t P, uint64_t N, const bb_work *w, bb_count *c);
void bb_count_gated_norm(uint64_t inner, const bb_work *w, bb_count *c);
/* d_kv: elements of one position's keys, as many as of its values. */
void bb_count_rope(uint64_t heads, uint64_t d, uint64_t d_kv, uint64_t element_bytes,
                   const bb_work *w, bb_count *c);
void bb_count_attention(uint64_t heads, uint64_t d, uint64_t d_kv, uint64_t element_bytes,
                        const bb_work *w, bb_count *c);

#endif
