/* test_window.c - sessions whose attention sees a window and a sink: bits, memory, files, refusals.
   (test_rewind.c goes back in them; mixer/test_attention.c holds what they see against double.) */
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

enum { V = 96, N = 1320, WINDOW = 100, SINK = 70 };

static char         *dir;
static bamba_model  *model;
static bamba_error   err;
static int32_t       text[N];

static int set_up(void **unused)
{
    tiny_dims           d = TINY_DIMS;
    bamba_model_options o = BAMBA_MODEL_OPTIONS;

    (void)unused;
    o.kv_type = BAMBA_TYPE_F32;
    dir = tempdir_make();
    tiny_write(&d, dir);
    for (int i = 0; i < N; i++) text[i] = (i * i * 31 + i * 7 + 3) % V;
    return bamba_model_open(&model, dir, &o, NULL) != BAMBA_OK;
}

static int tear_down(void **unused)
{
    (void)unused;
    bamba_model_free(model);
    tempdir_remove(dir);
    return 0;
}

static bamba_session_options options_of(size_t n_window, int n_sink)
{
    bamba_session_options o = BAMBA_SESSION_OPTIONS;

    o.n_window = n_window;
    o.n_sink = n_sink;
    return o;
}

static bamba_engine *make_engine(int n_threads, int n_batch)
{
    bamba_engine_options o = BAMBA_ENGINE_OPTIONS;

    o.n_threads = n_threads;
    o.n_batch = n_batch;
    return running_engine(model, &o);
}

/* Feed tokens first … end - 1 in pieces; out [V]: the logits behind the last. */
static void feed(bamba_engine *e, bamba_session *s, int first, int end, int piece, float *out)
{
    const float *logits = NULL;

    for (int at = first; at < end; at += piece) {
        const int n = end - at < piece ? end - at : piece;
        if (bamba_feed(e, s, text + at, (size_t)n, &logits, &err) != BAMBA_OK)
            fail_msg("%s", err.message);
    }
    if (out) memcpy(out, logits, V * sizeof *out);
}

/* How far apart two rows of logits are, of the largest in a. */
static float distance(const float *a, const float *b)
{
    return running_distance(a, b, V) / running_largest(a, V);
}

/* Until sink and window are full nothing is hidden, and no bit is another; then it is. */
static void test_begins_as_without(void **unused)
{
    const bamba_session_options o = options_of(WINDOW, SINK);
    bamba_session_options       all = BAMBA_SESSION_OPTIONS;
    bamba_engine               *e = make_engine(2, 512);
    float                       with[V], without[V];

    (void)unused;
    all.n_context = N;
    bamba_session *s[2] = { running_session(model, &o), running_session(model, &all) };
    feed(e, s[0], 0, 140, 140, with);
    feed(e, s[1], 0, 140, 140, without);
    assert_memory_equal(with, without, sizeof with);
    for (int t = 140; t < WINDOW + SINK; t++) {
        feed(e, s[0], t, t + 1, 1, with);
        feed(e, s[1], t, t + 1, 1, without);
        assert_memory_equal(with, without, sizeof with);
    }
    feed(e, s[0], WINDOW + SINK, WINDOW + SINK + 1, 1, with);
    feed(e, s[1], WINDOW + SINK, WINDOW + SINK + 1, 1, without);
    assert_true(distance(with, without) > 0);
    feed(e, s[0], WINDOW + SINK + 1, N, 64, with);
    feed(e, s[1], WINDOW + SINK + 1, N, 64, without);
    assert_true(distance(with, without) > 1e-5f);
    bamba_session_free(s[0]);
    bamba_session_free(s[1]);
    bamba_engine_free(e);
}

/* A text as a whole, in pieces that end at multiples of 64, in others and in steps; by one thread
   or by three: the first three have the same bits, so have steps and few rows, and all agree. */
static void test_cuts(void **unused)
{
    static const int pieces[] = { N, 512, 64, 448, 100, 32, 7, 1 };
    enum { EXACT = 4, N_PIECES = sizeof pieces / sizeof pieces[0] };
    const bamba_session_options o = options_of(WINDOW, 0);
    bamba_engine               *e[2] = { make_engine(1, 2048), make_engine(3, 512) };
    float                       found[2][N_PIECES][V];

    (void)unused;
    for (int i = 0; i < 2 * N_PIECES; i++) {
        bamba_session *s = running_session(model, &o);
        feed(e[i / N_PIECES], s, 0, N, pieces[i % N_PIECES], found[i / N_PIECES][i % N_PIECES]);
        bamba_session_free(s);
    }
    for (int i = 0; i < N_PIECES; i++) {
        if (running_is_exact(model) && i < EXACT)
            assert_memory_equal(found[0][i], found[0][0], sizeof found[0][0]);
        if (i > EXACT) assert_memory_equal(found[0][i], found[0][EXACT + 1], sizeof found[0][0]);
        if (i > 0 || running_is_exact(model))
            assert_memory_equal(found[1][i], found[0][i], sizeof found[0][0]);
        assert_true(distance(found[0][i], found[0][0]) < 1e-4f);
    }
    bamba_engine_free(e[0]);
    bamba_engine_free(e[1]);
}

/* Sessions of other windows, and none, in one call: each as alone. */
static void test_company(void **unused)
{
    enum { COMPANY = 4, STEPS = 30 };
    const bamba_session_options o[COMPANY] = { options_of(0, 0), options_of(WINDOW, SINK),
                                               options_of(1, -1), options_of(65, 0) };
    bamba_engine  *e = make_engine(2, 512);
    bamba_session *alone[COMPANY], *together[COMPANY];
    float          expected[V];

    (void)unused;
    for (int i = 0; i < COMPANY; i++) {
        alone[i] = running_session(model, &o[i]);
        together[i] = running_session(model, &o[i]);
        feed(e, alone[i], 0, 190 + i, 190 + i, NULL);
        feed(e, together[i], 0, 190 + i, 190 + i, NULL);
    }
    for (int step = 0; step < STEPS; step++) {
        bamba_feed_item item[COMPANY];
        for (int i = 0; i < COMPANY; i++)
            item[i] = (bamba_feed_item){ .session = together[i], .tokens = text + 190 + i + step,
                                         .n = 1, .n_logits = 1 };
        assert_int_equal(bamba_feed_batch(e, item, COMPANY, &err), BAMBA_OK);
        float found[COMPANY][V];
        for (int i = 0; i < COMPANY; i++) memcpy(found[i], item[i].logits, sizeof found[i]);
        for (int i = 0; i < COMPANY; i++) {
            feed(e, alone[i], 190 + i + step, 191 + i + step, 1, expected);
            assert_memory_equal(found[i], expected, sizeof expected);
        }
    }
    for (int i = 0; i < COMPANY; i++) bamba_session_free(alone[i]), bamba_session_free(together[i]);
    bamba_engine_free(e);
}

/* Memory is that of the window: said so, and so; nothing is allocated while it moves along. */
static void test_memory(void **unused)
{
    bamba_session_options o = options_of(WINDOW, SINK);
    bamba_engine         *e = make_engine(1, 512);
    fault                 f = { 0 };

    (void)unused;
    const uint64_t bytes = bamba_session_bytes(model, &o, 100000);
    assert_true(bytes > bamba_session_bytes(model, &o, 100));
    assert_in_range(bamba_session_bytes(model, &o, 200000) - bytes, 500000 - 128, 500000 + 128);
    o = options_of(0, 0);
    assert_true(bamba_session_bytes(model, &o, 100000) > 10 * bytes);
    o = options_of(WINDOW, SINK);
    o.n_context = 20 * N;
    o.allocator = fault_allocator(&f);
    bamba_session *s = running_session(model, &o);
    assert_in_range(f.live_bytes, bamba_session_bytes(model, &o, 20 * N) - 256,
                    bamba_session_bytes(model, &o, 20 * N) + 256);
    f.armed = true;                       /* from here on an allocation aborts */
    for (int i = 0; i < 10; i++) feed(e, s, 0, N, i % 2 ? 31 : 512, NULL);
    for (int i = 0; i < N; i++) feed(e, s, i, i + 1, 1, NULL);
    f.armed = false;
    assert_int_equal(bamba_session_position(s), 11 * N);
    bamba_session_free(s);
    assert_int_equal(f.n_live, 0);
    bamba_engine_free(e);
}

/* A pass of more rows than the session has room for takes memory, and gives it back; without memory
   it fails, and the session is as it was. */
static void test_large_passes(void **unused)
{
    const bamba_session_options plain = options_of(WINDOW, SINK);
    bamba_session_options       o = plain;
    bamba_engine               *e = make_engine(1, 2048);
    fault                       f = { 0 };
    float                       found[V], expected[V];

    (void)unused;
    o.n_context = 2 * N;
    o.allocator = fault_allocator(&f);
    bamba_session *s = running_session(model, &o), *fresh = running_session(model, &plain);
    const size_t   bytes = f.live_bytes;
    feed(e, s, 0, 300, 300, NULL);
    f.fail_at = f.n_calls + 3;
    assert_int_equal(bamba_feed(e, s, text, N, NULL, &err), BAMBA_ERR_MEMORY);
    assert_int_equal(bamba_session_position(s), 300);
    feed(e, s, 0, N, N, NULL);
    assert_true(f.live_bytes > bytes);
    feed(e, s, 0, 400, 100, found);
    assert_int_equal(f.live_bytes, bytes);
    feed(e, fresh, 0, 300, 300, NULL);
    feed(e, fresh, 0, N, N, NULL);
    feed(e, fresh, 0, 400, 100, expected);
    assert_memory_equal(found, expected, sizeof found);
    bamba_session_free(s);
    bamba_session_free(fresh);
    bamba_engine_free(e);
    assert_int_equal(f.n_live, 0);
}

/* Forks share pages of the window, and go their ways; copies take what is left of them. */
static void test_forks_and_copies(void **unused)
{
    bamba_session_options o = options_of(WINDOW, SINK);
    bamba_engine         *e = make_engine(2, 512);
    bamba_session        *s = running_session(model, &o), *fork, *other;
    bamba_session        *copy = running_session(model, &o);
    float                 found[V], expected[V];

    (void)unused;
    feed(e, s, 0, 700, 700, NULL);
    assert_int_equal(bamba_session_fork(&fork, s, NULL, &err), BAMBA_OK);
    assert_int_equal(bamba_session_room(fork), bamba_session_room(s));
    feed(e, copy, 300, 900, 600, NULL);   /* what it had is forgotten */
    assert_int_equal(bamba_session_copy(copy, s, &err), BAMBA_OK);
    feed(e, s, 0, 400, 400, NULL);        /* the pages it shares are let go of */
    bamba_session_free(s);
    s = running_session(model, &o);
    feed(e, s, 0, 700, 700, NULL);
    feed(e, s, 700, N, 150, expected);
    feed(e, fork, 700, N, 150, found);
    assert_memory_equal(found, expected, sizeof found);
    feed(e, copy, 700, N, 150, found);
    assert_memory_equal(found, expected, sizeof found);

    o = options_of(WINDOW + 1, SINK);
    assert_int_equal(bamba_session_fork(&other, s, &o, &err), BAMBA_ERR_ARGUMENT);
    assert_string_equal(err.message, "session fork: expected a window of 100 and a sink of 70, "
                        "found 101 and 70");
    assert_null(other);
    o = options_of(WINDOW, -1);
    other = running_session(model, &o);
    assert_int_equal(bamba_session_copy(other, s, &err), BAMBA_ERR_ARGUMENT);
    assert_string_equal(err.message, "session copy: expected a window of 100 and a sink of 70, "
                        "found 100 and 0");
    bamba_session_free(other);
    bamba_session_free(s);
    bamba_session_free(fork);
    bamba_session_free(copy);
    bamba_engine_free(e);
}

/* A saved session goes on with its window; another one is refused. */
static void test_files(void **unused)
{
    bamba_session_options o = options_of(WINDOW, 0), none = BAMBA_SESSION_OPTIONS;
    bamba_engine         *e = make_engine(2, 512);
    bamba_session        *s = running_session(model, &o), *opened;
    char                  path[300], end[100];
    float                 found[V], expected[V];

    (void)unused;
    none.n_context = N;
    snprintf(path, sizeof path, "%s/session", dir);
    feed(e, s, 0, 900, 512, NULL);
    assert_int_equal(bamba_session_save(s, path, NULL, &err), BAMBA_OK);
    feed(e, s, 900, N, 60, expected);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(bamba_session_open(&opened, model, path,
                                            i == 0 ? NULL : i == 1 ? &o : &none, &err),
                         BAMBA_OK);
        feed(e, opened, 900, N, 60, found);
        assert_memory_equal(found, expected, sizeof found);
        bamba_session_free(opened);
    }
    for (int i = 0; i < 2; i++) {
        o = options_of(WINDOW + (size_t)i, i == 0 ? 5 : 0);
        assert_int_equal(bamba_session_open(&opened, model, path, &o, &err), BAMBA_ERR_ARGUMENT);
        snprintf(end, sizeof end, "a window of 100 and a sink of 4 (0: it sees all), expected "
                 "%d and %d", WINDOW + i, i == 0 ? 5 : 4);
        assert_non_null(strstr(err.message, end));
        assert_null(opened);
    }
    bamba_session_free(s);

    s = running_session(model, &none);              /* one that sees all does not begin to forget */
    feed(e, s, 0, 900, 512, NULL);
    assert_int_equal(bamba_session_save(s, path, NULL, &err), BAMBA_OK);
    o = options_of(WINDOW, 0);
    assert_int_equal(bamba_session_open(&opened, model, path, &o, &err), BAMBA_ERR_ARGUMENT);
    bamba_session_free(s);
    bamba_engine_free(e);
}

/* Filled at a depth that no cache could have. */
static void test_fill(void **unused)
{
    const bamba_session_options o = options_of(WINDOW, SINK);
    bamba_engine               *e = make_engine(1, 512);
    bamba_session              *s = running_session(model, &o);

    (void)unused;
    assert_int_equal(bamba_session_room(s), (size_t)1 << 30);
    assert_int_equal(bamba_session_fill(s, (1 << 30) - 100, 1, &err), BAMBA_OK);
    feed(e, s, 0, 100, 33, NULL);
    assert_int_equal(bamba_session_room(s), 0);
    assert_int_equal(bamba_feed(e, s, text, 1, NULL, &err), BAMBA_ERR_FULL);
    bamba_session_reset(s);
    feed(e, s, 0, 300, 300, NULL);
    bamba_session_free(s);
    bamba_engine_free(e);
}

static void test_refusals(void **unused)
{
    bamba_session_options o = options_of(((size_t)1 << 29) + 1, 0);
    bamba_session        *s;

    (void)unused;
    assert_int_equal(bamba_session_create(&s, model, &o, &err), BAMBA_ERR_ARGUMENT);
    assert_string_equal(err.message, "session: expected n_window <= 536870912 and n_sink "
                        "from -1 to 536870912, found 536870913 and 0");
    o = options_of(10, -2);
    assert_int_equal(bamba_session_create(&s, model, &o, &err), BAMBA_ERR_ARGUMENT);
    assert_int_equal(bamba_session_bytes(model, &o, 10), 0);
    o = options_of(0, 4);
    assert_int_equal(bamba_session_create(&s, model, &o, &err), BAMBA_ERR_ARGUMENT);
    assert_string_equal(err.message,
                        "session: expected an n_window beside an n_sink of 4, found 0");
    o = options_of((size_t)1 << 29, 1 << 29);
    s = running_session(model, &o);
    bamba_session_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_begins_as_without),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_company),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_large_passes),
        cmocka_unit_test(test_forks_and_copies),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_fill),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
