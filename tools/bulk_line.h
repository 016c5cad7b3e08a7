/* bulk_line.h - a line of a file of prompts: an object of JSON.
 *
 * Owns:    the names of its members, their values.
 * Not:     the file (bulk.c), what a template makes of messages.
 * Errors:  reported with file and line; callers pass the exit code on. bulk_line_free in any case.
 */
#ifndef BAMBA_TOOLS_BULK_LINE_H
#define BAMBA_TOOLS_BULK_LINE_H

#include "json_walk.h"
#include "option_texts.h"
#include "sampling.h"
#include "text.h"

typedef struct bulk_line {
    const char  *file;
    size_t       number;                  /* of the line in the file, from 1                 */
    json_slice   id;                      /* a string or an integer as it stands, or NULL    */
    json_slice   messages;                /* a list, or NULL: there is a prompt              */
    text_buffer  prompt;
    sampling     how;                     /* begins as that of all lines, and borrows from it */
    bool         chooses;                 /* the line says how tokens are chosen             */
    bool         has_seed, has_stops;
    int          n_predict;               /* begins as that of all lines                     */
    option_texts stops;
} bulk_line;

/* Read text into a line that begins with file, number, how and n_predict. */
int bulk_line_read(bulk_line *l, json_slice text);

/* Print "FILE:NUMBER: ..."; returns EXIT_FAILURE. */
int bulk_line_fail(const bulk_line *l, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void bulk_line_free(bulk_line *l);

#endif
