/* test_bits.c - promises about bits: what may change around a row without changing its logits. */
#include "bamba.h"

#include "support/fault.h"
#include "support/running.h"
#include "support/tempdir.h"
#include "support/tiny.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#if defined(__x86_64__)
#  include <xmmintrin.h>
#endif

/* The floating-point mode of a thread, less exception flags, and one that is not the library's:
   round toward zero, denormals on. */
#if defined(__x86_64__)
enum { ODD_MODE = 0x1F80 | 0x6000 };
static unsigned read_mode(void) { return _mm_getcsr() & ~0x3Fu; }
static void     write_mode(unsigned mode) { _mm_setcsr(mode); }
#elif defined(__aarch64__)
enum { ODD_MODE = 0x3 << 22 };
static unsigned read_mode(void)
{
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return (unsigned)mode;
}
static void write_mode(unsigned mode)
{
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)mode));
}
#else
enum { ODD_MODE = 0 };
static unsigned read_mode(void) { return 0; }
static void     write_mode(unsigned mode) { (void)mode; }
#endif

enum { V = 96, N = 230 };

static char        *dir;
static bamba_model *model;
static int32_t      prompt[N];
static float        cut_error;            /* what cuts may change, of the largest logit */

static int open_tiny(bamba_type kv_type, bamba_type state_type, float error)
{
    tiny_dims           d = TINY_DIMS;
    bamba_model_options o = BAMBA_MODEL_OPTIONS;

    o.kv_type = kv_type;
    o.state_type = state_type;
    cut_error = error;
    dir = tempdir_make();
    tiny_write(&d, dir);
    for (int i = 0; i < N; i++) prompt[i] = (i * i * 31 + i * 7 + 3) % V;
    return bamba_model_open(&model, dir, &o, NULL) != BAMBA_OK;
}

static int set_up(void **unused)
{
    (void)unused;
    return open_tiny(BAMBA_TYPE_F32, BAMBA_TYPE_DEFAULT, 1e-4f);
}

static int set_up_halves(void **unused)
{
    (void)unused;
    return open_tiny(BAMBA_TYPE_BF16, BAMBA_TYPE_BF16, 0.05f);
}

static int set_up_bytes(void **unused)
{
    (void)unused;
    return open_tiny(BAMBA_TYPE_Q8, BAMBA_TYPE_Q8, 0.1f);
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
    return running_engine(model, &o);
}

/* Logits after each of the last n_logits tokens of a prompt fed in pieces of `piece`. */
static void feed_in_pieces(bamba_engine *e, bamba_session *s, int n, int piece, float *out)
{
    for (int at = 0; at < n; at += piece) {
        const int       m = n - at < piece ? n - at : piece;
        bamba_feed_item item = { .session = s, .tokens = prompt + at, .n = (size_t)m,
                                 .n_logits = (size_t)m };
        assert_int_equal(bamba_feed_batch(e, &item, 1, NULL), BAMBA_OK);
        memcpy(out + (size_t)at * V, item.logits, (size_t)m * V * sizeof *out);
    }
}

static float whole[N * V], other[N * V];

static void test_any_number_of_threads(void **unused)
{
    (void)unused;
    for (int piece = 1; piece <= N; piece = piece == 1 ? 20 : piece == 20 ? N : N + 1)
        for (int threads = 1; threads <= 5; threads++) {
            bamba_engine  *e = make_engine(threads, 0);
            bamba_session *s = running_session(model, NULL);
            feed_in_pieces(e, s, N, piece, threads == 1 ? whole : other);
            if (threads > 1) assert_memory_equal(whole, other, sizeof whole);
            bamba_session_free(s);
            bamba_engine_free(e);
        }
}

static void test_any_session_object(void **unused)
{
    bamba_engine  *e = make_engine(2, 0);
    bamba_session *a = running_session(model, NULL);
    bamba_session *b = running_session(model, NULL);

    (void)unused;
    feed_in_pieces(e, a, N, N, whole);
    feed_in_pieces(e, b, N, 7, other);    /* dirty it first */
    bamba_session_reset(b);
    assert_int_equal(bamba_session_position(b), 0);
    feed_in_pieces(e, b, N, N, other);
    assert_memory_equal(whole, other, sizeof whole);

    /* a copy goes on as the original does */
    bamba_session_reset(a);
    feed_in_pieces(e, a, 100, 100, whole);
    assert_int_equal(bamba_session_copy(b, a, NULL), BAMBA_OK);
    assert_int_equal(bamba_session_position(b), 100);
    feed_in_pieces(e, a, 40, 40, whole);
    feed_in_pieces(e, b, 40, 40, other);
    assert_memory_equal(whole, other, 40 * V * sizeof(float));
    bamba_session_free(a);
    bamba_session_free(b);
    bamba_engine_free(e);
}

/* Up to 32 rows of one call: every row has the bits it has alone, one token at a time. */
static void test_company_up_to_32_rows(void **unused)
{
    enum { SESSIONS = 5 };
    static const int lengths[SESSIONS] = { 1, 9, 17, 1, 4 };          /* 32 in all */
    static const int before[SESSIONS] = { 0, 70, 3, 130, 64 };
    bamba_engine    *e = make_engine(2, 0);
    bamba_session   *s[SESSIONS], *alone[SESSIONS];
    bamba_feed_item  items[SESSIONS];

    (void)unused;
    for (int i = 0; i < SESSIONS; i++) {
        s[i] = running_session(model, NULL);
        alone[i] = running_session(model, NULL);
        if (before[i] == 0) continue;
        feed_in_pieces(e, s[i], before[i], before[i], other);
        feed_in_pieces(e, alone[i], before[i], before[i], other);
    }
    for (int i = 0; i < SESSIONS; i++)
        items[i] = (bamba_feed_item){ .session = s[i], .tokens = prompt + i,
                                      .n = (size_t)lengths[i],
                                      .n_logits = (size_t)lengths[i] };
    assert_int_equal(bamba_feed_batch(e, items, SESSIONS, NULL), BAMBA_OK);

    float *together = other;
    for (int i = 0; i < SESSIONS; i++) {
        memcpy(together, items[i].logits, (size_t)lengths[i] * V * sizeof(float));
        together += lengths[i] * V;
    }
    together = other;
    for (int i = 0; i < SESSIONS; i++)
        for (int t = 0; t < lengths[i]; t++) {
            const float *logits;
            assert_int_equal(bamba_feed(e, alone[i], prompt + i + t, 1, &logits, NULL), BAMBA_OK);
            assert_memory_equal(logits, together, V * sizeof(float));
            together += V;
        }
    for (int i = 0; i < SESSIONS; i++) {
        bamba_session_free(s[i]);
        bamba_session_free(alone[i]);
    }
    bamba_engine_free(e);
}

static void test_prompt_cut_anywhere(void **unused)
{
    static const int pieces[] = { 1, 7, 33, 64, 100 };
    bamba_engine    *e = make_engine(2, 0);
    bamba_engine    *small = make_engine(2, 48);      /* the engine's own cut */
    bamba_session   *s = running_session(model, NULL);

    (void)unused;
    feed_in_pieces(e, s, N, N, whole);
    const float bound = cut_error * running_largest(whole, N * V);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        bamba_session_reset(s);
        feed_in_pieces(e, s, N, pieces[i], other);
        assert_true(running_distance(whole, other, N * V) <= bound);
    }
    bamba_session_reset(s);
    feed_in_pieces(small, s, N, N, other);
    assert_true(running_distance(whole, other, N * V) <= bound);
    bamba_session_free(s);
    bamba_engine_free(small);
    bamba_engine_free(e);
}

/* The tail of one prompt and the head of the next share a piece; single tokens come along. */
static void test_ragged_batches(void **unused)
{
    static const int lengths[3] = { 150, 1, 79 };
    bamba_engine    *e = make_engine(2, 64);
    bamba_session   *s[3];
    bamba_feed_item  items[3];

    (void)unused;
    for (int i = 0; i < 3; i++) {
        s[i] = running_session(model, NULL);
        items[i] = (bamba_feed_item){ .session = s[i], .tokens = prompt, .n = (size_t)lengths[i],
                                      .n_logits = (size_t)lengths[i] };
    }
    assert_int_equal(bamba_feed_batch(e, items, 3, NULL), BAMBA_OK);
    memcpy(other, items[0].logits, N * V * sizeof(float));
    const float *got = other;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(bamba_session_position(s[i]), lengths[i]);
        bamba_session_reset(s[i]);
        bamba_engine *alone = make_engine(1, 0);
        feed_in_pieces(alone, s[i], lengths[i], lengths[i], whole);
        const size_t n = (size_t)lengths[i] * V;
        assert_true(running_distance(got, whole, n) <= cut_error * running_largest(whole, n));
        got += n;
        bamba_engine_free(alone);
        bamba_session_free(s[i]);
    }
    bamba_engine_free(e);
}

static void test_caller_modes_do_not_matter(void **unused)
{
    bamba_engine  *e = make_engine(2, 0);
    bamba_session *s = running_session(model, NULL);

    (void)unused;
    feed_in_pieces(e, s, N, 40, whole);
    bamba_session_reset(s);
    errno = ERANGE;
    const unsigned old = read_mode();
    write_mode(ODD_MODE);
    feed_in_pieces(e, s, N, 40, other);
    const unsigned after = read_mode();
    write_mode(old);
    assert_int_equal(after, ODD_MODE);
    assert_int_equal(errno, ERANGE);
    assert_memory_equal(whole, other, sizeof whole);
    bamba_session_free(s);
    bamba_engine_free(e);
}

static void test_feeding_allocates_nothing(void **unused)
{
    fault                 f = { 0 };
    bamba_model_options   mo = BAMBA_MODEL_OPTIONS;
    bamba_engine_options  eo = BAMBA_ENGINE_OPTIONS;
    bamba_session_options so = BAMBA_SESSION_OPTIONS;
    bamba_model          *m;
    bamba_engine         *e;
    bamba_session        *s;
    const float          *logits;

    (void)unused;
    mo.allocator = fault_allocator(&f);
    so.n_context = 1100;
    assert_int_equal(bamba_model_open(&m, dir, &mo, NULL), BAMBA_OK);
    assert_int_equal(bamba_engine_create(&e, m, &eo, NULL), BAMBA_OK);
    assert_int_equal(bamba_session_create(&s, m, &so, NULL), BAMBA_OK);
    f.armed = true;
    assert_int_equal(bamba_feed(e, s, prompt, 100, &logits, NULL), BAMBA_OK);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(bamba_feed(e, s, prompt + i % N, 1, &logits, NULL), BAMBA_OK);
    assert_int_equal(bamba_feed(e, s, prompt, 1, &logits, NULL), BAMBA_ERR_FULL);
    f.armed = false;
    bamba_session_free(s);
    bamba_engine_free(e);
    bamba_model_free(m);
    assert_int_equal(f.n_live, 0);
}

/* -------------------------------------------------------------- cancel ------------------- */

static int polls, cancel_at;

static int count_polls(void *unused)
{
    (void)unused;
    return ++polls == cancel_at;
}

/* Cancelled at the k-th poll for every k: the session stands at a piece's end and goes on as if
   nothing had happened. */
static void test_cancel_at_every_block(void **unused)
{
    bamba_engine_options o = BAMBA_ENGINE_OPTIONS;
    bamba_engine        *plain = make_engine(2, 40);
    bamba_engine        *e;
    bamba_session       *s = running_session(model, NULL);
    bamba_error          err;
    bool                 finished = false;

    (void)unused;
    o.n_threads = 2;
    o.n_batch = 40;
    o.n_logits = N;
    o.cancel = count_polls;
    assert_int_equal(bamba_engine_create(&e, model, &o, NULL), BAMBA_OK);
    feed_in_pieces(plain, s, N, N, whole);
    for (cancel_at = 1; !finished; cancel_at++) {
        const float *logits = NULL;
        bamba_session_reset(s);
        polls = 0;
        const bamba_status status = bamba_feed(e, s, prompt, N, &logits, &err);
        finished = status == BAMBA_OK;
        if (finished) break;
        assert_int_equal(status, BAMBA_ERR_CANCELLED);
        assert_null(logits);
        const size_t at = bamba_session_position(s);
        assert_true(at < N && at % 40 == 0);
        assert_int_equal(bamba_feed(plain, s, prompt + at, N - at, &logits, NULL), BAMBA_OK);
        assert_memory_equal(logits, whole + (N - 1) * V, V * sizeof(float));
    }
    /* 6 pieces of 3 layers with 2 blocks each, polled before each piece and after each block */
    assert_int_equal(cancel_at - 1, 6 * (1 + 3 * 2));
    bamba_session_free(s);
    bamba_engine_free(plain);
    bamba_engine_free(e);
}

static int cancel_half(void *unused, uint64_t done, uint64_t total)
{
    (void)unused;
    return done * 2 >= total;
}

static void test_progress_cancels(void **unused)
{
    bamba_engine_options o = BAMBA_ENGINE_OPTIONS;
    bamba_engine        *e;
    bamba_session       *s = running_session(model, NULL);

    (void)unused;
    o.n_batch = 50;
    o.progress = cancel_half;
    assert_int_equal(bamba_engine_create(&e, model, &o, NULL), BAMBA_OK);
    assert_int_equal(bamba_feed(e, s, prompt, N, NULL, NULL), BAMBA_ERR_CANCELLED);
    assert_int_equal(bamba_session_position(s), 150);
    bamba_session_free(s);
    bamba_engine_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_number_of_threads),
        cmocka_unit_test(test_any_session_object),
        cmocka_unit_test(test_company_up_to_32_rows),
        cmocka_unit_test(test_prompt_cut_anywhere),
        cmocka_unit_test(test_ragged_batches),
        cmocka_unit_test(test_caller_modes_do_not_matter),
        cmocka_unit_test(test_feeding_allocates_nothing),
        cmocka_unit_test(test_cancel_at_every_block),
        cmocka_unit_test(test_progress_cancels),
    };
    return cmocka_run_group_tests_name("float32", tests, set_up, tear_down)
         | cmocka_run_group_tests_name("bf16 cache and state", tests, set_up_halves, tear_down)
         | cmocka_run_group_tests_name("int8 cache and state", tests, set_up_bytes, tear_down);
}
