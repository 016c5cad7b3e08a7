/* window.h - sessions whose attention sees a window and a sink: which pages they keep.
 *
 * Owns:    how many pages are gone at a position, how many there are at once.
 * Not:     pages themselves (pages.h), which positions a row sees (mixer/attend_groups.c).
 *
 * A row at position t sees positions 0 … sink - 1 and t - window + 1 … t. A session that has let go
 * of pages keeps those of the sink, and what follows moves up: where a position lies in its cache
 * is its number less BB_KV_BLOCK · n_gone (pages.h). The rows of a pass still see what lies a
 * window before the first of them, and a session that goes back by n_rewind tokens needs what lies
 * before those. Everything here works without a window too: then nothing is ever gone.
 */
#ifndef BB_WINDOW_H
#define BB_WINDOW_H

#include "objects.h"

enum { BB_USUAL_SINK = 4 };               /* positions, as in Xiao et al. 2023, arXiv:2309.17453 */

/* The pages that a session of n_context tokens has at once; none in a network without attention. */
bb_page_plan bb_window_plan(const bamba_session *s, size_t n_context);

/* Pages that rows from `position` on do not see. */
size_t bb_window_gone(const bamba_session *s, size_t position);

/* Positions that a cache holds from which those pages, and no others, are gone. */
size_t bb_window_held(const bamba_session *s, size_t position);

/* Where the session's cache has a position that is not gone. */
static inline size_t bb_window_place(const bamba_session *s, size_t position)
{
    return position - s->pages.n_gone * BB_KV_BLOCK;
}

/* Whether the session still has all that rows from `position` on see, or it is 0. */
bool bb_window_reaches(const bamba_session *s, size_t position);

/* Let go of what neither rows to come nor those before them, as far as the session goes back,
   see. */
void bb_window_slide(bamba_session *s);

#endif
