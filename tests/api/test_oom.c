/* Every allocation of the library fails once, and once and for all: BAMBA_ERR_MEMORY, no leak,
 * nothing half-made. Feeding and copying allocate nothing at all. */
#include "bamba.h"

#include "support/fault.h"
#include "support/tempdir.h"
#include "support/tiny.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_TOKENS = 40, MOST_VOCAB = 128, GIVE_UP_AT = 5000 };

typedef struct variant {
    tiny_dims  dims;
    bamba_type weight_type;               /* another than stored: conversions allocate too */
    int        n_threads;
} variant;

/* What one life leaves behind. */
typedef struct outcome {
    bamba_status status;                  /* of the first call that failed */
    float        logits[MOST_VOCAB];      /* if none did */
} outcome;

static void check_failed(bamba_status status, const void *object, const bamba_error *err)
{
    if (status != BAMBA_ERR_MEMORY) fail_msg("status %d: %s", status, err->message);
    assert_null(object);
    assert_int_equal(err->code, BAMBA_ERR_MEMORY);
    assert_true(strstr(err->message, "memory"));
    assert_null(strchr(err->message, '\n'));
}

static void feed_and_copy(bamba_engine *e, bamba_session *s, bamba_session *copy, fault *f,
                          int n_vocab, float *out)
{
    int32_t      tokens[N_TOKENS];
    const float *logits = NULL;
    bamba_error  err;

    for (int i = 0; i < N_TOKENS; i++) tokens[i] = (i * 7 + 3) % n_vocab;
    f->armed = true;                      /* from here on an allocation aborts */
    assert_int_equal(bamba_feed(e, s, tokens, N_TOKENS - 1, NULL, &err), BAMBA_OK);
    assert_int_equal(bamba_session_copy(copy, s, &err), BAMBA_OK);
    assert_int_equal(bamba_feed(e, copy, tokens + N_TOKENS - 1, 1, &logits, &err), BAMBA_OK);
    f->armed = false;
    assert_int_equal(bamba_session_position(copy), N_TOKENS);
    memcpy(out, logits, (size_t)n_vocab * sizeof *out);
}

static void live(const variant *v, const char *dir, fault *f, outcome *out)
{
    bamba_model_options  mo = BAMBA_MODEL_OPTIONS;
    bamba_engine_options eo = BAMBA_ENGINE_OPTIONS;
    bamba_model         *m = (bamba_model *)f;        /* rubbish that a failure must clear */
    bamba_engine        *e = (bamba_engine *)f;
    bamba_session       *s[2] = { (bamba_session *)f, (bamba_session *)f };
    bamba_error          err;

    mo.weight_type = v->weight_type;
    mo.n_threads = v->n_threads;
    mo.allocator = fault_allocator(f);
    eo.n_threads = v->n_threads;
    eo.n_batch = 16;
    out->status = bamba_model_open(&m, dir, &mo, &err);
    if (out->status != BAMBA_OK) {
        check_failed(out->status, m, &err);
        return;
    }
    out->status = bamba_engine_create(&e, m, &eo, &err);
    if (out->status != BAMBA_OK) {
        check_failed(out->status, e, &err);
        goto done;
    }
    for (int i = 0; i < 2; i++) {
        out->status = bamba_session_create(&s[i], m, NULL, &err);
        if (out->status != BAMBA_OK) {
            check_failed(out->status, s[i], &err);
            if (i == 0) s[1] = NULL;
            goto done;
        }
    }
    feed_and_copy(e, s[0], s[1], f, v->dims.n_vocab, out->logits);
done:
    for (int i = 0; i < 2; i++)
        if (s[i] != (bamba_session *)f) bamba_session_free(s[i]);
    if (e != (bamba_engine *)f) bamba_engine_free(e);
    bamba_model_free(m);
}

static void check_variant(const variant *v)
{
    char        *dir = tempdir_make();
    fault        clean = { 0 };
    outcome      expected;

    tiny_write(&v->dims, dir);
    live(v, dir, &clean, &expected);
    assert_int_equal(expected.status, BAMBA_OK);
    assert_int_equal(clean.n_live, 0);
    assert_true(clean.n_calls >= 10);

    for (int forever = 0; forever < 2; forever++)
        for (size_t k = 1; k < GIVE_UP_AT; k++) {
            fault   f = { .fail_at = k, .forever = forever };
            outcome found;
            live(v, dir, &f, &found);
            if (f.n_live) fail_msg("allocation %zu: %zu blocks leaked", k, f.n_live);
            if (f.n_refused == 0) {
                assert_int_equal(found.status, BAMBA_OK);
                assert_memory_equal(found.logits, expected.logits,
                                    (size_t)v->dims.n_vocab * sizeof(float));
                assert_int_equal(k, clean.n_calls + 1);
                break;
            }
            if (found.status != BAMBA_ERR_MEMORY) fail_msg("allocation %zu was not missed", k);
        }
    tempdir_remove(dir);
}

static void test_in_place(void **state)
{
    variant v = { .dims = TINY_DIMS, .n_threads = 1 };

    (void)state;
    check_variant(&v);
}

static void test_converted_and_sharded(void **state)
{
    variant v = { .dims = TINY_DIMS, .weight_type = BAMBA_TYPE_F32, .n_threads = 2 };

    (void)state;
    v.dims.dtype = "BF16";
    v.dims.n_shards = 3;
    v.dims.tied = true;
    v.dims.proj_bias = true;
    check_variant(&v);
}

/* What a failed create leaves is a model as good as before. */
static void test_model_survives(void **state)
{
    const tiny_dims      d = TINY_DIMS;
    char                *dir = tempdir_make();
    fault                f = { 0 };
    bamba_model_options  mo = BAMBA_MODEL_OPTIONS;
    bamba_engine_options eo = BAMBA_ENGINE_OPTIONS;
    bamba_model         *m;
    bamba_engine        *e = NULL;
    bamba_session       *s = NULL;
    bamba_session       *t = NULL;
    bamba_error          err;
    float                logits[MOST_VOCAB];

    (void)state;
    tiny_write(&d, dir);
    mo.allocator = fault_allocator(&f);
    eo.n_threads = 1;
    assert_int_equal(bamba_model_open(&m, dir, &mo, &err), BAMBA_OK);
    const size_t of_the_model = f.n_live;
    for (size_t k = 1;; k++) {
        f.fail_at = f.n_calls + k;
        const bamba_status status = bamba_engine_create(&e, m, &eo, &err);
        if (status == BAMBA_OK) break;
        check_failed(status, e, &err);
        assert_int_equal(f.n_live, of_the_model);
    }
    const size_t of_both = f.n_live;
    for (size_t k = 1;; k++) {
        f.fail_at = f.n_calls + k;
        const bamba_status status = bamba_session_create(&s, m, NULL, &err);
        if (status == BAMBA_OK) break;
        check_failed(status, s, &err);
        assert_int_equal(f.n_live, of_both);
    }
    f.fail_at = 0;
    assert_int_equal(bamba_session_create(&t, m, NULL, &err), BAMBA_OK);
    feed_and_copy(e, s, t, &f, d.n_vocab, logits);
    bamba_session_free(s);
    bamba_session_free(t);
    bamba_engine_free(e);
    bamba_model_free(m);
    assert_int_equal(f.n_live, 0);
    tempdir_remove(dir);
}

static void test_open_config(void **state)
{
    const tiny_dims     d = TINY_DIMS;
    char               *dir = tempdir_make();
    char               *path = tempdir_path(dir, "config.json");
    bamba_model_options mo = BAMBA_MODEL_OPTIONS;
    bamba_error         err;

    (void)state;
    tiny_write(&d, dir);
    for (size_t k = 1;; k++) {
        fault        f = { .fail_at = k };
        bamba_model *m = NULL;
        mo.allocator = fault_allocator(&f);
        const bamba_status status = bamba_model_open_config(&m, path, &mo, &err);
        if (f.n_refused) check_failed(status, m, &err);
        bamba_model_free(m);
        assert_int_equal(f.n_live, 0);
        if (f.n_refused == 0) {
            assert_int_equal(status, BAMBA_OK);
            break;
        }
    }
    free(path);
    tempdir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_place),
        cmocka_unit_test(test_converted_and_sharded),
        cmocka_unit_test(test_model_survives),
        cmocka_unit_test(test_open_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
