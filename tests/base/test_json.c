/* test_json.c - the JSON parser: what it accepts and refuses, values and the messages that name
 * their place, files, memory.
 *
 * Long because of its tables of texts. */
#include "base/json.h"

#include "support/fault.h"
#include "support/tempdir.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* -------------------------------------------------------------- helpers ------------------ */

static bb_status parse_n(const char *text, size_t n, unsigned flags, bamba_error *err)
{
    fault              f = { 0 };
    const bb_allocator a = fault_allocator(&f);
    bb_json_doc       *doc = NULL;
    char              *copy = malloc(n ? n : 1);      /* exact, so that over-reads are seen */

    memcpy(copy, text, n);
    *err = (bamba_error){ BAMBA_OK, "" };
    const bb_status status = bb_json_parse(&doc, &a, "doc.json", n ? copy : NULL, n, flags,
                                           err);
    free(copy);
    if (status == BAMBA_OK) assert_non_null(doc);
    else assert_null(doc);
    bb_json_close(doc);
    assert_int_equal(f.n_live, 0);
    return status;
}

static void accept_flags(const char *text, unsigned flags)
{
    bamba_error err;
    if (parse_n(text, strlen(text), flags, &err) != BAMBA_OK)
        fail_msg("refused: %s: %s", text, err.message);
}

static void refuse_n(const char *text, size_t n, unsigned flags)
{
    bamba_error err;
    const bb_status status = parse_n(text, n, flags, &err);

    if (status != BAMBA_ERR_FORMAT) fail_msg("%s: status %d: %s", text, status, err.message);
    if (strncmp(err.message, "doc.json: ", 10) != 0 || strlen(err.message) < 15)
        fail_msg("%s: message '%s'", text, err.message);
    for (const char *c = err.message; *c; c++)
        if ((unsigned char)*c < 0x20) fail_msg("%s: control character in the message", text);
}

static void refuse(const char *text) { refuse_n(text, strlen(text), 0); }

static bb_json_doc *open_text(const char *text, unsigned flags)
{
    bb_allocator a;
    bb_json_doc *doc = NULL;
    bamba_error  err;

    assert_int_equal(bb_allocator_resolve(&a, NULL, NULL), BAMBA_OK);
    if (bb_json_parse(&doc, &a, "doc.json", text, strlen(text), flags, &err) != BAMBA_OK)
        fail_msg("%s: %s", text, err.message);
    return doc;
}

static void expect_failure(bb_json_doc *doc, const char *words)
{
    bamba_error err = { BAMBA_OK, "" };

    assert_int_equal(bb_json_status(doc, &err), BAMBA_ERR_FORMAT);
    if (!strstr(err.message, words)) fail_msg("'%s' not in '%s'", words, err.message);
    assert_true(strncmp(err.message, "doc.json: ", 10) == 0);
    bb_json_close(doc);
}

/* -------------------------------------------------------------- grammar ------------------ */

static void test_accepts(void **state)
{
    static const char *const text[] = {
        "{}", "[]", "null", "true", "false", "0", "-0", "7", "1.5", "-1.5e-3", "1E5", "1e+5",
        "0.0",
        "0e0", "\"\"", " \t\r\n{ \"a\" : [ 1 , 2 ] } \t\r\n",
        "{\"a\":{\"a\":1},\"b\":[{\"a\":2}]}",
        "\"\\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u0041 \\u00e9\"", "\"\\ud83d\\ude00\"",
        "\"\\u0000\"", "9223372036854775807", "-9223372036854775808", "1e308", "1e-400",
        "\"\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80 \x7F\"", "[null]", "{\"a\":null}", "{\"\":1}",
        "{\"a\":1,\"A\":2}", "\"\\uD7FF\\uE000\"", "[\"\\udbff\\udfff\"]",
    };

    (void)state;
    errno = 0;
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) accept_flags(text[i], 0);
    assert_int_equal(errno, 0);
}

static void test_refuses(void **state)
{
    static const char *const text[] = {
        /* nothing, too much */
        "", " ", "\n", "{}{}", "{} x", "1 2", "[] ,", "null,", "{}]", "\xEF\xBB\xBF{}",
        /* structure */
        "{", "}", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1,,2]", "{\"a\":1,}", "{,}",
        "{\"a\"}", "{\"a\":}", "{\"a\" 1}", "{\"a\":1 \"b\":2}", "{\"a\":1,,\"b\":2}", "{1:2}",
        "{a:1}", "{'a':1}", "['a']", "[1}", "{\"a\":1]", "{null:1}", "{\"a\"::1}",
        /* comments, and what other dialects allow */
        "// x\n1", "/* x */1", "[1/*x*/]", "#x\n1", "1 // x", "[+1]", "[0x10]", "[.5]", "[5.]",
        "[1e]", "[1e+]", "[--1]", "[-]", "[01]", "[-01]", "[00]", "[1_000]", "[1.e5]",
        "[1.5.2]",
        "[1e5e5]", "[1f]", "[- 1]", "[0b1]",
        "[NaN]", "[nan]", "[-NaN]", "[Infinity]", "[-Infinity]", "[inf]", "[-inf]",
        "[INFINITY]",
        "[True]", "[FALSE]", "[Null]", "[NULL]", "[nul]", "[tru]", "[truee]", "[undefined]",
        /* numbers that do not fit */
        "[9223372036854775808]", "[18446744073709551615]", "[18446744073709551616]",
        "[-9223372036854775809]", "[99999999999999999999999999]", "[1e999]", "[-1e999]",
        "[1e309]",
        "[1e99999999999999999999]", "[123456789012345678901234567890]",
        /* strings */
        "\"", "\"abc", "\"\\\"", "\"\\", "\"\\x41\"", "\"\\u\"", "\"\\u12\"", "\"\\u12g4\"",
        "\"\\u 123\"", "\"\\u-123\"", "\"\\U0041\"", "\"\\'\"", "\"\\0\"", "\"\\a\"",
        "\"a\nb\"",
        "\"a\tb\"", "\"\x01\"", "\"\x1F\"", "[\"a\rb\"]", "{\"a\nb\":1}",
        "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800x\"", "\"\\ud800\\n\"", "\"\\ud800\\u0041\"",
        "\"\\ud800\\ud800\"", "\"\\udc00\\ud800\"", "\"\\ud83d\\ude0\"", "{\"\\ud800\":1}",
        "{\"a\\u0000\":1}", "{\"\\u0000\":1}", "{\"\\u0000a\":1}",
        /* duplicate keys, as written and as meant */
        "{\"a\":1,\"a\":1}", "{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":1,\"\\u0061\":2}",
        "{\"\\u0061\":1,\"\\u0061\":2}", "{\"\":1,\"\":2}", "[{\"x\":{\"a\":1,\"a\":2}}]",
        "{\"\\/\":1,\"/\":2}", "{\"\xC3\xA9\":1,\"\\u00e9\":2}", "{\"\\n\":1,\"\\u000a\":2}",
        "{\"\xF0\x9F\x98\x80\":1,\"\\ud83d\\ude00\":2}", "{\"\\u00E9\":1,\"\\u00e9\":2}",
        /* not UTF-8 */
        "\"\xFF\"", "\"\xC0\x80\"", "\"\xED\xA0\x80\"", "\"\xC3\"", "\"\xF4\x90\x80\x80\"",
        "{\"\xFF\":1}", "\"\xE2\x82\"", "\xFF", "[\xC3\xA9]", "\"\xF8\x88\x80\x80\x80\"",
        /* space that JSON does not know */
        "\f1", "\v1", "\xC2\xA0[]", "1\f",
    };

    (void)state;
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) refuse(text[i]);
    refuse_n("{}\0", 3, 0);
    refuse_n("\0{}", 3, 0);
    refuse_n("\"a\0b\"", 5, 0);
    refuse_n("{\"a\0b\":1}", 9, 0);
    refuse_n("1\0", 2, 0);
}

static void test_infinity_by_flag_only(void **state)
{
    (void)state;
    accept_flags("[Infinity, -Infinity, 1]", BB_JSON_INFINITY);
    accept_flags("Infinity", BB_JSON_INFINITY);
    accept_flags("{\"a\":-Infinity}", BB_JSON_INFINITY);
    refuse_n("[NaN]", 5, BB_JSON_INFINITY);
    refuse_n("[-NaN]", 6, BB_JSON_INFINITY);
    refuse_n("[Infinit]", 9, BB_JSON_INFINITY);
    refuse_n("[+Infinity]", 11, BB_JSON_INFINITY);
    refuse_n("[infinity]", 10, BB_JSON_INFINITY);
    refuse_n("[-inf]", 6, BB_JSON_INFINITY);
    refuse_n("[1e999]", 7, BB_JSON_INFINITY);

    bb_json_doc  *doc = open_text("{\"limit\": [0.0, Infinity, -Infinity]}", BB_JSON_INFINITY);
    const bb_json root = bb_json_root(doc);
    const bb_json limit = bb_json_get(&root, "limit");
    const bb_json hi = bb_json_at(&limit, 1);
    const bb_json lo = bb_json_at(&limit, 2);
    assert_true(isinf(bb_json_value_float(&hi)) && bb_json_value_float(&hi) > 0);
    assert_true(isinf(bb_json_value_float(&lo)) && bb_json_value_float(&lo) < 0);
    assert_int_equal(bb_json_status(doc, NULL), BAMBA_OK);
    bb_json_close(doc);
}

static void test_huge_integers_by_flag_only(void **state)
{
    (void)state;
    bb_json_doc  *doc = open_text("[1000000000000000019884624838656, -99999999999999999999, 7]",
                                  BB_JSON_HUGE);
    const bb_json root = bb_json_root(doc);
    const int64_t want[] = { INT64_MAX, INT64_MIN, 7 };
    for (size_t i = 0; i < 3; i++) {
        const bb_json element = bb_json_at(&root, i);
        assert_int_equal(bb_json_value_int(&element), want[i]);
    }
    assert_int_equal(bb_json_status(doc, NULL), BAMBA_OK);
    bb_json_close(doc);
    refuse_n("[1e999]", 7, BB_JSON_HUGE);
    refuse_n("[01]", 4, BB_JSON_HUGE);
    refuse_n("[Infinity]", 10, BB_JSON_HUGE);
}

static void test_depth(void **state)
{
    enum { DEEP = 200000 };
    char *text = malloc(2 * DEEP + 1);

    (void)state;
    for (size_t depth = 1; depth <= 60; depth += 59) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        text[2 * depth] = '\0';
        accept_flags(text, 0);
    }
    for (size_t depth = 65; depth <= DEEP; depth = depth * 15 / 2) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        refuse_n(text, 2 * depth, 0);
        refuse_n(text, depth, 0);
    }
    for (size_t i = 0; i + 5 < DEEP; i += 5) memcpy(text + i, "{\"a\":", 5);
    refuse_n(text, DEEP, 0);
    free(text);
}

/* A document of every kind of value, cut at each byte: never accepted, never read beyond. */
static void test_truncated_everywhere(void **state)
{
    static const char text[] =
        "{\"a\": [1, -2.5e+10, true, false, null, \"x\\n\\u00e9\\ud83d\\ude00\"],"
        " \"\xE2\x82\xAC\": {\"b\": {}, \"c\": []}, \"d\": Infinity}";

    (void)state;
    accept_flags(text, BB_JSON_INFINITY);
    for (size_t n = 0; n < sizeof text - 1; n++) refuse_n(text, n, BB_JSON_INFINITY);
}

/* Every byte of it replaced by every other byte: accepted or refused, but nothing worse. */
static void test_each_byte_changed(void **state)
{
    static const char text[] = "{\"a\": [1, -2.5e1, \"x\\u00e9\"], \"b\": null}";
    char        copy[sizeof text];
    bamba_error err;

    (void)state;
    for (size_t i = 0; i < sizeof text - 1; i++)
        for (int byte = 0; byte < 256; byte++) {
            memcpy(copy, text, sizeof text);
            copy[i] = (char)byte;
            const bb_status status = parse_n(copy, sizeof text - 1, 0, &err);
            assert_true(status == BAMBA_OK || status == BAMBA_ERR_FORMAT);
        }
}

static void test_many_keys(void **state)
{
    enum { KEYS = 20000 };
    char  *text = malloc(KEYS * 16 + 64);
    size_t n = 0;

    (void)state;
    n += (size_t)sprintf(text, "{");
    for (int i = 0; i < KEYS; i++)
        n += (size_t)sprintf(text + n, "%s\"k%d\":%d", i ? "," : "", i, i);
    strcpy(text + n, "}");
    bb_json_doc  *doc = open_text(text, 0);
    const bb_json root = bb_json_root(doc);
    assert_int_equal(bb_json_members(&root), KEYS);
    assert_int_equal(bb_json_int(&root, "k12345", 0, KEYS), 12345);

    bb_json_walk walk = { 0 };
    bb_json      member;
    int          seen = 0;
    while (bb_json_next(&root, &walk, &member)) {
        assert_int_equal(bb_json_value_int(&member), seen);      /* the order of the file */
        seen++;
    }
    assert_int_equal(seen, KEYS);
    bb_json_close(doc);
    strcpy(text + n, ",\"k777\":1}");
    refuse(text);
    free(text);
}

/* -------------------------------------------------------------- values ------------------- */

static const char SAMPLE[] =
    "{\"i\": 42, \"neg\": -3, \"big\": 9223372036854775807, \"f\": 1.5, \"whole\": 2.0,"
    " \"t\": true, \"s\": \"text\", \"nul\": \"a\\u0000b\", \"none\": null,"
    " \"list\": [10, 20, {\"x\": 1}, null], \"o\": {\"p\": {\"q\": \"deep\"}},"
    " \"inf\": {\"__float__\": \"Infinity\"}, \"bad_inf\": {\"__float__\": \"x\"},"
    " \"\\u00e9\": 5}";

static void test_values(void **state)
{
    bb_json_doc  *doc = open_text(SAMPLE, 0);
    const bb_json root = bb_json_root(doc);
    size_t        n;

    (void)state;
    assert_true(bb_json_is_object(&root));
    assert_false(bb_json_is_array(&root));
    assert_int_equal(bb_json_int(&root, "i", 0, 100), 42);
    assert_int_equal(bb_json_int(&root, "i", 42, 42), 42);
    assert_int_equal(bb_json_int_or(&root, "neg", -3, 0, 9), -3);
    assert_int_equal(bb_json_int_or(&root, "missing", 0, 1, 9), 9);
    assert_int_equal(bb_json_int_or(&root, "none", 0, 1, 9), 9);
    assert_int_equal(bb_json_int(&root, "\xC3\xA9", 0, 9), 5);
    const bb_json big = bb_json_get(&root, "big");
    assert_true(bb_json_value_int(&big) == INT64_MAX);
    assert_true(bb_json_float(&root, "f") == 1.5);
    assert_true(bb_json_float(&root, "i") == 42.0);
    assert_true(bb_json_float(&root, "whole") == 2.0);
    assert_true(bb_json_float_or(&root, "missing", -1.25) == -1.25);
    assert_true(isinf(bb_json_float(&root, "inf")));
    assert_true(bb_json_bool_or(&root, "t", false));
    assert_true(bb_json_bool_or(&root, "missing", true));
    assert_false(bb_json_bool_or(&root, "none", false));
    assert_string_equal(bb_json_text(&root, "s"), "text");
    assert_string_equal(bb_json_text_or(&root, "none", "else"), "else");
    const bb_json nul = bb_json_get(&root, "nul");
    assert_memory_equal(bb_json_value_text(&nul, &n), "a\0b", 4);
    assert_int_equal(n, 3);

    assert_true(bb_json_has(&root, "s"));
    assert_false(bb_json_has(&root, "none"));
    assert_false(bb_json_has(&root, "missing"));
    const bb_json list = bb_json_get(&root, "list");
    assert_int_equal(bb_json_length(&list), 4);
    const bb_json second = bb_json_at(&list, 1);
    assert_int_equal(bb_json_value_int(&second), 20);
    const bb_json gone = bb_json_at(&list, 3);
    assert_null(gone.node);
    assert_int_equal(bb_json_length(&root), 0);
    assert_int_equal(bb_json_members(&list), 0);
    assert_true(bb_json_is_number(&second) && bb_json_is_number(&big));
    assert_true(bb_json_is_text(&nul) && !bb_json_is_text(&list));
    assert_int_equal(bb_json_status(doc, NULL), BAMBA_OK);
    bb_json_close(doc);
}

static void test_wrong_kind_names_the_key(void **state)
{
    static const struct {
        const char *key, *kind;
    } other[] = { { "s", "i" }, { "f", "i" }, { "whole", "i" }, { "t", "i" }, { "list", "i" },
                  { "missing", "i" }, { "none", "i" }, { "o", "i" },
                  { "s", "f" }, { "t", "f" }, { "bad_inf", "f" }, { "none", "f" },
                  { "i", "t" }, { "s", "t" }, { "list", "t" },
                  { "i", "s" }, { "t", "s" }, { "o", "s" }, { "missing", "s" },
                  { "nul", "s" } };

    (void)state;
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        bb_json_doc  *doc = open_text(SAMPLE, 0);
        const bb_json root = bb_json_root(doc);
        char          quoted[32];

        switch (other[i].kind[0]) {
        case 'i': bb_json_int(&root, other[i].key, 0, 1 << 30); break;
        case 'f': assert_true(bb_json_float(&root, other[i].key) == 0); break;
        case 't': bb_json_bool_or(&root, other[i].key, true); break;
        default:  assert_non_null(bb_json_text(&root, other[i].key)); break;
        }
        snprintf(quoted, sizeof quoted, "'%s'", other[i].key);
        expect_failure(doc, quoted);
    }
}

static void test_range(void **state)
{
    static const struct {
        const char *key, *found;
        int         lo, hi;
    } other[] = { { "i", "42", 0, 41 }, { "i", "42", 43, 99 }, { "neg", "-3", 0, 9 },
                  { "big", "9223372036854775807", 0, INT32_MAX } };

    (void)state;
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        bb_json_doc  *doc = open_text(SAMPLE, 0);
        const bb_json root = bb_json_root(doc);
        const int     v = bb_json_int_or(&root, other[i].key, other[i].lo, other[i].hi, 7);
        assert_true(v == 7 || (v >= other[i].lo && v <= other[i].hi));
        expect_failure(doc, other[i].found);
    }
}

static void test_path_in_message(void **state)
{
    bb_json_doc *doc = open_text(SAMPLE, 0);
    bb_json      root = bb_json_root(doc);
    bb_json      o = bb_json_get(&root, "o");
    bb_json      p = bb_json_get(&o, "p");

    (void)state;
    bb_json_int(&p, "q", 0, 9);
    expect_failure(doc, "'o.p.q'");

    doc = open_text(SAMPLE, 0);
    root = bb_json_root(doc);
    const bb_json list = bb_json_get(&root, "list");
    const bb_json third = bb_json_at(&list, 2);
    bb_json_text(&third, "x");
    expect_failure(doc, "'list[2].x'");

    doc = open_text(SAMPLE, 0);
    root = bb_json_root(doc);
    o = bb_json_get(&root, "o");
    bb_json_fail_key(&o, "r", BAMBA_ERR_FORMAT, "expected %d", 5);
    expect_failure(doc, "'o.r': expected 5");

    doc = open_text("{\"a\\nb\": 1}", 0);
    root = bb_json_root(doc);
    bb_json_text(&root, "a\nb");
    expect_failure(doc, "'a?b'");
}

static void test_failures_stick(void **state)
{
    bb_json_doc  *doc = open_text(SAMPLE, 0);
    const bb_json root = bb_json_root(doc);

    (void)state;
    bb_json_text(&root, "i");
    bb_json_text(&root, "t");
    bb_json_fail(&root, BAMBA_ERR_UNSUPPORTED, "later");
    bb_json_fail_key(&root, "k", BAMBA_ERR_UNSUPPORTED, "later");
    expect_failure(doc, "'i'");
}

/* A value that is not there can be asked for members like an object without any. */
static void test_absent(void **state)
{
    bb_json_doc  *doc = open_text(SAMPLE, 0);
    const bb_json root = bb_json_root(doc);
    const bb_json absent = bb_json_get(&root, "missing");
    const bb_json below = bb_json_get(&absent, "more");
    const bb_json at = bb_json_at(&absent, 3);
    bb_json_walk  walk = { 0 };
    bb_json       member;

    (void)state;
    assert_null(absent.node);
    assert_null(below.node);
    assert_null(at.node);
    assert_false(bb_json_is_object(&absent) || bb_json_is_array(&absent) ||
                 bb_json_is_text(&absent) || bb_json_is_number(&absent) ||
                 bb_json_is_bool(&absent));
    assert_int_equal(bb_json_int_or(&absent, "x", 0, 9, 4), 4);
    assert_false(bb_json_has(&absent, "x"));
    assert_int_equal(bb_json_length(&absent), 0);
    assert_int_equal(bb_json_members(&absent), 0);
    assert_false(bb_json_next(&absent, &walk, &member));
    assert_int_equal(bb_json_status(doc, NULL), BAMBA_OK);
    bb_json_int(&below, "x", 0, 9);
    expect_failure(doc, "'missing.more.x'");
}

static void test_get_on_wrong_kind(void **state)
{
    bb_json_doc  *doc = open_text(SAMPLE, 0);
    const bb_json root = bb_json_root(doc);
    const bb_json list = bb_json_get(&root, "list");

    (void)state;
    assert_null(bb_json_get(&list, "x").node);
    expect_failure(doc, "'list'");
    doc = open_text("[1]", 0);
    const bb_json array = bb_json_root(doc);
    assert_false(bb_json_has(&array, "x"));
    expect_failure(doc, "object");
    doc = open_text("null", 0);
    const bb_json nothing = bb_json_root(doc);
    assert_null(nothing.node);
    bb_json_close(doc);
}

/* Elements are found in any order, also in arrays of arrays of different lengths. */
static void test_elements_in_any_order(void **state)
{
    bb_json_doc  *doc = open_text("[[10,11,12],{\"a\":[1,2]},[],[30,[31],32],null,[50]]", 0);
    const bb_json root = bb_json_root(doc);
    const size_t  length[] = { 3, 0, 0, 3, 0, 1 };

    (void)state;
    for (size_t pass = 0; pass < 3; pass++)
        for (size_t k = 0; k < 6; k++) {
            const size_t  i = pass == 0 ? k : pass == 1 ? 5 - k : k * 5 % 6;
            const bb_json list = bb_json_at(&root, i);
            assert_int_equal(bb_json_length(&list), length[i]);
            for (size_t j = bb_json_length(&list); j-- > 0;) {
                const bb_json element = bb_json_at(&list, j);
                if (i == 3 && j == 1) continue;
                assert_int_equal(bb_json_value_int(&element), (int)(10 * i + j + 10 * !i));
            }
        }
    assert_int_equal(bb_json_status(doc, NULL), BAMBA_OK);
    bb_json_close(doc);
}

/* Numbers are read the same way whatever the host's locale calls a decimal point. */
static void test_locale(void **state)
{
    static const char *const names[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8" };
    bool found = false;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !found; i++)
        found = setlocale(LC_NUMERIC, names[i]) != NULL;
    bb_json_doc  *doc = open_text("{\"x\": 1.5}", 0);
    const bb_json root = bb_json_root(doc);
    assert_true(bb_json_float(&root, "x") == 1.5);
    bb_json_close(doc);
    refuse("[1.5e999]");
    setlocale(LC_NUMERIC, "C");
}

/* -------------------------------------------------------------- files, memory ------------ */

static void test_open_file(void **state)
{
    char              *dir = tempdir_make();
    fault              f = { 0 };
    const bb_allocator a = fault_allocator(&f);
    bb_json_doc       *doc = NULL;
    bamba_error        err;

    (void)state;
    tempdir_write_text(dir, "good.json", "{\"a\": 7}");
    tempdir_write_text(dir, "bad.json", "{\"a\": 7");
    tempdir_write_text(dir, "empty.json", "");

    char *path = tempdir_path(dir, "good.json");
    assert_int_equal(bb_json_open(&doc, &a, path, 0, &err), BAMBA_OK);
    const bb_json root = bb_json_root(doc);
    assert_int_equal(bb_json_int(&root, "a", 0, 9), 7);
    bb_json_text(&root, "a");
    bb_json_status(doc, &err);
    assert_true(strncmp(err.message, "good.json: 'a': ", 16) == 0);
    bb_json_close(doc);
    free(path);

    path = tempdir_path(dir, "bad.json");
    assert_int_equal(bb_json_open(&doc, &a, path, 0, &err), BAMBA_ERR_FORMAT);
    assert_null(doc);
    assert_true(strncmp(err.message, "bad.json: ", 10) == 0);
    free(path);

    path = tempdir_path(dir, "empty.json");
    assert_int_equal(bb_json_open(&doc, &a, path, 0, &err), BAMBA_ERR_FORMAT);
    free(path);

    char *large = malloc(9 << 20);
    memset(large, ' ', 9 << 20);
    strcpy(large + (9 << 20) - 2, "7");
    tempdir_write_text(dir, "large.json", large);
    free(large);
    path = tempdir_path(dir, "large.json");
    assert_int_equal(bb_json_open(&doc, &a, path, 0, &err), BAMBA_ERR_FORMAT);
    assert_non_null(strstr(err.message, "at most 8388608 bytes"));
    assert_int_equal(bb_json_open(&doc, &a, path, BB_JSON_LARGE, &err), BAMBA_OK);
    bb_json_close(doc);
    free(path);

    path = tempdir_path(dir, "missing.json");
    assert_int_equal(bb_json_open(&doc, &a, path, 0, &err), BAMBA_ERR_IO);
    assert_null(doc);
    free(path);
    assert_int_equal(f.n_live, 0);
    tempdir_remove(dir);
}

/* What a file costs is bounded by its size, and the message says by how much. */
static void test_memory(void **state)
{
    static const struct { const char *unit; bool accepted; } other[] = {
        { "{},", false }, { "[],", false }, { "0,", false }, { "\"\",", false },
        { "[[0]], ", false }, { "{\"a\":0},    ", true }, { "[\"a\",\"bcd\"],", true },
        { "\",,,,,,,,,,,,\",", true }, { "1.5,      ", true }, { "null,", true },
    };
    enum { SIZE = 3 << 20 };
    char *text = malloc(SIZE + 64);

    (void)state;
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        fault              f = { 0 };
        const bb_allocator a = fault_allocator(&f);
        bb_json_doc       *doc;
        bamba_error        err;
        size_t             n = 0;

        text[n++] = '[';
        for (; n < SIZE; n += strlen(other[i].unit)) strcpy(text + n, other[i].unit);
        text[n++] = '0';
        text[n++] = ']';
        const bb_status status = bb_json_parse(&doc, &a, "doc.json", text, n, 0, &err);
        assert_int_equal(status, other[i].accepted ? BAMBA_OK : BAMBA_ERR_FORMAT);
        if (status != BAMBA_OK) assert_non_null(strstr(err.message, "expected at most 85"));
        assert_true(f.peak_bytes <= (1 << 20) + 8 * n + 8192);
        bb_json_close(doc);
        assert_int_equal(f.n_live, 0);
    }
    free(text);
}

/* Memory for one object with a million bytes of keys: keys of different hashes, then keys that all
   have the same one. */
static void test_memory_of_keys(void **state)
{
    static const char *const twin[][2] = {     /* each pair continues the hashes of those before */
        { "ooirid", "hzbqvw" }, { "ajlsgw", "wwfffl" }, { "elyqxq", "hjrori" },
        { "ryqgxi", "mfkahc" }, { "zugtpn", "emhrvv" }, { "cmlyin", "njltbj" },
        { "fejltn", "hdpogq" }, { "deinkg", "awmbsj" }, { "tbpili", "enqphd" },
        { "gwgyrk", "joroxs" }, { "myhdqx", "hvuxgi" }, { "gqklik", "nlimqj" },
    };
    enum { N_TWINS = sizeof twin / sizeof twin[0] };

    (void)state;
    for (int alike = 0; alike < 2; alike++) {
        fault              f = { 0 };
        const bb_allocator a = fault_allocator(&f);
        char              *text = malloc((size_t)140 << N_TWINS);
        size_t             n = 0;
        bb_json_doc       *doc;
        bamba_error        err;

        for (unsigned i = 0; i < 1u << N_TWINS; i++) {
            n += (size_t)sprintf(text + n, "%c\"", i ? ',' : '{');
            for (int k = 0; k < N_TWINS && alike; k++)
                n += (size_t)sprintf(text + n, "%s", twin[k][i >> k & 1]);
            n += (size_t)sprintf(text + n, alike ? "\":0" : "%x\":0 ", i);
        }
        text[n++] = '}';
        assert_int_equal(bb_json_parse(&doc, &a, "doc.json", text, n, 0, &err), BAMBA_OK);
        assert_true(f.peak_bytes <= (1 << 20) + 8 * n + 8192);
        bb_json_close(doc);
        assert_int_equal(f.n_live, 0);
        free(text);
    }
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (size_t k = 1;; k++) {
        fault              f = { .fail_at = k };
        const bb_allocator a = fault_allocator(&f);
        bb_json_doc       *doc = NULL;
        bamba_error        err = { BAMBA_OK, "" };
        const bb_status    status = bb_json_parse(&doc, &a, "doc.json", SAMPLE,
                                                  sizeof SAMPLE - 1, 0, &err);
        bb_json_close(doc);
        assert_int_equal(f.n_live, 0);
        if (f.n_refused == 0) {
            assert_int_equal(status, BAMBA_OK);
            break;
        }
        assert_int_equal(status, BAMBA_ERR_MEMORY);
        assert_non_null(strstr(err.message, "doc.json"));
    }
    bb_json_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_infinity_by_flag_only),
        cmocka_unit_test(test_huge_integers_by_flag_only),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_truncated_everywhere),
        cmocka_unit_test(test_each_byte_changed),
        cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_wrong_kind_names_the_key),
        cmocka_unit_test(test_range),
        cmocka_unit_test(test_path_in_message),
        cmocka_unit_test(test_failures_stick),
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_get_on_wrong_kind),
        cmocka_unit_test(test_elements_in_any_order),
        cmocka_unit_test(test_locale),
        cmocka_unit_test(test_open_file),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_memory_of_keys),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
