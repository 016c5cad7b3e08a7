/* test_stored_names.c - checkpoints of every family as other programs store them: one of two tied
 * matrices under either name, both, or all names without the prefix of the base model. What such a
 * file says is what the model computes, to the last bit, and in silence unless something is odd. */
#include "bamba.h"

#include "support/config.h"
#include "support/fault.h"
#include "support/store.h"
#include "support/tempdir.h"
#include "support/tiny.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

enum { D = 32, V = 96 };

/* -------------------------------------------------------------- families ----------------- */

typedef struct shape { const char *name; size_t dim[3]; } shape;

typedef struct family {
    const char          *base, *embed, *head, *tie;   /* tie: the key of config.json */
    const config_member *config;                      /* NULL: the tiny Bamba */
    const shape         *shapes;                      /* without embedding and head */
} family;

static const shape llama_shapes[] = {
    { "model.layers.0.input_layernorm.weight", { D } },
    { "model.layers.0.self_attn.q_proj.weight", { D, D } },
    { "model.layers.0.self_attn.k_proj.weight", { 16, D } },
    { "model.layers.0.self_attn.v_proj.weight", { 16, D } },
    { "model.layers.0.self_attn.o_proj.weight", { D, D } },
    { "model.layers.0.post_attention_layernorm.weight", { D } },
    { "model.layers.0.mlp.gate_proj.weight", { 48, D } },
    { "model.layers.0.mlp.up_proj.weight", { 48, D } },
    { "model.layers.0.mlp.down_proj.weight", { D, 48 } },
    { "model.norm.weight", { D } }, { NULL, { 0 } },
};

#define MAMBA_SHAPES(base, inner, channels, heads)                                              \
    { base "layers.0.norm.weight", { inner / 2 } },                                             \
    { base "layers.0.mixer.in_proj.weight", { inner + channels + heads, inner / 2 } },          \
    { base "layers.0.mixer.conv1d.weight", { channels, 1, 4 } },                                \
    { base "layers.0.mixer.conv1d.bias", { channels } },                                        \
    { base "layers.0.mixer.dt_bias", { heads } }, { base "layers.0.mixer.A_log", { heads } },   \
    { base "layers.0.mixer.D", { heads } }, { base "layers.0.mixer.norm.weight", { inner } },   \
    { base "layers.0.mixer.out_proj.weight", { inner / 2, inner } },                            \
    { base "norm_f.weight", { inner / 2 } }, { NULL, { 0 } }

static const shape mamba2_shapes[] = { MAMBA_SHAPES("backbone.", 64, 128, 8) };
static const shape codestral_shapes[] = { MAMBA_SHAPES("model.backbone.", 256, 768, 4) };

#define DECODER(type)                                                                           \
    { "model_type", type }, { "vocab_size", "96" }, { "hidden_size", "32" },                    \
    { "intermediate_size", "48" }, { "num_hidden_layers", "1" }, { "num_attention_heads", "4" },\
    { "num_key_value_heads", "2" }, { "sliding_window", "null" },                               \
    { "tie_word_embeddings", "true" }, { NULL, NULL }
static const config_member llama[] = { DECODER("\"llama\"") };
static const config_member mistral[] = { DECODER("\"mistral\"") };
static const config_member mamba2[] = {
    { "model_type", "\"mamba2\"" }, { "vocab_size", "96" }, { "hidden_size", "32" },
    { "num_hidden_layers", "1" }, { "num_heads", "8" }, { "head_dim", "8" }, { "expand", "2" },
    { "state_size", "16" }, { "n_groups", "2" }, { "tie_word_embeddings", "true" }, { NULL, NULL },
};
static const config_member mamba_ssm[] = {
    { "d_model", "32" }, { "n_layer", "1" }, { "vocab_size", "96" },
    { "ssm_cfg", "{\"layer\": \"Mamba2\", \"headdim\": 8, \"d_state\": 16, \"ngroups\": 2}" },
    { "tie_embeddings", "true" }, { NULL, NULL },
};
static const config_member codestral[] = {
    { "dim", "128" }, { "n_layers", "1" }, { "vocab_size", "96" }, { "n_groups", "2" },
    { "tie_embeddings", "true" }, { NULL, NULL },
};

#define TIE "tie_word_embeddings"
static const family families[] = {
    { "model.", "model.embed_tokens.weight", "lm_head.weight", TIE, NULL, NULL },
    { "model.", "model.embed_tokens.weight", "lm_head.weight", TIE, llama, llama_shapes },
    { "model.", "model.embed_tokens.weight", "lm_head.weight", TIE, mistral, llama_shapes },
    { "backbone.", "backbone.embeddings.weight", "lm_head.weight", TIE, mamba2, mamba2_shapes },
    { "backbone.", "backbone.embedding.weight", "lm_head.weight", "tie_embeddings", mamba_ssm,
      mamba2_shapes },
    { "model.", "model.backbone.embedding.weight", "model.lm_head.weight", "tie_embeddings",
      codestral, codestral_shapes },
};
enum { N_FAMILIES = sizeof families / sizeof families[0] };

static store make_tensors(const family *f)
{
    tiny_dims d = TINY_DIMS;
    store     s = { NULL, 0, 0 };

    d.tied = true;
    if (!f->config) {
        tiny_tensors(&d, &s);
        return s;
    }
    for (const shape *t = f->shapes; t->name; t++)
        store_add_random(&s, t->name, t->dim[2] ? 3 : t->dim[1] ? 2 : 1, t->dim, 0.3f);
    const size_t width = f->config == codestral ? 128 : D;
    store_add_random(&s, f->embed, 2, (const size_t[]){ V, width }, 1);
    return s;
}

/* -------------------------------------------------------------- running ------------------ */

typedef struct heard { int n; char last[256]; } heard;

static void hear(void *context, const char *line)
{
    heard *h = context;

    h->n++;
    snprintf(h->last, sizeof h->last, "%s", line);
}

static char *config_of(const family *f, bool tied)
{
    const tiny_dims     d = TINY_DIMS;
    const config_member change[] = { { f->tie, tied ? "true" : "false" }, { NULL, NULL } };

    return f->config ? config_text(f->config, change)
                     : tiny_config(&d, f->tie, tied ? "true" : "false");
}

/* Open what s and f make, and feed three tokens: their logits [V]. Without `logits`: expect
   refusal, whose message goes to h->last. */
static bamba_status run(const family *f, const store *s, bool tied, bool strict, float *logits,
                        heard *h)
{
    static const int32_t ids[] = { 3, 77, 12 };
    char                *dir = tempdir_make();
    char                *text = config_of(f, tied);
    fault                memory = { 0 };
    bamba_model_options  o = BAMBA_MODEL_OPTIONS;
    bamba_error          err = { BAMBA_OK, "" };
    bamba_model         *m;

    *h = (heard){ 0, "" };
    store_write(s, 0, s->n, dir, "model.safetensors");
    tempdir_write_text(dir, "config.json", text);
    o.allocator = fault_allocator(&memory);
    o.log = hear;
    o.log_context = h;
    o.strict = strict;
    const bamba_status status = bamba_model_open(&m, dir, &o, &err);
    if (status == BAMBA_OK && logits) {
        bamba_engine  *e;
        bamba_session *session;
        const float   *out;
        assert_int_equal(bamba_engine_create(&e, m, NULL, NULL), BAMBA_OK);
        assert_int_equal(bamba_session_create(&session, m, NULL, NULL), BAMBA_OK);
        assert_int_equal(bamba_feed(e, session, ids, 3, &out, NULL), BAMBA_OK);
        memcpy(logits, out, V * sizeof *logits);
        bamba_session_free(session);
        bamba_engine_free(e);
    }
    if (status != BAMBA_OK) {
        if (logits) fail_msg("%s: %s", f->embed, err.message);
        snprintf(h->last, sizeof h->last, "%s", err.message);
    }
    bamba_model_free(m);
    assert_int_equal(memory.n_live, 0);
    free(text);
    tempdir_remove(dir);
    return status;
}

static void expect_same(const family *f, const store *s, const float *wanted, const char *what)
{
    float logits[V];
    heard h;

    run(f, s, true, true, logits, &h);
    if (memcmp(logits, wanted, sizeof logits) != 0)
        fail_msg("%s: %s: other logits", f->embed, what);
    if (h.n) fail_msg("%s: %s: %s", f->embed, what, h.last);
}

static void rename_tensor(store *s, const char *from, const char *to)
{
    store_tensor *t = store_find(s, from);

    assert_non_null(t);
    snprintf(t->name, sizeof t->name, "%s", to);
}

/* Take the prefix of the base model away, or put one more before every name. */
static void rename_all(store *s, const char *base, bool longer)
{
    char name[sizeof s->tensor->name];

    for (size_t i = 0; i < s->n; i++) {
        const char *old = s->tensor[i].name;
        if (strncmp(old, base, strlen(base)) == 0 && !longer) old += strlen(base);
        snprintf(name, sizeof name, "%.12s%.100s", longer ? base : "", old);
        strcpy(s->tensor[i].name, name);
    }
}

static void add_head(const family *f, store *s, bool differs)
{
    const size_t width = store_find(s, f->embed)->dim[1];
    float       *v = calloc(V * width, sizeof *v);

    memcpy(v, store_find(s, f->embed)->data, V * width * sizeof *v);
    if (differs) v[5 * width + 1] += 1;
    store_add(s, f->head, "F32", 2, (const size_t[]){ V, width }, v);
    free(v);
}

/* -------------------------------------------------------------- tests -------------------- */

static void test_same_logits(void **unused)
{
    (void)unused;
    for (int i = 0; i < N_FAMILIES; i++) {
        const family *f = &families[i];
        store         s = make_tensors(f);
        float         wanted[V];
        heard         h;

        run(f, &s, true, true, wanted, &h);
        assert_int_equal(h.n, 0);
        add_head(f, &s, false);
        expect_same(f, &s, wanted, "both, equal");
        store_drop(&s, f->embed);
        expect_same(f, &s, wanted, "the head alone");
        rename_all(&s, f->base, false);
        expect_same(f, &s, wanted, "the head alone, without prefix");
        store_free(&s);

        s = make_tensors(f);
        rename_all(&s, f->base, false);
        expect_same(f, &s, wanted, "without prefix");
        store_free(&s);
        s = make_tensors(f);
        rename_all(&s, f->base, true);
        expect_same(f, &s, wanted, "with another prefix");
        store_free(&s);
    }
}

static void test_matrices_that_differ(void **unused)
{
    (void)unused;
    for (int i = 0; i < N_FAMILIES; i++) {
        const family *f = &families[i];
        store         s = make_tensors(f);
        float         tied[V], wanted[V], logits[V];
        heard         h;

        run(f, &s, true, false, tied, &h);
        add_head(f, &s, true);
        run(f, &s, false, false, wanted, &h);
        assert_int_equal(h.n, 0);
        assert_memory_not_equal(wanted, tied, sizeof tied);
        run(f, &s, true, false, logits, &h);
        assert_memory_equal(logits, wanted, sizeof wanted);
        assert_int_equal(h.n, 1);
        assert_non_null(strstr(h.last, f->head));
        assert_non_null(strstr(h.last, f->embed));
        store_free(&s);
    }
}

/* A head of another shape is no head of this model. */
static void test_head_of_another_shape(void **unused)
{
    (void)unused;
    for (int i = 0; i < N_FAMILIES; i++) {
        store s = make_tensors(&families[i]);
        heard h;

        store_add_random(&s, families[i].head, 2, (const size_t[]){ V - 1, D }, 1);
        assert_int_equal(run(&families[i], &s, true, false, NULL, &h), BAMBA_ERR_FORMAT);
        assert_non_null(strstr(h.last, families[i].head));
        store_free(&s);
    }
}

/* An untied model saved by its base class lacks the head; nothing can be computed. */
static void test_no_head_at_all(void **unused)
{
    (void)unused;
    for (int i = 0; i < N_FAMILIES; i++) {
        store s = make_tensors(&families[i]);
        heard h;

        assert_int_equal(run(&families[i], &s, false, false, NULL, &h), BAMBA_ERR_FORMAT);
        assert_non_null(strstr(h.last, families[i].head));
        store_free(&s);
    }
}

static void test_needless_tensors(void **unused)
{
    static const char *const needless[] = { "v_head.summary.bias", "score.weight",
                                            "model.vision.patch.weight", "layers.1.mixer.D" };
    (void)unused;
    for (int i = 1; i < N_FAMILIES; i++)  /* the first has three layers, the others one */
        for (int bare = 0; bare <= 1; bare++) {
            const family *f = &families[i];
            store         s = make_tensors(f);
            float         wanted[V], logits[V];
            heard         h;

            if (bare) rename_all(&s, f->base, false);
            run(f, &s, true, false, wanted, &h);
            for (size_t k = 0; k < 4; k++)
                store_add_random(&s, needless[k], 1, (const size_t[]){ 2 }, 1);
            run(f, &s, true, false, logits, &h);
            assert_memory_equal(logits, wanted, sizeof wanted);
            assert_int_equal(h.n, 1);
            assert_non_null(strstr(h.last, "4 tensors"));
            for (size_t k = 0; k < 4; k++) assert_non_null(strstr(h.last, needless[k]));
            assert_int_equal(run(f, &s, true, true, NULL, &h), BAMBA_ERR_FORMAT);
            assert_non_null(strstr(h.last, "'layers.1.mixer.D'"));
            store_free(&s);
        }
}

/* What config.json denies and a module of the model has, with or without the prefix: refused,
   unless it is empty. */
static void test_denied_tensors(void **unused)
{
    static const struct { int family; const char *base, *name; } denied[] = {
        { 1, "model.", "layers.0.self_attn.q_proj.bias" },
        { 1, "model.", "layers.0.self_attn.q_norm.weight" },
        { 1, "model.", "layers.0.post_feedforward_layernorm.weight" },
        { 1, "model.", "embed_tokens.bias" }, { 1, "model.", "norm.bias" },
        { 1, "", "lm_head.bias" }, { 0, "model.", "layers.2.mamba.in_proj.bias" },
        { 3, "backbone.", "layers.0.mixer.extra" },
        { 4, "backbone.", "norm_f.bias" }, { 5, "model.", "lm_head.bias" },
    };

    (void)unused;
    for (size_t i = 0; i < sizeof denied / sizeof denied[0]; i++)
        for (int bare = 0; bare <= 1; bare++) {
            const family *f = &families[denied[i].family];
            store         s = make_tensors(f);
            char          name[100];
            heard         h;

            snprintf(name, sizeof name, "%s%s", bare ? "" : denied[i].base, denied[i].name);
            if (bare) rename_all(&s, f->base, false);
            store_add_random(&s, name, 1, (const size_t[]){ 8 }, 1);
            assert_int_equal(run(f, &s, true, false, NULL, &h), BAMBA_ERR_FORMAT);
            if (!strstr(h.last, name)) fail_msg("%s: %s", name, h.last);
            store_reshape(store_find(&s, name), "F32", 1, (const size_t[]){ 0 });
            assert_int_equal(run(f, &s, true, false, NULL, &h), BAMBA_OK);
            assert_int_equal(h.n, 1);
            store_free(&s);
        }
}

static void test_many_needless_tensors(void **unused)
{
    store s = make_tensors(&families[1]);
    heard h;

    (void)unused;
    for (int i = 0; i < 100; i++) {
        char name[40];
        snprintf(name, sizeof name, "v_head.layer.%d", i);
        store_add_random(&s, name, 1, (const size_t[]){ 1 }, 1);
    }
    assert_int_equal(run(&families[1], &s, true, false, NULL, &h), BAMBA_OK);
    assert_int_equal(h.n, 1);
    assert_non_null(strstr(h.last, "100 tensors"));
    assert_non_null(strstr(h.last, "'v_head.layer.0', "));
    assert_string_equal(h.last + strlen(h.last) - 5, ", ...");
    store_free(&s);
}

/* Packed by GPTQ or AWQ, with nothing said in config.json. */
static void test_packed(void **unused)
{
    store s = make_tensors(&families[1]);
    heard h;

    (void)unused;
    rename_tensor(&s, "model.layers.0.self_attn.q_proj.weight",
                  "model.layers.0.self_attn.q_proj.qweight");
    assert_int_equal(run(&families[1], &s, true, false, NULL, &h), BAMBA_ERR_UNSUPPORTED);
    assert_non_null(strstr(h.last, "q_proj.weight"));
    assert_non_null(strstr(h.last, "quantized checkpoints are not read"));
    store_free(&s);
}

/* -------------------------------------------------------------- no mappings -------------- */

static bool maps_nothing;                 /* the file systems there are */

/* In place of the C library's. */
void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
    if (maps_nothing && fd >= 0) {
        errno = ENODEV;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, at, n, protection, flags, fd, offset);
}

static void test_read_into_memory(void **unused)
{
    store s = make_tensors(&families[0]);
    float wanted[V], logits[V];
    heard h;

    (void)unused;
    run(&families[0], &s, true, false, wanted, &h);
    maps_nothing = true;
    run(&families[0], &s, true, false, logits, &h);
    maps_nothing = false;
    assert_memory_equal(logits, wanted, sizeof wanted);
    assert_int_equal(h.n, 1);
    assert_non_null(strstr(h.last, "of files are read into memory"));
    store_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_logits),
        cmocka_unit_test(test_matrices_that_differ),
        cmocka_unit_test(test_head_of_another_shape),
        cmocka_unit_test(test_no_head_at_all),
        cmocka_unit_test(test_needless_tensors),
        cmocka_unit_test(test_denied_tensors),
        cmocka_unit_test(test_many_needless_tensors),
        cmocka_unit_test(test_packed),
        cmocka_unit_test(test_read_into_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
