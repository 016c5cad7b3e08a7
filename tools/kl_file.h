/* kl_file.h - a text and the logits that a base model gives to it, in a file.
 *
 * Owns:    the format; refusing files that do not serve; a temporary file while writing.
 * Not:     which tokens are scored (chunks.h).
 * Errors:  reported here; callers pass the exit code on. End with kl_close in any case.
 *
 * Little-endian, nothing in between:
 *     char     magic[8]                  "bamba-kl"
 *     uint32   version                   1
 *     uint32   V, n, n_chunks            logits of a token; tokens of a chunk; chunks
 *     int32    ids[n_chunks, n]          as they were fed, begin tokens included
 *     float32  logits[n_chunks, n - 1 - n/2, V]    after tokens n/2 ... n-2 of each chunk, as the
 *                                        model gave them
 */
#ifndef BAMBA_TOOLS_KL_FILE_H
#define BAMBA_TOOLS_KL_FILE_H

#include "output.h"

#include <stdint.h>

typedef struct kl_file {
    const char *name;                     /* NULL: not open                                  */
    FILE       *in;
    output      out;
    int32_t    *ids;                      /* [n_chunks, n] of a file that is read            */
    size_t      n, n_chunks;
    int         n_vocab;
} kl_file;

/* Open for reading; expects the vocabulary of the model that is going to be compared. */
int kl_open(kl_file *k, const char *name, int n_vocab);

/* Create, for ids [n_chunks, n]; says how large the file is going to be. */
int kl_create(kl_file *k, const char *name, int n_vocab, const int32_t *ids, size_t n_chunks,
              size_t n);

/* The next n rows of logits [n, V], in the order of the tokens. */
int kl_read(kl_file *k, float *logits, size_t n);
int kl_write(kl_file *k, const float *logits, size_t n);

/* Close, and put a file that was written in its place if code is EXIT_SUCCESS. Returns code or, if
   that fails, EXIT_FAILURE. */
int kl_close(kl_file *k, int code);

#endif
