/* llama.c - Llama and what has its shape: attention and a gated MLP in every layer.
 *
 * LlamaForCausalLM: Llama 2 and 3.x, SmolLM2; MistralForCausalLM: the same network with other
 * defaults, as long as no sliding window would hide positions within the context.
 * Source: transformers models/{llama,mistral}/configuration_*.py, modeling_*.py. */
#include "arch/keys.h"
#include "arch/registry.h"
#include "mixer/mixers.h"

#include <limits.h>

/* What the families' configuration classes fill in. */
typedef struct defaults {
    int n_kv_heads;                       /* if the key is missing; 0 = as query heads */
    int d_ff;
    int n_context;
    int window;                           /* if the key is missing; 0 = none */
} defaults;

static void refuse_window(const bb_json *c, const defaults *known, int n_context)
{
    const int fallback = bb_json_is_member(c, "sliding_window") ? 0 : known->window;
    const int window = bb_json_int_or(c, "sliding_window", 0, INT_MAX, fallback);

    if (!bb_json_bool_or(c, "use_sliding_window", true) || window == 0) return;
    if (window < n_context)
        bb_json_fail_key(c, "sliding_window", BAMBA_ERR_UNSUPPORTED,
                         "expected none, or at least max_position_embeddings = %d, found %d%s",
                         n_context, window,
                         bb_json_has(c, "sliding_window") ? "" : " (this family's default)");
}

static bb_attention_dims read_attention(const bb_json *c, int D, const defaults *known,
                                        bb_rope_factors *factors)
{
    const int         A = bb_json_int_or(c, "num_attention_heads", 1, BB_MAX_DIM, 32);
    const int         n_context = bb_json_int_or(c, "max_position_embeddings", 1, INT_MAX,
                                                 known->n_context);
    const bool        as_queries = known->n_kv_heads == 0
                                || bb_json_is_member(c, "num_key_value_heads");
    bb_attention_dims a = {
        .d_model    = D,
        .n_heads    = A,
        .n_kv_heads = bb_json_int_or(c, "num_key_value_heads", 1, BB_MAX_DIM,
                                     as_queries ? A : known->n_kv_heads),
        .d_head     = bb_json_int_or(c, "head_dim", 1, 4096, D / A),
        .bias       = bb_json_bool_or(c, "attention_bias", false),
    };
    if (D % A != 0 && !bb_json_has(c, "head_dim"))
        bb_json_fail_key(c, "num_attention_heads", BAMBA_ERR_FORMAT,
                         "expected a divisor of hidden_size = %d, found %d", D, A);
    if (a.n_kv_heads == 0 || A % a.n_kv_heads != 0)
        bb_json_fail_key(c, "num_key_value_heads", BAMBA_ERR_FORMAT,
                         "expected a divisor of num_attention_heads = %d, found %d", A,
                         a.n_kv_heads);
    if (a.d_head % 2 != 0)
        bb_json_fail_key(c, "head_dim", BAMBA_ERR_UNSUPPORTED,
                         "expected an even number of rotated columns, found %d", a.d_head);
    const double partial = bb_key_rope(c, 1.0).partial;
    if (partial < 1.0)
        bb_json_fail_key(c, "partial_rotary_factor", BAMBA_ERR_UNSUPPORTED,
                         "expected 1, this family rotates whole heads; found %g", partial);
    refuse_window(c, known, n_context);
    a.rope = bb_key_rope_dims(c, a.d_head, n_context, factors);
    return a;
}

static void plan_network(const bb_json *c, const defaults *known, bb_plan *p)
{
    const int       D = bb_json_int_or(c, "hidden_size", 1, BB_MAX_DIM, 4096);
    const int       V = bb_json_int_or(c, "vocab_size", 1, BB_MAX_DIM, 32000);
    const int       L = bb_json_int_or(c, "num_hidden_layers", 1, BB_MAX_LAYERS, 32);
    const double    epsilon = bb_key_epsilon(c, "rms_norm_eps", 1e-6);
    const bool      tied = bb_json_bool_or(c, "tie_word_embeddings", false);
    bb_rope_factors factors;

    const bb_attention_dims attention = read_attention(c, D, known, &factors);
    const bb_mlp_dims       mlp = {
        .d_model = D,
        .d_ff    = bb_json_int_or(c, "intermediate_size", 1, BB_MAX_DIM, known->d_ff),
        .bias    = bb_json_bool_or(c, "mlp_bias", false),
    };
    bb_key_expect(c, "hidden_act", "silu");
    if (bb_json_status(c->doc, NULL) != BAMBA_OK) return;

    bb_plan_begin(p, D, V, epsilon);
    bb_plan_embed(p, "model.embed_tokens.weight");
    for (int l = 0; l < L; l++) {
        bb_plan_layer(p, "model.layers.%d.", l);
        bb_plan_block(p, "input_layernorm.weight");
        bb_plan_attention(p, "self_attn.", &attention);
        bb_plan_block(p, "post_attention_layernorm.weight");
        bb_plan_mlp(p, "mlp.", &mlp);
    }
    bb_plan_head(p, "model.norm.weight", tied ? NULL : "lm_head.weight");

    /* buffers that old exports carry, and the head that tying makes superfluous */
    static const char *const untied_extra[] = { ".rotary_emb.inv_freq", NULL };
    static const char *const tied_extra[] = { ".rotary_emb.inv_freq", "lm_head.weight", NULL };
    p->g->leftovers = tied ? tied_extra : untied_extra;
}

static void plan_llama(const bb_json *c, bb_plan *p)
{
    plan_network(c, &(defaults){ .d_ff = 11008, .n_context = 2048 }, p);
}

static void plan_mistral(const bb_json *c, bb_plan *p)
{
    plan_network(c, &(defaults){ .n_kv_heads = 8, .d_ff = 14336, .n_context = 131072,
                                 .window = 4096 }, p);
}

const bb_arch bb_arch_llama = {
    .model_type = "llama", .class_name = "LlamaForCausalLM", .plan = plan_llama,
};
const bb_arch bb_arch_mistral = {
    .model_type = "mistral", .class_name = "MistralForCausalLM", .plan = plan_mistral,
};
