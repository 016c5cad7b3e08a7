/* stored.c - rows of float32 kept as bfloat16 or as int8 with a scale, in portable C. */
#include "../variants.h"
#include "../dither.h"
#include "scalar.h"

#include <stdbool.h>

static void put_bf16(int rows, int n, const float *src, uint32_t noise, void *dst)
{
    uint16_t *to = dst;

    for (int r = 0; r < rows; r++) {
        uint32_t chance = bb_dither_row(noise + (uint32_t)r);
        for (int i = 0; i < n; i++, src++, to++, chance += BB_DITHER_STEP) {
            const uint32_t u      = float_bits(*src);
            const uint32_t is_nan = mask_less(0x7f800000u, u & 0x7fffffffu);
            *to = (uint16_t)choose(is_nan, u >> 16 | 0x40u, (u + (chance >> 16)) >> 16);
        }
    }
}

static void get_bf16(int rows, int n, const void *src, float *dst)
{
    bb_widen_bf16_c((size_t)rows * (size_t)n, src, dst);
}

static void put_q8(int rows, int n, const float *src, uint32_t noise, void *dst)
{
    const size_t bytes = bb_row_bytes(BB_TYPE_Q8, n);

    for (int r = 0; r < rows; r++, src += n) {
        char    *to = (char *)dst + (size_t)r * bytes;
        int8_t  *code = (int8_t *)(void *)(to + sizeof(float));
        uint32_t chance = bb_dither_row(noise + (uint32_t)r), most = 0;
        for (int i = 0; i < n; i++) {
            const uint32_t size = float_bits(src[i]) & 0x7fffffffu;
            most = size > most ? size : most;
        }
        const float scale = bb_row_scale(most), by = scale > 0.0f ? 1.0f / scale : 0.0f;
        memcpy(to, &scale, sizeof scale);
        for (int i = 0; i < n; i++, chance += BB_DITHER_STEP) {
            const float v = isnan(scale) ? 0.0f : src[i] * by;
            const float cut = v > 127.0f ? 127.0f : v > -127.0f ? v : -127.0f;
            const float part = (float)(chance >> 20) * 0x1p-12f + BB_DITHER_FIRST;
            code[i] = (int8_t)lrintf(cut + part);
        }
    }
}

static void get_q8(int rows, int n, const void *src, float *dst)
{
    const size_t bytes = bb_row_bytes(BB_TYPE_Q8, n);

    for (int r = 0; r < rows; r++, dst += n) {
        const char   *from = (const char *)src + (size_t)r * bytes;
        const int8_t *code = (const int8_t *)(const void *)(from + sizeof(float));
        float         scale;
        memcpy(&scale, from, sizeof scale);
        for (int i = 0; i < n; i++) dst[i] = scale * (float)code[i];
    }
}

const bb_rows bb_rows_bf16_c = { put_bf16, get_bf16 };
const bb_rows bb_rows_q8_c = { put_q8, get_q8 };
