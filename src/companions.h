/* companions.h - the files of a model's directory that hold no weights, written into another one.
 *
 * Owns:    which files go along; config.json with some members changed.
 * Not:     weights (quantize.c), what the members mean.
 * Errors:  one line that names the file or the directory.
 */
#ifndef BB_COMPANIONS_H
#define BB_COMPANIONS_H

#include "base/alloc.h"
#include "base/error.h"

/* Write the file to/name. */
bb_status bb_companion_put(const bb_allocator *a, const char *to, const char *name,
                           const void *data, size_t n, bamba_error *err);

/* Copy a tokenizer's files, chat templates and the like, byte by byte, of those that dir has. */
bb_status bb_companions_copy(const bb_allocator *a, const char *dir, const char *to,
                             bamba_error *err);

/* A member of config.json: its value as JSON text; NULL: without it. */
typedef struct bb_config_change { const char *key, *value; } bb_config_change;

/* Write config.json with n > 0 changes; all else stays byte by byte. */
bb_status bb_companions_config(const bb_allocator *a, const char *dir, const char *to,
                               const bb_config_change *change, size_t n, bamba_error *err);

#endif
