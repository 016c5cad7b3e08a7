/* directory.h - whether a path is a model directory, and what else a user may have named.
 *
 * Owns:    knowing what lies where people look for models: names of the hub, its cache, GGUF.
 * Not:     reading any file.
 * Errors:  say what is there instead and what to do.
 */
#ifndef BB_LOAD_DIRECTORY_H
#define BB_LOAD_DIRECTORY_H

#include "base/alloc.h"

/* Fail if dir is no directory, or one without `file` in which something else tells why. */
bb_status bb_directory_check(const bb_allocator *a, const char *dir, const char *file,
                             bamba_error *err);

#endif
