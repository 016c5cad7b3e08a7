/* sort.h - sorting in place.
 *
 * Owns:    the order of an array's elements.
 * Not:     memory: the C library's qsort may allocate behind the caller's allocator.
 * Errors:  none.
 */
#ifndef BB_BASE_SORT_H
#define BB_BASE_SORT_H

#include <stddef.h>

/* < 0, 0, > 0 as a stands before, beside or after b. */
typedef int bb_compare_fn(const void *a, const void *b);

/* Not stable: make the comparison total where the order of equals matters. */
void bb_sort(void *array, size_t n, size_t elem_bytes, bb_compare_fn *compare);

#endif
