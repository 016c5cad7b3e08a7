/* bpe_load.h - tokenizer.json's "model": vocabulary and merges read from JSON.
 *
 * Owns:    how JSON writes tokens and merges; the words of what is wrong with them.
 * Not:     the vocabulary (vocab.h) and the merges (bpe.h) themselves.
 * Errors:  sticky in the document, and returned; then nothing need be freed.
 */
#ifndef BB_TEXT_BPE_LOAD_H
#define BB_TEXT_BPE_LOAD_H

#include "base/json.h"
#include "text/bpe.h"

/* From the object {"token": id, …}; *v must stay where it is. */
bb_status bb_vocab_load(bb_vocab *v, const bb_allocator *a, const bb_json *object,
                        bamba_error *err);

/* From the whole "model". The vocabulary must outlive the result. */
bb_status bb_bpe_load(bb_bpe **out, const bb_allocator *a, const bb_vocab *vocab,
                      const bb_json *model, bamba_error *err);

#endif
