/* limits.c - what the machine itself can do: the fastest reading, the most multiply-adds.
 *
 * The multiply-adds are written in assembly: a compiler that spills or copies a sum makes the
 * loop slower than the processor is. Each sum waits for itself only; SUMS of them hide that. */
#include "simd/vec.h"
#include "variants.h"

#if BB_VEC_512
enum { SUMS = 28 };                       /* of 32 registers */
#else
enum { SUMS = 12 };                       /* of 16 */
#endif

#if defined(__clang__)
#  define UNROLL_SUMS _Pragma("clang loop unroll(full)")
#else
#  define UNROLL_SUMS _Pragma("GCC unroll 28")
#endif

double BB_ISA(bb_peak_f32)(long rounds, float *sink)
{
    vf       sum[SUMS];
    const vf a = vf_set1(0.5f);
    const vf b = vf_set1(0.001f);

    UNROLL_SUMS
    for (int i = 0; i < SUMS; i++) sum[i] = vf_zero();
    for (long r = 0; r < rounds; r++)
        UNROLL_SUMS
        for (int i = 0; i < SUMS; i++)
            __asm__ volatile("vfmadd231ps %2, %1, %0" : "+v"(sum[i]) : "v"(a), "v"(b));
    UNROLL_SUMS
    for (int i = 1; i < SUMS; i++) sum[0] = vf_add(sum[0], sum[i]);
    vf_store_part(sink, 1, sum[0]);
    return 2.0 * VL * SUMS * (double)rounds;
}

#if BB_VEC_512

uint64_t BB_ISA(bb_read)(size_t n, const void *data)
{
    const unsigned char *p = data;
    __m512i sum[8];
    uint64_t lane[8], total = 0;

    BB_UNROLL
    for (int i = 0; i < 8; i++) sum[i] = _mm512_setzero_si512();
    for (; n >= 512; n -= 512, p += 512)
        BB_UNROLL
        for (int i = 0; i < 8; i++)
            sum[i] = _mm512_add_epi64(sum[i], _mm512_loadu_si512(p + 64 * i));
    for (; n >= 64; n -= 64, p += 64) sum[0] = _mm512_add_epi64(sum[0], _mm512_loadu_si512(p));
    BB_UNROLL
    for (int i = 1; i < 8; i++) sum[0] = _mm512_add_epi64(sum[0], sum[i]);
    _mm512_storeu_si512(lane, sum[0]);
    for (int i = 0; i < 8; i++) total += lane[i];
    return total;
}

#else

uint64_t BB_ISA(bb_read)(size_t n, const void *data)
{
    const unsigned char *p = data;
    __m256i sum[8];
    uint64_t lane[4];

    BB_UNROLL
    for (int i = 0; i < 8; i++) sum[i] = _mm256_setzero_si256();
    for (; n >= 256; n -= 256, p += 256)
        BB_UNROLL
        for (int i = 0; i < 8; i++)
            sum[i] = _mm256_add_epi64(sum[i],
                                      _mm256_loadu_si256((const __m256i *)(p + 32 * i)));
    for (; n >= 64; n -= 64, p += 64) {
        sum[0] = _mm256_add_epi64(sum[0], _mm256_loadu_si256((const __m256i *)p));
        sum[1] = _mm256_add_epi64(sum[1], _mm256_loadu_si256((const __m256i *)(p + 32)));
    }
    BB_UNROLL
    for (int i = 1; i < 8; i++) sum[0] = _mm256_add_epi64(sum[0], sum[i]);
    _mm256_storeu_si256((__m256i *)lane, sum[0]);
    return lane[0] + lane[1] + lane[2] + lane[3];
}

#endif
