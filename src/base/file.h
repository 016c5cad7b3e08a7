/* file.h - files as read-only memory.
 *
 * Owns:    mapping; paths; which files there are; links that lead nowhere.
 * Not:     what the bytes mean, save that the pointer git-lfs leaves in place of a file is none.
 */
#ifndef BB_BASE_FILE_H
#define BB_BASE_FILE_H

#include "base/alloc.h"

typedef struct bb_map {
    const unsigned char *data;            /* [size]; NULL if size is 0 */
    size_t               size;
    bool                 is_read;         /* in memory, since the file system maps nothing */
} bb_map;

/* Map a regular file for reading: shared, privately where only that works (FUSE with direct_io),
   else its bytes are read. On failure *map is empty. */
bb_status bb_map_open(bb_map *map, const char *path, bamba_error *err);
void      bb_map_close(bb_map *map);

/* Let go of the memory behind data [n] of a file that is mapped, until the file is read again. */
void      bb_map_drop(const void *data, size_t n);

/* What the system says of a failure to open, read or write, in words; `otherwise` for codes that
   users do not meet. */
const char *bb_file_reason(int code, const char *otherwise);

/* "dir/name", to be released; NULL without memory. */
char *bb_path_join(const bb_allocator *a, const char *dir, const char *name);

typedef enum bb_path_kind { BB_PATH_NONE, BB_PATH_FILE, BB_PATH_DIR } bb_path_kind;

/* What path names. A link that leads nowhere and a path that cannot be looked at are failures. */
bb_status bb_path_find(const char *path, bb_path_kind *kind, bamba_error *err);

/* Of the files of a directory with this prefix and suffix, write the name of the first in byte
   order to name [size]; longer names and hidden files are passed over. False if there is none. */
bool bb_dir_find(const char *dir, const char *prefix, const char *suffix, char *name,
                 size_t size);

/* As bb_dir_find, but of the files whose names come after the one that `name` holds. */
bool bb_dir_next(const char *dir, const char *prefix, const char *suffix, char *name,
                 size_t size);

/* Last component of a path, for messages: points into path. */
const char *bb_path_name(const char *path);

#endif
