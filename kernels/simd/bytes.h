/* bytes.h - weights of a byte as float32, a vector at a time.
 *
 * Owns:    F8_E4M3 and int8, in order and as pairs of neighbours, as few.h and gemm.h load them.
 * Not:     scales.
 *
 * F8_E4M3 goes through IEEE half, whose conversion knows subnormals in any mode of the
 * floating-point unit: shifted by 7 the bits are those of a half that is 2^8 times too small. NaN,
 * which has all of its 7 bits set, carries into the top bit of the exponent when one is added.
 */
#ifndef BB_SIMD_BYTES_H
#define BB_SIMD_BYTES_H

#include "vec.h"

#if BB_VEC_512
#  define BB_MH(name) _mm256_##name      /* the intrinsic for VL halves */
BB_INLINE vh vh_load_bytes(const void *p) { return _mm256_cvtepi8_epi16(_mm_loadu_si128(p)); }
BB_INLINE vh vh_load_any(const void *p) { return _mm256_loadu_si256(p); }
BB_INLINE vh vh_either(vh a, vh b, vh mask) { return _mm256_ternarylogic_epi32(a, b, mask, 0xF8); }
BB_INLINE vh vh_and(vh a, vh b) { return _mm256_and_si256(a, b); }
BB_INLINE vh vh_xor(vh a, vh b) { return _mm256_xor_si256(a, b); }
BB_INLINE vf vf_from_i16(vh v) { return _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(v)); }
#else
#  define BB_MH(name) _mm_##name
BB_INLINE vh vh_load_bytes(const void *p) { return _mm_cvtepi8_epi16(_mm_loadl_epi64(p)); }
BB_INLINE vh vh_load_any(const void *p) { return _mm_loadu_si128(p); }
BB_INLINE vh vh_either(vh a, vh b, vh mask) { return _mm_or_si128(a, _mm_and_si128(b, mask)); }
BB_INLINE vh vh_and(vh a, vh b) { return _mm_and_si128(a, b); }
BB_INLINE vh vh_xor(vh a, vh b) { return _mm_xor_si128(a, b); }
BB_INLINE vf vf_from_i16(vh v) { return _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(v)); }
#endif

/* F8_E4M3 codes, extended by copies of the sign and shifted left by 7. */
BB_INLINE vf vf_from_f8(vh v)
{
    const vh bits = vh_and(v, BB_MH(set1_epi16)((short)0xBF80));
    const vh next = BB_MH(add_epi16)(bits, BB_MH(set1_epi16)(0x80));
    const vh half = vh_either(bits, next, BB_MH(set1_epi16)(0x4000));
    return vf_mul(vf_from_f16(half), vf_set1(0x1p8f));
}

/* VL bytes; 2·VL bytes: the first and the second of each pair of neighbours. */
BB_INLINE vf vf_load_f8(const void *p)
{
    return vf_from_f8(BB_MH(slli_epi16)(vh_load_bytes(p), 7));
}

BB_INLINE void vf_load_f8_pairs(const uint8_t *p, vf *first, vf *second)
{
    const vh u = vh_load_any(p);
    *first  = vf_from_f8(BB_MH(srai_epi16)(BB_MH(slli_epi16)(u, 8), 1));
    *second = vf_from_f8(BB_MH(srai_epi16)(u, 1));
}

BB_INLINE vf vf_load_i8(const void *p) { return vf_from_i16(vh_load_bytes(p)); }

BB_INLINE void vf_load_i8_pairs(const uint8_t *p, vf *first, vf *second)
{
    const vh u = vh_load_any(p);
    *first  = vf_from_i16(BB_MH(srai_epi16)(BB_MH(slli_epi16)(u, 8), 8));
    *second = vf_from_i16(BB_MH(srai_epi16)(u, 8));
}

/* VL / 2 bytes of two codes each, 0 … 15, the low half first. */
BB_INLINE vf vf_load_u4(const void *p)
{
    uint64_t bytes = 0;
    memcpy(&bytes, p, VL / 2);
    const __m128i u    = _mm_cvtsi64_si128((long long)bytes);
    const __m128i both = _mm_unpacklo_epi8(u, _mm_srli_epi16(u, 4));
    return BB_MM(cvtepi32_ps)(BB_MM(cvtepu8_epi32)(_mm_and_si128(both, _mm_set1_epi8(15))));
}

#endif
