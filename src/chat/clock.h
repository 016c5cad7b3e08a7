/* clock.h - dates as strftime writes them, in English whatever the locale.
 *
 * Errors:  sticky, as work.h.
 */
#ifndef BB_CHAT_CLOCK_H
#define BB_CHAT_CLOCK_H

#include "chat/passage.h"

/* `now`: seconds since 1970 on the clock to be shown. */
const bb_passage *bb_clock_format(bb_work *w, const bb_passage *format, int64_t now);

/* The local clock of this moment, in that form. */
int64_t bb_clock_local(void);

#endif
