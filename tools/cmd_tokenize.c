/* cmd_tokenize.c - text into token ids, ids into text. */
#include "commands.h"

#include "console.h"
#include "generation.h"
#include "json.h"
#include "setup.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct flags {
    setup_flags setup;
    const char *prompt, *file;
    bool        decode, jsonl, ids_only, json;
    bool        escapes, add_special, parse_special, skip_special;
} flags;

static unsigned tokenize_flags(const flags *f)
{
    return (f->add_special ? (unsigned)BAMBA_TOKENIZE_ADD_SPECIAL : 0u) |
           (f->parse_special ? (unsigned)BAMBA_TOKENIZE_PARSE_SPECIAL : 0u);
}

/* ---- text -> ids ---- */

static int print_ids(const setup *s, const flags *f, const int32_t *ids, size_t n)
{
    if (f->json || f->jsonl) {
        json_write_ids(stdout, ids, n);
        putchar('\n');
        return EXIT_SUCCESS;
    }
    for (size_t i = 0; i < n; i++) {
        if (f->ids_only) {
            printf("%s%d", i ? " " : "", (int)ids[i]);
            continue;
        }
        size_t n_bytes = 0;
        const char *piece = bamba_token_text(s->tokenizer, ids[i], &n_bytes);
        printf("%8d  ", (int)ids[i]);
        json_write_text(stdout, piece ? piece : "", n_bytes);
        puts(bamba_token_is_special(s->tokenizer, ids[i]) ? "  special" : "");
    }
    if (f->ids_only) putchar('\n');
    return EXIT_SUCCESS;
}

static int encode(const setup *s, const flags *f, const char *bytes, size_t n)
{
    int32_t *ids = NULL;
    size_t n_ids = 0;

    int code = setup_tokenize(s, bytes, n, tokenize_flags(f), &ids, &n_ids);
    if (code == EXIT_SUCCESS) code = print_ids(s, f, ids, n_ids);
    bamba_tokens_free(s->tokenizer, ids);
    return code;
}

/* Read a JSON string from each line, print a JSON list of ids for each. */
static int encode_lines(const setup *s, const flags *f, const text_buffer *in)
{
    text_buffer line = { NULL, 0, 0 };
    const char *start, *problem;
    size_t number = 0, at = 0, n;
    int code = EXIT_SUCCESS;

    while (code == EXIT_SUCCESS && text_next_line(in, &at, &start, &n)) {
        number++;
        line.n = 0;
        if (!json_read_string(&line, start, n, &problem))
            code = problem ? console_fail("line %zu: %s", number, problem) : EXIT_FAILURE;
        else code = encode(s, f, line.bytes, line.n);
        if (code == EXIT_SUCCESS && ferror(stdout)) code = console_flush();
        if (console_interrupted()) code = EXIT_INTERRUPTED;
    }
    free(line.bytes);
    return code;
}

/* ---- ids -> text ---- */

static int finish_text(const flags *f, generation *out)
{
    bamba_status status = generation_finish(out, GENERATION_LENGTH);

    if (status != BAMBA_OK) return console_fail("decoding: %s", bamba_status_string(status));
    if (!f->json) {
        fwrite(out->text, 1, out->n_text, stdout);
        return EXIT_SUCCESS;
    }
    json_write_text(stdout, out->text, out->n_text);
    putchar('\n');
    return EXIT_SUCCESS;
}

/* in holds ids in decimal; anything but digits and minus signs separates them. */
static int decode(const setup *s, const flags *f, text_buffer *in)
{
    generation out = GENERATION;
    int code = EXIT_SUCCESS;

    out.tokenizer = s->tokenizer;
    out.special = !f->skip_special;
    if (!text_append(in, "", 1)) return EXIT_FAILURE;
    for (const char *at = in->bytes; code == EXIT_SUCCESS;) {
        while (*at && !strchr("0123456789-", *at)) at++;
        if (!*at) break;
        char *end;
        const long id = strtol(at, &end, 10);
        const int length = (int)strcspn(at, " \t\r\n,]");
        if (end == at || id < 0 || id >= bamba_tokenizer_size(s->tokenizer))
            code = console_fail("expected an id from 0 to %d, found '%.*s'",
                                bamba_tokenizer_size(s->tokenizer) - 1, length, at);
        else if (generation_put(&out, (int32_t)id, SIZE_MAX) != BAMBA_OK)
            code = console_fail("out of memory");
        at = end;
    }
    if (code == EXIT_SUCCESS) code = finish_text(f, &out);
    generation_free(&out);
    return code;
}

/* ---- the command ---- */

static int run_tokenize(const command *self, const flags *f, setup *s, text_buffer *in)
{
    int code = EXIT_SUCCESS;

    if (f->prompt && f->file) return args_wrong(self, "either -p or -f, not both");
    if (f->decode && f->jsonl) return args_wrong(self, "either --decode or --jsonl, not both");
    if (f->json && f->ids_only) return args_wrong(self, "either --ids or --json, not both");
    console_catch_interrupt();
    if (f->prompt) {
        code = text_append_flag(in, f->prompt, f->escapes);
    } else code = text_read(in, f->file ? f->file : "-");
    if (code == EXIT_SUCCESS) code = setup_open_tokenizer(s, &f->setup);
    if (code != EXIT_SUCCESS) return code;

    if (f->decode) code = decode(s, f, in);
    else if (f->jsonl) code = encode_lines(s, f, in);
    else code = encode(s, f, in->bytes, in->n);
    return console_finish(code);
}

int cmd_tokenize(const command *self, int argc, char **argv)
{
    setup s = SETUP;
    text_buffer in = { NULL, 0, 0 };
    flags f = { .setup = SETUP_FLAGS, .add_special = true, .parse_special = true,
                .escapes = true };
    const arg args[] = {
        SETUP_MODEL_ROW(&f.setup),
        ARG_TEXT_ROW("-p, --prompt", "TEXT", &f.prompt, "the text, or the ids"),
        ARG_TEXT_ROW("-f, --file", "FILE", &f.file, "read it from a file, byte for byte",
                     .usual = "standard input"),
        TEXT_ESCAPE_ROW(&f.escapes),
        ARG_FLAG_ROW("--ids", &f.ids_only, "only the ids, on one line"),
        ARG_FLAG_ROW("--json", &f.json, "the ids as a JSON list; the text as a string"),
        ARG_FLAG_ROW("--jsonl", &f.jsonl, "each line is a JSON string; gives a list for each"),
        ARG_UNFLAG_ROW("--no-bos", &f.add_special, "add no begin or end token"),
        ARG_UNFLAG_ROW("--no-special, --no-parse-special", &f.parse_special,
                       "special tokens in the text are ordinary text"),
        ARG_FLAG_ROW("-d, --decode", &f.decode, "turn ids into text"),
        ARG_FLAG_ROW("--skip-special", &f.skip_special, "leave special tokens out of the text"),
        ARG_END
    };

    int code = args_read(self, args, argc, argv);
    if (code == ARGS_READ) code = run_tokenize(self, &f, &s, &in);
    setup_close(&s);
    free(in.bytes);
    return code;
}
