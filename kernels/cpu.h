/* cpu.h - which families of instructions a machine has, and which are worth having.
 *
 * Owns:    families, and what a processor says of itself.
 * Not:     levels, the sets of them that kernels are chosen by (kernels.h).
 */
#ifndef BB_CPU_H
#define BB_CPU_H

/* Families of instructions, bits of a set. 0 is portable C; all others come with AVX2, VNNI with
   AVX512, BF16 with VNNI. */
enum {
    BB_CPU_AVX2    = 1u << 0,             /* AVX2, FMA, F16C; the OS saves ymm */
    BB_CPU_AVXVNNI = 1u << 1,             /* AVX-VNNI: dot products of bytes in ymm */
    BB_CPU_AVX512  = 1u << 2,             /* F, BW, DQ, VL; the OS saves zmm */
    BB_CPU_VNNI    = 1u << 3,             /* AVX512_VNNI: dot products of bytes in zmm */
    BB_CPU_BF16    = 1u << 4              /* AVX512_BF16, dot products of bfloat16; and VBMI */
};

/* What a processor and its system say of themselves: registers of cpuid, 0 for a leaf that the
   processor does not have, and the low half of XCR0, 0 if the system does not use xsave. */
typedef struct bb_cpuid {
    unsigned vendor_ebx, vendor_edx, vendor_ecx;          /* leaf 0 */
    unsigned leaf1_ecx;
    unsigned leaf7_ebx, leaf7_ecx;                        /* leaf 7, sub-leaf 0 */
    unsigned leaf7_1_eax;                                 /* leaf 7, sub-leaf 1 */
    unsigned xcr0;
} bb_cpuid;

/* The families that such a machine has, and those that are the fastest for it: without bfloat16
   dot products where these do not beat multiply-adds. */
unsigned bb_cpu_families(const bb_cpuid *id);
unsigned bb_cpu_fastest(const bb_cpuid *id);

/* The families that the machine running this has, and the fastest of them. */
unsigned bb_cpu_detect(void);
unsigned bb_cpu_best(void);

#endif
