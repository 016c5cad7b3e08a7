/* conversation_file.c - a conversation in a file, with the session that has read it.
 *
 * The extras of the session file are "chat POSITION BYTES", a line's end, the text [BYTES] that the
 * first POSITION tokens stand for, and the messages as JSON. */
#include "conversation_file.h"

#include "console.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool conversation_file_is(const char *path) { return text_ends_with(path, ".safetensors"); }

/* The extras, with a NUL. */
static int write_extras(const conversation *c, text_buffer *extras)
{
    char head[64];
    const size_t position = c->marks[c->n_marks - 1].position;
    const int    n = snprintf(head, sizeof head, "chat %zu %zu\n", position, c->text.n);

    int code = text_append(extras, head, (size_t)n)
            && (c->text.n == 0 || text_append(extras, c->text.bytes, c->text.n))
             ? messages_write(&c->messages, extras) : EXIT_FAILURE;
    if (code == EXIT_SUCCESS && !text_append(extras, "", 1)) code = EXIT_FAILURE;
    return code;
}

int conversation_save(conversation *c, const char *path)
{
    bamba_error err = { BAMBA_OK, "" };
    text_buffer extras = { 0 };

    int code = conversation_settle(c);
    if (code == EXIT_SUCCESS) code = write_extras(c, &extras);
    if (code == EXIT_SUCCESS) {
        const bamba_status status = bamba_session_save(c->setup->session, path, extras.bytes, &err);
        if (status != BAMBA_OK) code = console_fail_library(status, &err);
    }
    free(extras.bytes);
    return code;
}

/* What the extras hold, borrowed from them. */
typedef struct saved {
    size_t      position, n_text;
    const char *text, *messages;
} saved;

static bool read_extras(const char *extras, size_t n_tokens, saved *s)
{
    int n = 0;

    if (!extras || sscanf(extras, "chat %zu %zu%n", &s->position, &s->n_text, &n) != 2
        || extras[n] != '\n') return false;
    s->text = extras + n + 1;
    if (s->position > n_tokens || strlen(s->text) <= s->n_text) return false;
    s->messages = s->text + s->n_text;
    return s->messages[0] == '[';
}

int conversation_load(conversation *c, const char *path)
{
    bamba_session *session = NULL;
    messages       loaded = { 0 };
    saved          s;

    int code = setup_open_session(c->setup, path, &session);
    if (code == EXIT_SUCCESS && !read_extras(bamba_session_extras(session),
                                             bamba_session_position(session), &s))
        code = console_fail("%s: the session was not saved by 'bamba chat'", path);
    if (code == EXIT_SUCCESS) code = messages_add_list(&loaded, s.messages, strlen(s.messages));
    if (code == EXIT_SUCCESS) code = conversation_begin(c, s.text, s.n_text, s.position);
    if (code != EXIT_SUCCESS) {
        bamba_session_free(session);
        messages_free(&loaded);
        return code;
    }
    bamba_session_free(c->setup->session);
    c->setup->session = session;
    messages_free(&c->messages);
    c->messages = loaded;
    return EXIT_SUCCESS;
}
