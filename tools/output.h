/* output.h - a file that a command writes: whole, or not at all.
 *
 * Owns:    a temporary file beside the path, which takes its place at the end. What is no regular
 *          file (a device, a FIFO, a link that leads nowhere) is written directly.
 * Not:     standard output.
 * Errors:  reported here; callers pass the exit code on. Nothing is removed but the temporary file.
 */
#ifndef BAMBA_TOOLS_OUTPUT_H
#define BAMBA_TOOLS_OUTPUT_H

#include <limits.h>
#include <stdio.h>

typedef struct output {
    FILE       *file;                     /* NULL: not open                                   */
    const char *name;                     /* as the user gave it                              */
    char        path[PATH_MAX];           /* what it is, links followed                       */
    char        temporary[PATH_MAX + 32]; /* empty: path itself is written                    */
} output;

int output_open(output *o, const char *name);

/* Say that writing failed, by errno; returns EXIT_FAILURE. */
int output_fail(const output *o);

/* Close what is open, and put it in its place if code is EXIT_SUCCESS. Returns code or, if that
   fails, EXIT_FAILURE. */
int output_close(output *o, int code);

#endif
