/* test_rejection.c - tokens chosen with guesses have the probabilities of those without. */
#include "bamba.h"

#include "support/draws.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { V = 8, N = 100000 };

static const float model[V] = { 1.0f, 0.2f, -0.5f, 2.0f, 1.4f, -1.0f, 0.0f, 0.7f };
static const float other[V] = { 1.8f, -1.0f, 0.5f, 0.4f, 1.9f, -0.2f, -3.0f, 0.7f };

/* Probabilities by their definition: softmax at a temperature of the k best of the tokens that make
   up top_p of those k. */
static void define(const float *logits, double temperature, int k, double top_p, double *p)
{
    int    order[V];
    double total = 0.0, sum = 0.0;
    int    n = k, kept = 0;

    for (int i = 0; i < V; i++) order[i] = i;
    for (int i = 0; i < V; i++)
        for (int j = i + 1; j < V; j++)
            if (logits[order[j]] > logits[order[i]]) {
                const int swap = order[i];
                order[i] = order[j], order[j] = swap;
            }
    for (int i = 0; i < n; i++) total += exp((double)logits[order[i]]);
    while (kept < n && sum < top_p * total) sum += exp((double)logits[order[kept++]]);
    memset(p, 0, V * sizeof *p);
    sum = 0.0;
    for (int i = 0; i < kept; i++) sum += exp((double)logits[order[i]] / temperature);
    for (int i = 0; i < kept; i++) p[order[i]] = exp((double)logits[order[i]] / temperature) / sum;
}

/* Chi-square of N draws; infinite if one came that cannot. */
static double chi_square(const int *counts, const double *p)
{
    double chi = 0.0;

    for (int i = 0; i < V; i++) {
        if (p[i] == 0.0 && counts[i] > 0) return INFINITY;
        if (p[i] > 0.0) chi += (counts[i] - p[i] * N) * (counts[i] - p[i] * N) / (p[i] * N);
    }
    return chi;
}

/* The 1 - 1e-6 quantile for 7 degrees of freedom; fewer tokens that can come make it smaller. */
static const double bound = 40.5;

static bamba_sampler *make(uint64_t seed, double temperature, int k, double top_p)
{
    bamba_sampler_options o = draws_plain();

    o.seed = seed;
    o.temperature = (float)temperature;
    o.top_k = k;
    o.top_p = (float)top_p;
    return draws_sampler(V, &o);
}

typedef struct chain {
    const float *logits;
    double       temperature;
    int          k;
    double       top_p;
} chain;

/* Draw guesses from q and let the model's sampler check them. Returns chi-square against p;
   *stands: the share of guesses that stand; of_guesses: chi-square of the guesses, had all been
   taken. */
static double check(const chain *p, const chain *q, double *stands, double *of_guesses)
{
    bamba_sampler *chooser = make(11, p->temperature, p->k, p->top_p);
    bamba_sampler *guesser = make(12, q->temperature, q->k, q->top_p);
    int            counts[V] = { 0 }, guesses[V] = { 0 }, n_stand = 0;
    double         defined[V];
    float          probabilities[V];

    for (int i = 0; i < N; i++) {
        const int32_t guess = bamba_sample_distribution(guesser, q->logits, probabilities);
        const int32_t id = bamba_sample_guess(chooser, p->logits, guess, probabilities);
        assert_in_range(id, 0, V - 1);
        counts[id]++;
        guesses[guess]++;
        n_stand += id == guess;
    }
    bamba_sampler_free(chooser);
    bamba_sampler_free(guesser);
    define(p->logits, p->temperature, p->k, p->top_p, defined);
    *stands = (double)n_stand / N;
    *of_guesses = chi_square(guesses, defined);
    return chi_square(counts, defined);
}

static void test_probabilities_stay(void **state)
{
    static const struct { chain p, q; } cases[] = {
        { { model, 1.0, V, 1.0 }, { other, 1.0, V, 1.0 } },
        { { model, 0.6, 5, 0.9 }, { other, 0.6, 5, 0.9 } },           /* neither holds the other */
        { { model, 1.3, 6, 0.95 }, { model, 0.7, 3, 1.0 } },
        { { model, 0.8, 2, 1.0 }, { other, 2.0, V, 1.0 } },
        { { model, 1.0, V, 0.8 }, { other, 0.0, V, 1.0 } },           /* always the same guess */
    };
    (void)state;

    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        double p[V], q[V], stands, of_guesses, both = 0.0;
        const chain *its = &cases[c].q;
        const double chi = check(&cases[c].p, its, &stands, &of_guesses);
        if (chi > bound) fail_msg("case %zu: chi-square %g", c, chi);
        if (of_guesses < 1e3) fail_msg("case %zu: guesses alone are not told apart", c);

        define(cases[c].p.logits, cases[c].p.temperature, cases[c].p.k, cases[c].p.top_p, p);
        if (its->temperature > 0.0) define(its->logits, its->temperature, its->k, its->top_p, q);
        else for (int i = 0; i < V; i++) q[i] = i == 4 ? 1.0 : 0.0;
        for (int i = 0; i < V; i++) both += fmin(p[i], q[i]);
        if (fabs(stands - both) > 0.01)
            fail_msg("case %zu: %g of guesses stand, not %g", c, stands, both);
    }
}

static void test_guesses_of_the_same_distribution_stand(void **state)
{
    const chain p = { model, 0.8, 5, 0.9 };
    double      stands, of_guesses;

    (void)state;
    assert_true(check(&p, &p, &stands, &of_guesses) < bound);
    assert_true(stands > 0.9999);
}

static void test_a_distribution_is_what_is_drawn_from(void **state)
{
    bamba_sampler *a = make(3, 0.7, 6, 0.9), *b = make(3, 0.7, 6, 0.9);
    bamba_sampler *greedy = make(3, 0.0, 0, 1.0);
    double         defined[V];
    float          p[V];
    const float    nothing[V] = { -INFINITY, -INFINITY, -INFINITY, -INFINITY,
                                  -INFINITY, -INFINITY, -INFINITY, -INFINITY };
    (void)state;

    for (int i = 0; i < 100; i++)
        assert_int_equal(bamba_sample_distribution(a, model, p), bamba_sample(b, model));
    define(model, (double)0.7f, 6, (double)0.9f, defined);
    for (int i = 0; i < V; i++)
        if (fabs((double)p[i] - defined[i]) > 1e-6)
            fail_msg("%d: %g, not %g", i, (double)p[i], defined[i]);
    assert_int_equal(bamba_sample_distribution(greedy, model, p), 3);
    for (int i = 0; i < V; i++) assert_true(p[i] == (i == 3 ? 1.0f : 0.0f));
    assert_int_equal(bamba_sample_distribution(a, nothing, p), 0);
    for (int i = 0; i < V; i++) assert_true(p[i] == (i == 0 ? 1.0f : 0.0f));
    bamba_sampler_free(a);
    bamba_sampler_free(b);
    bamba_sampler_free(greedy);
}

static void test_a_certain_guess_changes_nothing(void **state)
{
    bamba_sampler *a = make(5, 1.0, 0, 1.0), *b = make(5, 1.0, 0, 1.0);
    const float    q[V] = { 0.0f, 1.0f };
    (void)state;

    for (int i = 0; i < 100; i++)
        assert_int_equal(bamba_sample_guess(a, model, i % V, NULL), bamba_sample(b, model));
    assert_int_equal(bamba_sample_guess(a, model, -1, q), bamba_sample(b, model));
    assert_int_equal(bamba_sample_guess(a, model, V, q), bamba_sample(b, model));
    assert_int_equal(bamba_sample_guess(a, model, 2, q), bamba_sample(b, model));
    bamba_sampler_free(a);
    bamba_sampler_free(b);
}

static void test_greedy_choices_stay(void **state)
{
    bamba_sampler *chooser = make(5, 0.0, 0, 1.0), *guesser = make(6, 1.0, 0, 1.0);
    float          q[V];
    int            n_stand = 0;
    (void)state;

    for (int i = 0; i < 1000; i++) {
        const int32_t guess = bamba_sample_distribution(guesser, other, q);
        const int32_t id = bamba_sample_guess(chooser, model, guess, q);
        assert_int_equal(id, 3);
        n_stand += guess == 3;
    }
    assert_in_range(n_stand, 1, 500);
    bamba_sampler_free(chooser);
    bamba_sampler_free(guesser);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probabilities_stay),
        cmocka_unit_test(test_guesses_of_the_same_distribution_stand),
        cmocka_unit_test(test_a_distribution_is_what_is_drawn_from),
        cmocka_unit_test(test_a_certain_guess_changes_nothing),
        cmocka_unit_test(test_greedy_choices_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
