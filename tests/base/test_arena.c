/* Measuring and carving give the same layout; overflow sticks. */
#include "base/arena.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { PIECES = 5 };

static const struct {
    size_t n, elem_bytes;
} piece[PIECES] = { { 10, 4 }, { 0, 8 }, { 1, 1 }, { 64, 1 }, { 65, 2 } };

static void test_measure_equals_carve(void **state)
{
    bb_allocator a;
    bb_arena     measure = BB_MEASURE;
    size_t       payload = 0;

    (void)state;
    assert_int_equal(bb_allocator_resolve(&a, NULL, NULL), BAMBA_OK);
    for (int i = 0; i < PIECES; i++) {
        assert_null(bb_take(&measure, piece[i].n, piece[i].elem_bytes));
        payload += piece[i].n * piece[i].elem_bytes;
    }
    assert_false(measure.overflow);
    assert_true(measure.used >= payload);

    unsigned char *block = bb_allocate(&a, measure.used, 1);
    bb_arena       real = { .base = block, .size = measure.used };
    unsigned char *end = block;
    for (int i = 0; i < PIECES; i++) {
        unsigned char *p = bb_take(&real, piece[i].n, piece[i].elem_bytes);
        const size_t   bytes = piece[i].n * piece[i].elem_bytes;
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        assert_true(p >= end);                   /* behind the one before */
        memset(p, i, bytes);
        end = p + bytes;
    }
    assert_int_equal(real.used, measure.used);
    assert_true(end <= block + measure.used);
    bb_unguard(block, measure.used);
    memset(block, 0, measure.used);              /* whole again: no guard is left */
    bb_release(&a, block);
}

/* A plain arena has no gaps in any build: blocks are copied as a whole. */
static void test_plain(void **state)
{
    bb_arena a = BB_MEASURE;

    (void)state;
    a.plain = true;
    bb_take(&a, 1, 1);
    assert_int_equal(a.used, 64);
    bb_take(&a, 16, 4);
    assert_int_equal(a.used, 128);
    bb_take(&a, 0, 4);
    assert_int_equal(a.used, 128);
    bb_take(&a, 65, 1);
    assert_int_equal(a.used, 256);
}

static void test_overflow_sticks(void **state)
{
    (void)state;
    bb_arena product = BB_MEASURE;
    assert_null(bb_take(&product, SIZE_MAX / 4, 8));
    assert_true(product.overflow);
    bb_take(&product, 1, 1);
    assert_true(product.overflow);

    bb_arena sum = BB_MEASURE;
    bb_take(&sum, SIZE_MAX / 4, 1);
    assert_false(sum.overflow);
    bb_take(&sum, SIZE_MAX / 4, 1);
    bb_take(&sum, SIZE_MAX / 4, 1);
    assert_true(sum.overflow);

    bb_arena widest = BB_MEASURE;
    bb_take(&widest, SIZE_MAX, 1);
    assert_true(widest.overflow);
    bb_arena rounded = BB_MEASURE;
    bb_take(&rounded, SIZE_MAX / 2, 1);          /* fits itself, not its rounding */
    assert_true(rounded.overflow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_measure_equals_carve),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_overflow_sticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
