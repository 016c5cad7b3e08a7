/* test_zamba2.c - Zamba2: shared blocks in rotation, low-rank terms; plans, the mix, refusals. */
#include "bamba.h"

#include "support/plans.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const config_member base[] = {
    { "architectures", "[\"Zamba2ForCausalLM\"]" }, { "model_type", "\"zamba2\"" },
    { "vocab_size", "96" }, { "hidden_size", "24" }, { "intermediate_size", "40" },
    { "num_hidden_layers", "4" },
    { "layers_block_type", "[\"hybrid\", \"mamba\", \"hybrid\", \"hybrid\"]" },
    { "num_attention_heads", "4" }, { "num_key_value_heads", "4" }, { "hidden_act", "\"gelu\"" },
    { "max_position_embeddings", "512" }, { "rms_norm_eps", "1e-5" },
    { "tie_word_embeddings", "true" },
    { "mamba_d_state", "16" }, { "mamba_d_conv", "4" }, { "mamba_expand", "2" },
    { "mamba_ngroups", "2" }, { "n_mamba_heads", "6" }, { "mamba_headdim", "8" },
    { "num_mem_blocks", "2" }, { "adapter_rank", "4" }, { "use_shared_attention_adapter", "true" },
    { "use_mem_rope", "true" }, { "use_long_context", "false" }, { "add_bias_linear", "false" },
    { "rope_theta", "10000" }, { "attention_head_dim", "12" }, { "attention_hidden_size", "48" },
    { "time_step_limit", "null" }, { "use_conv_bias", "true" }, { NULL, NULL },
};

/* -------------------------------------------------------------- plans -------------------- */

#define MAMBA "24 -> 6 heads x 8, state 16, groups 2, conv 4 + bias"
#define USE(layer, owner, uses)                                                                    \
    "attention model.layers." owner ".shared_transformer.self_attn. 48 -> 4 heads (4 kv) x 12, "   \
    "rope 12 of 12, theta 10000, scale 0.408248, -> 24, rank 4 of " uses                           \
    ", beside the embedding, to the side\n"                                                        \
    "mlp      model.layers." owner ".shared_transformer.feed_forward. 24 -> 40 -> 24, gelu, "      \
    "rank 4 of " uses ", of the side, to the side\n"                                               \
    "linear   model.layers." layer ".linear. 24 -> 24, of the side, to the side\n"                 \
    "mamba2   model.layers." layer ".mamba_decoder.mamba. " MAMBA ", joined\n"

/* Two blocks take turns: the third use is that of the first. */
static void test_plan(void **unused)
{
    char *text = config_describe(base, NULL);

    (void)unused;
    assert_string_equal(text,
        "embed    model.embed_tokens.weight [96, 24]\n"
        USE("0", "0", "2 uses")
        "mamba2   model.layers.1.mamba. " MAMBA "\n"
        USE("2", "2", "1 uses")
        USE("3", "0", "2 uses")
        "head     model.embed_tokens.weight [96, 24], tied\n");
    free(text);
}

static void test_defaults_and_switches(void **unused)
{
    (void)unused;
    expect_in_plan(base, "layers_block_type",
                   "[\"linear_attention\", \"mamba\", \"mamba\", \"hybrid\"]",
                   "layers.3.shared_transformer");
    expect_in_plan(base, "num_mem_blocks", "1", "rank 4 of 3 uses");
    expect_in_plan(base, "num_mem_blocks", NULL, "rank 4 of 3 uses");
    expect_in_plan(base, "num_mem_blocks", "9", "layers.3.shared_transformer.self_attn.");
    expect_in_plan(base, "use_shared_attention_adapter", "false", "scale 0.408248, -> 24, beside");
    expect_in_plan(base, "use_shared_attention_adapter", NULL, "scale 0.408248, -> 24, beside");
    expect_in_plan(base, "use_mem_rope", "false", "x 12, scale 0.408248, -> 24");
    expect_in_plan(base, "use_mem_rope", NULL, "x 12, scale 0.408248, -> 24");
    expect_in_plan(base, "rope_parameters", "{\"rope_theta\": 500}", "theta 500");
    expect_in_plan(base, "num_key_value_heads", "2", "4 heads (2 kv) x 12");
    expect_in_plan(base, "num_key_value_heads", NULL, "4 heads (4 kv) x 12");
    expect_in_plan(base, "adapter_rank", NULL, "rank 128 of 2 uses");
    expect_in_plan(base, "intermediate_size", NULL, "24 -> 96 -> 24");
    expect_in_plan(base, "hidden_act", "\"silu\"", "24 -> 40 -> 24, rank");
    expect_in_plan(base, "add_bias_linear", "true", "24 -> 40 -> 24, bias, gelu");
    expect_in_plan(base, "add_bias_linear", "true", "conv 4 + bias, bias");
    expect_in_plan(base, "time_step_limit", "[0.5, 2]", "dt 0.5 ... 2");
    expect_in_plan(base, "mamba_headdim", NULL, "6 heads x 8");
    expect_in_plan(base, "mamba_ngroups", NULL, "groups 1");
    expect_in_plan(base, "tie_word_embeddings", "false", "lm_head.weight [96, 24]\n");
    expect_in_plan(base, "use_conv_bias", "false", "conv 4 + bias");
}

/* Without a list of kinds a list of indices counts, and without both the layers of Zamba2-2.7B. */
static void test_layers(void **unused)
{
    const config_member ids[] = { { "layers_block_type", NULL }, { "hybrid_layer_ids", "[1]" },
                                  { NULL, NULL } };
    const config_member usual[] = { { "layers_block_type", NULL }, { "num_hidden_layers", NULL },
                                    { NULL, NULL } };
    char *text = config_describe(base, ids);

    (void)unused;
    assert_non_null(strstr(text, "layers.1.linear."));
    assert_null(strstr(text, "layers.0.linear."));
    free(text);
    text = config_describe(base, usual);
    assert_non_null(strstr(text, "layers.6.linear."));
    assert_non_null(strstr(text, "layers.51.mamba_decoder."));
    assert_non_null(strstr(text, "rank 4 of 5 uses"));
    assert_non_null(strstr(text, "layers.53.mamba."));
    free(text);
}

/* -------------------------------------------------------------- refusals ----------------- */

static const refusal refusals[] = {
    { { "model_type", "\"zamba3\"" }, "'model_type'", CANNOT },
    { { "vocab_size", "0" }, "'vocab_size'", BAD },
    { { "vocab_size", "[96]" }, "'vocab_size'", BAD },
    { { "hidden_size", "0" }, "'hidden_size'", BAD },
    { { "hidden_size", "25" }, "'n_mamba_heads'", BAD },
    { { "hidden_size", "27" }, "'mamba_headdim'", BAD },
    { { "hidden_size", "8388609" }, "'hidden_size'", BAD },
    { { "hidden_size", "\"24\"" }, "'hidden_size'", BAD },
    { { "intermediate_size", "0" }, "'intermediate_size'", BAD },
    { { "intermediate_size", "4e1" }, "'intermediate_size'", BAD },
    { { "num_hidden_layers", "0" }, "'num_hidden_layers'", BAD },
    { { "num_hidden_layers", "5" }, "'layers_block_type'", BAD },
    { { "num_hidden_layers", "3" }, "'layers_block_type'", BAD },
    { { "num_hidden_layers", "true" }, "'num_hidden_layers'", BAD },
    { { "layers_block_type", NULL }, "'layers_block_type'", BAD },
    { { "layers_block_type", "{}" }, "'layers_block_type'", BAD },
    { { "layers_block_type", "\"mamba\"" }, "'layers_block_type'", BAD },
    { { "layers_block_type", "[\"mamba\"]" }, "'layers_block_type'", BAD },
    { { "layers_block_type", "[\"m\", \"m\", \"g\", \"m\"]" }, "'layers_block_type[0]'", CANNOT },
    { { "layers_block_type", "[\"mamba\", \"mamba\", \"attention\", \"mamba\"]" },
      "'layers_block_type[2]'", CANNOT },
    { { "layers_block_type", "[\"mamba\", 1, \"mamba\", \"mamba\"]" }, "'layers_block_type[1]'",
      BAD },
    { { "num_attention_heads", "0" }, "'num_attention_heads'", BAD },
    { { "num_attention_heads", "5" }, "'num_attention_heads'", BAD },
    { { "num_attention_heads", "16" }, "'attention_head_dim'", BAD },
    { { "num_key_value_heads", "3" }, "'num_key_value_heads'", BAD },
    { { "num_key_value_heads", "0" }, "'num_key_value_heads'", BAD },
    { { "attention_head_dim", "24" }, "'attention_head_dim'", BAD },
    { { "attention_hidden_size", "24" }, "'attention_hidden_size'", BAD },
    { { "hidden_act", "\"gelu_pytorch_tanh\"" }, "'hidden_act'", CANNOT },
    { { "hidden_act", "\"relu\"" }, "'hidden_act'", CANNOT },
    { { "hidden_act", "1" }, "'hidden_act'", BAD },
    { { "max_position_embeddings", "0" }, "'max_position_embeddings'", BAD },
    { { "rms_norm_eps", "2" }, "'rms_norm_eps'", BAD },
    { { "tie_word_embeddings", "\"true\"" }, "'tie_word_embeddings'", BAD },
    { { "mamba_d_state", "0" }, "'mamba_d_state'", BAD },
    { { "mamba_d_state", "1.5" }, "'mamba_d_state'", BAD },
    { { "mamba_d_conv", "0" }, "'mamba_d_conv'", BAD },
    { { "mamba_d_conv", "65" }, "'mamba_d_conv'", BAD },
    { { "mamba_expand", "0" }, "'mamba_expand'", BAD },
    { { "mamba_expand", "3" }, "'mamba_headdim'", BAD },
    { { "mamba_ngroups", "4" }, "'mamba_ngroups'", BAD },
    { { "mamba_ngroups", "0" }, "'mamba_ngroups'", BAD },
    { { "n_mamba_heads", "5" }, "'n_mamba_heads'", BAD },
    { { "n_mamba_heads", "12" }, "'mamba_headdim'", BAD },
    { { "mamba_headdim", "16" }, "'mamba_headdim'", BAD },
    { { "num_mem_blocks", "0" }, "'num_mem_blocks'", BAD },
    { { "num_mem_blocks", "\"2\"" }, "'num_mem_blocks'", BAD },
    { { "adapter_rank", "0" }, "'adapter_rank'", BAD },
    { { "adapter_rank", "{}" }, "'adapter_rank'", BAD },
    { { "use_shared_attention_adapter", "1" }, "'use_shared_attention_adapter'", BAD },
    { { "use_shared_mlp_adapter", "false" }, "'use_shared_mlp_adapter'", CANNOT },
    { { "use_mem_rope", "\"no\"" }, "'use_mem_rope'", BAD },
    { { "use_long_context", "true" }, "'use_long_context'", CANNOT },
    { { "use_long_context", "0" }, "'use_long_context'", BAD },
    { { "add_bias_linear", "[]" }, "'add_bias_linear'", BAD },
    { { "rope_theta", "0" }, "'rope_theta'", BAD },
    { { "rope_scaling", "{\"rope_type\": \"zigzag\"}" }, "'rope_scaling.rope_type'", CANNOT },
    { { "time_step_limit", "[1, 0]" }, "'time_step_limit'", BAD },
    { { "time_step_limit", "0.1" }, "'time_step_limit'", BAD },
};
enum { N_REFUSALS = sizeof refusals / sizeof refusals[0] };

static void test_refusals_name_the_key(void **unused)
{
    (void)unused;
    expect_refusals(base, refusals, N_REFUSALS);
    assert_true(N_REFUSALS >= 50);
}

static void test_indices(void **unused)
{
    const config_member ids[] = { { "layers_block_type", NULL }, { "hybrid_layer_ids", "[4]" },
                                  { NULL, NULL } };
    bamba_model        *model;
    bamba_error         err;

    (void)unused;
    assert_int_equal(config_open(base, ids, &model, &err), BAMBA_ERR_FORMAT);
    assert_non_null(strstr(err.message, "'hybrid_layer_ids[0]'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_defaults_and_switches),
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_refusals_name_the_key),
        cmocka_unit_test(test_indices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
