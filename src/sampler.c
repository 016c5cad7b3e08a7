/* sampler.c - logits -> token id: the chain of stages. */
#include "bamba.h"

#include "base/alloc.h"
#include "base/options.h"
#include "candidates.h"
#include "dry.h"
#include "penalties.h"
#include "truncation.h"

#include <float.h>
#include <string.h>

enum { N_STAGES = BAMBA_STAGE_TEMPERATURE };

struct bamba_sampler {
    bb_allocator          allocator;
    bamba_sampler_options options;        /* of arrays only the lengths are used      */
    bamba_logit_bias     *bias;           /* [options.n_bias]                         */
    bamba_sampler_stage   stages[N_STAGES];
    size_t                n_stages;
    bb_xoshiro            random;
    int32_t              *missing;        /* [n_missing] ids without a token          */
    size_t                n_missing;
    int32_t               lowest;         /* id with a token                          */
    int                   n_vocab;        /* V                                        */
    float                *logits;         /* [V] working copy                         */
    bb_candidate         *candidates;     /* [V]                                      */
    bb_penalties          penalties;
    bb_dry               *dry;            /* NULL: off                                */
};

/* ---- options ---- */

static bb_status check_range(const char *name, float value, float lo, float hi,
                             bamba_error *err)
{
    if (value >= lo && value <= hi) return BAMBA_OK;
    return bb_fail(err, BAMBA_ERR_ARGUMENT, "sampler: %s: expected %g ... %g, found %g", name,
                   (double)lo, (double)hi, (double)value);
}

static bb_status check_count(const char *name, int value, int lo, bamba_error *err)
{
    if (value >= lo) return BAMBA_OK;
    return bb_fail(err, BAMBA_ERR_ARGUMENT, "sampler: %s: expected at least %d, found %d", name, lo,
                   value);
}

static bb_status check_stages(const bamba_sampler_options *o, bamba_error *err)
{
    bool seen[N_STAGES + 1] = { false };

    for (size_t i = 0; o->stages && i < o->n_stages; i++) {
        const int stage = (int)o->stages[i];
        if (stage < 1 || stage > N_STAGES)
            return bb_fail(err, BAMBA_ERR_ARGUMENT, "sampler: stages: expected 1 ... %d, found %d",
                           N_STAGES, stage);
        if (seen[stage])
            return bb_fail(err, BAMBA_ERR_ARGUMENT,
                           "sampler: stages: expected each at most once, found %d again", stage);
        seen[stage] = true;
    }
    return BAMBA_OK;
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

    BB_TRY(check_count("n_vocab", n_vocab, 1, err));
    BB_TRY(check_count("penalty_last_n", o->penalty_last_n, -1, err));
    BB_TRY(check_range("temperature", o->temperature, 0.0f, FLT_MAX, err));
    BB_TRY(check_range("top_p", o->top_p, 0.0f, 1.0f, err));
    BB_TRY(check_range("min_p", o->min_p, 0.0f, 1.0f, err));
    BB_TRY(check_range("typical_p", o->typical_p, 0.0f, 1.0f, err));
    BB_TRY(check_range("top_n_sigma", o->top_n_sigma, -FLT_MAX, FLT_MAX, err));
    BB_TRY(check_range("xtc_probability", o->xtc_probability, 0.0f, 1.0f, err));
    BB_TRY(check_range("xtc_threshold", o->xtc_threshold, 0.0f, 1.0f, err));
    BB_TRY(check_range("dry_multiplier", o->dry_multiplier, 0.0f, FLT_MAX, err));
    BB_TRY(check_range("dry_base", o->dry_base, 0.0f, FLT_MAX, err));
    BB_TRY(check_count("dry_allowed_length", o->dry_allowed_length, 0, err));
    BB_TRY(check_count("dry_penalty_last_n", o->dry_penalty_last_n, 0, err));
    BB_TRY(check_range("repetition_penalty", o->repetition_penalty, FLT_TRUE_MIN, FLT_MAX, err));
    BB_TRY(check_range("presence_penalty", o->presence_penalty, -FLT_MAX, FLT_MAX, err));
    BB_TRY(check_range("frequency_penalty", o->frequency_penalty, -FLT_MAX, FLT_MAX, err));
    BB_TRY(check_bias(o, n_vocab, err));
    BB_TRY(check_stages(o, err));
done:
    return status;
}

/* ---- creating ---- */

static void list_stages(bamba_sampler *s)
{
    const bamba_sampler_options *o = &s->options;

    s->n_stages = o->stages ? o->n_stages : N_STAGES;
    for (size_t i = 0; i < s->n_stages; i++)
        s->stages[i] = o->stages ? o->stages[i] : (bamba_sampler_stage)(i + 1);
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
    return bb_penalties_open(&s->penalties, o, s->n_vocab, a);
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
    BB_TRY(bb_dry_create(&s->dry, &o, n_vocab, &allocator, err));
    list_stages(s);
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
    bb_penalties_close(&sampler->penalties, &a);
    bb_dry_free(sampler->dry);
    bb_release(&a, sampler);
}

void bamba_sampler_reset(bamba_sampler *sampler, uint64_t seed)
{
    bb_xoshiro_seed(&sampler->random, seed);
    bb_penalties_reset(&sampler->penalties);
    bb_dry_reset(sampler->dry);
}

void bamba_sampler_get_state(const bamba_sampler *sampler, bamba_sampler_state *state)
{
    if (sampler && state) memcpy(state->words, sampler->random.s, sizeof state->words);
}

void bamba_sampler_set_state(bamba_sampler *sampler, const bamba_sampler_state *state)
{
    if (sampler && state) memcpy(sampler->random.s, state->words, sizeof state->words);
}

void bamba_sampler_accept(bamba_sampler *sampler, int32_t id)
{
    bb_penalties_accept(&sampler->penalties, id);
    bb_dry_accept(sampler->dry, id);
}

/* ---- sampling ---- */

static bb_pool collect_candidates(bamba_sampler *s)
{
    bb_pool pool = { s->candidates, 0, 1.0 };

    for (size_t i = 0; i < s->options.n_bias; i++)
        s->logits[s->bias[i].id] += s->bias[i].bias;
    for (size_t i = 0; i < s->n_missing; i++) s->logits[s->missing[i]] = -INFINITY;
    for (int i = 0; i < s->n_vocab; i++)
        if (s->logits[i] > -INFINITY)     /* false for NaN */
            pool.c[pool.n++] = (bb_candidate){ s->logits[i], i };
    return pool;
}

static void divide_by_temperature(bb_pool *pool, float temperature)
{
    if (temperature > 0.0f) {
        pool->temperature *= (double)temperature;
        return;
    }
    pool->c[0] = bb_pool_best(pool);
    pool->n = 1;
}

/* As in llama.cpp a threshold above one half turns it off: two tokens cannot reach that. */
static void exclude_top_choices(bamba_sampler *s, bb_pool *pool)
{
    const bamba_sampler_options *o = &s->options;

    if (o->xtc_probability == 0.0f || o->xtc_threshold > 0.5f || pool->n < 2) return;
    if (bb_xoshiro_unit(&s->random) < (double)o->xtc_probability)
        bb_exclude_top_choices(pool, (double)o->xtc_threshold);
}

static void run_stage(bamba_sampler *s, bamba_sampler_stage stage, bb_pool *pool)
{
    const bamba_sampler_options *o = &s->options;

    switch (stage) {
    case BAMBA_STAGE_PENALTIES:   bb_penalties_apply(&s->penalties, pool); break;
    case BAMBA_STAGE_DRY:         bb_dry_apply(s->dry, pool); break;
    case BAMBA_STAGE_TOP_N_SIGMA: bb_keep_n_sigma(pool, (double)o->top_n_sigma); break;
    case BAMBA_STAGE_TOP_K:       bb_keep_top_k(pool, o->top_k); break;
    case BAMBA_STAGE_TYPICAL:     bb_keep_typical(pool, (double)o->typical_p, s->logits); break;
    case BAMBA_STAGE_TOP_P:       bb_keep_top_p(pool, (double)o->top_p); break;
    case BAMBA_STAGE_MIN_P:       bb_keep_min_p(pool, (double)o->min_p); break;
    case BAMBA_STAGE_XTC:         exclude_top_choices(s, pool); break;
    case BAMBA_STAGE_TEMPERATURE: divide_by_temperature(pool, o->temperature); break;
    }
}

/* What the stages leave; it may be empty. */
static bb_pool run_stages(bamba_sampler *s, const float *logits)
{
    const bamba_sampler_options *o = &s->options;

    memcpy(s->logits, logits, (size_t)s->n_vocab * sizeof *logits);
    if (o->callback) o->callback(o->callback_context, s->logits, (size_t)s->n_vocab);

    bb_pool pool = collect_candidates(s);
    for (size_t i = 0; i < s->n_stages && pool.n > 0; i++) run_stage(s, s->stages[i], &pool);
    return pool;
}

int32_t bamba_sample(bamba_sampler *sampler, const float *logits)
{
    const bb_pool pool = run_stages(sampler, logits);
    return pool.n > 0 ? bb_pool_draw(&pool, &sampler->random) : sampler->lowest;
}

int32_t bamba_sample_distribution(bamba_sampler *sampler, const float *logits, float *p)
{
    const bb_pool pool = run_stages(sampler, logits);

    bb_pool_probabilities(&pool, p, (size_t)sampler->n_vocab);
    if (pool.n > 0) return bb_pool_draw(&pool, &sampler->random);
    p[sampler->lowest] = 1.0f;
    return sampler->lowest;
}

int32_t bamba_sample_guess(bamba_sampler *sampler, const float *logits, int32_t guess,
                           const float *q)
{
    const bb_pool pool = run_stages(sampler, logits);

    if (pool.n == 0) return sampler->lowest;
    if (!q || guess < 0 || guess >= sampler->n_vocab || !(q[guess] > 0.0f))
        return bb_pool_draw(&pool, &sampler->random);
    return bb_pool_check(&pool, &sampler->random, guess, q);
}
