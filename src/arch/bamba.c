/* bamba.c - IBM/Princeton/CMU/UIUC Bamba: Mamba-2 with a few attention layers, an MLP after each.
 *
 * Keys that are missing or null take the defaults of transformers' BambaConfig. Versions 1 and 2
 * differ in weights only.
 * Source: transformers models/bamba/{configuration,modeling}_bamba.py: names, order, defaults. */
#include "arch/keys.h"
#include "arch/registry.h"

static const char *const unused[] = { ".rotary_emb.inv_freq", NULL };

static const bb_names names = {
    .base = "model.", .embed = "model.embed_tokens.weight",
    .layer = "model.layers.%d.",
    .mixer_norm = "input_layernorm.weight", .attention = "self_attn.", .mamba2 = "mamba.",
    .mlp_norm = "pre_ff_layernorm.weight", .mlp = "feed_forward.",
    .norm = "model.final_layernorm.weight", .head = "lm_head.weight",
    .unused = unused,                     /* old exports carry rotary angles */
};

static const bb_key_defaults defaults = {
    .n_vocab = 128000, .d_ff = 14336, .n_context = 262144, .n_kv_heads = 8, .epsilon = 1e-5,
    .partial = 0.5, .rotary = "attn_rotary_emb",
};

static void read(const bb_json *c, bb_facts *f)
{
    const bb_json layers = bb_json_get(c, "attn_layer_indices");

    f->names = &names;
    bb_key_decoder(c, &defaults, f);
    bb_key_mamba2(c, 0, f);
    bb_key_mark(c, "attn_layer_indices", f->n_layers, f->is_attention);
    /* without attention layers the defaults of their keys need not fit hidden_size */
    if (bb_json_length(&layers) > 0) bb_key_attention(c, &defaults, f);
}

const bb_arch bb_arch_bamba = {
    .model_type = "bamba", .class_name = "BambaForCausalLM", .read = read, .plan = bb_plan_layers,
};
