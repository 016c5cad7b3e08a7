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

/* Rows of an option table; f is a sampling_flags *. */
#define SAMPLING_FLOAT_ROW(...) ARG_NUMBER_ROW(ARG_FLOAT, __VA_ARGS__)
#define SAMPLING_ROWS(f)                                                                       \
    ARG_HEAD("Sampling"),                                                                      \
    ARG_NUMBER_ROW(ARG_INT64, "-s, --seed", "N", &(f)->seed, -1, 0x1p63, "seed of the draws",  \
      .usual = "-1, a random one", .more = "The same seed, prompt and options give the same "  \
      "text. A random seed is printed."),                                                      \
    SAMPLING_FLOAT_ROW("--temp, --temperature", "X", &(f)->temperature, 0, 1e30,               \
      "temperature, 0 = the likeliest token", .usual = "0.8"),                                 \
    ARG_INT_ROW("--top-k", "N", &(f)->top_k, -1, INT_MAX,                                      \
      "draw from the N likeliest tokens, 0 = all", .usual = "40"),                             \
    SAMPLING_FLOAT_ROW("--top-p", "P", &(f)->top_p, 0, 1,                                      \
      "draw from the fewest likeliest tokens that sum up to P", .usual = "0.95"),              \
    SAMPLING_FLOAT_ROW("--min-p", "P", &(f)->min_p, 0, 1,                                      \
      "draw from tokens at least P times as likely as the best", .usual = "0.05"),             \
    SAMPLING_FLOAT_ROW("--repeat-penalty", "X", &(f)->repetition, 1e-30, 1e30,                 \
      "divides the logits of tokens seen, 1 = off", .usual = "1",                              \
      .more = "Negative logits are multiplied."),                                              \
    SAMPLING_FLOAT_ROW("--presence-penalty", "X", &(f)->presence, -1e30, 1e30,                 \
      "subtracted from the logits of tokens seen", .usual = "0"),                              \
    SAMPLING_FLOAT_ROW("--frequency-penalty", "X", &(f)->frequency, -1e30, 1e30,               \
      "subtracted for each time a token was seen", .usual = "0"),                              \
    ARG_INT_ROW("--repeat-last-n", "N", &(f)->last_n, -1, INT_MAX,                             \
      "penalties look at the last N tokens, -1 = all", .usual = "64; all for a penalty of "    \
      "generation_config.json", .more = "The prompt counts."),                                 \
    ARG_LIST_ROW("--logit-bias", "ID(+/-)B", &(f)->bias,                                       \
      "add B to the logit of a token; 15043-inf bans it; may be repeated"),                    \
    ARG_FLAG_ROW("--ignore-eos", &(f)->ignore_end, "never choose an end token")

/* Options for bamba_sampler_create; o->bias is to be freed by the caller, set in any case.
   EXIT_SUCCESS or an exit code (reported). */
int sampling_resolve(bamba_sampler_options *o, const command *self, const sampling_flags *f,
                     const setup *s);

#endif
