/* buffer.h - a growing run of bytes.
 *
 * Owns:    text under construction.
 * Not:     whether the bytes are UTF-8.
 * Errors:  false when there is no memory, or the limit is met; the contents stay as they were.
 */
#ifndef BB_TEXT_BUFFER_H
#define BB_TEXT_BUFFER_H

#include "base/alloc.h"

typedef struct bb_buffer {
    const bb_allocator *a;
    char               *data;             /* [n] of [capacity] */
    size_t              n;
    size_t              capacity;
    size_t              limit;            /* most bytes it may hold; 0: any number  */
    bool                full;             /* a call failed for the limit, not for memory */
} bb_buffer;

/* Make room for `more` further bytes. */
bool bb_buffer_room(bb_buffer *b, size_t more);
bool bb_buffer_append(bb_buffer *b, const char *bytes, size_t n);
/* Append one code point as UTF-8. */
bool bb_buffer_append_char(bb_buffer *b, uint32_t c);
/* Give the memory back; the buffer can be used again. */
void bb_buffer_free(bb_buffer *b);

#endif
