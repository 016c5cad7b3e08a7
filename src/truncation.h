/* truncation.h - stages that drop candidates.
 *
 * Each takes a pool that is not empty and leaves one that is not empty; a neutral value, named with
 * the stage, leaves it alone. Probabilities are those of the pool's temperature. Sums are made in
 * double.
 */
#ifndef BB_TRUNCATION_H
#define BB_TRUNCATION_H

#include "candidates.h"

/* Keep the k best; k <= 0: all. */
void bb_keep_top_k(bb_pool *pool, int k);

/* Keep the fewest of the best whose probabilities sum up to p; 1: all. */
void bb_keep_top_p(bb_pool *pool, double p);

/* Keep what is at least p times as likely as the best; 0: all. */
void bb_keep_min_p(bb_pool *pool, double p);

/*
 * Keep the fewest whose surprise, -ln p, is nearest to the entropy and whose probabilities sum up
 * to more than `mass`; the lower id on ties; 1: all. scratch [V], indexed by id.
 *
 * Source: Meister et al. 2022, arXiv:2202.00666 (locally typical sampling).
 */
void bb_keep_typical(bb_pool *pool, double mass, float *scratch);

/*
 * Keep logits at most n standard deviations below the largest; n <= 0: all.
 *
 * Source: Tang et al. 2024, arXiv:2411.07641 (top-nσ).
 */
void bb_keep_n_sigma(bb_pool *pool, double n);

/* Of the candidates of at least `threshold`, if there are two or more, keep the least likely one
   alone (the highest id on ties); other candidates stay. */
void bb_exclude_top_choices(bb_pool *pool, double threshold);

#endif
