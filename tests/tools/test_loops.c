/* test_loops.c - what counts as a circle. */
#include "loops.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { N = 400 };

/* A text without circles, then `rounds` of `period` tokens. */
static size_t make(int32_t *ids, size_t before, size_t period, size_t n_round)
{
    for (size_t i = 0; i < before; i++) ids[i] = (int32_t)(1000 + i);
    for (size_t i = 0; i < n_round; i++) ids[before + i] = (int32_t)(i % period);
    return before + n_round;
}

static void test_found(void **unused)
{
    int32_t ids[N];

    (void)unused;
    for (size_t period = 1; period <= LOOPS_LONGEST; period++) {
        const size_t all = 3 * period > 24 ? 3 * period : 24;
        size_t       n = make(ids, 10, period, all);
        assert_int_equal(loops_find(ids, n), 10 + period);     /* its second time */
        n = make(ids, 10, period, all - 1);
        assert_int_equal(loops_find(ids, n), n);
        n = make(ids, 10, period, all + 1);
        assert_int_equal(loops_find(ids, n), 11 + period);
    }
    assert_int_equal(loops_find(ids, 0), 0);
    size_t n = make(ids, 0, LOOPS_LONGEST + 1, 300);
    assert_int_equal(loops_find(ids, n), n);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_found) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
