/* dry.c - the token that would go on with a repeated sequence becomes less likely.
 *
 * How many of the last tokens stand before each place of the text is the Z function of the text
 * read backwards, which takes linear time (Gusfield, "Algorithms on Strings, Trees, and Sequences",
 * 1997).
 */
#include "dry.h"

#include "dry_breakers.h"

#include <float.h>
#include <string.h>

struct bb_dry {
    bb_allocator    allocator;
    float           multiplier, base;
    size_t          allowed;
    int             n_vocab;              /* V                                               */
    size_t          size;                 /* most tokens that are remembered, at most 2^31    */
    size_t          n, next;              /* tokens in the ring; where the next one goes     */
    int32_t        *ring;                 /* [size]                                          */
    int32_t        *recent;               /* [size] the ring, newest first                   */
    uint32_t       *repeats;              /* [size] Z of recent                              */
    uint32_t       *longest;              /* [V] one more than the longest repeat that the token
                                             would go on with; all 0 between calls           */
    bb_dry_breakers breakers;
};

/* ---- creating ---- */

static bool allocate_arrays(bb_dry *d)
{
    const bb_allocator *a = &d->allocator;

    d->ring = bb_allocate(a, d->size, sizeof *d->ring);
    d->recent = bb_allocate(a, d->size, sizeof *d->recent);
    d->repeats = bb_allocate(a, d->size, sizeof *d->repeats);
    d->longest = bb_new(a, (size_t)d->n_vocab, sizeof *d->longest);
    return d->ring && d->recent && d->repeats && d->longest;
}

bb_status bb_dry_create(bb_dry **out, const bamba_sampler_options *o, int n_vocab,
                        const bb_allocator *a, bamba_error *err)
{
    bb_status status = BAMBA_OK;
    bb_dry   *d;

    *out = NULL;
    if (o->dry_multiplier == 0.0f || o->dry_base < 1.0f || o->dry_penalty_last_n == 0)
        return BAMBA_OK;
    d = bb_new(a, 1, sizeof *d);
    if (!d) return bb_fail(err, BAMBA_ERR_MEMORY, "sampler: out of memory");
    d->allocator = *a;
    d->multiplier = o->dry_multiplier;
    d->base = o->dry_base;
    d->allowed = (size_t)o->dry_allowed_length;
    d->n_vocab = n_vocab;
    d->size = (size_t)o->dry_penalty_last_n;
    if (!allocate_arrays(d)) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "sampler: out of memory (dry_penalty_last_n %zu)",
                         d->size);
        goto done;
    }
    BB_TRY(bb_dry_breakers_open(&d->breakers, o, n_vocab, a, err));
    *out = d;
    d = NULL;
done:
    bb_dry_free(d);
    return status;
}

void bb_dry_free(bb_dry *d)
{
    if (!d) return;

    const bb_allocator a = d->allocator;
    bb_release(&a, d->ring);
    bb_release(&a, d->recent);
    bb_release(&a, d->repeats);
    bb_release(&a, d->longest);
    bb_dry_breakers_close(&d->breakers, &a);
    bb_release(&a, d);
}

void bb_dry_reset(bb_dry *d)
{
    if (d) d->n = d->next = 0;
}

void bb_dry_accept(bb_dry *d, int32_t id)
{
    if (!d) return;
    d->ring[d->next] = id;
    d->next = d->next + 1 == d->size ? 0 : d->next + 1;
    if (d->n < d->size) d->n++;
}

/* ---- applying ---- */

static void list_recent(bb_dry *d)
{
    for (size_t i = 0, at = d->next; i < d->n; i++) {
        at = at == 0 ? d->size - 1 : at - 1;
        d->recent[i] = d->ring[at];
    }
}

/* Tokens behind the last breaker. */
static size_t find_limit(const bb_dry *d)
{
    for (size_t i = 0; i < d->n; i++) {
        const size_t length = bb_dry_breakers_match(&d->breakers, d->recent, i);
        if (length > 0) return i + 1 - length;
    }
    return d->n;
}

/* repeats[k]: how many of the newest tokens also stand k places earlier. [left, right) is the
   stretch found so far that ends last; it equals the beginning. */
static void count_repeats(bb_dry *d)
{
    const int32_t *x = d->recent;
    size_t left = 0, right = 0;

    for (size_t k = 1; k < d->n; k++) {
        size_t n = 0;
        if (k < right) {
            n = d->repeats[k - left];
            if (n > right - k) n = right - k;
        }
        while (k + n < d->n && x[n] == x[k + n]) n++;
        d->repeats[k] = (uint32_t)n;
        if (k + n > right) {
            left = k;
            right = k + n;
        }
    }
}

/* recent[k - 1] is what followed the repeat at k. */
static void find_longest(bb_dry *d, size_t limit)
{
    for (size_t k = 1; k < d->n; k++) {
        const size_t  n = d->repeats[k] < limit ? d->repeats[k] : limit;
        const int32_t id = d->recent[k - 1];

        if (n < d->allowed || id < 0 || id >= d->n_vocab) continue;
        if (n + 1 > d->longest[id]) d->longest[id] = (uint32_t)n + 1;
    }
}

static double find_penalty(const bb_dry *d, size_t n)
{
    const double most = log((double)FLT_MAX);
    const double base = (double)d->base;
    double exponent = (double)(n - d->allowed);

    if (exponent * log(base) > most) exponent = floor(most / log(base));
    return (double)d->multiplier * pow(base, exponent);
}

void bb_dry_apply(bb_dry *d, bb_pool *pool)
{
    if (!d || d->n <= d->allowed) return;
    list_recent(d);
    const size_t limit = find_limit(d);
    if (limit < d->allowed) return;
    count_repeats(d);
    find_longest(d, limit);

    for (size_t i = 0; i < pool->n; i++) {
        bb_candidate *c = &pool->c[i];
        if (d->longest[c->id] == 0 || bb_dry_breakers_hold(&d->breakers, c->id)) continue;
        const double penalty = pool->temperature * find_penalty(d, d->longest[c->id] - 1);
        c->logit -= (float)fmin(penalty, (double)FLT_MAX);
    }
    for (size_t k = 1; k < d->n; k++) {
        const int32_t id = d->recent[k - 1];
        if (id >= 0 && id < d->n_vocab) d->longest[id] = 0;
    }
    bb_pool_drop_impossible(pool);
}
