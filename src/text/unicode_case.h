/* unicode_case.h - upper case, title case and kinds of characters, as Python's str has them.
 *
 * Owns:    cases that take several characters; what has a case without being a letter.
 * Not:     other properties (unicode.h). Python 3.11 knows Unicode 14; younger characters are as
 *          the Unicode library has them.
 * Errors:  none.
 */
#ifndef BB_TEXT_UNICODE_CASE_H
#define BB_TEXT_UNICODE_CASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum bb_char_kind { BB_CASE_NONE, BB_CASE_LOWER, BB_CASE_UPPER,
                            BB_CASE_TITLE } bb_char_kind;

bb_char_kind bb_char_case(uint32_t c);
bool         bb_char_is_letter(uint32_t c);       /* L*                                        */
bool         bb_char_is_decimal(uint32_t c);      /* Nd                                        */
bool         bb_char_is_digit(uint32_t c);        /* Nd, and digits raised, lowered or circled */
bool         bb_char_is_printable(uint32_t c);    /* no C*, and of Z* the space alone          */
bool         bb_char_is_case_ignorable(uint32_t c);     /* marks and the like inside a word    */

/* Upper case and title case of one character: 1 to 3 code points. */
size_t bb_char_upper(uint32_t c, uint32_t out[3]);
size_t bb_char_title(uint32_t c, uint32_t out[3]);

#endif
