/* test_version.c - the library's version and the words for its statuses. */
#include "bamba.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void version_and_statuses_have_words(void **state)
{
    char expected[32];
    (void)state;

    snprintf(expected, sizeof expected, "%d.%d.%d", BAMBA_VERSION_MAJOR, BAMBA_VERSION_MINOR,
             BAMBA_VERSION_PATCH);
    assert_string_equal(bamba_version(), expected);
    assert_string_equal(bamba_status_string(BAMBA_ERR_MEMORY), "out of memory");
    assert_string_equal(bamba_status_string((bamba_status)-1), "unknown status");
    assert_string_equal(bamba_status_string((bamba_status)9), "unknown status");
    for (int i = 0; i < 9; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(bamba_status_string((bamba_status)i),
                                    bamba_status_string((bamba_status)j));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(version_and_statuses_have_words) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
