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

/* Bytes of a row-major matrix of float32, or of halves. */
size_t bb_bytes_f32(int rows, int cols);
size_t bb_bytes_half(int rows, int cols);

/* Row-major float32; row-major halves, by a conversion. */
bb_decode_fn bb_decode_f32;
bb_encode_fn bb_encode_f32;
void bb_decode_half(bb_widen_fn *widen, int rows, int cols, const void *W, int first, float *w,
                    size_t ldw);
void bb_encode_half(bb_narrow_fn *narrow, int rows, int cols, const float *w, size_t ldw, void *W,
                    int first);

/* Defines the bb_decode_fn and the bb_encode_fn of halves that two conversions make. */
#define BB_DEFINE_ROWS(widen, narrow, decode, encode)                                             \
    void decode(int rows, int cols, const void *W, int first, float *w, size_t ldw)               \
    {                                                                                             \
        bb_decode_half(widen, rows, cols, W, first, w, ldw);                                      \
    }                                                                                             \
    void encode(int rows, int cols, const float *w, size_t ldw, void *W, int first)               \
    {                                                                                             \
        bb_encode_half(narrow, rows, cols, w, ldw, W, first);                                     \
    }

/* What exists at each of the levels c, avx2 and avx512. */
#define BB_VARIANTS(isa)                                                                          \
    extern const bb_format bb_format_f32_##isa, bb_format_bf16_##isa, bb_format_f16_##isa;        \
    extern const bb_cache  bb_cache_f32_##isa, bb_cache_bf16_##isa, bb_cache_f16_##isa;           \
    bb_widen_fn          bb_widen_bf16_##isa, bb_widen_f16_##isa;                                 \
    bb_narrow_fn         bb_narrow_bf16_##isa, bb_narrow_f16_##isa;                               \
    bb_decode_fn         bb_decode_bf16_##isa, bb_decode_f16_##isa;                               \
    bb_encode_fn         bb_encode_bf16_##isa, bb_encode_f16_##isa;                               \
    bb_attend_join_fn    bb_attend_join_##isa;                                                    \
    bb_axpy_fn           bb_axpy_##isa;                                                           \
    bb_mul_fn            bb_mul_##isa;                                                            \
    bb_relu2_fn          bb_relu2_##isa;                                                          \
    bb_silu_mul_fn       bb_silu_mul_##isa;                                                       \
    bb_rmsnorm_fn        bb_rmsnorm_##isa;                                                        \
    bb_gated_rmsnorm_fn  bb_gated_rmsnorm_##isa;                                                  \
    bb_softplus_clamp_fn bb_softplus_clamp_##isa;                                                 \
    bb_rope_fn           bb_rope_##isa;                                                           \
    bb_conv1d_fn         bb_conv1d_##isa;                                                         \
    bb_ssd_step_fn       bb_ssd_step_##isa;                                                       \
    bb_ssd_chunk_fn      bb_ssd_chunk_##isa;                                                      \
    bb_ssd_cb_fn         bb_ssd_cb_##isa;                                                         \
    bb_read_fn           bb_read_##isa;                                                           \
    bb_peak_fn           bb_peak_f32_##isa

BB_VARIANTS(c);
BB_VARIANTS(avx2);
BB_VARIANTS(avx512);

/* What wins by instructions that these levels lack. */
extern const bb_format bb_format_bf16_avx512bf16;
bb_attend_fn           bb_attend_bf16_avx512bf16;
bb_peak_fn             bb_peak_bf16_avx512bf16, bb_peak_i8_avx512vnni, bb_peak_i8_avxvnni;

#endif
