/* sort.c - heap sort: n log n for any input, which may come from a hostile file.
 * Source: Williams 1964 / Floyd 1964, Algorithm 245 "Treesort 3". */
#include "base/sort.h"

static void swap(unsigned char *x, unsigned char *y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = x[i];
        x[i] = y[i];
        y[i] = c;
    }
}

/* Let the element at `at` sink until no child in [0, n) is larger. */
static void sift_down(unsigned char *a, size_t at, size_t n, size_t w, bb_compare_fn *compare)
{
    while (at < n / 2) {
        size_t child = 2 * at + 1;
        if (child + 1 < n && compare(a + child * w, a + (child + 1) * w) < 0) child++;
        if (compare(a + at * w, a + child * w) >= 0) return;
        swap(a + at * w, a + child * w, w);
        at = child;
    }
}

void bb_sort(void *array, size_t n, size_t elem_bytes, bb_compare_fn *compare)
{
    unsigned char *a = array;

    for (size_t i = n / 2; i-- > 0;) sift_down(a, i, n, elem_bytes, compare);
    for (size_t end = n; end > 1; end--) {
        swap(a, a + (end - 1) * elem_bytes, elem_bytes);
        sift_down(a, 0, end - 1, elem_bytes, compare);
    }
}
