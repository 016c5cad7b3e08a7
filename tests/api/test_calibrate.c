/* test_calibrate.c - what a calibration sees, what it writes, and what rounding makes of it. */
#include "bamba.h"
#include "kernels.h"
#include "load/checkpoint.h"
#include "load/safetensors.h"
#include "support/tempdir.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 96, MOST_VOCAB = 8192, SEEN = 12 };   /* texts that a calibration sees */

static const char fable[] = BB_TEST_SOURCE_DIR "/models/fable";
static char       path[512];

typedef struct running {
    bamba_model     *m;
    bamba_engine    *e;
    bamba_session   *s;
    bamba_model_info info;
} running;

static running start(bamba_type type, const char *calibration)
{
    bamba_model_options  o = BAMBA_MODEL_OPTIONS;
    bamba_engine_options eo = BAMBA_ENGINE_OPTIONS;
    bamba_error          err = { BAMBA_OK, "" };
    running              r = { .info = BAMBA_MODEL_INFO };

    eo.n_logits = N;
    o.weight_type = type;
    o.calibration = calibration;
    if (bamba_model_open(&r.m, fable, &o, &err) != BAMBA_OK) fail_msg("%s", err.message);
    assert_int_equal(bamba_model_info_get(r.m, &r.info), BAMBA_OK);
    assert_int_equal(bamba_engine_create(&r.e, r.m, &eo, &err), BAMBA_OK);
    assert_int_equal(bamba_session_create(&r.s, r.m, NULL, &err), BAMBA_OK);
    return r;
}

static void stop(running *r)
{
    bamba_session_free(r->s);
    bamba_engine_free(r->e);
    bamba_model_free(r->m);
}

/* The prose of a file, in fable's tokens: rounding is weighed by what inputs are usually like. */
static int32_t *prose;
static size_t   n_prose;

static int read_prose(void **unused)
{
    bamba_tokenizer *t;
    char             bytes[8192];
    FILE            *f = fopen(BB_TEST_SOURCE_DIR "/tests/oracle/prose.txt", "rb");

    (void)unused;
    assert_non_null(f);
    const size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    assert_int_equal(bamba_tokenizer_open(&t, fable, NULL, NULL), BAMBA_OK);
    int32_t *ids;
    assert_int_equal(bamba_tokenize(t, bytes, n, 0, &ids, &n_prose, NULL), BAMBA_OK);
    prose = malloc(n_prose * sizeof *prose);
    memcpy(prose, ids, n_prose * sizeof *prose);
    bamba_tokens_free(t, ids);
    bamba_tokenizer_free(t);
    return n_prose < 5 * N;
}

static int free_prose(void **unused)
{
    (void)unused;
    free(prose);
    return 0;
}

/* Token i of text number `seed`: below 50 of the first half, from 50 on of the second. */
static int32_t token(int i, int seed)
{
    const size_t half = n_prose / 2, room = half - N;
    return prose[(seed < 50 ? 0 : half) + (size_t)(seed % 50) * 29 % room + (size_t)i];
}

/* Read a text in pieces, as a prompt and token by token; the logits behind it. */
static const float *feed(running *r, int seed, int piece)
{
    const float *logits = NULL;
    bamba_error  err = { BAMBA_OK, "" };
    int32_t      ids[N];

    for (int i = 0; i < N; i++) ids[i] = token(i, seed) % r->info.n_vocab;
    bamba_session_reset(r->s);
    for (int i = 0; i < N; i += piece)
        assert_int_equal(bamba_feed(r->e, r->s, ids + i, (size_t)piece, &logits, &err), BAMBA_OK);
    return logits;
}

static void calibrate(int feedback, int piece)
{
    running            r = start(BAMBA_TYPE_F32, NULL);
    bamba_calibration *c;
    bamba_error        err = { BAMBA_OK, "" };

    assert_int_equal(bamba_calibration_create(&c, r.e, feedback, &err), BAMBA_OK);
    assert_int_equal(bamba_calibration_save(c, path, &err), BAMBA_ERR_ARGUMENT);
    for (int seed = 0; seed < SEEN; seed++) feed(&r, seed, piece);
    if (bamba_calibration_save(c, path, &err) != BAMBA_OK) fail_msg("%s", err.message);
    bamba_calibration_free(c);
    stop(&r);
}

static bb_container *open_file(const bb_allocator *a)
{
    bb_container *file;
    bamba_error   err = { BAMBA_OK, "" };

    if (bb_safetensors_open(&file, a, path, &err) != BAMBA_OK) fail_msg("%s", err.message);
    return file;
}

static const bb_tensor *find(const bb_container *f, const char *name)
{
    const bb_tensor *t = bb_tensors_find(f->tensor, f->n, name);
    if (!t) fail_msg("no tensor %s", name);
    return t;
}

static double value_of(const bb_tensor *t, size_t i)
{
    if (t->dtype == BB_TYPE_F32) return ((const float *)(const void *)t->data)[i];
    const uint32_t bits = (uint32_t)((const uint16_t *)(const void *)t->data)[i] << 16;
    float          f;
    assert_int_equal(t->dtype, BB_TYPE_BF16);
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* The first matrix reads the norm of embeddings: that can be computed by hand. */
static void check_first_input(const bb_container *f)
{
    bb_allocator     a;
    bb_checkpoint   *model;
    bamba_error      err;

    assert_int_equal(bb_allocator_resolve(&a, NULL, &err), BAMBA_OK);
    assert_int_equal(bb_checkpoint_open(&model, &a, fable, &err), BAMBA_OK);
    const bb_tensor *embed = bb_checkpoint_find(model, "model.embed_tokens.weight");
    const bb_tensor *norm = bb_checkpoint_find(model, "model.layers.0.input_layernorm.weight");
    const bb_tensor *got = find(f, "model.layers.0.mamba.in_proj.weight");
    const size_t     D = embed->dim[1];
    double          *sum = calloc(D, sizeof *sum);

    assert_int_equal(got->n_dims, 1);
    assert_int_equal(got->dim[0], D);
    for (int seed = 0; seed < SEEN; seed++)
        for (int i = 0; i < N; i++) {
            const size_t row = (size_t)token(i, seed) % embed->dim[0] * D;
            double       squares = 0.0;
            for (size_t d = 0; d < D; d++) squares += pow(value_of(embed, row + d), 2);
            for (size_t d = 0; d < D; d++)
                sum[d] += pow(value_of(embed, row + d) * value_of(norm, d), 2)
                    / (squares / (double)D);
        }
    for (size_t d = 0; d < D; d++) {
        const double mean = sum[d] / (SEEN * N);
        assert_true(fabs(value_of(got, d) - mean) <= 0.01 * mean + 1e-6);
    }
    free(sum);
    bb_checkpoint_close(model);
}

static void test_squares(void **unused)
{
    bb_allocator a;
    bamba_error  err;

    (void)unused;
    assert_int_equal(bb_allocator_resolve(&a, NULL, &err), BAMBA_OK);
    for (int piece = N; piece >= 1; piece = piece == N ? 8 : piece == 8 ? 1 : 0) {
        calibrate(0, piece);
        bb_container *f = open_file(&a);
        check_first_input(f);
        for (size_t i = 0; i < f->n; i++) {
            assert_int_equal(f->tensor[i].dtype, BB_TYPE_F32);
            assert_int_equal(f->tensor[i].n_dims, 1);
            for (size_t k = 0; k < f->tensor[i].dim[0]; k++)
                assert_true(value_of(&f->tensor[i], k) >= 0.0);
        }
        find(f, "model.layers.0.mamba.out_proj.weight");
        find(f, "model.layers.0.feed_forward.gate_proj.weight");
        find(f, "model.layers.0.feed_forward.up_proj.weight");
        find(f, "model.layers.0.feed_forward.down_proj.weight");
        bb_container_close(f);
    }
}

static void test_carries(void **unused)
{
    bb_allocator a;
    bamba_error  err;

    (void)unused;
    assert_int_equal(bb_allocator_resolve(&a, NULL, &err), BAMBA_OK);
    calibrate(1, N);
    bb_container    *f = open_file(&a);
    const bb_tensor *t = find(f, "model.layers.0.mamba.in_proj.weight.carry");
    double           most = 0.0;
    assert_int_equal(t->n_dims, 3);
    for (size_t i = 0; i < t->dim[0] * BB_CARRY * BB_CARRY; i++) {
        const size_t row = i / BB_CARRY % BB_CARRY, column = i % BB_CARRY;
        assert_true(isfinite(value_of(t, i)));
        if (column <= row) assert_true(value_of(t, i) == 0.0);
        most = fmax(most, fabs(value_of(t, i)));
    }
    assert_true(most > 0.01);
    bb_container_close(f);
}

/* The logits behind the last n tokens of a text that is read at once. */
static const float *feed_rows(running *r, int seed, int n)
{
    bamba_error     err = { BAMBA_OK, "" };
    int32_t         ids[N];
    bamba_feed_item item = { .session = r->s, .tokens = ids, .n = N, .n_logits = (size_t)n };

    for (int i = 0; i < N; i++) ids[i] = token(i, seed) % r->info.n_vocab;
    bamba_session_reset(r->s);
    assert_int_equal(bamba_feed_batch(r->e, &item, 1, &err), BAMBA_OK);
    return item.logits;
}

/* The squared error of logits against float32, of texts that were not seen: behind the last tokens
   of all of them, and behind every token of some. */
typedef struct error {
    double last, all;
} error;

static error logits_error(const char *calibration)
{
    running exact = start(BAMBA_TYPE_F32, NULL), rounded = start(BAMBA_TYPE_Q4, calibration);
    error   sum = { 0.0, 0.0 };

    for (int seed = 50; seed < 90; seed++) {
        const int    n = seed % 4 == 0 ? N : 1, V = exact.info.n_vocab;
        const float *a = feed_rows(&exact, seed, n), *b = feed_rows(&rounded, seed, n);
        for (int i = 0; i < n * V; i++) {
            const double square = ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
            if (i >= (n - 1) * V) sum.last += square;
            if (n > 1) sum.all += square;
        }
    }
    stop(&exact);
    stop(&rounded);
    return sum;
}

/* What a calibration is worth shows where a text stands behind a token; what carrying errors on is
   worth is less, and takes every token to show. */
static void test_rounding(void **unused)
{
    const error plain = logits_error(NULL);

    (void)unused;
    calibrate(0, N);
    const error calibrated = logits_error(path);
    calibrate(1, N);
    const error carried = logits_error(path);
    assert_true(calibrated.last < plain.last);
    assert_true(carried.last < plain.last);
    assert_true(carried.all < calibrated.all);
    assert_true(carried.all < plain.all);
}

static void expect_refusal(const char *what)
{
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_error         err = { BAMBA_OK, "" };
    bamba_model        *m;

    o.weight_type = BAMBA_TYPE_Q4;
    o.calibration = path;
    assert_int_equal(bamba_model_open(&m, fable, &o, &err), BAMBA_ERR_FORMAT);
    assert_null(m);
    if (!strstr(err.message, what)) fail_msg("expected '%s' in '%s'", what, err.message);
}

static void write_header(const char *header, size_t n_data)
{
    const uint64_t n = strlen(header);
    FILE          *f = fopen(path, "wb");

    fwrite(&n, sizeof n, 1, f);
    fputs(header, f);
    for (size_t i = 0; i < n_data; i++) fputc(0, f);
    fclose(f);
}

static void test_other_models(void **unused)
{
    (void)unused;
    write_header("{\"other\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", 16);
    expect_refusal("no tensor 'model.layers.0.mamba.in_proj.weight'");
    write_header("{\"model.layers.0.mamba.in_proj.weight\":{\"dtype\":\"F32\",\"shape\":[4],"
                 "\"data_offsets\":[0,16]}}", 16);
    expect_refusal("found F32 [4]");
}

static void test_arguments(void **unused)
{
    running            r = start(BAMBA_TYPE_DEFAULT, NULL);
    bamba_calibration *c, *other;
    bamba_error        err;

    (void)unused;
    assert_int_equal(bamba_calibration_create(NULL, r.e, 0, &err), BAMBA_ERR_ARGUMENT);
    assert_int_equal(bamba_calibration_create(&c, NULL, 0, &err), BAMBA_ERR_ARGUMENT);
    assert_int_equal(bamba_calibration_create(&c, r.e, 0, &err), BAMBA_OK);
    assert_int_equal(bamba_calibration_create(&other, r.e, 0, &err), BAMBA_ERR_ARGUMENT);
    assert_int_equal(bamba_calibration_save(c, NULL, &err), BAMBA_ERR_ARGUMENT);
    bamba_calibration_free(c);
    assert_int_equal(bamba_calibration_create(&c, r.e, 1, &err), BAMBA_OK);
    bamba_calibration_free(c);
    bamba_calibration_free(NULL);
    stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_squares), cmocka_unit_test(test_carries),
        cmocka_unit_test(test_rounding), cmocka_unit_test(test_other_models),
        cmocka_unit_test(test_arguments),
    };
    char *dir = tempdir_make();

    snprintf(path, sizeof path, "%s/calibration.safetensors", dir);
    const int failed = cmocka_run_group_tests(tests, read_prose, free_prose);
    tempdir_remove(dir);
    return failed;
}
