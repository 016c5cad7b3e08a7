/* safetensors_write.h - a safetensors file whose tensors are declared first and written as they come.
 *
 * Owns:    the header, the order and places of the tensors: those whose bytes are multiples of 64
 *          first, so that each of them begins at an address of the mapped file that is one too, then
 *          the others, each aligned to its elements.
 * Not:     what the tensors mean; directories of several files (quantize.c).
 * Errors:  as outfile.h. The file has its name when it is whole and on the disk, not before, and what
 *          a process that is ended leaves under a temporary name is no safetensors file.
 */
#ifndef BB_LOAD_SAFETENSORS_WRITE_H
#define BB_LOAD_SAFETENSORS_WRITE_H

#include "base/alloc.h"
#include "load/tensor.h"

typedef struct bb_safetensors_writer bb_safetensors_writer;

/* Begin a file of tensor [n], of which name, dtype, n_dims, dim are read, during the call alone. Names
   differ; a dtype has a name in the format. The file is there at once with its whole size. */
bb_status bb_safetensors_create(bb_safetensors_writer **out, const bb_allocator *a, const char *path,
                                const bb_tensor *tensor, size_t n, bamba_error *err);
/* Write bytes [n_bytes] of tensor i, by its place in the list, from its byte `at` on. Several threads
   may, with an err of their own. */
bb_status bb_safetensors_put(const bb_safetensors_writer *w, size_t i, uint64_t at,
                             const void *bytes, size_t n_bytes, bamba_error *err);
/* All bytes are written. */
bb_status bb_safetensors_finish(bb_safetensors_writer *w, bamba_error *err);
/* Remove the file unless it is finished. NULL is allowed. */
void      bb_safetensors_free(bb_safetensors_writer *w);

#endif
