/* json.c - objects of json-c, and strings, read and written. */
#include "json.h"

#include "console.h"

#include <ctype.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

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

/* Append the character c as UTF-8; there is room. */
static void append_character(text_buffer *out, unsigned c)
{
    const int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned first[] = { 0, 0xC0, 0xE0, 0xF0 };

    out->bytes[out->n++] = (char)(first[more] | c >> 6 * more);
    for (int i = more; i-- > 0;) out->bytes[out->n++] = (char)(0x80 | (c >> 6 * i & 0x3F));
}

/* The value of four hexadecimal digits behind "\\u" at s [n], -1 if they are not there. */
static int read_unit(const char *s, size_t n)
{
    char digits[5] = "", *end;

    if (n < 6 || s[0] != '\\' || s[1] != 'u' || !isxdigit((unsigned char)s[2])) return -1;
    memcpy(digits, s + 2, 4);
    const long value = strtol(digits, &end, 16);
    return *end ? -1 : (int)value;
}

/* Append what the escape at s [n] stands for; returns its bytes, 0 if it is none. */
static size_t read_escape(text_buffer *out, const char *s, size_t n)
{
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const char *letter = n > 1 && s[1] ? strchr(letters, s[1]) : NULL;
    const int   unit = read_unit(s, n);

    if (letter) append_character(out, (unsigned)meant[letter - letters]);
    if (letter || unit < 0) return letter ? 2 : 0;
    const int low = unit >= 0xD800 && unit < 0xDC00 ? read_unit(s + 6, n - 6) : -1;
    if (low >= 0xDC00 && low < 0xE000) {
        append_character(out, 0x10000 + (unsigned)((unit - 0xD800) * 0x400 + (low - 0xDC00)));
        return 12;
    }
    append_character(out, unit >= 0xD800 && unit < 0xE000 ? 0xFFFD : (unsigned)unit);
    return 6;
}

/* By itself, since json-c leaves out parts of strings that its memory does not suffice for. */
bool json_read_string(text_buffer *out, const char *line, size_t n, const char **problem)
{
    static const char spaces[] = " \t\r\n";
    size_t i = 0, length;

    *problem = NULL;
    if (!text_reserve(out, n)) return false;          /* the string is not longer than the line */
    *problem = "expected a JSON string";
    while (i < n && line[i] && strchr(spaces, line[i])) i++;
    if (i == n || line[i] != '"') return false;
    for (i++; i < n && line[i] != '"'; i += length) {
        const bool is_escape = line[i] == '\\';
        length = is_escape ? read_escape(out, line + i, n - i)
                           : character_length((const unsigned char *)line + i, n - i);
        *problem = is_escape ? "unknown escape in a JSON string" : "expected UTF-8";
        if (!length) return false;
        if (is_escape) continue;
        memcpy(out->bytes + out->n, line + i, length);
        out->n += length;
    }
    *problem = "the JSON string does not end";
    if (i == n) return false;
    for (i++; i < n && line[i] && strchr(spaces, line[i]);) i++;
    *problem = "expected nothing behind the JSON string";
    return i == n;
}

/* ---- values; NULL without memory ---- */

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

void json_append(json_object **list, json_object *value)
{
    if (*list && value && json_object_array_add(*list, value) == 0) return;
    json_object_put(value);
    json_object_put(*list);
    *list = NULL;
}

static json_object *make_ids(const int32_t *ids, size_t n)
{
    json_object *list = json_object_new_array();

    for (size_t i = 0; list && i < n; i++) json_append(&list, json_object_new_int(ids[i]));
    return list;
}

/* ---- objects ---- */

void json_add(json *j, const char *key, json_object *value)
{
    if (!j->object) j->object = json_object_new_object();
    if (j->object && value && json_object_object_add(j->object, key, value) == 0) return;
    json_object_put(value);
    j->failed = true;
}

void json_add_text(json *j, const char *key, const char *bytes, size_t n)
{
    json_add(j, key, make_text(bytes, n));
}

void json_add_string(json *j, const char *key, const char *s)
{
    json_add_text(j, key, s, strlen(s));
}

void json_add_int(json *j, const char *key, int64_t value)
{
    json_add(j, key, json_object_new_int64(value));
}

void json_add_uint(json *j, const char *key, uint64_t value)
{
    json_add(j, key, json_object_new_uint64(value));
}

void json_add_null(json *j, const char *key)
{
    if (!j->object) j->object = json_object_new_object();
    if (!j->object || json_object_object_add(j->object, key, NULL) != 0) j->failed = true;
}

void json_add_texts(json *j, const char *key, const char *const *texts, size_t n)
{
    json_object *list = json_object_new_array();

    for (size_t i = 0; list && i < n; i++) json_append(&list, json_object_new_string(texts[i]));
    json_add(j, key, list);
}

void json_add_ids(json *j, const char *key, const int32_t *ids, size_t n)
{
    json_add(j, key, make_ids(ids, n));
}

static void shorten(float value, char shortest[JSON_NUMBER])
{
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(shortest, JSON_NUMBER, "%.*g", digits, (double)value);
        if (strtof(shortest, NULL) == value) break;
    }
}

void json_add_float(json *j, const char *key, float value)
{
    char shortest[JSON_NUMBER] = "";

    if (!isfinite(value)) {
        json_add_null(j, key);
        return;
    }
    shorten(value, shortest);
    json_add(j, key, json_object_new_double_s((double)value, shortest));
}

void json_add_fixed(json *j, const char *key, double value, int digits)
{
    char text[400];

    if (!isfinite(value)) {
        json_add_null(j, key);
        return;
    }
    snprintf(text, sizeof text, "%.*f", digits, value);
    json_add(j, key, json_object_new_double_s(value, text));
}

void json_add_object(json *j, const char *key, json *child)
{
    j->failed = j->failed || child->failed;
    json_add(j, key, child->object);
    *child = (json)JSON_OBJECT;
}

/* ---- writing: json-c's own leaves out what its memory does not suffice for ---- */

/* Write text [n] in quotes. */
static void put_text(FILE *to, const char *text, size_t n)
{
    static const char escaped[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";

    putc('"', to);
    for (size_t i = 0, length; i < n; i += length ? length : 1) {
        const unsigned char c = (unsigned char)text[i];
        const char *escape = c ? strchr(escaped, c) : NULL;
        length = character_length((const unsigned char *)text + i, n - i);
        if (escape) fprintf(to, "\\%c", letters[escape - escaped]);
        else if (c < 0x20) fprintf(to, "\\u%04x", c);
        else fwrite(length ? text + i : "\xEF\xBF\xBD", 1, length ? length : 3, to);
    }
    putc('"', to);
}

const char *json_scalar(json_object *value, char number[JSON_NUMBER])
{
    switch (json_object_get_type(value)) {
    case json_type_string:  return json_object_get_string(value);
    case json_type_double:  return json_object_get_userdata(value);
    case json_type_boolean: return json_object_get_boolean(value) ? "true" : "false";
    case json_type_int:
        if (json_object_get_int64(value) < 0)
            snprintf(number, JSON_NUMBER, "%" PRId64, json_object_get_int64(value));
        else snprintf(number, JSON_NUMBER, "%" PRIu64, json_object_get_uint64(value));
        return number;
    default: return "null";
    }
}

void json_write(FILE *to, json_object *value, bool lines)
{
    const json_type type = json_object_get_type(value);
    char number[JSON_NUMBER];
    const char *before = "";

    if (type == json_type_object) {
        putc('{', to);
        json_object_object_foreach(value, key, member) {
            fprintf(to, "%s%s", before, lines ? "\n  " : " ");
            put_text(to, key, strlen(key));
            fputs(": ", to);
            json_write(to, member, false);
            before = ",";
        }
        fputs(lines ? "\n}" : " }", to);
    } else if (type == json_type_array) {
        putc('[', to);
        for (size_t i = 0; i < json_object_array_length(value); i++) {
            fputs(i ? ", " : " ", to);
            json_write(to, json_object_array_get_idx(value, i), false);
        }
        fputs(" ]", to);
    } else if (type == json_type_string) {
        put_text(to, json_object_get_string(value), (size_t)json_object_get_string_len(value));
    } else {
        fputs(json_scalar(value, number), to);
    }
}

int json_finish(json *j)
{
    const bool whole = j->object && !j->failed;

    json_object_put(j->object);
    *j = (json)JSON_OBJECT;
    return whole ? EXIT_SUCCESS : console_fail("out of memory");
}

int json_print(json *j)
{
    if (j->object && !j->failed) {
        json_write(stdout, j->object, false);
        putchar('\n');
    }
    return json_finish(j);
}

void json_write_members(FILE *to, json_object *value)
{
    const char *before = "";

    json_object_object_foreach(value, key, member) {
        fputs(before, to);
        put_text(to, key, strlen(key));
        fputs(": ", to);
        json_write(to, member, false);
        before = ", ";
    }
}

void json_write_text(FILE *to, const char *bytes, size_t n)
{
    put_text(to, bytes, n);
}

void json_write_ids(FILE *to, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++) fprintf(to, "%s%d", i ? ", " : "[ ", (int)ids[i]);
    fputs(n ? " ]" : "[ ]", to);
}

void json_write_floats(FILE *to, const float *values, size_t n)
{
    char shortest[JSON_NUMBER];

    for (size_t i = 0; i < n; i++) {
        shorten(values[i], shortest);
        fprintf(to, "%s%s", i ? ", " : "[ ", shortest);
    }
    fputs(n ? " ]" : "[ ]", to);
}
