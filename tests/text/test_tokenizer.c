/* test_tokenizer.c - the public functions of a tokenizer. */
#include "bamba.h"

#include "support/tempdir.h"
#include "text/parts.h"

static const char FILE_TEXT[] =
    "{\"added_tokens\": [{\"id\": 10, \"content\": \"<end>\", \"special\": true,"
    "   \"normalized\": false}, {\"id\": 6, \"content\": \"plus\", \"special\": false}],"
    " \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false},"
    " \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": ["
    "   {\"Sequence\": {\"id\": \"A\"}}, {\"SpecialToken\": {\"id\": \"<end>\"}}],"
    "   \"special_tokens\": {\"<end>\": {\"ids\": [10]}}},"
    " \"decoder\": {\"type\": \"ByteLevel\"},"
    " \"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"\xC4\xA0\": 1,"
    "   \"\xC4\xA0" "a\": 2, \"\xC3\x83\": 3, \"\xC2\xA9\": 4, \"<\": 5, \"plus\": 6, "
                    "\"<end>\": 10},"
    "   \"merges\": [\"\xC4\xA0 a\"]}}";

static char logged[512];                  /* by the last open_small() */

static void keep_line(void *context, const char *line)
{
    strncat(context, line, sizeof logged - strlen(context) - 1);
}

static bamba_tokenizer *open_small(const char *config)
{
    char                   *dir = tempdir_make();
    bamba_tokenizer_options o = BAMBA_TOKENIZER_OPTIONS;
    bamba_tokenizer        *t;
    bamba_error             err;

    logged[0] = '\0';
    o.log = keep_line;
    o.log_context = logged;

    tempdir_write_text(dir, "tokenizer.json", FILE_TEXT);
    if (config) tempdir_write_text(dir, "tokenizer_config.json", config);
    if (bamba_tokenizer_open(&t, dir, &o, &err) != BAMBA_OK) fail_msg("%s", err.message);
    tempdir_remove(dir);
    return t;
}

static void expect_ids(const bamba_tokenizer *t, const char *text, unsigned flags, size_t n,
                       const int32_t *expected)
{
    int32_t    *ids;
    size_t      n_ids;
    bamba_error err;

    if (bamba_tokenize(t, text, strlen(text), flags, &ids, &n_ids, &err) != BAMBA_OK)
        fail_msg("%s", err.message);
    assert_int_equal(n_ids, n);
    if (n == 0) assert_null(ids);
    else assert_memory_equal(ids, expected, n * sizeof *ids);
    bamba_tokens_free(t, ids);
}

static void test_tokenize(void **state)
{
    static const int32_t plain[] = { 0, 2 };
    static const int32_t ended[] = { 0, 2, 10 };
    static const int32_t parsed[] = { 0, 10, 6 };
    static const int32_t spelled[] = { 5, 6 };
    bamba_tokenizer     *t = open_small(NULL);

    (void)state;
    expect_ids(t, "", 0, 0, NULL);
    expect_ids(t, "", BAMBA_TOKENIZE_ADD_SPECIAL, 1, ended + 2);
    expect_ids(t, "a a", 0, 2, plain);
    expect_ids(t, "a a", BAMBA_TOKENIZE_ADD_SPECIAL, 3, ended);
    expect_ids(t, "a<end>plus", BAMBA_TOKENIZE_PARSE_SPECIAL, 3, parsed);
    expect_ids(t, "<end>plus", 0, 2, spelled);  /* the letters are no tokens and vanish */
    bamba_tokenizer_free(t);
}

static void test_tokenize_errors(void **state)
{
    bamba_tokenizer *t = open_small(NULL);
    int32_t         *ids = (int32_t *)t;
    size_t           n = 7;
    bamba_error      err;

    (void)state;
    expect_status("UTF-8", bamba_tokenize(t, "a\xC3\xA9\xC3(", 5, 0, &ids, &n, &err), &err,
                  BAMBA_ERR_FORMAT, "not UTF-8 at byte 3");
    assert_null(ids);
    assert_int_equal(n, 0);
    expect_status("cut", bamba_tokenize(t, "a\xE2\x82", 3, 0, &ids, &n, &err), &err,
                  BAMBA_ERR_FORMAT, "at byte 1");
    expect_status("surrogate", bamba_tokenize(t, "\xED\xA0\x80", 3, 0, &ids, &n, &err), &err,
                  BAMBA_ERR_FORMAT, "at byte 0");
    expect_status("flags", bamba_tokenize(t, "a", 1, 8, &ids, &n, &err), &err,
                  BAMBA_ERR_ARGUMENT, "0x8");
    expect_status("NULL", bamba_tokenize(t, NULL, 1, 0, &ids, &n, &err), &err,
                  BAMBA_ERR_ARGUMENT, "NULL");
    expect_status("long", bamba_tokenize(t, "a", (size_t)1 << 31, 0, &ids, &n, &err), &err,
                  BAMBA_ERR_ARGUMENT, "at most");
    assert_int_equal(bamba_tokenize(t, NULL, 0, 0, &ids, &n, NULL), BAMBA_OK);
    assert_int_equal(bamba_tokenize(t, "\xFF", 1, 0, &ids, &n, NULL), BAMBA_ERR_FORMAT);
    bamba_tokens_free(t, NULL);
    bamba_tokenizer_free(t);
    bamba_tokenizer_free(NULL);
}

static void test_open_errors(void **state)
{
    bamba_tokenizer        *t;
    bamba_tokenizer_options o = BAMBA_TOKENIZER_OPTIONS;
    bamba_error             err;
    char                   *dir = tempdir_make();

    (void)state;
    expect_status("none", bamba_tokenizer_open(&t, dir, NULL, &err), &err, BAMBA_ERR_IO,
                  "tokenizer.json");
    assert_null(t);
    expect_status("dir", bamba_tokenizer_open(&t, NULL, NULL, &err), &err, BAMBA_ERR_ARGUMENT,
                  "dir");
    assert_int_equal(bamba_tokenizer_open(NULL, dir, NULL, NULL), BAMBA_ERR_ARGUMENT);
    o.struct_bytes = 8;
    expect_status("size", bamba_tokenizer_open(&t, dir, &o, &err), &err, BAMBA_ERR_ARGUMENT,
                  "struct_bytes");
    tempdir_write_text(dir, "tokenizer.json", "{\"model\": {\"type\": \"Unigram\"}}");
    expect_status("model", bamba_tokenizer_open(&t, dir, NULL, &err), &err,
                  BAMBA_ERR_UNSUPPORTED, "'model.type': expected BPE, found 'Unigram'");
    tempdir_write_text(dir, "tokenizer.json", FILE_TEXT);
    tempdir_write_text(dir, "tokenizer_config.json", "{\"eos_token\": 7}");
    expect_status("config", bamba_tokenizer_open(&t, dir, NULL, &err), &err, BAMBA_ERR_FORMAT,
                  "tokenizer_config.json: 'eos_token'");
    tempdir_remove(dir);
}

static void test_single_tokens(void **state)
{
    bamba_tokenizer *t = open_small("{\"eos_token\": {\"content\": \"<end>\"}}");
    size_t           n;

    (void)state;
    assert_int_equal(bamba_tokenizer_size(t), 11);
    assert_int_equal(bamba_tokenizer_eos(t), 10);
    assert_memory_equal(bamba_token_text(t, 2, &n), " a", 2);
    assert_int_equal(n, 2);
    assert_memory_equal(bamba_token_text(t, 3, &n), "\xC3", 1);
    assert_int_equal(n, 1);
    assert_memory_equal(bamba_token_text(t, 10, &n), "<end>", 5);
    assert_int_equal(n, 5);
    assert_null(bamba_token_text(t, 7, &n));
    assert_int_equal(n, 0);
    assert_null(bamba_token_text(t, -1, &n));
    assert_true(bamba_token_is_special(t, 10));
    assert_false(bamba_token_is_special(t, 6) || bamba_token_is_special(t, 0));
    assert_false(bamba_token_is_special(t, 99));
    assert_int_equal(bamba_token_find(t, "<end>", 5), 10);
    assert_int_equal(bamba_token_find(t, "plus", 4), 6);
    assert_int_equal(bamba_token_find(t, "\xC4\xA0" "a", 3), 2);
    assert_int_equal(bamba_token_find(t, " a", 2), -1);
    bamba_tokenizer_free(t);

    t = open_small("{\"eos_token\": \"plus\"}");
    assert_int_equal(bamba_tokenizer_eos(t), 6);
    assert_string_equal(logged, "");
    bamba_tokenizer_free(t);
    t = open_small("{\"eos_token\": \"<none>\"}");     /* becomes a token */
    assert_int_equal(bamba_tokenizer_eos(t), 11);
    assert_true(bamba_token_is_special(t, 11));
    assert_string_equal(logged, "");
    bamba_tokenizer_free(t);
    t = open_small("{\"eos_token\": \"\"}");
    assert_int_equal(bamba_tokenizer_eos(t), -1);
    bamba_tokenizer_free(t);
    t = open_small(NULL);
    assert_int_equal(bamba_tokenizer_eos(t), -1);
    bamba_tokenizer_free(t);
}

static void test_decode(void **state)
{
    static const int32_t ids[] = { 0, 3, 7, 4, 10, 3, 0, 3 };
    static const char    whole[] = "a\xC3\xA9<end>\xEF\xBF\xBD" "a\xEF\xBF\xBD";
    bamba_tokenizer     *t = open_small(NULL);
    bamba_decoder        d = BAMBA_DECODER;
    char                 out[64] = "untouched";
    size_t               n;

    (void)state;
    /* too small a buffer: nothing happens */
    assert_int_equal(bamba_decode(t, &d, ids, 8, BAMBA_DECODE_FINISH, out, 14, &n), BAMBA_OK);
    assert_int_equal(n, sizeof whole - 1);
    assert_string_equal(out, "untouched");
    assert_int_equal(d.n_tokens, 0);
    assert_int_equal(bamba_decode(t, &d, ids, 8, BAMBA_DECODE_FINISH, out, 15, &n), BAMBA_OK);
    assert_int_equal(n, 15);
    assert_memory_equal(out, whole, 15);

    d = (bamba_decoder)BAMBA_DECODER;
    assert_int_equal(bamba_decode(t, &d, ids, 2, 0, out, 64, &n), BAMBA_OK);
    assert_int_equal(n, 1);               /* "a"; half of the next character waits */
    assert_int_equal(d.n_pending, 1);
    assert_int_equal(bamba_decode(t, &d, ids + 2, 3, BAMBA_DECODE_SKIP_SPECIAL, out, 64, &n),
                     BAMBA_OK);
    assert_int_equal(n, 2);
    assert_memory_equal(out, "\xC3\xA9", 2);

    d.n_pending = 24;
    assert_int_equal(bamba_decode(t, &d, ids, 1, 0, out, 64, &n), BAMBA_ERR_ARGUMENT);
    d.n_pending = 0;
    assert_int_equal(bamba_decode(t, &d, ids, 1, 4, out, 64, &n), BAMBA_ERR_ARGUMENT);
    assert_int_equal(bamba_decode(t, &d, NULL, 1, 0, out, 64, &n), BAMBA_ERR_ARGUMENT);
    assert_int_equal(bamba_decode(t, &d, NULL, 0, 0, NULL, 0, &n), BAMBA_OK);
    assert_int_equal(n, 0);
    bamba_tokenizer_free(t);
}

/* -------------------------------------------------------------- files beside tokenizer.json */

typedef struct beside {
    const char *config, *map, *added;     /* NULL: there is no such file */
    const char *text;
    int32_t     ids[8];                   /* of the text with special tokens parsed; -1 ends */
} beside;

static bamba_tokenizer *open_beside(const beside *b)
{
    char            *dir = tempdir_make();
    bamba_tokenizer *t;
    bamba_error      err;

    tempdir_write_text(dir, "tokenizer.json", FILE_TEXT);
    if (b->config) tempdir_write_text(dir, "tokenizer_config.json", b->config);
    if (b->map) tempdir_write_text(dir, "special_tokens_map.json", b->map);
    if (b->added) tempdir_write_text(dir, "added_tokens.json", b->added);
    if (bamba_tokenizer_open(&t, dir, NULL, &err) != BAMBA_OK) fail_msg("%s", err.message);
    tempdir_remove(dir);
    return t;
}

#define DECODER(members) "{\"added_tokens_decoder\": {" members "}}"

/* The ids are transformers 5.23's for the same files. */
static void test_beside(void **state)
{
    static const beside cases[] = {
        { DECODER("\"11\": {\"content\": \"<x>\", \"special\": true}"), NULL, NULL,
          "a<x>a", { 0, 11, 0, -1 } },
        /* the ids follow from the order of the keys, whatever their values */
        { DECODER("\"90\": {\"content\": \"<y>\"}, \"20\": {\"content\": \"<x>\"}"), NULL,
          NULL, "<x><y>", { 11, 12, -1 } },
        { DECODER("\"11\": {\"content\": \"<x>\", \"lstrip\": true, \"rstrip\": true}"), NULL,
          NULL, "a <x>  a", { 0, 11, 0, -1 } },
        { DECODER("\"11\": {\"content\": \"a\", \"single_word\": true}"), NULL, NULL,
          "a aa", { 0, 2, 0, -1 } },
        { "{\"bos_token\": \"<b>\", \"image_token\": \"<i>\", \"add_bos_token\": true,"
          " \"extra_special_tokens\": [\"<e>\", \"\", \"<b>\"]}", NULL, NULL,
          "<e><b><i>", { 13, 11, 12, -1 } },
        { "{\"additional_special_tokens\": [\"<e>\"], \"split_special_tokens\": true}", NULL,
          NULL, "<e>a", { 5, 0, -1 } },
        { NULL, "{\"pad_token\": {\"content\": \"<p>\", \"lstrip\": true}}", NULL, "a <p>",
          { 0, 11, -1 } },
        { NULL, "{\"pad_token\": \"<p>\"}", "{\"<q>\": 30, \"<p>\": 31}", "<p><q>",
          { 12, 11, -1 } },
        /* with added_tokens_decoder the other files are not looked at */
        { DECODER(""), "{\"pad_token\": \"<p>\"}", "{\"<q>\": 30}", "<p>a<q>",
          { 5, 0, 5, -1 } },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        bamba_tokenizer *t = open_beside(&cases[i]);
        size_t           n = 0;
        while (cases[i].ids[n] >= 0) n++;
        expect_ids(t, cases[i].text, BAMBA_TOKENIZE_PARSE_SPECIAL, n, cases[i].ids);
        bamba_tokenizer_free(t);
    }
}

/* -------------------------------------------------------------- continuations ------------ */

#define WITH_SPACE(components) \
    "{" components ", \"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"_\": 1," \
    " \"\xC4\xA0\": 2}, \"merges\": []}}"

static void test_continue(void **state)
{
    static const struct { const char *json; int32_t space; } cases[] = {
        { WITH_SPACE("\"pre_tokenizer\": {\"type\": \"ByteLevel\"}"), 2 },
        { WITH_SPACE("\"pre_tokenizer\": {\"type\": \"Metaspace\", \"replacement\": \"_\"}"), 1 },
        { WITH_SPACE("\"pre_tokenizer\": {\"type\": \"Metaspace\", \"replacement\": \"_\","
                     " \"prepend_scheme\": \"first\"}"), 1 },
        { WITH_SPACE("\"normalizer\": {\"type\": \"Prepend\", \"prepend\": \"_\"}"), 1 },
    };
    bamba_error err;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const int32_t    whole[] = { cases[i].space, 0 };
        char            *dir = tempdir_make();
        bamba_tokenizer *t;
        tempdir_write_text(dir, "tokenizer.json", cases[i].json);
        if (bamba_tokenizer_open(&t, dir, NULL, &err) != BAMBA_OK) fail_msg("%s", err.message);
        expect_ids(t, "a", 0, 2, whole);
        expect_ids(t, "a", BAMBA_TOKENIZE_CONTINUE, 1, whole + 1);
        expect_ids(t, "", BAMBA_TOKENIZE_CONTINUE, 0, NULL);
        bamba_tokenizer_free(t);
        tempdir_remove(dir);
    }
}

/* -------------------------------------------------------------- watching ----------------- */

typedef struct watch {
    uint64_t done, total;
    int      n_calls;
    int      cancel_at;                   /* number of the call; 0: never */
} watch;

static int count_call(void *context, uint64_t done, uint64_t total)
{
    watch *w = context;

    assert_true(done >= w->done && done <= total);
    w->done = done;
    w->total = total;
    return ++w->n_calls == w->cancel_at;
}

static void test_watch(void **state)
{
    enum { N = 400000 };
    bamba_tokenizer       *t = open_small(NULL);
    bamba_tokenize_options o = BAMBA_TOKENIZE_OPTIONS;
    watch                  w = { 0 };
    char                  *text = malloc(N);
    int32_t               *ids;
    size_t                 n;
    bamba_error            err;

    (void)state;
    for (int i = 0; i < N; i++) text[i] = i % 2 ? ' ' : 'a';
    o.progress = count_call;
    o.progress_context = &w;
    assert_int_equal(bamba_tokenize_with(t, text, N, &o, &ids, &n, &err), BAMBA_OK);
    assert_int_equal(n, N / 2 + 1);       /* "a", " a", …, " " */
    assert_int_equal(w.done, N);
    assert_int_equal(w.total, N);
    assert_true(w.n_calls > 10);
    bamba_tokens_free(t, ids);

    const int n_calls = w.n_calls;
    for (int k = 1; k <= n_calls; k += 3) {
        w = (watch){ .cancel_at = k };
        expect_status("cancel", bamba_tokenize_with(t, text, N, &o, &ids, &n, &err), &err,
                      BAMBA_ERR_CANCELLED, "cancelled");
        assert_int_equal(w.n_calls, k);
        assert_null(ids);
        assert_int_equal(n, 0);
    }
    assert_int_equal(bamba_tokenize_with(t, text, 9, NULL, &ids, &n, &err), BAMBA_OK);
    bamba_tokens_free(t, ids);
    o.struct_bytes = 3;
    expect_status("size", bamba_tokenize_with(t, text, 9, &o, &ids, &n, &err), &err,
                  BAMBA_ERR_ARGUMENT, "struct_bytes");
    free(text);
    bamba_tokenizer_free(t);
}

static void expect_plain(const bamba_tokenizer *t, const char *text, const bamba_range *plain,
                         size_t n_plain, size_t n, const int32_t *expected)
{
    bamba_tokenize_options o = BAMBA_TOKENIZE_OPTIONS;
    int32_t               *ids;
    size_t                 n_ids;
    bamba_error            err;

    o.flags = BAMBA_TOKENIZE_PARSE_SPECIAL;
    o.plain = plain;
    o.n_plain = n_plain;
    if (bamba_tokenize_with(t, text, strlen(text), &o, &ids, &n_ids, &err) != BAMBA_OK)
        fail_msg("%s", err.message);
    assert_int_equal(n_ids, n);
    assert_memory_equal(ids, expected, n * sizeof *ids);
    bamba_tokens_free(t, ids);
}

/* "<" is the one letter of "<end>" that the vocabulary has, so that a token that is none gives
   5. */
static void test_plain(void **state)
{
    static const char        text[] = "a<end><end>a";
    static const bamba_range first[] = { { 1, 6 } }, second[] = { { 6, 11 } };
    static const bamba_range touching[] = { { 5, 6 }, { 11, 12 } }, apart[] = { { 0, 1 },
                                                                                { 11, 12 } };
    static const bamba_range both[] = { { 2, 3 }, { 8, 9 } }, wrong[] = { { 3, 3 } },
        late[] = { { 0, 20 } };
    static const int32_t     neither[] = { 0, 5, 5, 0 }, behind[] = { 0, 5, 10, 0 };
    static const int32_t     before[] = { 0, 10, 5, 0 }, all[] = { 0, 10, 10, 0 };
    bamba_tokenizer         *t = open_small(NULL);
    bamba_tokenize_options   o = BAMBA_TOKENIZE_OPTIONS;
    int32_t                 *ids;
    size_t                   n;
    bamba_error              err;

    (void)state;
    expect_plain(t, text, first, 1, 4, behind);
    expect_plain(t, text, second, 1, 4, before);
    expect_plain(t, text, touching, 2, 4, behind);
    expect_plain(t, text, apart, 2, 4, all);
    expect_plain(t, text, both, 2, 4, neither);
    expect_plain(t, text, NULL, 0, 4, all);
    bamba_tokenizer_free(t);

    /* A special token that is looked for in normalized text. */
    t = open_small("{\"added_tokens_decoder\": {\"10\": {\"content\": \"<end>\", "
                   "\"special\": true, \"normalized\": true}}}");
    expect_plain(t, text, first, 1, 4, behind);
    expect_plain(t, text, second, 1, 4, before);
    expect_plain(t, text, touching, 2, 4, behind);
    expect_plain(t, text, apart, 2, 4, all);
    expect_plain(t, text, both, 2, 4, neither);

    o.n_plain = 1;
    o.plain = wrong;
    expect_status("empty", bamba_tokenize_with(t, text, 12, &o, &ids, &n, &err), &err,
                  BAMBA_ERR_ARGUMENT, "plain");
    o.plain = late;
    expect_status("late", bamba_tokenize_with(t, text, 12, &o, &ids, &n, &err), &err,
                  BAMBA_ERR_ARGUMENT, "plain");
    bamba_tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokenize),
        cmocka_unit_test(test_tokenize_errors),
        cmocka_unit_test(test_open_errors),
        cmocka_unit_test(test_single_tokens),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_beside),
        cmocka_unit_test(test_continue),
        cmocka_unit_test(test_watch),
        cmocka_unit_test(test_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
