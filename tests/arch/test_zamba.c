/* test_zamba.c - Zamba from config.json: plans, defaults, refusals. */
#include "bamba.h"

#include "support/plans.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const config_member zamba[] = {
    { "architectures", "[\"ZambaForCausalLM\"]" }, { "model_type", "\"zamba\"" },
    { "vocab_size", "96" }, { "hidden_size", "40" }, { "intermediate_size", "56" },
    { "num_hidden_layers", "3" }, { "layers_block_type", "[\"hybrid\", \"mamba\", \"hybrid\"]" },
    { "num_attention_heads", "4" }, { "num_key_value_heads", "2" }, { "n_mamba_heads", "2" },
    { "mamba_d_state", "16" }, { "mamba_d_conv", "4" }, { "mamba_expand", "2" },
    { "mamba_dt_rank", "\"auto\"" }, { "mamba_conv_bias", "true" }, { "mamba_proj_bias", "false" },
    { "hidden_act", "\"gelu\"" }, { "hidden_mamba_act", "\"silu\"" }, { "rms_norm_eps", "1e-5" },
    { "max_position_embeddings", "256" }, { "tie_word_embeddings", "true" }, { NULL, NULL },
};

/* -------------------------------------------------------------- plans -------------------- */

#define MAMBA  " 40 -> 80, state 16, dt rank 3, conv 4 + bias, heads 2"
#define SHARED                                                                                   \
    "attention model.layers.0.shared_transf.self_attn. 80 -> 4 heads (2 kv) x 20, "              \
    "scale 0.316228, -> 40, beside the embedding, to the side\n"                                 \
    "mlp      model.layers.0.shared_transf.feed_forward. 40 -> 56 -> 40, gelu, of the side, "    \
    "to the side\n"

static void test_plan(void **unused)
{
    char *text = config_describe(zamba, NULL);

    (void)unused;
    assert_string_equal(text,
        "embed    model.embed_tokens.weight [96, 40]\n"
        SHARED
        "linear   model.layers.0.linear. 40 -> 40, of the side, to the side\n"
        "mamba1   model.layers.0.mamba_decoder.mamba." MAMBA ", joined\n"
        "mamba1   model.layers.1.mamba." MAMBA "\n"
        SHARED
        "linear   model.layers.2.linear. 40 -> 40, of the side, to the side\n"
        "mamba1   model.layers.2.mamba_decoder.mamba." MAMBA ", joined\n"
        "head     model.embed_tokens.weight [96, 40], tied\n");
    free(text);
}

/* What is shared counts once, and every hybrid layer remembers keys and values of its own. */
static void test_sizes(void **unused)
{
    const uint64_t mamba = 160 * 40 + 80 * 4 + 80 + 2 * (3 + 32) * 40 + 2 * 40 * 3 + 80
                         + 80 * 16 + 80 + 40 * 80 + 40;
    const uint64_t shared = 80 + 40 + (64 + 32 + 32) * 80 + 40 * 64 + 3 * 56 * 40;
    const config_member heads[] = { { "attention_head_dim", "16" }, { NULL, NULL } };
    bamba_model_info info = BAMBA_MODEL_INFO;
    bamba_model     *model;

    (void)unused;
    assert_int_equal(config_open(zamba, heads, &model, NULL), BAMBA_OK);
    assert_int_equal(bamba_model_info_get(model, &info), BAMBA_OK);
    assert_int_equal(info.n_params, 96 * 40 + 40 + shared + 2 * 40 * 40 + 3 * mamba);
    assert_int_equal(info.n_context, 256);
    /* float16; pages are of 64 positions */
    assert_int_equal(bamba_model_state_bytes(model, 64) - bamba_model_state_bytes(model, 0),
                     64 * 2 * 2 * 2 * 16 * 2);
    bamba_model_free(model);
}

/* By period and offset: the third layer, and of those behind it the second of every four. */
static void test_period(void **unused)
{
    static const char *const kinds[] = { "mmh", "mmhmhmmmhm" };
    static const char *const layers[] = { "3", "10" };

    (void)unused;
    for (int i = 0; i < 2; i++) {
        const config_member change[] = { { "layers_block_type", i ? "null" : NULL },
                                         { "num_hidden_layers", layers[i] },
                                         { "attn_layer_period", "4" }, { "attn_layer_offset", "1" },
                                         { NULL, NULL } };
        char *text = config_describe(zamba, change), *line = text;
        for (const char *kind = kinds[i]; *kind; kind++) {
            line = strstr(line, "\nmamba1 ");
            assert_non_null(line);
            assert_int_equal(strncmp(strstr(line, "mamba"), "mamba1", 6), 0);
            const char *name = strstr(line, "model.layers.");
            assert_int_equal(!strncmp(strchr(name + 13, '.'), ".mamba_decoder.", 15), *kind == 'h');
            line++;
        }
        assert_null(strstr(line, "\nmamba1 "));
        free(text);
    }
}

static void test_defaults_and_switches(void **unused)
{
    static const char *const left_out[] = {
        "architectures", "n_mamba_heads", "mamba_d_state", "mamba_d_conv", "mamba_expand",
        "mamba_dt_rank", "mamba_conv_bias", "mamba_proj_bias", "hidden_mamba_act", "rms_norm_eps",
    };

    (void)unused;
    for (size_t i = 0; i < sizeof left_out / sizeof left_out[0]; i++)
        expect_in_plan(zamba, left_out[i], NULL, "model.layers.1.mamba." MAMBA "\n");
    expect_in_plan(zamba, "hidden_act", NULL, "40 -> 56 -> 40, gelu, of");
    expect_in_plan(zamba, "hidden_act", "\"silu\"", "40 -> 56 -> 40, of the side");
    expect_in_plan(zamba, "tie_word_embeddings", NULL, ", tied");
    expect_in_plan(zamba, "tie_word_embeddings", "false", "head     lm_head.weight [96, 40]\n");
    expect_in_plan(zamba, "vocab_size", NULL, "[32000, 40]");
    expect_in_plan(zamba, "intermediate_size", NULL, "40 -> 14848 -> 40");
    expect_in_plan(zamba, "attention_head_dim", "12", "80 -> 4 heads (2 kv) x 12, scale "
                   "0.408248, -> 40,");
    expect_in_plan(zamba, "attention_head_dim", "null", "heads (2 kv) x 20");
    expect_in_plan(zamba, "attention_hidden_size", "80", "attn. 80 -> 4 heads");
    expect_in_plan(zamba, "n_mamba_heads", "1", ", heads 1\n");
    expect_in_plan(zamba, "mamba_dt_rank", "7", "dt rank 7");
    expect_in_plan(zamba, "mamba_expand", "3", "40 -> 120,");
    expect_in_plan(zamba, "mamba_conv_bias", "false", "conv 4, heads 2\n");
    expect_in_plan(zamba, "mamba_proj_bias", "true", "conv 4 + bias, bias, heads 2\n");
    expect_in_plan(zamba, "layers_block_type", "[\"linear_attention\", \"mamba\", \"hybrid\"]",
                   "layers.0.mamba. 40");
    expect_in_plan(zamba, "layer_types", "[\"mamba\", \"mamba\", \"mamba\"]", "layers.2.mamba. 40");
}

/* -------------------------------------------------------------- refusals ----------------- */

static const refusal refusals[] = {
    { { "model_type", "\"zamba3\"" }, "'model_type'", CANNOT },
    { { "vocab_size", "0" }, "'vocab_size'", BAD },
    { { "vocab_size", "\"96\"" }, "'vocab_size'", BAD },
    { { "vocab_size", "16777217" }, "'vocab_size'", BAD },
    { { "hidden_size", "0" }, "'hidden_size'", BAD },
    { { "hidden_size", "40.5" }, "'hidden_size'", BAD },
    { { "hidden_size", "[40]" }, "'hidden_size'", BAD },
    { { "hidden_size", "8388609" }, "'hidden_size'", BAD },
    { { "hidden_size", "8388608" }, "'num_attention_heads'", BAD },
    { { "intermediate_size", "0" }, "'intermediate_size'", BAD },
    { { "intermediate_size", "-56" }, "'intermediate_size'", BAD },
    { { "intermediate_size", "true" }, "'intermediate_size'", BAD },
    { { "num_hidden_layers", "0" }, "'num_hidden_layers'", BAD },
    { { "num_hidden_layers", "4097" }, "'num_hidden_layers'", BAD },
    { { "num_hidden_layers", "\"3\"" }, "'num_hidden_layers'", BAD },
    { { "num_hidden_layers", "2" }, "'layers_block_type'", BAD },
    { { "num_hidden_layers", "4" }, "'layers_block_type'", BAD },
    { { "layers_block_type", "[]" }, "'layers_block_type'", BAD },
    { { "layers_block_type", "{}" }, "'layers_block_type'", BAD },
    { { "layers_block_type", "\"hybrid\"" }, "'layers_block_type'", BAD },
    { { "layers_block_type", "[\"hybrid\", \"mamba\", 3]" }, "'layers_block_type", BAD },
    { { "layers_block_type", "[\"hybrid\", \"mamba\", \"attention\"]" }, "'layers_block_type",
      CANNOT },
    { { "layers_block_type", "[\"hybrid\", \"mamba\", \"Hybrid\"]" }, "'layers_block_type",
      CANNOT },
    { { "layer_types", "[\"hybrid\"]" }, "'layer_types'", BAD },
    { { "layer_types", "[\"hybrid\", \"mamba\", \"moe\"]" }, "'layer_types", CANNOT },
    { { "attn_layer_period", "0" }, "'attn_layer_period'", BAD },
    { { "attn_layer_period", "\"6\"" }, "'attn_layer_period'", BAD },
    { { "attn_layer_offset", "-1" }, "'attn_layer_offset'", BAD },
    { { "attn_layer_offset", "1.5" }, "'attn_layer_offset'", BAD },
    { { "num_attention_heads", "0" }, "'num_attention_heads'", BAD },
    { { "num_attention_heads", "81" }, "'num_attention_heads'", BAD },
    { { "num_attention_heads", "\"4\"" }, "'num_attention_heads'", BAD },
    { { "num_attention_heads", "5" }, "'num_key_value_heads'", BAD },
    { { "num_key_value_heads", "0" }, "'num_key_value_heads'", BAD },
    { { "num_key_value_heads", "3" }, "'num_key_value_heads'", BAD },
    { { "num_key_value_heads", "8" }, "'num_key_value_heads'", BAD },
    { { "num_key_value_heads", "[2]" }, "'num_key_value_heads'", BAD },
    { { "attention_head_dim", "0" }, "'attention_head_dim'", BAD },
    { { "attention_head_dim", "4097" }, "'attention_head_dim'", BAD },
    { { "attention_head_dim", "\"auto\"" }, "'attention_head_dim'", BAD },
    { { "attention_hidden_size", "40" }, "'attention_hidden_size'", BAD },
    { { "attention_hidden_size", "0" }, "'attention_hidden_size'", BAD },
    { { "n_mamba_heads", "0" }, "'n_mamba_heads'", BAD },
    { { "n_mamba_heads", "3" }, "'n_mamba_heads'", BAD },
    { { "n_mamba_heads", "160" }, "'n_mamba_heads'", BAD },
    { { "n_mamba_heads", "\"2\"" }, "'n_mamba_heads'", BAD },
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
    { { "hidden_act", "\"relu\"" }, "'hidden_act'", CANNOT },
    { { "hidden_act", "\"gelu_new\"" }, "'hidden_act'", CANNOT },
    { { "hidden_act", "1" }, "'hidden_act'", BAD },
    { { "hidden_mamba_act", "\"gelu\"" }, "'hidden_mamba_act'", CANNOT },
    { { "rms_norm_eps", "-1e-5" }, "'rms_norm_eps'", BAD },
    { { "rms_norm_eps", "1" }, "'rms_norm_eps'", BAD },
    { { "rms_norm_eps", "\"small\"" }, "'rms_norm_eps'", BAD },
    { { "max_position_embeddings", "0" }, "'max_position_embeddings'", BAD },
    { { "max_position_embeddings", "\"long\"" }, "'max_position_embeddings'", BAD },
    { { "tie_word_embeddings", "1" }, "'tie_word_embeddings'", BAD },
};

static void test_refusals_name_the_key(void **unused)
{
    enum { N = sizeof refusals / sizeof refusals[0] };
    const config_member two[] = { { "layers_block_type", NULL }, { "num_hidden_layers", "2" },
                                  { NULL, NULL } };
    const config_member wide[] = { { "hidden_size", "8388608" }, { "attention_head_dim", "8" },
                                   { NULL, NULL } };

    (void)unused;
    assert_true(N >= 50);
    expect_refusals(zamba, refusals, N);
    char *text = config_describe(zamba, two);
    assert_non_null(strstr(text, "'num_hidden_layers': expected at least 3 without a list of "
                           "their kinds"));
    free(text);
    text = config_describe(zamba, wide);
    assert_non_null(strstr(text, "'mamba_expand': more than 8388608 inner columns"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_period),
        cmocka_unit_test(test_defaults_and_switches),
        cmocka_unit_test(test_refusals_name_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
