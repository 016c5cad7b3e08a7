/* product_bf16.c - the formats of weights that bfloat16 holds exactly, times x rounded to bfloat16:
 * few.h and gemm.h of simd/ with dot products.
 *
 * F8_E4M3 is looked up, its two bytes in tables that fill four registers (VBMI).
 *
 * vdpbf16ps multiplies 32 pairs and adds them two by two into 16 float32 lanes. One such
 * instruction starts a cycle (Zen 4) or two (Zen 5), each result some six cycles later. */
#include "../simd/bytes.h"
#include "../simd/vec.h"
#include "../variants.h"

typedef __m512bh bf16x32;

enum { UNIT = 2 };                        /* bfloat16 to multiply at once */
enum { LANES = 32 };                      /* in a register */
enum { MR = 14 };                         /* 28 sums, 2 weights, 1 broadcast of 32 registers */
BB_INLINE vf product_fma(vf u, vf p, vf sum)
{
    return _mm512_dpbf16_ps(sum, (bf16x32)_mm512_castps_si512(u), (bf16x32)_mm512_castps_si512(p));
}
#include "../simd/format.h"

/* 32 elements of a row of weights, which are bfloat16 already. */
BB_INLINE vf load_bf16(const void *row, size_t at, int left)
{
    const uint16_t *p = (const uint16_t *)row + at;
    return _mm512_castsi512_ps(left >= LANES ? _mm512_loadu_si512(p)
                                             : _mm512_maskz_loadu_epi16((1u << left) - 1, p));
}

/* The bfloat16 of each F8_E4M3 without its sign, in two bytes. */
#define BF16_OF(e, m)                                                                             \
    ((e) == 15 && (m) == 7 ? 0x7FC0                                            /* NaN */          \
     : (e) > 0 ? ((e) + 120) << 7 | (m) << 4                                                      \
     : (m) > 3 ? 0x3C00 | ((m) & 3) << 5 : (m) > 1 ? 0x3B80 | ((m) & 1) << 6 : (m) * 0x3B00)
#define HIGH(bits)     (uint8_t)((bits) >> 8)
#define LOW(bits)      (uint8_t)((bits) & 0xFF)
#define OF_E(part, e)  part(BF16_OF(e, 0)), part(BF16_OF(e, 1)), part(BF16_OF(e, 2)),             \
                       part(BF16_OF(e, 3)), part(BF16_OF(e, 4)), part(BF16_OF(e, 5)),             \
                       part(BF16_OF(e, 6)), part(BF16_OF(e, 7))
#define EACH_E(part)   OF_E(part, 0), OF_E(part, 1), OF_E(part, 2), OF_E(part, 3), OF_E(part, 4), \
                       OF_E(part, 5), OF_E(part, 6), OF_E(part, 7), OF_E(part, 8),                \
                       OF_E(part, 9), OF_E(part, 10), OF_E(part, 11), OF_E(part, 12),             \
                       OF_E(part, 13), OF_E(part, 14), OF_E(part, 15)
static _Alignas(64) const uint8_t high_of[128] = { EACH_E(HIGH) }, low_of[128] = { EACH_E(LOW) };

/* One byte of two of the bfloat16 of 64 codes. */
BB_INLINE __m512i look_up(const uint8_t *table, __m512i codes)
{
    return _mm512_permutex2var_epi8(_mm512_load_si512(table), codes,
                                    _mm512_load_si512(table + 64));
}

/* few_load_fn of F8_E4M3: 64 weights, of each sixteen the first eight in one register, the others
   in the second, as bytes meet in unpacking. */
BB_INLINE void step_f8(const void *row, size_t at, int left, vf *v)
{
    const uint8_t *p     = (const uint8_t *)row + at;
    const __m512i  codes = left >= 64 ? _mm512_loadu_si512(p)
                                      : _mm512_maskz_loadu_epi8((1ull << left) - 1, p);
    const __m512i  low   = look_up(low_of, codes);
    const __m512i  high  = _mm512_ternarylogic_epi32(look_up(high_of, codes), codes, /* a | b & c */
                                                     _mm512_set1_epi8((char)0x80), 0xF8);
    v[0] = vf_of(_mm512_unpacklo_epi8(low, high));
    v[1] = vf_of(_mm512_unpackhi_epi8(low, high));
}

/* gemm_load_fn of bytes: 32 weights as bfloat16 in their order. */
#define LOAD_BYTES(type)                                                                          \
    BB_INLINE vf load_##type(const void *row, size_t at, int left)                                \
    {                                                                                             \
        uint8_t        some[LANES] = { 0 };                                                       \
        const uint8_t *p = (const uint8_t *)row + at;                                             \
        vf             first, second;                                                             \
        if (left < LANES) p = memcpy(some, p, (size_t)left);                                      \
        vf_load_##type##_pairs(p, &first, &second);                                               \
        return vf_of(vi_or(_mm512_srli_epi32(vi_of(first), 16), vi_of(second)));                  \
    }
LOAD_BYTES(f8)
LOAD_BYTES(i8)

BB_INLINE void step_i8(const void *row, size_t at, int left, vf *v)
{
    v[0] = load_i8(row, at, left);
}

/* 32 elements of a row of x, rounded to bfloat16. */
BB_INLINE vf load_rounded(const void *row, size_t at, int left)
{
    const float *p = (const float *)row + at;
    const int    n0 = left < VL ? left : VL;
    const int    n1 = left - n0 < VL ? left - n0 : VL;
    const vh     low = vf_to_bf16(vf_load_part(p, n0));
    const vh     high = vf_to_bf16(n1 > 0 ? vf_load_part(p + VL, n1) : vf_zero());

    return _mm512_castsi512_ps(_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1));
}

/* few_load_fn: one register a step. */
BB_INLINE void step_pairs(const void *row, size_t at, int left, vf *v)
{
    v[0] = load_bf16(row, at, left);
}

BB_INLINE void step_rounded(const void *row, size_t at, int left, vf *v)
{
    v[0] = load_rounded(row, at, left);
}

/* 64 elements of x in the order of step_f8. */
BB_INLINE void step_rounded_eights(const void *row, size_t at, int left, vf *v)
{
    const vi a = vi_of(load_rounded(row, at, left < LANES ? left : LANES));
    const vi b = left > LANES ? vi_of(load_rounded(row, at + LANES, left - LANES))
                              : _mm512_setzero_si512();
    v[0] = vf_of(_mm512_shuffle_i32x4(a, b, 0x88));
    v[1] = vf_of(_mm512_shuffle_i32x4(a, b, 0xDD));
}

static const few_kind few_bf16 = { step_pairs, step_rounded, 1, LANES, 2, 4 };
static const few_kind few_f8   = { step_f8, step_rounded_eights, 2, 64, 1, 4 };
static const few_kind few_i8   = { step_i8, step_rounded, 1, LANES, 1, 4 };

static void bb_prepare_many_bf16_avx512bf16(int T, int cols, const float *x, size_t ldx,
                                            void *prepared)
{
    gemm_prepare(load_rounded, T, cols, x, ldx * sizeof *x, prepared);
}

#define FORMAT(name, type, alone, bytes, decode, encode)                                          \
    DEFINE_FORMAT(name, type, BB_TYPE_BF16, alone, bb_prepare_many_bf16_avx512bf16, bytes,        \
                  decode, encode)
FORMAT(bf16, BB_TYPE_BF16, 1, bb_bytes_half, bb_decode_bf16_avx512, bb_encode_bf16_avx512)
FORMAT(f8, BB_TYPE_F8_E4M3, 1, bb_bytes_byte, bb_decode_f8_avx512, bb_encode_f8)
FORMAT(i8, BB_TYPE_I8, 2, bb_bytes_byte, bb_decode_i8_avx512, NULL)
