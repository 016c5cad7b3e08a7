/* generate.h - what the parts of bamba generate share.
 *
 * Owns:    the options of the command and what one run of it holds.
 * Not:     reading options, opening, the order of things (cmd_generate.c).
 * Errors:  reported where they happen; callers pass the exit code on.
 */
#ifndef BAMBA_TOOLS_GENERATE_H
#define BAMBA_TOOLS_GENERATE_H

#include "chat_format.h"
#include "commands.h"
#include "decoding.h"
#include "generation.h"
#include "option_texts.h"
#include "resume.h"
#include "sampling.h"
#include "setup.h"
#include "speculation.h"
#include "text.h"

typedef struct generate_flags {
    setup_flags    setup;
    sampling_flags sampling;
    const char    *prompt, *file, *session, *save, *cache, *jsonl, *output;
    int            n_predict, n_context, n_texts;     /* n_texts 0: not given */
    speculation_flags guesses;
    int64_t        cache_bytes;
    arg_list       stops, bans;
    bool           loop_guard;
    bool           escapes, show_prompt, special, json, perf, chat, best;
} generate_flags;

typedef struct generate_times {           /* milliseconds */
    double load, prompt, total;
} generate_times;

typedef struct generate_run {
    const command        *self;
    const generate_flags *flags;
    setup                 setup;
    bamba_sampler        *sampler;
    sampling              sampling;
    resume                resume;         /* of a session file */
    bamba_cache          *cache;
    size_t                n_before, n_cached;         /* tokens of the session file; of the cache */
    speculation           guesses;
    bamba_sampler        *strict;         /* with DRY, for a while after a circle; NULL: no guard */
    text_buffer           prompt;
    option_texts          stops, bans;
    int32_t              *prompt_ids;     /* made by the tokenizer */
    int32_t              *joined;         /* a token that was to be fed, and prompt_ids */
    const int32_t        *fed;            /* one of them, or the begin token for an empty prompt */
    size_t                n_prompt;
    generation            out;
    decoding              decoding;
    generate_times        times;
} generate_run;

/* Read the text that the options name; none for a session that goes on from itself. */
int generate_read_prompt(generate_run *r);

/* Make the tokens to be fed of it: as it stands, or as a user's turn. The tokenizer is open. */
int generate_tokenize_prompt(generate_run *r);

/* A list of messages, JSON, as the template writes it: the text in place of what was there, and ids
   for bamba_tokens_free. */
int generate_render(const chat_format *chat, const setup *s, const char *list, size_t n,
                    text_buffer *text, int32_t **ids, size_t *n_ids);

/* Append a list of one message, of a user. */
int generate_write_turn(const char *text, size_t n, text_buffer *list);

/* Open what the options name, and find how tokens are chosen; r->out is ready to begin. */
int generate_open(generate_run *r);

/* Continue the prompts of --jsonl. */
int generate_lines(generate_run *r);

/* Continue the prompt -np times over. The model is open, the prompt tokenized. */
int generate_many(generate_run *r);

/* Say on stderr what was done, how fast: one line, or with --perf and -v a table. */
void generate_print_report(const generate_run *r);

/* Print the JSON object of a text. */
int generate_print_json(const generate_run *r);

#endif
