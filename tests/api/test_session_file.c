/* test_session_file.c - sessions in files: what goes on is what would have gone on, and nothing
 * else opens. */
#include "bamba_measure.h"

#include "support/fault.h"
#include "support/running.h"
#include "support/tempdir.h"
#include "support/tiny.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { V = 96, N = 150 };

static char       *dir;
static char        path[256];
static bamba_error err;
static int32_t     text[N + 100];

static int set_up(void **unused)
{
    (void)unused;
    dir = tempdir_make();
    snprintf(path, sizeof path, "%s/session.safetensors", dir);
    for (int i = 0; i < N + 100; i++) text[i] = (i * i * 31 + i * 7 + 3) % V;
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    tempdir_remove(dir);
    return 0;
}

static bamba_model *open_model(const tiny_dims *d, bamba_type weight, bamba_type kv,
                               bamba_type state)
{
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_model        *m;

    tiny_write(d, dir);
    o.weight_type = weight;
    o.kv_type = kv;
    o.state_type = state;
    assert_int_equal(bamba_model_open(&m, dir, &o, &err), BAMBA_OK);
    return m;
}

static bamba_engine *make_engine(const bamba_model *m, int n_threads)
{
    bamba_engine_options o = BAMBA_ENGINE_OPTIONS;

    o.n_threads = n_threads;
    return running_engine(m, &o);
}

/* Logits of 30 tokens more, one by one. */
static float *go_on(bamba_engine *e, bamba_session *s)
{
    float       *all = malloc(30 * V * sizeof *all);
    const float *logits;

    for (int i = 0; i < 30; i++) {
        assert_int_equal(bamba_feed(e, s, text + N + i, 1, &logits, &err), BAMBA_OK);
        memcpy(all + (size_t)i * V, logits, V * sizeof *all);
    }
    return all;
}

/* Saved, opened with another number of threads: the bits of one that was never saved. */
static void test_goes_on(void **unused)
{
    static const struct {
        bamba_type kv, state;
        int        n_attention;
    } kinds[] = {
        { BAMBA_TYPE_F16, BAMBA_TYPE_F32, 1 }, { BAMBA_TYPE_Q8, BAMBA_TYPE_Q8, 1 },
        { BAMBA_TYPE_F32, BAMBA_TYPE_BF16, 0 }, { BAMBA_TYPE_BF16, BAMBA_TYPE_F32, 3 },
    };
    static const size_t lengths[] = { 0, 1, 5, 64, N };

    (void)unused;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        tiny_dims d = TINY_DIMS;
        d.n_attention = kinds[i].n_attention;
        for (int l = 0; l < d.n_attention; l++) d.attention[l] = d.n_attention == 1 ? 1 : l;
        bamba_model  *m = open_model(&d, BAMBA_TYPE_DEFAULT, kinds[i].kv, kinds[i].state);
        bamba_engine *one = make_engine(m, 1), *two = make_engine(m, 2);

        for (size_t j = 0; j < sizeof lengths / sizeof *lengths; j++) {
            bamba_session *s = running_session(m, NULL), *opened;
            const size_t   n = lengths[j];

            if (n > 0) assert_int_equal(bamba_feed(two, s, text, n, NULL, &err), BAMBA_OK);
            assert_int_equal(bamba_session_save(s, path, n == 5 ? "{\"seed\": \"\xC3\xA4\"}" : NULL,
                                                &err),
                             BAMBA_OK);
            assert_int_equal(bamba_session_open(&opened, m, path, NULL, &err), BAMBA_OK);
            assert_int_equal(bamba_session_position(opened), n);
            if (n > 0)
                assert_memory_equal(bamba_session_tokens(opened), text, n * sizeof *text);
            if (n == 5)
                assert_string_equal(bamba_session_extras(opened), "{\"seed\": \"\xC3\xA4\"}");
            else assert_null(bamba_session_extras(opened));
            float *expected = go_on(two, s), *found = go_on(one, opened);
            assert_memory_equal(found, expected, 30 * V * sizeof *found);
            /* what was fed before it was saved can be fed again */
            assert_int_equal(bamba_session_rewind(one, opened, n / 2, &err), BAMBA_OK);
            assert_int_equal(bamba_session_rewind(two, s, n / 2, &err), BAMBA_OK);
            free(expected), free(found);
            expected = go_on(two, s), found = go_on(one, opened);
            assert_memory_equal(found, expected, 30 * V * sizeof *found);
            free(expected), free(found);
            bamba_session_free(opened);
            bamba_session_free(s);
        }
        bamba_engine_free(one);
        bamba_engine_free(two);
        bamba_model_free(m);
    }
}

static int count_fed(void *context, uint64_t done, uint64_t total)
{
    if (done == total) *(uint64_t *)context += total;
    return 0;
}

/* An engine that adds the tokens it feeds to *fed. */
static bamba_engine *counting_engine(const bamba_model *m, uint64_t *fed)
{
    bamba_engine_options o = BAMBA_ENGINE_OPTIONS;

    o.progress = count_fed;
    o.progress_context = fed;
    return running_engine(m, &o);
}

/* Sessions that keep snapshots have one of where they were opened, copied or forked: from there on
   they go back without the tokens before. */
static void test_snapshot(void **unused)
{
    tiny_dims             d = TINY_DIMS;
    bamba_model          *m = open_model(&d, BAMBA_TYPE_DEFAULT, BAMBA_TYPE_F16, BAMBA_TYPE_F32);
    bamba_session_options so = BAMBA_SESSION_OPTIONS;
    bamba_session        *s = running_session(m, NULL), *other[3];
    uint64_t              fed = 0;

    (void)unused;
    so.snapshot_tokens = 100;
    so.snapshot_bytes = 1 << 20;
    bamba_engine *e = counting_engine(m, &fed);
    assert_int_equal(bamba_feed(e, s, text, N, NULL, &err), BAMBA_OK);
    assert_int_equal(bamba_session_save(s, path, NULL, &err), BAMBA_OK);
    assert_int_equal(bamba_session_open(&other[0], m, path, &so, &err), BAMBA_OK);
    assert_int_equal(bamba_session_fork(&other[1], s, &so, &err), BAMBA_OK);
    other[2] = running_session(m, &so);
    assert_int_equal(bamba_session_copy(other[2], s, &err), BAMBA_OK);
    for (int i = 0; i < 3; i++) {
        float *expected = go_on(e, other[i]);
        fed = 0;
        assert_int_equal(bamba_session_rewind(e, other[i], N + 20, &err), BAMBA_OK);
        assert_int_equal(fed, 20);
        assert_int_equal(bamba_session_rewind(e, other[i], N, &err), BAMBA_OK);
        assert_int_equal(fed, 20);
        float *found = go_on(e, other[i]);
        assert_memory_equal(found, expected, 30 * V * sizeof *found);
        fed = 0;
        assert_int_equal(bamba_session_rewind(e, other[i], N - 1, &err), BAMBA_OK);
        assert_int_equal(fed, N - 1);
        free(expected), free(found);
        bamba_session_free(other[i]);
    }
    bamba_session_free(s);
    bamba_engine_free(e);
    bamba_model_free(m);
}

/* Snapshots are thinned out when there are too many, but that of where a session began stays. */
static void test_first_snapshot(void **unused)
{
    tiny_dims             d = TINY_DIMS;
    bamba_model          *m = open_model(&d, BAMBA_TYPE_DEFAULT, BAMBA_TYPE_F16, BAMBA_TYPE_F32);
    bamba_session_options so = BAMBA_SESSION_OPTIONS;
    bamba_session        *s = running_session(m, NULL), *copy;
    uint64_t              fed = 0;

    (void)unused;
    so.snapshot_tokens = 4;
    so.snapshot_bytes = 4 * bamba_model_state_bytes(m, 0);
    bamba_engine *e = counting_engine(m, &fed);
    copy = running_session(m, &so);
    assert_int_equal(bamba_feed(e, s, text, N, NULL, &err), BAMBA_OK);
    assert_int_equal(bamba_session_copy(copy, s, &err), BAMBA_OK);
    free(go_on(e, copy));                 /* 30 tokens: snapshots are 4, then 8, then 16 apart */
    fed = 0;
    assert_int_equal(bamba_session_rewind(e, copy, N + 3, &err), BAMBA_OK);
    assert_int_equal(fed, 3);
    bamba_session_free(copy);
    bamba_session_free(s);
    bamba_engine_free(e);
    bamba_model_free(m);
}

static void refuse(const bamba_model *m, bamba_status status, const char *message)
{
    bamba_session *s;
    char           expected[400];

    snprintf(expected, sizeof expected, "%s%s", path, message);
    assert_int_equal(bamba_session_open(&s, m, path, NULL, &err), status);
    assert_null(s);
    assert_string_equal(err.message, expected);
}

/* Another model, other weights, other types. */
static void test_belongs(void **unused)
{
    tiny_dims      d = TINY_DIMS, longer = TINY_DIMS, other = TINY_DIMS;
    bamba_model   *m = open_model(&d, BAMBA_TYPE_DEFAULT, BAMBA_TYPE_F16, BAMBA_TYPE_F32);
    bamba_engine  *e = make_engine(m, 1);
    bamba_session *s = running_session(m, NULL);
    const char    *begin;
    char           name[BAMBA_FINGERPRINT], found[BAMBA_FINGERPRINT];

    (void)unused;
    bamba_model_fingerprint(NULL, name);
    assert_string_equal(name, "");
    bamba_model_fingerprint(m, name);
    assert_int_equal(strlen(name), BAMBA_FINGERPRINT - 1);
    assert_int_equal(bamba_feed(e, s, text, N, NULL, &err), BAMBA_OK);
    assert_int_equal(bamba_session_save(s, path, NULL, &err), BAMBA_OK);
    bamba_session_free(s);
    bamba_engine_free(e);
    bamba_model_free(m);

    m = open_model(&d, BAMBA_TYPE_DEFAULT, BAMBA_TYPE_BF16, BAMBA_TYPE_F32);
    refuse(m, BAMBA_ERR_ARGUMENT, ": 'kv_type': the session was saved with another type of "
           "keys and values: expected 'bf16', found 'f16'");
    bamba_model_free(m);
    m = open_model(&d, BAMBA_TYPE_DEFAULT, BAMBA_TYPE_F16, BAMBA_TYPE_Q8);
    refuse(m, BAMBA_ERR_ARGUMENT, ": 'state_type': the session was saved with another type of "
           "states: expected 'q8', found 'f32'");
    bamba_model_fingerprint(m, found);
    assert_string_equal(found, name);
    bamba_model_free(m);

    other.seed = 2;
    longer.n_context = 300;
    const tiny_dims *dims[] = { &other, &longer, &d };
    for (int i = 0; i < 3; i++) {
        m = open_model(dims[i], i == 2 ? BAMBA_TYPE_BF16 : BAMBA_TYPE_DEFAULT, BAMBA_TYPE_F16,
                       BAMBA_TYPE_F32);
        assert_int_equal(bamba_session_open(&s, m, path, NULL, &err), BAMBA_ERR_ARGUMENT);
        begin = strstr(err.message, "'model': the session was saved with another model, or with "
                       "weights of other types: expected '");
        assert_non_null(begin);
        bamba_model_fingerprint(m, found);
        assert_string_not_equal(found, name);
        bamba_model_free(m);
    }
    m = open_model(&d, BAMBA_TYPE_DEFAULT, BAMBA_TYPE_F16, BAMBA_TYPE_F32);
    bamba_session_options o = BAMBA_SESSION_OPTIONS;
    o.n_context = N - 1;
    assert_int_equal(bamba_session_open(&s, m, path, &o, &err), BAMBA_ERR_FULL);
    bamba_model_free(m);
}

static unsigned char *read_file(size_t *n)
{
    FILE          *f = fopen(path, "rb");
    unsigned char *bytes = malloc(1 << 20);

    *n = fread(bytes, 1, 1 << 20, f);
    fclose(f);
    return bytes;
}

static void write_file(const unsigned char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* Each byte changed in turn, and the file cut off at many places: an error, or, where the byte is
   white space of the header, the same session. */
static void test_damage(void **unused)
{
    tiny_dims      d = TINY_DIMS;
    bamba_session *s, *opened;
    size_t         n, n_opened = 0;

    (void)unused;
    d.d_model = 16, d.n_heads = 2, d.n_kv_heads = 1, d.n_layers = 2, d.ssm_heads = 4,
        d.ssm_groups = 1;
    d.ssm_state = 8;
    bamba_model  *m = open_model(&d, BAMBA_TYPE_DEFAULT, BAMBA_TYPE_F16, BAMBA_TYPE_F32);
    bamba_engine *e = make_engine(m, 1);

    s = running_session(m, NULL);
    assert_int_equal(bamba_feed(e, s, text, 5, NULL, &err), BAMBA_OK);
    assert_int_equal(bamba_session_save(s, path, "seed 7", &err), BAMBA_OK);
    float         *expected = go_on(e, s);
    unsigned char *bytes = read_file(&n);

    for (size_t i = 0; i < n; i++) {
        bytes[i] ^= (unsigned char)(1u << i % 8);
        write_file(bytes, n);
        bytes[i] ^= (unsigned char)(1u << i % 8);
        const bamba_status status = bamba_session_open(&opened, m, path, NULL, &err);
        if (status == BAMBA_OK) {
            float *found = go_on(e, opened);
            assert_memory_equal(found, expected, 30 * V * sizeof *found);
            free(found);
            n_opened++;
        } else assert_true(status == BAMBA_ERR_FORMAT || status == BAMBA_ERR_UNSUPPORTED);
        bamba_session_free(opened);
    }
    assert_true(n_opened < 64);
    for (size_t i = 0; i < n; i += 7) {
        write_file(bytes, i);
        assert_int_equal(bamba_session_open(&opened, m, path, NULL, &err), BAMBA_ERR_FORMAT);
    }
    free(bytes), free(expected);
    bamba_session_free(s);
    bamba_engine_free(e);
    bamba_model_free(m);
}

/* Other files of safetensors, and memory that runs out at each allocation. */
static void test_refusals(void **unused)
{
    tiny_dims      d = TINY_DIMS;
    bamba_model   *m = open_model(&d, BAMBA_TYPE_DEFAULT, BAMBA_TYPE_F16, BAMBA_TYPE_F32);
    bamba_engine  *e = make_engine(m, 1);
    bamba_session *s = running_session(m, NULL), *opened;
    char           model_file[300];

    (void)unused;
    snprintf(model_file, sizeof model_file, "%s/model.safetensors", dir);
    assert_int_equal(bamba_session_open(&opened, m, model_file, NULL, &err), BAMBA_ERR_FORMAT);
    assert_non_null(strstr(err.message, "expected a saved session, found other tensors"));
    assert_int_equal(bamba_session_save(s, "/nowhere/file", NULL, &err), BAMBA_ERR_IO);
    assert_int_equal(bamba_session_save(s, path, "\xFF", &err), BAMBA_ERR_ARGUMENT);
    assert_int_equal(bamba_session_save(NULL, path, NULL, &err), BAMBA_ERR_ARGUMENT);
    assert_int_equal(bamba_session_open(&opened, m, NULL, NULL, &err), BAMBA_ERR_ARGUMENT);

    assert_int_equal(bamba_feed(e, s, text, 70, NULL, &err), BAMBA_OK);
    assert_int_equal(bamba_session_save(s, path, "x", &err), BAMBA_OK);
    for (size_t k = 1;; k++) {
        bamba_session_options o = BAMBA_SESSION_OPTIONS;
        fault                 f = { .fail_at = k };
        o.allocator = fault_allocator(&f);
        const bamba_status status = bamba_session_open(&opened, m, path, &o, &err);
        if (status == BAMBA_OK) {
            assert_int_equal(bamba_session_position(opened), 70);
            assert_true(k > 5);
        } else assert_int_equal(status, BAMBA_ERR_MEMORY);
        bamba_session_free(opened);
        assert_int_equal(f.n_live, 0);
        if (status == BAMBA_OK) break;
    }
    bamba_session_free(s);
    bamba_engine_free(e);
    bamba_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goes_on),
        cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_first_snapshot),
        cmocka_unit_test(test_belongs),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
