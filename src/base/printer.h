/* printer.h - text into a caller's buffer that may be too small, as snprintf does. */
#ifndef BB_BASE_PRINTER_H
#define BB_BASE_PRINTER_H

#include "base/error.h"

typedef struct bb_printer {
    char  *buffer;                        /* [size]; may be NULL if size is 0 */
    size_t size;
    size_t used;                          /* length of the whole text so far, cut or not */
} bb_printer;

/* Append formatted text; what does not fit is counted only. */
void bb_print(bb_printer *p, const char *format, ...) BB_PRINTF(2, 3);

#endif
