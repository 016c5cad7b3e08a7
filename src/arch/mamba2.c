/* mamba2.c - pure Mamba-2: one Mamba-2 mixer a layer, no attention, no MLP.
 *
 * Three layouts: transformers' Mamba2ForCausalLM; mamba_ssm's own config.json, which names no
 * architecture; and Mistral's params.json of Codestral-Mamba, under the name config.json. Widths
 * are never filled in: transformers' defaults describe Codestral, mamba_ssm's another model.
 * Source: transformers models/mamba2/{configuration,modeling}_mamba2.py; state-spaces/mamba
 *         models/{config_mamba,mixer_seq_simple}.py, modules/mamba2.py; mistral-inference. */
#include "arch/keys.h"
#include "arch/registry.h"
#include "mixer/mixers.h"

#include <math.h>

/* What the layouts say, each in its own words. */
typedef struct shape {
    int            n_vocab, n_rows;       /* tokens; rows of the embedding, padded */
    int            n_layers;
    bool           tied;
    bb_mamba2_dims ssm;
} shape;

/* Where the layouts keep their tensors. */
typedef struct names {
    const char *embed, *embed_alias, *layer, *norm, *head;
} names;

static const names plain_names = {
    "backbone.embeddings.weight", "backbone.embedding.weight", "backbone.layers.%d.",
    "backbone.norm_f.weight", "lm_head.weight",
};
static const names mistral_names = {
    "model.backbone.embedding.weight", "model.backbone.embeddings.weight",
    "model.backbone.layers.%d.", "model.backbone.norm_f.weight", "model.lm_head.weight",
};

/* -------------------------------------------------------------- shared ------------------- */

/* Refuse a switch that is there and not as `expected`. */
static void expect_switch(const bb_json *c, const char *key, bool expected)
{
    if (bb_json_bool_or(c, key, expected) != expected)
        bb_json_fail_key(c, key, BAMBA_ERR_UNSUPPORTED, "expected %s, found %s",
                         expected ? "true" : "false", expected ? "false" : "true");
}

static void expect_groups(const bb_json *c, const char *key, const bb_mamba2_dims *m)
{
    if (m->n_groups < 1 || m->n_heads % m->n_groups != 0)
        bb_json_fail_key(c, key, BAMBA_ERR_FORMAT, "expected a divisor of %d heads, found %d",
                         m->n_heads, m->n_groups);
}

/* Heads of d_head columns that make up expand · d_model. */
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

/* Embeddings are padded to a multiple of `multiple` rows. */
static void read_vocabulary(const bb_json *c, shape *s)
{
    const int64_t multiple = bb_json_int_or(c, "pad_vocab_size_multiple", 1, BB_MAX_DIM, 8);

    s->n_vocab = bb_json_int(c, "vocab_size", 1, BB_MAX_DIM);
    const int64_t rows = (s->n_vocab + multiple - 1) / multiple * multiple;
    if (rows > BB_MAX_DIM)
        bb_json_fail_key(c, "pad_vocab_size_multiple", BAMBA_ERR_UNSUPPORTED,
                         "more than %d rows of the embedding", BB_MAX_DIM);
    else s->n_rows = (int)rows;
}

/* -------------------------------------------------------------- transformers ------------- */

static void read_transformers(const bb_json *c, shape *s)
{
    const int expand = bb_json_int_or(c, "expand", 1, 64, 2);
    const int D = bb_json_int(c, "hidden_size", 1, BB_MAX_DIM);

    s->n_vocab = s->n_rows = bb_json_int(c, "vocab_size", 1, BB_MAX_DIM);
    s->n_layers = bb_json_int(c, "num_hidden_layers", 1, BB_MAX_LAYERS);
    s->tied = bb_json_bool_or(c, "tie_word_embeddings", false);
    s->ssm = (bb_mamba2_dims){
        .d_model   = D,
        .n_heads   = bb_json_int(c, "num_heads", 1, BB_MAX_DIM),
        .d_head    = bb_json_int(c, "head_dim", 1, BB_MAX_DIM),
        .d_state   = bb_json_int(c, "state_size", 1, BB_MAX_DIM),
        .n_groups  = bb_json_int(c, "n_groups", 1, BB_MAX_DIM),
        .d_conv    = bb_json_int_or(c, "conv_kernel", 1, 64, 4),
        .conv_bias = bb_json_bool_or(c, "use_conv_bias", true),
        .proj_bias = bb_json_bool_or(c, "use_bias", false),
        .epsilon   = (float)bb_key_epsilon(c, "layer_norm_epsilon", 1e-5),
    };
    if ((int64_t)s->ssm.n_heads * s->ssm.d_head != (int64_t)expand * D)
        bb_json_fail_key(c, "num_heads", BAMBA_ERR_FORMAT,
                         "expected num_heads * head_dim = expand * hidden_size = %d * %d, "
                         "found %d * %d", expand, D, s->ssm.n_heads, s->ssm.d_head);
    expect_groups(c, "n_groups", &s->ssm);
    expect_switch(c, "rms_norm", true);
    bb_key_expect(c, "hidden_act", "silu");
    bb_key_time_step_limit(c, &s->ssm.dt_min, &s->ssm.dt_max);
}

/* -------------------------------------------------------------- mamba_ssm ---------------- */

/* Parts of the module that published Mamba-2 models leave out. */
static void refuse_extras(const bb_json *c, const bb_json *ssm, int d_inner)
{
    const bb_json layers = bb_json_get(c, "attn_layer_idx");

    if (bb_json_length(&layers) > 0)
        bb_json_fail(&layers, BAMBA_ERR_UNSUPPORTED,
                     "expected an empty list, attention with a convolution is not implemented");
    if (bb_json_int_or(c, "d_intermediate", 0, BB_MAX_DIM, 0) != 0)
        bb_json_fail_key(c, "d_intermediate", BAMBA_ERR_UNSUPPORTED,
                         "expected 0, an MLP beside the mixers is not implemented");
    if (bb_json_int_or(ssm, "d_ssm", 1, BB_MAX_DIM, d_inner) != d_inner)
        bb_json_fail_key(ssm, "d_ssm", BAMBA_ERR_UNSUPPORTED,
                         "expected expand * d_model = %d, an MLP inside the mixer is not "
                         "implemented", d_inner);
    expect_switch(c, "rms_norm", true);
    expect_switch(ssm, "rmsnorm", true);
    expect_switch(ssm, "norm_before_gate", false);
    expect_switch(ssm, "D_has_hdim", false);
}

static void read_mamba_ssm(const bb_json *c, shape *s)
{
    const bb_json object = bb_json_get(c, "ssm_cfg");
    const bb_json *ssm = &object;
    const int     D = bb_json_int(c, "d_model", 1, BB_MAX_DIM);
    const int     expand = bb_json_int_or(ssm, "expand", 1, 64, 2);

    if (!bb_json_has(ssm, "layer"))
        bb_json_fail_key(c, "ssm_cfg", BAMBA_ERR_UNSUPPORTED,
                         "expected \"layer\": \"Mamba2\", found no layer, which means Mamba-1");
    bb_key_expect(ssm, "layer", "Mamba2");
    read_vocabulary(c, s);
    s->n_layers = bb_json_int(c, "n_layer", 1, BB_MAX_LAYERS);
    s->tied = bb_json_bool_or(c, "tie_embeddings", true);
    s->ssm = (bb_mamba2_dims){
        .d_model   = D,
        .d_head    = bb_json_int_or(ssm, "headdim", 1, BB_MAX_DIM, 64),
        .d_state   = bb_json_int_or(ssm, "d_state", 1, BB_MAX_DIM, 128),
        .n_groups  = bb_json_int_or(ssm, "ngroups", 1, BB_MAX_DIM, 1),
        .d_conv    = bb_json_int_or(ssm, "d_conv", 1, 64, 4),
        .conv_bias = bb_json_bool_or(ssm, "conv_bias", true),
        .proj_bias = bb_json_bool_or(ssm, "bias", false),
        .epsilon   = 1e-5f,
    };
    s->ssm.n_heads = count_heads(ssm, "headdim", expand, D, s->ssm.d_head);
    expect_groups(ssm, "ngroups", &s->ssm);
    bb_key_limits(ssm, "dt_limit", &s->ssm.dt_min, &s->ssm.dt_max);
    refuse_extras(c, ssm, s->ssm.n_heads * s->ssm.d_head);
}

/* -------------------------------------------------------------- Mistral ------------------ */

static void read_mistral(const bb_json *c, shape *s)
{
    enum { EXPAND = 2, HEAD = 64 };       /* defaults of mamba_ssm's module */

    read_vocabulary(c, s);
    s->n_layers = bb_json_int(c, "n_layers", 1, BB_MAX_LAYERS);
    s->tied = bb_json_bool_or(c, "tie_embeddings", false);
    s->ssm = (bb_mamba2_dims){
        .d_model   = bb_json_int(c, "dim", 1, BB_MAX_DIM),
        .d_head    = HEAD,
        .d_state   = 128,
        .n_groups  = bb_json_int(c, "n_groups", 1, BB_MAX_DIM),
        .d_conv    = 4,
        .conv_bias = true,
        .dt_max    = INFINITY,
        .epsilon   = 1e-5f,
    };
    s->ssm.n_heads = count_heads(c, "dim", EXPAND, s->ssm.d_model, HEAD);
    expect_groups(c, "n_groups", &s->ssm);
    expect_switch(c, "rms_norm", true);
}

/* -------------------------------------------------------------- plan --------------------- */

static bool is_mamba_ssm(const bb_json *c)
{
    return bb_json_has(c, "d_model") && bb_json_has(c, "n_layer");
}

static bool is_mistral(const bb_json *c)
{
    return bb_json_has(c, "dim") && bb_json_has(c, "n_layers") && bb_json_has(c, "n_groups");
}

/* Both may say "model_type": "mamba", which is Mamba-1 elsewhere, or nothing. */
static bool claims(const bb_json *c)
{
    return !bb_json_has(c, "architectures") && (is_mamba_ssm(c) || is_mistral(c));
}

static void plan(const bb_json *c, bb_plan *p)
{
    const names *n = is_mistral(c) ? &mistral_names : &plain_names;
    shape        s = { .n_rows = 1 };

    if (is_mistral(c)) read_mistral(c, &s);
    else if (is_mamba_ssm(c)) read_mamba_ssm(c, &s);
    else read_transformers(c, &s);
    if (bb_json_status(c->doc, NULL) != BAMBA_OK) return;

    bb_plan_begin(p, s.ssm.d_model, s.n_vocab, (double)s.ssm.epsilon);
    bb_plan_padded(p, s.n_rows);
    bb_plan_embed(p, n->embed);
    bb_plan_embed_alias(p, n->embed_alias);
    for (int l = 0; l < s.n_layers; l++) {
        bb_plan_layer(p, n->layer, l);
        bb_plan_block(p, "norm.weight");
        bb_plan_mamba2(p, "mixer.", &s.ssm);
    }
    bb_plan_head(p, n->norm, s.tied ? NULL : n->head);

    /* mamba_ssm writes a tied head too */
    static const char *const tied_extra[] = { "lm_head.weight", NULL };
    p->g->leftovers = s.tied ? tied_extra : NULL;
}

const bb_arch bb_arch_mamba2 = {
    .model_type = "mamba2", .class_name = "Mamba2ForCausalLM", .plan = plan, .claims = claims,
};
