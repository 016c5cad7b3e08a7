/* blocks.c - formats of 8 and 4 bits in blocks of 32 columns: bytes, decode, encode at every level,
 * and few rows times them in portable C. */
#include "../variants.h"
#include "blocks.h"
#include "scalar.h"

#include <math.h>
#include <string.h>

const int8_t bb_q4_values[16] = { -127, -104, -83, -65, -49, -35, -22, -10,
                                  1,    13,   25,  38,  53,  69,  89,  113 };

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

static void write_q8(unsigned char *group, int block, int row, const int8_t *w)
{
    for (int i = 0; i < BB_BLOCK / 4; i++) memcpy(group + bb_q8_at(block, i, row), w + 4 * i, 4);
}

/* code [32] */
static void write_q4(unsigned char *group, int block, int row, const int8_t *code)
{
    for (int i = 0; i < BB_BLOCK / 8; i++, code += 8) {
        unsigned char *c = group + bb_q4_at(block, i, row);
        for (int j = 0; j < 4; j++) c[j] = (unsigned char)(code[j] | code[j + 4] << 4);
    }
}

static float read_scale(const unsigned char *group, size_t group_bytes, int block, int row)
{
    uint16_t h;
    memcpy(&h, group + bb_scale_at(group_bytes, block, row), sizeof h);
    return widen_f16(h);
}

static void write_scale(unsigned char *group, size_t group_bytes, int block, int row, float scale)
{
    const uint16_t h = narrow_f16(scale);
    memcpy(group + bb_scale_at(group_bytes, block, row), &h, sizeof h);
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
            const unsigned char *g = (const unsigned char *)W + bb_group_at(group_bytes, cols, r, b);
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

static float storable(float scale)
{
    const float most = 65504.0f;          /* of float16 */
    return widen_f16(narrow_f16(scale > most ? most : scale < -most ? -most : scale));
}

/* Choose a scale, which float16 holds, and codes [32] for n weights of a block. */
typedef float choose_fn(int n, const float *w, const float *importance, int8_t *code);

static float largest(int n, const float *w)
{
    float most = 0.0f;

    for (int i = 0; i < n; i++)
        if (fabsf(w[i]) > fabsf(most)) most = w[i];
    return most;
}

static float choose_q8(int n, const float *w, const float *importance, int8_t *code)
{
    const float scale = storable(fabsf(largest(n, w)) / 127.0f);
    const float inverse = scale > 0.0f ? 1.0f / scale : 0.0f;

    (void)importance;
    for (int i = 0; i < n; i++) {
        const float v = rintf(w[i] * inverse);
        code[i] = (int8_t)(v > 127.0f ? 127.0f : v < -127.0f ? -127.0f : v);
    }
    return scale;
}

static float choose_q4(int n, const float *w, const float *importance, int8_t *code)
{
    const float scale = storable(largest(n, w) / -127.0f);
    const float inverse = scale != 0.0f ? 1.0f / scale : 0.0f;

    (void)importance;
    for (int i = 0; i < n; i++) {
        const float v = w[i] * inverse;
        int         k = 0;
        while (k < 15 && v > 0.5f * ((float)bb_q4_values[k] + (float)bb_q4_values[k + 1])) k++;
        code[i] = (int8_t)k;
    }
    return scale;
}

typedef void write_fn(unsigned char *group, int block, int row, const int8_t *code);

/* Rows up to the end of the last tile: those that are not there are zeros. */
static inline void encode(choose_fn *pick, write_fn *write, size_t group_bytes, int rows, int cols,
                          const float *w, size_t ldw, const float *importance, void *W, int first)
{
    const int end = (first + rows + BB_TILE_ROWS - 1) / BB_TILE_ROWS * BB_TILE_ROWS;

    for (int r = first; r < end; r++, w += ldw)
        for (int b = 0; b < 2 * bb_groups(cols); b++) {
            unsigned char *g = (unsigned char *)W + bb_group_at(group_bytes, cols, r, b);
            const int      c = b * BB_BLOCK, left = cols - c;
            const int      n = r >= first + rows || left < 0 ? 0 : left < BB_BLOCK ? left : BB_BLOCK;
            int8_t         code[BB_BLOCK] = { 0 };
            const float    scale = pick(n, w + c, importance ? importance + c : NULL, code);
            write(g, b, r, code);
            write_scale(g, group_bytes, b, r, scale);
        }
}

void bb_encode_q8(int rows, int cols, const float *w, size_t ldw, const float *importance, void *W,
                  int first)
{
    encode(choose_q8, write_q8, BB_Q8_GROUP, rows, cols, w, ldw, importance, W, first);
}

void bb_encode_q4(int rows, int cols, const float *w, size_t ldw, const float *importance, void *W,
                  int first)
{
    encode(choose_q4, write_q4, BB_Q4_GROUP, rows, cols, w, ldw, importance, W, first);
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

static part make_part(int n, const float *x)
{
    const float most = fabsf(largest(n, x));
    part        p = { most / 127.0f, { 0 } };

    for (int i = 0; i < n; i++)
        if (!isfinite(x[i])) p.scale = NAN;
    if (isnan(p.scale) || most < 1e-30f) {
        if (!isnan(p.scale)) p.scale = 0.0f;
        return p;
    }
    const float inverse = 127.0f / most;
    for (int i = 0; i < n; i++) p.q[i] = (int8_t)rintf(x[i] * inverse);
    return p;
}

static void bb_prepare_blocks_c(int T, int cols, const float *x, size_t ldx, void *prepared)
{
    part *to = prepared;

    for (int t = 0; t < T; t++, x += ldx)
        for (int c = 0; c < cols; c += BB_BLOCK)
            *to++ = make_part(cols - c < BB_BLOCK ? cols - c : BB_BLOCK, x + c);
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
        .align = 2, .activation = BB_TYPE_I8, .group = BB_MOST_GROUP,                            \
        .bytes = bb_bytes_##name_of, .few_bytes = few_bytes_c, .many_bytes = bb_bytes_f32,        \
        .prepare_few = bb_prepare_blocks_c, .prepare_many = bb_prepare_c,                         \
        .few = bb_few_##name_of##_c, .decode = bb_decode_##name_of, .encode = bb_encode_##name_of \
    };
FORMAT(q8, BB_TYPE_Q8, BB_Q8_GROUP)
FORMAT(q4, BB_TYPE_Q4, BB_Q4_GROUP)
