/* cmd_score.c - the probabilities of continuations. */
#include "commands.h"

#include "console.h"
#include "json.h"
#include "likelihood.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct flags {
    setup_flags setup;
    const char *file;
    bool        tokens, add_special, parse_special;
} flags;

/* ---- results ---- */

static void print_tokens(const setup *s, const continuation *o)
{
    fputs(", \"tokens\": [", stdout);
    for (size_t i = 0; i < o->n; i++) {
        size_t      n_bytes = 0;
        const char *text = bamba_token_text(s->tokenizer, o->ids[i], &n_bytes);

        printf("%s{ \"id\": %d, \"text\": ", i ? ", " : " ", (int)o->ids[i]);
        json_write_text(stdout, text ? text : "", n_bytes);
        printf(", \"logprob\": %.6f }", o->ln[i]);
    }
    fputs(" ]", stdout);
}

static void print_continuation(const flags *f, const setup *s, const continuation *o)
{
    double sum = 0.0;

    for (size_t i = 0; i < o->n; i++) sum += o->ln[i];
    printf("{ \"logprob\": %.6f, \"is_greedy\": %s, \"n_tokens\": %zu", sum,
           o->is_greedy ? "true" : "false", o->n);
    if (f->tokens) print_tokens(s, o);
    fputs(" }", stdout);
}

static void print_request(const flags *f, const setup *s, const requests *all, const request *q)
{
    if (q->is_list) fputs("{ \"results\": [", stdout);
    for (size_t k = q->first; k < q->end; k++) {
        if (q->is_list) fputs(k > q->first ? ", " : " ", stdout);
        print_continuation(f, s, &all->continuations[k]);
    }
    puts(q->is_list ? " ] }" : "");
}

/* ---- the command ---- */

static int score_all(const flags *f, const setup *s, pack *p, const text_buffer *in, requests *r)
{
    static char  what[] = "scoring";
    const size_t n_lines = text_count_lines(in);
    const double start = console_now_ms();
    size_t       n_scored = 0;

    int code = requests_open(r, s, in, f->add_special, f->parse_special);
    while (code == EXIT_SUCCESS) {
        code = requests_read(r);
        if (code != EXIT_SUCCESS || r->n_requests == 0) break;
        code = likelihood_find(p, r);
        if (code != EXIT_SUCCESS) break;
        console_progress_clear();
        for (size_t i = 0; i < r->n_requests; i++) print_request(f, s, r, &r->requests[i]);
        code = console_flush();
        n_scored += r->n_continuations;
        console_progress(what, r->n_lines, n_lines);
    }
    console_progress_clear();
    if (code == EXIT_SUCCESS)
        console_say("%zu continuations of %zu requests in %.1f s", n_scored, n_lines,
                    (console_now_ms() - start) * 1e-3);
    return code;
}

static int run_score(const flags *f, setup *s, pack *p, text_buffer *in)
{
    requests r = { .setup = NULL };

    console_catch_interrupt();
    int code = text_read(in, f->file ? f->file : "-");
    if (code == EXIT_SUCCESS) code = setup_open_tokenizer(s, &f->setup);
    if (code == EXIT_SUCCESS) code = setup_open_model(s, &f->setup);
    if (code == EXIT_SUCCESS) code = pack_create(p, s, &f->setup, false);
    if (code == EXIT_SUCCESS) code = score_all(f, s, p, in, &r);
    requests_free(&r);
    return console_finish(code);
}

int cmd_score(const command *self, int argc, char **argv)
{
    setup s = SETUP;
    pack p = { .setup = NULL };
    text_buffer in = { NULL, 0, 0 };
    flags f = { .setup = SETUP_FLAGS, .add_special = true, .parse_special = true };
    const arg args[] = {
        SETUP_MODEL_ROW(&f.setup),
        ADAPTERS_ROW(&f.setup.adapter),
        ARG_TEXT_ROW("-f, --file", "FILE", &f.file, "a request in each line, - for standard input",
            .usual = "standard input"),
        ARG_FLAG_ROW("--tokens", &f.tokens, "list each token with its logarithm too"),
        ARG_UNFLAG_ROW("--no-bos", &f.add_special, "put no begin token before contexts",
            .more = "An empty context is one in any case. lm-eval puts none unless it is told to "
            "(add_bos_token)."),
        ARG_UNFLAG_ROW("--no-special, --no-parse-special", &f.parse_special,
                       "special tokens in texts are ordinary text"),
        SETUP_TYPE_ROWS(&f.setup),
        SETUP_BATCH_ROW(&f.setup),
        ARG_END
    };

    int code = args_read(self, args, argc, argv);
    if (code == ARGS_READ) code = run_score(&f, &s, &p, &in);
    setup_close(&s);
    setup_free_flags(&f.setup);
    free(in.bytes);
    return code;
}
