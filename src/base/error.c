/* error.c - the one way to fail, and to tell of what is no failure. */
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

static void write_line(char *line, size_t size, const char *format, va_list args)
{
    const int n = vsnprintf(line, size, format, args);

    if (n < 0) line[0] = '\0';
    if (n >= (int)size) trim_partial_character(line);
    const size_t length = strlen(line);
    for (size_t i = 0, step; i < length; i += step) {
        char *s = line + i;
        step = bb_utf8_length((unsigned char *)s, length - i);
        if (step == 0 || (unsigned char)*s < 0x20 || *s == 0x7F) *s = '?', step = 1;
    }
}

bb_status bb_fail(bamba_error *err, bb_status code, const char *format, ...)
{
    va_list args;

    if (!err) return code;
    va_start(args, format);
    write_line(err->message, sizeof err->message, format, args);
    va_end(args);
    err->code = code;
    return code;
}

void bb_log_line(const bb_log *log, const char *format, ...)
{
    char    line[sizeof((bamba_error *)0)->message];
    va_list args;

    if (!log || !log->fn) return;
    va_start(args, format);
    write_line(line, sizeof line, format, args);
    va_end(args);
    log->fn(log->context, line);
}
