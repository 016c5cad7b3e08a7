/* outfile.h - files and directories that come into being whole.
 *
 * Owns:    temporary names beside the target ("NAME.tmp-1a2b3c"), room on the disk, writing to the
 *          disk, renaming, removing what was not finished.
 * Not:     what the bytes mean.
 * Errors:  BAMBA_ERR_IO, "path: what the system says". errno is kept.
 *
 * A process that is ended meanwhile leaves the temporary name, never a part under the name itself.
 */
#ifndef BB_BASE_OUTFILE_H
#define BB_BASE_OUTFILE_H

#include "base/alloc.h"

#include <stdint.h>

/* Between a target's name and six digits, in its temporary name. */
#define BB_OUTFILE_SUFFIX ".tmp-"

typedef struct bb_outfile bb_outfile;

/* Begin the file `path` of `bytes` bytes, zeros until they are written. Fails at once where the
   disk or the process's limit of file sizes has no room for it, and where something stands that is
   no file or may not be written. A file that stands there, or to which a link there leads, hands
   its permissions on to the one that takes its place. */
bb_status bb_outfile_create(bb_outfile **out, const bb_allocator *a, const char *path,
                            uint64_t bytes, bamba_error *err);
/* Write data [n] at offset, within its bytes. Several threads may, with an err of their own. */
bb_status bb_outfile_write(const bb_outfile *f, uint64_t offset, const void *data, size_t n,
                           bamba_error *err);
/* Wait until the disk has it, then give it its name, in place of a file that had it. */
bb_status bb_outfile_finish(bb_outfile *f, bamba_error *err);
/* Close, and remove what is not finished. NULL is allowed. */
void      bb_outfile_close(bb_outfile *f);

/* A whole small file at once. */
bb_status bb_outfile_put(const bb_allocator *a, const char *path, const void *data, size_t n,
                         bamba_error *err);

typedef struct bb_outdir bb_outdir;

/* Begin the directory `path`, which must not exist, or be empty; its parent must exist. */
bb_status bb_outdir_create(bb_outdir **out, const bb_allocator *a, const char *path,
                           bamba_error *err);
/* Where its files are to be made: directly in it, none hidden. */
const char *bb_outdir_path(const bb_outdir *d);
bb_status bb_outdir_finish(bb_outdir *d, bamba_error *err);
/* Remove it with its files unless it is finished. NULL is allowed. */
void      bb_outdir_close(bb_outdir *d);

#endif
