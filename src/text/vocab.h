/* vocab.h - the model's vocabulary: token <-> id.
 *
 * Owns:    the texts of the tokens as the file writes them, and two ways to look them up.
 * Not:     added tokens (added.h), merging (bpe.h).
 * Errors:  sticky in the JSON document while loading; looking up cannot fail.
 */
#ifndef BB_TEXT_VOCAB_H
#define BB_TEXT_VOCAB_H

#include "base/json.h"
#include "text/buffer.h"

enum { BB_ID_LIMIT = 1 << 24 };           /* ids are in [0, BB_ID_LIMIT) */

typedef struct bb_vocab_token {
    const char *text;                     /* [n_bytes], UTF-8, in the vocabulary's own memory */
    uint32_t    n_bytes;
    int32_t     id;
} bb_vocab_token;

typedef struct bb_vocab_slot {            /* a quarter of a cache line */
    uint32_t hash;
    uint32_t offset;                      /* of the text in texts     */
    uint32_t n_bytes;
    int32_t  id;                          /* -1: free                 */
} bb_vocab_slot;

typedef struct bb_vocab {
    bb_allocator    alloc;
    bb_vocab_token *token;                /* [n], by ascending id         */
    size_t          n;
    bb_buffer       texts;                /* of all tokens, end to end    */
    bb_vocab_slot  *slot;                 /* [mask + 1]                   */
    size_t          mask;
    size_t          n_longest;            /* bytes of the longest token   */
} bb_vocab;

/* From the object {"token": id, …}; *v must stay where it is. Unless it returns BAMBA_OK,
   nothing need be freed. A fault of the file is recorded at its place, and also returned. */
bb_status bb_vocab_load(bb_vocab *v, const bb_allocator *a, const bb_json *object,
                        bamba_error *err);
void      bb_vocab_free(bb_vocab *v);

/* -1 if there is none. */
int32_t bb_vocab_find(const bb_vocab *v, const char *text, size_t n);
/* NULL if there is none. */
const bb_vocab_token *bb_vocab_at(const bb_vocab *v, int32_t id);

#endif
