/* utf8.h - UTF-8 well-formedness; hexadecimal digits, in which texts write characters.
 *
 * Owns:    the definition of valid text (Unicode 15 table 3-7: no overlong forms, no surrogates,
 *          nothing above U+10FFFF).
 * Not:     properties of characters (text/).
 */
#ifndef BB_BASE_UTF8_H
#define BB_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the well-formed character at the start of s [n] (1 … 4); 0 if there is none: n is 0,
   the bytes are wrong, or the character is cut off. */
size_t bb_utf8_length(const unsigned char *s, size_t n);

/* Offset of the first byte that is not part of well-formed text, or n. */
size_t bb_utf8_valid(const char *s, size_t n);

/* The code point of a well-formed character of length 1 … 4. */
uint32_t bb_utf8_decode(const unsigned char *s, size_t length);

/* Write a code point (not a surrogate, <= 0x10FFFF) to s [4]. Returns its length in bytes. */
size_t bb_utf8_encode(uint32_t c, unsigned char *s);

/* Value of a hexadecimal digit, or -1. */
int bb_hex_digit(char c);

#endif
