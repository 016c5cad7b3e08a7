/* pages.c - the attention cache of a session, in pages that sessions may share. */
#include "pages.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

struct bb_store {
    bb_allocator   alloc;
    atomic_size_t  n_users;               /* tables that have a page here, once a page, and its owner */
    size_t         first, page_bytes;     /* number of the first page */
    size_t         n_counted;             /* so many of count have a value: by the owner alone */
    unsigned char *memory;                /* [n, page_bytes] */
    atomic_int    *count;                 /* [n] tables that have this page */
};

/* -------------------------------------------------------------- stores ------------------- */

static bb_store *create_store(const bb_allocator *a, size_t first, size_t n, size_t page_bytes)
{
    bb_store *s = bb_new(a, 1, sizeof *s);

    if (!s) return NULL;
    s->alloc = *a;
    s->first = first;
    s->page_bytes = page_bytes;
    atomic_init(&s->n_users, 1);
    s->memory = bb_allocate(a, n, page_bytes);
    s->count = bb_allocate(a, n, sizeof *s->count);
    if (s->memory && s->count) {
        bb_advise_huge(a, s->memory, n * page_bytes);     /* at depth, 4 KiB pages halve decoding */
        return s;
    }
    bb_release(a, s->memory);
    bb_release(a, s->count);
    bb_release(a, s);
    return NULL;
}

static void leave_store(bb_store *s)
{
    if (atomic_fetch_sub_explicit(&s->n_users, 1, memory_order_acq_rel) > 1) return;
    const bb_allocator a = s->alloc;
    bb_release(&a, s->memory);
    bb_release(&a, s->count);
    bb_release(&a, s);
}

static atomic_int *count_of(const bb_store *s, size_t page) { return &s->count[page - s->first]; }

static void take_page(bb_store *s, size_t page)
{
    atomic_fetch_add_explicit(count_of(s, page), 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->n_users, 1, memory_order_relaxed);
}

static void leave_page(bb_store *s, size_t page)
{
    atomic_fetch_sub_explicit(count_of(s, page), 1, memory_order_acq_rel);
    leave_store(s);
}

static void *place_of(const bb_store *s, size_t page)
{
    return s->memory + (page - s->first) * s->page_bytes;
}

/* -------------------------------------------------------------- tables ------------------- */

size_t bb_pages_bytes(size_t n_pages, size_t page_bytes)
{
    const size_t each = page_bytes + 2 * sizeof(void *) + sizeof(atomic_int);

    if (page_bytes == 0) return 0;
    return n_pages > SIZE_MAX / each - 1 ? SIZE_MAX : n_pages * each + sizeof(bb_store);
}

bool bb_pages_create(bb_page_table *t, const bb_allocator *a, size_t n_pages, size_t page_bytes)
{
    *t = (bb_page_table){ .alloc = *a, .page_bytes = page_bytes };
    if (n_pages == 0 || page_bytes == 0) return true;
    t->page = bb_allocate(a, n_pages, sizeof *t->page);
    t->store = bb_allocate(a, n_pages, sizeof *t->store);
    t->own = t->page && t->store ? create_store(a, 0, n_pages, page_bytes) : NULL;
    if (!t->own) {
        bb_pages_free(t);
        return false;
    }
    t->n_pages = n_pages;
    return true;
}

void bb_pages_free(bb_page_table *t)
{
    bb_pages_keep(t, 0);
    if (t->own) leave_store(t->own);
    bb_release(&t->alloc, t->page);
    bb_release(&t->alloc, t->store);
    *t = (bb_page_table){ .alloc = t->alloc };
}

void bb_pages_keep(bb_page_table *t, size_t n)
{
    while (t->n_used > n) {
        t->n_used--;
        leave_page(t->store[t->n_used], t->n_used);
    }
}

static void put_page(bb_page_table *t, size_t i, bb_store *s)
{
    t->store[i] = s;
    t->page[i] = place_of(s, i);
    take_page(s, i);
}

/* Counts of own pages up to number n have a value. */
static void count_up_to(bb_page_table *t, size_t n)
{
    for (; t->own->n_counted < n; t->own->n_counted++)
        atomic_init(&t->own->count[t->own->n_counted], 0);
}

/* A place for page i that nobody uses: in the table's own room, unless another session still has
   that page from it. */
static bool put_new_page(bb_page_table *t, size_t i)
{
    bb_store *s = t->own;

    count_up_to(t, i + 1);
    if (atomic_load_explicit(count_of(s, i), memory_order_acquire) == 0) {
        put_page(t, i, s);
        return true;
    }
    s = create_store(&t->alloc, i, 1, t->page_bytes);
    if (!s) return false;
    atomic_init(&s->count[0], 0);
    put_page(t, i, s);
    leave_store(s);                       /* it lives as long as the page is used */
    return true;
}

void bb_pages_share(bb_page_table *t, const bb_page_table *from, size_t n)
{
    bb_pages_keep(t, 0);
    if (t->n_pages == 0) return;
    count_up_to(t, n);
    for (; t->n_used < n; t->n_used++) put_page(t, t->n_used, from->store[t->n_used]);
}

/* Page i, which others use, becomes the table's alone. */
static bool replace_page(bb_page_table *t, size_t i, bool copy)
{
    bb_store   *old = t->store[i];
    const void *bytes = t->page[i];

    if (!put_new_page(t, i)) return false;
    if (copy) memcpy(t->page[i], bytes, t->page_bytes);
    leave_page(old, i);
    return true;
}

bool bb_pages_write(bb_page_table *t, size_t first, size_t end, bool copy_first)
{
    if (t->n_pages == 0) return true;
    for (size_t i = first; i < end && i < t->n_used; i++)
        if (atomic_load_explicit(count_of(t->store[i], i), memory_order_acquire) > 1
            && !replace_page(t, i, copy_first && i == first)) return false;
    for (; t->n_used < end; t->n_used++)
        if (!put_new_page(t, t->n_used)) return false;
    return true;
}
