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
   c_layernorm. With heads, x_proj_weight, dt_proj_weight, dt_proj_bias, A_log and D are stacks of
   the heads' own, and the rows of in_proj are x and z of one channel after the other.
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
   Tensors: in_proj, conv1d, dt_bias, A_log, D, norm (unless gated alone), out_proj.
   Source: state-spaces/mamba modules/mamba2.py; Dao & Gu 2024, arXiv:2405.21060. */
typedef enum bb_gate {                    /* what becomes of y, the scan's output, and the gate z */
    BB_GATE_THEN_NORM,                    /* norm(y · silu(z)) */
    BB_NORM_THEN_GATE,                    /* norm(y) · silu(z) */
    BB_GATE_ALONE                         /* y · silu(z) */
} bb_gate;

enum { BB_MAMBA2_PARTS = 5 };             /* of in_proj's output: z, x, B, C, dt */

typedef struct bb_mamba2_dims {
    int   d_model;                        /* D */
    int   n_heads, d_head;                /* H, P; I = H·P */
    int   d_state, n_groups, d_conv;      /* N, G (divides H), K */
    bool  conv_bias, in_bias, out_bias;
    float dt_min, dt_max;                 /* clamp of dt after softplus; dt_max may be infinity */
    float epsilon;                        /* of the gated norm */
    bb_gate gate;
    /* Factors of in_proj's input and of each part of its output with its bias; 0: 1. */
    double  times_in, times[BB_MAMBA2_PARTS];
} bb_mamba2_dims;

bb_mixer *bb_plan_mamba2(bb_plan *p, const char *prefix, const bb_mamba2_dims *dims);

/* The uses of a shared mixer may each add a low-rank term to some of its maps: use number i has,
   for a map, the tensors LIST.n.0.weight [rank, columns] and LIST.n.1.weight [rows, rank],
   n = first + i · step. */
typedef struct bb_low_rank_dims {
    int rank;                             /* 0: there are none */
    int n_uses, first, step;
} bb_low_rank_dims;

/* Causal attention with grouped queries and rotary positions, and maybe, before these, a causal
   convolution over each column of queries, keys and values, with a bias and without an activation.
   Tensors: q_proj, k_proj, v_proj, o_proj; fused, as mamba_ssm has them: in_proj, with the rows of
   queries, keys and values one behind the other, out_proj, and conv1d if there is a convolution.
   Source of that: state-spaces/mamba modules/mha.py. */
typedef struct bb_attention_dims {
    int          d_model;                 /* columns of the input */
    int          n_heads, n_kv_heads, d_head;         /* n_kv_heads divides n_heads */
    bb_rope_dims rope;
    bool         bias, out_bias;          /* of queries, keys and values; of the output */
    int          d_out;                   /* columns of the output; 0: d_model */
    float        scale;                   /* of q·k; 0: d_head^-1/2 */
    double       times_in, times_key;     /* factors of the input and of the keys; 0: 1 */
    bool         is_fused;
    int          d_conv;                  /* taps of the convolution, if fused; 0: none */
    /* linear_q_adapter_list and those of k and v; of maps that are not fused */
    bb_low_rank_dims low_rank;
} bb_attention_dims;

bb_mixer *bb_plan_attention(bb_plan *p, const char *prefix, const bb_attention_dims *dims);

/* down(silu(gate(x)) · up(x)), or with gelu, the exact one, or, without a gate, down(relu(up(x))²).
   Tensors: gate_proj, up_proj, down_proj; or as the dims name them. */
typedef enum bb_activation {
    BB_ACT_SILU_GATED, BB_ACT_RELU2, BB_ACT_GELU_GATED, BB_N_ACTIVATIONS
} bb_activation;

typedef struct bb_mlp_dims {
    int           d_model, d_ff;
    bool          bias;
    bb_activation activation;
    double        times_gate;             /* factor of gate(x); 0: 1 */
    /* One map [2·d_ff, d_model]: the gate's rows before those of up, or behind them; NULL: two. */
    const char   *gate_up;                /* "input_linear" */
    bool          up_first;
    const char   *down;                   /* "output_linear"; NULL: "down_proj" */
    bb_low_rank_dims low_rank;            /* gate_up_proj_adapter_list, the gate's rows first */
} bb_mlp_dims;

bb_mixer *bb_plan_mlp(bb_plan *p, const char *prefix, const bb_mlp_dims *dims);

/* One linear map of d_in columns to d_out, without a bias.
   Tensors: weight. */
bb_mixer *bb_plan_linear(bb_plan *p, const char *prefix, int d_in, int d_out);

/* A mixture of experts: Σ weight · expert(x), over the experts that a router chooses for each row.
   An expert is an MLP without biases. A shared expert, which all rows use, is an MLP beside it in
   the block. Source: Shazeer et al. 2017, arXiv:1701.06538; DeepSeek-AI 2024, arXiv:2412.19437. */
typedef enum bb_router {
    BB_ROUTER_TOP_SOFTMAX,                /* softmax over the chosen alone */
    BB_ROUTER_SOFTMAX,                    /* softmax over all */
    BB_ROUTER_SIGMOID
} bb_router;

/* Names of tensors behind the mixer's prefix. Of experts one by one: with a %d, their number. */
typedef struct bb_moe_names {
    const char *router;                   /* "router.layer.weight" [E, d_model] */
    const char *router_parameter;         /* what transformers 5 calls it; NULL: the same */
    const char *correction;               /* [E] is added to scores for choosing alone; NULL */
    const char *in_stack, *out_stack;     /* "input_linear.weight" [E, 2·d_ff, d_in], gates first,
                                             and "output_linear.weight" [E, d_in, d_ff]; both
                                             NULL: */
    const char *gate, *up, *down;         /* "experts.%d.gate_proj.weight" … */
    const char *latent_in, *latent_out;   /* "fc1_latent_proj"; if there is a latent space */
} bb_moe_names;

typedef struct bb_moe_dims {
    int           d_model, d_ff;          /* d_ff of one expert */
    int           n_experts, n_used;      /* n_used: of a row */
    bb_activation activation;
    bb_router     router;
    /* Experts are in n_groups equal groups of at least two; a row chooses from the n_top_groups
       whose two best scores are best in sum. 0: from all. */
    int           n_groups, n_top_groups;
    bool          normalise;              /* weights are divided by their sum */
    float         scaling;                /* of the weights; 0: 1 */
    int           d_latent;               /* the experts' input and output are projected to and from
                                             so many columns; 0: they have d_model */
    bool          latent_bias;
    bb_moe_names  names;
} bb_moe_dims;

enum { BB_MOE_MOST_GROUPS = 256 };

bb_mixer *bb_plan_moe(bb_plan *p, const char *prefix, const bb_moe_dims *dims);

#endif
