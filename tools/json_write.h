/* json_write.h - JSON on a stream.
 *
 * Owns:    escapes, numbers JSON knows.
 * Not:     commas and brackets (the caller prints them); reading (json_read.h).
 */
#ifndef BAMBA_TOOLS_JSON_WRITE_H
#define BAMBA_TOOLS_JSON_WRITE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A string in quotes. Bytes that are not UTF-8 (of a path) become U+FFFD. */
void json_write_text(FILE *to, const char *bytes, size_t n);
void json_write_string(FILE *to, const char *s);

/* [1, 2, 3] */
void json_write_ids(FILE *to, const int32_t *ids, size_t n);

/* As short as a float32 can be read back; null for what is not finite. */
void json_write_float(FILE *to, float value);

#endif
