/* json_strict.h - one strict pass over JSON text before a lenient parser sees it.
 *
 * Owns:    the grammar of RFC 8259 as this library accepts it: valid UTF-8, no duplicate keys, no
 *          NUL in a key, no lone surrogate, integers within int64, finite numbers, nesting up to
 *          BB_JSON_DEPTH, no bytes after the value. The flags of json.h loosen it.
 * Not:     building values (json.c).
 */
#ifndef BB_BASE_JSON_STRICT_H
#define BB_BASE_JSON_STRICT_H

#include "base/alloc.h"

enum { BB_JSON_DEPTH = 64 };

/* text [n]; name stands in messages. Linear, save sorting an object's keys. */
bb_status bb_json_check(const bb_allocator *a, const char *name, const char *text, size_t n,
                        unsigned flags, bamba_error *err);

#endif
