/* test_bytelevel.c - the map of bytes to characters and back. */
#include "text/bytelevel.h"

#include "base/utf8.h"

#include "text/parts.h"

static void test_all_bytes(void **state)
{
    const bb_allocator a = host();
    bb_buffer          text = { .a = &a };
    bb_buffer          back = { .a = &a };
    char               bytes[256];
    bool               seen[0x200] = { false };

    (void)state;
    for (int i = 0; i < 256; i++) bytes[i] = (char)i;
    assert_true(bb_bytelevel_encode(&text, bytes, 256));
    assert_int_equal(bb_utf8_valid(text.data, text.n), text.n);
    for (size_t i = 0; i < text.n;) {
        const unsigned char *s = (const unsigned char *)text.data + i;
        const size_t         n = bb_utf8_length(s, text.n - i);
        const uint32_t       c = bb_utf8_decode(s, n);
        assert_in_range(c, 33, 0x143);
        assert_false(seen[c]);
        seen[c] = true;
        i += n;
    }
    assert_true(bb_bytelevel_decode(&back, text.data, text.n));
    assert_int_equal(back.n, 256);
    assert_memory_equal(back.data, bytes, 256);
    bb_buffer_free(&text);
    bb_buffer_free(&back);
}

static void test_known(void **state)
{
    const bb_allocator a = host();
    bb_buffer          out = { .a = &a };
    int                n = 0;

    (void)state;
    assert_int_equal(bb_bytelevel_byte(0x120), ' ');
    assert_int_equal(bb_bytelevel_byte(0x10A), '\n');
    assert_int_equal(bb_bytelevel_byte(0x143), 173);
    assert_int_equal(bb_bytelevel_byte('A'), 'A');
    assert_int_equal(bb_bytelevel_byte(0x144), -1);
    assert_int_equal(bb_bytelevel_byte(' '), -1);
    for (uint32_t c = 0; c < 0x110000; c++) n += bb_bytelevel_byte(c) >= 0;
    assert_int_equal(n, 256);
    /* one foreign character, and the text stands for itself */
    assert_true(bb_bytelevel_decode(&out, "\xC4\xA0 x", 4));
    assert_int_equal(out.n, 4);
    assert_memory_equal(out.data, "\xC4\xA0 x", 4);
    bb_buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_bytes),
        cmocka_unit_test(test_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
