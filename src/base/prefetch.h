/* prefetch.h - memory that will be read soon.
 *
 * Owns:    asking for cache lines before they are read.
 * Not:     prefetching inside of kernels, which know their order.
 */
#ifndef BB_BASE_PREFETCH_H
#define BB_BASE_PREFETCH_H

#include <stddef.h>

/* Ask for the lines of `bytes` bytes from p on, into the second-level cache. It never faults: they
   may reach beyond what is there. */
static inline void bb_prefetch(const void *p, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch((const char *)p + i, 0, 2);
}

#endif
