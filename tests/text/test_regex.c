/* test_regex.c - patterns: what is translated, what is refused, which matches there are. */
#include "text/regex.h"

#include "text/parts.h"
#include "text/pattern.h"

static void expect_translation(const char *pattern, unsigned unicode, const char *expected)
{
    const bb_allocator a = host();
    bb_buffer          out = { .a = &a };
    bamba_error        err;

    if (bb_pattern_translate(&out, pattern, strlen(pattern), unicode, &err) != BAMBA_OK)
        fail_msg("%s", err.message);
    if (out.n != strlen(expected) || memcmp(out.data, expected, out.n) != 0)
        fail_msg("%s: expected %s, found %.*s", pattern, expected, (int)out.n, out.data);
    bb_buffer_free(&out);
}

static void test_translations(void **state)
{
    const bb_allocator a = host();
    bb_buffer          out = { .a = &a };

    (void)state;
    expect_translation("a(b|c)+", 16, "a(?:b|c)+");
    expect_translation("(?i:'s)|[^\\r\\n]", 16, "(?i:'s)|[^\\r\\n]");
    expect_translation("\\s[\\s]\\S", 16, "[\\t-\\r\\x{85}\\p{Z}][\\t-\\r\\x{85}\\p{Z}]"
                                        "[^\\t-\\r\\x{85}\\p{Z}]");
    expect_translation("\\p{L}[\\p{N}]\\P{Lu}", 16, "[\\p{L}][\\p{N}][^\\p{Lu}]");
    expect_translation("\\p{Han}", 16, "[\\p{sc:Han}]");
    expect_translation("\\p{Sk}", 14, "[\\p{Sk}]");
    expect_translation("\\p{Sm}", 14, "[\\p{Sm}\\x{10D8E}-\\x{10D8F}]");
    expect_translation("\\u00e9\\x41\\x{1F600}\\v\\h", 16,
                       "\\x{E9}\\x{41}\\x{1F600}\\x{B}[0-9A-Fa-f]");
    expect_translation("a{,3}b{2}c{1,}{d", 16, "a{0,3}b{2}c{1,}\\{d");
    expect_translation("[]a][^]a]", 16, "[\\]a][^\\]a]");

    assert_int_equal(bb_pattern_translate(&out, "\\p{L}", 5, 14, NULL), BAMBA_OK);
    assert_true(out.n > 500);             /* the letters of Unicode 15 to 16 */
    bb_buffer_free(&out);
}

static void test_refusals(void **state)
{
    static const char *const patterns[] = {
        "\\b", "\\B", "\\K", "\\Q", "\\1", "\\pL", "\\p{}", "\\p{Script=Han}", "\\xFF", "\\u12",
        "a\\", "[a[b]]", "[a&&b]", "[\\W]", "(?s:a)", "(?<n>a)", "(?#a)", "(?1)", "(*UTF)",
        "a(?i)b", "a{2}+", "a{2}?", "(", "a)", "[a", "*", "\\p{Latn1}", "\\p{Alnum}",
        "(?C1)", "\\R", "\\X" };
    const bb_allocator a = host();
    bb_regex          *r;
    bamba_error        err;
    char               deep[2000];

    (void)state;
    for (size_t i = 0; i < COUNT(patterns); i++) {
        const bb_status s = bb_regex_compile(&r, &a, patterns[i], strlen(patterns[i]), false,
                                             &err);
        expect_status(patterns[i], s, &err, BAMBA_ERR_UNSUPPORTED, "pattern");
        assert_null(r);
    }
    memset(deep, '(', 999);
    memset(deep + 999, ')', 999);
    assert_int_equal(bb_regex_compile(&r, &a, deep, 1998, false, &err), BAMBA_ERR_UNSUPPORTED);
    char *long_text = calloc(1, 70000);
    assert_non_null(long_text);
    memset(long_text, 'a', 70000);
    assert_int_equal(bb_regex_compile(&r, &a, long_text, 70000, true, &err),
                     BAMBA_ERR_UNSUPPORTED);
    free(long_text);
}

/* All matches as "start-end ". */
static void expect_matches(const char *pattern, bool literal, const char *text,
                           const char *expected)
{
    const bb_allocator a = host();
    bb_regex          *r;
    bb_matcher        *m;
    bamba_error        err;
    char               found_all[200] = "";
    bool               found = true;

    if (bb_regex_compile(&r, &a, pattern, strlen(pattern), literal, &err) != BAMBA_OK)
        fail_msg("%s: %s", pattern, err.message);
    assert_int_equal(bb_matcher_create(&m, &a, &err), BAMBA_OK);
    bb_scan s = bb_scan_begin(r, m, text, strlen(text));
    while (found) {
        assert_int_equal(bb_scan_next(&s, &found, &err), BAMBA_OK);
        if (found) sprintf(found_all + strlen(found_all), "%zu-%zu ", s.start, s.end);
    }
    assert_string_equal(found_all, expected);
    bb_matcher_free(m);
    bb_regex_free(r);
}

static void test_matches(void **state)
{
    (void)state;
    expect_matches("b+", false, "abbab", "1-3 4-5 ");
    expect_matches("x*", false, "axa", "0-0 1-2 3-3 ");       /* none right behind a match */
    expect_matches("", false, "\xC3\xA9!", "0-0 2-2 3-3 ");
    expect_matches(".+", true, "a.+.+", "1-3 3-5 ");
    expect_matches("\\s", false, "a\xE1\xA0\x8E\xC2\x85", "4-6 ");      /* U+180E is none */
    expect_matches("(?i:'s)", false, "'\xC5\xBF'S", "0-3 3-5 ");        /* U+017F is an s */
    expect_matches("a$", false, "a\na", "0-1 2-3 ");
    expect_matches("\\s+(?!\\S)|\\s+", false, "   a  ", "0-2 2-3 4-6 ");
    expect_matches("\\p{Han}+", false, "\xE4\xB8\xAD\xE3\x80\x81", "0-3 ");  /* not U+3001 */
    expect_matches("", false, "", "0-0 ");
}

/* Steps that grow exponentially end in an error; matches too deep for the first stack go on on
   another, and in the interpreter after that. */
static void test_limits(void **state)
{
    enum { N = 1 << 20 };
    const bb_allocator a = host();
    bb_regex          *r;
    bb_matcher        *m;
    bamba_error        err;
    bool               found;
    char              *text = malloc(N);

    (void)state;
    assert_non_null(text);
    memset(text, 'a', N);
    assert_int_equal(bb_matcher_create(&m, &a, &err), BAMBA_OK);
    assert_int_equal(bb_regex_compile(&r, &a, "(a|aa)+\\d", 9, false, &err), BAMBA_OK);
    bb_scan s = bb_scan_begin(r, m, text, 64);
    expect_status("steps", bb_scan_next(&s, &found, &err), &err, BAMBA_ERR_UNSUPPORTED,
                  "steps");
    bb_regex_free(r);

    assert_int_equal(bb_regex_compile(&r, &a, "(a|b)+", 6, false, &err), BAMBA_OK);
    static const size_t lengths[] = { 100, 20000, 100000 };
    for (size_t i = 0; i < COUNT(lengths); i++) {
        s = bb_scan_begin(r, m, text, lengths[i]);
        assert_int_equal(bb_scan_next(&s, &found, &err), BAMBA_OK);
        assert_true(found && s.start == 0 && s.end == lengths[i]);
    }
    bb_regex_free(r);
    bb_matcher_free(m);
    free(text);
}

/* A window must not change the matches: a text longer than many of them, made of known pieces. */
static void test_long_texts(void **state)
{
    static const struct { const char *pattern, *unit, *match[5]; } cases[] = {
        { "\\p{L}+|\\s+(?!\\S)|\\s", "ab  c ", { "ab", " ", " ", "c", " " } },
        { "[^x]*x|a", "aaaax", { "aaaax" } },
        { "(?<=b)c|b", "cbc", { "b", "c" } },
        { "\xC3\xA9\xC3\xA9|\xC3\xA9", "\xC3\xA9\xC3\xA9 ", { "\xC3\xA9\xC3\xA9" } },
    };
    enum { REPEATS = 3000 };
    const bb_allocator a = host();
    bamba_error        err;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const size_t n_unit = strlen(cases[i].unit);
        char        *text = malloc(n_unit * REPEATS);
        bb_regex    *r;
        bb_matcher  *m;
        bool         found = true;
        size_t       n = 0;
        size_t       n_matches = 0;
        for (int k = 0; k < REPEATS; k++)
            memcpy(text + (size_t)k * n_unit, cases[i].unit, n_unit);
        while (n_matches < 5 && cases[i].match[n_matches]) n_matches++;
        assert_int_equal(bb_regex_compile(&r, &a, cases[i].pattern, strlen(cases[i].pattern),
                                          false, &err), BAMBA_OK);
        assert_int_equal(bb_matcher_create(&m, &a, &err), BAMBA_OK);
        bb_scan s = bb_scan_begin(r, m, text, n_unit * REPEATS);
        while (bb_scan_next(&s, &found, &err) == BAMBA_OK && found) {
            const char *expected = cases[i].match[n % n_matches];
            if (s.end - s.start != strlen(expected) ||
                memcmp(text + s.start, expected, s.end - s.start) != 0)
                fail_msg("%s: match %zu is '%.*s'", cases[i].pattern, n,
                         (int)(s.end - s.start), text + s.start);
            n++;
        }
        assert_int_equal(n, n_matches * REPEATS);
        bb_matcher_free(m);
        bb_regex_free(r);
        free(text);
    }
}

/* One long match costs what it reads; one that reads on from every byte uses up the budget. */
static void test_budget(void **state)
{
    enum { N = 200000 };
    static const struct { const char *pattern; bb_status status; } cases[] = {
        { "[^c]*c|a+", BAMBA_OK }, { "[^c]*c|a", BAMBA_ERR_UNSUPPORTED },
        { "[^c]*c|b", BAMBA_ERR_UNSUPPORTED }, { "(a|aa)+\\d|a", BAMBA_ERR_UNSUPPORTED },
    };
    const bb_allocator a = host();
    bamba_error        err;
    char              *text = malloc(N);

    (void)state;
    memset(text, 'a', N);
    for (size_t i = 0; i < COUNT(cases); i++) {
        bb_regex   *r;
        bb_matcher *m;
        bool        found = true;
        bb_status   status = BAMBA_OK;
        assert_int_equal(bb_regex_compile(&r, &a, cases[i].pattern, strlen(cases[i].pattern),
                                          false, &err), BAMBA_OK);
        assert_int_equal(bb_matcher_create(&m, &a, &err), BAMBA_OK);
        bb_matcher_begin(m, 0, NULL, NULL);
        bb_scan s = bb_scan_begin(r, m, text, N);
        while (status == BAMBA_OK && found) status = bb_scan_next(&s, &found, &err);
        expect_status(cases[i].pattern, status, &err, cases[i].status,
                      cases[i].status ? "too many steps" : NULL);
        bb_matcher_free(m);
        bb_regex_free(r);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_translations),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
