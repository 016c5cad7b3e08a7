/* test_feed.c - feeding where it is not plain: numbers that are not finite, sessions without a
 * limit, small first pieces, callbacks, messages. */
#include "bamba_measure.h"

#include "support/fault.h"
#include "support/running.h"
#include "support/tempdir.h"
#include "support/tiny.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { V = 96, N = 600, BAD = 5 };        /* BAD: a token that prompts leave out */

static int32_t     prompt[N];
static char       *dir;
static bamba_error err;

static int set_up(void **unused)
{
    (void)unused;
    dir = tempdir_make();
    for (int i = 0; i < N; i++) prompt[i] = 6 + (i * i * 31 + i * 7 + 3) % (V - 6);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    tempdir_remove(dir);
    return 0;
}

/* Element i of a tensor becomes value. */
typedef struct change { const char *tensor; size_t i; float value; } change;

static bamba_model *open_changed(const tiny_dims *d, change c, bamba_type kv_type)
{
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_model        *m;
    store               s = { 0 };

    tempdir_empty(dir);
    tiny_write(d, dir);
    tiny_tensors(d, &s);
    if (c.tensor)
        memcpy(store_find(&s, c.tensor)->data + c.i * sizeof c.value, &c.value, sizeof c.value);
    tiny_write_tensors(&s, 0, dir);
    store_free(&s);
    o.kv_type = kv_type;
    assert_int_equal(bamba_model_open(&m, dir, &o, NULL), BAMBA_OK);
    return m;
}

static bamba_model *open_tiny(int n_attention)
{
    tiny_dims d = TINY_DIMS;
    d.n_attention = n_attention;
    d.n_context = 1024;
    return open_changed(&d, (change){ NULL, 0, 0 }, BAMBA_TYPE_DEFAULT);
}

static bamba_engine *make_engine(const bamba_model *m, bamba_engine_options o)
{
    o.n_threads = 2;
    return running_engine(m, &o);
}

static bamba_engine *plain_engine(const bamba_model *m)
{
    return make_engine(m, (bamba_engine_options)BAMBA_ENGINE_OPTIONS);
}

/* -------------------------------------------------------------- not finite --------------- */

static void assert_says(const char *text)
{
    assert_int_equal(err.code, BAMBA_ERR_NUMBER);
    if (!strstr(err.message, text)) fail_msg("'%s' lacks '%s'", err.message, text);
}

/* A prompt of n tokens, then tokens one by one: where it fails first, or -1. */
static int feed_until_wrong(const bamba_model *m, size_t n)
{
    bamba_engine  *e = plain_engine(m);
    bamba_session *s = running_session(m, NULL);
    const float   *logits = NULL;
    int            at = -1;

    for (size_t i = 0; i < 100 && at < 0; i += n, n = 1)
        if (bamba_feed(e, s, prompt + i, n, &logits, &err) != BAMBA_OK) {
            assert_null(logits);
            at = (int)i;
        }
    if (at >= 0) {                        /* spoilt until it is reset */
        bamba_error again;
        assert_int_equal(bamba_feed(e, s, prompt, 1, NULL, &again), BAMBA_ERR_NUMBER);
        assert_non_null(strstr(again.message, "reset"));
        bamba_session_reset(s);
        if (n > 1) assert_int_equal(bamba_feed(e, s, prompt, 1, NULL, &again), err.code);
    }
    bamba_session_free(s);
    bamba_engine_free(e);
    return at;
}

/* NaN in any tensor: nothing on the way to the logits hides it. */
static void test_damaged_weights(void **unused)
{
    const tiny_dims d = TINY_DIMS;
    const float     wrong[] = { NAN, INFINITY };
    store           s = { 0 };

    (void)unused;
    tiny_tensors(&d, &s);
    for (size_t i = 0; i < 2 * s.n; i++) {
        const char  *name = s.tensor[i / 2].name;
        const char  *layer = strstr(name, "layers.");
        const bool   embeds = strstr(name, "embed_tokens");
        const size_t at = embeds ? (size_t)prompt[0] * (size_t)d.d_model : 0;
        /* infinite decay, up to exp(-infinity) = 0, is a state that forgets at once */
        if (i % 2 && (strstr(name, "A_log") || strstr(name, "dt_bias"))) continue;
        bamba_model *m = open_changed(&d, (change){ name, at, wrong[i % 2] }, BAMBA_TYPE_DEFAULT);
        for (size_t n = 1; n < 80; n += 39) {
            if (feed_until_wrong(m, n) < 0) fail_msg("%s: nobody notices", name);
            char where[60];               /* the head makes logits of the last row alone */
            if (embeds) snprintf(where, sizeof where, "position 0: the embedding gives");
            else if (layer) snprintf(where, sizeof where, "position 0: layer %c", layer[7]);
            else snprintf(where, sizeof where, "position %zu: the head or its norm gives", n - 1);
            assert_says(where);
        }
        bamba_model_free(m);
    }
    store_free(&s);
}

/* Keys and values beyond float16 of either sign: an error with float16 that says what helps, and
   text with the types that hold them. */
static void test_float16_overflow(void **unused)
{
    const char *names[] = { "model.layers.1.self_attn.k_proj.weight",
                            "model.layers.1.self_attn.v_proj.weight" };
    static const bamba_type holding[] = { BAMBA_TYPE_F32, BAMBA_TYPE_BF16, BAMBA_TYPE_Q8 };
    tiny_dims   d = TINY_DIMS;

    (void)unused;
    for (int i = 0; i < 4; i++) {
        const change c = { names[i / 2], 3, i % 2 ? -3e5f : 3e5f };
        bamba_model *m = open_changed(&d, c, BAMBA_TYPE_F16);
        for (size_t n = 1; n < 80; n += 39) {
            const int at = feed_until_wrong(m, n);
            assert_true(at >= 0);
            assert_says("exceeds 65504");
            assert_says("kv_type bf16");
            int position = -1;
            sscanf(err.message, "feed: position %d:", &position);
            assert_true(position >= at && position < at + (at ? 1 : (int)n));
        }
        bamba_model_free(m);
        for (int j = 0; j < 3; j++) {
            m = open_changed(&d, c, holding[j]);
            assert_int_equal(feed_until_wrong(m, 40), -1);
            bamba_model_free(m);
        }
    }
}

/* One item of three meets a token whose embedding is NaN: the others' logits are there, as they are
   alone, and their sessions go on. */
static void test_others_go_on(void **unused)
{
    const tiny_dims d = TINY_DIMS;
    bamba_model    *m = open_changed(&d, (change){ "model.embed_tokens.weight", BAD * 32, NAN },
                                     BAMBA_TYPE_DEFAULT);
    int32_t         bad[40];
    float           alone[2][V];

    (void)unused;
    memcpy(bad, prompt, sizeof bad);
    bad[7] = BAD;
    for (int n_batch = 16; n_batch <= 128; n_batch += 112) {
        bamba_engine_options o = BAMBA_ENGINE_OPTIONS;
        o.n_batch = n_batch;
        o.n_hidden = 120;
        bamba_engine   *e = make_engine(m, o);
        bamba_session  *s[3];
        const float    *logits;
        bamba_feed_item item[3];
        for (int i = 0; i < 3; i++) {
            s[i] = running_session(m, NULL);
            item[i] = (bamba_feed_item){ .session = s[i], .tokens = i == 1 ? bad : prompt + i,
                                         .n = 40, .n_logits = 1, .n_hidden = 40 };
            if (i == 1) continue;
            assert_int_equal(bamba_feed(e, s[i], prompt + i, 40, &logits, NULL), BAMBA_OK);
            memcpy(alone[i / 2], logits, sizeof alone[0]);
            bamba_session_reset(s[i]);
        }
        assert_int_equal(bamba_feed_batch(e, item, 3, &err), BAMBA_ERR_NUMBER);
        assert_says("item 1: position 7: the embedding");
        assert_null(item[1].logits);
        assert_null(item[1].hidden);
        for (int i = 0; i < 3; i += 2) {
            for (int j = 0; j < 40 * 32; j++) assert_true(isfinite(item[i].hidden[j]));
            assert_int_equal(bamba_session_position(s[i]), 40);
            for (int j = 0; j < V; j++)
                assert_true(fabsf(item[i].logits[j] - alone[i / 2][j]) < 1e-3f);
            assert_int_equal(bamba_feed(e, s[i], prompt, 1, NULL, NULL), BAMBA_OK);
        }
        assert_int_equal(bamba_session_copy(s[0], s[1], NULL), BAMBA_OK);
        assert_int_equal(bamba_feed(e, s[0], prompt, 1, NULL, NULL), BAMBA_ERR_NUMBER);
        assert_int_equal(bamba_session_copy(s[1], s[2], NULL), BAMBA_OK);
        assert_int_equal(bamba_feed(e, s[1], prompt, 1, NULL, NULL), BAMBA_OK);
        for (int i = 0; i < 3; i++) bamba_session_free(s[i]);
        bamba_engine_free(e);
    }
    bamba_model_free(m);
}

/* -------------------------------------------------------------- no limit ----------------- */

static void test_no_attention_no_limit(void **unused)
{
    bamba_model           *m = open_tiny(0);
    bamba_session_options  o = BAMBA_SESSION_OPTIONS;
    bamba_engine          *e = plain_engine(m);
    bamba_session         *near = running_session(m, NULL), *far = running_session(m, NULL);
    bamba_session         *bounded;
    const float           *logits;
    float                  kept[V];
    const size_t           way = ((size_t)3 << 31) + ((size_t)1 << 30);

    (void)unused;
    assert_true(bamba_session_room(near) == SIZE_MAX);
    for (int i = 0; i < 4; i++)
        assert_int_equal(bamba_feed(e, near, prompt, N, NULL, NULL), BAMBA_OK);
    assert_int_equal(bamba_session_position(near), 4 * N);
    for (size_t n = 1; n < 200; n += 99) {            /* cuts of chunks are where they were */
        assert_int_equal(bamba_session_fill(near, 37, 3, NULL), BAMBA_OK);
        assert_int_equal(bamba_session_fill(far, way - 27, 3, NULL), BAMBA_OK);
        assert_int_equal(bamba_feed(e, near, prompt, n, &logits, NULL), BAMBA_OK);
        memcpy(kept, logits, sizeof kept);
        assert_int_equal(bamba_feed(e, far, prompt, n, &logits, NULL), BAMBA_OK);
        assert_memory_equal(kept, logits, sizeof kept);
        assert_true(bamba_session_position(far) == way - 27 + n);
    }
    o.n_context = way;
    assert_int_equal(bamba_session_create(&bounded, m, &o, NULL), BAMBA_OK);
    assert_int_equal(bamba_session_copy(bounded, far, NULL), BAMBA_ERR_FULL);
    assert_int_equal(bamba_session_fill(bounded, way - 1, 3, NULL), BAMBA_OK);
    assert_int_equal(bamba_feed(e, bounded, prompt, 2, NULL, NULL), BAMBA_ERR_FULL);
    assert_int_equal(bamba_feed(e, bounded, prompt, 1, NULL, NULL), BAMBA_OK);
    assert_true(bamba_session_room(bounded) == 0);
    bamba_session_free(near), bamba_session_free(far), bamba_session_free(bounded);
    bamba_engine_free(e);
    bamba_model_free(m);

    m = open_tiny(1);
    near = running_session(m, NULL);
    assert_int_equal(bamba_session_room(near), 1024);
    assert_int_equal(bamba_session_create(&far, m, &o, &err), BAMBA_ERR_ARGUMENT);
    assert_string_equal(err.message, "session: expected n_context <= 1073741824, found 7516192768");
    bamba_session_free(near);
    bamba_model_free(m);
}

/* -------------------------------------------------------------- small pieces -------------- */

static uint64_t stops[16];
static int      n_stops;

static int note(void *unused, uint64_t done, uint64_t total)
{
    (void)unused;
    assert_true(done <= total && n_stops < 16);
    stops[n_stops++] = done;
    return 0;
}

static int cancel_at_once(void *unused, uint64_t done, uint64_t total)
{
    (void)unused, (void)done, (void)total;
    return 1;
}

static bool has_small_pieces(const bamba_model *m)
{
    bamba_model_info info = BAMBA_MODEL_INFO;

    bamba_model_info_get(m, &info);
    return strcmp(info.cpu, "c") != 0;
}

/* Where the call stopped: after small pieces, or at level c after full ones of n_batch. */
static void assert_stops(const bamba_model *m, const uint64_t *expected, int n, uint64_t n_batch)
{
    const uint64_t total = expected[n - 1];

    for (int i = 0; has_small_pieces(m) && i < n; i++) assert_int_equal(stops[i], expected[i]);
    for (int i = 0; !has_small_pieces(m) && i < n_stops; i++)
        assert_int_equal(stops[i], (uint64_t)(i + 1) * n_batch < total ? (uint64_t)(i + 1) * n_batch
                                                                       : total);
    assert_int_equal(n_stops, has_small_pieces(m) ? n : (int)((total + n_batch - 1) / n_batch));
    n_stops = 0;
}

/* The logits of a call, whoever watches it. */
static void assert_same_watched(const bamba_model *m, int n_batch, const size_t *before,
                                const size_t *lengths, int n_items)
{
    bamba_engine_options o = BAMBA_ENGINE_OPTIONS;
    float                kept[3][V];

    o.n_batch = n_batch;
    for (int watched = 0; watched < 2; watched++) {
        if (watched) o.progress = note;
        bamba_engine   *e = make_engine(m, o);
        bamba_feed_item item[3];
        for (int i = 0; i < n_items; i++) {
            item[i] = (bamba_feed_item){ .session = running_session(m, NULL), .tokens = prompt,
                                         .n = lengths[i], .n_logits = 1 };
            if (before[i])
                assert_int_equal(bamba_feed(e, item[i].session, prompt, before[i], NULL, NULL),
                                 BAMBA_OK);
        }
        n_stops = 0;
        assert_int_equal(bamba_feed_batch(e, item, (size_t)n_items, NULL), BAMBA_OK);
        for (int i = 0; i < n_items; i++) {
            if (watched) assert_memory_equal(kept[i], item[i].logits, sizeof kept[i]);
            memcpy(kept[i], item[i].logits, sizeof kept[i]);
            bamba_session_free(item[i].session);
        }
        bamba_engine_free(e);
    }
}

static void test_first_piece_is_small(void **unused)
{
    bamba_model *m = open_tiny(1);

    (void)unused;
    assert_same_watched(m, 512, (size_t[]){ 0 }, (size_t[]){ 600 }, 1);
    assert_stops(m, (uint64_t[]){ 64, 512, 600 }, 3, 512);
    assert_same_watched(m, 512, (size_t[]){ 10 }, (size_t[]){ 520 }, 1);       /* edges absolute */
    assert_stops(m, (uint64_t[]){ 54, 512, 520 }, 3, 512);
    assert_same_watched(m, 512, (size_t[]){ 40 }, (size_t[]){ 130 }, 1);      /* 24 rows: too few */
    assert_stops(m, (uint64_t[]){ 88, 130 }, 2, 512);
    assert_same_watched(m, 512, (size_t[]){ 0 }, (size_t[]){ 96 }, 1);
    assert_stops(m, (uint64_t[]){ 96 }, 1, 512);
    assert_same_watched(m, 300, (size_t[]){ 0, 7, 0 }, (size_t[]){ 50, 200, 210 }, 3);
    assert_stops(m, (uint64_t[]){ 107, 300, 460 }, 3, 300);
    bamba_model_free(m);
}

static void test_cancelled_early(void **unused)
{
    bamba_engine_options o = BAMBA_ENGINE_OPTIONS;
    bamba_model         *m = open_tiny(1);
    bamba_session       *s = running_session(m, NULL);

    (void)unused;
    o.progress = cancel_at_once;
    bamba_engine *e = make_engine(m, o);
    assert_int_equal(bamba_feed(e, s, prompt, N, NULL, &err), BAMBA_ERR_CANCELLED);
    assert_int_equal(bamba_session_position(s), has_small_pieces(m) ? 64 : 512);
    bamba_session_free(s);
    bamba_engine_free(e);
    bamba_model_free(m);
}

/* -------------------------------------------------------------- callbacks, messages ------- */

typedef struct caller { bamba_engine *e; bamba_session *s, *other; int n_refused; } caller;

static int feed_again(void *context)
{
    caller      *c = context;
    bamba_error  inner;

    if (bamba_feed(c->e, c->other, prompt, 1, NULL, &inner) == BAMBA_ERR_ARGUMENT)
        c->n_refused += strcmp(inner.message, "feed: a callback feeds the engine it "
                               "belongs to") == 0;
    return bamba_session_position(c->s) != 0;
}

static void test_callback_may_not_feed(void **unused)
{
    bamba_engine_options o = BAMBA_ENGINE_OPTIONS;
    bamba_model         *m = open_tiny(1);
    caller               c = { NULL, running_session(m, NULL), running_session(m, NULL), 0 };

    (void)unused;
    o.cancel = feed_again;
    o.cancel_context = &c;
    c.e = make_engine(m, o);
    assert_int_equal(bamba_feed(c.e, c.s, prompt, 40, NULL, NULL), BAMBA_OK);
    assert_true(c.n_refused > 0);
    assert_int_equal(bamba_session_position(c.other), 0);
    bamba_session_free(c.s), bamba_session_free(c.other);
    bamba_engine_free(c.e);
    bamba_model_free(m);
}

static void test_messages(void **unused)
{
    bamba_model   *m = open_tiny(1);
    bamba_engine  *e = plain_engine(m);
    bamba_session *s = running_session(m, NULL);
    const int32_t  wrong[] = { 1, V };

    (void)unused;
    assert_int_equal(bamba_feed(e, s, prompt, 0, NULL, &err), BAMBA_ERR_ARGUMENT);
    assert_string_equal(err.message, "feed: expected tokens, found none");
    assert_int_equal(bamba_feed(e, NULL, prompt, 1, NULL, &err), BAMBA_ERR_ARGUMENT);
    assert_string_equal(err.message, "feed: session is NULL");
    assert_int_equal(bamba_feed(e, s, wrong, 2, NULL, &err), BAMBA_ERR_ARGUMENT);
    assert_string_equal(err.message, "feed: token 1: expected an id from 0 to 95, found 96");
    assert_int_equal(bamba_feed(NULL, s, wrong, 2, NULL, &err), BAMBA_ERR_ARGUMENT);
    assert_string_equal(err.message, "feed: the engine is NULL");

    bamba_feed_item item[2] = { { .session = s, .tokens = prompt, .n = 1 },
                                { .session = s, .tokens = prompt, .n = 1 } };
    assert_int_equal(bamba_feed_batch(e, item, 2, &err), BAMBA_ERR_ARGUMENT);
    assert_string_equal(err.message, "feed: item 1: repeats a session");
    item[0].n = 2000;
    assert_int_equal(bamba_feed_batch(e, item, 2, &err), BAMBA_ERR_FULL);
    assert_string_equal(err.message, "feed: item 0: expected at most 1024 tokens (context 1024, "
                        "position 0), found 2000");
    bamba_session_free(s);
    bamba_engine_free(e);
    bamba_model_free(m);
}

static void test_refused_memory_is_said_so(void **unused)
{
    fault                 f = { 0 };
    bamba_session_options o = BAMBA_SESSION_OPTIONS;
    bamba_model          *m = open_tiny(1);
    bamba_session        *s;

    (void)unused;
    o.allocator = fault_allocator(&f);
    for (f.fail_at = 1; f.fail_at <= 2; f.fail_at++) {
        f.n_calls = 0;
        assert_int_equal(bamba_session_create(&s, m, &o, &err), BAMBA_ERR_MEMORY);
        assert_non_null(strstr(err.message, "session: out of memory"));
    }
    bamba_model_free(m);
}

/* What succeeds leaves the error alone. */
static void test_error_is_untouched(void **unused)
{
    const tiny_dims d = TINY_DIMS;
    bamba_model    *m;
    bamba_engine   *e;
    bamba_session  *s, *t;
    bamba_sampler  *sampler;
    const float    *logits;

    (void)unused;
    tempdir_empty(dir);
    tiny_write(&d, dir);
    memset(&err, 'x', sizeof err);
    const bamba_error before = err;
    assert_int_equal(bamba_model_open(&m, dir, NULL, &err), BAMBA_OK);
    assert_int_equal(bamba_engine_create(&e, m, NULL, &err), BAMBA_OK);
    assert_int_equal(bamba_session_create(&s, m, NULL, &err), BAMBA_OK);
    assert_int_equal(bamba_session_create(&t, m, NULL, &err), BAMBA_OK);
    assert_int_equal(bamba_sampler_create(&sampler, V, NULL, &err), BAMBA_OK);
    assert_int_equal(bamba_feed(e, s, prompt, 100, &logits, &err), BAMBA_OK);
    assert_int_equal(bamba_session_copy(t, s, &err), BAMBA_OK);
    bamba_feed_item item = { .session = t, .tokens = prompt, .n = 3, .n_logits = 3 };
    assert_int_equal(bamba_feed_batch(e, &item, 1, &err), BAMBA_OK);
    assert_memory_equal(&err, &before, sizeof err);
    bamba_sampler_free(sampler);
    bamba_session_free(s), bamba_session_free(t);
    bamba_engine_free(e);
    bamba_model_free(m);
}

/* -------------------------------------------------------------- sizes --------------------- */

static void test_engine_bytes(void **unused)
{
    bamba_engine_options o = BAMBA_ENGINE_OPTIONS;
    bamba_model         *m = open_tiny(1);
    bamba_engine        *e;
    uint64_t             last = 0;

    (void)unused;
    o.n_threads = 2;
    for (o.n_batch = 1; o.n_batch <= 512; o.n_batch *= 8) {
        fault f = { 0 };
        o.allocator = fault_allocator(&f);
        assert_int_equal(bamba_engine_create(&e, m, &o, NULL), BAMBA_OK);
        const uint64_t bytes = bamba_engine_bytes(m, &o);
        assert_true(bytes > last && f.live_bytes >= bytes && f.live_bytes - bytes < 16384);
        last = bytes;
        bamba_engine_free(e);
    }
    o.n_batch = -1;
    assert_int_equal(bamba_engine_bytes(m, &o), 0);
    assert_int_equal(bamba_engine_bytes(NULL, NULL), 0);
    bamba_model_free(m);
}

static void test_count_is_closed(void **unused)
{
    enum { OPS = 32 };
    bamba_model *m = open_tiny(1);
    bamba_op     one[OPS], many[OPS];

    (void)unused;
    bamba_model_count(m, SIZE_MAX, 1, SIZE_MAX / 2, 1, NULL, 0, one, OPS);             /* returns */
    const size_t n = bamba_model_count(m, 1, 3, 10, 0, NULL, 0, one, OPS);
    bamba_model_count(m, 7, 3, 10, 0, NULL, 0, many, OPS);
    assert_true(n > 3 && n < OPS);
    for (size_t i = 0; i < n; i++) assert_int_equal(many[i].flops, 7 * one[i].flops);
    bamba_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damaged_weights),
        cmocka_unit_test(test_float16_overflow),
        cmocka_unit_test(test_others_go_on),
        cmocka_unit_test(test_no_attention_no_limit),
        cmocka_unit_test(test_first_piece_is_small),
        cmocka_unit_test(test_cancelled_early),
        cmocka_unit_test(test_callback_may_not_feed),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_refused_memory_is_said_so),
        cmocka_unit_test(test_error_is_untouched),
        cmocka_unit_test(test_engine_bytes),
        cmocka_unit_test(test_count_is_closed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
