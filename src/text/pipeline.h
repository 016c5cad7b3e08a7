/* pipeline.h - tokenizer.json as a whole.
 *
 * Owns:    its components, and the order in which they act.
 * Not:     the files beside it (overlay.h), flags' meaning to users (tokenizer.c).
 * Errors:  loading names file and key; encoding: MEMORY, a pattern's, or the BPE model's.
 */
#ifndef BB_TEXT_PIPELINE_H
#define BB_TEXT_PIPELINE_H

#include "text/added.h"
#include "text/bpe.h"
#include "text/decode.h"
#include "text/postprocess.h"
#include "text/pretokenize.h"

typedef struct bb_pipeline {
    bb_allocator     alloc;
    bb_vocab         vocab;
    bb_bpe          *bpe;
    bb_normalizer   *normalizer;          /* NULL: none */
    bb_pretokenizer *pretokenizer;        /* NULL: none */
    bb_added         added;
    bb_postprocess   post;
    bb_decode       *decode;
    bool             split_special;       /* special tokens in a text are always ordinary text */
    int32_t          eos;                 /* -1: not said */
} bb_pipeline;

/* Load the files of a directory. *p must stay where it is; free it also after a failure. */
bb_status bb_pipeline_load(bb_pipeline *p, const bb_allocator *a, const char *dir,
                           const bb_log *log, bamba_error *err);
void      bb_pipeline_free(bb_pipeline *p);

/* Append the ids of text [n], well-formed UTF-8. Of the options, struct_bytes is not looked at. */
bb_status bb_pipeline_encode(const bb_pipeline *p, const char *text, size_t n,
                             const bamba_tokenize_options *options, bb_ids *ids,
                             bamba_error *err);

#endif
