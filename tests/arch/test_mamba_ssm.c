/* test_mamba_ssm.c - mamba_ssm's hybrids: attention with a convolution, MLPs; plans, refusals. */
#include "bamba.h"

#include "support/plans.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define SSM(members) "{\"layer\": \"Mamba2\", \"headdim\": 8, \"d_state\": 16" members "}"
#define ATTENTION(members) "{\"causal\": true, \"num_heads\": 6" members "}"
#define USUAL ", \"d_conv\": 4, \"head_dim\": 8, \"out_proj_bias\": false, " \
              "\"qkv_proj_bias\": false, \"rotary_emb_dim\": 4"

static const config_member base[] = {
    { "d_model", "24" }, { "d_intermediate", "200" }, { "n_layer", "2" }, { "vocab_size", "93" },
    { "ssm_cfg", SSM("") }, { "attn_layer_idx", "[1]" }, { "attn_cfg", ATTENTION(USUAL) },
    { "rms_norm", "true" }, { "residual_in_fp32", "true" }, { "fused_add_norm", "true" },
    { "pad_vocab_size_multiple", "16" }, { "tie_embeddings", "true" }, { NULL, NULL },
};

/* -------------------------------------------------------------- plans -------------------- */

static void test_plan(void **unused)
{
    char *text = config_describe(base, NULL);

    (void)unused;
    assert_string_equal(text,
        "embed    backbone.embeddings.weight [96, 24]\n"
        "mamba2   backbone.layers.0.mixer. 24 -> 6 heads x 8, state 16, groups 1, conv 4 + bias\n"
        "mlp      backbone.layers.0.mlp. 24 -> 256 -> 24\n"
        "attention backbone.layers.1.mixer. 24 -> 6 heads (6 kv) x 8, rope 4 of 8, theta 10000, "
        "conv 4 + bias\n"
        "mlp      backbone.layers.1.mlp. 24 -> 256 -> 24\n"
        "head     backbone.embeddings.weight [93, 24], tied\n");
    free(text);
}

/* Defaults are those of the modules. */
static void test_defaults_and_switches(void **unused)
{
    (void)unused;
    expect_in_plan(base, "attn_cfg", ATTENTION(""), "6 heads (6 kv) x 4, bias\n");
    expect_in_plan(base, "attn_cfg", ATTENTION(", \"out_proj_bias\": false"), "6 heads (6 kv) x 4, "
                   "input bias\n");
    expect_in_plan(base, "attn_cfg", ATTENTION(", \"qkv_proj_bias\": false"), "6 heads (6 kv) x 4, "
                   "output bias\n");
    expect_in_plan(base, "attn_cfg", ATTENTION(", \"num_heads_kv\": 2"), "6 heads (2 kv) x 4");
    expect_in_plan(base, "attn_cfg", ATTENTION(", \"rotary_emb_dim\": 4, \"rotary_emb_base\": 500"),
                   "rope 4 of 4, theta 500");
    expect_in_plan(base, "attn_cfg", ATTENTION(", \"d_conv\": 1"), "conv 1 + bias");
    expect_in_plan(base, "d_intermediate", "0", "conv 4 + bias\nattention");
    expect_in_plan(base, "d_intermediate", NULL, "conv 4 + bias\nattention");
    expect_in_plan(base, "d_intermediate", "256", "24 -> 256 -> 24");
    expect_in_plan(base, "d_intermediate", "257", "24 -> 384 -> 24");
    expect_in_plan(base, "attn_layer_idx", "[]", "mamba2   backbone.layers.1");
    expect_in_plan(base, "attn_layer_idx", NULL, "mamba2   backbone.layers.1");
    expect_in_plan(base, "attn_layer_idx", "[0, 1]", "attention backbone.layers.0");
    expect_in_plan(base, "moe_layer_idx", "[]", "24 -> 256");
    expect_in_plan(base, "ssm_cfg", SSM(", \"rmsnorm\": false"), "conv 4 + bias, no norm");
    expect_in_plan(base, "ssm_cfg", SSM(", \"norm_before_gate\": true"), "conv 4 + bias, norm "
                   "before gate");
}

/* -------------------------------------------------------------- the mix behind q4 -------- */

static void test_mix(void **unused)
{
    const config_member hybrid[] = { { "n_layer", "3" }, { "attn_layer_idx", "[2]" },
                                     { NULL, NULL } };
    const config_member transformer[] = { { "attn_layer_idx", "[0, 1]" },
                                          { "attn_cfg", ATTENTION("") }, { NULL, NULL } };

    (void)unused;
    assert_true(is_kept_in_q8(base, hybrid, "layers.0.mixer.in_proj"));
    assert_false(is_kept_in_q8(base, hybrid, "layers.1.mixer.in_proj"));
    assert_true(is_kept_in_q8(base, hybrid, "layers.2.mixer.in_proj"));      /* of attention */
    assert_true(is_kept_in_q8(base, hybrid, "layers.1.mixer.out_proj"));
    assert_false(is_kept_in_q8(base, hybrid, "layers.2.mlp.fc2"));
    assert_true(is_kept_in_q8(base, transformer, "layers.0.mixer.in_proj"));
    assert_false(is_kept_in_q8(base, transformer, "layers.0.mlp.fc1"));
    assert_true(is_kept_in_q8(base, transformer, "layers.1.mlp.fc1"));       /* the last layer */
    assert_true(is_kept_in_q8(base, transformer, "layers.1.mlp.fc2"));
}

/* -------------------------------------------------------------- refusals ----------------- */

static const refusal refusals[] = {
    { { "d_model", "0" }, "'d_model'", BAD },
    { { "d_model", "25" }, "'ssm_cfg.headdim'", BAD },
    { { "d_model", "\"24\"" }, "'d_model'", BAD },
    { { "d_model", "[24]" }, "'d_model'", BAD },
    { { "d_intermediate", "-1" }, "'d_intermediate'", BAD },
    { { "d_intermediate", "1e3" }, "'d_intermediate'", BAD },
    { { "d_intermediate", "16777216" }, "'d_intermediate'", BAD },
    { { "d_intermediate", "true" }, "'d_intermediate'", BAD },
    { { "n_layer", "0" }, "'n_layer'", BAD },
    { { "n_layer", "1" }, "'attn_layer_idx[0]'", BAD },
    { { "n_layer", "5000" }, "'n_layer'", BAD },
    { { "vocab_size", "-93" }, "'vocab_size'", BAD },
    { { "vocab_size", NULL }, "'vocab_size'", BAD },
    { { "rms_norm", "false" }, "'rms_norm'", CANNOT },
    { { "tie_embeddings", "\"yes\"" }, "'tie_embeddings'", BAD },
    { { "pad_vocab_size_multiple", "-1" }, "'pad_vocab_size_multiple'", BAD },
    { { "moe_layer_idx", "[0, 1]" }, "'moe_layer_idx'", CANNOT },
    { { "attn_layer_idx", "1" }, "'attn_layer_idx'", BAD },
    { { "attn_layer_idx", "{}" }, "'attn_layer_idx'", BAD },
    { { "attn_layer_idx", "[2]" }, "'attn_layer_idx[0]'", BAD },
    { { "attn_layer_idx", "[1, -1]" }, "'attn_layer_idx[1]'", BAD },
    { { "attn_layer_idx", "[0.5]" }, "'attn_layer_idx[0]'", BAD },
    { { "attn_layer_idx", "[\"1\"]" }, "'attn_layer_idx[0]'", BAD },
    { { "attn_layer_idx", "[0, 1, 0]" }, "'attn_layer_idx'", BAD },
    { { "ssm_cfg", SSM(", \"d_ssm\": 24") }, "'ssm_cfg.d_ssm'", CANNOT },
    { { "ssm_cfg", SSM(", \"D_has_hdim\": true") }, "'ssm_cfg.D_has_hdim'", CANNOT },
    { { "ssm_cfg", SSM(", \"ngroups\": 4") }, "'ssm_cfg.ngroups'", BAD },
    { { "ssm_cfg", SSM(", \"rmsnorm\": \"true\"") }, "'ssm_cfg.rmsnorm'", BAD },
    { { "ssm_cfg", SSM(", \"norm_before_gate\": 1") }, "'ssm_cfg.norm_before_gate'", BAD },
    { { "ssm_cfg", SSM(", \"dt_limit\": [1]") }, "'ssm_cfg.dt_limit'", BAD },
    { { "ssm_cfg", "{\"layer\": \"Mamba3\"}" }, "'ssm_cfg.layer'", CANNOT },
    { { "ssm_cfg", "{\"layer\": 2}" }, "'ssm_cfg.layer'", BAD },
    { { "attn_cfg", NULL }, "'attn_cfg.num_heads'", BAD },
    { { "attn_cfg", "{}" }, "'attn_cfg.num_heads'", BAD },
    { { "attn_cfg", "[]" }, "'attn_cfg'", BAD },
    { { "attn_cfg", "{\"num_heads\": 6}" }, "'attn_cfg.causal'", CANNOT },
    { { "attn_cfg", "{\"num_heads\": 6, \"causal\": false}" }, "'attn_cfg.causal'", CANNOT },
    { { "attn_cfg", "{\"num_heads\": 6, \"causal\": 1}" }, "'attn_cfg.causal'", BAD },
    { { "attn_cfg", "{\"causal\": true, \"num_heads\": 0}" }, "'attn_cfg.num_heads'", BAD },
    { { "attn_cfg", "{\"causal\": true, \"num_heads\": 5}" }, "'attn_cfg.num_heads'", BAD },
    { { "attn_cfg", "{\"causal\": true, \"num_heads\": \"6\"}" }, "'attn_cfg.num_heads'", BAD },
    { { "attn_cfg", ATTENTION(", \"num_heads_kv\": 4") }, "'attn_cfg.num_heads_kv'", BAD },
    { { "attn_cfg", ATTENTION(", \"num_heads_kv\": 0") }, "'attn_cfg.num_heads_kv'", BAD },
    { { "attn_cfg", ATTENTION(", \"head_dim\": 0") }, "'attn_cfg.head_dim'", BAD },
    { { "attn_cfg", ATTENTION(", \"head_dim\": 5000") }, "'attn_cfg.head_dim'", BAD },
    { { "attn_cfg", ATTENTION(", \"head_dim\": 4.5") }, "'attn_cfg.head_dim'", BAD },
    { { "attn_cfg", ATTENTION(", \"d_conv\": -1") }, "'attn_cfg.d_conv'", BAD },
    { { "attn_cfg", ATTENTION(", \"d_conv\": 65") }, "'attn_cfg.d_conv'", BAD },
    { { "attn_cfg", ATTENTION(", \"mlp_dim\": 256") }, "'attn_cfg.mlp_dim'", CANNOT },
    { { "attn_cfg", ATTENTION(", \"qkv_proj_bias\": 0") }, "'attn_cfg.qkv_proj_bias'", BAD },
    { { "attn_cfg", ATTENTION(", \"out_proj_bias\": \"\"") }, "'attn_cfg.out_proj_bias'", BAD },
    { { "attn_cfg", ATTENTION(", \"rotary_emb_dim\": 6") }, "'attn_cfg.rotary_emb_dim'", BAD },
    { { "attn_cfg", ATTENTION(", \"rotary_emb_dim\": 3") }, "'attn_cfg.rotary_emb_dim'", BAD },
    { { "attn_cfg", ATTENTION(", \"rotary_emb_base\": 1") }, "'attn_cfg.rotary_emb_base'", BAD },
    { { "attn_cfg", ATTENTION(", \"rotary_emb_interleaved\": true") },
      "'attn_cfg.rotary_emb_interleaved'", CANNOT },
    { { "attn_cfg", ATTENTION(", \"softmax_scale\": 0") }, "'attn_cfg.softmax_scale'", BAD },
    { { "attn_cfg", ATTENTION(", \"softmax_scale\": -0.1") }, "'attn_cfg.softmax_scale'", BAD },
    { { "attn_cfg", ATTENTION(", \"softmax_scale\": \"none\"") }, "'attn_cfg.softmax_scale'", BAD },
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
        cmocka_unit_test(test_mix),
        cmocka_unit_test(test_refusals_name_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
