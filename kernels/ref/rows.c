/* rows.c - row-major formats and few rows times them, in portable C.
 *
 * A panel of one weight row is widened into a small array once and multiplied with every row of
 * x; lane sums wait in an array between panels. The matrix is read once for up to 32 rows. */
#include "../variants.h"
#include "lanes.h"
#include "scalar.h"

enum {
    PANEL    = 512,                       /* columns: 2 KiB of float32, a fraction of L1 */
    MAX_ROWS = 32                         /* rows of x that share one reading of W */
};

size_t bb_bytes_f32(int rows, int cols) { return (size_t)rows * (size_t)cols * sizeof(float); }
size_t bb_bytes_half(int rows, int cols) { return (size_t)rows * (size_t)cols * sizeof(uint16_t); }

/* Columns c … c + n - 1 of a weight row as float32: in place, or in buffer [PANEL]. */
static inline const float *panel_of(int type, const void *W, size_t c, int n, float *buffer)
{
    if (type == BB_TYPE_F32) return (const float *)W + c;

    const uint16_t *half = (const uint16_t *)W;
    const uint8_t  *byte = (const uint8_t *)W;
    for (int i = 0; i < n; i++, c++)
        buffer[i] = type == BB_TYPE_BF16 ? widen_bf16(half[c])
                  : type == BB_TYPE_F16 ? widen_f16(half[c])
                  : type == BB_TYPE_I8 ? (float)(int8_t)byte[c] : widen_f8(byte[c]);
    return buffer;
}

/* y[t · ldy] = w · x[t] for t < T <= MAX_ROWS, one weight row w. */
static inline void multiply_row(int type, int T, int cols, const void *w, const float *x,
                                size_t ldx, float *y, size_t ldy)
{
    float     buffer[PANEL], acc[MAX_ROWS * LANES];
    const int whole = cols - cols % LANES;

    memset(acc, 0, (size_t)T * LANES * sizeof *acc);
    for (int c = 0; c < whole; c += PANEL) {
        const int    n = whole - c < PANEL ? whole - c : PANEL;
        const float *a = panel_of(type, w, (size_t)c, n, buffer);
        int          t = 0;
        for (; t + 2 <= T; t += 2) {
            const float *xt = x + (size_t)t * ldx + c;
            add_products_2(n, a, xt, xt + ldx, acc + t * LANES);
        }
        if (t < T) add_products(n, a, x + (size_t)t * ldx + c, acc + t * LANES);
    }

    const int    n = cols - whole;
    const float *a = panel_of(type, w, (size_t)whole, n, buffer);
    for (int t = 0; t < T; t++) {
        add_tail(n, a, x + (size_t)t * ldx + whole, acc + t * LANES);
        y[(size_t)t * ldy] = sum_lanes(acc + t * LANES);
    }
}

void bb_prepare_c(int T, int cols, const float *x, size_t ldx, void *prepared)
{
    bb_encode_f32(T, cols, x, ldx, NULL, prepared, 0);
}

static inline void multiply_matrix(int type, int T, int rows, int cols, const void *W, int first,
                                   const float *x, float *y, size_t ldy)
{
    const size_t         width = (size_t)cols, row_bytes = width * BB_ELEMENT_BYTES(type);
    const unsigned char *w = (const unsigned char *)W + (size_t)first * row_bytes;

    for (int t = 0; t < T; t += MAX_ROWS)
        for (int r = 0; r < rows; r++)
            multiply_row(type, T - t < MAX_ROWS ? T - t : MAX_ROWS, cols, w + (size_t)r * row_bytes,
                         x + (size_t)t * width, width, y + (size_t)t * ldy + r, ldy);
}

/* The kernels of one type and its row of the table. */
#define FORMAT(name_of, type_of, bytes_of, decode_of, encode_of)                                  \
    static void bb_few_##name_of##_c(int T, int rows, int cols, const void *W, int first,         \
                                  const void *x, float *y, size_t ldy)                            \
    {                                                                                             \
        multiply_matrix(type_of, T, rows, cols, W, first, x, y, ldy);                             \
    }                                                                                             \
    const bb_format bb_format_##name_of##_c = {                                                   \
        .name = #name_of, .type = type_of, .block = 1, .rows_together = 1,                        \
        .align = BB_ELEMENT_BYTES(type_of), .activation = BB_TYPE_F32,                            \
        .group = BB_MOST_GROUP, .bytes = bytes_of, .few_bytes = bb_bytes_f32,                     \
        .many_bytes = bb_bytes_f32, .prepare_few = bb_prepare_c, .prepare_many = bb_prepare_c,    \
        .few = bb_few_##name_of##_c, .decode = decode_of, .encode = encode_of                     \
    };
FORMAT(f32, BB_TYPE_F32, bb_bytes_f32, bb_decode_f32, bb_encode_f32)
FORMAT(bf16, BB_TYPE_BF16, bb_bytes_half, bb_decode_bf16_c, bb_encode_bf16_c)
FORMAT(f16, BB_TYPE_F16, bb_bytes_half, bb_decode_f16_c, bb_encode_f16_c)
FORMAT(f8, BB_TYPE_F8_E4M3, bb_bytes_byte, bb_decode_f8_c, bb_encode_f8)
FORMAT(i8, BB_TYPE_I8, bb_bytes_byte, bb_decode_i8_c, NULL)
