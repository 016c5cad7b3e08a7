/* test_quantization.c - which scheme config.json gives a module: by name, expression or class. */
#include "arch/quantization.h"

#include "support/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The document, what is read of it, and their memory. */
typedef struct reading {
    fault            memory;
    bb_allocator     alloc;
    bb_json_doc     *doc;
    bb_quantization *q;
} reading;

static void begin(reading *r, const char *text)
{
    bamba_error err;

    *r = (reading){ .memory = { 0 } };
    r->alloc = fault_allocator(&r->memory);
    assert_int_equal(bb_json_parse(&r->doc, &r->alloc, "config.json", text, strlen(text), 0, &err),
                     BAMBA_OK);
    const bb_json root = bb_json_root(r->doc);
    assert_true(bb_quantization_is_read(&root));
    assert_int_equal(bb_quantization_read(&r->q, &r->alloc, &root, &err), BAMBA_OK);
    if (bb_json_status(r->doc, &err) != BAMBA_OK) fail_msg("%s", err.message);
}

static void end(reading *r)
{
    bb_quantization_free(r->q);
    bb_json_close(r->doc);
    assert_int_equal(r->memory.n_live, 0);
}

/* The group size says which group a module was given; -1: none. */
static void expect_group(const reading *r, const char *module, int size)
{
    const bb_scheme *s = bb_quantization_scheme(r->q, module);

    if ((s ? s->group : -1) != size)
        fail_msg("%s: group size %d, expected %d", module, s ? s->group : -1, size);
}

#define GROUP(name, targets, size) "\"" name "\": {\"targets\": [" targets "], \"weights\": "      \
    "{\"num_bits\": 4, \"strategy\": \"group\", \"group_size\": " size "}}"

static void test_order(void **unused)
{
    reading r;

    (void)unused;
    begin(&r, "{\"quantization_config\": {\"quant_method\": \"compressed-tensors\", "
          "\"config_groups\": {" GROUP("class", "\"Linear\"", "8") ", "
          GROUP("expression", "\"re:.*\\\\.mlp\\\\..*\"", "16") ", "
          GROUP("name", "\"model.layers.0.mlp.up_proj\", \"model.layers.9.mlp.up_proj\"", "32")
          ", " GROUP("later", "\"re:.*up_proj\"", "64") ", "
          GROUP("embedding", "\"Embedding\"", "128") "}, "
          "\"ignore\": [\"lm_head\", \"re:.*layers.7.*\", \"model.layers.9.mlp.up_proj\"]}}");
    expect_group(&r, "model.layers.0.mamba.in_proj", 8);
    expect_group(&r, "model.layers.0.mlp.gate_proj", 16);
    expect_group(&r, "model.layers.0.mlp.up_proj", 32);
    expect_group(&r, "model.layers.1.mlp.up_proj", 16);       /* of two expressions the first */
    expect_group(&r, "model.layers.1.other.up_proj", 64);
    expect_group(&r, "model.embed_tokens", 128);
    expect_group(&r, "backbone.embeddings", 128);
    expect_group(&r, "lm_head", -1);
    expect_group(&r, "model.layers.7.mlp.up_proj", -1);
    expect_group(&r, "model.layers.9.mlp.up_proj", -1);
    end(&r);
}

/* An expression begins where the name begins, as re.match has it, but need not reach its end. */
static void test_expressions(void **unused)
{
    reading r;

    (void)unused;
    begin(&r, "{\"quantization_config\": {\"config_groups\": {"
          GROUP("a", "\"re:mlp\"", "8") ", "
          GROUP("b", "\"re:model.layers.[13]\\\\.\"", "16") "}}}");
    expect_group(&r, "mlp.up_proj", 8);
    expect_group(&r, "model.mlp.up_proj", -1);
    expect_group(&r, "model.layers.3.mlp", 16);
    expect_group(&r, "model.layers.2.mlp", -1);
    end(&r);
}

/* Groups of activations alone have no part in weights; nothing said is no scheme. */
static void test_nothing(void **unused)
{
    reading r;

    (void)unused;
    begin(&r, "{\"quantization_config\": {\"quant_method\": \"compressed-tensors\", "
          "\"ignore\": null, \"config_groups\": {\"a\": {\"targets\": [\"Linear\"], \"weights\": "
          "null}}}}");
    expect_group(&r, "model.layers.0.mlp", -1);
    end(&r);
    begin(&r, "{\"model_type\": \"llama\"}");
    assert_null(r.q);
    expect_group(&r, "model.layers.0.mlp", -1);
    end(&r);
}

/* Old files say compression_config; transformers' fp8 has one scheme for all linear maps. */
static void test_fp8(void **unused)
{
    reading r;

    (void)unused;
    begin(&r, "{\"compression_config\": {\"config_groups\": {" GROUP("a", "\"Linear\"", "8") "}}}");
    expect_group(&r, "x", 8);
    end(&r);
    begin(&r, "{\"quantization_config\": {\"quant_method\": \"fp8\", \"weight_block_size\": [64, "
          "32]}}");
    const bb_scheme *s = bb_quantization_scheme(r.q, "model.layers.0.mlp.up_proj");
    assert_non_null(s);
    assert_int_equal(s->strategy, BB_STRATEGY_BLOCK);
    assert_int_equal(s->block_rows, 64);
    assert_int_equal(s->block_cols, 32);
    assert_true(s->is_float);
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_expressions),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_fp8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
