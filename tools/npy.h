/* npy.h - NumPy's array file, version 1.0, of float32.
 *
 * Owns:    the header.
 * Not:     the rows (the caller writes them, in order, little-endian).
 * Source:  numpy.lib.format; the magic, a version, a header length, a Python dictionary padded
 *          so that the data begins at a multiple of 64.
 */
#ifndef BAMBA_TOOLS_NPY_H
#define BAMBA_TOOLS_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Shape [n_rows, n_columns]; false if it cannot be written. */
bool npy_write_header(FILE *to, size_t n_rows, size_t n_columns);

#endif
