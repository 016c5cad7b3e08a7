/* test_sampler.c - bamba_sample against values worked out by hand and in Python: the generator, the
 * draw, temperature, top_k, top_p, min_p, bias, penalties, odd logits, bad options, memory.
 *
 * Long because it is a list of what one function does. Typical, top_n_sigma, XTC and the order of
 * stages: test_sampler_stages.c; DRY: test_sampler_dry.c. */
#include "bamba.h"

#include "support/draws.h"
#include "support/fault.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- generator, draw, temperature ---- */

/* From a Python version of splitmix64 and xoshiro256**: floor(1000 u) of a seed's first u. */
static void draws_are_those_of_xoshiro256(void **state)
{
    static const struct { uint64_t seed; int32_t ids[8]; } cases[] = {
        { 0,          { 601, 747, 103, 416, 732, 999, 422, 535 } },
        { 42,         {  83, 378, 680, 924, 991, 769, 719, 850 } },
        { UINT64_MAX, { 559, 767, 507, 747, 567, 731, 370, 767 } },
    };
    static const float logits[1000];
    bamba_sampler_options o = draws_plain();
    (void)state;

    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        o.seed = cases[c].seed;
        bamba_sampler *s = draws_sampler(1000, &o);
        for (int i = 0; i < 8; i++) assert_int_equal(bamba_sample(s, logits), cases[c].ids[i]);
        bamba_sampler_reset(s, 42);
        assert_int_equal(bamba_sample(s, logits), 83);
        bamba_sampler_free(s);
    }
}

/* Logits ln 1, ln 2, ln 3, ln 4 plus a constant: probabilities 0.1, 0.2, 0.3, 0.4. */
static const float tenths[4] = { 5.0f, 5.6931472f, 6.0986123f, 6.3862944f };

static void draws_follow_the_softmax(void **state)
{
    const double p[4] = { 0.1, 0.2, 0.3, 0.4 };
    bamba_sampler_options o = draws_plain();
    (void)state;
    for (o.seed = 1; o.seed < 6; o.seed++) draws_check(&o, tenths, p, 4);
}

static void temperature_divides_logits(void **state)
{
    const double squared[4] = { 1 / 30.0, 4 / 30.0, 9 / 30.0, 16 / 30.0 };
    const double uniform[4] = { 0.25, 0.25, 0.25, 0.25 };
    const double largest[4] = { 0, 0, 0, 1 };
    bamba_sampler_options o = draws_plain();
    (void)state;

    o.temperature = 0.5f;
    draws_check(&o, tenths, squared, 4);
    o.temperature = 1e30f;
    draws_check(&o, tenths, uniform, 4);
    o.temperature = 1e-38f;
    draws_check(&o, tenths, largest, 4);
}

static void temperature_zero_is_greedy_and_lowest_on_ties(void **state)
{
    const float logits[6] = { -3.0f, 2.0f, NAN, 7.0f, 7.0f, -INFINITY };
    bamba_sampler_options o = BAMBA_SAMPLER_OPTIONS;
    (void)state;

    o.temperature = 0.0f;
    bamba_sampler *s = draws_sampler(6, &o);
    for (int i = 0; i < 10; i++) assert_int_equal(bamba_sample(s, logits), 3);
    bamba_sampler_free(s);
}

/* ---- filters ---- */

static void top_k_keeps_the_largest_and_lowest_ids_on_ties(void **state)
{
    const float logits[6] = { 1.0f, 2.0f, 1.0f, 1.0f, 0.5f, 1.0f };
    const double e = exp(1.0);
    const double p[6] = { 1 / (2 + e), e / (2 + e), 1 / (2 + e), 0, 0, 0 };
    bamba_sampler_options o = draws_plain();
    (void)state;

    o.top_k = 3;
    draws_check(&o, logits, p, 6);
}

static void top_k_one_is_greedy(void **state)
{
    bamba_sampler_options o = draws_plain();
    const float logits[5] = { 0.0f, 3.0f, 3.0f, 1.0f, 2.0f };
    (void)state;

    o.top_k = 1;
    bamba_sampler *s = draws_sampler(5, &o);
    for (int i = 0; i < 50; i++) assert_int_equal(bamba_sample(s, logits), 1);
    bamba_sampler_free(s);
}

/* The token that reaches top_p belongs to the set: 0.4 alone for 0.39, 0.4 and 0.3 for 0.41. */
static void top_p_keeps_the_fewest_that_reach_it(void **state)
{
    const double one[4] = { 0, 0, 0, 1 };
    const double two[4] = { 0, 0, 3 / 7.0, 4 / 7.0 };
    const double three[4] = { 0, 2 / 9.0, 3 / 9.0, 4 / 9.0 };
    bamba_sampler_options o = draws_plain();
    (void)state;

    o.top_p = 0.39f;
    draws_check(&o, tenths, one, 4);
    o.top_p = 0.0f;
    draws_check(&o, tenths, one, 4);
    o.top_p = 0.41f;
    draws_check(&o, tenths, two, 4);
    o.top_p = 0.71f;
    draws_check(&o, tenths, three, 4);
}

/* After top_k 2 the probabilities are 3/7 and 4/7: 0.55 needs one token, not two. */
static void top_p_sees_what_top_k_left(void **state)
{
    const double one[4] = { 0, 0, 0, 1 };
    const double two[4] = { 0, 0, 3 / 7.0, 4 / 7.0 };
    bamba_sampler_options o = draws_plain();
    (void)state;

    o.top_k = 2;
    o.top_p = 0.55f;
    draws_check(&o, tenths, one, 4);
    o.top_p = 0.6f;
    draws_check(&o, tenths, two, 4);
}

/* Relative to 0.4 the tokens stand at 0.25, 0.5, 0.75, 1. */
static void min_p_is_relative_to_the_best(void **state)
{
    const double one[4] = { 0, 0, 0, 1 };
    const double two[4] = { 0, 0, 3 / 7.0, 4 / 7.0 };
    const double three[4] = { 0, 2 / 9.0, 3 / 9.0, 4 / 9.0 };
    bamba_sampler_options o = draws_plain();
    (void)state;

    o.min_p = 0.4f;
    draws_check(&o, tenths, three, 4);
    o.min_p = 0.6f;
    draws_check(&o, tenths, two, 4);
    o.min_p = 1.0f;
    draws_check(&o, tenths, one, 4);
}

/* top_p and min_p choose at temperature 1; the temperature changes the draw among these. */
static void filters_come_before_temperature(void **state)
{
    const double p[4] = { 0, 0, 9 / 25.0, 16 / 25.0 };
    const double hot[4] = { 0, 0, 0.5, 0.5 };
    bamba_sampler_options o = draws_plain();
    (void)state;

    o.top_p = 0.41f;
    o.temperature = 0.5f;                 /* tempered first, 0.53 would be enough: one token */
    draws_check(&o, tenths, p, 4);
    o.top_p = 1.0f;
    o.min_p = 0.6f;                       /* tempered first, 9/16 would fall */
    draws_check(&o, tenths, p, 4);
    o.temperature = 1e30f;                /* tempered first, all would stay */
    draws_check(&o, tenths, hot, 4);
}

/* All filters at once on a vocabulary large enough for the heap, against a plain sort. */
typedef struct entry { double logit; int id; } entry;

static int compare_entries(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->logit != y->logit) return x->logit < y->logit ? 1 : -1;
    return x->id < y->id ? -1 : 1;
}

static void filters_agree_with_a_full_sort(void **state)
{
    enum { V = 1001 };
    float *logits = malloc(V * sizeof *logits);
    entry *sorted = malloc(V * sizeof *sorted);
    char *kept = calloc(V, 1);
    uint32_t r = 12345;
    (void)state;

    assert_true(logits && sorted && kept);
    for (int i = 0; i < V; i++) {
        r = r * 1664525u + 1013904223u;
        logits[i] = (float)(r >> 22) / 100.0f;                /* many ties */
        sorted[i] = (entry){ (double)logits[i], i };
    }
    qsort(sorted, V, sizeof *sorted, compare_entries);

    static const struct { int k; float top_p, min_p; } cases[] = {
        { 40, 0.95f, 0.05f }, { 0, 0.9f, 0.0f }, { 233, 1.0f, 0.001f }, { 0, 0.5f, 0.2f },
        { 1000, 0.999f, 0.0f }, { 0, 1.0f, 0.3f }, { 5, 0.5f, 0.99f },
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const int n = cases[c].k ? cases[c].k : V;
        double total = 0.0, sum = 0.0;
        for (int i = 0; i < n; i++) total += exp(sorted[i].logit - sorted[0].logit);
        memset(kept, 0, V);
        for (int i = 0; i < n; i++) {
            const double p = exp(sorted[i].logit - sorted[0].logit);
            if (p >= (double)cases[c].min_p) kept[sorted[i].id] = 1;
            sum += p / total;
            if (cases[c].top_p < 1.0f && sum >= (double)cases[c].top_p) break;
        }

        bamba_sampler_options o = draws_plain();
        o.top_k = cases[c].k;
        o.top_p = cases[c].top_p;
        o.min_p = cases[c].min_p;
        draws_check_set(&o, logits, kept, V);
    }
    free(logits);
    free(sorted);
    free(kept);
}

/* ---- bias, penalties, callback ---- */

static int32_t sample_greedy(const bamba_sampler_options *options, const float *logits, int n,
                             const int32_t *accepted, int n_accepted)
{
    bamba_sampler_options o = *options;
    o.temperature = 0.0f;
    bamba_sampler *s = draws_sampler(n, &o);
    for (int i = 0; i < n_accepted; i++) bamba_sampler_accept(s, accepted[i]);
    const int32_t id = bamba_sample(s, logits);
    bamba_sampler_free(s);
    return id;
}

static void bias_is_added_and_copied(void **state)
{
    const float logits[3] = { 1.0f, 2.0f, 3.0f };
    bamba_logit_bias bias[3] = { { 2, -INFINITY }, { 0, 0.75f }, { 0, 0.75f } };
    bamba_sampler_options o = draws_plain();
    (void)state;

    o.bias = bias;
    o.n_bias = 3;
    o.temperature = 0.0f;
    bamba_sampler *s = draws_sampler(3, &o);
    memset(bias, 0, sizeof bias);
    assert_int_equal(bamba_sample(s, logits), 0);             /* 2.5, 2, banned */
    bamba_sampler_free(s);

    bias[0] = (bamba_logit_bias){ 1, INFINITY };
    o.n_bias = 1;
    o.temperature = 1.0f;
    s = draws_sampler(3, &o);
    for (int i = 0; i < 50; i++) assert_int_equal(bamba_sample(s, logits), 1);
    bamba_sampler_free(s);
}

/* 4 / 2 = 2 falls below 3; -1 · 2 = -2 falls below -1.5. A count does not multiply it. */
static void repetition_divides_positive_and_multiplies_negative(void **state)
{
    const float positive[2] = { 4.0f, 3.0f };
    const float negative[2] = { -1.0f, -1.5f };
    const float close[2] = { 4.0f, 1.9f };
    const int32_t seen[3] = { 0, 0, 0 };
    bamba_sampler_options o = draws_plain();
    (void)state;

    o.repetition_penalty = 2.0f;
    assert_int_equal(sample_greedy(&o, positive, 2, seen, 0), 0);
    assert_int_equal(sample_greedy(&o, positive, 2, seen, 1), 1);
    assert_int_equal(sample_greedy(&o, negative, 2, seen, 1), 1);
    assert_int_equal(sample_greedy(&o, close, 2, seen, 3), 0);
}

static void frequency_counts_and_presence_does_not(void **state)
{
    const float logits[2] = { 4.0f, 3.0f };
    const int32_t seen[3] = { 0, 0, 0 };
    bamba_sampler_options o = draws_plain();
    (void)state;

    o.frequency_penalty = 0.4f;
    assert_int_equal(sample_greedy(&o, logits, 2, seen, 2), 0);       /* 3.2 */
    assert_int_equal(sample_greedy(&o, logits, 2, seen, 3), 1);       /* 2.8 */
    o.frequency_penalty = 0.0f;
    o.presence_penalty = 0.9f;
    assert_int_equal(sample_greedy(&o, logits, 2, seen, 3), 0);       /* 3.1 */
    o.presence_penalty = 1.1f;
    assert_int_equal(sample_greedy(&o, logits, 2, seen, 1), 1);       /* 2.9 */
    o.presence_penalty = 0.6f;
    o.frequency_penalty = 0.2f;
    assert_int_equal(sample_greedy(&o, logits, 2, seen, 1), 0);       /* 3.2 */
    assert_int_equal(sample_greedy(&o, logits, 2, seen, 3), 1);       /* 2.8 */
    o.repetition_penalty = 2.0f;                      /* 4 / 2 - 0.8, the penalty first */
    const float low[2] = { 4.0f, 1.5f };
    assert_int_equal(sample_greedy(&o, low, 2, seen, 1), 1);
    const float lower[2] = { 4.0f, 1.1f };
    assert_int_equal(sample_greedy(&o, lower, 2, seen, 1), 0);
}

static void penalties_forget_beyond_the_window(void **state)
{
    const float logits[3] = { 4.0f, 3.0f, 2.0f };
    const int32_t seen[7] = { 0, 2, 2, 0, 2, 2, 2 };
    bamba_sampler_options o = draws_plain();
    (void)state;

    o.presence_penalty = 1.5f;
    o.penalty_last_n = 3;
    for (int n = 1; n <= 7; n++)          /* 0 is in the last three save for n = 7 (and none) */
        assert_int_equal(sample_greedy(&o, logits, 3, seen, n), n == 7 ? 0 : 1);
    o.penalty_last_n = -1;
    assert_int_equal(sample_greedy(&o, logits, 3, seen, 7), 1);
    o.penalty_last_n = 0;
    assert_int_equal(sample_greedy(&o, logits, 3, seen, 7), 0);
}

static void reset_forgets_and_odd_ids_are_ignored(void **state)
{
    const float logits[2] = { 4.0f, 3.0f };
    bamba_sampler_options o = draws_plain();
    (void)state;

    o.temperature = 0.0f;
    o.presence_penalty = 2.0f;
    o.penalty_last_n = 2;
    bamba_sampler *s = draws_sampler(2, &o);
    bamba_sampler_accept(s, -1);
    bamba_sampler_accept(s, 2);
    assert_int_equal(bamba_sample(s, logits), 0);
    bamba_sampler_accept(s, 0);
    assert_int_equal(bamba_sample(s, logits), 1);
    bamba_sampler_reset(s, 0);
    assert_int_equal(bamba_sample(s, logits), 0);
    bamba_sampler_free(s);
}

static void only_allow(void *context, float *logits, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (i != *(const size_t *)context) logits[i] = -INFINITY;
}

static void callback_comes_first_and_leaves_the_callers_logits(void **state)
{
    float logits[4] = { 1.0f, 2.0f, 3.0f, 4.0f };
    const bamba_logit_bias bias = { 0, 1.0f };
    size_t allowed = 1;
    bamba_sampler_options o = draws_plain();
    (void)state;

    o.callback = only_allow;
    o.callback_context = &allowed;
    o.bias = &bias;                       /* -inf + 1 stays -inf */
    o.n_bias = 1;
    bamba_sampler *s = draws_sampler(4, &o);
    for (int i = 0; i < 50; i++) assert_int_equal(bamba_sample(s, logits), 1);
    for (int i = 0; i < 4; i++) assert_true(logits[i] == (float)(i + 1));
    bamba_sampler_free(s);
}

/* ---- odd logits ---- */

static void odd_logits_have_defined_answers(void **state)
{
    const float none[3] = { -INFINITY, NAN, -INFINITY };
    const float mixed[4] = { NAN, 1.0f, -INFINITY, 1.0f };
    const float infinite[4] = { 1e30f, INFINITY, NAN, INFINITY };
    const double half[4] = { 0, 0.5, 0, 0.5 };
    (void)state;

    for (int t = 0; t < 2; t++) {
        bamba_sampler_options o = BAMBA_SAMPLER_OPTIONS;
        if (t) o.temperature = 0.0f;
        bamba_sampler *s = draws_sampler(3, &o);
        assert_int_equal(bamba_sample(s, none), 0);
        bamba_sampler_free(s);
    }
    bamba_sampler_options o = BAMBA_SAMPLER_OPTIONS;
    draws_check(&o, mixed, half, 4);
    draws_check(&o, infinite, half, 4);
    o = draws_plain();
    draws_check(&o, mixed, half, 4);
    draws_check(&o, infinite, half, 4);
}

static void one_token_is_always_it(void **state)
{
    const float logits[1] = { -5.0f };
    (void)state;
    bamba_sampler *s = draws_sampler(1, NULL);
    for (int i = 0; i < 10; i++) assert_int_equal(bamba_sample(s, logits), 0);
    bamba_sampler_free(s);
}

/* ---- determinism, defaults ---- */

static void same_seed_same_ids(void **state)
{
    enum { V = 500, N = 200 };
    float logits[V];
    int32_t ids[2][N], other = 0;
    (void)state;

    for (int i = 0; i < V; i++) logits[i] = (float)((i * 7919) % 101) / 20.0f;
    for (int run = 0; run < 2; run++) {
        bamba_sampler_options o = BAMBA_SAMPLER_OPTIONS;
        o.seed = 99;
        o.repetition_penalty = 1.1f;
        bamba_sampler *s = draws_sampler(V, &o);
        for (int i = 0; i < N; i++) {
            ids[run][i] = bamba_sample(s, logits);
            bamba_sampler_accept(s, ids[run][i]);
        }
        bamba_sampler_reset(s, 99);
        for (int i = 0; i < N; i++) {
            const int32_t id = bamba_sample(s, logits);
            assert_int_equal(id, ids[run][i]);
            bamba_sampler_accept(s, id);
        }
        bamba_sampler_reset(s, 100);
        for (int i = 0; i < N; i++) other += bamba_sample(s, logits) != ids[run][i];
        bamba_sampler_free(s);
    }
    assert_memory_equal(ids[0], ids[1], sizeof ids[0]);
    assert_true(other > 0);
}

static void null_options_are_the_defaults(void **state)
{
    enum { V = 300 };
    float logits[V];
    (void)state;

    for (int i = 0; i < V; i++) logits[i] = (float)((i * 31) % 97) / 10.0f;
    bamba_sampler_options o = BAMBA_SAMPLER_OPTIONS;
    bamba_sampler *a = draws_sampler(V, NULL), *b = draws_sampler(V, &o);
    for (int i = 0; i < 200; i++)
        assert_int_equal(bamba_sample(a, logits), bamba_sample(b, logits));
    bamba_sampler_free(a);
    bamba_sampler_free(b);
}

/* ---- argument errors ---- */

static void refuse(int n_vocab, const bamba_sampler_options *o, const char *named)
{
    bamba_sampler *s = (bamba_sampler *)(uintptr_t)1;
    bamba_error err = { BAMBA_OK, "" };

    assert_int_equal(bamba_sampler_create(&s, n_vocab, o, &err), BAMBA_ERR_ARGUMENT);
    assert_null(s);
    assert_int_equal(err.code, BAMBA_ERR_ARGUMENT);
    if (!strstr(err.message, named)) fail_msg("'%s' does not name %s", err.message, named);
    assert_int_equal(bamba_sampler_create(&s, n_vocab, o, NULL), BAMBA_ERR_ARGUMENT);
}

#define REFUSE(member, wrong)                                                                 \
    do {                                                                                      \
        bamba_sampler_options o = BAMBA_SAMPLER_OPTIONS;                                      \
        o.member = (wrong);                                                                   \
        refuse(10, &o, #member);                                                              \
    } while (0)

/* However small a penalty is, the logit it makes larger than all others wins. */
static void smallest_repetition_penalty(void **state)
{
    static const float penalties[] = { 1e-38f, 1e-45f };
    const float        logits[] = { 1.0f, 0.5f, 2.0f };
    (void)state;

    for (int i = 0; i < 2; i++) {
        bamba_sampler_options o = draws_plain();
        o.temperature = 0.0f;
        o.repetition_penalty = penalties[i];
        bamba_sampler *s = draws_sampler(3, &o);
        bamba_sampler_accept(s, 1);
        assert_int_equal(bamba_sample(s, logits), 1);
        bamba_sampler_free(s);
    }
}

/* ---- tokens there are ---- */

static void keep_missing_attractive(void *context, float *logits, size_t n)
{
    (void)context;
    logits[0] = INFINITY;
    logits[n - 1] = INFINITY;
}

static void ids_without_a_token_are_never_chosen(void **state)
{
    static const double    p[] = { 0.0, 0.5, 0.0, 0.5, 0.0, 0.0 };
    const float            logits[] = { 9.0f, 1.0f, 9.0f, 1.0f, NAN, 9.0f };
    const float            nothing[] = { -INFINITY, -INFINITY, -INFINITY, -INFINITY, NAN,
                                         -INFINITY };
    const bamba_logit_bias bias = { 2, 100.0f };
    bamba_tokenizer       *t = draws_tokenizer("\"a\": 1, \"b\": 3");
    bamba_sampler_options  o = draws_plain();
    int                    counts[6];
    (void)state;

    o.tokenizer = t;
    o.bias = &bias;
    o.n_bias = 1;
    o.callback = keep_missing_attractive;
    bamba_sampler *s = draws_sampler(6, &o);
    o.temperature = 0.0f;
    bamba_sampler *greedy = draws_sampler(6, &o);
    o.callback = NULL;
    bamba_sampler *quiet = draws_sampler(6, &o);
    o = (bamba_sampler_options)BAMBA_SAMPLER_OPTIONS;
    o.tokenizer = t;
    refuse(1, &o, "no token below id 1");
    bamba_tokenizer_free(t);

    draws_count(s, logits, 6, counts);
    draws_compare(counts, p, 6);
    assert_int_equal(bamba_sample(greedy, logits), 1);
    assert_int_equal(bamba_sample(quiet, nothing), 1);
    assert_int_equal(bamba_sample(s, nothing), 1);
    bamba_sampler_free(s);
    bamba_sampler_free(greedy);
    bamba_sampler_free(quiet);
}

static void values_outside_their_range_are_refused(void **state)
{
    (void)state;
    REFUSE(temperature, -0.1f);
    REFUSE(temperature, NAN);
    REFUSE(temperature, INFINITY);
    REFUSE(top_p, -0.01f);
    REFUSE(top_p, 1.01f);
    REFUSE(top_p, NAN);
    REFUSE(min_p, -0.01f);
    REFUSE(min_p, 1.01f);
    REFUSE(min_p, NAN);
    REFUSE(repetition_penalty, 0.0f);
    REFUSE(repetition_penalty, -1.0f);
    REFUSE(repetition_penalty, NAN);
    REFUSE(repetition_penalty, INFINITY);
    REFUSE(presence_penalty, NAN);
    REFUSE(presence_penalty, INFINITY);
    REFUSE(frequency_penalty, NAN);
    REFUSE(frequency_penalty, -INFINITY);
    REFUSE(penalty_last_n, -2);
    REFUSE(typical_p, -0.01f);
    REFUSE(typical_p, NAN);
    REFUSE(top_n_sigma, NAN);
    REFUSE(top_n_sigma, INFINITY);
    REFUSE(xtc_probability, 1.01f);
    REFUSE(xtc_probability, NAN);
    REFUSE(xtc_threshold, -0.01f);
    REFUSE(xtc_threshold, NAN);
    REFUSE(n_bias, 1);
    refuse(0, NULL, "n_vocab");
    refuse(-5, NULL, "n_vocab");

    const bamba_logit_bias wrong[3] = { { 10, 0.0f }, { -1, 0.0f }, { 3, NAN } };
    for (int i = 0; i < 3; i++) {
        bamba_sampler_options o = BAMBA_SAMPLER_OPTIONS;
        o.bias = &wrong[i];
        o.n_bias = 1;
        refuse(10, &o, "bias");
    }
    assert_int_equal(bamba_sampler_create(NULL, 10, NULL, NULL), BAMBA_ERR_ARGUMENT);
    bamba_sampler_free(NULL);
}

static void struct_bytes_versions_the_options(void **state)
{
    struct { bamba_sampler_options o; unsigned char tail[16]; } later = { BAMBA_SAMPLER_OPTIONS,
                                                                          { 0 } };
    bamba_sampler *s = NULL;
    (void)state;

    REFUSE(struct_bytes, 0);
    REFUSE(struct_bytes, offsetof(bamba_sampler_options, tokenizer) - 1);
    later.o.struct_bytes = sizeof later;
    assert_int_equal(bamba_sampler_create(&s, 10, &later.o, NULL), BAMBA_OK);
    bamba_sampler_free(s);
    later.tail[15] = 1;
    refuse(10, &later.o, "sampler options");
}

/* ---- memory ---- */

static bamba_sampler_options full_options(fault *f, const bamba_logit_bias *bias)
{
    bamba_sampler_options o = BAMBA_SAMPLER_OPTIONS;
    o.repetition_penalty = 1.2f;
    o.bias = bias;
    o.n_bias = 1;
    o.allocator = fault_allocator(f);
    return o;
}

static void every_failed_allocation_is_reported(void **state)
{
    const bamba_logit_bias bias = { 1, 0.5f };
    long k = 0;
    (void)state;

    for (int forever = 0; forever < 2; forever++) {
        bamba_status status = BAMBA_ERR_MEMORY;
        for (k = 1; status != BAMBA_OK; k++) {
            fault f = { .fail_at = (size_t)k, .forever = forever };
            const bamba_sampler_options o = full_options(&f, &bias);
            bamba_sampler *s = NULL;
            bamba_error err = { BAMBA_OK, "" };
            status = bamba_sampler_create(&s, 100, &o, &err);
            if (status != BAMBA_OK) {
                assert_int_equal(status, BAMBA_ERR_MEMORY);
                assert_int_equal(err.code, BAMBA_ERR_MEMORY);
                assert_null(s);
            }
            bamba_sampler_free(s);
            assert_int_equal(f.n_live, 0);
        }
        assert_int_equal(k - 1, 7);       /* object, logits, candidates, bias, counts, ring */
    }
}

static void sampling_allocates_nothing(void **state)
{
    const bamba_logit_bias bias = { 1, 0.5f };
    fault f = { .fail_at = 0 };
    const bamba_sampler_options o = full_options(&f, &bias);
    float logits[100];
    (void)state;

    for (int i = 0; i < 100; i++) logits[i] = (float)(i % 10);
    bamba_sampler *s = draws_sampler(100, &o);
    f.armed = true;
    for (int i = 0; i < 500; i++) bamba_sampler_accept(s, bamba_sample(s, logits));
    bamba_sampler_reset(s, 3);
    f.armed = false;
    bamba_sampler_free(s);
    assert_int_equal(f.n_live, 0);
}

static void half_an_allocator_is_refused(void **state)
{
    bamba_sampler_options o = BAMBA_SAMPLER_OPTIONS;
    fault f = { .fail_at = 0 };
    (void)state;
    o.allocator = fault_allocator(&f);
    o.allocator.release = NULL;
    refuse(10, &o, "allocator");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_are_those_of_xoshiro256),
        cmocka_unit_test(draws_follow_the_softmax),
        cmocka_unit_test(temperature_divides_logits),
        cmocka_unit_test(temperature_zero_is_greedy_and_lowest_on_ties),
        cmocka_unit_test(top_k_keeps_the_largest_and_lowest_ids_on_ties),
        cmocka_unit_test(top_k_one_is_greedy),
        cmocka_unit_test(top_p_keeps_the_fewest_that_reach_it),
        cmocka_unit_test(top_p_sees_what_top_k_left),
        cmocka_unit_test(min_p_is_relative_to_the_best),
        cmocka_unit_test(filters_come_before_temperature),
        cmocka_unit_test(filters_agree_with_a_full_sort),
        cmocka_unit_test(bias_is_added_and_copied),
        cmocka_unit_test(repetition_divides_positive_and_multiplies_negative),
        cmocka_unit_test(frequency_counts_and_presence_does_not),
        cmocka_unit_test(penalties_forget_beyond_the_window),
        cmocka_unit_test(reset_forgets_and_odd_ids_are_ignored),
        cmocka_unit_test(callback_comes_first_and_leaves_the_callers_logits),
        cmocka_unit_test(odd_logits_have_defined_answers),
        cmocka_unit_test(one_token_is_always_it),
        cmocka_unit_test(same_seed_same_ids),
        cmocka_unit_test(null_options_are_the_defaults),
        cmocka_unit_test(values_outside_their_range_are_refused),
        cmocka_unit_test(smallest_repetition_penalty),
        cmocka_unit_test(ids_without_a_token_are_never_chosen),
        cmocka_unit_test(struct_bytes_versions_the_options),
        cmocka_unit_test(every_failed_allocation_is_reported),
        cmocka_unit_test(sampling_allocates_nothing),
        cmocka_unit_test(half_an_allocator_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
