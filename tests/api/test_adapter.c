/* test_adapter.c - low-rank adapters through the public interface: what they add to logits,
 * sessions with different ones in one batch, the rules of giving them, sessions that are copied and
 * saved with them, merging them into a model.
 *
 * Long because one model and two adapters serve every test here. Adapters that are malformed:
 * test_hostile_adapter.c; a merged matrix that embedding and head share: test_merge_tied.c. */
#include "bamba_measure.h"

#include "support/fault.h"
#include "support/lora.h"
#include "support/running.h"
#include "support/tempdir.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { V = 96, N_ADAPTERS = 2, MOST_SESSIONS = 4 };

static const tiny_dims DIMS = TINY_DIMS;
static char           *dir, *adapter_dir[N_ADAPTERS];

static int set_up(void **unused)
{
    (void)unused;
    dir = tempdir_make();
    tiny_write(&DIMS, dir);
    for (int i = 0; i < N_ADAPTERS; i++) {
        store s = { NULL, 0, 0 };
        adapter_dir[i] = tempdir_make();
        lora_add_all(&s, &DIMS, 3 + i, (uint64_t)(i + 1));
        lora_write(&s, 3 + i, NULL, adapter_dir[i]);
        store_free(&s);
    }
    return 0;
}

static int clean_up(void **unused)
{
    (void)unused;
    tempdir_remove(dir);
    for (int i = 0; i < N_ADAPTERS; i++) tempdir_remove(adapter_dir[i]);
    return 0;
}

/* -------------------------------------------------------------- a model with adapters ---- */

typedef struct lab {
    bamba_model   *model;
    bamba_engine  *engine;
    bamba_adapter *adapter[N_ADAPTERS];
} lab;

static void demand(bamba_status status, const bamba_error *err)
{
    if (status != BAMBA_OK) fail_msg("status %d: %s", status, err->message);
}

static lab open_lab(bamba_type type, int n_threads)
{
    bamba_model_options  mo = running_model_options(type);
    bamba_engine_options eo = BAMBA_ENGINE_OPTIONS;
    bamba_error          err;
    lab                  l;

    mo.n_threads = 1;
    eo.n_threads = n_threads;
    eo.n_logits = 256;
    demand(bamba_model_open(&l.model, dir, &mo, &err), &err);
    demand(bamba_engine_create(&l.engine, l.model, &eo, &err), &err);
    for (int i = 0; i < N_ADAPTERS; i++)
        demand(bamba_adapter_open(&l.adapter[i], l.model, adapter_dir[i], NULL, &err), &err);
    return l;
}

static void close_lab(lab *l)
{
    for (int i = 0; i < N_ADAPTERS; i++) bamba_adapter_free(l->adapter[i]);
    bamba_engine_free(l->engine);
    bamba_model_free(l->model);
}

/* A session with adapters by bits of `which`: 1 the first, 2 the second with scale -0.5. */
static bamba_session *make_session(const lab *l, int which)
{
    bamba_session_options o = BAMBA_SESSION_OPTIONS;
    bamba_adapter_use     use[N_ADAPTERS];
    bamba_session        *s;
    bamba_error           err;

    if (which & 1) use[o.n_adapters++] = (bamba_adapter_use){ l->adapter[0], 1.0f };
    if (which & 2) use[o.n_adapters++] = (bamba_adapter_use){ l->adapter[1], -0.5f };
    o.adapters = use;
    demand(bamba_session_create(&s, l->model, &o, &err), &err);
    return s;
}

static int32_t token_at(int session, int t) { return (session * 31 + t * 7 + 3) % V; }

/* Logits [n, V] of all tokens of each session, fed together; n_rows of each. */
static void feed(const lab *l, bamba_session *const *s, const int *session,
                 const int *n_rows, int n, int first, float *const *out)
{
    bamba_feed_item item[MOST_SESSIONS];
    int32_t         tokens[MOST_SESSIONS][256];
    bamba_error     err;

    for (int i = 0; i < n; i++) {
        for (int t = 0; t < n_rows[i]; t++) tokens[i][t] = token_at(session[i], first + t);
        item[i] = (bamba_feed_item){ .session = s[i], .tokens = tokens[i], .n = (size_t)n_rows[i],
                                     .n_logits = (size_t)n_rows[i] };
    }
    demand(bamba_feed_batch(l->engine, item, (size_t)n, &err), &err);
    for (int i = 0; i < n; i++)
        memcpy(out[i], item[i].logits, (size_t)n_rows[i] * V * sizeof(float));
}

/* Logits of one session with the adapters `which`, alone; long: fed as one of many rows. */
static void feed_alone(const lab *l, int which, int session, int n_rows, bool is_many, float *out)
{
    bamba_session *s[2] = { make_session(l, which), make_session(l, 0) };
    const int      sessions[2] = { session, 9 }, rows[2] = { n_rows, 40 };
    float          other[40 * V], *const to[2] = { out, other };

    feed(l, s, sessions, rows, is_many ? 2 : 1, 0, to);
    bamba_session_free(s[0]);
    bamba_session_free(s[1]);
}

/* Logits of eight tokens with the adapter of a directory, float32 weights. */
static void feed_with(const char *adapter, float *out)
{
    lab                   l = open_lab(BAMBA_TYPE_F32, 2);
    bamba_session_options o = BAMBA_SESSION_OPTIONS;
    bamba_adapter_use     use = { .scale = 1.0f };
    bamba_adapter        *a;
    bamba_session        *s;
    bamba_error           err;

    demand(bamba_adapter_open(&a, l.model, adapter, NULL, &err), &err);
    use.adapter = a;
    o.adapters = &use;
    o.n_adapters = 1;
    demand(bamba_session_create(&s, l.model, &o, &err), &err);
    feed(&l, &s, (const int[]){ 1 }, (const int[]){ 8 }, 1, 0, &out);
    bamba_session_free(s);
    bamba_adapter_free(a);
    close_lab(&l);
}

/* -------------------------------------------------------------- what they add ------------ */

/* Each adapter moves the logits; one of scale 0 does not, to the bit. */
static void test_they_show(void **unused)
{
    static float none[8 * V], one[8 * V], two[8 * V], both[8 * V], zero[8 * V];
    lab          l = open_lab(BAMBA_TYPE_DEFAULT, 1);
    bamba_error  err;

    (void)unused;
    feed_alone(&l, 0, 1, 8, false, none);
    feed_alone(&l, 1, 1, 8, false, one);
    feed_alone(&l, 2, 1, 8, false, two);
    feed_alone(&l, 3, 1, 8, false, both);
    assert_true(running_distance(none, one, 8 * V) > 0.01);
    assert_true(running_distance(none, two, 8 * V) > 0.01);
    assert_true(running_distance(one, both, 8 * V) > 0.01);
    assert_true(running_distance(two, both, 8 * V) > 0.01);

    bamba_session          *s = make_session(&l, 3);
    const bamba_adapter_use off = { l.adapter[0], 0.0f };
    float *const            to[1] = { zero };
    demand(bamba_session_set_adapters(s, &off, 1, &err), &err);
    feed(&l, &s, (const int[]){ 1 }, (const int[]){ 8 }, 1, 0, to);
    assert_true(running_distance(none, zero, 8 * V) == 0.0);
    bamba_session_free(s);
    close_lab(&l);
}

/* Give each B in s a bias in float32, which 16 bits would not hold. */
static void add_biases(store *s)
{
    const size_t n = s->n;
    char         name[160];

    for (size_t t = 0; t < n; t++) {
        const size_t  rows = s->tensor[t].dim[0];
        const char   *end = strstr(s->tensor[t].name, ".lora_B.");
        if (!end) continue;
        snprintf(name, sizeof name, "%.*s.lora_B.bias", (int)(end - s->tensor[t].name),
                 s->tensor[t].name);
        lora_add_tensor(s, name, 1, &rows, 0.3f, t + 500);
    }
}

/* An adapter written in 16 bits, whose matrices are kept so, does what the same numbers in float32
   do; so do biases in float32 beside them. */
static void test_in_16_bits(void **unused)
{
    static const char *const dtype[] = { "BF16", "F16" };
    static float             half[8 * V], full[8 * V];

    (void)unused;
    for (int i = 0; i < 4; i++) {
        const char *members = i < 2 ? NULL : "\"lora_bias\": true";
        store s = { NULL, 0, 0 }, same = { NULL, 0, 0 };
        lora_add_all(&s, &DIMS, 3, 11);
        for (size_t t = 0; t < s.n; t++) {
            const store_tensor *x = &s.tensor[t];
            float              *v = (float *)(void *)x->data;
            for (size_t j = 0; j < x->bytes / sizeof *v; j++) v[j] = roundf(v[j] * 512) / 512;
            store_add(&same, x->name, dtype[i % 2], x->n_dims, x->dim, v);
        }
        if (members) add_biases(&s), add_biases(&same);
        char *in_halves = tempdir_make(), *in_floats = tempdir_make();
        lora_write(&same, 3, members, in_halves);
        lora_write(&s, 3, members, in_floats);
        feed_with(in_halves, half);
        feed_with(in_floats, full);
        assert_true(running_distance(half, full, 8 * V) <= 1e-5f * running_largest(full, 8 * V));
        assert_true(running_largest(full, 8 * V) > 0.01f);
        tempdir_remove(in_halves);
        tempdir_remove(in_floats);
        store_free(&s);
        store_free(&same);
    }
}

/* Sessions with one adapter, the other, both and none in one call: the bits each has alone, for any
   type of weights, few rows and many, one thread and three. */
static void test_mixed_batch(void **unused)
{
    static const int rows[][MOST_SESSIONS] = { { 1, 1, 1, 1 }, { 7, 1, 3, 5 }, { 20, 17, 40, 9 } };
    static float     alone[40 * V], out[MOST_SESSIONS][40 * V];
    float *const     to[] = { out[0], out[1], out[2], out[3] };
    const int        sessions[] = { 0, 1, 2, 3 };
    const char      *level = getenv("BAMBA_CPU");
    const bool       is_c = level && strcmp(level, "c") == 0;

    (void)unused;
    for (bamba_type type = BAMBA_TYPE_F32; type <= BAMBA_TYPE_Q4; type++)
        for (int n_threads = 1; n_threads <= 3; n_threads += 2) {
            lab l = open_lab(type, n_threads);
            for (int i = 0; i < (is_c ? 2 : 3); i++) {      /* BLAS's depend on the rows */
                bamba_session *s[MOST_SESSIONS];
                for (int j = 0; j < MOST_SESSIONS; j++) s[j] = make_session(&l, 3 - j);
                feed(&l, s, sessions, rows[i], MOST_SESSIONS, 0, to);
                for (int j = 0; j < MOST_SESSIONS; j++) {
                    feed_alone(&l, 3 - j, j, rows[i][j], i == 2, alone);
                    assert_memory_equal(alone, out[j], (size_t)rows[i][j] * V * sizeof(float));
                    bamba_session_free(s[j]);
                }
            }
            close_lab(&l);
        }
}

/* Whole, or token by token: the logits agree. */
static void test_pieces(void **unused)
{
    static float whole[50 * V], step[V];
    lab          l = open_lab(BAMBA_TYPE_DEFAULT, 2);
    double       size = 0;

    (void)unused;
    feed_alone(&l, 3, 2, 50, false, whole);
    for (int i = 0; i < 50 * V; i++) size = fmax(size, fabs((double)whole[i]));
    bamba_session *s = make_session(&l, 3);
    float *const   to[1] = { step };
    for (int t = 0; t < 50; t++) {
        feed(&l, &s, (const int[]){ 2 }, (const int[]){ 1 }, 1, t, to);
        assert_true(running_distance(whole + t * V, step, V) <= 1e-4 * size);
    }
    bamba_session_free(s);
    close_lab(&l);
}

/* -------------------------------------------------------------- rules -------------------- */

static void test_rules(void **unused)
{
    lab               l = open_lab(BAMBA_TYPE_DEFAULT, 1), other = open_lab(BAMBA_TYPE_DEFAULT, 1);
    bamba_session    *s = make_session(&l, 1);
    bamba_adapter_use use[] = { { l.adapter[0], 1.0f }, { other.adapter[0], 1.0f } };
    bamba_error       err;
    float             row[V];
    float *const      to[1] = { row };

    (void)unused;
    assert_int_equal(bamba_session_set_adapters(s, use, 2, &err), BAMBA_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "another model"));
    use[1] = (bamba_adapter_use){ NULL, 1.0f };
    assert_int_equal(bamba_session_set_adapters(s, use, 2, &err), BAMBA_ERR_ARGUMENT);
    use[1] = (bamba_adapter_use){ l.adapter[1], NAN };
    assert_int_equal(bamba_session_set_adapters(s, use, 2, &err), BAMBA_ERR_ARGUMENT);
    assert_int_equal(bamba_session_set_adapters(s, NULL, 1, &err), BAMBA_ERR_ARGUMENT);
    assert_int_equal(bamba_session_set_adapters(NULL, use, 1, &err), BAMBA_ERR_ARGUMENT);
    assert_int_equal(bamba_session_set_adapters(s, use, 65, &err), BAMBA_ERR_ARGUMENT);
    demand(bamba_session_set_adapters(s, use, 1, &err), &err);
    feed(&l, &s, (const int[]){ 2 }, (const int[]){ 1 }, 1, 0, to);
    assert_int_equal(bamba_session_set_adapters(s, use, 1, &err), BAMBA_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "stands at 1"));
    bamba_session_reset(s);
    demand(bamba_session_set_adapters(s, NULL, 0, &err), &err);
    bamba_session_free(s);

    bamba_adapter *a = (bamba_adapter *)&l;
    assert_int_equal(bamba_adapter_open(&a, l.model, dir, NULL, &err), BAMBA_ERR_IO);
    assert_null(a);
    assert_int_equal(bamba_adapter_open(NULL, l.model, dir, NULL, &err), BAMBA_ERR_ARGUMENT);
    assert_int_equal(bamba_adapter_open(&a, NULL, dir, NULL, &err), BAMBA_ERR_ARGUMENT);
    assert_int_equal(bamba_adapter_open_random(&a, l.model, 0, 1, NULL, &err), BAMBA_ERR_ARGUMENT);
    bamba_adapter_free(NULL);
    close_lab(&l);
    close_lab(&other);
}

/* Continue a session and compare with one that was fed in one go. */
static void expect_continues(const lab *l, bamba_session *s, int which)
{
    static float expected[12 * V], found[2 * V];
    bamba_session *whole = make_session(l, which);
    float *const   rest[1] = { found };

    for (int t = 0; t < 12; t++) {
        float *const row[1] = { expected + t * V };
        feed(l, &whole, (const int[]){ 5 }, (const int[]){ 1 }, 1, t, row);
    }
    for (int t = 10; t < 12; t++) {
        feed(l, &s, (const int[]){ 5 }, (const int[]){ 1 }, 1, t, rest);
        assert_memory_equal(found, expected + t * V, V * sizeof(float));
    }
    bamba_session_free(whole);
}

static bamba_session *half_way(const lab *l, int which)
{
    bamba_session *s = make_session(l, which);
    float          row[V];
    float *const   to[1] = { row };

    for (int t = 0; t < 10; t++) feed(l, &s, (const int[]){ 5 }, (const int[]){ 1 }, 1, t, to);
    return s;
}

/* Copies, forks, rewound and saved sessions go on with the adapters of where they come from. */
static void test_they_go_with_the_session(void **unused)
{
    lab                   l = open_lab(BAMBA_TYPE_DEFAULT, 1);
    bamba_session        *s = half_way(&l, 3), *copy = make_session(&l, 0), *fork, *opened;
    bamba_session_options o = BAMBA_SESSION_OPTIONS;
    bamba_adapter_use     use[] = { { l.adapter[0], 1.0f }, { l.adapter[1], -0.5f } };
    bamba_error           err;
    char                 *path = tempdir_path(dir, "session.safetensors");
    float                 row[V];
    float *const          to[1] = { row };

    (void)unused;
    demand(bamba_session_copy(copy, s, &err), &err);
    demand(bamba_session_fork(&fork, s, NULL, &err), &err);
    demand(bamba_session_save(s, path, NULL, &err), &err);
    expect_continues(&l, copy, 3);
    expect_continues(&l, fork, 3);

    assert_int_equal(bamba_session_open(&opened, l.model, path, NULL, &err), BAMBA_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "adapters"));
    o.adapters = use;
    o.n_adapters = 1;
    assert_int_equal(bamba_session_open(&opened, l.model, path, &o, &err), BAMBA_ERR_ARGUMENT);
    o.n_adapters = 2;
    demand(bamba_session_open(&opened, l.model, path, &o, &err), &err);
    expect_continues(&l, opened, 3);
    bamba_session *none;
    assert_int_equal(bamba_session_fork(&none, s, &o, &err), BAMBA_ERR_ARGUMENT);

    feed(&l, &s, (const int[]){ 1 }, (const int[]){ 1 }, 1, 3, to);
    demand(bamba_session_rewind(l.engine, s, 10, &err), &err);
    expect_continues(&l, s, 3);
    bamba_session_free(s);
    bamba_session_free(copy);
    bamba_session_free(fork);
    bamba_session_free(opened);
    tempdir_delete(dir, "session.safetensors");
    free(path);
    close_lab(&l);
}

/* -------------------------------------------------------------- merging ------------------ */

/* The logits of the model of a directory without adapters. */
static void run_directory(const char *model_dir, bamba_type type, int n_rows, float *out)
{
    bamba_model_options  mo = running_model_options(type);
    bamba_engine_options eo = BAMBA_ENGINE_OPTIONS;
    bamba_error          err;
    lab                  l = { 0 };

    mo.n_threads = eo.n_threads = 1;
    eo.n_logits = 256;
    demand(bamba_model_open(&l.model, model_dir, &mo, &err), &err);
    demand(bamba_engine_create(&l.engine, l.model, &eo, &err), &err);
    feed_alone(&l, 0, 1, n_rows, false, out);
    close_lab(&l);
}

enum { MERGED_ROWS = 12 };

/* A directory of the tests' model with both adapters merged in, its weights of a type. */
static char *merge_as(bamba_type type)
{
    const bamba_adapter_source source[] = { { adapter_dir[0], 1.0f }, { adapter_dir[1], -0.5f } };
    bamba_model_options        mo = BAMBA_MODEL_OPTIONS;
    bamba_error                err;
    char                      *out = tempdir_make();

    mo.weight_type = type;
    mo.n_threads = 2;
    demand(bamba_merge(dir, out, source, N_ADAPTERS, &mo, NULL, &err), &err);
    return out;
}

static void run_with_both(bamba_type type, float *out)
{
    lab l = open_lab(type, 1);

    feed_alone(&l, 3, 1, MERGED_ROWS, false, out);
    close_lab(&l);
}

/* In float32 merging changes the order of additions only: the bound is that of the comparisons with
   transformers, 2e-5 of the largest logit (tests/oracle). In bfloat16 the sums are rounded once:
   the weights are, to the bit, those of the float32 merge rounded; and that is about as far from
   adapters at run time as rounding the model alone takes those. */
static void test_merged(void **unused)
{
    enum { N = MERGED_ROWS * V };
    static float with[N], none[N], merged[N], with_bf16[N], merged_bf16[N], rounded[N], zeros[N];
    char        *f32 = merge_as(BAMBA_TYPE_F32), *bf16 = merge_as(BAMBA_TYPE_BF16);

    (void)unused;
    run_with_both(BAMBA_TYPE_F32, with);
    run_with_both(BAMBA_TYPE_BF16, with_bf16);
    run_directory(dir, BAMBA_TYPE_F32, MERGED_ROWS, none);
    run_directory(f32, BAMBA_TYPE_DEFAULT, MERGED_ROWS, merged);
    run_directory(bf16, BAMBA_TYPE_DEFAULT, MERGED_ROWS, merged_bf16);
    run_directory(f32, BAMBA_TYPE_BF16, MERGED_ROWS, rounded);
    assert_true(running_distance(with, none, N) > 0.1);
    assert_true(running_distance(merged, with, N) < 2e-5 * running_distance(with, zeros, N));
    assert_memory_equal(merged_bf16, rounded, sizeof rounded);
    const double apart = running_distance(merged_bf16, with_bf16, N);
    const double rounding = running_distance(with, with_bf16, N);
    if (!(apart < 4.0 * rounding))
        fail_msg("merged is %g from run time, which rounding takes %g", apart, rounding);
    tempdir_remove(f32);
    tempdir_remove(bf16);
}

static void test_merging_is_refused(void **unused)
{
    const bamba_adapter_source source = { adapter_dir[0], 1.0f };
    const bamba_adapter_source endless = { adapter_dir[0], INFINITY };
    bamba_model_options        mo = BAMBA_MODEL_OPTIONS;
    bamba_error                err;
    char                      *q8 = tempdir_make(), *out = tempdir_make();

    (void)unused;
    assert_int_equal(bamba_merge(dir, out, NULL, 0, NULL, NULL, &err), BAMBA_ERR_ARGUMENT);
    assert_int_equal(bamba_merge(dir, out, &endless, 1, NULL, NULL, &err), BAMBA_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "finite scale"));
    mo.weight_type = BAMBA_TYPE_Q8;
    demand(bamba_quantize(dir, q8, &mo, NULL, &err), &err);
    assert_int_equal(bamba_merge(q8, out, &source, 1, NULL, NULL, &err), BAMBA_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "a quantized model"));
    tempdir_remove(q8);
    tempdir_remove(out);
}

static bool is_there(const char *at, const char *name)
{
    char *path = tempdir_path(at, name);
    FILE *file = fopen(path, "rb");

    if (file) fclose(file);
    free(path);
    return file != NULL;
}

/* Weights that the written type does not hold are refused by name, and the directory stays empty.
   The wider types hold the same sums. */
static void test_merging_beyond_a_type(void **unused)
{
    static const struct { bamba_type type; float scale; const char *name; } bad[] = {
        { BAMBA_TYPE_F16, 1e30f, "too large for f16" },
        { BAMBA_TYPE_Q8, 1e30f, "too large for q8" }, { BAMBA_TYPE_Q4, -1e30f, "too large for q4" },
        { BAMBA_TYPE_F32, 3e38f, "too large for f32" },
        { BAMBA_TYPE_BF16, 3e38f, "too large for bf16" },
    };
    bamba_adapter_source source = { adapter_dir[0], 1e30f };
    bamba_model_options  mo = BAMBA_MODEL_OPTIONS;
    bamba_error          err;
    char                *out = tempdir_make();

    (void)unused;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mo.weight_type = bad[i].type;
        source.scale = bad[i].scale;
        if (bamba_merge(dir, out, &source, 1, &mo, NULL, &err) != BAMBA_ERR_NUMBER ||
            !strstr(err.message, "merge: 'model.layers.") ||
            !strstr(err.message, bad[i].name))
            fail_msg("%s: %s", bad[i].name, err.message);
        assert_false(is_there(out, "model.safetensors") || is_there(out, "config.json"));
    }
    mo.weight_type = BAMBA_TYPE_BF16;
    source.scale = 1e30f;
    demand(bamba_merge(dir, out, &source, 1, &mo, NULL, &err), &err);
    tempdir_remove(out);
}

/* -------------------------------------------------------------- embedding and head ------- */

static void add_matrix(store *s, const char *name, int rows, int cols, uint64_t seed)
{
    const size_t dim[] = { (size_t)rows, (size_t)cols };
    lora_add_tensor(s, name, 2, dim, 0.5f, seed);
}

/* Logits [6, V] of a model with an adapter, and of the same model without: *none. */
static void run_with(const char *model_dir, const store *s, const char *members, float *with,
                     float *none)
{
    bamba_model   *m;
    bamba_engine  *e;
    bamba_adapter *a;
    bamba_error    err;
    char          *at = tempdir_make();
    lab            l = { 0 };

    lora_write(s, 2, members, at);
    demand(bamba_model_open(&m, model_dir, NULL, &err), &err);
    demand(bamba_engine_create(&e, m, NULL, &err), &err);
    demand(bamba_adapter_open(&a, m, at, NULL, &err), &err);
    l = (lab){ m, e, { a, a } };
    feed_alone(&l, 1, 4, 6, false, with);
    feed_alone(&l, 0, 4, 6, false, none);
    bamba_adapter_free(a);
    bamba_engine_free(e);
    bamba_model_free(m);
    tempdir_remove(at);
}

/* A replaced embedding leaves a tied head as it was; a replaced head, the embedding. */
static void test_replaced_and_tied(void **unused)
{
    static float none[6 * V], embed[6 * V], head[6 * V], both[6 * V];
    tiny_dims    d = DIMS;
    char        *at = tempdir_make();
    store        s = { NULL, 0, 0 };

    (void)unused;
    d.tied = true;
    tiny_write(&d, at);
    add_matrix(&s, "base_model.model.model.embed_tokens.weight", V, d.d_model, 5);
    run_with(at, &s, "\"modules_to_save\": [\"embed_tokens\"]", embed, none);
    add_matrix(&s, "base_model.model.lm_head.weight", V, d.d_model, 6);
    run_with(at, &s, "\"modules_to_save\": [\"embed_tokens\", \"lm_head\"]", both, none);
    store_drop(&s, "base_model.model.model.embed_tokens.weight");
    run_with(at, &s, "\"modules_to_save\": [\"lm_head\"]", head, none);
    assert_true(running_distance(none, embed, 6 * V) > 0.01);
    assert_true(running_distance(none, head, 6 * V) > 0.01);
    assert_true(running_distance(embed, both, 6 * V) > 0.01);
    assert_true(running_distance(head, both, 6 * V) > 0.01);

    /* base weights that were saved along: what is tied stays so */
    store_free(&s);
    s = (store){ NULL, 0, 0 };
    add_matrix(&s, "base_model.model.lm_head.weight", V, d.d_model, 5);
    add_matrix(&s, "base_model.model.model.embed_tokens.weight", V, d.d_model, 5);
    run_with(at, &s, NULL, both, none);
    store_drop(&s, "base_model.model.lm_head.weight");
    run_with(at, &s, NULL, embed, none);
    assert_memory_equal(both, embed, sizeof both);
    store_free(&s);
    tempdir_remove(at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_they_show),
        cmocka_unit_test(test_in_16_bits),
        cmocka_unit_test(test_mixed_batch),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_they_go_with_the_session),
        cmocka_unit_test(test_replaced_and_tied),
        cmocka_unit_test(test_merged),
        cmocka_unit_test(test_merging_beyond_a_type),
        cmocka_unit_test(test_merging_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, clean_up);
}
