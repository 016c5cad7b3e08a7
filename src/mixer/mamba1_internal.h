/* mamba1_internal.h - the Mamba-1 mixer, for its own files.
 *
 * Owns:    its layout and verbs; the scan of some channels (mamba1_scan.c); what it remembers of a
 *          session (mamba1_memory.c).
 * Not:     a pass (mamba1.c); dimensions, weights and costs (mamba1_plan.c).
 *
 * State of a session: the window of K-1 raw (pre-conv) columns, then S [I, N]. A pass reads one
 * state and writes another, or the same in place. The log of a row is what the state space was fed:
 * raw x [I], dt [I], B [heads, N].
 */
#ifndef BB_MIXER_MAMBA1_INTERNAL_H
#define BB_MIXER_MAMBA1_INTERNAL_H

#include "mixer/mixers.h"
#include "mixer/recurrent.h"

/* Operations, as named in mamba1_plan.c. */
enum { BB_MAMBA1_IN_PROJ, BB_MAMBA1_CONV, BB_MAMBA1_X_PROJ, BB_MAMBA1_DT_PROJ, BB_MAMBA1_SCAN,
       BB_MAMBA1_GATE, BB_MAMBA1_OUT_PROJ };

typedef struct bb_mamba1 {
    bb_mixer       base;
    bb_mamba1_dims dims;
    int            n_heads, d_head;       /* heads of x_proj and dt_proj; I = n_heads · d_head */
    int            d_proj;                /* columns of a head's x_proj: R + 2N */
    bb_recurrent   state;
    bb_linear      in_proj, out_proj;
    const float   *conv_w;                /* [I, K] */
    const float   *conv_b;                /* [I] or NULL */
    const float   *norm[3];               /* [R], [N], [N] of dt, B, C; NULL: none, or no weights */
    const float   *dt_bias, *D;           /* [I] */
    const float   *A;                     /* [I, N] = -exp(A_log) */
    struct { bb_linear x_proj, dt_proj; } head[];     /* [n_heads] */
} bb_mamba1;

/* ------------------------------------------------------------- mamba1_scan.c ------------- */

/* What the state space of channels c … c + n - 1 is fed, T tokens of one sequence from position
   pos on; and what it makes, y. The arrays begin with the first of these tokens and channels. */
typedef struct bb_mamba1_input {
    int          c, n;
    int          T, pos;
    const float *x, *dt, *B, *C;          /* row strides ldx, ld_dt, ldb, ldb */
    size_t       ldx, ld_dt, ldb, ldy;
    float       *y;
} bb_mamba1_input;

/* The scan over these tokens, from state `before` to state `after`, which may be the same memory.
   wide [bb_mamba1_wide]: scratch. */
void bb_mamba1_scan(const bb_mamba1 *m, const bb_kernels *k, const bb_mamba1_input *in,
                    const bb_recurrent_state *before, const bb_recurrent_state *after,
                    float *wide);
size_t bb_mamba1_wide(const bb_mamba1 *m);

/* ------------------------------------------------------------- verbs (graph/mixer.h) ----- */

/* Of mamba1.c. */
size_t bb_mamba1_scratch_bytes(const bb_mixer *base, int T, int n_threads);
void   bb_mamba1_forward(const bb_mixer *base, const bb_exec *e, const bb_call *c);

/* Of mamba1_memory.c. */
size_t bb_mamba1_state_bytes(const bb_mixer *base);
size_t bb_mamba1_saved_bytes(const bb_mixer *base, size_t n_positions);
int    bb_mamba1_parts(const bb_mixer *base, size_t n_positions, bb_part part[BB_MIXER_PARTS]);
void   bb_mamba1_save(const bb_mixer *base, const bb_kernels *k, const void *state,
                      const bb_pages *cache, size_t first, size_t end, void *out, float *scratch);
void   bb_mamba1_load(const bb_mixer *base, const bb_kernels *k, const void *in, size_t first,
                      size_t end, void *state, const bb_pages *cache, float *scratch);
size_t bb_mamba1_log_floats(const bb_mixer *base);
void   bb_mamba1_replay(const bb_mixer *base, const bb_kernels *k, const float *log, int pos,
                        int n, bool is_part_of_long, const void *from, void *to, float *scratch);
void   bb_mamba1_fill(const bb_mixer *base, const bb_kernels *k, uint64_t seed,
                      size_t n_positions, void *state, const bb_pages *cache, float *scratch);
size_t bb_mamba1_scratch_floats(const bb_mixer *base);

#endif
