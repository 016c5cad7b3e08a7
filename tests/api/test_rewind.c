/* test_rewind.c - sessions that go back: as if what lay behind had never been fed. */
#include "bamba_measure.h"

#include "support/fault.h"
#include "support/running.h"
#include "support/tempdir.h"
#include "support/world.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { V = WORLD_VOCAB };

static bamba_error err;

/* Rows that shared a pass of many rows are rebuilt, by the log or by feeding them again, as they
   ran there. */
static void go_back_in_company(size_t n_rewind)
{
    tiny_dims             d = TINY_DIMS;
    bamba_model_options   o = BAMBA_MODEL_OPTIONS;
    bamba_session_options s = BAMBA_SESSION_OPTIONS;
    static world          w;
    int32_t               tokens[100];
    const float          *logits;
    float                 found[V];

    s.n_rewind = n_rewind;
    world_open(&w, tempdir, &d, NULL, &o, &s, 512);
    const bool is_exact = running_is_exact(w.model);
    for (int i = 0; i < 100; i++) tokens[i] = (i * 31 + 7) % V;
    for (int i = 0; i < 2; i++) {
        bamba_session  *other;
        bamba_feed_item items[2] = {
            { .session = i ? w.session : w.fresh, .tokens = tokens, .n = i ? 9 : 4 },
            { .tokens = tokens + 20, .n = 50 },
        };
        assert_int_equal(bamba_session_create(&other, w.model, NULL, &err), BAMBA_OK);
        items[1].session = other;
        assert_int_equal(bamba_feed_batch(w.engine, items, 2, &err), BAMBA_OK);
        bamba_session_free(other);
    }
    assert_int_equal(bamba_session_rewind(w.engine, w.session, 4, &err), BAMBA_OK);
    assert_int_equal(bamba_feed(w.engine, w.session, tokens + 4, 2, &logits, &err), BAMBA_OK);
    memcpy(found, logits, sizeof found);
    assert_int_equal(bamba_feed(w.engine, w.fresh, tokens + 4, 2, &logits, &err), BAMBA_OK);
    if (is_exact) assert_memory_equal(found, logits, sizeof found);
    for (int i = 0; i < V; i++) assert_true(fabsf(found[i] - logits[i]) < 1e-3f);
    world_close(&w);
}

static void test_company(void **unused)
{
    (void)unused;
    go_back_in_company(32);
    go_back_in_company(0);
}

/* Eight forks of one prompt, fed by different threads of control, freed in any order: each goes on
   as it would alone, and what they share is held once. */
static void test_forks(void **unused)
{
    enum { N_FORKS = 8, PROMPT = 300, MORE = 70 };
    tiny_dims             d = TINY_DIMS;
    bamba_model_options   o = BAMBA_MODEL_OPTIONS;
    bamba_session_options s = BAMBA_SESSION_OPTIONS;
    static world          w;
    bamba_session        *fork[N_FORKS];
    int32_t               text[PROMPT + MORE];
    static float          found[N_FORKS][MORE][V];
    const float          *logits;

    (void)unused;
    d.n_context = PROMPT + MORE;
    world_open(&w, tempdir, &d, NULL, &o, &s, 512);
    for (int i = 0; i < PROMPT; i++) text[i] = (i * 31 + 7) % V;
    assert_int_equal(bamba_feed(w.engine, w.session, text, PROMPT, NULL, &err), BAMBA_OK);
    for (int f = 0; f < N_FORKS; f++)
        assert_int_equal(bamba_session_fork(&fork[f], f < 4 ? w.session : fork[f - 1], NULL, &err),
                         BAMBA_OK);
    bamba_session_free(w.session);
    w.session = NULL;
    for (int i = 0; i < MORE; i++) {
        bamba_feed_item item[N_FORKS];
        int32_t         token[N_FORKS];
        size_t          n = 0;
        for (int f = 0; f < N_FORKS; f++) {
            token[f] = (i * (f + 3) + f) % V;
            if (fork[f]) item[n++] = (bamba_feed_item){ .session = fork[f], .tokens = &token[f],
                                                      .n = 1, .n_logits = 1 };
        }
        assert_int_equal(bamba_feed_batch(w.engine, item, n, &err), BAMBA_OK);
        for (int f = 0, at = 0; f < N_FORKS; f++)
            if (fork[f]) memcpy(found[f][i], item[at++].logits, sizeof found[f][i]);
        if (i == 40) bamba_session_free(fork[2]), fork[2] = NULL;
    }
    for (int f = 0; f < N_FORKS; f++) {
        bamba_session_reset(w.fresh);
        assert_int_equal(bamba_feed(w.fresh_engine, w.fresh, text, PROMPT, NULL, &err), BAMBA_OK);
        for (int i = 0; i < (fork[f] ? MORE : 41); i++) {
            const int32_t token = (i * (f + 3) + f) % V;
            assert_int_equal(bamba_feed(w.fresh_engine, w.fresh, &token, 1, &logits, &err),
                             BAMBA_OK);
            assert_memory_equal(logits, found[f][i], sizeof found[f][i]);
        }
        bamba_session_free(fork[f]);
    }
    world_close(&w);
}

/* A page that cannot be copied: an error, and both sessions go on from where they were. */
static void test_fork_without_memory(void **unused)
{
    tiny_dims             d = TINY_DIMS;
    bamba_model_options   o = BAMBA_MODEL_OPTIONS;
    bamba_session_options s = BAMBA_SESSION_OPTIONS;
    static world          w;
    fault                 f = { 0 };
    bamba_session        *fork;
    const float          *logits;
    float                 expected[V];

    (void)unused;
    s.allocator = fault_allocator(&f);
    world_open(&w, tempdir, &d, NULL, &o, &s, 512);
    for (size_t i = 0; i < 120; i++) w.past.token[i] = (int32_t)(i % V);
    world_feed(&w, 100);
    assert_int_equal(bamba_feed(w.fresh_engine, w.fresh, w.past.token, 100, NULL, &err), BAMBA_OK);
    assert_int_equal(bamba_feed(w.fresh_engine, w.fresh, w.past.token + 100, 1, &logits, &err),
                     BAMBA_OK);
    memcpy(expected, logits, sizeof expected);
    /* the page of positions 64 … is the fork's in the session's own room: that needs another */
    assert_int_equal(bamba_session_fork(&fork, w.session, &s, &err), BAMBA_OK);
    f.fail_at = f.n_calls + 1;
    assert_int_equal(bamba_feed(w.engine, w.session, w.past.token + 100, 1, &logits, &err),
                     BAMBA_ERR_MEMORY);
    assert_int_equal(bamba_session_position(w.session), 100);
    f.fail_at = 0;
    assert_int_equal(bamba_feed(w.engine, w.session, w.past.token + 100, 1, &logits, &err),
                     BAMBA_OK);
    assert_memory_equal(logits, expected, sizeof expected);
    assert_int_equal(bamba_feed(w.engine, fork, w.past.token + 100, 1, &logits, &err), BAMBA_OK);
    assert_memory_equal(logits, expected, sizeof expected);
    bamba_session_free(fork);
    world_close(&w);
    assert_int_equal(f.n_live, 0);
}

static void test_refusals(void **unused)
{
    tiny_dims             d = TINY_DIMS;
    bamba_model_options   o = BAMBA_MODEL_OPTIONS;
    bamba_session_options s = BAMBA_SESSION_OPTIONS;
    static world          w;

    (void)unused;
    s.n_rewind = 16;
    world_open(&w, tempdir, &d, NULL, &o, &s, 512);
    for (size_t i = 0; i < 10; i++) w.past.token[i] = (int32_t)i;
    world_feed(&w, 10);
    assert_int_equal(bamba_session_rewind(w.engine, w.session, 11, &err), BAMBA_ERR_ARGUMENT);
    assert_string_equal(err.message, "rewind: expected a position up to 10, found 11");
    assert_int_equal(bamba_session_rewind(NULL, w.session, 1, &err), BAMBA_ERR_ARGUMENT);
    assert_int_equal(bamba_session_rewind(w.engine, NULL, 1, &err), BAMBA_ERR_ARGUMENT);

    assert_int_equal(bamba_session_fill(w.session, 40, 1, &err), BAMBA_OK);
    assert_null(bamba_session_tokens(w.session));
    assert_int_equal(bamba_session_rewind(w.engine, w.session, 20, &err), BAMBA_ERR_ARGUMENT);
    assert_string_equal(err.message, "rewind: expected a position from 40 on, since the "
                        "session was filled without tokens, found 20");
    w.past.n = 40;
    world_feed(&w, 3);
    assert_int_equal(bamba_session_rewind(w.engine, w.session, 41, &err), BAMBA_OK);
    assert_int_equal(bamba_session_rewind(w.engine, w.session, 40, &err), BAMBA_OK);
    assert_int_equal(bamba_session_rewind(w.engine, w.session, 0, &err), BAMBA_OK);
    assert_int_equal(bamba_session_position(w.session), 0);
    world_close(&w);
}

/* What is said of memory: the log costs what a row is, a snapshot what a state is. */
static void test_bytes(void **unused)
{
    tiny_dims             d = TINY_DIMS;
    bamba_model_options   o = BAMBA_MODEL_OPTIONS;
    bamba_session_options s = BAMBA_SESSION_OPTIONS;
    static world          w;

    (void)unused;
    world_open(&w, tempdir, &d, NULL, &o, &s, 512);
    const uint64_t state = bamba_model_state_bytes(w.model, 0);
    const uint64_t plain = bamba_session_bytes(w.model, NULL, 100);

    assert_true(plain >= bamba_model_state_bytes(w.model, 100));
    s.n_rewind = 100;
    const uint64_t hundred = bamba_session_bytes(w.model, &s, 100);
    s.n_rewind = 200;
    const uint64_t row = (8 * 8 + 2 * 2 * 16 + 8) * sizeof(float) * 2;      /* two layers */
    assert_in_range(bamba_session_bytes(w.model, &s, 100) - hundred, 200 * row, 200 * row + 256);
    s.n_rewind = 0;
    s.snapshot_tokens = 10;
    s.snapshot_bytes = 3 * state;
    assert_in_range(bamba_session_bytes(w.model, &s, 100) - plain, 3 * state, 3 * state + 1024);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_company),
        cmocka_unit_test(test_forks),
        cmocka_unit_test(test_fork_without_memory),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, tempdir_enter, tempdir_leave);
}
