/* unicode.h - properties of characters, and normal forms.
 *
 * Owns:    the only use of utf8proc; what the reference means by space, word, number, mark.
 * Not:     UTF-8 itself (base/utf8.h); properties inside split patterns (regex.h).
 * Errors:  only normalizing can fail, for want of memory.
 */
#ifndef BB_TEXT_UNICODE_H
#define BB_TEXT_UNICODE_H

#include "text/buffer.h"

typedef enum bb_form { BB_NFC, BB_NFD, BB_NFKC, BB_NFKD } bb_form;

bool bb_char_is_space(uint32_t c);        /* White_Space                          */
bool bb_char_is_number(uint32_t c);       /* Nd, Nl, No                           */
bool bb_char_is_punctuation(uint32_t c);  /* P*, and all of ASCII's               */
bool bb_char_is_mark(uint32_t c);         /* Mn, Mc, Me                           */
bool bb_char_is_word(uint32_t c);         /* Alphabetic, M, Nd, Pc, Join_Control  */

/* General category: two letters, as in the Unicode Character Database. */
const char *bb_char_category(uint32_t c);

/* Cases that take one character; unicode_case.h has the others too. */
uint32_t bb_char_simple_upper(uint32_t c);
uint32_t bb_char_simple_title(uint32_t c);

/* Lower case of one character without context. Returns the number of code points, 1 or 2. */
size_t bb_char_lower(uint32_t c, uint32_t out[2]);

/* Append text [n], well-formed UTF-8, in a normal form to *out. */
bb_status bb_unicode_normalize(bb_buffer *out, const char *text, size_t n, bb_form form,
                               bamba_error *err);

#endif
