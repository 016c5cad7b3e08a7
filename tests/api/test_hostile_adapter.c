/* Damaged adapter directories through the public interface: each is refused with a status and one
 * line that names the file and the key or tensor, in bounded memory, and nothing leaks; and every
 * allocation on the way fails once.
 *
 * Every case starts from a good adapter (which is opened, to know that it is good) and changes one
 * thing. */
#include "bamba.h"
#include "bamba_measure.h"

#include "support/fault.h"
#include "support/lora.h"
#include "support/refused.h"
#include "support/tempdir.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RANK = 4, MOST_BYTES = 4 << 20 };  /* what a refused adapter may take */

static const char CONFIG[] = "adapter_config.json", TENSORS[] = "adapter_model.safetensors";
static const char IN_PROJ_A[] = "base_model.model.model.layers.0.mamba.in_proj.lora_A.weight";
static const char IN_PROJ_B[] = "base_model.model.model.layers.0.mamba.in_proj.lora_B.weight";

static const tiny_dims DIMS = TINY_DIMS;
static char           *model_dir, *dir;
static bamba_model    *model;
static int             n_cases;

static int set_up(void **unused)
{
    bamba_error err;

    (void)unused;
    model_dir = tempdir_make();
    dir = tempdir_make();
    tiny_write(&DIMS, model_dir);
    return bamba_model_open(&model, model_dir, NULL, &err) == BAMBA_OK ? 0 : -1;
}

static int clean_up(void **unused)
{
    (void)unused;
    bamba_model_free(model);
    tempdir_remove(model_dir);
    tempdir_remove(dir);
    return 0;
}

/* -------------------------------------------------------------- judging ------------------ */

static bamba_status open_it(fault *f, bamba_error *err)
{
    bamba_adapter_options o = BAMBA_ADAPTER_OPTIONS;
    bamba_adapter        *a = (bamba_adapter *)f;     /* rubbish that a failure must clear */

    o.allocator = fault_allocator(f);
    *err = (bamba_error){ BAMBA_OK, "" };
    const bamba_status status = bamba_adapter_open(&a, model, dir, &o, err);
    if (status == BAMBA_OK) bamba_adapter_free(a);
    else if (a) fail_msg("a failed open left an adapter: %s", err->message);
    if (f->n_live) fail_msg("%zu blocks leaked: %s", f->n_live, err->message);
    return status;
}

static void expect_good(const char *what)
{
    fault       f = { 0 };
    bamba_error err;
    if (open_it(&f, &err) != BAMBA_OK) fail_msg("%s: %s", what, err.message);
}

/* The directory as it stands must be refused in a line that has both words. */
static void expect_refused(const char *what, const char *word, const char *more)
{
    fault              f = { 0 };
    bamba_error        err;
    const bamba_status status = open_it(&f, &err);

    n_cases++;
    expect_line(what, status, &err, word, more);
    if (f.peak_bytes > MOST_BYTES) fail_msg("%.200s: took %zu bytes", what, f.peak_bytes);
}

static store good_tensors(void)
{
    store s = { NULL, 0, 0 };
    lora_add_all(&s, &DIMS, RANK, 1);
    return s;
}

/* -------------------------------------------------------------- adapter_config.json ------ */

/* Members that are wrong, before all others; keys that repeat are refused too, so they replace none
   of lora_write's. */
static const struct { const char *members, *word; } bad_members[] = {
    { "\"use_dora\": true", "use_dora" },
    { "\"alora_invocation_tokens\": [1, 2]", "alora_invocation_tokens" },
    { "\"use_qalora\": true", "use_qalora" },
    { "\"use_bdlora\": {\"nblocks\": 2}", "use_bdlora" },
    { "\"target_parameters\": \"experts.gate_up_proj\"", "target_parameters" },
    { "\"trainable_token_indices\": [3]", "trainable_token_indices" },
    { "\"trainable_token_indices\": {\"embed_tokens\": [3]}", "trainable_token_indices" },
    { "\"layer_replication\": [[0, 2], [1, 3]]", "layer_replication" },
    { "\"arrow_config\": {\"top_k\": 2}", "arrow_config" },
    { "\"megatron_config\": {\"tensor_model_parallel_size\": 2}", "megatron_config" },
    { "\"velora_config\": {\"num_groups\": 8}", "velora_config" },
    { "\"kasa_config\": {\"beta\": 1}", "kasa_config" },
    { "\"monteclora_config\": {\"num_samples\": 1}", "monteclora_config" },
    { "\"some_new_option\": true", "some_new_option" },
    { "\"init_lora_weights\": \"pissa\"", "init_lora_weights" },
    { "\"init_lora_weights\": \"pissa_niter_16\"", "init_lora_weights" },
    { "\"init_lora_weights\": \"olora\"", "init_lora_weights" },
    { "\"init_lora_weights\": \"corda\"", "init_lora_weights" },
    { "\"init_lora_weights\": \"loftq\"", "init_lora_weights" },
    { "\"init_lora_weights\": 3", "init_lora_weights" },
    { "\"bias\": \"some\"", "bias" }, { "\"bias\": true", "bias" },
    { "\"use_rslora\": 1", "use_rslora" }, { "\"lora_bias\": \"yes\"", "lora_bias" },
    { "\"fan_in_fan_out\": \"no\"", "fan_in_fan_out" },
    { "\"rank_pattern\": [4]", "rank_pattern" },
    { "\"rank_pattern\": \"in_proj\"", "rank_pattern" },
    { "\"rank_pattern\": {\"in_proj\": 0}", "rank_pattern" },
    { "\"rank_pattern\": {\"in_proj\": \"4\"}", "rank_pattern" },
    { "\"rank_pattern\": {\"in_proj\": 4.5}", "rank_pattern" },
    { "\"rank_pattern\": {\"in_proj\": 1000000}", "rank_pattern" },
    { "\"rank_pattern\": {\"in_(proj\": 4}", "rank_pattern" },
    { "\"rank_pattern\": {\"in_proj\": 5}", "in_proj.lora_A" },       /* the tensors have 4 */
    { "\"alpha_pattern\": {\"in_proj\": \"8\"}", "alpha_pattern" },
    { "\"alpha_pattern\": {\"in_proj\": Infinity}", "alpha_pattern" },
    { "\"alpha_pattern\": {\"[\": 8}", "alpha_pattern" },
    { "\"alpha_pattern\": 8", "alpha_pattern" },
    { "\"layers_to_transform\": \"all\"", "layers_to_transform" },
    { "\"layers_to_transform\": [0, \"1\"]", "layers_to_transform" },
    { "\"layers_to_transform\": [1]", "layers_to_transform" },        /* 0 has tensors */
    { "\"layers_to_transform\": [0, 1, 2], \"layers_pattern\": \"h\"", "layers_to_transform" },
    { "\"layers_pattern\": 3", "layers_pattern" }, { "\"layers_pattern\": [3]", "layers_pattern" },
    { "\"modules_to_save\": \"lm_head\"", "modules_to_save" },
    { "\"modules_to_save\": [3]", "modules_to_save" },
    /* These have no tensors in the file. */
    { "\"modules_to_save\": [\"lm_head\"]", "'modules_to_save': expected tensors of 'lm_head'" },
    { "\"modules_to_save\": [\"model.embed_tokens\"]", "tensors of 'model.embed_tokens'" },
    { "\"modules_to_save\": [\"score\", \"norm\"]", "tensors of 'norm'" },
    { "\"modules_to_save\": [\"in_proj\"]", "tensors of 'in_proj'" },
    /* Expressions that go back and forth for too long on a module's path. */
    { "\"rank_pattern\": {\"(?:(?:[a-z._0-9]+)+)+[!?]\": 4}",
      "'rank_pattern': an expression takes" },
    { "\"alpha_pattern\": {\"(?:(?:[a-z._0-9]+)+)+[!?]\": 4}",
      "'alpha_pattern': an expression takes" },
    { "\"exclude_modules\": 3", "exclude_modules" },
    { "\"exclude_modules\": \"(\"", "exclude_modules" },
    { "\"r\": 4", "'r'" },                                            /* twice */
};

static void test_config_members(void **unused)
{
    store s = good_tensors();

    (void)unused;
    lora_write(&s, RANK, NULL, dir);
    expect_good("the adapter that all cases are made from");
    lora_write(&s, RANK, "\"rank_pattern\": {\"in_proj\": 4}, \"use_rslora\": true, "
               "\"use_dora\": false, \"megatron_config\": null, \"layers_to_transform\": [0, 1, "
               "2], \"peft_version\": \"0.21.2\", \"fan_in_fan_out\": true, \"exclude_modules\": "
               "null, \"layer_replication\": []", dir);
    expect_good("an adapter of many members");
    lora_write(&s, RANK, "\"modules_to_save\": [\"classifier\", \"score\"]", dir);
    expect_good("modules that the model does not have, as PEFT lets them stand");
    for (size_t i = 0; i < sizeof bad_members / sizeof bad_members[0]; i++) {
        lora_write(&s, RANK, bad_members[i].members, dir);
        expect_refused(bad_members[i].members, bad_members[i].word, "");
    }
    store_free(&s);
}

static void test_config_files(void **unused)
{
    static const struct { const char *text, *word; } bad[] = {
        { "", CONFIG }, { "{", CONFIG }, { "[]", CONFIG }, { "null", CONFIG },
        { "{}", "peft_type" }, { "{\"peft_type\": null}", "peft_type" },
        { "{\"peft_type\": 3}", "peft_type" },
        { "{\"peft_type\": \"ADALORA\"}", "peft_type" }, { "{\"peft_type\": \"IA3\"}", "IA3" },
        { "{\"peft_type\": \"LORA\", \"r\": 0}", "'r'" },
        { "{\"peft_type\": \"LORA\", \"r\": 4.5}", "'r'" },
        { "{\"peft_type\": \"LORA\", \"r\": 100000}", "'r'" },
        { "{\"peft_type\": \"LORA\", \"r\": 8}", "proj.lora_A" },
        { "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": \"8\"}", "lora_alpha" },
        { "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": Infinity}", "lora_alpha" },
        { "{\"peft_type\": \"LORA\", \"r\": 4, \"target_modules\": 3}", "target_modules" },
        { "{\"peft_type\": \"LORA\", \"r\": 4, \"target_modules\": [3]}", "target_modules" },
        { "{\"peft_type\": \"LORA\", \"r\": 4, \"target_modules\": [\"in_proj\"]}",
          "target_modules" },
        { "{\"peft_type\": \"LORA\", \"r\": 4, \"target_modules\": \".*in_proj\"}",
          "target_modules" },
        { "{\"peft_type\": \"LORA\", \"r\": 4, \"target_modules\": \"(\"}", "target_modules" },
        { "{\"peft_type\": \"LORA\", \"r\": 4, \"target_modules\": \"(?:(?:[a-z._0-9]+)+)+[!?]\"}",
          "'target_modules': an expression takes" },
    };
    store s = good_tensors();

    (void)unused;
    lora_write(&s, RANK, NULL, dir);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        tempdir_write_text(dir, CONFIG, bad[i].text);
        expect_refused(bad[i].text, bad[i].word,
                       CONFIG + (strchr(bad[i].word, '.') ? strlen(CONFIG) : 0));
    }
    tempdir_write_text(dir, CONFIG, "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 7.5, "
                       "\"target_modules\": \"all-linear\"}");
    expect_good("all-linear");
    tempdir_delete(dir, CONFIG);
    expect_refused("no config", CONFIG, "");
    store_free(&s);
}

/* -------------------------------------------------------------- tensors ------------------ */

typedef void change_fn(store *s);

static void refuse_change(const char *what, change_fn *change, const char *word)
{
    store s = good_tensors();

    change(&s);
    lora_write(&s, RANK, NULL, dir);
    expect_refused(what, word, TENSORS);
    store_free(&s);
}

static void reshape(store *s, const char *name, size_t rows, size_t cols)
{
    store_reshape(store_find(s, name), "F32", 2, (const size_t[]){ rows, cols });
}

static void add(store *s, const char *name, size_t n)
{
    lora_add_tensor(s, name, 1, &n, 0.1f, 3);
}

static void no_A(store *s) { store_drop(s, IN_PROJ_A); }
static void no_B(store *s) { store_drop(s, IN_PROJ_B); }
static void narrow_A(store *s) { reshape(s, IN_PROJ_A, RANK, 31); }
static void thick_A(store *s) { reshape(s, IN_PROJ_A, RANK + 1, 32); }
static void empty_A(store *s) { reshape(s, IN_PROJ_A, 0, 32); }
static void short_B(store *s) { reshape(s, IN_PROJ_B, 7, RANK); }
static void turned_B(store *s) { reshape(s, IN_PROJ_B, RANK, 224); }
static void flat_A(store *s)
{
    store_reshape(store_find(s, IN_PROJ_A), "F32", 1, (const size_t[]){ 32 * RANK });
}
static void whole_A(store *s)
{
    store_reshape(store_find(s, IN_PROJ_A), "I32", 2, (const size_t[]){ RANK, 32 });
}
static void dora(store *s)
{
    add(s, "base_model.model.model.layers.0.mamba.in_proj.lora_magnitude_vector", 8);
}
static void tokens(store *s)
{
    add(s, "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta", 32);
}
static void unnamed(store *s) { add(s, "model.layers.0.mamba.in_proj.lora_A.weight", 8); }
static void named_adapter(store *s)
{
    add(s, "base_model.model.model.layers.0.mamba.in_proj.lora_A.default.weight", 8);
}
static void unknown_module(store *s)
{
    lora_add(s, "model.layers.0.mamba.x_proj", 32, 32, RANK, 9);
}
static void unknown_layer(store *s)
{
    lora_add(s, "model.layers.7.mamba.in_proj", 32, 32, RANK, 9);
}
static void convolution(store *s) { lora_add(s, "model.layers.0.mamba.conv1d", 32, 32, RANK, 9); }
static void repeated(store *s) { lora_add(s, "layers.0.mamba.out_proj", 32, 64, RANK, 9); }
static void linear_embedding(store *s) { lora_add(s, "model.embed_tokens", 96, 32, RANK, 9); }
static void embedded_linear(store *s)
{
    add(s, "base_model.model.model.layers.0.mamba.in_proj.lora_embedding_A", 8);
}
static void bias_of_B(store *s)
{
    add(s, "base_model.model.model.layers.0.mamba.in_proj.lora_B.bias", 8);
}
static void new_bias(store *s)
{
    add(s, "base_model.model.model.layers.0.mamba.in_proj.base_layer.bias", 232);
}
static void dt_bias(store *s) { add(s, "base_model.model.model.layers.0.mamba.dt_bias", 8); }
static void conv_bias(store *s) { add(s, "base_model.model.model.layers.0.mamba.conv1d.bias", 96); }
static void foreign_bias(store *s) { add(s, "base_model.model.score.bias", 96); }
static void whole_weight(store *s)
{
    add(s, "base_model.model.model.layers.0.mamba.in_proj.weight", 8);
}
static void other_vocabulary(store *s)
{
    const size_t dim[] = { 97, 32 };
    lora_add_tensor(s, "base_model.model.model.embed_tokens.weight", 2, dim, 0.1f, 3);
}
static void put_number(store *s, const char *name, float number)
{
    store_tensor *t = store_find(s, name);
    memcpy(t->data + t->bytes - sizeof number, &number, sizeof number);
}
static void nan_in_A(store *s) { put_number(s, IN_PROJ_A, NAN); }
static void infinity_in_B(store *s) { put_number(s, IN_PROJ_B, -INFINITY); }
static void long_name(store *s)
{
    store_tensor *t = store_find(s, IN_PROJ_A);
    memset(t->name, 'x', sizeof t->name - 1);
}

static void test_tensors(void **unused)
{
    static const struct { const char *what; change_fn *change; const char *word; } bad[] = {
        { "no A", no_A, "in_proj.lora_B" }, { "no B", no_B, "in_proj.lora_A" },
        { "narrow A", narrow_A, "in_proj.lora_A" }, { "thick A", thick_A, "in_proj.lora_A" },
        { "empty A", empty_A, "in_proj.lora_A" }, { "short B", short_B, "in_proj.lora_B" },
        { "turned B", turned_B, "in_proj.lora_B" }, { "flat A", flat_A, "in_proj.lora_A" },
        { "A of I32", whole_A, "in_proj.lora_A" }, { "DoRA", dora, "DoRA" },
        { "tokens", tokens, "trainable_tokens" }, { "no prefix", unnamed, "in_proj.lora_A" },
        { "the adapter's name in it", named_adapter, "lora_A.default" },
        { "a module that is none", unknown_module, "x_proj" },
        { "a layer that is none", unknown_layer, "layers.7" },
        { "a convolution", convolution, "conv1d" }, { "the same map twice", repeated, "out_proj" },
        { "lora_A of the embedding", linear_embedding, "embed_tokens" },
        { "lora_embedding_A of a linear map", embedded_linear, "lora_embedding_A" },
        { "a bias of B without lora_bias", bias_of_B, "lora_B.bias" },
        { "a bias that the model has not", new_bias, "in_proj.base_layer.bias" },
        { "a bias of time steps", dt_bias, "dt_bias" },
        { "a bias of the convolution", conv_bias, "conv1d.bias" },
        { "a bias of nothing", foreign_bias, "score.bias" },
        { "a weight that is not saved", whole_weight, "in_proj.weight" },
        { "another vocabulary", other_vocabulary, "embed_tokens.weight" },
        { "a long name", long_name, "xxx" },
        { "NaN in A", nan_in_A, "in_proj.lora_A" },
        { "infinity in B", infinity_in_B, "in_proj.lora_B" },
    };

    (void)unused;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refuse_change(bad[i].what, bad[i].change, bad[i].word);
}

/* A block that layers 0 and 2 share is adapted under the name of each. */
static void test_shared_block(void **unused)
{
    static const char config[] =
        "{\"model_type\": \"zamba\", \"vocab_size\": 96, \"hidden_size\": 24, "
        "\"intermediate_size\": 40, \"num_hidden_layers\": 3, "
        "\"layers_block_type\": [\"hybrid\", \"mamba\", \"hybrid\"], "
        "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"mamba_d_state\": 8}";
    bamba_model *tiny = model;
    store        s = { NULL, 0, 0 };
    char         path[4096];
    bamba_error  err;

    (void)unused;
    tempdir_write_text(model_dir, "zamba.json", config);
    snprintf(path, sizeof path, "%s/zamba.json", model_dir);
    assert_int_equal(bamba_model_open_random(&model, path, 1, NULL, &err), BAMBA_OK);
    lora_add(&s, "model.layers.0.shared_transf.self_attn.q_proj", 48, 48, RANK, 9);
    lora_add(&s, "model.layers.2.linear", 24, 24, RANK, 10);
    lora_write(&s, RANK, NULL, dir);
    expect_good("a shared block under its first layer's name");
    lora_add(&s, "model.layers.2.shared_transf.self_attn.q_proj", 48, 48, RANK, 11);
    lora_write(&s, RANK, NULL, dir);
    expect_good("both of its uses");
    store_drop(&s, "base_model.model.model.layers.2.shared_transf.self_attn.q_proj.lora_B.weight");
    lora_write(&s, RANK, NULL, dir);
    expect_refused("a later use without B", "layers.2.shared_transf.self_attn.q_proj.lora_A",
                   "'lora_B' beside it is missing");
    lora_add(&s, "model.layers.2.shared_transf.self_attn.k_proj", 48, 48, RANK, 12);
    lora_write(&s, RANK, NULL, dir);
    expect_refused("a later use in another shape", "layers.2.shared_transf.self_attn.k_proj.lora_B",
                   "expected F32 [24, 4]");
    store_free(&s);
    s = (store){ NULL, 0, 0 };
    lora_add(&s, "model.layers.1.shared_transf.self_attn.q_proj", 48, 48, RANK, 13);
    lora_write(&s, RANK, NULL, dir);
    expect_refused("a layer that does not use the block", "layers.1.shared_transf",
                   "no linear layer of that name");
    bamba_model_free(model);
    model = tiny;
    store_free(&s);
}

static void test_tensor_files(void **unused)
{
    store s = good_tensors(), none = { NULL, 0, 0 };
    size_t n;

    (void)unused;
    lora_write(&none, RANK, NULL, dir);
    expect_refused("no tensors", TENSORS, "");
    lora_write(&s, RANK, NULL, dir);
    unsigned char *bytes = tempdir_read(dir, TENSORS, &n);
    tempdir_write(dir, TENSORS, bytes, n / 2);
    expect_refused("half a file", TENSORS, "incomplete");
    tempdir_write(dir, TENSORS, bytes, 7);
    expect_refused("seven bytes", TENSORS, "");
    store_write_raw(dir, TENSORS,
                    "{\"base_model.model.lm_head.lora_A.weight\": {\"dtype\": \"F32\", \"shape\": "
                    "[4, 4611686018427387904], \"data_offsets\": [0, 0]}}", "", 0);
    expect_refused("a shape that overflows", TENSORS, "lm_head");
    tempdir_delete(dir, TENSORS);
    expect_refused("no file", TENSORS, "");
    tempdir_write_text(dir, "adapter_model.bin", "x");
    expect_refused("a pickle", "adapter_model.bin", "PEFT");
    tempdir_delete(dir, "adapter_model.bin");
    free(bytes);
    store_free(&s);
    assert_true(n_cases >= 50);
}

/* -------------------------------------------------------------- memory ------------------- */

/* Each allocation of an opening fails once. can_do_without: an expression that cannot be compiled
   to machine code runs without. */
static void refuse_memory(bool can_do_without)
{
    fault       clean = { 0 };
    bamba_error err;

    assert_int_equal(open_it(&clean, &err), BAMBA_OK);
    for (size_t k = 1; k <= clean.n_calls; k++) {
        fault f = { .fail_at = k };
        const bamba_status status = open_it(&f, &err);
        if (status == BAMBA_OK && can_do_without) continue;
        if (status != BAMBA_ERR_MEMORY) fail_msg("allocation %zu: %s", k, err.message);
        assert_non_null(strstr(err.message, "memory"));
    }
}

static void test_out_of_memory(void **unused)
{
    const size_t shape[] = { 96, 32 }, A[] = { RANK, 96 }, B[] = { 32, RANK };
    store        s = good_tensors();

    (void)unused;
    lora_add_tensor(&s, "base_model.model.lm_head.weight", 2, shape, 0.1f, 4);
    lora_add_tensor(&s, "base_model.model.model.embed_tokens.lora_embedding_A", 2, A, 0.1f, 5);
    lora_add_tensor(&s, "base_model.model.model.embed_tokens.lora_embedding_B", 2, B, 0.1f, 6);
    lora_write(&s, RANK, "\"modules_to_save\": [\"lm_head\"]", dir);
    refuse_memory(false);
    lora_write(&s, RANK, "\"rank_pattern\": {\"in_proj\": 4}, \"alpha_pattern\": {\"a.*b\": 3}, "
               "\"exclude_modules\": \"x.*\", \"modules_to_save\": [\"lm_head\"]", dir);
    refuse_memory(true);
    store_free(&s);
}

/* Of a session's list, and of the engine's room for it. */
static void test_out_of_memory_in_use(void **unused)
{
    store                 s = good_tensors();
    fault                 f = { 0 };
    bamba_session_options so = BAMBA_SESSION_OPTIONS;
    bamba_engine_options  eo = BAMBA_ENGINE_OPTIONS;
    const int32_t         tokens[] = { 1, 2, 3 };
    const float          *logits;
    bamba_engine         *e;
    bamba_adapter        *a;
    bamba_session        *session;
    bamba_error           err;

    (void)unused;
    lora_write(&s, RANK, NULL, dir);
    store_free(&s);
    assert_int_equal(bamba_adapter_open(&a, model, dir, NULL, &err), BAMBA_OK);
    eo.allocator = so.allocator = fault_allocator(&f);
    eo.n_threads = 1;
    const bamba_adapter_use use = { a, 1.0f };
    assert_int_equal(bamba_engine_create(&e, model, &eo, &err), BAMBA_OK);
    assert_int_equal(bamba_session_create(&session, model, &so, &err), BAMBA_OK);
    f.fail_at = f.n_calls + 1;
    assert_int_equal(bamba_session_set_adapters(session, &use, 1, &err), BAMBA_ERR_MEMORY);
    assert_int_equal(bamba_session_set_adapters(session, &use, 1, &err), BAMBA_OK);
    f.fail_at = f.n_calls + 1;
    assert_int_equal(bamba_feed(e, session, tokens, 2, &logits, &err), BAMBA_ERR_MEMORY);
    assert_int_equal(bamba_session_position(session), 0);
    assert_int_equal(bamba_feed(e, session, tokens, 2, &logits, &err), BAMBA_OK);
    f.armed = true;                       /* from here on an allocation aborts */
    assert_int_equal(bamba_feed(e, session, tokens + 2, 1, &logits, &err), BAMBA_OK);
    f.armed = false;
    bamba_session_free(session);
    bamba_engine_free(e);
    bamba_adapter_free(a);
    assert_int_equal(f.n_live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_members),
        cmocka_unit_test(test_config_files),
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_shared_block),
        cmocka_unit_test(test_tensor_files),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_out_of_memory_in_use),
    };
    return cmocka_run_group_tests(tests, set_up, clean_up);
}
