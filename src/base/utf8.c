/* utf8.c - UTF-8 well-formedness. */
#include "base/utf8.h"

static int is_tail(unsigned char c) { return (c & 0xC0) == 0x80; }

size_t bb_utf8_length(const unsigned char *s, size_t n)
{
    if (n == 0) return 0;
    if (s[0] < 0x80) return 1;
    if (s[0] < 0xC2 || s[0] > 0xF4) return 0;
    if (s[0] < 0xE0) return n >= 2 && is_tail(s[1]) ? 2 : 0;

    /* The second byte's range is what excludes overlong forms, surrogates and > U+10FFFF. */
    const unsigned char lo = s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : 0x80;
    const unsigned char hi = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;
    const size_t length = s[0] < 0xF0 ? 3 : 4;

    if (n < length || s[1] < lo || s[1] > hi) return 0;
    for (size_t i = 2; i < length; i++)
        if (!is_tail(s[i])) return 0;
    return length;
}

size_t bb_utf8_valid(const char *s, size_t n)
{
    const unsigned char *u = (const unsigned char *)s;
    size_t i = 0;

    while (i < n) {
        if (u[i] < 0x80) {
            i++;
            continue;
        }
        const size_t length = bb_utf8_length(u + i, n - i);
        if (length == 0) break;
        i += length;
    }
    return i;
}

uint32_t bb_utf8_decode(const unsigned char *s, size_t length)
{
    static const unsigned char lead_mask[5] = { 0, 0x7F, 0x1F, 0x0F, 0x07 };
    uint32_t c = s[0] & lead_mask[length];

    for (size_t i = 1; i < length; i++) c = c << 6 | (s[i] & 0x3Fu);
    return c;
}

size_t bb_utf8_encode(uint32_t c, unsigned char *s)
{
    if (c < 0x80) {
        s[0] = (unsigned char)c;
        return 1;
    }
    if (c < 0x800) {
        s[0] = (unsigned char)(0xC0 | c >> 6);
        s[1] = (unsigned char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        s[0] = (unsigned char)(0xE0 | c >> 12);
        s[1] = (unsigned char)(0x80 | (c >> 6 & 0x3F));
        s[2] = (unsigned char)(0x80 | (c & 0x3F));
        return 3;
    }
    s[0] = (unsigned char)(0xF0 | c >> 18);
    s[1] = (unsigned char)(0x80 | (c >> 12 & 0x3F));
    s[2] = (unsigned char)(0x80 | (c >> 6 & 0x3F));
    s[3] = (unsigned char)(0x80 | (c & 0x3F));
    return 4;
}

int bb_hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
