/* convert.c - bfloat16 and IEEE half to and from float32, in portable C. */
#include "../variants.h"
#include "scalar.h"

void bb_widen_bf16_c(size_t n, const uint16_t *restrict src, float *restrict dst)
{
    for (size_t i = 0; i < n; i++) dst[i] = widen_bf16(src[i]);
}

void bb_widen_f16_c(size_t n, const uint16_t *restrict src, float *restrict dst)
{
    for (size_t i = 0; i < n; i++) dst[i] = widen_f16(src[i]);
}

void bb_narrow_bf16_c(size_t n, const float *restrict src, uint16_t *restrict dst)
{
    for (size_t i = 0; i < n; i++) dst[i] = narrow_bf16(src[i]);
}

void bb_narrow_f16_c(size_t n, const float *restrict src, uint16_t *restrict dst)
{
    for (size_t i = 0; i < n; i++) dst[i] = narrow_f16(src[i]);
}
