/* json.c - lookups in JSON documents, and messages that name the place. */
#include "base/json.h"

#include "base/file.h"
#include "base/json_parse.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FILE_MOST_BYTES = 8 << 20 };       /* without BB_JSON_LARGE */

/* Where an array was last asked for an element. */
typedef struct place {
    const bb_json_node *array, *element;
    size_t              index;
} place;

struct bb_json_doc {
    bb_allocator alloc;
    char        *name;                    /* for messages */
    bb_json_tree tree;
    place        last[BB_JSON_DEPTH];     /* by the depth of the array, as walks nest */
    bamba_error  first;                   /* sticky; code BAMBA_OK while all is well */
};

static bool is_kind(const bb_json *j, bb_json_kind kind)
{
    const bb_json_node *v = j->node;
    return v && v->kind == kind;
}

/* A place's node as handles have it. */
static const bb_json_node *unless_null(const bb_json_node *v)
{
    return v->kind == BB_JSON_NULL ? NULL : v;
}

/* -------------------------------------------------------------- open, close -------------- */

bb_status bb_json_parse(bb_json_doc **out, const bb_allocator *a, const char *name,
                        const char *text, size_t n, unsigned flags, bamba_error *err)
{
    bb_status    status = BAMBA_OK;
    bb_json_doc *doc = bb_new(a, 1, sizeof *doc);

    *out = NULL;
    if (!doc) return bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", name);
    doc->alloc = *a;
    doc->name = bb_copy_text(a, name, strlen(name));
    if (!doc->name) {
        status = bb_fail(err, BAMBA_ERR_MEMORY, "%s: out of memory", name);
        goto done;
    }
    if (n >= INT_MAX) {                   /* the length of a text is kept in 32 bits */
        status = bb_fail(err, BAMBA_ERR_UNSUPPORTED, "%s: expected less than 2 GiB of JSON", name);
        goto done;
    }
    BB_TRY(bb_json_build(&doc->tree, a, name, text, n, flags, err));
    *out = doc;
    doc = NULL;
done:
    bb_json_close(doc);
    return status;
}

bb_status bb_json_open(bb_json_doc **out, const bb_allocator *a, const char *path,
                       unsigned flags, bamba_error *err)
{
    const char *name = bb_path_name(path);
    bb_map      map;

    *out = NULL;
    bb_status status = bb_map_open(&map, path, err);
    if (status != BAMBA_OK) return status;
    if (map.size > FILE_MOST_BYTES && !(flags & BB_JSON_LARGE))
        status = bb_fail(err, BAMBA_ERR_FORMAT, "%s: expected at most %d bytes of JSON, found %zu",
                         name, FILE_MOST_BYTES, map.size);
    else
        status = bb_json_parse(out, a, name, (const char *)map.data, map.size, flags, err);
    bb_map_close(&map);
    return status;
}

void bb_json_close(bb_json_doc *doc)
{
    if (!doc) return;
    const bb_allocator a = doc->alloc;
    bb_json_drop(&doc->tree, &a);
    bb_release(&a, doc->name);
    bb_release(&a, doc);
}

bb_json bb_json_root(bb_json_doc *doc)
{
    return (bb_json){ .doc = doc, .node = unless_null(doc->tree.node) };
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

static const char *kind_name(const bb_json_node *v)
{
    static const char *const names[] = {
        [BB_JSON_NULL] = "null", [BB_JSON_BOOL] = "true or false", [BB_JSON_INT] = "an integer",
        [BB_JSON_FLOAT] = "a fractional number", [BB_JSON_TEXT] = "a string",
        [BB_JSON_ARRAY] = "a list", [BB_JSON_OBJECT] = "an object",
    };
    return v ? names[v->kind] : "nothing";
}

static void fail_kind(const bb_json *j, const char *expected)
{
    bb_json_fail(j, BAMBA_ERR_FORMAT, "expected %s, found %s", expected, kind_name(j->node));
}

/* -------------------------------------------------------------- structure ---------------- */

bool bb_json_is_object(const bb_json *j) { return is_kind(j, BB_JSON_OBJECT); }
bool bb_json_is_array(const bb_json *j) { return is_kind(j, BB_JSON_ARRAY); }
bool bb_json_is_text(const bb_json *j) { return is_kind(j, BB_JSON_TEXT); }
bool bb_json_is_bool(const bb_json *j) { return is_kind(j, BB_JSON_BOOL); }

bool bb_json_is_number(const bb_json *j)
{
    return is_kind(j, BB_JSON_INT) || is_kind(j, BB_JSON_FLOAT);
}

/* The value of a member of an object, or NULL. */
static const bb_json_node *find_member(const bb_json *j, const char *key)
{
    const bb_json_node *object = j->node;
    const bb_json_node *k = object + 1;
    const uint32_t      hash = bb_json_hash(key, strlen(key));

    for (uint32_t i = 0; i < object->n; i++, k = bb_json_after(k + 1))
        if (k->n == hash && strcmp(k->is.text, key) == 0) return k + 1;
    return NULL;
}

bb_json bb_json_get(const bb_json *j, const char *key)
{
    bb_json child = { .doc = j->doc, .parent = j, .key = key };

    if (!j->node) return child;
    if (!bb_json_is_object(j)) {
        fail_kind(j, "an object");
        return child;
    }
    const bb_json_node *value = find_member(j, key);
    if (value) child.node = unless_null(value);
    return child;
}

bool bb_json_has(const bb_json *j, const char *key)
{
    const bb_json child = bb_json_get(j, key);
    return child.node != NULL;
}

bool bb_json_is_member(const bb_json *j, const char *key)
{
    return bb_json_is_object(j) && find_member(j, key);
}

size_t bb_json_length(const bb_json *j)
{
    const bb_json_node *v = j->node;
    return bb_json_is_array(j) ? v->n : 0;
}

bb_json bb_json_at(const bb_json *j, size_t index)
{
    const bb_json_node *array = j->node;
    bb_json             child = { .doc = j->doc, .parent = j, .index = index };

    if (index >= bb_json_length(j)) return child;
    place *p = &j->doc->last[array->depth];
    if (p->array != array || p->index > index) *p = (place){ array, array + 1, 0 };
    for (; p->index < index; p->index++) p->element = bb_json_after(p->element);
    child.node = unless_null(p->element);
    return child;
}

bool bb_json_next(const bb_json *j, bb_json_walk *walk, bb_json *member)
{
    const bb_json_node *object = j->node;

    if (!bb_json_is_object(j)) return false;
    const bb_json_node *key = walk->started ? walk->next : object + 1;
    walk->started = true;
    walk->next = key;
    if (key == bb_json_after(object)) return false;
    walk->next = bb_json_after(key + 1);
    *member = (bb_json){ .doc = j->doc, .node = unless_null(key + 1), .parent = j,
                         .key = key->is.text };
    return true;
}

size_t bb_json_members(const bb_json *j)
{
    const bb_json_node *v = j->node;
    return bb_json_is_object(j) ? v->n : 0;
}

/* -------------------------------------------------------------- values ------------------- */

int64_t bb_json_value_int(const bb_json *j)
{
    const bb_json_node *v = j->node;

    if (is_kind(j, BB_JSON_INT)) return v->is.integer;
    fail_kind(j, "an integer");
    return 0;
}

double bb_json_value_float(const bb_json *j)
{
    const bb_json_node *v = j->node;

    if (is_kind(j, BB_JSON_INT)) return (double)v->is.integer;
    if (is_kind(j, BB_JSON_FLOAT)) return v->is.number;

    /* transformers 5 writes what JSON lacks as {"__float__": "Infinity"} */
    const bb_json_node *text = bb_json_is_object(j) ? find_member(j, "__float__") : NULL;
    if (text && text->kind == BB_JSON_TEXT) {
        if (strcmp(text->is.text, "Infinity") == 0) return (double)INFINITY;
        if (strcmp(text->is.text, "-Infinity") == 0) return (double)-INFINITY;
    }
    fail_kind(j, "a number");
    return 0;
}

bool bb_json_value_bool(const bb_json *j)
{
    const bb_json_node *v = j->node;

    if (is_kind(j, BB_JSON_BOOL)) return v->is.integer != 0;
    fail_kind(j, "true or false");
    return false;
}

const char *bb_json_value_text(const bb_json *j, size_t *n_bytes)
{
    const bb_json_node *v = j->node;

    if (n_bytes) *n_bytes = 0;
    if (!bb_json_is_text(j)) {
        fail_kind(j, "a string");
        return "";
    }
    if (n_bytes) *n_bytes = v->n;
    else if (strlen(v->is.text) != v->n) {    /* a caller without the length stops at NUL */
        bb_json_fail(j, BAMBA_ERR_FORMAT, "expected a string without NUL");
        return "";
    }
    return v->is.text;
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
