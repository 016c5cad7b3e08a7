/* Every code point there and back; every malformed shape of table 3-7 refused. */
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_every_code_point(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        unsigned char s[4];
        if (c >= 0xD800 && c <= 0xDFFF) continue;
        const size_t expected = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        const size_t n = bb_utf8_encode(c, s);
        if (n != expected || bb_utf8_length(s, n) != n || bb_utf8_decode(s, n) != c)
            fail_msg("U+%04X: %zu bytes", (unsigned)c, n);
        for (size_t cut = 0; cut < n; cut++)
            if (bb_utf8_length(s, cut) != 0) fail_msg("U+%04X cut to %zu", (unsigned)c, cut);
    }
}

/* Known encodings, so that encode and decode cannot be wrong together. */
static void test_known(void **state)
{
    unsigned char s[4];

    (void)state;
    assert_int_equal(bb_utf8_encode(0x20AC, s), 3);
    assert_memory_equal(s, "\xE2\x82\xAC", 3);
    assert_int_equal(bb_utf8_encode(0x10FFFF, s), 4);
    assert_memory_equal(s, "\xF4\x8F\xBF\xBF", 4);
    assert_int_equal(bb_utf8_decode((const unsigned char *)"\xC3\xA9", 2), 0xE9);
    assert_int_equal(bb_utf8_decode((const unsigned char *)"\xF0\x9F\x98\x80", 4), 0x1F600);
}

/* All sequences of up to 3 bytes and the edges of 4, against the definition by arithmetic: a
   sequence is good if its bits are a code point that needs that many bytes. */
static size_t length_by_arithmetic(const unsigned char *s, size_t n)
{
    static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
    const size_t need = s[0] < 0x80 ? 1 : (s[0] >> 5) == 6 ? 2 : (s[0] >> 4) == 14 ? 3
                      : (s[0] >> 3) == 30 ? 4 : 0;

    if (need == 0 || n < need) return 0;
    if (need == 1) return 1;
    uint32_t c = s[0] & ((1u << (7 - need)) - 1);
    for (size_t i = 1; i < need; i++) {
        if (s[i] >> 6 != 2) return 0;
        c = c << 6 | (s[i] & 63u);
    }
    if (c < least[need] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) return 0;
    return need;
}

static void test_every_sequence(void **state)
{
    static const unsigned char tail[] = { 0x00, 0x7F, 0x80, 0xBF, 0xC0, 0xFF };

    (void)state;
    for (unsigned lead = 0; lead < 256; lead++)
        for (unsigned second = 0; second < 256; second++)
            for (size_t third = 0; third < sizeof tail; third++)
                for (size_t fourth = 0; fourth < sizeof tail; fourth++)
                    for (size_t n = 1; n <= 4; n++) {
                        const unsigned char s[4] = { (unsigned char)lead, (unsigned char)second,
                                                     tail[third], tail[fourth] };
                        if (bb_utf8_length(s, n) != length_by_arithmetic(s, n))
                            fail_msg("%02X %02X %02X %02X, %zu bytes", s[0], s[1], s[2],
                                     s[3], n);
                    }
    assert_int_equal(bb_utf8_length(NULL, 0), 0);
}

static void test_valid(void **state)
{
    (void)state;
    assert_int_equal(bb_utf8_valid(NULL, 0), 0);
    assert_int_equal(bb_utf8_valid("abc", 3), 3);
    assert_int_equal(bb_utf8_valid("a\0b", 3), 3);
    assert_int_equal(bb_utf8_valid("a\xC3\xA9z", 4), 4);
    assert_int_equal(bb_utf8_valid("a\xC3", 2), 1);
    assert_int_equal(bb_utf8_valid("ab\xFFz", 4), 2);
    assert_int_equal(bb_utf8_valid("\xED\xA0\x80", 3), 0);
    assert_int_equal(bb_utf8_valid("\xC0\x80", 2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code_point),
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_every_sequence),
        cmocka_unit_test(test_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
