/* cmd_logits.c - the scores a model gives to the next token. */
#include "commands.h"

#include "console.h"
#include "json.h"
#include "npy.h"
#include "output.h"
#include "setup.h"
#include "text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SHOWN = 1000 };

typedef struct flags {
    setup_flags setup;
    const char *prompt, *file, *ids, *out;
    bool        all, escapes;
    int         n_shown;
} flags;

typedef struct job {
    const flags *flags;
    setup        setup;
    text_buffer  text;
    int32_t     *ids;                     /* malloc'ed */
    size_t       n_ids;
    output       out;                     /* without a file: lines on stdout */
} job;

/* ---- which tokens ---- */

/* Read ids from a list like "1,2,3". */
static int parse_ids(job *j, const command *self, const char *list)
{
    size_t capacity = 1;
    for (const char *c = list; *c; c++) capacity += *c == ',';
    j->ids = malloc(capacity * sizeof *j->ids);
    if (!j->ids) return console_fail("out of memory");

    for (const char *at = list;;) {
        char *end;
        errno = 0;
        const long id = strtol(at, &end, 10);
        if (end == at || errno || id < 0 || id > INT32_MAX || (*end && *end != ','))
            return args_wrong(self, "--ids: expected ids with commas between, found '%s'", at);
        j->ids[j->n_ids++] = (int32_t)id;
        if (!*end) return EXIT_SUCCESS;
        at = end + 1;
    }
}

static int tokenize(job *j)
{
    const flags *f = j->flags;
    int32_t *ids = NULL;
    int code = EXIT_SUCCESS;

    if (f->prompt) {
        code = text_append_flag(&j->text, f->prompt, f->escapes);
    } else code = text_read_plain(&j->text, f->file);
    if (code == EXIT_SUCCESS)
        code = setup_tokenize(&j->setup, j->text.bytes, j->text.n,
                              BAMBA_TOKENIZE_ADD_SPECIAL | BAMBA_TOKENIZE_PARSE_SPECIAL, &ids,
                              &j->n_ids);
    if (code == EXIT_SUCCESS && j->n_ids == 0)
        code = console_fail("the text is empty: expected at least one token");
    if (code == EXIT_SUCCESS) {
        j->ids = malloc(j->n_ids * sizeof *j->ids);
        if (j->ids) memcpy(j->ids, ids, j->n_ids * sizeof *j->ids);
        else code = console_fail("out of memory");
    }
    bamba_tokens_free(j->setup.tokenizer, ids);
    return code;
}

/* ---- writing rows ---- */

/* Print the best n_shown of logits [V], a line each: position, id, logit, ln of the probability,
   text. */
static int print_row(const job *j, size_t position, const float *logits)
{
    const int n_vocab = j->setup.info.n_vocab;
    int32_t shown[MOST_SHOWN] = { 0 };
    int n = 0;

    for (int32_t id = 0; id < n_vocab; id++) {            /* insertion into a sorted list */
        int at = n;
        while (at > 0 && logits[id] > logits[shown[at - 1]]) at--;
        if (at == j->flags->n_shown) continue;
        if (n < j->flags->n_shown) n++;
        memmove(&shown[at + 1], &shown[at], (size_t)(n - 1 - at) * sizeof *shown);
        shown[at] = id;
    }
    double sum = 0.0;
    const double largest = (double)logits[shown[0]];
    for (int i = 0; i < n_vocab; i++) sum += exp((double)logits[i] - largest);
    for (int i = 0; i < n; i++) {
        size_t n_bytes = 0;
        const double logit = (double)logits[shown[i]];
        const char *piece = bamba_token_text(j->setup.tokenizer, shown[i], &n_bytes);
        printf("%6zu %8d %12.6f %12.6f  ", position, (int)shown[i], logit,
               logit - largest - log(sum));
        json_write_text(stdout, piece ? piece : "", n_bytes);
        putchar('\n');
    }
    return ferror(stdout) ? console_flush() : EXIT_SUCCESS;
}

static int use_row(const job *j, size_t position, const float *logits)
{
    const size_t n = (size_t)j->setup.info.n_vocab;

    if (!j->out.file) return print_row(j, position, logits);
    return fwrite(logits, sizeof *logits, n, j->out.file) == n ? EXIT_SUCCESS
                                                               : output_fail(&j->out);
}

/* ---- feeding ---- */

static int feed_all(const job *j, size_t rows)
{
    bamba_error err = { BAMBA_OK, "" };
    int code = EXIT_SUCCESS;

    for (size_t at = 0; at < j->n_ids && code == EXIT_SUCCESS;) {
        const size_t piece = j->n_ids - at < rows ? j->n_ids - at : rows;
        bamba_feed_item item = { .session = j->setup.session, .tokens = j->ids + at, .n = piece,
                                 .n_logits = piece };
        setup_begin_prompt(piece);
        const bamba_status status = bamba_feed_batch(j->setup.engine, &item, 1, &err);
        if (status != BAMBA_OK) return console_fail_library(status, &err);
        for (size_t i = 0; i < piece && code == EXIT_SUCCESS; i++)
            code = use_row(j, at + i, item.logits + i * (size_t)j->setup.info.n_vocab);
        at += piece;
    }
    return code;
}

static int feed_last(const job *j)
{
    const float *logits = NULL;
    bamba_error err = { BAMBA_OK, "" };

    setup_begin_prompt(j->n_ids);
    const bamba_status status = bamba_feed(j->setup.engine, j->setup.session, j->ids, j->n_ids,
                                           &logits, &err);
    if (status != BAMBA_OK) return console_fail_library(status, &err);
    return use_row(j, j->n_ids - 1, logits);
}

static int run_model(job *j)
{
    const flags *f = j->flags;
    const size_t n_vocab = (size_t)j->setup.info.n_vocab;
    const size_t rows = f->all ? setup_logits_rows(&j->setup) : 1;

    int code = setup_create(&j->setup, &f->setup, j->n_ids, j->n_ids, (int)rows);
    if (code != EXIT_SUCCESS) return code;
    if (f->out) {
        code = output_open(&j->out, f->out);
        if (code == EXIT_SUCCESS &&
            !npy_write_header(j->out.file, f->all ? j->n_ids : 1, n_vocab))
            code = output_fail(&j->out);
    }
    if (code == EXIT_SUCCESS) code = f->all ? feed_all(j, rows) : feed_last(j);
    code = output_close(&j->out, code);
    return console_finish(code);
}

static int run_logits(const command *self, job *j)
{
    const flags *f = j->flags;
    const int n_sources = (f->prompt != NULL) + (f->file != NULL) + (f->ids != NULL);

    if (n_sources != 1) return args_wrong(self, "expected one of -p, -f and --ids");
    int code = f->ids ? parse_ids(j, self, f->ids) : EXIT_SUCCESS;
    if (code != EXIT_SUCCESS) return code;
    console_catch_interrupt();
    if (!f->ids || !f->out) code = setup_open_tokenizer(&j->setup, &f->setup);
    if (code == EXIT_SUCCESS && !f->ids) code = tokenize(j);
    if (code == EXIT_SUCCESS) code = setup_open_model(&j->setup, &f->setup);
    return code == EXIT_SUCCESS ? run_model(j) : code;
}

int cmd_logits(const command *self, int argc, char **argv)
{
    flags f = { .setup = SETUP_FLAGS, .n_shown = 10, .escapes = true };
    job j = { .flags = &f, .setup = SETUP };
    const arg args[] = {
        SETUP_MODEL_ROW(&f.setup),
        ADAPTERS_ROW(&f.setup.adapter),
        ARG_TEXT_ROW("-p, --prompt", "TEXT", &f.prompt, "the text"),
        ARG_TEXT_ROW("-f, --file", "FILE", &f.file, "read it from a file, - for standard input"),
        TEXT_ESCAPE_ROW(&f.escapes),
        ARG_TEXT_ROW("--ids", "LIST", &f.ids, "token ids instead: 1,2,3"),
        ARG_FLAG_ROW("--all", &f.all, "after every token, not only after the last"),
        ARG_TEXT_ROW("-o, --output", "FILE.npy", &f.out,
                     "write all scores: float32 [tokens, vocabulary]", .usual = "print the best",
                     .more = "A NumPy file, one row a token, one column an id."),
        ARG_INT_ROW("--top", "N", &f.n_shown, 1, MOST_SHOWN, "how many to print", .usual = "10"),
        SETUP_TYPE_ROWS(&f.setup),
        SETUP_BATCH_ROW(&f.setup),
        ARG_END
    };

    int code = args_read(self, args, argc, argv);
    if (code == ARGS_READ) code = run_logits(self, &j);
    setup_close(&j.setup);
    setup_free_flags(&f.setup);
    free(j.text.bytes);
    free(j.ids);
    return code;
}
