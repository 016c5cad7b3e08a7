/* line_editor.c - lines that a user types, or that standard input holds.
 *
 * libedit reads characters through read_character here, which Ctrl-C ends: its own reading goes on
 * after a signal. Prompts and what is typed go to standard error, so that standard output has the
 * answers alone.
 */
#include "line_editor.h"

#include "console.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

enum { HISTORY_LINES = 1000, READ_BYTES = 4096 };

struct line_editor {
    EditLine   *edit;                     /* NULL: no terminal                               */
    History    *history;
    const char *prompt;
    char        bytes[READ_BYTES];        /* [n_bytes] read from standard input, `at` used   */
    size_t      n_bytes, at;
};

/* The next byte of standard input: 1, at its end 0, -1 with errno. EINTR: Ctrl-C. */
static int read_byte(line_editor *l, char *byte)
{
    while (l->at == l->n_bytes) {
        if (!console_wait_input(STDIN_FILENO)) return -1;
        const ssize_t n = read(STDIN_FILENO, l->bytes, READ_BYTES);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return (int)n;
        l->at = 0;
        l->n_bytes = (size_t)n;
    }
    *byte = l->bytes[l->at++];
    return 1;
}

/* ---- a terminal ---- */

/* Bytes that are no character are taken as U+FFFD; the byte that shows that a character is cut
   short is read again, as it may be Enter. A Ctrl-D that was typed before libedit set the terminal
   arrives as NUL. */
static int read_character(EditLine *edit, wchar_t *out)
{
    mbstate_t state;
    line_editor *l = NULL;
    char byte;

    memset(&state, 0, sizeof state);
    el_get(edit, EL_CLIENTDATA, &l);
    for (bool first = true;; first = false) {
        const int got = read_byte(l, &byte);
        if (got != 1) return got;
        if (byte == '\0') byte = '\004';
        const size_t length = mbrtowc(out, &byte, 1, &state);
        if (length == (size_t)-2) continue;
        if (length == (size_t)-1) *out = L'\xFFFD';
        if (length == (size_t)-1 && !first) l->at--;
        return 1;
    }
}

static char *give_prompt(EditLine *edit)
{
    line_editor *l = NULL;

    el_get(edit, EL_CLIENTDATA, &l);
    union { const char *ours; char *theirs; } prompt = { l->prompt };
    return prompt.theirs;
}

static bool open_terminal(line_editor *l)
{
    HistEvent event;

    /* Text is UTF-8 whatever the locale says of its bytes. */
    setlocale(LC_CTYPE, "");
    if (MB_CUR_MAX == 1) setlocale(LC_CTYPE, "C.UTF-8");
    l->history = history_init();
    l->edit = el_init("bamba", stdin, stderr, stderr);
    if (!l->history || !l->edit) return false;
    history(l->history, &event, H_SETSIZE, HISTORY_LINES);
    history(l->history, &event, H_SETUNIQUE, 1);
    el_set(l->edit, EL_CLIENTDATA, l);
    el_set(l->edit, EL_PROMPT, give_prompt);
    el_set(l->edit, EL_EDITOR, "emacs");
    el_set(l->edit, EL_HIST, history, l->history);
    el_set(l->edit, EL_GETCFN, read_character);
    el_set(l->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(l->edit, NULL);             /* ~/.editrc */
    return true;
}

static line_end edit_line(line_editor *l, text_buffer *line)
{
    HistEvent event;
    int n = 0;

    errno = 0;
    const char *text = el_gets(l->edit, &n);
    if (!text || n <= 0) {
        fputc('\n', stderr);
        if (console_interrupted()) return LINE_INTERRUPTED;
        return n < 0 && errno ? LINE_FAILED : LINE_NO_MORE;
    }
    if (n > 1) history(l->history, &event, H_ENTER, text);
    if (!text_append(line, text, (size_t)n)) return LINE_FAILED;
    text_chomp(line);
    return LINE_READ;
}

/* ---- anything else ---- */

static line_end read_line(line_editor *l, text_buffer *line)
{
    for (;;) {
        char byte;
        const int got = read_byte(l, &byte);
        if (got < 0 && errno == EINTR) return LINE_INTERRUPTED;
        if (got < 0) console_fail("standard input: cannot be read: %s", strerror(errno));
        if (got < 0) return LINE_FAILED;
        if (got == 0) return line->n > 0 ? LINE_READ : LINE_NO_MORE;
        if (!text_append(line, &byte, 1)) return LINE_FAILED;
        if (byte != '\n') continue;
        text_chomp(line);
        return LINE_READ;
    }
}

/* ---- both ---- */

line_editor *line_editor_open(void)
{
    line_editor *l = calloc(1, sizeof *l);

    if (l && (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO) || open_terminal(l))) return l;
    console_fail(l ? "the terminal cannot be used" : "out of memory");
    line_editor_close(l);
    return NULL;
}

void line_editor_close(line_editor *l)
{
    if (!l) return;
    if (l->edit) el_end(l->edit);
    if (l->history) history_end(l->history);
    free(l);
}

bool line_editor_is_terminal(const line_editor *l)
{
    return l->edit != NULL;
}

line_end line_editor_read(line_editor *l, const char *prompt, text_buffer *line)
{
    line->n = 0;
    l->prompt = prompt;
    return l->edit ? edit_line(l, line) : read_line(l, line);
}
