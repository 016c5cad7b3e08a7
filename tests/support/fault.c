/* fault.c - an allocator that counts, fails on request, and knows what was not released. */
#include "support/fault.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, FILL_AT_MOST = 1 << 20 };

static const uint64_t LIVE = UINT64_C(0x6C6976652D626C6B);
static const uint64_t DEAD = UINT64_C(0x646561642D626C6B);

/* In front of each block, on a line of its own. */
typedef struct header {
    uint64_t magic;
    size_t   bytes;
} header;

_Static_assert(sizeof(header) <= ALIGN, "header");

static void stop(const char *what)
{
    fprintf(stderr, "fault allocator: %s\n", what);
    abort();
}

static void fill(void *block, int byte, size_t bytes)
{
    memset(block, byte, bytes < FILL_AT_MOST ? bytes : FILL_AT_MOST);
}

static void *allocate(void *context, size_t bytes)
{
    fault *f = context;
    void  *line;

    if (f->armed) stop("allocation where none may happen");
    f->n_calls++;
    if (f->fail_at && (f->forever ? f->n_calls >= f->fail_at : f->n_calls == f->fail_at)) {
        f->n_refused++;
        return NULL;
    }
    if (bytes > SIZE_MAX - ALIGN) return NULL;
    /* Exact, so that AddressSanitizer sees the first byte beyond. */
    if (posix_memalign(&line, ALIGN, bytes + ALIGN) != 0) return NULL;

    header *h = line;
    h->magic = LIVE;
    h->bytes = bytes;
    f->n_live++;
    f->live_bytes += bytes;
    if (f->live_bytes > f->peak_bytes) f->peak_bytes = f->live_bytes;
    void *block = (unsigned char *)line + ALIGN;
    fill(block, 0xA5, bytes);
    return block;
}

static void release(void *context, void *block)
{
    fault *f = context;

    if (!block) stop("release of NULL");
    header *h = (header *)(void *)((unsigned char *)block - ALIGN);
    if (h->magic == DEAD) stop("block released twice");
    if (h->magic != LIVE) stop("release of what was not allocated here");
    h->magic = DEAD;
    f->n_live--;
    f->live_bytes -= h->bytes;
    fill(block, 0x5A, h->bytes);
    free(h);
}

bamba_allocator fault_allocator(fault *f)
{
    return (bamba_allocator){ allocate, release, f };
}
