/* overlay.h - what the files beside tokenizer.json lay over it.
 *
 * Owns:    tokenizer_config.json, special_tokens_map.json and added_tokens.json, read as
 *          transformers 5.23's AutoTokenizer reads them for its TokenizersBackend: the tokens
 *          they add or mark as special, whether special tokens in a text are split.
 * Not:     ids (added.h). Other keys, among them add_bos_token and add_eos_token, change nothing
 *          there if tokenizer.json exists; nor do they here.
 * Errors:  FORMAT and MEMORY by file and key.
 */
#ifndef BB_TEXT_OVERLAY_H
#define BB_TEXT_OVERLAY_H

#include "text/added.h"

typedef struct bb_overlay {
    bb_json_doc *config, *map, *added;    /* NULL: there is no such file */
    bool         split_special;           /* special tokens in a text are ordinary text */
    const char  *eos;                     /* [n_eos] name of the end token, the document's; NULL */
    size_t       n_eos;
} bb_overlay;

/* Read the files of a directory and append the tokens to a list that holds those of the root of
   tokenizer.json. The list refers to the documents. Close also after a failure. */
bb_status bb_overlay_open(bb_overlay *o, bb_added_list *list, const char *dir,
                          const bb_json *root, bamba_error *err);
void      bb_overlay_close(bb_overlay *o);

#endif
