/* test_merge_tied.c - merged adapters of a model whose embedding is its head: as at run time. */
#include "bamba.h"

#include "support/fault.h"
#include "support/lora.h"
#include "support/running.h"
#include "support/tempdir.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { V = 96, ROWS = 9, N = ROWS * V };

static const char EMBED[] = "base_model.model.model.embed_tokens";
static const char HEAD[] = "base_model.model.lm_head";

static char *dir, *adapter_dir, *out_dir;

static int set_up(void **unused)
{
    (void)unused;
    dir = tempdir_make();
    adapter_dir = tempdir_make();
    out_dir = tempdir_make();
    return 0;
}

static int clean_up(void **unused)
{
    (void)unused;
    tempdir_remove(dir);
    tempdir_remove(adapter_dir);
    tempdir_remove(out_dir);
    return 0;
}

static void demand(bamba_status status, const bamba_error *err)
{
    if (status != BAMBA_OK) fail_msg("status %d: %s", status, err->message);
}

/* -------------------------------------------------------------- adapters ----------------- */

/* One adapter of a tied model. */
typedef struct tied_case {
    const char *what;
    bool        embed, head;              /* low-rank terms; the head's is the embedding's own */
    int         rank;                     /* of these; 0: 2, which config.json says */
    bool        other_head;               /* a term of the head that is not the embedding's */
    bool        own_embed, own_head, both_same;
    bool        base;                     /* the model's own matrix, saved along */
    const char *members;
    bool        stays_tied;
} tied_case;

static const tied_case tied_cases[] = {
    { .what = "embedding", .embed = true },
    { .what = "head", .other_head = true },
    { .what = "embedding and head", .embed = true, .other_head = true },
    { .what = "tied terms", .embed = true, .head = true, .stays_tied = true,
      .members = "\"ensure_weight_tying\": true" },
    { .what = "tied terms of a rank of the embedding", .embed = true, .head = true, .rank = 3,
      .members = "\"ensure_weight_tying\": true, \"rank_pattern\": {\"embed_tokens\": 3}" },
    { .what = "base beside a term", .embed = true, .base = true },
    { .what = "own embedding", .own_embed = true,
      .members = "\"modules_to_save\": [\"embed_tokens\"]" },
    { .what = "own head", .own_head = true, .members = "\"modules_to_save\": [\"lm_head\"]" },
    { .what = "both own", .own_embed = true, .own_head = true,
      .members = "\"modules_to_save\": [\"embed_tokens\", \"lm_head\"]" },
    { .what = "both own and the same", .own_embed = true, .both_same = true, .stays_tied = true,
      .members = "\"modules_to_save\": [\"embed_tokens\", \"lm_head\"]" },
    { .what = "own head, term of the embedding", .embed = true, .own_head = true,
      .members = "\"modules_to_save\": [\"lm_head\"]" },
    { .what = "base alone", .base = true, .stays_tied = true },
};

static void add_named(store *s, const char *module, const char *ending, int rows, int cols,
                      float scale, uint64_t seed)
{
    char         name[120];
    const size_t dim[] = { (size_t)rows, (size_t)cols };

    snprintf(name, sizeof name, "%s.%s", module, ending);
    lora_add_tensor(s, name, 2, dim, scale, seed);
}

/* A tensor whose numbers are those of another, transposed. */
static void add_transposed(store *s, const char *module, const char *ending, const char *of)
{
    const store_tensor *t = store_find(s, of);
    const int           rows = (int)t->dim[0], cols = (int)t->dim[1];

    add_named(s, module, ending, cols, rows, 0.0f, 1);
    const float *from = (const float *)(const void *)store_find(s, of)->data;
    float       *to = (float *)(void *)s->tensor[s->n - 1].data;
    for (int i = 0; i < rows * cols; i++) to[i % cols * rows + i / cols] = from[i];
}

static void make_adapter(const tied_case *c, const tiny_dims *d, store *s)
{
    const int D = d->d_model, rank = c->rank ? c->rank : 2;
    store     model = { NULL, 0, 0 };

    lora_add_all(s, d, 2, 21);
    if (c->embed) {
        add_named(s, EMBED, "lora_embedding_A", rank, V, 0.7f, 31);
        add_named(s, EMBED, "lora_embedding_B", D, rank, 0.5f, 32);
    }
    if (c->head) {
        add_transposed(s, HEAD, "lora_A.weight",
                       "base_model.model.model.embed_tokens.lora_embedding_B");
        add_transposed(s, HEAD, "lora_B.weight",
                       "base_model.model.model.embed_tokens.lora_embedding_A");
    }
    if (c->other_head) {
        add_named(s, HEAD, "lora_A.weight", 2, D, 0.5f, 33);
        add_named(s, HEAD, "lora_B.weight", V, 2, 0.5f, 34);
    }
    if (c->own_embed) add_named(s, EMBED, "weight", V, D, 0.5f, 35);
    if (c->own_head) add_named(s, HEAD, "weight", V, D, 0.5f, 36);
    if (c->both_same) add_named(s, HEAD, "weight", V, D, 0.5f, 35);
    if (!c->base) return;
    add_named(s, EMBED, "base_layer.weight", V, D, 0.0f, 1);
    tiny_tensors(d, &model);
    const store_tensor *t = store_find(&model, "model.embed_tokens.weight");
    memcpy(s->tensor[s->n - 1].data, t->data, t->bytes);
    store_free(&model);
}

/* -------------------------------------------------------------- runs --------------------- */

/* Logits [ROWS, V] of a directory's model in float32, with the adapter or without. */
static void run(const char *at, bool is_adapted, float *out)
{
    bamba_model_options   mo = running_model_options(BAMBA_TYPE_F32);
    bamba_engine_options  eo = BAMBA_ENGINE_OPTIONS;
    bamba_session_options so = BAMBA_SESSION_OPTIONS;
    bamba_adapter_use     use = { NULL, 1.0f };
    bamba_feed_item       item = { .n = ROWS, .n_logits = ROWS };
    int32_t               tokens[ROWS];
    bamba_model          *m;
    bamba_engine         *e;
    bamba_adapter        *a = NULL;
    bamba_error           err;

    mo.n_threads = eo.n_threads = 1;
    eo.n_logits = ROWS;
    demand(bamba_model_open(&m, at, &mo, &err), &err);
    demand(bamba_engine_create(&e, m, &eo, &err), &err);
    if (is_adapted) demand(bamba_adapter_open(&a, m, adapter_dir, NULL, &err), &err);
    use.adapter = a;
    so.adapters = &use;
    so.n_adapters = is_adapted;
    demand(bamba_session_create(&item.session, m, &so, &err), &err);
    for (int i = 0; i < ROWS; i++) tokens[i] = (i * 31 + 7) % V;
    item.tokens = tokens;
    demand(bamba_feed_batch(e, &item, 1, &err), &err);
    memcpy(out, item.logits, N * sizeof *out);
    bamba_session_free(item.session);
    bamba_adapter_free(a);
    bamba_engine_free(e);
    bamba_model_free(m);
}

static bool says(const char *file, const char *text)
{
    size_t         n;
    const size_t   m = strlen(text);
    unsigned char *data = tempdir_read(out_dir, file, &n);
    bool           found = false;

    for (size_t i = 0; !found && i + m <= n; i++) found = memcmp(data + i, text, m) == 0;
    free(data);
    return found;
}

static bamba_status try_merge(bamba_type type, fault *f, bamba_error *err)
{
    const bamba_adapter_source source = { adapter_dir, 1.0f };
    bamba_model_options        mo = BAMBA_MODEL_OPTIONS;

    tempdir_empty(out_dir);
    mo.weight_type = type;
    mo.n_threads = 1;
    mo.allocator = fault_allocator(f);
    return bamba_merge(dir, out_dir, &source, 1, &mo, NULL, err);
}

static void merge(bamba_type type)
{
    bamba_error err;
    fault       f = { 0 };

    demand(try_merge(type, &f, &err), &err);
    assert_int_equal(f.n_live, 0);
}

/* -------------------------------------------------------------- tests -------------------- */

static void expect_merged(const tied_case *c, const char *embed_name, const char *head_name)
{
    static float with[N], none[N], merged[N], zeros[N];

    run(dir, true, with);
    run(dir, false, none);
    merge(BAMBA_TYPE_F32);
    run(out_dir, false, merged);
    const double most = running_distance(with, zeros, N), apart = running_distance(with, merged, N);
    if (!(running_distance(with, none, N) > 1e-3 * most) || !(apart < 2e-5 * most))
        fail_msg("%s: merged is %g from run time, of %g", c->what, apart, most);
    assert_int_equal(says("model.safetensors", embed_name) && says("model.safetensors", head_name),
                     !c->stays_tied);
    assert_int_equal(says("config.json", "\"tie_word_embeddings\": false"), !c->stays_tied);
}

/* A head of its own is written only where the adapter parts it from the embedding; also for a model
   whose files have the pair under the head's name. */
static void merge_all(const char *embed_name)
{
    tiny_dims d = TINY_DIMS;
    store     model = { NULL, 0, 0 };

    d.tied = true;
    tempdir_empty(dir);
    tiny_write(&d, dir);
    tiny_tensors(&d, &model);
    strcpy(store_find(&model, "model.embed_tokens.weight")->name, embed_name);
    tiny_write_tensors(&model, 0, dir);
    store_free(&model);
    for (size_t i = 0; i < sizeof tied_cases / sizeof *tied_cases; i++) {
        store s = { NULL, 0, 0 };
        tempdir_empty(adapter_dir);
        make_adapter(&tied_cases[i], &d, &s);
        lora_write(&s, 2, tied_cases[i].members, adapter_dir);
        expect_merged(&tied_cases[i], "\"model.embed_tokens.weight\"", "\"lm_head.weight\"");
        store_free(&s);
    }
}

static void test_under_the_embeddings_name(void **unused)
{
    (void)unused;
    merge_all("model.embed_tokens.weight");
}

static void test_under_the_heads_name(void **unused)
{
    (void)unused;
    merge_all("lm_head.weight");
}

/* A tied model, and an adapter that changes its head alone. */
static void write_parted(void)
{
    tiny_dims d = TINY_DIMS;
    store     s = { NULL, 0, 0 };

    d.tied = true;
    tempdir_empty(dir);
    tiny_write(&d, dir);
    tempdir_empty(adapter_dir);
    make_adapter(&tied_cases[1], &d, &s);
    lora_write(&s, 2, NULL, adapter_dir);
    store_free(&s);
}

/* Both matrices of a parted pair get the type that is asked for. */
static void test_types(void **unused)
{
    (void)unused;
    write_parted();
    merge(BAMBA_TYPE_Q8);
    assert_true(says("model.safetensors", "\"model.embed_tokens.weight_q8"));
    assert_true(says("model.safetensors", "\"lm_head.weight_q8"));
}

/* A rule may mean the head that the merged model has and the model has not. */
static void test_rule_for_the_head(void **unused)
{
    const bamba_type_rule      rule = { "lm_head", BAMBA_TYPE_Q8 };
    const bamba_adapter_source source = { adapter_dir, 1.0f };
    bamba_model_options        mo = BAMBA_MODEL_OPTIONS;
    bamba_error                err;

    (void)unused;
    write_parted();
    tempdir_empty(out_dir);
    mo.type_rules = &rule;
    mo.n_type_rules = 1;
    demand(bamba_merge(dir, out_dir, &source, 1, &mo, NULL, &err), &err);
    assert_true(says("model.safetensors", "\"lm_head.weight_q8"));
    assert_true(says("model.safetensors", "\"model.embed_tokens.weight\""));
}

/* Of a tied pair PEFT names the embedding alone, and writes tensors for both. */
static void test_targets(void **unused)
{
    static const char text[] = "{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 4, "
                               "\"target_modules\": \".*\\\\.embed_tokens|.*_proj\"%s}";
    static float      logits[N];
    char              config[200];
    bamba_error       err;
    store             s = { NULL, 0, 0 };
    tiny_dims         d = TINY_DIMS;
    fault             f = { 0 };

    (void)unused;
    write_parted();
    tempdir_empty(adapter_dir);
    make_adapter(&tied_cases[3], &d, &s);
    lora_write(&s, 2, NULL, adapter_dir);
    store_free(&s);
    snprintf(config, sizeof config, text, ", \"ensure_weight_tying\": true");
    tempdir_write_text(adapter_dir, "adapter_config.json", config);
    run(dir, true, logits);
    snprintf(config, sizeof config, text, "");
    tempdir_write_text(adapter_dir, "adapter_config.json", config);
    assert_int_equal(try_merge(BAMBA_TYPE_F32, &f, &err), BAMBA_ERR_FORMAT);
    assert_non_null(strstr(err.message, "'target_modules': expected 'lm_head' among them"));
}

/* Each allocation fails once; nothing stays behind. */
static void test_out_of_memory(void **unused)
{
    fault       clean = { 0 };
    bamba_error err;

    (void)unused;
    write_parted();
    demand(try_merge(BAMBA_TYPE_Q8, &clean, &err), &err);
    for (size_t k = 1; k <= clean.n_calls; k++) {
        fault f = { .fail_at = k };
        if (try_merge(BAMBA_TYPE_Q8, &f, &err) != BAMBA_ERR_MEMORY)
            fail_msg("allocation %zu of %zu: %s", k, clean.n_calls, err.message);
        assert_int_equal(f.n_live, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_under_the_embeddings_name),
        cmocka_unit_test(test_under_the_heads_name),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_rule_for_the_head),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, set_up, clean_up);
}
