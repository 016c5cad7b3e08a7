/* test_falcon_h1.c - Falcon-H1: plans, multipliers, gates, refusals. */
#include "bamba.h"

#include "support/plans.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const config_member base[] = {
    { "architectures", "[\"FalconH1ForCausalLM\"]" }, { "model_type", "\"falcon_h1\"" },
    { "vocab_size", "96" }, { "hidden_size", "32" }, { "intermediate_size", "48" },
    { "num_hidden_layers", "1" }, { "num_attention_heads", "4" }, { "num_key_value_heads", "2" },
    { "head_dim", "16" }, { "hidden_act", "\"silu\"" }, { "max_position_embeddings", "512" },
    { "rms_norm_eps", "1e-5" }, { "rope_theta", "100000000000" }, { "rope_scaling", "null" },
    { "tie_word_embeddings", "false" }, { "attention_bias", "false" }, { "mlp_bias", "false" },
    { "projectors_bias", "false" }, { "mamba_d_ssm", "48" }, { "mamba_n_heads", "6" },
    { "mamba_d_head", "8" }, { "mamba_n_groups", "2" }, { "mamba_d_state", "16" },
    { "mamba_d_conv", "4" }, { "mamba_expand", "2" }, { "mamba_conv_bias", "true" },
    { "mamba_proj_bias", "false" }, { "mamba_rms_norm", "false" },
    { "mamba_norm_before_gate", "false" }, { "time_step_limit", "[0.0, Infinity]" },
    { "embedding_multiplier", "5.5" }, { "lm_head_multiplier", "0.25" },
    { "key_multiplier", "0.5" }, { "attention_in_multiplier", "1.0" },
    { "attention_out_multiplier", "0.75" }, { "ssm_in_multiplier", "1.25" },
    { "ssm_out_multiplier", "0.375" }, { "ssm_multipliers", "[0.5, 0.25, 1.0, 2, 0.125]" },
    { "mlp_multipliers", "[0.875, 0.625]" }, { NULL, NULL },
};

/* -------------------------------------------------------------- plans -------------------- */

static void test_plan(void **unused)
{
    char *text = config_describe(base, NULL);

    (void)unused;
    assert_string_equal(text,
        "embed    model.embed_tokens.weight [96, 32]\n"
        "mamba2   model.layers.0.mamba. 32 -> 6 heads x 8, state 16, groups 2, conv 4 + bias, "
        "no norm, input x 1.25, z x 0.5, x x 0.25, C x 2, dt x 0.125, times 0.375\n"
        "attention model.layers.0.self_attn. 32 -> 4 heads (2 kv) x 16, rope 16 of 16, theta "
        "1e+11, keys x 0.5, times 0.75\n"
        "mlp      model.layers.0.feed_forward. 32 -> 48 -> 32, gate x 0.875, times 0.625\n"
        "head     lm_head.weight [96, 32]\n");
    free(text);
}

static void test_defaults_and_switches(void **unused)
{
    (void)unused;
    expect_in_plan(base, "mamba_d_ssm", "null", "'mamba_n_heads'");     /* 64 is not 6 n */
    expect_in_plan(base, "mamba_d_head", "\"auto\"", "6 heads x 8");
    expect_in_plan(base, "mamba_d_head", NULL, "6 heads x 8");
    expect_in_plan(base, "mamba_n_groups", NULL, "groups 1");
    expect_in_plan(base, "mamba_conv_bias", "false", "conv 4, no norm");
    expect_in_plan(base, "mamba_proj_bias", "true", "conv 4 + bias, input bias");
    expect_in_plan(base, "projectors_bias", "true", "conv 4 + bias, output bias");
    expect_in_plan(base, "attention_bias", "true", "theta 1e+11, bias");
    expect_in_plan(base, "mlp_bias", "true", "32 -> 48 -> 32, bias");
    expect_in_plan(base, "time_step_limit", "[0.5, 2]", "dt 0.5 ... 2");
    expect_in_plan(base, "mamba_rms_norm", "true", "conv 4 + bias, input x");
    expect_in_plan(base, "rope_theta", NULL, "theta 10000");
    expect_in_plan(base, "rope_parameters", "{\"rope_theta\": 500, \"rope_type\": \"default\"}",
                   "theta 500");
    expect_in_plan(base, "head_dim", NULL, "4 heads (2 kv) x 8, rope 8 of 8");
    expect_in_plan(base, "num_key_value_heads", "null", "4 heads (4 kv)");
    expect_in_plan(base, "ssm_multipliers", "null", "input x 1.25, times 0.375");
    expect_in_plan(base, "ssm_multipliers", NULL, "input x 1.25, times 0.375");
    expect_in_plan(base, "mlp_multipliers", NULL, "32 -> 48 -> 32\n");
    expect_in_plan(base, "ssm_out_multiplier", "null", "dt x 0.125\n");
    expect_in_plan(base, "attention_in_multiplier", "-2", "theta 1e+11, input x -2, keys x 0.5");
    expect_in_plan(base, "tie_word_embeddings", "true", "model.embed_tokens.weight [96, 32], tied");
}

/* A norm comes before the gate unless the file says otherwise. */
static void test_order_of_norm_and_gate(void **unused)
{
    const config_member changes[] = { { "mamba_rms_norm", "true" },
                                      { "mamba_norm_before_gate", NULL }, { NULL, NULL } };
    char *text = config_describe(base, changes);

    (void)unused;
    assert_non_null(strstr(text, "conv 4 + bias, norm before gate"));
    free(text);
}

/* Without mamba_d_ssm there are 1024 inner columns; null leaves them to mamba_expand. */
static void test_inner_width(void **unused)
{
    const config_member wide[] = { { "mamba_d_ssm", NULL }, { "mamba_n_heads", "16" },
                                   { "mamba_d_head", NULL }, { NULL, NULL } };
    const config_member expanded[] = { { "mamba_d_ssm", "null" }, { "mamba_n_heads", "16" },
                                       { "mamba_d_head", NULL }, { NULL, NULL } };
    char *text = config_describe(base, wide);

    (void)unused;
    assert_non_null(strstr(text, "16 heads x 64"));
    free(text);
    text = config_describe(base, expanded);
    assert_non_null(strstr(text, "16 heads x 4"));
    free(text);
}

/* -------------------------------------------------------------- refusals ----------------- */

static const refusal refusals[] = {
    { { "model_type", "\"falcon_h2\"" }, "'model_type'", CANNOT },
    { { "vocab_size", "0" }, "'vocab_size'", BAD },
    { { "vocab_size", "\"96\"" }, "'vocab_size'", BAD },
    { { "vocab_size", "9e9" }, "'vocab_size'", BAD },
    { { "hidden_size", "0" }, "'hidden_size'", BAD },
    { { "hidden_size", "32.5" }, "'hidden_size'", BAD },
    { { "hidden_size", "{}" }, "'hidden_size'", BAD },
    { { "intermediate_size", "-1" }, "'intermediate_size'", BAD },
    { { "intermediate_size", "[48]" }, "'intermediate_size'", BAD },
    { { "num_hidden_layers", "0" }, "'num_hidden_layers'", BAD },
    { { "num_hidden_layers", "4097" }, "'num_hidden_layers'", BAD },
    { { "num_attention_heads", "0" }, "'num_attention_heads'", BAD },
    { { "num_attention_heads", "true" }, "'num_attention_heads'", BAD },
    { { "num_key_value_heads", "3" }, "'num_key_value_heads'", BAD },
    { { "num_key_value_heads", "0" }, "'num_key_value_heads'", BAD },
    { { "head_dim", "0" }, "'head_dim'", BAD },
    { { "head_dim", "15" }, "'head_dim'", CANNOT },
    { { "head_dim", "\"16\"" }, "'head_dim'", BAD },
    { { "hidden_act", "\"gelu\"" }, "'hidden_act'", CANNOT },
    { { "hidden_act", "7" }, "'hidden_act'", BAD },
    { { "max_position_embeddings", "0" }, "'max_position_embeddings'", BAD },
    { { "rms_norm_eps", "-1e-5" }, "'rms_norm_eps'", BAD },
    { { "rms_norm_eps", "1" }, "'rms_norm_eps'", BAD },
    { { "rope_theta", "1" }, "'rope_theta'", BAD },
    { { "rope_theta", "\"1e11\"" }, "'rope_theta'", BAD },
    { { "rope_scaling", "{\"rope_type\": \"spiral\"}" }, "'rope_scaling.rope_type'", CANNOT },
    { { "rope_scaling", "{\"rope_type\": \"linear\", \"factor\": 0.5}" }, "'rope_scaling.factor'",
      BAD },
    { { "partial_rotary_factor", "0.5" }, "'partial_rotary_factor'", CANNOT },
    { { "tie_word_embeddings", "1" }, "'tie_word_embeddings'", BAD },
    { { "attention_bias", "\"yes\"" }, "'attention_bias'", BAD },
    { { "mlp_bias", "0" }, "'mlp_bias'", BAD },
    { { "projectors_bias", "[]" }, "'projectors_bias'", BAD },
    { { "mamba_d_ssm", "0" }, "'mamba_d_ssm'", BAD },
    { { "mamba_d_ssm", "50" }, "'mamba_n_heads'", BAD },
    { { "mamba_d_ssm", "\"auto\"" }, "'mamba_d_ssm'", BAD },
    { { "mamba_d_ssm", "16777217" }, "'mamba_d_ssm'", BAD },
    { { "mamba_n_heads", "5" }, "'mamba_n_heads'", BAD },
    { { "mamba_n_heads", "0" }, "'mamba_n_heads'", BAD },
    { { "mamba_d_head", "16" }, "'mamba_d_head'", BAD },
    { { "mamba_d_head", "\"all\"" }, "'mamba_d_head'", CANNOT },
    { { "mamba_n_groups", "4" }, "'mamba_n_groups'", BAD },
    { { "mamba_n_groups", "0" }, "'mamba_n_groups'", BAD },
    { { "mamba_d_state", "0" }, "'mamba_d_state'", BAD },
    { { "mamba_d_conv", "65" }, "'mamba_d_conv'", BAD },
    { { "mamba_expand", "0" }, "'mamba_expand'", BAD },
    { { "mamba_conv_bias", "2" }, "'mamba_conv_bias'", BAD },
    { { "mamba_proj_bias", "\"\"" }, "'mamba_proj_bias'", BAD },
    { { "mamba_rms_norm", "1" }, "'mamba_rms_norm'", BAD },
    { { "mamba_norm_before_gate", "{}" }, "'mamba_norm_before_gate'", BAD },
    { { "time_step_limit", "[2, 1]" }, "'time_step_limit'", BAD },
    { { "time_step_limit", "[0]" }, "'time_step_limit'", BAD },
    { { "embedding_multiplier", "0" }, "'embedding_multiplier'", BAD },
    { { "embedding_multiplier", "Infinity" }, "'embedding_multiplier'", BAD },
    { { "lm_head_multiplier", "0.0" }, "'lm_head_multiplier'", BAD },
    { { "key_multiplier", "\"1\"" }, "'key_multiplier'", BAD },
    { { "attention_in_multiplier", "0" }, "'attention_in_multiplier'", BAD },
    { { "attention_out_multiplier", "[1]" }, "'attention_out_multiplier'", BAD },
    { { "ssm_in_multiplier", "0" }, "'ssm_in_multiplier'", BAD },
    { { "ssm_out_multiplier", "false" }, "'ssm_out_multiplier'", BAD },
    { { "ssm_multipliers", "[1, 1, 1, 1]" }, "'ssm_multipliers'", BAD },
    { { "ssm_multipliers", "1.0" }, "'ssm_multipliers'", BAD },
    { { "ssm_multipliers", "[1, 1, 1, 1, 0]" }, "'ssm_multipliers[4]'", BAD },
    { { "mlp_multipliers", "[1, 1, 1]" }, "'mlp_multipliers'", BAD },
    { { "mlp_multipliers", "[1, \"a\"]" }, "'mlp_multipliers[1]'", BAD },
};
enum { N_REFUSALS = sizeof refusals / sizeof refusals[0] };

static void test_refusals_name_the_key(void **unused)
{
    (void)unused;
    expect_refusals(base, refusals, N_REFUSALS);
    assert_true(N_REFUSALS >= 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_defaults_and_switches),
        cmocka_unit_test(test_order_of_norm_and_gate),
        cmocka_unit_test(test_inner_width),
        cmocka_unit_test(test_refusals_name_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
