/* test_score.c - figures of a text and of a comparison, against values computed elsewhere. */
#include "score.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { TOKENS = 5, VOCABULARY = 4 };

static const float LOGITS[TOKENS][VOCABULARY] = {
    { 1.0f, 0.5f, -0.25f, 2.0f }, { 0.0f, 0.0f, 0.0f, 0.0f }, { 3.5f, -1.5f, 0.75f, 3.25f },
    { -4.0f, 2.0f, 1.5f, -0.5f }, { 10.0f, 9.0f, -30.0f, 8.5f }
};
static const float BASE[TOKENS][VOCABULARY] = {
    { 1.25f, 0.5f, -0.5f, 1.75f }, { 0.5f, -0.5f, 0.25f, 0.0f }, { 3.0f, -1.0f, 1.0f, 3.5f },
    { -3.0f, 2.5f, 1.0f, 0.0f }, { 9.5f, 9.25f, -20.0f, 8.0f }
};
static const int32_t IDS[TOKENS] = { 3, 0, 0, 2, 1 };

static void assert_close(double found, double expected)
{
    if (!(fabs(found - expected) <= 1e-13)) fail_msg("found %.15g, not %.15g", found, expected);
}

/* Score the logits, and add a constant to all of them, which changes no probability. */
static score_figures score_shifted(float shift, float base_shift)
{
    score_figures f;
    score s;

    assert_true(score_create(&s, TOKENS, true));
    for (int i = 0; i < TOKENS; i++) {
        float logits[VOCABULARY], base[VOCABULARY];
        for (int v = 0; v < VOCABULARY; v++) {
            logits[v] = LOGITS[i][v] + shift;
            base[v] = BASE[i][v] + base_shift;
        }
        score_add(&s, logits, base, VOCABULARY, IDS[i]);
    }
    score_figure(&s, &f);
    score_free(&s);
    return f;
}

/* The values were computed in 30 digits by llama.cpp's formulas: sums, sums of squares,
   covariance. */
static void check_figures(score_figures f)
{
    const struct { score_value found, expected; } rows[] = {
        { f.ppl, { 2.72887646965564, 0.523501204405019 } },
        { f.nats, { 1.00388997491041, 0.191837633629154 } },
        { f.base_ppl, { 2.97380097072435, 0.536364670067357 } },
        { f.ln_ratio, { -0.0859509477960891, 0.237329699765341 } },
        { f.ratio, { 0.917639242343427, 0.217783045878261 } },
        { f.difference, { -0.244924501068711, 0.675414818282538 } },
        { f.kld, { 0.0600531897221321, 0.0102981866779706 } },
        { f.dp, { 0.0380348140406033, 0.0733689143227403 } },
        { f.rms_dp, { 0.151587062227268, 0.0181495337052997 } },
        { f.same_top, { 0.8, 0.2 } },
    };
    static const double percentiles[SCORE_PERCENTILES] = {
        0.0620251970591769, 0.0795877768563377, 0.0833055239357936, 0.0862797215993584,
        0.0869489160736604
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_close(rows[i].found.mean, rows[i].expected.mean);
        assert_close(rows[i].found.error, rows[i].expected.error);
    }
    for (size_t i = 0; i < SCORE_PERCENTILES; i++)
        assert_close(f.percentile[i], percentiles[i]);
    assert_close(f.correlation, 0.187963093913712);
    assert_close(f.largest_kld, 0.0870232710152495);
}

static void test_known_figures(void **state)
{
    (void)state;
    check_figures(score_shifted(0.0f, 0.0f));
    check_figures(score_shifted(1024.0f, -512.0f));   /* exact in float32 */
}

static void test_alone(void **state)
{
    score_figures f;
    score s;

    (void)state;
    assert_true(score_create(&s, TOKENS, false));
    for (int i = 0; i < TOKENS; i++) score_add(&s, LOGITS[i], NULL, VOCABULARY, IDS[i]);
    score_figure(&s, &f);
    assert_close(f.ppl.mean, 2.72887646965564);
    assert_close(f.ppl.error, 0.523501204405019);
    assert_true(f.kld.mean == 0.0 && f.base_ppl.mean == 0.0);
    score_free(&s);
}

/* A model compared with itself: nothing is left to rounding. */
static void test_itself(void **state)
{
    score_figures f;
    score s;

    (void)state;
    assert_true(score_create(&s, TOKENS, true));
    for (int i = 0; i < TOKENS; i++) score_add(&s, LOGITS[i], LOGITS[i], VOCABULARY, IDS[i]);
    score_figure(&s, &f);
    assert_true(f.kld.mean == 0.0 && f.kld.error == 0.0 && f.largest_kld == 0.0);
    assert_true(f.ln_ratio.mean == 0.0 && f.ratio.mean == 1.0 && f.ratio.error == 0.0);
    assert_true(f.rms_dp.mean == 0.0 && f.rms_dp.error == 0.0);
    assert_true(f.same_top.mean == 1.0 && f.same_top.error == 0.0);
    assert_close(f.correlation, 1.0);
    score_free(&s);
}

/* A token that the base excludes adds nothing; one that only the model excludes is infinitely far;
   what is no number is not taken for none. */
static void test_excluded_tokens(void **state)
{
    const float all[2] = { 0.0f, 0.0f }, one[2] = { 0.0f, -INFINITY }, none[2] = { NAN, NAN };
    score_figures f;
    score s;

    (void)state;
    assert_true(score_create(&s, 1, true));
    score_add(&s, all, one, 2, 0);
    score_figure(&s, &f);
    assert_close(f.kld.mean, log(2.0));
    assert_true(f.kld.error == 0.0);      /* one value has no spread */
    assert_close(f.percentile[0], log(2.0));
    s.n = 0;
    score_add(&s, one, all, 2, 0);
    score_figure(&s, &f);
    assert_true(isinf(f.kld.mean));
    s.n = 0;
    score_add(&s, all, none, 2, 0);
    score_figure(&s, &f);
    assert_true(isnan(f.kld.mean));
    score_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_figures),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_itself),
        cmocka_unit_test(test_excluded_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
