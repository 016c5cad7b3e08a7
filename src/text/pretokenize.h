/* pretokenize.h - splitting a text into the pieces that are merged each by itself.
 *
 * Owns:    tokenizer.json's "pre_tokenizer": Split, ByteLevel, Digits, Metaspace, Punctuation,
 *          Whitespace, WhitespaceSplit, and Sequence of these.
 * Not:     regular expressions (regex.h), merging (bpe.h).
 * Errors:  loading: sticky in the document, and returned; running: MEMORY, or a pattern's.
 */
#ifndef BB_TEXT_PRETOKENIZE_H
#define BB_TEXT_PRETOKENIZE_H

#include "base/json.h"
#include "text/buffer.h"
#include "text/regex.h"
#include "text/spans.h"

typedef struct bb_pretokenizer bb_pretokenizer;   /* immutable */

/* A text cut into pieces, and scratch. */
typedef struct bb_pieces {
    bb_buffer text;
    bb_spans  piece;                      /* of text, ascending            */
    bool      at_start;                   /* the user's text begins here   */
    bool      bare;                       /* put no space in front of it   */
    bb_buffer spare_text;
    bb_spans  spare_piece;
    bb_spans  found;                      /* matches within one piece      */
} bb_pieces;

bb_pieces bb_pieces_begin(const bb_allocator *a);
void      bb_pieces_free(bb_pieces *p);

/* Load the component; if it is absent, a text is one piece and *out is NULL. */
bb_status bb_pretokenizer_load(bb_pretokenizer **out, const bb_allocator *a,
                               const bb_json *json, bamba_error *err);
void      bb_pretokenizer_free(bb_pretokenizer *z);

/* Cut p->text, setting p->piece. z may be NULL. */
bb_status bb_pretokenize(const bb_pretokenizer *z, bb_matcher *m, bb_pieces *p,
                         bamba_error *err);

#endif
