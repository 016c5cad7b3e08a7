/* blas.c - large float32 products by the system's OpenBLAS, loaded when first asked for. */
#include "mixer/blas.h"

#ifdef BB_HAVE_OPENBLAS
#  include "base/library.h"
#  include "base/system.h"

#  include <stdatomic.h>
#  include <stdlib.h>

enum { BUFFER_BYTES = 1 << 27 };          /* OpenBLAS allocates one for each thread that calls it */

/* cblas.h of the library's version 0, whose integers are ints: rows lie one behind the other. */
enum { ROW_MAJOR = 101, PLAIN = 111, TRANSPOSED = 112 };
enum { SGEMM, GET_THREADS, SET_THREADS, N_FUNCTIONS };
typedef void sgemm_fn(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                      const float *a, int lda, const float *b, int ldb, float beta, float *c,
                      int ldc);
typedef int  get_fn(void);
typedef void set_fn(int);

static const char *const names[N_FUNCTIONS] = { "cblas_sgemm", "openblas_get_num_threads",
                                                "openblas_set_num_threads" };

/* Decided once, so that no engine changes its road: what the first attempt found, or `none`. */
static void               none(void) {}
static bb_function *_Atomic found;

/* OpenBLAS tries for ever when it is denied a buffer: under a limit it must not be called. */
static bool has_room(int n_buffers)
{
    char *buffer = malloc(BUFFER_BYTES);
    bool  fits = buffer != NULL;

    if (buffer) *(volatile char *)buffer = 0;    /* else a compiler may leave the allocation out */
    if (buffer && n_buffers > 1) fits = has_room(n_buffers - 1);
    free(buffer);
    return fits;
}

bool bb_blas_present(void)
{
    bb_function *f = atomic_load(&found);

    return f && f != none;
}

void bb_blas_prepare(void)
{
    bb_function *f[N_FUNCTIONS], *unknown = NULL;
    const bool   is_safe = atomic_load(&found) ? bb_blas_present()
                                               : has_room(bb_system_cores() + 1);
    const bool   loaded = is_safe && bb_library_load("libopenblas.so.0", N_FUNCTIONS, names, f);

    if (loaded && ((get_fn *)f[GET_THREADS])() != 1) ((set_fn *)f[SET_THREADS])(1);
    atomic_compare_exchange_strong(&found, &unknown, loaded ? f[SGEMM] : none);
}

void bb_blas_product(int T, int rows, int cols, const float *w, size_t ldw, const float *x,
                     size_t ldx, float *y, size_t ldy)
{
    ((sgemm_fn *)atomic_load(&found))(ROW_MAJOR, PLAIN, TRANSPOSED, T, rows, cols, 1.0f, x,
                                      (int)ldx, w, (int)ldw, 0.0f, y, (int)ldy);
}

#else

bool bb_blas_present(void) { return false; }
void bb_blas_prepare(void) {}

void bb_blas_product(int T, int rows, int cols, const float *w, size_t ldw, const float *x,
                     size_t ldx, float *y, size_t ldy)
{
    (void)T, (void)rows, (void)cols, (void)w, (void)ldw, (void)x, (void)ldx, (void)y, (void)ldy;
}

#endif
