/* regex.h - regular expressions of tokenizer.json, compiled and matched.
 *
 * Owns:    the only use of PCRE2: compiling to machine code where the system allows it, scratch
 *          of a match, a budget of steps over all matches of a text, a call to whoever watches.
 * Not:     the syntax (pattern.h).
 * Errors:  UNSUPPORTED for a pattern that cannot be translated, or that takes too many steps on a
 *          text; MEMORY; CANCELLED.
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
/* Begin a text of n bytes: it has a new budget of steps, and the function, which may be NULL, is
   told now and then how many of the bytes are done. */
void      bb_matcher_begin(bb_matcher *m, size_t n, bamba_progress_fn *progress, void *context);
/* The first `done` bytes are done: CANCELLED if the function says so. */
bb_status bb_matcher_report(bb_matcher *m, size_t done, bamba_error *err);

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
