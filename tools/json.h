/* json.h - JSON, read and written by json-c.
 *
 * Owns:    reading and writing of values; rows of the benchmark are bench_print.c's.
 * Not:     what a key means.
 * Errors:  adding to an object without memory is remembered in it; json_print tells.
 */
#ifndef BAMBA_TOOLS_JSON_H
#define BAMBA_TOOLS_JSON_H

#include "text.h"

#include <stdint.h>
#include <stdio.h>

/* line [n] is a JSON string: append what it stands for. On failure *problem says why. */
bool json_read_string(text_buffer *out, const char *line, size_t n, const char **problem);

/* An object that grows by a member with each call. Begins with JSON_OBJECT; ends with json_print,
   or as a member of another. */
typedef struct json {
    struct json_object *object;           /* json-c's; NULL: no member yet */
    bool                failed;           /* a member is missing           */
} json;

#define JSON_OBJECT { NULL, false }

/* Bytes that are not UTF-8, as paths may have, become U+FFFD. */
void json_add_text(json *j, const char *key, const char *bytes, size_t n);
void json_add_string(json *j, const char *key, const char *s);
void json_add_int(json *j, const char *key, int64_t value);
void json_add_uint(json *j, const char *key, uint64_t value);
void json_add_null(json *j, const char *key);
void json_add_ids(json *j, const char *key, const int32_t *ids, size_t n);
/* As few digits as a float32 needs to be read back; null for what is not finite. */
void json_add_float(json *j, const char *key, float value);
/* With this many digits behind the point; null likewise. */
void json_add_fixed(json *j, const char *key, double value, int digits);
/* child is empty afterwards. */
void json_add_object(json *j, const char *key, json *child);

/* Write the object as a line to stdout and free it. EXIT_SUCCESS or an exit code (reported). */
int json_print(json *j);

/* A single value, without a newline; false without memory, then nothing is written. */
bool json_write_text(FILE *to, const char *bytes, size_t n);
bool json_write_string(FILE *to, const char *s);
bool json_write_ids(FILE *to, const int32_t *ids, size_t n);

#endif
