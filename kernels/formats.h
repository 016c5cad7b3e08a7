/* formats.h - how numbers are stored, and the kernels that read, write and multiply by them.
 *
 * Owns:    element types and their conversions; the formats of weight matrices with their layouts
 *          and products.
 * Not:     glossary and rules for all kernels (kernels.h, through which others see this file).
 */
#ifndef BB_FORMATS_H
#define BB_FORMATS_H

#include <stddef.h>
#include <stdint.h>

/* ------------------------------------------------------------- element types ------------ */

/* Element types of stored tensors: all that safetensors names, and Q8 and Q4, blocks of whole
   numbers with a scale, which a file holds as bytes. The values down to F8_E4M3 are those of the
   public bamba_type. Conversions know the first three; they index the arrays [BB_N_FLOATS] of the
   table. Caches and rows also know Q8, int8 with scales of their own, and index [BB_N_CACHES]. */
typedef enum bb_type {
    BB_TYPE_NONE,                         /* not said, or not known */
    BB_TYPE_F32, BB_TYPE_BF16, BB_TYPE_F16,
    BB_N_FLOATS,
    BB_TYPE_Q8 = BB_N_FLOATS, BB_TYPE_Q4, BB_TYPE_F8_E4M3,
    BB_N_CACHES = BB_TYPE_Q8 + 1,
    BB_TYPE_F64 = BB_TYPE_F8_E4M3 + 1, BB_TYPE_F8_E5M2, BB_TYPE_F8_E8M0,
    BB_TYPE_F8_E4M3FNUZ, BB_TYPE_F8_E5M2FNUZ, BB_TYPE_F6_E2M3, BB_TYPE_F6_E3M2, BB_TYPE_F4,
    BB_TYPE_I8, BB_TYPE_U8, BB_TYPE_I16, BB_TYPE_U16, BB_TYPE_I32, BB_TYPE_U32, BB_TYPE_I64,
    BB_TYPE_U64, BB_TYPE_BOOL, BB_TYPE_C64,
    BB_N_TYPES
} bb_type;

/* ------------------------------------------------------------- conversions -------------- */

/* dst[i] = src[i] as float32, exactly; NaN stays NaN.   src [n] bfloat16 or IEEE half. */
typedef void bb_widen_fn(size_t n, const uint16_t *src, float *dst);

/* dst[i] = src[i] rounded to nearest even; too large becomes infinity, NaN stays NaN. */
typedef void bb_narrow_fn(size_t n, const float *src, uint16_t *dst);

/*
 * Rows of float32 [rows, n] kept in fewer bits: of BB_TYPE_BF16, or of BB_TYPE_Q8, which is a
 * float32 scale and int8 codes from -127 to 127, value = scale · code. bb_row_bytes() a row, no
 * alignment. The scale is the row's largest magnitude / 127 cut to 16 significant bits, or 0 if
 * that is below 2^-100; a row with infinity or NaN becomes NaN.
 *
 * An element is rounded to one of the two values beside it, each as likely as the element is near
 * to it, so that a state that is rounded after every token keeps its mean: rounded to nearest, it
 * would not move at all where a step is less than half the distance of two values. The choice
 * depends on the element's number in its row and on noise + the row's number alone. What get gave
 * is put as it was, whatever the noise.
 */
typedef void bb_rows_put_fn(int rows, int n, const float *src, uint32_t noise, void *dst);

/* dst [rows, n] = the rows that put wrote, exactly. */
typedef void bb_rows_get_fn(int rows, int n, const void *src, float *dst);

typedef struct bb_rows {
    bb_rows_put_fn *put;
    bb_rows_get_fn *get;
} bb_rows;

static inline size_t bb_row_bytes(bb_type type, int n)
{
    const size_t width = (size_t)n;
    return type == BB_TYPE_F32 ? 4 * width : type == BB_TYPE_Q8 ? width + 4 : 2 * width;
}

/* ------------------------------------------------------------- products ----------------- */

/*
 * A format is a way to store a matrix of weights W [all rows, cols] (struct bb_format). Everything
 * that reads or writes its bytes takes W, the start of the whole matrix, and `first`, the first row
 * that is meant: callers never compute where a row lies.
 */

/* w [rows, cols] row stride ldw = rows first … first + rows - 1 of W as float32, exactly. This is
   the definition of a format. Any rows, whatever rows_together is. */
typedef void bb_decode_fn(int rows, int cols, const void *W, int first, float *w, size_t ldw);

/*
 * Rows first … first + rows - 1 of W = w [rows, cols] row stride ldw: rounded to nearest even, or,
 * in a format with scales, to what makes the sum of importance[c] · (error of w[r, c])² small.
 * importance [cols] >= 0: the mean square of each input of the product; NULL: all alike. The bytes
 * are the same at every level.
 */
typedef void bb_encode_fn(int rows, int cols, const float *w, size_t ldw, const float *importance,
                          void *W, int first);

/*
 * The same, but what rounding a column adds to the sums of products is taken off the columns behind
 * it, up to the next multiple of BB_CARRY, before they are rounded:
 *     w[r, d] -= carry[c / BB_CARRY][c % BB_CARRY][d % BB_CARRY] · (w[r, c] - its rounded value)
 * for d > c. carry [cols / BB_CARRY rounded up, BB_CARRY, BB_CARRY], of which only what is right of
 * the diagonal is read. Best for Gaussian inputs is U[c, d] / U[c, c], Uᵀ·U the inverse of their
 * second moments.
 * Source: Frantar et al. 2022, arXiv:2210.17323 (GPTQ).
 */
typedef void bb_encode_carrying_fn(int rows, int cols, const float *w, size_t ldw,
                                   const float *importance, const float *carry, void *W, int first);
enum { BB_CARRY = 128 };

/*
 * Put x [T, cols] row stride ldx into the order that a format's kernels read, rounded to nearest
 * even if its `activation` is bfloat16. If it is I8, by blocks of 32 columns (the last one of what
 * is left): x becomes s · q, s = max|x| / 127 in float32 and q = x · (127 / max|x|) rounded to the
 * nearest whole number, even if two are near; a block below 1e-30 becomes 0, and one that holds an
 * infinity or NaN becomes NaN. If it is I16, what this rounding took from x is rounded likewise and
 * added as a second term. prepared has room for few_bytes(T, cols) or many_bytes(T, cols)
 * bytes, at least 4-byte aligned; what the last group has no rows for is left alone.
 */
typedef void bb_prepare_fn(int T, int cols, const float *x, size_t ldx, void *prepared);

/*
 * Few rows times a matrix:  y[t, r] = Σc W[first + r, c] · x[t, c]      0 <= t < T, 0 <= r < rows
 *
 *     x [T, cols] prepared by the format's prepare_few in one call
 *     y [T, rows] float32, row stride ldy
 *
 * T is meant to be 1 … 32: W is read once from memory. Each y[t, r] has the bits it has for T = 1
 * and rows = 1. |y - exact| <= (cols/16 + 6) · eps · Σ|W·x|; for random operands on average
 * rms(error) <= 4 · eps · √cols · rms(W) · rms(x). Exact is the product of the decoded W and of x,
 * rounded if the format rounds it. Takes some 50 KiB of stack.
 */
typedef void bb_few_fn(int T, int rows, int cols, const void *W, int first, const void *x,
                       float *y, size_t ldy);

/*
 * Many rows times a matrix: the formula of bb_few_fn, x prepared by prepare_many, for any T; meant
 * for T above 32. The average error is that of bb_few_fn. Where x is not rounded (activation F32),
 * a sum has at most 64 products before it is added to the others, and whatever their order
 *     |y - exact| <= (max(cols/16, 32) + 6) · eps · Σ|W·x|
 * Weights and sums pass through scratch [BB_MANY_SCRATCH(T, rows) bytes, 64-byte aligned], which
 * costs less the more rows share it: give a call all T rows, and some 100 weight rows. Each y[t, r]
 * has the same bits for any T and rows, but not those of bb_few_fn.
 */
typedef void bb_many_fn(int T, int rows, int cols, const void *W, int first, const void *x,
                        float *y, size_t ldy, void *scratch);
enum {
    BB_MANY_PANEL   = 32 * 1024,          /* bytes of weights at a time */
    BB_MANY_MOST_NR = 32,                 /* weight rows of a panel, at most */
    BB_MOST_GROUP   = 16                  /* rows of x side by side, at most */
};
#define BB_MANY_SCRATCH(T, rows)                                                                  \
    (BB_MANY_PANEL + ((size_t)(T) + BB_MOST_GROUP)                                                \
                         * (((size_t)(rows) + BB_MANY_MOST_NR - 1) / BB_MANY_MOST_NR)             \
                         * BB_MANY_MOST_NR * sizeof(float))

/* How matrices of one format are stored and multiplied. */
typedef struct bb_format {
    const char    *name;                  /* "bf16" */
    /* Stored tensors of this element type are, byte by byte, matrices of this format;
       BB_TYPE_NONE: no file has such tensors. */
    bb_type        type;
    /* Columns that share a scale; 1: there are no scales; 0: as each matrix says. */
    int            block;
    /* Weight rows that are interleaved in memory; 1: row-major, no padding. `first`, and `rows`
       unless they are the last of the matrix, are multiples of it. */
    int            rows_together;
    size_t         align;                 /* bytes that a matrix must be aligned to */
    bb_type        activation;            /* what x is rounded to: F32 (not), BF16, I8, I16 */
    /* Rows of x that prepare_many puts side by side, at most BB_MOST_GROUP. Separate calls may
       prepare separate groups: row `first`, a multiple of it, at offset many_bytes(first, cols). */
    int            group;
    size_t       (*bytes)(int rows, int cols);        /* of a matrix */
    size_t       (*few_bytes)(int T, int cols);       /* of x; grows with T and cols */
    size_t       (*many_bytes)(int T, int cols);      /* of x; grows with T and cols */
    bb_prepare_fn *prepare_few, *prepare_many;
    /* NULL, with `many`: products are those of decoded rows with the kernels of float32, which
       `prepare…` fits. */
    bb_few_fn     *few;
    bb_many_fn    *many;                  /* NULL at a level without one: prepare_many then puts
                                             float32 rows one below the other */
    bb_decode_fn  *decode;
    bb_encode_fn  *encode;                /* NULL: can only be read */
    bb_encode_carrying_fn *encode_carrying;           /* NULL: each weight is rounded by itself */
} bb_format;

enum {
    BB_FORMAT_F32, BB_FORMAT_BF16, BB_FORMAT_F16, BB_FORMAT_Q8, BB_FORMAT_Q4,
    BB_FORMAT_Q8_FINE,                    /* Q8 with x in two terms, for the head */
    BB_FORMAT_F8, BB_FORMAT_I8,
    BB_FORMAT_F8_SCALED, BB_FORMAT_I8_SCALED, BB_FORMAT_I4_SCALED,
    BB_N_FORMATS
};

/*
 * Weights of 8 and of 4 bits with a float16 scale a block of 32 columns. Rows beyond the last are
 * zeros up to a multiple of 16, columns up to a multiple of 64. 16 rows are a tile, 64 columns of
 * it a group; tiles, and groups in them, follow each other. In a group, two blocks b:
 *
 *     Q8   int8 w[b][quad 0 … 7][row 0 … 15][4]           columns 32·b + 4·quad … + 3
 *     Q4   byte c[b][pair 0 … 3][row 0 … 15][4]           low half: the codes of quad 2·pair,
 *                                                         high half: those of quad 2·pair + 1
 *     both float16 scale[b][row 0 … 15]
 *
 * A weight is scale · w, w from -127 to 127, or scale · bb_q4_values[code]. Scales have either
 * sign. This one order serves dot products of four bytes in registers of any width.
 */
enum {
    BB_BLOCK = 32, BB_TILE_ROWS = 16, BB_GROUP_COLS = 64,
    BB_Q8_GROUP = 1088, BB_Q4_GROUP = 576             /* bytes: 8.5 and 4.5 bits a weight */
};
extern const int8_t bb_q4_values[16];                 /* ascending */

/*
 * W of the formats ..._SCALED: row-major codes of 8 or 4 bits as tools that quantize publish them,
 * where they lie in a file, and a scale and maybe a zero that a block of rows and columns shares:
 *
 *     W[r, c] = scale[b] · (code[r, c] - zero[b])       rounded once
 *     b = (first + r) / block_rows · blocks_across + c / block_cols
 *
 * F8: codes are F8_E4M3. I8: bytes, exclusive-or `flip` as int8. I4: the low half of a byte before
 * the high one, 0 … 15 for -8 … 7.
 */
typedef struct bb_scaled {
    const unsigned char *codes;           /* of row 0; any alignment */
    size_t               row_bytes;
    const float         *scale, *zero;    /* zero: whole numbers; NULL: all 0 */
    int                  block_rows, block_cols;
    int                  blocks_across;
    int                  first;           /* rows of the first block that lie before row 0 */
    unsigned char        flip;            /* 0x80: bytes are codes + 128; 0: two's complement */
} bb_scaled;

/* Number of the first block of a row. */
static inline size_t bb_scaled_row(const bb_scaled *s, int row)
{
    return (size_t)((s->first + row) / s->block_rows) * (size_t)s->blocks_across;
}

#endif
