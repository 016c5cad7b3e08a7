/* json_write.c - JSON on a stream. */
#include "json_write.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the UTF-8 character at s [n], 0 if there is none (Unicode 15 table 3-7). */
static size_t character_length(const unsigned char *s, size_t n)
{
    const size_t length = s[0] < 0x80 ? 1 : s[0] < 0xC2 ? 0 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3
                          : s[0] < 0xF5 ? 4 : 0;

    if (length > n) return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) ||
        (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F))
        return 0;
    return length;
}

void json_write_text(FILE *to, const char *bytes, size_t n)
{
    static const char controls[] = "\b\f\n\r\t\"\\";
    static const char letters[] = "bfnrt\"\\";

    putc('"', to);
    for (size_t i = 0; i < n;) {
        const unsigned char c = (unsigned char)bytes[i];
        const size_t length = character_length((const unsigned char *)bytes + i, n - i);
        const char *control = c ? strchr(controls, c) : NULL;

        if (length == 0) fputs("\\ufffd", to);
        else if (control) fprintf(to, "\\%c", letters[control - controls]);
        else if (c < 0x20 || c == 0x7F) fprintf(to, "\\u%04x", c);
        else fwrite(bytes + i, 1, length, to);
        i += length ? length : 1;
    }
    putc('"', to);
}

void json_write_string(FILE *to, const char *s)
{
    json_write_text(to, s, strlen(s));
}

void json_write_ids(FILE *to, const int32_t *ids, size_t n)
{
    putc('[', to);
    for (size_t i = 0; i < n; i++) fprintf(to, "%s%d", i ? ", " : "", (int)ids[i]);
    putc(']', to);
}

void json_write_float(FILE *to, float value)
{
    char shortest[24] = "null";

    if (isfinite(value))
        for (int digits = 1; digits <= 9; digits++) {
            snprintf(shortest, sizeof shortest, "%.*g", digits, (double)value);
            if (strtof(shortest, NULL) == value) break;
        }
    fputs(shortest, to);
}
