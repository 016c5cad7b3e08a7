/* bytelevel.h - bytes written as visible characters, GPT-2's way.
 *
 * Owns:    the map between the 256 bytes and 256 characters below U+0144.
 * Not:     splitting (pretokenize.h).
 * Errors:  false when there is no memory.
 *
 * Bytes 33-126, 161-172 and 174-255 stand for themselves; the other 68 become U+0100 and upward
 * in ascending order.
 */
#ifndef BB_TEXT_BYTELEVEL_H
#define BB_TEXT_BYTELEVEL_H

#include "text/buffer.h"

/* The byte a character stands for, or -1. */
int bb_bytelevel_byte(uint32_t c);

/* Append bytes [n] as characters. */
bool bb_bytelevel_encode(bb_buffer *out, const char *bytes, size_t n);

/* Append the bytes of text [n]; if one of its characters stands for none, the text itself. */
bool bb_bytelevel_decode(bb_buffer *out, const char *text, size_t n);

#endif
