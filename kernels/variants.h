/* variants.h - every variant of every kernel, by name.
 *
 * Owns:    the declarations that kernels.c puts into the table and each kernel's file defines.
 * Not:     contracts (kernels.h).
 *
 * Formats and caches are whole rows of the table; the kernels in them are static in the row's file.
 */
#ifndef BB_VARIANTS_H
#define BB_VARIANTS_H

#include "kernels.h"

/* Bytes of a weight of the row-major formats that have no scales. */
#define BB_ELEMENT_BYTES(type)                                                                    \
    ((type) == BB_TYPE_F32 ? 4 : (type) == BB_TYPE_BF16 || (type) == BB_TYPE_F16 ? 2 : 1)

/* Bytes of a row-major matrix of float32, or of halves. */
size_t bb_bytes_f32(int rows, int cols);
size_t bb_bytes_half(int rows, int cols);
/* Of bytes, and of halves of bytes. */
size_t bb_bytes_byte(int rows, int cols);
size_t bb_bytes_i4(int rows, int cols);

/* Q8 and Q4: bytes of a matrix and decode are the same functions at every level. */
size_t       bb_bytes_q8(int rows, int cols);
size_t       bb_bytes_q4(int rows, int cols);
bb_decode_fn bb_decode_q8, bb_decode_q4;

/* Row-major float32; row-major halves, by a conversion. */
bb_decode_fn bb_decode_f32;
bb_encode_fn bb_encode_f32, bb_encode_f8;
void bb_decode_half(bb_widen_fn *widen, int rows, int cols, const void *W, int first, float *w,
                    size_t ldw);
void bb_encode_half(bb_narrow_fn *narrow, int rows, int cols, const float *w, size_t ldw, void *W,
                    int first);

/* float32 rows of x, one below the other. */
bb_prepare_fn bb_prepare_c;

/* Defines the bb_decode_fn and the bb_encode_fn of halves that two conversions make. */
#define BB_DEFINE_ROWS(widen, narrow, decode, encode)                                             \
    void decode(int rows, int cols, const void *W, int first, float *w, size_t ldw)               \
    {                                                                                             \
        bb_decode_half(widen, rows, cols, W, first, w, ldw);                                      \
    }                                                                                             \
    void encode(int rows, int cols, const float *w, size_t ldw, const float *importance, void *W, \
                int first)                                                                        \
    {                                                                                             \
        (void)importance;                                                                         \
        bb_encode_half(narrow, rows, cols, w, ldw, W, first);                                     \
    }

/* Calls each(name, isa) for every kernel that is a function of its own at each of the levels c,
   avx2 and avx512. */
#define BB_EACH_KERNEL(each, isa)                                                                 \
    each(attend_join, isa) each(axpy, isa) each(gelu_mul, isa) each(mul, isa) each(relu2, isa)    \
    each(silu_mul, isa) each(rmsnorm, isa) each(gated_rmsnorm, isa) each(softplus_clamp, isa)     \
    each(rope, isa) each(conv1d, isa) each(selective_scan, isa) each(ssd_step, isa)               \
    each(ssd_chunk, isa) each(ssd_cb, isa) each(read, isa)

/* What exists at each of these levels. */
#define BB_DECLARE(name, isa) bb_##name##_fn bb_##name##_##isa;
#define BB_VARIANTS(isa)                                                                          \
    extern const bb_format bb_format_f32_##isa, bb_format_bf16_##isa, bb_format_f16_##isa,        \
                           bb_format_f8_##isa, bb_format_i8_##isa,                                \
                           bb_format_q8_##isa, bb_format_q4_##isa, bb_format_q8_fine_##isa;       \
    extern const bb_cache  bb_cache_f32_##isa, bb_cache_bf16_##isa, bb_cache_f16_##isa,           \
                           bb_cache_q8_##isa;                                                     \
    extern const bb_rows   bb_rows_bf16_##isa, bb_rows_q8_##isa;                                  \
    bb_widen_fn            bb_widen_bf16_##isa, bb_widen_f16_##isa;                               \
    bb_narrow_fn           bb_narrow_bf16_##isa, bb_narrow_f16_##isa;                             \
    bb_decode_fn           bb_decode_bf16_##isa, bb_decode_f16_##isa;                             \
    bb_encode_fn           bb_encode_bf16_##isa, bb_encode_f16_##isa, bb_encode_q8_##isa,         \
                           bb_encode_q4_##isa;                                                    \
    bb_encode_carrying_fn  bb_encode_carrying_q8_##isa, bb_encode_carrying_q4_##isa;              \
    bb_decode_fn           bb_decode_f8_##isa, bb_decode_i8_##isa, bb_decode_f8_scaled_##isa,     \
                           bb_decode_i8_scaled_##isa, bb_decode_i4_scaled_##isa;                  \
    BB_EACH_KERNEL(BB_DECLARE, isa)                                                               \
    bb_peak_fn             bb_peak_f32_##isa

BB_VARIANTS(c);
BB_VARIANTS(avx2);
BB_VARIANTS(avx512);

/* What wins by instructions that these levels lack. */
extern const bb_format bb_format_bf16_avx512bf16, bb_format_f8_avx512bf16, bb_format_i8_avx512bf16;
extern const bb_format bb_format_q8_avxvnni, bb_format_q4_avxvnni, bb_format_q8_avx512vnni,
                       bb_format_q4_avx512vnni, bb_format_q8_fine_avxvnni,
                       bb_format_q8_fine_avx512vnni;
bb_attend_fn           bb_attend_bf16_avx512bf16, bb_attend_q8_avx512vnni;
bb_peak_fn             bb_peak_bf16_avx512bf16, bb_peak_i8_avx512vnni, bb_peak_i8_avxvnni;

#endif
