/* attention.c - caches of every type, attention over them in float32 arithmetic. */
#include "simd/attention.h"

/* Where a panel has its row and lane, in elements. */
BB_INLINE size_t place(int type, int row, int lane)
{
    if (type != BB_TYPE_BF16 && !is_whole(type)) return (size_t)(row * LANES + lane);
    return (size_t)(row / 2 * 2 * LANES + 2 * lane + row % 2);
}

/* Where a block has element i of the key, or of the value, of position `at`. */
BB_INLINE size_t key_at(int type, int d, int i, int at)
{
    return (size_t)(at / LANES) * BB_KV_WIDTH(d) * LANES + place(type, i, at % LANES);
}

BB_INLINE size_t value_at(int type, int d, int i, int at)
{
    return BB_KV_BLOCK * BB_KV_WIDTH(d) + (size_t)(i / LANES) * BB_KV_BLOCK * LANES
         + place(type, at, i % LANES);
}

/* Element i of the key (part 0) or value (part 1) of position `at`, in int8. */
BB_INLINE int8_t *code_at(int d, int i, int part, int at, const void *block)
{
    return (int8_t *)(uintptr_t)block
         + (part ? value_at(BB_TYPE_Q8, d, i, at) : key_at(BB_TYPE_Q8, d, i, at));
}

BB_INLINE float widen_scale(uint16_t bits)
{
    const uint32_t u = (uint32_t)bits << 16;
    float          f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* x [d] becomes the key or value of position `at`: codes and their scale. */
static void put_codes(int d, const float *x, int part, int at, void *block)
{
    const uint32_t most = vf_most(d, x);
    const bool     finite = most < 0x7f800000u;
    uint16_t       bits[VL];
    int8_t         code[VL];
    float          size;

    memcpy(&size, &most, sizeof size);
    vf_store_bf16(bits, vf_set1(finite ? size / 127.0f : NAN));
    if (widen_scale(bits[0]) < 0x1p-100f) bits[0] = 0;
    const vf by = vf_set1(finite && bits[0] ? 1.0f / widen_scale(bits[0]) : 0.0f);
    for (int w = 0; w < d; w += VL) {
        const int n = d - w < VL ? d - w : VL;
        const vf  v = finite ? vf_mul(vf_load_part(x + w, n), by) : vf_zero();
        vb_store(code, vb_narrow(vi_near(v)));
        for (int i = 0; i < n; i++) *code_at(d, w + i, part, at, block) = code[i];
    }
    ((uint16_t *)(uintptr_t)scales_of(d, block))[part * BB_KV_BLOCK + at] = bits[0];
}

static void get_codes(int d, const void *block, int part, int at, float *x)
{
    const float scale = widen_scale(scales_of(d, block)[part * BB_KV_BLOCK + at]);

    for (int i = 0; i < d; i++) x[i] = scale * (float)*code_at(d, i, part, at, block);
}

BB_INLINE void narrow_part(int type, const float *src, int n, uint16_t *dst)
{
    const vf x = vf_load_part(src, n);

    if (type == BB_TYPE_BF16) vf_store_bf16(dst, x);
    else                      vf_store_f16(dst, x);
}

BB_INLINE vf widen(int type, const uint16_t *p)
{
    return type == BB_TYPE_BF16 ? vf_load_bf16(p) : vf_load_f16(p);
}

BB_INLINE void put(int type, int d, const float *k, const float *v, int at, void *block)
{
    if (is_whole(type)) {
        put_codes(d, k, 0, at, block);
        put_codes(d, v, 1, at, block);
        return;
    }
    for (int w = 0; w < d; w += VL) {
        const int n = d - w < VL ? d - w : VL;
        uint16_t  k_half[VL], v_half[VL];
        if (type != BB_TYPE_F32) {
            narrow_part(type, k + w, n, k_half);
            narrow_part(type, v + w, n, v_half);
        }
        for (int i = 0; i < n; i++) {
            const size_t k_at = key_at(type, d, w + i, at);
            const size_t v_at = value_at(type, d, w + i, at);
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

BB_INLINE void get(int type, int d, const void *block, int at, float *k, float *v)
{
    if (is_whole(type)) {
        get_codes(d, block, 0, at, k);
        get_codes(d, block, 1, at, v);
        return;
    }
    for (int w = 0; w < d; w += VL) {
        const int n = d - w < VL ? d - w : VL;
        uint16_t  k_half[VL] = { 0 }, v_half[VL] = { 0 };
        for (int i = 0; i < n; i++) {
            const size_t k_at = key_at(type, d, w + i, at);
            const size_t v_at = value_at(type, d, w + i, at);
            if (type == BB_TYPE_F32) {
                k[w + i] = ((const float *)block)[k_at];
                v[w + i] = ((const float *)block)[v_at];
            } else {
                k_half[i] = ((const uint16_t *)block)[k_at];
                v_half[i] = ((const uint16_t *)block)[v_at];
            }
        }
        if (type != BB_TYPE_F32) {
            vf_store_part(k + w, n, widen(type, k_half));
            vf_store_part(v + w, n, widen(type, v_half));
        }
    }
}

/* The kernels of one type of cache and its row of the table. */
#define CACHE(name, type)                                                                      \
    static void BB_ISA(bb_kv_put_##name)(int d, const float *k, const float *v, int at,        \
                                         void *block)                                          \
    {                                                                                          \
        put(type, d, k, v, at, block);                                                         \
    }                                                                                          \
    static void BB_ISA(bb_kv_get_##name)(int d, const void *block, int at, float *k, float *v) \
    {                                                                                          \
        get(type, d, block, at, k, v);                                                         \
    }                                                                                          \
    static DEFINE_ATTEND(BB_ISA(bb_attend_##name), type)                                       \
    const bb_cache BB_ISA(bb_cache_##name) = {                                                 \
        BB_ISA(bb_kv_put_##name), BB_ISA(bb_kv_get_##name), BB_ISA(bb_attend_##name),          \
        BB_ISA(bb_attend_##name)                                                               \
    };

CACHE(f32, BB_TYPE_F32)
CACHE(bf16, BB_TYPE_BF16)
CACHE(f16, BB_TYPE_F16)
CACHE(q8, BB_TYPE_Q8)

BB_INLINE vf add_part(vf sum, vf out, const vf *fade) { return vf_fma(*fade, sum, out); }
BB_INLINE vf divide(vf out, vf same, const vf *by) { return (void)same, vf_div(out, *by); }

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
            vf_map(d, add_part, &fade, u, o, o);
        }
        vf_map(d, divide, &weight, o, o, o);
    }
}
