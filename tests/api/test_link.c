/* test_link.c - one model in two halves, each in a thread of its own, joined by a link: the bits of
 * the whole; what a link that fails leaves; what is refused. */
#include "bamba.h"

#include "support/tempdir.h"
#include "support/tiny.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TOKENS = 120, BATCH = 50 };
static const size_t calls[] = { 1, 70, 3, 1, 45 };    /* the second and last span pieces */
enum { N_CALLS = sizeof calls / sizeof calls[0] };

static char     *dir;
static int32_t   tokens[TOKENS];
static tiny_dims dims = TINY_DIMS;

static int make_model(void **state)
{
    (void)state;
    dir = tempdir_make();
    tiny_write(&dims, dir);
    for (int i = 0; i < TOKENS; i++) tokens[i] = (i * 31 + i / 7) % dims.n_vocab;
    return 0;
}

static int remove_model(void **state)
{
    (void)state;
    tempdir_remove(dir);
    return 0;
}

/* -------------------------------------------------------------- a channel ---------------- */

/* Holds the rows of one piece at a time. */
typedef struct channel {
    pthread_mutex_t lock;
    pthread_cond_t  changed;
    float          *rows;                 /* NULL: empty */
    size_t          n_rows, n_columns;
    int             fail_at;              /* refuse the call of this number, from 1; 0: none */
    int             n_calls;
} channel;

static void channel_init(channel *c)
{
    *c = (channel){ .rows = NULL };
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->changed, NULL);
}

static void channel_free(channel *c)
{
    free(c->rows);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->changed);
}

static int put(void *context, const float *rows, size_t n_rows, size_t n_columns)
{
    channel *c = context;

    if (++c->n_calls == c->fail_at) return 1;
    float *copy = malloc(n_rows * n_columns * sizeof *copy);
    if (!copy) return 1;
    memcpy(copy, rows, n_rows * n_columns * sizeof *copy);
    pthread_mutex_lock(&c->lock);
    while (c->rows) pthread_cond_wait(&c->changed, &c->lock);
    c->rows = copy;
    c->n_rows = n_rows;
    c->n_columns = n_columns;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    return 0;
}

static int get(void *context, float *rows, size_t n_rows, size_t n_columns)
{
    channel *c = context;
    int      wrong;

    pthread_mutex_lock(&c->lock);
    while (!c->rows) pthread_cond_wait(&c->changed, &c->lock);
    wrong = c->n_rows != n_rows || c->n_columns != n_columns;
    if (!wrong) memcpy(rows, c->rows, n_rows * n_columns * sizeof *rows);
    free(c->rows);
    c->rows = NULL;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    return wrong;
}

static int refuse(void *context, float *rows, size_t n_rows, size_t n_columns)
{
    (void)context, (void)rows, (void)n_rows, (void)n_columns;
    return 1;
}

/* -------------------------------------------------------------- a part ------------------- */

typedef struct part {
    bamba_model   *model;
    bamba_engine  *engine;
    bamba_session *session;
    float         *logits;                /* [N_CALLS, V], of a part with a head */
    bamba_status   status;
} part;

static bamba_status open_part(part *p, int first, int end, bamba_link link, int n_threads,
                              bamba_error *err)
{
    bamba_model_options  m = BAMBA_MODEL_OPTIONS;
    bamba_engine_options e = BAMBA_ENGINE_OPTIONS;

    memset(p, 0, sizeof *p);
    m.first_layer = first;
    m.end_layer = end;
    e.link = link;
    e.n_threads = n_threads;
    e.n_batch = BATCH;
    bamba_status status = bamba_model_open(&p->model, dir, &m, err);
    if (status == BAMBA_OK) status = bamba_engine_create(&p->engine, p->model, &e, err);
    if (status == BAMBA_OK) status = bamba_session_create(&p->session, p->model, NULL, err);
    return status;
}

static void open_good(part *p, int first, int end, bamba_link link, int n_threads)
{
    bamba_error err = { BAMBA_OK, "" };

    if (open_part(p, first, end, link, n_threads, &err) != BAMBA_OK) fail_msg("%s", err.message);
    p->logits = calloc((size_t)(N_CALLS * dims.n_vocab), sizeof *p->logits);
    assert_non_null(p->logits);
}

static void close_part(part *p)
{
    free(p->logits);
    bamba_session_free(p->session);
    bamba_engine_free(p->engine);
    bamba_model_free(p->model);
}

static void feed_all(part *p, bool has_head)
{
    size_t at = 0;

    p->status = BAMBA_OK;
    for (int i = 0; i < N_CALLS && p->status == BAMBA_OK; at += calls[i++]) {
        const float *logits = NULL;
        p->status = bamba_feed(p->engine, p->session, tokens + at, calls[i],
                               has_head ? &logits : NULL, NULL);
        if (logits)
            memcpy(p->logits + (size_t)(i * dims.n_vocab), logits,
                   (size_t)dims.n_vocab * sizeof *logits);
    }
}

static void *feed_low(void *p)
{
    feed_all(p, false);
    return NULL;
}

/* -------------------------------------------------------------- tests -------------------- */

static void test_two_halves(void **unused)
{
    static const bamba_link none = { NULL, NULL, NULL };
    const size_t bytes = (size_t)(N_CALLS * dims.n_vocab) * sizeof(float);
    part         all;

    (void)unused;
    open_good(&all, 0, 0, none, 2);
    feed_all(&all, true);
    assert_int_equal(all.status, BAMBA_OK);
    for (int cut = 1; cut < dims.n_layers; cut++) {
        part      low, high;
        channel   c;
        pthread_t thread;

        channel_init(&c);
        open_good(&low, 0, cut, (bamba_link){ NULL, put, &c }, 1);
        open_good(&high, cut, dims.n_layers, (bamba_link){ get, NULL, &c }, 2);
        assert_int_equal(pthread_create(&thread, NULL, feed_low, &low), 0);
        feed_all(&high, true);
        pthread_join(thread, NULL);
        assert_int_equal(low.status, BAMBA_OK);
        assert_int_equal(high.status, BAMBA_OK);
        assert_int_equal(bamba_session_position(low.session), TOKENS);
        assert_int_equal(bamba_session_position(high.session), TOKENS);
        assert_memory_equal(high.logits, all.logits, bytes);
        close_part(&low);
        close_part(&high);
        channel_free(&c);
    }
    close_part(&all);
}

/* A part needs less than the whole, and both parts together what the whole needs, the embedding
   that a tied head reads too counted twice. */
static void test_parts_are_smaller(void **unused)
{
    channel          c;
    part             low, high, all;
    bamba_model_info l = BAMBA_MODEL_INFO, h = BAMBA_MODEL_INFO, a = BAMBA_MODEL_INFO;

    (void)unused;
    channel_init(&c);
    open_good(&all, 0, dims.n_layers, (bamba_link){ NULL, NULL, NULL }, 1);
    open_good(&low, 0, 1, (bamba_link){ NULL, put, &c }, 1);
    open_good(&high, 1, dims.n_layers, (bamba_link){ get, NULL, &c }, 1);
    assert_int_equal(bamba_model_info_get(low.model, &l), BAMBA_OK);
    assert_int_equal(bamba_model_info_get(high.model, &h), BAMBA_OK);
    assert_int_equal(bamba_model_info_get(all.model, &a), BAMBA_OK);
    assert_int_equal(l.n_params + h.n_params, a.n_params);
    assert_true(l.n_params < a.n_params && h.n_params < a.n_params);
    assert_int_equal(bamba_model_state_bytes(low.model, 100)
                     + bamba_model_state_bytes(high.model, 100),
                     bamba_model_state_bytes(all.model, 100));
    assert_int_equal(l.n_layers, a.n_layers);
    assert_int_equal(l.weight_type, BAMBA_TYPE_F32);
    close_part(&all), close_part(&low), close_part(&high);
    channel_free(&c);
}

/* The session stands where the last finished piece ended, exact: what follows has the bits of a
   session that was never disturbed. */
static void test_failing_link(void **unused)
{
    channel     c;
    part        low, high;
    bamba_error err = { BAMBA_OK, "" };

    (void)unused;
    open_good(&high, 1, dims.n_layers, (bamba_link){ refuse, NULL, NULL }, 1);
    assert_int_equal(bamba_feed(high.engine, high.session, tokens, 60, NULL, &err), BAMBA_ERR_IO);
    assert_string_equal(err.message, "feed: the link did not give 50 rows");
    assert_int_equal(bamba_session_position(high.session), 0);
    close_part(&high);

    /* The second piece is not taken; a second try goes on from there. */
    float rows[2][BATCH * 64];
    for (int disturbed = 0; disturbed <= 1; disturbed++) {
        channel_init(&c);
        open_good(&low, 0, 1, (bamba_link){ NULL, put, &c }, 2);
        assert_int_equal(bamba_feed(low.engine, low.session, tokens, BATCH, NULL, &err), BAMBA_OK);
        assert_int_equal(get(&c, rows[disturbed], BATCH, (size_t)dims.d_model), 0);
        c.fail_at = disturbed ? 2 : 0;
        if (disturbed) {
            assert_int_equal(bamba_feed(low.engine, low.session, tokens + BATCH, 40, NULL, &err),
                             BAMBA_ERR_IO);
            assert_string_equal(err.message, "feed: the link did not take 40 rows");
        }
        assert_int_equal(bamba_session_position(low.session), BATCH);
        assert_int_equal(bamba_feed(low.engine, low.session, tokens + BATCH, 40, NULL, &err),
                         BAMBA_OK);
        assert_int_equal(get(&c, rows[disturbed], 40, (size_t)dims.d_model), 0);
        close_part(&low);
        channel_free(&c);
    }
    assert_memory_equal(rows[0], rows[1], 40 * (size_t)dims.d_model * sizeof(float));
}

static void test_refusals(void **unused)
{
    static const int   ranges[][2] = { { 2, 1 }, { 1, 1 }, { -1, 2 }, { 0, 4 }, { 3, 0 } };
    static const char  need[] = "model options: expected 0 <= first_layer < end_layer <= 3, found ";
    const bamba_link   none = { NULL, NULL, NULL };
    channel            c;
    part               p;
    bamba_error        err;
    const float       *logits;

    (void)unused;
    channel_init(&c);
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        assert_int_equal(open_part(&p, ranges[i][0], ranges[i][1], none, 1, &err),
                         BAMBA_ERR_ARGUMENT);
        assert_memory_equal(err.message, need, strlen(need));
        close_part(&p);
    }
    assert_int_equal(open_part(&p, 0, 2, none, 1, &err), BAMBA_ERR_ARGUMENT);
    assert_string_equal(err.message, "engine: the model ends before layer 3: expected link.send");
    close_part(&p);
    assert_int_equal(open_part(&p, 1, 3, none, 1, &err), BAMBA_ERR_ARGUMENT);
    assert_string_equal(err.message,
                        "engine: the model begins behind layer 0: expected link.receive");
    close_part(&p);

    open_good(&p, 0, 2, (bamba_link){ NULL, put, &c }, 1);
    assert_int_equal(bamba_feed(p.engine, p.session, tokens, 1, &logits, &err), BAMBA_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "the model ends before the head"));
    close_part(&p);
    channel_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_halves),
        cmocka_unit_test(test_parts_are_smaller),
        cmocka_unit_test(test_failing_link),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, make_model, remove_model);
}
