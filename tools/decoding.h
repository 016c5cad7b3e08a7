/* decoding.h - choosing one token after the other until a text ends.
 *
 * Owns:    the loop of sampling and feeding, its times.
 * Not:     the text and why it ends (generation.h), the prompt.
 * Errors:  reported here; callers pass the exit code on. EXIT_INTERRUPTED after Ctrl-C.
 */
#ifndef BAMBA_TOOLS_DECODING_H
#define BAMBA_TOOLS_DECODING_H

#include "generation.h"
#include "setup.h"

typedef struct decoding {
    /* Set by the caller. */
    const setup   *setup;
    bamba_sampler *sampler;
    generation    *out;                   /* begun, with the prompt skipped                  */
    int          (*show)(void *context);  /* called after each token: generation_take; an exit
                                             code                                            */
    void          *context;

    /* For reading. */
    double         sampling_ms, eval_ms;
    size_t         n_eval;                /* tokens fed one by one                           */
} decoding;

/* logits: behind the prompt. The last token of a text is not fed. */
int decoding_run(decoding *d, const float *logits);

int decoding_fail(bamba_status status);

#endif
