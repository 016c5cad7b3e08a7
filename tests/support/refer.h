/* refer.h - what mixers compute, in double and for one sequence from its start: the tests' own
 * formulas, on weights as stored.
 *
 * Not:     anything of src/mixer but the dimensions.
 */
#ifndef SUPPORT_REFER_H
#define SUPPORT_REFER_H

#include "mixer/mixers.h"
#include "support/store.h"

/* out [n, D or d_out] of a mixer whose tensors are named prefix + …, for the inputs x [n, D]. */
void refer_mamba1(const bb_mamba1_dims *d, const store *s, const char *prefix, const double *x,
                  int n, double *out);
void refer_mamba2(const bb_mamba2_dims *d, const store *s, const char *prefix, const double *x,
                  int n, double *out);
/* Keys and values are rounded to kv_type. windowed: a row sees the last `window` positions, and the
   first `sink`, which to its query's rotary positions lie just before the window. */
void refer_windowed(const bb_attention_dims *d, bb_type kv_type, const store *s, const char *prefix,
                    const double *x, int n, int window, int sink, double *out);
void refer_attention(const bb_attention_dims *d, bb_type kv_type, const store *s,
                     const char *prefix, const double *x, int n, double *out);
void refer_mlp(const bb_mlp_dims *d, const store *s, const char *prefix, const double *x, int n,
               double *out);
void refer_moe(const bb_moe_dims *d, const store *s, const char *prefix, const double *x, int n,
               double *out);

/* Rotary positions: the first rope.d columns of each head of x [heads, d_head]. */
void refer_rotate(const bb_attention_dims *d, int heads, int pos, double *x);

/* out [n, width] = x · w / rms(x), row by row; out may be x. */
void refer_rmsnorm(const double *w, double epsilon, const double *x, int n, int width, double *out);

#endif
