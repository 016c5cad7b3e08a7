/* plans.c - config.json files with a change: what their plan shows, and that they are refused. */
#include "support/plans.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void expect_refusals(const config_member *base, const refusal *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *why = config_not_refused(base, list[i].change, list[i].name, list[i].status);
        if (why) fail_msg("%s", why);
    }
}

void expect_in_changed_plan(const config_member *base, const config_member *changes,
                            const char *words)
{
    char *text = config_describe(base, changes);

    if (!strstr(text, words))
        fail_msg("%s: expected \"%s\" in:\n%s", changes ? changes->key : "unchanged", words, text);
    free(text);
}

void expect_in_plan(const config_member *base, const char *key, const char *value,
                    const char *words)
{
    expect_in_changed_plan(base, (const config_member[]){ { key, value }, { NULL, NULL } }, words);
}
