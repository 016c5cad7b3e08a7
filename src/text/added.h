/* added.h - tokens found in a text before it is split: special ones, and others added by name.
 *
 * Owns:    tokenizer.json's "added_tokens"; finding them, leftmost and then longest.
 * Not:     what special tokens mean; the model's vocabulary (vocab.h).
 * Errors:  loading: sticky in the document, and returned.
 */
#ifndef BB_TEXT_ADDED_H
#define BB_TEXT_ADDED_H

#include "text/normalize.h"
#include "text/vocab.h"

typedef struct bb_added_token {
    int32_t id;
    char   *content;                      /* [n_content] the name                        */
    size_t  n_content;
    char   *match;                        /* [n_match] what to look for: name normalized */
    size_t  n_match;
    bool    special;                      /* found only when asked for                   */
    bool    single_word;                  /* not beside characters of words              */
    bool    lstrip, rstrip;               /* takes in the white space before / behind it */
    bool    normalized;                   /* is looked for in normalized text            */
} bb_added_token;

/* The tokens looked for at one stage, in the order of their bytes. */
typedef struct bb_added_set {
    const bb_added_token **token;         /* [n]                                         */
    size_t                 n;
    uint32_t               first[257];    /* first[b] … first[b + 1] begin with byte b   */
} bb_added_set;

typedef struct bb_added {
    bb_allocator    alloc;
    bb_added_token *token;                /* [n], by ascending id */
    size_t          n;
    bb_added_set    raw;                  /* looked for in the text as it comes */
    bb_added_set    normalized;           /* looked for in normalized text      */
} bb_added;

/* Load the member "added_tokens", which may be absent. Ids are taken as written (the reference
   numbers tokens beyond the vocabulary anew, which differs only if the file leaves gaps).
   Unless it returns BAMBA_OK, nothing need be freed. */
bb_status bb_added_load(bb_added *d, const bb_allocator *a, const bb_json *list,
                        const bb_vocab *vocab, const bb_normalizer *normalizer,
                        bamba_error *err);
void      bb_added_free(bb_added *d);

/* The added token of an id, or of a name [n]; NULL if there is none. */
const bb_added_token *bb_added_at(const bb_added *d, int32_t id);
const bb_added_token *bb_added_find(const bb_added *d, const char *content, size_t n);

/* Walk a text: stretches without added tokens, and the tokens between them. */
typedef struct bb_added_scan {
    const bb_added_set   *set;
    const char           *text;           /* [n], well-formed UTF-8 */
    size_t                n;
    bool                  special;        /* find special tokens too */
    size_t                next;           /* where to look on        */
    size_t                done;           /* end of what was given out */
    const bb_added_token *held;           /* found; to be given out after the text before it */
    size_t                held_end;
    size_t                start, end;     /* out: [start, end) */
    const bb_added_token *token;          /* out: NULL: text between tokens */
} bb_added_scan;

bb_added_scan bb_added_scan_begin(const bb_added_set *set, const char *text, size_t n,
                                  bool special);
/* False at the end of the text. */
bool          bb_added_scan_next(bb_added_scan *s);

#endif
