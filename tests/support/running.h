/* running.h - options, engines and sessions of a test's models, and how far apart two rows are.
 *
 * Errors:  a failure of the test.
 */
#ifndef SUPPORT_RUNNING_H
#define SUPPORT_RUNNING_H

#include "bamba.h"

#include <stdbool.h>
#include <stddef.h>

/* For a test of what differs by rounding: weights of a type, and a cache of float32. In one of 16
   bits, keys that differ in their last digit may become a thousandth apart. */
bamba_model_options running_model_options(bamba_type weight_type);

/* o may be NULL: the defaults. Freed by the caller. */
bamba_engine  *running_engine(const bamba_model *m, const bamba_engine_options *o);
bamba_session *running_session(const bamba_model *m, const bamba_session_options *o);

/* Whether a row's bits are the same in passes of few rows and of many: at level c they are not,
   since OpenBLAS orders its sums by the number of rows. */
bool running_is_exact(const bamba_model *m);

/* The largest magnitude of x [n], and of x - y; NaN, which no bound holds, if one of them is. */
float running_largest(const float *x, size_t n);
float running_distance(const float *x, const float *y, size_t n);

#endif
