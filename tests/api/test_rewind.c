/* test_rewind.c - sessions that go back: as if what lay behind had never been fed. */
#include "bamba_measure.h"

#include "support/fault.h"
#include "support/tempdir.h"
#include "support/tiny.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { V = 96, MOST = 1400, STEPS = 30, PROBE = 3 };

static char        *dir;
static bamba_error  err;

static int set_up(void **unused)
{
    (void)unused;
    dir = tempdir_make();
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    tempdir_remove(dir);
    return 0;
}

static uint64_t next_random(uint64_t *state)          /* splitmix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static size_t below(uint64_t *state, size_t n) { return (size_t)(next_random(state) % n); }

/* A text as it was fed: its calls, each with its tokens. */
typedef struct history {
    int32_t token[MOST];
    size_t  n;
    size_t  call[MOST];                   /* tokens of each call */
    size_t  n_calls;
} history;

static void add_call(history *h, size_t n) { h->call[h->n_calls++] = n, h->n += n; }

static void cut(history *h, size_t n)
{
    while (h->n > n) {
        const size_t last = h->call[h->n_calls - 1], extra = h->n - n;
        if (extra >= last) h->n -= last, h->n_calls--;
        else h->n -= extra, h->call[h->n_calls - 1] -= extra;
    }
}

typedef struct world {
    bamba_model   *model;
    bamba_engine  *engine, *fresh_engine;
    bamba_session *session, *fresh;
    history        past;
    int            n_until_cancel;        /* calls of the cancel function; -1: never */
} world;

static int cancel(void *context)
{
    world *w = context;
    return w->n_until_cancel >= 0 && w->n_until_cancel-- == 0;
}

/* A model of config.json's text with random weights. */
static bamba_model *make_random(const char *config, const bamba_model_options *o)
{
    bamba_model *m;
    char         path[300];

    snprintf(path, sizeof path, "%s/config.json", dir);
    FILE *f = fopen(path, "wb");
    assert_int_equal(fputs(config, f) < 0, 0);
    fclose(f);
    if (bamba_model_open_random(&m, path, 1, o, &err) != BAMBA_OK) fail_msg("%s", err.message);
    return m;
}

/* Of a tiny checkpoint, or of a configuration. */
static void open_world(world *w, const tiny_dims *d, const char *config,
                       const bamba_model_options *o, const bamba_session_options *s, int n_batch)
{
    bamba_engine_options e = BAMBA_ENGINE_OPTIONS;

    memset(w, 0, sizeof *w);
    w->n_until_cancel = -1;
    tempdir_empty(dir);
    if (config) w->model = make_random(config, o);
    else {
        tiny_write(d, dir);
        assert_int_equal(bamba_model_open(&w->model, dir, o, &err), BAMBA_OK);
    }
    e.n_batch = n_batch;
    e.n_threads = 1;
    assert_int_equal(bamba_engine_create(&w->fresh_engine, w->model, &e, &err), BAMBA_OK);
    e.n_threads = 2;
    e.cancel = cancel;
    e.cancel_context = w;
    assert_int_equal(bamba_engine_create(&w->engine, w->model, &e, &err), BAMBA_OK);
    assert_int_equal(bamba_session_create(&w->session, w->model, s, &err), BAMBA_OK);
    bamba_session_options plain = BAMBA_SESSION_OPTIONS;
    plain.n_context = s->n_context;
    plain.n_window = s->n_window;
    plain.n_sink = s->n_sink;
    assert_int_equal(bamba_session_create(&w->fresh, w->model, &plain, &err), BAMBA_OK);
}

static void close_world(world *w)
{
    bamba_session_free(w->session);
    bamba_session_free(w->fresh);
    bamba_engine_free(w->engine);
    bamba_engine_free(w->fresh_engine);
    bamba_model_free(w->model);
}

/* Feed the history's next n tokens; whether the logits are wanted changes nothing. */
static const float *feed(world *w, size_t n)
{
    const float *logits;

    assert_int_equal(bamba_feed(w->engine, w->session, w->past.token + w->past.n, n, &logits, &err),
                     BAMBA_OK);
    add_call(&w->past, n);
    return logits;
}

/* A new session that is fed what is left of the history gives the same bits after as many calls
   more. */
static void assert_as_fresh(world *w, uint64_t *random)
{
    history     *h = &w->past;
    const float *found, *expected;
    size_t       at = 0;

    assert_int_equal(bamba_session_position(w->session), h->n);
    if (h->n > 0)
        assert_memory_equal(bamba_session_tokens(w->session), h->token, h->n * sizeof *h->token);
    bamba_session_reset(w->fresh);
    for (size_t i = 0; i < h->n_calls; at += h->call[i++])
        assert_int_equal(bamba_feed(w->fresh_engine, w->fresh, h->token + at, h->call[i], NULL,
                                    &err), BAMBA_OK);
    for (int i = 0; i < PROBE; i++) {
        const size_t n = i == 1 ? 40 : 1 + below(random, 4);
        for (size_t t = 0; t < n; t++) h->token[h->n + t] = (int32_t)below(random, V);
        assert_int_equal(bamba_feed(w->fresh_engine, w->fresh, h->token + h->n, n, &expected, &err),
                         BAMBA_OK);
        found = feed(w, n);
        assert_memory_equal(found, expected, V * sizeof *found);
    }
}

static size_t pick_length(uint64_t *random)
{
    static const size_t lengths[] = { 1, 1, 1, 1, 1, 2, 3, 8, 20, 32, 33, 50, 64, 70, 100, 129,
                                      180, 260 };
    return lengths[below(random, sizeof lengths / sizeof *lengths)];
}

/* The program goes on with a fork, or with what a file holds; the session it had, which still
   shares pages with a fork, is fed something else meanwhile. */
static void fork_world(world *w, const bamba_session_options *o, uint64_t *random)
{
    bamba_session *fork;
    int32_t        other[80];
    const size_t   n = 1 + below(random, 80);

    assert_int_equal(bamba_session_fork(&fork, w->session, o, &err), BAMBA_OK);
    for (size_t t = 0; t < n; t++) other[t] = (int32_t)below(random, V);
    if (below(random, 2)) {
        const size_t back = below(random, w->past.n < 90 ? w->past.n + 1 : 90);
        assert_int_equal(bamba_session_rewind(w->engine, w->session, w->past.n - back, &err),
                         BAMBA_OK);
        assert_int_equal(bamba_feed(w->engine, w->session, other, n, NULL, &err), BAMBA_OK);
    }
    bamba_session_free(w->session);
    w->session = fork;
}

static void save_world(world *w, const bamba_session_options *o)
{
    char path[300];

    snprintf(path, sizeof path, "%s/session", dir);
    assert_int_equal(bamba_session_save(w->session, path, NULL, &err), BAMBA_OK);
    bamba_session_free(w->session);
    assert_int_equal(bamba_session_open(&w->session, w->model, path, o, &err), BAMBA_OK);
}

/* One random program: feeds of all lengths, some of them cancelled; ways back, near and far; forks
   and files. */
static void run_program(world *w, const bamba_session_options *o, uint64_t seed)
{
    const size_t n_rewind = o->n_rewind;
    history     *h = &w->past;
    uint64_t     random = seed;

    bamba_session_reset(w->session);
    h->n = h->n_calls = 0;
    for (int step = 0; step < STEPS; step++) {
        const size_t kind = below(&random, 12);
        if (kind == 10) fork_world(w, o, &random);
        else if (kind == 11) save_world(w, o);
        else if (kind < 6) {
            const size_t n = pick_length(&random);
            if (h->n + n + 200 > MOST) continue;
            for (size_t t = 0; t < n; t++) h->token[h->n + t] = (int32_t)below(&random, V);
            feed(w, n);
        } else if (kind < 7) {
            const size_t n = 40 + pick_length(&random);
            if (h->n + n + 200 > MOST) continue;
            for (size_t t = 0; t < n; t++) h->token[h->n + t] = (int32_t)below(&random, V);
            w->n_until_cancel = (int)below(&random, 12);
            const bamba_status status = bamba_feed(w->engine, w->session, h->token + h->n, n,
                                                   NULL, &err);
            assert_true(status == BAMBA_OK || status == BAMBA_ERR_CANCELLED);
            w->n_until_cancel = -1;
            const size_t done = bamba_session_position(w->session) - h->n;
            if (done > 0) add_call(h, done);
        } else {
            const size_t most = h->n < n_rewind || below(&random, 4) == 0 ? h->n : n_rewind;
            const size_t back = below(&random, most + 1);
            assert_int_equal(bamba_session_rewind(w->engine, w->session, h->n - back, &err),
                             BAMBA_OK);
            cut(h, h->n - back);
            if (below(&random, 2)) assert_as_fresh(w, &random);
        }
    }
    assert_as_fresh(w, &random);
}

/* How many programs of each kind: BAMBA_REWIND_PROGRAMS, for long runs. */
static int count_programs(void)
{
    const char *text = getenv("BAMBA_REWIND_PROGRAMS");
    return text ? atoi(text) : 12;
}

static const char mamba1[] =
    "{\"model_type\": \"mamba\", \"vocab_size\": 96, \"hidden_size\": 24, \"num_hidden_layers\": "
    "2, \"state_size\": 8, \"conv_kernel\": 4, \"expand\": 2, \"time_step_rank\": 3}";

static const char zamba[] =
    "{\"model_type\": \"zamba\", \"vocab_size\": 96, \"hidden_size\": 24, \"intermediate_size\": "
    "40, \"num_hidden_layers\": 3, \"layers_block_type\": [\"hybrid\", \"mamba\", \"hybrid\"], "
    "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"mamba_d_state\": 8}";

static const char zamba2[] =
    "{\"model_type\": \"zamba2\", \"vocab_size\": 96, \"hidden_size\": 24, \"intermediate_size\": "
    "40, \"num_hidden_layers\": 4, \"layers_block_type\": [\"hybrid\", \"mamba\", \"hybrid\", "
    "\"hybrid\"], \"num_attention_heads\": 4, \"num_key_value_heads\": 4, \"mamba_d_state\": 16, "
    "\"mamba_ngroups\": 2, \"n_mamba_heads\": 6, \"mamba_headdim\": 8, \"num_mem_blocks\": 2, "
    "\"adapter_rank\": 4, \"use_shared_attention_adapter\": true, \"use_mem_rope\": true, "
    "\"max_position_embeddings\": 2048}";

static const char nemotron[] =
    "{\"model_type\": \"nemotron_h\", \"vocab_size\": 96, \"hidden_size\": 24, "
    "\"hybrid_override_pattern\": \"ME*M-E\", \"num_attention_heads\": 4, "
    "\"num_key_value_heads\": 2, \"head_dim\": 8, \"mamba_num_heads\": 6, \"mamba_head_dim\": 8, "
    "\"n_groups\": 2, \"ssm_state_size\": 16, \"intermediate_size\": 40, \"n_routed_experts\": 8, "
    "\"num_experts_per_tok\": 3, \"n_group\": 4, \"topk_group\": 2, \"moe_intermediate_size\": 20, "
    "\"moe_shared_expert_intermediate_size\": 28, \"moe_latent_size\": 12, "
    "\"max_position_embeddings\": 2048}";

static const char jamba[] =
    "{\"model_type\": \"jamba\", \"vocab_size\": 96, \"hidden_size\": 24, \"intermediate_size\": "
    "40, \"num_hidden_layers\": 4, \"attn_layer_period\": 3, \"attn_layer_offset\": 1, "
    "\"expert_layer_period\": 2, \"expert_layer_offset\": 1, \"num_experts\": 6, "
    "\"num_experts_per_tok\": 2, \"num_attention_heads\": 4, \"num_key_value_heads\": 2, "
    "\"mamba_d_state\": 8, \"max_position_embeddings\": 2048}";

static const char falcon_h1[] =
    "{\"model_type\": \"falcon_h1\", \"vocab_size\": 96, \"hidden_size\": 24, "
    "\"intermediate_size\": 40, \"num_hidden_layers\": 2, \"num_attention_heads\": 4, "
    "\"num_key_value_heads\": 2, \"head_dim\": 8, \"mamba_d_ssm\": 48, \"mamba_n_heads\": 6, "
    "\"mamba_d_head\": 8, \"mamba_n_groups\": 2, \"mamba_d_state\": 16, "
    "\"max_position_embeddings\": 2048}";

static void test_programs(void **unused)
{
    static const struct {
        bamba_type kv, state;
        int        n_attention, n_batch;
        size_t     n_rewind, snapshot_tokens;
        uint64_t   snapshot_bytes;
        const char *config;
        size_t     n_window;
        int        n_sink;
    } kinds[] = {
        { BAMBA_TYPE_F32, BAMBA_TYPE_F32, 1, 512, 64, 0, 0, NULL, 0, 0 },
        { BAMBA_TYPE_F16, BAMBA_TYPE_BF16, 1, 128, 64, 100, 200000, NULL, 0, 0 },
        { BAMBA_TYPE_Q8, BAMBA_TYPE_Q8, 1, 512, 8, 50, 100000, NULL, 0, 0 },
        { BAMBA_TYPE_BF16, BAMBA_TYPE_F32, 0, 192, 200, 64, 100000, NULL, 0, 0 },
        { BAMBA_TYPE_F32, BAMBA_TYPE_F32, 3, 512, 16, 0, 0, NULL, 0, 0 },
        { BAMBA_TYPE_F32, BAMBA_TYPE_F32, 1, 512, 0, 100, 1000000, NULL, 0, 0 },
        { BAMBA_TYPE_F32, BAMBA_TYPE_F32, 1, 512, 1, 0, 0, NULL, 0, 0 },
        { BAMBA_TYPE_F16, BAMBA_TYPE_F32, 0, 512, 64, 0, 0, mamba1, 0, 0 },
        { BAMBA_TYPE_F16, BAMBA_TYPE_Q8, 0, 256, 20, 100, 100000, mamba1, 0, 0 },
        { BAMBA_TYPE_F16, BAMBA_TYPE_BF16, 1, 256, 40, 100, 300000, zamba, 0, 0 },
        { BAMBA_TYPE_F32, BAMBA_TYPE_F32, 1, 512, 64, 0, 0, NULL, 100, 0 },
        { BAMBA_TYPE_Q8, BAMBA_TYPE_Q8, 1, 128, 8, 50, 100000, NULL, 33, 70 },
        { BAMBA_TYPE_F16, BAMBA_TYPE_F32, 1, 1024, 0, 100, 300000, NULL, 200, -1 },
        { BAMBA_TYPE_BF16, BAMBA_TYPE_F32, 3, 512, 16, 0, 0, NULL, 64, 64 },
        { BAMBA_TYPE_F16, BAMBA_TYPE_BF16, 1, 256, 40, 100, 300000, zamba, 90, 4 },
        { BAMBA_TYPE_F32, BAMBA_TYPE_F32, 1, 512, 32, 0, 0, zamba, 0, 0 },
        { BAMBA_TYPE_F32, BAMBA_TYPE_F32, 1, 512, 64, 0, 0, zamba2, 0, 0 },
        { BAMBA_TYPE_Q8, BAMBA_TYPE_BF16, 1, 128, 24, 100, 300000, zamba2, 0, 0 },
        { BAMBA_TYPE_F32, BAMBA_TYPE_F32, 1, 512, 64, 0, 0, nemotron, 0, 0 },
        { BAMBA_TYPE_F16, BAMBA_TYPE_Q8, 1, 256, 16, 100, 300000, nemotron, 0, 0 },
        { BAMBA_TYPE_BF16, BAMBA_TYPE_F32, 1, 512, 40, 70, 200000, jamba, 0, 0 },
        { BAMBA_TYPE_F32, BAMBA_TYPE_F32, 1, 512, 64, 100, 300000, falcon_h1, 0, 0 },
    };

    (void)unused;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        tiny_dims             d = TINY_DIMS;
        bamba_model_options   o = BAMBA_MODEL_OPTIONS;
        bamba_session_options s = BAMBA_SESSION_OPTIONS;
        static world          w;

        d.n_context = MOST;
        d.n_attention = kinds[i].n_attention;
        for (int l = 0; l < d.n_attention; l++) d.attention[l] = d.n_attention == 1 ? 1 : l;
        o.kv_type = kinds[i].kv;
        o.state_type = kinds[i].state;
        s.n_context = kinds[i].n_attention ? MOST : 0;
        s.n_rewind = kinds[i].n_rewind;
        s.snapshot_tokens = kinds[i].snapshot_tokens;
        s.snapshot_bytes = kinds[i].snapshot_bytes;
        s.n_window = kinds[i].n_window;
        s.n_sink = kinds[i].n_sink;
        open_world(&w, &d, kinds[i].config, &o, &s, kinds[i].n_batch);
        for (int n = 0; n < count_programs(); n++)
            run_program(&w, &s, (uint64_t)(1000 * i + (size_t)n));
        close_world(&w);
    }
}

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
    open_world(&w, &d, NULL, &o, &s, 512);
    bamba_model_info info = BAMBA_MODEL_INFO;
    bamba_model_info_get(w.model, &info);
    const bool is_exact = strcmp(info.cpu, "c") != 0;     /* OpenBLAS's depend on the rows */
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
    close_world(&w);
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
    open_world(&w, &d, NULL, &o, &s, 512);
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
    close_world(&w);
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
    open_world(&w, &d, NULL, &o, &s, 512);
    for (size_t i = 0; i < 120; i++) w.past.token[i] = (int32_t)(i % V);
    feed(&w, 100);
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
    close_world(&w);
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
    open_world(&w, &d, NULL, &o, &s, 512);
    for (size_t i = 0; i < 10; i++) w.past.token[i] = (int32_t)i;
    feed(&w, 10);
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
    feed(&w, 3);
    assert_int_equal(bamba_session_rewind(w.engine, w.session, 41, &err), BAMBA_OK);
    assert_int_equal(bamba_session_rewind(w.engine, w.session, 40, &err), BAMBA_OK);
    assert_int_equal(bamba_session_rewind(w.engine, w.session, 0, &err), BAMBA_OK);
    assert_int_equal(bamba_session_position(w.session), 0);
    close_world(&w);
}

/* What is said of memory: the log costs what a row is, a snapshot what a state is. */
static void test_bytes(void **unused)
{
    tiny_dims             d = TINY_DIMS;
    bamba_model_options   o = BAMBA_MODEL_OPTIONS;
    bamba_session_options s = BAMBA_SESSION_OPTIONS;
    static world          w;

    (void)unused;
    open_world(&w, &d, NULL, &o, &s, 512);
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
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_programs),
        cmocka_unit_test(test_company),
        cmocka_unit_test(test_forks),
        cmocka_unit_test(test_fork_without_memory),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
