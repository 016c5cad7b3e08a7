/* cmd_calibrate.c - what the matrices of a model are multiplied by, for rounding them well. */
#include "commands.h"

#include "chunks.h"
#include "console.h"
#include "text.h"

#include <stdlib.h>

enum { CHUNK = 512, OWN_CHUNKS = 8 };     /* tokens read from an empty state; chunks of own text */

typedef struct flags {
    setup_flags setup;
    const char *text, *out;
    int         n_chunks;                 /* -1: all */
    bool        feedback;
} flags;

static int fail(const bamba_error *err) { return console_fail_library(err->code, err); }

/* Read the chunks of the text. */
static int read_text(setup *s, const chunks *c)
{
    static char  what[] = "calibrating";
    const float *logits;
    bamba_error  err = { BAMBA_OK, "" };

    for (size_t i = 0; i < c->n_chunks; i++) {
        bamba_session_reset(s->session);
        if (bamba_feed(s->engine, s->session, c->ids + i * c->n, c->n, &logits, &err) != BAMBA_OK)
            return fail(&err);
        console_progress(what, i + 1, c->n_chunks);
    }
    return EXIT_SUCCESS;
}

/* Let the model write, with the probabilities it gives, and read what it writes. */
static int read_own(setup *s, int n_chunks)
{
    static char           what[] = "calibrating";
    bamba_sampler_options o = BAMBA_SAMPLER_OPTIONS;
    bamba_sampler        *sampler = NULL;
    const float          *logits;
    bamba_error           err = { BAMBA_OK, "" };

    o.temperature = 1.0f;
    o.tokenizer = s->tokenizer;
    if (s->info.bos < 0)
        return console_fail("the model has no begin token to start a text of its own with; -f FILE "
                            "gives one");
    if (bamba_sampler_create(&sampler, s->info.n_vocab, &o, &err) != BAMBA_OK) return fail(&err);
    for (int i = 0; err.code == BAMBA_OK && i < n_chunks * CHUNK; i++) {
        if (i % CHUNK == 0) bamba_session_reset(s->session);
        const int32_t id = i % CHUNK == 0 ? s->info.bos : bamba_sample(sampler, logits);
        bamba_feed(s->engine, s->session, &id, 1, &logits, &err);
        console_progress(what, (uint64_t)i + 1, (uint64_t)n_chunks * CHUNK);
    }
    bamba_sampler_free(sampler);
    return err.code == BAMBA_OK ? EXIT_SUCCESS : fail(&err);
}

static int calibrate(const flags *f, setup *s, text_buffer *in)
{
    const chunks_flags cut = { .file = f->text, .n_chunks = f->n_chunks, .is_fixed = true };
    bamba_calibration *calibration = NULL;
    bamba_error        err = { BAMBA_OK, "" };
    chunks             c = { .ids = NULL };

    int code = f->text ? text_read_plain(in, f->text) : EXIT_SUCCESS;
    if (code == EXIT_SUCCESS) code = setup_open_tokenizer(s, &f->setup);
    if (code == EXIT_SUCCESS) code = setup_open_model(s, &f->setup);
    if (code == EXIT_SUCCESS && f->text) code = chunks_cut(&c, s, &cut, in->bytes, in->n, CHUNK);
    if (code == EXIT_SUCCESS) code = setup_create(s, &f->setup, CHUNK, CHUNK, 1);
    if (code == EXIT_SUCCESS
        && bamba_calibration_create(&calibration, s->engine, f->feedback, &err) != BAMBA_OK)
        code = fail(&err);
    if (code == EXIT_SUCCESS)
        code = f->text ? read_text(s, &c) : read_own(s, f->n_chunks > 0 ? f->n_chunks : OWN_CHUNKS);
    console_progress_clear();
    if (code == EXIT_SUCCESS && bamba_calibration_save(calibration, f->out, &err) != BAMBA_OK)
        code = fail(&err);
    bamba_calibration_free(calibration);
    free(c.ids);
    return code;
}

int cmd_calibrate(const command *self, int argc, char **argv)
{
    setup       s = SETUP;
    text_buffer in = { NULL, 0, 0 };
    flags       f = { .setup = SETUP_FLAGS, .n_chunks = -1 };
    const arg   args[] = {
        SETUP_MODEL_ROW(&f.setup),
        ARG_TEXT_ROW("-f, --file", "FILE", &f.text, "text to read, - for standard input",
            .usual = "text that the model writes"),
        ARG_TEXT_ROW("-o, --output", "FILE", &f.out, "file to write, for --calibration"),
        ARG_INT_ROW("--chunks", "N", &f.n_chunks, -1, 1 << 30,
                    "the first N chunks of 512 tokens only",
            .usual = "-1, all; of text that the model writes, 8"),
        ARG_FLAG_ROW("--feedback", &f.feedback, "also gather how inputs go together",
            .more = "With this, the error of a rounded column of weights is made up for by the "
            "columns behind it. The file gets 128 times as large."),
        SETUP_TYPE_ROWS(&f.setup),
        SETUP_BATCH_ROW(&f.setup),
        ARG_END
    };

    int code = args_read(self, args, argc, argv);
    if (code == ARGS_READ && !f.out) code = args_wrong(self, "-o FILE is needed: where to write");
    if (code == ARGS_READ) {
        console_catch_interrupt();
        code = console_finish(calibrate(&f, &s, &in));
    }
    setup_close(&s);
    setup_free_flags(&f.setup);
    free(in.bytes);
    return code;
}
