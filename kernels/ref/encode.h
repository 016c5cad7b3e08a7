/* encode.h - which scale and codes a block of 8 or 4 bits gets: compiled once for each width.
 *
 * Owns:    encode of both formats (layout: blocks.h; what is minimized: bb_encode_fn).
 * Not:     products, decode (blocks.c).
 *
 * A lane is one of the 16 rows of a tile; a block is 32 columns of them. Lanes never meet, and each
 * adds up its columns in their order, so that the bytes are the same whatever instructions these
 * loops become. The includer defines BB_ENCODE(name), which gives the functions their names.
 */
#include "blocks.h"
#include "scalar.h"

#include <math.h>
#include <string.h>

/* As many lanes as a register has: gcc and clang do not find them in loops. */
#if defined(__AVX512F__)
enum { VEC = 16 };
#elif defined(__AVX2__)
enum { VEC = 8 };
#else
enum { VEC = 4 };
#endif
typedef float   vec __attribute__((vector_size(4 * VEC)));
typedef int32_t mask __attribute__((vector_size(4 * VEC)));       /* all ones: true */

/* Numbers of all rows of a tile. */
enum { PARTS = BB_TILE_ROWS / VEC };
typedef union lanes {
    float at[BB_TILE_ROWS];
    vec   part[PARTS];
} lanes;

#define EACH_LANE(r) for (int r = 0; r < BB_TILE_ROWS; r++)

static inline vec all(float v) { return (vec){ 0 } + v; }
static inline vec pick(mask m, vec yes, vec no) { return (vec)((m & (mask)yes) | (~m & (mask)no)); }

typedef struct tile_block {
    lanes w[BB_BLOCK];                    /* columns, over the row's `most`; 0 beyond the matrix */
    float h[BB_BLOCK];                    /* importance of columns, the largest 1 */
    lanes most;                           /* the weight of the largest magnitude, with its sign */
} tile_block;

/* ------------------------------------------------------------- a block ------------------ */

/* Only ratios count. A column whose inputs were never seen still counts a little, which decides
   where nothing else does. */
static void set_importance(tile_block *b, int n, const float *importance)
{
    float most = 0.0f;

    for (int i = 0; importance && i < n; i++)
        if (importance[i] > most && isfinite(importance[i])) most = importance[i];
    for (int i = 0; i < BB_BLOCK; i++) {
        const float ratio = most > 0.0f && i < n ? importance[i] / most : 1.0f;
        b->h[i] = ratio > 1e-6f ? ratio <= 1.0f ? ratio : 1.0f : 1e-6f;
    }
}

/* rows x n weights as columns [BB_BLOCK]; the others are 0. */
static void transpose(lanes *column, int rows, int n, const float *w, size_t ldw)
{
    if (rows < BB_TILE_ROWS || n < BB_BLOCK) memset(column, 0, BB_BLOCK * sizeof *column);
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < n; i++) column[i].at[r] = w[(size_t)r * ldw + (size_t)i];
}

/* Where a row of a block has an infinity or NaN: *lost becomes NaN, elsewhere 0, and the row 0. */
static void take_lost(lanes *column, lanes *lost)
{
    *lost = (lanes){ { 0 } };
    for (int i = 0; i < BB_BLOCK; i++)
        for (int p = 0; p < PARTS; p++) lost->part[p] += column[i].part[p] - column[i].part[p];
    for (int i = 0; i < BB_BLOCK; i++)
        for (int p = 0; p < PARTS; p++)
            column[i].part[p] = pick(lost->part[p] == 0.0f, column[i].part[p], all(0.0f));
}

/* Find the largest of each row and divide by it. */
static void normalize(tile_block *b)
{
    for (int p = 0; p < PARTS; p++) {
        vec most = all(0.0f), size = most;
        for (int i = 0; i < BB_BLOCK; i++) {
            const vec v = b->w[i].part[p], a = pick(v < 0.0f, -v, v);
            most = pick(a > size, v, most);
            size = pick(a > size, a, size);
        }
        b->most.part[p] = most;
        for (int i = 0; i < BB_BLOCK; i++) b->w[i].part[p] /= pick(size > 0.0f, most, all(1.0f));
    }
}

/* ------------------------------------------------------------- scale and codes ---------- */

/* The codebook's value nearest to v. */
static inline vec nearest_q4(vec v)
{
    const int8_t c[16] = { BB_Q4_VALUES };
    vec          value = all(c[0]);

    for (int k = 0; k < 15; k++) {
        const vec edge = all(0.5f * (float)(c[k] + c[k + 1])), step = all((float)(c[k + 1] - c[k]));
        value += (vec)((mask)step & (v > edge));
    }
    return value;
}

/* The whole number nearest to v, the even one of two. */
static inline vec nearest_q8(vec v)
{
    const vec shift = all(12582912.0f);   /* 1.5 · 2^23: the last place is 1 */
    const vec whole = v + shift - shift, most = all(127.0f);
    return pick(whole > -most, pick(whole < most, whole, most), -most);
}

typedef vec nearest_fn(vec v);

/* Let each lane round its weights times `factor` to codes v. The best scale for them is
   Σhwv / Σhv², which takes (Σhwv)² / Σhv² off the weighted error: keep what gains most. */
static inline void try_factor(nearest_fn *nearest, const tile_block *b, const lanes *factor,
                              lanes *scale, lanes *gain)
{
    for (int p = 0; p < PARTS; p++) {
        const vec f = factor->part[p];
        vec       wv = all(0.0f), vv = wv;
        for (int i = 0; i < BB_BLOCK; i++) {
            const vec w = b->w[i].part[p], v = nearest(w * f), hv = v * b->h[i];
            wv += hv * w;
            vv += hv * v;
        }
        const vec s = wv / pick(vv > 0.0f, vv, all(1.0f)), g = wv * s;
        scale->part[p] = pick(g > gain->part[p], s, scale->part[p]);
        gain->part[p] = pick(g > gain->part[p], g, gain->part[p]);
    }
}

/* Where a candidate for the scale puts the largest weight of a block. More candidates, or closer
   ones, gain less than 1 % of the squared error. */
#define PLACES_OF(end) end / 1.2f, end / 1.1f, end, end / .94f, end / .88f, end / .82f, end / .75f
static const float places_q4[] = { PLACES_OF(-127.0f), PLACES_OF(106.0f) };
static const float places_q8[] = { 127.0f, 126.0f, 125.0f, 124.0f, 123.0f, 122.0f, 121.0f, 120.0f,
                                   118.0f, 115.0f, 111.0f, 105.0f };

static float storable(float scale)
{
    const float most = 65504.0f;          /* of float16 */
    return widen_f16(narrow_f16(scale > most ? most : scale < -most ? -most : scale));
}

/* The scale of each row, which float16 holds, and the values of its codes. */
static inline void choose_codes(nearest_fn *nearest, int n_places, const float *place,
                          const tile_block *b, lanes *scale, lanes *value)
{
    lanes gain = { { 0 } }, factor;

    *scale = gain;
    for (int k = 0; k < n_places; k++) {
        EACH_LANE(r) factor.at[r] = place[k];
        try_factor(nearest, b, &factor, scale, &gain);
    }
    EACH_LANE(r) factor.at[r] = 1.0f / (scale->at[r] != 0.0f ? scale->at[r] : 1.0f);
    try_factor(nearest, b, &factor, scale, &gain);    /* what the best scale itself rounds to */
    EACH_LANE(r) {
        scale->at[r] = storable(scale->at[r] * b->most.at[r]);
        factor.at[r] = b->most.at[r] / (scale->at[r] != 0.0f ? scale->at[r] : 1.0f);
    }
    for (int i = 0; i < BB_BLOCK; i++)
        for (int p = 0; p < PARTS; p++)
            value[i].part[p] = nearest(b->w[i].part[p] * factor.part[p]);
}

/* ------------------------------------------------------------- bytes -------------------- */

static inline void write_q8(unsigned char *group, int block, const lanes *value)
{
    for (int i = 0; i < BB_BLOCK; i++)
        EACH_LANE(r) {
            const size_t at = bb_q8_at(block, i / 4, r) + (size_t)(i % 4);
            group[at] = (unsigned char)(int8_t)value[i].at[r];
        }
}

static inline unsigned code_q4(float value)
{
    const int8_t c[16] = { BB_Q4_VALUES };
    unsigned     code = 0;

    for (int k = 0; k < 15; k++) code += value > (float)c[k] ? 1u : 0u;
    return code;
}

static inline void write_q4(unsigned char *group, int block, const lanes *value)
{
    for (int i = 0; i < BB_BLOCK / 2; i++) {
        const int pair = i / 4, j = i % 4, low = 8 * pair + j;
        EACH_LANE(r) group[bb_q4_at(block, pair, r) + (size_t)j]
            = (unsigned char)(code_q4(value[low].at[r]) | code_q4(value[low + 4].at[r]) << 4);
    }
}

typedef void write_fn(unsigned char *group, int block, const lanes *value);

/* What is special about a format. */
typedef struct kind {
    nearest_fn  *nearest;
    int          n_places;
    const float *place;
    write_fn    *write;
    size_t       group_bytes;
} kind;

static inline void put(const kind *k, const lanes *scale, const lanes *value, unsigned char *group,
                       int block)
{
    k->write(group, block, value);
    EACH_LANE(r) {
        const uint16_t h = narrow_f16(scale->at[r]);
        memcpy(group + bb_scale_at(k->group_bytes, block, r), &h, sizeof h);
    }
}

/* Round the columns of a block, c of `columns` and on, one after the other, and change those up to
   `end` by what is lost. */
static inline void round_carrying(const kind *k, lanes *column, int c, int end, const lanes *scale,
                                  const float *carry, lanes *value)
{
    for (int i = 0; i < BB_BLOCK; i++, c++)
        for (int p = 0; p < PARTS; p++) {
            const vec s = scale->part[p], w = column[c].part[p];
            const vec v = k->nearest(w / pick(s != 0.0f, s, all(1.0f))), error = w - s * v;
            value[i].part[p] = v;
            for (int d = c + 1; d < end; d++)
                column[d].part[p] -= error * carry[(size_t)c * BB_CARRY + (size_t)d];
        }
}

/* Blocks that lie within BB_CARRY columns of a tile, `rows` rows and n columns of which are there.
   carry: theirs, or NULL. */
static inline void encode_blocks(const kind *k, int rows, int n, const float *w, size_t ldw,
                                 const float *importance, const float *carry, unsigned char *group)
{
    const int  whole = (n + BB_GROUP_COLS - 1) / BB_GROUP_COLS * BB_GROUP_COLS;
    lanes      column[BB_CARRY], lost[BB_CARRY / BB_BLOCK], scale, value[BB_BLOCK];
    tile_block b;

    for (int c = 0; c < whole; c += BB_BLOCK) {
        const int left = n > c ? n - c : 0;
        transpose(column + c, rows, left < BB_BLOCK ? left : BB_BLOCK, w + (left ? c : 0), ldw);
        take_lost(column + c, lost + c / BB_BLOCK);
    }
    for (int c = 0; c < whole; c += BB_BLOCK) {
        const int left = n > c ? n - c : 0;
        set_importance(&b, left < BB_BLOCK ? left : BB_BLOCK,
                       importance && left ? importance + c : NULL);
        memcpy(b.w, column + c, sizeof b.w);
        normalize(&b);
        choose_codes(k->nearest, k->n_places, k->place, &b, &scale, value);
        if (carry) round_carrying(k, column, c, n, &scale, carry, value);
        EACH_LANE(r) scale.at[r] += lost[c / BB_BLOCK].at[r];
        put(k, &scale, value, group + (size_t)(c / BB_GROUP_COLS) * k->group_bytes, c / BB_BLOCK);
    }
}

static inline void encode(const kind *k, int rows, int cols, const float *w, size_t ldw,
                          const float *importance, const float *carry, void *W, int first)
{
    for (int r = 0; r < rows; r += BB_TILE_ROWS)
        for (int c = 0; c < cols; c += BB_CARRY)
            encode_blocks(k, rows - r < BB_TILE_ROWS ? rows - r : BB_TILE_ROWS,
                          cols - c < BB_CARRY ? cols - c : BB_CARRY, w + (size_t)r * ldw + c, ldw,
                          importance ? importance + c : NULL,
                          carry ? carry + (size_t)c * BB_CARRY : NULL,
                          (unsigned char *)W
                              + bb_group_at(k->group_bytes, cols, first + r, c / BB_BLOCK));
}

#define DEFINE(name, bytes_of_group)                                                              \
    static const kind kind_##name = {                                                             \
        nearest_##name, (int)(sizeof places_##name / sizeof(float)), places_##name, write_##name, \
        bytes_of_group                                                                            \
    };                                                                                            \
    void BB_ENCODE(bb_encode_carrying_##name)(int rows, int cols, const float *w, size_t ldw,     \
                                              const float *importance, const float *carry,        \
                                              void *W, int first)                                 \
    {                                                                                             \
        encode(&kind_##name, rows, cols, w, ldw, importance, carry, W, first);                    \
    }                                                                                             \
    void BB_ENCODE(bb_encode_##name)(int rows, int cols, const float *w, size_t ldw,              \
                                     const float *importance, void *W, int first)                 \
    {                                                                                             \
        encode(&kind_##name, rows, cols, w, ldw, importance, NULL, W, first);                     \
    }
DEFINE(q8, BB_Q8_GROUP)
DEFINE(q4, BB_Q4_GROUP)
