/* Messages are one line, terminated, cut at a character. */
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_code_and_message(void **state)
{
    bamba_error err;

    (void)state;
    assert_int_equal(bb_fail(&err, BAMBA_ERR_IO, "%s: expected %d, found %d", "a.json", 3, 4),
                     BAMBA_ERR_IO);
    assert_int_equal(err.code, BAMBA_ERR_IO);
    assert_string_equal(err.message, "a.json: expected 3, found 4");
    assert_int_equal(bb_fail(NULL, BAMBA_ERR_FORMAT, "nobody reads this"), BAMBA_ERR_FORMAT);
}

static void test_control_characters(void **state)
{
    bamba_error err;

    (void)state;
    bb_fail(&err, BAMBA_ERR_FORMAT, "'%s'", "a\nb\tc\033[31m\x7F\r");
    assert_string_equal(err.message, "'a?b?c?[31m?" "?'");
    bb_fail(&err, BAMBA_ERR_FORMAT, "%s", "");
    assert_string_equal(err.message, "");
}

static void test_bytes_that_are_not_text(void **state)
{
    bamba_error err;

    (void)state;
    bb_fail(&err, BAMBA_ERR_FORMAT, "'%.3s' is not %s", "a\xE2\x82\xAC", "\xC3\xA9\x80\xFF!");
    assert_string_equal(err.message, "'a?" "?' is not \xC3\xA9?" "?!");
}

static void test_long_message_is_cut(void **state)
{
    bamba_error err;
    char        text[1000];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    bb_fail(&err, BAMBA_ERR_FORMAT, "%s", text);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
}

/* A character of 2, 3 or 4 bytes at every position around the cut: all of it, or nothing. */
static void test_cut_between_characters(void **state)
{
    static const char *const character[] = { "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80" };
    const size_t room = sizeof ((bamba_error *)0)->message - 1;
    bamba_error  err;
    char         text[400];

    (void)state;
    for (size_t k = 0; k < 3; k++) {
        const size_t n = strlen(character[k]);
        for (size_t before = room - 6; before <= room + 1; before++) {
            memset(text, 'x', before);
            strcpy(text + before, character[k]);
            strcat(text, "yyyyyyyyyyyy");
            bb_fail(&err, BAMBA_ERR_FORMAT, "%s", text);
            const size_t length = strlen(err.message);
            if (before + n <= room) {
                assert_int_equal(length, room);
                assert_memory_equal(err.message + before, character[k], n);
            } else {
                assert_int_equal(length, before < room ? before : room);
            }
        }
    }
}

static void keep_line(void *context, const char *line)
{
    strcat(context, line);
    strcat(context, "|");
}

static void test_log(void **state)
{
    char         text[2000] = "", name[600];
    const bb_log log = { keep_line, text };

    (void)state;
    bb_log_line(NULL, "nobody reads this");
    bb_log_line(&(bb_log){ NULL, text }, "nor this");
    assert_string_equal(text, "");
    bb_log_line(&log, "%s: %d\n", "a.json", 3);
    assert_string_equal(text, "a.json: 3?|");
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    text[0] = '\0';
    bb_log_line(&log, "%s", name);
    assert_int_equal(strlen(text), sizeof ((bamba_error *)0)->message);      /* with the '|' */
}

static bb_status leave_through_done(int *reached)
{
    bb_status status = BAMBA_OK;

    BB_TRY(BAMBA_OK);
    *reached = 1;
    BB_TRY(bb_fail(NULL, BAMBA_ERR_FULL, "full"));
    *reached = 2;
done:
    return status;
}

static void test_try(void **state)
{
    int reached = 0;

    (void)state;
    assert_int_equal(leave_through_done(&reached), BAMBA_ERR_FULL);
    assert_int_equal(reached, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_code_and_message),
        cmocka_unit_test(test_control_characters),
        cmocka_unit_test(test_bytes_that_are_not_text),
        cmocka_unit_test(test_long_message_is_cut),
        cmocka_unit_test(test_cut_between_characters),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_try),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
