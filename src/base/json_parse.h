/* json_parse.h - JSON text to a tree in memory of the caller's allocator.
 *
 * Owns:    the grammar of RFC 8259 as this library accepts it: valid UTF-8, no duplicate keys, no
 *          NUL in a key, no lone surrogate, integers within int64, finite numbers, nesting up to
 *          BB_JSON_DEPTH, no bytes after the value. The flags of json.h loosen it. The number of
 *          values, and so the memory, is bounded by the size of the text.
 * Not:     lookups and their messages (json.c).
 */
#ifndef BB_BASE_JSON_PARSE_H
#define BB_BASE_JSON_PARSE_H

#include "base/alloc.h"

#include <stdint.h>

enum { BB_JSON_DEPTH = 64 };

typedef enum bb_json_kind {
    BB_JSON_NULL, BB_JSON_BOOL, BB_JSON_INT, BB_JSON_FLOAT, BB_JSON_TEXT, BB_JSON_ARRAY,
    BB_JSON_OBJECT, BB_JSON_KEY,
    BB_JSON_BIG                   /* an integer beyond 64 bits: its digits, as a text */
} bb_json_kind;

/* A value or a key. Nodes lie in the order of the text: a container, then what is in it; in an
   object each key before its value. */
typedef struct bb_json_node {
    union {
        int64_t     integer;              /* also true and false */
        double      number;
        const char *text;                 /* with a NUL after it, also a key's */
        size_t      span;                 /* of a container: its nodes, itself included */
    } is;
    uint32_t n;                           /* bytes of a text; elements; members; hash of a key */
    uint8_t  kind;                        /* BB_JSON_… */
    uint8_t  depth;                       /* number of containers around it */
} bb_json_node;

typedef struct bb_json_tree {
    bb_json_node *node;                   /* [n], the root first */
    size_t        n;
    char         *text;                   /* all strings and keys */
} bb_json_tree;

/* text [n]; name stands in messages. Takes at most
   1 MiB + 8 n of memory. On failure *out is empty. */
bb_status bb_json_build(bb_json_tree *out, const bb_allocator *a, const char *name,
                        const char *text, size_t n, unsigned flags, bamba_error *err);
void      bb_json_drop(bb_json_tree *tree, const bb_allocator *a);

/* Where the value after the one at v begins. */
const bb_json_node *bb_json_after(const bb_json_node *v);

uint32_t bb_json_hash(const char *key, size_t n);

#endif
