/* bulk_file.h - the file of results: a line for each prompt, in order.
 *
 * Owns:    the form of a result; the lines that an earlier run left, and that they are of the same
 *          prompts.
 * Not:     making texts.
 * Errors:  reported here; callers pass the exit code on. bulk_file_close in any case.
 */
#ifndef BAMBA_TOOLS_BULK_FILE_H
#define BAMBA_TOOLS_BULK_FILE_H

#include "batch.h"
#include "bulk_line.h"

#include <stdio.h>

/* A line of prompts and what becomes of it. */
typedef struct bulk_text {
    bulk_line  line;
    int32_t   *made;                      /* ids that the tokenizer made, or NULL            */
    batch_text text;                      /* its prompt: they, or the begin token            */
} bulk_text;

typedef struct bulk_file {
    FILE       *file;                     /* stdout, or a file of its own; NULL: not open    */
    const char *name;
    text_buffer done;                     /* whole lines that were there                     */
    size_t      at;                       /* bytes of them that were taken                   */
    size_t      n_taken;                  /* lines                                           */
} bulk_file;

/* Open the file to append to it; name NULL: standard output. A regular file keeps its whole lines,
   one that is cut off at the end is dropped. It must not be `input`, nor be open so elsewhere. */
int bulk_file_open(bulk_file *f, const char *name, const char *input);

/* Take the next of the lines that were there; false: there is none. */
bool bulk_file_take(bulk_file *f, json_slice *line);

/* Compare the line that was taken last with what it must be of: id, prompt and parameters. */
int bulk_file_check(const bulk_file *f, json_slice line, const bulk_text *t);

/* The seed in such a line; false: it has none. */
bool bulk_file_find_seed(json_slice line, uint64_t *seed);

/* Append the result of a text that is done, and flush it. */
int bulk_file_write(bulk_file *f, const char *model, const bulk_text *t);

/* Returns code, or an exit code if what was written is lost. */
int bulk_file_close(bulk_file *f, int code);

#endif
