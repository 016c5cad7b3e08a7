/* test_pipeline.c - whole tokenizers and their parts against the reference's answers, which
 * reference_cases.h holds; files that are refused; memory that runs out. */
#include "text/bpe_load.h"
#include "text/pipeline.h"

#include "base/utf8.h"

#include "support/fault.h"
#include "support/tempdir.h"
#include "text/parts.h"
#include "text/reference_cases.h"

enum { SEPARATOR = 0x1F };

static void expect_text(const char *what, const char *input, const char *found, size_t n,
                        const char *expected)
{
    if (n != strlen(expected) || (n > 0 && memcmp(found, expected, n) != 0))
        fail_msg("%s: '%s': expected '%s', found '%.*s'", what, input, expected, (int)n, found);
}

/* -------------------------------------------------------------- parts -------------------- */

static void join_pieces(const bb_pieces *p, bb_buffer *out)
{
    const char separator = SEPARATOR;

    for (size_t i = 0; i < p->piece.n; i++) {
        const bb_span s = p->piece.span[i];
        if (i > 0) assert_true(bb_buffer_append(out, &separator, 1));
        assert_true(bb_buffer_append(out, p->text.data + s.start, s.end - s.start));
    }
}

static void test_pretokenizers(void **state)
{
    const bb_allocator a = host();
    bamba_error        err;

    (void)state;
    for (size_t i = 0; i < COUNT(pretokenizer_cases); i++) {
        const text_case *c = &pretokenizer_cases[i];
        const char      *json = pretokenizers[c->component];
        bb_json_doc     *doc = parse(&a, json);
        const bb_json    root = bb_json_root(doc);
        bb_pretokenizer *z;
        bb_matcher      *m;
        bb_pieces        p = bb_pieces_begin(&a);
        bb_buffer        joined = { .a = &a };

        if (bb_pretokenizer_load(&z, &a, &root, &err) != BAMBA_OK) fail_msg("%s", err.message);
        assert_int_equal(bb_matcher_create(&m, &a, &err), BAMBA_OK);
        p.at_start = true;
        assert_true(bb_buffer_append(&p.text, c->text, strlen(c->text)));
        assert_int_equal(bb_pretokenize(z, m, &p, &err), BAMBA_OK);
        join_pieces(&p, &joined);
        expect_text(json, c->text, joined.data, joined.n, c->expected);

        bb_buffer_free(&joined);
        bb_pieces_free(&p);
        bb_matcher_free(m);
        bb_pretokenizer_free(z);
        bb_json_close(doc);
    }
}

static void test_normalizers(void **state)
{
    const bb_allocator a = host();
    bamba_error        err;

    (void)state;
    for (size_t i = 0; i < COUNT(normalizer_cases); i++) {
        const text_case *c = &normalizer_cases[i];
        bb_json_doc     *doc = parse(&a, normalizers[c->component]);
        const bb_json    root = bb_json_root(doc);
        bb_normalizer   *z;
        bb_matcher      *m;
        bb_buffer        text = { .a = &a };
        bb_buffer        spare = { .a = &a };

        if (bb_normalizer_load(&z, &a, &root, &err) != BAMBA_OK) fail_msg("%s", err.message);
        assert_int_equal(bb_matcher_create(&m, &a, &err), BAMBA_OK);
        assert_true(bb_buffer_append(&text, c->text, strlen(c->text)));
        assert_int_equal(bb_normalize(z, m, &text, &spare, false, &err), BAMBA_OK);
        expect_text(normalizers[c->component], c->text, text.data, text.n, c->expected);

        bb_buffer_free(&text);
        bb_buffer_free(&spare);
        bb_matcher_free(m);
        bb_normalizer_free(z);
        bb_json_close(doc);
    }
}

/* A vocabulary of the different tokens of a list, and the list's ids in it. */
static size_t make_vocab(const char *tokens, char *json, int32_t *ids)
{
    const char *seen[64];
    size_t      n_seen = 0;
    size_t      length[64];
    size_t      n = 0;

    strcpy(json, "{\"\\u0001\": 99");
    for (const char *s = tokens; *tokens && s; ) {
        const char  *end = strchr(s, SEPARATOR);
        const size_t bytes = end ? (size_t)(end - s) : strlen(s);
        size_t       k = 0;
        while (k < n_seen && (length[k] != bytes || memcmp(seen[k], s, bytes) != 0)) k++;
        if (k == n_seen) {
            seen[n_seen] = s;
            length[n_seen++] = bytes;
            sprintf(json + strlen(json), ", \"%.*s\": %zu", (int)bytes, s, k);
        }
        ids[n++] = (int32_t)k;
        s = end ? end + 1 : NULL;
    }
    strcat(json, "}");
    return n;
}

/* At once, and token by token. */
static void decode_both_ways(const bb_decode *d, const int32_t *ids, size_t n,
                             const text_case *c)
{
    char          whole[512];
    char          parts[512];
    bamba_decoder state = BAMBA_DECODER;
    size_t        n_parts = 0;

    const size_t n_whole = bb_decode_run(d, &state, ids, n, BAMBA_DECODE_FINISH, whole,
                                         sizeof whole);
    expect_text(decoders[c->component], c->text, whole, n_whole, c->expected);
    state = (bamba_decoder)BAMBA_DECODER;
    for (size_t i = 0; i < n; i++) {
        const size_t more = bb_decode_run(d, &state, ids + i, 1, 0, parts + n_parts,
                                          sizeof parts - n_parts);
        assert_int_equal(bb_utf8_valid(parts + n_parts, more), more);
        n_parts += more;
    }
    n_parts += bb_decode_run(d, &state, NULL, 0, BAMBA_DECODE_FINISH, parts + n_parts,
                             sizeof parts - n_parts);
    expect_text("streamed", c->text, parts, n_parts, c->expected);
}

static void test_decoders(void **state)
{
    const bb_allocator a = host();
    bamba_error        err;

    (void)state;
    for (size_t i = 0; i < COUNT(decoder_cases); i++) {
        const text_case *c = &decoder_cases[i];
        char             json[2048];
        int32_t          ids[64];
        const size_t     n = make_vocab(c->text, json, ids);
        bb_json_doc     *doc = parse(&a, decoders[c->component]);
        bb_json_doc     *vocab_doc = parse(&a, json);
        const bb_json    root = bb_json_root(doc);
        const bb_json    vocab_root = bb_json_root(vocab_doc);
        bb_added         added = { .alloc = a };
        bb_vocab         vocab;
        bb_decode       *d;

        assert_int_equal(bb_vocab_load(&vocab, &a, &vocab_root, &err), BAMBA_OK);
        if (bb_decode_load(&d, &root, &vocab, &added, &err) != BAMBA_OK)
            fail_msg("%s", err.message);
        decode_both_ways(d, ids, n, c);
        bb_decode_free(d);
        bb_vocab_free(&vocab);
        bb_json_close(vocab_doc);
        bb_json_close(doc);
    }
}

/* -------------------------------------------------------------- whole tokenizers --------- */

static void load(bb_pipeline *p, const bb_allocator *a, const char *dir, const char *text)
{
    bamba_error err;

    tempdir_write_text(dir, "tokenizer.json", text);
    if (bb_pipeline_load(p, a, dir, NULL, &err) != BAMBA_OK) fail_msg("%s", err.message);
}

static void test_ids(void **state)
{
    const bb_allocator a = host();
    char              *dir = tempdir_make();
    bb_pipeline        p;
    int                loaded = -1;
    bamba_error        err;

    (void)state;
    for (size_t i = 0; i < COUNT(id_cases); i++) {
        const id_case *c = &id_cases[i];
        bb_ids         ids = { .a = &a };
        bamba_tokenize_options o = BAMBA_TOKENIZE_OPTIONS;
        if (c->special) o.flags = BAMBA_TOKENIZE_ADD_SPECIAL | BAMBA_TOKENIZE_PARSE_SPECIAL;
        if (c->tokenizer != loaded) {
            if (loaded >= 0) bb_pipeline_free(&p);
            load(&p, &a, dir, tokenizer_files[c->tokenizer]);
            loaded = c->tokenizer;
        }
        assert_int_equal(bb_pipeline_encode(&p, c->text, strlen(c->text), &o, &ids, &err),
                         BAMBA_OK);
        if (ids.n != c->n) fail_msg("tokenizer %d, '%s': %zu ids", loaded, c->text, ids.n);
        for (size_t k = 0; k < c->n; k++)
            if (ids.id[k] != c->ids[k])
                fail_msg("tokenizer %d, '%s': id %zu: expected %d, found %d", loaded, c->text,
                         k, c->ids[k], (int)ids.id[k]);
        bb_release(&a, ids.id);
    }
    bb_pipeline_free(&p);
    tempdir_remove(dir);
}

/* -------------------------------------------------------------- out of memory ------------ */

static const char SMALL[] =
    "{\"added_tokens\": [{\"id\": 9, \"content\": \"<s>\", \"special\": true},"
    " {\"id\": 10, \"content\": \"word\", \"lstrip\": true}],"
    " \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFKC\"},"
    "  {\"type\": \"Replace\", \"pattern\": {\"Regex\": \"\\\\s+\"}, \"content\": \" \"},"
    "  {\"type\": \"Prepend\", \"prepend\": \"a\"}, {\"type\": \"Lowercase\"}]},"
    " \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": ["
    "  {\"type\": \"Split\", \"pattern\": {\"Regex\": \"[^\\\\s\\\\p{L}]?\\\\p{L}+|\\\\s\"},"
    "   \"behavior\": \"Isolated\", \"invert\": false},"
    "  {\"type\": \"Metaspace\", \"replacement\": \"_\", \"split\": true},"
    "  {\"type\": \"ByteLevel\", \"add_prefix_space\": true}]},"
    " \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": ["
    "  {\"SpecialToken\": {\"id\": \"<s>\"}}, {\"Sequence\": {\"id\": \"A\"}}],"
    "  \"special_tokens\": {\"<s>\": {\"ids\": [9]}}},"
    " \"decoder\": {\"type\": \"Sequence\", \"decoders\": ["
    "  {\"type\": \"Replace\", \"pattern\": {\"String\": \"_\"}, \"content\": \" \"},"
    "  {\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"},"
    "  {\"type\": \"Strip\", \"content\": \" \", \"start\": 1, \"stop\": 0}]},"
    " \"model\": {\"type\": \"BPE\", \"unk_token\": \"?\", \"vocab\": {\"a\": 0, \"b\": 1,"
    "  \"?\": 2, \"ab\": 3, \"_\": 4, \"abab\": 5, \"<0x41>\": 6, \"_a\": 7, \"\xC4\xA0\": 8},"
    "  \"merges\": [\"a b\", [\"ab\", \"ab\"], \"_ a\"]}}";

/* Everything once; the status of what failed first. */
static bb_status use_all(const bb_allocator *a, const char *dir, size_t *n_ids)
{
    static const char text[] = 
        "<s>abab ab  b\xC3\xA9\xEF\xAC\x81 word ababababababababababababab "
        "a\xCC\x81\xCC\xA7\xCC\x81\xCC\xA7\xCC\x81\xCC\xA7\xCC\x81\xCC\xA7"
        "\xCC\x81\xCC\xA7\xCC\x81\xCC\xA7\xCC\x81\xCC\xA7\xCC\x81\xCC\xA7\xCC\x81\xCC\xA7";
    bamba_error   err = { BAMBA_OK, "" };
    bb_pipeline   p;
    bb_ids        ids = { .a = a };
    bamba_decoder decoder = BAMBA_DECODER;
    char          out[512];

    bamba_tokenize_options o = BAMBA_TOKENIZE_OPTIONS;
    o.flags = BAMBA_TOKENIZE_ADD_SPECIAL | BAMBA_TOKENIZE_PARSE_SPECIAL;
    bb_status status = bb_pipeline_load(&p, a, dir, NULL, &err);
    if (status == BAMBA_OK) {
        status = bb_pipeline_encode(&p, text, sizeof text - 1, &o, &ids, &err);
        *n_ids = ids.n;
    }
    if (status == BAMBA_OK)
        assert_true(bb_decode_run(p.decode, &decoder, ids.id, ids.n, BAMBA_DECODE_FINISH, out,
                                  sizeof out) > 20);
    if (status != BAMBA_OK) {
        assert_int_equal(err.code, status);
        assert_true(err.message[0] != '\0');
    }
    bb_release(a, ids.id);
    bb_pipeline_free(&p);
    return status;
}

static void test_out_of_memory(void **state)
{
    char  *dir = tempdir_make();
    fault  counted = { 0 };
    size_t n_whole = 0;
    size_t n_survived = 0;

    (void)state;
    tempdir_write_text(dir, "tokenizer.json", SMALL);
    bb_allocator a = fault_allocator(&counted);
    assert_int_equal(use_all(&a, dir, &n_whole), BAMBA_OK);
    assert_int_equal(counted.n_live, 0);
    assert_true(counted.n_calls > 60);
    for (int forever = 0; forever < 2; forever++)
        for (size_t k = 1; k <= counted.n_calls; k++) {
            fault  f = { .fail_at = k, .forever = forever };
            size_t n = 0;
            a = fault_allocator(&f);
            const bb_status status = use_all(&a, dir, &n);
            assert_int_equal(f.n_live, 0);
            if (status == BAMBA_OK) {     /* only machine code may be done without */
                n_survived++;
                assert_int_equal(n, n_whole);
            } else {
                assert_int_equal(status, BAMBA_ERR_MEMORY);
            }
        }
    assert_true(n_survived < counted.n_calls / 2);
    tempdir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pretokenizers),
        cmocka_unit_test(test_normalizers),
        cmocka_unit_test(test_decoders),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
