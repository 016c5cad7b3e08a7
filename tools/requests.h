/* requests.h - contexts and their continuations, from lines of JSON.
 *
 * Owns:    what a line says; its tokens, and where the context's end.
 * Not:     probabilities (likelihood.h).
 * Errors:  reported here, with the line's number; callers pass the exit code on.
 * Source:  lm-evaluation-harness, TemplateLM._encode_pair and loglikelihood: white space at the end
 *          of the context begins the continuation; of the tokens of both together the continuation
 *          has those behind as many as the context has by itself. Other than there the begin token
 *          is put before a context if the tokenizer does so.
 */
#ifndef BAMBA_TOOLS_REQUESTS_H
#define BAMBA_TOOLS_REQUESTS_H

#include "pack.h"
#include "text.h"

typedef struct continuation {
    int32_t       *all;                   /* with the context's; the tokenizer's             */
    const int32_t *ids;                   /* [n], 1 or more                                  */
    size_t         n;
    double        *ln;                    /* [n] of their probabilities                      */
    bool           is_greedy;             /* each of them is the likeliest                   */
    sequence       fed;
} continuation;

typedef struct context {
    int32_t  *ids;                        /* [n], 1 or more                                  */
    size_t    n;
    size_t    first, end;                 /* its continuations                               */
    sequence  fed;
} context;

typedef struct request {                  /* a line */
    size_t first, end;                    /* its continuations                               */
    bool   is_list;
} request;

typedef struct requests {
    const setup       *setup;
    const text_buffer *in;
    unsigned           flags;             /* of bamba_tokenize                               */
    int32_t            begin, prefix;     /* before a context, or -1; an empty context       */
    size_t             at, n_lines;       /* that are read                                   */
    context           *contexts;          /* [n_contexts]; lines may share the last one      */
    continuation      *continuations;     /* [n_continuations]                               */
    request           *requests;          /* [n_requests]                                    */
    size_t             n_contexts, n_continuations, n_requests;
    size_t             contexts_room, continuations_room, requests_room;
    size_t             n_tokens;          /* of all of them                                  */
    text_buffer        text;              /* a context with a continuation                   */
} requests;

/* adds_begin: put the tokenizer's begin token before contexts; parses: special tokens in texts are
   such. End with requests_free in any case. */
int  requests_open(requests *r, const setup *s, const text_buffer *in, bool adds_begin,
                   bool parses);

/* Read the next lines, as many as can well be in memory, in place of those that are there; at the
   end r->n_requests is 0. */
int  requests_read(requests *r);
void requests_free(requests *r);

#endif
