/* decode.h - from ids back to text.
 *
 * Owns:    tokenizer.json's "decoder": ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace
 *          and Sequence, as far as they can run token by token; what a token stands for.
 * Not:     choosing ids.
 * Errors:  loading: sticky in the document, and returned; running cannot fail nor allocates.
 */
#ifndef BB_TEXT_DECODE_H
#define BB_TEXT_DECODE_H

#include "text/added.h"

typedef struct bb_decode bb_decode;       /* immutable */

/* What one id stands for by itself. */
typedef struct bb_piece {
    int32_t     id;
    const char *bytes;                    /* [n_bytes] may be a part of a character          */
    size_t      n_bytes;
    const char *name;                     /* [n_name] as in the file, or as it is looked for */
    size_t      n_name;
    bool        special;
    bool        is_byte;                  /* a <0xHH>: its neighbours decide what it becomes */
} bb_piece;

/* Load the component; if it is absent, tokens are joined by spaces. Vocabulary and added tokens
   must outlive the result. */
bb_status bb_decode_load(bb_decode **out, const bb_json *json, const bb_vocab *vocab,
                         const bb_added *added, bamba_error *err);
void      bb_decode_free(bb_decode *d);

/* One more than the largest id. */
int bb_decode_size(const bb_decode *d);
/* What an id stands for; NULL if it is not a token. */
const bb_piece *bb_decode_piece(const bb_decode *d, int32_t id);

/* Decode as bamba_decode does, but write what fits and return how many bytes the text has. buffer
   may be NULL if size is 0. */
size_t bb_decode_run(const bb_decode *d, bamba_decoder *state, const int32_t *ids, size_t n_ids,
                     unsigned flags, char *buffer, size_t size);

enum { BB_RUN_MOST = 23 };                /* most bytes of bamba_decoder.pending in use */

#endif
