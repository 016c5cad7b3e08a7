/* draft.h - a smaller model of the same vocabulary, which guesses what the model will choose.
 *
 * Owns:    its model, engine, session and sampler; keeping the session in step with the text.
 * Not:     how many guesses pay (pace.h), whether they stand (decoding.h).
 * Errors:  of opening: reported here; of guessing: a bamba_status.
 */
#ifndef BAMBA_TOOLS_DRAFT_H
#define BAMBA_TOOLS_DRAFT_H

#include "sampling.h"
#include "setup.h"

typedef struct draft_flags {
    const char *dir;                      /* NULL: no draft model */
    int         most, least;              /* guesses a pass */
    double      least_p;                  /* of the likeliest token, or the guesses end */
    int         weight_type;              /* a bamba_type */
    int         sampling;                 /* one of DRAFT_AUTO … */
} draft_flags;

/* How drawn tokens are guessed: with draws of its own, for rejection sampling; or with those of the
   model's sampler, so that the text is the one without guesses. AUTO: as draft_open is told. */
enum { DRAFT_AUTO, DRAFT_REJECTION, DRAFT_SAME };
extern const char *const draft_samplings[];

enum { DRAFT_USUAL_MOST = 8 };
#define DRAFT_FLAGS { .most = DRAFT_USUAL_MOST }

/* Rows of an option table; f is a draft_flags *. */
#define DRAFT_ROWS(f)                                                                              \
    ARG_TEXT_ROW("--draft, -md, --model-draft", "DIR", &(f)->dir, "guess what a smaller model of " \
      "the same vocabulary goes on with", .more = "A greedy text is the same; of a drawn one the " \
      "probabilities are, see --draft-sampling. With --lookup it guesses where that finds "        \
      "nothing."),                                                                                 \
    ARG_INT_ROW("--draft-max, --draft-n", "N", &(f)->most, 1, PACE_MOST, "most of its guesses a "  \
      "pass", .usual = "8", .more = "As many are made as are expected to pay, or none."),          \
    ARG_INT_ROW("--draft-min, --draft-n-min", "N", &(f)->least, 0, PACE_MOST, "fewest of them, "   \
      "whether they pay or not", .usual = "0"),                                                    \
    ARG_NUMBER_ROW(ARG_FLOAT, "--draft-p-min", "P", &(f)->least_p, 0, 1, "guesses end where its "  \
      "likeliest token has a smaller probability", .usual = "0"),                                  \
    ARG_WORD_ROW("--draft-type", "TYPE", &(f)->weight_type, setup_weight_types, "type of its "     \
      "weights", .usual = "stored", .more = "q4 lets a model guess for itself."),                  \
    ARG_WORD_ROW("--draft-sampling", "HOW", &(f)->sampling, draft_samplings, "how drawn tokens "   \
      "are guessed", .usual = "auto: same with a seed or a saved session, else rejection",         \
      .more = "rejection: by draws of its own and rejection sampling; texts keep their "           \
      "probabilities, but a seed gives one again only where --draft-min is --draft-max, for "      \
      "otherwise times decide how many are guessed. same: by the draws to come, so that the text " \
      "is the one without a draft; fewer guesses stand.")

typedef struct draft {
    setup          setup;
    bamba_sampler *sampler;
    size_t         limit;                 /* tokens that its session holds */
    size_t         n_vocab;
    double         least_p;
    float         *q;                     /* [most, n_vocab] what guesses were drawn from; NULL: the
                                             guesses are certain */
    double         token_ms;              /* of reading a token of several; 0: not measured */
} draft;

#define DRAFT { .setup = SETUP }

/* Open it for the text of `target`, whose session is there. is_seeded: the text is to be the one
   that a seed gives without a draft. d stays where it is; close it in any case. */
int  draft_open(draft *d, const draft_flags *f, const setup *target, const setup_flags *how,
                const sampling *choice, bool is_seeded);
void draft_close(draft *d);

/* Tokens that it has not read of a text of n tokens; at least 1. */
size_t draft_behind(const draft *d, size_t n);

/* Read all of the text [n] but the last token, which guesses come behind. */
bamba_status draft_read(draft *d, const int32_t *text, size_t n, bamba_error *err);

/* Guess up to *n tokens behind text [n_text] and `last`, fewer if it is not sure, or the text ends.
   chooser: the sampler of the model. *first_ms: of these the milliseconds before the first guess,
   if there was more to read than usual; else 0. */
bamba_status draft_guess(draft *d, const int32_t *text, size_t n_text, int32_t last,
                         const bamba_sampler *chooser, int32_t *guess, int *n, double *first_ms,
                         bamba_error *err);

#endif
