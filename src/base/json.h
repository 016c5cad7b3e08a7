/* json.h - JSON documents, read strictly.
 *
 * Owns:    documents in memory of the caller's allocator, at most 1 MiB and eight times the text;
 *          lookup with defaults; messages that name file and key.
 * Not:     the grammar (json_parse.h); what a key means.
 * Errors:  opening returns a status. Lookups are sticky: the first failure is remembered in the
 *          document, later ones are no-ops that return zeros; ask bb_json_status() once.
 *
 * A bb_json is a handle by value: a document and a place in it. A child refers to its parent's
 * handle for the path in messages, so the parent must outlive it. An absent place is a handle
 * with node NULL; every lookup on it behaves as if the key were missing.
 */
#ifndef BB_BASE_JSON_H
#define BB_BASE_JSON_H

#include "base/alloc.h"

typedef struct bb_json_doc bb_json_doc;

typedef struct bb_json {
    bb_json_doc          *doc;
    const void           *node;           /* NULL: absent, or JSON null for bb_json_at / _get    */
    const struct bb_json *parent;
    const char           *key;            /* NULL: element `index` of an array, or the root      */
    size_t                index;
} bb_json;

enum {
    BB_JSON_INFINITY = 1,                 /* allow the bare tokens Infinity and -Infinity        */
    BB_JSON_HUGE     = 2,                 /* allow integers beyond 64 bits; read as the largest or
                                             smallest there is */
    BB_JSON_LARGE    = 4,                 /* allow files of more than 8 MiB */
    BB_JSON_DIGITS   = 8                  /* of bb_json_build: keep integers beyond 64 bits as they
                                             are written */
};

/* name stands in messages and is copied. The text may go away afterwards. */
bb_status bb_json_parse(bb_json_doc **out, const bb_allocator *a, const char *name,
                        const char *text, size_t n, unsigned flags, bamba_error *err);
bb_status bb_json_open(bb_json_doc **out, const bb_allocator *a, const char *path,
                       unsigned flags, bamba_error *err);
void      bb_json_close(bb_json_doc *doc);

bb_json   bb_json_root(bb_json_doc *doc);

/* First failure so far, or BAMBA_OK; copies its message to *err. */
bb_status bb_json_status(const bb_json_doc *doc, bamba_error *err);

/* Record a failure at a place: "file: 'path': message". The first one stays. */
void bb_json_fail(const bb_json *j, bb_status code, const char *format, ...) BB_PRINTF(3, 4);
/* Record a failure at a member of j. */
void bb_json_fail_key(const bb_json *j, const char *key, bb_status code, const char *format, ...)
    BB_PRINTF(4, 5);
/* Tell the log of something at a place that is no failure, in the same form. log may be NULL. */
void bb_json_log(const bb_json *j, const bb_log *log, const char *format, ...) BB_PRINTF(3, 4);

/* Whether the value at j itself is of a kind. */
bool bb_json_is_object(const bb_json *j);
bool bb_json_is_array(const bb_json *j);
bool bb_json_is_text(const bb_json *j);
bool bb_json_is_number(const bb_json *j);         /* an integer or a fraction */
bool bb_json_is_bool(const bb_json *j);

/* Members of an object: has = present and not null; get = the member, absent if missing or null.
   On a j that is neither absent nor an object: a sticky error. */
bool    bb_json_has(const bb_json *j, const char *key);
bool    bb_json_is_member(const bb_json *j, const char *key);      /* present, maybe null */
bb_json bb_json_get(const bb_json *j, const char *key);

/* Elements of an array; length is 0 for anything else. */
size_t  bb_json_length(const bb_json *j);
bb_json bb_json_at(const bb_json *j, size_t index);

/* Walk an object in the order of the file. Start with it zeroed; false at the end. *member's
   key is the document's own text; its node is NULL where the value is null. */
typedef struct bb_json_walk { const void *next; bool started; } bb_json_walk;
bool    bb_json_next(const bb_json *j, bb_json_walk *walk, bb_json *member);
size_t  bb_json_members(const bb_json *j);

/* The value at j itself; the wrong kind or absence is a sticky error. Text is borrowed from the
   document and NUL-terminated; n_bytes is its length, and with n_bytes NULL a text that holds
   NULs is an error. */
int64_t     bb_json_value_int(const bb_json *j);
double      bb_json_value_float(const bb_json *j);        /* integers too, and non-finite */
bool        bb_json_value_bool(const bb_json *j);
const char *bb_json_value_text(const bb_json *j, size_t *n_bytes);     /* never NULL */

/* Members by key. Without _or a missing or null member is a sticky error; _or gives the default
   for it, and still checks the kind of one that is there. Integers outside [lo, hi] are errors. */
int         bb_json_int(const bb_json *j, const char *key, int lo, int hi);
int         bb_json_int_or(const bb_json *j, const char *key, int lo, int hi, int fallback);
double      bb_json_float(const bb_json *j, const char *key);
double      bb_json_float_or(const bb_json *j, const char *key, double fallback);
bool        bb_json_bool_or(const bb_json *j, const char *key, bool fallback);
const char *bb_json_text(const bb_json *j, const char *key);
const char *bb_json_text_or(const bb_json *j, const char *key, const char *fallback);

#endif
