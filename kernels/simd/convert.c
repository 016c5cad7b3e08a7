/* convert.c - bfloat16 and IEEE half to and from float32, a vector at a time.
 *
 * Halves by F16C, whose conversions ignore flush-to-zero; bfloat16 by whole numbers, because
 * the processor's own conversion flushes denormals. */
#include "../variants.h"
#include "vec.h"

/* The conversions of one type, of n elements and of rows of a matrix. */
#define CONVERT(type)                                                                             \
    void BB_ISA(bb_widen_##type)(size_t n, const uint16_t *src, float *dst)                       \
    {                                                                                             \
        size_t    i = 0;                                                                          \
        const int part = (int)(n % VL);                                                           \
        for (; i + VL <= n; i += VL) vf_store(dst + i, vf_load_##type(src + i));                  \
        if (part) vf_store_part(dst + i, part, vf_load_##type##_part(src + i, part));             \
    }                                                                                             \
    void BB_ISA(bb_narrow_##type)(size_t n, const float *src, uint16_t *dst)                      \
    {                                                                                             \
        size_t    i = 0;                                                                          \
        const int part = (int)(n % VL);                                                           \
        for (; i + VL <= n; i += VL) vf_store_##type(dst + i, vf_load(src + i));                  \
        if (part) vf_store_##type##_part(dst + i, part, vf_load_part(src + i, part));             \
    }                                                                                             \
    BB_DEFINE_ROWS(BB_ISA(bb_widen_##type), BB_ISA(bb_narrow_##type), BB_ISA(bb_decode_##type),   \
                   BB_ISA(bb_encode_##type))

CONVERT(bf16)
CONVERT(f16)
