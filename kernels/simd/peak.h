/* peak.h - the most instructions of one kind that the processor makes.
 *
 * Owns:    the loop, in assembly: a compiler that spills or copies a sum makes it slower than the
 *          processor is.
 * Not:     which instruction (the files that include it).
 */
#ifndef BB_SIMD_PEAK_H
#define BB_SIMD_PEAK_H

#include "simd/vec.h"
#include "variants.h"

enum { SUMS = BB_VEC_512 ? 28 : 12 };     /* of 32 or 16 registers: they hide the latency */

#if defined(__clang__)
#  define UNROLL_SUMS _Pragma("clang loop unroll(full)")
#else
#  define UNROLL_SUMS _Pragma("GCC unroll 28")
#endif

/* Defines a bb_peak_fn by an instruction that adds the products of the lanes of a and b, vi, to a
   sum; `operations` of a lane. */
#define DEFINE_PEAK(name, instruction, a_lanes, b_lanes, operations)                              \
    double name(long rounds, float *sink)                                                         \
    {                                                                                             \
        const vi a = a_lanes, b = b_lanes;                                                        \
        vf       sum[SUMS];                                                                       \
                                                                                                  \
        UNROLL_SUMS                                                                               \
        for (int i = 0; i < SUMS; i++) sum[i] = vf_zero();                                        \
        for (long r = 0; r < rounds; r++)                                                         \
            UNROLL_SUMS                                                                           \
            for (int i = 0; i < SUMS; i++)                                                        \
                __asm__ volatile(instruction " %2, %1, %0" : "+v"(sum[i]) : "v"(a), "v"(b));      \
        vf_store_part(sink, 1, sum[SUMS - 1]);                                                    \
        return (double)(operations) * VL * SUMS * (double)rounds;                                 \
    }

#endif
