/* test_granite.c - Granite from config.json: plans, spellings, refusals. */
#include "bamba.h"

#include "support/plans.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const config_member hybrid[] = {
    { "architectures", "[\"GraniteMoeHybridForCausalLM\"]" },
    { "model_type", "\"granitemoehybrid\"" },
    { "vocab_size", "96" }, { "hidden_size", "32" }, { "intermediate_size", "16" },
    { "shared_intermediate_size", "24" }, { "num_hidden_layers", "2" },
    { "layer_types", "[\"mamba\", \"attention\"]" }, { "num_attention_heads", "4" },
    { "num_key_value_heads", "2" }, { "hidden_act", "\"silu\"" }, { "rms_norm_eps", "1e-5" },
    { "mamba_n_heads", "8" }, { "mamba_d_head", "8" }, { "mamba_d_state", "16" },
    { "mamba_n_groups", "1" }, { "mamba_d_conv", "4" }, { "mamba_expand", "2" },
    { "num_local_experts", "6" }, { "num_experts_per_tok", "2" }, { "embedding_multiplier", "12" },
    { "logits_scaling", "4" }, { "residual_multiplier", "0.25" }, { "attention_multiplier", "0.5" },
    { "position_embedding_type", "\"nope\"" }, { "max_position_embeddings", "256" },
    { "tie_word_embeddings", "true" }, { NULL, NULL },
};
static const config_member dense[] = {
    { "architectures", "[\"GraniteForCausalLM\"]" }, { "model_type", "\"granite\"" },
    { "vocab_size", "96" }, { "hidden_size", "32" }, { "intermediate_size", "48" },
    { "num_hidden_layers", "1" }, { "num_attention_heads", "4" }, { "num_key_value_heads", "2" },
    { "hidden_act", "\"silu\"" }, { "rms_norm_eps", "1e-5" }, { "rope_theta", "500.0" },
    { "max_position_embeddings", "256" }, { "embedding_multiplier", "12" },
    { "logits_scaling", "4" }, { "residual_multiplier", "0.25" }, { "attention_multiplier", "0.5" },
    { "tie_word_embeddings", "true" }, { NULL, NULL },
};

#define MOE "32 -> 2 of 6 experts, 32 -> 16 -> 32, times 0.25\n"

/* -------------------------------------------------------------- plans -------------------- */

static void test_plan(void **unused)
{
    (void)unused;
    char *text = config_describe(hybrid, NULL);
    assert_string_equal(text,
        "embed    model.embed_tokens.weight [96, 32]\n"
        "mamba2   model.layers.0.mamba. 32 -> 8 heads x 8, state 16, groups 1, conv 4 + bias, "
        "times 0.25\nmoe      model.layers.0.block_sparse_moe. " MOE
        "mlp      model.layers.0.shared_mlp. 32 -> 24 -> 32, times 0.25\n"
        "attention model.layers.1.self_attn. 32 -> 4 heads (2 kv) x 8, scale 0.5, times 0.25\n"
        "moe      model.layers.1.block_sparse_moe. " MOE
        "mlp      model.layers.1.shared_mlp. 32 -> 24 -> 32, times 0.25\n"
        "head     model.embed_tokens.weight [96, 32], tied\n");
    free(text);
    text = config_describe(dense, NULL);
    assert_string_equal(text,
        "embed    model.embed_tokens.weight [96, 32]\n"
        "attention model.layers.0.self_attn. 32 -> 4 heads (2 kv) x 8, rope 8 of 8, theta 500, "
        "scale 0.5, times 0.25\n"
        "mlp      model.layers.0.mlp. 32 -> 48 -> 32, times 0.25\n"
        "head     model.embed_tokens.weight [96, 32], tied\n");
    free(text);
}

static void test_defaults_and_switches(void **unused)
{
    static const struct {
        config_member change;
        const char   *words;
    } cases[] = {
        { { "layer_types", "[\"full_attention\", \"linear_attention\"]" },
          "layers.0.self_attn. 32" },
        { { "layer_types", NULL }, "layers.1.mamba. 32" },
        { { "layer_types", "null" }, "layers.1.mamba. 32" },
        { { "layers_block_type", "[\"mamba\", \"mamba\"]" }, "layers.1.self_attn. 32" },
        { { "position_embedding_type", NULL }, "x 8, scale 0.5" },
        { { "position_embedding_type", "null" }, "x 8, scale 0.5" },
        { { "position_embedding_type", "\"rope\"" }, "rope 8 of 8, theta 10000, scale 0.5" },
        { { "rope_scaling", "{\"rope_type\": \"unheard of\"}" }, "x 8, scale 0.5" },
        { { "num_local_experts", "0" }, "conv 4 + bias, times 0.25\nmlp " },
        { { "num_local_experts", NULL }, "2 of 8 experts" },
        { { "num_experts_per_tok", NULL }, "2 of 6 experts" },
        { { "num_experts_per_tok", "6" }, "6 of 6 experts" },
        { { "shared_intermediate_size", NULL }, "32 -> 1024 -> 32" },
        { { "intermediate_size", NULL }, "32 -> 11008 -> 32" },
        { { "residual_multiplier", NULL }, "32 -> 24 -> 32\n" },
        { { "attention_multiplier", NULL }, "x 8, scale 1, times 0.25" },
        { { "mamba_d_head", "\"auto\"" }, "8 heads x 8" },
        { { "mamba_proj_bias", "true" }, "conv 4 + bias, bias" },
        { { "tie_word_embeddings", "false" }, "head     lm_head.weight" },
        { { "normalization_function", "\"rmsnorm\"" }, "2 of 6" },
    };
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_in_plan(hybrid, cases[i].change.key, cases[i].change.value, cases[i].words);
    expect_in_plan(dense, "mlp_bias", "true", "48 -> 32, bias, times");
    expect_in_plan(dense, "num_key_value_heads", NULL, "4 heads (4 kv)");
    expect_in_plan(dense, "attention_multiplier", "-1.5", "scale -1.5");
    expect_in_plan(dense, "residual_multiplier", "1", "48 -> 32\n");
}

/* -------------------------------------------------------------- refusals ----------------- */

static const refusal hybrids[] = {
    { { "model_type", "\"granitemoe\"" }, "'model_type'", CANNOT },
    { { "vocab_size", "0" }, "'vocab_size'", BAD },
    { { "vocab_size", "\"96\"" }, "'vocab_size'", BAD },
    { { "hidden_size", "-1" }, "'hidden_size'", BAD },
    { { "hidden_size", "33" }, "'mamba_n_heads'", BAD },
    { { "intermediate_size", "0" }, "'intermediate_size'", BAD },
    { { "intermediate_size", "1.5" }, "'intermediate_size'", BAD },
    { { "shared_intermediate_size", "0" }, "'shared_intermediate_size'", BAD },
    { { "shared_intermediate_size", "16777216" }, "'shared_intermediate_size'", BAD },
    { { "shared_intermediate_size", "[24]" }, "'shared_intermediate_size'", BAD },
    { { "num_hidden_layers", "0" }, "'num_hidden_layers'", BAD },
    { { "num_hidden_layers", "3" }, "'layer_types'", BAD },
    { { "layer_types", "[]" }, "'layer_types'", BAD },
    { { "layer_types", "\"mamba\"" }, "'layer_types'", BAD },
    { { "layer_types", "[\"mamba\"]" }, "'layer_types'", BAD },
    { { "layer_types", "[\"mamba\", \"mlp\"]" }, "'layer_types[1]'", CANNOT },
    { { "layer_types", "[\"mamba\", \"sliding_attention\"]" }, "'layer_types[1]'", CANNOT },
    { { "layer_types", "[\"mamba\", 1]" }, "'layer_types[1]'", BAD },
    { { "layer_types", "{}" }, "'layer_types'", BAD },
    { { "num_attention_heads", "0" }, "'num_attention_heads'", BAD },
    { { "num_attention_heads", "5" }, "'num_attention_heads'", BAD },
    { { "num_key_value_heads", "3" }, "'num_key_value_heads'", BAD },
    { { "head_dim", "0" }, "'head_dim'", BAD },
    { { "hidden_act", "\"gelu\"" }, "'hidden_act'", CANNOT },
    { { "rms_norm_eps", "1" }, "'rms_norm_eps'", BAD },
    { { "mamba_n_heads", "0" }, "'mamba_n_heads'", BAD },
    { { "mamba_n_heads", "7" }, "'mamba_n_heads'", BAD },
    { { "mamba_d_head", "9" }, "'mamba_d_head'", BAD },
    { { "mamba_d_head", "\"wide\"" }, "'mamba_d_head'", CANNOT },
    { { "mamba_d_state", "0" }, "'mamba_d_state'", BAD },
    { { "mamba_n_groups", "3" }, "'mamba_n_groups'", BAD },
    { { "mamba_d_conv", "0" }, "'mamba_d_conv'", BAD },
    { { "mamba_expand", "0" }, "'mamba_expand'", BAD },
    { { "mamba_conv_bias", "1" }, "'mamba_conv_bias'", BAD },
    { { "mamba_proj_bias", "\"no\"" }, "'mamba_proj_bias'", BAD },
    { { "time_step_limit", "[1, 0.5]" }, "'time_step_limit'", BAD },
    { { "num_local_experts", "-1" }, "'num_local_experts'", BAD },
    { { "num_local_experts", "1" }, "'num_experts_per_tok'", BAD },
    { { "num_local_experts", "\"6\"" }, "'num_local_experts'", BAD },
    { { "num_experts_per_tok", "0" }, "'num_experts_per_tok'", BAD },
    { { "num_experts_per_tok", "7" }, "'num_experts_per_tok'", BAD },
    { { "num_experts_per_tok", "[2]" }, "'num_experts_per_tok'", BAD },
    { { "embedding_multiplier", "0" }, "'embedding_multiplier'", BAD },
    { { "embedding_multiplier", "Infinity" }, "'embedding_multiplier'", BAD },
    { { "embedding_multiplier", "\"12\"" }, "'embedding_multiplier'", BAD },
    { { "logits_scaling", "0" }, "'logits_scaling'", BAD },
    { { "logits_scaling", "true" }, "'logits_scaling'", BAD },
    { { "residual_multiplier", "0.0" }, "'residual_multiplier'", BAD },
    { { "residual_multiplier", "-Infinity" }, "'residual_multiplier'", BAD },
    { { "attention_multiplier", "0" }, "'attention_multiplier'", BAD },
    { { "attention_multiplier", "[1]" }, "'attention_multiplier'", BAD },
    { { "position_embedding_type", "1" }, "'position_embedding_type'", BAD },
    { { "attention_bias", "0" }, "'attention_bias'", BAD },
    { { "max_position_embeddings", "0" }, "'max_position_embeddings'", BAD },
    { { "tie_word_embeddings", "0" }, "'tie_word_embeddings'", BAD },
};

static const refusal denses[] = {
    { { "model_type", "\"granite_swa\"" }, "'model_type'", CANNOT },
    { { "vocab_size", "-3" }, "'vocab_size'", BAD },
    { { "vocab_size", "96.5" }, "'vocab_size'", BAD },
    { { "vocab_size", "99999999" }, "'vocab_size'", BAD },
    { { "hidden_size", "0" }, "'hidden_size'", BAD },
    { { "hidden_size", "30" }, "'num_attention_heads'", BAD },
    { { "hidden_size", "{}" }, "'hidden_size'", BAD },
    { { "intermediate_size", "0" }, "'intermediate_size'", BAD },
    { { "intermediate_size", "-48" }, "'intermediate_size'", BAD },
    { { "intermediate_size", "\"48\"" }, "'intermediate_size'", BAD },
    { { "num_hidden_layers", "0" }, "'num_hidden_layers'", BAD },
    { { "num_hidden_layers", "4097" }, "'num_hidden_layers'", BAD },
    { { "num_hidden_layers", "[1]" }, "'num_hidden_layers'", BAD },
    { { "num_attention_heads", "0" }, "'num_attention_heads'", BAD },
    { { "num_attention_heads", "3" }, "'num_attention_heads'", BAD },
    { { "num_attention_heads", "true" }, "'num_attention_heads'", BAD },
    { { "num_key_value_heads", "0" }, "'num_key_value_heads'", BAD },
    { { "num_key_value_heads", "3" }, "'num_key_value_heads'", BAD },
    { { "num_key_value_heads", "8" }, "'num_key_value_heads'", BAD },
    { { "head_dim", "7" }, "'head_dim'", CANNOT },
    { { "head_dim", "5000" }, "'head_dim'", BAD },
    { { "hidden_act", "\"relu\"" }, "'hidden_act'", CANNOT },
    { { "hidden_act", "1" }, "'hidden_act'", BAD },
    { { "rms_norm_eps", "-1" }, "'rms_norm_eps'", BAD },
    { { "rms_norm_eps", "\"0\"" }, "'rms_norm_eps'", BAD },
    { { "max_position_embeddings", "0" }, "'max_position_embeddings'", BAD },
    { { "max_position_embeddings", "1e4" }, "'max_position_embeddings'", BAD },
    { { "attention_bias", "1" }, "'attention_bias'", BAD },
    { { "mlp_bias", "\"yes\"" }, "'mlp_bias'", BAD },
    { { "mlp_bias", "[]" }, "'mlp_bias'", BAD },
    { { "tie_word_embeddings", "1" }, "'tie_word_embeddings'", BAD },
    { { "embedding_multiplier", "0" }, "'embedding_multiplier'", BAD },
    { { "embedding_multiplier", "-Infinity" }, "'embedding_multiplier'", BAD },
    { { "embedding_multiplier", "{}" }, "'embedding_multiplier'", BAD },
    { { "logits_scaling", "0" }, "'logits_scaling'", BAD },
    { { "logits_scaling", "\"8\"" }, "'logits_scaling'", BAD },
    { { "logits_scaling", "-Infinity" }, "'logits_scaling'", BAD },
    { { "residual_multiplier", "0" }, "'residual_multiplier'", BAD },
    { { "residual_multiplier", "false" }, "'residual_multiplier'", BAD },
    { { "attention_multiplier", "0" }, "'attention_multiplier'", BAD },
    { { "attention_multiplier", "Infinity" }, "'attention_multiplier'", BAD },
    { { "attention_multiplier", "\"1\"" }, "'attention_multiplier'", BAD },
    { { "rope_theta", "1" }, "'rope_theta'", BAD },
    { { "rope_theta", "\"1e4\"" }, "'rope_theta'", BAD },
    { { "rope_theta", "Infinity" }, "'rope_theta'", BAD },
    { { "partial_rotary_factor", "0.5" }, "'partial_rotary_factor'", CANNOT },
    { { "partial_rotary_factor", "2" }, "'partial_rotary_factor'", BAD },
    { { "rope_scaling", "{\"rope_type\": \"other\"}" }, "'rope_scaling.rope_type'", CANNOT },
    { { "rope_scaling", "{\"rope_type\": \"linear\"}" }, "'rope_scaling.factor'", BAD },
    { { "rope_scaling", "7" }, "'rope_scaling'", BAD },
    { { "eos_token_id", "\"</s>\"" }, "'eos_token_id'", BAD },
};

static void test_refusals_name_the_key(void **unused)
{
    enum { N_HYBRIDS = sizeof hybrids / sizeof *hybrids,
           N_DENSES = sizeof denses / sizeof *denses };

    (void)unused;
    expect_refusals(hybrid, hybrids, N_HYBRIDS);
    expect_refusals(dense, denses, N_DENSES);
    assert_true(N_HYBRIDS >= 50 && N_DENSES >= 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_defaults_and_switches),
        cmocka_unit_test(test_refusals_name_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
