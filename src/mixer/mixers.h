/* mixers.h - the kinds of mixer, as an architecture adds them to its plan.
 *
 * Owns:    dimensions of each kind.
 * Not:     arithmetic (the .c files).
 *
 * Each function makes a mixer for the graph, whose tensors are named by the plan's prefix and
 * `prefix`; bb_plan_use puts it into a block. NULL on failure, which the plan remembers.
 */
#ifndef BB_MIXER_MIXERS_H
#define BB_MIXER_MIXERS_H

#include "graph/plan.h"
#include "mixer/rope.h"

/* Mamba-1: in_proj, causal conv1d of x, x_proj to dt's low rank, B and C, maybe their RMSNorms,
   dt_proj, selective scan, gate, out_proj.
   Tensors: in_proj, conv1d, x_proj, dt_proj, A_log, D, out_proj; norms dt_layernorm, b_layernorm,
   c_layernorm. With heads, x_proj_weight, dt_proj_weight, dt_proj_bias, A_log and D are stacks of the
   heads' own, and the rows of in_proj are x and z of one channel after the other.
   Source: state-spaces/mamba modules/mamba_simple.py; Gu & Dao 2023, arXiv:2312.00752. */
typedef enum bb_inner_norm {
    BB_INNER_NORM_NONE,
    BB_INNER_NORM_PLAIN,                  /* without weights */
    BB_INNER_NORM_WEIGHTED
} bb_inner_norm;

typedef struct bb_mamba1_dims {
    int           d_model;                /* D */
    int           d_inner;                /* I */
    int           d_state, d_conv;        /* N, K */
    int           dt_rank;                /* R */
    int           n_heads;                /* divides I; 0: one, whose tensors are not stacks */
    bool          conv_bias, proj_bias;
    bb_inner_norm inner_norm;
    float         epsilon;                /* of the inner norms */
} bb_mamba1_dims;

bb_mixer *bb_plan_mamba1(bb_plan *p, const char *prefix, const bb_mamba1_dims *dims);

/* Mamba-2: in_proj, causal conv1d, state-space recurrence, gated RMSNorm, out_proj.
   Tensors: in_proj, conv1d, dt_bias, A_log, D, norm, out_proj.
   Source: state-spaces/mamba modules/mamba2.py; Dao & Gu 2024, arXiv:2405.21060. */
typedef struct bb_mamba2_dims {
    int   d_model;                        /* D */
    int   n_heads, d_head;                /* H, P; I = H·P */
    int   d_state, n_groups, d_conv;      /* N, G (divides H), K */
    bool  conv_bias, proj_bias;
    float dt_min, dt_max;                 /* clamp of dt after softplus; dt_max may be infinity */
    float epsilon;                        /* of the gated norm */
} bb_mamba2_dims;

bb_mixer *bb_plan_mamba2(bb_plan *p, const char *prefix, const bb_mamba2_dims *dims);

/* Causal attention with grouped queries and rotary positions.
   Tensors: q_proj, k_proj, v_proj, o_proj. */
typedef struct bb_attention_dims {
    int          d_model;                 /* columns of the input */
    int          n_heads, n_kv_heads, d_head;         /* n_kv_heads divides n_heads */
    bb_rope_dims rope;
    bool         bias;
    int          d_out;                   /* columns of the output; 0: d_model */
    float        scale;                   /* of q·k; 0: d_head^-1/2 */
} bb_attention_dims;

bb_mixer *bb_plan_attention(bb_plan *p, const char *prefix, const bb_attention_dims *dims);

/* down(silu(gate(x)) · up(x)), or, without a gate, down(relu(up(x))²).
   Tensors: gate_proj, up_proj, down_proj. */
typedef enum bb_activation { BB_ACT_SILU_GATED, BB_ACT_RELU2, BB_N_ACTIVATIONS } bb_activation;

typedef struct bb_mlp_dims {
    int           d_model, d_ff;
    bool          bias;
    bb_activation activation;
} bb_mlp_dims;

bb_mixer *bb_plan_mlp(bb_plan *p, const char *prefix, const bb_mlp_dims *dims);

#endif
