/* bytes.c - weights of 8 and 4 bits, row by row as the tools that quantize publish them, in
   portable C. */
#include "../variants.h"
#include "scalar.h"

size_t bb_bytes_byte(int rows, int cols) { return (size_t)rows * (size_t)cols; }

/* Rows of halves of bytes fill whole words of 32 bits. */
size_t bb_bytes_i4(int rows, int cols) { return (size_t)rows * (((size_t)cols + 7) / 8 * 4); }

/* -------------------------------------------------------------- without scales ----------- */

void bb_decode_f8_c(int rows, int cols, const void *W, int first, float *w, size_t ldw)
{
    const size_t   width = (size_t)cols;
    const uint8_t *from  = (const uint8_t *)W + (size_t)first * width;

    for (int r = 0; r < rows; r++, from += width, w += ldw)
        for (size_t i = 0; i < width; i++) w[i] = widen_f8(from[i]);
}

void bb_encode_f8(int rows, int cols, const float *w, size_t ldw, const float *importance, void *W,
                  int first)
{
    (void)importance;
    const size_t width = (size_t)cols;
    uint8_t     *to    = (uint8_t *)W + (size_t)first * width;

    for (int r = 0; r < rows; r++, to += width, w += ldw)
        for (size_t i = 0; i < width; i++) to[i] = narrow_f8(w[i]);
}

void bb_decode_i8_c(int rows, int cols, const void *W, int first, float *w, size_t ldw)
{
    const size_t  width = (size_t)cols;
    const int8_t *from  = (const int8_t *)W + (size_t)first * width;

    for (int r = 0; r < rows; r++, from += width, w += ldw)
        for (size_t i = 0; i < width; i++) w[i] = (float)from[i];
}

/* -------------------------------------------------------------- with scales -------------- */

/* Each code of a row as float32. */
static inline float code_f8(const bb_scaled *s, const unsigned char *row, int c)
{
    (void)s;
    return widen_f8(row[c]);
}

static inline float code_i8(const bb_scaled *s, const unsigned char *row, int c)
{
    return (float)(int8_t)(row[c] ^ s->flip);
}

static inline float code_i4(const bb_scaled *s, const unsigned char *row, int c)
{
    (void)s;
    return (float)((row[c / 2] >> (c % 2 * 4) & 15) - 8);
}

#define DECODE_SCALED(kind)                                                                       \
    void bb_decode_##kind##_scaled_c(int rows, int cols, const void *W, int first, float *w,      \
                                     size_t ldw)                                                  \
    {                                                                                             \
        const bb_scaled *s = W;                                                                   \
        for (int r = 0; r < rows; r++, w += ldw) {                                                \
            const unsigned char *row = s->codes + (size_t)(first + r) * s->row_bytes;             \
            const size_t         at  = bb_scaled_row(s, first + r);                               \
            for (int c = 0; c < cols; c++) {                                                      \
                const size_t b = at + (size_t)(c / s->block_cols);                                \
                w[c] = s->scale[b] * (code_##kind(s, row, c) - (s->zero ? s->zero[b] : 0.0f));    \
            }                                                                                     \
        }                                                                                         \
    }
DECODE_SCALED(f8)
DECODE_SCALED(i8)
DECODE_SCALED(i4)
