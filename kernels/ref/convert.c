/* convert.c - bfloat16 and IEEE half to and from float32, one by one and as rows of a matrix, in
   portable C. */
#include "../variants.h"
#include "scalar.h"

#include <string.h>

/* The conversions of one type, of n elements and of rows of a matrix. */
#define CONVERT(type)                                                                             \
    void bb_widen_##type##_c(size_t n, const uint16_t *restrict src, float *restrict dst)         \
    {                                                                                             \
        for (size_t i = 0; i < n; i++) dst[i] = widen_##type(src[i]);                             \
    }                                                                                             \
    void bb_narrow_##type##_c(size_t n, const float *restrict src, uint16_t *restrict dst)        \
    {                                                                                             \
        for (size_t i = 0; i < n; i++) dst[i] = narrow_##type(src[i]);                            \
    }                                                                                             \
    BB_DEFINE_ROWS(bb_widen_##type##_c, bb_narrow_##type##_c, bb_decode_##type##_c,               \
                   bb_encode_##type##_c)
CONVERT(bf16)
CONVERT(f16)

/* -------------------------------------------------------------- rows of a matrix --------- */

void bb_decode_f32(int rows, int cols, const void *W, int first, float *w, size_t ldw)
{
    const size_t width = (size_t)cols;
    const float *from  = (const float *)W + (size_t)first * width;

    for (int r = 0; r < rows; r++, from += width, w += ldw) memcpy(w, from, width * sizeof *w);
}

void bb_encode_f32(int rows, int cols, const float *w, size_t ldw, const float *importance, void *W,
                   int first)
{
    (void)importance;
    const size_t width = (size_t)cols;
    float       *to    = (float *)W + (size_t)first * width;

    for (int r = 0; r < rows; r++, to += width, w += ldw) memcpy(to, w, width * sizeof *w);
}

void bb_decode_half(bb_widen_fn *widen, int rows, int cols, const void *W, int first, float *w,
                    size_t ldw)
{
    const size_t    width = (size_t)cols;
    const uint16_t *from  = (const uint16_t *)W + (size_t)first * width;

    for (int r = 0; r < rows; r++, from += width, w += ldw) widen(width, from, w);
}

void bb_encode_half(bb_narrow_fn *narrow, int rows, int cols, const float *w, size_t ldw, void *W,
                    int first)
{
    const size_t width = (size_t)cols;
    uint16_t    *to    = (uint16_t *)W + (size_t)first * width;

    for (int r = 0; r < rows; r++, to += width, w += ldw) narrow(width, w, to);
}
