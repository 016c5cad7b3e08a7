/* limits_vnni.c - the most dot products of four bytes that the processor makes, by AVX-VNNI in
 * ymm or AVX512_VNNI in zmm.
 *
 * Written in assembly, so that no sum is spilt or copied, and so that the one is not encoded as the
 * other. As many sums as registers hold beside two operands hide the latency. */
#include "simd/vec.h"
#include "variants.h"

#if defined(__clang__)
#  define UNROLL_SUMS _Pragma("clang loop unroll(full)")
#else
#  define UNROLL_SUMS _Pragma("GCC unroll 28")
#endif

#if BB_VEC_512

enum { SUMS = 28 };                       /* of 32 registers */
typedef __m512i bytes;
#define SET1(n)        _mm512_set1_epi8(n)
#define ADD(a, b)      _mm512_add_epi32(a, b)
#define LOW(v)         _mm512_castsi512_si128(v)
#define DOT(sum, a, b) __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b))

double bb_peak_i8_avx512vnni(long rounds, float *sink)
#else

enum { SUMS = 12 };                       /* of 16 registers */
typedef __m256i bytes;
#define SET1(n)        _mm256_set1_epi8(n)
#define ADD(a, b)      _mm256_add_epi32(a, b)
#define LOW(v)         _mm256_castsi256_si128(v)
#define DOT(sum, a, b) __asm__ volatile("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b))

double bb_peak_i8_avxvnni(long rounds, float *sink)
#endif
{
    const bytes a = SET1(3), b = SET1(1);
    bytes       sum[SUMS];

    UNROLL_SUMS
    for (int i = 0; i < SUMS; i++) sum[i] = SET1(0);
    for (long r = 0; r < rounds; r++)
        UNROLL_SUMS
        for (int i = 0; i < SUMS; i++) DOT(sum[i], a, b);
    UNROLL_SUMS
    for (int i = 1; i < SUMS; i++) sum[0] = ADD(sum[0], sum[i]);
    *sink = (float)_mm_cvtsi128_si32(LOW(sum[0]));
    return 2.0 * 4 * VL * SUMS * (double)rounds;
}
