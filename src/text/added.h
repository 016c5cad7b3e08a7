/* added.h - tokens found in a text before it is split: special ones, and others added by name.
 *
 * Owns:    the list of the tokens to add, the ids they get, and finding them in a text, leftmost
 *          and then longest.
 * Not:     what special tokens mean; the model's vocabulary (vocab.h); the files that name tokens
 *          beside tokenizer.json (overlay.h).
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

/* The tokens of added_tokens.json come without flags: they are special, and looked for in the text
   as it comes, if a spec with their content tells so. */
typedef enum bb_added_mark { BB_ADDED_PLAIN, BB_ADDED_BARE, BB_ADDED_TELLS } bb_added_mark;

/* A token to add, as a file names it. */
typedef struct bb_added_spec {
    const char *content;                  /* [n_content], the document's; NULL: dropped       */
    size_t      n_content;
    int64_t     id;                       /* as written, -1: nowhere; only compared           */
    size_t      order;                    /* place in the list                                */
    const char *key;                      /* of a token with a part to play, "eos_token"; NULL */
    bool        only_new;                 /* counts only if no spec without this flag has its
                                             content, and none before is like it              */
    bool        by_name;                  /* written as a name, not as an object              */
    bool        special, single_word, lstrip, rstrip;
    signed char normalized;               /* -1: unless it is special                         */
    bb_added_mark mark;
} bb_added_spec;

/* The list begins with the tokens of tokenizer.json; what is laid over them follows. */
typedef struct bb_added_list {
    const bb_allocator *a;
    bb_added_spec      *spec;             /* [n] of [capacity], to be released */
    size_t              n, capacity;
    size_t              n_first;          /* those of tokenizer.json           */
} bb_added_list;

/* Append; false without memory. */
bool      bb_added_append(bb_added_list *l, const bb_added_spec *spec);
/* Read the object of one token, except its id. */
void      bb_added_read(bb_added_spec *t, const bb_json *item);
/* Read the member "added_tokens" of tokenizer.json, which may be absent. */
bb_status bb_added_list_load(bb_added_list *l, const bb_json *json, bamba_error *err);

/* Add the tokens of a list, which is used up, as the reference does: those without content are
   left out, one that repeats has the flags of its last entry; the id is that of the vocabulary,
   or the next behind all. An id that differs from the written one goes to the log. place: for
   messages. Unless it returns BAMBA_OK, nothing need be freed. */
bb_status bb_added_load(bb_added *d, const bb_allocator *a, bb_added_list *list,
                        const bb_json *place, const bb_vocab *vocab,
                        const bb_normalizer *normalizer, const bb_log *log, bamba_error *err);
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
    const bamba_range    *plain;          /* [n_plain] where they are not looked for; in order */
    size_t                n_plain, next_plain;
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
