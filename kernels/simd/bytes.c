/* bytes.c - rows of weights of 8 and 4 bits as float32, a vector at a time. */
#include "bytes.h"

#include "../variants.h"

/* n <= VL codes from code number c of a row on, as float32; lanes beyond them hold anything. */
typedef vf codes_fn(const unsigned char *row, int c, int n, unsigned char flip);

/* The n bytes at p, or a copy that may be read to its end where they are fewer than all. */
BB_INLINE const unsigned char *readable(const unsigned char *p, int n, int all,
                                        unsigned char *copy)
{
    return n < all ? memcpy(copy, p, (size_t)n) : p;
}

BB_INLINE vf codes_f8(const unsigned char *row, int c, int n, unsigned char flip)
{
    unsigned char copy[VL] = { 0 };
    (void)flip;
    return vf_load_f8(readable(row + c, n, VL, copy));
}

BB_INLINE vf codes_i8(const unsigned char *row, int c, int n, unsigned char flip)
{
    unsigned char copy[VL] = { 0 };
    const vh      v = vh_load_bytes(readable(row + c, n, VL, copy));
    return vf_from_i16(vh_xor(v, BB_MH(set1_epi16)(flip ? (short)0xFF80 : 0)));
}

/* Codes of 4 bits, 0 … 15: 8 more than they mean. */
BB_INLINE vf codes_i4(const unsigned char *row, int c, int n, unsigned char flip)
{
    unsigned char copy[VL] = { 0 };
    (void)flip;
    return vf_load_u4(readable(row + c / 2, (n + 1) / 2, VL / 2, copy));
}

BB_INLINE void decode_plain(codes_fn *codes, int rows, int cols, const void *W, int first, float *w,
                            size_t ldw)
{
    const unsigned char *row = (const unsigned char *)W + (size_t)first * (size_t)cols;

    for (int r = 0; r < rows; r++, row += cols, w += ldw) {
        int c = 0;
        for (; c + VL <= cols; c += VL) vf_store(w + c, codes(row, c, VL, 0));
        if (c < cols) vf_store_part(w + c, cols - c, codes(row, c, cols - c, 0));
    }
}

/* Columns c … end - 1 of a row, which share a scale and a zero; `more` is how much codes are more
   than they mean. */
BB_INLINE void decode_block(codes_fn *codes, float more, const bb_scaled *s, size_t block,
                            const unsigned char *row, int c, int end, float *w)
{
    const vf scale = vf_set1(s->scale[block]);
    const vf zero  = vf_set1((s->zero ? s->zero[block] : 0.0f) + more);

    for (; c + VL <= end; c += VL)
        vf_store(w + c, vf_mul(scale, vf_sub(codes(row, c, VL, s->flip), zero)));
    if (c < end)
        vf_store_part(w + c, end - c,
                      vf_mul(scale, vf_sub(codes(row, c, end - c, s->flip), zero)));
}

BB_INLINE void decode_scaled(codes_fn *codes, int rows, int cols, const bb_scaled *s, int first,
                             float *w, size_t ldw)
{
    for (int r = first; r < first + rows; r++, w += ldw) {
        const unsigned char *row = s->codes + (size_t)r * s->row_bytes;
        size_t               block = bb_scaled_row(s, r);
        for (int c = 0; c < cols; c += s->block_cols, block++)
            decode_block(codes, codes == codes_i4 ? 8.0f : 0.0f, s, block, row, c,
                         cols - c < s->block_cols ? cols : c + s->block_cols, w);
    }
}

#define DECODE(codes, decode, name)                                                               \
    void BB_ISA(name)(int rows, int cols, const void *W, int first, float *w, size_t ldw)         \
    {                                                                                             \
        decode(codes, rows, cols, W, first, w, ldw);                                              \
    }
DECODE(codes_f8, decode_plain, bb_decode_f8)
DECODE(codes_i8, decode_plain, bb_decode_i8)
DECODE(codes_f8, decode_scaled, bb_decode_f8_scaled)
DECODE(codes_i8, decode_scaled, bb_decode_i8_scaled)
DECODE(codes_i4, decode_scaled, bb_decode_i4_scaled)
