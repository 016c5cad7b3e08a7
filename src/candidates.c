/* candidates.c - tokens that can still be drawn, and their order.
 *
 * No stage needs the whole order of a vocabulary: heaps are popped as far as it takes.
 */
#include "candidates.h"

#include <string.h>

static bool is_above(bb_candidate a, bb_candidate b, bb_heap_root root)
{
    return root == BB_BEST_FIRST ? bb_is_better(a, b) : bb_is_better(b, a);
}

static void sift_down(bb_candidate *heap, size_t n, size_t at, bb_heap_root root)
{
    const bb_candidate moving = heap[at];

    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && is_above(heap[child + 1], heap[child], root)) child++;
        if (!is_above(heap[child], moving, root)) break;
        heap[at] = heap[child];
    }
    heap[at] = moving;
}

void bb_heap_build(bb_candidate *heap, size_t n, bb_heap_root root)
{
    for (size_t i = n / 2; i-- > 0;) sift_down(heap, n, i, root);
}

void bb_heap_sink(bb_candidate *heap, size_t n, bb_heap_root root)
{
    sift_down(heap, n, 0, root);
}

bb_candidate bb_heap_pop_best(bb_candidate *heap, size_t n)
{
    const bb_candidate best = heap[0];

    heap[0] = heap[n - 1];
    heap[n - 1] = best;
    if (n > 1) sift_down(heap, n - 1, 0, BB_BEST_FIRST);
    return best;
}

bb_candidate bb_pool_best(const bb_pool *pool)
{
    bb_candidate best = pool->c[0];

    for (size_t i = 1; i < pool->n; i++)
        if (bb_is_better(pool->c[i], best)) best = pool->c[i];
    return best;
}

double bb_pool_total(const bb_pool *pool, float best)
{
    double total = 0.0;

    for (size_t i = 0; i < pool->n; i++)
        total += bb_weigh(pool->c[i].logit, best, pool->temperature);
    return total;
}

void bb_pool_drop_impossible(bb_pool *pool)
{
    size_t kept = 0;

    for (size_t i = 0; i < pool->n; i++)
        if (pool->c[i].logit > -INFINITY) pool->c[kept++] = pool->c[i];       /* false for NaN */
    pool->n = kept;
}

int32_t bb_pool_draw(const bb_pool *pool, bb_xoshiro *random)
{
    const float best = bb_pool_best(pool).logit;
    const double target = bb_xoshiro_unit(random) * bb_pool_total(pool, best);
    double sum = 0.0;
    int32_t last = 0;

    for (size_t i = 0; i < pool->n; i++) {
        const double weight = bb_weigh(pool->c[i].logit, best, pool->temperature);
        if (weight == 0.0) continue;
        last = pool->c[i].id;
        sum += weight;
        if (sum > target) break;
    }
    return last;
}

void bb_pool_probabilities(const bb_pool *pool, float *p, size_t n_vocab)
{
    memset(p, 0, n_vocab * sizeof *p);
    if (pool->n == 0) return;
    const float  best = bb_pool_best(pool).logit;
    const double total = bb_pool_total(pool, best);
    for (size_t i = 0; i < pool->n; i++)
        p[pool->c[i].id] = (float)(bb_weigh(pool->c[i].logit, best, pool->temperature) / total);
}

/* What a candidate's probability exceeds q by, which remains of it when a guess is refused. */
static double find_excess(const bb_pool *pool, size_t i, float best, double total, const float *q)
{
    const double p = bb_weigh(pool->c[i].logit, best, pool->temperature) / total;
    return fmax(0.0, p - (double)q[pool->c[i].id]);
}

int32_t bb_pool_check(const bb_pool *pool, bb_xoshiro *random, int32_t guess, const float *q)
{
    const float  best = bb_pool_best(pool).logit;
    const double total = bb_pool_total(pool, best), u = bb_xoshiro_unit(random);
    double       p = 0.0, rest = 0.0, sum = 0.0;
    int32_t      last = -1;

    for (size_t i = 0; i < pool->n; i++) {
        if (pool->c[i].id == guess)
            p = bb_weigh(pool->c[i].logit, best, pool->temperature) / total;
        rest += find_excess(pool, i, best, total, q);
    }
    if (u * (double)q[guess] < p) return guess;

    const double target = bb_xoshiro_unit(random) * rest;
    for (size_t i = 0; i < pool->n && sum <= target; i++) {
        const double excess = find_excess(pool, i, best, total, q);
        if (excess == 0.0) continue;
        last = pool->c[i].id;
        sum += excess;
    }
    return last >= 0 ? last : bb_pool_draw(pool, random);     /* rounding alone leaves no excess */
}
