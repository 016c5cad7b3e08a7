/* vec.h - vectors of VL floats: kernels are written once against it and compiled per CPU level.
 *
 * Owns:    the type vf, its operations, exp; the ending of the level in names.
 * Not:     contracts (kernels.h). Included by the files of simd/, avx2/ and avx512/ only.
 * Errors:  does not compile without the flags of a level.
 *
 * VL is 8 (AVX2, FMA, F16C) or 16 (AVX-512 F, BW, DQ, VL). A fused multiply-add is one only
 * where vf_fma or vf_fnma is written. "part" takes the first n lanes, 0 <= n <= VL: the others
 * are read as 0 or left alone in memory, and their memory is not touched.
 */
#ifndef BB_SIMD_VEC_H
#define BB_SIMD_VEC_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) \
    && defined(__AVX512VL__)
#  define BB_VEC_512 1
#  if defined(__AVX512BF16__)
#    define BB_ISA(name) name##_avx512bf16
#  elif defined(__AVX512VNNI__)
#    define BB_ISA(name) name##_avx512vnni
#  else
#    define BB_ISA(name) name##_avx512
#  endif
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#  define BB_VEC_512 0
#  if defined(__AVXVNNI__)
#    define BB_ISA(name) name##_avxvnni
#  else
#    define BB_ISA(name) name##_avx2
#  endif
#else
#  error "vec.h needs -mavx2 -mfma -mf16c, or -mavx512f -mavx512bw -mavx512dq -mavx512vl"
#endif

/* The compiler must see constant arguments of these functions to keep arrays in registers. */
#define BB_INLINE static inline __attribute__((always_inline))

/* In front of a loop of at most 16 rounds over registers: gcc's own limits would leave the array
   in memory. */
#if defined(__clang__)
#  define BB_UNROLL _Pragma("clang loop unroll(full)")
#else
#  define BB_UNROLL _Pragma("GCC unroll 16")
#endif

/* Keeps a loaded vector in a register, in this order: gcc would load it again for each operation
   that shares it, clang would load all there are before the first operation. */
#if BB_VEC_512
#  define BB_KEEP(v) __asm__ volatile("" : "+v"(v))
#else
#  define BB_KEEP(v) __asm__ volatile("" : "+x"(v))
#endif

#if BB_VEC_512

/* ------------------------------------------------------------- 16 lanes ----------------- */

enum { VL = 16 };

typedef __m512    vf;
typedef __m512i   vi;                     /* VL whole numbers */
typedef __m512d   vd;                     /* doubles of half a vector: for long sums */
typedef __m256i   vh;                     /* VL halves */
typedef __mmask16 vm;                     /* a bit a lane */

/* The intrinsic of this width. */
#define BB_MM(name) _mm512_##name

BB_INLINE vi vi_of(vf v) { return _mm512_castps_si512(v); }
BB_INLINE vf vf_of(vi v) { return _mm512_castsi512_ps(v); }
BB_INLINE vi vi_load(const void *p) { return _mm512_loadu_si512(p); }
BB_INLINE vi vi_and(vi a, vi b) { return _mm512_and_si512(a, b); }
BB_INLINE vi vi_or(vi a, vi b) { return _mm512_or_si512(a, b); }
BB_INLINE vi vi_xor(vi a, vi b) { return _mm512_xor_si512(a, b); }
BB_INLINE vi vi_repeat(__m128i v) { return _mm512_broadcast_i32x4(v); }

BB_INLINE vm vm_first(int n) { return (vm)((1u << n) - 1u); }

BB_INLINE vf vf_load_part(const float *p, int n)
{
    return _mm512_maskz_loadu_ps(vm_first(n), p);
}
BB_INLINE void vf_store_part(float *p, int n, vf v)
{
    _mm512_mask_storeu_ps(p, vm_first(n), v);
}

BB_INLINE vm vf_less(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
BB_INLINE vm vf_is_nan(vf v) { return _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q); }
BB_INLINE vf vf_choose(vm m, vf yes, vf no) { return _mm512_mask_blend_ps(m, no, yes); }
BB_INLINE vi vi_choose(vm m, vi yes, vi no) { return _mm512_mask_blend_epi32(m, no, yes); }

BB_INLINE vf vf_round(vf v)
{
    return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* v · 2^n, n a whole number */
BB_INLINE vf vf_scale(vf v, vf n) { return _mm512_scalef_ps(v, n); }

BB_INLINE __m256 vf_low(vf v) { return _mm512_castps512_ps256(v); }
BB_INLINE __m256 vf_high(vf v) { return _mm512_extractf32x8_ps(v, 1); }

BB_INLINE vh vh_load(const uint16_t *p) { return _mm256_loadu_epi16(p); }
BB_INLINE void vh_store(uint16_t *p, vh v) { _mm256_storeu_epi16(p, v); }
BB_INLINE vh vh_load_part(const uint16_t *p, int n)
{
    return _mm256_maskz_loadu_epi16(vm_first(n), p);
}
BB_INLINE void vh_store_part(uint16_t *p, int n, vh v)
{
    _mm256_mask_storeu_epi16(p, vm_first(n), v);
}

/* The low halves of VL whole numbers. */
BB_INLINE vh vh_low_halves(vi v) { return _mm512_cvtepi32_epi16(v); }

BB_INLINE vh vf_to_f16(vf v)
{
    return _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* VL whole numbers from -32768 to 32767 as halves of 16 bits. */
BB_INLINE vh vh_of_ints(vi v) { return vh_low_halves(v); }

/* VL bytes: all of vb. */
typedef __m128i vb;

BB_INLINE vb vb_load(const int8_t *p) { return _mm_loadu_si128((const __m128i *)p); }
BB_INLINE vb vb_load_part(const int8_t *p, int n)
{
    return _mm_maskz_loadu_epi8(vm_first(n), p);
}
BB_INLINE void vb_store(int8_t *p, vb v) { _mm_storeu_si128((__m128i *)p, v); }
BB_INLINE void vb_store_part(int8_t *p, int n, vb v) { _mm_mask_storeu_epi8(p, vm_first(n), v); }
BB_INLINE vb vb_narrow(vi v) { return _mm512_cvtepi32_epi8(v); }

/* 2·VL bytes as 16-bit numbers. */
BB_INLINE vi vi_load_bytes(const void *p)
{
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256(p));
}

/* The largest lane. */
BB_INLINE int vi_largest(vi v) { return _mm512_reduce_max_epi32(v); }

/* Lanes of 32 bits, the low half 0; by a mask, which spares a vector. */
BB_INLINE vi vi_high_halves(vi v) { return _mm512_maskz_mov_epi16(0xAAAAAAAA, v); }

/* 2·VL floats: the first and the second of each pair of neighbours. */
BB_INLINE void vf_load_pairs(const float *p, vf *first, vf *second)
{
    const vf      low = _mm512_loadu_ps(p), high = _mm512_loadu_ps(p + VL);
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28,
                                           30);
    *first  = _mm512_permutex2var_ps(low, even, high);
    *second = _mm512_permutex2var_ps(low, _mm512_or_si512(even, _mm512_set1_epi32(1)), high);
}

/* The second half of vf_transpose: r[4k + i] lane 4b + j ↔ r[4b + i] lane 4k + j. */
BB_INLINE void vf_transpose_fours(vf r[VL])
{
    vf a[VL];

    for (int i = 0; i < 4; i++) {         /* r[4k + i]: columns i, i+4, i+8, i+12 of 4 rows */
        a[i]      = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
        a[i + 4]  = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
        a[i + 8]  = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
        a[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        r[i]      = _mm512_shuffle_f32x4(a[i], a[i + 8], 0x88);
        r[i + 8]  = _mm512_shuffle_f32x4(a[i], a[i + 8], 0xdd);
        r[i + 4]  = _mm512_shuffle_f32x4(a[i + 4], a[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_f32x4(a[i + 4], a[i + 12], 0xdd);
    }
}

BB_INLINE __m256d vd_halves_added(vd v)
{
    return _mm256_add_pd(_mm512_castpd512_pd256(v), _mm512_extractf64x4_pd(v, 1));
}

#else

/* ------------------------------------------------------------- 8 lanes ------------------ */

enum { VL = 8 };

typedef __m256  vf;
typedef __m256i vi;
typedef __m256d vd;
typedef __m128i vh;
typedef __m256  vm;                       /* all bits of a lane */

#define BB_MM(name) _mm256_##name

BB_INLINE vi vi_of(vf v) { return _mm256_castps_si256(v); }
BB_INLINE vf vf_of(vi v) { return _mm256_castsi256_ps(v); }
BB_INLINE vi vi_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
BB_INLINE vi vi_and(vi a, vi b) { return _mm256_and_si256(a, b); }
BB_INLINE vi vi_or(vi a, vi b) { return _mm256_or_si256(a, b); }
BB_INLINE vi vi_xor(vi a, vi b) { return _mm256_xor_si256(a, b); }
BB_INLINE vi vi_repeat(__m128i v) { return _mm256_broadcastsi128_si256(v); }

BB_INLINE __m256i vm_first(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

BB_INLINE vf vf_load_part(const float *p, int n)
{
    return _mm256_maskload_ps(p, vm_first(n));
}
BB_INLINE void vf_store_part(float *p, int n, vf v)
{
    _mm256_maskstore_ps(p, vm_first(n), v);
}

BB_INLINE vm vf_less(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
BB_INLINE vm vf_is_nan(vf v) { return _mm256_cmp_ps(v, v, _CMP_UNORD_Q); }
BB_INLINE vf vf_choose(vm m, vf yes, vf no) { return _mm256_blendv_ps(no, yes, m); }
BB_INLINE vi vi_choose(vm m, vi yes, vi no) { return _mm256_blendv_epi8(no, yes, vi_of(m)); }
BB_INLINE vf vf_round(vf v)
{
    return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* v · 2^n by two factors, so that neither leaves the normal numbers; |n| <= 252. */
BB_INLINE vf vf_scale(vf v, vf n)
{
    const __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    const __m256i rest  = _mm256_sub_epi32(whole, half), one = _mm256_set1_epi32(127);
    const __m256i a     = _mm256_slli_epi32(_mm256_add_epi32(half, one), 23);
    const __m256i b     = _mm256_slli_epi32(_mm256_add_epi32(rest, one), 23);
    return _mm256_mul_ps(_mm256_mul_ps(v, vf_of(a)), vf_of(b));
}

BB_INLINE __m128 vf_low(vf v) { return _mm256_castps256_ps128(v); }
BB_INLINE __m128 vf_high(vf v) { return _mm256_extractf128_ps(v, 1); }

BB_INLINE vh vh_load(const uint16_t *p) { return _mm_loadu_si128((const __m128i *)p); }
BB_INLINE void vh_store(uint16_t *p, vh v) { _mm_storeu_si128((__m128i *)p, v); }
BB_INLINE vh vh_load_part(const uint16_t *p, int n)
{
    uint16_t h[VL] = { 0 };
    for (int i = 0; i < n; i++) h[i] = p[i];
    return vh_load(h);
}
BB_INLINE void vh_store_part(uint16_t *p, int n, vh v)
{
    uint16_t h[VL];
    vh_store(h, v);
    for (int i = 0; i < n; i++) p[i] = h[i];
}

BB_INLINE vh vh_low_halves(vi v)
{
    return _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}

BB_INLINE vh vh_of_ints(vi v)
{
    return _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}

/* VL bytes: the low half of vb. */
typedef __m128i vb;

BB_INLINE vb vb_load(const int8_t *p) { return _mm_loadl_epi64((const __m128i *)(const void *)p); }
BB_INLINE vb vb_load_part(const int8_t *p, int n)
{
    int8_t b[VL] = { 0 };
    for (int i = 0; i < n; i++) b[i] = p[i];
    return vb_load(b);
}
BB_INLINE void vb_store(int8_t *p, vb v) { _mm_storel_epi64((__m128i *)(void *)p, v); }
BB_INLINE void vb_store_part(int8_t *p, int n, vb v)
{
    int8_t b[VL];
    vb_store(b, v);
    for (int i = 0; i < n; i++) p[i] = b[i];
}
BB_INLINE vb vb_narrow(vi v) { return _mm_packs_epi16(vh_of_ints(v), _mm_setzero_si128()); }

BB_INLINE vi vi_load_bytes(const void *p)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p));
}

BB_INLINE int vi_largest(vi v)
{
    const __m128i q = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    const __m128i d = _mm_max_epi32(q, _mm_unpackhi_epi64(q, q));
    return _mm_cvtsi128_si32(_mm_max_epi32(d, _mm_shuffle_epi32(d, 1)));
}

BB_INLINE vh vf_to_f16(vf v) { return _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT); }
BB_INLINE vi vi_high_halves(vi v) { return _mm256_and_si256(v, _mm256_set1_epi32(-65536)); }

BB_INLINE void vf_load_pairs(const float *p, vf *first, vf *second)
{
    const vf      low = _mm256_loadu_ps(p), high = _mm256_loadu_ps(p + VL);
    const __m256d even = _mm256_castps_pd(_mm256_shuffle_ps(low, high, 0x88));
    const __m256d odd  = _mm256_castps_pd(_mm256_shuffle_ps(low, high, 0xdd));
    *first  = _mm256_castpd_ps(_mm256_permute4x64_pd(even, 0xd8));
    *second = _mm256_castpd_ps(_mm256_permute4x64_pd(odd, 0xd8));
}

BB_INLINE void vf_transpose_fours(vf r[VL])
{
    for (int i = 0; i < 4; i++) {
        const vf low = r[i], high = r[i + 4];
        r[i]     = _mm256_permute2f128_ps(low, high, 0x20);
        r[i + 4] = _mm256_permute2f128_ps(low, high, 0x31);
    }
}

BB_INLINE __m256d vd_halves_added(vd v) { return v; }

#endif

/* ------------------------------------------------------------- both --------------------- */

BB_INLINE vf vf_zero(void) { return BB_MM(setzero_ps)(); }
BB_INLINE vf vf_set1(float f) { return BB_MM(set1_ps)(f); }
BB_INLINE vf vf_load(const float *p) { return BB_MM(loadu_ps)(p); }
BB_INLINE void vf_store(float *p, vf v) { BB_MM(storeu_ps)(p, v); }

BB_INLINE vf vf_add(vf a, vf b) { return BB_MM(add_ps)(a, b); }
BB_INLINE vf vf_sub(vf a, vf b) { return BB_MM(sub_ps)(a, b); }
BB_INLINE vf vf_mul(vf a, vf b) { return BB_MM(mul_ps)(a, b); }
BB_INLINE vf vf_div(vf a, vf b) { return BB_MM(div_ps)(a, b); }
BB_INLINE vf vf_fma(vf a, vf b, vf c) { return BB_MM(fmadd_ps)(a, b, c); }      /* a·b + c */
BB_INLINE vf vf_fnma(vf a, vf b, vf c) { return BB_MM(fnmadd_ps)(a, b, c); }    /* c - a·b */

/* b where one of them is NaN. */
BB_INLINE vf vf_max(vf a, vf b) { return BB_MM(max_ps)(a, b); }
BB_INLINE vf vf_min(vf a, vf b) { return BB_MM(min_ps)(a, b); }

/* v = 2^n · m, sqrt(1/2) <= m < sqrt(2), for normal v > 0. */
BB_INLINE void vf_split(vf v, vf *m, vf *n)
{
    const vi u = vi_of(v);
    const vi e = BB_MM(srai_epi32)(BB_MM(sub_epi32)(u, BB_MM(set1_epi32)(0x3f3504f3)), 23);
    *m = vf_of(BB_MM(sub_epi32)(u, BB_MM(slli_epi32)(e, 23)));
    *n = BB_MM(cvtepi32_ps)(e);
}

BB_INLINE vi vi_set1(int i) { return BB_MM(set1_epi32)(i); }
BB_INLINE vi vi_add(vi a, vi b) { return BB_MM(add_epi32)(a, b); }
BB_INLINE vi vi_max(vi a, vi b) { return BB_MM(max_epi32)(a, b); }

/* sum + the products of the two 16-bit numbers of each lane. */
BB_INLINE vi vi_add_pairs(vi sum, vi a, vi b)
{
#if defined(__AVX512VNNI__)
    return _mm512_dpwssd_epi32(sum, a, b);
#else
    return vi_add(sum, BB_MM(madd_epi16)(a, b));
#endif
}

/* Whole numbers to float32 and back, rounded to nearest even. */
BB_INLINE vf vf_of_ints(vi v) { return BB_MM(cvtepi32_ps)(v); }
BB_INLINE vi vi_near(vf v) { return BB_MM(cvtps_epi32)(v); }
BB_INLINE vi vb_widen(vb v) { return BB_MM(cvtepi8_epi32)(v); }

/* The bits of |v|: as whole numbers in the order of magnitude, then infinity, then NaN. */
BB_INLINE vi vf_size(vf v) { return vi_and(vi_of(v), vi_set1(0x7fffffff)); }

/* VL halves to float32, exactly, and back, rounded to nearest even, whatever the mode of the
   floating-point unit. */
BB_INLINE vf vf_from_bf16(vh h)
{
    return vf_of(BB_MM(slli_epi32)(BB_MM(cvtepu16_epi32)(h), 16));
}

BB_INLINE vh vf_to_bf16(vf v)
{
    const vi u     = vi_of(v);
    const vi top   = BB_MM(srli_epi32)(u, 16);
    const vi odd   = vi_and(top, BB_MM(set1_epi32)(1));
    const vi near  = BB_MM(srli_epi32)(
        BB_MM(add_epi32)(u, BB_MM(add_epi32)(odd, BB_MM(set1_epi32)(0x7fff))), 16);
    const vi quiet = vi_or(top, BB_MM(set1_epi32)(0x40));
    return vh_low_halves(vi_choose(vf_is_nan(v), quiet, near));
}

BB_INLINE vf vf_from_f16(vh h) { return BB_MM(cvtph_ps)(h); }

/* 2·VL bfloat16: the first and the second of each pair of neighbours. */
BB_INLINE void vf_load_bf16_pairs(const uint16_t *p, vf *first, vf *second)
{
    const vi u = vi_load(p);
    *first  = vf_of(BB_MM(slli_epi32)(u, 16));
    *second = vf_of(vi_high_halves(u));
}

/* r[i] lane j ↔ r[j] lane i */
BB_INLINE void vf_transpose(vf r[VL])
{
    vf a[VL];

    for (int i = 0; i < VL; i += 2) {     /* pairs, then fours, of neighbouring rows */
        a[i]     = BB_MM(unpacklo_ps)(r[i], r[i + 1]);
        a[i + 1] = BB_MM(unpackhi_ps)(r[i], r[i + 1]);
    }
    for (int i = 0; i < VL; i += 4) {
        const vd p = BB_MM(castps_pd)(a[i]), q = BB_MM(castps_pd)(a[i + 2]);
        const vd s = BB_MM(castps_pd)(a[i + 1]), t = BB_MM(castps_pd)(a[i + 3]);
        r[i]     = BB_MM(castpd_ps)(BB_MM(unpacklo_pd)(p, q));
        r[i + 1] = BB_MM(castpd_ps)(BB_MM(unpackhi_pd)(p, q));
        r[i + 2] = BB_MM(castpd_ps)(BB_MM(unpacklo_pd)(s, t));
        r[i + 3] = BB_MM(castpd_ps)(BB_MM(unpackhi_pd)(s, t));
    }
    vf_transpose_fours(r);
}

BB_INLINE vd vd_zero(void) { return BB_MM(setzero_pd)(); }
BB_INLINE vd vd_low(vf v) { return BB_MM(cvtps_pd)(vf_low(v)); }
BB_INLINE vd vd_high(vf v) { return BB_MM(cvtps_pd)(vf_high(v)); }
BB_INLINE vd vd_add(vd a, vd b) { return BB_MM(add_pd)(a, b); }
BB_INLINE vd vd_fma(vd a, vd b, vd c) { return BB_MM(fmadd_pd)(a, b, c); }

/* Memory as vectors, halves widened and narrowed: of bfloat16 or IEEE half. */
#define BB_HALVES(type)                                                                           \
    BB_INLINE vf vf_load_##type(const uint16_t *p) { return vf_from_##type(vh_load(p)); }         \
    BB_INLINE vf vf_load_##type##_part(const uint16_t *p, int n)                                  \
    {                                                                                             \
        return vf_from_##type(vh_load_part(p, n));                                                \
    }                                                                                             \
    BB_INLINE void vf_store_##type(uint16_t *p, vf v) { vh_store(p, vf_to_##type(v)); }           \
    BB_INLINE void vf_store_##type##_part(uint16_t *p, int n, vf v)                               \
    {                                                                                             \
        vh_store_part(p, n, vf_to_##type(v));                                                     \
    }
BB_HALVES(bf16)
BB_HALVES(f16)
#undef BB_HALVES

/* Sums of lanes i, i + 4, i + 8 …, as a tree: VL/2 apart first. */
BB_INLINE __m128 vf_quads(vf v)
{
#if BB_VEC_512
    const __m256 h = _mm256_add_ps(vf_low(v), vf_high(v));
#else
    const __m256 h = v;
#endif
    return _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
}

/* The sum of all lanes, as a tree: lane i and lane i + VL/2, then VL/4 … 1 apart. */
BB_INLINE float vf_sum(vf v)
{
    const __m128 q = vf_quads(v), d = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}

/* The sums of four vectors, each with the bits of vf_sum. */
BB_INLINE __m128 vf_sum4(vf a, vf b, vf c, vf d)
{
    __m128 p = vf_quads(a), q = vf_quads(b), r = vf_quads(c), s = vf_quads(d);
    _MM_TRANSPOSE4_PS(p, q, r, s);
    return _mm_add_ps(_mm_add_ps(p, r), _mm_add_ps(q, s));
}

/* The largest lane; NaN is not promised to show. */
BB_INLINE float vf_largest(vf v)
{
#if BB_VEC_512
    const __m256 h = _mm256_max_ps(vf_low(v), vf_high(v));
#else
    const __m256 h = v;
#endif
    const __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    const __m128 d = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(d, _mm_movehdup_ps(d)));
}

BB_INLINE double vd_sum(vd v)
{
    const __m256d h = vd_halves_added(v);
    const __m128d q = _mm_add_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));
    return _mm_cvtsd_f64(_mm_add_sd(q, _mm_unpackhi_pd(q, q)));
}

/*
 * exp(v) = 2^n · exp(r), v = n · ln 2 + r, |r| <= ln 2 / 2;   exp(r) = 1 + r + r² · q(r).
 * q has degree 4, minimax for the relative error of exp (3.1e-9) by iterated weighted least
 * squares. ln 2 is taken in two parts, the first of 9 bits, so that n times it is exact.
 */
BB_INLINE vf vf_exp_limit(vf v)           /* beyond, the result is 0 or infinity anyway */
{
    return vf_min(vf_set1(89.0f), vf_max(vf_set1(-104.0f), v));
}

BB_INLINE vf vf_exp_whole(vf v) { return vf_round(vf_mul(v, vf_set1(0x1.715476p+0f))); }

BB_INLINE vf vf_exp_rest(vf v, vf n)
{
    return vf_fnma(n, vf_set1(-0x1.bd0106p-13f), vf_fnma(n, vf_set1(0x1.63p-1f), v));
}

BB_INLINE vf vf_exp_join(vf n, vf r)
{
    vf q = vf_set1(0x1.6a243ap-10f);

    q = vf_fma(q, r, vf_set1(0x1.1239e0p-7f));
    q = vf_fma(q, r, vf_set1(0x1.5558f2p-5f));
    q = vf_fma(q, r, vf_set1(0x1.555492p-3f));
    q = vf_fma(q, r, vf_set1(0x1.fffffcp-2f));
    q = vf_fma(vf_mul(r, r), q, r);
    return vf_scale(vf_add(vf_set1(1.0f), q), n);
}

/* At most 2 ulp from exact while the result is a normal number; 1 at 0, infinity from 88.73 on,
   0 below -104; between -87.34 and -104 what the mode makes of denormals. NaN stays NaN. */
BB_INLINE vf vf_exp(vf v)
{
    const vf x = vf_exp_limit(v), n = vf_exp_whole(x);
    return vf_exp_join(n, vf_exp_rest(x, n));
}

/* 2^v for v <= 0, where the power of two is what is wanted, in fewer operations than exp.
   2^v = 2^n · 2^f, |f| <= 1/2;   2^f = 1 + f · q(f), q of degree 4 as for exp (9.2e-8). At most
   2 ulp from exact while the result is a normal number; 1 at 0, 0 from -151 on; with 8 lanes 0 from
   -127 on. NaN stays NaN. */
BB_INLINE vf vf_exp2_negative(vf v)
{
#if BB_VEC_512
    const vf x = vf_max(vf_set1(-151.0f), v), n = vf_round(x);
#else
    /* Whole numbers are all that floats near 3 · 2^22 hold: n + 127, the exponent of 2^n, are the
       last bits of this sum. Those of n = -127 are those of 0. */
    const vf shift = vf_set1(0x1.8p23f + 127.0f);
    const vf x = vf_max(vf_set1(-127.0f), v), sum = vf_add(x, shift), n = vf_sub(sum, shift);
#endif
    const vf f = vf_sub(x, n);
    vf       q = vf_set1(0x1.5bb9e6p-10f);

    q = vf_fma(q, f, vf_set1(0x1.3ceab4p-7f));
    q = vf_fma(q, f, vf_set1(0x1.c6b754p-5f));
    q = vf_fma(q, f, vf_set1(0x1.ebf9bcp-3f));
    q = vf_fma(q, f, vf_set1(0x1.62e42ap-1f));
    q = vf_fma(q, f, vf_set1(1.0f));
#if BB_VEC_512
    return vf_scale(q, n);
#else
    return vf_mul(q, vf_of(_mm256_slli_epi32(vi_of(sum), 23)));
#endif
}

/* An exponent, or a part of one, that floats can hold; exp is 0 or infinity well before. */
BB_INLINE double vf_exp_term(double v)
{
    return v < -1000.0 ? -1000.0 : v > 1000.0 ? 1000.0 : v;
}

/* exp(v + low), the sum not rounded: for differences that one float cannot hold.
   |low| <= 2^-10. The bounds are those of vf_exp for the sum. */
BB_INLINE vf vf_exp_sum(vf v, vf low)
{
    const vf x = vf_exp_limit(v), n = vf_exp_whole(x);
    return vf_exp_join(n, vf_add(vf_exp_rest(x, n), low));
}

/* v / (1 + exp(-v)): -0 below -88.7, NaN at -infinity, as the formula says. */
BB_INLINE vf vf_silu(vf v)
{
    return vf_div(v, vf_add(vf_set1(1.0f), vf_exp(vf_sub(vf_zero(), v))));
}

/* kept · S - lost · S + in (fading.h) */
BB_INLINE vf vf_fade(float kept, float lost, vf S, vf in)
{
    BB_KEEP(S);
    return vf_fma(vf_set1(kept), S, vf_fnma(vf_set1(lost), S, in));
}

/* A full vector unless n < VL; n may be negative. */
BB_INLINE vf vf_load_up_to(const float *p, int n)
{
    return n >= VL ? vf_load(p) : n > 0 ? vf_load_part(p, n) : vf_zero();
}

BB_INLINE void vf_store_up_to(float *p, int n, vf v)
{
    if (n >= VL)    vf_store(p, v);
    else if (n > 0) vf_store_part(p, n, v);
}

BB_INLINE vb vb_load_up_to(const int8_t *p, int n)
{
    return n >= VL ? vb_load(p) : vb_load_part(p, n);
}

BB_INLINE void vb_store_up_to(int8_t *p, int n, vb v)
{
    if (n >= VL) vb_store(p, v);
    else         vb_store_part(p, n, v);
}

/* The bits of the largest magnitude of x [n]; of a NaN if there is one. */
BB_INLINE uint32_t vf_most(int n, const float *x)
{
    vi most = vi_set1(0);

    for (int i = 0; i < n; i += VL) most = vi_max(most, vf_size(vf_load_up_to(x + i, n - i)));
    return (uint32_t)vi_largest(most);
}

/* out[i] = f(x[i], y[i], c) for i < n, f inlined; out may be x or y. */
typedef vf vf_map_fn(vf x, vf y, const vf *c);
BB_INLINE void vf_map(int n, vf_map_fn *f, const vf *c, const float *x, const float *y, float *out)
{
    int i = 0;

    for (; i + VL <= n; i += VL) vf_store(out + i, f(vf_load(x + i), vf_load(y + i), c));
    if (i < n)
        vf_store_part(out + i, n - i, f(vf_load_part(x + i, n - i), vf_load_part(y + i, n - i), c));
}

#endif
