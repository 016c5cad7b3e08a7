/* file.h - files as read-only memory.
 *
 * Owns:    mapping; paths; which files there are.
 * Not:     what the bytes mean.
 */
#ifndef BB_BASE_FILE_H
#define BB_BASE_FILE_H

#include "base/alloc.h"

typedef struct bb_map {
    const unsigned char *data;            /* [size]; NULL if size is 0 */
    size_t               size;
} bb_map;

/* Map a regular file for reading. On failure *map is empty. */
bb_status bb_map_open(bb_map *map, const char *path, bamba_error *err);
void      bb_map_close(bb_map *map);

/* "dir/name", to be released; NULL without memory. */
char *bb_path_join(const bb_allocator *a, const char *dir, const char *name);

/* Whether a file or directory of that name exists. */
bool bb_path_exists(const char *path);

/* Of the files of a directory with this prefix and suffix, write the name of the first in byte
   order to name [size]; longer names are passed over. False if there is none. */
bool bb_dir_find(const char *dir, const char *prefix, const char *suffix, char *name,
                 size_t size);

/* Last component of a path, for messages: points into path. */
const char *bb_path_name(const char *path);

#endif
