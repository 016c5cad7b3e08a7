/* cmd_compare.c - how far a model is from another on a text, both in memory. */
#include "commands.h"

#include "chunks.h"
#include "console.h"
#include "text.h"

#include <stdlib.h>

typedef struct flags {
    setup_flags  setup, base;             /* of B and of A */
    arg_list     models;
    int          base_type;
    chunks_flags text;
} flags;

/* The base is run as exactly as it can be; the options for B do not concern it. */
static void split_flags(flags *f)
{
    const setup_flags *b = &f->setup;

    f->base = (setup_flags){
        .cpu = b->cpu, .weight_type = f->base_type, .kv_type = BAMBA_TYPE_F32,
        .compute_type = BAMBA_TYPE_F32, .n_threads = b->n_threads, .n_batch = b->n_batch,
        .strict = b->strict, .copy = b->copy
    };
    if (f->models.n == 0) return;
    f->base.dir = f->models.items[0];
    f->setup.dir = f->models.items[f->models.n - 1];
}

static int open_both(const flags *f, setup *a, setup *b)
{
    int code = setup_open_tokenizer(a, &f->base);
    if (code == EXIT_SUCCESS) code = setup_open_tokenizer(b, &f->setup);
    if (code == EXIT_SUCCESS) code = setup_open_model(a, &f->base);
    if (code == EXIT_SUCCESS) code = setup_open_model(b, &f->setup);
    if (code == EXIT_SUCCESS && a->info.n_vocab != b->info.n_vocab)
        code = console_fail("%s: expected logits of %d tokens, as %s gives, found %d", b->dir,
                            a->info.n_vocab, a->dir, b->info.n_vocab);
    return code;
}

static int run_compare(const flags *f, setup *a, setup *b, text_buffer *in)
{
    const size_t n = f->text.n ? (size_t)f->text.n : CHUNKS_USUAL;
    chunks base = { .ids = NULL }, c = { .ids = NULL };
    const chunks_job job = { .chunks = &c, .model = b, .base = a, .as_json = f->text.as_json };

    console_catch_interrupt();
    int code = text_read_plain(in, f->text.file);
    if (code == EXIT_SUCCESS) code = open_both(f, a, b);
    if (code == EXIT_SUCCESS) code = chunks_cut(&base, a, &f->text, in->bytes, in->n, n);
    if (code == EXIT_SUCCESS) code = chunks_cut(&c, b, &f->text, in->bytes, in->n, n);
    if (code == EXIT_SUCCESS) code = chunks_expect(&c, base.ids, base.n_chunks, a->dir);
    if (code == EXIT_SUCCESS) code = chunks_prepare(a, &f->base, n);
    if (code == EXIT_SUCCESS) code = chunks_prepare(b, &f->setup, n);
    if (code == EXIT_SUCCESS) code = chunks_score(&job);
    free(base.ids);
    free(c.ids);
    return console_finish(code);
}

int cmd_compare(const command *self, int argc, char **argv)
{
    setup a = SETUP, b = SETUP;
    text_buffer in = { NULL, 0, 0 };
    flags f = { .setup = SETUP_FLAGS, .text = CHUNKS_FLAGS };
    const arg args[] = {
        ARG_LIST_ROW("-m, --model", "DIR", &f.models, "model directory, or the name ORG/NAME of a "
            "model in the Hugging Face cache: A, then B", .usual = "$BAMBA_MODEL, or the embedded "
            "model, for both", .more = "Given once, A and B are the same model."),
        CHUNKS_ROWS(&f.text),
        ARG_WORD_ROW("--base-type", "TYPE", &f.base_type, setup_weight_types,
            "type of the weights of A", .usual = "stored"),
        SETUP_TYPE_ROWS(&f.setup),
        SETUP_BATCH_ROW(&f.setup),
        ARG_END
    };

    int code = args_read(self, args, argc, argv);
    if (code == ARGS_READ && f.models.n > 2)
        code = args_wrong(self, "expected -m A and -m B, found %zu models", f.models.n);
    if (code == ARGS_READ && !f.text.file) code = args_wrong(self, "no text: -f FILE");
    if (code == ARGS_READ) {
        split_flags(&f);
        code = run_compare(&f, &a, &b, &in);
    }
    setup_close(&a);
    setup_close(&b);
    setup_free_flags(&f.setup);
    free(f.models.items);
    free(in.bytes);
    return code;
}
