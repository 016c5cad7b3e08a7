/* test_mamba.c - pure Mamba-1 in its layouts, and Falcon-Mamba: plans, refusals. */
#include "bamba.h"

#include "support/plans.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define SHARED                                                                                   \
    { "vocab_size", "96" }, { "hidden_size", "40" }, { "num_hidden_layers", "2" },               \
    { "state_size", "16" }, { "conv_kernel", "4" }, { "expand", "2" },                           \
    { "time_step_rank", "\"auto\"" }, { "use_bias", "false" }, { "use_conv_bias", "true" },      \
    { "hidden_act", "\"silu\"" }, { "layer_norm_epsilon", "1e-5" }, { "residual_in_fp32", "true" }

static const config_member hf[] = {
    { "architectures", "[\"MambaForCausalLM\"]" }, { "model_type", "\"mamba\"" }, SHARED,
    { "d_model", "40" }, { "n_layer", "2" }, { "ssm_cfg", "{}" }, { "rms_norm", "true" },
    { NULL, NULL },
};
static const config_member falcon[] = {
    { "architectures", "[\"FalconMambaForCausalLM\"]" }, { "model_type", "\"falcon_mamba\"" },
    SHARED, { "intermediate_size", "56" }, { "mixer_rms_eps", "1e-6" },
    { "tie_word_embeddings", "false" }, { NULL, NULL },
};
static const config_member mamba_ssm[] = {
    { "d_model", "40" }, { "n_layer", "2" }, { "vocab_size", "93" }, { "ssm_cfg", "{}" },
    { "rms_norm", "true" }, { "residual_in_fp32", "true" }, { "fused_add_norm", "true" },
    { "pad_vocab_size_multiple", "16" }, { NULL, NULL },
};

/* -------------------------------------------------------------- plans -------------------- */

#define LAYERS(inner, rest)                                                                      \
    "mamba1   backbone.layers.0.mixer. 40 -> " inner ", state 16, dt rank 3, conv 4 + bias" rest \
    "\n"                                                                                         \
    "mamba1   backbone.layers.1.mixer. 40 -> " inner ", state 16, dt rank 3, conv 4 + bias" rest \
    "\n"

static void expect_plan(const config_member *base, const char *expected)
{
    char *text = config_describe(base, NULL);

    assert_string_equal(text, expected);
    free(text);
}

static void test_plans(void **unused)
{
    (void)unused;
    expect_plan(hf, "embed    backbone.embeddings.weight [96, 40]\n" LAYERS("80", "")
                    "head     backbone.embeddings.weight [96, 40], tied\n");
    expect_plan(falcon, "embed    backbone.embeddings.weight [96, 40]\n"
                        LAYERS("56", ", inner norms without weights")
                        "head     lm_head.weight [96, 40]\n");
    expect_plan(mamba_ssm, "embed    backbone.embeddings.weight [96, 40]\n" LAYERS("80", "")
                           "head     backbone.embeddings.weight [93, 40], tied\n");
}

static void test_defaults_and_switches(void **unused)
{
    static const char *const left_out[] = {
        "state_size", "conv_kernel", "expand", "time_step_rank", "use_bias", "use_conv_bias",
        "hidden_act", "layer_norm_epsilon", "mixer_rms_eps", "rms_norm", "ssm_cfg", "architectures",
    };

    (void)unused;
    for (size_t i = 0; i < sizeof left_out / sizeof left_out[0]; i++) {
        expect_in_plan(hf, left_out[i], NULL, "40 -> 80, state 16, dt rank 3, conv 4 + bias\n");
        expect_in_plan(falcon, left_out[i], NULL, "40 -> 56, state 16, dt rank 3, conv 4 + "
                       "bias, inner");
    }
    expect_in_plan(hf, "expand", "3", "40 -> 120,");
    expect_in_plan(hf, "intermediate_size", "72", "40 -> 72,");
    expect_in_plan(falcon, "intermediate_size", "null", "40 -> 80,");
    expect_in_plan(falcon, "tie_word_embeddings", NULL, ", tied");
    expect_in_plan(hf, "tie_word_embeddings", "false", "head     lm_head.weight");
    expect_in_plan(hf, "time_step_rank", "7", "dt rank 7");
    expect_in_plan(hf, "use_bias", "true", "conv 4 + bias, bias\n");
    expect_in_plan(hf, "use_conv_bias", "false", "conv 4\n");
    expect_in_plan(mamba_ssm, "ssm_cfg", NULL, "40 -> 80, state 16, dt rank 3, conv 4 + bias\n");
    expect_in_plan(mamba_ssm, "ssm_cfg", "{\"layer\": \"Mamba1\", \"d_state\": 8, \"d_conv\": 3, "
                   "\"expand\": 1, \"dt_rank\": 5, \"bias\": true, \"conv_bias\": false}",
                   "40 -> 40, state 8, dt rank 5, conv 3, bias\n");
    expect_in_plan(mamba_ssm, "pad_vocab_size_multiple", NULL, "embeddings.weight [96, 40]");
    expect_in_plan(mamba_ssm, "pad_vocab_size_multiple", "100", "embeddings.weight [100, 40]");
    expect_in_plan(mamba_ssm, "tie_embeddings", "false", "head     lm_head.weight [93, 40]\n");
    expect_in_plan(mamba_ssm, "model_type", "\"mamba\"", "[93, 40], tied");
}

/* -------------------------------------------------------------- refusals ----------------- */

/* Of both families of transformers. */
static const refusal shared[] = {
    { { "model_type", "\"mamba3\"" }, "'model_type'", CANNOT },
    { { "model_type", "7" }, "'model_type'", BAD },
    { { "vocab_size", NULL }, "'vocab_size'", BAD },
    { { "vocab_size", "0" }, "'vocab_size'", BAD },
    { { "vocab_size", "-96" }, "'vocab_size'", BAD },
    { { "vocab_size", "\"96\"" }, "'vocab_size'", BAD },
    { { "vocab_size", "16777217" }, "'vocab_size'", BAD },
    { { "vocab_size", "1e300" }, "'vocab_size'", BAD },
    { { "hidden_size", "0" }, "'hidden_size'", BAD },
    { { "hidden_size", "40.5" }, "'hidden_size'", BAD },
    { { "hidden_size", "true" }, "'hidden_size'", BAD },
    { { "hidden_size", "[40]" }, "'hidden_size'", BAD },
    { { "hidden_size", "16777217" }, "'hidden_size'", BAD },
    { { "num_hidden_layers", NULL }, "'num_hidden_layers'", BAD },
    { { "num_hidden_layers", "0" }, "'num_hidden_layers'", BAD },
    { { "num_hidden_layers", "4097" }, "'num_hidden_layers'", BAD },
    { { "num_hidden_layers", "\"two\"" }, "'num_hidden_layers'", BAD },
    { { "state_size", "0" }, "'state_size'", BAD },
    { { "state_size", "-16" }, "'state_size'", BAD },
    { { "state_size", "16.5" }, "'state_size'", BAD },
    { { "state_size", "\"auto\"" }, "'state_size'", BAD },
    { { "state_size", "16777217" }, "'state_size'", BAD },
    { { "conv_kernel", "0" }, "'conv_kernel'", BAD },
    { { "conv_kernel", "65" }, "'conv_kernel'", BAD },
    { { "conv_kernel", "{}" }, "'conv_kernel'", BAD },
    { { "intermediate_size", "0" }, "'intermediate_size'", BAD },
    { { "intermediate_size", "8388609" }, "'intermediate_size'", BAD },
    { { "intermediate_size", "\"80\"" }, "'intermediate_size'", BAD },
    { { "intermediate_size", "[80]" }, "'intermediate_size'", BAD },
    { { "time_step_rank", "0" }, "'time_step_rank'", BAD },
    { { "time_step_rank", "-1" }, "'time_step_rank'", BAD },
    { { "time_step_rank", "\"large\"" }, "'time_step_rank'", CANNOT },
    { { "time_step_rank", "2.5" }, "'time_step_rank'", BAD },
    { { "time_step_rank", "[3]" }, "'time_step_rank'", BAD },
    { { "time_step_rank", "16777217" }, "'time_step_rank'", BAD },
    { { "use_bias", "0" }, "'use_bias'", BAD },
    { { "use_bias", "\"false\"" }, "'use_bias'", BAD },
    { { "use_conv_bias", "1" }, "'use_conv_bias'", BAD },
    { { "use_conv_bias", "[]" }, "'use_conv_bias'", BAD },
    { { "hidden_act", "\"gelu\"" }, "'hidden_act'", CANNOT },
    { { "hidden_act", "1" }, "'hidden_act'", BAD },
    { { "layer_norm_epsilon", "-1e-5" }, "'layer_norm_epsilon'", BAD },
    { { "layer_norm_epsilon", "1" }, "'layer_norm_epsilon'", BAD },
    { { "layer_norm_epsilon", "\"small\"" }, "'layer_norm_epsilon'", BAD },
    { { "layer_norm_epsilon", "[1e-5]" }, "'layer_norm_epsilon'", BAD },
    { { "rms_norm", "false" }, "'rms_norm'", CANNOT },
    { { "rms_norm", "\"yes\"" }, "'rms_norm'", BAD },
    { { "tie_word_embeddings", "1" }, "'tie_word_embeddings'", BAD },
    { { "tie_word_embeddings", "\"no\"" }, "'tie_word_embeddings'", BAD },
    { { "max_position_embeddings", "-1" }, "'max_position_embeddings'", BAD },
};
static const refusal of_hf[] = {
    { { "expand", "0" }, "'expand'", BAD },
    { { "expand", "65" }, "'expand'", BAD },
    { { "expand", "1.5" }, "'expand'", BAD },
    { { "expand", "\"2\"" }, "'expand'", BAD },
    { { "hidden_size", "16777216" }, "'expand'", CANNOT },
};
static const refusal of_falcon[] = {
    { { "hidden_size", NULL }, "'hidden_size'", BAD },
    { { "mixer_rms_eps", "-1" }, "'mixer_rms_eps'", BAD },
    { { "mixer_rms_eps", "\"1e-6\"" }, "'mixer_rms_eps'", BAD },
    { { "mixer_rms_eps", "2" }, "'mixer_rms_eps'", BAD },
};
static const refusal of_mamba_ssm[] = {
    { { "d_model", "0" }, "'d_model'", BAD },
    { { "d_model", "\"40\"" }, "'d_model'", BAD },
    { { "d_model", "16777216" }, "'ssm_cfg.expand'", CANNOT },
    { { "n_layer", "0" }, "'n_layer'", BAD },
    { { "n_layer", "5000" }, "'n_layer'", BAD },
    { { "vocab_size", NULL }, "'vocab_size'", BAD },
    { { "vocab_size", "16777217" }, "'vocab_size'", BAD },
    { { "pad_vocab_size_multiple", "0" }, "'pad_vocab_size_multiple'", BAD },
    { { "pad_vocab_size_multiple", "\"8\"" }, "'pad_vocab_size_multiple'", BAD },
    { { "ssm_cfg", "[]" }, "'ssm_cfg'", BAD },
    { { "ssm_cfg", "\"Mamba1\"" }, "'ssm_cfg'", BAD },
    { { "ssm_cfg", "{\"layer\": \"Mamba3\"}" }, "'ssm_cfg.layer'", CANNOT },
    { { "ssm_cfg", "{\"d_state\": 0}" }, "'ssm_cfg.d_state'", BAD },
    { { "ssm_cfg", "{\"d_conv\": 65}" }, "'ssm_cfg.d_conv'", BAD },
    { { "ssm_cfg", "{\"expand\": 0}" }, "'ssm_cfg.expand'", BAD },
    { { "ssm_cfg", "{\"dt_rank\": \"big\"}" }, "'ssm_cfg.dt_rank'", CANNOT },
    { { "ssm_cfg", "{\"dt_rank\": 0}" }, "'ssm_cfg.dt_rank'", BAD },
    { { "ssm_cfg", "{\"bias\": 1}" }, "'ssm_cfg.bias'", BAD },
    { { "ssm_cfg", "{\"conv_bias\": \"on\"}" }, "'ssm_cfg.conv_bias'", BAD },
    { { "attn_layer_idx", "[9, 18]" }, "'attn_layer_idx'", CANNOT },
    { { "d_intermediate", "64" }, "'d_intermediate'", CANNOT },
    { { "rms_norm", "false" }, "'rms_norm'", CANNOT },
    { { "tie_embeddings", "1" }, "'tie_embeddings'", BAD },
};

static void test_refusals_name_the_key(void **unused)
{
    enum { N = sizeof shared / sizeof shared[0] };

    (void)unused;
    assert_true(N >= 50);
    expect_refusals(hf, shared, N);
    expect_refusals(falcon, shared, N);
    expect_refusals(hf, of_hf, sizeof of_hf / sizeof of_hf[0]);
    expect_refusals(falcon, of_falcon, sizeof of_falcon / sizeof of_falcon[0]);
    expect_refusals(mamba_ssm, of_mamba_ssm, sizeof of_mamba_ssm / sizeof of_mamba_ssm[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plans),
        cmocka_unit_test(test_defaults_and_switches),
        cmocka_unit_test(test_refusals_name_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
