/* jamba.c - AI21's Jamba: Mamba-1 with inner norms, now and then attention without positions; an
 * MLP after each, or, every few layers, experts in its place.
 *
 * Source: transformers models/jamba/{configuration,modeling}_jamba.py; Lieber et al. 2024,
 *         arXiv:2403.19887. */
#include "arch/keys.h"
#include "arch/registry.h"

static const bb_names names = {
    .base = "model.", .embed = "model.embed_tokens.weight", .layer = "model.layers.%d.",
    .mixer_norm = "input_layernorm.weight", .attention = "self_attn.", .mamba1 = "mamba.",
    .mlp_norm = "pre_ff_layernorm.weight", .mlp = "feed_forward.", .moe = "feed_forward.",
    .norm = "model.final_layernorm.weight", .head = "lm_head.weight",
};
static const bb_key_defaults defaults = {
    .n_vocab = 65536, .d_ff = 14336, .n_context = 262144, .n_kv_heads = 8, .epsilon = 1e-6,
    .partial = 1.0, .no_rope = true,
};

/* A remainder below the period of layers. */
static void read_period(const bb_json *c, const char *period_key, int period_known,
                        const char *offset_key, int offset_known, int *period, int *offset)
{
    *period = bb_json_int_or(c, period_key, 1, BB_MAX_LAYERS, period_known);
    *offset = bb_json_int_or(c, offset_key, 0, BB_MAX_LAYERS, offset_known);
    if (*offset >= *period)
        bb_json_fail_key(c, offset_key, BAMBA_ERR_FORMAT, "expected less than %s = %d, found %d",
                         period_key, *period, *offset);
}

static void read_experts(const bb_json *c, bb_facts *f)
{
    const int n = bb_json_int_or(c, "num_experts", 1, BB_MAX_DIM, 16);

    read_period(c, "expert_layer_period", 2, "expert_layer_offset", 1, &f->moe_period,
                &f->moe_offset);
    if (n == 1) {                         /* is the MLP that other layers have */
        f->moe_period = 0;
        return;
    }
    f->moe = (bb_moe_dims){
        .n_experts = n, .n_used = bb_json_int_or(c, "num_experts_per_tok", 1, n, 2),
        .d_ff = f->mlp.d_ff, .activation = BB_ACT_SILU_GATED, .router = BB_ROUTER_SOFTMAX,
        .names = { .router = "router.weight", .gate = "experts.%d.gate_proj.weight",
                   .up = "experts.%d.up_proj.weight", .down = "experts.%d.down_proj.weight" },
    };
}

static void read_mamba(const bb_json *c, bb_facts *f)
{
    f->mamba1 = (bb_mamba1_dims){
        .d_inner    = bb_key_inner_width(c, "mamba_expand", f->d_model),
        .d_state    = bb_json_int_or(c, "mamba_d_state", 1, BB_MAX_DIM, 16),
        .d_conv     = bb_json_int_or(c, "mamba_d_conv", 1, 64, 4),
        .dt_rank    = bb_key_dt_rank(c, "mamba_dt_rank", f->d_model),
        .conv_bias  = bb_json_bool_or(c, "mamba_conv_bias", true),
        .proj_bias  = bb_json_bool_or(c, "mamba_proj_bias", false),
        .inner_norm = BB_INNER_NORM_WEIGHTED,
        .epsilon    = (float)f->epsilon,
    };
    bb_key_expect_switch(c, "mamba_inner_layernorms", true);
}

static void read(const bb_json *c, bb_facts *f)
{
    int period, offset;

    f->names = &names;
    bb_key_decoder(c, &defaults, f);
    bb_key_attention(c, &defaults, f);
    read_period(c, "attn_layer_period", 8, "attn_layer_offset", 4, &period, &offset);
    for (int l = offset; l < f->n_layers; l += period) f->is_attention[l] = true;
    read_experts(c, f);
    read_mamba(c, f);
}

const bb_arch bb_arch_jamba = {
    .model_type = "jamba", .class_name = "JambaForCausalLM", .read = read, .plan = bb_plan_layers,
};
