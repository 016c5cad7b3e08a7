/* attention.c - caches of every type, attention over them in float32 arithmetic. */
#include "simd/attention.h"

/* Where a panel has its row and lane, in elements. */
BB_INLINE size_t place(int type, int row, int lane)
{
    if (type != BB_TYPE_BF16) return (size_t)(row * LANES + lane);
    return (size_t)(row / 2 * 2 * LANES + 2 * lane + row % 2);
}

BB_INLINE void narrow_part(int type, const float *src, int n, uint16_t *dst)
{
    const vf x = vf_load_part(src, n);

    if (type == BB_TYPE_BF16) vf_store_bf16(dst, x);
    else                      vf_store_f16(dst, x);
}

BB_INLINE void put(int type, int d, const float *k, const float *v, int at, void *block)
{
    const size_t key_panel = BB_KV_WIDTH(d) * LANES, value_panel = BB_KV_BLOCK * LANES;
    const size_t keys = (size_t)(at / LANES) * key_panel;
    const size_t values = BB_KV_BLOCK / LANES * key_panel;

    for (int w = 0; w < d; w += VL) {
        const int n = d - w < VL ? d - w : VL;
        uint16_t  k_half[VL], v_half[VL];
        if (type != BB_TYPE_F32) {
            narrow_part(type, k + w, n, k_half);
            narrow_part(type, v + w, n, v_half);
        }
        for (int i = 0; i < n; i++) {
            const size_t k_at = keys + place(type, w + i, at % LANES);
            const size_t v_at = values + (size_t)((w + i) / LANES) * value_panel
                              + place(type, at, (w + i) % LANES);
            if (type == BB_TYPE_F32) {
                ((float *)block)[k_at] = k[w + i];
                ((float *)block)[v_at] = v[w + i];
            } else {
                ((uint16_t *)block)[k_at] = k_half[i];
                ((uint16_t *)block)[v_at] = v_half[i];
            }
        }
    }
}

#define DEFINE_PUT(name, type)                                                                 \
    void name(int d, const float *k, const float *v, int at, void *block)                      \
    {                                                                                          \
        put(type, d, k, v, at, block);                                                         \
    }

DEFINE_PUT(BB_ISA(bb_kv_put_f32), BB_TYPE_F32)
DEFINE_PUT(BB_ISA(bb_kv_put_bf16), BB_TYPE_BF16)
DEFINE_PUT(BB_ISA(bb_kv_put_f16), BB_TYPE_F16)
DEFINE_ATTEND(BB_ISA(bb_attend_f32), BB_TYPE_F32)
DEFINE_ATTEND(BB_ISA(bb_attend_bf16), BB_TYPE_BF16)
DEFINE_ATTEND(BB_ISA(bb_attend_f16), BB_TYPE_F16)

static void add_part(int d, vf fade, const float *sum, float *out)
{
    int w = 0;

    for (; w + VL <= d; w += VL)
        vf_store(out + w, vf_fma(fade, vf_load(sum + w), vf_load(out + w)));
    if (w < d)
        vf_store_part(out + w, d - w,
                      vf_fma(fade, vf_load_part(sum + w, d - w), vf_load_part(out + w, d - w)));
}

static void divide(int d, vf by, float *out)
{
    int w = 0;

    for (; w + VL <= d; w += VL) vf_store(out + w, vf_div(vf_load(out + w), by));
    if (w < d) vf_store_part(out + w, d - w, vf_div(vf_load_part(out + w, d - w), by));
}

void BB_ISA(bb_attend_join)(int n_parts, int heads, int d, const float *part, size_t ld_part,
                            float *out)
{
    const size_t at_largest = BB_KV_WIDTH(d), at_weight = at_largest + 1;

    for (int h = 0; h < heads; h++) {
        const float *first = part + (size_t)h * BB_ATTEND_PART(d);
        float       *o = out + (size_t)h * (size_t)d;
        float        most = -INFINITY;
        vf           weight = vf_zero();

        for (int j = 0; j < n_parts; j++) {
            const float largest = first[(size_t)j * ld_part + at_largest];
            most = largest > most ? largest : most;
        }
        memset(o, 0, (size_t)d * sizeof *o);
        for (int j = 0; j < n_parts; j++) {
            const float *u = first + (size_t)j * ld_part;
            const vf     fade = vf_exp(vf_set1(u[at_largest] - most));
            weight = vf_fma(fade, vf_set1(u[at_weight]), weight);
            add_part(d, fade, u, o);
        }
        divide(d, weight, o);
    }
}
