/* text.h - a growing buffer of bytes, and reading files into it.
 *
 * Owns:    growing buffers, whole files and standard input, byte order marks, escape sequences.
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

/* Append a whole file that is small by nature, such as a conversation, "-" being standard input:
   more than 64 MiB, as a file without end has, are refused. EXIT_SUCCESS or the exit code
   (reported). */
int text_read_small(text_buffer *t, const char *path);

/* Append a file of plain text: a byte order mark of UTF-8 at its beginning is dropped, which is
   said; UTF-16 is refused. */
int text_read_plain(text_buffer *t, const char *path);

/* The next line of the text from *at on, without its newline, *at behind it; false at the end. */
bool text_next_line(const text_buffer *t, size_t *at, const char **line, size_t *n);

size_t text_count_lines(const text_buffer *t);

/* How many of n bytes of UTF-8 are left without the white space at their end, as Python's rstrip()
   has it. */
size_t text_strip_end(const char *bytes, size_t n);

bool text_ends_with(const char *text, const char *end);

/* Drop one newline at the end, "\n" or "\r\n". */
void text_chomp(text_buffer *t);

/* Append a text of the command line, its escapes replaced if `escapes`. EXIT_SUCCESS or the exit
   code (reported). */
int text_append_flag(text_buffer *t, const char *text, bool escapes);

/* Replace \n \r \t \0 \\ \' \" \xHH and \e in place; other sequences stay as they are. Returns how
   many of the n bytes are left. */
size_t text_unescape(char *bytes, size_t n);

/* Row of an option table; escapes is a bool *, true at first. */
#define TEXT_ESCAPE_ROW(escapes)                                                               \
    ARG_UNFLAG_ROW("--no-escape", escapes, "backslashes in texts given as options stay",       \
      .usual = "\\n, \\t, \\xHH ... are escapes", .more = "Files and standard input are never "    \
      "changed. The escapes are \\n, \\r, \\t, \\0, \\e, \\\\, \\', \\\" and \\xHH.")

#endif
