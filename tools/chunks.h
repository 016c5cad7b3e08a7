/* chunks.h - a text in chunks, and how well a model predicts it, alone or beside a base.
 *
 * Owns:    the options for the text, cutting it, feeding it, printing the scores.
 * Not:     figures (score.h), the format of files of logits (kl_file.h).
 * Errors:  reported here; callers pass the exit code on.
 * Source:  llama.cpp's tools/perplexity, so that numbers compare: chunks of n tokens without
 *          overlap, each read from an empty state; the begin token replaces the first if the
 *          tokenizer adds one; the tokens after the first half are scored. What is left over at the
 *          end is not used.
 */
#ifndef BAMBA_TOOLS_CHUNKS_H
#define BAMBA_TOOLS_CHUNKS_H

#include "kl_file.h"
#include "setup.h"

typedef struct chunks_flags {
    const char *file;
    int         n, n_chunks;              /* 0: CHUNKS_USUAL; -1: all                        */
    bool        as_json;
    bool        is_fixed;                 /* the command has no -c: chunks have one length   */
} chunks_flags;

enum { CHUNKS_USUAL = 512 };

#define CHUNKS_FLAGS { .n_chunks = -1 }

/* Rows of an option table; f is a chunks_flags *. */
#define CHUNKS_ROWS(f)                                                                         \
    ARG_TEXT_ROW("-f, --file", "FILE", &(f)->file, "the text, - for standard input",           \
      .more = "Two chunks or more."),                                                          \
    ARG_INT_ROW("-c, --ctx-size", "N", &(f)->n, 4, 1 << 30, "tokens of a chunk",               \
      .usual = "512"),                                                                         \
    ARG_INT_ROW("--chunks", "N", &(f)->n_chunks, -1, 1 << 30, "the first N chunks only",       \
      .usual = "-1, all"),                                                                     \
    ARG_FLAG_ROW("--json", &(f)->as_json, "one JSON object",                                   \
      .more = "Shares are not percent in it; the error of a figure is its standard error.")

typedef struct chunks {
    int32_t *ids;                         /* [n_chunks, n]; free() it                        */
    size_t   n, n_chunks;
} chunks;

/* Cut the text of f->file into chunks of n tokens by this setup's tokenizer, f->n_chunks at
   most. */
int chunks_cut(chunks *c, const setup *s, const chunks_flags *f, const char *text, size_t n_bytes,
               size_t n);

/* Fail unless the chunks begin with the tokens ids [n_chunks, n] that `name` stands for, or these
   with the chunks; leave as many as both have. */
int chunks_expect(chunks *c, const int32_t *ids, size_t n_chunks, const char *name);

/* Create the engine and the session to score chunks of n tokens. */
int chunks_prepare(setup *s, const setup_flags *f, size_t n);

typedef struct chunks_job {
    const chunks *chunks;
    setup        *model, *base;           /* base: NULL, or read in step with the model      */
    kl_file      *from, *to;              /* NULL, or the base's logits; where to write      */
    bool          as_json;
} chunks_job;

/* Score the chunks and print the result. */
int chunks_score(const chunks_job *j);

#endif
