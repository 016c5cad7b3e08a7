/* past.h - what a session keeps of its past in order to go back to it.
 *
 * Owns:    tokens and how they were fed; the log of what the recurrences were given; states at
 *          earlier positions, and which of them to start from.
 * Not:     feeding (feed.h), the arithmetic of replay (mixer/), caches, which only forget.
 * Errors:  none but memory.
 *
 * A state cannot be cut back, but it can be rebuilt: from an earlier state and the log of the rows
 * since, by scans alone, to the bit. So a session that is to go back by up to n_rewind tokens keeps
 * the log of at least as many rows and two earlier states, `far` where the log begins and `near` a
 * few rows back, so that short ways back are short. A third is free: the state before the last
 * pass, which such a session's passes leave as it is (bb_slot). Further back lie snapshots, as many
 * as their budget holds, and position 0; from there tokens are fed again, cut as before.
 */
#ifndef BB_PAST_H
#define BB_PAST_H

#include "graph/plan.h"

/* How a token was fed, bits: */
enum {
    BB_FED_START = 1,                     /* the first of a segment; not of the second part of one
                                             that was cut at an edge, which has the bits of a
                                             whole */
    BB_FED_LONG  = 2,                     /* in a segment of more than BB_FEW_ROWS rows           */
    BB_FED_MANY  = 4,                     /* in a pass of more than BB_FEW_ROWS rows              */
    BB_FED_END   = 8                      /* of a pass: its last token is the last of a segment   */
};

typedef struct bb_state {                 /* of all slots, at a position                          */
    bool           is_valid;
    size_t         pos;
    unsigned char *memory;                /* [state_bytes]                                        */
} bb_state;

typedef struct bb_past {
    size_t    known;                      /* tokens before this position are not known: 0, but in
                                             sessions that were filled for measuring              */
    int32_t  *token;                      /* [capacity] from position `known` on                  */
    uint8_t  *fed;                        /* [capacity] BB_FED_… of each                          */
    size_t    capacity;
    bool      grows;                      /* with the text, out of memory of its own              */

    size_t    n_rewind;                   /* tokens that can be taken back by the log; 0: no log  */
    size_t    cap;                        /* rows that the log holds                              */
    size_t    begin;                      /* the log holds rows begin … position - 1              */
    float   **log;                        /* [n_slots] each [cap, log_floats], or NULL            */
    bb_state  near, far;                  /* far is where the log begins, if it is valid          */
    bool      has_before;                 /* whether the slots' other states are those …          */
    size_t    before;                     /* … of this position                                   */

    size_t    interval, every;            /* tokens between snapshots: wanted, and now that some had
                                             to go                                                */
    bb_state *snapshot;                   /* [n_snapshots] by position, the valid ones first      */
    size_t    n_snapshots, n_taken;
    size_t   *at;                         /* [n_slots] where each slot's state lies in a bb_state */
    size_t    state_bytes;
} bb_past;

/* Sizes from a session's options (n_context SIZE_MAX: the room for tokens grows); then memory, by a
   measuring arena first. */
void bb_past_plan(bb_past *p, const bb_graph *g, size_t n_context, size_t n_rewind,
                  size_t snapshot_every, uint64_t snapshot_bytes);
void bb_past_carve(bb_past *p, const bb_graph *g, bb_arena *a);

static inline int32_t *bb_past_tokens(const bb_past *p, size_t pos)
{
    return p->token + (pos - p->known);
}
static inline unsigned bb_past_fed(const bb_past *p, size_t pos) { return p->fed[pos - p->known]; }

/* Make room for the tokens up to position `end`: where nothing limits the text the arrays grow. */
bool bb_past_reserve(bb_past *p, const bb_allocator *a, size_t end);

/* Nothing before position pos can be gone back to by the log; nor by snapshots, if `all`. */
void bb_past_forget(bb_past *p, size_t pos, bool all);

/* The largest position up to `pos`, not before `least`, where rows of the log may be parted:
   anywhere between rows that ran one by one, at edges of chunks and of segments between others. */
size_t bb_past_cut(const bb_past *p, size_t least, size_t pos);

/* The end, at most `end`, of the rows from `pos` on that ran in the same way and can be replayed,
   or fed again, in one call. */
size_t bb_past_stretch(const bb_past *p, size_t pos, size_t end);

/* Where in the log the row of position pos stands, for a slot. */
float *bb_past_row(const bb_past *p, const bb_graph *g, size_t slot, size_t pos);

/* Let the log begin at `pos`. */
void bb_past_drop(bb_past *p, const bb_graph *g, size_t position, size_t pos);

#endif
