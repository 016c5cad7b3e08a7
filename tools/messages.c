/* messages.c - the messages of a conversation, as JSON. */
#include "messages.h"

#include "console.h"
#include "json.h"
#include "json_walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = { "", "system", "user", "assistant" };

/* ---- reading well-formed JSON ---- */

static message_role role_of(json_slice name)
{
    for (int role = MESSAGE_SYSTEM; role <= MESSAGE_ASSISTANT; role++)
        if (json_is_name(name, names[role])) return (message_role)role;
    return MESSAGE_OTHER;
}

/* The role of an object: the first that is known. One that is written with escapes is not. */
static message_role find_role(const char *s, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const size_t key = json_skip_spaces(s, n, i), key_end = json_skip_value(s, n, key);
        const size_t colon = json_skip_spaces(s, n, key_end);
        const size_t value = json_skip_spaces(s, n, colon + 1), end = json_skip_value(s, n, value);

        if (json_is_name((json_slice){ s + key, key_end - key }, "role")) {
            const message_role role = role_of((json_slice){ s + value, end - value });
            if (role != MESSAGE_OTHER) return role;
        }
        i = json_skip_spaces(s, n, end);
    }
    return MESSAGE_OTHER;
}

/* ---- the list ---- */

static int reserve(messages *m, size_t n)
{
    if (n <= m->capacity) return EXIT_SUCCESS;
    const size_t capacity = n < 16 ? 16 : n > 2 * m->capacity ? n : 2 * m->capacity;
    message *grown = realloc(m->items, capacity * sizeof *grown);
    if (!grown) return console_fail("out of memory");
    m->items = grown;
    m->capacity = capacity;
    return EXIT_SUCCESS;
}

/* Takes object, also when it fails. */
static int append(messages *m, char *object, size_t n, message_role role)
{
    if (reserve(m, m->n + 1) != EXIT_SUCCESS) {
        free(object);
        return EXIT_FAILURE;
    }
    m->items[m->n++] = (message){ object, n, role };
    return EXIT_SUCCESS;
}

int messages_add(messages *m, message_role role, const char *content, size_t n)
{
    char *object = NULL;
    size_t n_object = 0;
    FILE *to = open_memstream(&object, &n_object);

    if (!to) return console_fail("out of memory");
    fprintf(to, "{\"role\": \"%s\", \"content\": ", names[role]);
    json_write_text(to, content, n);
    fputs("}", to);
    const bool failed = ferror(to) != 0;
    if (fclose(to) != 0 || failed) {
        free(object);
        return console_fail("out of memory");
    }
    return append(m, object, n_object, role);
}

int messages_add_list(messages *m, const char *object, size_t n)
{
    int code = EXIT_SUCCESS;

    for (size_t i = json_skip_spaces(object, n, 0) + 1; i < n && code == EXIT_SUCCESS; i++) {
        const size_t start = json_skip_spaces(object, n, i);
        const size_t end = json_skip_value(object, n, start);

        if (end > start) {
            char *copy = malloc(end - start + 1);
            if (!copy) return console_fail("out of memory");
            memcpy(copy, object + start, end - start);
            copy[end - start] = '\0';
            code = append(m, copy, end - start, find_role(copy, end - start));
        }
        i = json_skip_spaces(object, n, end);
    }
    return code;
}

int messages_write(const messages *m, text_buffer *out)
{
    bool done = text_append(out, "[", 1);

    for (size_t i = 0; done && i < m->n; i++)
        done = text_append(out, i ? ",\n " : "\n ", i ? 3 : 2) &&
               text_append(out, m->items[i].json, m->items[i].n);
    return done && text_append(out, "\n]\n", 3) ? EXIT_SUCCESS : EXIT_FAILURE;
}

void messages_cut(messages *m, size_t n)
{
    while (m->n > n) free(m->items[--m->n].json);
}

int messages_move(messages *to, messages *from, size_t n)
{
    if (reserve(to, to->n + from->n - n) != EXIT_SUCCESS) return EXIT_FAILURE;
    for (size_t i = n; i < from->n; i++) to->items[to->n++] = from->items[i];
    from->n = n;
    return EXIT_SUCCESS;
}

size_t messages_last(const messages *m, message_role role)
{
    for (size_t i = m->n; i-- > 0;)
        if (m->items[i].role == role) return i;
    return m->n;
}

void messages_free(messages *m)
{
    messages_cut(m, 0);
    free(m->items);
}
