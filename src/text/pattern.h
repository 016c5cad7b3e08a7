/* pattern.h - from the reference's regular expressions to ours.
 *
 * Owns:    the differences between Oniguruma's Ruby syntax, in which tokenizer.json is written,
 *          and PCRE2: white space, scripts, newer characters, what must be refused.
 * Not:     compiling and matching (regex.h).
 * Errors:  BAMBA_ERR_UNSUPPORTED names the construct and its offset in bytes.
 */
#ifndef BB_TEXT_PATTERN_H
#define BB_TEXT_PATTERN_H

#include "text/buffer.h"

/* Append the translation of pattern [n], well-formed UTF-8, to *out. unicode_major: version of
   Unicode that PCRE2 knows; below 16 the newer characters are spelled out. */
bb_status bb_pattern_translate(bb_buffer *out, const char *pattern, size_t n,
                               unsigned unicode_major, bamba_error *err);

#endif
