/* blas.c - large float32 products by the system's BLAS. The only user of cblas.h. */
#include "mixer/blas.h"

#ifdef BB_HAVE_OPENBLAS
#  include <cblas.h>

bool bb_blas_present(void) { return true; }

void bb_blas_prepare(void)
{
    if (openblas_get_num_threads() != 1) openblas_set_num_threads(1);
}

void bb_blas_product(int T, int rows, int cols, const float *w, size_t ldw, const float *x,
                     size_t ldx, float *y, size_t ldy)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, T, rows, cols, 1.0f, x, (blasint)ldx, w,
                (blasint)ldw, 0.0f, y, (blasint)ldy);
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
