/* messages.h - the messages of a conversation, as JSON.
 *
 * Owns:    each message's text, which is kept byte for byte.
 * Not:     what a template makes of them (chat_format.h).
 * Errors:  reported here; callers pass the exit code on.
 */
#ifndef BAMBA_TOOLS_MESSAGES_H
#define BAMBA_TOOLS_MESSAGES_H

#include "text.h"

typedef enum message_role {
    MESSAGE_OTHER, MESSAGE_SYSTEM, MESSAGE_USER, MESSAGE_ASSISTANT
} message_role;

typedef struct message {
    char        *json;                    /* [n] an object */
    size_t       n;
    message_role role;
} message;

typedef struct messages {
    message *items;                       /* [n] */
    size_t   n, capacity;
} messages;

/* role: not MESSAGE_OTHER. Bytes of the content that are not UTF-8 become U+FFFD. */
int messages_add(messages *m, message_role role, const char *content, size_t n);

/* Add the messages of a JSON list. It must be well-formed: a template has rendered it. */
int messages_add_list(messages *m, const char *json, size_t n);

/* Append the list: "[...]", a line for each message. */
int messages_write(const messages *m, text_buffer *out);

/* Drop all but the first n. */
void messages_cut(messages *m, size_t n);

/* Move all but the first n to the end of another list. Cannot fail where `to` had held as many. */
int messages_move(messages *to, messages *from, size_t n);

/* The index of the last message of a role, or m->n. */
size_t messages_last(const messages *m, message_role role);

void messages_free(messages *m);

#endif
