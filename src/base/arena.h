/* arena.h - carve one block; measure with the code that carves.
 *
 * Owns:    alignment and overflow of a layout.
 * Not:     the block itself (alloc.h).
 * Errors:  overflow while measuring is sticky (`overflow`); running out of a real arena is a
 *          programming error, because the same code measured it: an assert.
 */
#ifndef BB_BASE_ARENA_H
#define BB_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct bb_arena {
    unsigned char *base;                  /* NULL while measuring                 */
    size_t         size;                  /* capacity in bytes; SIZE_MAX while measuring */
    size_t         used;                  /* bytes handed out, or needed          */
    bool           overflow;              /* a size did not fit size_t            */
    bool           plain;                 /* no guards: the block is copied as a whole, or
                                             carved by threads that do not wait for each other */
} bb_arena;

#define BB_MEASURE ((bb_arena){ NULL, SIZE_MAX, 0, false, false })

/* Carve the next n elements, 64-byte aligned, contents unspecified. NULL while measuring. */
void *bb_take(bb_arena *a, size_t n, size_t elem_bytes);

/* bytes, rounded up to whole cache lines: where a take could begin. */
size_t bb_whole_lines(size_t bytes);

/* Call before a block that an arena carved is released, or used in another way: under
   AddressSanitizer the gaps between takes are poisoned, unless the arena is plain. Does nothing in
   other builds. */
void bb_unguard(void *block, size_t size);

#endif
