/* test_plans.c - the config.json of published models: their plans as text, their sizes. */
#include "bamba.h"

#include "support/tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FOLDER BB_TEST_SOURCE_DIR "/tests/arch"

enum { MiB = 1 << 20, KiB = 1 << 10 };

/* Each stands for the files name.json and name.plan. */
static const struct published {
    const char *name;
    const char *architecture;
    uint64_t    n_params, weights_bytes;
    int         n_vocab, n_layers, n_context, d_model;
    int32_t     bos, eos;
    uint64_t    state_bytes;              /* of an empty session */
    uint64_t    position_bytes;           /* more for each position, float16 */
    uint64_t    n_rows;                   /* of 128 in all states */
} published[] = {
    /* 29 Mamba layers of 4 MiB and a window of 3 x 8448; 6144 keys and values a token.
       Bytes: bfloat16, but norms, convolutions, A, D and dt are float32; no embedding. */
    { "bamba-9b", "bamba", UINT64_C(9780235392),
      2 * (UINT64_C(9780235392) - 128256 * UINT64_C(4096)) + 2 * (65 * 4096 + 29 * 50816),
      128256, 32, 262144, 4096, 128000, 128001,
      29 * (4 * (uint64_t)MiB + 3 * 8448 * 4), 12 * KiB, 29 * 8192 },
};
enum { N_PUBLISHED = sizeof published / sizeof published[0] };

static bamba_model *open_config(const struct published *p, bamba_type kv_type,
                                bamba_type state_type)
{
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_model        *model = NULL;
    bamba_error         err;
    char                path[512];

    o.kv_type = kv_type;
    o.state_type = state_type;
    snprintf(path, sizeof path, FOLDER "/%s.json", p->name);
    if (bamba_model_open_config(&model, path, &o, &err) != BAMBA_OK)
        fail_msg("%s: %s", p->name, err.message);
    return model;
}

static void test_text(void **unused)
{
    (void)unused;
    for (int i = 0; i < N_PUBLISHED; i++) {
        bamba_model *model = open_config(&published[i], BAMBA_TYPE_DEFAULT, BAMBA_TYPE_DEFAULT);
        const size_t n = bamba_model_describe(model, NULL, 0);
        char        *found = malloc(n + 1);
        char         file[64];

        assert_non_null(found);
        snprintf(file, sizeof file, "%s.plan", published[i].name);
        char *expected = (char *)tempdir_read(FOLDER, file, NULL);
        assert_int_equal(bamba_model_describe(model, found, n + 1), n);
        assert_string_equal(found, expected);
        free(expected);
        free(found);
        bamba_model_free(model);
    }
}

static void test_info(void **unused)
{
    (void)unused;
    for (int i = 0; i < N_PUBLISHED; i++) {
        const struct published *p = &published[i];
        bamba_model            *model = open_config(p, BAMBA_TYPE_DEFAULT, BAMBA_TYPE_DEFAULT);
        bamba_model_info        info = BAMBA_MODEL_INFO;

        assert_int_equal(bamba_model_info_get(model, &info), BAMBA_OK);
        assert_string_equal(info.architecture, p->architecture);
        assert_int_equal(info.n_params, p->n_params);
        assert_int_equal(info.weights_bytes, p->weights_bytes);
        assert_int_equal(info.weight_type, BAMBA_TYPE_BF16);
        assert_int_equal(info.kv_type, BAMBA_TYPE_F16);
        assert_int_equal(info.state_type, BAMBA_TYPE_F32);
        assert_int_equal(info.n_vocab, p->n_vocab);
        assert_int_equal(info.n_layers, p->n_layers);
        assert_int_equal(info.n_context, p->n_context);
        assert_int_equal(info.d_model, p->d_model);
        assert_int_equal(info.bos, p->bos);
        assert_int_equal(info.n_eos, 1);
        assert_int_equal(info.eos[0], p->eos);
        bamba_model_free(model);
    }
}

static void test_state(void **unused)
{
    (void)unused;
    for (int i = 0; i < N_PUBLISHED; i++) {
        const struct published *p = &published[i];
        bamba_model            *half = open_config(p, BAMBA_TYPE_DEFAULT, BAMBA_TYPE_DEFAULT);
        bamba_model            *full = open_config(p, BAMBA_TYPE_F32, BAMBA_TYPE_BF16);
        bamba_model            *bytes = open_config(p, BAMBA_TYPE_Q8, BAMBA_TYPE_Q8);
        const uint64_t          rows = p->n_rows;

        assert_int_equal(bamba_model_state_bytes(half, 0), p->state_bytes);
        assert_int_equal(bamba_model_state_bytes(full, 0), p->state_bytes - 2 * 128 * rows);
        assert_int_equal(bamba_model_state_bytes(bytes, 0), p->state_bytes - (3 * 128 - 4) * rows);
        for (size_t n = 1; n <= 1 << 20; n *= 3) {
            const uint64_t kv = (n + 63) / 64 * 64 * p->position_bytes;
            assert_int_equal(bamba_model_state_bytes(half, n), p->state_bytes + kv);
            assert_int_equal(bamba_model_state_bytes(full, n)
                             - bamba_model_state_bytes(full, 0), 2 * kv);
            assert_int_equal(bamba_model_state_bytes(bytes, n)            /* 128 and a scale */
                             - bamba_model_state_bytes(bytes, 0), kv / 256 * 130);
        }
        bamba_model_free(half);
        bamba_model_free(bytes);
        bamba_model_free(full);
    }
}

static void test_runs_nothing(void **unused)
{
    bamba_model   *model = open_config(&published[0], BAMBA_TYPE_DEFAULT, BAMBA_TYPE_DEFAULT);
    bamba_engine  *engine = (bamba_engine *)model;
    bamba_session *session = (bamba_session *)model;

    (void)unused;
    assert_int_equal(bamba_engine_create(&engine, model, NULL, NULL), BAMBA_ERR_ARGUMENT);
    assert_null(engine);
    assert_int_equal(bamba_session_create(&session, model, NULL, NULL), BAMBA_ERR_ARGUMENT);
    assert_null(session);
    bamba_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_state),
        cmocka_unit_test(test_runs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
