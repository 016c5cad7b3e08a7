/* blocks.h - where weights of 8 and 4 bits lie in a matrix.
 *
 * Owns:    offsets of groups, scales and elements (layout: formats.h).
 * Not:     which scale and codes a block gets, products.
 */
#ifndef BB_REF_BLOCKS_H
#define BB_REF_BLOCKS_H

#include "../kernels.h"

/* The codebook of Q4: Lloyd's iterations over blocks of 32 normally distributed weights, each with
   the best scale of either sign. It is not symmetric, because the sign of a scale is free. */
#define BB_Q4_VALUES -127, -100, -78, -61, -47, -33, -21, -9, 2, 13, 24, 36, 49, 64, 82, 106

static inline int bb_groups(int cols) { return (cols + BB_GROUP_COLS - 1) / BB_GROUP_COLS; }
static inline int bb_blocks(int cols) { return (cols + BB_BLOCK - 1) / BB_BLOCK; }

/* Bytes from the start of a matrix to the group of a block in the tile of a row. */
static inline size_t bb_group_at(size_t group_bytes, int cols, int row, int block)
{
    return ((size_t)(row / BB_TILE_ROWS) * (size_t)bb_groups(cols) + (size_t)(block / 2))
        * group_bytes;
}

/* Bytes from a group to the four bytes of one row in the quad (Q8) or pair of quads (Q4) number i
   of a block. */
static inline size_t bb_q8_at(int block, int quad, int row)
{
    return (size_t)(((block % 2) * 8 + quad) * BB_TILE_ROWS + row % BB_TILE_ROWS) * 4;
}
static inline size_t bb_q4_at(int block, int pair, int row)
{
    return (size_t)(((block % 2) * 4 + pair) * BB_TILE_ROWS + row % BB_TILE_ROWS) * 4;
}

/* Bytes from a group to the scale of one row of a block. */
static inline size_t bb_scale_at(size_t group_bytes, int block, int row)
{
    return group_bytes - 4 * BB_TILE_ROWS
         + (size_t)((block % 2) * BB_TILE_ROWS + row % BB_TILE_ROWS) * sizeof(uint16_t);
}

#endif
