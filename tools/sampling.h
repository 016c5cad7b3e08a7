/* sampling.h - how the next token is chosen: flags, else what the model's makers say, else
 * defaults.
 *
 * Owns:    the flags, the seed, the logit biases, sequence breakers, saying what holds.
 * Not:     generation_config.json (bamba_model_sampler_defaults), the choosing (bamba_sample).
 * Errors:  reported here; callers pass the exit code on.
 */
#ifndef BAMBA_TOOLS_SAMPLING_H
#define BAMBA_TOOLS_SAMPLING_H

#include "args.h"
#include "json.h"
#include "option_texts.h"
#include "sampler_order.h"
#include "setup.h"

#include <limits.h>
#include <math.h>

typedef struct sampling_flags {           /* NAN and INT_MIN: not given */
    double      temperature, top_p, min_p;
    double      repetition, presence, frequency;
    int         top_k, last_n;
    int64_t     seed;                     /* -1: a random one           */
    arg_list    bias;                     /* "ID+B", "ID-B"             */
    bool        ignore_end;
    double      typical, n_sigma, xtc_probability, xtc_threshold;
    double      dry_multiplier, dry_base;
    int         dry_length, dry_last_n;
    arg_list    dry_breakers;             /* "none": none               */
    const char *samplers, *letters;
} sampling_flags;

#define SAMPLING_FLAGS                                                                         \
    { NAN, NAN, NAN, NAN, NAN, NAN, INT_MIN, INT_MIN, -1, { NULL, 0 }, false, NAN, NAN, NAN,   \
      NAN, NAN, NAN, INT_MIN, INT_MIN, { NULL, 0 }, NULL, NULL }

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
    SAMPLING_FLOAT_ROW("--typical, --typical-p", "P", &(f)->typical, 0, 1, "draw from the "    \
      "tokens nearest to the usual surprise that sum up to P, 1 = off", .usual = "1"),         \
    SAMPLING_FLOAT_ROW("--top-n-sigma, --top-nsigma", "N", &(f)->n_sigma, -1, 1e30, "draw from "\
      "logits within N standard deviations of the best, -1 = off", .usual = "-1"),             \
    SAMPLING_FLOAT_ROW("--xtc-probability", "P", &(f)->xtc_probability, 0, 1, "how often the " \
      "likeliest tokens are left out, see --xtc-threshold", .usual = "0"),                     \
    SAMPLING_FLOAT_ROW("--xtc-threshold", "P", &(f)->xtc_threshold, 0, 1, "of tokens at least "\
      "so likely only the least likely stays", .usual = "0.1"),                                \
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
    SAMPLING_FLOAT_ROW("--dry-multiplier", "X", &(f)->dry_multiplier, 0, 1e30, "DRY: penalty " \
      "for going on with a sequence that repeats an earlier one, 0 = off", .usual = "0",       \
      .more = "X times the base to the power of the tokens that it is longer than allowed."),  \
    SAMPLING_FLOAT_ROW("--dry-base", "X", &(f)->dry_base, 1, 1e30, "DRY: the base",            \
      .usual = "1.75"),                                                                        \
    ARG_INT_ROW("--dry-allowed-length", "N", &(f)->dry_length, 0, INT_MAX,                     \
      "DRY: longest repeated sequence without a penalty, plus one", .usual = "2"),             \
    ARG_INT_ROW("--dry-penalty-last-n", "N", &(f)->dry_last_n, 0, INT_MAX,                     \
      "DRY: look at the last N tokens, 0 = off", .usual = "64"),                               \
    ARG_LIST_ROW("--dry-sequence-breaker", "TEXT", &(f)->dry_breakers, "DRY: sequences end "   \
      "at this text; may be repeated; none = no such texts", .usual = "\\n, :, \", *"),        \
    ARG_TEXT_ROW("--samplers", "NAMES", &(f)->samplers, "what is done in which order, "        \
      "with ';' between", .usual = "all", .more = "All are penalties;dry;top_n_sigma;top_k;"   \
      "typ_p;top_p;min_p;xtc;temperature. What is not named is not done."),                    \
    ARG_TEXT_ROW("--sampler-seq, --sampling-seq", "LETTERS", &(f)->letters,                    \
      "the same by letters", .usual = "edskypmxt"),                                            \
    ARG_LIST_ROW("--logit-bias", "ID(+/-)B", &(f)->bias,                                       \
      "add B to the logit of a token; 15043-inf bans it; may be repeated"),                    \
    ARG_FLAG_ROW("--ignore-eos", &(f)->ignore_end, "never choose an end token")

void sampling_free_flags(sampling_flags *f);

/* Options of a sampler, and what they point to; sampling_free in any case. */
typedef struct sampling {
    bamba_sampler_options options;
    bamba_logit_bias     *bias;           /* [options.n_bias] */
    option_texts          breakers;
    sampler_order         order;
} sampling;

#define SAMPLING { .options = BAMBA_SAMPLER_OPTIONS }

/* escapes: whether texts given as options have them. out stays where it is. */
int sampling_resolve(sampling *out, const command *self, const sampling_flags *f, const setup *s,
                     bool escapes);

/* Change one option, "temp" to "0.7"; names are those of the flags. False: there is no such option,
   or the value is no number or less than the flag's. Whether a sampler can have it says
   sampling_create. */
bool sampling_set(sampling *c, const char *name, const char *value);

/* Whether there is an option of that name. */
bool sampling_has(const char *name);

/* A sampler that chooses no id without a token. sampling_try leaves errors to the caller. */
int sampling_create(bamba_sampler **out, const sampling *c, const setup *s);
bamba_status sampling_try(bamba_sampler **out, const sampling *c, const setup *s, bamba_error *err);

/* A random seed. */
uint64_t sampling_make_seed(void);

/* Whether tokens are drawn, so that the seed matters. */
bool sampling_draws(const sampling *c);

/* What holds, in one line on stderr, or as members of an object. */
void sampling_print(const sampling *c, const char *before);
void sampling_add_json(const sampling *c, json *to);

void sampling_free(sampling *c);

#endif
