/* json_text.h - JSON as text: writing strings, and changing one member of an object.
 *
 * Owns:    escapes; finding a member's place in a text.
 * Not:     whether a text is JSON (json_parse.h).
 */
#ifndef BB_BASE_JSON_TEXT_H
#define BB_BASE_JSON_TEXT_H

#include "base/printer.h"

/* Append a JSON string of this UTF-8 text. */
void bb_print_quoted(bb_printer *p, const char *text);

/* Append the object `text` [n], which the parser accepts, with the JSON text `value` as its member
   `key`: in place of the one it has, or as the last. value NULL: without that member. All else stays
   byte by byte. */
void bb_print_with_member(bb_printer *p, const char *text, size_t n, const char *key,
                          const char *value);

#endif
