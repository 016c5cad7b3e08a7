/* fuzz_tokenizer.c - the input is a tokenizer.json, a NUL and a text: to ids and back. */
#include "target.h"

#include "support/tempdir.h"

static void use(const bamba_tokenizer *t, input text, unsigned flags)
{
    bamba_decoder decoder = BAMBA_DECODER;
    int32_t      *ids = NULL;
    size_t        n_ids = 0, n_bytes;
    char          back[256];
    bamba_error   err;

    if (bamba_tokenize(t, (const char *)text.data, text.n, flags, &ids, &n_ids, &err) != BAMBA_OK)
        return;
    for (size_t i = 0; i < n_ids; i++) bamba_token_text(t, ids[i], &n_bytes);
    bamba_decode(t, &decoder, ids, n_ids, 0, back, sizeof back, &n_bytes);
    bamba_tokens_free(t, ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    bamba_tokenizer_options o = BAMBA_TOKENIZER_OPTIONS;
    bamba_tokenizer        *t = NULL;
    bamba_error             err;
    input                   in;

    if (!target_begin(&in, data, n, &o.allocator)) return 0;
    const input file = target_part(&in);
    tempdir_write(target_dir(), "tokenizer.json", file.data, file.n);
    const bamba_status status = bamba_tokenizer_open(&t, target_dir(), &o, &err);
    target_check(status, t, &err, false);
    if (t) {
        use(t, in, BAMBA_TOKENIZE_ADD_SPECIAL | BAMBA_TOKENIZE_PARSE_SPECIAL);
        use(t, in, 0);
    }
    bamba_tokenizer_free(t);
    target_end();
    return 0;
}
