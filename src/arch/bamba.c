/* bamba.c - IBM/Princeton/CMU/UIUC Bamba: Mamba-2 with a few attention layers, an MLP after each.
 *
 * Keys that are missing or null take the defaults of transformers' BambaConfig. Versions 1 and 2
 * differ in weights only.
 * Source: transformers models/bamba/{configuration,modeling}_bamba.py: names, order, defaults. */
#include "arch/keys.h"
#include "arch/registry.h"
#include "mixer/mixers.h"

#include <limits.h>

/* "mamba_d_head" is a number, "auto", or missing. */
static int head_width(const bb_json *c, int d_inner, int n_heads)
{
    const bb_json key = bb_json_get(c, "mamba_d_head");

    if (d_inner % n_heads != 0)
        bb_json_fail_key(c, "mamba_n_heads", BAMBA_ERR_FORMAT,
                         "expected a divisor of mamba_expand * hidden_size = %d, found %d", d_inner,
                         n_heads);
    if (bb_json_is_text(&key)) bb_key_expect(c, "mamba_d_head", "auto");
    if (!key.node || bb_json_is_text(&key)) return d_inner / n_heads;

    const int d_head = bb_json_int(c, "mamba_d_head", 1, BB_MAX_DIM);
    if ((int64_t)d_head * n_heads != d_inner)
        bb_json_fail(&key, BAMBA_ERR_FORMAT,
                     "expected mamba_expand * hidden_size / mamba_n_heads = %d / %d, found %d",
                     d_inner, n_heads, d_head);
    return d_head;
}

static bb_mamba2_dims read_mamba(const bb_json *c, int D, double epsilon)
{
    const int      expand = bb_json_int_or(c, "mamba_expand", 1, 64, 2);
    const int      H = bb_json_int_or(c, "mamba_n_heads", 1, BB_MAX_DIM, 128);
    bb_mamba2_dims m = {
        .d_model   = D,
        .n_heads   = H,
        .d_state   = bb_json_int_or(c, "mamba_d_state", 1, BB_MAX_DIM, 256),
        .n_groups  = bb_json_int_or(c, "mamba_n_groups", 1, BB_MAX_DIM, 1),
        .d_conv    = bb_json_int_or(c, "mamba_d_conv", 1, 64, 4),
        .conv_bias = bb_json_bool_or(c, "mamba_conv_bias", true),
        .proj_bias = bb_json_bool_or(c, "mamba_proj_bias", false),
        .epsilon   = (float)epsilon,
    };
    if ((int64_t)expand * D > BB_MAX_DIM)
        bb_json_fail_key(c, "mamba_expand", BAMBA_ERR_UNSUPPORTED,
                         "mamba_expand * hidden_size is above %d", BB_MAX_DIM);
    else m.d_head = head_width(c, expand * D, H);
    if (H % m.n_groups != 0)
        bb_json_fail_key(c, "mamba_n_groups", BAMBA_ERR_FORMAT,
                         "expected a divisor of mamba_n_heads = %d, found %d", H, m.n_groups);
    bb_key_time_step_limit(c, &m.dt_min, &m.dt_max);
    return m;
}

static bb_attention_dims read_attention(const bb_json *c, int D, bb_rope_factors *factors)
{
    const bb_rope_keys rope = bb_key_rope(c, 0.5);
    const int          A = bb_json_int_or(c, "num_attention_heads", 1, BB_MAX_DIM, 32);
    bb_attention_dims  a = {
        .d_model    = D,
        .n_heads    = A,
        /* 8 if the key is missing, as many as query heads if it is null */
        .n_kv_heads = bb_json_int_or(c, "num_key_value_heads", 1, BB_MAX_DIM,
                                     bb_json_is_member(c, "num_key_value_heads") ? A : 8),
        .d_head     = bb_json_int_or(c, "head_dim", 1, 4096, D / A),
        .bias       = bb_json_bool_or(c, "attention_bias", false),
    };
    if (D % A != 0 && !bb_json_has(c, "head_dim"))
        bb_json_fail_key(c, "num_attention_heads", BAMBA_ERR_FORMAT,
                         "expected a divisor of hidden_size = %d, found %d", D, A);
    if (A % a.n_kv_heads != 0)
        bb_json_fail_key(c, "num_key_value_heads", BAMBA_ERR_FORMAT,
                         "expected a divisor of num_attention_heads = %d, found %d", A,
                         a.n_kv_heads);
    const int d_rotary = bb_json_int_or(c, "attn_rotary_emb", 0, a.d_head,
                                        (int)(a.d_head * rope.partial));
    if (d_rotary % 2 != 0)
        bb_json_fail_key(c, "attn_rotary_emb", BAMBA_ERR_UNSUPPORTED,
                         "expected an even number of rotated columns, found %d", d_rotary);
    a.rope = bb_key_rope_dims(c, d_rotary, bb_json_int_or(c, "max_position_embeddings", 1, INT_MAX,
                                                          262144), factors);
    return a;
}

static void plan(const bb_json *c, bb_plan *p)
{
    const int    D = bb_json_int_or(c, "hidden_size", 1, BB_MAX_DIM, 4096);
    const int    V = bb_json_int_or(c, "vocab_size", 1, BB_MAX_DIM, 128000);
    const int    L = bb_json_int_or(c, "num_hidden_layers", 1, BB_MAX_LAYERS, 32);
    const double epsilon = bb_key_epsilon(c, "rms_norm_eps", 1e-5);
    const bool   tied = bb_json_bool_or(c, "tie_word_embeddings", false);

    const bb_mamba2_dims ssm = read_mamba(c, D, epsilon);

    /* without attention layers the defaults of their keys need not fit hidden_size */
    const bb_json           layers = bb_json_get(c, "attn_layer_indices");
    const bb_attention_dims none = { 0 };
    bb_rope_factors         factors;
    const bb_attention_dims attention = bb_json_length(&layers) > 0
                                    ? read_attention(c, D, &factors) : none;
    const bb_mlp_dims       mlp = {
        .d_model = D,
        .d_ff    = bb_json_int_or(c, "intermediate_size", 1, BB_MAX_DIM, 14336),
        .bias    = bb_json_bool_or(c, "mlp_bias", false),
    };

    bb_key_expect(c, "hidden_act", "silu");
    if (bb_json_status(c->doc, NULL) != BAMBA_OK) return;

    bb_plan_begin(p, D, V, epsilon);
    bb_plan_embed(p, "model.embed_tokens.weight");
    for (int l = 0; l < L; l++) {
        bb_plan_layer(p, "model.layers.%d.", l);
        bb_plan_block(p, "input_layernorm.weight");
        if (bb_key_list_has(c, "attn_layer_indices", 0, L - 1, l))
            bb_plan_attention(p, "self_attn.", &attention);
        else
            bb_plan_mamba2(p, "mamba.", &ssm);
        bb_plan_block(p, "pre_ff_layernorm.weight");
        bb_plan_mlp(p, "feed_forward.", &mlp);
    }
    bb_plan_head(p, "model.final_layernorm.weight", tied ? NULL : "lm_head.weight");

    /* buffers that old exports carry, and the head that tying makes superfluous */
    static const char *const untied_extra[] = { ".rotary_emb.inv_freq", NULL };
    static const char *const tied_extra[] = { ".rotary_emb.inv_freq", "lm_head.weight", NULL };
    p->g->leftovers = tied ? tied_extra : untied_extra;
}

const bb_arch bb_arch_bamba = {
    .model_type = "bamba", .class_name = "BambaForCausalLM", .plan = plan,
};
