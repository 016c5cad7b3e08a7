/* test_sampler_stages.c - typical, top_n_sigma, xtc and the order of stages against formulas as
 * they stand in papers. */
#include "bamba.h"

#include "support/draws.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { V = 300 };

/* ln 1, ln 2, ln 3, ln 4 plus a constant: probabilities 0.1, 0.2, 0.3, 0.4. */
static const float tenths[4] = { 5.0f, 5.6931472f, 6.0986123f, 6.3862944f };
static const float equal[5] = { 2.5f, 2.5f, 2.5f, 2.5f, 2.5f };

static void fill_random(float *logits, int n, uint32_t seed)
{
    for (int i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        logits[i] = (float)(seed >> 8) / 2e6f - 3.0f;
    }
}

static void check_one(const bamba_sampler_options *o)
{
    const float alone[1] = { -5.0f };
    bamba_sampler *s = draws_sampler(1, o);
    for (int i = 0; i < 10; i++) assert_int_equal(bamba_sample(s, alone), 0);
    bamba_sampler_free(s);
}

/* ---- typical ---- */

typedef struct scored { double score, p; int id; } scored;

static int compare_scores(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? 1 : -1;
    return x->id - y->id;
}

static void mark_typical(char *kept, const float *logits, int n, double temperature, double mass)
{
    scored list[V];
    double total = 0.0, entropy = 0.0, sum = 0.0;

    for (int i = 0; i < n; i++) total += exp((double)logits[i] / temperature);
    for (int i = 0; i < n; i++) {
        list[i] = (scored){ 0.0, exp((double)logits[i] / temperature) / total, i };
        entropy -= list[i].p * log(list[i].p);
    }
    for (int i = 0; i < n; i++) list[i].score = fabs(-log(list[i].p) - entropy);
    qsort(list, (size_t)n, sizeof *list, compare_scores);
    for (int i = 0; i < n; i++) kept[i] = 0;
    for (int i = 0; i < n && sum <= mass; i++) {
        kept[list[i].id] = 1;
        sum += list[i].p;
    }
}

static void typical_keeps_what_is_nearest_to_the_entropy(void **state)
{
    static const double masses[] = { 0.0, 0.1, 0.5, 0.9, 0.99 };
    float logits[V];
    char kept[V];
    (void)state;

    for (uint32_t seed = 1; seed < 8; seed++) {
        fill_random(logits, V, seed);
        for (size_t m = 0; m < sizeof masses / sizeof *masses; m++) {
            bamba_sampler_options o = draws_plain();
            o.typical_p = (float)masses[m];
            mark_typical(kept, logits, V, 1.0, (double)o.typical_p);
            draws_check_set(&o, logits, kept, V);
        }
    }
}

/* Entropy 1.28, surprises 2.30, 1.61, 1.20, 0.92: token 2 is the most typical, then 1, then 3. */
static void typical_can_leave_out_the_best(void **state)
{
    const double one[4] = { 0, 0, 1, 0 };
    const double two[4] = { 0, 2 / 5.0, 3 / 5.0, 0 };
    const double three[4] = { 0, 2 / 9.0, 3 / 9.0, 4 / 9.0 };
    const double all[4] = { 0.1, 0.2, 0.3, 0.4 };
    bamba_sampler_options o = draws_plain();
    (void)state;

    o.typical_p = 0.29f;
    draws_check(&o, tenths, one, 4);
    o.typical_p = 0.31f;
    draws_check(&o, tenths, two, 4);
    o.typical_p = 0.51f;
    draws_check(&o, tenths, three, 4);
    o.typical_p = 1.0f;
    draws_check(&o, tenths, all, 4);
    o.temperature = 0.0f;
    o.typical_p = 0.31f;
    bamba_sampler *s = draws_sampler(4, &o);
    assert_int_equal(bamba_sample(s, tenths), 2);
    bamba_sampler_free(s);
}

/* Each has 0.2: two do not pass 0.4 if it is above their sum, three do. */
static void typical_of_equals_takes_the_lowest_ids(void **state)
{
    const double three[5] = { 1 / 3.0, 1 / 3.0, 1 / 3.0, 0, 0 };
    const float odd[4] = { INFINITY, -INFINITY, 3.0f, INFINITY };
    const double infinite[4] = { 0.5, 0, 0, 0.5 };
    bamba_sampler_options o = draws_plain();
    (void)state;

    o.typical_p = 0.45f;
    draws_check(&o, equal, three, 5);
    check_one(&o);
    o.typical_p = 0.6f;
    draws_check(&o, odd, infinite, 4);
}

/* ---- top_n_sigma ---- */

static void mark_sigma(char *kept, const float *logits, int n, double sigmas)
{
    double mean = 0.0, square = 0.0, most = -INFINITY;

    for (int i = 0; i < n; i++) mean += (double)logits[i] / n;
    for (int i = 0; i < n; i++) square += pow((double)logits[i] - mean, 2.0) / n;
    for (int i = 0; i < n; i++) most = fmax(most, (double)logits[i]);
    for (int i = 0; i < n; i++) kept[i] = (double)logits[i] >= most - sigmas * sqrt(square);
}

static void top_n_sigma_keeps_what_is_near_the_largest(void **state)
{
    static const double sigmas[] = { 0.25, 0.5, 1.0, 2.0, 10.0 };
    float logits[V];
    char kept[V];
    (void)state;

    for (uint32_t seed = 1; seed < 8; seed++) {
        fill_random(logits, V, seed);
        for (size_t m = 0; m < sizeof sigmas / sizeof *sigmas; m++) {
            bamba_sampler_options o = draws_plain();
            o.top_n_sigma = (float)sigmas[m];
            mark_sigma(kept, logits, V, sigmas[m]);
            draws_check_set(&o, logits, kept, V);
        }
    }
}

/* Mean 3.2, deviation 3.544: two deviations below 10 stand 2.91. */
static void top_n_sigma_by_hand(void **state)
{
    const float logits[6] = { 0.0f, 1.0f, 2.0f, -INFINITY, 3.0f, 10.0f };
    const char two[6] = { 0, 0, 0, 0, 1, 1 }, one[6] = { 0, 0, 0, 0, 0, 1 };
    const char all[5] = { 1, 1, 1, 1, 1 }, possible[6] = { 1, 1, 1, 0, 1, 1 };
    bamba_sampler_options o = draws_plain();
    (void)state;

    o.top_n_sigma = 2.0f;
    draws_check_set(&o, logits, two, 6);
    draws_check_set(&o, equal, all, 5);
    check_one(&o);
    o.top_n_sigma = 1.9f;
    draws_check_set(&o, logits, one, 6);
    o.top_n_sigma = 0.0f;
    draws_check_set(&o, logits, possible, 6);
    o.top_n_sigma = -1.0f;
    draws_check_set(&o, logits, possible, 6);
}

/* ---- xtc ---- */

static void xtc_leaves_the_least_likely_of_the_likely(void **state)
{
    const double low[4] = { 1 / 3.0, 2 / 3.0, 0, 0 };
    const double middle[4] = { 1 / 6.0, 2 / 6.0, 3 / 6.0, 0 };
    const double all[4] = { 0.1, 0.2, 0.3, 0.4 };
    const double least[4] = { 1, 0, 0, 0 };
    bamba_sampler_options o = draws_plain();
    (void)state;

    o.xtc_probability = 1.0f;
    o.xtc_threshold = 0.15f;              /* 0.2, 0.3 and 0.4 are likely: 0.2 stays */
    draws_check(&o, tenths, low, 4);
    o.xtc_threshold = 0.25f;
    draws_check(&o, tenths, middle, 4);
    o.xtc_threshold = 0.35f;              /* one alone is never left out */
    draws_check(&o, tenths, all, 4);
    o.xtc_threshold = 0.51f;
    draws_check(&o, tenths, all, 4);
    o.xtc_threshold = 0.0f;
    draws_check(&o, tenths, least, 4);
    o.xtc_threshold = 0.15f;
    o.temperature = 0.0f;
    bamba_sampler *s = draws_sampler(4, &o);
    assert_int_equal(bamba_sample(s, tenths), 1);
    bamba_sampler_free(s);
}

static void xtc_happens_as_often_as_said(void **state)
{
    double p[4] = { 0.1, 0.2, 0.3, 0.4 };
    const double low[4] = { 1 / 3.0, 2 / 3.0, 0, 0 };
    bamba_sampler_options o = draws_plain();
    (void)state;

    o.xtc_threshold = 0.15f;
    draws_check(&o, tenths, p, 4);        /* probability 0 by default */
    o.xtc_probability = 0.25f;
    for (int i = 0; i < 4; i++) p[i] = 0.75 * p[i] + 0.25 * low[i];
    draws_check(&o, tenths, p, 4);
}

/* Of equal ones the highest id counts as the least likely. */
static void xtc_of_equals(void **state)
{
    const double last[5] = { 0, 0, 0, 0, 1 };
    const float two[2] = { 1.0f, 1.0f };
    const double second[2] = { 0, 1 };
    bamba_sampler_options o = draws_plain();
    (void)state;

    o.xtc_probability = 1.0f;
    draws_check(&o, equal, last, 5);
    o.xtc_threshold = 0.5f;
    draws_check(&o, two, second, 2);
    check_one(&o);
}

/* ---- the order ---- */

static bamba_sampler_options ordered(const bamba_sampler_stage *stages, size_t n)
{
    bamba_sampler_options o = draws_plain();
    o.stages = stages;
    o.n_stages = n;
    return o;
}

/* At temperature 0.5 the tokens stand at 1/16, 1/4, 9/16 and 1 of the best, at 1 at 1/4 ... 1. */
static void filters_see_the_temperature_before_them(void **state)
{
    const bamba_sampler_stage first[] = { BAMBA_STAGE_TEMPERATURE, BAMBA_STAGE_MIN_P };
    const bamba_sampler_stage last[] = { BAMBA_STAGE_MIN_P, BAMBA_STAGE_TEMPERATURE };
    const double best[4] = { 0, 0, 0, 1 }, two[4] = { 0, 0, 9 / 25.0, 16 / 25.0 };
    char kept[4];
    (void)state;

    bamba_sampler_options o = ordered(first, 2);
    o.temperature = 0.5f;
    o.min_p = 0.6f;
    draws_check(&o, tenths, best, 4);
    o.stages = last;
    draws_check(&o, tenths, two, 4);

    const bamba_sampler_stage typical[] = { BAMBA_STAGE_TEMPERATURE, BAMBA_STAGE_TYPICAL };
    o = ordered(typical, 2);
    o.temperature = 3.0f;
    o.typical_p = 0.4f;
    mark_typical(kept, tenths, 4, 3.0, 0.4);
    double p[4], total = 0.0;
    for (int i = 0; i < 4; i++) total += p[i] = kept[i] ? exp((double)tenths[i] / 3.0) : 0.0;
    for (int i = 0; i < 4; i++) p[i] /= total;
    draws_check(&o, tenths, p, 4);
}

/* 4 and 3 at temperature 2 are 2 and 1.5: a penalty of 0.9 turns these around, but not those. */
static void penalties_see_the_temperature_before_them(void **state)
{
    const bamba_sampler_stage after[] = { BAMBA_STAGE_TEMPERATURE, BAMBA_STAGE_PENALTIES,
                                          BAMBA_STAGE_TOP_K };
    const bamba_sampler_stage before[] = { BAMBA_STAGE_PENALTIES, BAMBA_STAGE_TEMPERATURE,
                                           BAMBA_STAGE_TOP_K };
    const float logits[2] = { 4.0f, 3.0f };
    (void)state;

    for (int k = 0; k < 2; k++) {
        bamba_sampler_options o = ordered(k ? before : after, 3);
        o.temperature = 2.0f;
        o.presence_penalty = 0.9f;
        o.top_k = 1;
        bamba_sampler *s = draws_sampler(2, &o);
        bamba_sampler_accept(s, 0);
        assert_int_equal(bamba_sample(s, logits), k ? 0 : 1);
        bamba_sampler_free(s);
    }
}

/* A penalty after top_k finds only what top_k has left. */
static void stages_see_what_was_left(void **state)
{
    const bamba_sampler_stage stages[] = { BAMBA_STAGE_TOP_K, BAMBA_STAGE_PENALTIES,
                                           BAMBA_STAGE_TEMPERATURE };
    const float logits[3] = { 4.0f, 3.0f, 2.0f };
    bamba_sampler_options o = ordered(stages, 3);
    (void)state;

    o.top_k = 1;
    o.presence_penalty = 50.0f;
    o.temperature = 0.0f;
    bamba_sampler *s = draws_sampler(3, &o);
    bamba_sampler_accept(s, 0);
    assert_int_equal(bamba_sample(s, logits), 0);
    bamba_sampler_free(s);
}

/* What is not named does not run, the temperature included. */
static void stages_not_named_do_nothing(void **state)
{
    const double p[4] = { 0.1, 0.2, 0.3, 0.4 };
    bamba_sampler_options o = ordered(&(const bamba_sampler_stage){ BAMBA_STAGE_MIN_P }, 0);
    (void)state;

    o.temperature = 0.0f;
    o.top_k = 1;
    o.min_p = 0.9f;
    o.xtc_probability = 1.0f;
    draws_check(&o, tenths, p, 4);
}

static void the_usual_order_is_that_of_the_numbers(void **state)
{
    bamba_sampler_stage stages[9];
    float logits[V];
    (void)state;

    for (int i = 0; i < 9; i++) stages[i] = (bamba_sampler_stage)(i + 1);
    fill_random(logits, V, 5);
    bamba_sampler_options o = BAMBA_SAMPLER_OPTIONS;
    o.repetition_penalty = 1.3f;
    o.typical_p = 0.8f;
    o.top_n_sigma = 2.0f;
    o.xtc_probability = 0.5f;
    bamba_sampler *a = draws_sampler(V, &o);
    o.stages = stages;
    o.n_stages = 9;
    bamba_sampler *b = draws_sampler(V, &o);
    memset(stages, 0, sizeof stages);     /* they were copied */
    for (int i = 0; i < 300; i++) {
        const int32_t id = bamba_sample(a, logits);
        assert_int_equal(bamba_sample(b, logits), id);
        bamba_sampler_accept(a, id);
        bamba_sampler_accept(b, id);
    }
    bamba_sampler_free(a);
    bamba_sampler_free(b);
}

static void wrong_orders_are_refused(void **state)
{
    static const int wrong[][2] = { { 0, 1 }, { 3, 10 }, { 4, 4 } };
    bamba_sampler *s;
    bamba_error err = { BAMBA_OK, "" };
    (void)state;

    for (int i = 0; i < 3; i++) {
        const bamba_sampler_stage stages[2] = { (bamba_sampler_stage)wrong[i][0],
                                                (bamba_sampler_stage)wrong[i][1] };
        const bamba_sampler_options o = ordered(stages, 2);
        assert_int_equal(bamba_sampler_create(&s, 4, &o, &err), BAMBA_ERR_ARGUMENT);
        assert_non_null(strstr(err.message, "stages"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(typical_keeps_what_is_nearest_to_the_entropy),
        cmocka_unit_test(typical_can_leave_out_the_best),
        cmocka_unit_test(typical_of_equals_takes_the_lowest_ids),
        cmocka_unit_test(top_n_sigma_keeps_what_is_near_the_largest),
        cmocka_unit_test(top_n_sigma_by_hand),
        cmocka_unit_test(xtc_leaves_the_least_likely_of_the_likely),
        cmocka_unit_test(xtc_happens_as_often_as_said),
        cmocka_unit_test(xtc_of_equals),
        cmocka_unit_test(filters_see_the_temperature_before_them),
        cmocka_unit_test(penalties_see_the_temperature_before_them),
        cmocka_unit_test(stages_see_what_was_left),
        cmocka_unit_test(stages_not_named_do_nothing),
        cmocka_unit_test(the_usual_order_is_that_of_the_numbers),
        cmocka_unit_test(wrong_orders_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
