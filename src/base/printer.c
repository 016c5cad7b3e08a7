/* printer.c - text into a caller's buffer that may be too small. */
#include "base/printer.h"

#include <stdarg.h>
#include <stdio.h>

void bb_print(bb_printer *p, const char *format, ...)
{
    const size_t at = p->used < p->size ? p->used : p->size;
    va_list      args;

    va_start(args, format);
    const int n = vsnprintf(p->size ? p->buffer + at : NULL, p->size - at, format, args);
    va_end(args);
    if (n > 0) p->used += (size_t)n;
}
