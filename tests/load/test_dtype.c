/* Names and sizes against the list in the format's documentation. */
#include "load/dtype.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *name;
    unsigned    bits;
} format[] = {
    { "BOOL", 8 }, { "F4", 4 }, { "F6_E2M3", 6 }, { "F6_E3M2", 6 }, { "U8", 8 }, { "I8", 8 },
    { "F8_E5M2", 8 }, { "F8_E4M3", 8 }, { "F8_E8M0", 8 }, { "F8_E4M3FNUZ", 8 },
    { "F8_E5M2FNUZ", 8 }, { "I16", 16 }, { "U16", 16 }, { "F16", 16 }, { "BF16", 16 },
    { "I32", 32 }, { "U32", 32 }, { "F32", 32 }, { "C64", 64 }, { "F64", 64 }, { "I64", 64 },
    { "U64", 64 },
};

enum { N_FORMAT = sizeof format / sizeof format[0] };

static void test_every_dtype(void **state)
{
    (void)state;
    assert_int_equal(N_FORMAT, BB_N_TYPES - 3);       /* all but NONE, Q8 and Q4 */
    for (size_t i = 0; i < N_FORMAT; i++) {
        const bb_type t = bb_type_find(format[i].name, strlen(format[i].name));
        assert_int_not_equal(t, BB_TYPE_NONE);
        assert_string_equal(bb_type_name(t), format[i].name);
        assert_int_equal(bb_type_bits(t), format[i].bits);
    }
    assert_int_equal(bb_type_find("F32", 3), BB_TYPE_F32);
    assert_int_equal(bb_type_find("BF16", 4), BB_TYPE_BF16);
    assert_int_equal(bb_type_find("F16", 3), BB_TYPE_F16);
}

static void test_other_names(void **state)
{
    static const char *const other[] = { "", "?", "f32", "F3", "F32 ", "F320", "float32",
    "BF16x", "Q8", "Q4" };

    (void)state;
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
        assert_int_equal(bb_type_find(other[i], strlen(other[i])), BB_TYPE_NONE);
    assert_int_equal(bb_type_find("F32\0", 4), BB_TYPE_NONE);
    assert_int_equal(bb_type_find("F32", 2), BB_TYPE_NONE);
    assert_string_equal(bb_type_name(BB_TYPE_NONE), "?");
    assert_int_equal(bb_type_bits(BB_TYPE_NONE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_dtype),
        cmocka_unit_test(test_other_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
