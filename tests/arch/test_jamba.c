/* test_jamba.c - Jamba from config.json: plans, defaults, refusals. */
#include "bamba.h"

#include "support/plans.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const config_member jamba[] = {
    { "architectures", "[\"JambaForCausalLM\"]" }, { "model_type", "\"jamba\"" },
    { "vocab_size", "96" }, { "hidden_size", "40" }, { "intermediate_size", "56" },
    { "num_hidden_layers", "4" }, { "attn_layer_period", "3" }, { "attn_layer_offset", "1" },
    { "expert_layer_period", "2" }, { "expert_layer_offset", "1" }, { "num_experts", "6" },
    { "num_experts_per_tok", "2" }, { "num_attention_heads", "4" }, { "num_key_value_heads", "2" },
    { "mamba_d_state", "16" }, { "mamba_d_conv", "4" }, { "mamba_expand", "2" },
    { "mamba_dt_rank", "\"auto\"" }, { "mamba_conv_bias", "true" }, { "mamba_proj_bias", "false" },
    { "mamba_inner_layernorms", "true" }, { "hidden_act", "\"silu\"" }, { "rms_norm_eps", "1e-6" },
    { "max_position_embeddings", "256" }, { "tie_word_embeddings", "false" }, { NULL, NULL },
};

/* -------------------------------------------------------------- plans -------------------- */

#define MAMBA " 40 -> 80, state 16, dt rank 3, conv 4 + bias, inner norms\n"
#define MLP   " 40 -> 56 -> 40\n"
#define MOE   " 40 -> 2 of 6 experts, 40 -> 56 -> 40\n"

static void test_plan(void **unused)
{
    char *text = config_describe(jamba, NULL);

    (void)unused;
    assert_string_equal(text,
        "embed    model.embed_tokens.weight [96, 40]\n"
        "mamba1   model.layers.0.mamba." MAMBA
        "mlp      model.layers.0.feed_forward." MLP
        "attention model.layers.1.self_attn. 40 -> 4 heads (2 kv) x 10\n"
        "moe      model.layers.1.feed_forward." MOE
        "mamba1   model.layers.2.mamba." MAMBA
        "mlp      model.layers.2.feed_forward." MLP
        "mamba1   model.layers.3.mamba." MAMBA
        "moe      model.layers.3.feed_forward." MOE
        "head     lm_head.weight [96, 40]\n");
    free(text);
}

static void test_defaults_and_switches(void **unused)
{
    static const char *const left_out[] = {
        "architectures", "expert_layer_period", "expert_layer_offset", "num_experts_per_tok",
        "mamba_d_state", "mamba_d_conv", "mamba_expand", "mamba_dt_rank", "mamba_conv_bias",
        "mamba_proj_bias", "mamba_inner_layernorms", "hidden_act", "rms_norm_eps",
    };

    (void)unused;
    for (size_t i = 0; i < sizeof left_out / sizeof left_out[0]; i++) {
        expect_in_plan(jamba, left_out[i], NULL, "model.layers.2.mamba." MAMBA "mlp      ");
        expect_in_plan(jamba, left_out[i], NULL,
                       "moe      model.layers.3.feed_forward." MOE "head");
    }
    expect_in_plan(jamba, "num_experts", NULL, "2 of 16 experts");
    expect_in_plan(jamba, "num_experts", "1", "model.layers.3.feed_forward." MLP "head");
    expect_in_plan(jamba, "num_experts_per_tok", "6", "6 of 6 experts");
    expect_in_plan(jamba, "expert_layer_offset", "0", "moe      model.layers.0.feed_forward.");
    expect_in_plan(jamba, "expert_layer_period", "5", "mlp      model.layers.3.feed_forward.");
    expect_in_plan(jamba, "attn_layer_period", NULL, "mamba1   model.layers.2.mamba.");
    expect_in_plan(jamba, "attn_layer_offset", "0", "attention model.layers.3.self_attn.");
    expect_in_plan(jamba, "attn_layer_offset", "2", "attention model.layers.2.self_attn.");
    expect_in_plan(jamba, "num_key_value_heads", "null", "4 heads (4 kv) x 10\n");
    expect_in_plan(jamba, "num_key_value_heads", "4", "4 heads (4 kv) x 10\n");
    expect_in_plan(jamba, "head_dim", "12", "4 heads (2 kv) x 12\n");
    expect_in_plan(jamba, "rope_theta", "10000", "4 heads (2 kv) x 10\n");
    expect_in_plan(jamba, "tie_word_embeddings", "true", ", tied");
    expect_in_plan(jamba, "tie_word_embeddings", NULL, "head     lm_head.weight");
    expect_in_plan(jamba, "vocab_size", NULL, "[65536, 40]");
    expect_in_plan(jamba, "intermediate_size", NULL, "40 -> 14336 -> 40");
    expect_in_plan(jamba, "mamba_dt_rank", "7", "dt rank 7");
    expect_in_plan(jamba, "mamba_expand", "3", "40 -> 120,");
    expect_in_plan(jamba, "mamba_conv_bias", "false", "conv 4, inner norms\n");
    expect_in_plan(jamba, "mamba_proj_bias", "true", "conv 4 + bias, bias, inner norms\n");
}

/* -------------------------------------------------------------- refusals ----------------- */

static const refusal refusals[] = {
    { { "model_type", "\"jamba2\"" }, "'model_type'", CANNOT },
    { { "model_type", "[]" }, "'model_type'", BAD },
    { { "vocab_size", "0" }, "'vocab_size'", BAD },
    { { "vocab_size", "\"96\"" }, "'vocab_size'", BAD },
    { { "vocab_size", "16777217" }, "'vocab_size'", BAD },
    { { "hidden_size", "0" }, "'hidden_size'", BAD },
    { { "hidden_size", "40.5" }, "'hidden_size'", BAD },
    { { "hidden_size", "[40]" }, "'hidden_size'", BAD },
    { { "hidden_size", "16777217" }, "'hidden_size'", BAD },
    { { "hidden_size", "42" }, "'num_attention_heads'", BAD },
    { { "intermediate_size", "0" }, "'intermediate_size'", BAD },
    { { "intermediate_size", "-56" }, "'intermediate_size'", BAD },
    { { "intermediate_size", "true" }, "'intermediate_size'", BAD },
    { { "num_hidden_layers", "0" }, "'num_hidden_layers'", BAD },
    { { "num_hidden_layers", "4097" }, "'num_hidden_layers'", BAD },
    { { "num_hidden_layers", "\"4\"" }, "'num_hidden_layers'", BAD },
    { { "attn_layer_period", "0" }, "'attn_layer_period'", BAD },
    { { "attn_layer_period", "1" }, "'attn_layer_offset'", BAD },
    { { "attn_layer_period", "\"8\"" }, "'attn_layer_period'", BAD },
    { { "attn_layer_period", "1.5" }, "'attn_layer_period'", BAD },
    { { "attn_layer_offset", "3" }, "'attn_layer_offset'", BAD },
    { { "attn_layer_offset", "-1" }, "'attn_layer_offset'", BAD },
    { { "attn_layer_offset", "{}" }, "'attn_layer_offset'", BAD },
    { { "attn_layer_offset", NULL }, "'attn_layer_offset'", BAD },
    { { "expert_layer_period", "0" }, "'expert_layer_period'", BAD },
    { { "expert_layer_period", "1" }, "'expert_layer_offset'", BAD },
    { { "expert_layer_period", "[2]" }, "'expert_layer_period'", BAD },
    { { "expert_layer_offset", "2" }, "'expert_layer_offset'", BAD },
    { { "expert_layer_offset", "-2" }, "'expert_layer_offset'", BAD },
    { { "expert_layer_offset", "false" }, "'expert_layer_offset'", BAD },
    { { "num_experts", "0" }, "'num_experts'", BAD },
    { { "num_experts", "\"16\"" }, "'num_experts'", BAD },
    { { "num_experts", "16777217" }, "'num_experts'", BAD },
    { { "num_experts_per_tok", "0" }, "'num_experts_per_tok'", BAD },
    { { "num_experts_per_tok", "7" }, "'num_experts_per_tok'", BAD },
    { { "num_experts_per_tok", "1.5" }, "'num_experts_per_tok'", BAD },
    { { "num_attention_heads", "0" }, "'num_attention_heads'", BAD },
    { { "num_attention_heads", "3" }, "'num_attention_heads'", BAD },
    { { "num_attention_heads", "\"4\"" }, "'num_attention_heads'", BAD },
    { { "num_key_value_heads", "0" }, "'num_key_value_heads'", BAD },
    { { "num_key_value_heads", "3" }, "'num_key_value_heads'", BAD },
    { { "num_key_value_heads", "8" }, "'num_key_value_heads'", BAD },
    { { "num_key_value_heads", "[2]" }, "'num_key_value_heads'", BAD },
    { { "head_dim", "0" }, "'head_dim'", BAD },
    { { "head_dim", "4097" }, "'head_dim'", BAD },
    { { "head_dim", "\"auto\"" }, "'head_dim'", BAD },
    { { "mamba_d_state", "0" }, "'mamba_d_state'", BAD },
    { { "mamba_d_state", "16.5" }, "'mamba_d_state'", BAD },
    { { "mamba_d_conv", "0" }, "'mamba_d_conv'", BAD },
    { { "mamba_d_conv", "65" }, "'mamba_d_conv'", BAD },
    { { "mamba_expand", "0" }, "'mamba_expand'", BAD },
    { { "mamba_expand", "65" }, "'mamba_expand'", BAD },
    { { "mamba_expand", "1.5" }, "'mamba_expand'", BAD },
    { { "mamba_dt_rank", "0" }, "'mamba_dt_rank'", BAD },
    { { "mamba_dt_rank", "\"large\"" }, "'mamba_dt_rank'", CANNOT },
    { { "mamba_dt_rank", "[3]" }, "'mamba_dt_rank'", BAD },
    { { "mamba_conv_bias", "1" }, "'mamba_conv_bias'", BAD },
    { { "mamba_proj_bias", "\"no\"" }, "'mamba_proj_bias'", BAD },
    { { "mamba_inner_layernorms", "false" }, "'mamba_inner_layernorms'", CANNOT },
    { { "mamba_inner_layernorms", "1" }, "'mamba_inner_layernorms'", BAD },
    { { "hidden_act", "\"gelu\"" }, "'hidden_act'", CANNOT },
    { { "hidden_act", "1" }, "'hidden_act'", BAD },
    { { "rms_norm_eps", "-1e-5" }, "'rms_norm_eps'", BAD },
    { { "rms_norm_eps", "1" }, "'rms_norm_eps'", BAD },
    { { "rms_norm_eps", "\"small\"" }, "'rms_norm_eps'", BAD },
    { { "max_position_embeddings", "0" }, "'max_position_embeddings'", BAD },
    { { "tie_word_embeddings", "1" }, "'tie_word_embeddings'", BAD },
};

static void test_refusals_name_the_key(void **unused)
{
    enum { N = sizeof refusals / sizeof refusals[0] };
    const config_member wide[] = { { "hidden_size", "8388608" }, { "head_dim", "8" },
                                   { NULL, NULL } };

    (void)unused;
    assert_true(N >= 50);
    expect_refusals(jamba, refusals, N);
    char *text = config_describe(jamba, wide);
    assert_non_null(strstr(text, "'mamba_expand': more than 8388608 inner columns"));
    free(text);
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
