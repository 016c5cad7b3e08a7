/* batch_idle.h - sessions of texts that are done, for those that come.
 *
 * Owns:    how many are kept, and for how long: memory that has been touched is not given back
 *          only to be cleared by the system again.
 * Not:     which text gets a session, and when (batch.c).
 */
#ifndef BAMBA_TOOLS_BATCH_IDLE_H
#define BAMBA_TOOLS_BATCH_IDLE_H

#include "batch.h"

/* Take the text's session away: keep it, if another text is waiting, or free it. */
void batch_put_idle(batch *b, batch_text *t);

/* Give the text an empty session that was kept; false: there is none. */
bool batch_take_idle(batch *b, batch_text *t);

/* Whether `bytes` more fit into the budget, once sessions that are kept are freed where need be. */
bool batch_make_room(batch *b, uint64_t bytes);

/* Free all that are kept. */
void batch_free_idle(batch *b);

#endif
