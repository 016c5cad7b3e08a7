/* mamba.c - pure Mamba-1: one Mamba-1 mixer a layer, no attention, no MLP.
 *
 * MambaForCausalLM, and FalconMambaForCausalLM, which norms dt, B and C inside the mixer; and
 * mamba_ssm's own config.json, which names no architecture and, for Mamba-1, no kind of layer. The
 * inner width is intermediate_size where that is said: Falcon-Mamba-7B's own "expand" is another.
 * Source: transformers models/{mamba,falcon_mamba}/{configuration,modeling}_*.py;
 *         state-spaces/mamba models/{config_mamba,mixer_seq_simple}.py, modules/mamba_simple.py. */
#include "arch/keys.h"
#include "arch/registry.h"

#include <limits.h>
#include <string.h>

static const bb_names names = {
    .base = "backbone.",
    .embed = "backbone.embeddings.weight", .embed_alias = "backbone.embedding.weight",
    .layer = "backbone.layers.%d.", .mixer_norm = "norm.weight", .mamba1 = "mixer.",
    .norm = "backbone.norm_f.weight", .head = "lm_head.weight",
};

static void read_transformers(const bb_json *c, bb_facts *f)
{
    const int  D = f->d_model = bb_json_int(c, "hidden_size", 1, BB_MAX_DIM);
    const bool is_said = bb_json_has(c, "intermediate_size");

    f->n_vocab = f->n_rows = bb_json_int(c, "vocab_size", 1, BB_MAX_DIM);
    f->n_layers = bb_json_int(c, "num_hidden_layers", 1, BB_MAX_LAYERS);
    bb_key_tied(c, "tie_word_embeddings", true, f);
    f->epsilon = bb_key_epsilon(c, "layer_norm_epsilon", 1e-5);
    f->mamba1 = (bb_mamba1_dims){
        .d_inner   = is_said ? bb_json_int(c, "intermediate_size", 1, BB_MAX_DIM / 2)
                             : bb_key_inner_width(c, "expand", D),
        .d_state   = bb_json_int_or(c, "state_size", 1, BB_MAX_DIM, 16),
        .d_conv    = bb_json_int_or(c, "conv_kernel", 1, 64, 4),
        .dt_rank   = bb_key_dt_rank(c, "time_step_rank", D),
        .conv_bias = bb_json_bool_or(c, "use_conv_bias", true),
        .proj_bias = bb_json_bool_or(c, "use_bias", false),
    };
    bb_key_expect(c, "hidden_act", "silu");
    bb_key_expect_switch(c, "rms_norm", true);
}

static void read_mamba_ssm(const bb_json *c, bb_facts *f)
{
    const bb_json layers = bb_json_get(c, "attn_layer_idx"), ssm = bb_json_get(c, "ssm_cfg");
    const int     D = f->d_model = bb_json_int(c, "d_model", 1, BB_MAX_DIM);

    bb_key_padded_vocabulary(c, f);
    f->n_layers = bb_json_int(c, "n_layer", 1, BB_MAX_LAYERS);
    bb_key_tied(c, "tie_embeddings", true, f);
    f->epsilon = 1e-5;
    f->mamba1 = (bb_mamba1_dims){
        .d_inner   = bb_key_inner_width(&ssm, "expand", D),
        .d_state   = bb_json_int_or(&ssm, "d_state", 1, BB_MAX_DIM, 16),
        .d_conv    = bb_json_int_or(&ssm, "d_conv", 1, 64, 4),
        .dt_rank   = bb_key_dt_rank(&ssm, "dt_rank", D),
        .conv_bias = bb_json_bool_or(&ssm, "conv_bias", true),
        .proj_bias = bb_json_bool_or(&ssm, "bias", false),
    };
    bb_key_expect_switch(c, "rms_norm", true);
    if (bb_json_length(&layers) > 0)
        bb_json_fail(&layers, BAMBA_ERR_UNSUPPORTED,
                     "expected an empty list, attention beside Mamba-1 is not implemented");
    if (bb_json_int_or(c, "d_intermediate", 0, BB_MAX_DIM, 0) != 0)
        bb_json_fail_key(c, "d_intermediate", BAMBA_ERR_UNSUPPORTED,
                         "expected 0, an MLP beside Mamba-1 is not implemented");
}

/* Not mamba_ssm's files of Mamba-2, which name that layer. */
static bool claims(const bb_json *c)
{
    const bb_json ssm = bb_json_get(c, "ssm_cfg"), layer = bb_json_get(&ssm, "layer");
    const char   *name = bb_json_is_text(&layer) ? bb_json_value_text(&layer, NULL) : "";

    return !bb_json_has(c, "architectures") && bb_key_is_mamba_ssm(c)
        && (!bb_json_has(&ssm, "layer") || strcmp(name, "Mamba1") == 0);
}

static void read_mamba(const bb_json *c, bb_facts *f)
{
    f->names = &names;
    f->n_context = bb_json_int_or(c, "max_position_embeddings", 0, INT_MAX, 0);
    if (bb_key_is_mamba_ssm(c)) read_mamba_ssm(c, f);
    else read_transformers(c, f);
}

static void read_falcon(const bb_json *c, bb_facts *f)
{
    f->names = &names;
    f->n_context = bb_json_int_or(c, "max_position_embeddings", 0, INT_MAX, 0);
    read_transformers(c, f);
    f->mamba1.inner_norm = BB_INNER_NORM_PLAIN;
    f->mamba1.epsilon = (float)bb_key_epsilon(c, "mixer_rms_eps", 1e-6);
}

const bb_arch bb_arch_mamba = {
    .model_type = "mamba", .class_name = "MambaForCausalLM",
    .claims = claims, .read = read_mamba, .plan = bb_plan_layers,
};
const bb_arch bb_arch_falcon_mamba = {
    .model_type = "falcon_mamba", .class_name = "FalconMambaForCausalLM",
    .read = read_falcon, .plan = bb_plan_layers,
};
