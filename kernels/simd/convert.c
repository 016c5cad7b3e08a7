/* convert.c - bfloat16 and IEEE half to and from float32, a vector at a time.
 *
 * Halves by F16C, whose conversions ignore flush-to-zero; bfloat16 by whole numbers, because
 * the processor's own conversion flushes denormals. */
#include "../variants.h"
#include "vec.h"

void BB_ISA(bb_widen_bf16)(size_t n, const uint16_t *src, float *dst)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL) vf_store(dst + i, vf_load_bf16(src + i));
    if (i < n) vf_store_part(dst + i, (int)(n - i), vf_load_bf16_part(src + i, (int)(n - i)));
}

void BB_ISA(bb_widen_f16)(size_t n, const uint16_t *src, float *dst)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL) vf_store(dst + i, vf_load_f16(src + i));
    if (i < n) vf_store_part(dst + i, (int)(n - i), vf_load_f16_part(src + i, (int)(n - i)));
}

void BB_ISA(bb_narrow_bf16)(size_t n, const float *src, uint16_t *dst)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL) vf_store_bf16(dst + i, vf_load(src + i));
    if (i < n) vf_store_bf16_part(dst + i, (int)(n - i), vf_load_part(src + i, (int)(n - i)));
}

void BB_ISA(bb_narrow_f16)(size_t n, const float *src, uint16_t *dst)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL) vf_store_f16(dst + i, vf_load(src + i));
    if (i < n) vf_store_f16_part(dst + i, (int)(n - i), vf_load_part(src + i, (int)(n - i)));
}

#define ROWS(type)                                                                                \
    void BB_ISA(bb_decode_##type)(int rows, int cols, const void *W, int first, float *w,         \
                                  size_t ldw)                                                     \
    {                                                                                             \
        bb_decode_half(BB_ISA(bb_widen_##type), rows, cols, W, first, w, ldw);                    \
    }                                                                                             \
    void BB_ISA(bb_encode_##type)(int rows, int cols, const float *w, size_t ldw, void *W,        \
                                  int first)                                                      \
    {                                                                                             \
        bb_encode_half(BB_ISA(bb_narrow_##type), rows, cols, w, ldw, W, first);                   \
    }
ROWS(bf16)
ROWS(f16)
