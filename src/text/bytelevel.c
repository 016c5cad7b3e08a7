/* bytelevel.c - bytes written as visible characters, GPT-2's way.
 * Source: openai/gpt-2 src/encoder.py, bytes_to_unicode. */
#include "text/bytelevel.h"

#include "base/utf8.h"

/* Bytes 0-32, 127-160 and 173, 68 in all, become U+0100 and upward; others stay. */
static uint32_t character_of(unsigned char byte)
{
    if (byte <= 32) return 0x100u + byte;
    if (byte >= 127 && byte <= 160) return 0x100u + 33 + (byte - 127u);
    if (byte == 173) return 0x100u + 67;
    return byte;
}

int bb_bytelevel_byte(uint32_t c)
{
    if (c < 0x100) return character_of((unsigned char)c) == c ? (int)c : -1;
    if (c <= 0x100 + 32) return (int)(c - 0x100);
    if (c < 0x100 + 67) return (int)(c - 0x100 - 33 + 127);
    return c == 0x100 + 67 ? 173 : -1;
}

bool bb_bytelevel_encode(bb_buffer *out, const char *bytes, size_t n)
{
    if (n > SIZE_MAX / 2 || !bb_buffer_room(out, 2 * n)) return false;
    for (size_t i = 0; i < n; i++) {
        const uint32_t c = character_of((unsigned char)bytes[i]);
        out->n += bb_utf8_encode(c, (unsigned char *)out->data + out->n);
    }
    return true;
}

bool bb_bytelevel_decode(bb_buffer *out, const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text;
    const size_t         before = out->n;

    if (!bb_buffer_room(out, n)) return false;
    for (size_t i = 0; i < n;) {
        const size_t length = bb_utf8_length(s + i, n - i);
        const int    byte = length ? bb_bytelevel_byte(bb_utf8_decode(s + i, length)) : -1;
        if (byte < 0) {
            out->n = before;
            return bb_buffer_append(out, text, n);
        }
        out->data[out->n++] = (char)byte;
        i += length;
    }
    return true;
}
