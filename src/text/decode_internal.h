/* decode_internal.h - a decoder as decode_load.c makes it and decode.c runs it. */
#ifndef BB_TEXT_DECODE_INTERNAL_H
#define BB_TEXT_DECODE_INTERNAL_H

#include "text/decode.h"

struct bb_decode {
    bb_allocator alloc;
    bb_piece    *piece;                   /* [n], by ascending id                         */
    size_t       n;
    char        *text;                    /* what the pieces' bytes point into            */
    bool         bytes;                   /* ByteLevel                                    */
    bool         byte_runs;               /* ByteFallback                                 */
    bool         joined;                  /* no decoder: a space between tokens           */
    uint32_t     mark;                    /* Metaspace's, taken from the first token; 0: none */
    uint32_t     strip;                   /* the character that Strip takes at the beginning */
    unsigned     n_strip;                 /* most characters that Strip takes, <= 255     */
};

#endif
