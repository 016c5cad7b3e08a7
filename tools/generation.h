/* generation.h - from chosen tokens to the text a reader may see, and when it ends.
 *
 * Owns:    decoding as tokens come, stop strings, banned strings, taking tokens back, the reason
 *          for the end.
 * Not:     choosing tokens (bamba_sample) and feeding them; input and output.
 * Errors:  a bamba_status; the generation must then be freed.
 *
 * In a loop: bamba_sample, generation_put, show what generation_take gives, bamba_feed while `end`
 * is GENERATION_RUNNING. Then generation_finish, and generation_take once more.
 */
#ifndef BAMBA_TOOLS_GENERATION_H
#define BAMBA_TOOLS_GENERATION_H

#include "bamba.h"

#include <stdbool.h>

typedef enum generation_end {
    GENERATION_RUNNING,
    GENERATION_LENGTH,                    /* as many tokens as were wanted         */
    GENERATION_END,                       /* an end token                          */
    GENERATION_STOP,                      /* a stop string, which is cut off       */
    GENERATION_CONTEXT,                   /* the session has no room               */
    GENERATION_INTERRUPT                  /* the caller broke off                  */
} generation_end;

typedef struct generation {
    /* Set by the caller, who begins with GENERATION. */
    const bamba_tokenizer *tokenizer;
    const bamba_model     *model;         /* for its end tokens; NULL: no token ends the text */
    const char *const     *stops;         /* [n_stops] texts, none empty           */
    size_t                 n_stops;
    const char *const     *bans;          /* [n_bans] texts that must not appear, none empty */
    size_t                 n_bans;
    size_t                 n_open;        /* the last so many tokens may still be taken back */
    int                    limit;         /* most tokens; negative: any number     */
    bool                   special;       /* special tokens are part of the text   */
    int32_t                turn_end;      /* ends the text too; -1: no token       */

    /* For reading. */
    int32_t               *ids;           /* [n_ids], all that were put            */
    size_t                 n_ids;
    char                  *text;          /* [n_text] UTF-8, without a stop string */
    size_t                 n_text;
    generation_end         end;
    bool                   is_banned;     /* a banned text has appeared: take tokens back */

    /* Inside. */
    struct generation_mark *mark;         /* [n_ids] what stood before each token */
    size_t                 mark_capacity;
    size_t                 n_safe;        /* bytes of text that no stop string can take back */
    size_t                 n_taken;
    size_t                 id_capacity, text_capacity;
    bamba_decoder          decoder;
} generation;

#define GENERATION                                                                             \
    { .limit = -1, .turn_end = -1, .end = GENERATION_RUNNING, .decoder = BAMBA_DECODER }

/* Let the decoder see the tokens of the prompt, whose text is not part of this one. */
bamba_status generation_skip(generation *g, const int32_t *ids, size_t n);

/* Whether a token ends the text: one of the model's and tokenizer's end tokens, or the end of a
   turn. */
bool generation_is_end(const generation *g, int32_t id);

/* Add the chosen token, which has not been fed; room is what the session can still absorb. Sets
   g->end if the text ends with it. */
bamba_status generation_put(generation *g, int32_t id, size_t room);

/* The number of the token with which the banned text began. */
size_t generation_banned_token(const generation *g);

/* Take back all tokens but the first n; n is at least n_ids - n_open, or
   generation_banned_token. */
void generation_cut(generation *g, size_t n);

/* No more tokens follow: what might have become a stop string belongs to the text. `why` is the
   reason for the end if there is none yet. */
bamba_status generation_finish(generation *g, generation_end why);

/* The text since the last call that is certain to stay: *n bytes of whole characters, borrowed
   until the next call on g. */
const char *generation_take(generation *g, size_t *n);

/* "length", "end", "stop", "context", "interrupt". */
const char *generation_end_name(generation_end end);

void generation_free(generation *g);

#endif
