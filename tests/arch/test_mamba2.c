/* test_mamba2.c - pure Mamba-2 in its three layouts: plans, padded vocabularies, refusals. */
#include "bamba.h"

#include "support/plans.h"
#include "support/store.h"
#include "support/tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const config_member hf[] = {
    { "architectures", "[\"Mamba2ForCausalLM\"]" }, { "model_type", "\"mamba2\"" },
    { "vocab_size", "96" }, { "hidden_size", "32" }, { "num_hidden_layers", "2" },
    { "num_heads", "8" }, { "head_dim", "8" }, { "state_size", "16" }, { "n_groups", "2" },
    { "conv_kernel", "4" }, { "expand", "2" }, { "use_bias", "false" }, { "use_conv_bias", "true" },
    { "hidden_act", "\"silu\"" }, { "layer_norm_epsilon", "1e-5" }, { "rms_norm", "true" },
    { "time_step_limit", "[0.0, Infinity]" }, { "tie_word_embeddings", "false" }, { NULL, NULL },
};
static const config_member mamba_ssm[] = {
    { "d_model", "32" }, { "d_intermediate", "0" }, { "n_layer", "1" }, { "vocab_size", "93" },
    { "ssm_cfg", "{\"layer\": \"Mamba2\", \"headdim\": 8, \"d_state\": 16}" },
    { "attn_layer_idx", "[]" }, { "attn_cfg", "{}" }, { "rms_norm", "true" },
    { "residual_in_fp32", "true" }, { "fused_add_norm", "true" },
    { "pad_vocab_size_multiple", "16" }, { "tie_embeddings", "true" }, { NULL, NULL },
};
static const config_member mistral[] = {
    { "dim", "128" }, { "n_layers", "1" }, { "vocab_size", "90" }, { "n_groups", "2" },
    { "rms_norm", "true" }, { "residual_in_fp32", "true" }, { "fused_add_norm", "true" },
    { "pad_vocab_size_multiple", "1" }, { "tie_embeddings", "false" },
    { "model_type", "\"mamba\"" }, { NULL, NULL },
};

/* -------------------------------------------------------------- plans -------------------- */

static void expect_plan(const config_member *base, const char *expected)
{
    char *text = config_describe(base, NULL);

    assert_string_equal(text, expected);
    free(text);
}

static void test_plans(void **unused)
{
    (void)unused;
    expect_plan(hf,
        "embed    backbone.embeddings.weight [96, 32]\n"
        "mamba2   backbone.layers.0.mixer. 32 -> 8 heads x 8, state 16, groups 2, conv 4 + bias\n"
        "mamba2   backbone.layers.1.mixer. 32 -> 8 heads x 8, state 16, groups 2, conv 4 + bias\n"
        "head     lm_head.weight [96, 32]\n");
    expect_plan(mamba_ssm,
        "embed    backbone.embeddings.weight [96, 32]\n"
        "mamba2   backbone.layers.0.mixer. 32 -> 8 heads x 8, state 16, groups 1, conv 4 + bias\n"
        "head     backbone.embeddings.weight [93, 32], tied\n");
    expect_plan(mistral,
        "embed    model.backbone.embedding.weight [90, 128]\n"
        "mamba2   model.backbone.layers.0.mixer. 128 -> 4 heads x 64, state 128, groups 2, "
        "conv 4 + bias\n"
        "head     model.lm_head.weight [90, 128]\n");
}

static void test_defaults_and_switches(void **unused)
{
    (void)unused;
    expect_in_plan(hf, "conv_kernel", NULL, "conv 4");
    expect_in_plan(hf, "use_conv_bias", "false", "conv 4\n");
    expect_in_plan(hf, "use_bias", "true", "conv 4 + bias, bias");
    expect_in_plan(hf, "time_step_limit", "[0.5, 2]", "dt 0.5 ... 2\n");
    expect_in_plan(hf, "time_step_limit", NULL, "conv 4 + bias\n");
    expect_in_plan(hf, "tie_word_embeddings", "true", "backbone.embeddings.weight [96, 32], tied");
    expect_in_plan(hf, "rms_norm", NULL, "lm_head");
    expect_in_plan(mamba_ssm, "pad_vocab_size_multiple", NULL, "backbone.embeddings.weight [96");
    expect_in_plan(mamba_ssm, "pad_vocab_size_multiple", "100", "embeddings.weight [100, 32]");
    expect_in_plan(mamba_ssm, "tie_embeddings", NULL, ", tied");
    expect_in_plan(mamba_ssm, "tie_embeddings", "false", "head     lm_head.weight [93, 32]\n");
    expect_in_plan(mamba_ssm, "ssm_cfg", "{\"layer\": \"Mamba2\"}",
                   "32 -> 1 heads x 64, state 128, groups 1, conv 4 + bias\n");
    expect_in_plan(mamba_ssm, "ssm_cfg", "{\"layer\": \"Mamba2\", \"headdim\": 4, \"expand\": 3, "
                   "\"ngroups\": 8, \"d_conv\": 2, \"bias\": true, \"conv_bias\": false, "
                   "\"dt_limit\": [0.25, Infinity], \"d_ssm\": 96, \"A_init_range\": [1, 16]}",
                   "32 -> 24 heads x 4, state 128, groups 8, conv 2, bias, dt 0.25 ... inf\n");
    expect_in_plan(mistral, "pad_vocab_size_multiple", "64", "embedding.weight [128, 128]");
}

/* -------------------------------------------------------------- refusals ----------------- */

typedef struct refusal_of {
    const config_member *base;
    config_member        change;
    const char          *name;            /* in the message */
    bamba_status         status;
} refusal_of;

#define BAD    BAMBA_ERR_FORMAT
#define CANNOT BAMBA_ERR_UNSUPPORTED
#define SSM(members) "{\"layer\": \"Mamba2\", \"headdim\": 8" members "}"

static const refusal_of refusals[] = {
    { hf, { "model_type", "\"mamba3\"" }, "'model_type'", CANNOT },
    { hf, { "vocab_size", NULL }, "'vocab_size'", BAD },
    { hf, { "vocab_size", "0" }, "'vocab_size'", BAD },
    { hf, { "vocab_size", "\"96\"" }, "'vocab_size'", BAD },
    { hf, { "hidden_size", NULL }, "'hidden_size'", BAD },
    { hf, { "hidden_size", "null" }, "'hidden_size'", BAD },
    { hf, { "hidden_size", "33" }, "'num_heads'", BAD },
    { hf, { "hidden_size", "16777217" }, "'hidden_size'", BAD },
    { hf, { "num_hidden_layers", NULL }, "'num_hidden_layers'", BAD },
    { hf, { "num_hidden_layers", "5000" }, "'num_hidden_layers'", BAD },
    { hf, { "num_heads", NULL }, "'num_heads'", BAD },
    { hf, { "num_heads", "7" }, "'num_heads'", BAD },
    { hf, { "num_heads", "0" }, "'num_heads'", BAD },
    { hf, { "head_dim", NULL }, "'head_dim'", BAD },
    { hf, { "head_dim", "16" }, "'num_heads'", BAD },
    { hf, { "head_dim", "8.0" }, "'head_dim'", BAD },
    { hf, { "state_size", NULL }, "'state_size'", BAD },
    { hf, { "state_size", "-16" }, "'state_size'", BAD },
    { hf, { "n_groups", NULL }, "'n_groups'", BAD },
    { hf, { "n_groups", "3" }, "'n_groups'", BAD },
    { hf, { "n_groups", "16" }, "'n_groups'", BAD },
    { hf, { "n_groups", "0" }, "'n_groups'", BAD },
    { hf, { "conv_kernel", "0" }, "'conv_kernel'", BAD },
    { hf, { "conv_kernel", "65" }, "'conv_kernel'", BAD },
    { hf, { "expand", "3" }, "'num_heads'", BAD },
    { hf, { "expand", "0" }, "'expand'", BAD },
    { hf, { "use_bias", "0" }, "'use_bias'", BAD },
    { hf, { "use_conv_bias", "\"true\"" }, "'use_conv_bias'", BAD },
    { hf, { "hidden_act", "\"relu\"" }, "'hidden_act'", CANNOT },
    { hf, { "layer_norm_epsilon", "-1" }, "'layer_norm_epsilon'", BAD },
    { hf, { "layer_norm_epsilon", "[1e-5]" }, "'layer_norm_epsilon'", BAD },
    { hf, { "rms_norm", "false" }, "'rms_norm'", CANNOT },
    { hf, { "time_step_limit", "[1.0, 0.5]" }, "'time_step_limit'", BAD },
    { hf, { "time_step_limit", "0.5" }, "'time_step_limit'", BAD },
    { hf, { "time_step_limit", "[0.0]" }, "'time_step_limit'", BAD },
    { hf, { "tie_word_embeddings", "\"no\"" }, "'tie_word_embeddings'", BAD },
    { mamba_ssm, { "d_model", "0" }, "'d_model'", BAD },
    { mamba_ssm, { "d_model", "33" }, "'ssm_cfg.headdim'", BAD },
    { mamba_ssm, { "n_layer", "0" }, "'n_layer'", BAD },
    { mamba_ssm, { "vocab_size", NULL }, "'vocab_size'", BAD },
    { mamba_ssm, { "vocab_size", "16777217" }, "'vocab_size'", BAD },
    { mamba_ssm, { "pad_vocab_size_multiple", "0" }, "'pad_vocab_size_multiple'", BAD },
    { mamba_ssm, { "ssm_cfg", "[]" }, "'ssm_cfg'", BAD },
    { mamba_ssm, { "ssm_cfg", "{\"layer\": \"Mamba3\"}" }, "'ssm_cfg.layer'", CANNOT },
    { mamba_ssm, { "ssm_cfg", "{\"layer\": \"Mamba2\", \"headdim\": 7}" }, "'ssm_cfg.headdim'",
      BAD },
    { mamba_ssm, { "ssm_cfg", SSM(", \"ngroups\": 3") }, "'ssm_cfg.ngroups'", BAD },
    { mamba_ssm, { "ssm_cfg", SSM(", \"d_state\": 0") }, "'ssm_cfg.d_state'", BAD },
    { mamba_ssm, { "ssm_cfg", SSM(", \"d_conv\": \"4\"") }, "'ssm_cfg.d_conv'", BAD },
    { mamba_ssm, { "ssm_cfg", SSM(", \"expand\": 0") }, "'ssm_cfg.expand'", BAD },
    { mamba_ssm, { "ssm_cfg", SSM(", \"d_ssm\": 32") }, "'ssm_cfg.d_ssm'", CANNOT },
    { mamba_ssm, { "ssm_cfg", SSM(", \"rmsnorm\": 0") }, "'ssm_cfg.rmsnorm'", BAD },
    { mamba_ssm, { "ssm_cfg", SSM(", \"norm_before_gate\": \"no\"") }, "'ssm_cfg.norm_before_gate'",
      BAD },
    { mamba_ssm, { "ssm_cfg", SSM(", \"D_has_hdim\": true") }, "'ssm_cfg.D_has_hdim'", CANNOT },
    { mamba_ssm, { "ssm_cfg", SSM(", \"dt_limit\": [-1, 1]") }, "'ssm_cfg.dt_limit'", BAD },
    { mamba_ssm, { "ssm_cfg", SSM(", \"bias\": 1") }, "'ssm_cfg.bias'", BAD },
    { mamba_ssm, { "attn_layer_idx", "[9]" }, "'attn_layer_idx[0]'", BAD },
    { mamba_ssm, { "d_intermediate", "-64" }, "'d_intermediate'", BAD },
    { mamba_ssm, { "rms_norm", "false" }, "'rms_norm'", CANNOT },
    { mamba_ssm, { "tie_embeddings", "1" }, "'tie_embeddings'", BAD },
    { mistral, { "dim", "63" }, "'dim'", BAD },
    { mistral, { "dim", "\"128\"" }, "'dim'", BAD },
    { mistral, { "n_layers", "-1" }, "'n_layers'", BAD },
    { mistral, { "n_groups", "3" }, "'n_groups'", BAD },
    { mistral, { "n_groups", NULL }, "'hidden_size'", BAD },
    { mistral, { "vocab_size", NULL }, "'vocab_size'", BAD },
    { mistral, { "rms_norm", "false" }, "'rms_norm'", CANNOT },
};

static void test_refusals_name_the_key(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const refusal_of *r = &refusals[i];
        const char       *why = config_not_refused(r->base, r->change, r->name, r->status);
        if (why) fail_msg("%s", why);
    }
    assert_true(sizeof refusals / sizeof refusals[0] >= 50);
}

/* -------------------------------------------------------------- padding ------------------ */

enum { ROWS = 96, D = 32, I = 64, N = 16, HEADS = 8, C = I + 2 * N };

static void add(store *s, const char *name, int n_dims, size_t a, size_t b, size_t c)
{
    store_add_random(s, name, n_dims, (const size_t[]){ a, b, c }, 1);
}

/* The mamba_ssm model above, its embedding under this name; what pads it is a thousand times as
   large as the rest, and would always be chosen. */
static char *write_padded(const char *embed)
{
    char *dir = tempdir_make();
    char *text = config_text(mamba_ssm, NULL);
    store s = { NULL, 0, 0 };

    add(&s, embed, 2, ROWS, D, 0);
    float *values = (float *)(void *)store_find(&s, embed)->data;
    for (size_t i = 93 * D; i < (size_t)ROWS * D; i++) values[i] *= 1000;
    add(&s, "backbone.norm_f.weight", 1, D, 0, 0);
    add(&s, "backbone.layers.0.norm.weight", 1, D, 0, 0);
    add(&s, "backbone.layers.0.mixer.in_proj.weight", 2, I + C + HEADS, D, 0);
    add(&s, "backbone.layers.0.mixer.conv1d.weight", 3, C, 1, 4);
    add(&s, "backbone.layers.0.mixer.conv1d.bias", 1, C, 0, 0);
    add(&s, "backbone.layers.0.mixer.dt_bias", 1, HEADS, 0, 0);
    add(&s, "backbone.layers.0.mixer.A_log", 1, HEADS, 0, 0);
    add(&s, "backbone.layers.0.mixer.D", 1, HEADS, 0, 0);
    add(&s, "backbone.layers.0.mixer.norm.weight", 1, I, 0, 0);
    add(&s, "backbone.layers.0.mixer.out_proj.weight", 2, D, I, 0);
    store_write(&s, 0, s.n, dir, "model.safetensors");
    tempdir_write_text(dir, "config.json", text);
    free(text);
    store_free(&s);
    return dir;
}

/* Padding can be neither fed nor chosen, and the older name of the embedding is read too. */
static void test_padding_rows(void **unused)
{
    static const char *const names[] = { "backbone.embedding.weight",
                                         "backbone.embeddings.weight" };
    (void)unused;
    for (size_t i = 0; i < 2; i++) {
        char            *dir = write_padded(names[i]);
        bamba_model     *model;
        bamba_engine    *engine;
        bamba_session   *session;
        bamba_model_info info = BAMBA_MODEL_INFO;
        bamba_error      err;
        const float     *logits;
        int32_t          id = 92;

        if (bamba_model_open(&model, dir, NULL, &err) != BAMBA_OK) fail_msg("%s", err.message);
        assert_int_equal(bamba_model_info_get(model, &info), BAMBA_OK);
        assert_int_equal(info.n_vocab, 93);
        assert_int_equal(info.n_params, ROWS * D + D + D + (I + C + HEADS) * D + C * 5 + 3 * HEADS
                                        + I + D * I);
        assert_int_equal(bamba_engine_create(&engine, model, NULL, NULL), BAMBA_OK);
        assert_int_equal(bamba_session_create(&session, model, NULL, NULL), BAMBA_OK);
        for (int n = 0; n < 5; n++) {
            assert_int_equal(bamba_feed(engine, session, &id, 1, &logits, NULL), BAMBA_OK);
            for (int k = id = 0; k < info.n_vocab; k++) {
                assert_true(logits[k] > -500 && logits[k] < 500);
                if (logits[k] > logits[id]) id = k;
            }
        }
        id = 93;
        assert_int_equal(bamba_feed(engine, session, &id, 1, &logits, NULL), BAMBA_ERR_ARGUMENT);
        bamba_session_free(session);
        bamba_engine_free(engine);
        bamba_model_free(model);
        tempdir_remove(dir);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plans),
        cmocka_unit_test(test_defaults_and_switches),
        cmocka_unit_test(test_refusals_name_the_key),
        cmocka_unit_test(test_padding_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
