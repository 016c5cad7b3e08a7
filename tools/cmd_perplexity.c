/* cmd_perplexity.c - how well a model predicts a text, and how far it is from another. */
#include "commands.h"

#include "chunks.h"
#include "console.h"
#include "text.h"

#include <stdlib.h>

typedef struct flags {
    setup_flags  setup;
    chunks_flags text;
    const char  *from, *to;               /* of --kl and --kl-base */
} flags;

/* Take the chunks from the file of --kl, or cut the text that must be its. */
static int find_chunks(chunks *c, const flags *f, const setup *s, const text_buffer *in,
                       kl_file *from)
{
    const size_t asked = (size_t)f->text.n;

    if (!f->from) {
        const size_t n = asked ? asked : CHUNKS_USUAL;
        return chunks_cut(c, s, &f->text, in->bytes, in->n, n);
    }
    int code = kl_open(from, f->from, s->info.n_vocab);
    if (code != EXIT_SUCCESS) return code;
    if (asked && asked != from->n)
        return console_fail("%s: expected chunks of %zu tokens (-c), found %zu", f->from, asked,
                            from->n);
    if (f->text.file) {
        code = chunks_cut(c, s, &f->text, in->bytes, in->n, from->n);
        return code == EXIT_SUCCESS ? chunks_expect(c, from->ids, from->n_chunks, f->from) : code;
    }
    *c = (chunks){ from->ids, from->n, from->n_chunks };
    from->ids = NULL;
    if (f->text.n_chunks > 0 && (size_t)f->text.n_chunks < c->n_chunks)
        c->n_chunks = (size_t)f->text.n_chunks;
    return EXIT_SUCCESS;
}

static int run_perplexity(const flags *f, setup *s, text_buffer *in)
{
    chunks c = { .ids = NULL };
    kl_file from = { .name = NULL }, to = { .name = NULL };
    const chunks_job job = { .chunks = &c, .model = s, .from = f->from ? &from : NULL,
                             .to = f->to ? &to : NULL, .as_json = f->text.as_json };

    console_catch_interrupt();
    int code = f->text.file ? text_read_plain(in, f->text.file) : EXIT_SUCCESS;
    if (code == EXIT_SUCCESS) code = setup_open_tokenizer(s, &f->setup);
    if (code == EXIT_SUCCESS) code = setup_open_model(s, &f->setup);
    if (code == EXIT_SUCCESS) code = find_chunks(&c, f, s, in, &from);
    if (code == EXIT_SUCCESS) code = chunks_prepare(s, &f->setup, c.n);
    if (code == EXIT_SUCCESS && f->to)
        code = kl_create(&to, f->to, s->info.n_vocab, c.ids, c.n_chunks, c.n);
    if (code == EXIT_SUCCESS) code = chunks_score(&job);
    code = kl_close(&to, code);
    kl_close(&from, code);
    free(c.ids);
    return console_finish(code);
}

int cmd_perplexity(const command *self, int argc, char **argv)
{
    setup s = SETUP;
    text_buffer in = { NULL, 0, 0 };
    flags f = { .setup = SETUP_FLAGS, .text = CHUNKS_FLAGS };
    const arg args[] = {
        SETUP_MODEL_ROW(&f.setup),
        ADAPTERS_ROW(&f.setup.adapter),
        CHUNKS_ROWS(&f.text),
        ARG_TEXT_ROW("--kl-base", "FILE", &f.to, "write the logits of all scored tokens",
            .more = "The base that --kl compares with: usually the model before it is quantized, "
            "with --type f32 --kv-type f32 --compute f32. The file takes four bytes for each token "
            "of the vocabulary and each token scored. It is little-endian: the eight characters "
            "bamba-kl; as 32-bit integers 1 (the version of the format), the number of logits of a "
            "token, the tokens N of a chunk, and the number of chunks; the ids of all chunks as "
            "32-bit integers; then, for each chunk, N - 1 - N/2 rows of float32 logits, which "
            "follow its tokens N/2 and later, counted from 0, but the last."),
        ARG_TEXT_ROW("--kl", "FILE", &f.from, "compare with the logits in a file of --kl-base",
            .more = "The text is the file's; one given with -f must be the same. Printed are the "
            "Kullback-Leibler divergence from the base (KLD), the ratio of the perplexities, the "
            "change of the probability of the right token (\xCE\x94p) and how often the likeliest "
            "token is the same, under llama-perplexity's names."),
        SETUP_WINDOW_ROWS(&f.setup),
        SETUP_TYPE_ROWS(&f.setup),
        SETUP_BATCH_ROW(&f.setup),
        ARG_END
    };

    int code = args_read(self, args, argc, argv);
    if (code == ARGS_READ && f.from && f.to)
        code = args_wrong(self, "either --kl or --kl-base, not both");
    if (code == ARGS_READ && !f.text.file && !f.from)
        code = args_wrong(self, "no text: -f FILE");
    if (code == ARGS_READ && setup_lacks_window(&f.setup))
        code = args_wrong(self, "--sink needs --window");
    if (code == ARGS_READ) code = run_perplexity(&f, &s, &in);
    setup_close(&s);
    setup_free_flags(&f.setup);
    free(in.bytes);
    return code;
}
