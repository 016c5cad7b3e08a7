/* Alignment, overflow, growth, the caller's allocator. */
#include "base/alloc.h"

#include "support/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bb_allocator default_allocator(void)
{
    bb_allocator a;
    assert_int_equal(bb_allocator_resolve(&a, NULL, NULL), BAMBA_OK);
    return a;
}

static void test_resolve(void **state)
{
    fault                 f = { 0 };
    const bamba_allocator mine = fault_allocator(&f);
    const bamba_allocator none = { NULL, NULL, NULL };
    bamba_allocator       half = mine;
    bb_allocator          a;
    bamba_error           err;

    (void)state;
    assert_int_equal(bb_allocator_resolve(&a, &mine, &err), BAMBA_OK);
    assert_true(a.allocate == mine.allocate && a.release == mine.release);
    assert_ptr_equal(a.context, &f);
    assert_int_equal(bb_allocator_resolve(&a, &none, &err), BAMBA_OK);
    assert_true(a.allocate && a.release);
    half.release = NULL;
    assert_int_equal(bb_allocator_resolve(&a, &half, &err), BAMBA_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "allocator"));
    half = mine;
    half.allocate = NULL;
    assert_int_equal(bb_allocator_resolve(&a, &half, &err), BAMBA_ERR_ARGUMENT);
}

/* Both kinds of block of the default allocator, and the sizes where one becomes the other. */
static void test_default_blocks(void **state)
{
    static const size_t sizes[] = { 1, 63, 64, 65, 4096, (1 << 20) - 129, (1 << 20) - 128,
                                    (1 << 20) - 64, (1 << 20) - 63, 1 << 20, (1 << 20) + 1,
                                    5 << 20 };
    const bb_allocator a = default_allocator();

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *p = bb_allocate(&a, sizes[i], 1);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        memset(p, 0xFF, sizes[i]);
        bb_release(&a, p);
        p = bb_new(&a, sizes[i], 1);
        assert_non_null(p);
        for (size_t k = 0; k < sizes[i]; k++) assert_int_equal(p[k], 0);
        bb_release(&a, p);
    }
    bb_release(&a, NULL);
}

static void test_overflow(void **state)
{
    const bb_allocator a = default_allocator();
    fault              f = { 0 };
    const bb_allocator counted = fault_allocator(&f);

    (void)state;
    assert_null(bb_allocate(&counted, SIZE_MAX / 2, 3));
    assert_null(bb_allocate(&counted, SIZE_MAX, SIZE_MAX));
    assert_null(bb_new(&counted, (size_t)1 << 33, (size_t)1 << 33));
    assert_null(bb_allocate(&counted, 0, 8));
    assert_null(bb_allocate(&counted, 8, 0));
    assert_int_equal(f.n_calls, 0);
    assert_null(bb_allocate(&a, SIZE_MAX, 1));
    assert_null(bb_allocate(&a, SIZE_MAX - 64, 1));
    assert_null(bb_allocate(&a, SIZE_MAX - 130, 1));
    assert_null(bb_copy_text(&a, "", SIZE_MAX));
}

static void test_new_clears(void **state)
{
    fault              f = { 0 };
    const bb_allocator a = fault_allocator(&f);

    (void)state;
    unsigned char *p = bb_new(&a, 100, 3);       /* the fault allocator hands out 0xA5 */
    for (size_t i = 0; i < 300; i++) assert_int_equal(p[i], 0);
    bb_release(&a, p);
    assert_int_equal(f.n_live, 0);
}

static void test_reserve(void **state)
{
    fault              f = { 0 };
    const bb_allocator a = fault_allocator(&f);
    void              *array = NULL;
    size_t             capacity = 0;

    (void)state;
    assert_true(bb_reserve(&a, &array, &capacity, 0, sizeof(int)));
    assert_null(array);
    for (size_t n = 1; n <= 1000; n++) {
        assert_true(bb_reserve(&a, &array, &capacity, n, sizeof(int)));
        assert_true(capacity >= n);
        ((int *)array)[n - 1] = (int)n;
    }
    for (int i = 0; i < 1000; i++) assert_int_equal(((int *)array)[i], i + 1);
    assert_true(f.n_calls <= 8);                 /* doubling: 8, 16, ... 1024 */
    assert_int_equal(f.n_live, 1);

    void *const  before = array;
    const size_t was = capacity;
    f.fail_at = f.n_calls + 1;
    assert_false(bb_reserve(&a, &array, &capacity, was + 1, sizeof(int)));
    assert_ptr_equal(array, before);
    assert_int_equal(capacity, was);
    assert_false(bb_reserve(&a, &array, &capacity, SIZE_MAX, sizeof(int)));
    assert_false(bb_reserve(&a, &array, &capacity, SIZE_MAX / 4, sizeof(int)));
    assert_ptr_equal(array, before);
    assert_int_equal(((int *)array)[999], 1000);
    bb_release(&a, array);
    assert_int_equal(f.n_live, 0);
}

static void test_copy_text(void **state)
{
    fault              f = { 0 };
    const bb_allocator a = fault_allocator(&f);

    (void)state;
    char *s = bb_copy_text(&a, "abcdef", 3);
    assert_string_equal(s, "abc");
    bb_release(&a, s);
    s = bb_copy_text(&a, NULL, 0);
    assert_string_equal(s, "");
    bb_release(&a, s);
    s = bb_copy_text(&a, "a\0b", 3);
    assert_memory_equal(s, "a\0b", 4);
    bb_release(&a, s);
    f.fail_at = f.n_calls + 1;
    assert_null(bb_copy_text(&a, "abc", 3));
    assert_int_equal(f.n_live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolve),
        cmocka_unit_test(test_default_blocks),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_new_clears),
        cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_copy_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
