/* limits_bf16.c - the most dot products of bfloat16 pairs that the processor makes.
 *
 * Written in assembly, so that no sum is spilt or copied; 28 sums, because a dot product takes long
 * and two may start a cycle. */
#include "simd/vec.h"
#include "variants.h"

enum { SUMS = 28 };

#if defined(__clang__)
#  define UNROLL_SUMS _Pragma("clang loop unroll(full)")
#else
#  define UNROLL_SUMS _Pragma("GCC unroll 28")
#endif

double bb_peak_bf16_avx512bf16(long rounds, float *sink)
{
    vf            sum[SUMS];
    const __m512i a = _mm512_set1_epi16(0x3f00);      /* 0.5 */
    const __m512i b = _mm512_set1_epi16(0x3a80);      /* 2^-10 */

    UNROLL_SUMS
    for (int i = 0; i < SUMS; i++) sum[i] = vf_zero();
    for (long r = 0; r < rounds; r++)
        UNROLL_SUMS
        for (int i = 0; i < SUMS; i++)
            __asm__ volatile("vdpbf16ps %2, %1, %0" : "+v"(sum[i]) : "v"(a), "v"(b));
    UNROLL_SUMS
    for (int i = 1; i < SUMS; i++) sum[0] = vf_add(sum[0], sum[i]);
    vf_store_part(sink, 1, sum[0]);
    return 2.0 * 2 * VL * SUMS * (double)rounds;
}
