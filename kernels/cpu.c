/* cpu.c - which levels this machine has, and which are worth having: cpuid for the processor, xgetbv for the system, which
   must save the wide registers. Source: Intel SDM volume 1, 14.3 and 15.2 to 15.4. */
#include "kernels.h"

#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)

#include <cpuid.h>
#include <stdbool.h>

enum {
    XCR0_YMM = 0x06,                      /* SSE and AVX state */
    XCR0_ZMM = 0xe6                       /* … and opmask, upper halves, zmm16 … 31 */
};

struct leaf { unsigned eax, ebx, ecx, edx; };

static struct leaf read_leaf(unsigned leaf, unsigned subleaf)
{
    struct leaf r = { 0, 0, 0, 0 };
    if (!__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx))
        return (struct leaf){ 0, 0, 0, 0 };
    return r;
}

/* xgetbv in assembly: the intrinsic needs a compiler flag that this file must not have. */
static unsigned read_xcr0(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

unsigned bb_cpu_detect(void)
{
    const struct leaf basic  = read_leaf(1, 0);
    const struct leaf wide   = read_leaf(7, 0);
    const struct leaf wide1  = wide.eax >= 1 ? read_leaf(7, 1) : (struct leaf){ 0, 0, 0, 0 };
    const unsigned    avx    = (1u << 28) | (1u << 12) | (1u << 29) | (1u << 27);
                                          /* leaf 1 ecx: AVX, FMA, F16C, OSXSAVE */
    const unsigned    avx512 = (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31);
                                          /* leaf 7 ebx: F, DQ, BW, VL */
    unsigned          levels = 0;

    if ((basic.ecx & avx) != avx || !(wide.ebx & (1u << 5))) return 0;

    const unsigned xcr0 = read_xcr0();
    if ((xcr0 & XCR0_YMM) != XCR0_YMM) return 0;
    levels |= BB_CPU_AVX2;

    if ((wide.ebx & avx512) != avx512 || (xcr0 & XCR0_ZMM) != XCR0_ZMM) return levels;
    levels |= BB_CPU_AVX512;

    if ((wide1.eax & (1u << 5)) && (wide.ecx & (1u << 11))) levels |= BB_CPU_BF16;  /* and VNNI */
    return levels;
}

/* vdpbf16ps does twice the work of a multiply-add. AMD's Zen 4 and 5 start as many of them, so they win by
   two; Intel's Emerald Rapids starts a fourth as many (1.35 a nanosecond and core beside 5.5:
   `bamba bench --limits`), and float32 also spares the rounding. */
unsigned bb_cpu_best(void)
{
    const struct leaf vendor = read_leaf(0, 0);
    const bool        is_amd = vendor.ebx == signature_AMD_ebx && vendor.edx == signature_AMD_edx
                            && vendor.ecx == signature_AMD_ecx;

    return is_amd ? bb_cpu_detect() : bb_cpu_detect() & ~(unsigned)BB_CPU_BF16;
}

#else

unsigned bb_cpu_detect(void)
{
    return 0;
}

unsigned bb_cpu_best(void)
{
    return 0;
}

#endif
