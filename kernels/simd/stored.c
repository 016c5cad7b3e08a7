/* stored.c - rows of float32 kept as bfloat16 or as int8 with a scale, a vector at a time. */
#include "../dither.h"
#include "../variants.h"
#include "vec.h"

/* How much the noise of each of VL elements differs from that of the first. */
BB_INLINE vi noise_steps(void)
{
    uint32_t chance[VL];

    for (uint32_t i = 0; i < VL; i++) chance[i] = i * BB_DITHER_STEP;
    return vi_load(chance);
}

static void put_bf16(int rows, int n, const float *src, uint32_t noise, void *dst)
{
    const vi  step = vi_set1((int)(VL * BB_DITHER_STEP)), lanes = noise_steps();
    uint16_t *to = dst;

    for (int r = 0; r < rows; r++, src += n, to += n) {
        vi chance = vi_add(lanes, vi_set1((int)bb_dither_row(noise + (uint32_t)r)));
        for (int i = 0; i < n; i += VL) {
            const vf x = vf_load_up_to(src + i, n - i);
            const vi u = vi_of(x), moved = vi_add(u, BB_MM(srli_epi32)(chance, 16));
            const vi nan = vi_or(u, vi_set1(0x400000));
            const vi bits = BB_MM(srli_epi32)(vi_choose(vf_is_nan(x), nan, moved), 16);
            if (n - i >= VL) vh_store(to + i, vh_low_halves(bits));
            else             vh_store_part(to + i, n - i, vh_low_halves(bits));
            chance = vi_add(chance, step);
        }
    }
}

static void get_bf16(int rows, int n, const void *src, float *dst)
{
    BB_ISA(bb_widen_bf16)((size_t)rows * (size_t)n, src, dst);
}

static void put_q8(int rows, int n, const float *src, uint32_t noise, void *dst)
{
    const size_t bytes = bb_row_bytes(BB_TYPE_Q8, n);
    const vi     step = vi_set1((int)(VL * BB_DITHER_STEP)), lanes = noise_steps();
    const vf     most = vf_set1(127.0f), least = vf_set1(-127.0f);

    for (int r = 0; r < rows; r++, src += n) {
        char       *to = (char *)dst + (size_t)r * bytes;
        const float scale = bb_row_scale(vf_most(n, src));
        const vf    by = vf_set1(scale > 0.0f ? 1.0f / scale : 0.0f);
        vi          chance = vi_add(lanes, vi_set1((int)bb_dither_row(noise + (uint32_t)r)));
        memcpy(to, &scale, sizeof scale);
        to += sizeof scale;
        for (int i = 0; i < n; i += VL) {
            const vf x = isnan(scale) ? vf_zero() : vf_load_up_to(src + i, n - i);
            const vf v = vf_max(vf_min(vf_mul(x, by), most), least);
            const vf part = vf_fma(vf_of_ints(BB_MM(srli_epi32)(chance, 20)), vf_set1(0x1p-12f),
                                   vf_set1(BB_DITHER_FIRST));
            vb_store_up_to((int8_t *)(void *)(to + i), n - i, vb_narrow(vi_near(vf_add(v, part))));
            chance = vi_add(chance, step);
        }
    }
}

static void get_q8(int rows, int n, const void *src, float *dst)
{
    const size_t bytes = bb_row_bytes(BB_TYPE_Q8, n);

    for (int r = 0; r < rows; r++, dst += n) {
        const char *from = (const char *)src + (size_t)r * bytes;
        float       scale;
        memcpy(&scale, from, sizeof scale);
        from += sizeof scale;
        for (int i = 0; i < n; i += VL) {
            const vf code = vf_of_ints(vb_widen(vb_load_up_to((const int8_t *)(const void *)
                                                              (from + i), n - i)));
            vf_store_up_to(dst + i, n - i, vf_mul(vf_set1(scale), code));
        }
    }
}

const bb_rows BB_ISA(bb_rows_bf16) = { put_bf16, get_bf16 };
const bb_rows BB_ISA(bb_rows_q8) = { put_q8, get_q8 };
