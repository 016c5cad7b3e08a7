/* cmd_embed.c - vectors of texts. */
#include "commands.h"

#include "console.h"
#include "json.h"
#include "npy.h"
#include "output.h"
#include "pack.h"
#include "pooling.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TEXTS = PACK_MOST + 1 };      /* those of a call, and one that did not fit */

typedef struct flags {
    setup_flags setup;
    arg_list    prompts;
    const char *file, *out;
    bool        jsonl, escapes, add_special, parse_special;
    int         pooling, norm;
} flags;

typedef struct job {
    const flags *flags;
    setup        setup;
    pack         pack;
    output       out;                     /* without a file: lines on stdout                  */
    bool         as_npy;
    text_buffer  in, line;                /* the lines of all texts; the text that is read    */
    size_t       at, n_texts, n_read, n_done;         /* at: in the lines                     */
    sequence     text[MOST_TEXTS];        /* [n] that are read and not done                   */
    int32_t     *ids[MOST_TEXTS];         /* theirs                                           */
    size_t       n;
    uint64_t     n_tokens;
    double      *sum;                     /* [D] of the text whose rows come                  */
    float       *vector;                  /* [D] */
} job;

/* ---- texts ---- */

/* Put the next text into j->line. */
static int read_text(job *j)
{
    const flags *f = j->flags;
    const char  *line, *problem;
    size_t       n;

    j->line.n = 0;
    if (f->prompts.n > 0)
        return text_append_flag(&j->line, f->prompts.items[j->n_read], f->escapes);
    if (!text_next_line(&j->in, &j->at, &line, &n)) return EXIT_SUCCESS;
    if (f->jsonl) {
        if (json_read_string(&j->line, line, n, &problem)) return EXIT_SUCCESS;
        return problem ? console_fail("line %zu: %s", j->n_read + 1, problem) : EXIT_FAILURE;
    }
    if (n > 0 && line[n - 1] == '\r') n--;
    return text_append(&j->line, line, n) ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Read the next text into j->text[j->n]. */
static int add_text(job *j)
{
    const unsigned how = (j->flags->add_special ? (unsigned)BAMBA_TOKENIZE_ADD_SPECIAL : 0u) |
                         (j->flags->parse_special ? (unsigned)BAMBA_TOKENIZE_PARSE_SPECIAL : 0u);
    const int32_t *bos = &j->setup.info.bos;
    int32_t       *ids = NULL;
    size_t         n = 0;

    int code = read_text(j);
    if (code == EXIT_SUCCESS)
        code = setup_tokenize(&j->setup, j->line.bytes, j->line.n, how, &ids, &n);
    if (code == EXIT_SUCCESS && n == 0 && *bos < 0)
        code = console_fail("text %zu is empty, and the model has no begin token to stand for it",
                            j->n_read + 1);
    if (code != EXIT_SUCCESS) return code;
    const size_t n_fed = n ? n : 1;
    j->ids[j->n] = ids;
    j->text[j->n++] = (sequence){ .ids = n ? ids : bos, .n = n_fed, .n_context = n_fed,
                                  .n_skipped = j->flags->pooling == POOLING_LAST ? n_fed - 1 : 0 };
    j->n_read++;
    return code;
}

static void drop_text(job *j, size_t i)
{
    pack_end(&j->pack, &j->text[i]);
    bamba_tokens_free(j->setup.tokenizer, j->ids[i]);
    j->ids[i] = NULL;
}

/* ---- calls ---- */

/* Fill a call; a text that no longer fits, or its rest, is the last of j->text. */
static int fill_call(job *j)
{
    int code = EXIT_SUCCESS;

    pack_clear(&j->pack);
    for (size_t i = 0; i < j->n || j->n_read < j->n_texts; i++) {
        if (i == j->n) code = add_text(j);
        if (code != EXIT_SUCCESS) break;
        sequence    *s = &j->text[i];
        const size_t n = pack_fit(&j->pack, s);
        if (n == 0) break;
        if (!s->session) code = pack_open(&j->pack, s);
        if (code != EXIT_SUCCESS) break;
        pack_put(&j->pack, s, n);
        if (s->n_fed < s->n) break;
    }
    return code;
}

static int write_vector(job *j, const sequence *s)
{
    const size_t width = j->pack.width;
    FILE        *to = j->out.file ? j->out.file : stdout;

    pooling_finish(j->flags->pooling, j->flags->norm, j->sum, s->n, width, j->vector);
    memset(j->sum, 0, width * sizeof *j->sum);
    if (j->as_npy) fwrite(j->vector, sizeof *j->vector, width, to);
    else {
        fprintf(to, "{ \"index\": %zu, \"n_tokens\": %zu, \"embedding\": ", j->n_done, s->n);
        json_write_floats(to, j->vector, width);
        fputs(" }\n", to);
    }
    j->n_done++;
    j->n_tokens += s->n;
    if (!ferror(to)) return EXIT_SUCCESS;
    return j->out.file ? output_fail(&j->out) : console_flush();
}

/* Add up what a call gave; texts that are complete are written, and a rest becomes the first. */
static int use_call(job *j)
{
    size_t n_done = 0;
    int    code = EXIT_SUCCESS;

    for (size_t i = 0; i < j->pack.n && code == EXIT_SUCCESS; i++) {
        const sequence *s = j->pack.of[i];
        size_t          first, n;
        const float    *rows = pack_rows(&j->pack, i, &first, &n);

        pooling_add(j->flags->pooling, j->sum, rows, n, j->pack.width);
        if (s->n_fed < s->n) break;
        code = write_vector(j, s);
        drop_text(j, n_done++);
    }
    if (n_done < j->n && n_done > 0) {
        j->text[0] = j->text[n_done];
        j->ids[0] = j->ids[n_done];
        j->ids[n_done] = NULL;
        j->text[n_done].session = NULL;
    }
    j->n -= n_done;
    return code;
}

static int embed_all(job *j)
{
    static char  what[] = "embedding";
    const double start = console_now_ms();
    int          code = EXIT_SUCCESS;

    while (code == EXIT_SUCCESS && j->n_done < j->n_texts) {
        code = fill_call(j);
        if (code == EXIT_SUCCESS) code = pack_run(&j->pack);
        if (code == EXIT_SUCCESS) code = use_call(j);
        console_progress(what, j->n_done, j->n_texts);
    }
    console_progress_clear();
    if (code != EXIT_SUCCESS) return code;
    const double ms = console_now_ms() - start;
    console_say("%zu texts of %llu tokens in %.1f s, %.1f tokens per second", j->n_done,
                (unsigned long long)j->n_tokens, ms * 1e-3,
                console_per_second((size_t)j->n_tokens, ms));
    return code;
}

/* ---- the command ---- */

static int open_output(job *j)
{
    const char *name = j->flags->out;

    if (!name) return EXIT_SUCCESS;
    const int code = output_open(&j->out, name);
    if (code != EXIT_SUCCESS) return code;
    j->as_npy = text_ends_with(name, ".npy");
    if (!j->as_npy || npy_write_header(j->out.file, j->n_texts, (size_t)j->setup.info.d_model))
        return EXIT_SUCCESS;
    return output_fail(&j->out);
}

static int run_embed(job *j)
{
    const flags *f = j->flags;
    const char  *file = f->file ? f->file : "-";

    console_catch_interrupt();
    int code = f->prompts.n ? EXIT_SUCCESS
             : f->jsonl ? text_read(&j->in, file) : text_read_plain(&j->in, file);
    j->n_texts = f->prompts.n ? f->prompts.n : text_count_lines(&j->in);
    if (code == EXIT_SUCCESS) code = setup_open_tokenizer(&j->setup, &f->setup);
    if (code == EXIT_SUCCESS) code = setup_open_model(&j->setup, &f->setup);
    if (code == EXIT_SUCCESS) code = pack_create(&j->pack, &j->setup, &f->setup, true);
    if (code != EXIT_SUCCESS) return code;
    const size_t width = j->pack.width;
    j->sum = calloc(width, sizeof *j->sum);
    j->vector = calloc(width, sizeof *j->vector);
    if (!j->sum || !j->vector) return console_fail("out of memory");
    code = open_output(j);
    if (code == EXIT_SUCCESS) code = embed_all(j);
    code = output_close(&j->out, code);
    return console_finish(code);
}

static void free_job(job *j)
{
    for (size_t i = 0; i < MOST_TEXTS; i++) drop_text(j, i);
    setup_close(&j->setup);
    free(j->in.bytes);
    free(j->line.bytes);
    free(j->sum);
    free(j->vector);
}

int cmd_embed(const command *self, int argc, char **argv)
{
    flags f = { .setup = SETUP_FLAGS, .escapes = true, .add_special = true, .parse_special = true,
                .pooling = POOLING_MEAN, .norm = 2 };
    job j = { .flags = &f, .setup = SETUP };
    const arg args[] = {
        SETUP_MODEL_ROW(&f.setup),
        ADAPTERS_ROW(&f.setup.adapter),
        ARG_LIST_ROW("-p, --prompt", "TEXT", &f.prompts, "a text; may be repeated"),
        ARG_TEXT_ROW("-f, --file", "FILE", &f.file, "a text in each line, - for standard input",
            .usual = "standard input"),
        ARG_FLAG_ROW("--jsonl", &f.jsonl, "each line is a JSON string"),
        TEXT_ESCAPE_ROW(&f.escapes),
        ARG_UNFLAG_ROW("--no-bos", &f.add_special, "add no begin or end token"),
        ARG_UNFLAG_ROW("--no-special, --no-parse-special", &f.parse_special,
                       "special tokens in the text are ordinary text"),
        ARG_WORD_ROW("--pooling", "TYPE", &f.pooling, pooling_words,
                     "what a text's vector is made of",
            .usual = "mean", .more = "mean is the mean of the rows of all its tokens, begin token "
            "included; last is the row of its last token."),
        ARG_INT_ROW("--embd-normalize", "N", &f.norm, -1, 32, "what is made 1",
            .usual = "2, the Euclidean length", .more = "-1: nothing, 0: the largest magnitude is "
            "made 32760, 1: the sum of magnitudes, N: the N-norm."),
        ARG_TEXT_ROW("-o, --output", "FILE", &f.out,
                     "write to a file; NAME.npy: float32 [texts, width]",
            .usual = "JSON lines on standard output"),
        SETUP_TYPE_ROWS(&f.setup),
        SETUP_BATCH_ROW(&f.setup),
        ARG_END
    };

    int code = args_read(self, args, argc, argv);
    if (code == ARGS_READ && f.prompts.n && (f.file || f.jsonl))
        code = args_wrong(self, f.file ? "either -p or -f, not both"
                                       : "--jsonl is for -f and standard input, not for -p");
    if (code == ARGS_READ) code = run_embed(&j);
    free_job(&j);
    free(f.prompts.items);
    setup_free_flags(&f.setup);
    return code;
}
