/* test_registry.c - which family a config.json belongs to; its facts, and plans made of them. */
#include "arch/registry.h"

#include "support/fault.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const bb_arch *find(const char *text, bamba_error *err)
{
    fault              memory = { 0 };
    const bb_allocator a = fault_allocator(&memory);
    bb_json_doc       *doc;

    assert_int_equal(bb_json_parse(&doc, &a, "config.json", text, strlen(text), 0, err),
                     BAMBA_OK);
    const bb_json  root = bb_json_root(doc);
    const bb_arch *arch = bb_arch_find(&root);
    *err = (bamba_error){ BAMBA_OK, "" };
    bb_json_status(doc, err);
    bb_json_close(doc);
    assert_int_equal(memory.n_live, 0);
    return arch;
}

static void expect_found(const char *text, const char *model_type)
{
    bamba_error    err;
    const bb_arch *arch = find(text, &err);

    if (!arch) fail_msg("%s: %s", text, err.message);
    assert_int_equal(err.code, BAMBA_OK);
    assert_string_equal(arch->model_type, model_type);
}

static void expect_refused(const char *text, bb_status code, const char *message)
{
    bamba_error err;

    assert_null(find(text, &err));
    assert_string_equal(err.message, message);
    assert_int_equal(err.code, code);
}

static void test_found(void **unused)
{
    (void)unused;
    expect_found("{\"model_type\": \"bamba\"}", "bamba");
    expect_found("{\"architectures\": [\"BambaForCausalLM\"]}", "bamba");
    expect_found("{\"architectures\": [\"BambaForCausalLM\"], \"model_type\": null}", "bamba");
    expect_found("{\"architectures\": [\"Other\"], \"model_type\": \"bamba\"}", "bamba");
    expect_found("{\"architectures\": [], \"model_type\": \"bamba\"}", "bamba");
}

#define KNOWN "; known are bamba, falcon_h1, falcon_mamba, granite, granitemoehybrid, jamba, " \
              "llama, mamba, mamba2, mistral, nemotron_h, zamba, zamba2"

static void test_unknown(void **unused)
{
    (void)unused;
    expect_refused("{\"model_type\": \"bambi\"}", BAMBA_ERR_UNSUPPORTED, "config.json: "
                   "'model_type': architecture 'bambi' is not known to this version" KNOWN);
    expect_refused("{\"model_type\": \"Bamba\", \"architectures\": [\"BambaForCausalLM\"]}",
                   BAMBA_ERR_UNSUPPORTED, "config.json: "
                   "'model_type': architecture 'Bamba' is not known to this version" KNOWN);
    expect_refused("{\"architectures\": [\"GPT2LMHeadModel\", \"BambaForCausalLM\"]}",
                   BAMBA_ERR_UNSUPPORTED, "config.json: 'architectures': architecture "
                   "'GPT2LMHeadModel' is not known to this version" KNOWN);
    expect_refused("{\"model_type\": \"bam\\nba\"}", BAMBA_ERR_UNSUPPORTED, "config.json: "
                   "'model_type': architecture 'bam?ba' is not known to this version" KNOWN);
}

static void test_quantized(void **unused)
{
    static const char *const methods[] = { "gptq", "awq", "bitsandbytes", "mxfp4", "fbgemm_fp8" };
    char text[200], message[200];

    (void)unused;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        snprintf(text, sizeof text, "{\"model_type\": \"llama\", \"quantization_config\": "
                 "{\"bits\": 4, \"quant_method\": \"%s\"}}", methods[i]);
        snprintf(message, sizeof message, "config.json: 'quantization_config': quant_method "
                 "is '%s': checkpoints quantized by this method are not read", methods[i]);
        expect_refused(text, BAMBA_ERR_UNSUPPORTED, message);
    }
    expect_refused("{\"model_type\": \"llama\", \"quantization_config\": {\"load_in_4bit\": true}}",
                   BAMBA_ERR_UNSUPPORTED, "config.json: 'quantization_config': quant_method is "
                   "'bitsandbytes': checkpoints quantized by this method are not read");
    expect_refused("{\"model_type\": \"other\", \"quantization_config\": {\"w\": 1}}",
                   BAMBA_ERR_UNSUPPORTED, "config.json: 'quantization_config': quant_method is "
                   "'unknown': checkpoints quantized by this method are not read");
    expect_found("{\"model_type\": \"llama\", \"quantization_config\": null}", "llama");
    expect_found("{\"model_type\": \"llama\", \"quantization_config\": {\"quant_method\": "
                 "\"fp8\"}}", "llama");
    expect_found("{\"model_type\": \"llama\", \"quantization_config\": {\"quant_method\": "
                 "\"compressed-tensors\"}}", "llama");
    expect_found("{\"model_type\": \"llama\", \"quantization_config\": {}}", "llama");
}

static void test_nothing_said(void **unused)
{
    static const char message[] = "config.json: 'model_type': expected the name of an "
                                  "architecture, found nothing";

    (void)unused;
    expect_refused("{}", BAMBA_ERR_FORMAT, message);
    expect_refused("{\"architectures\": []}", BAMBA_ERR_FORMAT, message);
    expect_refused("{\"architectures\": [7], \"model_type\": \"\"}", BAMBA_ERR_FORMAT, message);
}

static void test_another_kind_of_value(void **unused)
{
    bamba_error err;

    (void)unused;
    assert_null(find("{\"model_type\": 7}", &err));
    assert_int_equal(err.code, BAMBA_ERR_FORMAT);
    assert_non_null(strstr(err.message, "config.json: 'model_type': expected a string"));
}

/* -------------------------------------------------------------- facts -------------------- */

static const char BAMBA[] =
    "{\"model_type\": \"bamba\", \"hidden_size\": 32, \"vocab_size\": 48, "
    "\"num_hidden_layers\": 3, \"attn_layer_indices\": [1], \"mamba_n_heads\": 4, "
    "\"mamba_d_state\": 8, \"num_attention_heads\": 4, \"num_key_value_heads\": 2, "
    "\"intermediate_size\": 64, \"max_position_embeddings\": 512}";

/* Read facts, then give the document back: nothing in them may point into it. */
static const bb_arch *read_facts(const char *text, bb_facts *facts)
{
    fault              memory = { 0 };
    const bb_allocator a = fault_allocator(&memory);
    bb_json_doc       *doc;
    bamba_error        err;

    assert_int_equal(bb_json_parse(&doc, &a, "config.json", text, strlen(text), 0, &err),
                     BAMBA_OK);
    const bb_json  root = bb_json_root(doc);
    const bb_arch *arch = bb_arch_find(&root);
    assert_non_null(arch);
    *facts = (bb_facts){ .n_layers = 0 };
    arch->read(&root, facts);
    if (bb_json_status(doc, &err) != BAMBA_OK) fail_msg("%s: %s", text, err.message);
    bb_json_close(doc);
    assert_int_equal(memory.n_live, 0);
    return arch;
}

/* The plan of facts as text. */
static void describe(const bb_arch *arch, const bb_facts *facts, char *text, size_t size)
{
    fault              memory = { 0 };
    const bb_allocator a = fault_allocator(&memory);
    bb_plan            plan = { .g = bb_graph_create(&a), .kv_type = BB_TYPE_F16 };
    bb_printer         p = { .buffer = text, .size = size };
    bamba_error        err;

    arch->plan(facts, &plan);
    if (bb_plan_status(&plan, &err) != BAMBA_OK) fail_msg("%s", err.message);
    bb_graph_print(plan.g, &p);
    assert_true(p.used < size);
    bb_graph_free(plan.g);
    assert_int_equal(memory.n_live, 0);
}

static int count(const char *text, const char *word)
{
    int n = 0;

    for (; (text = strstr(text, word)) != NULL; text += strlen(word)) n++;
    return n;
}

static void test_facts(void **unused)
{
    static bb_facts f;

    (void)unused;
    read_facts(BAMBA, &f);
    assert_int_equal(f.d_model, 32);
    assert_int_equal(f.n_layers, 3);
    assert_int_equal(f.n_vocab, 48);
    assert_int_equal(f.n_rows, 48);
    assert_int_equal(f.n_context, 512);
    assert_false(f.tied);
    assert_true(f.is_attention[1] && !f.is_attention[0] && !f.is_attention[2]);
    assert_int_equal(f.mamba2.n_heads * f.mamba2.d_head, 64);
    assert_int_equal(f.attention.n_kv_heads, 2);
    assert_int_equal(f.attention.rope.d, 4);
    assert_int_equal(f.mlp.d_ff, 64);

    read_facts("{\"model_type\": \"llama\", \"num_hidden_layers\": 2, "
               "\"num_attention_heads\": 16}", &f);
    assert_true(f.is_attention[0] && f.is_attention[1] && !f.is_attention[2]);
    assert_int_equal(f.attention.n_kv_heads, 16);
    assert_int_equal(f.attention.rope.d, f.attention.d_head);
    assert_int_equal(f.n_context, 2048);
    read_facts("{\"model_type\": \"mistral\", \"sliding_window\": null, "
               "\"num_attention_heads\": 16}", &f);
    assert_int_equal(f.attention.n_kv_heads, 8);
    assert_int_equal(f.n_context, 131072);
}

/* One network in three layouts: the same facts, save where its tensors are. */
static void test_layouts_of_mamba2(void **unused)
{
    static const char *const layout[] = {
        "{\"model_type\": \"mamba2\", \"hidden_size\": 64, \"vocab_size\": 48, "
        "\"num_hidden_layers\": 2, \"num_heads\": 2, \"head_dim\": 64, \"state_size\": 128, "
        "\"n_groups\": 1}",
        ("{\"d_model\": 64, \"n_layer\": 2, \"vocab_size\": 48, \"tie_embeddings\": false, "
         "\"ssm_cfg\": {\"layer\": \"Mamba2\"}}"),
        "{\"dim\": 64, \"n_layers\": 2, \"vocab_size\": 48, \"n_groups\": 1}",
    };
    static bb_facts f[3];

    (void)unused;
    for (int i = 0; i < 3; i++) {
        const bb_arch *arch = read_facts(layout[i], &f[i]);
        assert_string_equal(arch->model_type, "mamba2");
        assert_int_equal(f[i].mamba2.n_heads, 2);
        assert_int_equal(f[i].mamba2.d_state, 128);
        assert_true(isinf(f[i].mamba2.dt_max) && f[i].mamba2.epsilon == 1e-5f);
        assert_int_equal(f[i].d_model, 64);
        assert_int_equal(f[i].n_layers, 2);
        assert_int_equal(f[i].n_rows, 48);
        assert_false(f[i].tied);
    }
    assert_string_equal(f[0].names->embed, f[1].names->embed);
    assert_string_not_equal(f[0].names->embed, f[2].names->embed);
}

/* A plan follows from facts and names alone: changed by hand, they give another plan. */
static void test_plan_without_a_document(void **unused)
{
    static const char *const unused_names[] = { "output.weight", "rope_freqs.weight", NULL };
    static const bb_names names = {
        .embed = "token_embd.weight", .layer = "blk.%d.", .mixer_norm = "attn_norm.weight",
        .attention = "attn_", .mamba2 = "ssm_", .mlp_norm = "ffn_norm.weight", .mlp = "ffn_",
        .norm = "output_norm.weight", .head = "output.weight", .unused = unused_names,
    };
    static bb_facts f;
    static char     text[8192];

    (void)unused;
    const bb_arch *arch = read_facts(BAMBA, &f);
    describe(arch, &f, text, sizeof text);
    assert_int_equal(count(text, "mamba."), 2);
    assert_int_equal(count(text, "model.layers.1.self_attn."), 1);
    assert_int_equal(count(text, "feed_forward."), 3);
    assert_int_equal(count(text, "tied"), 0);

    f.names = &names;
    f.n_layers = 5;
    f.is_attention[4] = true;
    f.tied = true;
    f.d_model = 16;
    describe(arch, &f, text, sizeof text);
    assert_int_equal(count(text, "model."), 0);
    assert_int_equal(count(text, "token_embd.weight [48, 16]"), 2);       /* also as the head */
    assert_int_equal(count(text, "ssm_"), 3);
    assert_int_equal(count(text, "blk.1.attn_") + count(text, "blk.4.attn_"), 2);
    assert_int_equal(count(text, "ffn_"), 5);
    assert_int_equal(count(text, ", tied"), 1);
}

/* What cannot be read is not planned, and memory that is not there is the plan's failure. */
static void expect_no_plan(const char *text, size_t fail_at, bb_status of_document,
                           bb_status of_plan)
{
    fault              memory = { 0 };
    fault              plan_memory = { 0 };
    const bb_allocator a = fault_allocator(&memory);
    const bb_allocator b = fault_allocator(&plan_memory);
    bb_plan            plan = { .g = bb_graph_create(&b), .kv_type = BB_TYPE_F16 };
    bb_json_doc       *doc;

    assert_int_equal(bb_json_parse(&doc, &a, "config.json", text, strlen(text), 0, NULL),
                     BAMBA_OK);
    const bb_json root = bb_json_root(doc);
    plan_memory.fail_at = plan_memory.n_calls + fail_at;
    bb_release(&b, bb_arch_plan(bb_arch_find(&root), &root, &plan));
    assert_int_equal(bb_json_status(doc, NULL), of_document);
    assert_int_equal(bb_plan_status(&plan, NULL), of_plan);
    bb_graph_free(plan.g);
    bb_json_close(doc);
    assert_int_equal(memory.n_live + plan_memory.n_live, 0);
}

static void test_no_plan(void **unused)
{
    (void)unused;
    expect_no_plan("{\"model_type\": \"bamba\", \"vocab_size\": 0}", SIZE_MAX / 2,
                   BAMBA_ERR_FORMAT, BAMBA_OK);
    for (size_t i = 1; i < 4; i++) expect_no_plan(BAMBA, i, BAMBA_OK, BAMBA_ERR_MEMORY);
}

/* The planned network's facts come back with it: also those that no tensor's shape depends on. */
static void test_facts_of_a_plan(void **unused)
{
    static const struct { const char *text; bb_type stored; int n_context; } cases[] = {
        { "{\"model_type\": \"bamba\"}", BB_TYPE_F32, 262144 },
        { "{\"model_type\": \"bamba\", \"max_position_embeddings\": 77, "
          "\"torch_dtype\": \"bfloat16\"}", BB_TYPE_BF16, 77 },
        { "{\"model_type\": \"llama\", \"dtype\": \"float16\", \"torch_dtype\": \"bfloat16\"}",
          BB_TYPE_F16, 2048 },
        { "{\"dim\": 64, \"n_layers\": 2, \"vocab_size\": 48, \"n_groups\": 1}", BB_TYPE_F32, 0 },
    };
    fault              memory = { 0 };
    const bb_allocator a = fault_allocator(&memory);

    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bb_plan      plan = { .g = bb_graph_create(&a), .kv_type = BB_TYPE_F16 };
        bb_json_doc *doc;

        assert_int_equal(bb_json_parse(&doc, &a, "config.json", cases[i].text,
                                       strlen(cases[i].text), 0, NULL), BAMBA_OK);
        const bb_json root = bb_json_root(doc);
        bb_facts     *facts = bb_arch_plan(bb_arch_find(&root), &root, &plan);
        assert_int_equal(bb_json_status(doc, NULL), BAMBA_OK);
        assert_non_null(facts);
        assert_int_equal(facts->stored_type, cases[i].stored);
        assert_int_equal(facts->n_context, cases[i].n_context);
        bb_release(&a, facts);
        bb_graph_free(plan.g);
        bb_json_close(doc);
    }
    assert_int_equal(memory.n_live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_quantized),
        cmocka_unit_test(test_nothing_said),
        cmocka_unit_test(test_another_kind_of_value),
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_layouts_of_mamba2),
        cmocka_unit_test(test_plan_without_a_document),
        cmocka_unit_test(test_no_plan),
        cmocka_unit_test(test_facts_of_a_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
