/* thinking.h - the thoughts that some models write before their answer, shown dimmed.
 *
 * Owns:    the marks around thoughts, the terminal's codes for dim text.
 * Not:     whether the output is a terminal.
 */
#ifndef BAMBA_TOOLS_THINKING_H
#define BAMBA_TOOLS_THINKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { THINKING_HELD = 24 };

typedef struct thinking {
    FILE       *to;
    const char *end;                      /* the mark that ends the thought; NULL: outside   */
    char        held[THINKING_HELD];      /* [n_held] what may become a mark                 */
    size_t      n_held;
} thinking;

/* prompt [n]: what stands before the text; it may begin a thought. */
void thinking_begin(thinking *t, FILE *to, const char *prompt, size_t n);
void thinking_write(thinking *t, const char *text, size_t n);
void thinking_end(thinking *t);

/* Whether a special token's text is a mark, and part of what is shown. */
bool thinking_is_mark(const char *text, size_t n);

#endif
