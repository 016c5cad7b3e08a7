/* test_adapter_experts.c - adapters of routers and experts: the names that PEFT gives them in old
 * and new transformers, the bits of mixed batches, merging, files that do not fit, memory. One
 * file, since all of it changes the same two small models by the same few adapters. */
#include "bamba.h"

#include "support/fault.h"
#include "support/lora.h"
#include "support/refused.h"
#include "support/running.h"
#include "support/tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { V = 96, D = 32, F = 16, E = 6, LAYERS = 2, RANK = 3, ROWS = 40, SESSIONS = 4 };

/* Experts as a stack (Granite), or one by one (Jamba). */
typedef struct family {
    const char *config, *norm, *moe;      /* moe: the mixer's name in a layer */
    bool        is_stack;
} family;

#define SHAPE "\"vocab_size\": 96, \"hidden_size\": 32, \"num_hidden_layers\": 2, "                \
              "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, "                           \
              "\"intermediate_size\": 16, "                                                        \
              "\"num_experts_per_tok\": 2, \"max_position_embeddings\": 256, "                     \
              "\"tie_word_embeddings\": true, \"torch_dtype\": \"float32\""

static const family granite = {
    "{\"model_type\": \"granitemoehybrid\", \"layer_types\": [\"attention\", \"attention\"], "
    "\"shared_intermediate_size\": 16, \"num_local_experts\": 6, \"attention_multiplier\": 0.3, "
    SHAPE "}", "post_attention_layernorm", "block_sparse_moe", true };
static const family jamba = {
    "{\"model_type\": \"jamba\", \"attn_layer_period\": 1, \"attn_layer_offset\": 0, "
    "\"expert_layer_period\": 1, \"expert_layer_offset\": 0, \"num_experts\": 6, "
    SHAPE "}", "pre_ff_layernorm", "feed_forward", false };

static char *dir[2], *new_names[2], *old_names[2], *partial[2];

static const family *family_of(int i) { return i == 0 ? &granite : &jamba; }

/* -------------------------------------------------------------- files -------------------- */

static void add(store *s, int layer, const char *name, const size_t *dim, float scale)
{
    char full[120];
    int  n = 0;

    while (dim[n]) n++;
    snprintf(full, sizeof full, "model.layers.%d.%s.weight", layer, name);
    lora_add_tensor(s, full, n, dim, scale, s->n + 11);
}

static void add_experts(store *s, const family *f, int layer)
{
    const char *const one[] = { "gate_proj", "up_proj", "down_proj" };
    char              name[80];

    if (f->is_stack) {
        add(s, layer, "block_sparse_moe.router.layer", (const size_t[]){ E, D, 0 }, 0.5f);
        add(s, layer, "block_sparse_moe.input_linear", (const size_t[]){ E, 2 * F, D, 0 }, 0.4f);
        add(s, layer, "block_sparse_moe.output_linear", (const size_t[]){ E, D, F, 0 }, 0.4f);
        add(s, layer, "shared_mlp.input_linear", (const size_t[]){ 2 * F, D, 0 }, 0.3f);
        add(s, layer, "shared_mlp.output_linear", (const size_t[]){ D, F, 0 }, 0.3f);
        return;
    }
    add(s, layer, "feed_forward.router", (const size_t[]){ E, D, 0 }, 0.5f);
    for (int i = 0; i < E; i++)
        for (int j = 0; j < 3; j++) {
            snprintf(name, sizeof name, "feed_forward.experts.%d.%s", i, one[j]);
            add(s, layer, name, (const size_t[]){ j < 2 ? F : D, j < 2 ? D : F, 0 }, 0.4f);
        }
}

/* type: "F32" or another. */
static char *write_model(const family *f, const char *type)
{
    char *at = tempdir_make();
    store s = { NULL, 0, 0 }, typed = { NULL, 0, 0 };

    lora_add_tensor(&s, "model.embed_tokens.weight", 2, (const size_t[]){ V, D }, 1.0f, 1);
    lora_add_tensor(&s, f->is_stack ? "model.norm.weight" : "model.final_layernorm.weight", 1,
                    (const size_t[]){ D }, 1.0f, 2);
    for (int l = 0; l < LAYERS; l++) {
        add(&s, l, "input_layernorm", (const size_t[]){ D, 0 }, 1.0f);
        add(&s, l, f->norm, (const size_t[]){ D, 0 }, 1.0f);
        add(&s, l, "self_attn.q_proj", (const size_t[]){ D, D, 0 }, 0.3f);
        add(&s, l, "self_attn.k_proj", (const size_t[]){ D / 2, D, 0 }, 0.3f);
        add(&s, l, "self_attn.v_proj", (const size_t[]){ D / 2, D, 0 }, 0.3f);
        add(&s, l, "self_attn.o_proj", (const size_t[]){ D, D, 0 }, 0.3f);
        add_experts(&s, f, l);
    }
    for (size_t i = 0; i < s.n; i++) {
        const store_tensor *t = &s.tensor[i];
        store_add(&typed, t->name, type, t->n_dims, t->dim, (const float *)(const void *)t->data);
    }
    tempdir_write_text(at, "config.json", f->config);
    store_write(&typed, 0, typed.n, at, "model.safetensors");
    store_free(&s);
    store_free(&typed);
    return at;
}

/* A and B of a module of the experts' mixer in a layer, of `rank` inputs of B. */
static void add_pair(store *s, const family *f, int layer, const char *module, int rows, int cols,
                     int rank)
{
    char name[80];

    snprintf(name, sizeof name, "model.layers.%d.%s.%s", layer, f->moe, module);
    lora_add(s, name, rows, cols, rank, s->n + 5);
}

/* All that transformers 5 has as parameters; named otherwise, a stack is one in transformers 4
   too. */
static void add_parameters(store *s, const family *f, const char *in, const char *out,
                           const char *router)
{
    for (int l = 0; l < LAYERS; l++) {
        add_pair(s, f, l, in, 2 * F, D, RANK * E);
        add_pair(s, f, l, out, D, F, RANK * E);
        add_pair(s, f, l, router, E, D, RANK);
    }
}

/* Rows first … first + rows - 1 of what an A and a B of a parameter have for one expert, as the
   adapter of a linear layer. */
static void add_one(store *s, const char *module, const store_tensor *A, const store_tensor *B,
                    int expert, int first, int rows)
{
    const size_t cols = A->dim[1], a[] = { RANK, cols }, b[] = { (size_t)rows, RANK };
    const float *x = (const float *)(const void *)A->data, *y = (const float *)(void *)B->data;
    float        v[2 * F * RANK + D * RANK];
    char         name[160];

    for (int r = 0; r < rows; r++)
        for (int i = 0; i < RANK; i++)
            v[r * RANK + i] = y[((first + r) * RANK + i) * E + expert];
    snprintf(name, sizeof name, "%s.lora_A.weight", module);
    store_add(s, name, "F32", 2, a, x + (size_t)expert * RANK * cols);
    snprintf(name, sizeof name, "%s.lora_B.weight", module);
    store_add(s, name, "F32", 2, b, v);
}

/* Add to s what a parameter's matrices make of each expert: for layers named `%d.%s`. */
static void add_singly(store *s, store *from, int layer, const char *module, const char *to,
                       int first, int rows)
{
    const char *end = "base_model.model.model.layers";
    char        name[120];

    snprintf(name, sizeof name, "%s.%d.feed_forward.%s.lora_A.weight", end, layer, module);
    const store_tensor *A = store_find(from, name);
    snprintf(name, sizeof name, "%s.%d.feed_forward.%s.lora_B.weight", end, layer, module);
    const store_tensor *B = store_find(from, name);
    assert_true(A && B);
    for (int e = 0; e < E; e++) {
        snprintf(name, sizeof name, "%s.%d.feed_forward.experts.%d.%s", end, layer, e, to);
        add_one(s, name, A, B, e, first, rows);
    }
}

static char *write_adapter(const store *s, const char *members)
{
    char *at = tempdir_make();

    lora_write(s, RANK, members, at);
    return at;
}

#define NEW "\"target_parameters\": [\"experts.gate_up_proj\", \"experts.down_proj\", "            \
            "\"router.weight\"]"
#define OLD "\"target_parameters\": [\"input_linear.weight\", \"output_linear.weight\"]"

/* Write one set of numbers twice, under the names of transformers 5 and of transformers 4, and an
   adapter of one parameter alone. */
static void write_adapters(int i)
{
    const family *f = family_of(i);
    store         s = { NULL, 0, 0 }, old = { NULL, 0, 0 }, one = { NULL, 0, 0 };

    add_parameters(&s, f, "experts.base_layer", "experts", "router");
    new_names[i] = write_adapter(&s, NEW);
    if (f->is_stack) add_parameters(&old, f, "input_linear", "output_linear", "router.layer");
    for (int l = 0; l < LAYERS && !f->is_stack; l++) {
        char name[120];
        add_singly(&old, &s, l, "experts.base_layer", "gate_proj", 0, F);
        add_singly(&old, &s, l, "experts.base_layer", "up_proj", F, F);
        add_singly(&old, &s, l, "experts", "down_proj", 0, D);
        for (int k = 0; k < 2; k++) {
            snprintf(name, sizeof name, "base_model.model.model.layers.%d.feed_forward.router."
                     "lora_%c.weight", l, "AB"[k]);
            const store_tensor *t = store_find(&s, name);
            store_add(&old, name, "F32", 2, t->dim, (const float *)(const void *)t->data);
        }
    }
    old_names[i] = write_adapter(&old, f->is_stack ? OLD : NULL);
    add_pair(&one, f, 1, "experts", D, F, RANK * E);
    partial[i] = write_adapter(&one, "\"target_parameters\": [\"experts.down_proj\"]");
    store_free(&s);
    store_free(&old);
    store_free(&one);
}

static int set_up(void **unused)
{
    (void)unused;
    for (int i = 0; i < 2; i++) {
        dir[i] = write_model(family_of(i), "F32");
        write_adapters(i);
    }
    return 0;
}

static int clean_up(void **unused)
{
    (void)unused;
    for (int i = 0; i < 2; i++) {
        tempdir_remove(dir[i]);
        tempdir_remove(new_names[i]);
        tempdir_remove(old_names[i]);
        tempdir_remove(partial[i]);
    }
    return 0;
}

/* -------------------------------------------------------------- running ------------------ */

typedef struct lab {
    bamba_model   *model;
    bamba_engine  *engine;
    bamba_adapter *adapter[2];
} lab;

static void demand(bamba_status status, const bamba_error *err)
{
    if (status != BAMBA_OK) fail_msg("status %d: %s", status, err->message);
}

/* A model with up to two adapters; NULL: none. */
static lab open_lab(const char *model, const char *first, const char *second, bamba_type type,
                    int n_threads)
{
    const char *const    adapter[] = { first, second };
    bamba_model_options  mo = running_model_options(type);
    bamba_engine_options eo = BAMBA_ENGINE_OPTIONS;
    bamba_error          err;
    lab                  l = { 0 };

    mo.n_threads = 1;
    eo.n_threads = n_threads;
    eo.n_logits = 256;
    demand(bamba_model_open(&l.model, model, &mo, &err), &err);
    l.engine = running_engine(l.model, &eo);
    for (int i = 0; i < 2; i++)
        if (adapter[i])
            demand(bamba_adapter_open(&l.adapter[i], l.model, adapter[i], NULL, &err), &err);
    return l;
}

static void close_lab(lab *l)
{
    for (int i = 0; i < 2; i++) bamba_adapter_free(l->adapter[i]);
    bamba_engine_free(l->engine);
    bamba_model_free(l->model);
}

/* A session with adapters by bits of `which`, the second with scale -0.5. */
static bamba_session *make_session(const lab *l, int which)
{
    bamba_session_options o = BAMBA_SESSION_OPTIONS;
    bamba_adapter_use     use[2];

    if (which & 1) use[o.n_adapters++] = (bamba_adapter_use){ l->adapter[0], 1.0f };
    if (which & 2) use[o.n_adapters++] = (bamba_adapter_use){ l->adapter[1], -0.5f };
    o.adapters = use;
    return running_session(l->model, &o);
}

/* Logits [n_rows, V] of new sessions in one call; tokens by `text`. */
static void feed(const lab *l, const int *which, const int *text, const int *n_rows, int n,
                 float *const *out)
{
    bamba_feed_item item[SESSIONS + 1];
    int32_t         tokens[SESSIONS + 1][ROWS];
    bamba_error     err;

    for (int i = 0; i < n; i++) {
        for (int t = 0; t < n_rows[i]; t++) tokens[i][t] = (text[i] * 31 + t * 7 + 3) % V;
        item[i] = (bamba_feed_item){ .session = make_session(l, which[i]), .tokens = tokens[i],
                                     .n = (size_t)n_rows[i], .n_logits = (size_t)n_rows[i] };
    }
    demand(bamba_feed_batch(l->engine, item, (size_t)n, &err), &err);
    for (int i = 0; i < n; i++) {
        memcpy(out[i], item[i].logits, (size_t)n_rows[i] * V * sizeof(float));
        bamba_session_free(item[i].session);
    }
}

/* Logits of one session alone, or beside one that makes the rows many. */
static void feed_alone(const lab *l, int which, int text, int n_rows, bool is_many, float *out)
{
    static float other[ROWS * V];

    feed(l, (const int[]){ which, 0 }, (const int[]){ text, 9 }, (const int[]){ n_rows, ROWS },
         is_many ? 2 : 1, (float *const[]){ out, other });
}

enum { N = ROWS * V };

static void run(const char *model, const char *adapter, bamba_type type, float *out)
{
    lab l = open_lab(model, adapter, NULL, type, 2);

    feed_alone(&l, adapter != NULL, 1, ROWS, false, out);
    close_lab(&l);
}

/* -------------------------------------------------------------- tests -------------------- */

/* An adapter's numbers under the names of transformers 4 and 5 give equal logits, to the bit. */
static void test_names(void **unused)
{
    static float none[N], by_new[N], by_old[N], by_one[N];

    (void)unused;
    for (int i = 0; i < 2; i++) {
        run(dir[i], NULL, BAMBA_TYPE_F32, none);
        run(dir[i], new_names[i], BAMBA_TYPE_F32, by_new);
        run(dir[i], old_names[i], BAMBA_TYPE_F32, by_old);
        run(dir[i], partial[i], BAMBA_TYPE_F32, by_one);
        assert_true(running_distance(none, by_new, N) > 0.01f);
        assert_true(running_distance(none, by_one, N) > 0.01f);
        assert_true(running_distance(by_one, by_new, N) > 0.01f);
        assert_memory_equal(by_new, by_old, sizeof by_new);
    }
}

/* Sessions with both adapters, the other, the first and none in one call: the bits each has alone,
   for any type of weights, few rows and many, one thread and three. */
static void test_mixed_batch(void **unused)
{
    static const int  rows[][SESSIONS] = { { 1, 1, 1, 1 }, { 7, 1, 3, 5 }, { 20, 17, 40, 9 } };
    static const int  which[] = { 3, 2, 1, 0 }, text[] = { 0, 1, 2, 3 };
    static const bamba_type type[] = { BAMBA_TYPE_F32, BAMBA_TYPE_BF16, BAMBA_TYPE_Q4 };
    static float      alone[N], out[SESSIONS][N];
    float *const      to[] = { out[0], out[1], out[2], out[3] };

    (void)unused;
    for (int i = 0; i < 12; i++) {
        lab l = open_lab(dir[i % 2], new_names[i % 2], partial[i % 2], type[i / 4],
                         i / 2 % 2 ? 3 : 1);
        const int n = running_is_exact(l.model) ? 3 : 2;
        for (int j = 0; j < n; j++) {
            feed(&l, which, text, rows[j], SESSIONS, to);
            for (int k = 0; k < SESSIONS; k++) {
                feed_alone(&l, which[k], text[k], rows[j][k], j == 2, alone);
                assert_memory_equal(alone, out[k], (size_t)rows[j][k] * V * sizeof(float));
            }
        }
        close_lab(&l);
    }
}

/* A merge in float32 changes the order of additions only. Routers are written in float32 whatever
   the type of the weights. */
static void test_merged(void **unused)
{
    static float with[N], merged[N], zeros[N];
    bamba_model_options mo = BAMBA_MODEL_OPTIONS;
    bamba_error         err;

    (void)unused;
    for (int i = 0; i < 4; i++) {
        const bamba_adapter_source source = { i < 2 ? new_names[i % 2] : old_names[i % 2], 1.0f };
        char *out = tempdir_make();
        mo.weight_type = BAMBA_TYPE_F32;
        mo.n_threads = 2;
        demand(bamba_merge(dir[i % 2], out, &source, 1, &mo, NULL, &err), &err);
        run(dir[i % 2], new_names[i % 2], BAMBA_TYPE_F32, with);
        run(out, NULL, BAMBA_TYPE_DEFAULT, merged);
        assert_true(running_distance(merged, with, N) < 2e-5f * running_distance(with, zeros, N));
        tempdir_remove(out);
    }
}

/* Add to s a parameter's A and B of `from` as PEFT stored them until 0.19.0: A [RANK · E, rows] and
   B [cols, RANK · E], whose product is the change transposed. */
static void add_turned(store *s, store *from, const char *module)
{
    char  name[120];
    float v[RANK * E * 2 * D];

    snprintf(name, sizeof name, "base_model.model.model.%s.lora_A.weight", module);
    const store_tensor *A = store_find(from, name);
    snprintf(name, sizeof name, "base_model.model.model.%s.lora_B.weight", module);
    const store_tensor *B = store_find(from, name);
    assert_true(A && B && A->dim[1] <= 2 * D && B->dim[0] <= 2 * D);
    const float *a = (const float *)(const void *)A->data, *b = (const float *)(void *)B->data;
    const size_t rows = B->dim[0], cols = A->dim[1];
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < RANK * E; i++)
            v[i * rows + r] = b[(r * RANK + i % RANK) * E + i / RANK];
    snprintf(name, sizeof name, "base_model.model.model.%s.lora_A.weight", module);
    store_add(s, name, "F32", 2, (const size_t[]){ RANK * E, rows }, v);
    for (size_t c = 0; c < cols; c++)
        for (size_t i = 0; i < RANK * E; i++)
            v[(c * RANK + i % RANK) * E + i / RANK] = a[i * cols + c];
    snprintf(name, sizeof name, "base_model.model.model.%s.lora_B.weight", module);
    store_add(s, name, "F32", 2, (const size_t[]){ cols, RANK * E }, v);
}

/* An adapter in both layouts has the same logits, beside the model and merged, to the bit. */
static void compare_turned(int i, store *s, store *turned, const char *straight_members,
                           const char *turned_members)
{
    static float none[N], one[N], other[N];
    char        *at[] = { write_adapter(s, straight_members),
                          write_adapter(turned, turned_members) };
    bamba_error  err;

    run(dir[i], NULL, BAMBA_TYPE_F32, none);
    run(dir[i], at[0], BAMBA_TYPE_F32, one);
    run(dir[i], at[1], BAMBA_TYPE_F32, other);
    assert_true(running_distance(none, one, N) > 0.01f);
    assert_memory_equal(one, other, sizeof one);
    for (int k = 0; k < 2; k++) {
        const bamba_adapter_source source = { at[k], 1.0f };
        char *out = tempdir_make();
        demand(bamba_merge(dir[i], out, &source, 1, NULL, NULL, &err), &err);
        run(out, NULL, BAMBA_TYPE_DEFAULT, k == 0 ? one : other);
        tempdir_remove(out);
        tempdir_remove(at[k]);
    }
    assert_true(running_distance(none, one, N) > 0.01f);
    assert_memory_equal(one, other, sizeof one);
}

/* Files of PEFT until 0.19.0: shapes show it for square matrices beside others too; where all are
   square, the version does. */
static void test_turned(void **unused)
{
    static const struct { const char *version; bool is_turned; } files[] = {
        { "0.18.0", true }, { "0.18.2.dev0@UNKNOWN", true }, { "0.19.0", true },
        { "0.9", true }, { "0.19.1", false }, { "0.20.0", false }, { "1.0.0", false },
        { "main", false },
    };
    static const char *const square = "\"target_parameters\": [\"experts.gate_up_proj\"]";
    char                     module[80], members[160];

    (void)unused;
    for (int i = 0; i < 2; i++) {
        store s = { NULL, 0, 0 }, turned = { NULL, 0, 0 };
        add_pair(&s, family_of(i), 0, "experts.base_layer", 2 * F, D, RANK * E);
        add_pair(&s, family_of(i), 0, "experts", D, F, RANK * E);
        snprintf(module, sizeof module, "layers.0.%s.experts.base_layer", family_of(i)->moe);
        add_turned(&turned, &s, module);
        snprintf(module, sizeof module, "layers.0.%s.experts", family_of(i)->moe);
        add_turned(&turned, &s, module);
        compare_turned(i, &s, &turned, NEW, NEW);
        store_free(&s);
        store_free(&turned);
    }
    for (size_t j = 0; j < sizeof files / sizeof *files; j++) {
        store s = { NULL, 0, 0 }, turned = { NULL, 0, 0 };
        add_pair(&s, &granite, 0, "experts", 2 * F, D, RANK * E);
        add_turned(&turned, &s, "layers.0.block_sparse_moe.experts");
        snprintf(members, sizeof members, "%s, \"peft_version\": \"%s\"", square,
                 files[j].version);
        compare_turned(0, &s, files[j].is_turned ? &turned : &s, square, members);
        store_free(&s);
        store_free(&turned);
    }
}

/* The same tensors read the other way round are another adapter to a saved session. */
static void test_turned_is_another(void **unused)
{
    static const char *const members[] = {
        "\"target_parameters\": [\"experts.gate_up_proj\"], \"peft_version\": \"0.18.0\"",
        "\"target_parameters\": [\"experts.gate_up_proj\"], \"peft_version\": \"0.20.0\"" };
    bamba_session_options o = BAMBA_SESSION_OPTIONS;
    bamba_adapter_use     use = { NULL, 1.0f };
    bamba_session        *opened;
    bamba_error           err;
    store                 s = { NULL, 0, 0 };

    (void)unused;
    add_pair(&s, &granite, 0, "experts", 2 * F, D, RANK * E);
    char *old = write_adapter(&s, members[0]), *later = write_adapter(&s, members[1]);
    char *path = tempdir_path(old, "session.safetensors");
    lab   l = open_lab(dir[0], old, later, BAMBA_TYPE_F32, 1);
    bamba_session *saved = make_session(&l, 1);
    demand(bamba_session_save(saved, path, NULL, &err), &err);
    o.adapters = &use;
    o.n_adapters = 1;
    for (int i = 1; i >= 0; i--) {
        use.adapter = l.adapter[i];
        const bamba_status status = bamba_session_open(&opened, l.model, path, &o, &err);
        if (i == 0) demand(status, &err);
        else assert_int_equal(status, BAMBA_ERR_ARGUMENT);
        if (i > 0) assert_non_null(strstr(err.message, "other adapters"));
        bamba_session_free(opened);
    }
    bamba_session_free(saved);
    close_lab(&l);
    free(path);
    store_free(&s);
    tempdir_remove(old);
    tempdir_remove(later);
}

/* -------------------------------------------------------------- files that do not fit ---- */

#define LAYER "base_model.model.model.layers.0.block_sparse_moe."

/* How often some bytes stand in a file. */
static int count_in_file(const char *at, const char *name, const void *bytes, size_t n)
{
    int    count = 0;
    size_t n_file = 0;

    unsigned char *all = tempdir_read(at, name, &n_file);
    for (size_t i = 0; i + n <= n_file; i++) count += memcmp(all + i, bytes, n) == 0;
    free(all);
    return count;
}

/* A router in place of the model's is merged as it is, into a model in bfloat16 too. */
static void test_merged_router(void **unused)
{
    char                *model = write_model(&jamba, "BF16"), *out = tempdir_make();
    store                s = { NULL, 0, 0 };
    bamba_model_options  mo = BAMBA_MODEL_OPTIONS;
    bamba_error          err;

    (void)unused;
    add_pair(&s, &jamba, 1, "experts", D, F, RANK * E);
    lora_add_tensor(&s, "base_model.model.model.layers.0.feed_forward.router.weight", 2,
                    (const size_t[]){ E, D }, 0.5f, 77);
    char *adapter = write_adapter(&s, "\"target_parameters\": [\"experts.down_proj\"], "
                                  "\"modules_to_save\": [\"router\"]");
    const bamba_adapter_source source = { adapter, 1.0f };
    const store_tensor        *router = &s.tensor[s.n - 1];
    demand(bamba_merge(model, out, &source, 1, &mo, NULL, &err), &err);
    assert_int_equal(count_in_file(out, "model.safetensors", router->data, router->bytes), 1);
    tempdir_remove(out);
    tempdir_remove(adapter);
    tempdir_remove(model);
    store_free(&s);
}

/* What is done to a good adapter of Granite's parameters: a tensor gets this shape, or another
   name, or is dropped. */
static const struct { const char *members, *tensor, *name; size_t dim[2]; const char *word, *more; }
bad[] = {
    { NEW, "experts.base_layer.lora_A.weight", NULL, { RANK * E - 1, D },
      "experts.base_layer.lora_A", "expected F32 [18, 32], found F32 [17, 32]" },
    { NEW, "experts.base_layer.lora_B.weight", NULL, { 2 * F, RANK }, "experts.base_layer.lora_B",
      "expected F32 [32, 18], found F32 [32, 3]" },
    { NEW, "experts.lora_A.weight", NULL, { RANK * E, D + 1 }, "experts.lora_A",
      "expected F32 [18, 16], found F32 [18, 33]" },
    { NEW, "experts.lora_A.weight", NULL, { RANK * E, D }, "experts.lora_B",     /* turned, B not */
      "expected F32 [16, 18], found F32 [32, 18]" },
    { NEW, "router.lora_B.weight", NULL, { E, RANK + 1 }, "router.lora_B",
      "expected F32 [6, 3], found F32 [6, 4]" },
    { NEW, "experts.lora_B.weight", NULL, { 0 }, "experts.lora_A", "is missing" },
    { NEW, "experts.lora_B.weight", "experts.base_layer.base_layer.lora_B.weight", { 0 },
      "experts.base_layer.base_layer.lora_B", "expected at most 1 '.base_layer'" },
    { NEW, "experts.lora_B.weight", "experts.lora_B.bias", { D, 0 }, "experts.lora_B.bias",
      "for a parameter of experts" },
    { NEW, "experts.lora_B.weight", "input_linear.lora_B.weight", { 0 }, "target_parameters",
      "block_sparse_moe.input_linear.weight" },
    { NEW, "experts.lora_B.weight", "other.lora_B.weight", { 0 }, "other.lora_B",
      "no linear layer" },
    { "\"target_parameters\": [\"router.weight\"]", NULL, NULL, { 0 }, "target_parameters",
      "block_sparse_moe.experts." },
    { "\"target_parameters\": [\"experts.down_proj\"]", NULL, NULL, { 0 }, "experts.base_layer",
      "expected at most 0 '.base_layer'" },
    { NEW ", \"rank_pattern\": {\"experts.down_proj\": 4}", NULL, NULL, { 0 }, "experts.lora_A",
      "expected F32 [24, 16], found F32 [18, 16]" },
    { "\"target_parameters\": \"experts\"", NULL, NULL, { 0 }, "target_parameters", "list" },
    { "\"target_parameters\": [3]", NULL, NULL, { 0 }, "target_parameters", "" },
};

/* Apply case i to the adapter. */
static void spoil(store *s, size_t i)
{
    char name[120];
    int  n_dims = 0;

    if (!bad[i].tensor) return;
    snprintf(name, sizeof name, LAYER "%s", bad[i].tensor);
    store_tensor *t = store_find(s, name);
    assert_non_null(t);
    while (n_dims < 2 && bad[i].dim[n_dims]) n_dims++;
    if (n_dims > 0) store_reshape(t, "F32", n_dims, bad[i].dim);
    else if (!bad[i].name) store_drop(s, name);
    if (bad[i].name) snprintf(t->name, sizeof t->name, LAYER "%s", bad[i].name);
}

/* Refused in one line that has both words. */
static void test_refused(void **unused)
{
    bamba_error    err;
    bamba_model   *m;
    bamba_adapter *a;

    (void)unused;
    demand(bamba_model_open(&m, dir[0], NULL, &err), &err);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        store s = { NULL, 0, 0 };
        add_parameters(&s, &granite, "experts.base_layer", "experts", "router");
        spoil(&s, i);
        char *at = write_adapter(&s, bad[i].members);
        const bamba_status status = bamba_adapter_open(&a, m, at, NULL, &err);
        expect_line(bad[i].word, status, &err, bad[i].word, bad[i].more);
        assert_null(a);
        tempdir_remove(at);
        store_free(&s);
    }
    bamba_model_free(m);
}

/* Each allocation on the way fails once: an error, and nothing leaks. */
static void test_out_of_memory(void **unused)
{
    bamba_adapter_options o = BAMBA_ADAPTER_OPTIONS;
    bamba_error           err;
    bamba_model          *m;
    bamba_adapter        *a;
    fault                 f = { 0 };

    (void)unused;
    demand(bamba_model_open(&m, dir[1], NULL, &err), &err);
    bamba_status status = BAMBA_ERR_MEMORY;
    for (size_t i = 1; status != BAMBA_OK; i++) {
        f = (fault){ .fail_at = i };
        o.allocator = fault_allocator(&f);
        status = bamba_adapter_open(&a, m, new_names[1], &o, &err);
        if (status != BAMBA_OK) assert_int_equal(status, BAMBA_ERR_MEMORY);
        bamba_adapter_free(a);
        assert_int_equal(f.n_live, 0);
    }
    bamba_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_mixed_batch),
        cmocka_unit_test(test_merged),
        cmocka_unit_test(test_turned),
        cmocka_unit_test(test_turned_is_another),
        cmocka_unit_test(test_merged_router),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, set_up, clean_up);
}
