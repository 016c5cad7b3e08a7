/* buffer.c - a growing run of bytes. */
#include "text/buffer.h"

#include "base/utf8.h"

#include <string.h>

bool bb_buffer_room(bb_buffer *b, size_t more)
{
    if (more > SIZE_MAX - b->n) return false;
    if (b->limit && b->n + more > b->limit) {
        b->full = true;
        return false;
    }
    return bb_reserve(b->a, &b->data, &b->capacity, b->n + more, 1);
}

bool bb_buffer_append(bb_buffer *b, const char *bytes, size_t n)
{
    if (n == 0) return true;
    if (!bb_buffer_room(b, n)) return false;
    memcpy(b->data + b->n, bytes, n);
    b->n += n;
    return true;
}

bool bb_buffer_append_char(bb_buffer *b, uint32_t c)
{
    unsigned char s[4];
    const size_t  n = bb_utf8_encode(c, s);

    return bb_buffer_append(b, (const char *)s, n);
}

void bb_buffer_free(bb_buffer *b)
{
    bb_release(b->a, b->data);
    *b = (bb_buffer){ .a = b->a, .limit = b->limit };
}
