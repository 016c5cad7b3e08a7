/* console.c - what a command tells its user, and how the user stops it. */
#include "console.h"

#include "args.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PROGRESS_AFTER_MS = 400, PROGRESS_EVERY_MS = 100, SAME_WISH_MS = 500 };

static volatile sig_atomic_t interrupted;
static double interrupted_ms;             /* when; of the signal handler alone */

static struct {
    const char *what;                     /* NULL: nothing is going on */
    double      started, shown;           /* ms; shown 0: not yet      */
    double      percent;
} progress;

double console_per_second(size_t n, double ms)
{
    return ms > 0.0 ? 1e3 * (double)n / ms : 0.0;
}

double console_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void say(const char *kind, const char *format, va_list args)
{
    console_progress_clear();
    fprintf(stderr, "bamba: %s", kind);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

void console_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (!args_quiet()) say("", format, args);
    va_end(args);
}

void console_warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("warning: ", format, args);
    va_end(args);
}

int console_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("", format, args);
    va_end(args);
    return EXIT_FAILURE;
}

int console_fail_library(bamba_status status, const bamba_error *err)
{
    if (status == BAMBA_ERR_CANCELLED && interrupted) {
        console_fail("interrupted");
        return EXIT_INTERRUPTED;
    }
    return console_fail("%s", err->message[0] ? err->message : bamba_status_string(status));
}

void console_log(void *context, const char *line)
{
    (void)context;
    if (strncmp(line, "weights: ", 9) != 0) console_warn("%s", line);
    else if (args_verbose()) console_say("%s", line);
}

static void note_interrupt(int number)
{
    const double now = console_now_ms();

    if (interrupted && now - interrupted_ms > SAME_WISH_MS) {
        signal(number, SIG_DFL);          /* takes effect when the handler has returned */
        raise(number);
    }
    if (!interrupted) interrupted_ms = now;
    interrupted = 1;
}

void console_catch_interrupt(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = note_interrupt;
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, NULL);
}

bool console_interrupted(void)
{
    return interrupted != 0;
}

void console_clear_interrupt(void)
{
    interrupted = 0;
}

/* The signal is held back between looking at the flag and waiting. */
bool console_wait_input(int fd)
{
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    sigset_t interrupt, before;
    int ready = 0;

    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    sigprocmask(SIG_BLOCK, &interrupt, &before);
    while (!interrupted && (ready = ppoll(&wait, 1, NULL, &before)) < 0 && errno == EINTR) continue;
    const int problem = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);          /* notes one that came with the input */
    errno = interrupted ? EINTR : problem;
    return ready > 0 && !interrupted;
}

static void show_progress(void)
{
    const double now = console_now_ms();

    if (!progress.what || now - progress.started < PROGRESS_AFTER_MS ||
        now - progress.shown < PROGRESS_EVERY_MS || args_quiet() || !isatty(STDERR_FILENO)) return;
    fprintf(stderr, "\r%s %3.0f%%", progress.what, progress.percent);
    fflush(stderr);
    progress.shown = now;
}

int console_cancel(void *context)
{
    (void)context;
    show_progress();
    return interrupted != 0;
}

int console_progress(void *context, uint64_t done, uint64_t total)
{
    if (progress.what != context) {
        console_progress_clear();
        progress.what = context;
        progress.started = console_now_ms();
    }
    progress.percent = total > 0 ? 100.0 * (double)done / (double)total : 0.0;
    return console_cancel(NULL);
}

void console_progress_clear(void)
{
    if (progress.shown > 0.0) fputs("\r\033[K", stderr);
    progress.what = NULL;
    progress.shown = 0.0;
}

int console_flush(void)
{
    static bool said;

    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return EXIT_SUCCESS;
    if (!said) console_fail("cannot write to standard output%s%s", errno ? ": " : "",
                            errno ? strerror(errno) : "");
    said = true;
    return EXIT_FAILURE;
}

int console_finish(int code)
{
    console_progress_clear();
    return console_flush() == EXIT_SUCCESS ? code : EXIT_FAILURE;
}
