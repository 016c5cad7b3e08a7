/* rewind.h - sessions that go back: what passes do to a session's past, and the way back.
 *
 * Owns:    when states are kept and moved on; choosing where to start from; replaying.
 * Not:     what is kept (past.h), feeding (feed.h).
 */
#ifndef BB_REWIND_H
#define BB_REWIND_H

#include "objects.h"

/* Before a pass that brings seg->n_rows rows of s: let the pass write to the other state, keep room
   in the log, and point the slots to it. Only for sessions with a log. */
void bb_rewind_prepare(bamba_engine *e, bamba_session *s, bb_segment *seg);

/* After a pass that stands: remember the tokens [seg->n_rows], how they were fed (bits
   BB_FED_START, _MANY, _END), and the state before them; s->position is the new one. For all
   sessions. */
void bb_rewind_record(bamba_session *s, const bb_segment *seg, const int32_t *tokens, unsigned how);

/* Forget how the session came to its position, after its state was read from a file or copied from
   another session: the log begins here, and of sessions that keep snapshots one is taken here if
   the position is not below the distance between snapshots. */
void bb_rewind_begin(bamba_session *s);

/* Rows of the `n` that a piece could take of the `left` rows of a prompt, so that its last n_rewind
   rows come in a piece of their own, which the log holds; 0: all n. */
int bb_rewind_cut(const bamba_session *s, int n, size_t left);

#endif
