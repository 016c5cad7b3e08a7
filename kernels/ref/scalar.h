/* scalar.h - one number at a time: half floats and SiLU, for the portable kernels.
 *
 * Owns:    the definition of the conversions. Free of branches, so that loops over them become
 *          SIMD code on any target; indifferent to flush-to-zero and denormals-are-zero.
 * Not:     loops (convert.c).
 */
#ifndef BB_REF_SCALAR_H
#define BB_REF_SCALAR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t float_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static inline float bits_float(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline float widen_bf16(uint16_t v)
{
    return bits_float((uint32_t)v << 16);
}

/* All ones where a < b, both seen as signed; a mask, because compilers branch on ?: here. */
static inline uint32_t mask_less(uint32_t a, uint32_t b)
{
    return 0u - (uint32_t)((int32_t)a < (int32_t)b);
}

static inline uint32_t choose(uint32_t mask, uint32_t yes, uint32_t no)
{
    return (yes & mask) | (no & ~mask);
}

static inline uint16_t narrow_bf16(float f)
{
    const uint32_t u       = float_bits(f);
    const uint32_t rounded = (u + 0x7fffu + (u >> 16 & 1u)) >> 16;
    const uint32_t quiet   = u >> 16 | 0x40u;
    const uint32_t is_nan  = mask_less(0x7f800000u, u & 0x7fffffffu);
    return (uint16_t)choose(is_nan, quiet, rounded);
}

/* 1 + 5 + 10 bits, bias 15, to 1 + 8 + 23 bits, bias 127. A subnormal m · 2^-24 is built as
   2^-14 · (1 + m / 1024) less 2^-14: both operands are normal and the difference is exact. */
static inline float widen_f16(uint16_t v)
{
    const uint32_t least     = 113u << 23;                         /* 2^-14 */
    const uint32_t magnitude = ((uint32_t)v & 0x7fffu) << 13;
    const uint32_t sign      = ((uint32_t)v & 0x8000u) << 16;
    const uint32_t special   = mask_less((0x7c00u << 13) - 1u, magnitude) & (112u << 23);
    const uint32_t normal    = magnitude + (112u << 23) + special; /* infinity, NaN: 255 */
    const uint32_t subnormal = float_bits(bits_float(magnitude + least) - bits_float(least));
    return bits_float(choose(mask_less(magnitude, 0x0400u << 13), subnormal, normal) | sign);
}

/* Below 2^-14 the addition of 0.5, whose last place is 2^-24, does the rounding. */
static inline uint16_t narrow_f16(float f)
{
    const uint32_t u         = float_bits(f);
    const uint32_t magnitude = u & 0x7fffffffu;
    const uint32_t even      = magnitude >> 13 & 1u;
    const uint32_t rounded   = (magnitude - (112u << 23) + 0xfffu + even) >> 13;
    const uint32_t subnormal = float_bits(bits_float(magnitude) + 0.5f) - float_bits(0.5f);
    const uint32_t quiet     = 0x7e00u | (magnitude >> 13 & 0x1ffu);

    uint32_t bits = choose(mask_less(0x7c00u, rounded), 0x7c00u, rounded);
    bits          = choose(mask_less(magnitude, 113u << 23), subnormal, bits);
    bits          = choose(mask_less(0x7f800000u, magnitude), quiet, bits);
    return (uint16_t)(bits | (u >> 16 & 0x8000u));
}

/* F8_E4M3: 1 + 4 + 3 bits, bias 7, no infinity, NaN where all bits but the sign are set. A
   subnormal m · 2^-9 is built as 2^-6 · (1 + m / 8) less 2^-6. */
static inline float widen_f8(uint8_t v)
{
    const uint32_t least     = 121u << 23;                         /* 2^-6 */
    const uint32_t magnitude = ((uint32_t)v & 0x7fu) << 20;
    const uint32_t sign      = ((uint32_t)v & 0x80u) << 24;
    const uint32_t special   = mask_less((0x7fu << 20) - 1u, magnitude) & 0x7fc00000u;
    const uint32_t normal    = (magnitude + (120u << 23)) | special;
    const uint32_t subnormal = float_bits(bits_float(magnitude + least) - bits_float(least));
    return bits_float(choose(mask_less(magnitude, 8u << 20), subnormal, normal) | sign);
}

/* Too large becomes 448, the largest there is. Below 2^-6 the addition of 2^14, whose last place is
   2^-9, does the rounding. */
static inline uint8_t narrow_f8(float f)
{
    const uint32_t u         = float_bits(f);
    const uint32_t magnitude = u & 0x7fffffffu;
    const uint32_t even      = magnitude >> 20 & 1u;
    const uint32_t rounded   = (magnitude - (120u << 23) + 0x7ffffu + even) >> 20;
    const uint32_t subnormal = float_bits(bits_float(magnitude) + 0x1p14f) - float_bits(0x1p14f);

    uint32_t bits = choose(mask_less(magnitude, 121u << 23), subnormal, rounded);
    bits          = choose(mask_less(0x43e00000u, magnitude), 0x7eu, bits);
    bits          = choose(mask_less(0x7f800000u, magnitude), 0x7fu, bits);
    return (uint8_t)(bits | (u >> 24 & 0x80u));
}

/* As the formula says: -0 once exp(-v) overflows, below -88.7; NaN for -infinity. */
static inline float silu(float v)
{
    return v / (1.0f + expf(-v));
}

#endif
