/* Random values depend on the seed and their number alone, and keep to their range. */
#include "graph/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { N = 61 };

static void test_any_cut(void **state)
{
    float whole[N], part[N];

    (void)state;
    bb_random_fill(2.0f, 7, 0, N, whole);
    for (size_t cut = 0; cut <= N; cut++) {
        bb_random_fill(2.0f, 7, 0, cut, part);
        bb_random_fill(2.0f, 7, cut, N - cut, part + cut);
        assert_memory_equal(part, whole, sizeof whole);
    }
}

static void test_range(void **state)
{
    float a[N], b[N];

    (void)state;
    bb_random_fill(2.0f, 7, 0, N, a);
    bb_random_fill(2.0f, 8, 0, N, b);
    assert_true(memcmp(a, b, sizeof a) != 0);
    for (int i = 0; i < N; i++) assert_true(a[i] != 0.0f && a[i] >= -2.0f && a[i] <= 2.0f);
    bb_random_range(0.75f, 1.25f, 7, N, a);
    for (int i = 0; i < N; i++) assert_true(a[i] >= 0.75f && a[i] < 1.25f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_cut),
        cmocka_unit_test(test_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
