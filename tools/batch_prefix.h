/* batch_prefix.h - beginnings that prompts of a batch share.
 *
 * Owns:    trunks: sessions that hold such a beginning, from which texts are forked; when they are
 *          made and let go.
 * Not:     feeding (batch.c).
 */
#ifndef BAMBA_TOOLS_BATCH_PREFIX_H
#define BAMBA_TOOLS_BATCH_PREFIX_H

#include "batch.h"

/* Tokens of a prompt of n that are run in passes of many rows; the rest in passes of few. */
size_t batch_long_end(const batch *b, size_t n);

/* The longest trunk from which the text can go on; NULL: none. */
const batch_trunk *batch_find_trunk(const batch *b, const batch_text *t);

/* Whether a text that is being read will make a longer one. */
bool batch_should_wait(const batch *b, const batch_text *t);

/* Set t->stop: where behind its position most tokens of waiting texts are saved. */
void batch_plan_stop(const batch *b, batch_text *t);

/* The text stands at its stop, or with logits at the end of its prompt: make a trunk of it if
   waiting texts need one and there is room. */
int  batch_keep_trunk(batch *b, const batch_text *t, const float *logits);

/* Let go of trunks that no waiting text needs, or of all. */
void batch_drop_trunks(batch *b, bool all);

#endif
