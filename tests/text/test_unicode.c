/* test_unicode.c - character classes and normal forms; values from the Unicode standard. */
#include "text/unicode.h"

#include "text/parts.h"
#include "text/unicode_new.h"

static void test_classes(void **state)
{
    static const uint32_t spaces[] = { 9, 10, 11, 12, 13, 32, 0x85, 0xA0, 0x1680, 0x2000,
                                       0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000 };
    static const uint32_t none[] = { 8, 14, 'a', 0x180E, 0x200B, 0x2060, 0xFEFF };
    size_t                n = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(spaces); i++) assert_true(bb_char_is_space(spaces[i]));
    for (size_t i = 0; i < COUNT(none); i++) assert_false(bb_char_is_space(none[i]));
    for (uint32_t c = 0; c < 0x110000; c++) n += bb_char_is_space(c);
    assert_int_equal(n, 25);              /* White_Space has 25 characters */

    assert_true(bb_char_is_number('7') && bb_char_is_number(0xBD) && bb_char_is_number(0x2167));
    assert_true(bb_char_is_number(0x10D41));                  /* a digit of Unicode 16 */
    assert_false(bb_char_is_number('x') || bb_char_is_number(0x4E09));
    assert_true(bb_char_is_punctuation('$') && bb_char_is_punctuation(0x3001));
    assert_false(bb_char_is_punctuation('a') || bb_char_is_punctuation(0x20AC));
    assert_true(bb_char_is_word('_') && bb_char_is_word(0xE9) && bb_char_is_word(0x301));
    assert_true(bb_char_is_word(0x203F) && bb_char_is_word(0x24B6) && bb_char_is_word(0x1C89));
    assert_false(bb_char_is_word('-') || bb_char_is_word(0xBD) || bb_char_is_word(0x1F600));
    assert_true(bb_char_is_mark(0x301) && bb_char_is_mark(0x20DD));
    assert_false(bb_char_is_mark('a') || bb_char_is_mark(0x8D0));
}

static void test_lower(void **state)
{
    uint32_t out[2];

    (void)state;
    assert_int_equal(bb_char_lower('A', out), 1);
    assert_int_equal(out[0], 'a');
    assert_int_equal(bb_char_lower(0x3A3, out), 1);
    assert_int_equal(out[0], 0x3C3);
    assert_int_equal(bb_char_lower(0x130, out), 2);
    assert_int_equal(out[0], 'i');
    assert_int_equal(out[1], 0x307);
}

static void expect_form(bb_form form, const char *text, size_t n, const char *expected)
{
    const bb_allocator a = host();
    bb_buffer          out = { .a = &a };

    assert_int_equal(bb_unicode_normalize(&out, text, n, form, NULL), BAMBA_OK);
    assert_int_equal(out.n, strlen(expected));
    if (out.n) assert_memory_equal(out.data, expected, out.n);
    bb_buffer_free(&out);
}

static void test_forms(void **state)
{
    (void)state;
    expect_form(BB_NFC, "", 0, "");
    expect_form(BB_NFC, "e\xCC\x81", 3, "\xC3\xA9");
    expect_form(BB_NFD, "\xC3\xA9", 2, "e\xCC\x81");
    expect_form(BB_NFC, "q\xCC\x87\xCC\xA3", 5, "q\xCC\xA3\xCC\x87"); /* 0323 before 0307 */
    expect_form(BB_NFC, "\xE2\x84\xAB", 3, "\xC3\x85");                /* Angstrom sign    */
    expect_form(BB_NFC, "\xEF\xAC\x81", 3, "\xEF\xAC\x81");            /* fi ligature …    */
    expect_form(BB_NFKC, "\xEF\xAC\x81", 3, "fi");
    expect_form(BB_NFKD, "\xE1\xBA\x9B\xCC\xA3", 5, "s\xCC\xA3\xCC\x87");
    expect_form(BB_NFC, "\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8", 9, "\xEA\xB0\x81"); /* Hangul */
    expect_form(BB_NFD, "\xEA\xB0\x81", 3, "\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8");
    /* U+0958 is excluded from composition */
    expect_form(BB_NFC, "\xE0\xA5\x98", 3, "\xE0\xA4\x95\xE0\xA4\xBC");
}

/* 100,000 marks in the worst order, which exchanging neighbours would take minutes for. */
static void test_long_run(void **state)
{
    enum { N = 100000 };
    const bb_allocator a = host();
    bb_buffer          text = { .a = &a };
    bb_buffer          out = { .a = &a };

    (void)state;
    assert_true(bb_buffer_append(&text, "b", 1));
    for (int i = 0; i < N; i++)
        assert_true(bb_buffer_append_char(&text, i % 2 ? 0x327u : 0x301u));   /* 202 and 230 */
    assert_int_equal(bb_unicode_normalize(&out, text.data, text.n, BB_NFD, NULL), BAMBA_OK);
    assert_int_equal(out.n, text.n);
    for (int i = 0; i < N; i++)
        assert_memory_equal(out.data + 1 + 2 * i, i < N / 2 ? "\xCC\xA7" : "\xCC\x81", 2);
    bb_buffer_free(&text);
    bb_buffer_free(&out);
}

static void test_tables_ascend(void **state)
{
    size_t                  n;
    const bb_unicode_range *r = bb_unicode_new(&n);
    size_t                  covered = 0;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        assert_true(r[i].first <= r[i].last);
        if (strlen(r[i].property) > 2) continue;              /* a script */
        covered += r[i].last - r[i].first + 1;
        if (i > 0) assert_true(r[i - 1].last < r[i].first);
        assert_string_equal(bb_unicode_new_category(r[i].first), r[i].property);
        assert_string_equal(bb_unicode_new_category(r[i].last), r[i].property);
    }
    for (uint32_t c = 0; c < 0x110000; c++) covered -= bb_unicode_new_category(c) != NULL;
    assert_int_equal(covered, 0);
    assert_null(bb_unicode_new_category('a'));
    assert_null(bb_unicode_new_category(0x10FFFF));
    assert_true(bb_unicode_is_plain(0x1E030) && bb_unicode_is_plain(0x8D0));
    assert_false(bb_unicode_is_plain(0x301) || bb_unicode_is_plain('a'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_lower),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_long_run),
        cmocka_unit_test(test_tables_ascend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
