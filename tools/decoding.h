/* decoding.h - choosing one token after the other until a text ends.
 *
 * Owns:    the loop of sampling and feeding, guesses, going back, its times.
 * Not:     the text and why it ends (generation.h), the prompt.
 * Errors:  reported here; callers pass the exit code on. EXIT_INTERRUPTED after Ctrl-C.
 */
#ifndef BAMBA_TOOLS_DECODING_H
#define BAMBA_TOOLS_DECODING_H

#include "backtrack.h"
#include "generation.h"
#include "setup.h"
#include "speculation.h"

typedef struct decoding {
    /* Set by the caller. */
    const setup   *setup;
    bamba_sampler *sampler;
    generation    *out;                   /* begun, with the prompt skipped                  */
    int          (*show)(void *context);  /* called after each token: generation_take; an exit
                                             code                                            */
    void          *context;
    speculation   *guesses;               /* NULL, or told of the prompt; the engine gives as
                                             many rows of logits as it guesses, and one      */
    bamba_sampler *strict;                /* NULL, or one that leaves circles: the text does not
                                             go round in them                                */

    /* For reading. */
    double         sampling_ms, eval_ms;
    size_t         n_eval;                /* tokens fed behind the prompt that stand         */

    /* Inside. */
    size_t         start;                 /* tokens of the session that come before the text */
    backtrack      back;
    float         *allowed;               /* [n_vocab] logits without banned tokens, or NULL */
} decoding;

/* logits: behind the prompt. The last token of a text is not fed. */
int decoding_run(decoding *d, const float *logits);

/* Let the samplers and guesses know of tokens that are not part of the text to come. */
int decoding_tell(decoding *d, const int32_t *ids, size_t n);

int decoding_fail(bamba_status status);

#endif
