/* test_vocab.c - vocabularies built by hand and from JSON, and looked up both ways. */
#include "text/bpe_load.h"

#include "text/parts.h"

static void test_lookups(void **state)
{
    const bb_allocator a = host();
    bb_json_doc *doc = parse(&a, "{\"b\": 7, \"\": 3, \"abcdefgh\": 16777215, \"a\": 0, "
                                 "\"abcdefghi\": 4, \"\xC3\xA9\": 5}");
    const bb_json root = bb_json_root(doc);
    bb_vocab      v;

    (void)state;
    assert_int_equal(bb_vocab_load(&v, &a, &root, NULL), BAMBA_OK);
    bb_json_close(doc);                   /* nothing points into it */
    assert_int_equal(v.n, 6);
    assert_int_equal(v.n_longest, 9);
    assert_int_equal(bb_vocab_find(&v, "a", 1), 0);
    assert_int_equal(bb_vocab_find(&v, "", 0), 3);
    assert_int_equal(bb_vocab_find(&v, "abcdefgh", 8), 16777215);
    assert_int_equal(bb_vocab_find(&v, "abcdefghi", 9), 4);
    assert_int_equal(bb_vocab_find(&v, "abcdefghij", 10), -1);
    assert_int_equal(bb_vocab_find(&v, "A", 1), -1);
    assert_memory_equal(bb_vocab_at(&v, 7)->text, "b", 1);
    assert_memory_equal(bb_vocab_at(&v, 16777215)->text, "abcdefgh", 8);
    assert_int_equal(bb_vocab_at(&v, 5)->n_bytes, 2);
    assert_null(bb_vocab_at(&v, 1));
    assert_null(bb_vocab_at(&v, -1));
    assert_null(bb_vocab_at(&v, INT32_MAX));
    bb_vocab_free(&v);
    bb_vocab_free(&v);
}

static void test_many(void **state)
{
    enum { N = 50000 };
    const bb_allocator a = host();
    char              *json = malloc(N * 24);
    size_t             n = 0;
    bb_vocab           v;

    (void)state;
    assert_non_null(json);
    for (int i = 0; i < N; i++)
        n += (size_t)sprintf(json + n, "%c\"%x\": %d", i ? ',' : '{', i * 7919, N - 1 - i);
    strcpy(json + n, "}");
    bb_json_doc  *doc = parse(&a, json);
    const bb_json root = bb_json_root(doc);
    assert_int_equal(bb_vocab_load(&v, &a, &root, NULL), BAMBA_OK);
    for (int i = 0; i < N; i++) {
        char name[16];
        const size_t length = (size_t)sprintf(name, "%x", i * 7919);
        assert_int_equal(bb_vocab_find(&v, name, length), N - 1 - i);
        assert_int_equal(bb_vocab_at(&v, N - 1 - i)->n_bytes, length);
        assert_memory_equal(bb_vocab_at(&v, N - 1 - i)->text, name, length);
    }
    bb_vocab_free(&v);
    bb_json_close(doc);
    free(json);
}

static void test_refusals(void **state)
{
    static const struct { const char *json, *word; } cases[] = {
        { "{}", "expected an object of 1 to" },
        { "[1]", "expected an object of 1 to" },
        { "{\"a\": -1}", "'a': expected an id in [0, 16777216), found -1" },
        { "{\"a\": 16777216}", "found 16777216" },
        { "{\"a\": 1.5}", "'a': expected an integer" },
        { "{\"a\": null}", "expected an integer" },
        { "{\"a\": \"1\"}", "expected an integer" },
        { "{\"a\": 3, \"b\": 1, \"c\": 3}", "id 3 is given to" },
    };
    const bb_allocator a = host();
    bamba_error        err;
    bb_vocab           v;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        bb_json_doc  *doc = parse(&a, cases[i].json);
        const bb_json root = bb_json_root(doc);
        expect_status(cases[i].json, bb_vocab_load(&v, &a, &root, &err), &err, BAMBA_ERR_FORMAT,
                      cases[i].word);
        bb_json_close(doc);
    }
}

/* -------------------------------------------------------------- building ----------------- */

typedef struct entry { const char *text; size_t n; int32_t id; } entry;

/* NULL if two tokens clash; else the vocabulary, which is *v. */
static bb_vocab *build(bb_vocab *v, const bb_allocator *a, const entry *e, size_t n,
                       bb_vocab_token *one, bb_vocab_token *other)
{
    assert_true(bb_vocab_begin(v, a, n));
    for (size_t i = 0; i < n; i++) assert_true(bb_vocab_add(v, e[i].text, e[i].n, e[i].id));
    return bb_vocab_finish(v, one, other) ? v : NULL;
}

/* What JSON cannot say: tokens that hold NUL, and a vocabulary of the empty token alone. */
static void test_build(void **state)
{
    static const entry some[] = { { "a\0b", 3, 9 }, { "a", 1, 4 }, { "a\0c", 3, 0 } };
    static const entry empty[] = { { "", 0, 2 } };
    const bb_allocator a = host();
    bb_vocab_token     one, other;
    bb_vocab           v;

    (void)state;
    assert_non_null(build(&v, &a, some, COUNT(some), &one, &other));
    assert_int_equal(bb_vocab_find(&v, "a\0b", 3), 9);
    assert_int_equal(bb_vocab_find(&v, "a\0c", 3), 0);
    assert_int_equal(bb_vocab_find(&v, "a", 1), 4);
    assert_int_equal(bb_vocab_find(&v, "a\0", 2), -1);
    assert_memory_equal(bb_vocab_at(&v, 9)->text, "a\0b", 3);
    assert_null(bb_vocab_at(&v, 1));
    bb_vocab_free(&v);
    assert_non_null(build(&v, &a, empty, COUNT(empty), &one, &other));
    assert_int_equal(bb_vocab_find(&v, "", 0), 2);
    assert_int_equal(bb_vocab_find(&v, "x", 1), -1);
    assert_int_equal(bb_vocab_at(&v, 2)->n_bytes, 0);
    bb_vocab_free(&v);
}

static void test_clashes(void **state)
{
    static const entry same_id[] = { { "x", 1, 7 }, { "y", 1, 1 }, { "zz", 2, 7 } };
    static const entry same_text[] = { { "x", 1, 7 }, { "yy", 2, 1 }, { "x", 1, 2 } };
    const bb_allocator a = host();
    bb_vocab_token     one, other;
    bb_vocab           v;

    (void)state;
    assert_null(build(&v, &a, same_id, COUNT(same_id), &one, &other));
    assert_int_equal(one.id, 7);
    assert_int_equal(other.id, 7);
    assert_int_equal(one.n_bytes + other.n_bytes, 3);
    bb_vocab_free(&v);
    assert_null(build(&v, &a, same_text, COUNT(same_text), &one, &other));
    assert_int_equal(one.id, 2);
    assert_int_equal(other.id, 7);
    assert_true(one.text[0] == 'x' && other.text[0] == 'x');
    bb_vocab_free(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookups),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_build),
        cmocka_unit_test(test_clashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
