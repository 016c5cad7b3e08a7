/* plans.c - config.json files with a change: what their plan shows, and that they are refused. */
#include "support/plans.h"

#include "support/tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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

/* Bytes that a token reads of weights in q4, where names that match the pattern have another
   type; NULL: none have. */
static uint64_t count_bytes(const config_member *base, const config_member *changes,
                            const char *pattern, bamba_type type)
{
    const bamba_type_rule rule = { pattern, type };
    bamba_model_options   o = BAMBA_MODEL_OPTIONS;
    bamba_model_info      info = BAMBA_MODEL_INFO;
    char                 *dir = tempdir_make(), *text = config_text(base, changes), path[512];
    bamba_model          *model;
    bamba_error           err;

    o.weight_type = BAMBA_TYPE_Q4;
    o.type_rules = &rule;
    o.n_type_rules = pattern ? 1 : 0;
    tempdir_write_text(dir, "config.json", text);
    snprintf(path, sizeof path, "%s/config.json", dir);
    if (bamba_model_open_config(&model, path, &o, &err) != BAMBA_OK) fail_msg("%s", err.message);
    assert_int_equal(bamba_model_info_get(model, &info), BAMBA_OK);
    bamba_model_free(model);
    tempdir_remove(dir);
    free(text);
    return info.weights_bytes;
}

bool is_kept_in_q8(const config_member *base, const config_member *changes, const char *pattern)
{
    const uint64_t as_is = count_bytes(base, changes, NULL, BAMBA_TYPE_Q4);
    const uint64_t q4 = count_bytes(base, changes, pattern, BAMBA_TYPE_Q4);
    const uint64_t q8 = count_bytes(base, changes, pattern, BAMBA_TYPE_Q8);

    assert_true(q4 < q8);
    return q8 == as_is;
}
