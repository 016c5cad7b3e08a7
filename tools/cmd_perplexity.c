/* cmd_perplexity.c - how well a model predicts a text.
 *
 * llama.cpp's method (tools/perplexity), so that numbers compare: the text is cut into chunks
 * of n tokens without overlap, each starts from an empty state, the begin token replaces the
 * first if the tokenizer adds one, and the tokens after the first half are scored. What is left
 * over at the end is not used.
 */
#include "commands.h"

#include "console.h"
#include "setup.h"
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_CHUNK = 512, MOST_LOGITS_BYTES = 64 << 20, MOST_ROWS = 512 };

typedef struct flags {
    setup_flags setup;
    const char *file;
    int         n_chunk, n_chunks;
} flags;

typedef struct score {
    double sum, squares;                  /* of the negative log-probabilities, nats */
    size_t n_tokens, n_bytes, n_characters;
} score;

/* -ln of the probability of token id. */
static double surprise(const float *logits, int n_vocab, int32_t id)
{
    float largest = logits[0];
    double sum = 0.0;

    for (int i = 1; i < n_vocab; i++)
        if (logits[i] > largest) largest = logits[i];
    for (int i = 0; i < n_vocab; i++) sum += exp((double)logits[i] - (double)largest);
    return log(sum) + (double)largest - (double)logits[id];
}

static void add_token(score *s, const setup *c, const float *logits, int32_t id)
{
    const double nats = surprise(logits, c->info.n_vocab, id);
    size_t n = 0;
    const char *bytes = bamba_token_text(c->tokenizer, id, &n);

    s->sum += nats;
    s->squares += nats * nats;
    s->n_tokens++;
    if (!bytes || bamba_token_is_special(c->tokenizer, id)) return;
    s->n_bytes += n;
    for (size_t i = 0; i < n; i++) s->n_characters += ((unsigned char)bytes[i] & 0xC0) != 0x80;
}

/* Add the scores of a chunk ids [n], whose first may be the begin token; each call feeds at most
   `rows` tokens. */
static int score_chunk(const setup *c, const int32_t *ids, size_t n, size_t rows, score *s)
{
    const size_t first = n / 2;           /* logits after token i score token i + 1 */
    bamba_error err = { BAMBA_OK, "" };
    bamba_status status = BAMBA_OK;

    bamba_session_reset(c->session);
    setup_begin_prompt(n);
    if (first > 0) status = bamba_feed(c->engine, c->session, ids, first, NULL, &err);
    for (size_t at = first; status == BAMBA_OK && at < n - 1;) {
        const size_t piece = n - 1 - at < rows ? n - 1 - at : rows;
        bamba_feed_item item = { c->session, ids + at, piece, piece, NULL };
        status = bamba_feed_batch(c->engine, &item, 1, &err);
        if (status != BAMBA_OK) break;
        for (size_t i = 0; i < piece; i++)
            add_token(s, c, item.logits + i * (size_t)c->info.n_vocab, ids[at + i + 1]);
        at += piece;
    }
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

/* Find the begin token that the tokenizer puts before a text; -1 if it puts none. */
static int find_begin(const setup *c, int32_t *begin)
{
    int32_t *plain = NULL, *with = NULL;
    size_t n_plain = 0, n_with = 0;

    *begin = -1;
    int code = setup_tokenize(c, "a", 1, 0, &plain, &n_plain);
    if (code == EXIT_SUCCESS)
        code = setup_tokenize(c, "a", 1, BAMBA_TOKENIZE_ADD_SPECIAL, &with, &n_with);
    if (code == EXIT_SUCCESS && n_with > n_plain && n_plain > 0 && with[0] != plain[0])
        *begin = with[0];
    bamba_tokens_free(c->tokenizer, plain);
    bamba_tokens_free(c->tokenizer, with);
    return code;
}

static void print_result(const score *s)
{
    const double n = (double)s->n_tokens;
    const double mean = s->sum / n;
    const double variance = s->squares / n - mean * mean;
    const double error = n > 1.0 && variance > 0.0 ? sqrt(variance / (n - 1.0)) : 0.0;

    printf("\nFinal estimate: PPL = %.4f +/- %.5f\n", exp(mean), error * exp(mean));
    printf("%zu tokens scored: %.5f nats per token", s->n_tokens, mean);
    if (s->n_characters)
        printf(", %.5f per character, %.5f per byte", s->sum / (double)s->n_characters,
               s->sum / (double)s->n_bytes);
    putchar('\n');
}

static int score_text(const flags *f, const setup *c, int32_t *ids, size_t n_ids, size_t rows)
{
    const size_t n = (size_t)f->n_chunk;
    size_t n_chunks = n_ids / n;
    const double start = console_now_ms();
    score s = { 0.0, 0.0, 0, 0, 0 };
    int32_t begin;

    int code = find_begin(c, &begin);
    if (f->n_chunks > 0 && (size_t)f->n_chunks < n_chunks) n_chunks = (size_t)f->n_chunks;
    for (size_t i = 0; i < n_chunks && code == EXIT_SUCCESS; i++) {
        const int32_t kept = ids[i * n];
        if (begin >= 0) ids[i * n] = begin;
        code = score_chunk(c, ids + i * n, n, rows, &s);
        ids[i * n] = kept;
        if (code != EXIT_SUCCESS) break;
        console_progress_clear();
        printf("[%zu]%.4f,", i + 1, exp(s.sum / (double)s.n_tokens));
        code = console_flush();
    }
    if (code != EXIT_SUCCESS) {
        if (s.n_tokens) putchar('\n');
        return code;
    }
    print_result(&s);
    const double ms = console_now_ms() - start;
    console_say("%zu chunks of %zu tokens in %.1f s, %.1f tokens per second", n_chunks, n,
                ms * 1e-3, 1e3 * (double)(n_chunks * n) / ms);
    return EXIT_SUCCESS;
}

static int run_perplexity(const flags *f, setup *s, text_buffer *in)
{
    int32_t *ids = NULL;
    size_t n_ids = 0;

    console_catch_interrupt();
    int code = text_read_plain(in, f->file);
    if (code == EXIT_SUCCESS) code = setup_open_tokenizer(s, &f->setup);
    if (code == EXIT_SUCCESS) code = setup_open_model(s, &f->setup);
    if (code == EXIT_SUCCESS)
        code = setup_tokenize(s, in->bytes, in->n, BAMBA_TOKENIZE_ADD_SPECIAL, &ids, &n_ids);
    if (code != EXIT_SUCCESS) return code;

    const size_t n = (size_t)f->n_chunk;
    const size_t fit = MOST_LOGITS_BYTES / sizeof(float) / (size_t)s->info.n_vocab;
    const size_t rows = fit < 1 ? 1 : fit > MOST_ROWS ? MOST_ROWS : fit;
    if (n_ids < 2 * n)
        code = console_fail("%s: expected at least %zu tokens, two chunks, found %zu; -c N makes "
                            "chunks shorter", f->file, 2 * n, n_ids);
    else code = setup_create(s, &f->setup, n, n, (int)rows);
    if (code == EXIT_SUCCESS) code = score_text(f, s, ids, n_ids, rows);
    bamba_tokens_free(s->tokenizer, ids);
    return console_finish(code);
}

int cmd_perplexity(const command *self, int argc, char **argv)
{
    setup s = SETUP;
    text_buffer in = { NULL, 0, 0 };
    flags f = { .setup = SETUP_FLAGS, .n_chunk = DEFAULT_CHUNK, .n_chunks = -1 };
    const arg args[] = {
        SETUP_MODEL_ROW(&f.setup),
        ARG_TEXT_ROW("-f, --file", "FILE", &f.file, "the text, - for standard input",
                     .more = "Two chunks or more."),
        ARG_INT_ROW("-c, --ctx-size", "N", &f.n_chunk, 4, 1 << 30, "tokens of a chunk",
                    .usual = "512"),
        ARG_INT_ROW("--chunks", "N", &f.n_chunks, -1, 1 << 30, "the first N chunks only",
                    .usual = "-1, all"),
        SETUP_TYPE_ROWS(&f.setup),
        SETUP_BATCH_ROW(&f.setup),
        ARG_END
    };

    int code = args_read(self, args, argc, argv);
    if (code == ARGS_READ)
        code = f.file ? run_perplexity(&f, &s, &in) : args_wrong(self, "no text: -f FILE");
    setup_close(&s);
    setup_free_flags(&f.setup);
    free(in.bytes);
    return code;
}
