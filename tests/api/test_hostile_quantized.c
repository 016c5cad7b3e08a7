/* Damaged directories of quantized weights: each is refused with a status and one line that names
 * the culprit, and nothing leaks. Every case starts from a good directory and changes one thing. */
#include "bamba.h"

#include "support/fault.h"
#include "support/tempdir.h"
#include "support/tiny.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char CONFIG[] = "config.json";
static const char WEIGHTS[] = "model.safetensors";

static const tiny_dims DIMS = TINY_DIMS;

static char          *dir;                /* a good directory, but for what a case changes */
static char          *config;
static unsigned char *weights;            /* [n_weights] */
static size_t         n_weights, n_header;
static int            n_cases;

static int make_good(void **state)
{
    static const bamba_type_rule in_proj = { "in_proj", BAMBA_TYPE_Q4 };      /* whatever the mix */
    bamba_model_options          o = BAMBA_MODEL_OPTIONS;
    bamba_error                  err;

    tempdir_enter(state);
    char *from = tempdir_make();
    dir = tempdir_path(tempdir, "q4");
    tiny_write(&DIMS, from);
    o.weight_type = BAMBA_TYPE_Q4;
    o.type_rules = &in_proj;
    o.n_type_rules = 1;
    if (bamba_quantize(from, dir, &o, NULL, &err) != BAMBA_OK) fail_msg("%s", err.message);
    tempdir_remove(from);
    config = (char *)tempdir_read(dir, CONFIG, NULL);
    weights = tempdir_read(dir, WEIGHTS, &n_weights);
    n_header = weights[0] | (size_t)weights[1] << 8 | (size_t)weights[2] << 16;
    return 0;
}

static int remove_it(void **state)
{
    free(dir);
    free(config);
    free(weights);
    return tempdir_leave(state);
}

static bamba_status open_it(bamba_error *err)
{
    fault               f = { 0 };
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_model        *m = (bamba_model *)&f;        /* rubbish that a failure must clear */

    o.allocator = fault_allocator(&f);
    *err = (bamba_error){ BAMBA_OK, "" };
    const bamba_status status = bamba_model_open(&m, dir, &o, err);
    if (status == BAMBA_OK) bamba_model_free(m);
    else if (m) fail_msg("a failed open left a model: %s", err->message);
    if (f.n_live) fail_msg("%zu blocks leaked: %s", f.n_live, err->message);
    return status;
}

static void expect_good(void)
{
    bamba_error err;

    tempdir_write_text(dir, CONFIG, config);
    tempdir_write(dir, WEIGHTS, weights, n_weights);
    if (open_it(&err) != BAMBA_OK) fail_msg("%s", err.message);
}

/* The directory as it stands must be refused in a line that has both words; then it is mended. */
static void expect_refused(const char *what, const char *word, const char *more)
{
    bamba_error        err;
    const bamba_status status = open_it(&err);

    n_cases++;
    if (status != BAMBA_ERR_FORMAT && status != BAMBA_ERR_UNSUPPORTED)
        fail_msg("%.200s: status %d: %s", what, status, err.message);
    if (err.code != status || !strstr(err.message, word) || !strstr(err.message, more)
        || strchr(err.message, '\n'))
        fail_msg("%.200s: '%s', '%s' not in '%s'", what, word, more, err.message);
    expect_good();
}

/* text with the first `old` after `from` replaced; freed by the caller. */
static char *replace(const char *text, const char *from, const char *old, const char *new)
{
    const char *begin = strstr(text, from), *at = begin ? strstr(begin, old) : NULL;
    char       *out = malloc(strlen(text) + strlen(new) + 1);

    if (!at) fail_msg("no '%s' behind '%s'", old, from);
    sprintf(out, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
    return out;
}

/* config.json with a text replaced is refused with this word. */
static void change_config(const char *old, const char *new, const char *word)
{
    char *text = replace(config, "", old, new);

    tempdir_write_text(dir, CONFIG, text);
    expect_refused(new, CONFIG, word);
    free(text);
}

/* The header with a text replaced behind the name of a tensor is refused with these words. */
static void change_header(const char *tensor, const char *old, const char *new, const char *word,
                          const char *more)
{
    char *header = malloc(n_header + 1);
    memcpy(header, weights + 8, n_header);
    header[n_header] = '\0';
    char *text = replace(header, tensor, old, new);

    store_write_raw(dir, WEIGHTS, text, weights + 8 + n_header, n_weights - 8 - n_header);
    expect_refused(new, word, more);
    free(header);
    free(text);
}

/* -------------------------------------------------------------- cases -------------------- */

static void test_config(void **state)
{
    static const char *const versions[] = {
        "2", "0", "-1", "1.0", "\"1\"", "true", "[1]", "{}", "null", "9223372036854775807",
    };
    static const char *const methods[] = {
        "\"bamba2\"", "\"Bamba\"", "\"\"", "1", "[\"bamba\"]", "{}", "false",
    };

    (void)state;
    expect_good();
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        char text[80];
        snprintf(text, sizeof text, "\"version\": %s", versions[i]);
        change_config("\"version\": 1", text, "version");
    }
    change_config("\"version\": 1,", "", "version");
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        char text[80];
        snprintf(text, sizeof text, "\"quant_method\": %s", methods[i]);
        change_config("\"quant_method\": \"bamba\"", text, "quant_method");
    }
    change_config("\"quant_method\": \"bamba\"", "\"quant_method\": null", "'unknown'");
}

/* Shapes that the configuration no longer has: the message names the tensor of bytes. */
static void test_other_dimensions(void **state)
{
    static const struct { const char *key, *old, *new, *name; } cases[] = {
        { "vocab_size", "96", "97", "embed_tokens.weight_q8" },
        { "vocab_size", "96", "80", "embed_tokens.weight_q8" },
        { "intermediate_size", "48", "49", "gate_proj.weight_q4" },
        { "intermediate_size", "48", "32", "gate_proj.weight_q4" },
        { "hidden_size", "32", "65", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char  key[80];
        snprintf(key, sizeof key, "\"%s\"", cases[i].key);
        char *text = replace(config, key, cases[i].old, cases[i].new);
        tempdir_write_text(dir, CONFIG, text);
        expect_refused(text, cases[i].name, "");
        free(text);
    }
}

static void test_shapes(void **state)
{
    static const struct { const char *tensor, *old, *expected; const char *new[6]; } cases[] = {
        { "down_proj.weight_q4", "[2,576]", "expected U8 [2, 576]",
          { "[1,1152]", "[4,288]", "[576,2]", "[1152]", "[2,1,576]", "[2,576,1]" } },
        { "embed_tokens.weight_q8", "[6,1088]", "expected U8 [6, 1088]",
          { "[12,544]", "[3,2176]", "[6528,1]", "[6528]", "[1,6,1088]", "[1088,6]" } },
        { "in_proj.weight_q4", "[13,576]", "expected U8 [13, 576]",
          { "[26,288]", "[1,7488]", "[7488]", "[576,13]", "[13,576,1]", "[39,192]" } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int k = 0; k < 6; k++)
            change_header(cases[i].tensor, cases[i].old, cases[i].new[k], cases[i].tensor,
                          cases[i].expected);
}

static void test_types(void **state)
{
    static const char *const tensors[] = { "down_proj.weight_q4", "embed_tokens.weight_q8" };
    static const char *const types[] = { "I8", "BOOL", "F8_E4M3", "F8_E5M2" };

    (void)state;
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 4; k++)
            change_header(tensors[i], "U8", types[k], tensors[i], "expected U8");
        change_header(tensors[i], "U8", "U16", tensors[i], "expected");
        change_header(tensors[i], "U8", "Q4", tensors[i], "dtype");
    }
}

static void test_names(void **state)
{
    (void)state;
    change_header("down_proj.weight_q4", "_q4", "_q8", "down_proj.weight_q8",
                  "expected U8 [2, 1088], found U8 [2, 576]");
    change_header("embed_tokens.weight_q8", "_q8", "_q4", "embed_tokens.weight_q4",
                  "expected U8 [6, 576], found U8 [6, 1088]");
    change_header("down_proj.weight_q4", "_q4", "_Q4", "down_proj.weight", "does not have it");
    change_header("down_proj.weight_q4", "_q4", "_q5", "down_proj.weight", "does not have it");
    change_header("down_proj.weight_q4", "_q4", "_q4_q4", "down_proj.weight", "does not have it");
    change_header("down_proj.weight_q4", "_q4", "_bf16", "down_proj.weight", "does not have it");
    change_header("down_proj.weight_q4", "_q4", "", "down_proj.weight", "found U8 [2, 576]");
    change_header("mamba.conv1d.weight", ".weight", ".weight_q4", "mamba.conv1d.weight",
                  "does not have it");
    change_header("final_layernorm.weight", ".weight", ".weight_q8", "final_layernorm.weight",
                  "does not have it");
}

/* A tensor more, beside the one that holds the same matrix. */
static void add_tensor(const char *name, const char *shape, size_t bytes, const char *word,
                       const char *more)
{
    const size_t n = n_weights - 8 - n_header;
    char        *header = calloc(n_header + 400, 1);
    unsigned char *data = calloc(n + bytes, 1);

    memcpy(data, weights + 8 + n_header, n);
    snprintf(header, 400, "{\"model.layers.0.mamba.%s\":{%s,\"data_offsets\":[%zu,%zu]},", name,
             shape, n, n + bytes);
    strncat(header, (const char *)weights + 9, n_header - 1);
    store_write_raw(dir, WEIGHTS, header, data, n + bytes);
    expect_refused(name, word, more);
    free(header);
    free(data);
}

static void test_twice(void **state)
{
    (void)state;
    add_tensor("out_proj.weight", "\"dtype\":\"F32\",\"shape\":[16]", 64, "out_proj.weight'",
               "expected F32 [32, 64]");
    add_tensor("out_proj.weight", "\"dtype\":\"F32\",\"shape\":[32,64]", 8192,
               "out_proj.weight_q8'", "belongs to no part");
    add_tensor("in_proj.weight_q8", "\"dtype\":\"U8\",\"shape\":[1088]", 1088, "in_proj.weight_q8'",
               "expected U8 [13, 1088]");
    add_tensor("in_proj.weight_q8", "\"dtype\":\"U8\",\"shape\":[13,1088]", 13 * 1088,
               "in_proj.weight_q4'", "belongs to no part");
    add_tensor("in_proj.weight_q2", "\"dtype\":\"U8\",\"shape\":[13,320]", 13 * 320,
               "in_proj.weight_q2'", "belongs to no part");
}

static void test_cut_off(void **state)
{
    (void)state;
    for (int i = 1; i <= 6; i++) {
        tempdir_write(dir, WEIGHTS, weights, n_weights - (size_t)(i == 1 ? 1 : i * 5000));
        expect_refused("cut off", WEIGHTS, "incomplete");
    }
    tempdir_write(dir, WEIGHTS, weights, n_weights);
    char *path = tempdir_path(dir, WEIGHTS);
    FILE *f = fopen(path, "ab");
    fputc(0, f);
    fclose(f);
    expect_refused("a byte more", WEIGHTS, "bytes after the last tensor");
    free(path);
}

static void test_enough(void **state)
{
    (void)state;
    assert_true(n_cases >= 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_config, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_other_dimensions, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_shapes, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_types, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_names, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_twice, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_cut_off, make_good, remove_it),
        cmocka_unit_test(test_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
