/* Damaged tokenizer.json and tokenizer_config.json through the public interface: refused with a
 * status and one line that names the culprit; nothing leaks, whichever allocation fails. */
#include "bamba.h"

#include "support/fault.h"
#include "support/refused.h"
#include "support/tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char TOKENIZER[] = "tokenizer.json";
static const char CONFIG[] = "tokenizer_config.json";

static const char GOOD[] =
    "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null,\n"
    " \"added_tokens\": [\n"
    "  {\"id\": 8, \"content\": \"<s>\", \"single_word\": false, \"lstrip\": false,"
    " \"rstrip\": false, \"normalized\": false, \"special\": true},\n"
    "  {\"id\": 9, \"content\": \"</s>\", \"special\": true, \"normalized\": false}],\n"
    " \"normalizer\": {\"type\": \"NFC\"},\n"
    " \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false,"
    " \"trim_offsets\": true, \"use_regex\": true},\n"
    " \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": ["
    "{\"SpecialToken\": {\"id\": \"<s>\", \"type_id\": 0}},"
    " {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}], \"pair\": [],"
    " \"special_tokens\": {\"<s>\": {\"id\": \"<s>\", \"ids\": [8], \"tokens\": [\"<s>\"]}}},\n"
    " \"decoder\": {\"type\": \"ByteLevel\"},\n"
    " \"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null,"
    " \"continuing_subword_prefix\": null, \"end_of_word_suffix\": null, \"fuse_unk\": false,"
    " \"byte_fallback\": false, \"ignore_merges\": false,\n"
    "  \"vocab\": {\"a\": 0, \"b\": 1, \"c\": 2, \"ab\": 3, \"abc\": 4, \"\xC4\xA0\": 5,"
    " \"\xC4\xA0" "a\": 6, \"d\": 7},\n"
    "  \"merges\": [\"a b\", \"ab c\", \"\xC4\xA0 a\"]}}\n";

static const char GOOD_CONFIG[] =
    "{\"add_bos_token\": true, \"bos_token\": \"<s>\","
    " \"eos_token\": {\"content\": \"</s>\", \"lstrip\": false}}\n";

static char *dir;
static int   n_cases;

static int make_good(void **state)
{
    (void)state;
    dir = tempdir_make();
    tempdir_write_text(dir, TOKENIZER, GOOD);
    tempdir_write_text(dir, CONFIG, GOOD_CONFIG);
    return 0;
}

static int remove_it(void **state)
{
    (void)state;
    tempdir_remove(dir);
    return 0;
}

static bamba_status open_it(bamba_error *err)
{
    fault                   f = { 0 };
    bamba_tokenizer_options o = BAMBA_TOKENIZER_OPTIONS;
    bamba_tokenizer        *t = (bamba_tokenizer *)&f;   /* rubbish that a failure must clear */

    o.allocator = fault_allocator(&f);
    *err = (bamba_error){ BAMBA_OK, "" };
    const bamba_status status = bamba_tokenizer_open(&t, dir, &o, err);
    if (status == BAMBA_OK) bamba_tokenizer_free(t);
    else if (t) fail_msg("a failed open left a tokenizer: %s", err->message);
    if (f.n_live) fail_msg("%zu blocks leaked: %s", f.n_live, err->message);
    return status;
}

static void expect_refused(const char *what, const char *word, const char *more)
{
    bamba_error        err;
    const bamba_status status = open_it(&err);

    n_cases++;
    expect_line(what, status, &err, word, more);
}

/* GOOD with the first `from` replaced by `to`. */
static char *edited(const char *from, const char *to)
{
    const char  *at = strstr(GOOD, from);
    const size_t n = sizeof GOOD + strlen(to);
    char        *text = malloc(n);

    if (!at) fail_msg("'%s' is not in the good file", from);
    snprintf(text, n, "%.*s%s%s", (int)(at - GOOD), GOOD, to, at + strlen(from));
    return text;
}

/* -------------------------------------------------------------- cases -------------------- */

static void test_good(void **state)
{
    static const int32_t expected[] = { 8, 4, 6 };
    bamba_tokenizer     *t;
    bamba_error          err;
    int32_t             *ids;
    size_t               n;

    (void)state;
    if (bamba_tokenizer_open(&t, dir, NULL, &err) != BAMBA_OK) fail_msg("%s", err.message);
    assert_int_equal(bamba_tokenizer_size(t), 10);
    assert_int_equal(bamba_tokenizer_eos(t), 9);
    assert_int_equal(bamba_tokenize(t, "abc a", 5, BAMBA_TOKENIZE_ADD_SPECIAL, &ids, &n, &err),
                     BAMBA_OK);
    assert_int_equal(n, 3);
    assert_memory_equal(ids, expected, sizeof expected);
    bamba_tokens_free(t, ids);
    bamba_tokenizer_free(t);
}

static void test_edits(void **state)
{
    static const struct {
        const char *from, *to, *word;
    } bad[] = {
        /* the model */
        { "\"type\": \"BPE\"", "\"type\": \"Unigram\"", "Unigram" },
        { "\"type\": \"BPE\"", "\"type\": \"WordPiece\"", "WordPiece" },
        { "\"type\": \"BPE\"", "\"type\": 3", "model.type" },
        { "\"model\": {", "\"modell\": {", "model" },
        { "\"vocab\": {", "\"vocabulary\": {", "model.vocab" },
        { "\"merges\": [", "\"mergers\": [", "model.merges" },
        { "\"a\": 0", "\"a\": -1", "model.vocab" }, { "\"a\": 0", "\"a\": 0.5", "model.vocab" },
        { "\"a\": 0", "\"a\": \"0\"", "model.vocab" },
        { "\"a\": 0", "\"a\": null", "model.vocab" },
        { "\"a\": 0", "\"a\": [0]", "model.vocab" }, { "\"a\": 0", "\"a\": 1", "model.vocab" },
        { "\"a\": 0", "\"a\": 2147483648", "model.vocab" },
        { "\"a\": 0", "\"a\": 16777216", "model.vocab" },
        { "\"a\": 0", "\"a\": 99999999999999999999", TOKENIZER },
        { "\"a\": 0", "\"b\": 0", "'b'" }, { "\"a\": 0", "\"\\u0062\": 0", TOKENIZER },
        { "\"a\": 0, ", "", "'a'" }, { "\"ab\": 3, ", "", "'ab'" },
        { "\"a b\"", "\"a x\"", "'x'" }, { "\"a b\"", "\"a d\"", "'ad'" },
        { "\"a b\"", "\"ab\"", "model.merges[0]" },
        { "\"a b\"", "\"a b c\"", "model.merges[0]" },
        { "\"a b\"", "\"\"", "model.merges[0]" }, { "\"a b\"", "3", "model.merges[0]" },
        { "\"a b\"", "null", "model.merges[0]" }, { "\"a b\"", "[\"a\"]", "model.merges[0]" },
        { "\"a b\"", "[\"a\", \"b\", \"c\"]", "model.merges[0]" },
        { "\"a b\"", "[\"a\", 1]", "model.merges[0]" }, { "\"a b\"", "{}", "model.merges[0]" },
        { "\"ab c\"", "\"ab  c\"", "model.merges[1]" },
        { "\"ab c\"", "\" \"", "model.merges[1]" },
        { "\"dropout\": null", "\"dropout\": 0.1", "dropout" },
        { "\"dropout\": null", "\"dropout\": \"x\"", "dropout" },
        { "\"unk_token\": null", "\"unk_token\": 3", "unk_token" },
        { "\"continuing_subword_prefix\": null", "\"continuing_subword_prefix\": \"##\"",
          "continuing_subword_prefix" },
        { "\"end_of_word_suffix\": null", "\"end_of_word_suffix\": \"</w>\"",
          "end_of_word_suffix" },
        { "\"fuse_unk\": false", "\"fuse_unk\": 1", "fuse_unk" },
        { "\"byte_fallback\": false", "\"byte_fallback\": \"no\"", "byte_fallback" },
        { "\"ignore_merges\": false", "\"ignore_merges\": []", "ignore_merges" },
        /* added tokens */
        { "\"id\": 8", "\"id\": -8", "added_tokens[0].id" },
        { "\"id\": 8", "\"id\": 8.5", "added_tokens[0].id" },
        { "\"id\": 8", "\"id\": \"8\"", "added_tokens[0].id" },
        { "\"id\": 8", "\"id\": 2147483648", "added_tokens[0].id" },
        { "\"id\": 8, ", "", "added_tokens[0].id" },
        { "\"content\": \"<s>\"", "\"content\": 5", "added_tokens[0].content" },
        { "\"content\": \"<s>\", ", "", "added_tokens[0].content" },
        { "\"lstrip\": false", "\"lstrip\": 0", "added_tokens[0].lstrip" },
        { "\"rstrip\": false", "\"rstrip\": \"\"", "added_tokens[0].rstrip" },
        { "\"single_word\": false", "\"single_word\": 1", "added_tokens[0].single_word" },
        { "\"normalized\": false", "\"normalized\": 7", "added_tokens[0].normalized" },
        { "\"special\": true", "\"special\": \"true\"", "added_tokens[0].special" },
        { "\"added_tokens\": [\n", "\"added_tokens\": [3, ", "added_tokens[0]" },
        { "\"added_tokens\": [\n", "\"added_tokens\": 3, \"x\": [", "added_tokens" },
        /* components */
        { "{\"type\": \"NFC\"}", "{\"type\": \"Bogus\"}", "Bogus" },
        { "{\"type\": \"NFC\"}", "{\"type\": 3}", "normalizer" },
        { "{\"type\": \"NFC\"}", "{}", "normalizer" },
        { "{\"type\": \"NFC\"}", "3", "normalizer" },
        { "{\"type\": \"NFC\"}", "[]", "normalizer" },
        { "{\"type\": \"NFC\"}", "{\"type\": \"Sequence\"}", "normalizer" },
        { "{\"type\": \"NFC\"}", "{\"type\": \"Sequence\", \"normalizers\": [3]}",
          "normalizer" },
        { "{\"type\": \"NFC\"}", "{\"type\": \"Replace\", \"content\": \"x\"}", "normalizer" },
        { "{\"type\": \"NFC\"}", "{\"type\": \"Replace\", \"pattern\": {\"Regex\": \"(\"},"
          " \"content\": \"x\"}", "normalizer" },
        { "{\"type\": \"NFC\"}", "{\"type\": \"Prepend\"}", "normalizer" },
        { "{\"type\": \"ByteLevel\", \"add", "{\"type\": \"Bogus\", \"add", "Bogus" },
        { "{\"type\": \"ByteLevel\", \"add", "{\"type\": null, \"add", "pre_tokenizer" },
        { "\"add_prefix_space\": false", "\"add_prefix_space\": 0", "add_prefix_space" },
        { "\"use_regex\": true", "\"use_regex\": \"x\"", "use_regex" },
        { "{\"type\": \"ByteLevel\", \"add", "{\"type\": \"Split\", \"add", "pre_tokenizer" },
        { "{\"type\": \"ByteLevel\", \"add", "{\"type\": \"Split\", \"pattern\": {\"Regex\":"
          " \"[\"}, \"behavior\": \"Isolated\", \"add", "pre_tokenizer" },
        { "{\"type\": \"ByteLevel\", \"add", "{\"type\": \"Split\", \"pattern\": {\"String\":"
          " \"x\"}, \"behavior\": \"Sideways\", \"add", "Sideways" },
        { "\"type\": \"TemplateProcessing\"", "\"type\": \"Bogus\"", "Bogus" },
        { "\"type\": \"TemplateProcessing\"", "\"type\": []", "post_processor" },
        { "\"single\": [", "\"singular\": [", "post_processor" },
        { "{\"SpecialToken\": {\"id\": \"<s>\"", "{\"SpecialToken\": {\"id\": \"<x>\"", "<x>" },
        { "{\"SpecialToken\": {\"id\": \"<s>\"", "{\"SpecialToken\": {\"id\": 3",
          "post_processor" },
        { "{\"SpecialToken\"", "{\"NormalToken\"", "post_processor" },
        { "\"ids\": [8]", "\"ids\": [\"8\"]", "post_processor" },
        { "\"ids\": [8]", "\"ids\": [-8]", "post_processor" },
        { "\"ids\": [8]", "\"ids\": 8", "post_processor" },
        { "\"ids\": [8]", "\"ids\": [8, 10]", "special_tokens.<s>.ids[1]" },
        { "\"ids\": [8]", "\"ids\": [16777215]", "special_tokens.<s>.ids[0]" },
        { "\"decoder\": {\"type\": \"ByteLevel\"}", "\"decoder\": {\"type\": \"Bogus\"}",
          "Bogus" },
        { "\"decoder\": {\"type\": \"ByteLevel\"}", "\"decoder\": {}", "decoder" },
        { "\"decoder\": {\"type\": \"ByteLevel\"}", "\"decoder\": 3", "decoder" },
        { "\"decoder\": {\"type\": \"ByteLevel\"}", "\"decoder\": {\"type\": \"Sequence\"}",
          "decoder" },
        { "\"decoder\": {\"type\": \"ByteLevel\"}", "\"decoder\": {\"type\": \"Strip\"}",
          "decoder" },
        { "\"decoder\": {\"type\": \"ByteLevel\"}", "\"decoder\": {\"type\": \"Strip\","
          " \"content\": \" \", \"start\": -1, \"stop\": 0}", "decoder" },
        { "\"decoder\": {\"type\": \"ByteLevel\"}", "\"decoder\": {\"type\": \"Replace\","
          " \"content\": \"x\"}", "decoder" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char *text = edited(bad[i].from, bad[i].to);
        tempdir_write_text(dir, TOKENIZER, text);
        expect_refused(bad[i].to, bad[i].word, "");
        free(text);
    }
}

/* Added tokens that clash, repeat or are empty are numbered as the reference does it. */
static void test_renumbered(void **state)
{
    static const struct {
        const char *from, *to;
        int32_t     begin, end;           /* ids of <s> and </s> */
    } good[] = {
        { "\"id\": 8", "\"id\": 9", 8, 9 },
        { "\"id\": 8", "\"id\": 4", 8, 9 },
        { "\"content\": \"<s>\"", "\"content\": \"\"", 9, 8 },
        { "\"content\": \"<s>\"", "\"content\": \"</s>\"", 9, 8 },
        { "\"content\": \"<s>\"", "\"content\": \"abc\"", 9, 8 },
    };
    bamba_tokenizer *t;
    bamba_error      err;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char *text = edited(good[i].from, good[i].to);
        tempdir_write_text(dir, TOKENIZER, text);
        if (bamba_tokenizer_open(&t, dir, NULL, &err) != BAMBA_OK)
            fail_msg("%s: %s", good[i].to, err.message);
        assert_int_equal(bamba_token_find(t, "<s>", 3), good[i].begin);
        assert_int_equal(bamba_token_find(t, "</s>", 4), good[i].end);
        bamba_tokenizer_free(t);
        free(text);
    }
}

static void test_not_json(void **state)
{
    static const char *const text[] = { "", "{", "[]", "null", "3", "{}", "\xEF\xBB\xBF{}",
                                        "{\"model\": {}}", "{\"model\": {\"type\": \"BPE\"}}",
                                        "{\"model\": null}", "{\"model\": []}",
                                        "{\"model\": {\"vocab\": {}, \"merges\": []}}",
                                        "{\"model\": {\"vocab\": {\"\xFF\": 0}}}" };

    (void)state;
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
        tempdir_write_text(dir, TOKENIZER, text[i]);
        expect_refused(text[i], TOKENIZER, "");
    }
    tempdir_delete(dir, TOKENIZER);
    expect_refused("missing", TOKENIZER, "no such file");
    tempdir_write_text(dir, TOKENIZER, "version https://git-lfs.github.com/spec/v1\noid "
                       "sha256:0\n");
    expect_refused("a pointer", TOKENIZER, "run git lfs pull");
}

static void test_truncated(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof GOOD - 2; n += 13) {
        tempdir_write(dir, TOKENIZER, GOOD, n);
        expect_refused("tokenizer.json cut off", TOKENIZER, "");
    }
}

/* A link that leads nowhere, or to itself, is no missing file. */
static void test_config_link(void **state)
{
    char *path = tempdir_path(dir, CONFIG);

    (void)state;
    unlink(path);
    assert_int_equal(symlink("../blobs/77", path), 0);
    expect_refused("dangling", CONFIG, "../blobs/77");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(CONFIG, path), 0);
    expect_refused("looping", CONFIG, "leads nowhere");
    free(path);
}

static void test_config(void **state)
{
    static const char *const text[] = { "", "{", "[]", "3", "{\"eos_token\": 3}",
                                        "{\"eos_token\": []}",
                                        "{\"eos_token\": {\"content\": 3}}",
                                        "{\"eos_token\": true}", "{\"a\": 1, \"a\": 2}",
                                        "{\"added_tokens_decoder\": []}",
                                        "{\"added_tokens_decoder\": {\"9\": \"x\"}}",
                                        "{\"added_tokens_decoder\": {\"x\": {}}}",
                                        "{\"extra_special_tokens\": \"x\"}",
                                        "{\"extra_special_tokens\": {\"x\": 3}}",
                                        "{\"additional_special_tokens\": [3]}",
                                        "{\"split_special_tokens\": 1}" };
    static const char *const beside[] = { "special_tokens_map.json", "added_tokens.json" };

    (void)state;
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
        tempdir_write_text(dir, CONFIG, text[i]);
        expect_refused(text[i], CONFIG, "");
    }
    tempdir_delete(dir, CONFIG);
    for (int i = 0; i < 2; i++) {
        tempdir_write_text(dir, beside[i], i ? "{\"x\": \"9\"}" : "{\"eos_token\": 9}");
        expect_refused(beside[i], beside[i], "");
        tempdir_write_text(dir, beside[i], "[]");
        expect_refused(beside[i], beside[i], "expected an object");
        tempdir_delete(dir, beside[i]);
    }
}

/* Any single byte changed: opened or refused, never worse; and what opens can be used. */
static void test_each_byte_changed(void **state)
{
    static const unsigned char masks[] = { 0x01, 0x20, 0x80 };
    char                       copy[sizeof GOOD];

    (void)state;
    for (size_t i = 0; i < sizeof GOOD - 1; i++)
        for (size_t k = 0; k < sizeof masks; k++) {
            bamba_tokenizer *t = NULL;
            bamba_error      err = { BAMBA_OK, "" };
            memcpy(copy, GOOD, sizeof GOOD);
            copy[i] = (char)((unsigned char)copy[i] ^ masks[k]);
            tempdir_write(dir, TOKENIZER, copy, sizeof GOOD - 1);
            if (bamba_tokenizer_open(&t, dir, NULL, &err) != BAMBA_OK) {
                assert_true(err.message[0] != '\0');
                continue;
            }
            int32_t *ids = NULL;
            size_t   n = 0;
            if (bamba_tokenize(t, "abcab \xC3\xA9 d<s>", 13, 3, &ids, &n, &err) == BAMBA_OK)
                for (size_t j = 0; j < n; j++) {         /* a template may name any id */
                    size_t n_bytes;
                    assert_true(ids[j] >= 0);
                    bamba_token_text(t, ids[j], &n_bytes);
                }
            bamba_tokens_free(t, ids);
            bamba_tokenizer_free(t);
        }
}

static bamba_status live(fault *f)
{
    bamba_tokenizer_options o = BAMBA_TOKENIZER_OPTIONS;
    bamba_decoder           decoder = BAMBA_DECODER;
    bamba_tokenizer        *t = NULL;
    bamba_error             err;
    int32_t                *ids = (int32_t *)f;
    char                    text[128];
    size_t                  n;
    size_t                  n_bytes;

    o.allocator = fault_allocator(f);
    bamba_status status = bamba_tokenizer_open(&t, dir, &o, &err);
    if (status != BAMBA_OK) {
        assert_null(t);
        return status;
    }
    status = bamba_tokenize(t, "abc a ab<s>d", 12, 3, &ids, &n, &err);
    if (status == BAMBA_OK) {
        f->armed = true;                  /* decoding allocates nothing */
        status = bamba_decode(t, &decoder, ids, n, BAMBA_DECODE_SKIP_SPECIAL, text, sizeof text,
                              &n_bytes);
        f->armed = false;
        assert_int_equal(n_bytes, 9);
        assert_memory_equal(text, "abc a abd", 9);
    } else {
        assert_null(ids);
        assert_int_equal(n, 0);
    }
    bamba_tokens_free(t, ids);
    bamba_tokenizer_free(t);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (int forever = 0; forever < 2; forever++)
        for (size_t k = 1;; k++) {
            fault f = { .fail_at = k, .forever = forever };
            const bamba_status status = live(&f);
            if (f.n_live) fail_msg("allocation %zu: %zu blocks leaked", k, f.n_live);
            if (f.n_refused == 0) {
                assert_int_equal(status, BAMBA_OK);
                break;
            }
            /* Patterns run without their machine code too, if only that was refused. */
            if (status != BAMBA_ERR_MEMORY && (forever || status != BAMBA_OK))
                fail_msg("allocation %zu: status %d", k, status);
        }
}

/* The list must not shrink unnoticed. */
static void test_enough_cases(void **state)
{
    (void)state;
    if (n_cases < 190) fail_msg("%d cases", n_cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_edits, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_renumbered, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_not_json, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_truncated, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_config_link, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_config, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_each_byte_changed, make_good, remove_it),
        cmocka_unit_test_setup_teardown(test_out_of_memory, make_good, remove_it),
        cmocka_unit_test(test_enough_cases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
