/* sampler_order.h - the order of a sampler's stages, by llama.cpp's names and letters.
 *
 * Not:     what a stage does (bamba.h).
 * Errors:  wrong use is reported here; callers pass the exit code on.
 */
#ifndef BAMBA_TOOLS_SAMPLER_ORDER_H
#define BAMBA_TOOLS_SAMPLER_ORDER_H

#include "args.h"
#include "bamba.h"

typedef struct sampler_order {
    bamba_sampler_stage stages[BAMBA_STAGE_TEMPERATURE];
    size_t              n;
} sampler_order;

/* Read "penalties;top_k;temperature", the value of --samplers. */
int sampler_order_read_names(sampler_order *out, const command *self, const char *text);

/* Read "ekt", the value of --sampler-seq. */
int sampler_order_read_letters(sampler_order *out, const command *self, const char *text);

#endif
