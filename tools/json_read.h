/* json_read.h - the JSON a command reads: generation_config.json, lines of strings.
 *
 * Owns:    every use of json-c in the tools.
 * Not:     what the model's own files mean (the library).
 */
#ifndef BAMBA_TOOLS_JSON_READ_H
#define BAMBA_TOOLS_JSON_READ_H

#include "text.h"

#include <limits.h>

/* What generation_config.json of a directory says; what it does not say stays as it begins. */
typedef struct generation_config {
    bool   greedy;                        /* do_sample is false              */
    double temperature;                   /* NAN: not said, as the others    */
    double top_p;
    double min_p;
    double repetition_penalty;
    int    top_k;                         /* INT_MIN: not said               */
    int    max_new_tokens;                /* INT_MIN: not said               */
} generation_config;

#define GENERATION_CONFIG { false, NAN, NAN, NAN, NAN, INT_MIN, INT_MIN }

/* A missing file says nothing. EXIT_SUCCESS or the exit code (reported). */
int json_read_generation_config(generation_config *out, const char *dir);

/* line [n] is a JSON string: append what it stands for. On failure *problem says why. */
bool json_read_string(text_buffer *out, const char *line, size_t n, const char **problem);

#endif
