/* test_hostile.c - over 600 damaged model directories through the public interface: each is refused
 * with a status and one line that names the culprit, and nothing leaks.
 *
 * Every case starts from a good directory (which is opened once, to know that it is good) and
 * changes one thing. Long because it is a list. */
#include "bamba.h"

#include "support/fault.h"
#include "support/refused.h"
#include "support/tempdir.h"
#include "support/tiny.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static const char CONFIG[] = "config.json";
static const char WEIGHTS[] = "model.safetensors";
static const char INDEX[] = "model.safetensors.index.json";

static const tiny_dims DIMS = TINY_DIMS;

static char *dir;                         /* of the running test */
static int   n_cases;                     /* of all tests */

static int make_good(void **state)
{
    (void)state;
    dir = tempdir_make();
    tiny_write(&DIMS, dir);
    return 0;
}

static int remove_it(void **state)
{
    (void)state;
    tempdir_remove(dir);
    return 0;
}

/* -------------------------------------------------------------- judging ------------------ */

static bamba_status open_it(bamba_error *err)
{
    fault               f = { 0 };
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_model        *m = (bamba_model *)&f;        /* rubbish that a failure must clear */

    o.allocator = fault_allocator(&f);
    o.n_threads = 1;
    *err = (bamba_error){ BAMBA_OK, "" };
    const bamba_status status = bamba_model_open(&m, dir, &o, err);
    if (status == BAMBA_OK) bamba_model_free(m);
    else if (m) fail_msg("a failed open left a model: %s", err->message);
    if (f.n_live) fail_msg("%zu blocks leaked: %s", f.n_live, err->message);
    return status;
}

static void expect_good(const char *what)
{
    bamba_error err;
    if (open_it(&err) != BAMBA_OK) fail_msg("%s: %s", what, err.message);
}

/* The directory as it stands must be refused in a line that has both words. */
static void expect_refused(const char *what, const char *word, const char *more)
{
    bamba_error        err;
    const bamba_status status = open_it(&err);

    n_cases++;
    expect_line(what, status, &err, word, more);
}

static void config_text(const char *text, const char *word)
{
    tempdir_write_text(dir, CONFIG, text);
    expect_refused(text, CONFIG, word);
}

/* config.json with one member changed (NULL: left out), refused with these words. */
static void config_member(const char *key, const char *value, const char *word)
{
    char *text = tiny_config(&DIMS, key, value);
    char  what[256];

    snprintf(what, sizeof what, "config.json: %s: %.100s", key, value ? value : "(missing)");
    tempdir_write_text(dir, CONFIG, text);
    expect_refused(what, word, "");
    free(text);
}

/* -------------------------------------------------------------- config.json -------------- */

static void test_good(void **state)
{
    (void)state;
    expect_good("the directory that all cases are made from");
}

static void test_config_integers(void **state)
{
    static const char *const keys[] = {
        "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
        "num_key_value_heads", "mamba_d_conv", "mamba_d_head", "mamba_d_state", "mamba_expand",
        "mamba_n_groups", "mamba_n_heads", "vocab_size",
    };
    static const char *const values[] = {
        "\"32\"", "32.0", "1.5", "[]", "{}", "true", "0", "-1", "16777217", "2147483648",
        "4294967328", "9223372036854775807", "-9223372036854775808", "1e3",
    };

    (void)state;
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++)
            config_member(keys[k], values[v], keys[k]);
}

static void test_config_other_kinds(void **state)
{
    static const struct {
        const char *key, *value;
    } bad[] = {
        { "mamba_conv_bias", "1" }, { "mamba_conv_bias", "\"true\"" },
        { "mamba_conv_bias", "[]" },
        { "mamba_proj_bias", "0" }, { "mamba_proj_bias", "\"\"" }, { "mamba_proj_bias", "{}" },
        { "tie_word_embeddings", "1" }, { "tie_word_embeddings", "\"no\"" },
        { "rms_norm_eps", "\"1e-5\"" }, { "rms_norm_eps", "-1" }, { "rms_norm_eps", "2" },
        { "rms_norm_eps", "Infinity" }, { "rms_norm_eps", "[]" }, { "rms_norm_eps", "true" },
        { "rope_theta", "\"10000\"" }, { "rope_theta", "0" }, { "rope_theta", "-5" },
        { "rope_theta", "Infinity" }, { "rope_theta", "[]" },
        { "partial_rotary_factor", "2" }, { "partial_rotary_factor", "-0.5" },
        { "partial_rotary_factor", "\"half\"" },
        { "attn_rotary_emb", "3" }, { "attn_rotary_emb", "10" }, { "attn_rotary_emb", "-2" },
        { "attn_rotary_emb", "\"4\"" }, { "attn_rotary_emb", "1.5" },
        { "time_step_limit", "3" }, { "time_step_limit", "\"x\"" }, { "time_step_limit", "{}" },
        { "time_step_limit", "[]" }, { "time_step_limit", "[0.1]" },
        { "time_step_limit", "[0, 1, 2]" }, { "time_step_limit", "[1, 0.5]" },
        { "time_step_limit", "[-1, 1]" }, { "time_step_limit", "[0, \"y\"]" },
        { "time_step_limit", "[null, 1]" }, { "time_step_limit", "[Infinity, Infinity]" },
        { "time_step_limit", "[0, {\"__float__\": \"NaN\"}]" },
        { "attn_layer_indices", "1" }, { "attn_layer_indices", "\"1\"" },
        { "attn_layer_indices", "{\"1\": true}" }, { "attn_layer_indices", "[3]" },
        { "attn_layer_indices", "[1, -1]" }, { "attn_layer_indices", "[1.0]" },
        { "attn_layer_indices", "[\"1\"]" }, { "attn_layer_indices", "[[1]]" },
        { "attn_layer_indices", "[null]" }, { "attn_layer_indices", "[1, 1, 1, 1]" },
        { "attn_layer_indices", "[9223372036854775807]" },
        { "hidden_act", "\"gelu\"" }, { "hidden_act", "3" }, { "hidden_act", "[]" },
        { "model_type", "\"gpt2\"" }, { "model_type", "3" }, { "model_type", "[]" },
        { "model_type", "\"bamba \"" }, { "model_type", "\"\\u0000bamba\"" },
        { "max_position_embeddings", "\"x\"" }, { "max_position_embeddings", "-1" },
        { "max_position_embeddings", "1.5" }, { "max_position_embeddings", "2147483648" },
        { "bos_token_id", "\"x\"" }, { "bos_token_id", "1.5" }, { "bos_token_id", "[1]" },
        { "eos_token_id", "\"x\"" }, { "eos_token_id", "1.5" }, { "eos_token_id", "{}" },
        { "eos_token_id", "[1, \"x\"]" }, { "eos_token_id", "[1, null]" },
        { "rope_scaling", "3" }, { "rope_scaling", "\"linear\"" }, { "rope_scaling", "[]" },
        { "rope_scaling", "{\"type\": \"linear\", \"factor\": 0}" },
        { "rope_scaling", "{\"rope_type\": \"yarn\"}" },
        { "rope_scaling", "{\"rope_type\": 3}" }, { "rope_scaling", "{\"type\": \"linear\"}" },
        { "rope_scaling", "{\"type\": \"bogus\", \"factor\": 2}" },
        { "rope_scaling", "{\"type\": \"linear\", \"factor\": \"2\"}" },
        { "rope_scaling", "{\"type\": \"linear\", \"factor\": Infinity}" },
        { "rope_scaling", "{\"type\": \"yarn\", \"factor\": 2, \"beta_fast\": -1}" },
        { "rope_scaling", "{\"rope_type\": \"llama3\", \"factor\": 8}" },
        { "rope_scaling", "{\"rope_type\": \"longrope\", \"factor\": 2}" },
        { "rope_scaling", "{\"rope_type\": \"longrope\", \"factor\": 2,"
                          " \"short_factor\": [1, \"x\"], \"long_factor\": [1, 1]}" },
        { "rope_scaling", "{\"full_attention\": {\"rope_type\": \"default\"}}" },
        { "mamba_d_head", "\"automatic\"" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        config_member(bad[i].key, bad[i].value, bad[i].key);
}

/* Values that are right alone and wrong beside the others. */
static void test_config_contradicts_itself(void **state)
{
    static const struct {
        const char *key, *value, *word;
    } bad[] = {
        { "mamba_n_heads", "7", "mamba_n_heads" }, { "mamba_n_heads", "128", "mamba_n_heads" },
        { "mamba_d_head", "16", "mamba_d_head" }, { "mamba_d_head", "7", "mamba_d_head" },
        { "mamba_n_groups", "3", "mamba_n_groups" },
        { "mamba_n_groups", "16", "mamba_n_groups" },
        { "mamba_expand", "3", "mamba" }, { "hidden_size", "33", "hidden_size" },
        { "num_attention_heads", "3", "num_attention_heads" },
        { "num_attention_heads", "64", "num_attention_heads" },
        { "num_key_value_heads", "3", "num_key_value_heads" },
        { "num_key_value_heads", "8", "num_key_value_heads" },
        { "hidden_size", "16777216", "mamba" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        config_member(bad[i].key, bad[i].value, bad[i].word);
}

/* A config that is right in itself and describes another model than the tensors. */
static void test_config_contradicts_tensors(void **state)
{
    static const struct {
        const char *key, *value, *word;
    } bad[] = {
        { "vocab_size", "97", "model.embed_tokens.weight" },
        { "vocab_size", "16777216", "model.embed_tokens.weight" },
        { "vocab_size", "1", "model.embed_tokens.weight" },
        { "intermediate_size", "49", "feed_forward.gate_proj.weight" },
        { "num_hidden_layers", "4", "model.layers.3." },
        { "num_hidden_layers", "4096", "model.layers.3." },
        { "attn_layer_indices", "[]", "model.layers.1." },
        { "attn_layer_indices", "[0]", "model.layers.0." },
        { "attn_layer_indices", "[1, 2]", "model.layers.2." },
        { "attn_layer_indices", "null", "model.layers.1." },
        { "mamba_d_state", "17", "mamba.in_proj.weight" },
        { "mamba_d_state", "16777216", "" },
        { "mamba_n_groups", "1", "mamba.in_proj.weight" },
        { "mamba_d_conv", "3", "mamba.conv1d.weight" },
        { "mamba_d_conv", "64", "mamba.conv1d.weight" },
        { "mamba_conv_bias", "false", "mamba.conv1d.bias" },
        { "mamba_proj_bias", "true", "mamba.in_proj.bias" },
        { "num_key_value_heads", "1", "self_attn.k_proj.weight" },
        { "num_key_value_heads", "4", "self_attn.k_proj.weight" },
        { "num_attention_heads", "2", "self_attn.k_proj.weight" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        config_member(bad[i].key, bad[i].value, bad[i].word);
}

/* Left out, a key takes the class's default; the tensors or the other keys contradict it. */
static void test_config_members_missing(void **state)
{
    static const struct {
        const char *key, *word;
    } bad[] = {
        { "hidden_size", "" }, { "intermediate_size", "feed_forward" },
        { "num_hidden_layers", "model.layers.3." }, { "num_attention_heads", "self_attn" },
        { "num_key_value_heads", "num_key_value_heads" }, { "mamba_d_state", "mamba.in_proj" },
        { "mamba_n_heads", "mamba_n_heads" }, { "mamba_n_groups", "mamba.in_proj" },
        { "vocab_size", "model.embed_tokens" }, { "attn_layer_indices", "model.layers.1." },
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        config_member(bad[i].key, NULL, bad[i].word);
    config_text("{\"hidden_size\": 32}", "model_type");
    config_text("{\"architectures\": [\"GPT2LMHeadModel\"]}", "GPT2LMHeadModel");
    config_text("{\"architectures\": []}", "model_type");
    config_text("{\"architectures\": [3], \"model_type\": null}", "model_type");
}

static void test_config_is_not_json(void **state)
{
    static const char *const text[] = {
        "", " ", "\n", "[]", "null", "3", "\"bamba\"", "{", "{}",
        "{\"model_type\": \"bamba\",}",
        "{\"model_type\": \"bamba\"}}", "{'model_type': 'bamba'}", "{model_type: \"bamba\"}",
        "{\"model_type\": \"bamba\"} // Bamba", "\xEF\xBB\xBF{\"model_type\": \"bamba\"}",
        "{\"model_type\": \"bamba\", \"model_type\": \"bamba\"}",
        "{\"model_type\": \"bamba\", \"model\\u005ftype\": \"bamba\"}",
        "{\"model_type\": \"bamba\", \"x\": \"\xFF\"}",
        "{\"model_type\": \"bamba\", \"\xC3\": 1}",
        "{\"model_type\": \"bamba\", \"x\": NaN}", "{\"model_type\": \"bamba\", \"x\": 1e999}",
        "{\"model_type\": \"bamba\", \"x\": 99999999999999999999}",
        "{\"model_type\": \"bamba\", \"x\": 01}",
        "{\"model_type\": \"bamba\", \"x\": \"\\ud800\"}",
        "{\"model_type\": \"bamba\", \"x\": \"a\nb\"}", "{\"a\\u0000b\": 1}",
        "\177ELF", "PK\x03\x04", "<html></html>",
        "version https://git-lfs.github.com/spec/v1\n",
    };
    enum { DEEP = 100000 };
    char *deep = malloc(DEEP + 1);

    (void)state;
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) config_text(text[i], "");
    memset(deep, '[', DEEP);
    deep[DEEP] = '\0';
    config_text(deep, "");
    for (size_t i = 0; i + 5 <= DEEP; i += 5) memcpy(deep + i, "{\"a\":", 5);
    config_text(deep, "");
    free(deep);
    tempdir_write(dir, CONFIG, "{\"model_type\": \"bamba\"}\0", 24);
    expect_refused("NUL behind the value", CONFIG, "");
}

static void test_config_truncated(void **state)
{
    char  *text = tiny_config(&DIMS, NULL, NULL);
    size_t n = strlen(text);

    (void)state;
    while (text[n - 1] != '}') n--;
    for (size_t cut = 0; cut < n; cut += 17) {
        tempdir_write(dir, CONFIG, text, cut);
        expect_refused("config.json cut off", CONFIG, "");
    }
    free(text);
}

static void test_files_missing(void **state)
{
    char *path = tempdir_path(dir, CONFIG);

    (void)state;
    tempdir_delete(dir, CONFIG);
    expect_refused("no config.json", CONFIG, "no such file");
    assert_int_equal(mkdir(path, 0700), 0);
    expect_refused("config.json is a directory", CONFIG, "a directory");
    free(path);
    tempdir_empty(dir);
    tiny_write(&DIMS, dir);
    tempdir_delete(dir, WEIGHTS);
    expect_refused("no weights", WEIGHTS, "neither");
    tempdir_write(dir, "model.gguf", "GGUF", 4);
    expect_refused("GGUF only", "model.gguf", "GGUF is not read yet");

    char *kept = dir;
    dir = tempdir_path(kept, "nowhere");
    expect_refused("no directory", "nowhere", "no such directory");
    free(dir);
    dir = tempdir_path(kept, CONFIG);
    expect_refused("a file as directory", CONFIG, "expected a directory");
    free(dir);
    dir = kept;
}

static void test_generation_config(void **state)
{
    static const char *const text[] = {
        "", "{", "[]", "3", "{\"eos_token_id\": \"x\"}", "{\"eos_token_id\": [1, 2.5]}",
        "{\"eos_token_id\": {}}", "{\"bos_token_id\": \"x\"}", "{\"bos_token_id\": -2}",
        "{\"bos_token_id\": 4294967296}", "{\"eos_token_id\": 1, \"eos_token_id\": 2}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
        tempdir_write_text(dir, "generation_config.json", text[i]);
        expect_refused(text[i], "generation_config.json", "");
    }
}

/* -------------------------------------------------------------- tensors ------------------ */

static void test_each_tensor_missing(void **state)
{
    store all = { NULL, 0, 0 };

    (void)state;
    tiny_tensors(&DIMS, &all);
    for (size_t i = 0; i < all.n; i++) {
        store s = { NULL, 0, 0 };
        tiny_tensors(&DIMS, &s);
        store_drop(&s, all.tensor[i].name);
        tiny_write_tensors(&s, 0, dir);
        expect_refused("a tensor is missing", all.tensor[i].name, "");
        store_free(&s);
    }
    store_free(&all);
}

typedef enum misshape {
    ROW_MORE, COLUMN_LESS, TRANSPOSED, DIM_MORE, EMPTY, N_MISSHAPES
} misshape;

/* False if the shape would be the same. */
static bool misshapen(store_tensor *t, misshape how)
{
    size_t    dim[8];
    int       n_dims = t->n_dims;
    const int last = n_dims - 1;

    memcpy(dim, t->dim, sizeof dim);
    switch (how) {
    case ROW_MORE:    dim[0]++; break;
    case COLUMN_LESS: dim[last]--; break;
    case TRANSPOSED:
        if (n_dims < 2 || dim[0] == dim[last]) return false;
        dim[0] = t->dim[last];
        dim[last] = t->dim[0];
        break;
    case DIM_MORE:    dim[n_dims++] = 1; break;
    case EMPTY:       dim[0] = 0; break;
    case N_MISSHAPES: return false;
    }
    store_reshape(t, t->dtype, n_dims, dim);
    return true;
}

static void test_each_tensor_misshapen(void **state)
{
    store all = { NULL, 0, 0 };

    (void)state;
    tiny_tensors(&DIMS, &all);
    for (size_t i = 0; i < all.n; i++)
        for (misshape how = 0; how < N_MISSHAPES; how++) {
            store s = { NULL, 0, 0 };
            tiny_tensors(&DIMS, &s);
            if (misshapen(&s.tensor[i], how)) {
                tiny_write_tensors(&s, 0, dir);
                expect_refused("a tensor has another shape", all.tensor[i].name, "expected");
            }
            store_free(&s);
        }
    store_free(&all);
}

static void test_wrong_dtype(void **state)
{
    static const char *const names[] = {
        "model.embed_tokens.weight", "model.layers.0.input_layernorm.weight",
        "model.layers.0.mamba.A_log", "model.layers.0.mamba.conv1d.weight",
        "model.layers.1.self_attn.q_proj.weight", "model.final_layernorm.weight",
        "lm_head.weight",
    };
    static const char *const types[] = { "F64", "I16", "U16" };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        for (size_t k = 0; k < sizeof types / sizeof types[0]; k++) {
            store s = { NULL, 0, 0 };
            tiny_tensors(&DIMS, &s);
            store_tensor *t = store_find(&s, names[i]);
            store_reshape(t, types[k], t->n_dims, t->dim);
            tiny_write_tensors(&s, 0, dir);
            expect_refused("a tensor has another type", names[i], types[k]);
            store_free(&s);
        }
}

static void test_superfluous(void **state)
{
    static const char *const names[] = {
        "model.layers.1.mamba.A_log", "model.layers.0.mamba.in_proj.bias",
        "model.layers.1.self_attn.q_proj.bias", "model.layers.0.mamba.in_proj.weight_scal",
        "model.layers.0.feed_forward.gate_proj.bias", "model.layers.2.", "lm_head.bias",
        "model.final_layernorm.bias", "model.embed_tokens.weight_scal",
    };
    const float v[1] = { 1 };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        store  s = { NULL, 0, 0 };
        char   quoted[100];
        tiny_tensors(&DIMS, &s);
        store_add(&s, names[i], "F32", 1, (const size_t[]){ 1 }, v);
        tiny_write_tensors(&s, 0, dir);
        snprintf(quoted, sizeof quoted, "'%s'", names[i]);
        expect_refused("a tensor too many", quoted, WEIGHTS);
        store_free(&s);
    }
    store_write_raw(dir, WEIGHTS, "{}", NULL, 0);
    expect_refused("no tensors at all", "model.embed_tokens.weight", "");
}

/* -------------------------------------------------------------- the weights' file -------- */

static void test_weights_truncated(void **state)
{
    size_t         n;
    unsigned char *file = tempdir_read(dir, WEIGHTS, &n);
    size_t         header = 0;

    (void)state;
    for (int i = 8; i-- > 0;) header = header << 8 | file[i];
    for (size_t cut = 0; cut < 8 + header; cut += cut < 10 ? 1 : header / 25) {
        tempdir_write(dir, WEIGHTS, file, cut);
        expect_refused("cut off in the header", WEIGHTS, "");
    }
    for (size_t cut = 8 + header; cut < n; cut += n / 25) {
        tempdir_write(dir, WEIGHTS, file, cut);
        expect_refused("cut off in the data", WEIGHTS, "");
    }
    tempdir_write(dir, WEIGHTS, file, n - 1);
    char words[100];
    snprintf(words, sizeof words, "the download is incomplete: %zu of %zu bytes", n - 1, n);
    expect_refused("last byte missing", WEIGHTS, words);
    tempdir_write(dir, WEIGHTS, file, n + 1);    /* the reader put a NUL behind it */
    expect_refused("a byte too many", WEIGHTS, "after the last");
    tempdir_write(dir, WEIGHTS, file, n);
    expect_good("whole again");
    free(file);
}

static void test_header_lengths(void **state)
{
    static const uint64_t lengths[] = {
        0, 1, 2, 100000000, 100000001, UINT32_MAX, (uint64_t)INT64_MAX, UINT64_MAX,
        UINT64_MAX - 7, UINT64_MAX - 8,
    };
    size_t         n;
    unsigned char *file = tempdir_read(dir, WEIGHTS, &n);
    uint64_t       real = 0;

    (void)state;
    for (int i = 8; i-- > 0;) real = real << 8 | file[i];
    for (size_t k = 0; k < sizeof lengths / sizeof lengths[0] + 4; k++) {
        const uint64_t off[] = { real - 9, real + 1, real + 8, n };
        const uint64_t length = k < 4 ? off[k] : lengths[k - 4];
        for (int i = 0; i < 8; i++) file[i] = (unsigned char)(length >> 8 * i);
        tempdir_write(dir, WEIGHTS, file, n);
        expect_refused("header length", WEIGHTS, "");
    }
    free(file);
}

/* Text in the header replaced by other text of the same length. */
static void test_header_edits(void **state)
{
    static const struct {
        const char *from, *to, *word;
    } edits[] = {
        { "\"shape\":[96,32]", "\"shape\":[96,33]", "model.embed_tokens.weight" },
        { "\"shape\":[96,32]", "\"shape\":[-9,32]", "model.embed_tokens.weight" },
        { "\"shape\":[96,32]", "\"shape\":[9.,32]", WEIGHTS },
        { "\"shape\":[96,32]", "\"shape\":[9e,32]", WEIGHTS },
        { "\"shape\":[96,32]", "\"shape\":[1.5,2]", "model.embed_tokens.weight" },
        { "\"shape\":[96,32]", "\"shape\":[NaN,2]", WEIGHTS },
        { "\"shape\":[96,32]", "\"shape\":[999999", WEIGHTS },
        { "\"shape\":[96,32]", "\"shope\":[96,32]", "model.embed_tokens.weight" },
        { "\"shape\":[96,32]", "\"shape\":\"96,32\"", "model.embed_tokens.weight" },
        { "\"dtype\":\"F32\"", "\"dtype\":\"F33\"", "F33" },
        { "\"dtype\":\"F32\"", "\"dtype\":\"F16\"", "model.embed_tokens.weight" },
        { "\"dtype\":\"F32\"", "\"dtype\":  3.5", "model.embed_tokens.weight" },
        { "\"dtype\":\"F32\"", "\"dtipe\":\"F32\"", "model.embed_tokens.weight" },
        { "\"data_offsets\":[0,", "\"data_offsets\":[4,", "model.embed_tokens.weight" },
        { "\"data_offsets\":[0,", "\"data_offsets\":[-,", WEIGHTS },
        { "\"data_offsets\":[0,", "\"data_offsets\":[\"0", WEIGHTS },
        { "\"data_offsets\":[12288,", "\"data_offsets\":[12284,", "input_layernorm" },
        { "\"data_offsets\":[12288,", "\"data_offsets\":[12292,", "input_layernorm" },
        { "\"data_offsets\":[12288,", "\"data_offsets\":[99999,", "input_layernorm" },
        { "model.layers.0.mamba.D", "model.layers.2.mamba.D", "model.layers.2.mamba.D" },
        { "model.layers.0.mamba.D", "model.layers.0.mamba.E", "model.layers.0.mamba.D" },
        { "model.layers.0.mamba.D", "model.layers.0.mamba.\xFF", "UTF-8" },
        { "model.layers.0.mamba.D", "model.layers.0.m\\ud800", WEIGHTS },
        { "model.layers.0.mamba.D", "model.layers.0.\\u0000D", WEIGHTS },
        { "{\"format\":\"pt\"}", "[\"format\",\"pt\"]", "__metadata__" },
        { "{\"format\":\"pt\"}", "{\"format\":1234}", "__metadata__" },
        { "__metadata__", "__metadatb__", "__metadatb__" },
    };
    size_t         n;
    unsigned char *file = tempdir_read(dir, WEIGHTS, &n);

    (void)state;
    for (size_t k = 0; k < sizeof edits / sizeof edits[0]; k++) {
        const size_t   length = strlen(edits[k].from);
        unsigned char *copy = malloc(n);
        size_t         at = 8;
        assert_int_equal(strlen(edits[k].to), length);
        while (at + length < n && memcmp(file + at, edits[k].from, length) != 0) at++;
        if (at + length >= n) fail_msg("'%s' is not in the header", edits[k].from);
        memcpy(copy, file, n);
        memcpy(copy + at, edits[k].to, length);
        tempdir_write(dir, WEIGHTS, copy, n);
        expect_refused(edits[k].to, edits[k].word, "");
        free(copy);
    }
    free(file);
}

/* Bytes of header and config.json flipped at random: opened or refused, never worse. */
static void test_random_damage(void **state)
{
    uint32_t random = 2024;

    (void)state;
    for (int which = 0; which < 2; which++) {
        const char    *name = which ? CONFIG : WEIGHTS;
        size_t         n;
        unsigned char *file = tempdir_read(dir, name, &n);
        const size_t   reach = n < 2500 ? n : 2500;
        for (int round = 0; round < 300; round++) {
            unsigned char *copy = malloc(n);
            bamba_error    err;
            memcpy(copy, file, n);
            for (int i = 0; i <= round % 3; i++) {
                random = random * 1664525u + 1013904223u;
                copy[(random >> 8) % reach] ^= (unsigned char)(1u << (random >> 4) % 8);
            }
            tempdir_write(dir, name, copy, n);
            if (open_it(&err) != BAMBA_OK) assert_true(err.message[0] != '\0');
            free(copy);
        }
        tempdir_write(dir, name, file, n);
        free(file);
    }
    expect_good("undamaged");
}

/* -------------------------------------------------------------- shards ------------------- */

static void test_index(void **state)
{
    static const struct {
        const char *text, *word;
    } bad[] = {
        { "", INDEX }, { "{", INDEX }, { "[]", INDEX }, { "{}", "weight_map" },
        { "{\"weight_map\": 3}", "weight_map" }, { "{\"weight_map\": {}}", "weight_map" },
        { "{\"weight_map\": {\"x\": \"../model.safetensors\"}}", "../model.safetensors" },
        { "{\"weight_map\": {\"x\": \"/etc/passwd\"}}", "/etc/passwd" },
        { "{\"weight_map\": {\"x\": \"..\"}}", "weight_map.x" },
        { "{\"weight_map\": {\"x\": \"\"}}", "weight_map.x" },
        { "{\"weight_map\": {\"x\": 5}}", "weight_map.x" },
        { "{\"weight_map\": {\"x\": \"gone.safetensors\"}}", "gone.safetensors" },
        { "{\"weight_map\": {\"x\": \"config.json\"}}", CONFIG },
        { "{\"weight_map\": {\"x\": \"model-00001-of-00003.safetensors\"}}", "'x'" },
        { "{\"weight_map\": {\"lm_head.weight\": \"model-00003-of-00003.safetensors\"}}",
          "model.embed_tokens.weight" },
    };
    tiny_dims d = DIMS;

    (void)state;
    d.n_shards = 3;
    tempdir_empty(dir);
    tiny_write(&d, dir);
    expect_good("three shards");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        tempdir_write_text(dir, INDEX, bad[i].text);
        expect_refused(bad[i].text, bad[i].word, "");
    }
}

static void test_shards(void **state)
{
    static const char *const names[] = {
        "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
        "model-00003-of-00003.safetensors",
    };
    tiny_dims d = DIMS;

    (void)state;
    d.n_shards = 3;
    tempdir_empty(dir);
    tiny_write(&d, dir);
    for (int i = 0; i < 3; i++) {
        size_t         n;
        unsigned char *file = tempdir_read(dir, names[i], &n);
        tempdir_delete(dir, names[i]);
        expect_refused("a shard is missing", names[i], INDEX);
        tempdir_write(dir, names[i], file, 0);
        expect_refused("an empty shard", names[i], "");
        tempdir_write(dir, names[i], file, n - 1);
        expect_refused("a shard cut off", names[i], "");
        tempdir_write(dir, names[i], file, n);
        free(file);
    }
    size_t         n;
    unsigned char *first = tempdir_read(dir, names[0], &n);
    tempdir_write(dir, names[1], first, n);
    expect_refused("one shard in another's place", names[1], INDEX);
    free(first);
    tempdir_delete(dir, INDEX);
    expect_refused("no index", names[0], "index is missing");
}

/* -------------------------------------------------------------- arguments ---------------- */

static void test_arguments(void **state)
{
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_model        *m = NULL;
    bamba_error         err;
    fault               f = { 0 };

    (void)state;
    assert_int_equal(bamba_model_open(NULL, dir, NULL, &err), BAMBA_ERR_ARGUMENT);
    assert_int_equal(bamba_model_open(&m, NULL, NULL, &err), BAMBA_ERR_ARGUMENT);
    assert_int_equal(bamba_model_open(&m, NULL, NULL, NULL), BAMBA_ERR_ARGUMENT);
    o.weight_type = (bamba_type)99;
    assert_int_equal(bamba_model_open(&m, dir, &o, &err), BAMBA_ERR_ARGUMENT);
    o = (bamba_model_options)BAMBA_MODEL_OPTIONS;
    o.kv_type = (bamba_type)-1;
    assert_int_equal(bamba_model_open(&m, dir, &o, &err), BAMBA_ERR_ARGUMENT);
    o = (bamba_model_options)BAMBA_MODEL_OPTIONS;
    o.kv_type = (bamba_type)(BAMBA_TYPE_Q8 + 1);
    assert_int_equal(bamba_model_open(&m, dir, &o, &err), BAMBA_ERR_ARGUMENT);
    for (int type = -1; type < 9; type++) {
        o = (bamba_model_options)BAMBA_MODEL_OPTIONS;
        o.state_type = (bamba_type)type;
        if (type >= BAMBA_TYPE_DEFAULT && type <= BAMBA_TYPE_Q8 && type != BAMBA_TYPE_F16) continue;
        assert_int_equal(bamba_model_open(&m, dir, &o, &err), BAMBA_ERR_ARGUMENT);
        assert_non_null(strstr(err.message, "state_type"));
    }
    o = (bamba_model_options)BAMBA_MODEL_OPTIONS;
    o.cpu = "no such level";
    assert_int_equal(bamba_model_open(&m, dir, &o, &err), BAMBA_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "no such level"));
    o = (bamba_model_options)BAMBA_MODEL_OPTIONS;
    o.n_threads = -1;
    assert_int_equal(bamba_model_open(&m, dir, &o, &err), BAMBA_ERR_ARGUMENT);
    o = (bamba_model_options)BAMBA_MODEL_OPTIONS;
    o.struct_bytes = 0;
    assert_int_equal(bamba_model_open(&m, dir, &o, &err), BAMBA_ERR_ARGUMENT);
    o = (bamba_model_options)BAMBA_MODEL_OPTIONS;
    o.allocator = fault_allocator(&f);
    o.allocator.release = NULL;
    assert_int_equal(bamba_model_open(&m, dir, &o, &err), BAMBA_ERR_ARGUMENT);
    assert_null(m);
    bamba_model_free(NULL);
}

/* The list must not shrink unnoticed. */
static void test_enough_cases(void **state)
{
    (void)state;
    assert_true(n_cases > 600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_config_integers, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_config_other_kinds, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_config_contradicts_itself, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_config_contradicts_tensors, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_config_members_missing, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_config_is_not_json, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_config_truncated, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_files_missing, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_generation_config, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_each_tensor_missing, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_each_tensor_misshapen, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_wrong_dtype, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_superfluous, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_weights_truncated, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_header_lengths, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_header_edits, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_random_damage, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_index, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_shards, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_arguments, make_good, remove_it),
        cmocka_unit_test(test_enough_cases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
