/* test_components.c - components of tokenizer.json that are refused, by name and place; what
 * reference_cases.h cannot show: the behaviours' rule, templates, byte runs longer than a
 * state. */
#include "text/bpe_load.h"
#include "text/pipeline.h"

#include "text/parts.h"

typedef struct refusal {
    bb_status   status;
    const char *json;
    const char *word;
} refusal;

static void test_normalizer_refusals(void **state)
{
    static const refusal cases[] = {
        { BAMBA_ERR_UNSUPPORTED, "{\"type\": \"BertNormalizer\"}", "'BertNormalizer'" },
        { BAMBA_ERR_UNSUPPORTED, "{\"type\": \"Precompiled\"}", "'Precompiled'" },
        { BAMBA_ERR_FORMAT, "{}", "'type'" },
        { BAMBA_ERR_FORMAT, "[]", "expected an object" },
        { BAMBA_ERR_FORMAT, "{\"type\": \"Sequence\"}", "'normalizers'" },
        { BAMBA_ERR_UNSUPPORTED, "{\"type\": \"Sequence\", \"normalizers\":"
          " [{\"type\": \"NFC\"}, {\"type\": \"Nmt\"}]}", "'normalizers[1]'" },
        { BAMBA_ERR_FORMAT, "{\"type\": \"Prepend\"}", "'prepend'" },
        { BAMBA_ERR_FORMAT, "{\"type\": \"Replace\", \"content\": \"\"}", "pattern" },
        { BAMBA_ERR_FORMAT, "{\"type\": \"Replace\", \"pattern\": {\"String\": \"a\"}}",
          "content" },
        { BAMBA_ERR_UNSUPPORTED, "{\"type\": \"Replace\", \"pattern\": {\"Regex\": \"(\"},"
          " \"content\": \"\"}", "'pattern.Regex': pattern: missing closing parenthesis" },
    };
    const bb_allocator a = host();
    bamba_error        err;
    bb_normalizer     *z;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        bb_json_doc  *doc = parse(&a, cases[i].json);
        const bb_json root = bb_json_root(doc);
        expect_status(cases[i].json, bb_normalizer_load(&z, &a, &root, &err), &err,
                      cases[i].status, cases[i].word);
        assert_null(z);
        bb_json_close(doc);
    }
}

static void test_pretokenizer_refusals(void **state)
{
    static const refusal cases[] = {
        { BAMBA_ERR_UNSUPPORTED, "{\"type\": \"BertPreTokenizer\"}", "'BertPreTokenizer'" },
        { BAMBA_ERR_FORMAT, "{\"type\": \"Sequence\", \"pretokenizers\": {}}",
          "'pretokenizers'" },
        { BAMBA_ERR_FORMAT, "{\"type\": \"Split\", \"pattern\": {\"String\": \"a\"},"
          " \"behavior\": \"isolated\"}", "'behavior': 'isolated'" },
        { BAMBA_ERR_FORMAT, "{\"type\": \"Split\", \"pattern\": {\"String\": \"a\"}}",
          "'behavior'" },
        { BAMBA_ERR_UNSUPPORTED, "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"\\\\b\"},"
          " \"behavior\": \"Isolated\"}", "byte 0: this escape" },
        { BAMBA_ERR_FORMAT, "{\"type\": \"Metaspace\", \"replacement\": \"ab\"}",
          "one character" },
        { BAMBA_ERR_FORMAT, "{\"type\": \"Metaspace\", \"replacement\": \"_\","
          " \"prepend_scheme\": \"last\"}", "'last'" },
        { BAMBA_ERR_FORMAT, "{\"type\": \"ByteLevel\", \"use_regex\": 1}", "use_regex" },
    };
    const bb_allocator a = host();
    bamba_error        err;
    bb_pretokenizer   *z;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        bb_json_doc  *doc = parse(&a, cases[i].json);
        const bb_json root = bb_json_root(doc);
        expect_status(cases[i].json, bb_pretokenizer_load(&z, &a, &root, &err), &err,
                      cases[i].status, cases[i].word);
        assert_null(z);
        bb_json_close(doc);
    }
}

/* Replacing that doubles the text at every step ends before memory does. */
static void test_growth(void **state)
{
    const bb_allocator a = host();
    char               json[8000] = "{\"type\": \"Sequence\", \"normalizers\": [";
    bb_buffer          text = { .a = &a };
    bb_buffer          spare = { .a = &a };
    bb_normalizer     *z;
    bb_matcher        *m;
    bamba_error        err;

    (void)state;
    for (int i = 0; i < 60; i++)
        sprintf(json + strlen(json), "%s{\"type\": \"Replace\", \"pattern\":"
                                     " {\"String\": \"a\"}, \"content\": \"aa\"}",
                i ? ", " : "");
    strcat(json, "]}");
    bb_json_doc  *doc = parse(&a, json);
    const bb_json root = bb_json_root(doc);
    assert_int_equal(bb_normalizer_load(&z, &a, &root, &err), BAMBA_OK);
    assert_int_equal(bb_matcher_create(&m, &a, &err), BAMBA_OK);
    assert_true(bb_buffer_append(&text, "a", 1));
    expect_status("growth", bb_normalize(z, m, &text, &spare, false, &err), &err,
                  BAMBA_ERR_UNSUPPORTED, "longer than");
    assert_true(spare.capacity <= 1 << 17);
    bb_buffer_free(&text);
    bb_buffer_free(&spare);
    bb_matcher_free(m);
    bb_normalizer_free(z);
    bb_json_close(doc);
}

/* The example of the reference's own documentation. */
static void test_behaviors(void **state)
{
    static const char text[] = "the-final--countdown";
    static const struct { bb_behavior behavior; const char *pieces; } cases[] = {
        { BB_REMOVED, "the|final|countdown|" },
        { BB_ISOLATED, "the|-|final|-|-|countdown|" },
        { BB_MERGED_WITH_PREVIOUS, "the-|final-|-|countdown|" },
        { BB_MERGED_WITH_NEXT, "the|-final|-|-countdown|" },
        { BB_CONTIGUOUS, "the|-|final|--|countdown|" },
    };
    const bb_allocator a = host();
    const bb_span      whole = { 0, sizeof text - 1, false };
    bb_spans           found = { .a = &a };
    bb_regex          *dash;
    bb_matcher        *m;

    (void)state;
    assert_int_equal(bb_regex_compile(&dash, &a, "-", 1, true, NULL), BAMBA_OK);
    assert_int_equal(bb_matcher_create(&m, &a, NULL), BAMBA_OK);
    for (size_t i = 0; i < COUNT(cases); i++) {
        bb_spans pieces = { .a = &a };
        char     joined[100] = "";
        assert_int_equal(bb_spans_find(&found, dash, m, text, whole, NULL), BAMBA_OK);
        assert_true(bb_spans_split(&pieces, cases[i].behavior, &found));
        for (size_t k = 0; k < pieces.n; k++) {
            const bb_span s = pieces.span[k];
            sprintf(joined + strlen(joined), "%.*s|", (int)(s.end - s.start), text + s.start);
        }
        assert_string_equal(joined, cases[i].pieces);
        bb_release(&a, pieces.span);
    }
    bb_release(&a, found.span);
    bb_matcher_free(m);
    bb_regex_free(dash);
}

static bb_status load_post(const char *json, bb_postprocess *p, bamba_error *err)
{
    const bb_allocator a = host();
    bb_json_doc       *doc = parse(&a, json);
    const bb_json      root = bb_json_root(doc);
    bb_json_doc       *vocab = parse(&a, "{\"a\": 1, \"b\": 2, \"c\": 3, \"d\": 9}");
    const bb_json      vocab_root = bb_json_root(vocab);
    const bb_json      absent = { .doc = doc };
    bb_added           none = { .alloc = a };
    bb_vocab           v;
    bb_decode         *tokens;

    assert_int_equal(bb_vocab_load(&v, &a, &vocab_root, NULL), BAMBA_OK);
    assert_int_equal(bb_decode_load(&tokens, &absent, &v, &none, NULL), BAMBA_OK);
    const bb_status status = bb_postprocess_load(p, &root, tokens, err);
    bb_decode_free(tokens);
    bb_vocab_free(&v);
    bb_json_close(vocab);
    bb_json_close(doc);
    return status;
}

#define TEMPLATE(single, tokens) \
    "{\"type\": \"TemplateProcessing\", \"single\": [" single "], \"special_tokens\": {" \
    tokens "}}"
#define TEXT_A "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}"
#define TOKEN(name) "{\"SpecialToken\": {\"id\": \"" name "\", \"type_id\": 0}}"

static void test_templates(void **state)
{
    static const refusal cases[] = {
        { BAMBA_ERR_UNSUPPORTED, "{\"type\": \"RobertaProcessing\"}", "'RobertaProcessing'" },
        { BAMBA_ERR_UNSUPPORTED, TEMPLATE("", ""), "expected the text A once" },
        { BAMBA_ERR_UNSUPPORTED, TEMPLATE(TEXT_A "," TEXT_A, ""), "expected the text A once" },
        { BAMBA_ERR_UNSUPPORTED, TEMPLATE("{\"Sequence\": {\"id\": \"B\"}}", ""), "text A" },
        { BAMBA_ERR_FORMAT, TEMPLATE(TOKEN("x") "," TEXT_A, ""), "special_tokens.x.ids" },
        { BAMBA_ERR_FORMAT, TEMPLATE(TOKEN("x") "," TEXT_A, "\"x\": {\"ids\": [-1]}"),
          "found -1" },
        { BAMBA_ERR_FORMAT, TEMPLATE(TOKEN("x") "," TEXT_A, "\"x\": {\"ids\": [2, 4]}"),
          "'special_tokens.x.ids[1]': expected the id of a token, found 4" },
        { BAMBA_ERR_FORMAT, TEMPLATE(TOKEN("x") "," TEXT_A, "\"x\": {\"ids\": [16777215]}"),
          "'special_tokens.x.ids[0]'" },
        { BAMBA_ERR_FORMAT, "{\"type\": \"Sequence\"}", "'processors'" },
    };
    bb_postprocess p;
    bamba_error    err;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        expect_status(cases[i].json, load_post(cases[i].json, &p, &err), &err, cases[i].status,
                      cases[i].word);

    /* the outer template goes around the inner one */
    assert_int_equal(load_post("{\"type\": \"Sequence\", \"processors\": ["
                               "{\"type\": \"ByteLevel\"},"
                               TEMPLATE(TOKEN("x") "," TEXT_A "," TOKEN("y"),
                                        "\"x\": {\"ids\": [1, 2]}, \"y\": {\"ids\": [3]}") ","
                               TEMPLATE(TOKEN("z") "," TEXT_A "," TOKEN("z"),
                                        "\"z\": {\"ids\": [9]}") "]}", &p, &err), BAMBA_OK);
    static const int32_t before[] = { 9, 1, 2 };
    static const int32_t behind[] = { 3, 9 };
    assert_int_equal(p.n_before, 3);
    assert_int_equal(p.n_behind, 2);
    assert_memory_equal(p.before, before, sizeof before);
    assert_memory_equal(p.behind, behind, sizeof behind);
}

/* -------------------------------------------------------------- decoders ----------------- */

static bb_status load_decoder(const bb_allocator *a, const char *json, bb_vocab *v,
                              bb_decode **d, bamba_error *err)
{
    bb_json_doc  *doc = parse(a, json);
    bb_json_doc  *vocab = parse(a, "{\"<0xE4>\": 0, \"<0xBD>\": 1, \"<0xA0>\": 2, \"x\": 3}");
    const bb_json root = bb_json_root(doc);
    const bb_json vocab_root = bb_json_root(vocab);
    bb_added      none = { .alloc = *a };

    assert_int_equal(bb_vocab_load(v, a, &vocab_root, NULL), BAMBA_OK);
    const bb_status status = bb_decode_load(d, &root, v, &none, err);
    bb_json_close(vocab);
    bb_json_close(doc);
    return status;
}

static void test_decoder_refusals(void **state)
{
    static const refusal cases[] = {
        { BAMBA_ERR_UNSUPPORTED, "{\"type\": \"WordPiece\"}", "'WordPiece'" },
        { BAMBA_ERR_FORMAT, "{\"type\": \"Sequence\", \"decoders\": 1}", "'decoders'" },
        { BAMBA_ERR_UNSUPPORTED, "{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Fuse\"},"
          " {\"type\": \"Replace\", \"pattern\": {\"String\": \"a\"}, \"content\": \"\"}]}",
          "'Replace' is not supported here" },
        { BAMBA_ERR_UNSUPPORTED, "{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Fuse\"},"
          " {\"type\": \"Strip\", \"content\": \"a\", \"start\": 0, \"stop\": 1}]}",
          "the end" },
        { BAMBA_ERR_FORMAT, "{\"type\": \"Strip\", \"content\": \"ab\", \"start\": 1,"
          " \"stop\": 0}",
          "one character" },
        { BAMBA_ERR_FORMAT, "{\"type\": \"Strip\", \"content\": \"a\", \"start\": 1,"
          " \"stop\": 300}",
          "'stop'" },
        { BAMBA_ERR_UNSUPPORTED, "{\"type\": \"Replace\", \"pattern\": {\"String\": \"x\"},"
          " \"content\": \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxx\"}",
          "longer than 70 bytes" },
    };
    const bb_allocator a = host();
    bamba_error        err;
    bb_vocab           v;
    bb_decode         *d;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        expect_status(cases[i].json, load_decoder(&a, cases[i].json, &v, &d, &err), &err,
                      cases[i].status, cases[i].word);
        assert_null(d);
        bb_vocab_free(&v);
    }
}

/* A run of bytes longer than the state: valid ones come out whole, however they are cut; of an
   invalid one only the last stretch is U+FFFD byte by byte. */
static void test_long_byte_runs(void **state)
{
    enum { N = 100 };
    static const int32_t ni[] = { 0, 1, 2 };
    const bb_allocator   a = host();
    bb_vocab             v;
    bb_decode           *d;
    bamba_decoder        s = BAMBA_DECODER;
    char                 out[3 * N + 64];
    size_t               n = 0;

    (void)state;
    assert_int_equal(load_decoder(&a, "{\"type\": \"ByteFallback\"}", &v, &d, NULL), BAMBA_OK);
    for (int i = 0; i < 3 * N; i++) {
        const size_t more = bb_decode_run(d, &s, &ni[i % 3], 1, 0, out + n, sizeof out - n);
        assert_true(more % 3 == 0 && s.n_pending <= BB_RUN_MOST);
        n += more;
    }
    assert_true(n > 3 * N - 24);
    n += bb_decode_run(d, &s, &ni[0], 1, BAMBA_DECODE_FINISH, out + n, sizeof out - n);
    assert_true(n >= 3 * N);
    for (int i = 0; i < N - 8; i++) assert_memory_equal(out + 3 * i, "\xE4\xBD\xA0", 3);
    assert_memory_equal(out + n - 3, "\xEF\xBF\xBD", 3);
    assert_int_equal(s.n_pending, 0);
    bb_decode_free(d);
    bb_vocab_free(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalizer_refusals),
        cmocka_unit_test(test_pretokenizer_refusals),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_behaviors),
        cmocka_unit_test(test_templates),
        cmocka_unit_test(test_decoder_refusals),
        cmocka_unit_test(test_long_byte_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
