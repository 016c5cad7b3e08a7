/* batch.h - many texts generated together.
 *
 * Owns:    who is fed when: as many texts at once as were asked for and fit into memory, prompts in
 *          full passes, one token of each text a pass, beginnings that prompts share fed once.
 * Not:     where texts come from and go to, how tokens are chosen.
 * Errors:  reported here; callers pass the exit code on. EXIT_INTERRUPTED after Ctrl-C. batch_close
 *          in any case.
 *
 * Each text is, to the last bit, the one that its prompt alone gives. A token's bits depend on
 * whether its pass has many rows (more than BATCH_MOST) or few, and its prompt is run in chunks or
 * token by token; so each token goes into the kind of pass that it has alone, and prompts are cut
 * where chunks are (at multiples of BATCH_EDGE tokens). Where that is not enough (CPU level "c",
 * other sizes of a pass), prompts are fed one by one.
 */
#ifndef BAMBA_TOOLS_BATCH_H
#define BAMBA_TOOLS_BATCH_H

#include "generation.h"
#include "sampling.h"
#include "setup.h"

enum { BATCH_MOST = 32, BATCH_EDGE = 64, BATCH_TRUNKS = 8 };

typedef struct batch_text {
    /* Set by the caller; all that is named stays until the text is done. */
    const int32_t  *prompt;               /* [n_prompt > 0], fits into the context           */
    size_t          n_prompt;
    const sampling *how;
    generation      out;                  /* begun, without a token                          */

    /* For reading. */
    double          log_probability;      /* sum over out.ids of ln of what the model gave them,
                                             before options change it                        */
    bool            done;

    /* Inside. */
    bamba_sampler  *sampler;
    bamba_session  *session;
    uint64_t        bytes;                /* what it is held to take                         */
    size_t          stop;                 /* others go on from here; 0: none does            */
    int32_t         id;                   /* chosen last, not fed                            */
    size_t          n_shared;             /* tokens shared with the text for which a stop is
                                             being planned                                   */
} batch_text;

/* A beginning that waiting prompts share, or, with logits, a whole prompt. */
typedef struct batch_trunk {
    bamba_session *session;
    float         *logits;                /* [n_vocab] behind it, or NULL                    */
    uint64_t       bytes;
} batch_trunk;

typedef struct batch_list {
    batch_text **text;                    /* [n]                                             */
    size_t       n, capacity;
} batch_list;

typedef struct batch {
    /* Set by the caller. */
    const setup *setup;                   /* its engine gives BATCH_MOST rows of logits      */
    size_t       n_context;               /* of each text, as of setup_find_context          */
    size_t       n_batch;                 /* rows of the engine's passes                     */
    size_t       n_parallel;              /* texts that go on at once, 1 ... BATCH_MOST; as many
                                             again may have read their prompts               */
    uint64_t     budget;                  /* bytes for sessions                              */

    /* For reading. */
    size_t       n_prompt, n_shared;      /* tokens of prompts fed; others had fed           */
    size_t       n_many;                  /* tokens of prompts fed in passes of many rows    */
    size_t       n_eval;                  /* tokens fed behind prompts                       */
    double       prompt_ms, eval_ms;      /* of passes of many rows; of few                  */

    /* Inside. */
    batch_list   waiting, reading, going; /* in order                                        */
    batch_trunk  trunk[BATCH_TRUNKS];     /* [n_trunks]                                      */
    size_t       n_trunks;
    uint64_t     bytes;                   /* that texts and trunks are held to take          */
    bool         is_free;                 /* to cut prompts and to feed several in a pass    */
} batch;

/* The mean log-probability of a text's tokens; 0 if it has none. */
double batch_mean(const batch_text *t);

/* Sizes that follow from the setup, and a budget from the memory that is free. */
void batch_open(batch *b, const setup *s, const setup_flags *f, size_t n_context,
                size_t n_parallel);

/* Add a text behind those that wait. It stays where it is until it is done or the batch closed. */
int  batch_add(batch *b, batch_text *t);

/* Feed one pass, of prompts or of a token of each text. Nothing happens if no text is left. */
int  batch_step(batch *b);

/* Texts that are not done stay as they are, without their sessions. */
void batch_close(batch *b);

#endif
