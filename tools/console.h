/* console.h - what a command tells its user, and how the user stops it.
 *
 * Owns:    lines on stderr, exit codes, the progress line, Ctrl-C, errors of writing to stdout.
 * Not:     what is printed as a result (each command does that).
 */
#ifndef BAMBA_TOOLS_CONSOLE_H
#define BAMBA_TOOLS_CONSOLE_H

#include "bamba.h"

#include <stdbool.h>

enum {                                    /* beside EXIT_SUCCESS and EXIT_FAILURE            */
    EXIT_WRONG_USE   = 2,
    EXIT_INTERRUPTED = 130                /* as shells say of a program ended by Ctrl-C      */
};

/* Print one line on stderr, after clearing the progress line; nothing with -q. */
void console_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Print one line that begins with "warning: ", also with -q. */
void console_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Print one line, also with -q; returns EXIT_FAILURE. */
int console_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Print why a library call failed; returns EXIT_FAILURE, or EXIT_INTERRUPTED after Ctrl-C. */
int console_fail_library(bamba_status status, const bamba_error *err);

/* A bamba_log_fn: prints the line as a warning; what is copied where is said with -v only. */
void console_log(void *context, const char *line);

/* From now on the first Ctrl-C only sets a flag. One within half a second after it is the same
   wish (a shell's job and its group may get one each); a later one ends the process. Calls that
   block are continued, save poll(). */
void console_catch_interrupt(void);
bool console_interrupted(void);
void console_clear_interrupt(void);       /* it was obeyed: the next Ctrl-C is a first one */
/* Wait until fd can be read. False with errno, EINTR after Ctrl-C, even if that came just before or
   together with what can be read. */
bool console_wait_input(int fd);
int  console_cancel(void *context);       /* a bamba_cancel_fn: keeps the progress line going,
                                             cancels once the flag is set */

/* A bamba_progress_fn; context is a text in words for what is done, "loading". Shows a percentage
   if stderr is a terminal and the call takes longer than 0.4 s; cancels after Ctrl-C. */
int  console_progress(void *context, uint64_t done, uint64_t total);
void console_progress_clear(void);

/* Flush stdout. EXIT_FAILURE, said once, if anything written there was lost: what is computed for a
   reader who is gone may end. */
int console_flush(void);

/* The last flush of a command. Returns code, or EXIT_FAILURE as console_flush does. */
int console_finish(int code);

double console_now_ms(void);              /* monotonic */
double console_per_second(size_t n, double ms);       /* 0 if it took no time */

#endif
