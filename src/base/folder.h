/* folder.h - a directory of files that several processes use at once.
 *
 * Owns:    listing with sizes and times, touching, removing, a lock.
 * Not:     writing (outfile.h), what the files are.
 * Errors:  BAMBA_ERR_IO, "path: what the system says". errno is kept.
 */
#ifndef BB_BASE_FOLDER_H
#define BB_BASE_FOLDER_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Make the directory unless it is there; its parent must be. */
bb_status bb_folder_make(const char *dir, bamba_error *err);

/* A regular file: its name, size, and when it was last changed or touched, in nanoseconds since
   1970. False ends the listing. */
typedef bool bb_folder_fn(void *context, const char *name, uint64_t bytes, int64_t time_ns);

/* Tell `see` of each file whose name ends with `suffix`, in any order. False: the directory cannot
   be read, or see said so. */
bool bb_folder_list(const char *dir, const char *suffix, bb_folder_fn *see, void *context);

/* Set a file's time to now, and remove a file: attempts, since another may have removed it. */
void bb_file_touch(const char *path);
void bb_file_remove(const char *path);
int64_t bb_time_ns(void);                 /* now, on the same clock */

/* Take the lock file `path`, made if it is not there, without waiting; -1 if another process has it
   or it cannot be made. */
int  bb_lock_try(const char *path);
void bb_lock_drop(int lock);

#endif
