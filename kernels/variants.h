/* variants.h - every variant of every kernel, by name.
 *
 * Owns:    the declarations that kernels.c puts into the table and each kernel's file defines.
 * Not:     contracts (kernels.h).
 */
#ifndef BB_VARIANTS_H
#define BB_VARIANTS_H

#include "kernels.h"

bb_widen_fn          bb_widen_bf16_c, bb_widen_f16_c,
                     bb_widen_bf16_avx2, bb_widen_f16_avx2,
                     bb_widen_bf16_avx512, bb_widen_f16_avx512;
bb_narrow_fn         bb_narrow_bf16_c, bb_narrow_f16_c,
                     bb_narrow_bf16_avx2, bb_narrow_f16_avx2,
                     bb_narrow_bf16_avx512, bb_narrow_f16_avx512;
bb_arrange_fn        bb_arrange_c,
                     bb_arrange_f32_avx2, bb_arrange_bf16_avx2, bb_arrange_f16_avx2,
                     bb_arrange_f32_avx512, bb_arrange_bf16_avx512, bb_arrange_f16_avx512,
                     bb_arrange_bf16_avx512bf16;
bb_rows_fn           bb_rows_f32_c, bb_rows_bf16_c, bb_rows_f16_c,
                     bb_rows_f32_avx2, bb_rows_bf16_avx2, bb_rows_f16_avx2,
                     bb_rows_f32_avx512, bb_rows_bf16_avx512, bb_rows_f16_avx512,
                     bb_rows_bf16_avx512bf16;
bb_gemm_pack_fn      bb_gemm_pack_f32_avx2, bb_gemm_pack_f32_avx512,
                     bb_gemm_pack_bf16_avx512bf16;
bb_gemm_fn           bb_gemm_f32_avx2, bb_gemm_bf16_avx2, bb_gemm_f16_avx2,
                     bb_gemm_f32_avx512, bb_gemm_bf16_avx512, bb_gemm_f16_avx512,
                     bb_gemm_bf16_avx512bf16;
bb_kv_put_fn         bb_kv_put_f32_c, bb_kv_put_bf16_c, bb_kv_put_f16_c,
                     bb_kv_put_f32_avx2, bb_kv_put_bf16_avx2, bb_kv_put_f16_avx2,
                     bb_kv_put_f32_avx512, bb_kv_put_bf16_avx512, bb_kv_put_f16_avx512;
bb_attend_fn         bb_attend_f32_c, bb_attend_bf16_c, bb_attend_f16_c,
                     bb_attend_f32_avx2, bb_attend_bf16_avx2, bb_attend_f16_avx2,
                     bb_attend_f32_avx512, bb_attend_bf16_avx512, bb_attend_f16_avx512,
                     bb_attend_bf16_avx512bf16;
bb_attend_join_fn    bb_attend_join_c,
                     bb_attend_join_avx2,
                     bb_attend_join_avx512;
bb_axpy_fn           bb_axpy_c,
                     bb_axpy_avx2,
                     bb_axpy_avx512;
bb_silu_mul_fn       bb_silu_mul_c,
                     bb_silu_mul_avx2,
                     bb_silu_mul_avx512;
bb_rmsnorm_fn        bb_rmsnorm_c,
                     bb_rmsnorm_avx2,
                     bb_rmsnorm_avx512;
bb_gated_rmsnorm_fn  bb_gated_rmsnorm_c,
                     bb_gated_rmsnorm_avx2,
                     bb_gated_rmsnorm_avx512;
bb_softplus_clamp_fn bb_softplus_clamp_c,
                     bb_softplus_clamp_avx2,
                     bb_softplus_clamp_avx512;
bb_rope_fn           bb_rope_c,
                     bb_rope_avx2,
                     bb_rope_avx512;
bb_conv1d_fn         bb_conv1d_c,
                     bb_conv1d_avx2,
                     bb_conv1d_avx512;
bb_ssd_step_fn       bb_ssd_step_c,
                     bb_ssd_step_avx2,
                     bb_ssd_step_avx512;
bb_ssd_chunk_fn      bb_ssd_chunk_c,
                     bb_ssd_chunk_avx2,
                     bb_ssd_chunk_avx512;
bb_ssd_cb_fn         bb_ssd_cb_c,
                     bb_ssd_cb_avx2,
                     bb_ssd_cb_avx512;
bb_read_fn           bb_read_c,
                     bb_read_avx2,
                     bb_read_avx512;
bb_peak_fn           bb_peak_f32_c,
                     bb_peak_f32_avx2,
                     bb_peak_f32_avx512,
                     bb_peak_bf16_avx512bf16, bb_peak_i8_avx512bf16;

#endif
