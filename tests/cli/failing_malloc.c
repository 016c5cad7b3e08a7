/* failing_malloc.c - a library to load before a program's own (LD_PRELOAD): of the allocations
 * that json-c makes, or the file whose path holds FAIL_IN, the one of number FAIL_AT fails, with
 * FAIL_ON set all later ones too. A program's own path is the one it was called by.
 *
 * At the end of the program a file named by FAIL_COUNT gets the number of such allocations. */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t bytes);
void *__libc_realloc(void *block, size_t n);
void *__libc_memalign(size_t alignment, size_t n);

static long        n_calls, fail_at;
static const char *fail_in;
static bool forever, ready, asking;

static bool refuse(const void *caller)
{
    Dl_info from;

    if (!ready || asking) return false;
    asking = true;                        /* dladdr may allocate */
    const bool counts = dladdr(caller, &from) && from.dli_fname && strstr(from.dli_fname, fail_in);
    asking = false;
    if (!counts || ++n_calls < fail_at || (n_calls > fail_at && !forever)) return false;
    errno = ENOMEM;
    return true;
}

#define CALLER __builtin_return_address(0)

void *malloc(size_t n)
{
    return refuse(CALLER) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t bytes)
{
    return refuse(CALLER) ? NULL : __libc_calloc(n, bytes);
}

void *realloc(void *block, size_t n)
{
    return refuse(CALLER) ? NULL : __libc_realloc(block, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
    return refuse(CALLER) ? NULL : __libc_memalign(alignment, n);
}

/* Of memory alone: files are opened, not allocated. */
void *mmap(void *at, size_t n, int protection, int flags, int file, off_t offset)
{
    if ((flags & MAP_ANONYMOUS) && refuse(CALLER)) return MAP_FAILED;
    return (void *)syscall(SYS_mmap, at, n, protection, flags, file, offset);
}

char *strdup(const char *text)            /* libc's calls malloc, and hides who wanted it */
{
    const size_t n = strlen(text) + 1;
    char        *copy = refuse(CALLER) ? NULL : __libc_malloc(n);

    return copy ? memcpy(copy, text, n) : NULL;
}

__attribute__((constructor)) static void begin(void)
{
    const char *at = getenv("FAIL_AT");

    fail_at = at ? atol(at) : INT32_MAX;
    forever = getenv("FAIL_ON") != NULL;
    fail_in = getenv("FAIL_IN") ? getenv("FAIL_IN") : "json-c";
    ready = true;
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("FAIL_COUNT");

    ready = false;
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    fprintf(file, "%ld\n", n_calls);
    fclose(file);
}
