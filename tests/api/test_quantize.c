/* test_quantize.c - bamba_quantize: a directory written in another type is used where it lies and
 * gives the logits of the original opened in that type; files beside the weights, refusals, and
 * interruptions, which leave a whole directory or none.
 *
 * Long because one small directory serves every test here. */
#include "bamba.h"

#include "load/checkpoint.h"
#include "support/fault.h"
#include "support/tempdir.h"
#include "support/tiny.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { N_TOKENS = 40, MOST_VOCAB = 128 };

static const bamba_type types[] = {
    BAMBA_TYPE_F32, BAMBA_TYPE_BF16, BAMBA_TYPE_F16, BAMBA_TYPE_Q8, BAMBA_TYPE_Q4
};
enum { N_TYPES = sizeof types / sizeof *types };

static char *program;                     /* argv[0] */
static char *from, *to;                   /* tempdir/in, tempdir/out */

/* -------------------------------------------------------------- directories -------------- */

static int enter(void **state)
{
    tempdir_enter(state);
    from = tempdir_path(tempdir, "in");
    to = tempdir_path(tempdir, "out");
    return mkdir(from, 0777);
}

static int leave(void **state)
{
    free(from);
    free(to);
    return tempdir_leave(state);
}

/* The entries of a directory that are not `except`. */
static int count_entries(const char *dir, const char *except)
{
    DIR *listing = opendir(dir);
    int  n = 0;

    assert_non_null(listing);
    for (const struct dirent *e; (e = readdir(listing));)
        n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && strcmp(e->d_name, except);
    closedir(listing);
    return n;
}

static void forget(const char *path)
{
    char *copy = malloc(strlen(path) + 1);
    strcpy(copy, path);
    tempdir_remove(copy);
}

static void expect_same_file(const char *name)
{
    size_t         n, m;
    unsigned char *a = tempdir_read(from, name, &n), *b = tempdir_read(to, name, &m);

    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    free(a);
    free(b);
}

/* -------------------------------------------------------------- computing ---------------- */

static bamba_status quantize(bamba_type type, uint64_t shard_bytes, bamba_error *err)
{
    bamba_model_options    o = BAMBA_MODEL_OPTIONS;
    bamba_quantize_options q = BAMBA_QUANTIZE_OPTIONS;

    o.weight_type = type;
    o.n_threads = 2;
    q.shard_bytes = shard_bytes;
    return bamba_quantize(from, to, &o, &q, err);
}

static void must_quantize(bamba_type type, uint64_t shard_bytes)
{
    bamba_error err = { BAMBA_OK, "" };
    if (quantize(type, shard_bytes, &err) != BAMBA_OK) fail_msg("%s", err.message);
}

/* Logits after a text, fed as a prompt and token by token. */
static void compute(const char *dir, bamba_type type, float logits[2 * MOST_VOCAB],
                    bamba_model_info *info)
{
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_error         err = { BAMBA_OK, "" };
    bamba_model        *m;
    bamba_engine       *e;
    bamba_session      *s;
    int32_t             tokens[N_TOKENS];
    const float        *l;

    o.weight_type = type;
    if (bamba_model_open(&m, dir, &o, &err) != BAMBA_OK) fail_msg("%s", err.message);
    *info = (bamba_model_info)BAMBA_MODEL_INFO;
    assert_int_equal(bamba_model_info_get(m, info), BAMBA_OK);
    assert_int_equal(bamba_engine_create(&e, m, NULL, &err), BAMBA_OK);
    assert_int_equal(bamba_session_create(&s, m, NULL, &err), BAMBA_OK);
    for (int i = 0; i < N_TOKENS; i++) tokens[i] = (i * 7 + 3) % info->n_vocab;
    memset(logits, 0, 2 * MOST_VOCAB * sizeof *logits);
    assert_int_equal(bamba_feed(e, s, tokens, N_TOKENS, &l, &err), BAMBA_OK);
    memcpy(logits, l, (size_t)info->n_vocab * sizeof *l);
    assert_int_equal(bamba_feed(e, s, tokens, 1, &l, &err), BAMBA_OK);
    memcpy(logits + MOST_VOCAB, l, (size_t)info->n_vocab * sizeof *l);
    bamba_session_free(s);
    bamba_engine_free(e);
    bamba_model_free(m);
}

/* Opened as it is, `to` computes what `from` computes in this type, with all matrices in place. */
static void expect_equal(bamba_type type)
{
    float            wanted[2 * MOST_VOCAB], found[2 * MOST_VOCAB];
    bamba_model_info as_made, converted;

    compute(from, type, wanted, &converted);
    compute(to, BAMBA_TYPE_DEFAULT, found, &as_made);
    assert_memory_equal(wanted, found, sizeof wanted);
    assert_int_equal(as_made.weight_type, type);
    assert_int_equal(as_made.weights_bytes, converted.weights_bytes);
    compute(from, BAMBA_TYPE_DEFAULT, found, &converted);
    assert_int_equal(as_made.resident_bytes, converted.resident_bytes);    /* small tensors alone */
}

static void expect_aligned(void)
{
    fault              f = { 0 };
    const bb_allocator a = fault_allocator(&f);
    bb_checkpoint     *c;
    bamba_error        err;
    int                n = 0;

    assert_int_equal(bb_checkpoint_open(&c, &a, to, &err), BAMBA_OK);
    for (const bb_tensor *t = NULL; (t = bb_checkpoint_untaken(c, t)); n++)
        if (t->bytes % 64 == 0 && (uintptr_t)t->data % 64) fail_msg("%s", t->name);
    assert_true(n > 20);
    bb_checkpoint_close(c);
    assert_int_equal(f.n_live, 0);
}

typedef struct watch { int n, stop_at, signal; uint64_t last; } watch;

/* A bamba_progress_fn: cancels, or ends the process, at one of its calls. */
static int watch_progress(void *context, uint64_t done, uint64_t total)
{
    watch *w = context;

    if (done < w->last || done > total) abort();
    w->last = done;
    if (++w->n != w->stop_at) return 0;
    if (w->signal) raise(w->signal);
    return 1;
}

/* -------------------------------------------------------------- what is written ---------- */

static void check_types(const tiny_dims *d)
{
    tiny_write(d, from);
    for (int i = 0; i < N_TYPES; i++) {
        must_quantize(types[i], 0);
        expect_equal(types[i]);
        expect_aligned();
        assert_int_equal(count_entries(to, ""), 2);
        forget(to);
    }
    tempdir_empty(from);
}

static void test_types(void **state)
{
    static const char *const dtypes[] = { "F32", "BF16", "F16" };
    tiny_dims                d = TINY_DIMS;

    (void)state;
    for (int i = 0; i < 3; i++) {
        d.dtype = dtypes[i];
        d.tied = i == 1;
        d.proj_bias = i == 2;
        d.n_shards = i;
        check_types(&d);
    }
    d.d_model = 80, d.d_mlp = 100, d.n_heads = 5, d.n_kv_heads = 5;        /* no multiples of 64 */
    d.n_vocab = 93, d.ssm_heads = 20;
    check_types(&d);
}

/* Matrices of several tiles, and of more than are made between two reports of progress. */
static void test_large(void **state)
{
    tiny_dims           d = TINY_DIMS;
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    watch               w;
    bamba_error         err;

    (void)state;
    if (getenv("BAMBA_TEST_EMULATED")) skip();        /* minutes */
    d.n_layers = 1;
    d.n_attention = 0;
    d.d_mlp = 300011;
    tiny_write(&d, from);
    o.weight_type = BAMBA_TYPE_F16;
    o.n_threads = 1;
    o.progress = watch_progress;
    o.progress_context = &w;
    for (int k = 0; k < 6; k += 5) {      /* then cancelled inside a matrix */
        w = (watch){ .stop_at = k };
        if (k) forget(to);
        const bamba_status status = bamba_quantize(from, to, &o, NULL, &err);
        assert_int_equal(status, k ? BAMBA_ERR_CANCELLED : BAMBA_OK);
        if (!k) expect_equal(BAMBA_TYPE_F16);
    }
    assert_int_equal(count_entries(tempdir, "in"), 0);
    must_quantize(BAMBA_TYPE_Q8, 0);
    expect_equal(BAMBA_TYPE_Q8);
}

/* What is written does not depend on the level. */
static void test_levels(void **state)
{
    const tiny_dims     d = TINY_DIMS;
    bamba_model_options o = BAMBA_MODEL_OPTIONS;

    (void)state;
    tiny_write(&d, from);
    for (int i = 0; i < N_TYPES; i++) {
        size_t n, m;
        o.weight_type = types[i];
        o.cpu = "c";
        assert_int_equal(bamba_quantize(from, to, &o, NULL, NULL), BAMBA_OK);
        unsigned char *a = tempdir_read(to, "model.safetensors", &n);
        forget(to);
        must_quantize(types[i], 0);
        unsigned char *b = tempdir_read(to, "model.safetensors", &m);
        forget(to);
        assert_int_equal(n, m);
        assert_memory_equal(a, b, n);
        free(a);
        free(b);
    }
}

static void test_shards(void **state)
{
    const tiny_dims d = TINY_DIMS;

    (void)state;
    tiny_write(&d, from);
    for (uint64_t bytes = 1; bytes < 1000000; bytes *= 30) {
        must_quantize(BAMBA_TYPE_Q4, bytes);
        expect_equal(BAMBA_TYPE_Q4);
        expect_aligned();
        const int n = count_entries(to, "");
        assert_true(bytes > 100000 ? n == 2 : n > 3);
        forget(to);
    }
}

static void test_quantized_again(void **state)
{
    const tiny_dims d = TINY_DIMS;
    size_t          n, m;

    (void)state;
    tiny_write(&d, from);
    must_quantize(BAMBA_TYPE_Q4, 0);
    forget(from);
    assert_int_equal(rename(to, from), 0);
    for (int i = 0; i < N_TYPES; i++) {
        must_quantize(types[i], 0);
        expect_equal(types[i]);
        char *config = (char *)tempdir_read(to, "config.json", NULL);
        assert_int_equal(strstr(config, "quantization_config") != NULL, types[i] >= BAMBA_TYPE_Q8);
        free(config);
        if (types[i] != BAMBA_TYPE_Q4) forget(to);
    }
    unsigned char *a = tempdir_read(from, "model.safetensors", &n);
    unsigned char *b = tempdir_read(to, "model.safetensors", &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    free(a);
    free(b);
}

/* A directory as llm-compressor writes it: projections in 8-bit floats, a scale a matrix. */
static void write_fp8(const tiny_dims *d)
{
    static const char quantization[] =
        "{\"quant_method\":\"compressed-tensors\",\"format\":\"float-quantized\",\"config_groups\":"
        "{\"group_0\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":8,\"type\":\"float\","
        "\"strategy\":\"tensor\",\"symmetric\":true}}},\"ignore\":[\"lm_head\"]}";
    store       s = { NULL, 0, 0 };
    const float scale = 0.004f;

    tiny_tensors(d, &s);
    for (size_t i = 0, n = s.n; i < n; i++) {
        store_tensor *t = &s.tensor[i];
        char          name[140];
        if (!strstr(t->name, "_proj.weight")) continue;
        store_reshape(t, "F8_E4M3", t->n_dims, t->dim);
        for (size_t k = 0; k < t->bytes; k++)         /* any finite code */
            t->data[k] = (unsigned char)(k * k * 31 % 0x70 | (k * 7 % 3 == 0 ? 0x80 : 0));
        snprintf(name, sizeof name, "%s_scale", t->name);
        store_add(&s, name, "F32", 1, (const size_t[]){ 1 }, &scale);
    }
    tiny_write_tensors(&s, 0, from);
    store_free(&s);
    char *config = tiny_config(d, "quantization_config", quantization);
    tempdir_write_text(from, "config.json", config);
    free(config);
}

static void test_published(void **state)
{
    const tiny_dims  d = TINY_DIMS;
    float            wanted[2 * MOST_VOCAB], found[2 * MOST_VOCAB];
    bamba_model_info info;
    bamba_error      err;

    (void)state;
    write_fp8(&d);
    assert_int_equal(quantize(BAMBA_TYPE_DEFAULT, 0, &err), BAMBA_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "_proj.weight': expected a type for weights that others"));
    assert_int_equal(count_entries(tempdir, "in"), 0);
    for (int i = 0; i < N_TYPES; i++) {
        must_quantize(types[i], 0);
        compute(from, types[i], wanted, &info);
        compute(to, BAMBA_TYPE_DEFAULT, found, &info);
        assert_memory_equal(wanted, found, sizeof wanted);
        assert_int_equal(info.weight_type, types[i]);
        char *config = (char *)tempdir_read(to, "config.json", NULL);
        assert_null(strstr(config, "compressed-tensors"));
        free(config);
        forget(to);
    }
}

static void test_left_out(void **state)
{
    const tiny_dims d = TINY_DIMS;
    store           s = { NULL, 0, 0 };

    (void)state;
    tiny_write(&d, from);
    tiny_tensors(&d, &s);
    store_add_random(&s, "vision.weight", 2, (const size_t[]){ 3, 5 }, 1.0f);
    tiny_write_tensors(&s, 0, from);
    store_free(&s);
    must_quantize(BAMBA_TYPE_Q8, 0);
    expect_equal(BAMBA_TYPE_Q8);
    char *header = (char *)tempdir_read(to, "model.safetensors", NULL) ;
    assert_null(strstr(header + 8, "vision.weight"));
    assert_non_null(strstr(header + 8, "in_proj.weight_q8"));
    free(header);
}

/* -------------------------------------------------------------- files beside ------------- */

static void test_companions(void **state)
{
    static const char *const copied[] = {
        "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja", "README.md",
        "generation_config.json", "LICENSE",
    };
    static const char *const left[] = {
        "pytorch_model.bin", "optimizer.pt", ".gitattributes", "model.gguf", "old.safetensors",
    };
    enum { N_COPIED = sizeof copied / sizeof *copied, N_LEFT = sizeof left / sizeof *left };
    const tiny_dims d = TINY_DIMS;

    (void)state;
    tiny_write(&d, from);
    for (int i = 0; i < N_COPIED; i++) tempdir_write(from, copied[i], "{}\0\xFF\n", (size_t)i % 6);
    tempdir_write_text(from, "generation_config.json", "{}");
    for (int i = 0; i < N_LEFT; i++) tempdir_write_text(from, left[i], "x");
    char *sub = tempdir_path(from, "tokenizer.d");
    assert_int_equal(mkdir(sub, 0777), 0);
    must_quantize(BAMBA_TYPE_Q4, 0);
    for (int i = 0; i < N_COPIED; i++) expect_same_file(copied[i]);
    assert_int_equal(count_entries(to, ""), N_COPIED + 2);
    expect_equal(BAMBA_TYPE_Q4);
    free(sub);
}

/* config.json with a text behind its brace, then one in front of the last; what is written for it
   must have all bytes of it in their order. */
static void expect_config(const char *first, const char *last, bool has_key)
{
    const tiny_dims d = TINY_DIMS;
    char           *plain = tiny_config(&d, NULL, NULL), *end = strrchr(plain, '}');
    char           *text = malloc(strlen(plain) + strlen(first) + strlen(last) + 8);

    sprintf(text, " {%s%.*s%s\n}\n ", first, (int)(end - plain) - 1, plain + 1, last);
    tempdir_write_text(from, "config.json", text);
    must_quantize(BAMBA_TYPE_BF16, 0);
    char *found = (char *)tempdir_read(to, "config.json", NULL);
    if (!has_key) assert_string_equal(found, text);
    assert_null(strstr(found, "quantization_config"));
    forget(to);
    free(found);

    must_quantize(BAMBA_TYPE_Q4, 0);
    found = (char *)tempdir_read(to, "config.json", NULL);
    const char *key = strstr(found, "\"quantization_config\"");
    assert_non_null(key);
    assert_null(strstr(key + 2, "quantization_config"));
    assert_non_null(strstr(key, "\"quant_method\": \"bamba\""));
    if (!has_key) {
        const char *rest = strchr(strchr(key, '}') + 1, '}') + 1;
        const size_t n = (size_t)(key - found) - strlen(",\n  ");
        assert_memory_equal(found, text, n);
        assert_string_equal(rest, text + n);
    }
    expect_equal(BAMBA_TYPE_Q4);
    forget(to);
    free(found);
    free(plain);
    free(text);
}

static void test_config(void **state)
{
    const tiny_dims d = TINY_DIMS;

    (void)state;
    tiny_write(&d, from);
    expect_config("", "", false);
    expect_config("\"a\\\"}\":[{\"quantization\\u005f\":1e-05},Infinity, \"]\"] ,",
                  ",\"\\u00e9\" : {\"quantization_confi\\\\\":{}} , \"z\":-0.10000000000000000001",
                  false);
    expect_config("\"quantization_config\":null,", "", true);
    expect_config("", ",\"quantization_config\" : { } ", true);
    expect_config("", ",\"quantization_config\":{\"quant_method\":\"bamba\",\"version\":1,"
                  "\"x\":[{}]},\"y\":2", true);
}

/* -------------------------------------------------------------- refusals ----------------- */

static void expect_refused(const char *out, bamba_status code, const char *words)
{
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_error         err = { BAMBA_OK, "" };
    const int           n = count_entries(tempdir, "");

    o.weight_type = BAMBA_TYPE_Q4;
    const bamba_status status = bamba_quantize(from, out, &o, NULL, &err);
    if (status != code || !strstr(err.message, words))
        fail_msg("'%s': status %d: %s", out, status, err.message);
    assert_int_equal(count_entries(tempdir, ""), n);
}

static void test_targets(void **state)
{
    const tiny_dims d = TINY_DIMS;
    char           *slash = tempdir_path(tempdir, "out//"), *file = tempdir_path(tempdir, "file");
    char           *below = tempdir_path(tempdir, "none/out");
    char           *link = tempdir_path(tempdir, "link"), *inside = tempdir_path(from, "out");
    char           *beyond = tempdir_path(tempdir, "file/out");

    (void)state;
    tiny_write(&d, from);
    tempdir_write_text(tempdir, "file", "x");
    assert_int_equal(mkdir(to, 0777), 0);
    assert_int_equal(symlink("out", link), 0);
    expect_refused(from, BAMBA_ERR_IO, "in: expected a new or an empty directory, found '");
    expect_refused(file, BAMBA_ERR_IO, "file: expected a new or an empty directory, found a file");
    expect_refused(link, BAMBA_ERR_IO, "link: expected a new or an empty directory, found a link");
    expect_refused(below, BAMBA_ERR_IO, "none/out: no such file");
    expect_refused(beyond, BAMBA_ERR_IO, "file/out: a part of the path is not a directory");
    expect_refused("", BAMBA_ERR_IO, "expected the name of a directory");
    expect_refused("/", BAMBA_ERR_IO, "expected the name of a directory");
    expect_refused("..", BAMBA_ERR_IO, "expected the name of a directory");
    tempdir_write_text(to, ".hidden", "");
    expect_refused(to, BAMBA_ERR_IO, "out: expected a new or an empty directory, found '.hidden'");
    tempdir_empty(to);
    assert_int_equal(bamba_quantize(from, slash, NULL, NULL, NULL), BAMBA_OK);       /* empty */
    expect_equal(BAMBA_TYPE_F32);
    forget(to);
    assert_int_equal(bamba_quantize(from, inside, NULL, NULL, NULL), BAMBA_OK);
    assert_int_equal(count_entries(from, ""), 3);
    free(slash), free(file), free(below), free(link), free(inside), free(beyond);
}

static void test_arguments(void **state)
{
    const tiny_dims        d = TINY_DIMS;
    bamba_model_options    o = BAMBA_MODEL_OPTIONS;
    bamba_quantize_options q = BAMBA_QUANTIZE_OPTIONS;
    bamba_error            err;

    (void)state;
    tiny_write(&d, from);
    assert_int_equal(bamba_quantize(NULL, to, NULL, NULL, &err), BAMBA_ERR_ARGUMENT);
    assert_int_equal(bamba_quantize(from, NULL, NULL, NULL, &err), BAMBA_ERR_ARGUMENT);
    assert_int_equal(bamba_quantize(to, to, NULL, NULL, &err), BAMBA_ERR_IO);
    q.struct_bytes = 1;
    assert_int_equal(bamba_quantize(from, to, NULL, &q, &err), BAMBA_ERR_ARGUMENT);
    o.struct_bytes = 1;
    assert_int_equal(bamba_quantize(from, to, &o, NULL, &err), BAMBA_ERR_ARGUMENT);
    o = (bamba_model_options)BAMBA_MODEL_OPTIONS;
    o.end_layer = 1;
    assert_int_equal(bamba_quantize(from, to, &o, NULL, &err), BAMBA_ERR_ARGUMENT);
    tempdir_write_text(from, "config.json", "{");
    assert_int_equal(bamba_quantize(from, to, NULL, NULL, &err), BAMBA_ERR_FORMAT);
    assert_int_equal(count_entries(tempdir, "in"), 0);
}

/* -------------------------------------------------------------- interruptions ------------ */

static void test_no_room(void **state)
{
    const tiny_dims d = TINY_DIMS;
    struct rlimit   old, limit;
    bamba_error     err;

    (void)state;
    tiny_write(&d, from);
    tempdir_write_text(from, "tokenizer.json", "{}");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    for (rlim_t most = 0; most < 100000; most = most ? most * 5 : 1) {
        limit = (struct rlimit){ most, old.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        const bamba_status status = quantize(BAMBA_TYPE_Q8, 0, &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        if (status == BAMBA_OK) {         /* the limit holds for the file of weights as a whole */
            assert_true(most > 60000);
            forget(to);
        } else {
            assert_int_equal(status, BAMBA_ERR_IO);
            assert_non_null(strstr(err.message, "no room for"));
        }
        assert_int_equal(count_entries(tempdir, "in"), 0);
    }
}

static void test_cancelled(void **state)
{
    const tiny_dims     d = TINY_DIMS;
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_error         err;
    watch               w;

    (void)state;
    tiny_write(&d, from);
    o.weight_type = BAMBA_TYPE_Q4;
    o.progress = watch_progress;
    o.progress_context = &w;
    for (int k = 1;; k++) {
        w = (watch){ .stop_at = k };
        const bamba_status status = bamba_quantize(from, to, &o, NULL, &err);
        if (w.n < k) {
            assert_int_equal(status, BAMBA_OK);
            assert_true(k > 20);
            break;
        }
        assert_int_equal(status, BAMBA_ERR_CANCELLED);
        assert_int_equal(count_entries(tempdir, "in"), 0);
    }
    expect_equal(BAMBA_TYPE_Q4);
}

static void test_out_of_memory(void **state)
{
    tiny_dims              d = TINY_DIMS;
    bamba_quantize_options q = BAMBA_QUANTIZE_OPTIONS;

    (void)state;
    /* The same at every level; emulated, a minute. */
    if (getenv("BAMBA_CPU") || getenv("BAMBA_TEST_EMULATED")) skip();
    d.n_layers = 2;
    tiny_write(&d, from);
    tempdir_write_text(from, "tokenizer.json", "{}");
    q.shard_bytes = 60000;
    for (int forever = 0; forever < 2; forever++)
        for (size_t k = 1;; k++) {
            fault               f = { .fail_at = k, .forever = forever };
            bamba_model_options o = BAMBA_MODEL_OPTIONS;
            bamba_error         err = { BAMBA_OK, "" };
            o.weight_type = BAMBA_TYPE_Q4;
            o.n_threads = 2;
            o.allocator = fault_allocator(&f);
            const bamba_status status = bamba_quantize(from, to, &o, &q, &err);
            if (f.n_live) fail_msg("allocation %zu: %zu blocks leaked", k, f.n_live);
            if (f.n_refused == 0) {
                assert_int_equal(status, BAMBA_OK);
                assert_true(k > 40);
                expect_equal(BAMBA_TYPE_Q4);
                forget(to);
                break;
            }
            if (status != BAMBA_ERR_MEMORY) fail_msg("allocation %zu: status %d", k, status);
            assert_non_null(strstr(err.message, "memory"));
            assert_int_equal(count_entries(tempdir, "in"), 0);
        }
}

/* Start this program anew to quantize, and to end itself at a report of progress (0: at none). */
static pid_t start(int stop_at)
{
    char        number[16];
    const pid_t child = fork();

    assert_true(child >= 0);
    snprintf(number, sizeof number, "%d", stop_at);
    if (child == 0) {
        execl(program, program, "quantize", from, to, number, (char *)NULL);
        _exit(127);
    }
    return child;
}

static int run_child(const char *dir, const char *out, int stop_at)
{
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    watch               w = { .stop_at = stop_at, .signal = SIGKILL };

    o.weight_type = BAMBA_TYPE_Q4;
    o.progress = watch_progress;
    o.progress_context = &w;
    return bamba_quantize(dir, out, &o, NULL, NULL) == BAMBA_OK ? 0 : 1;
}

/* Of the directories beside `in`, those that open are whole. Returns how many are whole. */
static int expect_whole_or_none(const unsigned char *whole, size_t n)
{
    DIR *listing = opendir(tempdir);
    int  n_whole = 0;

    for (const struct dirent *e; (e = readdir(listing));) {
        bamba_model *m = NULL;
        size_t       found;
        if (e->d_name[0] == '.' || strcmp(e->d_name, "in") == 0) continue;
        char *dir = tempdir_path(tempdir, e->d_name);
        if (bamba_model_open(&m, dir, NULL, NULL) == BAMBA_OK) {
            unsigned char *file = tempdir_read(dir, "model.safetensors", &found);
            assert_int_equal(found, n);
            assert_memory_equal(file, whole, n);
            free(file);
            n_whole++;
        } else {
            assert_true(strncmp(e->d_name, "out.tmp-", 8) == 0);
        }
        bamba_model_free(m);
        tempdir_remove(dir);
    }
    closedir(listing);
    return n_whole;
}

static void test_killed(void **state)
{
    const tiny_dims d = TINY_DIMS;
    int             status;
    size_t          n;
    struct timespec begin, end;

    (void)state;
    if (getenv("BAMBA_TEST_EMULATED") || getenv("BAMBA_CPU")) skip();
    tiny_write(&d, from);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    assert_int_equal(waitpid(start(0), &status, 0) > 0, 1);
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    unsigned char *whole = tempdir_read(to, "model.safetensors", &n);
    assert_int_equal(expect_whole_or_none(whole, n), 1);

    for (int i = 0; i < 20; i++) {        /* between two tensors */
        assert_true(waitpid(start(1 + i * 3 / 2), &status, 0) > 0);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_int_equal(count_entries(tempdir, "in"), 1);
        assert_int_equal(expect_whole_or_none(whole, n), 0);
    }
    const long ns = (end.tv_sec - begin.tv_sec) * 1000000000L + end.tv_nsec - begin.tv_nsec;
    for (int i = 0; i < 20; i++) {        /* at any moment, also after the end */
        const long            wait = ns / 20 * i;
        const struct timespec pause = { wait / 1000000000, wait % 1000000000 };
        const pid_t           child = start(0);
        nanosleep(&pause, NULL);
        kill(child, SIGKILL);
        assert_true(waitpid(child, &status, 0) > 0);
        expect_whole_or_none(whole, n);
    }
    free(whole);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_types, enter, leave),
        cmocka_unit_test_setup_teardown(test_large, enter, leave),
        cmocka_unit_test_setup_teardown(test_levels, enter, leave),
        cmocka_unit_test_setup_teardown(test_shards, enter, leave),
        cmocka_unit_test_setup_teardown(test_quantized_again, enter, leave),
        cmocka_unit_test_setup_teardown(test_published, enter, leave),
        cmocka_unit_test_setup_teardown(test_left_out, enter, leave),
        cmocka_unit_test_setup_teardown(test_companions, enter, leave),
        cmocka_unit_test_setup_teardown(test_config, enter, leave),
        cmocka_unit_test_setup_teardown(test_targets, enter, leave),
        cmocka_unit_test_setup_teardown(test_arguments, enter, leave),
        cmocka_unit_test_setup_teardown(test_no_room, enter, leave),
        cmocka_unit_test_setup_teardown(test_cancelled, enter, leave),
        cmocka_unit_test_setup_teardown(test_out_of_memory, enter, leave),
        cmocka_unit_test_setup_teardown(test_killed, enter, leave),
    };

    program = argv[0];
    if (argc == 5) return run_child(argv[2], argv[3], atoi(argv[4]));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
