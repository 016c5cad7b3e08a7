/* Strings that are written can be read, and one member changes while all else stays. */
#include "base/json_text.h"

#include "base/json.h"
#include "support/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_quoted(void **state)
{
    static const char *const texts[] = {
        "", "plain", "a \"b\" \\ c/", "\x01\t\n\r\x1F\x7F", "\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80",
        "\\u0041", "\"", "ends with \\",
    };
    fault              f = { 0 };
    const bb_allocator a = fault_allocator(&f);

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char         buffer[200];
        bb_printer   p = { .buffer = buffer, .size = sizeof buffer };
        bb_json_doc *doc;
        bamba_error  err;
        bb_print(&p, "[");
        bb_print_quoted(&p, texts[i]);
        bb_print(&p, "]");
        if (bb_json_parse(&doc, &a, "text", buffer, p.used, 0, &err) != BAMBA_OK)
            fail_msg("%s: %s", buffer, err.message);
        const bb_json root = bb_json_root(doc), first = bb_json_at(&root, 0);
        assert_string_equal(bb_json_value_text(&first, NULL), texts[i]);
        bb_json_close(doc);
    }
    assert_int_equal(f.n_live, 0);
}

static void test_member(void **state)
{
    static const struct { const char *text, *set, *without; } cases[] = {
        { "{}", "{\n  \"k\": [1]\n}", "{}" },
        { " { } \n", " {\n  \"k\": [1]\n } \n", " { } \n" },
        { "{\"k\":0}", "{\"k\":[1]}", "{}" },
        { "{ \"k\" : {\"k\":[{}]} }", "{ \"k\" : [1] }", "{ }" },
        { "{\"k\":null,\"a\":1}", "{\"k\":[1],\"a\":1}", "{\"a\":1}" },
        { "{\"a\":1,\"k\":\"}\\\"\"}", "{\"a\":1,\"k\":[1]}", "{\"a\":1}" },
        { "{\"a\":1 , \"k\":-1e5 , \"b\":2}", "{\"a\":1 , \"k\":[1] , \"b\":2}",
          "{\"a\":1 , \"b\":2}" },
        { "{\"kk\":{\"k\":1},\"\\\\k\":\"k\"}", "{\"kk\":{\"k\":1},\"\\\\k\":\"k\",\n  \"k\": [1]}",
          "{\"kk\":{\"k\":1},\"\\\\k\":\"k\"}" },
        { "{\"a\":[\"]\",{\"x\":\"\\\\\"}],\"b\":\"\"\n}",
          "{\"a\":[\"]\",{\"x\":\"\\\\\"}],\"b\":\"\",\n  \"k\": [1]\n}",
          "{\"a\":[\"]\",{\"x\":\"\\\\\"}],\"b\":\"\"\n}" },
        { "{\"a\":[],\"b\":Infinity,\"k\":true}", "{\"a\":[],\"b\":Infinity,\"k\":[1]}",
          "{\"a\":[],\"b\":Infinity}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char       buffer[200];
        bb_printer p = { .buffer = buffer, .size = sizeof buffer };
        bb_print_with_member(&p, cases[i].text, strlen(cases[i].text), "k", "[1]");
        assert_string_equal(buffer, cases[i].set);
        p.used = 0;
        bb_print_with_member(&p, cases[i].text, strlen(cases[i].text), "k", NULL);
        assert_string_equal(buffer, cases[i].without);
        p = (bb_printer){ 0 };            /* counts where it has no room */
        bb_print_with_member(&p, cases[i].text, strlen(cases[i].text), "k", "[1]");
        assert_int_equal(p.used, strlen(cases[i].set));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quoted),
        cmocka_unit_test(test_member),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
