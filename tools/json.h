/* json.h - JSON: objects of json-c, and strings, read and written.
 *
 * Owns:    reading and writing of values; rows of the benchmark are made in bench_print.c.
 * Not:     what a key means.
 * Errors:  adding to an object without memory is remembered in it; json_print tells.
 */
#ifndef BAMBA_TOOLS_JSON_H
#define BAMBA_TOOLS_JSON_H

#include "text.h"

#include <stdint.h>
#include <stdio.h>

/* line [n] is a JSON string: append what it stands for. On failure *problem says why; NULL: it is
   reported. */
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
void json_add_texts(json *j, const char *key, const char *const *texts, size_t n);
void json_add_ids(json *j, const char *key, const int32_t *ids, size_t n);
/* As few digits as a float32 needs to be read back; null for what is not finite. */
void json_add_float(json *j, const char *key, float value);
/* With this many digits behind the point; null likewise. */
void json_add_fixed(json *j, const char *key, double value, int digits);
/* child is empty afterwards. */
void json_add_object(json *j, const char *key, json *child);

/* A value of json-c; NULL is one that had no memory. */
void json_add(json *j, const char *key, struct json_object *value);
/* Append a value to *list, which then owns it. Where memory has run out (either is NULL, or the
   list cannot grow) both are freed, and *list is NULL. */
void json_append(struct json_object **list, struct json_object *value);

/* Free the object. EXIT_SUCCESS, or, if a member is missing, an exit code (reported). */
int json_finish(json *j);

/* Write the object as a line to stdout if it is whole, and free it; returns as json_finish does. */
int json_print(json *j);

/* Write a value, in one line or with a line for each member of an object, without a newline behind
   it. Writing takes no memory. */
void json_write(FILE *to, struct json_object *value, bool lines);
void json_write_members(FILE *to, struct json_object *value);         /* an object's, no brackets */
void json_write_text(FILE *to, const char *bytes, size_t n);
void json_write_ids(FILE *to, const int32_t *ids, size_t n);
/* Finite numbers, each with as few digits as a float32 needs to be read back. */
void json_write_floats(FILE *to, const float *values, size_t n);

/* The text of a value that is neither object nor array, without quotes; maybe in `number`. */
enum { JSON_NUMBER = 24 };
const char *json_scalar(struct json_object *value, char number[JSON_NUMBER]);

#endif
