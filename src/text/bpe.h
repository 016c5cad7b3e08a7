/* bpe.h - byte pair encoding of one pre-token.
 *
 * Owns:    the merges, their order, what becomes of unknown characters.
 * Not:     splitting text (pretokenize.h), the vocabulary (vocab.h).
 * Errors:  while loading sticky in the document, and returned; encoding: MEMORY, or FORMAT if
 *          an unknown token is needed that the vocabulary lacks.
 */
#ifndef BB_TEXT_BPE_H
#define BB_TEXT_BPE_H

#include "text/vocab.h"

typedef struct bb_bpe bb_bpe;             /* immutable */

/* A growing list of ids. */
typedef struct bb_ids {
    const bb_allocator *a;
    int32_t            *id;               /* [n] of [capacity] */
    size_t              n;
    size_t              capacity;
} bb_ids;

bool bb_ids_append(bb_ids *ids, int32_t id);

/* Scratch of one thread; begins zeroed save for the allocator. */
typedef struct bb_bpe_work {
    const bb_allocator *a;
    struct bb_symbol   *symbol;           /* [symbol_capacity] */
    size_t              symbol_capacity;
    struct bb_candidate *heap;            /* [heap_capacity]   */
    size_t              heap_capacity;
} bb_bpe_work;

void bb_bpe_work_free(bb_bpe_work *w);

/* From the document's "model". The vocabulary must outlive the result. */
bb_status bb_bpe_load(bb_bpe **out, const bb_allocator *a, const bb_vocab *vocab,
                      const bb_json *model, bamba_error *err);
void      bb_bpe_free(bb_bpe *b);

/* Append the ids of text [n], well-formed UTF-8. */
bb_status bb_bpe_encode(const bb_bpe *b, bb_bpe_work *w, const char *text, size_t n,
                        bb_ids *out, bamba_error *err);

#endif
