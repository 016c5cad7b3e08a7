/* recurrent.h - the state that a state-space mixer carries from token to token, and its log.
 *
 * Owns:    how the state lies in memory and in a saved session; the kept type of S.
 * Not:     what advances it (mamba1.c, mamba2.c).
 *
 * In memory it is the window of the convolution, then S, each from a cache line on. Saved it is the
 * window, then S in float32, without a gap.
 */
#ifndef BB_MIXER_RECURRENT_H
#define BB_MIXER_RECURRENT_H

#include "graph/plan.h"

typedef struct bb_recurrent {
    int     n_taps, n_columns;            /* K, C of the convolution */
    int     n_rows, d_state;              /* S: rows of N elements */
    bb_type type;                         /* of the elements of S */
} bb_recurrent;

typedef struct bb_recurrent_state {
    float         *window;                /* [K-1, C] raw columns, oldest first */
    unsigned char *S;                     /* [n_rows, row_bytes] */
} bb_recurrent_state;

size_t bb_recurrent_window_bytes(const bb_recurrent *r);
size_t bb_recurrent_row_bytes(const bb_recurrent *r);     /* of S */
size_t bb_recurrent_ssm_bytes(const bb_recurrent *r);     /* of S, all rows */
size_t bb_recurrent_elements(const bb_recurrent *r);      /* of S */
size_t bb_recurrent_bytes(const bb_recurrent *r);         /* of a state in memory */
size_t bb_recurrent_saved_bytes(const bb_recurrent *r);

/* The state in memory of bb_recurrent_bytes, which is only read if it is given as const. */
bb_recurrent_state bb_recurrent_at(const bb_recurrent *r, const void *memory);

/* state: bb_recurrent_bytes, out and in: bb_recurrent_saved_bytes. */
void bb_recurrent_save(const bb_recurrent *r, const bb_kernels *k, const void *state, void *out);
void bb_recurrent_load(const bb_recurrent *r, const bb_kernels *k, const void *in, void *state);

/* Random values in [-0.5, 0.5]; scratch [N]. */
void bb_recurrent_fill(const bb_recurrent *r, const bb_kernels *k, uint64_t seed, void *state,
                       float *scratch);

/* Columns first … first + n - 1 of the pass's rows into the logs [rows, width] of the sessions that
   keep one; slot: the mixer's, values [T rows, ld]: the first of these columns. */
void bb_recurrent_log(const bb_pass *pass, int slot, size_t width, size_t first, int n,
                      const float *values, size_t ld);

#endif
