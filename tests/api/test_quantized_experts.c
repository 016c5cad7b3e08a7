/* test_quantized_experts.c - stacks of experts that others have quantized, as llm-compressor packs
 * Granite's: logits are those of the decoded weights; written anew they stay stacks; and what does
 * not fit is refused in one line. */
#include "bamba.h"

#include "support/lora.h"
#include "support/refused.h"
#include "support/running.h"
#include "support/tempdir.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { V = 96, D = 32, F = 16, E = 6, N = 40 };

#define CONFIG "{\"model_type\": \"granitemoehybrid\", \"layer_types\": [\"attention\"], " \
               "\"shared_intermediate_size\": 16, \"num_local_experts\": 6, "                      \
               "\"vocab_size\": 96, \"hidden_size\": 32, \"num_hidden_layers\": 1, "               \
               "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, "                          \
               "\"intermediate_size\": 16, \"num_experts_per_tok\": 2, "                           \
               "\"max_position_embeddings\": 256, \"tie_word_embeddings\": true, "                 \
               "\"torch_dtype\": \"float32\""
#define QUANTIZED(strategy) CONFIG ", \"quantization_config\": {\"quant_method\": " \
               "\"compressed-tensors\", \"format\": \"float-quantized\", \"config_groups\": {"     \
               "\"group_0\": {\"targets\": [\"Linear\"], \"weights\": {\"num_bits\": 8, "          \
               "\"type\": \"float\", \"strategy\": \"" strategy "\"}}}}}"

#define EXPERTS "model.layers.0.block_sparse_moe."

static float decode_f8(uint8_t code)
{
    const int   e = code >> 3 & 15, m = code & 7;
    const float size = e ? ldexpf((float)(8 + m), e - 10) : ldexpf((float)m, -9);
    return code & 0x80 ? -size : size;
}

/* A stack [E, rows, cols] as codes with a scale for each row or each matrix in *quantized, and as
   what they stand for in *floats. */
static void add_stack(store *quantized, store *floats, const char *name, size_t rows, size_t cols,
                      bool by_row)
{
    static uint8_t code[E * 2 * F * D];
    static float   value[E * 2 * F * D], scale[E * 2 * F];
    const size_t   dim[] = { E, rows, cols }, scale_dim[] = { E, by_row ? rows : 1, 1 };
    const size_t   n_rows = by_row ? rows : 1, part = rows / n_rows * cols;
    char           full[120];
    unsigned       x = (unsigned)rows;

    for (size_t i = 0; i < E * n_rows; i++) scale[i] = 0.0005f * (float)(1 + i * 7 % 5);
    for (size_t i = 0; i < E * rows * cols; i++) {
        x = x * 1664525u + 1013904223u;
        code[i] = (uint8_t)(x >> 24);
        if ((code[i] & 0x7F) == 0x7F) code[i] ^= 1;           /* NaN */
        value[i] = decode_f8(code[i]) * scale[i / part];
    }
    snprintf(full, sizeof full, EXPERTS "%s.weight", name);
    store_add_bytes(quantized, full, "F8_E4M3", 3, dim, code);
    store_add(floats, full, "F32", 3, dim, value);
    snprintf(full, sizeof full, EXPERTS "%s.weight_scale", name);
    store_add(quantized, full, "F32", 3, scale_dim, scale);
}

static void add_rest(store *s)
{
    static const struct { const char *name; size_t dim[2]; float scale; } rest[] = {
        { "model.embed_tokens.weight", { V, D }, 1.0f }, { "model.norm.weight", { D }, 1.0f },
        { "model.layers.0.input_layernorm.weight", { D }, 1.0f },
        { "model.layers.0.post_attention_layernorm.weight", { D }, 1.0f },
        { "model.layers.0.self_attn.q_proj.weight", { D, D }, 0.3f },
        { "model.layers.0.self_attn.k_proj.weight", { D / 2, D }, 0.3f },
        { "model.layers.0.self_attn.v_proj.weight", { D / 2, D }, 0.3f },
        { "model.layers.0.self_attn.o_proj.weight", { D, D }, 0.3f },
        { "model.layers.0.shared_mlp.input_linear.weight", { 2 * F, D }, 0.3f },
        { "model.layers.0.shared_mlp.output_linear.weight", { D, F }, 0.3f },
        { EXPERTS "router.layer.weight", { E, D }, 0.5f },
    };

    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++)
        lora_add_tensor(s, rest[i].name, rest[i].dim[1] ? 2 : 1, rest[i].dim, rest[i].scale, i + 3);
}

static void make_stores(store *quantized, store *floats, bool by_row)
{
    *quantized = *floats = (store){ NULL, 0, 0 };
    add_rest(quantized);
    add_rest(floats);
    add_stack(quantized, floats, "input_linear", 2 * F, D, by_row);
    add_stack(quantized, floats, "output_linear", D, F, by_row);
}

static char *write_dir(const store *s, const char *config)
{
    char *dir = tempdir_make();

    assert_non_null(dir);
    tempdir_write_text(dir, "config.json", config);
    store_write(s, 0, s->n, dir, "model.safetensors");
    return dir;
}

/* Logits [V] behind N tokens, whose routes pass all experts. */
static void run(const char *dir, bamba_type type, float *out)
{
    const bamba_model_options o = running_model_options(type);
    bamba_model *m;
    bamba_error  err;
    int32_t      tokens[N];

    if (bamba_model_open(&m, dir, &o, &err) != BAMBA_OK) fail_msg("%s", err.message);
    bamba_engine   *e = running_engine(m, NULL);
    bamba_session  *s = running_session(m, NULL);
    bamba_feed_item item = { .session = s, .tokens = tokens, .n = N, .n_logits = 1 };
    for (int i = 0; i < N; i++) tokens[i] = (i * 31 + 3) % V;
    if (bamba_feed_batch(e, &item, 1, &err) != BAMBA_OK) fail_msg("%s", err.message);
    memcpy(out, item.logits, V * sizeof *out);
    bamba_session_free(s);
    bamba_engine_free(e);
    bamba_model_free(m);
}

/* The directory that bamba_quantize makes of dir. */
static char *rewrite(const char *dir, bamba_type type)
{
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    char               *out = tempdir_make();
    bamba_error         err;

    o.weight_type = type;
    assert_non_null(out);
    if (bamba_quantize(dir, out, &o, NULL, &err) != BAMBA_OK) fail_msg("%s", err.message);
    return out;
}

static void check(bool by_row)
{
    store quantized, floats;
    float want[V], found[V];

    make_stores(&quantized, &floats, by_row);
    char *codes = write_dir(&quantized, by_row ? QUANTIZED("channel") : QUANTIZED("tensor"));
    char *plain = write_dir(&floats, CONFIG "}");
    run(plain, BAMBA_TYPE_F32, want);
    run(codes, BAMBA_TYPE_F32, found);
    assert_memory_equal(found, want, sizeof want);
    run(codes, BAMBA_TYPE_DEFAULT, found);
    assert_true(running_distance(found, want, V) <= 1e-2f * running_largest(want, V));

    char *again = rewrite(codes, BAMBA_TYPE_F32);
    run(again, BAMBA_TYPE_DEFAULT, found);
    assert_memory_equal(found, want, sizeof want);

    run(codes, BAMBA_TYPE_Q8, want);                  /* our own blocks, and back from them */
    char *blocks = rewrite(codes, BAMBA_TYPE_Q8), *back = rewrite(blocks, BAMBA_TYPE_F32);
    run(blocks, BAMBA_TYPE_DEFAULT, found);
    assert_memory_equal(found, want, sizeof want);
    run(blocks, BAMBA_TYPE_F32, want);
    run(back, BAMBA_TYPE_DEFAULT, found);
    assert_memory_equal(found, want, sizeof want);

    char *const dirs[] = { codes, plain, again, blocks, back };
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) tempdir_remove(dirs[i]);
    store_free(&quantized);
    store_free(&floats);
}

static void test_scales_of_rows(void **unused)
{
    (void)unused;
    check(true);
}

static void test_scales_of_matrices(void **unused)
{
    (void)unused;
    check(false);
}

/* A part of a good checkpoint in another shape, or under another name. */
static void test_refusals(void **unused)
{
    static const struct {
        const char *part, *now;           /* now: its part from now on; NULL: the same */
        int         n_dims;
        size_t      dim[4];
        const char *words;
    } bad[] = {
        { "weight_scale", NULL, 3, { E - 1, 2 * F, 1 }, "a stack of 6, found F32 [5, 32" },
        { "weight_scale", NULL, 4, { E, 2 * F, 1, 1 }, "expected a stack of 6, found F32 [6, 32" },
        { "weight_scale", NULL, 0, { 0 }, "expected a stack of 6, found F32 []" },
        { "weight_scale", NULL, 3, { E, 2 * F, 2 }, "expected F32 [32, 1], found F32 [32, 2]" },
        { "weight_scale", "input_scale", 3, { E, 2 * F, 1 }, "weight_scale': expected this" },
        { "weight", NULL, 2, { E * 2 * F, D }, "a stack of 6, found F8_E4M3 [192, 32]" },
        { "weight", NULL, 3, { E, D, 2 * F + 1 }, "F8_E4M3 [32, 32], found F8_E4M3 [32, 33]" },
        { "weight", "weight_packed", 3, { E, 2 * F, D }, "packed codes, or with zeros" },
    };

    (void)unused;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        store        quantized, floats;
        bamba_model *m = NULL;
        bamba_error  err;
        char         name[120];

        make_stores(&quantized, &floats, true);
        snprintf(name, sizeof name, EXPERTS "input_linear.%s", bad[i].part);
        store_tensor *t = store_find(&quantized, name);
        store_reshape(t, strcmp(bad[i].part, "weight") == 0 ? "F8_E4M3" : "F32", bad[i].n_dims,
                      bad[i].dim);
        if (bad[i].now)
            snprintf(t->name, sizeof t->name, EXPERTS "input_linear.%s", bad[i].now);
        char *dir = write_dir(&quantized, QUANTIZED("channel"));
        const bamba_status status = bamba_model_open(&m, dir, NULL, &err);
        bamba_model_free(m);
        expect_line(bad[i].words, status, &err, "input_linear", bad[i].words);
        tempdir_remove(dir);
        store_free(&quantized);
        store_free(&floats);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scales_of_rows),
        cmocka_unit_test(test_scales_of_matrices),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
