/* test_hidden.c - hidden rows: what the head multiplies, for whom it is asked, in any company. */
#include "bamba.h"

#include "support/fault.h"
#include "support/running.h"
#include "support/tempdir.h"
#include "support/tiny.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { V = 96, D = 32, N = 230, LONG = 600 };

static char        *dir;
static bamba_model *model;
static int32_t      prompt[LONG];
static bamba_error  err;
static float        whole[LONG * D], other[LONG * D];

static int set_up(void **unused)
{
    tiny_dims           d = TINY_DIMS;
    bamba_model_options mo = running_model_options(BAMBA_TYPE_DEFAULT);

    (void)unused;
    d.n_context = 1024;
    dir = tempdir_make();
    tiny_write(&d, dir);
    for (int i = 0; i < LONG; i++) prompt[i] = (i * i * 31 + i * 7 + 3) % V;
    return bamba_model_open(&model, dir, &mo, NULL) != BAMBA_OK;
}

static int tear_down(void **unused)
{
    (void)unused;
    bamba_model_free(model);
    tempdir_remove(dir);
    return 0;
}

static bamba_engine *make_engine(int n_threads, int n_batch)
{
    bamba_engine_options o = BAMBA_ENGINE_OPTIONS;

    o.n_threads = n_threads;
    o.n_batch = n_batch;
    o.n_logits = N;
    o.n_hidden = LONG;
    return running_engine(model, &o);
}

/* The hidden rows [n, D] of a prompt fed in pieces, and nothing else. */
static void feed_hidden(bamba_engine *e, bamba_session *s, int n, int piece, float *out)
{
    for (int at = 0; at < n; at += piece) {
        const size_t    m = (size_t)(n - at < piece ? n - at : piece);
        bamba_feed_item item = { .session = s, .tokens = prompt + at, .n = m, .n_hidden = m };
        assert_int_equal(bamba_feed_batch(e, &item, 1, NULL), BAMBA_OK);
        assert_null(item.logits);
        memcpy(out + at * D, item.hidden, m * D * sizeof *out);
    }
}

/* The weights of the head times a hidden row are the logits. */
static void test_head_of_hidden_is_logits(void **unused)
{
    tiny_dims       d = TINY_DIMS;
    store           s = { 0 };
    bamba_engine   *e = make_engine(2, 0);
    bamba_session  *session = running_session(model, NULL);
    bamba_feed_item item = { .session = session, .tokens = prompt, .n = N, .n_logits = N,
                             .n_hidden = N };

    (void)unused;
    tiny_tensors(&d, &s);
    const float *head = (const float *)(void *)store_find(&s, "lm_head.weight")->data;
    assert_int_equal(bamba_feed_batch(e, &item, 1, NULL), BAMBA_OK);
    const float bound = 1e-5f * running_largest(item.logits, N * V);
    for (int t = 0; t < N; t++)
        for (int id = 0; id < V; id++) {
            double sum = 0.0;
            for (int i = 0; i < D; i++)
                sum += (double)head[id * D + i] * (double)item.hidden[t * D + i];
            assert_true(fabs(sum - (double)item.logits[t * V + id]) <= (double)bound);
        }
    store_free(&s);
    bamba_session_free(session);
    bamba_engine_free(e);
}

/* Rows have the same bits for any number of threads, wherever a piece ends, with logits or without;
   and the last few are the last of all. */
static void test_same_bits(void **unused)
{
    bamba_engine  *e = make_engine(1, 0);
    bamba_session *s = running_session(model, NULL);

    (void)unused;
    feed_hidden(e, s, N, N, whole);
    bamba_engine_free(e);
    for (int threads = 1; threads <= 4; threads++) {
        e = make_engine(threads, 0);
        for (int n_hidden = 1; n_hidden <= N; n_hidden += N - 1) {
            bamba_feed_item item = { .session = s, .tokens = prompt, .n = N, .n_logits = 3,
                                     .n_hidden = (size_t)n_hidden };
            bamba_session_reset(s);
            assert_int_equal(bamba_feed_batch(e, &item, 1, NULL), BAMBA_OK);
            assert_non_null(item.logits);
            assert_memory_equal(item.hidden, whole + (N - n_hidden) * D,
                                (size_t)n_hidden * D * sizeof *whole);
        }
        bamba_engine_free(e);
    }
    e = make_engine(2, 48);               /* a call runs in several pieces */
    for (int piece = 7; piece <= N; piece = piece < N ? N : N + 1) {
        bamba_session_reset(s);
        feed_hidden(e, s, N, piece, other);
        assert_true(running_distance(whole, other, N * D) <= 1e-4f * running_largest(whole, N * D));
    }
    bamba_engine_free(e);
    bamba_session_free(s);
}

/* Up to 32 rows of one call: hidden rows have the bits that each token has alone. Items of the call
   that want logits, or nothing, lie between. */
static void test_company_up_to_32_rows(void **unused)
{
    enum { SESSIONS = 5 };
    static const size_t lengths[SESSIONS] = { 1, 9, 17, 1, 4 };       /* 32 in all */
    static const size_t hidden[SESSIONS] = { 1, 9, 0, 1, 2 }, logits[SESSIONS] = { 0, 4, 1, 0, 4 };
    bamba_engine       *e = make_engine(2, 0);
    bamba_session      *s[SESSIONS], *alone = running_session(model, NULL);
    bamba_feed_item     item[SESSIONS];

    (void)unused;
    for (int i = 0; i < SESSIONS; i++) {
        s[i] = running_session(model, NULL);
        item[i] = (bamba_feed_item){ .session = s[i], .tokens = prompt + 10 * i, .n = lengths[i],
                                     .n_logits = logits[i], .n_hidden = hidden[i] };
    }
    assert_int_equal(bamba_feed_batch(e, item, SESSIONS, NULL), BAMBA_OK);
    float *kept = other;
    for (int i = 0; i < SESSIONS; i++) {
        assert_true((item[i].hidden != NULL) == (hidden[i] > 0));
        assert_true((item[i].logits != NULL) == (logits[i] > 0));
        if (hidden[i]) memcpy(kept, item[i].hidden, hidden[i] * D * sizeof *kept);
        kept += hidden[i] * D;
    }
    kept = other;
    for (int i = 0; i < SESSIONS; i++) {
        bamba_session_reset(alone);
        for (size_t t = 0; t < lengths[i]; t++) {
            bamba_feed_item one = { .session = alone, .tokens = prompt + 10 * i + t, .n = 1,
                                    .n_hidden = 1 };
            assert_int_equal(bamba_feed_batch(e, &one, 1, NULL), BAMBA_OK);
            if (t < lengths[i] - hidden[i]) continue;
            assert_memory_equal(one.hidden, kept, D * sizeof *kept);
            kept += D;
        }
        bamba_session_free(s[i]);
    }
    bamba_session_free(alone);
    bamba_engine_free(e);
}

static int cancel_at_once(void *context, uint64_t done, uint64_t total)
{
    (void)total;
    return done >= *(uint64_t *)context;
}

/* A call that is cancelled gives no rows; what is fed after it has those of the whole prompt. */
static void test_cancelled(void **unused)
{
    uint64_t             limit = 1;
    bamba_engine_options o = BAMBA_ENGINE_OPTIONS;
    bamba_engine        *e = make_engine(2, 512), *watched;
    bamba_session       *s = running_session(model, NULL), *t = running_session(model, NULL);
    bamba_feed_item      item = { .session = s, .tokens = prompt, .n = LONG, .n_hidden = LONG,
                                  .hidden = whole };

    (void)unused;
    o.n_threads = 2;
    o.n_hidden = LONG;
    o.progress = cancel_at_once;
    o.progress_context = &limit;
    assert_int_equal(bamba_engine_create(&watched, model, &o, NULL), BAMBA_OK);
    assert_int_equal(bamba_feed_batch(watched, &item, 1, &err), BAMBA_ERR_CANCELLED);
    assert_null(item.hidden);
    const size_t at = bamba_session_position(s);
    assert_true(at > 0 && at < LONG);

    limit = UINT64_MAX;
    item.tokens += at;
    item.n = item.n_hidden = LONG - at;
    assert_int_equal(bamba_feed_batch(watched, &item, 1, &err), BAMBA_OK);
    feed_hidden(e, t, LONG, LONG, whole);
    assert_true(running_distance(item.hidden, whole + at * D, (LONG - at) * D)
                <= 1e-4f * running_largest(whole, LONG * D));
    bamba_session_free(s), bamba_session_free(t);
    bamba_engine_free(e), bamba_engine_free(watched);
}

/* Feeding allocates nothing; the engine's bytes hold the rows. */
static void test_memory(void **unused)
{
    fault                f = { 0 };
    bamba_engine_options o = BAMBA_ENGINE_OPTIONS;
    bamba_engine        *e;
    bamba_session       *s = running_session(model, NULL);

    (void)unused;
    o.n_threads = 2;
    const uint64_t without = bamba_engine_bytes(model, &o);
    o.n_hidden = LONG;
    const uint64_t with = bamba_engine_bytes(model, &o);
    assert_true(with - without >= LONG * D * sizeof(float));
    assert_true(with - without < LONG * D * sizeof(float) + 4096);
    o.allocator = fault_allocator(&f);
    f.fail_at = 3;
    f.forever = true;
    assert_int_equal(bamba_engine_create(&e, model, &o, &err), BAMBA_ERR_MEMORY);
    f.fail_at = 0;
    assert_int_equal(bamba_engine_create(&e, model, &o, &err), BAMBA_OK);
    bamba_feed_item item = { .session = s, .tokens = prompt, .n = LONG, .n_hidden = LONG };
    f.armed = true;
    assert_int_equal(bamba_feed_batch(e, &item, 1, NULL), BAMBA_OK);
    f.armed = false;
    assert_true(running_largest(item.hidden, LONG * D) > 0.0f);
    bamba_session_free(s);
    bamba_engine_free(e);
    assert_int_equal(f.n_live, 0);
}

static void assert_refused(bamba_engine *e, bamba_feed_item *item, size_t n, const char *message)
{
    assert_int_equal(bamba_feed_batch(e, item, n, &err), BAMBA_ERR_ARGUMENT);
    assert_string_equal(err.message, message);
    for (size_t i = 0; i < n; i++) assert_int_equal(bamba_session_position(item[i].session), 0);
}

static void test_wrong_use(void **unused)
{
    bamba_engine_options o = BAMBA_ENGINE_OPTIONS;
    bamba_engine        *e;
    bamba_session       *s = running_session(model, NULL), *t = running_session(model, NULL);
    bamba_feed_item      item[2] = { { .session = s, .tokens = prompt, .n = 4, .n_hidden = 5 },
                                     { .session = t, .tokens = prompt, .n = 4, .n_hidden = 3 } };

    (void)unused;
    o.n_hidden = 6;
    assert_int_equal(bamba_engine_create(&e, model, &o, NULL), BAMBA_OK);
    assert_refused(e, item, 2, "feed: item 0: expected n_hidden <= n = 4, found 5");
    item[0].n_hidden = 4;
    assert_refused(e, item, 2, "feed: expected at most 6 hidden rows (n_hidden of the engine)");
    item[0].n_hidden = 3;
    assert_int_equal(bamba_feed_batch(e, item, 2, &err), BAMBA_OK);
    bamba_engine_free(e);
    bamba_session_reset(s), bamba_session_reset(t);

    /* a program that was compiled before there were hidden rows */
    o.struct_bytes = offsetof(bamba_engine_options, n_hidden);
    assert_int_equal(bamba_engine_create(&e, model, &o, NULL), BAMBA_OK);
    assert_refused(e, item, 2, "feed: expected at most 0 hidden rows (n_hidden of the engine)");
    bamba_engine_free(e);
    o.struct_bytes = sizeof o;
    for (int i = 0; i < 2; i++) {
        o.n_hidden = i ? 1048577 : -1;
        assert_int_equal(bamba_engine_create(&e, model, &o, &err), BAMBA_ERR_ARGUMENT);
        assert_non_null(strstr(err.message, "engine: expected n_hidden from 0 to 1048576, found "));
    }
    bamba_session_free(s), bamba_session_free(t);
}

static int drop_rows(void *context, const float *rows, size_t n_rows, size_t n_columns)
{
    (void)context, (void)rows, (void)n_rows, (void)n_columns;
    return 0;
}

static void test_no_head_no_rows(void **unused)
{
    bamba_model_options  m = BAMBA_MODEL_OPTIONS;
    bamba_engine_options o = BAMBA_ENGINE_OPTIONS;
    bamba_model         *part;
    bamba_engine        *e;
    bamba_session       *s;

    (void)unused;
    m.end_layer = 2;
    o.link.send = drop_rows;
    o.n_hidden = 8;
    assert_int_equal(bamba_model_open(&part, dir, &m, NULL), BAMBA_OK);
    assert_int_equal(bamba_engine_create(&e, part, &o, NULL), BAMBA_OK);
    assert_int_equal(bamba_session_create(&s, part, NULL, NULL), BAMBA_OK);
    bamba_feed_item item = { .session = s, .tokens = prompt, .n = 4, .n_hidden = 1 };
    assert_refused(e, &item, 1,
                   "feed: item 0: expected no hidden rows, the model ends before the head");
    bamba_session_free(s);
    bamba_engine_free(e);
    bamba_model_free(part);
}

/* A final norm that is damaged shows in hidden rows alone. */
static void test_damaged_norm(void **unused)
{
    tiny_dims    d = TINY_DIMS;
    store        s = { 0 };
    bamba_model *bad, *good = model;
    const float  nan = NAN;

    (void)unused;
    tiny_tensors(&d, &s);
    memcpy(store_find(&s, "model.final_layernorm.weight")->data, &nan, sizeof nan);
    char *other_dir = tempdir_make();
    tiny_write(&d, other_dir);
    tiny_write_tensors(&s, 0, other_dir);
    store_free(&s);
    assert_int_equal(bamba_model_open(&bad, other_dir, NULL, NULL), BAMBA_OK);
    model = bad;
    bamba_engine   *e = make_engine(1, 0);
    bamba_session  *session = running_session(model, NULL);
    bamba_feed_item item = { .session = session, .tokens = prompt, .n = 40, .n_hidden = 3 };
    assert_int_equal(bamba_feed_batch(e, &item, 1, &err), BAMBA_ERR_NUMBER);
    assert_non_null(strstr(err.message, "position 37: the head or its norm gives NaN"));
    assert_null(item.hidden);
    bamba_session_free(session);
    bamba_engine_free(e);
    bamba_model_free(bad);
    tempdir_remove(other_dir);
    model = good;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head_of_hidden_is_logits),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_company_up_to_32_rows),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_wrong_use),
        cmocka_unit_test(test_no_head_no_rows),
        cmocka_unit_test(test_damaged_norm),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
