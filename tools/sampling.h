/* sampling.h - how the next token is chosen: flags, else what the model's makers say, else
 * defaults.
 *
 * Owns:    the flags, the seed, the logit biases.
 * Not:     generation_config.json (bamba_model_sampler_defaults), the choosing (bamba_sample).
 */
#ifndef BAMBA_TOOLS_SAMPLING_H
#define BAMBA_TOOLS_SAMPLING_H

#include "args.h"
#include "setup.h"

#include <limits.h>
#include <math.h>

typedef struct sampling_flags {           /* NAN and INT_MIN: not given */
    double   temperature, top_p, min_p;
    double   repetition, presence, frequency;
    int      top_k, last_n;
    int64_t  seed;                        /* -1: a random one           */
    arg_list bias;                        /* "ID+B", "ID-B"             */
    bool     ignore_end;
} sampling_flags;

#define SAMPLING_FLAGS                                                                         \
    { NAN, NAN, NAN, NAN, NAN, NAN, INT_MIN, INT_MIN, -1, { NULL, 0 }, false }

/* Rows of an option table; f is a sampling_flags *. Defaults stand in brackets. */
#define SAMPLING_ARGS(f)                                                                       \
    { "-s, --seed", "N", "seed of the draws (default: -1, a random one)", ARG_INT64,           \
      &(f)->seed, -1, 0x1p63, NULL },                                                          \
    { "--temp, --temperature", "X", "temperature, 0 = the likeliest token (0.8)", ARG_FLOAT,   \
      &(f)->temperature, 0, 1e30, NULL },                                                      \
    { "--top-k", "N", "the N likeliest tokens, 0 = all (40)", ARG_INT, &(f)->top_k, -1,        \
      INT_MAX, NULL },                                                                         \
    { "--top-p", "P", "the likeliest tokens that sum up to P (0.95)", ARG_FLOAT, &(f)->top_p,  \
      0, 1, NULL },                                                                            \
    { "--min-p", "P", "tokens at least P times as likely as the best (0.05)", ARG_FLOAT,       \
      &(f)->min_p, 0, 1, NULL },                                                               \
    { "--repeat-penalty", "X", "divides the logits of tokens seen (1 = off)", ARG_FLOAT,       \
      &(f)->repetition, 1e-30, 1e30, NULL },                                                   \
    { "--presence-penalty", "X", "subtracted from the logits of tokens seen (0)", ARG_FLOAT,   \
      &(f)->presence, -1e30, 1e30, NULL },                                                     \
    { "--frequency-penalty", "X", "the same for each time seen (0)", ARG_FLOAT,                \
      &(f)->frequency, -1e30, 1e30, NULL },                                                    \
    { "--repeat-last-n", "N", "penalties look at the last N tokens, -1 = all "                 \
      "(64; all for a penalty of generation_config.json)", ARG_INT, &(f)->last_n, -1,          \
      INT_MAX, NULL },                                                                         \
    { "--logit-bias", "ID(+/-)B", "add B to the logit of a token; 15043-inf bans "             \
      "it; may be repeated", ARG_LIST, &(f)->bias, 0, 0, NULL },                               \
    { "--ignore-eos", NULL, "never choose an end token", ARG_FLAG, &(f)->ignore_end, 0, 0,     \
      NULL }

/* Options for bamba_sampler_create; o->bias is to be freed by the caller, set in any case.
   EXIT_SUCCESS or an exit code (reported). */
int sampling_resolve(bamba_sampler_options *o, const command *self, const sampling_flags *f,
                     const setup *s);

#endif
