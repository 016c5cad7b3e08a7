/* pages.c - the attention cache of a session, in pages that sessions may share. */
#include "pages.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

struct bb_store {
    bb_allocator   alloc;
    atomic_size_t  n_users;               /* tables with a page here, once a page, and its owner */
    size_t         page_bytes;
    size_t         n_counted;             /* so many of count have a value: by the owner alone */
    unsigned char *memory;                /* [n, page_bytes] */
    atomic_int    *count;                 /* [n] tables that have this page */
};

/* -------------------------------------------------------------- stores ------------------- */

static bb_store *create_store(const bb_allocator *a, size_t n, size_t page_bytes)
{
    bb_store *s = bb_new(a, 1, sizeof *s);

    if (!s) return NULL;
    s->alloc = *a;
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

static atomic_int *count_of(const bb_store *s, const void *page)
{
    return &s->count[(size_t)((const unsigned char *)page - s->memory) / s->page_bytes];
}

static void take_page(bb_store *s, const void *page)
{
    atomic_fetch_add_explicit(count_of(s, page), 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->n_users, 1, memory_order_relaxed);
}

static void leave_page(bb_store *s, const void *page)
{
    atomic_fetch_sub_explicit(count_of(s, page), 1, memory_order_acq_rel);
    leave_store(s);
}

/* -------------------------------------------------------------- tables ------------------- */

size_t bb_pages_bytes(const bb_page_plan *plan, size_t page_bytes)
{
    const size_t each = page_bytes + sizeof(atomic_int), entry = 2 * sizeof(void *);

    if (page_bytes == 0) return 0;
    return plan->n_own > SIZE_MAX / 2 / each - 1 || plan->n_pages > SIZE_MAX / 2 / entry ? SIZE_MAX
         : plan->n_own * each + plan->n_pages * entry + sizeof(bb_store);
}

bool bb_pages_create(bb_page_table *t, const bb_allocator *a, const bb_page_plan *plan,
                     size_t page_bytes)
{
    *t = (bb_page_table){ .alloc = *a, .page_bytes = page_bytes, .n_own = plan->n_own,
                          .n_fixed = plan->n_fixed };
    if (plan->n_pages == 0 || page_bytes == 0) return true;
    t->page = bb_allocate(a, plan->n_pages, sizeof *t->page);
    t->store = bb_allocate(a, plan->n_pages, sizeof *t->store);
    t->own = t->page && t->store ? create_store(a, plan->n_own, page_bytes) : NULL;
    if (!t->own) {
        bb_pages_free(t);
        return false;
    }
    t->n_pages = plan->n_pages;
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
        leave_page(t->store[t->n_used], t->page[t->n_used]);
    }
    if (n == 0) t->n_gone = 0;
}

void bb_pages_begin(bb_page_table *t, size_t n_gone)
{
    bb_pages_keep(t, 0);
    if (t->n_pages > 0) t->n_gone = n_gone;
}

void bb_pages_drop(bb_page_table *t, size_t n)
{
    const size_t first = t->n_fixed, left = t->n_used - first - n;

    if (n == 0) return;
    for (size_t i = first; i < first + n; i++) leave_page(t->store[i], t->page[i]);
    memmove(t->page + first, t->page + first + n, left * sizeof *t->page);
    memmove(t->store + first, t->store + first + n, left * sizeof *t->store);
    t->n_used -= n;
    t->n_gone += n;
}

static void put_page(bb_page_table *t, size_t i, bb_store *s, void *page)
{
    t->store[i] = s;
    t->page[i] = page;
    take_page(s, page);
}

/* Where the table's own room is for page i: behind the fixed pages those that come take the room of
   those that go, in turn. */
static size_t place_of(const bb_page_table *t, size_t i)
{
    return i < t->n_fixed ? i : t->n_fixed + (i - t->n_fixed + t->n_gone) % (t->n_own - t->n_fixed);
}

/* Counts of the own room's first n pages have a value. */
static void count_up_to(bb_page_table *t, size_t n)
{
    for (; t->own->n_counted < n; t->own->n_counted++)
        atomic_init(&t->own->count[t->own->n_counted], 0);
}

/* A place for page i that nobody uses: in the table's own room, unless a page of this or another
   session is still there. */
static bool put_new_page(bb_page_table *t, size_t i)
{
    bb_store    *s = t->own;
    const size_t place = place_of(t, i);

    count_up_to(t, place + 1);
    if (atomic_load_explicit(&s->count[place], memory_order_acquire) == 0) {
        put_page(t, i, s, s->memory + place * s->page_bytes);
        return true;
    }
    s = create_store(&t->alloc, 1, t->page_bytes);
    if (!s) return false;
    atomic_init(&s->count[0], 0);
    put_page(t, i, s, s->memory);
    leave_store(s);                       /* it lives as long as the page is used */
    return true;
}

void bb_pages_share(bb_page_table *t, const bb_page_table *from, size_t n_skip, size_t n)
{
    bb_pages_begin(t, from->n_gone + n_skip);
    if (t->n_pages == 0) return;
    for (; t->n_used < n; t->n_used++) {
        const size_t i = t->n_used < t->n_fixed ? t->n_used : t->n_used + n_skip;
        put_page(t, t->n_used, from->store[i], from->page[i]);
    }
}

/* Page i, which others use, becomes the table's alone. */
static bool replace_page(bb_page_table *t, size_t i, bool copy)
{
    bb_store   *old = t->store[i];
    const void *bytes = t->page[i];

    if (!put_new_page(t, i)) return false;
    if (copy) memcpy(t->page[i], bytes, t->page_bytes);
    leave_page(old, bytes);
    return true;
}

bool bb_pages_write(bb_page_table *t, size_t first, size_t end, bool copy_first)
{
    if (t->n_pages == 0) return true;
    for (size_t i = first; i < end && i < t->n_used; i++)
        if (atomic_load_explicit(count_of(t->store[i], t->page[i]), memory_order_acquire) > 1
            && !replace_page(t, i, copy_first && i == first)) return false;
    for (; t->n_used < end; t->n_used++)
        if (!put_new_page(t, t->n_used)) return false;
    return true;
}
