/* bpe.h - byte pair encoding of one pre-token.
 *
 * Owns:    the merges, their order, what becomes of unknown characters.
 * Not:     files (bpe_load.h), splitting text (pretokenize.h), the vocabulary (vocab.h).
 * Errors:  building says what is wrong, the caller words it; encoding: MEMORY, or FORMAT if an
 *          unknown token is needed that the vocabulary lacks.
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

typedef struct bb_bpe_options {
    const char *unknown;                  /* token for characters without one; NULL: they vanish */
    bool        fuse_unknown;             /* one such token for all that stand side by side */
    bool        byte_fallback;            /* first try the bytes of such characters, "<0xHH>" */
    bool        ignore_merges;            /* a piece that is a token is not merged */
} bb_bpe_options;

typedef struct bb_text {
    const char *s;                        /* [n], UTF-8 */
    size_t      n;
} bb_text;

/* Building: begin, then add at most n_merges in the order of their ranks. The vocabulary must be
   finished and outlive the result. NULL without memory. */
bb_bpe *bb_bpe_begin(const bb_allocator *a, const bb_vocab *vocab, const bb_bpe_options *o,
                     size_t n_merges);
/* Add a merge of two tokens. False if the two or what they make is not in the vocabulary;
   *missing is then the first that is not, until the next call. */
bool    bb_bpe_add(bb_bpe *b, bb_text left, bb_text right, bb_text *missing);
void    bb_bpe_free(bb_bpe *b);

/* Append the ids of text [n], well-formed UTF-8. */
bb_status bb_bpe_encode(const bb_bpe *b, bb_bpe_work *w, const char *text, size_t n,
                        bb_ids *out, bamba_error *err);

#endif
