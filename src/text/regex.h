/* regex.h - regular expressions of tokenizer.json, compiled and matched.
 *
 * Owns:    the only use of PCRE2: compiling to machine code where the system allows it, scratch
 *          of a match, limits against patterns that explode.
 * Not:     the syntax (pattern.h).
 * Errors:  UNSUPPORTED for a pattern that cannot be translated, or that takes too many steps on a
 *          text; MEMORY.
 */
#ifndef BB_TEXT_REGEX_H
#define BB_TEXT_REGEX_H

#include "base/alloc.h"

typedef struct bb_regex   bb_regex;       /* immutable, may be shared by threads */
typedef struct bb_matcher bb_matcher;     /* scratch of one thread               */

/* Compile pattern [n], UTF-8. literal: it is a plain text to look for. */
bb_status bb_regex_compile(bb_regex **out, const bb_allocator *a, const char *pattern, size_t n,
                           bool literal, bamba_error *err);
void      bb_regex_free(bb_regex *regex);

bb_status bb_matcher_create(bb_matcher **out, const bb_allocator *a, bamba_error *err);
void      bb_matcher_free(bb_matcher *m);

/* Matches of a text from left to right, without overlap. An empty match right behind the last
   match is passed over. */
typedef struct bb_scan {
    const bb_regex *regex;
    bb_matcher     *matcher;
    const char     *text;                 /* [n], well-formed UTF-8 */
    size_t          n;
    size_t          next;                 /* where to go on         */
    size_t          last_end;             /* of the last match; SIZE_MAX before the first */
    size_t          start, end;           /* out: the bytes [start, end) of the match */
} bb_scan;

bb_scan   bb_scan_begin(const bb_regex *regex, bb_matcher *m, const char *text, size_t n);
/* *found is false when there are no more. */
bb_status bb_scan_next(bb_scan *s, bool *found, bamba_error *err);

#endif
