/* feed.h - feeding from inside the library.
 *
 * Owns:    feeding a session again what it has been fed.
 * Not:     the public calls (bamba.h).
 */
#ifndef BB_FEED_H
#define BB_FEED_H

#include "objects.h"

/* Feed the session its own tokens from its position up to `end`, cut as they were: the bits they
   gave, but for a last segment that is cut to BB_FEW_ROWS rows and less, which has those it has
   alone. */
bb_status bb_feed_again(bamba_engine *e, bamba_session *s, size_t end, bamba_error *err);

#endif
