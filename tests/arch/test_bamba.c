/* Bamba from config.json to logits: the plan, its refusals, and a checkpoint whose logits
   transformers 5.23.0 computed once (tests/oracle/make_golden.py wrote golden/). */
#include "bamba.h"

#include "support/tempdir.h"
#include "support/tiny.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GOLDEN BB_TEST_SOURCE_DIR "/tests/arch/golden"

enum { N_VOCAB = 64, N_PROMPT = 70, N_GOLDEN = 40 };

/* -------------------------------------------------------------- golden logits ------------ */

static void make_prompt(int32_t *tokens)
{
    for (int i = 0; i < N_PROMPT; i++) tokens[i] = (37 * i + 11) % N_VOCAB;
}

/* logits.npy: a version 1 header (magic, lengths, a Python dict), then float32 [40, 64]. */
static float *read_golden(float *largest)
{
    size_t         n;
    unsigned char *file = tempdir_read(GOLDEN, "logits.npy", &n);
    float         *logits = malloc(sizeof(float) * N_GOLDEN * N_VOCAB);

    assert_non_null(logits);
    assert_true(n > 10 && memcmp(file, "\x93NUMPY\x01\x00", 8) == 0);
    const size_t header = 10 + (size_t)file[8] + 256 * (size_t)file[9];
    assert_int_equal(n, header + sizeof(float) * N_GOLDEN * N_VOCAB);
    assert_non_null(strstr((char *)file + 10, "'descr': '<f4', 'fortran_order': False, "
                                              "'shape': (40, 64)"));
    memcpy(logits, file + header, n - header);
    free(file);
    *largest = 0;
    for (int i = 0; i < N_GOLDEN * N_VOCAB; i++) *largest = fmaxf(*largest, fabsf(logits[i]));
    return logits;
}

/* Feed the prompt in calls of at most `piece` tokens; *worst is the largest error over the last
   N_GOLDEN positions, *rms its root mean square. */
static void compare(bamba_type weights, bamba_type kv, size_t piece, double *worst, double *rms)
{
    bamba_model_options  model_options = BAMBA_MODEL_OPTIONS;
    bamba_engine_options engine_options = BAMBA_ENGINE_OPTIONS;
    bamba_model         *model;
    bamba_engine        *engine;
    bamba_session       *session;
    bamba_error          err;
    int32_t              tokens[N_PROMPT];
    float                largest;
    float               *golden = read_golden(&largest);
    double               squares = 0;

    make_prompt(tokens);
    model_options.weight_type = weights;
    model_options.kv_type = kv;
    engine_options.n_logits = N_PROMPT;
    if (bamba_model_open(&model, GOLDEN, &model_options, &err) != BAMBA_OK)
        fail_msg("%s", err.message);
    assert_int_equal(bamba_engine_create(&engine, model, &engine_options, NULL), BAMBA_OK);
    assert_int_equal(bamba_session_create(&session, model, NULL, NULL), BAMBA_OK);
    *worst = 0;
    for (size_t at = 0; at < N_PROMPT; at += piece) {
        const size_t    n = piece < N_PROMPT - at ? piece : N_PROMPT - at;
        bamba_feed_item item = { .session = session, .tokens = tokens + at, .n = n, .n_logits = n };
        assert_int_equal(bamba_feed_batch(engine, &item, 1, NULL), BAMBA_OK);
        for (size_t i = 0; i < n * N_VOCAB; i++) {
            const size_t k = at * N_VOCAB + i;
            if (k < (N_PROMPT - N_GOLDEN) * N_VOCAB) continue;
            const float  want = golden[k - (N_PROMPT - N_GOLDEN) * N_VOCAB];
            const double off = fabs((double)item.logits[i] - (double)want) / (double)largest;
            assert_true(off >= 0);                                /* not NaN */
            if (off > *worst) *worst = off;
            squares += off * off;
        }
    }
    *rms = sqrt(squares / (N_GOLDEN * N_VOCAB));
    bamba_session_free(session);
    bamba_engine_free(engine);
    bamba_model_free(model);
    free(golden);
}

static void test_float32_as_transformers(void **state)
{
    static const size_t piece[] = { N_PROMPT, 1, 7, 32, 33, 64 };
    double              worst, rms;

    (void)state;
    for (size_t i = 0; i < sizeof piece / sizeof piece[0]; i++) {
        compare(BAMBA_TYPE_F32, BAMBA_TYPE_F32, piece[i], &worst, &rms);
        if (worst > 2e-5) fail_msg("pieces of %zu: %g of the largest logit", piece[i], worst);
    }
}

/* transformers computing this model in bfloat16 is 3.4e-3 (RMS) away from its own float32
   logits. */
static void test_stored_types_are_closer_than_bfloat16_arithmetic(void **state)
{
    double worst, rms;

    (void)state;
    compare(BAMBA_TYPE_DEFAULT, BAMBA_TYPE_DEFAULT, N_PROMPT, &worst, &rms);
    if (rms > 3.4e-3) fail_msg("RMS error %g", rms);
    compare(BAMBA_TYPE_BF16, BAMBA_TYPE_BF16, 1, &worst, &rms);
    if (rms > 3.4e-3) fail_msg("RMS error %g", rms);
}

/* -------------------------------------------------------------- plan --------------------- */

static char *describe(const bamba_model *model)
{
    const size_t n = bamba_model_describe(model, NULL, 0);
    char        *text = malloc(n + 1);

    assert_non_null(text);
    assert_int_equal(bamba_model_describe(model, text, n + 1), n);
    return text;
}

static bamba_status open_config(const char *json, bamba_model **model, bamba_error *err)
{
    char        *dir = tempdir_make();
    char        *path = tempdir_path(dir, "config.json");
    bamba_status status;

    tempdir_write_text(dir, "config.json", json);
    status = bamba_model_open_config(model, path, NULL, err);
    free(path);
    tempdir_remove(dir);
    return status;
}

static char *describe_config(const char *json)
{
    bamba_model *model;
    bamba_error  err;
    char        *text;

    if (open_config(json, &model, &err) != BAMBA_OK) fail_msg("%s", err.message);
    text = describe(model);
    bamba_model_free(model);
    return text;
}

static void test_plan_of_golden(void **state)
{
    static const char *const expected =
        "embed    model.embed_tokens.weight [64, 32]\n"
        "mamba2   model.layers.0.mamba. "
        "32 -> 8 heads x 8, state 16, groups 2, conv 4 + bias, dt 0.002 ... 6\n"
        "mlp      model.layers.0.feed_forward. 32 -> 40 -> 32\n"
        "attention model.layers.1.self_attn. "
        "32 -> 4 heads (2 kv) x 8, rope 4 of 8, theta 10000\n"
        "mlp      model.layers.1.feed_forward. 32 -> 40 -> 32\n"
        "mamba2   model.layers.2.mamba. "
        "32 -> 8 heads x 8, state 16, groups 2, conv 4 + bias, dt 0.002 ... 6\n"
        "mlp      model.layers.2.feed_forward. 32 -> 40 -> 32\n"
        "head     lm_head.weight [64, 32]\n";
    bamba_model *model;
    char        *text;

    (void)state;
    assert_int_equal(bamba_model_open(&model, GOLDEN, NULL, NULL), BAMBA_OK);
    text = describe(model);
    assert_string_equal(text, expected);
    free(text);
    bamba_model_free(model);
}

/* What transformers' BambaConfig() says when a file says nothing. */
static void test_defaults_are_those_of_transformers(void **state)
{
    static const char attention[] = "{\"model_type\": \"bamba\", \"attn_layer_indices\": [31]}";
    bamba_model     *model;
    bamba_model_info info = BAMBA_MODEL_INFO;
    char            *text = describe_config(attention);

    (void)state;
    assert_non_null(strstr(text, "[128000, 4096]"));
    assert_non_null(strstr(text, "4096 -> 128 heads x 64, state 256, groups 1, conv 4 + bias\n"));
    assert_non_null(strstr(text, "layers.31.self_attn. 4096 -> 32 heads (8 kv) x 128, "
                                 "rope 64 of 128, theta 10000\n"));
    assert_non_null(strstr(text, "4096 -> 14336 -> 4096\n"));
    free(text);
    assert_int_equal(open_config("{\"architectures\": [\"BambaForCausalLM\"]}", &model, NULL),
                     BAMBA_OK);
    assert_int_equal(bamba_model_info_get(model, &info), BAMBA_OK);
    assert_int_equal(info.n_layers, 32);
    text = describe(model);
    assert_null(strstr(text, "self_attn"));
    free(text);
    bamba_model_free(model);
}

/* The plan of a tiny config with one member replaced (or left out) contains `part`. */
static void test_spellings(void **state)
{
    static const struct {
        const char *key, *value, *part;
    } cases[] = {
        { "mamba_d_head", "\"auto\"", "8 heads x 8" },
        { "mamba_d_head", NULL, "8 heads x 8" },
        { "num_key_value_heads", "null", "4 heads (4 kv)" },
        { "num_key_value_heads", "1", "4 heads (1 kv)" },
        { "head_dim", "24", "x 24, rope 12 of 24" },
        { "attn_rotary_emb", "8", "rope 8 of 8" },
        { "partial_rotary_factor", "0.25", "rope 2 of 8" },
        { "rope_parameters", "{\"rope_theta\": 500.0, \"rope_type\": \"default\", "
                             "\"partial_rotary_factor\": 0.25}", "rope 2 of 8, theta 500" },
        { "time_step_limit", "[0.5, Infinity]", "dt 0.5 ... inf" },
        { "time_step_limit", "[0.5, {\"__float__\": \"Infinity\"}]", "dt 0.5 ... inf" },
        { "time_step_limit", "[0.25, 2]", "dt 0.25 ... 2" },
        { "time_step_limit", "null", "conv 4 + bias\n" },
        { "mamba_conv_bias", "false", "conv 4\n" },
        { "mamba_proj_bias", "true", "conv 4 + bias, bias\n" },
        { "attention_bias", "true", "theta 10000, bias\n" },
        { "mlp_bias", "true", "32 -> 48 -> 32, bias\n" },
        { "tie_word_embeddings", "true", "head     model.embed_tokens.weight" },
        { "tie_word_embeddings", "false", "head     lm_head.weight" },
    };
    const tiny_dims dims = TINY_DIMS;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *json = tiny_config(&dims, cases[i].key, cases[i].value);
        char *text = describe_config(json);
        if (!strstr(text, cases[i].part))
            fail_msg("%s %s: no '%s' in\n%s", cases[i].key, cases[i].value ? cases[i].value : "",
                     cases[i].part, text);
        free(text);
        free(json);
    }
}

/* transformers runs such a file, though its 32 default heads do not divide 40 columns. */
static void test_without_attention_its_keys_do_not_matter(void **state)
{
    char *text = describe_config("{\"model_type\": \"bamba\", \"hidden_size\": 40, "
                                 "\"mamba_n_heads\": 8, \"num_hidden_layers\": 2}");
    (void)state;
    assert_non_null(strstr(text, "40 -> 8 heads x 10"));
    free(text);
}

static void test_refusals_name_the_key(void **state)
{
    static const struct {
        const char  *key, *value;
        bamba_status status;
    } cases[] = {
        { "mamba_n_heads", "7", BAMBA_ERR_FORMAT },
        { "mamba_d_head", "9", BAMBA_ERR_FORMAT },
        { "mamba_d_head", "\"big\"", BAMBA_ERR_UNSUPPORTED },
        { "mamba_n_groups", "3", BAMBA_ERR_FORMAT },
        { "mamba_expand", "0", BAMBA_ERR_FORMAT },
        { "mamba_d_conv", "\"four\"", BAMBA_ERR_FORMAT },
        { "num_attention_heads", "5", BAMBA_ERR_FORMAT },
        { "num_key_value_heads", "3", BAMBA_ERR_FORMAT },
        { "attn_rotary_emb", "3", BAMBA_ERR_UNSUPPORTED },
        { "attn_layer_indices", "[3]", BAMBA_ERR_FORMAT },
        { "attn_layer_indices", "1", BAMBA_ERR_FORMAT },
        { "time_step_limit", "[2.0, 1.0]", BAMBA_ERR_FORMAT },
        { "time_step_limit", "[0.0]", BAMBA_ERR_FORMAT },
        { "time_step_limit", "[0.0, \"much\"]", BAMBA_ERR_FORMAT },
        { "rms_norm_eps", "-1", BAMBA_ERR_FORMAT },
        { "rope_theta", "0", BAMBA_ERR_FORMAT },
        { "partial_rotary_factor", "1.5", BAMBA_ERR_FORMAT },
        { "rope_scaling", "{\"rope_type\": \"proportional\", \"factor\": 2.0}",
          BAMBA_ERR_UNSUPPORTED },
        { "hidden_act", "\"gelu\"", BAMBA_ERR_UNSUPPORTED },
        { "tie_word_embeddings", "\"yes\"", BAMBA_ERR_FORMAT },
    };
    const tiny_dims dims = TINY_DIMS;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bamba_model *model;
        bamba_error  err = { BAMBA_OK, "" };
        char        *json = tiny_config(&dims, cases[i].key, cases[i].value);
        const bamba_status status = open_config(json, &model, &err);
        if (status != cases[i].status || !strstr(err.message, cases[i].key) || model)
            fail_msg("%s %s: status %d, '%s'", cases[i].key, cases[i].value, (int)status,
                     err.message);
        free(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_float32_as_transformers),
        cmocka_unit_test(test_stored_types_are_closer_than_bfloat16_arithmetic),
        cmocka_unit_test(test_plan_of_golden),
        cmocka_unit_test(test_defaults_are_those_of_transformers),
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_without_attention_its_keys_do_not_matter),
        cmocka_unit_test(test_refusals_name_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
