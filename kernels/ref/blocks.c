/* blocks.c - formats of 8 and 4 bits in blocks of 32 columns: bytes and decode at every level, and
 * few rows times them in portable C. */
#include "../variants.h"
#include "blocks.h"
#include "scalar.h"

#include <math.h>
#include <string.h>

const int8_t bb_q4_values[16] = { BB_Q4_VALUES };

static size_t bytes_of(size_t group_bytes, int rows, int cols)
{
    const size_t tiles = ((size_t)rows + BB_TILE_ROWS - 1) / BB_TILE_ROWS;
    return tiles * (size_t)bb_groups(cols) * group_bytes;
}

size_t bb_bytes_q8(int rows, int cols) { return bytes_of(BB_Q8_GROUP, rows, cols); }
size_t bb_bytes_q4(int rows, int cols) { return bytes_of(BB_Q4_GROUP, rows, cols); }

/* ------------------------------------------------------------- one block ---------------- */

/* The weights of one row of a block, before the scale. */
static void read_q8(const unsigned char *group, int block, int row, int8_t *w)
{
    for (int i = 0; i < BB_BLOCK / 4; i++) memcpy(w + 4 * i, group + bb_q8_at(block, i, row), 4);
}

static void read_q4(const unsigned char *group, int block, int row, int8_t *w)
{
    for (int i = 0; i < BB_BLOCK / 8; i++, w += 8) {
        const unsigned char *c = group + bb_q4_at(block, i, row);
        for (int j = 0; j < 4; j++) {
            w[j]     = bb_q4_values[c[j] & 15];
            w[j + 4] = bb_q4_values[c[j] >> 4];
        }
    }
}

static float read_scale(const unsigned char *group, size_t group_bytes, int block, int row)
{
    uint16_t h;
    memcpy(&h, group + bb_scale_at(group_bytes, block, row), sizeof h);
    return widen_f16(h);
}

/* ------------------------------------------------------------- rows --------------------- */

typedef void read_fn(const unsigned char *group, int block, int row, int8_t *w);

static inline void decode(read_fn *read, size_t group_bytes, int rows, int cols, const void *W,
                          int first, float *w, size_t ldw)
{
    int8_t q[BB_BLOCK];

    for (int r = first; r < first + rows; r++, w += ldw)
        for (int c = 0; c < cols; c += BB_BLOCK) {
            const int            b = c / BB_BLOCK, n = cols - c < BB_BLOCK ? cols - c : BB_BLOCK;
            const unsigned char *g = (const unsigned char *)W
                + bb_group_at(group_bytes, cols, r, b);
            const float          scale = read_scale(g, group_bytes, b, r);
            read(g, b, r, q);
            for (int i = 0; i < n; i++) w[c + i] = scale * (float)q[i];
        }
}

void bb_decode_q8(int rows, int cols, const void *W, int first, float *w, size_t ldw)
{
    decode(read_q8, BB_Q8_GROUP, rows, cols, W, first, w, ldw);
}

void bb_decode_q4(int rows, int cols, const void *W, int first, float *w, size_t ldw)
{
    decode(read_q4, BB_Q4_GROUP, rows, cols, W, first, w, ldw);
}

/* ------------------------------------------------------------- few rows ----------------- */

/* A block of a row of x, prepared. */
typedef struct part {
    float  scale;
    int8_t q[BB_BLOCK];
} part;

static size_t few_bytes_c(int T, int cols)
{
    return (size_t)T * (size_t)bb_blocks(cols) * sizeof(part);
}

static float largest(int n, const float *w)
{
    float most = 0.0f;

    for (int i = 0; i < n; i++) most = fabsf(w[i]) > most ? fabsf(w[i]) : most;
    return most;
}

/* x [n] rounded, and in its place what rounding took from it. */
static part make_part(int n, float *x)
{
    const float most = largest(n, x);
    part        p = { most / 127.0f, { 0 } };

    for (int i = 0; i < n; i++)
        if (!isfinite(x[i])) p.scale = NAN;
    if (isnan(p.scale) || most < 1e-30f) {
        if (!isnan(p.scale)) p.scale = 0.0f;
        return p;
    }
    const float inverse = 127.0f / most;
    for (int i = 0; i < n; i++) {
        p.q[i] = (int8_t)rintf(x[i] * inverse);
        x[i] -= (float)p.q[i] * p.scale;
    }
    return p;
}

/* Each of T rows of x becomes `terms` rows of parts, whose sum it is nearly. */
static void prepare(int terms, int T, int cols, const float *x, size_t ldx, part *to)
{
    const int blocks = bb_blocks(cols);
    float     rest[BB_BLOCK];

    for (int t = 0; t < T; t++, x += ldx, to += terms * blocks)
        for (int b = 0; b < blocks; b++) {
            const int c = b * BB_BLOCK, n = cols - c < BB_BLOCK ? cols - c : BB_BLOCK;
            memcpy(rest, x + c, (size_t)n * sizeof *rest);
            for (int i = 0; i < terms; i++) to[i * blocks + b] = make_part(n, rest);
        }
}

static void bb_prepare_blocks_c(int T, int cols, const float *x, size_t ldx, void *prepared)
{
    prepare(1, T, cols, x, ldx, prepared);
}

static size_t fine_bytes_c(int T, int cols) { return few_bytes_c(2 * T, cols); }

static void bb_prepare_fine_c(int T, int cols, const float *x, size_t ldx, void *prepared)
{
    prepare(2, T, cols, x, ldx, prepared);
}

static inline void few(read_fn *read, size_t group_bytes, int T, int rows, int cols, const void *W,
                       int first, const part *x, float *y, size_t ldy)
{
    const int n = bb_blocks(cols);
    int8_t    w[BB_BLOCK];

    for (int r = 0; r < rows; r++) {
        for (int t = 0; t < T; t++) y[(size_t)t * ldy + (size_t)r] = 0.0f;
        for (int b = 0; b < n; b++) {
            const unsigned char *g = (const unsigned char *)W
                                   + bb_group_at(group_bytes, cols, first + r, b);
            const float          scale = read_scale(g, group_bytes, b, first + r);
            read(g, b, first + r, w);
            for (int t = 0; t < T; t++) {
                const part *p = x + (size_t)t * (size_t)n + b;
                int         sum = 0;
                for (int i = 0; i < BB_BLOCK; i++) sum += w[i] * p->q[i];
                y[(size_t)t * ldy + (size_t)r] += (float)sum * p->scale * scale;
            }
        }
    }
}

#define FORMAT(name_of, type_of, group_bytes)                                                     \
    static void bb_few_##name_of##_c(int T, int rows, int cols, const void *W, int first,         \
                                     const void *x, float *y, size_t ldy)                         \
    {                                                                                             \
        few(read_##name_of, group_bytes, T, rows, cols, W, first, x, y, ldy);                     \
    }                                                                                             \
    const bb_format bb_format_##name_of##_c = {                                                   \
        .name = #name_of, .type = type_of, .block = BB_BLOCK, .rows_together = BB_TILE_ROWS,      \
        .align = 2, .activation = BB_TYPE_I8, .group = BB_MOST_GROUP,                             \
        .bytes = bb_bytes_##name_of, .few_bytes = few_bytes_c, .many_bytes = bb_bytes_f32,        \
        .prepare_few = bb_prepare_blocks_c, .prepare_many = bb_prepare_c,                         \
        .few = bb_few_##name_of##_c, .decode = bb_decode_##name_of,                               \
        .encode = bb_encode_##name_of##_c,                                                        \
        .encode_carrying = bb_encode_carrying_##name_of##_c                                       \
    };
FORMAT(q8, BB_TYPE_Q8, BB_Q8_GROUP)
FORMAT(q4, BB_TYPE_Q4, BB_Q4_GROUP)

/* Q8 with x in two terms, which are rows 2t and 2t + 1 of its parts. */
static void bb_few_q8_fine_c(int T, int rows, int cols, const void *W, int first, const void *x,
                             float *y, size_t ldy)
{
    const part *terms = x;

    for (int t = 0; t < T; t++, terms += 2 * bb_blocks(cols), y += ldy)
        for (int r = 0; r < rows; r++) {
            float sum[2];
            few(read_q8, BB_Q8_GROUP, 2, 1, cols, W, first + r, terms, sum, 1);
            y[r] = sum[0] + sum[1];
        }
}

const bb_format bb_format_q8_fine_c = {
    .name = "q8", .type = BB_TYPE_Q8, .block = BB_BLOCK, .rows_together = BB_TILE_ROWS,
    .align = 2, .activation = BB_TYPE_I16, .group = BB_MOST_GROUP, .bytes = bb_bytes_q8,
    .few_bytes = fine_bytes_c, .many_bytes = bb_bytes_f32, .prepare_few = bb_prepare_fine_c,
    .prepare_many = bb_prepare_c, .few = bb_few_q8_fine_c, .decode = bb_decode_q8,
    .encode = bb_encode_q8_c
};
