/* cpu.c - which families of instructions a machine has, and which are worth having: cpuid for the
   processor, XCR0 for the system, which must save the wide registers.
   Source: Intel SDM volume 1, 14.3 and 15.2 to 15.4; volume 2, CPUID. */
#include "cpu.h"

#include <stdbool.h>

enum {
    XCR0_YMM = 0x06,                      /* SSE and AVX state */
    XCR0_ZMM = 0xe6                       /* … and opmask, upper halves, zmm16 … 31 */
};

static bool has(unsigned value, unsigned bits) { return (value & bits) == bits; }

unsigned bb_cpu_families(const bb_cpuid *id)
{
    const unsigned avx    = 1u << 28 | 1u << 12 | 1u << 29 | 1u << 27;
                                          /* leaf 1 ecx: AVX, FMA, F16C, OSXSAVE */
    const unsigned avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
                                          /* leaf 7 ebx: F, DQ, BW, VL */
    unsigned       cpu    = 0;

    if (!has(id->leaf1_ecx, avx) || !has(id->xcr0, XCR0_YMM)) return 0;
    if (!has(id->leaf7_ebx, 1u << 5)) return 0;
    cpu |= BB_CPU_AVX2;
    if (has(id->leaf7_1_eax, 1u << 4)) cpu |= BB_CPU_AVXVNNI;

    if (!has(id->leaf7_ebx, avx512) || !has(id->xcr0, XCR0_ZMM)) return cpu;
    cpu |= BB_CPU_AVX512;
    if (!has(id->leaf7_ecx, 1u << 11)) return cpu;
    cpu |= BB_CPU_VNNI;
    if (has(id->leaf7_1_eax, 1u << 5) && has(id->leaf7_ecx, 1u << 1)) cpu |= BB_CPU_BF16;
    return cpu;
}

/* vdpbf16ps does twice the work of a multiply-add. AMD's Zen 4 and 5 start as many of them a
   cycle, so they win by two; Intel's Emerald Rapids starts a fourth as many (1.35 a nanosecond
   and core beside 5.5: `bamba bench --limits`), and float32 also spares the rounding. */
unsigned bb_cpu_fastest(const bb_cpuid *id)
{
    const bool is_amd = id->vendor_ebx == 0x68747541 && id->vendor_edx == 0x69746e65
                     && id->vendor_ecx == 0x444d4163;          /* "AuthenticAMD" */

    return bb_cpu_families(id) & ~(is_amd ? 0u : (unsigned)BB_CPU_BF16);
}

#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)

#include <cpuid.h>

/* In assembly: the intrinsic needs a compiler flag that this file must not have. */
static unsigned read_xcr0(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static bb_cpuid read_machine(void)
{
    bb_cpuid id = { .xcr0 = 0 };
    unsigned eax, ebx, ecx, edx;

    if (__get_cpuid_count(0, 0, &eax, &ebx, &ecx, &edx)) {
        id.vendor_ebx = ebx;
        id.vendor_edx = edx;
        id.vendor_ecx = ecx;
    }
    if (__get_cpuid_count(1, 0, &eax, &ebx, &ecx, &edx)) id.leaf1_ecx = ecx;
    if (id.leaf1_ecx & 1u << 27) id.xcr0 = read_xcr0();        /* OSXSAVE: xgetbv exists */
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
        id.leaf7_ebx = ebx;
        id.leaf7_ecx = ecx;
        if (eax >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx)) id.leaf7_1_eax = eax;
    }
    return id;
}

#else

static bb_cpuid read_machine(void)
{
    return (bb_cpuid){ .xcr0 = 0 };
}

#endif

unsigned bb_cpu_detect(void)
{
    const bb_cpuid id = read_machine();
    return bb_cpu_families(&id);
}

unsigned bb_cpu_best(void)
{
    const bb_cpuid id = read_machine();
    return bb_cpu_fastest(&id);
}
