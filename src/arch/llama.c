/* llama.c - Llama and what has its shape: attention and a gated MLP in every layer.
 *
 * LlamaForCausalLM: Llama 2 and 3.x, SmolLM2; MistralForCausalLM: the same network with other
 * defaults, as long as no sliding window would hide positions within the context.
 * Source: transformers models/{llama,mistral}/configuration_*.py, modeling_*.py. */
#include "arch/keys.h"
#include "arch/registry.h"

#include <limits.h>

static const char *const unused[] = { ".rotary_emb.inv_freq", NULL };

static const bb_names names = {
    .base = "model.", .embed = "model.embed_tokens.weight",
    .layer = "model.layers.%d.",
    .mixer_norm = "input_layernorm.weight", .attention = "self_attn.",
    .mlp_norm = "post_attention_layernorm.weight", .mlp = "mlp.",
    .norm = "model.norm.weight", .head = "lm_head.weight",
    .unused = unused,                     /* old exports carry rotary angles */
};

/* usual: the sliding window if the key is missing; 0 = none. A class that has one knows no
   "use_sliding_window", which says of others that the number means nothing. */
static void read(const bb_json *c, const bb_key_defaults *known, int usual, bb_facts *f)
{
    f->names = &names;
    bb_key_decoder(c, known, f);
    bb_key_attention(c, known, f);
    for (int l = 0; l < f->n_layers; l++) f->is_attention[l] = true;

    const bool is_said = bb_json_has(c, "sliding_window");
    const bool is_null = !is_said && bb_json_is_member(c, "sliding_window");
    const bool is_used = bb_json_bool_or(c, "use_sliding_window", true) || usual > 0;
    const int  window = bb_json_int_or(c, "sliding_window", 0, INT_MAX, is_null ? 0 : usual);
    if (is_used && window != 0 && window < f->n_context)
        bb_json_fail_key(c, "sliding_window", BAMBA_ERR_UNSUPPORTED,
                         "expected none, or at least max_position_embeddings = %d, found %d%s",
                         f->n_context, window, is_said ? "" : " (this family's default)");
}

static void read_llama(const bb_json *c, bb_facts *f)
{
    read(c, &(bb_key_defaults){ .n_vocab = 32000, .d_ff = 11008, .n_context = 2048,
                                .epsilon = 1e-6, .partial = 1.0 }, 0, f);
}

static void read_mistral(const bb_json *c, bb_facts *f)
{
    read(c, &(bb_key_defaults){ .n_vocab = 32000, .d_ff = 14336, .n_context = 131072,
                                .n_kv_heads = 8, .epsilon = 1e-6, .partial = 1.0 }, 4096, f);
}

const bb_arch bb_arch_llama = {
    .model_type = "llama", .class_name = "LlamaForCausalLM",
    .read = read_llama, .plan = bb_plan_layers,
};
const bb_arch bb_arch_mistral = {
    .model_type = "mistral", .class_name = "MistralForCausalLM",
    .read = read_mistral, .plan = bb_plan_layers,
};
