/* What `bamba bench` is built on: counts against sums done by hand, random models, filled
 * sessions, timers, and the probe. */
#include "bamba_measure.h"

#include "kernels.h"
#include "support/fault.h"
#include "support/running.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define SHAPES BB_TEST_SOURCE_DIR "/models/shapes/"
#define TINY   BB_TEST_SOURCE_DIR "/tests/arch/golden/config.json"

enum { MOST_OPS = 32, V = 64 };           /* vocabulary of TINY */

/* -------------------------------------------------------------- counts by hand ----------- */

/* The facts of a shape, copied from its publication and not read from a file. */
typedef struct by_hand {
    const char *name;
    double d, f, vocab;                   /* width, MLP, vocabulary */
    double n_mamba, n_attention, n_mlp;   /* layers */
    double heads, head, state, conv;      /* Mamba-2 */
    double q_heads, kv_heads, q_head;
    double tied;                          /* the head is the embedding */
    double published;                     /* parameters; 0: no published model */
} by_hand;

static const by_hand hybrid_1b = {
    "hybrid-1b", 2048, 7168, 32000, 14, 2, 16, 64, 64, 128, 4, 16, 4, 128, 0, 0
};
static const by_hand llama_1b = {
    "llama-1b", 2048, 7168, 32000, 0, 20, 20, 0, 0, 0, 0, 16, 4, 128, 0, 0
};
static const by_hand bamba_9b = {
    "bamba-9b", 4096, 14336, 128256, 29, 3, 32, 128, 64, 128, 4, 32, 8, 128, 0, 9780235392
};
static const by_hand mamba2_130m = {
    "mamba2-130m", 768, 0, 50288, 24, 0, 0, 24, 64, 128, 4, 0, 0, 0, 1, 128989632
};
static const by_hand llama_3_2_1b = {
    "llama-3.2-1b", 2048, 8192, 128256, 0, 16, 16, 0, 0, 0, 0, 32, 8, 64, 1, 1235814400
};

/* Elements of the matrices: of all layers, of the head. */
static double layer_matrices(const by_hand *h)
{
    const double inner = h->heads * h->head;
    const double in_rows = 2 * inner + 2 * h->state + h->heads;

    return h->n_mamba * h->d * (in_rows + inner)
         + h->n_attention * h->d * h->q_head * (2 * h->q_heads + 2 * h->kv_heads)
         + h->n_mlp * 3 * h->d * h->f;
}

static double params(const by_hand *h)
{
    const double inner = h->heads * h->head, channels = inner + 2 * h->state;
    const double blocks = h->n_mamba + h->n_attention + h->n_mlp;

    return layer_matrices(h) + (2 - h->tied) * h->vocab * h->d + (blocks + 1) * h->d
         + h->n_mamba * (channels * (h->conv + 1) + 3 * h->heads + inner);
}

static double state_bytes(const by_hand *h)
{
    const double inner = h->heads * h->head, channels = inner + 2 * h->state;
    return 4 * h->n_mamba * (inner * h->state + channels * (h->conv - 1));
}

static double kv_bytes(const by_hand *h, double positions)            /* two bytes an element */
{
    return positions * h->n_attention * 2 * h->kv_heads * h->q_head * 2;
}

static void assert_within(double percent, double found, double expected)
{
    if (fabs(found - expected) > 0.01 * percent * expected)
        fail_msg("expected %.6g within %g %%, found %.6g", expected, percent, found);
}

static bamba_model *open_config(const char *name)
{
    char                path[512];
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_model        *m = NULL;
    bamba_error         err;

    snprintf(path, sizeof path, SHAPES "%s.json", name);
    o.weight_type = BAMBA_TYPE_BF16;
    if (bamba_model_open_config(&m, path, &o, &err) != BAMBA_OK) fail_msg("%s", err.message);
    return m;
}

static void sum_ops(const bamba_model *m, size_t seqs, size_t n, size_t depth, double *bytes,
                    double *flops)
{
    bamba_op     ops[MOST_OPS];
    const size_t k = bamba_model_count(m, seqs, n, depth, seqs, NULL, 0, ops, MOST_OPS);

    *bytes = *flops = 0;
    assert_true(k > 4 && k < MOST_OPS);
    for (size_t i = 0; i < k; i++) {
        assert_non_null(ops[i].name);
        assert_int_equal(ops[i].ns, 0);
        *bytes += (double)ops[i].bytes;
        *flops += (double)ops[i].flops;
    }
}

static void check_by_hand(const by_hand *h)
{
    enum { DEPTH = 4096, BATCH = 8, PROMPT = 512 };
    bamba_model     *m = open_config(h->name);
    bamba_model_info info = BAMBA_MODEL_INFO;
    const double     matrices = layer_matrices(h) + h->vocab * h->d;  /* used by a token */
    const double     scan = 5 * h->n_mamba * h->heads * h->head * h->state;
    const double     pair = 4 * h->n_attention * h->q_heads * h->q_head;
    double           bytes, flops;

    bamba_model_info_get(m, &info);
    assert_true((double)info.n_params == params(h));
    if (h->published > 0) assert_true((double)info.n_params == h->published);
    assert_within(0.1, (double)bamba_model_state_bytes(m, 0) + 1, state_bytes(h) + 1);
    assert_within(0.1, (double)bamba_model_state_bytes(m, DEPTH),
                  state_bytes(h) + kv_bytes(h, DEPTH));

    sum_ops(m, 1, 1, DEPTH, &bytes, &flops);          /* one token of one sequence */
    assert_within(3, bytes, 2 * matrices + 2 * state_bytes(h) + kv_bytes(h, DEPTH));
    assert_within(3, flops, 2 * matrices + scan + pair * DEPTH);
    sum_ops(m, BATCH, 1, DEPTH, &bytes, &flops);      /* of eight: weights once */
    assert_within(3, bytes, 2 * matrices + BATCH * (2 * state_bytes(h) + kv_bytes(h, DEPTH)));
    assert_within(3, flops, BATCH * (2 * matrices + scan + pair * DEPTH));
    sum_ops(m, 1, PROMPT, 0, &bytes, &flops);         /* a prompt: the head once */
    assert_within(3, bytes, 2 * matrices + 2 * state_bytes(h) + 2 * kv_bytes(h, PROMPT));
    assert_within(3, flops, PROMPT * (2 * layer_matrices(h) + scan + pair * (PROMPT / 2.0))
                            + 2 * h->vocab * h->d);
    bamba_model_free(m);
}

static void counts_equal_sums_by_hand(void **unused)
{
    (void)unused;
    check_by_hand(&hybrid_1b);
    check_by_hand(&llama_1b);
    check_by_hand(&bamba_9b);
    check_by_hand(&mamba2_130m);
    check_by_hand(&llama_3_2_1b);
}

static void count_takes_null(void **unused)
{
    bamba_op one;

    (void)unused;
    assert_int_equal(bamba_model_count(NULL, 1, 1, 0, 1, NULL, 0, NULL, 0), 0);
    bamba_model *m = open_config("hybrid-1b");
    const size_t k = bamba_model_count(m, 1, 1, 0, 1, NULL, 0, NULL, 0);
    assert_true(k > 1);
    assert_int_equal(bamba_model_count(m, 1, 1, 0, 1, NULL, 0, &one, 1), k);
    assert_string_equal(one.name, "embedding");
    bamba_model_free(m);
}

/* -------------------------------------------------------------- random models ------------ */

static bamba_model *make_random(uint64_t seed, bamba_type type, int n_threads)
{
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_model        *m = NULL;
    bamba_error         err;

    o.weight_type = type;
    o.n_threads = n_threads;
    if (bamba_model_open_random(&m, TINY, seed, &o, &err) != BAMBA_OK)
        fail_msg("%s", err.message);
    return m;
}

static bamba_engine *make_engine(const bamba_model *m, int pin)
{
    bamba_engine_options o = BAMBA_ENGINE_OPTIONS;

    o.n_threads = 2;
    o.n_batch = 48;
    o.pin = pin;
    return running_engine(m, &o);
}

static bamba_session *make_session(const bamba_model *m, size_t n_context)
{
    bamba_session_options o = BAMBA_SESSION_OPTIONS;

    o.n_context = n_context;
    return running_session(m, &o);
}

/* Logits after 100 tokens and after 20 more, one by one: finite, none denormal. */
static void run_random(const bamba_model *m, int pin, float *out)
{
    bamba_engine  *e = make_engine(m, pin);
    bamba_session *s = make_session(m, 200);
    int32_t        tokens[100];
    const float   *logits = NULL;

    for (int i = 0; i < 100; i++) tokens[i] = (i * 11 + 5) % V;
    assert_int_equal(bamba_feed(e, s, tokens, 100, NULL, NULL), BAMBA_OK);
    for (int i = 0; i < 20; i++)
        assert_int_equal(bamba_feed(e, s, tokens + i, 1, &logits, NULL), BAMBA_OK);
    for (int i = 0; i < V; i++) {
        assert_true(isfinite(logits[i]));
        assert_true(fabsf(logits[i]) >= FLT_MIN && fabsf(logits[i]) < 1e3f);
    }
    memcpy(out, logits, V * sizeof *out);
    bamba_session_free(s);
    bamba_engine_free(e);
}

static void random_models_depend_on_the_seed_alone(void **unused)
{
    static const bamba_type types[] = { BAMBA_TYPE_F32, BAMBA_TYPE_BF16, BAMBA_TYPE_F16 };
    float a[V], b[V];

    (void)unused;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        bamba_model *one = make_random(3, types[i], 1);
        bamba_model *two = make_random(3, types[i], 3);
        bamba_model *other = make_random(4, types[i], 1);
        bamba_model_info info = BAMBA_MODEL_INFO;

        bamba_model_info_get(one, &info);
        assert_int_equal(info.weight_type, types[i]);
        assert_int_equal(info.mapped_bytes, 0);
        assert_true(info.resident_bytes >=
                    info.n_params * (types[i] == BAMBA_TYPE_F32 ? 4 : 2));
        run_random(one, 0, a);
        run_random(two, 1, b);
        assert_memory_equal(a, b, sizeof a);
        run_random(other, 0, b);
        assert_memory_not_equal(a, b, sizeof a);
        bamba_model_free(one);
        bamba_model_free(two);
        bamba_model_free(other);
    }
}

static void random_models_are_refused(void **unused)
{
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_model        *m = (bamba_model *)&o;
    bamba_error         err;
    fault               f = { 0 };

    (void)unused;
    assert_int_equal(bamba_model_open_random(&m, "no/such.json", 1, NULL, &err), BAMBA_ERR_IO);
    assert_null(m);
    assert_non_null(strstr(err.message, "no/such.json"));
    assert_int_equal(bamba_model_open_random(&m, NULL, 1, NULL, &err), BAMBA_ERR_ARGUMENT);
    assert_int_equal(bamba_model_open_random(NULL, TINY, 1, NULL, &err), BAMBA_ERR_ARGUMENT);
    for (f.fail_at = 1; f.fail_at < 1000; f.fail_at++) {
        f.n_calls = 0;
        o.allocator = fault_allocator(&f);
        const bamba_status status = bamba_model_open_random(&m, TINY, 1, &o, &err);
        if (status == BAMBA_OK && f.n_refused < f.fail_at) break;
        bamba_model_free(m);
        assert_int_equal(status, BAMBA_ERR_MEMORY);
        assert_int_equal(f.n_live, 0);
    }
    assert_true(f.fail_at > 5 && f.fail_at < 1000);
    bamba_model_free(m);
    assert_int_equal(f.n_live, 0);
}

/* 40 TB of weights are not on this machine; nothing may be asked for. */
static void what_does_not_fit_is_said_before(void **unused)
{
    static const char text[] =
        "{\"model_type\": \"llama\", \"architectures\": [\"LlamaForCausalLM\"], "
        "\"vocab_size\": 32000,"
        "\"hidden_size\": 65536, \"intermediate_size\": 262144, \"num_hidden_layers\": 300,"
        "\"num_attention_heads\": 512, \"num_key_value_heads\": 8, \"rms_norm_eps\": 1e-5,"
        "\"hidden_act\": \"silu\", \"tie_word_embeddings\": false}";
    char                path[] = "/tmp/bench-shape-XXXXXX.json";
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_model        *m = NULL;
    bamba_error         err;
    fault               f = { 0 };

    (void)unused;
    const int fd = mkstemps(path, 5);
    FILE     *file = fdopen(fd, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    o.allocator = fault_allocator(&f);
    assert_int_equal(bamba_model_open_random(&m, path, 1, &o, &err), BAMBA_ERR_MEMORY);
    assert_non_null(strstr(err.message, "MiB"));
    assert_true(f.peak_bytes < 4 << 20);              /* the plan of 300 layers, no weights */
    remove(path);
}

/* -------------------------------------------------------------- filled sessions ---------- */

static void filled_sessions_go_on(void **unused)
{
    bamba_model   *m = make_random(1, BAMBA_TYPE_F32, 1);
    bamba_engine  *e = make_engine(m, 0);
    bamba_session *s = make_session(m, 150);
    const int32_t  token = 9;
    const float   *logits;
    float          a[V], b[V];
    bamba_error    err;

    (void)unused;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(bamba_session_fill(s, 149, 5, &err), BAMBA_OK);
        assert_int_equal(bamba_session_position(s), 149);
        assert_int_equal(bamba_feed(e, s, &token, 1, &logits, &err), BAMBA_OK);
        for (int i = 0; i < V; i++) assert_true(isfinite(logits[i]));
        memcpy(round ? b : a, logits, sizeof a);
    }
    assert_memory_equal(a, b, sizeof a);              /* filling forgets what was there */
    assert_int_equal(bamba_session_fill(s, 149, 6, &err), BAMBA_OK);
    assert_int_equal(bamba_feed(e, s, &token, 1, &logits, &err), BAMBA_OK);
    assert_memory_not_equal(a, logits, sizeof a);

    assert_int_equal(bamba_session_fill(s, 151, 5, &err), BAMBA_ERR_FULL);
    assert_int_equal(bamba_session_position(s), 150);
    assert_int_equal(bamba_session_fill(NULL, 1, 5, &err), BAMBA_ERR_ARGUMENT);

    bamba_session *empty = make_session(m, 150);      /* to 0: an empty session */
    assert_int_equal(bamba_session_fill(s, 0, 5, &err), BAMBA_OK);
    assert_int_equal(bamba_feed(e, s, &token, 1, &logits, &err), BAMBA_OK);
    memcpy(a, logits, sizeof a);
    assert_int_equal(bamba_feed(e, empty, &token, 1, &logits, &err), BAMBA_OK);
    assert_memory_equal(a, logits, sizeof a);
    bamba_session_free(empty);
    bamba_session_free(s);
    bamba_engine_free(e);
    bamba_model_free(m);
}

/* -------------------------------------------------------------- timers ------------------- */

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static void timers_add_up(void **unused)
{
    bamba_model   *m = make_random(1, BAMBA_TYPE_BF16, 1);
    bamba_engine  *e = make_engine(m, 0);
    bamba_session *s = make_session(m, 100);
    int32_t        tokens[40] = { 1, 2, 3 };
    bamba_op       ops[MOST_OPS], counted[MOST_OPS];
    const float   *logits;
    uint64_t       sum = 0;

    (void)unused;
    assert_int_equal(bamba_feed(e, s, tokens, 40, &logits, NULL), BAMBA_OK);
    const size_t n = bamba_engine_profile_get(e, ops, MOST_OPS);
    for (size_t i = 0; i < n; i++) assert_true(ops[i].ns == 0 && ops[i].flops == 0);

    bamba_session_reset(s);
    const double start = now_ns();
    bamba_engine_profile(e, 1);
    assert_int_equal(bamba_feed(e, s, tokens, 40, &logits, NULL), BAMBA_OK);
    bamba_engine_profile(e, 0);
    const double took = now_ns() - start;
    assert_int_equal(bamba_feed(e, s, tokens, 1, &logits, NULL), BAMBA_OK); /* not noted */
    assert_int_equal(bamba_engine_profile_get(e, ops, MOST_OPS), n);
    assert_int_equal(bamba_model_count(m, 1, 40, 0, 1, NULL, 0, counted, MOST_OPS), n);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(ops[i].name, counted[i].name);
        assert_int_equal(ops[i].bytes, counted[i].bytes);
        assert_int_equal(ops[i].flops, counted[i].flops);
        assert_true((ops[i].ns > 0) == (counted[i].bytes > 0)); /* every kind has its mark */
        sum += ops[i].ns;
    }
    assert_true((double)sum <= took);
    bamba_engine_profile(NULL, 1);
    assert_int_equal(bamba_engine_profile_get(NULL, ops, 1), 0);
    bamba_session_free(s);
    bamba_engine_free(e);
    bamba_model_free(m);
}

/* What the operations leave of a step: nothing to speak of. Of several steps the best, since
   another program may run where no operation counts it. */
static void check_sum(const char *shape)
{
    char                path[512];
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_model        *m = NULL;
    bamba_op            ops[MOST_OPS];
    const int32_t       token = 3;
    const float        *logits;
    double              best = 0;
    bamba_error         err;

    snprintf(path, sizeof path, SHAPES "%s.json", shape);
    o.weight_type = BAMBA_TYPE_BF16;
    if (bamba_model_open_random(&m, path, 1, &o, &err) != BAMBA_OK) fail_msg("%s", err.message);
    bamba_engine  *e = make_engine(m, 0);
    bamba_session *s = make_session(m, 100);
    for (int i = 0; i < 100 && best < 0.97; i++) {
        const double start = now_ns();
        double       sum = 0;

        bamba_engine_profile(e, 1);
        assert_int_equal(bamba_feed(e, s, &token, 1, &logits, NULL), BAMBA_OK);
        bamba_engine_profile(e, 0);
        const double took = now_ns() - start;
        const size_t n = bamba_engine_profile_get(e, ops, MOST_OPS);
        for (size_t k = 0; k < n; k++) sum += (double)ops[k].ns;
        best = fmax(best, sum / took);
    }
    if (best < 0.97) fail_msg("operations sum to %.3f of a step of %s", best, shape);
    bamba_session_free(s);
    bamba_engine_free(e);
    bamba_model_free(m);
}

static void operations_sum_to_a_step(void **unused)
{
    (void)unused;
    check_sum("mamba2-130m");
    check_sum("smollm2-135m");
}

/* -------------------------------------------------------------- the machine -------------- */

static void reading_sums_every_word(void **unused)
{
    static const char *const levels[] = { "c", "avx2", "avxvnni", "avx512", "avx512vnni",
                                          "avx512bf16" };
    enum { N = 64 * 37 };
    uint64_t data[N / 8 + 1], expected = 0;

    (void)unused;
    for (size_t i = 0; i < N / 8; i++) {
        data[i] = 0x9e3779b97f4a7c15u * (i + 1);
        expected += data[i];
    }
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        const int  level = bb_cpu_level(levels[i]);
        bb_kernels k;
        float      sum = 0.0f;

        if (level < 0 || ((unsigned)level & ~bb_cpu_detect())) continue;
        bb_kernels_init(&k, (unsigned)level);
        assert_true(k.read(N, data) == expected);
        assert_true(k.read(0, data) == 0);
        assert_true(k.read(64, data) + k.read(N - 64, data + 8) == expected);
        for (int p = 0; p < BB_N_PEAKS; p++) {
            if (!k.peak[p]) continue;
            const double once = k.peak[p](1, &sum);
            assert_true(once >= 2 * 32);              /* 32 sums at least */
            assert_true(k.peak[p](1000, &sum) == 1000 * once);
            assert_true(isfinite(sum) && sum != 0.0f);
        }
    }
}

static void probe_measures(void **unused)
{
    bamba_probe_options o = BAMBA_PROBE_OPTIONS;
    bamba_probe        *p = NULL;
    bamba_error         err;
    fault               f = { 0 };
    unsigned char       data[1024] = { 0 };

    (void)unused;
    o.n_threads = 2;
    o.read_bytes = (32u << 20) + 100;
    o.pin = 1;
    o.allocator = fault_allocator(&f);
    assert_int_equal(bamba_probe_create(&p, &o, &err), BAMBA_OK);
    assert_int_equal(bamba_probe_threads(p), 2);
    assert_int_equal(bamba_probe_bytes(p), (32u << 20) + 64);
    assert_true(bb_cpu_level(bamba_probe_cpu(p)) >= 0);
    assert_true(bamba_probe_run(p, BAMBA_LIMIT_READ) > 0.0);
    assert_true(bamba_probe_run(p, BAMBA_LIMIT_F32) > 0.0);
    assert_true(bamba_probe_run(p, BAMBA_LIMIT_F32) < 1e6);
    assert_true(bamba_probe_run(p, (bamba_limit)99) == 0.0);
    assert_true(bamba_probe_read(p, data, sizeof data) > 0.0);
    assert_true(bamba_probe_read(p, data, 63) == 0.0);
    assert_true(bamba_probe_read(p, NULL, 64) == 0.0);
    bamba_probe_free(p);
    assert_int_equal(f.n_live, 0);

    for (f.fail_at = 1; f.fail_at < 4; f.fail_at++) {
        f.n_calls = 0;
        assert_int_equal(bamba_probe_create(&p, &o, &err), BAMBA_ERR_MEMORY);
        assert_null(p);
        assert_int_equal(f.n_live, 0);
    }
    o.n_threads = 5000;
    assert_int_equal(bamba_probe_create(&p, &o, &err), BAMBA_ERR_ARGUMENT);
    o.n_threads = 1;
    o.read_bytes = (size_t)1 << 50;
    assert_int_equal(bamba_probe_create(&p, &o, &err), BAMBA_ERR_MEMORY);
    assert_int_equal(bamba_probe_create(NULL, NULL, &err), BAMBA_ERR_ARGUMENT);
    bamba_probe_free(NULL);
    assert_true(bamba_probe_run(NULL, BAMBA_LIMIT_READ) == 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_equal_sums_by_hand),
        cmocka_unit_test(count_takes_null),
        cmocka_unit_test(random_models_depend_on_the_seed_alone),
        cmocka_unit_test(random_models_are_refused),
        cmocka_unit_test(what_does_not_fit_is_said_before),
        cmocka_unit_test(filled_sessions_go_on),
        cmocka_unit_test(timers_add_up),
        cmocka_unit_test(operations_sum_to_a_step),
        cmocka_unit_test(reading_sums_every_word),
        cmocka_unit_test(probe_measures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
