/* text.h - a growing buffer of bytes, and reading files into it.
 *
 * Owns:    growing buffers, whole files and standard input, escape sequences.
 * Not:     whether the bytes are UTF-8 (the tokenizer says so).
 * Errors:  memory and reading are reported here; callers pass the exit code on.
 */
#ifndef BAMBA_TOOLS_TEXT_H
#define BAMBA_TOOLS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct text_buffer {
    char  *bytes;                         /* [capacity]; free() it */
    size_t n;
    size_t capacity;
} text_buffer;

/* Make room for n bytes more; false without memory (reported). */
bool text_reserve(text_buffer *t, size_t n);
bool text_append(text_buffer *t, const char *bytes, size_t n);

/* Append a whole file, "-" being standard input. EXIT_SUCCESS or the exit code (reported). */
int text_read(text_buffer *t, const char *path);

/* Replace \n \r \t \0 \\ \' \" \xHH and \e in place; other sequences stay as they are. */
void text_unescape(text_buffer *t);

#endif
