/* vocab.h - the model's vocabulary: token <-> id.
 *
 * Owns:    the texts of the tokens as the file writes them, and two ways to look them up.
 * Not:     files (bpe_load.h), added tokens (added.h), merging (bpe.h).
 * Errors:  building says what is wrong, the caller words it; looking up cannot fail.
 */
#ifndef BB_TEXT_VOCAB_H
#define BB_TEXT_VOCAB_H

#include "text/buffer.h"

enum { BB_ID_LIMIT = 1 << 24 };           /* ids are in [0, BB_ID_LIMIT) */

typedef struct bb_vocab_token {
    int32_t     id;
    uint32_t    n_bytes;
    const char *text;                     /* [n_bytes], UTF-8, in the vocabulary's own memory */
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
    size_t          n, capacity;
    bb_buffer       texts;                /* of all tokens, end to end    */
    bb_vocab_slot  *slot;                 /* [mask + 1]                   */
    size_t          mask;
    size_t          n_longest;            /* bytes of the longest token   */
} bb_vocab;

/* Building: begin with room for n_tokens >= 1, add at most so many in any order, each with an id
   in [0, BB_ID_LIMIT), and finish. False without memory. *v must stay where it is; free it also
   after a failure. */
bool bb_vocab_begin(bb_vocab *v, const bb_allocator *a, size_t n_tokens);
bool bb_vocab_add(bb_vocab *v, const char *text, size_t n, int32_t id);
/* False if two tokens, which are then set, have the same id or the same text. */
bool bb_vocab_finish(bb_vocab *v, bb_vocab_token *one, bb_vocab_token *other);
void bb_vocab_free(bb_vocab *v);

/* Id of a token, or -1 if there is none of that text. */
int32_t bb_vocab_find(const bb_vocab *v, const char *text, size_t n);
/* Token of an id, or NULL. */
const bb_vocab_token *bb_vocab_at(const bb_vocab *v, int32_t id);

/* For arrays of structs that begin with their id: the order of ids, for bb_sort; and the element
   of an id among n elements in that order, or NULL. */
int         bb_compare_ids(const void *a, const void *b);
const void *bb_find_id(const void *array, size_t n, size_t elem_bytes, int32_t id);

#endif
