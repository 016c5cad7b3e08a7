/* test_pooling.c - one vector for a text. */
#include "pooling.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const float rows[4][3] = { { 1, 2, 3 }, { -4, 0, 5 }, { 0, -2, 1 }, { 1, 4, -5 } };

static void assert_vector(const float *found, float a, float b, float c)
{
    const float expected[3] = { a, b, c };
    for (int i = 0; i < 3; i++)
        assert_true(fabsf(found[i] - expected[i]) < 1e-6f * (1 + fabsf(expected[i])));
}

/* A text's rows come in pieces, one of them empty. */
static void pool(int pooling, int norm, float *out)
{
    double sum[3] = { 0 };

    pooling_add(pooling, sum, rows[0], 1, 3);
    pooling_add(pooling, sum, NULL, 0, 3);
    pooling_add(pooling, sum, rows[1], 3, 3);
    pooling_finish(pooling, norm, sum, 4, 3, out);
}

static void test_mean(void **unused)
{
    float v[3];

    (void)unused;
    pool(POOLING_MEAN, -1, v);            /* the sums are -2, 4, 4 */
    assert_vector(v, -0.5f, 1.0f, 1.0f);
    pool(POOLING_MEAN, 0, v);
    assert_vector(v, -16380.0f, 32760.0f, 32760.0f);
    pool(POOLING_MEAN, 1, v);
    assert_vector(v, -0.2f, 0.4f, 0.4f);
    pool(POOLING_MEAN, 2, v);
    assert_vector(v, -1.0f / 3, 2.0f / 3, 2.0f / 3);
    pool(POOLING_MEAN, 3, v);
    const float by = cbrtf(8 + 64 + 64);
    assert_vector(v, -2 / by, 4 / by, 4 / by);
}

static void test_last(void **unused)
{
    float v[3];

    (void)unused;
    pool(POOLING_LAST, -1, v);
    assert_vector(v, 1, 4, -5);
    pool(POOLING_LAST, 1, v);
    assert_vector(v, 0.1f, 0.4f, -0.5f);
}

/* What is large or small at any norm does not overflow; nothing stays nothing. */
static void test_extremes(void **unused)
{
    const double huge[3] = { 1e30, -1e30, 0 }, none[3] = { 0 };
    float        v[3];

    (void)unused;
    pooling_finish(POOLING_LAST, 32, huge, 1, 3, v);
    const float side = powf(0.5f, 1.0f / 32);
    assert_vector(v, side, -side, 0);
    for (int norm = -1; norm <= 32; norm++) {
        pooling_finish(POOLING_MEAN, norm, none, 4, 3, v);
        assert_vector(v, 0, 0, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mean),
        cmocka_unit_test(test_last),
        cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
