/* test_pace.c - as many guesses as pay, and none where they do not. */
#include "pace.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* A machine: a pass costs 100 and `row` for each row more; a guess costs `step`; of guesses a share
   is right where those before are. */
typedef struct machine {
    double   row, step, right;
    uint64_t state;
} machine;

static double draw(machine *m)
{
    m->state = m->state * 6364136223846793005u + 1442695040888963407u;
    return (double)(m->state >> 11) * 0x1p-53;
}

/* Generate about n tokens. Returns how many times faster than without guesses; *last: the number of
   guesses it ended with. */
static double run(machine *m, int most, int n, int *last)
{
    pace        p = { .n_passes = 0 };
    pace_source s = PACE_SOURCE;
    double      ms = 0.0;
    int         done = 0;

    while (done < n) {
        const int k = pace_number(&p, &s, most, 0.0);
        int right = 0;
        while (right < k && draw(m) < m->right) right++;
        const double pass = 100.0 + m->row * k;
        s.step_ms = m->step;
        pace_learn(&p, k > 0 ? &s : NULL, k, right, pass, k * m->step);
        ms += pass + k * m->step;
        done += 1 + right;
        if (k > 0) *last = k;
    }
    return 100.0 * done / ms;
}

static void test_what_does_not_pay_stops(void **state)
{
    static const machine machines[] = {
        { 10.0, 0.0, 0.0, 1 }, { 10.0, 30.0, 0.0, 1 }, { 60.0, 100.0, 0.3, 1 },
        { 100.0, 0.0, 0.9, 1 }, { 20.0, 100.0, 0.95, 1 }, { 5.0, 60.0, 0.1, 1 },
    };
    int last;
    (void)state;

    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        machine m = machines[i];
        const double speed = run(&m, 8, 400, &last);
        if (speed < 0.97) fail_msg("machine %zu: %g", i, speed);
    }
}

static void test_what_pays_is_found(void **state)
{
    static const struct { machine m; double least; } cases[] = {
        { { 5.0, 0.0, 0.8, 1 }, 2.9 },    /* the best is 8 guesses: 4.33 tokens for 1.4 passes */
        { { 5.0, 0.0, 1.0, 1 }, 5.5 },
        { { 10.0, 20.0, 0.9, 1 }, 1.5 },
        { { 10.0, 0.0, 0.5, 1 }, 1.3 },   /* 1.75 for 1.2 */
    };
    int last;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        machine m = cases[i].m;
        const double speed = run(&m, 8, 2000, &last);
        if (speed < cases[i].least) fail_msg("case %zu: %g", i, speed);
    }
    machine half = { 30.0, 0.0, 0.5, 1 };
    assert_true(run(&half, 31, 2000, &last) > 1.05);
    assert_in_range(last, 1, 3);          /* of 31 that it might try */
}

/* The text begins to repeat itself after 500 tokens. */
static void test_it_tries_again(void **state)
{
    machine     m = { 10.0, 0.0, 0.0, 1 };
    pace        p = { .n_passes = 0 };
    pace_source s = PACE_SOURCE;
    int         n_late = 0;
    (void)state;

    for (int i = 0; i < 3000; i++) {
        m.right = i < 500 ? 0.0 : 1.0;
        const int k = pace_number(&p, &s, 8, 0.0), right = m.right > 0.5 ? k : 0;
        pace_learn(&p, k > 0 ? &s : NULL, k, right, 100.0 + m.row * k, 0.0);
        if (i >= 1500) n_late += right;
    }
    assert_true(n_late > 1500 * 7);
}

static void test_fewest_and_most(void **state)
{
    pace        p = { .n_passes = 0 };
    pace_source s = PACE_SOURCE;
    (void)state;

    s.least = 3;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(pace_number(&p, &s, 8, 1e9), 3);
        assert_int_equal(pace_number(&p, &s, 2, 0.0), 2);
        assert_int_equal(pace_number(&p, &s, 0, 0.0), 0);
        pace_learn(&p, &s, 3, 0, 1e6, 1e6);
    }
    s.least = PACE_MOST;
    assert_int_equal(pace_number(&p, &s, 1000, 0.0), PACE_MOST);
    assert_int_equal(s.n_guessed, 300);
}

/* One pass that another program held up is not what such passes cost. */
static void test_a_disturbed_pass_does_not_last(void **state)
{
    pace        p = { .n_passes = 0 };
    pace_source s = PACE_SOURCE;
    size_t      before = 0;
    (void)state;

    for (int i = 0; i < 1000; i++) {
        const int k = pace_number(&p, &s, 8, 0.0);
        pace_learn(&p, k > 0 ? &s : NULL, k, k, i == 5 ? 2000.0 : 100.0 + 5.0 * k, 0.0);
        if (i == 500) before = s.n_right;
    }
    assert_true(s.n_right - before > 499 * 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_does_not_pay_stops), cmocka_unit_test(test_what_pays_is_found),
        cmocka_unit_test(test_it_tries_again), cmocka_unit_test(test_fewest_and_most),
        cmocka_unit_test(test_a_disturbed_pass_does_not_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
