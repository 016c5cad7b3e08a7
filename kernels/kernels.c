/* kernels.c - the table: portable C first, then each CPU level lays its kernels over it. */
#include "variants.h"

#include <string.h>

void bb_kernels_init(bb_kernels *k, unsigned cpu)
{
    *k = (bb_kernels){
        .name           = "c",
        .widen          = { NULL, bb_widen_bf16_c, bb_widen_f16_c },
        .narrow         = { NULL, bb_narrow_bf16_c, bb_narrow_f16_c },
        .rows           = { bb_rows_f32_c, bb_rows_bf16_c, bb_rows_f16_c },
        .attend         = { bb_attend_f32_c, bb_attend_bf16_c, bb_attend_f16_c },
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
    };
    (void)cpu;                            /* this build has kernels of level 0 only */
}

int bb_cpu_level(const char *name)
{
    return strcmp(name, "c") == 0 ? 0 : -1;
}
