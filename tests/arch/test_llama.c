/* test_llama.c - Llama and Mistral from config.json: plans, names of rotary scaling, refusals. */
#include "bamba.h"

#include "support/plans.h"
#include "support/running.h"
#include "support/store.h"
#include "support/tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const config_member llama[] = {
    { "architectures", "[\"LlamaForCausalLM\"]" }, { "model_type", "\"llama\"" },
    { "vocab_size", "96" }, { "hidden_size", "32" }, { "intermediate_size", "48" },
    { "num_hidden_layers", "2" }, { "num_attention_heads", "4" }, { "num_key_value_heads", "2" },
    { "head_dim", "12" }, { "hidden_act", "\"silu\"" }, { "rms_norm_eps", "1e-5" },
    { "rope_theta", "500.0" }, { "rope_scaling", "null" }, { "max_position_embeddings", "256" },
    { "attention_bias", "false" }, { "mlp_bias", "false" }, { "tie_word_embeddings", "false" },
    { NULL, NULL },
};
static const config_member mistral[] = {
    { "architectures", "[\"MistralForCausalLM\"]" }, { "model_type", "\"mistral\"" },
    { "vocab_size", "96" }, { "hidden_size", "64" }, { "num_hidden_layers", "1" },
    { "num_attention_heads", "16" }, { "sliding_window", "null" }, { NULL, NULL },
};

/* -------------------------------------------------------------- plans -------------------- */

static void test_plan(void **unused)
{
    (void)unused;
    char *text = config_describe(llama, NULL);
    assert_string_equal(text,
        "embed    model.embed_tokens.weight [96, 32]\n"
        "attention model.layers.0.self_attn. 32 -> 4 heads (2 kv) x 12, rope 12 of 12, theta 500\n"
        "mlp      model.layers.0.mlp. 32 -> 48 -> 32\n"
        "attention model.layers.1.self_attn. 32 -> 4 heads (2 kv) x 12, rope 12 of 12, theta 500\n"
        "mlp      model.layers.1.mlp. 32 -> 48 -> 32\n"
        "head     lm_head.weight [96, 32]\n");
    free(text);
}

static void test_defaults_and_switches(void **unused)
{
    static const struct {
        config_member change;
        const char   *words;
    } cases[] = {
        { { "head_dim", NULL }, "4 heads (2 kv) x 8, rope 8 of 8" },
        { { "head_dim", "null" }, "4 heads (2 kv) x 8" },
        { { "num_key_value_heads", NULL }, "4 heads (4 kv)" },
        { { "num_key_value_heads", "null" }, "4 heads (4 kv)" },
        { { "rope_theta", NULL }, "theta 10000" },
        { { "attention_bias", "true" }, "theta 500, bias" },
        { { "mlp_bias", "true" }, "32 -> 48 -> 32, bias" },
        { { "tie_word_embeddings", "true" }, "model.embed_tokens.weight [96, 32], tied" },
        { { "intermediate_size", NULL }, "32 -> 11008" },
        { { "sliding_window", "null" }, "lm_head" },
        { { "sliding_window", "256" }, "lm_head" },
        { { "use_sliding_window", "false" }, "lm_head" },
        { { "per_layer_config", "{}" }, "lm_head" },
        { { "block_configs", "null" }, "lm_head" },
        { { "partial_rotary_factor", "1.0" }, "rope 12 of 12" },
        { { "unknown_key", "[1, {}]" }, "lm_head" },
    };
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_in_changed_plan(llama, (const config_member[]){ cases[i].change, { NULL, NULL } },
                               cases[i].words);
    expect_in_changed_plan(mistral, NULL, "64 -> 16 heads (8 kv) x 4, rope 4 of 4, theta 10000\n");
    expect_in_changed_plan(mistral, NULL, "64 -> 14336");
}

/* -------------------------------------------------------------- scaling ------------------ */

#define SIX(x) "[" x ", " x ", " x ", " x ", " x ", " x "]"

static void test_scalings(void **unused)
{
    static const struct {
        const char *settings, *words;
    } cases[] = {
        { "{\"rope_type\": \"default\"}", "theta 500\n" },
        { "{\"rope_theta\": 70}", "theta 70\n" },
        { "{\"rope_type\": \"linear\", \"factor\": 2}", "theta 500, linear x 2\n" },
        { "{\"type\": \"linear\", \"factor\": 2.5}", "theta 500, linear x 2.5\n" },
        { "{\"rope_type\": \"linear\", \"type\": \"dynamic\", \"factor\": 2}", "linear x 2\n" },
        { "{\"rope_type\": \"dynamic\", \"factor\": 4}", "dynamic x 4 from 256\n" },
        { "{\"rope_type\": \"dynamic\", \"factor\": 4, \"original_max_position_embeddings\": 7}",
          "dynamic x 4 from 256\n" },
        { "{\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 1, "
          "\"high_freq_factor\": 4, \"original_max_position_embeddings\": 64}",
          "llama3 x 8 from 64\n" },
        { "{\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 1, "
          "\"high_freq_factor\": 4}", "llama3 x 8 from 256\n" },
        { "{\"rope_type\": \"yarn\", \"factor\": 8, \"original_max_position_embeddings\": 64}",
          "yarn x 8 from 64\n" },
        { "{\"rope_type\": \"yarn\", \"factor\": null, "
          "\"original_max_position_embeddings\": 64}", "yarn x 4 from 64\n" },
        { "{\"rope_type\": \"yarn\", \"factor\": 8, \"beta_fast\": 0, \"beta_slow\": null, "
          "\"truncate\": false, \"mscale\": 0.7, \"mscale_all_dim\": 1, "
          "\"attention_factor\": 1.1}", "yarn x 8 from 256\n" },
        { "{\"rope_type\": \"longrope\", \"short_factor\": " SIX("1.0") ", \"long_factor\": "
          SIX("2") ", \"original_max_position_embeddings\": 32}", "longrope x 8 from 32\n" },
        { "{\"type\": \"su\", \"short_factor\": " SIX("1.0") ", \"long_factor\": " SIX("2")
          ", \"factor\": 3}", "longrope x 3 from 256\n" },
    };
    static const char *const keys[] = { "rope_scaling", "rope_parameters" };

    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t k = 0; k < 2; k++)
            expect_in_changed_plan(llama, (const config_member[]){ { keys[k], cases[i].settings },
                                                                   { NULL, NULL } },
                                   cases[i].words);
}

static void test_which_settings_win(void **unused)
{
    const char *const yarn = "{\"rope_type\": \"yarn\", \"factor\": 8, "
                             "\"original_max_position_embeddings\": 64}";
    const char *const linear = "{\"rope_type\": \"linear\", \"factor\": 2, \"rope_theta\": 30}";

    (void)unused;
    expect_in_changed_plan(llama, (const config_member[]){
        { "rope_scaling", yarn }, { "rope_parameters", linear }, { NULL, NULL } },
        "theta 500, yarn x 8 from 64\n");
    expect_in_changed_plan(llama, (const config_member[]){
        { "rope_scaling", "{}" }, { "rope_parameters", linear }, { NULL, NULL } },
        "theta 30, linear x 2\n");
    expect_in_changed_plan(llama, (const config_member[]){
        { "rope_scaling", yarn }, { "original_max_position_embeddings", "128" }, { NULL, NULL } },
        "yarn x 8 from 128\n");
}

/* -------------------------------------------------------------- refusals ----------------- */

#define LLAMA3(members) "{\"rope_type\": \"llama3\"" members "}"
#define YARN(members) "{\"rope_type\": \"yarn\"" members "}"
#define LONG(members) "{\"rope_type\": \"longrope\"" members "}"

static const refusal refusals[] = {
    { { "model_type", "\"lama\"" }, "'model_type'", CANNOT },
    { { "model_type", "7" }, "'model_type'", BAD },
    { { "vocab_size", "0" }, "'vocab_size'", BAD },
    { { "vocab_size", "96.5" }, "'vocab_size'", BAD },
    { { "vocab_size", "\"96\"" }, "'vocab_size'", BAD },
    { { "hidden_size", "-32" }, "'hidden_size'", BAD },
    { { "hidden_size", "99999999" }, "'hidden_size'", BAD },
    { { "hidden_size", "[32]" }, "'hidden_size'", BAD },
    { { "intermediate_size", "0" }, "'intermediate_size'", BAD },
    { { "intermediate_size", "true" }, "'intermediate_size'", BAD },
    { { "num_hidden_layers", "0" }, "'num_hidden_layers'", BAD },
    { { "num_hidden_layers", "4097" }, "'num_hidden_layers'", BAD },
    { { "num_attention_heads", "0" }, "'num_attention_heads'", BAD },
    { { "num_attention_heads", "3" }, "'num_key_value_heads'", BAD },
    { { "num_attention_heads", "{}" }, "'num_attention_heads'", BAD },
    { { "num_key_value_heads", "3" }, "'num_key_value_heads'", BAD },
    { { "num_key_value_heads", "8" }, "'num_key_value_heads'", BAD },
    { { "num_key_value_heads", "0" }, "'num_key_value_heads'", BAD },
    { { "head_dim", "0" }, "'head_dim'", BAD },
    { { "head_dim", "7" }, "'head_dim'", CANNOT },
    { { "head_dim", "5000" }, "'head_dim'", BAD },
    { { "hidden_act", "\"gelu\"" }, "'hidden_act'", CANNOT },
    { { "hidden_act", "1" }, "'hidden_act'", BAD },
    { { "rms_norm_eps", "-1e-5" }, "'rms_norm_eps'", BAD },
    { { "rms_norm_eps", "1" }, "'rms_norm_eps'", BAD },
    { { "rms_norm_eps", "\"small\"" }, "'rms_norm_eps'", BAD },
    { { "attention_bias", "1" }, "'attention_bias'", BAD },
    { { "mlp_bias", "\"no\"" }, "'mlp_bias'", BAD },
    { { "tie_word_embeddings", "0" }, "'tie_word_embeddings'", BAD },
    { { "max_position_embeddings", "0" }, "'max_position_embeddings'", BAD },
    { { "max_position_embeddings", "1e4" }, "'max_position_embeddings'", BAD },
    { { "sliding_window", "255" }, "'sliding_window'", CANNOT },
    { { "per_layer_config", "{\"1\": {\"rms_norm_eps\": 0.1}}" }, "'per_layer_config'", CANNOT },
    { { "block_configs", "[{}, {}]" }, "'block_configs'", CANNOT },
    { { "sliding_window", "-1" }, "'sliding_window'", BAD },
    { { "sliding_window", "\"all\"" }, "'sliding_window'", BAD },
    { { "partial_rotary_factor", "0.5" }, "'partial_rotary_factor'", CANNOT },
    { { "partial_rotary_factor", "2" }, "'partial_rotary_factor'", BAD },
    { { "rope_parameters", "{\"partial_rotary_factor\": 0.25}" }, "'partial_rotary_factor'",
      CANNOT },
    { { "rope_theta", "1" }, "'rope_theta'", BAD },
    { { "rope_theta", "Infinity" }, "'rope_theta'", BAD },
    { { "rope_theta", "\"1e4\"" }, "'rope_theta'", BAD },
    { { "rope_scaling", "\"linear\"" }, "'rope_scaling'", BAD },
    { { "rope_scaling", "{\"rope_type\": \"proportional\"}" }, "'rope_scaling.rope_type'", CANNOT },
    { { "rope_scaling", "{\"type\": \"ntk\"}" }, "'rope_scaling.type'", CANNOT },
    { { "rope_scaling", "{\"rope_type\": [1]}" }, "'rope_scaling.rope_type'", BAD },
    { { "rope_parameters", "{\"full_attention\": {\"rope_theta\": 5}}" },
      "'rope_parameters.full_attention'", CANNOT },
    { { "rope_scaling", "{\"rope_type\": \"linear\"}" }, "'rope_scaling.factor'", BAD },
    { { "rope_scaling", "{\"rope_type\": \"linear\", \"factor\": null}" }, "'rope_scaling.factor'",
      BAD },
    { { "rope_scaling", "{\"rope_type\": \"linear\", \"factor\": 0.5}" }, "'rope_scaling.factor'",
      BAD },
    { { "rope_scaling", "{\"rope_type\": \"linear\", \"factor\": \"2\"}" }, "'rope_scaling.factor'",
      BAD },
    { { "rope_parameters", "{\"rope_type\": \"dynamic\", \"factor\": Infinity}" },
      "'rope_parameters.factor'", BAD },
    { { "rope_scaling", LLAMA3(", \"factor\": 8, \"high_freq_factor\": 4") },
      "'rope_scaling.low_freq_factor'", BAD },
    { { "rope_scaling", LLAMA3(", \"factor\": 8, \"low_freq_factor\": 1") },
      "'rope_scaling.high_freq_factor'", BAD },
    { { "rope_scaling",
        LLAMA3(", \"factor\": 8, \"low_freq_factor\": 4, \"high_freq_factor\": 4") },
      "'rope_scaling.high_freq_factor'", BAD },
    { { "rope_scaling",
        LLAMA3(", \"factor\": 8, \"low_freq_factor\": 0, \"high_freq_factor\": 4") },
      "'rope_scaling.high_freq_factor'", BAD },
    { { "rope_scaling", LLAMA3(", \"low_freq_factor\": 1, \"high_freq_factor\": 4") },
      "'rope_scaling.factor'", BAD },
    { { "rope_scaling", LLAMA3(", \"factor\": 8, \"low_freq_factor\": 1, \"high_freq_factor\": 4, "
                               "\"original_max_position_embeddings\": 0") },
      "'rope_scaling.original_max_position_embeddings'", BAD },
    { { "rope_scaling", YARN("") }, "'rope_scaling.factor'", BAD },
    { { "rope_scaling", YARN(", \"factor\": 4, \"beta_fast\": 1, \"beta_slow\": 2") },
      "'rope_scaling.beta_fast'", BAD },
    { { "rope_scaling", YARN(", \"factor\": 4, \"beta_slow\": -1") }, "'rope_scaling.beta_slow'",
      BAD },
    { { "rope_scaling", YARN(", \"factor\": 4, \"truncate\": 1") }, "'rope_scaling.truncate'",
      BAD },
    { { "rope_scaling", YARN(", \"factor\": 4, \"mscale\": -1") }, "'rope_scaling.mscale'", BAD },
    { { "rope_scaling", YARN(", \"factor\": 4, \"attention_factor\": 0") },
      "'rope_scaling.attention_factor'", BAD },
    { { "rope_scaling", LONG(", \"long_factor\": " SIX("2")) }, "'rope_scaling.short_factor'",
      BAD },
    { { "rope_scaling", LONG(", \"short_factor\": " SIX("2")) }, "'rope_scaling.long_factor'",
      BAD },
    { { "rope_scaling", LONG(", \"short_factor\": [1, 1], \"long_factor\": " SIX("2")) },
      "'rope_scaling.short_factor'", BAD },
    { { "rope_scaling", LONG(", \"short_factor\": " SIX("1") ", \"long_factor\": " SIX("0")) },
      "'rope_scaling.long_factor[0]'", BAD },
    { { "rope_scaling", LONG(", \"short_factor\": " SIX("\"1\"") ", \"long_factor\": " SIX("2")) },
      "'rope_scaling.short_factor[0]'", BAD },
    { { "rope_scaling", LONG(", \"short_factor\": 1, \"long_factor\": " SIX("2")) },
      "'rope_scaling.short_factor'", BAD },
    { { "eos_token_id", "\"</s>\"" }, "'eos_token_id'", BAD },
};

static void test_refusals_name_the_key(void **unused)
{
    (void)unused;
    expect_refusals(llama, refusals, sizeof refusals / sizeof refusals[0]);
    assert_true(sizeof refusals / sizeof refusals[0] >= 50);
}

/* Mistral's class assumes a window of 4096 where config.json does not speak of one, and no other
   key can switch one off. */
static void test_assumed_window(void **unused)
{
    static const config_member refused[] = {
        { "sliding_window", NULL }, { "sliding_window", "255, \"use_sliding_window\": false" },
    };

    (void)unused;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        const char *why = config_not_refused(mistral, refused[i], "'sliding_window'",
                                             BAMBA_ERR_UNSUPPORTED);
        if (why) fail_msg("%s", why);
    }
    expect_in_changed_plan(mistral, (const config_member[]){ { "sliding_window", NULL },
                                                             { "max_position_embeddings", "4096" },
                                                             { NULL, NULL } }, "lm_head");
}

/* -------------------------------------------------------------- length of a session ------ */

static void add(store *s, const char *name, size_t rows, size_t columns)
{
    const size_t dim[] = { rows, columns };
    store_add_random(s, name, columns ? 2 : 1, dim, columns ? 0.3f : 1);
}

/* A checkpoint of the model above whose positions scale with the length of the session. */
static char *write_dynamic(void)
{
    static const config_member changes[] = {
        { "rope_scaling", "{\"rope_type\": \"dynamic\", \"factor\": 4}" },
        { "max_position_embeddings", "16" }, { NULL, NULL },
    };
    char *dir = tempdir_make();
    char *text = config_text(llama, changes);
    store s = { NULL, 0, 0 };

    add(&s, "model.embed_tokens.weight", 96, 32);
    add(&s, "lm_head.weight", 96, 32);
    add(&s, "model.norm.weight", 32, 0);
    for (int l = 0; l < 2; l++) {
        static const struct { const char *name; size_t rows, columns; } parts[] = {
            { "input_layernorm", 32, 0 }, { "post_attention_layernorm", 32, 0 },
            { "self_attn.q_proj", 48, 32 }, { "self_attn.k_proj", 24, 32 },
            { "self_attn.v_proj", 24, 32 }, { "self_attn.o_proj", 32, 48 },
            { "mlp.gate_proj", 48, 32 }, { "mlp.up_proj", 48, 32 }, { "mlp.down_proj", 32, 48 },
        };
        for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
            char name[80];
            snprintf(name, sizeof name, "model.layers.%d.%s.weight", l, parts[i].name);
            add(&s, name, parts[i].rows, parts[i].columns);
        }
    }
    store_write(&s, 0, s.n, dir, "model.safetensors");
    tempdir_write_text(dir, "config.json", text);
    free(text);
    store_free(&s);
    return dir;
}

static bamba_session *make_session(const bamba_model *model, size_t n_context)
{
    bamba_session_options o = BAMBA_SESSION_OPTIONS;

    o.n_context = n_context;
    return running_session(model, &o);
}

static void feed(bamba_engine *e, bamba_session *s, int n, float *out)
{
    int32_t      tokens[16];
    const float *logits;

    for (int i = 0; i < n; i++) tokens[i] = (i * 37 + 11) % 96;
    assert_int_equal(bamba_feed(e, s, tokens, (size_t)n, &logits, NULL), BAMBA_OK);
    memcpy(out, logits, 96 * sizeof *out);
}

/* A session's length decides its angles; a copy keeps to those its cache was filled with. */
static void test_length_of_a_session(void **unused)
{
    char          *dir = write_dynamic();
    bamba_model   *model;
    bamba_engine  *e;
    bamba_error    err;
    float          a[96], b[96];

    (void)unused;
    if (bamba_model_open(&model, dir, NULL, &err) != BAMBA_OK) fail_msg("%s", err.message);
    assert_int_equal(bamba_engine_create(&e, model, NULL, NULL), BAMBA_OK);
    bamba_session *longer = make_session(model, 200);
    bamba_session *usual = make_session(model, 0);                    /* 16, the model's */
    bamba_session *shorter = make_session(model, 12);
    feed(e, longer, 8, a);
    feed(e, usual, 8, b);
    assert_memory_not_equal(a, b, sizeof a);
    feed(e, shorter, 8, a);
    assert_memory_equal(a, b, sizeof a);              /* nothing is scaled up to 16 */

    assert_int_equal(bamba_session_copy(usual, longer, NULL), BAMBA_OK);
    feed(e, usual, 3, a);
    feed(e, longer, 3, b);
    assert_memory_equal(a, b, sizeof a);
    bamba_session_reset(usual);
    feed(e, usual, 8, a);
    feed(e, shorter, 1, b);
    bamba_session_reset(shorter);
    feed(e, shorter, 8, b);
    assert_memory_equal(a, b, sizeof a);
    bamba_session_free(longer);
    bamba_session_free(usual);
    bamba_session_free(shorter);
    bamba_engine_free(e);
    bamba_model_free(model);
    tempdir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_defaults_and_switches),
        cmocka_unit_test(test_scalings),
        cmocka_unit_test(test_which_settings_win),
        cmocka_unit_test(test_refusals_name_the_key),
        cmocka_unit_test(test_assumed_window),
        cmocka_unit_test(test_length_of_a_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
