/* normalize.h - what is done to a text before it is split.
 *
 * Owns:    tokenizer.json's "normalizer": NFC, NFD, NFKC, NFKD, Prepend, Replace, Lowercase,
 *          Strip, StripAccents, ByteLevel, and Sequence of these.
 * Not:     normal forms themselves (unicode.h).
 * Errors:  loading: sticky in the document, and returned; running: MEMORY, or a pattern's.
 */
#ifndef BB_TEXT_NORMALIZE_H
#define BB_TEXT_NORMALIZE_H

#include "base/json.h"
#include "text/buffer.h"
#include "text/regex.h"

typedef struct bb_normalizer bb_normalizer;   /* immutable */

/* Load the component; if it is absent, nothing is done and *out is NULL. */
bb_status bb_normalizer_load(bb_normalizer **out, const bb_allocator *a, const bb_json *json,
                             bamba_error *err);
void      bb_normalizer_free(bb_normalizer *z);

/* Replace the contents of *text; *spare is scratch. z may be NULL. bare: put nothing in front. */
bb_status bb_normalize(const bb_normalizer *z, bb_matcher *m, bb_buffer *text, bb_buffer *spare,
                       bool bare, bamba_error *err);

/* Compile the member "pattern" of a component, {"String": …} or {"Regex": …}. */
bb_status bb_pattern_load(bb_regex **out, const bb_allocator *a, const bb_json *component,
                          bamba_error *err);

/* The one character, other than NUL, that the text under key consists of. */
uint32_t bb_load_char(const bb_json *json, const char *key);

/* Load all components of a Sequence by `load`, in order: they stand in its list `key`. what: what
   they are called in messages, "normalizers". */
typedef bb_status bb_load_fn(void *into, const bb_json *component, bamba_error *err);
bb_status bb_sequence_load(const bb_json *sequence, const char *key, const char *what,
                           bb_load_fn *load, void *into, bamba_error *err);

/* What a component Replace does; whoever loaded it releases it. */
typedef struct bb_replacement {
    bb_regex *pattern;
    char     *content;                    /* [n_content] */
    size_t    n_content;
} bb_replacement;

/* Append text [n] with every match replaced. */
bb_status bb_replace(const bb_replacement *r, bb_matcher *m, const char *text, size_t n,
                     bb_buffer *out, bamba_error *err);

#endif
