/* truncation.c - stages that drop candidates. */
#include "truncation.h"

#include <float.h>

void bb_keep_top_k(bb_pool *pool, int k)
{
    bb_candidate *c = pool->c;

    if (k <= 0 || (size_t)k >= pool->n) return;

    const size_t kept = (size_t)k;
    bb_heap_build(c, kept, BB_WORST_FIRST);
    for (size_t i = kept; i < pool->n; i++) {
        if (!bb_is_better(c[i], c[0])) continue;
        c[0] = c[i];
        bb_heap_sink(c, kept, BB_WORST_FIRST);
    }
    pool->n = kept;
}

static void keep_weights(bb_pool *pool, float best, double least)
{
    size_t kept = 0;

    for (size_t i = 0; i < pool->n; i++)
        if (bb_weigh(pool->c[i].logit, best, pool->temperature) >= least)
            pool->c[kept++] = pool->c[i];
    pool->n = kept;
}

/* Keep the last candidates, which heap pops have put there. */
static void keep_popped(bb_pool *pool, size_t n_popped)
{
    pool->c += pool->n - n_popped;
    pool->n = n_popped;
}

void bb_keep_top_p(bb_pool *pool, double p)
{
    if (p >= 1.0) return;

    const float best = bb_pool_best(pool).logit;
    const double total = bb_pool_total(pool, best);
    double sum = 0.0;
    size_t kept = 0;

    /* All below this sum up to less than what p leaves out. */
    keep_weights(pool, best, (1.0 - p) * total / (double)pool->n);
    bb_heap_build(pool->c, pool->n, BB_BEST_FIRST);
    do {
        const bb_candidate next = bb_heap_pop_best(pool->c, pool->n - kept);
        sum += bb_weigh(next.logit, best, pool->temperature);
        kept++;
    } while (kept < pool->n && sum < p * total);
    keep_popped(pool, kept);
}

void bb_keep_min_p(bb_pool *pool, double p)
{
    if (p > 0.0) keep_weights(pool, bb_pool_best(pool).logit, p);
}

/* -ln of a candidate's probability; `norm` is that of the best. */
static double find_surprise(const bb_pool *pool, float logit, float best, double norm)
{
    if (logit == best) return norm;
    return ((double)best - (double)logit) / pool->temperature + norm;
}

static double find_entropy(const bb_pool *pool, float best, double total)
{
    const double norm = log(total);
    double entropy = 0.0;

    for (size_t i = 0; i < pool->n; i++) {
        const double weight = bb_weigh(pool->c[i].logit, best, pool->temperature);
        if (weight > 0.0)                 /* no 0 · infinity */
            entropy += weight * find_surprise(pool, pool->c[i].logit, best, norm);
    }
    return entropy / total;
}

/* The heap orders candidates by the distance of their surprise, as if it were the logit; the logits
   wait in scratch. */
void bb_keep_typical(bb_pool *pool, double mass, float *scratch)
{
    if (mass >= 1.0) return;

    const float best = bb_pool_best(pool).logit;
    const double total = bb_pool_total(pool, best);
    const double entropy = find_entropy(pool, best, total), norm = log(total);
    double sum = 0.0;
    size_t kept = 0;

    for (size_t i = 0; i < pool->n; i++) {
        bb_candidate *c = &pool->c[i];
        const double away = fabs(find_surprise(pool, c->logit, best, norm) - entropy);
        scratch[c->id] = c->logit;
        c->logit = -(float)fmin(away, (double)FLT_MAX);
    }
    bb_heap_build(pool->c, pool->n, BB_BEST_FIRST);
    do {
        const bb_candidate next = bb_heap_pop_best(pool->c, pool->n - kept);
        sum += bb_weigh(scratch[next.id], best, pool->temperature);
        kept++;
    } while (kept < pool->n && sum <= mass * total);
    keep_popped(pool, kept);
    for (size_t i = 0; i < kept; i++) pool->c[i].logit = scratch[pool->c[i].id];
}

void bb_keep_n_sigma(bb_pool *pool, double n)
{
    double mean = 0.0, square = 0.0;
    size_t kept = 0;

    if (n <= 0.0) return;
    for (size_t i = 0; i < pool->n; i++) mean += (double)pool->c[i].logit;
    mean /= (double)pool->n;
    for (size_t i = 0; i < pool->n; i++) {
        const double d = (double)pool->c[i].logit - mean;
        square += d * d;
    }
    const double lowest = (double)bb_pool_best(pool).logit - n * sqrt(square / (double)pool->n);

    for (size_t i = 0; i < pool->n; i++)
        if (!((double)pool->c[i].logit < lowest))     /* all stay if infinite logits make it NaN */
            pool->c[kept++] = pool->c[i];
    pool->n = kept;
}

void bb_exclude_top_choices(bb_pool *pool, double threshold)
{
    const bb_candidate best = bb_pool_best(pool);
    const double least = threshold * bb_pool_total(pool, best.logit);
    bb_candidate worst = best;            /* of those that reach the threshold */
    size_t n_top = 0, kept = 0;

    for (size_t i = 0; i < pool->n; i++) {
        if (bb_weigh(pool->c[i].logit, best.logit, pool->temperature) < least) continue;
        n_top++;
        if (bb_is_better(worst, pool->c[i])) worst = pool->c[i];
    }
    if (n_top < 2) return;
    for (size_t i = 0; i < pool->n; i++)
        if (pool->c[i].id == worst.id || bb_is_better(worst, pool->c[i]))
            pool->c[kept++] = pool->c[i];
    pool->n = kept;
}
