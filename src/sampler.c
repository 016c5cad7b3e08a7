/* sampler.c - logits -> token id.
 *
 * The filters after the penalties keep a prefix of the candidates in descending order: top_k by
 * number, top_p by summed probability, min_p by distance from the best. No filter needs the
 * whole order. top_k keeps a heap of the k best so far. For top_p and min_p a linear pass drops
 * what is too unlikely for either, and a heap of the rest is popped as far as needed.
 * Probabilities are summed in double.
 *
 * Generator: xoshiro256** seeded through splitmix64 (Blackman & Vigna, "Scrambled linear
 * pseudorandom number generators", 2018).
 */
#include "bamba.h"

#include "base/alloc.h"
#include "base/options.h"

#include <float.h>
#include <math.h>
#include <string.h>

typedef struct candidate {
    float   logit;
    int32_t id;
} candidate;

struct bamba_sampler {
    bb_allocator          allocator;
    bamba_sampler_options options;        /* of bias: only n_bias is used             */
    bamba_logit_bias     *bias;           /* [options.n_bias]                         */
    uint64_t              random[4];
    int32_t              *missing;        /* [n_missing] ids without a token          */
    size_t                n_missing;
    int32_t               lowest;         /* id with a token                          */
    int                   n_vocab;        /* V                                        */
    float                *logits;         /* [V] working copy                         */
    candidate            *candidates;     /* [V]                                      */
    uint32_t             *counts;         /* [V] in the penalty window; NULL: no penalties */
    int32_t              *window;         /* [penalty_last_n] ring; NULL if unbounded */
    size_t                n_window;       /* tokens in the ring                       */
    size_t                oldest;         /* index of the next to be overwritten      */
};

/* ---- random numbers ---- */

static uint64_t rotate_left(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

static void seed_random(uint64_t state[4], uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = (seed += UINT64_C(0x9E3779B97F4A7C15));
        z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
        state[i] = z ^ z >> 31;
    }
}

/* In [0, 1), a multiple of 2^-53. */
static double draw_unit(uint64_t s[4])
{
    const uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    const uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return (double)(result >> 11) * 0x1p-53;
}

/* ---- candidates in descending order ---- */

/* Ties go to the lower id, so that the order is total and every filter is determined. */
static bool is_better(candidate a, candidate b)
{
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

/* A heap has its best at the root, or its worst. */
typedef enum heap_root { BEST_FIRST, WORST_FIRST } heap_root;

static bool is_above(candidate a, candidate b, heap_root root)
{
    return root == BEST_FIRST ? is_better(a, b) : is_better(b, a);
}

static void sift_down(candidate *heap, size_t n, size_t at, heap_root root)
{
    const candidate moving = heap[at];

    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && is_above(heap[child + 1], heap[child], root)) child++;
        if (!is_above(heap[child], moving, root)) break;
        heap[at] = heap[child];
    }
    heap[at] = moving;
}

static void build_heap(candidate *heap, size_t n, heap_root root)
{
    for (size_t i = n / 2; i-- > 0;) sift_down(heap, n, i, root);
}

/* Moves the best of heap [n] to heap[n - 1] and returns it; the first n - 1 stay a heap. */
static candidate pop_best(candidate *heap, size_t n)
{
    const candidate best = heap[0];

    heap[0] = heap[n - 1];
    heap[n - 1] = best;
    if (n > 1) sift_down(heap, n - 1, 0, BEST_FIRST);
    return best;
}

/* Probability relative to the best's at a temperature; equal logits weigh 1, infinite too. */
static double weigh(float logit, float best, double temperature)
{
    return logit == best ? 1.0 : exp(((double)logit - (double)best) / temperature);
}

/* ---- stages ---- */

static void apply_bias(bamba_sampler *s)
{
    for (size_t i = 0; i < s->options.n_bias; i++)
        s->logits[s->bias[i].id] += s->bias[i].bias;
}

static void apply_penalties(bamba_sampler *s)
{
    const float repetition = s->options.repetition_penalty;

    for (int i = 0; i < s->n_vocab; i++) {
        if (s->counts[i] == 0) continue;
        float x = s->logits[i];
        x = x > 0.0f ? x / repetition : x * repetition;
        x -= (float)s->counts[i] * s->options.frequency_penalty + s->options.presence_penalty;
        s->logits[i] = x;
    }
}

static int32_t find_largest(const float *logits, int n, int32_t lowest)
{
    int32_t best = lowest;
    float largest = -INFINITY;

    for (int i = 0; i < n; i++)
        if (logits[i] > largest) {        /* false for NaN */
            largest = logits[i];
            best = i;
        }
    return best;
}

/* Candidates that can be drawn at all; NaN is not above -infinity. */
static size_t collect_candidates(bamba_sampler *s)
{
    size_t n = 0;

    for (int i = 0; i < s->n_vocab; i++)
        if (s->logits[i] > -INFINITY) s->candidates[n++] = (candidate){ s->logits[i], i };
    return n;
}

/* The k best of candidates [n] move to its front. */
static void keep_top_k(candidate *candidates, size_t n, size_t k)
{
    build_heap(candidates, k, WORST_FIRST);
    for (size_t i = k; i < n; i++) {
        if (!is_better(candidates[i], candidates[0])) continue;
        candidates[0] = candidates[i];
        sift_down(candidates, k, 0, WORST_FIRST);
    }
}

static size_t keep_weights(candidate *candidates, size_t n, float best, double least)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++)
        if (weigh(candidates[i].logit, best, 1.0) >= least) candidates[kept++] = candidates[i];
    return kept;
}

/* The fewest of the best whose probabilities reach top_p, as far as they are min_p of the best.
   They are at the end of candidates [n]; their number goes to *n. */
static candidate *keep_likely(candidate *candidates, size_t *n, float best, double top_p,
                              double min_p)
{
    double total = 0.0, sum = 0.0;
    size_t kept = 0;

    if (top_p >= 1.0) {
        if (min_p > 0.0) *n = keep_weights(candidates, *n, best, min_p);
        return candidates;
    }
    for (size_t i = 0; i < *n; i++) total += weigh(candidates[i].logit, best, 1.0);

    /* All below this sum up to less than what top_p leaves out. */
    const double needless = (1.0 - top_p) * total / (double)*n;
    *n = keep_weights(candidates, *n, best, needless > min_p ? needless : min_p);

    build_heap(candidates, *n, BEST_FIRST);
    do {
        sum += weigh(pop_best(candidates, *n - kept).logit, best, 1.0);
        kept++;
    } while (kept < *n && sum < top_p * total);

    candidates += *n - kept;
    *n = kept;
    return candidates;
}

static int32_t draw(uint64_t random[4], const candidate *candidates, size_t n, float best,
                    double temperature)
{
    double total = 0.0, sum = 0.0;
    for (size_t i = 0; i < n; i++) total += weigh(candidates[i].logit, best, temperature);

    const double target = draw_unit(random) * total;
    int32_t last = 0;
    for (size_t i = 0; i < n; i++) {
        const double weight = weigh(candidates[i].logit, best, temperature);
        if (weight == 0.0) continue;
        last = candidates[i].id;
        sum += weight;
        if (sum > target) break;
    }
    return last;
}

/* ---- options ---- */

static bb_status check_range(const char *name, float value, float lo, float hi,
                             bamba_error *err)
{
    if (value >= lo && value <= hi) return BAMBA_OK;
    return bb_fail(err, BAMBA_ERR_ARGUMENT, "sampler: %s: expected %g ... %g, found %g", name,
                   (double)lo, (double)hi, (double)value);
}

static bb_status check_bias(const bamba_sampler_options *o, int n_vocab, bamba_error *err)
{
    if (o->n_bias && !o->bias)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "sampler: bias is NULL, n_bias is %zu",
                       o->n_bias);
    for (size_t i = 0; i < o->n_bias; i++) {
        const int id = (int)o->bias[i].id;
        if (id < 0 || id >= n_vocab)
            return bb_fail(err, BAMBA_ERR_ARGUMENT,
                           "sampler: bias: expected an id in 0 ... %d, found %d", n_vocab - 1,
                           id);
        if (isnan(o->bias[i].bias))
            return bb_fail(err, BAMBA_ERR_ARGUMENT, "sampler: bias of id %d is not a number",
                           id);
    }
    return BAMBA_OK;
}

static bb_status check_options(const bamba_sampler_options *o, int n_vocab, bamba_error *err)
{
    bb_status status = BAMBA_OK;

    if (n_vocab < 1)
        return bb_fail(err, BAMBA_ERR_ARGUMENT,
                       "sampler: n_vocab: expected at least 1, found %d", n_vocab);
    if (o->penalty_last_n < -1)
        return bb_fail(err, BAMBA_ERR_ARGUMENT,
                       "sampler: penalty_last_n: expected at least -1, found %d",
                       o->penalty_last_n);
    BB_TRY(check_range("temperature", o->temperature, 0.0f, FLT_MAX, err));
    BB_TRY(check_range("top_p", o->top_p, 0.0f, 1.0f, err));
    BB_TRY(check_range("min_p", o->min_p, 0.0f, 1.0f, err));
    BB_TRY(check_range("repetition_penalty", o->repetition_penalty, FLT_TRUE_MIN, FLT_MAX, err));
    BB_TRY(check_range("presence_penalty", o->presence_penalty, -FLT_MAX, FLT_MAX, err));
    BB_TRY(check_range("frequency_penalty", o->frequency_penalty, -FLT_MAX, FLT_MAX, err));
    BB_TRY(check_bias(o, n_vocab, err));
done:
    return status;
}

static bool has_penalties(const bamba_sampler_options *o)
{
    return o->penalty_last_n != 0 &&
           (o->repetition_penalty != 1.0f || o->presence_penalty != 0.0f ||
            o->frequency_penalty != 0.0f);
}

static bool allocate_arrays(bamba_sampler *s)
{
    const bb_allocator *a = &s->allocator;
    const bamba_sampler_options *o = &s->options;
    const size_t n = (size_t)s->n_vocab;

    s->logits = bb_allocate(a, n, sizeof *s->logits);
    s->candidates = bb_allocate(a, n, sizeof *s->candidates);
    if (!s->logits || !s->candidates) return false;

    if (o->n_bias) {
        s->bias = bb_allocate(a, o->n_bias, sizeof *s->bias);
        if (!s->bias) return false;
        memcpy(s->bias, o->bias, o->n_bias * sizeof *s->bias);
    }
    if (has_penalties(o)) {
        s->counts = bb_new(a, n, sizeof *s->counts);
        if (!s->counts) return false;
        if (o->penalty_last_n > 0) {
            s->window = bb_allocate(a, (size_t)o->penalty_last_n, sizeof *s->window);
            if (!s->window) return false;
        }
    }
    return true;
}

/* The ids that the tokenizer does not know. */
static bb_status list_missing(bamba_sampler *s, bamba_error *err)
{
    const bamba_tokenizer *t = s->options.tokenizer;
    size_t                 bytes;

    if (!t) return BAMBA_OK;
    s->lowest = -1;
    for (int id = 0; id < s->n_vocab; id++) {
        if (!bamba_token_text(t, id, &bytes)) s->n_missing++;
        else if (s->lowest < 0) s->lowest = id;
    }
    if (s->lowest < 0)
        return bb_fail(err, BAMBA_ERR_ARGUMENT, "sampler: the tokenizer has no token below id %d",
                       s->n_vocab);
    if (s->n_missing == 0) return BAMBA_OK;
    s->missing = bb_allocate(&s->allocator, s->n_missing, sizeof *s->missing);
    if (!s->missing) return bb_fail(err, BAMBA_ERR_MEMORY, "sampler: out of memory");
    s->n_missing = 0;
    for (int id = 0; id < s->n_vocab; id++)
        if (!bamba_token_text(t, id, &bytes)) s->missing[s->n_missing++] = id;
    return BAMBA_OK;
}

/* ---- public ---- */

bamba_status bamba_sampler_create(bamba_sampler **out, int n_vocab,
                                  const bamba_sampler_options *options, bamba_error *err)
{
    bb_status             status = BAMBA_OK;
    bamba_sampler        *s = NULL;
    bamba_sampler_options o = BAMBA_SAMPLER_OPTIONS;
    bb_allocator          allocator;

    if (!out) return bb_fail(err, BAMBA_ERR_ARGUMENT, "sampler: out is NULL");
    *out = NULL;
    BB_TRY(bb_read_options(&o, sizeof o, offsetof(bamba_sampler_options, tokenizer), options,
                           "sampler options", err));
    BB_TRY(bb_allocator_resolve(&allocator, &o.allocator, err));
    BB_TRY(check_options(&o, n_vocab, err));

    s = bb_new(&allocator, 1, sizeof *s);
    if (!s) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "sampler: out of memory");
        goto done;
    }
    s->allocator = allocator;
    s->options = o;
    s->n_vocab = n_vocab;
    if (!allocate_arrays(s)) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "sampler: out of memory (%d logits)", n_vocab);
        goto done;
    }
    BB_TRY(list_missing(s, err));
    bamba_sampler_reset(s, o.seed);

    *out = s;
    s = NULL;
done:
    bamba_sampler_free(s);
    return status;
}

void bamba_sampler_free(bamba_sampler *sampler)
{
    if (!sampler) return;

    const bb_allocator a = sampler->allocator;
    bb_release(&a, sampler->bias);
    bb_release(&a, sampler->missing);
    bb_release(&a, sampler->logits);
    bb_release(&a, sampler->candidates);
    bb_release(&a, sampler->counts);
    bb_release(&a, sampler->window);
    bb_release(&a, sampler);
}

void bamba_sampler_reset(bamba_sampler *sampler, uint64_t seed)
{
    seed_random(sampler->random, seed);
    sampler->n_window = 0;
    sampler->oldest = 0;
    if (sampler->counts)
        memset(sampler->counts, 0, (size_t)sampler->n_vocab * sizeof *sampler->counts);
}

void bamba_sampler_accept(bamba_sampler *sampler, int32_t id)
{
    bamba_sampler *s = sampler;

    if (!s->counts || id < 0 || id >= s->n_vocab) return;
    if (s->counts[id] < UINT32_MAX) s->counts[id]++;
    if (!s->window) return;

    const size_t size = (size_t)s->options.penalty_last_n;
    if (s->n_window == size) s->counts[s->window[s->oldest]]--;
    else s->n_window++;
    s->window[s->oldest] = id;
    s->oldest = s->oldest + 1 == size ? 0 : s->oldest + 1;
}

int32_t bamba_sample(bamba_sampler *sampler, const float *logits)
{
    bamba_sampler *s = sampler;
    const bamba_sampler_options *o = &s->options;

    memcpy(s->logits, logits, (size_t)s->n_vocab * sizeof *logits);
    if (o->callback) o->callback(o->callback_context, s->logits, (size_t)s->n_vocab);
    apply_bias(s);
    if (s->counts) apply_penalties(s);
    for (size_t i = 0; i < s->n_missing; i++) s->logits[s->missing[i]] = -INFINITY;

    const int32_t best_id = find_largest(s->logits, s->n_vocab, s->lowest);
    if (o->temperature == 0.0f) return best_id;

    const float best = s->logits[best_id];
    const size_t n_all = collect_candidates(s);
    size_t n = n_all;
    if (n == 0) return best_id;

    if (o->top_k > 0 && (size_t)o->top_k < n) {
        n = (size_t)o->top_k;
        keep_top_k(s->candidates, n_all, n);
    }
    const candidate *c = keep_likely(s->candidates, &n, best, (double)o->top_p,
                                     (double)o->min_p);
    return draw(s->random, c, n, best, (double)o->temperature);
}
