/* kernels.c - the table: portable C first, then each CPU level lays its kernels over it. */
#include "variants.h"

#include <string.h>

/* -DBB_X86=0 builds without the vector kernels. */
#ifndef BB_X86
#  if defined(__x86_64__) && defined(__GNUC__)
#    define BB_X86 1
#  else
#    define BB_X86 0
#  endif
#endif

/* The cache of a type at a level with one kernel for few rows and many. */
#define CACHE(type, level)                                                                        \
    (bb_cache){ bb_kv_put_##type##_##level, bb_attend_##type##_##level,                           \
                bb_attend_##type##_##level }

/* A format at a level that multiplies in float32, and the rows its registers hold side by side. */
#define FORMAT(type, level)                                                                       \
    (bb_format){ BB_TYPE_F32, bb_arrange_##type##_##level, bb_rows_##type##_##level,              \
                 GROUP_##level, bb_gemm_pack_f32_##level, bb_gemm_##type##_##level }
enum { GROUP_avx2 = 6, GROUP_avx512 = 14 };

void bb_kernels_init(bb_kernels *k, unsigned cpu)
{
    *k = (bb_kernels){
        .name           = "c",
        .widen          = { [BB_TYPE_BF16] = bb_widen_bf16_c, [BB_TYPE_F16] = bb_widen_f16_c },
        .narrow         = { [BB_TYPE_BF16] = bb_narrow_bf16_c, [BB_TYPE_F16] = bb_narrow_f16_c },
        .format         = { [BB_TYPE_F32]  = { BB_TYPE_F32, bb_arrange_c, bb_rows_f32_c, 0, NULL, NULL },
                            [BB_TYPE_BF16] = { BB_TYPE_F32, bb_arrange_c, bb_rows_bf16_c, 0, NULL, NULL },
                            [BB_TYPE_F16]  = { BB_TYPE_F32, bb_arrange_c, bb_rows_f16_c, 0, NULL, NULL } },
        .cache          = { [BB_TYPE_F32] = CACHE(f32, c), [BB_TYPE_BF16] = CACHE(bf16, c),
                            [BB_TYPE_F16] = CACHE(f16, c) },
        .attend_join    = bb_attend_join_c,
        .axpy           = bb_axpy_c,
        .silu_mul       = bb_silu_mul_c,
        .rmsnorm        = bb_rmsnorm_c,
        .gated_rmsnorm  = bb_gated_rmsnorm_c,
        .softplus_clamp = bb_softplus_clamp_c,
        .rope           = bb_rope_c,
        .conv1d         = bb_conv1d_c,
        .ssd_step       = bb_ssd_step_c,
        .ssd_chunk      = bb_ssd_chunk_c,
        .ssd_cb         = bb_ssd_cb_c,
        .read           = bb_read_c,
        .peak           = { [BB_PEAK_F32] = bb_peak_f32_c },
    };
#if BB_X86
    if (!(cpu & BB_CPU_AVX2)) return;
    k->name = "avx2";
    k->format[BB_TYPE_F32]  = FORMAT(f32, avx2);
    k->format[BB_TYPE_BF16] = FORMAT(bf16, avx2);
    k->format[BB_TYPE_F16]  = FORMAT(f16, avx2);
    k->widen[BB_TYPE_BF16]  = bb_widen_bf16_avx2;
    k->widen[BB_TYPE_F16]   = bb_widen_f16_avx2;
    k->narrow[BB_TYPE_BF16] = bb_narrow_bf16_avx2;
    k->narrow[BB_TYPE_F16]  = bb_narrow_f16_avx2;
    k->axpy                 = bb_axpy_avx2;
    k->silu_mul             = bb_silu_mul_avx2;
    k->rmsnorm              = bb_rmsnorm_avx2;
    k->gated_rmsnorm        = bb_gated_rmsnorm_avx2;
    k->softplus_clamp       = bb_softplus_clamp_avx2;
    k->rope                 = bb_rope_avx2;
    k->conv1d               = bb_conv1d_avx2;
    k->ssd_step             = bb_ssd_step_avx2;
    k->read                 = bb_read_avx2;
    k->peak[BB_PEAK_F32]    = bb_peak_f32_avx2;
    k->ssd_chunk            = bb_ssd_chunk_avx2;
    k->ssd_cb               = bb_ssd_cb_avx2;
    k->cache[BB_TYPE_F32]   = CACHE(f32, avx2);
    k->cache[BB_TYPE_BF16] = CACHE(bf16, avx2);
    k->cache[BB_TYPE_F16]   = CACHE(f16, avx2);
    k->attend_join          = bb_attend_join_avx2;

    if (!(cpu & BB_CPU_AVX512)) return;
    k->name = "avx512";
    k->format[BB_TYPE_F32]  = FORMAT(f32, avx512);
    k->format[BB_TYPE_BF16] = FORMAT(bf16, avx512);
    k->format[BB_TYPE_F16]  = FORMAT(f16, avx512);
    k->widen[BB_TYPE_BF16]  = bb_widen_bf16_avx512;
    k->widen[BB_TYPE_F16]   = bb_widen_f16_avx512;
    k->narrow[BB_TYPE_BF16] = bb_narrow_bf16_avx512;
    k->narrow[BB_TYPE_F16]  = bb_narrow_f16_avx512;
    k->axpy                 = bb_axpy_avx512;
    k->silu_mul             = bb_silu_mul_avx512;
    k->rmsnorm              = bb_rmsnorm_avx512;
    k->gated_rmsnorm        = bb_gated_rmsnorm_avx512;
    k->softplus_clamp       = bb_softplus_clamp_avx512;
    k->rope                 = bb_rope_avx512;
    k->conv1d               = bb_conv1d_avx512;
    k->ssd_step             = bb_ssd_step_avx512;
    k->read                 = bb_read_avx512;
    k->peak[BB_PEAK_F32]    = bb_peak_f32_avx512;
    k->ssd_chunk            = bb_ssd_chunk_avx512;
    k->ssd_cb               = bb_ssd_cb_avx512;
    k->cache[BB_TYPE_F32]   = CACHE(f32, avx512);
    k->cache[BB_TYPE_BF16] = CACHE(bf16, avx512);
    k->cache[BB_TYPE_F16]   = CACHE(f16, avx512);
    k->attend_join          = bb_attend_join_avx512;

    if (!(cpu & BB_CPU_BF16)) return;
    k->name = "avx512bf16";
    k->cache[BB_TYPE_BF16].attend_many = bb_attend_bf16_avx512bf16;
    k->format[BB_TYPE_BF16] = (bb_format){ BB_TYPE_BF16, bb_arrange_bf16_avx512bf16,
                                           bb_rows_bf16_avx512bf16, 14,
                                           bb_gemm_pack_bf16_avx512bf16,
                                           bb_gemm_bf16_avx512bf16 };
    k->peak[BB_PEAK_BF16]   = bb_peak_bf16_avx512bf16;
    k->peak[BB_PEAK_I8]     = bb_peak_i8_avx512bf16;
#else
    (void)cpu;
#endif
}

void bb_kernels_keep_f32(bb_kernels *k)
{
    bb_kernels below;

    bb_kernels_init(&below, (unsigned)bb_cpu_level(k->name) & ~(unsigned)BB_CPU_BF16);
    for (int type = BB_TYPE_F32; type < BB_N_FLOATS; type++) {
        if (k->format[type].activation != BB_TYPE_F32) k->format[type] = below.format[type];
        k->cache[type] = below.cache[type];
    }
}

int bb_cpu_level(const char *name)
{
    if (strcmp(name, "c") == 0) return 0;
#if BB_X86
    if (strcmp(name, "avx2") == 0) return BB_CPU_AVX2;
    if (strcmp(name, "avx512") == 0) return BB_CPU_AVX2 | BB_CPU_AVX512;
    if (strcmp(name, "avx512bf16") == 0) return BB_CPU_AVX2 | BB_CPU_AVX512 | BB_CPU_BF16;
#endif
    return -1;
}
