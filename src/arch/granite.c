/* granite.c - IBM Granite 3 and 4.1, dense: Llama's network with four multipliers.
 *
 * Source: transformers models/granite/{configuration,modeling}_granite.py. */
#include "arch/keys.h"
#include "arch/registry.h"

static const bb_names names = {
    .base = "model.", .embed = "model.embed_tokens.weight",
    .layer = "model.layers.%d.",
    .mixer_norm = "input_layernorm.weight", .attention = "self_attn.",
    .mlp_norm = "post_attention_layernorm.weight", .mlp = "mlp.",
    .norm = "model.norm.weight", .head = "lm_head.weight",
};

static const bb_key_defaults defaults = {
    .n_vocab = 32000, .d_ff = 11008, .n_context = 2048, .epsilon = 1e-6, .partial = 1.0,
};

static void read(const bb_json *c, bb_facts *f)
{
    f->names = &names;
    bb_key_decoder(c, &defaults, f);
    bb_key_attention(c, &defaults, f);
    bb_key_granite(c, f);
    for (int l = 0; l < f->n_layers; l++) f->is_attention[l] = true;
}

const bb_arch bb_arch_granite = {
    .model_type = "granite", .class_name = "GraniteForCausalLM", .read = read,
    .plan = bb_plan_layers,
};
