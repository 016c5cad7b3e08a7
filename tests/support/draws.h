/* draws.h - samplers whose draws are counted and compared with probabilities.
 *
 * Errors:  a failure of the test.
 */
#ifndef BAMBA_TESTS_DRAWS_H
#define BAMBA_TESTS_DRAWS_H

#include "bamba.h"

enum { N_DRAWS = 20000 };

/* Everything off: logits are drawn from as they are, at temperature 1. */
bamba_sampler_options draws_plain(void);

bamba_sampler *draws_sampler(int n_vocab, const bamba_sampler_options *o);

/* Count N_DRAWS draws. counts [n] */
void draws_count(bamba_sampler *s, const float *logits, int n, int *counts);

/* Compare counts with probabilities by their chi-square, of up to 15 degrees of freedom; a token of
   probability 0 must never come. */
void draws_compare(const int *counts, const double *p, int n);

/* Both, for a sampler of these options and up to 64 tokens. */
void draws_check(const bamba_sampler_options *o, const float *logits, const double *p, int n);

/* Draw until all ids that are marked in kept [n] have come; no other may. */
void draws_check_set(const bamba_sampler_options *o, const float *logits, const char *kept, int n);

/* A tokenizer of these tokens, "\"a\": 1, \"b\": 3", without merges. */
bamba_tokenizer *draws_tokenizer(const char *vocab);

#endif
