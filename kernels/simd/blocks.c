/* blocks.c - formats of 8 and 4 bits in blocks of 32 columns, times x rounded to 8 bits by the same
 * blocks.
 *
 * The products of a block are whole numbers and exact: a lane adds up 32 columns of one output in
 * 32 bits. One multiplication and one fused multiply-add then bring the scales in, in the order of
 * the blocks, whatever the level and however many rows share the call; so few and many rows are one
 * scheme, and have the same bits.
 *
 * The weights of a block stay in registers while rows of x pass by, each a broadcast of 4 columns
 * (a quad) at a time. Three ways to multiply a quad:
 * - VNNI: vpdpbusd wants one factor unsigned: the weights get 128 added, and a sum starts at
 *   -128 · Σq.
 * - AVX2: vpmaddubsw adds the products of two bytes up in 16 bits and wants one factor unsigned as
 *   well. 128 added to the weights would overflow; their magnitudes, with the signs given to x by
 *   vpsignb, do not: 2 · 128 · 127 < 2^15. vpmaddwd by ones adds the two pairs of a quad up.
 * - AVX-512 without VNNI has no vpsignb: bytes are widened to pairs of 16 bits, the first and third
 *   of a quad and the second and fourth, for vpmaddwd.
 */
#include "../ref/blocks.h"
#include "../variants.h"
#include "vec.h"

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
#  define DOTS 1
#else
#  define DOTS 0
#endif
#define PAIRS (BB_VEC_512 && !DOTS)       /* bytes are widened to pairs of 16 bits */
enum { PARTS = PAIRS ? 2 : 1 };           /* registers of a quad; dwords of it in prepared x */

enum {
    QUADS = BB_BLOCK / 4,
    UNITS = QUADS * PARTS,                /* registers of weights of a block and VL outputs */
    HALVES = BB_TILE_ROWS / VL,           /* registers of 16 outputs */
    MOST = BB_VEC_512 ? 16 : 4,           /* rows of x whose sums stay in registers */
    CHUNK = 16,                           /* groups that all rows pass before the next ones: their x
                                             stays in the first cache, weights in the second */
    LINE = 64,                            /* bytes */
    AHEAD = BB_VEC_512 ? 4 * BB_Q4_GROUP  /* bytes from a group to what is prefetched meanwhile */
                       : 2048,
    FAR = 32 * 1024                       /* bytes from a group to a line that is prefetched so that
                                             the address of its page is known in time: decoding is
                                             2 to 4 % faster where pages have 4 KiB */
};

/* ------------------------------------------------------------- x ------------------------ */

/* m rows of a block of x, side by side: [UNITS][m] quads, scales [m], starts of sums [m]; in words
   of 32 bits. */
enum { PART = UNITS + 2 };

static size_t x_words(int m, int cols) { return (size_t)m * 2 * (size_t)bb_groups(cols) * PART; }

static size_t x_bytes(int T, int cols) { return x_words(T, cols) * sizeof(int32_t); }

/* Rows that go side by side when `left` are left: numbers for which there is a tile. */
BB_INLINE int rows_together(int left)
{
    return left >= MOST ? MOST : left > 8 ? 8 : left;
}

/* The most of lanes, and their sum. */
#if BB_VEC_512
BB_INLINE int32_t vi_most(vi v) { return _mm512_reduce_max_epi32(v); }
BB_INLINE int32_t vi_sum(vi v) { return _mm512_reduce_add_epi32(v); }

/* Whole numbers of 8 bits in 32 to bytes, in their order. */
BB_INLINE __m256i pack(const vi q[BB_BLOCK / VL])
{
    return _mm256_set_m128i(_mm512_cvtepi32_epi8(q[1]), _mm512_cvtepi32_epi8(q[0]));
}
#else
BB_INLINE int32_t vi_most(vi v)
{
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1)));
}
BB_INLINE int32_t vi_sum(vi v)
{
    __m128i m = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    m = _mm_add_epi32(m, _mm_shuffle_epi32(m, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(m, _mm_shuffle_epi32(m, 0xb1)));
}
BB_INLINE __m256i pack(const vi q[BB_BLOCK / VL])
{
    const __m256i low = _mm256_packs_epi32(q[0], q[1]), high = _mm256_packs_epi32(q[2], q[3]);
    return _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high),
                                       _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}
#endif

/* Quad i of 32 bytes to words i and, in pairs of 16 bits, i + 8. */
BB_INLINE void store_quads(int32_t word[UNITS], __m256i bytes)
{
#if PAIRS
    _mm256_storeu_si256((__m256i *)word, _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8));
    _mm256_storeu_si256((__m256i *)(word + QUADS), _mm256_srai_epi16(bytes, 8));
#else
    _mm256_storeu_si256((__m256i *)word, bytes);
#endif
}

/* One row of a block, v, to every m-th word from `to` on; v becomes what rounding took from it. */
BB_INLINE void round_block(vf v[BB_BLOCK / VL], int m, int32_t *to)
{
    vi      q[BB_BLOCK / VL], most = BB_MM(set1_epi32)(0), sum = most;
    int32_t word[UNITS];
    float   scale;

    BB_UNROLL
    for (int i = 0; i < BB_BLOCK / VL; i++)
        most = BB_MM(max_epi32)(most, vi_and(vi_of(v[i]), BB_MM(set1_epi32)(0x7fffffff)));
    const int32_t bits = vi_most(most);   /* infinity and NaN are above all numbers */
    memcpy(&scale, &bits, sizeof scale);
    const bool  some = scale >= 1e-30f && bits < 0x7f800000;
    const float inverse = some ? 127.0f / scale : 0.0f;
    scale = some ? scale / 127.0f : bits < 0x7f800000 ? 0.0f : __builtin_nanf("");
    BB_UNROLL
    for (int i = 0; i < BB_BLOCK / VL; i++) {
        q[i] = some ? BB_MM(cvtps_epi32)(vf_mul(v[i], vf_set1(inverse))) : BB_MM(set1_epi32)(0);
        v[i] = vf_sub(v[i], vf_mul(BB_MM(cvtepi32_ps)(q[i]), vf_set1(scale)));
        sum = BB_MM(add_epi32)(sum, q[i]);
    }
    store_quads(word, pack(q));
    for (int i = 0; i < UNITS; i++) to[i * m] = word[i];
    memcpy(to + UNITS * m, &scale, sizeof scale);
    to[(UNITS + 1) * m] = DOTS ? -128 * vi_sum(sum) : 0;
}

/* Each of T rows of x becomes `terms` rows, whose sum it is nearly. */
BB_INLINE void prepare(int terms, int T, int cols, const float *x, size_t ldx, int32_t *to)
{
    const int width = bb_groups(cols) * BB_GROUP_COLS;

    for (int t = 0, m; t < terms * T; t += m, x += (size_t)(m / terms) * ldx) {
        m = rows_together(terms * T - t);
        for (int c = 0; c < width; c += BB_BLOCK, to += PART * m)
            for (int i = 0; i < m; i += terms) {
                const float *row = x + (size_t)(i / terms) * ldx;
                vf           v[BB_BLOCK / VL];
                BB_UNROLL
                for (int j = 0; j < BB_BLOCK / VL; j++) {
                    const int left = cols - c - j * VL;
                    v[j] = left >= VL ? vf_load(row + c + j * VL)
                         : left > 0 ? vf_load_part(row + c + j * VL, left) : vf_zero();
                }
                for (int j = 0; j < terms; j++) round_block(v, m, to + i + j);
            }
    }
}

static void BB_ISA(bb_prepare_blocks)(int T, int cols, const float *x, size_t ldx, void *prepared)
{
    prepare(1, T, cols, x, ldx, prepared);
}

/* For the formats that spare x: a row and what rounding took from it. */
static size_t fine_bytes(int T, int cols) { return x_bytes(2 * T, cols); }

static void BB_ISA(bb_prepare_fine)(int T, int cols, const float *x, size_t ldx, void *prepared)
{
    prepare(2, T, cols, x, ldx, prepared);
}

/* ------------------------------------------------------------- weights ------------------ */

/* Loads quads 2·pair and 2·pair + 1 of block b of a group for the outputs of one register: four
   bytes a lane, for VNNI with 128 added. */
typedef void load_fn(const unsigned char *group, int b, int half, int pair, vi w[2]);

BB_INLINE vi raised(vi w) { return DOTS ? vi_xor(w, BB_MM(set1_epi8)((char)0x80)) : w; }

BB_INLINE void load_q8(const unsigned char *group, int b, int half, int pair, vi w[2])
{
    BB_UNROLL
    for (int i = 0; i < 2; i++)
        w[i] = raised(vi_load(group + bb_q8_at(b, 2 * pair + i, half * VL)));
}

BB_INLINE void load_q4(const unsigned char *group, int b, int half, int pair, vi w[2])
{
    const vi mask = BB_MM(set1_epi8)(15);
    const vi values = raised(vi_repeat(_mm_loadu_si128((const __m128i *)bb_q4_values)));
    const vi codes = vi_load(group + bb_q4_at(b, pair, half * VL));

    w[0] = BB_MM(shuffle_epi8)(values, vi_and(codes, mask));
    w[1] = BB_MM(shuffle_epi8)(values, vi_and(BB_MM(srli_epi16)(codes, 4), mask));
}

/* ------------------------------------------------------------- tiles -------------------- */

/* Where the sums of a tile go: [M][16]. */
typedef struct target {
    float *sum;
    bool   add, finish;                   /* to earlier sums; write n columns of y instead */
    float *y;
    size_t ldy;
    int    n;
} target;

BB_INLINE vf scales_of(const unsigned char *group, size_t group_bytes, int b, int half)
{
    return vf_load_f16((const uint16_t *)(const void *)
                       (group + bb_scale_at(group_bytes, b, half * VL)));
}

/* acc + the products of row t of M rows of x with a block; sum is that of their whole numbers. */
BB_INLINE vf add_scaled(vi sum, int M, int t, const int32_t *x, vf scale, vf acc)
{
    float x_scale;

    memcpy(&x_scale, x + UNITS * M + t, sizeof x_scale);
    return vf_fma(vf_mul(BB_MM(cvtepi32_ps)(sum), vf_set1(x_scale)), scale, acc);
}

BB_INLINE vi first_sum(int M, int t, const int32_t *x)
{
    return BB_MM(set1_epi32)(DOTS ? x[(UNITS + 1) * M + t] : 0);
}

/* tile_block: M rows of x times one block of 16 outputs. */
#if BB_VEC_512
/* sum + the products of four bytes a lane, or of two pairs, with a quad of x in all lanes. The
   instruction itself can repeat a quad in memory, which compilers do not see. */
BB_INLINE vi add_products(vi sum, vi w, const int32_t *x)
{
#if DOTS
    __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(w), "m"(*x));
    return sum;
#else
    return BB_MM(add_epi32)(sum, BB_MM(madd_epi16)(w, BB_MM(set1_epi32)(*x)));
#endif
}

/* Rows of x whose products are added up side by side: one addition waits some four cycles for the
   last. */
enum { TOGETHER = 2 };

/* The weights wait in registers for one row after the other. */
BB_INLINE void tile_block(load_fn *load, size_t group_bytes, int M, const unsigned char *group,
                          int b, const int32_t *x, vf acc[HALVES][MOST])
{
    const vf scale = scales_of(group, group_bytes, b, 0);
    vi       w[UNITS];

    BB_UNROLL
    for (int i = 0; i < QUADS / 2; i++) load(group, b, 0, i, w + 2 * i);
    BB_UNROLL
    for (int i = 0; PAIRS && i < QUADS; i++) {
        w[(i + QUADS) % UNITS] = BB_MM(srai_epi16)(w[i], 8);
        w[i] = BB_MM(srai_epi16)(BB_MM(slli_epi16)(w[i], 8), 8);
    }
    BB_UNROLL
    for (int t = 0; t < M; t += TOGETHER) {
        const int m = M - t < TOGETHER ? M - t : TOGETHER;
        vi        sum[TOGETHER];
        BB_UNROLL
        for (int j = 0; j < m; j++) sum[j] = first_sum(M, t + j, x);
        BB_UNROLL
        for (int i = 0; i < UNITS; i++)
            BB_UNROLL
            for (int j = 0; j < m; j++)
                sum[j] = add_products(sum[j], w[i], x + i * M + t + j);
        BB_UNROLL
        for (int j = 0; j < m; j++)
            acc[0][t + j] = add_scaled(sum[j], M, t + j, x, scale, acc[0][t + j]);
    }
}
#else
/* sum + the products of four bytes a lane with a quad of x in all lanes; magnitude is that of w. */
BB_INLINE vi add_products(vi sum, vi w, vi magnitude, vi x)
{
#if DOTS
    (void)magnitude;
    return _mm256_dpbusd_avx_epi32(sum, w, x);
#else
    const vi pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(x, w));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#endif
}

/* All rows pass each quad of 16 outputs: 16 registers hold no block. In this order: gcc would load
   all quads of x first, and add their products up in pairs, in memory. */
BB_INLINE void tile_block(load_fn *load, size_t group_bytes, int M, const unsigned char *group,
                          int b, const int32_t *x, vf acc[HALVES][MOST])
{
    vi sum[HALVES][MOST];

    BB_UNROLL
    for (int t = 0; t < M; t++)
        BB_UNROLL
        for (int h = 0; h < HALVES; h++) sum[h][t] = first_sum(M, t, x);
    BB_UNROLL
    for (int i = 0; i < QUADS / 2; i++) {
        vi w[HALVES][2];
        BB_UNROLL
        for (int h = 0; h < HALVES; h++) load(group, b, h, i, w[h]);
        BB_UNROLL
        for (int j = 0; j < 2; j++) {
            vi magnitude[HALVES];
            BB_UNROLL
            for (int h = 0; h < HALVES; h++) magnitude[h] = _mm256_abs_epi8(w[h][j]);
            BB_UNROLL
            for (int t = 0; t < M; t++) {
                vi quad = _mm256_set1_epi32(x[(2 * i + j) * M + t]);
                BB_KEEP(quad);
                BB_UNROLL
                for (int h = 0; h < HALVES; h++) {
                    sum[h][t] = add_products(sum[h][t], w[h][j], magnitude[h], quad);
                    BB_KEEP(sum[h][t]);
                }
            }
        }
    }
    BB_UNROLL
    for (int h = 0; h < HALVES; h++) {
        const vf scale = scales_of(group, group_bytes, b, h);
        BB_UNROLL
        for (int t = 0; t < M; t++) acc[h][t] = add_scaled(sum[h][t], M, t, x, scale, acc[h][t]);
    }
}
#endif

/* Prefetches while group w, number g of a tile, is multiplied. With AVX-512 every second line, for
   Zen 4 fetches lines in pairs. Zen 3, which has AVX2 alone, does not: one core reads q4 at 6 GB/s
   in this way, and at 16 with every line. A group has an odd number of lines. */
BB_INLINE void look_ahead(const unsigned char *w, size_t group_bytes, int g)
{
    const size_t every = BB_VEC_512 ? 2 * LINE : LINE;

    if (BB_VEC_512 && g % 4 == 0) _mm_prefetch((const char *)w + FAR, _MM_HINT_T1);
    for (size_t i = BB_VEC_512 && g % 2 ? LINE : 0; i < group_bytes; i += every)
        _mm_prefetch((const char *)w + AHEAD + i, BB_VEC_512 ? _MM_HINT_T1 : _MM_HINT_T0);
}

/* M rows of x through n groups of a tile. */
BB_INLINE void tile(load_fn *load, size_t group_bytes, int M, int n, const unsigned char *w,
                    const int32_t *x, const target *to)
{
    const bool finish = to->finish;
    vf         acc[HALVES][MOST];

    BB_UNROLL
    for (int half = 0; half < HALVES; half++)
        BB_UNROLL
        for (int t = 0; t < M; t++)
            acc[half][t] = to->add ? vf_load(to->sum + t * BB_TILE_ROWS + half * VL) : vf_zero();
    for (int g = 0; g < n; g++, w += group_bytes, x += 2 * PART * M) {
        look_ahead(w, group_bytes, g);
        tile_block(load, group_bytes, M, w, 0, x, acc);
        tile_block(load, group_bytes, M, w, 1, x + PART * M, acc);
    }
    BB_UNROLL
    for (int half = 0; half < HALVES; half++) {
        const int left = to->n - half * VL < 0 ? 0 : to->n - half * VL;
        BB_UNROLL
        for (int t = 0; t < M; t++)
            if (finish)
                vf_store_part(to->y + (size_t)t * to->ldy + half * VL, left < VL ? left : VL,
                              acc[half][t]);
            else vf_store(to->sum + t * BB_TILE_ROWS + half * VL, acc[half][t]);
    }
}

typedef void tile_fn(int n, const unsigned char *w, const int32_t *x, const target *to);

#define TILE(name, group_bytes, M)                                                                \
    static void tile_##name##_##M(int n, const unsigned char *w, const int32_t *x,                \
                                  const target *to)                                               \
    {                                                                                             \
        tile(load_##name, group_bytes, M, n, w, x, to);                                           \
    }
#define TILES_4(name, bytes) TILE(name, bytes, 1) TILE(name, bytes, 2) TILE(name, bytes, 3)       \
    TILE(name, bytes, 4)
#if BB_VEC_512
#  define TILES(name, bytes) TILES_4(name, bytes) TILE(name, bytes, 5) TILE(name, bytes, 6)       \
       TILE(name, bytes, 7) TILE(name, bytes, 8) TILE(name, bytes, 16)
#  define LIST(name) NULL, tile_##name##_1, tile_##name##_2, tile_##name##_3, tile_##name##_4,    \
       tile_##name##_5, tile_##name##_6, tile_##name##_7, tile_##name##_8, [MOST] = tile_##name##_16
#else
#  define TILES(name, bytes) TILES_4(name, bytes)
#  define LIST(name) NULL, tile_##name##_1, tile_##name##_2, tile_##name##_3, tile_##name##_4
#endif

/* ------------------------------------------------------------- products ----------------- */

/* A matrix and the tiles of its format. */
typedef struct matrix {
    tile_fn *const      *tile;            /* [MOST + 1] by rows of x */
    size_t               group_bytes;
    int                  n_groups;        /* of a tile */
    const unsigned char *w;               /* the first tile that is meant */
    bool                 abreast;         /* one row of x passes several tiles at once */
} matrix;

BB_INLINE const unsigned char *group_of(const matrix *m, int tile, int group)
{
    return m->w + ((size_t)tile * (size_t)m->n_groups + (size_t)group) * m->group_bytes;
}

#if BB_VEC_512 || DOTS
enum { ABREAST = 0 };

static void pass_abreast(const matrix *m, int tile, const int32_t *x, float *y)
{
    (void)m, (void)tile, (void)x, (void)y;
}
#else
/* Tiles of q8 that one row of x passes side by side: three streams of weights, without prefetch
   instructions. Zen 3 prefetches three streams by itself faster than by instruction, in which way a
   core reads 15 to 18 GB/s: q8 is decoded 1.1 to 1.2 times as fast. q4 is not; unpacking and
   multiplying it takes a core about as long as reading it. */
enum { ABREAST = 3, ABREAST_SUMS = ABREAST * HALVES };

/* One row of x times one block of ABREAST tiles, `apart` bytes from each other. */
BB_INLINE void abreast_block(size_t apart, const unsigned char *group, int b, const int32_t *x,
                             vf acc[ABREAST_SUMS])
{
    vi sum[ABREAST_SUMS];

    BB_UNROLL
    for (int i = 0; i < ABREAST_SUMS; i++) sum[i] = first_sum(1, 0, x);
    BB_UNROLL
    for (int pair = 0; pair < QUADS / 2; pair++) {
        vi quad[2];
        BB_UNROLL
        for (int j = 0; j < 2; j++) {
            quad[j] = _mm256_set1_epi32(x[2 * pair + j]);
            BB_KEEP(quad[j]);
        }
        BB_UNROLL
        for (int i = 0; i < ABREAST_SUMS; i++) {
            vi w[2];
            load_q8(group + (size_t)(i / HALVES) * apart, b, i % HALVES, pair, w);
            BB_UNROLL
            for (int j = 0; j < 2; j++) {
                sum[i] = add_products(sum[i], w[j], _mm256_abs_epi8(w[j]), quad[j]);
                BB_KEEP(sum[i]);
            }
        }
    }
    BB_UNROLL
    for (int i = 0; i < ABREAST_SUMS; i++)
        acc[i] = add_scaled(sum[i], 1, 0, x, scales_of(group + (size_t)(i / HALVES) * apart,
                                                       BB_Q8_GROUP, b, i % HALVES), acc[i]);
}

/* One row of x times tile … tile + ABREAST - 1 to y. */
static void pass_abreast(const matrix *m, int tile, const int32_t *x, float *y)
{
    const size_t         apart = (size_t)m->n_groups * BB_Q8_GROUP;
    const unsigned char *w = group_of(m, tile, 0);
    vf                   acc[ABREAST_SUMS];

    BB_UNROLL
    for (int i = 0; i < ABREAST_SUMS; i++) acc[i] = vf_zero();
    for (int g = 0; g < m->n_groups; g++, w += BB_Q8_GROUP, x += 2 * PART) {
        abreast_block(apart, w, 0, x, acc);
        abreast_block(apart, w, 1, x + PART, acc);
    }
    BB_UNROLL
    for (int i = 0; i < ABREAST_SUMS; i++) vf_store(y + i * VL, acc[i]);
}
#endif

/* A tile passes all rows of x before the next one comes from memory. */
static void few(const matrix *m, int T, int rows, const int32_t *x, float *y, size_t ldy)
{
    enum { WIDTH = ABREAST * BB_TILE_ROWS };
    int    r = 0;

    for (; m->abreast && T == 1 && rows - r >= WIDTH; r += WIDTH)
        pass_abreast(m, r / BB_TILE_ROWS, x, y + r);
    for (; r < rows; r += BB_TILE_ROWS) {
        const int32_t *part = x;
        for (int t = 0, n; t < T; t += n) {
            n = rows_together(T - t);
            const target to = { .finish = true, .y = y + (size_t)t * ldy + r, .ldy = ldy,
                                .n = rows - r < BB_TILE_ROWS ? rows - r : BB_TILE_ROWS };
            m->tile[n](m->n_groups, group_of(m, r / BB_TILE_ROWS, 0), part, &to);
            part += (size_t)n * 2 * (size_t)m->n_groups * PART;
        }
    }
}

/* A chunk of groups: some rows of x stay in the first cache while all tiles pass, whose chunks stay
   in the second cache while all rows pass. sums [T][rows in whole tiles]. */
static void many(const matrix *m, int T, int rows, const int32_t *x, float *y, size_t ldy,
                 float *sums)
{
    const int whole = (rows + BB_TILE_ROWS - 1) / BB_TILE_ROWS * BB_TILE_ROWS;

    for (int g = 0; g == 0 || g < m->n_groups; g += CHUNK) {
        const int      k = m->n_groups - g < CHUNK ? m->n_groups - g : CHUNK;
        const int32_t *part = x;
        for (int t = 0, n; t < T; t += n) {
            n = rows_together(T - t);
            for (int r = 0; r < rows; r += BB_TILE_ROWS) {
                const target to = {
                    sums + (size_t)t * (size_t)whole + (size_t)n * (size_t)r, g > 0,
                    g + k == m->n_groups, y + (size_t)t * ldy + r, ldy,
                    rows - r < BB_TILE_ROWS ? rows - r : BB_TILE_ROWS
                };
                m->tile[n](k, group_of(m, r / BB_TILE_ROWS, g),
                           part + (size_t)n * 2 * (size_t)g * PART, &to);
            }
            part += (size_t)n * 2 * (size_t)m->n_groups * PART;
        }
    }
}

/* Dot products make no difference to it. */
#if BB_VEC_512
#  define ENCODE(name_of) bb_encode_##name_of##_avx512
#else
#  define ENCODE(name_of) bb_encode_##name_of##_avx2
#endif

/* Rows 2t and 2t + 1 of x are the terms of row t. sums [2·T][16]. */
static void few_fine(const matrix *m, int T, int rows, const int32_t *x, float *y, size_t ldy,
                     float *sums)
{
    matrix at = *m;

    for (int r = 0; r < rows; r += BB_TILE_ROWS, at.w = group_of(&at, 1, 0)) {
        const int n = rows - r < BB_TILE_ROWS ? rows - r : BB_TILE_ROWS;
        few(&at, 2 * T, n, x, sums, BB_TILE_ROWS);
        for (int t = 0; t < T; t++)
            for (int i = 0; i < n; i++)
                y[(size_t)t * ldy + (size_t)(r + i)] = sums[2 * t * BB_TILE_ROWS + i]
                                                     + sums[(2 * t + 1) * BB_TILE_ROWS + i];
    }
}

#define FORMAT(name_of, type_of, bytes_of_group, abreast)                                         \
    TILES(name_of, bytes_of_group)                                                                \
    static tile_fn *const name_of##_tiles[MOST + 1] = { LIST(name_of) };                          \
    BB_INLINE matrix name_of##_matrix(int cols, const void *W, int first)                         \
    {                                                                                             \
        const matrix m = { name_of##_tiles, bytes_of_group, bb_groups(cols),                      \
                           (const unsigned char *)W + bb_bytes_##name_of(first, cols), abreast }; \
        return m;                                                                                 \
    }                                                                                             \
    static void BB_ISA(bb_few_##name_of)(int T, int rows, int cols, const void *W, int first,     \
                                         const void *x, float *y, size_t ldy)                     \
    {                                                                                             \
        const matrix m = name_of##_matrix(cols, W, first);                                        \
        few(&m, T, rows, x, y, ldy);                                                              \
    }                                                                                             \
    static void BB_ISA(bb_many_##name_of)(int T, int rows, int cols, const void *W, int first,    \
                                          const void *x, float *y, size_t ldy, void *scratch)     \
    {                                                                                             \
        const matrix m = name_of##_matrix(cols, W, first);                                        \
        many(&m, T, rows, x, y, ldy, scratch);                                                    \
    }                                                                                             \
    const bb_format BB_ISA(bb_format_##name_of) = {                                               \
        .name = #name_of, .type = type_of, .block = BB_BLOCK, .rows_together = BB_TILE_ROWS,      \
        .align = 2, .activation = BB_TYPE_I8, .group = MOST, .bytes = bb_bytes_##name_of,        \
        .few_bytes = x_bytes, .many_bytes = x_bytes, .prepare_few = BB_ISA(bb_prepare_blocks),    \
        .prepare_many = BB_ISA(bb_prepare_blocks), .few = BB_ISA(bb_few_##name_of),               \
        .many = BB_ISA(bb_many_##name_of), .decode = bb_decode_##name_of,                         \
        .encode = ENCODE(name_of), .encode_carrying = ENCODE(carrying_##name_of)                  \
    };
FORMAT(q8, BB_TYPE_Q8, BB_Q8_GROUP, ABREAST > 0)
FORMAT(q4, BB_TYPE_Q4, BB_Q4_GROUP, false)

/* Q8 with x in two terms. */
static void BB_ISA(bb_few_q8_fine)(int T, int rows, int cols, const void *W, int first,
                                   const void *x, float *y, size_t ldy)
{
    enum { MOST_T = 32 };
    const matrix m = q8_matrix(cols, W, first);
    float        sums[2 * MOST_T * BB_TILE_ROWS];

    for (int t = 0; t < T; t += MOST_T)
        few_fine(&m, T - t < MOST_T ? T - t : MOST_T, rows,
                 (const int32_t *)x + x_words(2 * t, cols), y + (size_t)t * ldy, ldy, sums);
}

static void BB_ISA(bb_many_q8_fine)(int T, int rows, int cols, const void *W, int first,
                                    const void *x, float *y, size_t ldy, void *scratch)
{
    const matrix m = q8_matrix(cols, W, first);
    few_fine(&m, T, rows, x, y, ldy, scratch);
}

const bb_format BB_ISA(bb_format_q8_fine) = {
    .name = "q8", .type = BB_TYPE_Q8, .block = BB_BLOCK, .rows_together = BB_TILE_ROWS,
    .align = 2, .activation = BB_TYPE_I16, .group = MOST / 2, .bytes = bb_bytes_q8,
    .few_bytes = fine_bytes, .many_bytes = fine_bytes, .prepare_few = BB_ISA(bb_prepare_fine),
    .prepare_many = BB_ISA(bb_prepare_fine), .few = BB_ISA(bb_few_q8_fine),
    .many = BB_ISA(bb_many_q8_fine), .decode = bb_decode_q8, .encode = ENCODE(q8)
};
