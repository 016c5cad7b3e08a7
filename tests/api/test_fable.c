/* test_fable.c - the embedded model and its adapter write what transformers and PEFT make of them.
 *
 * The ids are transformers 5.23.0's greedy choice in float32, the adapter's with PEFT 0.21.2. The C
 * kernels make the same; other levels may part from it where the two best logits lie within 0.05,
 * and not before. */
#include "bamba.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 64 };

static const char    prompt[] = "Once upon a time";
static const int32_t prompt_ids[] = { 2630, 666, 259, 541 };
static const int32_t golden[N] = {
    12, 271, 430, 260, 907, 308, 2456, 12, 260, 907, 308, 2456, 1391, 321, 12, 271,
    260, 907, 2807, 1391, 321, 12, 271, 260, 907, 2807, 1391, 321, 12, 271, 260, 907,
    2807, 1391, 321, 12, 271, 260, 907, 2807, 1391, 321, 12, 271, 260, 907, 2807, 1391,
    321, 12, 271, 260, 907, 2807, 1391, 321, 12, 271, 260, 907, 2807, 1391, 321, 12,
};
static const char text[] =
    ", and when the sun was shining, the sun was shining brightly, and the sun shone brightly, and "
    "the sun shone brightly, and the sun shone brightly, and the sun shone brightly, and the sun "
    "shone brightly, and the sun shone brightly, and the sun shone brightly,";

/* With the adapter, behind "[Verse 1]\n". */
static const int32_t verse_ids[] = { 59, 501, 790, 61, 199 };
static const int32_t verse[N] = {
    327, 907, 308, 2456, 1391, 321, 12, 199, 327, 907, 308, 2456, 1391, 321, 12, 199,
    488, 260, 907, 2807, 1391, 321, 12, 199, 488, 260, 907, 2807, 1391, 321, 12, 199,
    488, 260, 907, 2807, 1391, 321, 12, 199, 488, 260, 907, 2807, 1391, 321, 12, 199,
    488, 260, 907, 2807, 1391, 321, 12, 199, 488, 260, 907, 2807, 1391, 321, 12, 199,
};

static int32_t best_of(const float *logits, int n, float *gap)
{
    int32_t best = 0;
    float   second = -1e30f;

    for (int32_t i = 1; i < n; i++)
        if (logits[i] > logits[best]) best = i;
    for (int32_t i = 0; i < n; i++)
        if (i != best && logits[i] > second) second = logits[i];
    *gap = logits[best] - second;
    return best;
}

/* Steps whose choice is the golden one, up to the first where the level may choose otherwise. */
static void check_steps(bamba_engine *e, bamba_session *s, const float *logits, int n_vocab,
                        const int32_t *expected, float tolerance)
{
    float gap;

    for (int i = 0; i < N; i++) {
        const int32_t id = best_of(logits, n_vocab, &gap);
        if (id != expected[i]) {
            if (gap > tolerance) fail_msg("step %d: expected %d, found %d", i, expected[i], id);
            break;
        }
        assert_int_equal(bamba_feed(e, s, &id, 1, &logits, NULL), BAMBA_OK);
    }
}

static void check_level(const char *cpu, float tolerance)
{
    bamba_model_options o = BAMBA_MODEL_OPTIONS;
    bamba_model_info    info = BAMBA_MODEL_INFO;
    bamba_adapter_use   use = { NULL, 1.0f };
    bamba_adapter      *a;
    bamba_model        *m;
    bamba_engine       *e;
    bamba_session      *s;
    const float        *logits;
    bamba_error         err;

    o.cpu = cpu;
    if (bamba_model_open(&m, BB_TEST_SOURCE_DIR "/models/fable", &o, &err) != BAMBA_OK)
        fail_msg("%s", err.message);
    if (bamba_adapter_open(&a, m, BB_TEST_SOURCE_DIR "/models/fable-verse", NULL, &err) != BAMBA_OK)
        fail_msg("%s", err.message);
    bamba_model_info_get(m, &info);
    assert_int_equal(bamba_engine_create(&e, m, NULL, NULL), BAMBA_OK);
    assert_int_equal(bamba_session_create(&s, m, NULL, NULL), BAMBA_OK);
    assert_int_equal(bamba_feed(e, s, prompt_ids, 4, &logits, NULL), BAMBA_OK);
    check_steps(e, s, logits, info.n_vocab, golden, tolerance);

    bamba_session_reset(s);
    use.adapter = a;
    assert_int_equal(bamba_session_set_adapters(s, &use, 1, NULL), BAMBA_OK);
    assert_int_equal(bamba_feed(e, s, verse_ids, 5, &logits, NULL), BAMBA_OK);
    check_steps(e, s, logits, info.n_vocab, verse, tolerance);
    bamba_session_free(s);
    bamba_engine_free(e);
    bamba_adapter_free(a);
    bamba_model_free(m);
}

static void test_the_c_kernels(void **unused)
{
    (void)unused;
    check_level("c", 0.0f);
}

static void test_the_best_kernels(void **unused)
{
    (void)unused;
    check_level(NULL, 0.05f);
}

static void test_the_text(void **unused)
{
    bamba_tokenizer *t;
    bamba_decoder    d = BAMBA_DECODER;
    int32_t         *ids;
    size_t           n;
    char             buffer[4096];

    (void)unused;
    assert_int_equal(bamba_tokenizer_open(&t, BB_TEST_SOURCE_DIR "/models/fable", NULL, NULL),
                     BAMBA_OK);
    assert_int_equal(bamba_tokenize(t, prompt, strlen(prompt), BAMBA_TOKENIZE_ADD_SPECIAL, &ids, &n,
                                    NULL), BAMBA_OK);
    assert_int_equal(n, 4);
    assert_memory_equal(ids, prompt_ids, sizeof prompt_ids);
    bamba_tokens_free(t, ids);
    assert_int_equal(bamba_decode(t, &d, golden, N, BAMBA_DECODE_FINISH, buffer, sizeof buffer, &n),
                     BAMBA_OK);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(buffer, text, n);
    bamba_tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_c_kernels),
        cmocka_unit_test(test_the_best_kernels),
        cmocka_unit_test(test_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
