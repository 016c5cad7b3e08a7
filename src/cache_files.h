/* cache_files.h - the files of a prefix cache: what their names say, and which of them may stay.
 *
 * Owns:    the form of names, keeping a directory within its bytes.
 * Not:     what files hold (session_file.h), the tree of the nodes in use (cache.c).
 * Errors:  none: what cannot be read or removed is left for another time.
 */
#ifndef BB_CACHE_FILES_H
#define BB_CACHE_FILES_H

#include "base/alloc.h"

#include <stdbool.h>
#include <stdint.h>

#define BB_CACHE_SUFFIX ".state.safetensors"
enum { BB_CACHE_ID = 16, BB_CACHE_NAME = 160 };       /* digits of an id; bytes of a name */

/* What a name says: KEY-ID-PARENT-FIRST-POSITION.state.safetensors; and its file's size and age. */
typedef struct bb_cache_file {
    char     key[BB_CACHE_ID + 1], id[BB_CACHE_ID + 1], parent[BB_CACHE_ID + 1];
    size_t   first, position;             /* first < position */
    char     name[BB_CACHE_NAME];
    uint64_t bytes;
    int64_t  time_ns;
} bb_cache_file;

/* False: not the name of such a file. bytes and time_ns become 0. */
bool bb_cache_file_read(const char *name, bb_cache_file *f);

/* Let files go until the rest has at most max_bytes: those without children, the least worth first.
   One process at a time does so, and what it does serves all. What a process that was ended while
   it wrote has left behind goes after an hour. */
void bb_cache_files_keep(const bb_allocator *a, const char *dir, uint64_t max_bytes);

#endif
