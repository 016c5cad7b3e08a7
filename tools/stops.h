/* stops.h - text that ends before the first of some strings.
 *
 * Owns:    holding back what may become the beginning of a stop string.
 * Not:     where the text goes.
 */
#ifndef BAMBA_TOOLS_STOPS_H
#define BAMBA_TOOLS_STOPS_H

#include "args.h"
#include "text.h"

/* Look at text that has grown to its present end; what lies before `safe` has been passed on.
   Moves *safe to where no stop string can begin any more. True if one stands there: the text
   ends at *safe. */
bool stops_find(const arg_list *stops, const text_buffer *t, size_t *safe);

#endif
