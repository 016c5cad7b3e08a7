/* pages.h - the attention cache of a session, in pages that sessions may share.
 *
 * Owns:    where each page lies, who else uses it, copying one before it is written.
 * Not:     what is in a page (mixer/), how many there are (plan.h).
 * Errors:  false: no memory, and nothing has changed.
 *
 * A session has room of its own for all pages it will have at once; with the built-in allocator
 * memory is used only as pages are written. Where there is no room left, as behind a pass of very
 * many rows, a page gets memory by itself. A session forked from another begins with the other's
 * pages, each counted, and puts a copy into its own room before it writes one that somebody else
 * still uses. Threads: sessions that share pages may be used at the same time; one session by one
 * thread.
 */
#ifndef BB_PAGES_H
#define BB_PAGES_H

#include "base/alloc.h"

typedef struct bb_store bb_store;         /* counted memory for pages of some numbers */

typedef struct bb_page_table {
    bb_allocator alloc;
    size_t       n_pages, page_bytes;     /* most at once; of each */
    size_t       n_used;                  /* pages 0 … n_used - 1 have a place */
    size_t       n_fixed, n_gone;         /* behind the first n_fixed pages so many have been let go
                                             of: the others have moved up */
    size_t       n_own;                   /* pages there is room for in `own` */
    void       **page;                    /* [n_pages] where they lie; the mixers' view */
    bb_store   **store;                   /* [n_pages] whose memory that is */
    bb_store    *own;
} bb_page_table;

/* How many pages a table is for: at once, of them in room of its own (all of which the first
   n_fixed never are, unless they are 0), and never let go of before the others. */
typedef struct bb_page_plan {
    size_t n_pages, n_own, n_fixed;
} bb_page_plan;

/* A table none of whose pages are used. */
bool bb_pages_create(bb_page_table *t, const bb_allocator *a, const bb_page_plan *plan,
                     size_t page_bytes);
void bb_pages_free(bb_page_table *t);
/* Bytes that bb_pages_create takes if all its own room is used; SIZE_MAX: too many. */
size_t bb_pages_bytes(const bb_page_plan *plan, size_t page_bytes);

/* Use n pages of `from`, of the same size and n_fixed, instead of those t has: the fixed ones, and
   those behind the n_skip next ones. */
void bb_pages_share(bb_page_table *t, const bb_page_table *from, size_t n_skip, size_t n);
/* Let go of all pages but the first n; of all: of those gone is nothing known any more. */
void bb_pages_keep(bb_page_table *t, size_t n);
/* Let go of all pages, and begin as if n_gone had been let go of behind the fixed ones. */
void bb_pages_begin(bb_page_table *t, size_t n_gone);
/* Let go of n pages behind the fixed ones. */
void bb_pages_drop(bb_page_table *t, size_t n);
/* See that pages first … end - 1 may be written, and all before have a place. A page that others
   use is replaced; `copy_first`: with a copy of what it holds, if it is page `first`. */
bool bb_pages_write(bb_page_table *t, size_t first, size_t end, bool copy_first);

#endif
