/* recode.c - rows of a stored matrix in the format that is wanted. */
#include "graph/recode.h"

#include "base/arena.h"

#include <stdbool.h>
#include <string.h>

static bool is_aligned(const void *p, size_t bytes) { return (uintptr_t)p % bytes == 0; }

void bb_recode_elements(const bb_format *f, const unsigned char *data, size_t at, size_t n,
                        float *to)
{
    enum { CHUNK = 2048 };
    const size_t element = f->bytes(1, 1);
    _Alignas(64) unsigned char buffer[CHUNK * sizeof(double)];

    for (size_t i = 0; i < n; i += CHUNK) {
        const int            m = n - i < CHUNK ? (int)(n - i) : CHUNK;
        const unsigned char *from = data + (at + i) * element;
        if (!is_aligned(from, f->align)) from = memcpy(buffer, from, (size_t)m * element);
        f->decode(1, m, from, 0, to + i, (size_t)m);
    }
}

/* Bytes of n rows as float32, rounded up so that what follows is aligned. */
static size_t count_float_bytes(const bb_recode *r, int n)
{
    return bb_whole_lines((size_t)n * (size_t)r->cols * sizeof(float));
}

size_t bb_recode_bytes(const bb_recode *r, int n)
{
    return count_float_bytes(r, n) + r->stored->bytes(n + r->stored->rows_together, r->cols);
}

/* Rows first … first + n - 1 of the stored matrix as float32. */
static void decode(const bb_recode *r, int first, int n, float *rows, unsigned char *room)
{
    const bb_format *f = r->stored;
    const int        before = first % f->rows_together;          /* rows of the same tile */

    if (f->block == 1) {
        bb_recode_elements(f, r->from, (size_t)first * (size_t)r->cols, (size_t)n * (size_t)r->cols,
                           rows);
    } else if (is_aligned(r->from, f->align)) {
        f->decode(n, r->cols, r->from, first, rows, (size_t)r->cols);
    } else {
        memcpy(room, r->from + f->bytes(first - before, r->cols), f->bytes(before + n, r->cols));
        f->decode(n, r->cols, room, before, rows, (size_t)r->cols);
    }
}

void bb_recode_rows(const bb_recode *r, int first, int n, void *to, int at, void *scratch)
{
    const bb_format *f = r->wanted;
    const int        row = r->first + first;

    if (!r->change && bb_format_is_like(r->stored, f) && row % f->rows_together == 0) {
        memcpy((unsigned char *)to + f->bytes(at, r->cols), r->from + f->bytes(row, r->cols),
               f->bytes(n, r->cols));
        return;
    }
    decode(r, row, n, scratch, (unsigned char *)scratch + count_float_bytes(r, n));
    if (r->change) r->change(r->change_context, row, n, r->cols, scratch);
    if (r->carry && f->encode_carrying)
        f->encode_carrying(n, r->cols, scratch, (size_t)r->cols, r->importance, r->carry, to, at);
    else f->encode(n, r->cols, scratch, (size_t)r->cols, r->importance, to, at);
}
