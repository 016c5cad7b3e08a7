/* test_adapter_uses.c - adapters of a block that several layers share, through the public
 * interface: what a file says of which use, sessions that differ there in one batch, and merging.
 * The model is Zamba's smallest; tests against PEFT are in tests/oracle. */
#include "bamba.h"
#include "bamba_measure.h"

#include "support/lora.h"
#include "support/refused.h"
#include "support/running.h"
#include "support/store.h"
#include "support/tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { V = 96, D = 24, RANK = 3, ROWS = 40 };

static const char CONFIG[] =
    "{\"model_type\": \"zamba\", \"vocab_size\": 96, \"hidden_size\": 24, "
    "\"intermediate_size\": 40, \"num_hidden_layers\": 3, "
    "\"layers_block_type\": [\"hybrid\", \"mamba\", \"hybrid\"], "
    "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"mamba_d_state\": 8}";

static char *model_dir;

typedef struct shape { const char *name; size_t dim[3]; } shape;

static const shape of_model[] = {
    { "model.embed_tokens.weight", { V, D } }, { "model.final_layernorm.weight", { D } },
    { "model.layers.0.linear.weight", { D, D } }, { "model.layers.2.linear.weight", { D, D } },
    { "model.layers.0.shared_transf.input_layernorm.weight", { 48 } },
    { "model.layers.0.shared_transf.pre_ff_layernorm.weight", { D } },
    { "model.layers.0.shared_transf.self_attn.q_proj.weight", { 48, 48 } },
    { "model.layers.0.shared_transf.self_attn.k_proj.weight", { 24, 48 } },
    { "model.layers.0.shared_transf.self_attn.v_proj.weight", { 24, 48 } },
    { "model.layers.0.shared_transf.self_attn.o_proj.weight", { D, 48 } },
    { "model.layers.0.shared_transf.feed_forward.gate_proj.weight", { 40, D } },
    { "model.layers.0.shared_transf.feed_forward.up_proj.weight", { 40, D } },
    { "model.layers.0.shared_transf.feed_forward.down_proj.weight", { D, 40 } },
};

static const shape of_layer[] = {
    { "input_layernorm.weight", { D } }, { "mamba.in_proj.weight", { 96, D } },
    { "mamba.conv1d.weight", { 48, 1, 4 } }, { "mamba.conv1d.bias", { 48 } },
    { "mamba.x_proj_weight", { 2, 18, 24 } }, { "mamba.dt_proj_weight", { 2, 24, 2 } },
    { "mamba.dt_proj_bias", { 2, 24 } }, { "mamba.A_log", { 2, 24, 8 } }, { "mamba.D", { 2, 24 } },
    { "mamba.out_proj.weight", { D, 48 } },
};

static void add_shape(store *s, const char *prefix, const shape *t)
{
    int  n_dims = 0;
    char name[120];

    while (n_dims < 3 && t->dim[n_dims]) n_dims++;
    snprintf(name, sizeof name, "%s%s", prefix, t->name);
    lora_add_tensor(s, name, n_dims, t->dim, n_dims == 1 ? 1.0f : 0.6f, 900 + s->n);
}

static int set_up(void **unused)
{
    static const char *const layer[] = { "model.layers.0.mamba_decoder.", "model.layers.1.",
                                         "model.layers.2.mamba_decoder." };
    store s = { NULL, 0, 0 };

    (void)unused;
    model_dir = tempdir_make();
    for (size_t i = 0; i < sizeof of_model / sizeof *of_model; i++)
        add_shape(&s, "", &of_model[i]);
    for (int l = 0; l < 3; l++)
        for (size_t i = 0; i < sizeof of_layer / sizeof *of_layer; i++)
            add_shape(&s, layer[l], &of_layer[i]);
    tempdir_write_text(model_dir, "config.json", CONFIG);
    store_write(&s, 0, s.n, model_dir, "model.safetensors");
    store_free(&s);
    return 0;
}

static int clean_up(void **unused)
{
    (void)unused;
    tempdir_remove(model_dir);
    return 0;
}

/* -------------------------------------------------------------- adapters ----------------- */

enum { FIRST = 1, LATER = 2 };            /* uses: in layers 0 and 2 */

/* A directory with an adapter of some uses of the block. seed: of the matrices, alike in all uses.
   config: what is in the braces of adapter_config.json behind peft_type and r; NULL: nothing. */
static char *write_adapter(int uses, const int seed[2], const char *config)
{
    static const struct { const char *module; int rows, cols; } map[] = {
        { "self_attn.q_proj", 48, 48 }, { "self_attn.o_proj", D, 48 },
        { "feed_forward.up_proj", 40, D }, { "feed_forward.down_proj", D, 40 },
    };
    char  name[120], text[1000], *at = tempdir_make();
    store s = { NULL, 0, 0 };

    for (int u = 0; u < 2; u++)
        for (size_t i = 0; uses >> u & 1 && i < sizeof map / sizeof *map; i++) {
            snprintf(name, sizeof name, "model.layers.%d.shared_transf.%s", 2 * u, map[i].module);
            lora_add(&s, name, map[i].rows, map[i].cols, RANK,
                     (uint64_t)(10 * seed[u]) + (uint64_t)i);
        }
    lora_write(&s, RANK, NULL, at);
    snprintf(text, sizeof text, "{\"peft_type\": \"LORA\", \"r\": %d%s%s}", RANK,
             config ? ", " : "", config ? config : "");
    tempdir_write_text(at, "adapter_config.json", text);
    store_free(&s);
    return at;
}

static void demand(bamba_status status, const bamba_error *err)
{
    if (status != BAMBA_OK) fail_msg("status %d: %s", status, err->message);
}

enum { MOST = 4 };

/* Sessions, each with some adapters, that are fed in one call n tokens each: logits [ROWS, V]. dir:
   of a model, or the path of a config.json for random weights. */
static void feed(const char *dir, char *const (*adapter)[2], const int *n, int n_sessions,
                 float (*out)[ROWS * V])
{
    static int32_t       token[ROWS];
    bamba_model_options  mo = running_model_options(BAMBA_TYPE_F32);
    bamba_engine_options eo = BAMBA_ENGINE_OPTIONS;
    bamba_feed_item      item[MOST];
    bamba_adapter_use    use[MOST][2];
    bamba_model         *m;
    bamba_error          err;

    mo.n_threads = eo.n_threads = 2;
    eo.n_logits = MOST * ROWS;
    demand(strstr(dir, ".json") ? bamba_model_open_random(&m, dir, 1, &mo, &err)
                                : bamba_model_open(&m, dir, &mo, &err), &err);
    bamba_engine *e = running_engine(m, &eo);
    for (int t = 0; t < ROWS; t++) token[t] = (t * 7 + 3) % V;
    for (int i = 0; i < n_sessions; i++) {
        bamba_session_options so = BAMBA_SESSION_OPTIONS;
        so.adapters = use[i];
        for (int j = 0; j < 2 && adapter[i][j]; j++) {
            bamba_adapter *a;
            demand(bamba_adapter_open(&a, m, adapter[i][j], NULL, &err), &err);
            use[i][so.n_adapters++] = (bamba_adapter_use){ a, 1.0f };
        }
        for (size_t j = so.n_adapters; j < 2; j++) use[i][j].adapter = NULL;
        item[i] = (bamba_feed_item){ .session = running_session(m, &so), .tokens = token,
                                     .n = (size_t)n[i], .n_logits = (size_t)n[i] };
    }
    demand(bamba_feed_batch(e, item, (size_t)n_sessions, &err), &err);
    for (int i = 0; i < n_sessions; i++) {
        memcpy(out[i], item[i].logits, (size_t)n[i] * V * sizeof(float));
        bamba_session_free(item[i].session);
        for (int j = 0; j < 2; j++)
            bamba_adapter_free((bamba_adapter *)(uintptr_t)use[i][j].adapter);
    }
    bamba_engine_free(e);
    bamba_model_free(m);
}

/* One session with up to two adapters: logits [n, V]. */
static void run(const char *dir, char *one, char *two, int n, float *out)
{
    static float logits[1][ROWS * V];
    char *const  list[1][2] = { { one, two } };

    feed(dir, list, &n, 1, logits);
    memcpy(out, logits[0], (size_t)n * V * sizeof *out);
}

/* -------------------------------------------------------------- tests -------------------- */

static const int SEEDS[] = { 1, 2 }, ALIKE[] = { 1, 1 };

/* Each use has what the file says of it, and the two do not touch each other: an adapter of both is
   one of the first and one of the later use. */
static void test_uses_apart(void **unused)
{
    static const int kinds[] = { 8, ROWS };            /* few rows, and many */
    static float     none[ROWS * V], first[ROWS * V], later[ROWS * V], both[ROWS * V],
                     two[ROWS * V], alike[ROWS * V];
    char *at[] = { write_adapter(FIRST, SEEDS, NULL), write_adapter(LATER, SEEDS, NULL),
                   write_adapter(FIRST | LATER, SEEDS, NULL),
                   write_adapter(FIRST | LATER, ALIKE, NULL) };

    (void)unused;
    for (int i = 0; i < 2; i++) {
        const int    n = kinds[i];
        const size_t size = (size_t)n * V;
        run(model_dir, NULL, NULL, n, none);
        run(model_dir, at[0], NULL, n, first);
        run(model_dir, at[1], NULL, n, later);
        run(model_dir, at[2], NULL, n, both);
        run(model_dir, at[0], at[1], n, two);
        run(model_dir, at[3], NULL, n, alike);
        assert_memory_equal(both, two, size * sizeof(float));
        assert_true(running_distance(none, first, size) > 0.01f);
        assert_true(running_distance(none, later, size) > 0.01f);
        assert_true(running_distance(first, later, size) > 0.01f);
        assert_true(running_distance(first, both, size) > 0.01f);
        assert_true(running_distance(later, both, size) > 0.01f);
        assert_true(running_distance(alike, both, size) > 0.01f);
    }
    for (int i = 0; i < 4; i++) tempdir_remove(at[i]);
}

/* Sessions with an adapter of the first use, of the later one, of both and none, in one call: the
   bits each has alone. */
static void test_mixed_batch(void **unused)
{
    static const int n[] = { 7, 5, 9, 6 };
    static float     alone[ROWS * V], together[MOST][ROWS * V];
    char *at[] = { write_adapter(FIRST, SEEDS, NULL), write_adapter(LATER, SEEDS, NULL) };
    char *const list[MOST][2] = { { at[0] }, { at[1] }, { at[0], at[1] }, { NULL } };

    (void)unused;
    feed(model_dir, list, n, MOST, together);
    for (int i = 0; i < MOST; i++) {
        run(model_dir, list[i][0], list[i][1], n[i], alone);
        assert_memory_equal(alone, together[i], (size_t)n[i] * V * sizeof(float));
    }
    for (int i = 0; i < 2; i++) tempdir_remove(at[i]);
}

/* A file that names the first use alone is for both if its configuration speaks of the later one,
   which PEFT then knew as the same module. */
static void test_files_of_one_module(void **unused)
{
    static const struct { const char *config; bool is_for_both; } files[] = {
        { "\"target_modules\": null", false },
        { "\"target_modules\": [\"q_proj\", \"o_proj\", \"up_proj\", \"down_proj\"]", true },
        { "\"target_modules\": \"all-linear\"", true },
        { "\"target_modules\": \".*_proj\"", true },
        { "\"target_modules\": \".*layers\\\\.0\\\\..*_proj\"", false },
        { "\"target_modules\": \"all-linear\", \"layers_to_transform\": [0, 1]", false },
        { "\"target_modules\": \"all-linear\", \"layers_to_transform\": 0", false },
        { "\"target_modules\": \"all-linear\", \"layers_to_transform\": [2, 0]", true },
        { "\"target_modules\": \"all-linear\", \"exclude_modules\": \".*s\\\\.2.*\"", false },
        { "\"target_modules\": \"all-linear\", \"exclude_modules\": \".*s\\\\.1.*\"", true },
        { "\"target_modules\": \"all-linear\", \"exclude_modules\": [\"linear\"]", true },
        { "\"target_modules\": \"all-linear\", \"exclude_modules\": [\"q_proj\", \"o_proj\", "
          "\"up_proj\", \"down_proj\"]", false },
    };
    static float first[8 * V], both[8 * V], found[8 * V];
    char        *at[] = { write_adapter(FIRST, ALIKE, NULL),
                          write_adapter(FIRST | LATER, ALIKE, NULL) };

    (void)unused;
    run(model_dir, at[0], NULL, 8, first);
    run(model_dir, at[1], NULL, 8, both);
    assert_true(running_distance(first, both, 8 * V) > 0.01f);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *dir = write_adapter(FIRST, ALIKE, files[i].config);
        run(model_dir, dir, NULL, 8, found);
        if (memcmp(found, files[i].is_for_both ? both : first, sizeof found) != 0)
            fail_msg("%s: expected %s", files[i].config,
                     files[i].is_for_both ? "both uses" : "the first");
        tempdir_remove(dir);
    }
    for (int i = 0; i < 2; i++) tempdir_remove(at[i]);
}

/* The block's weights are written once: uses that change alike are merged, others refused. */
static void test_merge(void **unused)
{
    static float beside[8 * V], merged[8 * V];
    static const struct { int uses; const int *seed; const char *name; } parted[] = {
        { FIRST | LATER, SEEDS, "layers.2.shared_transf.self_attn.q_proj.lora_A" },
        { FIRST, SEEDS, "layers.0.shared_transf.self_attn.q_proj.lora_A" },
        { LATER, SEEDS, "layers.2.shared_transf.self_attn.q_proj.lora_A" },
    };
    bamba_model_options  mo = BAMBA_MODEL_OPTIONS;
    bamba_adapter_source source = { .scale = 1.0f };
    bamba_error          err;
    char                *out = tempdir_make();

    (void)unused;
    mo.weight_type = BAMBA_TYPE_F32;
    for (size_t i = 0; i < sizeof parted / sizeof *parted; i++) {
        char *at = write_adapter(parted[i].uses, parted[i].seed, NULL);
        source.dir = at;
        expect_line(parted[i].name, bamba_merge(model_dir, out, &source, 1, &mo, NULL, &err), &err,
                    parted[i].name, "layers share the weights");
        tempdir_remove(at);
    }
    for (int i = 0; i < 2; i++) {
        char *at = write_adapter(i ? FIRST : FIRST | LATER, ALIKE,
                                 "\"target_modules\": \"all-linear\"");
        char *to = tempdir_make();
        source.dir = at;
        demand(bamba_merge(model_dir, to, &source, 1, &mo, NULL, &err), &err);
        run(model_dir, at, NULL, 8, beside);
        run(to, NULL, NULL, 8, merged);
        assert_true(running_distance(beside, merged, 8 * V)
                    < 2e-5f * running_largest(beside, 8 * V));
        tempdir_remove(at);
        tempdir_remove(to);
    }
    tempdir_remove(out);
}

/* A directory with matrices in place of the model's: the same numbers under the names of modules of
   layers 0 and 2, by `uses`. */
static char *write_saved(int uses, const char *saved)
{
    char  name[120], members[200], *at = tempdir_make();
    store s = { NULL, 0, 0 };

    for (int u = 0; u < 2; u++) {
        if (!(uses >> u & 1)) continue;
        snprintf(name, sizeof name, "base_model.model.model.layers.%d.shared_transf.feed_forward."
                 "down_proj.weight", 2 * u);
        lora_add_tensor(&s, name, 2, (const size_t[]){ D, 40 }, 0.5f, 77);
    }
    snprintf(members, sizeof members, "\"modules_to_save\": [%s]", saved);
    lora_write(&s, RANK, members, at);
    store_free(&s);
    return at;
}

/* A matrix in place of the block's that the file has for the first use alone is for both if
   modules_to_save names the later one too: a merge writes it. Running, it is refused. */
static void test_saved_weights(void **unused)
{
    static const char all[] = "\"down_proj\"", first[] = "\"0.shared_transf.feed_forward\"";
    static const struct { int uses; const char *saved; bool is_merged; } files[] = {
        { FIRST | LATER, all, true }, { FIRST, all, true }, { FIRST, first, false },
        { LATER, all, false },
    };
    static float         none[8 * V], both[8 * V], merged[8 * V];
    bamba_adapter_source source = { .scale = 1.0f };
    bamba_model         *m;
    bamba_adapter       *a;
    bamba_error          err;

    (void)unused;
    run(model_dir, NULL, NULL, 8, none);
    demand(bamba_model_open(&m, model_dir, NULL, &err), &err);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *at = write_saved(files[i].uses, files[i].saved), *to = tempdir_make();
        source.dir = at;
        const bamba_status status = bamba_merge(model_dir, to, &source, 1, NULL, NULL, &err);
        if (!files[i].is_merged)
            expect_line("saved", status, &err, "down_proj.weight", "layers share the weights");
        else {
            demand(status, &err);
            run(to, NULL, NULL, 8, i == 0 ? both : merged);
            if (i > 0) assert_memory_equal(both, merged, sizeof both);
        }
        expect_line("running", bamba_adapter_open(&a, m, at, NULL, &err), &err, "down_proj.weight",
                    "can be replaced while running");
        tempdir_remove(at);
        tempdir_remove(to);
    }
    assert_true(running_distance(none, both, 8 * V) > 0.01f);
    bamba_model_free(m);
}

/* -------------------------------------------------------------- Zamba2 ------------------- */

static const char ZAMBA2[] =
    "{\"model_type\": \"zamba2\", \"vocab_size\": 96, \"hidden_size\": 32, "
    "\"num_hidden_layers\": 2, \"layers_block_type\": [\"hybrid\", \"hybrid\"], "
    "\"num_attention_heads\": 4, \"adapter_rank\": 4, \"intermediate_size\": 40, "
    "\"mamba_d_state\": 8, \"use_shared_attention_adapter\": true}";

/* A term of one use that a file replaces under the name of another is that use's if the other is
   the first one and modules_to_save names both; else no layer would use it. It is refused in both
   cases, for its own reason. */
static void test_saved_terms(void **unused)
{
    static const struct { const char *saved; int layer, term; const char *why; } files[] = {
        { "\"gate_up_proj_adapter_list\"", 0, 1, "can be replaced while running" },
        { "\"gate_up_proj_adapter_list\"", 1, 1, "can be replaced while running" },
        { "\"0.shared_transformer.feed_forward\"", 0, 1, "does not use this matrix" },
        { "\"gate_up_proj_adapter_list\"", 1, 0, "does not use this matrix" },
    };
    char          *at = tempdir_make(), *path = tempdir_path(at, "zamba2.json");
    char           name[160], members[200];
    bamba_model   *m;
    bamba_adapter *a;
    bamba_error    err;

    (void)unused;
    tempdir_write_text(at, "zamba2.json", ZAMBA2);
    demand(bamba_model_open_random(&m, path, 1, NULL, &err), &err);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        store s = { NULL, 0, 0 };
        char *dir = tempdir_make();
        snprintf(name, sizeof name, "base_model.model.model.layers.%d.shared_transformer."
                 "feed_forward.gate_up_proj_adapter_list.%d.0.weight", files[i].layer,
                 files[i].term);
        lora_add_tensor(&s, name, 2, (const size_t[]){ 4, 32 }, 0.5f, 3);
        snprintf(members, sizeof members, "\"modules_to_save\": [%s]", files[i].saved);
        lora_write(&s, RANK, members, dir);
        expect_line(name, bamba_adapter_open(&a, m, dir, NULL, &err), &err,
                    "gate_up_proj_adapter_list", files[i].why);
        store_free(&s);
        tempdir_remove(dir);
    }
    bamba_model_free(m);
    free(path);
    tempdir_remove(at);
}

/* The low-rank terms that Zamba2's block has for each of its uses lie in the block, and so in the
   modules of all uses; each use reads its own. Here uses are in layers 0 and 1. */
static void test_terms_of_uses(void **unused)
{
    static const struct { const char *module; int rows, cols; bool shows; } terms[] = {
        { "0.shared_transformer.feed_forward.gate_up_proj_adapter_list.0.0", 4, 32, true },
        { "1.shared_transformer.feed_forward.gate_up_proj_adapter_list.1.1", 80, 4, true },
        { "0.shared_transformer.feed_forward.gate_up_proj_adapter_list.1.0", 4, 32, false },
        { "1.shared_transformer.feed_forward.gate_up_proj_adapter_list.0.1", 80, 4, false },
        { "1.shared_transformer.self_attn.linear_v_adapter_list.1.0", 4, 64, true },
        { "0.shared_transformer.self_attn.linear_q_adapter_list.1.1", 64, 4, false },
    };
    static float none[8 * V], found[8 * V];
    char        *at = tempdir_make(), *path = tempdir_path(at, "zamba2.json");

    (void)unused;
    tempdir_write_text(at, "zamba2.json", ZAMBA2);
    run(path, NULL, NULL, 8, none);
    for (size_t i = 0; i < sizeof terms / sizeof *terms; i++) {
        char *dir = tempdir_make(), name[120];
        store s = { NULL, 0, 0 };
        snprintf(name, sizeof name, "model.layers.%s", terms[i].module);
        lora_add(&s, name, terms[i].rows, terms[i].cols, RANK, 5);
        lora_write(&s, RANK, NULL, dir);
        run(path, dir, NULL, 8, found);
        if ((memcmp(none, found, sizeof none) != 0) != terms[i].shows)
            fail_msg("%s: expected %s change", name, terms[i].shows ? "a" : "no");
        store_free(&s);
        tempdir_remove(dir);
    }
    free(path);
    tempdir_remove(at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uses_apart),
        cmocka_unit_test(test_mixed_batch),
        cmocka_unit_test(test_files_of_one_module),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_saved_weights),
        cmocka_unit_test(test_terms_of_uses),
        cmocka_unit_test(test_saved_terms),
    };
    return cmocka_run_group_tests(tests, set_up, clean_up);
}
