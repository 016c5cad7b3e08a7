/* arena.c - carve one block; measure with the code that carves. */
#include "base/arena.h"

#include <assert.h>

#if defined(__SANITIZE_ADDRESS__)
#  define BB_POISON 1
#elif defined(__has_feature)
#  if __has_feature(address_sanitizer)
#    define BB_POISON 1
#  endif
#endif
#ifdef BB_POISON
#  include <sanitizer/asan_interface.h>
#endif

enum { ALIGN = 64 };
#ifdef BB_POISON
enum { GAP = 64 };                        /* a poisoned line between takes */
#endif

size_t bb_whole_lines(size_t bytes) { return (bytes + ALIGN - 1) / ALIGN * ALIGN; }

void *bb_take(bb_arena *a, size_t n, size_t elem_bytes)
{
    size_t bytes = 0;

    if (elem_bytes && n > (SIZE_MAX / 2) / elem_bytes) a->overflow = true;
    else bytes = bb_whole_lines(n * elem_bytes);
#ifdef BB_POISON
    if (!a->plain) bytes += GAP;
#endif
    if (bytes > SIZE_MAX / 2 - a->used) a->overflow = true;
    if (a->overflow) return NULL;

    const size_t at = a->used;
    a->used += bytes;
    if (!a->base) return NULL;
    assert(a->used <= a->size);
#ifdef BB_POISON
    if (!a->plain) {
        ASAN_UNPOISON_MEMORY_REGION(a->base + at, bytes);
        ASAN_POISON_MEMORY_REGION(a->base + at + n * elem_bytes, bytes - n * elem_bytes);
    }
#endif
    return a->base + at;
}

void bb_unguard(void *block, size_t size)
{
#ifdef BB_POISON
    if (block) ASAN_UNPOISON_MEMORY_REGION(block, size);
#else
    (void)block, (void)size;
#endif
}
