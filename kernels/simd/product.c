/* product.c - formats of weights of one element type, floats and bytes: few.h and gemm.h with
 * float32 multiply-adds, the weights widened on their way into registers or panels. */
#include "../variants.h"
#include "bytes.h"
#include "vec.h"

enum { UNIT = 1 };                        /* float32 to multiply at once */
#if BB_VEC_512
enum { MR = 14 };                         /* 28 sums, 2 weights, 1 broadcast of 32 registers */
#else
enum { MR = 6 };                          /* 12 sums, 2 weights, 1 broadcast of 16 registers */
#endif
BB_INLINE vf product_fma(vf u, vf p, vf sum) { return vf_fma(u, p, sum); }
#include "format.h"

/* gemm_load_fn of a type: VL elements, widened. */
BB_INLINE vf load_f32(const void *row, size_t at, int left)
{
    return vf_load_up_to((const float *)row + at, left);
}

#define LOAD(type)                                                                                \
    BB_INLINE vf load_##type(const void *row, size_t at, int left)                                \
    {                                                                                             \
        const uint16_t *p = (const uint16_t *)row + at;                                           \
        return left >= VL ? vf_load_##type(p) : vf_load_##type##_part(p, left);                   \
    }
LOAD(bf16)
LOAD(f16)

#define LOAD_BYTES(type)                                                                          \
    BB_INLINE vf load_##type(const void *row, size_t at, int left)                                \
    {                                                                                             \
        uint8_t        some[VL] = { 0 };                                                          \
        const uint8_t *p = (const uint8_t *)row + at;                                             \
        if (left < VL) p = memcpy(some, p, (size_t)left);                                         \
        return vf_load_##type(p);                                                                 \
    }
LOAD_BYTES(f8)
LOAD_BYTES(i8)

/* ------------------------------------------------------------- few rows ----------------- */

/* few_load_fn of weights (step_f32, step_f16, step_bf16) and of x that meets them. float32 weights:
   steps of VL elements in their order. */
BB_INLINE void step_f32(const void *row, size_t at, int left, vf *v)
{
    v[0] = load_f32(row, at, left);
}

/* Half weights: steps of 2·VL elements in their order; step_two_f32 loads x for them. */
BB_INLINE void step_two_f32(const void *row, size_t at, int left, vf *v)
{
    v[0] = load_f32(row, at, left);
    v[1] = load_f32(row, at + VL, left - VL);
}

BB_INLINE void step_f16(const void *row, size_t at, int left, vf *v)
{
    v[0] = load_f16(row, at, left);
    v[1] = left > VL ? load_f16(row, at + VL, left - VL) : vf_zero();
}

/* bfloat16 weights and bytes: steps of 2·VL elements, the first of each pair of neighbours in v[0],
   the second in v[1]: so a shift and a mask widen them. step_pairs_f32 loads x for them. */
#define STEP_PAIRS(name, element, load_pairs)                                                     \
    BB_INLINE void name(const void *row, size_t at, int left, vf *v)                              \
    {                                                                                             \
        element        some[2 * VL] = { 0 };                                                      \
        const element *p = (const element *)row + at;                                             \
        if (left < 2 * VL) p = memcpy(some, p, (size_t)left * sizeof *p);                         \
        load_pairs(p, &v[0], &v[1]);                                                              \
    }
STEP_PAIRS(step_bf16, uint16_t, vf_load_bf16_pairs)
STEP_PAIRS(step_pairs_f32, float, vf_load_pairs)
STEP_PAIRS(step_f8, uint8_t, vf_load_f8_pairs)
STEP_PAIRS(step_i8, uint8_t, vf_load_i8_pairs)

static const few_kind few_f32  = { step_f32, step_f32, 1, VL, 4, 4 };
static const few_kind few_bf16 = { step_bf16, step_pairs_f32, 2, 2 * VL, 2, 4 };
static const few_kind few_f16  = { step_f16, step_two_f32, 2, 2 * VL, 2, 4 };
static const few_kind few_f8   = { step_f8, step_pairs_f32, 2, 2 * VL, 1, 4 };
static const few_kind few_i8   = { step_i8, step_pairs_f32, 2, 2 * VL, 1, 4 };

/* ------------------------------------------------------------- many rows ---------------- */

static void BB_ISA(bb_prepare_many_f32)(int T, int cols, const float *x, size_t ldx, void *prepared)
{
    gemm_prepare(load_f32, T, cols, x, ldx * sizeof *x, prepared);
}

/* ------------------------------------------------------------- the formats -------------- */

#define FORMAT(name, type, bytes, decode, encode)                                                 \
    DEFINE_FORMAT(name, type, BB_TYPE_F32, 2, BB_ISA(bb_prepare_many_f32), bytes, decode, encode)
FORMAT(f32, BB_TYPE_F32, bb_bytes_f32, bb_decode_f32, bb_encode_f32)
FORMAT(bf16, BB_TYPE_BF16, bb_bytes_half, BB_ISA(bb_decode_bf16), BB_ISA(bb_encode_bf16))
FORMAT(f16, BB_TYPE_F16, bb_bytes_half, BB_ISA(bb_decode_f16), BB_ISA(bb_encode_f16))
FORMAT(f8, BB_TYPE_F8_E4M3, bb_bytes_byte, BB_ISA(bb_decode_f8), bb_encode_f8)
FORMAT(i8, BB_TYPE_I8, bb_bytes_byte, BB_ISA(bb_decode_i8), NULL)
