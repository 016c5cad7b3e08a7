/* conversation.c - a conversation, and how much of it a session has read. */
#include "conversation.h"

#include "console.h"

#include <stdlib.h>
#include <string.h>

static size_t find_position(const conversation *c)
{
    return bamba_session_position(c->setup->session);
}

/* ---- what has been read ---- */

static int add_mark(conversation *c, size_t n_text, size_t position)
{
    if (c->n_marks == c->capacity) {
        const size_t capacity = c->capacity ? 2 * c->capacity : 16;
        conversation_mark *grown = realloc(c->marks, capacity * sizeof *grown);
        if (!grown) return console_fail("out of memory");
        c->marks = grown;
        c->capacity = capacity;
    }
    c->marks[c->n_marks++] = (conversation_mark){ n_text, position };
    return EXIT_SUCCESS;
}

int conversation_open(conversation *c, setup *s, const chat_format *format)
{
    *c = (conversation){ .setup = s, .format = format };
    c->logits = malloc((size_t)s->info.n_vocab * sizeof *c->logits);
    if (!c->logits) return console_fail("out of memory");
    return add_mark(c, 0, 0);
}

void conversation_close(conversation *c)
{
    messages_free(&c->messages);
    free(c->text.bytes);
    free(c->prompt.bytes);
    free(c->marks);
    free(c->logits);
}

int conversation_begin(conversation *c, const char *text, size_t n, size_t position)
{
    text_buffer copy = { 0 };

    if (n > 0 && !text_append(&copy, text, n)) return EXIT_FAILURE;
    free(c->text.bytes);
    c->text = copy;
    c->n_marks = 1;
    c->logits_position = 0;
    c->changed = true;
    return position > 0 ? add_mark(c, n, position) : EXIT_SUCCESS;
}

void conversation_cut(conversation *c, size_t n)
{
    messages_cut(&c->messages, n);
    c->changed = true;
}

int conversation_set_aside(conversation *c, size_t n, messages *aside)
{
    c->changed = true;
    return messages_move(aside, &c->messages, n);
}

int conversation_put_back(conversation *c, messages *aside)
{
    c->changed = true;
    return messages_move(&c->messages, aside, 0);
}

static void forget_behind(conversation *c, size_t position)
{
    while (c->n_marks > 1 && c->marks[c->n_marks - 1].position > position) c->n_marks--;
    c->text.n = c->marks[c->n_marks - 1].n_text;
    if (c->logits_position > position) c->logits_position = 0;
}

/* Let the session stand at an earlier position. One that cannot go there forgets everything. */
static int go_back(conversation *c, size_t position)
{
    bamba_error err = { BAMBA_OK, "" };
    const bamba_status status = bamba_session_rewind(c->setup->engine, c->setup->session, position,
                                                     &err);

    console_progress_clear();
    if (status != BAMBA_OK && status != BAMBA_ERR_CANCELLED)
        bamba_session_reset(c->setup->session);
    forget_behind(c, find_position(c));
    return status == BAMBA_OK ? EXIT_SUCCESS : console_fail_library(status, &err);
}

/* Drop the marks whose text is not that of a prompt; the last one that is left. */
static conversation_mark find_mark(conversation *c, const bamba_prompt *p)
{
    size_t n = 0;

    while (n < c->text.n && n < p->n_bytes && c->text.bytes[n] == p->text[n]) n++;
    while (c->marks[c->n_marks - 1].n_text > n) c->n_marks--;         /* the first has none */
    c->text.n = c->marks[c->n_marks - 1].n_text;
    return c->marks[c->n_marks - 1];
}

/* ---- reading ---- */

static void tell(conversation *c, size_t n)
{
    if (c->changed || c->told) return;
    console_say("the template does not go on with the text that was read: %zu tokens are read "
                "from where it differs (said once)", n);
    c->told = true;
}

/* Feed ids [n], of which the session stands at the first. */
static int feed(conversation *c, const int32_t *ids, size_t n, const float **logits)
{
    bamba_error err = { BAMBA_OK, "" };

    if (n > bamba_session_room(c->setup->session))
        return console_fail("the conversation has %zu tokens, the context holds %zu; -c N makes it "
                            "longer", find_position(c) + n,
                            find_position(c) + bamba_session_room(c->setup->session));
    setup_begin_prompt(n);
    const bamba_status status = bamba_feed(c->setup->engine, c->setup->session, ids, n, logits,
                                           &err);
    console_progress_clear();
    if (status == BAMBA_ERR_NUMBER) {
        bamba_session_reset(c->setup->session);
        forget_behind(c, 0);
    }
    if (status == BAMBA_ERR_CANCELLED) return EXIT_INTERRUPTED;
    if (status != BAMBA_OK) return console_fail_library(status, &err);
    memcpy(c->logits, *logits, (size_t)c->setup->info.n_vocab * sizeof *c->logits);
    c->logits_position = find_position(c);
    return EXIT_SUCCESS;
}

/* A prompt behind the last mark, and what the session has read of it. */
typedef struct reading {
    int32_t *ids;                         /* [n] owned */
    size_t   n, start;                    /* the first one's position */
    size_t   same;                        /* so many are read */
} reading;

static int compare(conversation *c, const bamba_prompt *p, reading *r)
{
    const conversation_mark m = find_mark(c, p);
    const size_t position = find_position(c);
    const int32_t *read = bamba_session_tokens(c->setup->session);
    size_t n = 0;

    *r = (reading){ .start = m.position };
    const int code = chat_format_tokenize(c->setup, p, m.n_text, &r->ids, &r->n);
    if (code != EXIT_SUCCESS) return code;
    while (n < r->n && r->start + n < position && r->ids[n] == read[r->start + n]) n++;
    r->same = n;
    return EXIT_SUCCESS;
}

static int read_ids(conversation *c, const reading *r, const float **logits)
{
    const uint64_t before = setup_count_fed();
    const bool known = r->same == r->n && c->logits_position > 0 &&
                       c->logits_position == r->start + r->n;
    int code = EXIT_SUCCESS;

    if (r->n == 0 && !known) return console_fail("the template makes an empty prompt");
    /* for its logits the last token is read again */
    const size_t same = r->same == r->n && !known ? r->same - 1 : r->same;

    c->n_back = find_position(c) - (r->start + same);
    if (c->n_back > 0) {
        tell(c, r->n - same);
        code = go_back(c, r->start + same);
    }
    *logits = c->logits;
    if (code == EXIT_SUCCESS && !known) code = feed(c, r->ids + same, r->n - same, logits);
    c->n_read = (size_t)(setup_count_fed() - before);
    c->changed = false;
    return code;
}

int conversation_read(conversation *c, const float **logits)
{
    const double started = console_now_ms();
    text_buffer json = { 0 };
    bamba_prompt *p = NULL;
    reading r = { 0 };

    int code = messages_write(&c->messages, &json);
    if (code == EXIT_SUCCESS) code = chat_format_render(c->format, NULL, json.bytes, json.n, &p);
    free(json.bytes);
    if (code != EXIT_SUCCESS) return code;

    c->prompt.n = 0;
    code = text_append(&c->prompt, p->text, p->n_bytes) ? EXIT_SUCCESS : EXIT_FAILURE;
    if (code == EXIT_SUCCESS) code = compare(c, p, &r);
    if (code == EXIT_SUCCESS) code = read_ids(c, &r, logits);
    bamba_tokens_free(c->setup->tokenizer, r.ids);
    bamba_prompt_free(p);
    c->read_ms = console_now_ms() - started;
    return code;
}

/* The prompt of the conversation with a turn more; NULL if the template refuses it. */
static int render_next(conversation *c, bamba_prompt **p)
{
    const size_t n = c->messages.n;
    bamba_error err = { BAMBA_OK, "" };
    bamba_status status = BAMBA_OK;
    text_buffer json = { 0 };

    int code = messages_add(&c->messages, MESSAGE_USER, "?", 1);
    if (code == EXIT_SUCCESS) code = messages_write(&c->messages, &json);
    messages_cut(&c->messages, n);
    if (code == EXIT_SUCCESS)
        status = bamba_chat_render(c->format->chat_template, json.bytes, json.n,
                                   &c->format->options, p, &err);
    free(json.bytes);
    return status == BAMBA_ERR_MEMORY ? console_fail_library(status, &err) : code;
}

int conversation_settle(conversation *c)
{
    bamba_prompt *p = NULL;
    reading r = { 0 };

    if (find_position(c) == 0) return EXIT_SUCCESS;
    int code = render_next(c, &p);
    if (code == EXIT_SUCCESS && p) {
        code = compare(c, p, &r);
        if (code == EXIT_SUCCESS) code = go_back(c, r.start + r.same);
    }
    bamba_tokens_free(c->setup->tokenizer, r.ids);
    bamba_prompt_free(p);
    return code;
}

/* ---- answers ---- */

/* Append the text of ids [n] as it stands behind the prompt. *whole: it ends with a character. */
static int append_text(const conversation *c, text_buffer *out, const int32_t *ids, size_t n,
                       unsigned flags, bool *whole)
{
    const bamba_tokenizer *t = c->setup->tokenizer;
    bamba_decoder decoder = BAMBA_DECODER;
    bamba_status status;
    char prompt_end[64];
    size_t needed = 0;

    /* What is decoded first may lose a space. Longer texts are not written, and not needed. */
    status = bamba_decode(t, &decoder, bamba_session_tokens(c->setup->session) +
                          c->logits_position - 1, 1, 0, prompt_end, sizeof prompt_end, &needed);
    if (status == BAMBA_OK && needed > sizeof prompt_end) decoder.n_tokens = 1;
    do {
        if (!text_reserve(out, needed)) return EXIT_FAILURE;
        status = bamba_decode(t, &decoder, ids, n, flags, out->bytes + out->n,
                              out->capacity - out->n, &needed);
    } while (status == BAMBA_OK && needed > out->capacity - out->n);
    if (status != BAMBA_OK) return console_fail("%s", bamba_status_string(status));
    out->n += needed;
    *whole = decoder.n_pending == 0;
    return EXIT_SUCCESS;
}

/* Remember the text of the session, whose last tokens are ids [n]. */
static int mark_answer(conversation *c, const int32_t *ids, size_t n)
{
    text_buffer text = { 0 };
    bool whole = false;
    int code = text_append(&text, c->prompt.bytes, c->prompt.n) ? EXIT_SUCCESS : EXIT_FAILURE;

    if (code == EXIT_SUCCESS) code = append_text(c, &text, ids, n, 0, &whole);
    if (code == EXIT_SUCCESS && whole) code = add_mark(c, text.n, find_position(c));
    if (code == EXIT_SUCCESS && whole) {
        free(c->text.bytes);
        c->text = text;
        return EXIT_SUCCESS;
    }
    free(text.bytes);
    c->changed = true;
    return code;
}

int conversation_add_answer(conversation *c, const int32_t *ids, size_t n)
{
    const size_t n_fed = find_position(c) - c->logits_position;
    text_buffer content = { 0 };
    bool whole;

    int code = append_text(c, &content, ids, n, BAMBA_DECODE_FINISH, &whole);
    if (code == EXIT_SUCCESS)
        code = messages_add(&c->messages, MESSAGE_ASSISTANT, content.bytes, content.n);
    free(content.bytes);
    if (code == EXIT_SUCCESS) code = mark_answer(c, ids, n_fed < n ? n_fed : n);
    return code;
}
