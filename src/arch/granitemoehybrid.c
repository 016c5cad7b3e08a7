/* granitemoehybrid.c - IBM Granite 4.0: Mamba-2 and attention mixed, dense or with experts.
 *
 * Granite-4.0-h is a hybrid without positions; Granite-4.0 without the "h" has attention alone,
 * with rotary positions. Every layer ends in a shared MLP and, in larger models, experts beside it.
 * Source: transformers models/granitemoehybrid/{configuration,modeling}_granitemoehybrid.py. */
#include "arch/keys.h"
#include "arch/registry.h"

#include <string.h>

static const bb_names names = {
    .base = "model.", .embed = "model.embed_tokens.weight",
    .layer = "model.layers.%d.",
    .mixer_norm = "input_layernorm.weight", .attention = "self_attn.", .mamba2 = "mamba.",
    .mlp_norm = "post_attention_layernorm.weight", .mlp = "shared_mlp.", .moe = "block_sparse_moe.",
    .norm = "model.norm.weight", .head = "lm_head.weight",
};

static void read_experts(const bb_json *c, bb_facts *f)
{
    const int n = bb_json_int_or(c, "num_local_experts", 0, BB_MAX_DIM, 8);

    if (n == 0) return;
    f->moe = (bb_moe_dims){
        .n_experts = n, .n_used = bb_json_int_or(c, "num_experts_per_tok", 1, n, 2),
        .d_ff = bb_json_int_or(c, "intermediate_size", 1, BB_MAX_DIM, 11008),
        .activation = BB_ACT_SILU_GATED, .router = BB_ROUTER_TOP_SOFTMAX,
        .names = { .router = "router.layer.weight", .router_parameter = "router.weight",
                   .in_stack = "input_linear.weight", .out_stack = "output_linear.weight" },
    };
}

static void read(const bb_json *c, bb_facts *f)
{
    bb_key_defaults known = { .n_vocab = 32000, .d_ff = 11008, .n_context = 2048, .epsilon = 1e-6,
                              .partial = 1.0 };
    int             n_attention = 0;

    f->names = &names;
    bb_key_decoder(c, &known, f);
    f->mlp = (bb_mlp_dims){
        .d_ff = bb_json_int_or(c, "shared_intermediate_size", 1, BB_MAX_DIM / 2, 1024),
        .gate_up = "input_linear", .down = "output_linear",
    };
    read_experts(c, f);
    bb_key_layer_kinds(c, f->n_layers, "attention", f->is_attention);
    for (int l = 0; l < f->n_layers; l++) n_attention += f->is_attention[l];
    if (n_attention < f->n_layers) bb_key_mamba2(c, 0, f);
    known.no_rope = strcmp(bb_json_text_or(c, "position_embedding_type", ""), "rope") != 0;
    if (n_attention > 0) bb_key_attention(c, &known, f);
    bb_key_granite(c, f);
}

const bb_arch bb_arch_granitemoehybrid = {
    .model_type = "granitemoehybrid", .class_name = "GraniteMoeHybridForCausalLM", .read = read,
    .plan = bb_plan_layers,
};
