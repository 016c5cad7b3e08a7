/* json.c - JSON documents, read strictly: our own pass over the text, then json-c's tree.
 * The only user of json-c. */
#include "base/json.h"

#include "base/file.h"
#include "base/json_strict.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct bb_json_doc {
    bb_allocator        alloc;
    char               *name;             /* for messages */
    struct json_object *root;             /* NULL: the document is null */
    bamba_error         first;            /* sticky; code BAMBA_OK while all is well */
};

/* json-c's handles are not const; reading does not change them. */
static struct json_object *tree(const bb_json *j)
{
    return (struct json_object *)(uintptr_t)j->node;
}

/* -------------------------------------------------------------- open, close -------------- */

bb_status bb_json_parse(bb_json_doc **out, const bb_allocator *a, const char *name,
                        const char *text, size_t n, unsigned flags, bamba_error *err)
{
    const int            saved = errno;
    bb_status            status = BAMBA_OK;
    struct json_tokener *tokener = NULL;
    bb_json_doc         *doc = bb_new(a, 1, sizeof *doc);

    *out = NULL;
    if (!doc) return bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", name);
    doc->alloc = *a;
    doc->name = bb_copy_text(a, name, strlen(name));
    if (!doc->name) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", name);
        goto done;
    }
    if (n >= INT_MAX) {                   /* json-c counts in int */
        status = bb_fail(err, BAMBA_ERR_UNSUPPORTED, "%s: expected less than 2 GiB of JSON", name);
        goto done;
    }
    BB_TRY(bb_json_check(a, name, text, n, flags, err));

    tokener = json_tokener_new_ex(BB_JSON_DEPTH + 1);
    if (!tokener) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", name);
        goto done;
    }
    doc->root = json_tokener_parse_ex(tokener, text, (int)n);
    if (json_tokener_get_error(tokener) == json_tokener_continue)     /* a bare number at the end */
        doc->root = json_tokener_parse_ex(tokener, " ", 1);
    if (json_tokener_get_error(tokener) != json_tokener_success) {
        status = bb_fail(err, BAMBA_ERR_FORMAT, "%s: %s", name,
                         json_tokener_error_desc(json_tokener_get_error(tokener)));
        goto done;
    }
    *out = doc;
    doc = NULL;
done:
    if (tokener) json_tokener_free(tokener);
    bb_json_close(doc);
    errno = saved;
    return status;
}

bb_status bb_json_open(bb_json_doc **out, const bb_allocator *a, const char *path,
                       unsigned flags, bamba_error *err)
{
    bb_map map;

    *out = NULL;
    bb_status status = bb_map_open(&map, path, err);
    if (status != BAMBA_OK) return status;
    status = bb_json_parse(out, a, bb_path_name(path), (const char *)map.data, map.size, flags, err);
    bb_map_close(&map);
    return status;
}

void bb_json_close(bb_json_doc *doc)
{
    if (!doc) return;
    const bb_allocator a = doc->alloc;
    json_object_put(doc->root);
    bb_release(&a, doc->name);
    bb_release(&a, doc);
}

bb_json bb_json_root(bb_json_doc *doc)
{
    return (bb_json){ .doc = doc, .node = doc->root };
}

bb_status bb_json_status(const bb_json_doc *doc, bamba_error *err)
{
    if (doc->first.code != BAMBA_OK && err) *err = doc->first;
    return doc->first.code;
}

/* -------------------------------------------------------------- messages ----------------- */

/* Write the path of a place as "a.b[3]"; if it is long, without its outermost parts. */
static void write_path(const bb_json *j, const char *key, char *out, size_t size)
{
    char part[96];
    char path[200] = "";

    if (key) snprintf(path, sizeof path, "%.80s", key);
    for (; j && (j->key || j->parent); j = j->parent) {
        if (j->key) snprintf(part, sizeof part, "%.80s", j->key);
        else snprintf(part, sizeof part, "[%zu]", j->index);
        const size_t n = strlen(part);
        const bool dot = path[0] && path[0] != '[';
        if (strlen(path) + n + dot >= sizeof path) break;
        memmove(path + n + dot, path, strlen(path) + 1);
        memcpy(path, part, n);
        if (dot) path[n] = '.';
    }
    snprintf(out, size, "%s", path);
}

static void fail_at(const bb_json *j, const char *key, bb_status code, const char *message)
{
    char path[200];

    if (j->doc->first.code != BAMBA_OK) return;
    write_path(j, key, path, sizeof path);
    bb_fail(&j->doc->first, code, path[0] ? "%s: '%s': %s" : "%s:%s %s", j->doc->name, path,
            message);
}

void bb_json_fail(const bb_json *j, bb_status code, const char *format, ...)
{
    char    message[200];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    fail_at(j, NULL, code, message);
}

void bb_json_fail_key(const bb_json *j, const char *key, bb_status code, const char *format, ...)
{
    char    message[200];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    fail_at(j, key, code, message);
}

void bb_json_log(const bb_json *j, const bb_log *log, const char *format, ...)
{
    char    path[200], message[200];
    va_list args;

    if (!log || !log->fn) return;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    write_path(j, NULL, path, sizeof path);
    bb_log_line(log, path[0] ? "%s: '%s': %s" : "%s:%s %s", j->doc->name, path, message);
}

static const char *kind_name(const bb_json *j)
{
    if (!j->node) return "nothing";
    switch (json_object_get_type(tree(j))) {
    case json_type_boolean: return "true or false";
    case json_type_double:  return "a fractional number";
    case json_type_int:     return "an integer";
    case json_type_object:  return "an object";
    case json_type_array:   return "a list";
    case json_type_string:  return "a string";
    default:                return "null";
    }
}

static void fail_kind(const bb_json *j, const char *expected)
{
    bb_json_fail(j, BAMBA_ERR_FORMAT, "expected %s, found %s", expected, kind_name(j));
}

/* -------------------------------------------------------------- structure ---------------- */

static bool is_kind(const bb_json *j, enum json_type kind)
{
    return j->node && json_object_is_type(tree(j), kind);
}

bool bb_json_is_object(const bb_json *j) { return is_kind(j, json_type_object); }
bool bb_json_is_array(const bb_json *j) { return is_kind(j, json_type_array); }
bool bb_json_is_text(const bb_json *j) { return is_kind(j, json_type_string); }
bool bb_json_is_bool(const bb_json *j) { return is_kind(j, json_type_boolean); }

bool bb_json_is_number(const bb_json *j)
{
    return is_kind(j, json_type_int) || is_kind(j, json_type_double);
}

bb_json bb_json_get(const bb_json *j, const char *key)
{
    bb_json             child = { .doc = j->doc, .parent = j, .key = key };
    struct json_object *value;

    if (!j->node) return child;
    if (!bb_json_is_object(j)) {
        fail_kind(j, "an object");
        return child;
    }
    if (json_object_object_get_ex(tree(j), key, &value)) child.node = value;
    return child;
}

bool bb_json_has(const bb_json *j, const char *key)
{
    const bb_json child = bb_json_get(j, key);
    return child.node != NULL;
}

bool bb_json_is_member(const bb_json *j, const char *key)
{
    return bb_json_is_object(j) && json_object_object_get_ex(tree(j), key, NULL);
}

size_t bb_json_length(const bb_json *j)
{
    return bb_json_is_array(j) ? json_object_array_length(tree(j)) : 0;
}

bb_json bb_json_at(const bb_json *j, size_t index)
{
    bb_json child = { .doc = j->doc, .parent = j, .index = index };

    if (index < bb_json_length(j)) child.node = json_object_array_get_idx(tree(j), index);
    return child;
}

bool bb_json_next(const bb_json *j, bb_json_walk *walk, bb_json *member)
{
    if (!bb_json_is_object(j)) return false;

    const struct lh_entry *e = walk->started ? walk->next
                                             : lh_table_head(json_object_get_object(tree(j)));
    walk->started = true;
    if (!e) return false;
    walk->next = lh_entry_next(e);
    *member = (bb_json){ .doc = j->doc, .node = lh_entry_v(e), .parent = j, .key = lh_entry_k(e) };
    return true;
}

size_t bb_json_members(const bb_json *j)
{
    return bb_json_is_object(j) ? (size_t)json_object_object_length(tree(j)) : 0;
}

/* -------------------------------------------------------------- values ------------------- */

int64_t bb_json_value_int(const bb_json *j)
{
    if (!is_kind(j, json_type_int)) {
        fail_kind(j, "an integer");
        return 0;
    }
    return json_object_get_int64(tree(j));
}

double bb_json_value_float(const bb_json *j)
{
    if (bb_json_is_number(j)) return json_object_get_double(tree(j));

    /* transformers 5 writes what JSON lacks as {"__float__": "Infinity"} */
    struct json_object *text;
    if (bb_json_is_object(j) && json_object_object_get_ex(tree(j), "__float__", &text)
        && json_object_is_type(text, json_type_string)) {
        const char *s = json_object_get_string(text);
        if (strcmp(s, "Infinity") == 0) return (double)INFINITY;
        if (strcmp(s, "-Infinity") == 0) return (double)-INFINITY;
    }
    fail_kind(j, "a number");
    return 0;
}

bool bb_json_value_bool(const bb_json *j)
{
    if (!bb_json_is_bool(j)) {
        fail_kind(j, "true or false");
        return false;
    }
    return json_object_get_boolean(tree(j));
}

const char *bb_json_value_text(const bb_json *j, size_t *n_bytes)
{
    if (n_bytes) *n_bytes = 0;
    if (!bb_json_is_text(j)) {
        fail_kind(j, "a string");
        return "";
    }
    const char  *text = json_object_get_string(tree(j));
    const size_t n = (size_t)json_object_get_string_len(tree(j));
    if (n_bytes) *n_bytes = n;
    else if (strlen(text) != n) {         /* a caller without the length would stop at the NUL */
        bb_json_fail(j, BAMBA_ERR_FORMAT, "expected a string without NUL");
        return "";
    }
    return text;
}

/* -------------------------------------------------------------- members by key ----------- */

static int int_member(const bb_json *j, const char *key, int lo, int hi, int fallback)
{
    const bb_json child = bb_json_get(j, key);
    const int64_t v = bb_json_value_int(&child);

    if (bb_json_status(j->doc, NULL) != BAMBA_OK) return fallback;
    if (v < lo || v > hi) {
        bb_json_fail(&child, BAMBA_ERR_FORMAT, "expected an integer from %d to %d, found %lld", lo,
                     hi, (long long)v);
        return fallback;
    }
    return (int)v;
}

/* A failed lookup returns lo, so that what is computed from it stays in range. */
int bb_json_int(const bb_json *j, const char *key, int lo, int hi)
{
    return int_member(j, key, lo, hi, lo);
}

int bb_json_int_or(const bb_json *j, const char *key, int lo, int hi, int fallback)
{
    return bb_json_has(j, key) ? int_member(j, key, lo, hi, fallback) : fallback;
}

double bb_json_float(const bb_json *j, const char *key)
{
    const bb_json child = bb_json_get(j, key);
    return bb_json_value_float(&child);
}

double bb_json_float_or(const bb_json *j, const char *key, double fallback)
{
    return bb_json_has(j, key) ? bb_json_float(j, key) : fallback;
}

bool bb_json_bool_or(const bb_json *j, const char *key, bool fallback)
{
    const bb_json child = bb_json_get(j, key);
    return child.node ? bb_json_value_bool(&child) : fallback;
}

const char *bb_json_text(const bb_json *j, const char *key)
{
    const bb_json child = bb_json_get(j, key);
    return bb_json_value_text(&child, NULL);
}

const char *bb_json_text_or(const bb_json *j, const char *key, const char *fallback)
{
    return bb_json_has(j, key) ? bb_json_text(j, key) : fallback;
}
