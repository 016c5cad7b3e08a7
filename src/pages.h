/* pages.h - the attention cache of a session, in pages that sessions may share.
 *
 * Owns:    where each page lies, who else uses it, copying one before it is written.
 * Not:     what is in a page (mixer/), how many there are (plan.h).
 * Errors:  false: no memory, and nothing has changed.
 *
 * A session has room of its own for all pages of its context; with the built-in allocator memory is
 * used only as pages are written. A session forked from another begins with the other's pages, each
 * counted, and puts a copy into its own room before it writes one that somebody else still uses.
 * Threads: sessions that share pages may be used at the same time; one session by one thread.
 */
#ifndef BB_PAGES_H
#define BB_PAGES_H

#include "base/alloc.h"

typedef struct bb_store bb_store;         /* counted memory for pages of some numbers */

typedef struct bb_page_table {
    bb_allocator alloc;
    size_t       n_pages, page_bytes;     /* of the whole context; of each */
    size_t       n_used;                  /* pages 0 … n_used - 1 have a place */
    void       **page;                    /* [n_pages] where they lie; the mixers' view */
    bb_store   **store;                   /* [n_pages] whose memory that is */
    bb_store    *own;
} bb_page_table;

/* A table of n_pages >= 0, none of them used. */
bool bb_pages_create(bb_page_table *t, const bb_allocator *a, size_t n_pages, size_t page_bytes);
void bb_pages_free(bb_page_table *t);
/* Bytes that bb_pages_create takes for n_pages of which all are used; SIZE_MAX: too many. */
size_t bb_pages_bytes(size_t n_pages, size_t page_bytes);

/* Use the first n pages of `from`, of the same size, instead of those t has. */
void bb_pages_share(bb_page_table *t, const bb_page_table *from, size_t n);
/* Let go of all pages but the first n. */
void bb_pages_keep(bb_page_table *t, size_t n);
/* See that pages first … end - 1 may be written, and all before have a place. A page that others use
   is replaced; `copy_first`: with a copy of what it holds, if it is page `first`. */
bool bb_pages_write(bb_page_table *t, size_t first, size_t end, bool copy_first);

#endif
