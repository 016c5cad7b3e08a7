/* test_keys.c - facts that config.json files spell in several ways. */
#include "arch/keys.h"

#include "support/fault.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static fault        memory;
static bb_allocator alloc;
static bb_json_doc *doc;

/* The text as config.json, until close_config. */
static bb_json open_config(const char *text)
{
    bamba_error err;

    alloc = fault_allocator(&memory);
    if (bb_json_parse(&doc, &alloc, "config.json", text, strlen(text), BB_JSON_INFINITY, &err)
        != BAMBA_OK) fail_msg("%s", err.message);
    return bb_json_root(doc);
}

static void close_config(bb_status code, const char *message)
{
    bamba_error     err = { BAMBA_OK, "" };
    const bb_status status = bb_json_status(doc, &err);

    assert_string_equal(err.message, message);
    assert_int_equal(status, code);
    bb_json_close(doc);
    assert_int_equal(memory.n_live, 0);
}

/* -------------------------------------------------------------- time_step_limit ---------- */

static void expect_limit(const char *text, float lo, float hi)
{
    const bb_json c = open_config(text);
    float         found_lo, found_hi;

    bb_key_limits(&c, "time_step_limit", &found_lo, &found_hi);
    close_config(BAMBA_OK, "");
    assert_true(found_lo == lo);
    assert_true(found_hi == hi);
}

static void expect_no_limit(const char *text, const char *message)
{
    const bb_json c = open_config(text);
    float         lo, hi;

    bb_key_limits(&c, "time_step_limit", &lo, &hi);
    close_config(BAMBA_ERR_FORMAT, message);
}

static void test_time_step_limit(void **unused)
{
    (void)unused;
    expect_limit("{}", 0, INFINITY);
    expect_limit("{\"time_step_limit\": null}", 0, INFINITY);
    expect_limit("{\"time_step_limit\": [0.0, Infinity]}", 0, INFINITY);
    expect_limit("{\"time_step_limit\": [0.0, {\"__float__\": \"Infinity\"}]}", 0, INFINITY);
    expect_limit("{\"time_step_limit\": [0.25, 0.5]}", 0.25f, 0.5f);
    expect_limit("{\"time_step_limit\": [1, 1]}", 1, 1);
    expect_limit("{\"time_step_limit\": [0.1, 100], \"time_step_min\": 7}", 0.1f, 100);

    expect_no_limit("{\"time_step_limit\": [0.0]}",
                    "config.json: 'time_step_limit': expected a list of two numbers");
    expect_no_limit("{\"time_step_limit\": [0, 1, 2]}",
                    "config.json: 'time_step_limit': expected a list of two numbers");
    expect_no_limit("{\"time_step_limit\": 3}",
                    "config.json: 'time_step_limit': expected a list of two numbers");
    expect_no_limit("{\"time_step_limit\": [-1, 1]}", "config.json: 'time_step_limit': "
                    "expected 0 <= lower <= upper, found -1 and 1");
    expect_no_limit("{\"time_step_limit\": [2, 1]}", "config.json: 'time_step_limit': "
                    "expected 0 <= lower <= upper, found 2 and 1");
    expect_no_limit("{\"time_step_limit\": [Infinity, Infinity]}", "config.json: "
                    "'time_step_limit': expected 0 <= lower <= upper, found inf and inf");
}

/* -------------------------------------------------------------- rope --------------------- */

static void expect_rope(const char *text, double theta, double partial)
{
    const bb_json      c = open_config(text);
    const bb_rope_keys keys = bb_key_rope(&c, 0.5);

    close_config(BAMBA_OK, "");
    assert_true(keys.theta == theta);
    assert_true(keys.partial == partial);
}

static void expect_no_rope(const char *text, bb_status code, const char *message)
{
    const bb_json c = open_config(text);

    bb_key_rope(&c, 0.5);
    close_config(code, message);
}

static void test_rope(void **unused)
{
    (void)unused;
    expect_rope("{}", 10000, 0.5);
    expect_rope("{\"rope_theta\": 500000, \"partial_rotary_factor\": 0.25}", 500000, 0.25);
    expect_rope("{\"rope_scaling\": null, \"rope_theta\": 7.5}", 7.5, 0.5);
    /* transformers 5: everything inside; the inner value beats the outer one */
    expect_rope("{\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 300, "
                "\"partial_rotary_factor\": 1}, \"rope_theta\": 20, "
                "\"partial_rotary_factor\": 0.125}", 300, 1);
    expect_rope("{\"rope_parameters\": {}, \"rope_theta\": 20}", 20, 0.5);
    /* a rope_scaling that says something replaces rope_parameters */
    expect_rope("{\"rope_scaling\": {\"type\": \"default\"}, "
                "\"rope_parameters\": {\"rope_theta\": 300, \"partial_rotary_factor\": 0.75}}",
                10000, 0.5);
    expect_rope("{\"rope_scaling\": {\"rope_theta\": 40}, "
                "\"rope_parameters\": {\"rope_theta\": 300}}", 40, 0.5);
}

static void test_rope_out_of_range(void **unused)
{
    (void)unused;
    expect_no_rope("{\"rope_theta\": 1}", BAMBA_ERR_FORMAT,
                   "config.json: 'rope_theta': expected a number above 1, found 1");
    expect_no_rope("{\"rope_theta\": Infinity}", BAMBA_ERR_FORMAT,
                   "config.json: 'rope_theta': expected a number above 1, found inf");
    expect_no_rope("{\"partial_rotary_factor\": 1.5}", BAMBA_ERR_FORMAT,
                   "config.json: 'partial_rotary_factor': expected a number from 0 to 1, "
                   "found 1.5");
    expect_no_rope("{\"partial_rotary_factor\": -0.5}", BAMBA_ERR_FORMAT,
                   "config.json: 'partial_rotary_factor': expected a number from 0 to 1, "
                   "found -0.5");
}

/* -------------------------------------------------------------- lists and texts ---------- */

static void test_mark(void **unused)
{
    const bb_json c = open_config("{\"some\": [3, 0, 9, 3], \"none\": [], \"null\": null}");
    bool          marked[11] = { false };

    (void)unused;
    bb_key_mark(&c, "none", 10, marked);
    bb_key_mark(&c, "null", 10, marked);
    bb_key_mark(&c, "absent", 10, marked);
    for (int i = 0; i <= 10; i++) assert_false(marked[i]);
    bb_key_mark(&c, "some", 10, marked);
    for (int i = 0; i <= 10; i++) assert_int_equal(marked[i], i == 3 || i == 0 || i == 9);
    close_config(BAMBA_OK, "");
}

static void expect_bad_list(const char *text, const char *message)
{
    const bb_json c = open_config(text);
    bool          marked[10] = { false };

    bb_key_mark(&c, "list", 10, marked);
    close_config(BAMBA_ERR_FORMAT, message);
}

static void test_list_of_other_things(void **unused)
{
    (void)unused;
    expect_bad_list("{\"list\": 4}", "config.json: 'list': expected a list of integers");
    expect_bad_list("{\"list\": {\"4\": 4}}",
                    "config.json: 'list': expected a list of integers");
    expect_bad_list("{\"list\": [1, 10]}",
                    "config.json: 'list[1]': expected an integer from 0 to 9, found 10");
    expect_bad_list("{\"list\": [-1]}",
                    "config.json: 'list[0]': expected an integer from 0 to 9, found -1");
    expect_bad_list("{\"list\": [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0]}",
                    "config.json: 'list': expected at most 10 integers, found 11");
}

static void test_expect(void **unused)
{
    bb_json c = open_config("{\"act\": \"silu\", \"other\": null}");

    (void)unused;
    bb_key_expect(&c, "act", "silu");
    bb_key_expect(&c, "other", "silu");
    bb_key_expect(&c, "absent", "silu");
    close_config(BAMBA_OK, "");

    c = open_config("{\"act\": \"gelu\"}");
    bb_key_expect(&c, "act", "silu");
    close_config(BAMBA_ERR_UNSUPPORTED, "config.json: 'act': expected 'silu', found 'gelu'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_step_limit),
        cmocka_unit_test(test_rope),
        cmocka_unit_test(test_rope_out_of_range),
        cmocka_unit_test(test_mark),
        cmocka_unit_test(test_list_of_other_things),
        cmocka_unit_test(test_expect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
