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
#define DOT(sum, a, b) __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b))
static float first_lane(bytes v) { return (float)_mm_cvtsi128_si32(_mm512_castsi512_si128(v)); }

double bb_peak_i8_avx512vnni(long rounds, float *sink)
#else

enum { SUMS = 12 };                       /* of 16 registers */
typedef __m256i bytes;
#define DOT(sum, a, b) __asm__ volatile("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b))
static float first_lane(bytes v) { return (float)_mm_cvtsi128_si32(_mm256_castsi256_si128(v)); }

double bb_peak_i8_avxvnni(long rounds, float *sink)
#endif
{
    bytes       sum[SUMS], a, b;

    memset(&a, 3, sizeof a);
    memset(&b, 1, sizeof b);
    memset(sum, 0, sizeof sum);
    for (long r = 0; r < rounds; r++)
        UNROLL_SUMS
        for (int i = 0; i < SUMS; i++) DOT(sum[i], a, b);
    for (int i = 0; i < SUMS; i++) *sink += first_lane(sum[i]);
    return 2.0 * 4 * VL * SUMS * (double)rounds;
}
