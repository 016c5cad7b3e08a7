/* alloc.h - memory through the caller's allocator, or ours.
 *
 * Owns:    the default allocator; zeroed objects; growing arrays with checked sizes.
 * Not:     layout inside a block (arena.h).
 * Errors:  NULL; the caller reports.
 */
#ifndef BB_BASE_ALLOC_H
#define BB_BASE_ALLOC_H

#include "base/error.h"

#include <stdbool.h>

typedef bamba_allocator bb_allocator;

/* The caller's allocator, or the default if both functions are NULL; one alone is an error.
   The default takes blocks of 1 MiB and more from mmap without reserving swap, so that pages
   nobody touches cost nothing. */
bb_status bb_allocator_resolve(bb_allocator *out, const bamba_allocator *user, bamba_error *err);

/* n elements, 64-byte aligned, contents unspecified. NULL if there is no memory, n · elem_bytes
   overflows or is 0. */
void *bb_allocate(const bb_allocator *a, size_t n, size_t elem_bytes);

/* Ask for huge pages behind a block of bb_allocate that nobody has touched yet; advice, and only
   for blocks of the default allocator. */
void bb_advise_huge(const bb_allocator *a, void *block, size_t bytes);

/* Ask for huge pages behind a mapping. Advice: a system may not know it, and for mapped files only
   some follow it (XFS; ext4 from Linux 6.16 on), for what they read from the disk later. */
void bb_advise_huge_mapping(void *start, size_t bytes);

/* As bb_allocate, zeroed: for objects. */
void *bb_new(const bb_allocator *a, size_t n, size_t elem_bytes);

/* Make room for `need` elements in an array of *capacity, keeping its contents. pointer: address
   of the pointer to its first element. Doubles, and leaves everything as it was when it returns
   false. */
bool bb_reserve(const bb_allocator *a, void *pointer, size_t *capacity, size_t need,
                size_t elem_bytes);

/* A copy of text [n] with a NUL after it, or NULL. */
char *bb_copy_text(const bb_allocator *a, const char *text, size_t n);

/* Give a block back; NULL is allowed. */
void bb_release(const bb_allocator *a, void *block);

#endif
