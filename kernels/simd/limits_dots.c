/* limits_dots.c - the most dot products that the processor makes: of bfloat16 pairs, or of four
 * bytes, by AVX512_VNNI in zmm or AVX-VNNI in ymm, whose encoding must be asked for. */
#include "simd/peak.h"

#if defined(__AVX512BF16__)
DEFINE_PEAK(bb_peak_bf16_avx512bf16, "vdpbf16ps", BB_MM(set1_epi16)(0x3f00) /* 0.5 */,
            BB_MM(set1_epi16)(0x3a80) /* 2^-10 */, 4)
#elif BB_VEC_512
DEFINE_PEAK(bb_peak_i8_avx512vnni, "vpdpbusd", BB_MM(set1_epi8)(3), BB_MM(set1_epi8)(1), 8)
#else
DEFINE_PEAK(bb_peak_i8_avxvnni, "%{vex%} vpdpbusd", BB_MM(set1_epi8)(3), BB_MM(set1_epi8)(1), 8)
#endif
