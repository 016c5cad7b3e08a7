/* Sorted, and the same elements as before. */
#include "base/sort.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 300 };

typedef struct item {
    uint32_t key;
    char     rest[9];                     /* an element size that is no power of two */
} item;

static int by_key(const void *a, const void *b)
{
    const uint32_t x = ((const item *)a)->key;
    const uint32_t y = ((const item *)b)->key;
    return x < y ? -1 : x > y;
}

static void check(size_t n, uint32_t range, int order)
{
    item     array[MOST];
    unsigned count[MOST] = { 0 };
    uint32_t state = 12345;

    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        array[i].key = order > 0 ? (uint32_t)i : order < 0 ? (uint32_t)(n - i)
                                                           : (state >> 8) % range;
        memset(array[i].rest, (int)(array[i].key & 0x7F), sizeof array[i].rest);
        if (order == 0) count[array[i].key]++;
    }
    bb_sort(array, n, sizeof *array, by_key);
    for (size_t i = 0; i < n; i++) {
        if (i) assert_true(array[i - 1].key <= array[i].key);
        assert_int_equal(array[i].rest[8], array[i].key & 0x7F);      /* moved as a whole */
        if (order == 0) count[array[i].key]--;
    }
    for (size_t k = 0; k < MOST; k++) assert_int_equal(count[k], 0);
}

static void test_sort(void **state)
{
    (void)state;
    bb_sort(NULL, 0, sizeof(item), by_key);
    for (size_t n = 0; n <= MOST; n += n < 20 ? 1 : 35) {
        check(n, 1, 0);                          /* all equal */
        check(n, 5, 0);                          /* many duplicates */
        check(n, MOST, 0);
        check(n, MOST, 1);                       /* sorted already */
        check(n, MOST, -1);                      /* backwards */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_sort) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
