/* stops.c - text that ends before the first of some strings. */
#include "stops.h"

#include <string.h>

bool stops_find(const arg_list *stops, const text_buffer *t, size_t *safe)
{
    for (; *safe < t->n; (*safe)++) {
        const size_t rest = t->n - *safe;
        bool possible = false;

        for (size_t i = 0; i < stops->n; i++) {
            const size_t length = strlen(stops->items[i]);
            const size_t n = length < rest ? length : rest;
            if (memcmp(t->bytes + *safe, stops->items[i], n) != 0) continue;
            if (n == length) return true;
            possible = true;
        }
        if (possible) return false;
    }
    return false;
}
