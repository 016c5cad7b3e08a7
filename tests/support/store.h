/* store.h - a list of tensors that tests build, change and write as safetensors files.
 *
 * Owns:    the numbers in their stored types; a writer that knows the format independently of
 *          src/load.
 * Errors:  abort(), as in tempdir.h.
 */
#ifndef SUPPORT_STORE_H
#define SUPPORT_STORE_H

#include <stddef.h>
#include <stdint.h>

typedef struct store_tensor {
    char           name[120];
    char           dtype[16];             /* "F32", "BF16", "F16"                 */
    int            n_dims;
    size_t         dim[8];
    unsigned char *data;                  /* [bytes]                              */
    size_t         bytes;
} store_tensor;

typedef struct store {
    store_tensor *tensor;                 /* [n]                                  */
    size_t        n, capacity;
} store;

/* Append a tensor of as many values as dim [n_dims] says, rounded to the type. */
void store_add(store *s, const char *name, const char *dtype, int n_dims, const size_t *dim,
               const float *values);
/* The same with elements as they are, of any type: "F8_E4M3", "I8", "I32", "I64" … */
void store_add_bytes(store *s, const char *name, const char *dtype, int n_dims, const size_t *dim,
                     const void *data);
/* The same in float32 with values spread evenly over (-scale, scale), the same ones each time. */
void store_add_random(store *s, const char *name, int n_dims, const size_t *dim, float scale);
store_tensor *store_find(store *s, const char *name);      /* NULL if there is none */
void store_drop(store *s, const char *name);
void store_free(store *s);

/* Give a tensor another shape or type; the data is cut or filled with zeros to fit. */
void store_reshape(store_tensor *t, const char *dtype, int n_dims, const size_t *dim);

/* The tensors [first, last) as a safetensors file, in the order of the list. */
void store_write(const store *s, size_t first, size_t last, const char *dir, const char *name);

/* header [strlen] and data as a safetensors file, whatever they say. */
void store_write_raw(const char *dir, const char *name, const char *header, const void *data,
                     size_t n_data);

uint16_t store_bf16(float x);             /* nearest, ties to even */
uint16_t store_f16(float x);

#endif
