/* target.h - what fuzz targets share: files made of the input, and memory that runs out.
 *
 * Owns:    the first two bytes of an input: the number of the allocation that fails (0: none), and
 *          whether all later ones fail too; files in a directory of the process.
 * Errors:  a promise that is broken ends the program by abort(), as fuzzers want it.
 *
 * A target runs with libFuzzer, or with replay.c over files of inputs.
 */
#ifndef FUZZ_TARGET_H
#define FUZZ_TARGET_H

#include "bamba.h"

#include "support/tiny.h"

#include <stdbool.h>

typedef struct input {
    const uint8_t *data;                  /* [n], what is left */
    size_t         n;
} input;

/* Take the two bytes of memory; *a is the allocator for everything up to target_end. False if the
   input is too short. */
bool target_begin(input *in, const uint8_t *data, size_t n, bamba_allocator *a);
/* All blocks must have been released. */
void target_end(void);

/* A directory of this process, removed at its end. */
const char *target_dir(void);
/* A smaller Bamba than tiny.h's own. */
tiny_dims target_dims(void);
/* Such a model in the directory. n_shards as tiny.h has it. */
void target_write_model(int n_shards);

/* Take the bytes up to the next NUL, or the rest. */
input target_part(input *in);
/* Write a part as a file of the directory; an empty one removes it. */
void target_write(const char *name, input part);

/* A status must come with its object or a message of one line. With `strict` it must be
   BAMBA_ERR_MEMORY where an allocation failed and the call did too. */
void target_check(bamba_status status, const void *object, const bamba_error *err, bool strict);

/* Open the directory's model, run it on three tokens and ask what it says of itself. */
void target_run_model(const bamba_allocator *a);

/* What libFuzzer calls. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#ifdef BAMBA_LIBFUZZER
size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t most, unsigned seed);

/* Change which allocation fails. */
size_t target_mutate_memory(uint8_t *data, size_t n, unsigned seed);
/* Change the header of a safetensors file [n] and keep its length right, else nearly every input
   would be refused there. Returns the file's new size, up to `most`. */
size_t target_mutate_tensors(uint8_t *data, size_t n, size_t most);
#endif

#endif
