/* format.h - a row-major format and its kernels for few and for many rows, by few.h and gemm.h.
 *
 * Owns:    the functions of a row of the table, which hand constants to what is inlined.
 * Not:     how elements are loaded and multiplied: includers say it first, as few.h and gemm.h ask.
 */
#ifndef BB_SIMD_FORMAT_H
#define BB_SIMD_FORMAT_H

#include "few.h"
#include "gemm.h"

static size_t many_bytes(int T, int cols) { return gemm_bytes(T, cols); }

/* Defines the format `name_of` of weights of one element type: few_##name_of is its few_kind,
   load_##name_of the gemm_load_fn of its weights, `alone` the weight rows of a tile for one row of
   x (few.h). */
#define DEFINE_FORMAT(name_of, type_of, rounds_to, alone, prepare, bytes_of, decode_of, encode_of) \
    FEW_TILES(few_##name_of, alone)                                                               \
    static size_t few_bytes_##name_of(int T, int cols)                                            \
    {                                                                                             \
        return few_bytes(&few_##name_of, T, cols);                                                \
    }                                                                                             \
    static void BB_ISA(bb_prepare_few_##name_of)(int T, int cols, const float *x, size_t ldx,     \
                                                 void *prepared)                                  \
    {                                                                                             \
        few_prepare(&few_##name_of, T, cols, x, ldx, prepared);                                   \
    }                                                                                             \
    static void BB_ISA(bb_few_##name_of)(int T, int rows, int cols, const void *W, int first,     \
                                         const void *x, float *y, size_t ldy)                     \
    {                                                                                             \
        few(&few_##name_of, few_##name_of##_tiles, T, rows, cols, W, first, x, y, ldy);           \
    }                                                                                             \
    static void BB_ISA(bb_many_##name_of)(int T, int rows, int cols, const void *W, int first,    \
                                          const void *x, float *y, size_t ldy, void *scratch)     \
    {                                                                                             \
        gemm(load_##name_of, BB_ELEMENT_BYTES(type_of), T, rows, cols, W, first, x, y, ldy,       \
             scratch);                                                                            \
    }                                                                                             \
    const bb_format BB_ISA(bb_format_##name_of) = {                                               \
        .name = #name_of, .type = type_of, .block = 1, .rows_together = 1,                        \
        .align = BB_ELEMENT_BYTES(type_of), .activation = rounds_to, .group = MR,                 \
        .bytes = bytes_of, .few_bytes = few_bytes_##name_of, .many_bytes = many_bytes,            \
        .prepare_few = BB_ISA(bb_prepare_few_##name_of), .prepare_many = prepare,                 \
        .few = BB_ISA(bb_few_##name_of), .many = BB_ISA(bb_many_##name_of),                       \
        .decode = decode_of, .encode = encode_of                                                  \
    };

#endif
