/* spans.h - places in a text: where a pattern matches, and the pieces that makes.
 *
 * Owns:    lists of spans; what the five behaviours of a split make of matches and gaps.
 * Not:     the patterns themselves (regex.h); which are applied (pretokenize.h).
 * Errors:  MEMORY, or the pattern's.
 */
#ifndef BB_TEXT_SPANS_H
#define BB_TEXT_SPANS_H

#include "text/regex.h"

typedef struct bb_span {
    size_t start;
    size_t end;                           /* in bytes; never empty in a list of pieces */
    bool   is_match;                      /* of the pattern just applied               */
} bb_span;

typedef enum bb_behavior {                /* what becomes of the matches               */
    BB_REMOVED,
    BB_ISOLATED,
    BB_MERGED_WITH_PREVIOUS,
    BB_MERGED_WITH_NEXT,
    BB_CONTIGUOUS                         /* neighbouring matches are one piece        */
} bb_behavior;

typedef bool bb_char_fn(uint32_t c);

typedef struct bb_spans {
    const bb_allocator *a;
    bb_span            *span;             /* [n] of [capacity] */
    size_t              n;
    size_t              capacity;
} bb_spans;

bool bb_spans_add(bb_spans *list, size_t start, size_t end, bool is_match);

/* Set *found to the matches and the gaps between them, which together cover `in` of the text. The
   first finds a pattern, whose matches may be empty, the second characters with a property. */
bb_status bb_spans_find(bb_spans *found, const bb_regex *pattern, bb_matcher *m,
                        const char *text, bb_span in, bamba_error *err);
bool      bb_spans_find_chars(bb_spans *found, bb_char_fn *matches, const char *text,
                              bb_span in);

/* Append the pieces that a behaviour makes of *found, whose spans it changes. False without
   memory. */
bool bb_spans_split(bb_spans *pieces, bb_behavior behavior, bb_spans *found);

#endif
