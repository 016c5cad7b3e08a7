/* falcon_h1.c - TII's Falcon-H1: Mamba-2 and attention side by side in every layer, then an MLP.
 *
 * Constant factors ("multipliers") stand at the inputs, between and behind all of its parts. The
 * inner width of Mamba-2 is a number of its own, and its gate need not have a norm.
 * Source: transformers models/falcon_h1/{configuration,modeling}_falcon_h1.py. */
#include "arch/keys.h"
#include "arch/registry.h"

static const char *const unused[] = { ".rotary_emb.inv_freq", NULL };

static const bb_names names = {
    .base = "model.", .embed = "model.embed_tokens.weight",
    .layer = "model.layers.%d.",
    .mixer_norm = "input_layernorm.weight", .attention = "self_attn.", .mamba2 = "mamba.",
    .mlp_norm = "pre_ff_layernorm.weight", .mlp = "feed_forward.",
    .norm = "model.final_layernorm.weight", .head = "lm_head.weight",
    .unused = unused,
};

static const bb_key_defaults defaults = {
    .n_vocab = 128000, .d_ff = 14336, .n_context = 8192, .n_kv_heads = 8, .epsilon = 1e-5,
    .partial = 1.0,
};
enum { DEFAULT_D_SSM = 1024 };

static void read_multipliers(const bb_json *c, bb_facts *f)
{
    double mlp[2];

    bb_key_multipliers(c, "mlp_multipliers", 2, mlp);
    bb_key_multipliers(c, "ssm_multipliers", BB_MAMBA2_PARTS, f->mamba2.times);
    f->mamba2.times_in = bb_key_multiplier(c, "ssm_in_multiplier");
    f->attention.times_in = bb_key_multiplier(c, "attention_in_multiplier");
    f->attention.times_key = bb_key_multiplier(c, "key_multiplier");
    f->mlp.times_gate = mlp[0];
    f->times = (bb_multipliers){
        .embed     = bb_key_multiplier(c, "embedding_multiplier"),
        .mamba2    = bb_key_multiplier(c, "ssm_out_multiplier"),
        .attention = bb_key_multiplier(c, "attention_out_multiplier"),
        .mlp       = mlp[1],
        .logits    = bb_key_multiplier(c, "lm_head_multiplier"),
    };
}

static void read(const bb_json *c, bb_facts *f)
{
    f->names = &names;
    bb_key_decoder(c, &defaults, f);
    bb_key_attention(c, &defaults, f);
    bb_key_mamba2(c, DEFAULT_D_SSM, f);
    f->mamba2.out_bias = bb_json_bool_or(c, "projectors_bias", false);
    const bool norm_first = bb_json_bool_or(c, "mamba_norm_before_gate", true);
    f->mamba2.gate = !bb_json_bool_or(c, "mamba_rms_norm", false) ? BB_GATE_ALONE
                   : norm_first ? BB_NORM_THEN_GATE : BB_GATE_THEN_NORM;
    read_multipliers(c, f);
}

static void plan(const bb_facts *f, bb_plan *p)
{
    bb_mamba2_dims    mamba2 = f->mamba2;
    bb_attention_dims attention = f->attention;
    bb_mlp_dims       mlp = f->mlp;

    mamba2.d_model = attention.d_model = mlp.d_model = f->d_model;
    bb_plan_front(f, p);
    for (int l = 0; l < f->n_layers; l++) {
        bb_plan_layer(p, names.layer, l);
        bb_plan_block(p, names.mixer_norm);
        bb_plan_use(p, bb_plan_mamba2(p, names.mamba2, &mamba2), f->times.mamba2);
        bb_plan_use(p, bb_plan_attention(p, names.attention, &attention), f->times.attention);
        bb_plan_block(p, names.mlp_norm);
        bb_plan_use(p, bb_plan_mlp(p, names.mlp, &mlp), f->times.mlp);
    }
    bb_plan_back(f, p);
}

const bb_arch bb_arch_falcon_h1 = {
    .model_type = "falcon_h1", .class_name = "FalconH1ForCausalLM", .read = read, .plan = plan,
};
