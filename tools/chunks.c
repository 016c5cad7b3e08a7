/* chunks.c - a text in chunks, and how well a model predicts it, alone or beside a base. */
#include "chunks.h"

#include "console.h"
#include "score.h"

#include <stdlib.h>
#include <string.h>

/* ---- the text ---- */

int chunks_cut(chunks *c, const setup *s, const chunks_flags *f, const char *text, size_t n_bytes,
               size_t n)
{
    int32_t *ids = NULL, begin;
    size_t n_ids = 0;

    *c = (chunks){ .n = n };
    int code = setup_find_begin(s, &begin);
    if (code == EXIT_SUCCESS)
        code = setup_tokenize(s, text, n_bytes, BAMBA_TOKENIZE_ADD_SPECIAL, &ids, &n_ids);
    if (code != EXIT_SUCCESS) return code;
    c->n_chunks = n_ids / n;
    if (f->n_chunks > 0 && (size_t)f->n_chunks < c->n_chunks) c->n_chunks = (size_t)f->n_chunks;
    if (n_ids < 2 * n)
        code = console_fail("%s: expected at least %zu tokens, two chunks, found %zu%s", f->file,
                            2 * n, n_ids, f->is_fixed ? "" : "; -c N makes chunks shorter");
    else if (!(c->ids = malloc(c->n_chunks * n * sizeof *c->ids)))
        code = console_fail("out of memory");
    else {
        memcpy(c->ids, ids, c->n_chunks * n * sizeof *c->ids);
        for (size_t i = 0; i < c->n_chunks && begin >= 0; i++) c->ids[i * n] = begin;
    }
    bamba_tokens_free(s->tokenizer, ids);
    return code;
}

int chunks_expect(chunks *c, const int32_t *ids, size_t n_chunks, const char *name)
{
    if (n_chunks < c->n_chunks) c->n_chunks = n_chunks;
    for (size_t i = 0; i < c->n_chunks * c->n; i++)
        if (c->ids[i] != ids[i])
            return console_fail("%s: token %zu of chunk %zu is %d; the text given has %d", name,
                                i % c->n, i / c->n + 1, (int)ids[i], (int)c->ids[i]);
    return EXIT_SUCCESS;
}

/* ---- feeding ---- */

int chunks_prepare(setup *s, const setup_flags *f, size_t n)
{
    return setup_create(s, f, n, n, (int)setup_logits_rows(s));
}

/* Begin a chunk with n tokens whose logits are not needed. */
static int begin_chunk(const setup *s, const int32_t *ids, size_t n)
{
    bamba_error err = { BAMBA_OK, "" };

    bamba_session_reset(s->session);
    setup_begin_prompt(n);
    const bamba_status status = bamba_feed(s->engine, s->session, ids, n, NULL, &err);
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

/* Feed n tokens more; *logits [n, V] follow each. */
static int feed_rows(const setup *s, const int32_t *ids, size_t n, const float **logits)
{
    bamba_error err = { BAMBA_OK, "" };
    bamba_feed_item item = { .session = s->session, .tokens = ids, .n = n, .n_logits = n };

    const bamba_status status = bamba_feed_batch(s->engine, &item, 1, &err);
    *logits = item.logits;
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

/* ---- scoring ---- */

static void count_text(score *s, const bamba_tokenizer *tokenizer, int32_t id)
{
    size_t n = 0;
    const char *bytes = bamba_token_text(tokenizer, id, &n);

    if (!bytes || bamba_token_is_special(tokenizer, id)) return;
    s->n_bytes += n;
    for (size_t i = 0; i < n; i++) s->n_characters += ((unsigned char)bytes[i] & 0xC0) != 0x80;
}

/* Score n tokens that follow ids [n]; room [n, V] is for logits that are read. */
static int score_rows(const chunks_job *j, const int32_t *ids, size_t n, float *room, score *s)
{
    const size_t n_vocab = (size_t)j->model->info.n_vocab;
    const float *logits = NULL, *base = j->from ? room : NULL;

    int code = feed_rows(j->model, ids, n, &logits);
    if (code == EXIT_SUCCESS && j->base) code = feed_rows(j->base, ids, n, &base);
    if (code == EXIT_SUCCESS && j->from) code = kl_read(j->from, room, n);
    if (code == EXIT_SUCCESS && j->to) code = kl_write(j->to, logits, n);
    for (size_t i = 0; i < n && code == EXIT_SUCCESS; i++) {
        score_add(s, logits + i * n_vocab, base ? base + i * n_vocab : NULL, (int)n_vocab,
                  ids[i + 1]);
        count_text(s, j->model->tokenizer, ids[i + 1]);
    }
    return code;
}

static int score_chunk(const chunks_job *j, const int32_t *ids, size_t rows, float *room, score *s)
{
    const size_t n = j->chunks->n, first = n / 2;     /* logits after token i score token i + 1 */

    int code = begin_chunk(j->model, ids, first);
    if (code == EXIT_SUCCESS && j->base) code = begin_chunk(j->base, ids, first);
    for (size_t at = first; at < n - 1 && code == EXIT_SUCCESS;) {
        const size_t piece = n - 1 - at < rows ? n - 1 - at : rows;
        code = score_rows(j, ids + at, piece, room, s);
        at += piece;
    }
    return code;
}

static int score_all(const chunks_job *j, float *room, score *s)
{
    const chunks *c = j->chunks;
    const size_t rows = setup_logits_rows(j->model);
    const double start = console_now_ms();
    int code = EXIT_SUCCESS;

    for (size_t i = 0; i < c->n_chunks && code == EXIT_SUCCESS; i++) {
        code = score_chunk(j, c->ids + i * c->n, rows, room, s);
        if (code != EXIT_SUCCESS || j->as_json) continue;
        console_progress_clear();
        score_print_chunk(s, i + 1);
        code = console_flush();
    }
    console_progress_clear();
    if (code != EXIT_SUCCESS) {
        if (s->n && !s->compares && !j->as_json) putchar('\n');
        return code;
    }
    const double ms = console_now_ms() - start;
    code = score_print(s, c->n_chunks, c->n, j->as_json);
    console_say("%zu chunks of %zu tokens in %.1f s, %.1f tokens per second", c->n_chunks, c->n,
                ms * 1e-3, 1e3 * (double)(c->n_chunks * c->n) / ms);
    return code;
}

int chunks_score(const chunks_job *j)
{
    const chunks *c = j->chunks;
    const size_t row_bytes = (size_t)j->model->info.n_vocab * sizeof(float);
    float *room = j->from ? malloc(setup_logits_rows(j->model) * row_bytes) : NULL;
    score s;

    const bool there = score_create(&s, c->n_chunks * (c->n - 1 - c->n / 2),
                                    j->base != NULL || j->from != NULL);
    const int code = there && (room || !j->from) ? score_all(j, room, &s)
                                                 : console_fail("out of memory");
    score_free(&s);
    free(room);
    return code;
}
