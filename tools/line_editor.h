/* line_editor.h - lines that a user types, or that standard input holds.
 *
 * Owns:    editing and history on a terminal (libedit), waiting for input.
 * Not:     what a line means.
 * Errors:  reported here.
 */
#ifndef BAMBA_TOOLS_LINE_EDITOR_H
#define BAMBA_TOOLS_LINE_EDITOR_H

#include "text.h"

typedef enum line_end {
    LINE_READ,
    LINE_NO_MORE,                         /* Ctrl-D, or the end of the input */
    LINE_INTERRUPTED,                     /* Ctrl-C                          */
    LINE_FAILED
} line_end;

typedef struct line_editor line_editor;

/* NULL without memory, or if the terminal cannot be used. */
line_editor *line_editor_open(void);
void line_editor_close(line_editor *l);

/* Whether a user types the lines: prompts are shown. */
bool line_editor_is_terminal(const line_editor *l);

/* Read a line without its newline. prompt: of plain ASCII. */
line_end line_editor_read(line_editor *l, const char *prompt, text_buffer *line);

#endif
