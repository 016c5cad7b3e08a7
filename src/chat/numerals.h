/* numerals.h - numbers that stand in texts, as Python's int() and float() read them.
 *
 * Owns:    white space around them, signs, underscores, bases, digits of other scripts; integers
 *          of any size as values.
 * Not:     how numbers are written (show.h, format.h).
 * Errors:  sticky, as work.h.
 */
#ifndef BB_CHAT_NUMERALS_H
#define BB_CHAT_NUMERALS_H

#include "chat/value.h"

/* What float() reads; false if it is no number. */
bool bb_parse_float(bb_work *w, const bb_passage *text, double *out);
/* What int() reads in a base: 0, which a prefix then tells, or 2 to 36; false if it is no integer.
   Fails beyond 64 bits in other bases than 10. */
bool bb_parse_integer(bb_work *w, const bb_passage *text, int64_t base, bb_value *out);

/* The integer of decimal digits [n], which need not live on. */
bb_value bb_integer_of_digits(bb_work *w, bool negative, const char *digits, size_t n);
/* The whole part of a finite number, exactly. */
bb_value bb_integer_of_float(bb_work *w, double x);

/* The base that the letter behind a zero tells, as in 0x1f; 0: none. */
int bb_base_of_letter(char letter);

#endif
