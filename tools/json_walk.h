/* json_walk.h - where the parts of a JSON text stand, without reading them.
 *
 * Owns:    the extent of values, the members of an object.
 * Not:     what a value says (json.h reads strings); whether what is inside a value is well-formed.
 */
#ifndef BAMBA_TOOLS_JSON_WALK_H
#define BAMBA_TOOLS_JSON_WALK_H

#include <stdbool.h>
#include <stddef.h>

typedef struct json_slice {
    const char *at;                       /* [n] bytes of a JSON text; NULL: none */
    size_t      n;
} json_slice;

/* The first byte of s [n] from i on that is no space. */
size_t json_skip_spaces(const char *s, size_t n, size_t i);

/* The end of the value at i: before a comma, colon or bracket that is not inside it. */
size_t json_skip_value(const char *s, size_t n, size_t i);

/* Whether a name in quotes, as it stands, is this one; one with escapes is another. */
bool json_is_name(json_slice quoted, const char *name);

/* The members of an object, or the elements of a list. Begins with JSON_WALK. */
typedef struct json_walk {
    json_slice text;
    size_t     i;                         /* bytes that are read */
} json_walk;

#define JSON_WALK(bytes, size) { { bytes, size }, 0 }

/* The next member, in quotes as it stands, and its value; the next element. False at the end with
 * *problem NULL, or where the text is wrong, with what was expected. */
bool json_next_member(json_walk *w, json_slice *key, json_slice *value, const char **problem);
bool json_next_element(json_walk *w, json_slice *value, const char **problem);

#endif
