/* mamba2_internal.h - the Mamba-2 mixer, for its own files.
 *
 * Owns:    its layout and verbs; the state space of one head (mamba2_scan.c); what it remembers of
 *          a session (mamba2_memory.c).
 * Not:     a pass (mamba2.c); dimensions, weights and costs (mamba2_plan.c).
 *
 * State of a session: the window of K-1 raw (pre-conv) columns, then S [H, P, N]. A pass reads one
 * state and writes another, or the same in place. The log of a row is what the state space was fed:
 * raw xBC [C], then dt [H] after softplus and clamp.
 */
#ifndef BB_MIXER_MAMBA2_INTERNAL_H
#define BB_MIXER_MAMBA2_INTERNAL_H

#include "mixer/mixers.h"
#include "mixer/recurrent.h"

/* Operations, as named in mamba2_plan.c. */
enum { BB_MAMBA2_IN_PROJ, BB_MAMBA2_CONV, BB_MAMBA2_SCAN, BB_MAMBA2_GATED_NORM,
       BB_MAMBA2_OUT_PROJ };

/* Tokens of a chunk: decays cost Q²/2 exp per head, states N·P/Q. */
enum { BB_MAMBA2_CHUNK = BB_EDGE };

typedef struct bb_mamba2 {
    bb_mixer       base;
    bb_mamba2_dims dims;
    int            d_inner, d_xbc, d_proj;            /* I, C = I + 2GN, 2I + 2GN + H */
    bb_recurrent   state;
    bb_linear      in_proj, out_proj;
    const float   *conv_w;                /* [C, K] */
    const float   *conv_b;                /* [C] or NULL */
    const float   *dt_bias, *A, *D;       /* [H]; A = -exp(A_log) */
    const float   *norm;                  /* [I]; NULL: y is gated alone */
} bb_mamba2;

/* ------------------------------------------------------------- mamba2_scan.c ------------- */

/* What is fed to a head: n tokens, as one chunk or step by step. All pointers are to the first
   token; the next one's x, B and C are d_xbc floats further on, its dt ld_dt floats. */
typedef struct bb_mamba2_input {
    int          h, pos;                  /* head; position of the first token */
    int          n;
    bool         is_chunk;
    const float *dt;                      /* of this head, after softplus and clamp */
    size_t       ld_dt;
    const float *B, *C;                   /* [N] a token, of the head's group */
    const float *CB;                      /* [Q, Q] C·Bᵀ of the chunk, by ssd_cb; unused in steps */
    float       *x;                       /* [P] a token; replaced by y */
} bb_mamba2_input;

/* All tokens of a head, whose rows of the state are those of S_in and S_out, which may be the same
   memory. own [bb_mamba2_own_floats]: scratch. */
void   bb_mamba2_advance(const bb_mamba2 *m, const bb_kernels *k, const bb_mamba2_input *in,
                         const unsigned char *S_in, unsigned char *S_out, float *own);
size_t bb_mamba2_own_floats(const bb_mamba2 *m);

/* ------------------------------------------------------------- verbs (graph/mixer.h) ----- */

/* Of mamba2.c. */
size_t bb_mamba2_scratch_bytes(const bb_mixer *base, int T, int n_threads);
void   bb_mamba2_forward(const bb_mixer *base, const bb_exec *e, const bb_call *c);

/* Of mamba2_memory.c. */
size_t bb_mamba2_state_bytes(const bb_mixer *base);
size_t bb_mamba2_saved_bytes(const bb_mixer *base, size_t n_positions);
int    bb_mamba2_parts(const bb_mixer *base, size_t n_positions, bb_part part[BB_MIXER_PARTS]);
void   bb_mamba2_save(const bb_mixer *base, const bb_kernels *k, const void *state,
                      const bb_pages *cache, size_t first, size_t end, void *out, float *scratch);
void   bb_mamba2_load(const bb_mixer *base, const bb_kernels *k, const void *in, size_t first,
                      size_t end, void *state, const bb_pages *cache, float *scratch);
size_t bb_mamba2_log_floats(const bb_mixer *base);
void   bb_mamba2_replay(const bb_mixer *base, const bb_kernels *k, const float *log, int pos,
                        int n, bool is_part_of_long, const void *from, void *to, float *scratch);
void   bb_mamba2_fill(const bb_mixer *base, const bb_kernels *k, uint64_t seed,
                      size_t n_positions, void *state, const bb_pages *cache, float *scratch);
size_t bb_mamba2_scratch_floats(const bb_mixer *base);

#endif
