/* error.h - the one way to fail, and to tell of what is no failure.
 *
 * Owns:    turning a failure into a status and a one-line message; lines for the caller's log.
 * Not:     deciding what is an error; printing.
 */
#ifndef BB_BASE_ERROR_H
#define BB_BASE_ERROR_H

#include "bamba.h"

typedef bamba_status bb_status;

#if defined(__GNUC__)
#  define BB_PRINTF(string, first) __attribute__((format(printf, string, first)))
#else
#  define BB_PRINTF(string, first)
#endif

/* Record a message (if err is not NULL) and return code, so it can be returned directly.
   Control characters and bytes that are not UTF-8 (names from hostile files, and names that the
   format cut inside a character) become '?'. */
bb_status bb_fail(bamba_error *err, bb_status code, const char *format, ...) BB_PRINTF(3, 4);

/* Where lines go that are worth knowing and no error: the log of the caller's options. */
typedef struct bb_log {
    bamba_log_fn *fn;                     /* NULL: nowhere */
    void         *context;
} bb_log;

/* Give the log one line, written as messages of bb_fail are. log may be NULL. Does not allocate. */
void bb_log_line(const bb_log *log, const char *format, ...) BB_PRINTF(2, 3);

/* The only macro in the code base that hides control flow: on failure, leave through `done`. */
#define BB_TRY(call)                                                        \
    do {                                                                    \
        if ((status = (call)) != BAMBA_OK) goto done;                       \
    } while (0)

#endif
