/* error.c - the one way to fail. */
#include "base/error.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A cut inside a UTF-8 character would make the message invalid text: step back to its start. */
static void trim_partial_character(char *s)
{
    size_t n = strlen(s);
    size_t tail = 0;

    while (tail < 3 && tail < n && ((unsigned char)s[n - 1 - tail] & 0xC0) == 0x80) tail++;
    if (tail == n) return;
    const unsigned char lead = (unsigned char)s[n - 1 - tail];
    const size_t need = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;
    if (tail < need) s[n - 1 - tail] = '\0';
}

bb_status bb_fail(bamba_error *err, bb_status code, const char *format, ...)
{
    if (!err) return code;

    va_list args;
    va_start(args, format);
    err->code = code;
    const int n = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    if (n < 0) err->message[0] = '\0';
    if (n >= (int)sizeof err->message) trim_partial_character(err->message);
    const size_t length = strlen(err->message);
    for (size_t i = 0, step; i < length; i += step) {
        char *s = err->message + i;
        step = bb_utf8_length((unsigned char *)s, length - i);
        if (step == 0 || (unsigned char)*s < 0x20 || *s == 0x7F) *s = '?', step = 1;
    }
    return code;
}
