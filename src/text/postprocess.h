/* postprocess.h - ids in front of a text and behind it.
 *
 * Owns:    tokenizer.json's "post_processor": TemplateProcessing for single texts, ByteLevel
 *          (which changes nothing of the ids), and Sequence of these.
 * Not:     when they are wanted (the caller).
 * Errors:  sticky in the document, and returned.
 */
#ifndef BB_TEXT_POSTPROCESS_H
#define BB_TEXT_POSTPROCESS_H

#include "text/decode.h"

enum { BB_MOST_AFFIX = 64 };

typedef struct bb_postprocess {
    int32_t before[BB_MOST_AFFIX];        /* [n_before] */
    int32_t behind[BB_MOST_AFFIX];        /* [n_behind] */
    size_t  n_before;
    size_t  n_behind;
} bb_postprocess;

/* Load the component; if it is absent, there are no such ids. Each id must be one of `tokens`. */
bb_status bb_postprocess_load(bb_postprocess *p, const bb_json *json, const bb_decode *tokens,
                              bamba_error *err);

#endif
