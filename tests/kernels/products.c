/* products.c - checks of formats: rows times a matrix, few rows and many, against decoded weights
   (the bound per element, the error on average, rows that share a call keeping the bits they have
   alone), and decode and encode. */
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct shape { int T, rows, cols; } shape;

enum { BEFORE = 16, AFTER = 1 };          /* rows of the matrix around those that are multiplied */

/* One call of the kernel under test. */
typedef struct call {
    const bb_format *f;
    bool             many;
    const void      *W;
    size_t           ldx, ldy;
    void            *prepared, *scratch;
} call;

/* The first group is prepared by a call of its own. */
static void prepare(const call *k, int T, int cols, const float *x)
{
    const int first = T < k->f->group ? T : k->f->group;

    if (!k->many) {
        k->f->prepare_few(T, cols, x, k->ldx, k->prepared);
        return;
    }
    k->f->prepare_many(first, cols, x, k->ldx, k->prepared);
    k->f->prepare_many(T - first, cols, x + (size_t)first * k->ldx, k->ldx,
                       (unsigned char *)k->prepared + k->f->many_bytes(first, cols));
}

static void run(const call *k, int T, int first, int rows, int cols, const float *x, float *y)
{
    prepare(k, T, cols, x);
    if (k->many) k->f->many(T, rows, cols, k->W, first, k->prepared, y, k->ldy, k->scratch);
    else k->f->few(T, rows, cols, k->W, first, k->prepared, y, k->ldy);
}

/* Add to value, of a block x of n <= 32, whole numbers times its largest / 127; of what that
   leaves, the same, if there is another term. */
static void round_block(int terms, int n, const float *x, double *value)
{
    float most = 0.0f, rest[32];

    for (int i = 0; i < n; i++) most = fmaxf(most, fabsf(x[i]));
    for (int i = 0; i < n; i++) {
        const float scale = most / 127.0f, q = most < 1e-30f ? 0.0f : rintf(x[i] * (127.0f / most));
        const float term = q * scale;     /* a store between: no multiplication and subtraction in
                                             one */
        value[i] += (double)scale * (double)q;
        rest[i] = x[i] - term;
    }
    if (terms > 1) round_block(terms - 1, n, rest, value);
}

/* Rows are float32, their values what is left of them when the format rounds. */
static typed make_rows(check *c, const call *k, int fill, int T, int cols)
{
    const int    type = (int)k->f->activation;
    const size_t n = (size_t)T * k->ldx;
    const typed  x = check_typed(c, BB_TYPE_F32, fill, n);

    if (type == BB_TYPE_BF16)
        for (size_t i = 0; i < n; i++)
            x.value[i] = decode_half(type, encode_half(type, x.value[i]));
    const int terms = type == BB_TYPE_I8 ? 1 : type == BB_TYPE_I16 ? 2 : 0;
    for (size_t i = 0; terms > 0 && i < n; i++) x.value[i] = 0.0;
    for (int t = 0; terms > 0 && t < T; t++)
        for (int i = 0; i < cols; i += 32) {
            const size_t at = (size_t)t * k->ldx + (size_t)i;
            round_block(terms, cols - i < 32 ? cols - i : 32, (const float *)x.data + at,
                        x.value + at);
        }
    return x;
}

/* A matrix in a format, and its values. What has scales is made by encode; decode says what it
   is. */
static typed make_weights(check *c, const bb_format *f, int fill, int rows, int cols)
{
    const size_t n = (size_t)rows * (size_t)cols;

    if (f->block == 1) return check_typed(c, (int)f->type, fill, n);
    const typed t = { check_halves(c, f->bytes(rows, cols) / 2), malloc((n + 1) * sizeof(double)) };
    const float *w = check_input(c, fill, n);
    float       *back = check_floats(c, n);
    if (!t.value) exit(2);
    f->encode(rows, cols, w, (size_t)cols, NULL, (void *)(uintptr_t)t.data, 0);
    f->decode(rows, cols, t.data, 0, back, (size_t)cols);
    for (size_t i = 0; i < n; i++) t.value[i] = (double)back[i];
    return t;
}

/* Weight rows, as few as the format allows, have the bits they have together: tiles may be cut
   anywhere. */
static void check_rows_alone(check *c, const call *k, shape s, const float *x, const float *y)
{
    float *one = check_floats(c, (size_t)s.T * k->ldy);

    for (int r = 0, n = k->f->rows_together; r < s.rows; r += r < 3 || n > 1 ? n : 7) {
        const int rows = s.rows - r < n ? s.rows - r : n;
        run(k, s.T, BEFORE + r, rows, s.cols, x, one);
        for (size_t t = 0; t < (size_t)s.T; t++)
            check_bits(c, (size_t)rows, one + t * k->ldy, y + t * k->ldy + r);
    }
}

static void check_shape(check *c, int format, bool many, shape s, int fill)
{
    const bb_format *f = &c->k->format[format];
    const size_t     cols = (size_t)s.cols, n_rows = BEFORE + (size_t)s.rows + AFTER;
    call             k = { .f = f, .many = many, .ldx = cols + 1, .ldy = (size_t)s.rows + 2 };
    double           error = 0.0, w2 = 0.0, x2 = 0.0;

    check_case(c, "T %d rows %d cols %d fill %d", s.T, s.rows, s.cols, fill);
    const typed W = make_weights(c, f, fill, (int)n_rows, s.cols);
    const typed x = make_rows(c, &k, fill, s.T, s.cols);
    float      *y = check_floats(c, (size_t)s.T * k.ldy), *one = check_floats(c, k.ldy);

    k.W = W.data;                         /* prepared: aligned as floats are, whatever it holds */
    k.prepared = check_floats(c, (many ? f->many_bytes : f->few_bytes)(s.T, s.cols) / 4);
    k.scratch = aligned_alloc(64, BB_MANY_SCRATCH(s.T, s.rows));
    run(&k, s.T, BEFORE, s.rows, s.cols, x.data, y);
    for (int t = 0; t < s.T; t++) {
        const double *xt = x.value + (size_t)t * k.ldx;
        const float  *yt = y + (size_t)t * k.ldy;
        for (int r = 0; r < s.rows; r++) {
            const double *w   = W.value + (size_t)(BEFORE + r) * cols;
            double        sum = 0.0, size = 0.0;
            for (int i = 0; i < s.cols; i++) {
                const double p = w[i] * xt[i];
                sum += p;
                size += fabs(p);
                w2 += w[i] * w[i];
                x2 += xt[i] * xt[i];
            }
            check_near(c, (size_t)t * k.ldy + (size_t)r, yt[r], sum,
                       (s.cols / 16.0 + 6) * (double)FLT_EPSILON * size);
            error += ((double)yt[r] - sum) * ((double)yt[r] - sum);
        }
        check_true(c, check_is_sentinel(yt[s.rows]) && check_is_sentinel(yt[s.rows + 1]),
                   "wrote between the rows of y");
        if (t % 16 > 2) continue;         /* alone: some of the rows */
        run(&k, 1, BEFORE, s.rows, s.cols, (const float *)x.data + (size_t)t * k.ldx, one);
        check_bits(c, (size_t)s.rows, yt, one);
    }
    if (s.T <= 5) check_rows_alone(c, &k, s, x.data, y);
    if (s.cols && fill == FILL_RANDOM && s.T * s.rows >= 64) {       /* an average needs many */
        const double n = (double)s.T * s.rows, m = n * s.cols;
        check_true(c, sqrt(error / n) <= 4 * (double)FLT_EPSILON * sqrt(s.cols) * sqrt(w2 / m)
                                             * sqrt(x2 / m), "mean error too large");
    }
    free(k.scratch);
    check_done(c);
    free(W.value);
    free(x.value);
}

/* After one large product come many that vanish when each is added to it, but not their sum. */
static void check_large_first(check *c, int format, bool many, int cols)
{
    const bb_format *f = &c->k->format[format];
    const size_t     n = (size_t)cols;
    call             k = { .f = f, .many = many, .ldx = n, .ldy = 1 };
    const double     tiny = 0x1.ffp-25, most = many && cols / 16 < 32 ? 32 : cols / 16;

    if (f->activation != BB_TYPE_F32 || !f->encode) return;
    check_case(c, "cols %d, the first large", cols);
    float *x = check_floats(c, n), *y = check_floats(c, 1), *w = check_floats(c, n);
    void  *W = check_halves(c, f->bytes(1, cols) / 2);
    for (size_t i = 0; i < n; i++) {
        x[i] = i ? (float)tiny : 1.0f;
        w[i] = 1.0f;
    }
    f->encode(1, cols, w, n, NULL, W, 0);
    k.W = W;
    k.prepared = check_floats(c, (many ? f->many_bytes : f->few_bytes)(1, cols) / 4);
    k.scratch = aligned_alloc(64, BB_MANY_SCRATCH(1, 1));
    if (!k.scratch) exit(2);
    run(&k, 1, 0, 1, cols, x, y);
    const double sum = 1 + (cols - 1) * tiny;
    check_near(c, 0, y[0], sum, (most + 6) * (double)FLT_EPSILON * sum);
    check_done(c);
    free(k.scratch);
}

/* Tiles of one group of blocks, more than any kernel multiplies side by side, whose codes are all
   the same byte, also one that encode does not use: -128 in 8 bits. */
static void check_same_codes(check *c, int format, bool many, int T, uint8_t code, int fill)
{
    enum { ROWS = 4 * BB_TILE_ROWS, COLS = 2 * BB_BLOCK, SCALES = 2 * BB_TILE_ROWS * 2 };
    const bb_format *f = &c->k->format[format];
    call             k = { .f = f, .many = many, .ldx = COLS, .ldy = ROWS };

    if (f->block != BB_BLOCK || !f->few) return;
    check_case(c, "T %d, all codes 0x%02X, fill %d", T, code, fill);
    const size_t   bytes = f->bytes(ROWS, COLS), tile = f->bytes(BB_TILE_ROWS, COLS);
    unsigned char *W = (unsigned char *)check_halves(c, bytes / 2);
    float         *w = check_floats(c, ROWS * COLS), *y = check_floats(c, (size_t)T * ROWS);
    const typed    x = make_rows(c, &k, fill, T, COLS);
    k.W = W;
    k.prepared = check_floats(c, (many ? f->many_bytes : f->few_bytes)(T, COLS) / 4);
    k.scratch = aligned_alloc(64, BB_MANY_SCRATCH(T, ROWS));
    if (!k.scratch) exit(2);
    for (int i = 0; i < ROWS * COLS; i++) w[i] = (float)(1 + i % 3);
    f->encode(ROWS, COLS, w, COLS, NULL, W, 0);
    for (size_t at = 0; at < bytes; at += tile) memset(W + at, code, tile - SCALES);
    f->decode(ROWS, COLS, W, 0, w, COLS);
    run(&k, T, 0, ROWS, COLS, x.data, y);
    for (int i = 0; i < T * ROWS; i++) {
        double sum = 0.0, size = 0.0;
        for (int n = 0; n < COLS; n++) {
            const double p = (double)w[i % ROWS * COLS + n] * x.value[i / ROWS * COLS + n];
            sum += p;
            size += fabs(p);
        }
        check_near(c, (size_t)i, y[i], sum, (COLS / 16.0 + 6) * (double)FLT_EPSILON * size);
    }
    free(k.scratch);
    check_done(c);
    free(x.value);
}

static void check_extreme_codes(check *c, int format, bool many, int T)
{
    static const uint8_t code[] = { 0x80, 0x7F, 0x08 };

    for (size_t i = 0; i < sizeof code; i++) {
        check_same_codes(c, format, many, T, code[i], FILL_ALTERNATING);
        check_same_codes(c, format, many, T, code[i], FILL_RANDOM);
    }
}

static size_t element_of(const bb_format *f)
{
    return f->type == BB_TYPE_F32 ? 4 : f->type == BB_TYPE_BF16 || f->type == BB_TYPE_F16 ? 2 : 1;
}

/* Room for n elements of a row-major format. */
static void *make_room(check *c, const bb_format *f, size_t n)
{
    return element_of(f) == 4 ? (void *)check_floats(c, n)
         : element_of(f) == 2 ? (void *)check_halves(c, n) : (void *)check_bytes(c, n);
}

/* What is left of a value in a format. */
static double rounded(const bb_format *f, double v)
{
    return element_of(f) == 4 ? v
         : element_of(f) == 2 ? decode_half((int)f->type, encode_half((int)f->type, v))
                              : decode_byte((int)f->type, encode_byte((int)f->type, v));
}

/* Rows of any floats, encoded and decoded, are rounded to nearest even. */
static void check_encode(check *c, int format, int rows, int cols)
{
    const bb_format *f = &c->k->format[format];
    const size_t     width = (size_t)cols, n = (size_t)rows * width;

    if (!f->encode) return;
    check_case(c, "encode rows %d cols %d", rows, cols);
    const float *w = check_input(c, FILL_WIDE, n);
    float       *back = check_floats(c, n);
    void        *W = make_room(c, f, n);
    f->encode(rows, cols, w, width, NULL, W, 0);
    f->decode(rows, cols, W, 0, back, width);
    for (size_t i = 0; i < n; i++) check_near(c, i, back[i], rounded(f, (double)w[i]), 0.0);
    check_done(c);
}

/* Decoded rows are the values that the products are checked with; encoded again they are the
   bytes. */
static void check_decode(check *c, int format, int rows, int cols)
{
    const bb_format *f = &c->k->format[format];
    const size_t     width = (size_t)cols, ldw = width + 3, bytes = f->bytes(rows, cols);

    check_case(c, "rows %d cols %d", rows, cols);
    check_true(c, bytes == (size_t)rows * width * element_of(f), "bytes of a matrix");
    const typed W = check_typed(c, (int)f->type, FILL_WIDE, (size_t)rows * width);
    void       *copy = make_room(c, f, (size_t)rows * width);
    for (int first = 0; first < rows; first += 3) {
        const int n = rows - first < 3 ? rows - first : 3;
        float    *w = check_floats(c, (size_t)n * ldw);
        f->decode(n, cols, W.data, first, w, ldw);
        for (size_t r = 0; r < (size_t)n; r++) {
            for (size_t i = 0; i < width; i++)
                check_near(c, i, w[r * ldw + i], W.value[((size_t)first + r) * width + i], 0.0);
            check_true(c, check_is_sentinel(w[r * ldw + width]), "wrote between the rows of w");
        }
        if (f->encode) f->encode(n, cols, w, ldw, NULL, copy, first);
    }
    check_true(c, !f->encode || memcmp(copy, W.data, bytes) == 0,
               "encoding what decode gave gives other bytes");
    check_done(c);
    free(W.value);
}

/* All 256 values of a byte, by decode and as the only weight of a product that is not zero. */
static void check_codes(check *c, int format)
{
    const bb_format *f = &c->k->format[format];

    check_case(c, "all codes");
    uint8_t *W = check_bytes(c, 256 * 67), *prepared = (uint8_t *)check_floats(c, 128);
    float   *w = check_floats(c, 67), *x = check_floats(c, 67), *y = check_floats(c, 256);
    memset(W, 0, 256 * 67);
    for (int i = 0; i < 67; i++) x[i] = 1.0f;
    for (int i = 0; i < 256; i++) W[i * 67 + i % 67] = (uint8_t)i;
    f->prepare_few(1, 67, x, 67, prepared);
    f->few(1, 256, 67, W, 0, prepared, y, 256);
    for (int i = 0; i < 256; i++) {
        const double value = decode_byte((int)f->type, (uint8_t)i);
        f->decode(1, 67, W, i, w, 67);
        check_near(c, (size_t)i, w[i % 67], value, 0.0);
        check_near(c, (size_t)i, y[i], value, 0.0);
    }
    check_done(c);
}

/* -------------------------------------------------------------- with scales -------------- */

/* Code c of a row. */
static double code_at(int format, const bb_scaled *s, const uint8_t *row, int c)
{
    if (format == BB_FORMAT_F8_SCALED) return decode_byte(BB_TYPE_F8_E4M3, row[c]);
    if (format == BB_FORMAT_I8_SCALED) return (int8_t)(row[c] ^ s->flip);
    return (row[c / 2] >> 4 * (c % 2) & 15) - 8;
}

/* Random codes, scales and zeros in blocks: decoded rows against the formula. */
static void check_scaled(check *c, int format, int rows, int cols, bb_scaled s)
{
    const bb_format *f = &c->k->format[format];
    const size_t     n_blocks = (size_t)((s.first + rows + s.block_rows - 1) / s.block_rows)
                              * (size_t)s.blocks_across;
    const size_t     ldw = (size_t)cols + 2;

    check_case(c, "%d x %d, blocks of %d x %d from row %d%s", rows, cols, s.block_rows,
               s.block_cols, s.first, s.zero ? ", zeros" : "");
    s.row_bytes = f->bytes(1, cols);
    uint8_t *codes = check_bytes(c, (size_t)rows * s.row_bytes);
    float   *zero = check_floats(c, n_blocks), *w = check_floats(c, (size_t)rows * ldw);
    for (size_t i = 0; i < (size_t)rows * s.row_bytes; i++) codes[i] = (uint8_t)check_below(c, 256);
    for (size_t i = 0; i < n_blocks; i++) zero[i] = (float)(check_below(c, 16) - 8);
    s.codes = codes;
    s.scale = check_input(c, FILL_RANDOM, n_blocks);
    if (s.zero) s.zero = zero;
    f->decode(1, cols, &s, rows - 1, w + (size_t)(rows - 1) * ldw, ldw);
    if (rows > 1) f->decode(rows - 1, cols, &s, 0, w, ldw);
    for (int r = 0; r < rows; r++) {
        for (int i = 0; i < cols; i++) {
            const size_t block = (size_t)((s.first + r) / s.block_rows * s.blocks_across
                                          + i / s.block_cols);
            const double code = code_at(format, &s, codes + (size_t)r * s.row_bytes, i)
                              - (s.zero ? (double)zero[block] : 0.0);
            check_near(c, (size_t)(r * cols + i), w[(size_t)r * ldw + (size_t)i],
                       (double)(float)((double)s.scale[block] * code), 0.0);
        }
        check_true(c, check_is_sentinel(w[(size_t)r * ldw + (size_t)cols]),
                   "wrote between the rows of w");
    }
    check_done(c);
}

static void check_blocks(check *c, int format)
{
    static const struct { int rows, cols; } size[] = { { 1, 1 }, { 3, 16 }, { 2, 24 }, { 5, 72 },
                                                       { 130, 40 }, { 7, 265 }, { 3, 1024 } };
    static const struct { int rows, cols, first; } block[] = {
        { 1, 8, 0 }, { 1, 32, 0 }, { 1, 64, 0 }, { 1, 128, 3 }, { 128, 128, 0 }, { 128, 128, 100 },
        { 2, 40, 1 }, { 1, 4096, 0 }, { 4096, 4096, 0 },
    };
    static const float some = 0.0f;

    for (size_t i = 0; i < sizeof size / sizeof *size; i++)
        for (size_t j = 0; j < sizeof block / sizeof *block; j++)
            for (int zero = 0; zero < 2; zero++)
                check_scaled(c, format, size[i].rows, size[i].cols, (bb_scaled){
                    .zero = zero ? &some : NULL, .block_rows = block[j].rows,
                    .block_cols = block[j].cols, .first = block[j].first,
                    .blocks_across = (size[i].cols + block[j].cols - 1) / block[j].cols,
                    .flip = format == BB_FORMAT_I8_SCALED && j % 2 ? 0x80 : 0 });
}

/* -------------------------------------------------------------- all formats -------------- */

static void check_few(check *c, int format)
{
    static const int   T[]    = { 0, 1, 2, 3, 4, 8, 17, 32, 33 };
    static const int   rows[] = { 0, 1, 2, 3, 5, 19 };
    static const int   cols[] = { 0, 1, 2, 7, 8, 15, 16, 17, 31, 33, 97, 511, 512, 513, 1031 };
    static const shape real[] = { { 1, 3, 4096 }, { 3, 2, 8192 }, { 2, 2, 14336 },
                                  { 5, 50, 2049 }, { 1, 101, 513 }, { 32, 4, 4096 } };

    for (size_t i = 0; i < sizeof T / sizeof *T; i++)
        for (size_t j = 0; j < sizeof rows / sizeof *rows; j++)
            for (size_t l = 0; l < sizeof cols / sizeof *cols; l++)
                check_shape(c, format, false, (shape){ T[i], rows[j], cols[l] }, FILL_RANDOM);
    for (int t = 1; t <= 33; t++) check_shape(c, format, false, (shape){ t, 27, 130 }, FILL_RANDOM);
    for (size_t i = 0; i < sizeof real / sizeof *real; i++)
        check_shape(c, format, false, real[i], FILL_RANDOM);
    for (int fill = 0; fill < N_FILLS; fill++) {
        check_shape(c, format, false, (shape){ 1, 3, 77 }, fill);
        check_shape(c, format, false, (shape){ 5, 4, 1031 }, fill);
        check_shape(c, format, false, (shape){ 1, 55, 77 }, fill);
    }
    check_large_first(c, format, false, 1024);
    for (int t = 1; t <= 5; t++) check_extreme_codes(c, format, false, t);
}

static void check_many(check *c, int format)
{
    static const int   T[]    = { 0, 1, 5, 13, 14, 15, 33, 64 };
    static const int   rows[] = { 0, 1, 15, 16, 17, 31, 33, 70 };
    static const int   cols[] = { 0, 1, 2, 17, 31, 64, 255, 257, 513 };
    static const shape real[] = { { 200, 40, 2048 }, { 33, 8, 14336 }, { 64, 33, 4095 } };

    for (size_t i = 0; i < sizeof T / sizeof *T; i++)
        for (size_t j = 0; j < sizeof rows / sizeof *rows; j++)
            for (size_t l = 0; l < sizeof cols / sizeof *cols; l++)
                check_shape(c, format, true, (shape){ T[i], rows[j], cols[l] }, FILL_RANDOM);
    for (size_t i = 0; i < sizeof real / sizeof *real; i++)
        check_shape(c, format, true, real[i], FILL_RANDOM);
    for (int fill = 0; fill < N_FILLS; fill++)
        check_shape(c, format, true, (shape){ 15, 33, 600 }, fill);
    check_large_first(c, format, true, 1024);
    check_extreme_codes(c, format, true, 33);
}

/* What a row of the table says of itself. */
static void check_row(check *c, int format)
{
    const bb_format *f = &c->k->format[format];

    check_case(c, "the row of the table");
    check_true(c, bb_format_of(c->k, f->type)->decode == f->decode, "is not found by its type");
    if (f->block == 1) {
        check_true(c, f->rows_together == 1, "is not row-major");
        check_true(c, f->align == f->bytes(1, 1), "wants more than the alignment of an element");
    } else {
        check_true(c, BEFORE % f->rows_together == 0, "has tiles that these checks cut");
        check_true(c, f->align == 2, "wants more than the alignment of a scale");
    }
    check_true(c, f->group >= 1 && f->group <= BB_MOST_GROUP, "group is out of range");
    check_true(c, f->prepare_many && f->many_bytes, "many is incomplete");
    check_done(c);
}

/* Q8 has two rows of the table. */
static const char *name_of(const bb_format *f)
{
    return f->activation == BB_TYPE_I16 ? "q8 fine" : f->name;
}

void check_products(check *c)
{
    char name[32];

    for (int i = 0; i < BB_N_FORMATS; i++) {
        const bb_format *f = &c->k->format[i];
        snprintf(name, sizeof name, "decode %s", name_of(f));
        if (!f->few && CHECK_BEGIN(c, name, format[i].decode)) {
            check_true(c, !f->many && f->prepare_few == c->k->format[BB_FORMAT_F32].prepare_few,
                       "does not leave products to float32");
            check_blocks(c, i);
            check_end(c);
        }
        if (!f->few) continue;
        snprintf(name, sizeof name, "few %s", name_of(f));
        if (CHECK_BEGIN(c, name, format[i].few)) {
            check_row(c, i);
            check_few(c, i);
            check_end(c);
        }
        snprintf(name, sizeof name, "many %s", name_of(f));
        if (f->many && CHECK_BEGIN(c, name, format[i].many)) {
            check_many(c, i);
            check_end(c);
        }
        snprintf(name, sizeof name, "decode %s", name_of(f));
        if (f->block == 1 && CHECK_BEGIN(c, name, format[i].decode)) {
            for (int rows = 0; rows < 8; rows++)
                for (int cols = 0; cols < 70; cols += 1 + cols / 3) check_decode(c, i, rows, cols);
            check_decode(c, i, 5, 4096);
            check_encode(c, i, 3, 1031);
            if (element_of(f) == 1) check_codes(c, i);
            check_end(c);
        }
    }
    if (bb_format_of(c->k, BB_TYPE_NONE) || bb_format_of(c->k, BB_TYPE_U8)) {
        printf("a format for a type that has none\n");
        c->n_failed++;
    }
}
