/* json.c - JSON, read and written by json-c. */
#include "json.h"

#include "console.h"

#include <json-c/json.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { JSON_DEPTH = 64 };

/* ---- reading ---- */

/* NULL with *problem set if text [n] is not one JSON value. */
static json_object *parse(const char *bytes, size_t n, const char **problem)
{
    json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH);
    json_object *root = NULL;

    *problem = "out of memory";
    if (!tokener) return NULL;
    *problem = "longer than 2 GiB";
    if (n <= INT_MAX - 1) {
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        root = json_tokener_parse_ex(tokener, bytes, (int)n);
        enum json_tokener_error error = json_tokener_get_error(tokener);
        if (error == json_tokener_continue) {         /* a number needs a byte after it */
            root = json_tokener_parse_ex(tokener, "", 1);
            error = json_tokener_get_error(tokener);
        }
        *problem = error == json_tokener_success ? NULL : json_tokener_error_desc(error);
    }
    json_tokener_free(tokener);
    return root;
}

bool json_read_string(text_buffer *out, const char *line, size_t n, const char **problem)
{
    json_object *value = parse(line, n, problem);
    bool done = false;

    if (*problem == NULL && !json_object_is_type(value, json_type_string))
        *problem = "expected a JSON string";
    if (*problem == NULL) {
        done = text_append(out, json_object_get_string(value),
                           (size_t)json_object_get_string_len(value));
        if (!done) *problem = "out of memory";
    }
    json_object_put(value);
    return done;
}

/* ---- values; NULL without memory ---- */

/* Bytes of the UTF-8 character at s [n], 0 if there is none (Unicode 15 table 3-7). */
static size_t character_length(const unsigned char *s, size_t n)
{
    const size_t length = s[0] < 0x80 ? 1 : s[0] < 0xC2 ? 0 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3
                          : s[0] < 0xF5 ? 4 : 0;

    if (length > n) return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) ||
        (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F))
        return 0;
    return length;
}

static json_object *make_text(const char *bytes, size_t n)
{
    char *text = n <= INT_MAX / 3 ? malloc(3 * n + 1) : NULL;         /* U+FFFD has 3 bytes */
    size_t used = 0;

    if (!text) return NULL;
    for (size_t i = 0; i < n;) {
        const size_t length = character_length((const unsigned char *)bytes + i, n - i);
        memcpy(text + used, length ? bytes + i : "\xEF\xBF\xBD", length ? length : 3);
        used += length ? length : 3;
        i += length ? length : 1;
    }
    json_object *value = json_object_new_string_len(text, (int)used);
    free(text);
    return value;
}

static json_object *make_ids(const int32_t *ids, size_t n)
{
    json_object *list = json_object_new_array();

    for (size_t i = 0; list && i < n; i++) {
        json_object *id = json_object_new_int(ids[i]);
        if (id && json_object_array_add(list, id) == 0) continue;
        json_object_put(id);
        json_object_put(list);
        list = NULL;
    }
    return list;
}

/* ---- objects ---- */

static void add(json *j, const char *key, json_object *value)
{
    if (!j->object) j->object = json_object_new_object();
    if (j->object && value && json_object_object_add(j->object, key, value) == 0) return;
    json_object_put(value);
    j->failed = true;
}

void json_add_text(json *j, const char *key, const char *bytes, size_t n)
{
    add(j, key, make_text(bytes, n));
}

void json_add_string(json *j, const char *key, const char *s)
{
    json_add_text(j, key, s, strlen(s));
}

void json_add_int(json *j, const char *key, int64_t value)
{
    add(j, key, json_object_new_int64(value));
}

void json_add_uint(json *j, const char *key, uint64_t value)
{
    add(j, key, json_object_new_uint64(value));
}

void json_add_null(json *j, const char *key)
{
    if (!j->object) j->object = json_object_new_object();
    if (!j->object || json_object_object_add(j->object, key, NULL) != 0) j->failed = true;
}

void json_add_ids(json *j, const char *key, const int32_t *ids, size_t n)
{
    add(j, key, make_ids(ids, n));
}

void json_add_float(json *j, const char *key, float value)
{
    char shortest[24] = "";

    if (!isfinite(value)) {
        json_add_null(j, key);
        return;
    }
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(shortest, sizeof shortest, "%.*g", digits, (double)value);
        if (strtof(shortest, NULL) == value) break;
    }
    add(j, key, json_object_new_double_s((double)value, shortest));
}

void json_add_fixed(json *j, const char *key, double value, int digits)
{
    char text[400];

    if (!isfinite(value)) {
        json_add_null(j, key);
        return;
    }
    snprintf(text, sizeof text, "%.*f", digits, value);
    add(j, key, json_object_new_double_s(value, text));
}

void json_add_object(json *j, const char *key, json *child)
{
    j->failed = j->failed || child->failed;
    add(j, key, child->object);
    *child = (json)JSON_OBJECT;
}

/* ---- writing ---- */

/* Frees value. */
static bool write_value(FILE *to, json_object *value)
{
    size_t n = 0;
    const char *text = value ? json_object_to_json_string_length(
        value, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE, &n) : NULL;

    if (text) fwrite(text, 1, n, to);
    json_object_put(value);
    return text != NULL;
}

int json_print(json *j)
{
    json_object *object = j->object;
    const bool whole = !j->failed;

    *j = (json)JSON_OBJECT;
    if (whole && write_value(stdout, object)) {
        putchar('\n');
        return EXIT_SUCCESS;
    }
    if (!whole) json_object_put(object);
    return console_fail("out of memory");
}

bool json_write_text(FILE *to, const char *bytes, size_t n)
{
    return write_value(to, make_text(bytes, n));
}

bool json_write_string(FILE *to, const char *s)
{
    return json_write_text(to, s, strlen(s));
}

bool json_write_ids(FILE *to, const int32_t *ids, size_t n)
{
    return write_value(to, make_ids(ids, n));
}
