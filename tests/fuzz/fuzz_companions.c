/* fuzz_companions.c - the input is the small files beside a model and its tokenizer, with a NUL
 * after each. */
#include "target.h"

#include "support/tempdir.h"

static const char *const names[] = { "generation_config.json", "tokenizer_config.json",
                                     "special_tokens_map.json", "added_tokens.json" };

static const char tokenizer[] =
    "{\"added_tokens\": [{\"id\": 8, \"content\": \"<s>\", \"special\": true}],"
    " \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false},"
    " \"decoder\": {\"type\": \"ByteLevel\"},"
    " \"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1, \"c\": 2, \"ab\": 3, \"<\": 4,"
    " \"s\": 5, \">\": 6, \"\xC4\xA0\": 7}, \"merges\": [\"a b\"]}}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool             written;
    bamba_tokenizer_options o = BAMBA_TOKENIZER_OPTIONS;
    bamba_tokenizer        *t = NULL;
    int32_t                *ids = NULL;
    size_t                  n_ids;
    bamba_error             err;
    input                   in;

    if (!target_begin(&in, data, n, &o.allocator)) return 0;
    if (!written) {
        target_write_model(0);
        tempdir_write_text(target_dir(), "tokenizer.json", tokenizer);
        written = true;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        target_write(names[i], target_part(&in));
    target_run_model(&o.allocator);
    const bamba_status status = bamba_tokenizer_open(&t, target_dir(), &o, &err);
    target_check(status, t, &err, false);
    if (t) {
        bamba_tokenize(t, "ab <s>c", 7, BAMBA_TOKENIZE_ADD_SPECIAL, &ids, &n_ids, &err);
        bamba_tokens_free(t, ids);
    }
    bamba_tokenizer_free(t);
    target_end();
    return 0;
}
