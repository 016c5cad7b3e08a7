/* score.h - how well logits predict a text, and how far they are from those of a base.
 *
 * Owns:    what each scored token gave; means with their standard errors; percentiles; printing.
 * Not:     where logits come from (chunks.h).
 * Source:  the figures of llama.cpp's tools/perplexity, under its names. There logits of the base
 *          are rounded to 16 bits, and tokens that it holds less likely than e^-16 do not count.
 */
#ifndef BAMBA_TOOLS_SCORE_H
#define BAMBA_TOOLS_SCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is kept of a token. All but the first compare with a base. */
enum {
    SCORE_NATS,                           /* -ln of its probability                          */
    SCORE_BASE_NATS,                      /* the same from the base                          */
    SCORE_LN_RATIO,                       /* the first less the second                       */
    SCORE_KLD,                            /* sum of p_base ln(p_base / p) over all tokens    */
    SCORE_DP,                             /* its probability less that from the base         */
    SCORE_DP_SQUARED,
    SCORE_SAME_TOP,                       /* 1 if the likeliest token is the base's, or 0    */
    SCORE_COLUMNS
};

typedef struct score {
    double *column[SCORE_COLUMNS];        /* [capacity] each                                 */
    size_t  n, capacity;                  /* tokens                                          */
    size_t  n_bytes, n_characters;        /* of their text; 0: not known                     */
    bool    compares;
} score;

/* Make room for `capacity` tokens; false without memory. In any case end with score_free. */
bool score_create(score *s, size_t capacity, bool compares);
void score_free(score *s);

/* Add token id, predicted by logits [n_vocab], and by base [n_vocab] if the score compares. */
void score_add(score *s, const float *logits, const float *base, int n_vocab, int32_t id);

/* ln of the probability of token id in logits [n_vocab], and the likeliest token. */
double score_log_probability(const float *logits, int n_vocab, int32_t id, int32_t *top);

typedef struct score_value {
    double mean, error;                   /* the standard error                              */
} score_value;

enum { SCORE_PERCENTILES = 5 };           /* of the divergence */
extern const double score_fractions[SCORE_PERCENTILES];       /* 0.5 ... 0.999 */

typedef struct score_figures {
    score_value ppl, nats;
    score_value base_ppl, ln_ratio;
    score_value ratio, difference;        /* PPL(Q)/PPL(base), PPL(Q)-PPL(base)              */
    score_value kld, dp, rms_dp, same_top;                    /* not percent                 */
    double      correlation;              /* of ln PPL(Q) with ln PPL(base)                  */
    double      percentile[SCORE_PERCENTILES], largest_kld;
} score_figures;

/* Of one token or more. Without a base only ppl and nats are set. */
void score_figure(const score *s, score_figures *f);

/* Print a line about the tokens so far, after the chunk of this number (from 1). */
void score_print_chunk(const score *s, size_t chunk);

/* Print the result, as a text or one JSON object; n_chunks of n tokens were read. EXIT_SUCCESS or
   an exit code (reported). */
int score_print(const score *s, size_t n_chunks, size_t n, bool as_json);

#endif
