/* test_nemotron_h.c - Nemotron-H and Nemotron 3 from config.json: patterns, defaults, refusals. */
#include "bamba.h"

#include "support/plans.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const config_member nemotron[] = {
    { "architectures", "[\"NemotronHForCausalLM\"]" }, { "model_type", "\"nemotron_h\"" },
    { "vocab_size", "96" }, { "hidden_size", "40" }, { "hybrid_override_pattern", "\"ME*-M\"" },
    { "num_hidden_layers", "5" }, { "num_attention_heads", "4" }, { "num_key_value_heads", "2" },
    { "head_dim", "12" }, { "intermediate_size", "56" }, { "mlp_hidden_act", "\"relu2\"" },
    { "mlp_bias", "false" }, { "attention_bias", "false" }, { "use_bias", "false" },
    { "mamba_num_heads", "6" }, { "mamba_head_dim", "8" }, { "n_groups", "2" },
    { "ssm_state_size", "16" }, { "conv_kernel", "4" }, { "use_conv_bias", "true" },
    { "mamba_hidden_act", "\"silu\"" }, { "time_step_limit", "[0.0, 1e30]" },
    { "n_routed_experts", "8" }, { "num_experts_per_tok", "3" }, { "n_shared_experts", "1" },
    { "moe_intermediate_size", "20" }, { "moe_shared_expert_intermediate_size", "28" },
    { "moe_latent_size", "16" }, { "n_group", "4" }, { "topk_group", "2" },
    { "norm_topk_prob", "true" }, { "routed_scaling_factor", "2.5" },
    { "layer_norm_epsilon", "1e-5" }, { "max_position_embeddings", "256" },
    { "tie_word_embeddings", "false" }, { NULL, NULL },
};

/* -------------------------------------------------------------- plans -------------------- */

#define MAMBA " 40 -> 6 heads x 8, state 16, groups 2, conv 4 + bias, dt 0 ... 1e+30\n"
#define ROUTE " 40 -> 3 of 8 experts in 2 of 4 groups, latent 16, 16 -> 20 -> 16, relu2\n"

static void test_plan(void **unused)
{
    char *text = config_describe(nemotron, NULL);

    (void)unused;
    assert_string_equal(text,
        "embed    backbone.embeddings.weight [96, 40]\n"
        "mamba2   backbone.layers.0.mixer." MAMBA
        "moe      backbone.layers.1.mixer." ROUTE
        "mlp      backbone.layers.1.mixer.shared_experts. 40 -> 28 -> 40, relu2\n"
        "attention backbone.layers.2.mixer. 40 -> 4 heads (2 kv) x 12\n"
        "mlp      backbone.layers.3.mixer. 40 -> 56 -> 40, relu2\n"
        "mamba2   backbone.layers.4.mixer." MAMBA
        "head     lm_head.weight [96, 40]\n");
    free(text);
}

/* A list beats the pattern, under either of its keys and in either set of words. */
static void test_layers(void **unused)
{
    static const config_member older[] = {
        { "layers_block_type", "[\"mlp\", \"mamba\", \"moe\", \"attention\", \"mamba\"]" },
        { NULL, NULL } };
    static const config_member newer[] = {
        { "layer_types", "[\"mlp\", \"linear_attention\", \"moe\", \"full_attention\", "
                         "\"mamba\"]" },
        { NULL, NULL } };
    static const config_member both[] = {
        { "layer_types", "[\"attention\"]" }, { "num_hidden_layers", "4" },
        { "layers_block_type", "[\"mamba\", \"mamba\", \"mlp\", \"mlp\"]" }, { NULL, NULL } };
    static const config_member shorter[] = {
        { "hybrid_override_pattern", "\"*\"" }, { "num_hidden_layers", NULL },
        { NULL, NULL } };

    (void)unused;
    expect_in_changed_plan(nemotron, older, "mlp      backbone.layers.0.mixer. 40 -> 56");
    expect_in_changed_plan(nemotron, older, "attention backbone.layers.3.mixer. 40 -> 4 heads");
    expect_in_changed_plan(nemotron, newer, "mamba2   backbone.layers.1.mixer." MAMBA);
    expect_in_changed_plan(nemotron, newer, "moe      backbone.layers.2.mixer." ROUTE);
    expect_in_changed_plan(nemotron, both,
                           "mlp      backbone.layers.3.mixer. 40 -> 56 -> 40, relu2\nhead");
    expect_in_changed_plan(nemotron, shorter, "[96, 40]\nattention backbone.layers.0.mixer. 40 -> "
                           "4 heads (2 kv) x 12\nhead");
    expect_in_plan(nemotron, "num_hidden_layers", NULL, "mamba2   backbone.layers.4.mixer.");
}

static void test_defaults_and_switches(void **unused)
{
    static const char *const left_out[] = {
        "architectures", "mlp_hidden_act", "mlp_bias", "attention_bias", "use_bias", "conv_kernel",
        "use_conv_bias", "mamba_hidden_act", "n_shared_experts", "norm_topk_prob",
        "layer_norm_epsilon", "routed_scaling_factor", "tie_word_embeddings",
    };
    static const config_member ungrouped[] = {
        { "n_group", NULL }, { "topk_group", NULL }, { NULL, NULL } };

    (void)unused;
    for (size_t i = 0; i < sizeof left_out / sizeof left_out[0]; i++) {
        expect_in_plan(nemotron, left_out[i], NULL, "layers.0.mixer." MAMBA
                       "moe      backbone.layers.1.mixer." ROUTE "mlp ");
        expect_in_plan(nemotron, left_out[i], NULL, "kv) x 12\n"
                       "mlp      backbone.layers.3.mixer. 40 -> 56 -> 40, relu2\n");
    }
    expect_in_plan(nemotron, "vocab_size", NULL, "[131072, 40]");
    expect_in_plan(nemotron, "intermediate_size", NULL, "40 -> 21504 -> 40");
    expect_in_plan(nemotron, "num_attention_heads", NULL, "40 -> 32 heads (2 kv) x 12");
    expect_in_plan(nemotron, "head_dim", NULL, "4 heads (2 kv) x 128\n");
    expect_in_plan(nemotron, "num_key_value_heads", "null", "4 heads (4 kv) x 12\n");
    expect_in_plan(nemotron, "mamba_num_heads", NULL, "40 -> 128 heads x 8,");
    expect_in_plan(nemotron, "mamba_head_dim", NULL, "40 -> 6 heads x 64,");
    expect_in_plan(nemotron, "ssm_state_size", NULL, "state 128,");
    expect_in_plan(nemotron, "time_step_limit", NULL, "groups 2, conv 4 + bias\n");
    expect_in_plan(nemotron, "mamba_dt_limit", "[0.5, 2]", "conv 4 + bias, dt 0.5 ... 2\n");
    expect_in_plan(nemotron, "mamba_n_groups", "3", "state 16, groups 3,");
    expect_in_plan(nemotron, "mamba_d_conv", "2", "conv 2 + bias");
    expect_in_plan(nemotron, "mamba_conv_bias", "false", "conv 4, dt");
    expect_in_plan(nemotron, "use_bias", "true", "conv 4 + bias, bias, dt");
    expect_in_plan(nemotron, "tie_word_embeddings", "true",
                   "backbone.embeddings.weight [96, 40], tied");
    expect_in_plan(nemotron, "num_local_experts", "12", "3 of 12 experts in 2 of 4 groups");
    expect_in_plan(nemotron, "num_experts_per_tok", NULL, "2 of 8 experts");
    expect_in_plan(nemotron, "num_experts_per_tok", "4", "4 of 8 experts");
    expect_in_changed_plan(nemotron, ungrouped, "3 of 8 experts, latent 16");
    expect_in_plan(nemotron, "moe_latent_size", "null", "groups, 40 -> 20 -> 40, relu2");
    expect_in_plan(nemotron, "moe_intermediate_size", NULL, "16 -> 7688 -> 16");
    expect_in_plan(nemotron, "moe_shared_expert_intermediate_size", NULL, "40 -> 7688 -> 40");
}

/* -------------------------------------------------------------- refusals ----------------- */

static const refusal refusals[] = {
    { { "model_type", "\"nemotron_h2\"" }, "'model_type'", CANNOT },
    { { "model_type", "{}" }, "'model_type'", BAD },
    { { "vocab_size", "0" }, "'vocab_size'", BAD },
    { { "vocab_size", "\"96\"" }, "'vocab_size'", BAD },
    { { "vocab_size", "16777217" }, "'vocab_size'", BAD },
    { { "hidden_size", "0" }, "'hidden_size'", BAD },
    { { "hidden_size", "40.5" }, "'hidden_size'", BAD },
    { { "hidden_size", "16777217" }, "'hidden_size'", BAD },
    { { "hybrid_override_pattern", "\"\"" }, "'hybrid_override_pattern'", BAD },
    { { "hybrid_override_pattern", NULL }, "'hybrid_override_pattern'", BAD },
    { { "hybrid_override_pattern", "7" }, "'hybrid_override_pattern'", BAD },
    { { "hybrid_override_pattern", "\"MEx-M\"" }, "'hybrid_override_pattern'", CANNOT },
    { { "hybrid_override_pattern", "\"me*-m\"" }, "'hybrid_override_pattern'", CANNOT },
    { { "hybrid_override_pattern", "\"ME\\u0000-M\"" }, "'hybrid_override_pattern'", BAD },
    { { "hybrid_override_pattern", "\"ME*-\"" }, "'num_hidden_layers'", BAD },
    { { "layers_block_type", "[]" }, "'layers_block_type'", BAD },
    { { "layers_block_type", "\"mamba\"" }, "'layers_block_type'", BAD },
    { { "layers_block_type", "[\"mamba\", \"moe\"]" }, "'num_hidden_layers'", BAD },
    { { "layers_block_type", "[\"mamba\", \"mlp\", \"mlp\", \"mlp\", \"linear\"]" },
      "'layers_block_type[4]'", CANNOT },
    { { "layers_block_type", "[\"mamba\", 1, \"mlp\", \"mlp\", \"mlp\"]" },
      "'layers_block_type[1]'", BAD },
    { { "layer_types", "{}" }, "'layer_types'", BAD },
    { { "num_hidden_layers", "0" }, "'num_hidden_layers'", BAD },
    { { "num_hidden_layers", "6" }, "'num_hidden_layers'", BAD },
    { { "num_hidden_layers", "\"5\"" }, "'num_hidden_layers'", BAD },
    { { "num_attention_heads", "0" }, "'num_attention_heads'", BAD },
    { { "num_attention_heads", "\"4\"" }, "'num_attention_heads'", BAD },
    { { "num_key_value_heads", "0" }, "'num_key_value_heads'", BAD },
    { { "num_key_value_heads", "3" }, "'num_key_value_heads'", BAD },
    { { "num_key_value_heads", "[2]" }, "'num_key_value_heads'", BAD },
    { { "head_dim", "0" }, "'head_dim'", BAD },
    { { "head_dim", "4097" }, "'head_dim'", BAD },
    { { "attention_bias", "1" }, "'attention_bias'", BAD },
    { { "sliding_window", "128" }, "'sliding_window'", CANNOT },
    { { "intermediate_size", "0" }, "'intermediate_size'", BAD },
    { { "intermediate_size", "-56" }, "'intermediate_size'", BAD },
    { { "mlp_hidden_act", "\"silu\"" }, "'mlp_hidden_act'", CANNOT },
    { { "mlp_hidden_act", "2" }, "'mlp_hidden_act'", BAD },
    { { "mlp_bias", "\"no\"" }, "'mlp_bias'", BAD },
    { { "use_bias", "0" }, "'use_bias'", BAD },
    { { "mamba_num_heads", "0" }, "'mamba_num_heads'", BAD },
    { { "mamba_num_heads", "5" }, "'n_groups'", BAD },
    { { "mamba_num_heads", "16777216" }, "'mamba_head_dim'", CANNOT },
    { { "mamba_head_dim", "0" }, "'mamba_head_dim'", BAD },
    { { "mamba_head_dim", "8.5" }, "'mamba_head_dim'", BAD },
    { { "n_groups", "0" }, "'n_groups'", BAD },
    { { "n_groups", "4" }, "'n_groups'", BAD },
    { { "mamba_n_groups", "5" }, "'mamba_n_groups'", BAD },
    { { "mamba_num_groups", "5" }, "'mamba_num_groups'", BAD },
    { { "ssm_state_size", "0" }, "'ssm_state_size'", BAD },
    { { "ssm_state_size", "true" }, "'ssm_state_size'", BAD },
    { { "conv_kernel", "0" }, "'conv_kernel'", BAD },
    { { "conv_kernel", "65" }, "'conv_kernel'", BAD },
    { { "mamba_d_conv", "[4]" }, "'mamba_d_conv'", BAD },
    { { "use_conv_bias", "1" }, "'use_conv_bias'", BAD },
    { { "mamba_hidden_act", "\"gelu\"" }, "'mamba_hidden_act'", CANNOT },
    { { "time_step_limit", "[1]" }, "'time_step_limit'", BAD },
    { { "time_step_limit", "[2, 1]" }, "'time_step_limit'", BAD },
    { { "time_step_limit", "0.1" }, "'time_step_limit'", BAD },
    { { "n_routed_experts", "0" }, "'n_routed_experts'", BAD },
    { { "n_routed_experts", "10" }, "'n_group'", BAD },
    { { "n_routed_experts", "2" }, "'num_experts_per_tok'", BAD },
    { { "num_local_experts", "\"8\"" }, "'num_local_experts'", BAD },
    { { "num_experts_per_tok", "0" }, "'num_experts_per_tok'", BAD },
    { { "num_experts_per_tok", "9" }, "'num_experts_per_tok'", BAD },
    { { "num_experts_per_tok", "5" }, "'num_experts_per_tok'", BAD },
    { { "moe_intermediate_size", "0" }, "'moe_intermediate_size'", BAD },
    { { "moe_intermediate_size", "{}" }, "'moe_intermediate_size'", BAD },
    { { "moe_shared_expert_intermediate_size", "0" }, "'moe_shared_expert_intermediate_size'",
      BAD },
    { { "moe_latent_size", "0" }, "'moe_latent_size'", BAD },
    { { "moe_latent_size", "-16" }, "'moe_latent_size'", BAD },
    { { "moe_latent_size", "\"16\"" }, "'moe_latent_size'", BAD },
    { { "n_group", "0" }, "'n_group'", BAD },
    { { "n_group", "8" }, "'n_group'", BAD },
    { { "n_group", "257" }, "'n_group'", BAD },
    { { "topk_group", "0" }, "'topk_group'", BAD },
    { { "topk_group", "5" }, "'topk_group'", BAD },
    { { "topk_group", "1" }, "'num_experts_per_tok'", BAD },
    { { "norm_topk_prob", "1" }, "'norm_topk_prob'", BAD },
    { { "routed_scaling_factor", "0" }, "'routed_scaling_factor'", BAD },
    { { "routed_scaling_factor", "[2.5]" }, "'routed_scaling_factor'", BAD },
    { { "layer_norm_epsilon", "-1e-5" }, "'layer_norm_epsilon'", BAD },
    { { "layer_norm_epsilon", "1" }, "'layer_norm_epsilon'", BAD },
    { { "max_position_embeddings", "0" }, "'max_position_embeddings'", BAD },
    { { "tie_word_embeddings", "\"yes\"" }, "'tie_word_embeddings'", BAD },
};

static void test_refusals_name_the_key(void **unused)
{
    enum { N = sizeof refusals / sizeof refusals[0] };

    (void)unused;
    assert_true(N >= 50);
    expect_refusals(nemotron, refusals, N);
}

/* What no layer uses is not read. */
static void test_keys_of_absent_layers(void **unused)
{
    static const config_member dense[] = {
        { "hybrid_override_pattern", "\"-----\"" }, { "n_routed_experts", "0" },
        { "moe_latent_size", "-1" }, { "mamba_num_heads", "\"none\"" },
        { "num_attention_heads", "0" }, { NULL, NULL } };

    (void)unused;
    expect_in_changed_plan(nemotron, dense,
                           "mlp      backbone.layers.4.mixer. 40 -> 56 -> 40, relu2\nhead");
}

/* The maps to and from the experts' latent space are kept in q8, whatever the other layers are. */
static void test_mix(void **unused)
{
    static const config_member wide[] = { { "hidden_size", "256" }, { "moe_latent_size", "128" },
                                          { "moe_intermediate_size", "128" }, { NULL, NULL } };
    static const config_member stateless[] = {
        { "hidden_size", "256" }, { "moe_latent_size", "128" }, { "moe_intermediate_size", "128" },
        { "hybrid_override_pattern", "\"EE*EEE-EE*E-\"" }, { "num_hidden_layers", NULL },
        { NULL, NULL } };

    (void)unused;
    for (int i = 0; i < 2; i++) {
        const config_member *c = i ? stateless : wide;
        assert_true(is_kept_in_q8(nemotron, c, "layers.1.mixer.fc1_latent_proj"));
        assert_true(is_kept_in_q8(nemotron, c, "layers.1.mixer.fc2_latent_proj"));
        assert_false(is_kept_in_q8(nemotron, c, "layers.1.mixer.experts.*up_proj"));
        assert_true(is_kept_in_q8(nemotron, c, "layers.2.mixer.v_proj"));
    }
    assert_true(is_kept_in_q8(nemotron, wide, "layers.0.mixer.in_proj"));
    assert_false(is_kept_in_q8(nemotron, wide, "layers.4.mixer.in_proj"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_defaults_and_switches),
        cmocka_unit_test(test_refusals_name_the_key),
        cmocka_unit_test(test_keys_of_absent_layers),
        cmocka_unit_test(test_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
