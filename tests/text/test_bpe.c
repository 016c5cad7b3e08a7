/* test_bpe.c - merging against a definition that tries every pair; models that are refused. */
#include "text/bpe_load.h"

#include "text/parts.h"

typedef struct model {
    bb_json_doc *doc;
    bb_vocab     vocab;
    bb_bpe      *bpe;
    bb_status    status;
    bamba_error  err;
} model;

static void load(model *m, const bb_allocator *a, const char *json)
{
    m->doc = parse(a, json);
    const bb_json root = bb_json_root(m->doc);
    const bb_json vocab = bb_json_get(&root, "vocab");
    assert_int_equal(bb_vocab_load(&m->vocab, a, &vocab, &m->err), BAMBA_OK);
    m->status = bb_bpe_load(&m->bpe, a, &m->vocab, &root, &m->err);
    bb_json_close(m->doc);
}

static void unload(model *m)
{
    bb_bpe_free(m->bpe);
    bb_vocab_free(&m->vocab);
}

static void encode(const model *m, const bb_allocator *a, const char *text, size_t n,
                   bb_ids *ids)
{
    bb_bpe_work work = { .a = a };
    *ids = (bb_ids){ .a = a };
    assert_int_equal(bb_bpe_encode(m->bpe, &work, text, n, ids, NULL), BAMBA_OK);
    bb_bpe_work_free(&work);
}

/* ids: a 0, b 1, c 2, then the merges in order of rank */
static const char ABC[] =
    "{\"vocab\": {\"a\": 0, \"b\": 1, \"c\": 2, \"ab\": 3, \"bc\": 4, \"ca\": 5, \"abc\": 6,"
    " \"aa\": 7, \"abca\": 8, \"bcbc\": 9, \"aaaa\": 10},"
    " \"merges\": [\"a b\", [\"b\", \"c\"], \"c a\", [\"ab\", \"c\"], \"a a\", \"abc a\","
    " \"bc bc\", \"aa aa\"]}";

static const int32_t RULES[][3] = { { 0, 1, 3 }, { 1, 2, 4 }, { 2, 0, 5 }, { 3, 2, 6 },
                                    { 0, 0, 7 }, { 6, 0, 8 }, { 4, 4, 9 }, { 7, 7, 10 } };

/* The definition: the pair of the lowest rank, leftmost, until there is none. */
static size_t merge_slowly(int32_t *s, size_t n)
{
    for (size_t r = 0; r < COUNT(RULES);) {
        size_t i = 0;
        while (i + 1 < n && (s[i] != RULES[r][0] || s[i + 1] != RULES[r][1])) i++;
        if (i + 1 >= n) {
            r++;
            continue;
        }
        s[i] = RULES[r][2];
        memmove(s + i + 1, s + i + 2, (n - i - 2) * sizeof *s);
        n--;
        r = 0;
    }
    return n;
}

static void test_against_definition(void **state)
{
    const bb_allocator a = host();
    uint64_t           seed = 1;
    model              m;

    (void)state;
    load(&m, &a, ABC);
    assert_int_equal(m.status, BAMBA_OK);
    for (int round = 0; round < 3000; round++) {
        char    text[40];
        int32_t slow[40];
        bb_ids  ids;
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        const size_t length = 1 + (size_t)(seed >> 33) % 40;
        for (size_t i = 0; i < length; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            slow[i] = (int32_t)((seed >> 33) % 3);
            text[i] = "abc"[slow[i]];
        }
        const size_t n = merge_slowly(slow, length);
        encode(&m, &a, text, length, &ids);
        assert_int_equal(ids.n, n);
        assert_memory_equal(ids.id, slow, n * sizeof *slow);
        bb_release(&a, ids.id);
    }
    unload(&m);
}

static void test_long_run(void **state)
{
    enum { N = 1000003 };
    const bb_allocator a = host();
    char              *text = malloc(N);
    model              m;
    bb_ids             ids;

    (void)state;
    assert_non_null(text);
    memset(text, 'a', N);
    load(&m, &a, ABC);
    encode(&m, &a, text, N, &ids);
    assert_int_equal(ids.n, 250002);      /* quarters, and 3 left: "aa", "a" */
    for (size_t i = 0; i + 2 < ids.n; i++) assert_int_equal(ids.id[i], 10);
    assert_int_equal(ids.id[250000], 7);
    assert_int_equal(ids.id[250001], 0);
    bb_release(&a, ids.id);
    unload(&m);
    free(text);
}

static void test_refusals(void **state)
{
    static const struct { bb_status status; const char *more, *word; } cases[] = {
        { BAMBA_ERR_FORMAT, "\"merges\": null", "'merges': expected a list" },
        { BAMBA_ERR_FORMAT, "\"merges\": {}", "'merges': expected a list" },
        { BAMBA_ERR_FORMAT, "\"merges\": [\"ab\"]", "'merges[0]': expected two tokens" },
        { BAMBA_ERR_FORMAT, "\"merges\": [\"a b c\"]", "expected two tokens" },
        { BAMBA_ERR_FORMAT, "\"merges\": [[\"a\"]]", "merges[0]" },
        { BAMBA_ERR_FORMAT, "\"merges\": [[\"a\", \"b\", \"c\"]]", "found 3" },
        { BAMBA_ERR_FORMAT, "\"merges\": [[\"a\", 1]]", "expected a string" },
        { BAMBA_ERR_FORMAT, "\"merges\": [7]", "expected a string" },
        { BAMBA_ERR_FORMAT, "\"merges\": [\"a b\", \"b q\"]", "'merges[1]': 'q' is not in" },
        { BAMBA_ERR_FORMAT, "\"merges\": [\"b a\"]", "'ba' is not in the vocabulary" },
        { BAMBA_ERR_FORMAT, "\"merges\": [], \"fuse_unk\": 1", "fuse_unk" },
        { BAMBA_ERR_UNSUPPORTED, "\"merges\": [], \"dropout\": 0.1", "dropout" },
        { BAMBA_ERR_UNSUPPORTED, "\"merges\": [], \"continuing_subword_prefix\": \"##\"",
          "##" },
        { BAMBA_ERR_UNSUPPORTED, "\"merges\": [], \"end_of_word_suffix\": \"</w>\"", "</w>" },
    };
    const bb_allocator a = host();
    char               json[300];
    model              m;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        sprintf(json, "{\"vocab\": {\"a\": 0, \"b\": 1, \"ab\": 2}, %s}", cases[i].more);
        load(&m, &a, json);
        expect_status(json, m.status, &m.err, cases[i].status, cases[i].word);
        assert_null(m.bpe);
        unload(&m);
    }
    load(&m, &a, "{\"vocab\": {\"a\": 0}, \"merges\": [], \"dropout\": 0.0, "
                 "\"continuing_subword_prefix\": \"\"}");
    assert_int_equal(m.status, BAMBA_OK);
    unload(&m);
}

static void test_unknown_missing(void **state)
{
    const bb_allocator a = host();
    bb_bpe_work        work = { .a = &a };
    bb_ids             ids = { .a = &a };
    model              m;

    (void)state;
    load(&m, &a, "{\"vocab\": {\"a\": 0}, \"merges\": [], \"unk_token\": \"<unk>\"}");
    assert_int_equal(bb_bpe_encode(m.bpe, &work, "aa", 2, &ids, &m.err), BAMBA_OK);
    assert_int_equal(ids.n, 2);
    expect_status("unknown", bb_bpe_encode(m.bpe, &work, "ab", 2, &ids, &m.err), &m.err,
                  BAMBA_ERR_FORMAT, "'<unk>'");
    bb_bpe_work_free(&work);
    bb_release(&a, ids.id);
    unload(&m);
}

/* -------------------------------------------------------------- building ----------------- */

static bb_text text_of(const char *s) { return (bb_text){ s, strlen(s) }; }

/* The same model as ABC without JSON: vocabulary and merges from arrays. */
static void test_build(void **state)
{
    static const char *const tokens[] = { "a", "b", "c", "ab", "bc", "ca", "abc", "aa", "abca",
                                          "bcbc", "aaaa" };
    const bb_allocator   a = host();
    const bb_bpe_options options = { .unknown = "c" };
    bb_vocab_token       one, other;
    bb_text              missing;
    model                m = { .status = BAMBA_OK };

    (void)state;
    assert_true(bb_vocab_begin(&m.vocab, &a, COUNT(tokens)));
    for (size_t i = COUNT(tokens); i-- > 0;)
        assert_true(bb_vocab_add(&m.vocab, tokens[i], strlen(tokens[i]), (int32_t)i));
    assert_true(bb_vocab_finish(&m.vocab, &one, &other));
    m.bpe = bb_bpe_begin(&a, &m.vocab, &options, COUNT(RULES));
    assert_non_null(m.bpe);

    /* what fails takes no rank */
    assert_false(bb_bpe_add(m.bpe, text_of("d"), text_of("e"), &missing));
    assert_true(missing.n == 1 && missing.s[0] == 'd');
    assert_false(bb_bpe_add(m.bpe, text_of("a"), text_of("e"), &missing));
    assert_true(missing.n == 1 && missing.s[0] == 'e');
    assert_false(bb_bpe_add(m.bpe, text_of("b"), text_of("a"), &missing));
    assert_true(missing.n == 2 && memcmp(missing.s, "ba", 2) == 0);
    for (size_t r = 0; r < COUNT(RULES); r++)
        assert_true(bb_bpe_add(m.bpe, text_of(tokens[RULES[r][0]]), text_of(tokens[RULES[r][1]]),
                               &missing));
    for (int round = 0; round < 200; round++) {
        char    text[8];
        int32_t slow[8];
        bb_ids  ids;
        for (int i = 0, k = round; i < 8; i++, k /= 3) {
            text[i] = k % 3 == 2 && i > 4 ? 'd' : (char)('a' + k % 3);      /* d is unknown: c */
            slow[i] = k % 3;
        }
        encode(&m, &a, text, 8, &ids);
        assert_int_equal(ids.n, merge_slowly(slow, 8));
        assert_memory_equal(ids.id, slow, ids.n * sizeof *slow);
        bb_release(&a, ids.id);
    }
    unload(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_definition),
        cmocka_unit_test(test_long_run),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_unknown_missing),
        cmocka_unit_test(test_build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
