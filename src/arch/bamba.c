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

/* Columns of a Mamba head. "mamba_d_head" is a number, "auto", or missing. */
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

static void read_mamba(const bb_json *c, bb_facts *f)
{
    const int       D = f->d_model;
    const int       expand = bb_json_int_or(c, "mamba_expand", 1, 64, 2);
    const int       H = bb_json_int_or(c, "mamba_n_heads", 1, BB_MAX_DIM, 128);
    bb_mamba2_dims *m = &f->mamba2;

    *m = (bb_mamba2_dims){
        .n_heads   = H,
        .d_state   = bb_json_int_or(c, "mamba_d_state", 1, BB_MAX_DIM, 256),
        .n_groups  = bb_json_int_or(c, "mamba_n_groups", 1, BB_MAX_DIM, 1),
        .d_conv    = bb_json_int_or(c, "mamba_d_conv", 1, 64, 4),
        .conv_bias = bb_json_bool_or(c, "mamba_conv_bias", true),
        .proj_bias = bb_json_bool_or(c, "mamba_proj_bias", false),
        .epsilon   = (float)f->epsilon,
    };
    if ((int64_t)expand * D > BB_MAX_DIM)
        bb_json_fail_key(c, "mamba_expand", BAMBA_ERR_UNSUPPORTED,
                         "mamba_expand * hidden_size is above %d", BB_MAX_DIM);
    else m->d_head = head_width(c, expand * D, H);
    if (H % m->n_groups != 0)
        bb_json_fail_key(c, "mamba_n_groups", BAMBA_ERR_FORMAT,
                         "expected a divisor of mamba_n_heads = %d, found %d", H, m->n_groups);
    bb_key_limits(c, "time_step_limit", &m->dt_min, &m->dt_max);
}

static void read(const bb_json *c, bb_facts *f)
{
    const bb_json layers = bb_json_get(c, "attn_layer_indices");

    f->names = &names;
    bb_key_decoder(c, &defaults, f);
    read_mamba(c, f);
    bb_key_mark(c, "attn_layer_indices", f->n_layers, f->is_attention);
    /* without attention layers the defaults of their keys need not fit hidden_size */
    if (bb_json_length(&layers) > 0) bb_key_attention(c, &defaults, f);
}

const bb_arch bb_arch_bamba = {
    .model_type = "bamba", .class_name = "BambaForCausalLM", .read = read, .plan = bb_plan_layers,
};
