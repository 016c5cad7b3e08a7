/* test_fpmode.c - inside, denormals are zero and rounding is to nearest, whatever the caller had;
 * afterwards the caller's mode is back. Skipped where the header knows no such register. */
#include "base/fpmode.h"

#include <fenv.h>
#include <float.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#if defined(__x86_64__) || defined(__aarch64__)
enum { HAS_MODE = 1 };
#else
enum { HAS_MODE = 0 };
#endif

/* Volatile, so that the processor computes, and computes where it is written. */
static volatile float smallest = FLT_MIN, denormal = FLT_MIN / 8, half = 0.5f, one = 1.0f,
                      three = 3.0f;

static bool results_flush(void)
{
    const volatile float product = smallest * half;
    return product == 0.0f;
}

static bool inputs_flush(void)
{
    const volatile float product = denormal * (one / FLT_MIN);
    return product == 0.0f;
}

static float third(void)
{
    const volatile float quotient = one / three;
    return quotient;
}

static void check_inside(int callers_rounding)
{
    const float nearest = third();

    if (!HAS_MODE) skip();
    assert_int_equal(fesetround(callers_rounding), 0);
    const float    before = third();
    const uint64_t mode = bb_fpmode_enter();
    const bool     flushed_results = results_flush(), flushed_inputs = inputs_flush();
    const float    inside = third();
    bb_fpmode_leave(mode);
    const float after = third();
    const int   rounding = fegetround();
    fesetround(FE_TONEAREST);

    assert_true(flushed_results);
    assert_true(flushed_inputs);
    assert_memory_equal(&inside, &nearest, sizeof inside);
    assert_memory_equal(&after, &before, sizeof after);
    if (callers_rounding != FE_TONEAREST) assert_memory_not_equal(&before, &nearest, sizeof before);
    assert_int_equal(rounding, callers_rounding);
    assert_false(results_flush());
    assert_false(inputs_flush());
}

static void test_a_common_caller(void **unused)
{
    (void)unused;
    check_inside(FE_TONEAREST);
}

static void test_an_odd_caller(void **unused)
{
    (void)unused;
    check_inside(FE_TOWARDZERO);          /* the float nearest to 1/3 lies above it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_common_caller),
        cmocka_unit_test(test_an_odd_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
