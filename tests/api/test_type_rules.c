/* test_type_rules.c - rules for the types of weights: one that matches no matrix is refused, which
 * one that another overrides is not, nor one for layers that run elsewhere. */
#include "bamba.h"

#include "support/tempdir.h"
#include "support/tiny.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 3 };

static char *dir, *config;
static tiny_dims dims = TINY_DIMS;

static int make_model(void **state)
{
    (void)state;
    dir = tempdir_make();
    config = tempdir_path(dir, "config.json");
    dims.tied = true;
    tiny_write(&dims, dir);
    return 0;
}

static int remove_model(void **state)
{
    (void)state;
    free(config);
    tempdir_remove(dir);
    return 0;
}

/* Open the model, layers first … end - 1 of it, or its config.json alone with rules to q8. NULL:
   all is well; else the message. */
static const char *try_rules(bool whole, int first, int end, const char *const *pattern, int n)
{
    static bamba_error  err;
    bamba_type_rule     rule[MOST];
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_model        *m = NULL;

    for (int i = 0; i < n; i++) rule[i] = (bamba_type_rule){ pattern[i], BAMBA_TYPE_Q8 };
    o.type_rules = rule;
    o.n_type_rules = (size_t)n;
    o.first_layer = first;
    o.end_layer = end;
    const bamba_status status = whole ? bamba_model_open(&m, dir, &o, &err)
                                      : bamba_model_open_config(&m, config, &o, &err);
    bamba_model_free(m);
    if (status == BAMBA_OK) return NULL;
    assert_int_equal(status, BAMBA_ERR_ARGUMENT);
    return err.message;
}

static void test_a_rule_for_nothing(void **unused)
{
    static const char *const rules[] = { "in_proj", "zzz", ".*" };
    char                     expected[600];

    (void)unused;
    for (int whole = 0; whole <= 1; whole++) {
        snprintf(expected, sizeof expected, "%.100s: type rule 'zzz': expected a match in the name "
                 "of a matrix, such as 'model.embed_tokens.weight', found none",
                 whole ? dir : config);
        assert_string_equal(try_rules(whole, 0, 0, rules, 3), expected);
    }
    /* A norm is no matrix: it has no other type. */
    assert_non_null(try_rules(true, 0, 0, (const char *const[]){ "layernorm" }, 1));
}

static void test_overridden(void **unused)
{
    static const char *const rules[] = { "in_proj", ".*", "out_proj" };

    (void)unused;
    assert_null(try_rules(true, 0, 0, rules, 3));
    assert_null(try_rules(false, 0, 0, rules, 3));
}

/* One set of options serves all machines that share a model's layers. */
static void test_layers_elsewhere(void **unused)
{
    static const char *const rules[] = { "layers.0.", "layers.2.", "embed" };
    static const char *const wrong[] = { "layers.0.", "layers.3.", "embed" };

    (void)unused;
    for (int at = 0; at < 3; at++) {
        assert_null(try_rules(true, at, at + 1, rules, 3));
        assert_non_null(strstr(try_rules(true, at, at + 1, wrong, 3), "'layers.3.'"));
    }
}

/* The files decide which matrix of a tied pair there is; config.json alone does not know. */
static void test_tied(void **unused)
{
    static const char *const head[] = { "lm_head" };

    (void)unused;
    assert_non_null(try_rules(true, 0, 0, head, 1));
    assert_null(try_rules(false, 0, 0, head, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_rule_for_nothing),
        cmocka_unit_test(test_overridden),
        cmocka_unit_test(test_layers_elsewhere),
        cmocka_unit_test(test_tied),
    };
    return cmocka_run_group_tests(tests, make_model, remove_model);
}
