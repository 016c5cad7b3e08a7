/* tensor.c - lists of tensors in the order of names; how a tensor looks in a message. */
#include "load/tensor.h"

#include "base/sort.h"

#include <stdio.h>
#include <string.h>

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const bb_tensor *)a)->name, ((const bb_tensor *)b)->name);
}

void bb_container_close(bb_container *c)
{
    if (c) c->close(c);
}

void bb_tensors_sort(bb_tensor *list, size_t n)
{
    bb_sort(list, n, sizeof *list, compare_names);
}

const bb_tensor *bb_tensors_find(const bb_tensor *list, size_t n, const char *name)
{
    size_t lo = 0;
    size_t hi = n;

    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        const int    order = strcmp(name, list[mid].name);
        if (order == 0) return &list[mid];
        if (order < 0) hi = mid;
        else lo = mid + 1;
    }
    return NULL;
}

bb_shape_text bb_shape_show(bb_type dtype, int n_dims, const size_t *dim)
{
    /* A type's name has <= 11 bytes, each dimension <= 20 digits and ", ": 8 of them fit. */
    _Static_assert(11 + 2 + BB_MAX_DIMS * 22 + 2 <= sizeof(bb_shape_text), "shape text");
    bb_shape_text text;
    size_t        n = 0;

    n += (size_t)snprintf(text.s, sizeof text.s, "%.11s [", bb_type_name(dtype));
    for (int i = 0; i < n_dims; i++)
        n += (size_t)snprintf(text.s + n, sizeof text.s - n, "%s%zu", i ? ", " : "", dim[i]);
    snprintf(text.s + n, sizeof text.s - n, "]");
    return text;
}

int bb_name_width(const char *name)
{
    enum { MOST = 100 };
    size_t n = 0;

    while (n < MOST && name[n]) n++;
    if (!name[n]) return (int)n;
    while (n > 0 && ((unsigned char)name[n] & 0xC0) == 0x80) n--;
    return (int)n;
}
