/* alloc.c - memory through the caller's allocator, or ours. */
#include "base/alloc.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* In front of each block of the default allocator. One cache line: payloads stay aligned. */
typedef union header {
    struct {
        size_t bytes;                     /* of the mapping; 0: the block came from malloc */
    } is;
    unsigned char line[64];
} header;

enum { MAPPED_FROM_BYTES = 1 << 20 };

static void *default_allocate(void *context, size_t bytes)
{
    (void)context;
    if (bytes > SIZE_MAX - sizeof(header) - 63) return NULL;
    bytes = (bytes + sizeof(header) + 63) & ~(size_t)63;

    header *h;
    if (bytes >= MAPPED_FROM_BYTES) {
        h = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (h == MAP_FAILED) return NULL;
        h->is.bytes = bytes;
    } else {
        h = aligned_alloc(sizeof(header), bytes);
        if (!h) return NULL;
        h->is.bytes = 0;
    }
    return h + 1;
}

static void default_release(void *context, void *block)
{
    (void)context;
    header *h = (header *)block - 1;
    if (h->is.bytes) munmap(h, h->is.bytes);
    else free(h);
}

bb_status bb_allocator_resolve(bb_allocator *out, const bamba_allocator *user, bamba_error *err)
{
    if (!user || (!user->allocate && !user->release)) {
        *out = (bb_allocator){ default_allocate, default_release, NULL };
        return BAMBA_OK;
    }
    if (!user->allocate || !user->release)
        return bb_fail(err, BAMBA_ERR_ARGUMENT,
                       "allocator: expected both allocate and release, found one of them");
    *out = *user;
    return BAMBA_OK;
}

void *bb_allocate(const bb_allocator *a, size_t n, size_t elem_bytes)
{
    if (n == 0 || elem_bytes == 0 || n > SIZE_MAX / elem_bytes) return NULL;
    return a->allocate(a->context, n * elem_bytes);
}

void bb_advise_huge_mapping(void *start, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    const int saved = errno;

    madvise(start, bytes, MADV_HUGEPAGE);
    errno = saved;
#else
    (void)start, (void)bytes;
#endif
}

void bb_advise_huge(const bb_allocator *a, void *block, size_t bytes)
{
    if (a->allocate != default_allocate || !block || bytes < MAPPED_FROM_BYTES) return;
    header *h = (header *)block - 1;
    if (h->is.bytes) bb_advise_huge_mapping(h, h->is.bytes);
}

void *bb_new(const bb_allocator *a, size_t n, size_t elem_bytes)
{
    void *p = bb_allocate(a, n, elem_bytes);
    if (p) memset(p, 0, n * elem_bytes);
    return p;
}

bool bb_reserve(const bb_allocator *a, void *pointer, size_t *capacity, size_t need,
                size_t elem_bytes)
{
    if (need <= *capacity) return true;

    size_t n = *capacity < 8 ? 8 : *capacity;
    while (n < need) {
        if (n > SIZE_MAX / 2) return false;
        n *= 2;
    }
    void *old, *grown = bb_allocate(a, n, elem_bytes);
    if (!grown) return false;
    memcpy(&old, pointer, sizeof old);    /* pointers to objects look alike, whatever their type */
    memcpy(pointer, &grown, sizeof grown);
    if (old) memcpy(grown, old, *capacity * elem_bytes);
    bb_release(a, old);
    *capacity = n;
    return true;
}

char *bb_copy_text(const bb_allocator *a, const char *text, size_t n)
{
    char *copy = n < SIZE_MAX ? bb_allocate(a, n + 1, 1) : NULL;
    if (!copy) return NULL;
    if (n) memcpy(copy, text, n);
    copy[n] = '\0';
    return copy;
}

void bb_release(const bb_allocator *a, void *block)
{
    if (block) a->release(a->context, block);
}
