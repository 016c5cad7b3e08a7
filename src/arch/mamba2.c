/* mamba2.c - Mamba-2: one Mamba-2 mixer a layer; in one layout also attention and MLPs.
 *
 * Three layouts: transformers' Mamba2ForCausalLM; mamba_ssm's own config.json, which names no
 * architecture and may have layers with attention instead, and an MLP after each mixer; and
 * Mistral's params.json of Codestral-Mamba, under the name config.json. Widths are never filled in:
 * transformers' defaults describe Codestral, mamba_ssm's another model.
 * Source: transformers models/mamba2/{configuration,modeling}_mamba2.py; state-spaces/mamba
 *         models/{config_mamba,mixer_seq_simple}.py, modules/{mamba2,mha,mlp}.py;
 *         mistral-inference. */
#include "arch/keys.h"
#include "arch/registry.h"

#include <limits.h>
#include <math.h>

static const bb_names plain_names = {
    .base = "backbone.",
    .embed = "backbone.embeddings.weight", .embed_alias = "backbone.embedding.weight",
    .layer = "backbone.layers.%d.", .mixer_norm = "norm.weight", .attention = "mixer.",
    .mamba2 = "mixer.", .norm = "backbone.norm_f.weight", .head = "lm_head.weight",
};
static const bb_names hybrid_names = {    /* of mamba_ssm, with MLPs */
    .base = "backbone.",
    .embed = "backbone.embeddings.weight", .embed_alias = "backbone.embedding.weight",
    .layer = "backbone.layers.%d.", .mixer_norm = "norm.weight", .attention = "mixer.",
    .mamba2 = "mixer.", .mlp_norm = "norm2.weight", .mlp = "mlp.",
    .norm = "backbone.norm_f.weight", .head = "lm_head.weight",
};
static const bb_names mistral_names = {
    .base = "model.",
    .embed = "model.backbone.embedding.weight", .embed_alias = "model.backbone.embeddings.weight",
    .layer = "model.backbone.layers.%d.", .mixer_norm = "norm.weight", .mamba2 = "mixer.",
    .norm = "model.backbone.norm_f.weight", .head = "model.lm_head.weight",
};

/* -------------------------------------------------------------- shared ------------------- */

static void expect_groups(const bb_json *c, const char *key, const bb_mamba2_dims *m)
{
    if (m->n_groups < 1 || m->n_heads % m->n_groups != 0)
        bb_json_fail_key(c, key, BAMBA_ERR_FORMAT, "expected a divisor of %d heads, found %d",
                         m->n_heads, m->n_groups);
}

/* The number of heads of d_head columns that make up expand · d_model. */
static int count_heads(const bb_json *c, const char *key, int expand, int D, int d_head)
{
    const int64_t inner = (int64_t)expand * D;

    if (d_head < 1 || inner % d_head != 0 || inner > BB_MAX_DIM) {
        bb_json_fail_key(c, key, BAMBA_ERR_FORMAT, "expected a divisor of %d * %d columns <= %d, "
                         "found %d", expand, D, BB_MAX_DIM, d_head);
        return 1;
    }
    return (int)(inner / d_head);
}

/* -------------------------------------------------------------- transformers ------------- */

static void read_transformers(const bb_json *c, bb_facts *f)
{
    const int expand = bb_json_int_or(c, "expand", 1, 64, 2);
    const int D = f->d_model = bb_json_int(c, "hidden_size", 1, BB_MAX_DIM);

    f->n_vocab = f->n_rows = bb_json_int(c, "vocab_size", 1, BB_MAX_DIM);
    f->n_layers = bb_json_int(c, "num_hidden_layers", 1, BB_MAX_LAYERS);
    bb_key_tied(c, "tie_word_embeddings", false, f);
    f->epsilon = bb_key_epsilon(c, "layer_norm_epsilon", f->epsilon);
    f->mamba2 = (bb_mamba2_dims){
        .n_heads   = bb_json_int(c, "num_heads", 1, BB_MAX_DIM),
        .d_head    = bb_json_int(c, "head_dim", 1, BB_MAX_DIM),
        .d_state   = bb_json_int(c, "state_size", 1, BB_MAX_DIM),
        .n_groups  = bb_json_int(c, "n_groups", 1, BB_MAX_DIM),
        .d_conv    = bb_json_int_or(c, "conv_kernel", 1, 64, 4),
        .conv_bias = bb_json_bool_or(c, "use_conv_bias", true),
        .in_bias   = bb_json_bool_or(c, "use_bias", false),
    };
    if ((int64_t)f->mamba2.n_heads * f->mamba2.d_head != (int64_t)expand * D)
        bb_json_fail_key(c, "num_heads", BAMBA_ERR_FORMAT,
                         "expected num_heads * head_dim = expand * hidden_size = %d * %d, "
                         "found %d * %d", expand, D, f->mamba2.n_heads, f->mamba2.d_head);
    expect_groups(c, "n_groups", &f->mamba2);
    bb_key_expect_switch(c, "rms_norm", true);
    bb_key_expect(c, "hidden_act", "silu");
    bb_key_limits(c, "time_step_limit", &f->mamba2.dt_min, &f->mamba2.dt_max);
}

/* -------------------------------------------------------------- mamba_ssm ---------------- */

/* Refuse parts of mamba_ssm's modules that no published model uses. */
static void refuse_extras(const bb_json *c, const bb_json *ssm, int d_inner)
{
    const bb_json experts = bb_json_get(c, "moe_layer_idx");

    if (bb_json_length(&experts) > 0)
        bb_json_fail(&experts, BAMBA_ERR_UNSUPPORTED,
                     "expected an empty list, experts in this layout are not implemented");
    if (bb_json_int_or(ssm, "d_ssm", 1, BB_MAX_DIM, d_inner) != d_inner)
        bb_json_fail_key(ssm, "d_ssm", BAMBA_ERR_UNSUPPORTED,
                         "expected expand * d_model = %d, an MLP inside the mixer is not "
                         "implemented", d_inner);
    bb_key_expect_switch(c, "rms_norm", true);
    bb_key_expect_switch(ssm, "D_has_hdim", false);
}

/* attn_cfg, whose defaults are those of the module: no positions, biases, not even causal. */
static void read_attention(const bb_json *c, bb_facts *f)
{
    const bb_json      object = bb_json_get(c, "attn_cfg"), *a = &object;
    const int          heads = bb_json_int(a, "num_heads", 1, BB_MAX_DIM);
    const int          d_head = bb_json_int_or(a, "head_dim", 1, 4096, f->d_model / heads);
    bb_attention_dims *m = &f->attention;

    *m = (bb_attention_dims){
        .n_heads = heads, .d_head = d_head, .is_fused = true,
        .n_kv_heads = bb_json_int_or(a, "num_heads_kv", 1, BB_MAX_DIM, heads),
        .d_conv     = bb_json_int_or(a, "d_conv", 0, 64, 0),
        .bias       = bb_json_bool_or(a, "qkv_proj_bias", true),
        .out_bias   = bb_json_bool_or(a, "out_proj_bias", true),
        .rope.d     = bb_json_int_or(a, "rotary_emb_dim", 0, d_head, 0),
        .rope.theta = bb_json_float_or(a, "rotary_emb_base", 10000.0),
        .scale      = (float)bb_json_float_or(a, "softmax_scale", 0.0),
    };
    if (heads % m->n_kv_heads != 0)
        bb_json_fail_key(a, "num_heads_kv", BAMBA_ERR_FORMAT, "expected a divisor of %d heads, "
                         "found %d", heads, m->n_kv_heads);
    if (!bb_json_has(a, "head_dim") && f->d_model % heads != 0)
        bb_json_fail_key(a, "num_heads", BAMBA_ERR_FORMAT, "expected a divisor of d_model = %d, "
                         "found %d", f->d_model, heads);
    if (m->rope.d % 2 != 0)
        bb_json_fail_key(a, "rotary_emb_dim", BAMBA_ERR_FORMAT, "expected an even number, found %d",
                         m->rope.d);
    if (!(m->rope.theta > 1.0 && isfinite(m->rope.theta)))
        bb_json_fail_key(a, "rotary_emb_base", BAMBA_ERR_FORMAT, "expected a number above 1, "
                         "found %g", m->rope.theta);
    if (bb_json_has(a, "softmax_scale") && !(m->scale > 0.0f && isfinite(m->scale)))
        bb_json_fail_key(a, "softmax_scale", BAMBA_ERR_FORMAT, "expected a number above 0, "
                         "found %g", (double)m->scale);
    if (bb_json_int_or(a, "mlp_dim", 0, BB_MAX_DIM, 0) != 0)
        bb_json_fail_key(a, "mlp_dim", BAMBA_ERR_UNSUPPORTED,
                         "expected 0, an MLP inside attention is not implemented");
    if (!bb_json_bool_or(a, "causal", false))
        bb_json_fail_key(a, "causal", BAMBA_ERR_UNSUPPORTED, "expected true, found %s",
                         bb_json_has(a, "causal") ? "false" : "nothing, which means false");
    bb_key_expect_switch(a, "rotary_emb_interleaved", false);
}

/* Layers with attention, and MLPs: their width is rounded up to a multiple of 128. */
static void read_hybrid(const bb_json *c, bb_facts *f)
{
    enum { MULTIPLE = 128 };
    const bb_json layers = bb_json_get(c, "attn_layer_idx");
    const int     d_ff = bb_json_int_or(c, "d_intermediate", 0, BB_MAX_DIM / 2 - MULTIPLE, 0);

    bb_key_mark(c, "attn_layer_idx", f->n_layers, f->is_attention);
    if (bb_json_length(&layers) > 0) read_attention(c, f);
    if (d_ff == 0) return;
    f->names = &hybrid_names;
    f->mlp = (bb_mlp_dims){ .d_ff = (d_ff + MULTIPLE - 1) / MULTIPLE * MULTIPLE,
                            .gate_up = "fc1", .up_first = true, .down = "fc2" };
}

static void read_mamba_ssm(const bb_json *c, bb_facts *f)
{
    const bb_json object = bb_json_get(c, "ssm_cfg");
    const bb_json *ssm = &object;
    const int     D = f->d_model = bb_json_int(c, "d_model", 1, BB_MAX_DIM);
    const int     expand = bb_json_int_or(ssm, "expand", 1, 64, 2);

    bb_key_expect(ssm, "layer", "Mamba2");
    bb_key_padded_vocabulary(c, f);
    f->n_layers = bb_json_int(c, "n_layer", 1, BB_MAX_LAYERS);
    bb_key_tied(c, "tie_embeddings", true, f);
    f->mamba2 = (bb_mamba2_dims){
        .d_head    = bb_json_int_or(ssm, "headdim", 1, BB_MAX_DIM, 64),
        .d_state   = bb_json_int_or(ssm, "d_state", 1, BB_MAX_DIM, 128),
        .n_groups  = bb_json_int_or(ssm, "ngroups", 1, BB_MAX_DIM, 1),
        .d_conv    = bb_json_int_or(ssm, "d_conv", 1, 64, 4),
        .conv_bias = bb_json_bool_or(ssm, "conv_bias", true),
        .in_bias   = bb_json_bool_or(ssm, "bias", false),
        .gate      = !bb_json_bool_or(ssm, "rmsnorm", true) ? BB_GATE_ALONE
                   : bb_json_bool_or(ssm, "norm_before_gate", false) ? BB_NORM_THEN_GATE
                                                                     : BB_GATE_THEN_NORM,
    };
    f->mamba2.n_heads = count_heads(ssm, "headdim", expand, D, f->mamba2.d_head);
    expect_groups(ssm, "ngroups", &f->mamba2);
    bb_key_limits(ssm, "dt_limit", &f->mamba2.dt_min, &f->mamba2.dt_max);
    refuse_extras(c, ssm, f->mamba2.n_heads * f->mamba2.d_head);
    read_hybrid(c, f);
}

/* -------------------------------------------------------------- Mistral ------------------ */

static void read_mistral(const bb_json *c, bb_facts *f)
{
    enum { EXPAND = 2, HEAD = 64 };       /* defaults of mamba_ssm's module */

    bb_key_padded_vocabulary(c, f);
    f->d_model = bb_json_int(c, "dim", 1, BB_MAX_DIM);
    f->n_layers = bb_json_int(c, "n_layers", 1, BB_MAX_LAYERS);
    bb_key_tied(c, "tie_embeddings", false, f);
    f->mamba2 = (bb_mamba2_dims){
        .d_head    = HEAD,
        .d_state   = 128,
        .n_groups  = bb_json_int(c, "n_groups", 1, BB_MAX_DIM),
        .d_conv    = 4,
        .conv_bias = true,
        .dt_max    = INFINITY,
    };
    f->mamba2.n_heads = count_heads(c, "dim", EXPAND, f->d_model, HEAD);
    expect_groups(c, "n_groups", &f->mamba2);
    bb_key_expect_switch(c, "rms_norm", true);
}

/* -------------------------------------------------------------- plan --------------------- */

static bool is_mistral(const bb_json *c)
{
    return bb_json_has(c, "dim") && bb_json_has(c, "n_layers") && bb_json_has(c, "n_groups");
}

/* Files of mamba_ssm and Mistral name no architecture, or "model_type": "mamba", which elsewhere
   means Mamba-1; mamba_ssm's without a kind of layer mean Mamba-1 too, and mamba.c claims them. */
static bool claims(const bb_json *c)
{
    return !bb_json_has(c, "architectures") && (bb_key_is_mamba_ssm(c) || is_mistral(c));
}

static void read(const bb_json *c, bb_facts *f)
{
    f->epsilon = 1e-5;
    f->n_context = bb_json_int_or(c, "max_position_embeddings", 0, INT_MAX, 0);
    f->names = is_mistral(c) ? &mistral_names : &plain_names;
    if (is_mistral(c)) read_mistral(c, f);
    else if (bb_key_is_mamba_ssm(c)) read_mamba_ssm(c, f);
    else read_transformers(c, f);
    f->mamba2.out_bias = f->mamba2.in_bias;
    f->mamba2.epsilon = (float)f->epsilon;
}

const bb_arch bb_arch_mamba2 = {
    .model_type = "mamba2", .class_name = "Mamba2ForCausalLM",
    .claims = claims, .read = read, .plan = bb_plan_layers,
};
