/* product_bf16.c - the formats of weights that bfloat16 holds exactly, times x rounded to bfloat16:
 * few.h and gemm.h of simd/ with dot products.
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

/* 32 bytes of a row of weights as bfloat16, pairs of which fill a lane. */
#define LOAD_BYTES(type)                                                                          \
    BB_INLINE vf load_##type(const void *row, size_t at, int left)                                \
    {                                                                                             \
        uint8_t        some[LANES] = { 0 };                                                       \
        const uint8_t *p = (const uint8_t *)row + at;                                             \
        vf             first, second;                                                             \
        if (left < LANES) p = memcpy(some, p, (size_t)left);                                      \
        vf_load_##type##_pairs(p, &first, &second);                                               \
        return vf_of(vi_or(_mm512_srli_epi32(vi_of(first), 16), vi_of(second)));                  \
    }                                                                                             \
    BB_INLINE void step_##type(const void *row, size_t at, int left, vf *v)                       \
    {                                                                                             \
        v[0] = load_##type(row, at, left);                                                        \
    }
LOAD_BYTES(f8)
LOAD_BYTES(i8)

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

static const few_kind few_bf16 = { step_pairs, step_rounded, 1, LANES, 2, 4 };
static const few_kind few_f8   = { step_f8, step_rounded, 1, LANES, 1, 4 };
static const few_kind few_i8   = { step_i8, step_rounded, 1, LANES, 1, 4 };

static void bb_prepare_many_bf16_avx512bf16(int T, int cols, const float *x, size_t ldx,
                                            void *prepared)
{
    gemm_prepare(load_rounded, T, cols, x, ldx * sizeof *x, prepared);
}

#define FORMAT(name, type, bytes, decode, encode)                                                 \
    DEFINE_FORMAT(name, type, BB_TYPE_BF16, bb_prepare_many_bf16_avx512bf16, bytes, decode, encode)
FORMAT(bf16, BB_TYPE_BF16, bb_bytes_half, bb_decode_bf16_avx512, bb_encode_bf16_avx512)
FORMAT(f8, BB_TYPE_F8_E4M3, bb_bytes_byte, bb_decode_f8_avx512, bb_encode_f8)
FORMAT(i8, BB_TYPE_I8, bb_bytes_byte, bb_decode_i8_avx512, NULL)
