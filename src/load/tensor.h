/* tensor.h - a named array in a file: what every container gives.
 *
 * Owns:    lists of tensors in the order of names; how a tensor looks in a message.
 * Not:     the bytes and names (the container's).
 */
#ifndef BB_LOAD_TENSOR_H
#define BB_LOAD_TENSOR_H

#include "load/dtype.h"

enum { BB_MAX_DIMS = 8 };

typedef struct bb_tensor {
    const char          *name;            /* NUL-terminated; owned by the checkpoint */
    const char          *file;            /* file name for messages; owned by the checkpoint */
    bb_type             dtype;
    int                  n_dims;          /* 0 = scalar */
    size_t               dim[BB_MAX_DIMS];
    size_t               n_elements;
    size_t               bytes;
    const unsigned char *data;            /* [bytes], any alignment; a view into the file */
} bb_tensor;

/* By the bytes of their names; names are expected to differ. */
void bb_tensors_sort(bb_tensor *list, size_t n);

/* In a sorted list; NULL if there is none. */
const bb_tensor *bb_tensors_find(const bb_tensor *list, size_t n, const char *name);

/* "BF16 [16768, 4096]" for messages; returned by value so that two fit into one call. */
typedef struct bb_shape_text { char s[192]; } bb_shape_text;
bb_shape_text bb_shape_show(bb_type dtype, int n_dims, const size_t *dim);

/* Bytes of a name to print in a message, for "%.*s": whole characters, at most 100, so that
   what follows a hostile name is still seen. */
int bb_name_width(const char *name);

#endif
