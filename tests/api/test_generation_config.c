/* test_generation_config.c - what generation_config.json says reaches the caller: end tokens, the
 * defaults of a sampler, an error that names the key, a line for the log. */
#include "bamba.h"

#include "support/tempdir.h"
#include "support/tiny.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const tiny_dims DIMS = TINY_DIMS;          /* 96 tokens; config.json: begin 1, end 2 */
static const char      FILE_NAME[] = "generation_config.json";

static char *dir;

typedef struct lines {
    char   text[2048];                    /* each with a newline behind it */
    size_t n;
} lines;

static void collect(void *context, const char *line)
{
    lines *l = context;

    strncat(l->text, line, sizeof l->text - strlen(l->text) - 2);
    strcat(l->text, "\n");
    l->n++;
}

static int make_model(void **state)
{
    (void)state;
    dir = tempdir_make();
    tiny_write(&DIMS, dir);
    return 0;
}

static int remove_model(void **state)
{
    (void)state;
    tempdir_remove(dir);
    dir = NULL;
    return 0;
}

/* The model with this generation_config.json; NULL: without one. */
static bamba_model *open_with(const char *text, lines *l)
{
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_model        *m;
    bamba_error         err;

    if (text) tempdir_write_text(dir, FILE_NAME, text);
    *l = (lines){ "", 0 };
    o.log = collect;
    o.log_context = l;
    if (bamba_model_open(&m, dir, &o, &err) != BAMBA_OK) fail_msg("%s", err.message);
    return m;
}

/* -------------------------------------------------------------- the sampler -------------- */

static bamba_sampler_options defaults_with(const char *text)
{
    bamba_sampler_options o = BAMBA_SAMPLER_OPTIONS;
    lines                 l;
    bamba_model          *m = open_with(text, &l);

    o.seed = 77;
    o.presence_penalty = 0.5f;
    assert_int_equal(bamba_model_sampler_defaults(m, &o), BAMBA_OK);
    assert_true(o.seed == 77 && o.presence_penalty == 0.5f);
    assert_int_equal(l.n, 0);
    bamba_model_free(m);
    return o;
}

static void expect_untouched(const bamba_sampler_options *o)
{
    assert_true(o->temperature == 0.8f && o->top_k == 40 && o->top_p == 0.95f);
    assert_true(o->min_p == 0.05f && o->repetition_penalty == 1.0f && o->penalty_last_n == 64);
    assert_true(o->typical_p == 1.0f);
}

static void test_nothing_said(void **state)
{
    (void)state;
    bamba_sampler_options o = defaults_with(NULL);
    expect_untouched(&o);
    o = defaults_with("{}");
    expect_untouched(&o);
    o = defaults_with("{\"temperature\": null, \"top_k\": null, \"top_p\": null, \"min_p\": null,"
                      " \"typical_p\": null, \"repetition_penalty\": null, \"do_sample\": null,"
                      " \"max_new_tokens\": null, \"transformers_version\": \"4.40.0\"}");
    expect_untouched(&o);
}

/* A link that leads nowhere, or to itself, is no missing file. */
static void test_link_to_nowhere(void **state)
{
    static const char *const targets[] = { "../../blobs/77", "generation_config.json" };
    char *path = tempdir_path(dir, "generation_config.json");

    (void)state;
    for (int i = 0; i < 2; i++) {
        bamba_error  err = { BAMBA_OK, "" };
        bamba_model *m;
        unlink(path);
        assert_int_equal(symlink(targets[i], path), 0);
        assert_int_equal(bamba_model_open(&m, dir, NULL, &err), BAMBA_ERR_IO);
        assert_non_null(strstr(err.message, "generation_config.json: a link to "));
        assert_non_null(strstr(err.message, targets[i]));
    }
    free(path);
}

static void test_all_said(void **state)
{
    (void)state;
    bamba_sampler_options o = defaults_with(
        "{\"do_sample\": true, \"temperature\": 0.5, \"top_k\": 12, \"top_p\": 0.75,"
        " \"min_p\": 0.25, \"typical_p\": 0.625, \"repetition_penalty\": 1.5,"
        " \"max_new_tokens\": 3}");
    assert_true(o.temperature == 0.5f && o.top_k == 12 && o.top_p == 0.75f && o.min_p == 0.25f);
    assert_true(o.typical_p == 0.625f);
    assert_true(o.repetition_penalty == 1.5f && o.penalty_last_n == -1);

    o = defaults_with("{\"do_sample\": false, \"temperature\": 0.5}");
    assert_true(o.temperature == 0.0f);
    o = defaults_with("{\"temperature\": 0, \"top_k\": -1, \"top_p\": 0, \"min_p\": 1}");
    assert_true(o.temperature == 0.0f && o.top_k == -1 && o.top_p == 0.0f && o.min_p == 1.0f);
    assert_int_equal(o.penalty_last_n, 64);
    o = defaults_with("{\"top_k\": 0, \"top_p\": 1}");
    assert_true(o.top_k == 0 && o.top_p == 1.0f);
}

static void test_arguments(void **state)
{
    bamba_sampler_options o = BAMBA_SAMPLER_OPTIONS;
    lines                 l;
    bamba_model          *m = open_with("{\"top_k\": 3}", &l);

    (void)state;
    assert_int_equal(bamba_model_sampler_defaults(NULL, &o), BAMBA_ERR_ARGUMENT);
    assert_int_equal(bamba_model_sampler_defaults(m, NULL), BAMBA_ERR_ARGUMENT);
    /* less than the first release had */
    o.struct_bytes = offsetof(bamba_sampler_options, tokenizer) - 1;
    assert_int_equal(bamba_model_sampler_defaults(m, &o), BAMBA_ERR_ARGUMENT);
    expect_untouched(&o);
    assert_int_equal(bamba_model_is_end(NULL, 2), 0);
    bamba_model_free(m);
}

static void test_wrong_values(void **state)
{
    static const char *const wrong[][2] = {
        { "temperature", "-0.5" }, { "temperature", "1e39" }, { "temperature", "\"hot\"" },
        { "top_p", "3" }, { "top_p", "-0.1" }, { "min_p", "1.5" }, { "min_p", "[]" },
        { "repetition_penalty", "0" }, { "repetition_penalty", "-1" },
        { "top_k", "-2" }, { "top_k", "1.5" }, { "top_k", "4294967296" },
        { "max_new_tokens", "-2" }, { "max_new_tokens", "true" },
        { "do_sample", "1" }, { "do_sample", "\"yes\"" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        bamba_model *m;
        bamba_error  err;
        char         text[100];

        snprintf(text, sizeof text, "{\"%s\": %s}", wrong[i][0], wrong[i][1]);
        tempdir_write_text(dir, FILE_NAME, text);
        if (bamba_model_open(&m, dir, NULL, &err) != BAMBA_ERR_FORMAT)
            fail_msg("%s is not refused as a format", text);
        assert_null(m);
        if (!strstr(err.message, FILE_NAME) || !strstr(err.message, wrong[i][0]))
            fail_msg("%s: %s", text, err.message);
    }
}

/* -------------------------------------------------------------- tokens ------------------- */

static void expect_ends(const bamba_model *m, const int32_t *ids, int n)
{
    bamba_model_info info = BAMBA_MODEL_INFO;
    int              n_ends = 0;

    assert_int_equal(bamba_model_info_get(m, &info), BAMBA_OK);
    assert_int_equal(info.n_eos, n);
    assert_memory_equal(info.eos, ids, (size_t)n * sizeof *ids);
    for (int i = 0; i < n; i++) assert_true(bamba_model_is_end(m, ids[i]));
    for (int32_t id = -2; id < 100; id++) n_ends += bamba_model_is_end(m, id) != 0;
    assert_int_equal(n_ends, n);
}

static void test_tokens(void **state)
{
    bamba_model_info info = BAMBA_MODEL_INFO;
    lines            l;

    (void)state;
    bamba_model *m = open_with(NULL, &l);
    expect_ends(m, (const int32_t[]){ 2 }, 1);
    bamba_model_info_get(m, &info);
    assert_int_equal(info.bos, 1);
    assert_int_equal(info.max_new_tokens, 0);
    bamba_model_free(m);

    m = open_with("{\"eos_token_id\": [95, 2, 7, 95], \"bos_token_id\": 3,"
                  " \"max_new_tokens\": 400}", &l);
    expect_ends(m, (const int32_t[]){ 2, 95, 7 }, 3);
    bamba_model_info_get(m, &info);
    assert_int_equal(info.bos, 3);
    assert_int_equal(info.max_new_tokens, 400);
    assert_int_equal(l.n, 0);
    bamba_model_free(m);

    m = open_with("{\"eos_token_id\": null, \"max_new_tokens\": -1}", &l);
    expect_ends(m, (const int32_t[]){ 2 }, 1);
    bamba_model_info_get(m, &info);
    assert_int_equal(info.max_new_tokens, 0);
    bamba_model_free(m);
}

/* -------------------------------------------------------------- the log ------------------ */

static void test_tokens_left_out(void **state)
{
    lines        l;
    bamba_model *m = open_with("{\"eos_token_id\": [96, 95, -3]}", &l);

    (void)state;
    expect_ends(m, (const int32_t[]){ 2, 95 }, 2);
    assert_string_equal(l.text,
        "generation_config.json: 'eos_token_id[0]': end token 96 is ignored, the model has 96 "
        "tokens\n"
        "generation_config.json: 'eos_token_id[2]': end token -3 is ignored, the model has 96 "
        "tokens\n");
    bamba_model_free(m);

    m = open_with("{\"eos_token_id\": [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24,"
                  " 25, 26]}", &l);
    assert_string_equal(l.text, "generation_config.json: 'eos_token_id[15]': end token 25 is "
                        "ignored, at most 16 are kept\n"
                        "generation_config.json: 'eos_token_id[16]': end token 26 is ignored, at "
                        "most 16 are kept\n");
    assert_true(bamba_model_is_end(m, 24));
    bamba_model_free(m);
}

static void test_keys_not_followed(void **state)
{
    lines        l;
    bamba_model *m = open_with(
        "{\"num_beams\": 4, \"suppress_tokens\": [], \"guidance_scale\": null,"
        " \"stop_strings\": [\"END\"], \"no_repeat_ngram_size\": 0, \"some_new_key\": 5,"
        " \"min_length\": 0, \"sequence_bias\": {\"a\": 1}}", &l);

    (void)state;
    assert_string_equal(l.text,
        "generation_config.json: 'num_beams': is not implemented and ignored\n"
        "generation_config.json: 'sequence_bias': is not implemented and ignored\n"
        "generation_config.json: 'stop_strings': is not implemented and ignored\n");
    bamba_model_free(m);
}

/* -------------------------------------------------------------- weights, to the log ------ */

static void test_weights_that_are_copied(void **state)
{
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_model        *m;
    bamba_error         err;
    lines               l = { "", 0 };

    (void)state;
    o.log = collect;
    o.log_context = &l;
    o.copy_weights = 1;                   /* wanted so, and no news */
    assert_int_equal(bamba_model_open(&m, dir, &o, &err), BAMBA_OK);
    bamba_model_free(m);
    o.copy_weights = 0;
    assert_int_equal(bamba_model_open(&m, dir, &o, &err), BAMBA_OK);
    bamba_model_free(m);
    assert_int_equal(l.n, 0);

    o.weight_type = BAMBA_TYPE_BF16;
    assert_int_equal(bamba_model_open(&m, dir, &o, &err), BAMBA_OK);
    bamba_model_free(m);
    assert_string_equal(l.text, "weights: 0.1 MiB are converted copies in memory\n");

    /* One more byte of header, a space, and no tensor is aligned. */
    size_t         n;
    unsigned char *file = tempdir_read(dir, "model.safetensors", &n);
    unsigned char *moved = malloc(n + 1);
    assert_non_null(moved);
    const size_t header = 8 + file[0] + 256u * file[1] + 65536u * file[2];
    memcpy(moved, file, header);
    moved[header] = ' ';
    memcpy(moved + header + 1, file + header, n - header);
    for (int i = 0; ++moved[i] == 0; i++) { }
    tempdir_write(dir, "model.safetensors", moved, n + 1);
    free(moved);
    free(file);
    l = (lines){ "", 0 };
    o.weight_type = BAMBA_TYPE_DEFAULT;
    if (bamba_model_open(&m, dir, &o, &err) != BAMBA_OK) fail_msg("%s", err.message);
    bamba_model_free(m);
    assert_string_equal(l.text, "weights: 0.2 MiB are copied into memory, since they lie unaligned "
                        "in their file\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_said, make_model, remove_model),
        cmocka_unit_test_setup_teardown(test_link_to_nowhere, make_model, remove_model),
        cmocka_unit_test_setup_teardown(test_all_said, make_model, remove_model),
        cmocka_unit_test_setup_teardown(test_arguments, make_model, remove_model),
        cmocka_unit_test_setup_teardown(test_wrong_values, make_model, remove_model),
        cmocka_unit_test_setup_teardown(test_tokens, make_model, remove_model),
        cmocka_unit_test_setup_teardown(test_tokens_left_out, make_model, remove_model),
        cmocka_unit_test_setup_teardown(test_keys_not_followed, make_model, remove_model),
        cmocka_unit_test_setup_teardown(test_weights_that_are_copied, make_model, remove_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
