/* npy.c - NumPy's array file. */
#include "npy.h"

#include <string.h>

enum { PREFIX_BYTES = 10, HEADER_BYTES = 128 };

bool npy_write_header(FILE *to, size_t n_rows, size_t n_columns)
{
    static const char magic[] = "\x93NUMPY\x01";
    char header[HEADER_BYTES];            /* a multiple of 64 that holds any shape */

    memset(header, ' ', sizeof header);
    memcpy(header, magic, sizeof magic);  /* its NUL is the minor version */
    header[8] = HEADER_BYTES - PREFIX_BYTES;
    header[9] = 0;
    const int n = snprintf(header + PREFIX_BYTES, sizeof header - PREFIX_BYTES,
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }",
                           n_rows, n_columns);
    header[PREFIX_BYTES + n] = ' ';
    header[HEADER_BYTES - 1] = '\n';
    return fwrite(header, 1, sizeof header, to) == sizeof header;
}
