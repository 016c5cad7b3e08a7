/* fpmode.h - the floating-point mode that numbers are promised in.
 *
 * Owns:    flush-to-zero, denormals-are-zero, round-to-nearest, exceptions masked, on processors
 *          that have such a register. Decaying states would otherwise crawl through denormals,
 *          and bits would depend on the host's flags.
 */
#ifndef BB_BASE_FPMODE_H
#define BB_BASE_FPMODE_H

#include <stdint.h>

#if defined(__x86_64__) || defined(__i386__)
#  include <xmmintrin.h>

/* MXCSR: all exceptions masked (0x1F80), FTZ (0x8000), DAZ (0x0040), rounding bits 0. */
static inline uint64_t bb_fpmode_enter(void)
{
    const uint64_t old = _mm_getcsr();
    _mm_setcsr(0x9FC0);
    return old;
}

static inline void bb_fpmode_leave(uint64_t old) { _mm_setcsr((unsigned)old); }

#elif defined(__aarch64__)

/* FPCR: FZ is bit 24; everything else 0. */
static inline uint64_t bb_fpmode_enter(void)
{
    uint64_t old;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    __asm__ volatile("msr fpcr, %0" : : "r"(UINT64_C(1) << 24));
    return old;
}

static inline void bb_fpmode_leave(uint64_t old)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(old));
}

#else
static inline uint64_t bb_fpmode_enter(void) { return 0; }
static inline void     bb_fpmode_leave(uint64_t old) { (void)old; }
#endif

#endif
