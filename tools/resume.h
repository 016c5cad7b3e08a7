/* resume.h - what a session file needs beside the session, for a text to go on from it: the chosen
 * token that has not been fed, how tokens are chosen, the generator's state.
 *
 * Owns:    the form of the extras of such files.
 * Not:     the session itself (bamba_session_save), the options' meaning (sampling.h).
 * Errors:  reported here; callers pass the exit code on.
 */
#ifndef BAMBA_TOOLS_RESUME_H
#define BAMBA_TOOLS_RESUME_H

#include "sampling.h"

typedef struct resume {
    int32_t             pending;          /* -1: all chosen tokens have been fed */
    bamba_sampler_state state;
    sampling_flags      given;            /* how tokens were chosen, as if given by options */
} resume;

/* Write the session, with what makes the text go on as it would have: bits, draws and all. Logit
   biases and sequence breakers are not kept. */
int resume_save(const bamba_session *s, const char *path, int32_t pending, const sampling *how,
                const bamba_sampler *sampler);

/* Read the extras of an opened session; path for messages. */
int resume_read(resume *r, const bamba_session *s, const char *path);

/* What `f` does not say is as it was. */
void resume_fill(sampling_flags *f, const resume *r);

#endif
