/* candidates.h - tokens that can still be drawn, and their order.
 *
 * Owns:    the order of candidates, heaps of them, their weights, the draw.
 * Not:     which of them stages drop (truncation.h) or make less likely (penalties.h, dry.h).
 */
#ifndef BB_CANDIDATES_H
#define BB_CANDIDATES_H

#include "xoshiro.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct bb_candidate {
    float   logit;
    int32_t id;
} bb_candidate;

/* What the stages of a sampler pass on. */
typedef struct bb_pool {
    bb_candidate *c;                      /* [n], every logit above -infinity               */
    size_t        n;
    double        temperature;            /* logits are divided by it for probabilities     */
} bb_pool;

/* Ties go to the lower id, so that the order is total and every stage is determined. */
static inline bool bb_is_better(bb_candidate a, bb_candidate b)
{
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

/* Probability relative to the best's at a temperature; equal logits weigh 1, infinite too. */
static inline double bb_weigh(float logit, float best, double temperature)
{
    return logit == best ? 1.0 : exp(((double)logit - (double)best) / temperature);
}

/* A heap has its best at the root, or its worst. */
typedef enum bb_heap_root { BB_BEST_FIRST, BB_WORST_FIRST } bb_heap_root;

void bb_heap_build(bb_candidate *heap, size_t n, bb_heap_root root);

/* Put the root of a heap in its place after it was changed. */
void bb_heap_sink(bb_candidate *heap, size_t n, bb_heap_root root);

/* Move the best of heap [n] to heap[n - 1] and return it; the first n - 1 stay a heap. */
bb_candidate bb_heap_pop_best(bb_candidate *heap, size_t n);

/* The best candidate; the pool is not empty. */
bb_candidate bb_pool_best(const bb_pool *pool);

/* Sum of all weights, that of the best being 1. */
double bb_pool_total(const bb_pool *pool, float best);

/* Drop what has become impossible: logits of -infinity, NaN. */
void bb_pool_drop_impossible(bb_pool *pool);

/* Draw from a pool that is not empty, with the probabilities of its temperature. */
int32_t bb_pool_draw(const bb_pool *pool, bb_xoshiro *random);

/* The probabilities with which it draws, 0 for ids that are not in the pool. p [n_vocab] */
void bb_pool_probabilities(const bb_pool *pool, float *p, size_t n_vocab);

/*
 * The guess, with probability min(1, p/q) of it; else a draw in proportion to max(0, p - q), where
 * that of the guess is 0. Over guesses drawn from q the result has the pool's probabilities p.
 *
 *     q [V] probabilities by id; q[guess] > 0
 *
 * Source: Leviathan et al. 2023, arXiv:2211.17192; Chen et al. 2023, arXiv:2302.01318.
 */
int32_t bb_pool_check(const bb_pool *pool, bb_xoshiro *random, int32_t guess, const float *q);

#endif
