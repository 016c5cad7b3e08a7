/* Lists by name; how shapes and long names are shown. */
#include "load/tensor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_sort_and_find(void **state)
{
    static const char *const names[] = { "b", "", "layers.10.w", "layers.2.w", "a", "\xC3\xA9",
    "aa" };
    static const char *const sorted[] = { "", "a", "aa", "b", "layers.10.w", "layers.2.w",
                                          "\xC3\xA9" };
    enum { N = sizeof names / sizeof names[0] };
    bb_tensor list[N] = { { 0 } };

    (void)state;
    for (int i = 0; i < N; i++) list[i].name = names[i];
    bb_tensors_sort(list, N);
    for (int i = 0; i < N; i++) assert_string_equal(list[i].name, sorted[i]);
    for (int i = 0; i < N; i++)
        assert_ptr_equal(bb_tensors_find(list, N, sorted[i]), &list[i]);
    assert_null(bb_tensors_find(list, N, "ab"));
    assert_null(bb_tensors_find(list, N, "zzz"));
    assert_null(bb_tensors_find(list, 1, "a"));
    assert_null(bb_tensors_find(NULL, 0, "a"));
}

static void test_shape_text(void **state)
{
    const size_t none[1] = { 0 };
    const size_t two[2] = { 16768, 4096 };
    size_t       widest[BB_MAX_DIMS];
    char         expected[256] = "F8_E4M3FNUZ [";

    (void)state;
    assert_string_equal(bb_shape_show(BB_TYPE_BF16, 2, two).s, "BF16 [16768, 4096]");
    assert_string_equal(bb_shape_show(BB_TYPE_F32, 0, none).s, "F32 []");
    assert_string_equal(bb_shape_show(BB_TYPE_F32, 1, none).s, "F32 [0]");
    for (int i = 0; i < BB_MAX_DIMS; i++) {
        widest[i] = SIZE_MAX;
        sprintf(expected + strlen(expected), "%s%zu", i ? ", " : "", SIZE_MAX);
    }
    strcat(expected, "]");
    assert_string_equal(bb_shape_show(BB_TYPE_F8_E4M3FNUZ, BB_MAX_DIMS, widest).s, expected);
}

static void test_name_width(void **state)
{
    char name[300] = "";

    (void)state;
    assert_int_equal(bb_name_width(""), 0);
    assert_int_equal(bb_name_width("model.norm.weight"), 17);
    memset(name, 'x', 100);
    name[100] = '\0';
    assert_int_equal(bb_name_width(name), 100);
    memset(name, 'x', 250);
    name[250] = '\0';
    assert_int_equal(bb_name_width(name), 100);
    for (int before = 96; before <= 100; before++) {             /* never inside a character */
        memset(name, 'x', (size_t)before);
        strcpy(name + before, "\xF0\x9F\x98\x80 and more");
        assert_int_equal(bb_name_width(name), before + 4 <= 100 ? 100 : before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sort_and_find),
        cmocka_unit_test(test_shape_text),
        cmocka_unit_test(test_name_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
