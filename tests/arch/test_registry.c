/* test_registry.c - which family a config.json belongs to. */
#include "arch/registry.h"

#include "support/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const bb_arch *find(const char *text, bamba_error *err)
{
    fault              memory = { 0 };
    const bb_allocator a = fault_allocator(&memory);
    bb_json_doc       *doc;

    assert_int_equal(bb_json_parse(&doc, &a, "config.json", text, strlen(text), 0, err),
                     BAMBA_OK);
    const bb_json  root = bb_json_root(doc);
    const bb_arch *arch = bb_arch_find(&root);
    *err = (bamba_error){ BAMBA_OK, "" };
    bb_json_status(doc, err);
    bb_json_close(doc);
    assert_int_equal(memory.n_live, 0);
    return arch;
}

static void expect_found(const char *text, const char *model_type)
{
    bamba_error    err;
    const bb_arch *arch = find(text, &err);

    if (!arch) fail_msg("%s: %s", text, err.message);
    assert_int_equal(err.code, BAMBA_OK);
    assert_string_equal(arch->model_type, model_type);
}

static void expect_refused(const char *text, bb_status code, const char *message)
{
    bamba_error err;

    assert_null(find(text, &err));
    assert_string_equal(err.message, message);
    assert_int_equal(err.code, code);
}

static void test_found(void **unused)
{
    (void)unused;
    expect_found("{\"model_type\": \"bamba\"}", "bamba");
    expect_found("{\"architectures\": [\"BambaForCausalLM\"]}", "bamba");
    expect_found("{\"architectures\": [\"BambaForCausalLM\"], \"model_type\": null}", "bamba");
    expect_found("{\"architectures\": [\"Other\"], \"model_type\": \"bamba\"}", "bamba");
    expect_found("{\"architectures\": [], \"model_type\": \"bamba\"}", "bamba");
}

static void test_unknown(void **unused)
{
    (void)unused;
    expect_refused("{\"model_type\": \"bambi\"}", BAMBA_ERR_UNSUPPORTED, "config.json: "
                   "'model_type': architecture 'bambi' is not known to this version");
    expect_refused("{\"model_type\": \"Bamba\", \"architectures\": [\"BambaForCausalLM\"]}",
                   BAMBA_ERR_UNSUPPORTED, "config.json: "
                   "'model_type': architecture 'Bamba' is not known to this version");
    expect_refused("{\"architectures\": [\"GPT2LMHeadModel\", \"BambaForCausalLM\"]}",
                   BAMBA_ERR_UNSUPPORTED, "config.json: 'architectures': architecture "
                   "'GPT2LMHeadModel' is not known to this version");
    expect_refused("{\"model_type\": \"bam\\nba\"}", BAMBA_ERR_UNSUPPORTED, "config.json: "
                   "'model_type': architecture 'bam?ba' is not known to this version");
}

static void test_nothing_said(void **unused)
{
    static const char message[] = "config.json: 'model_type': expected the name of an "
                                  "architecture, found nothing";

    (void)unused;
    expect_refused("{}", BAMBA_ERR_FORMAT, message);
    expect_refused("{\"architectures\": []}", BAMBA_ERR_FORMAT, message);
    expect_refused("{\"architectures\": [7], \"model_type\": \"\"}", BAMBA_ERR_FORMAT, message);
}

static void test_another_kind_of_value(void **unused)
{
    bamba_error err;

    (void)unused;
    assert_null(find("{\"model_type\": 7}", &err));
    assert_int_equal(err.code, BAMBA_ERR_FORMAT);
    assert_non_null(strstr(err.message, "config.json: 'model_type': expected a string"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_nothing_said),
        cmocka_unit_test(test_another_kind_of_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
