/* tensor.h - a named array in a file, and a file as a container of them, whatever its format.
 *
 * Owns:    lists of tensors in the order of names; how a tensor looks in a message.
 * Not:     a format (safetensors.h); what tensors are for (graph/).
 */
#ifndef BB_LOAD_TENSOR_H
#define BB_LOAD_TENSOR_H

#include "load/dtype.h"

enum { BB_MAX_DIMS = 8 };

typedef struct bb_tensor {
    const char          *name;            /* this, file and data are the container's */
    const char          *file;            /* file name for messages */
    bb_type              dtype;
    int                  n_dims;          /* 0 = scalar */
    size_t               dim[BB_MAX_DIMS];
    size_t               n_elements;
    size_t               bytes;
    const unsigned char *data;            /* [bytes], any alignment; a view into the file */
} bb_tensor;

/* A format's own struct begins with this one. */
typedef struct bb_container {
    const char      *file;                /* file name for messages */
    const bb_tensor *tensor;              /* [n] in the byte order of their names, which differ */
    size_t           n;
    size_t           read_bytes;          /* of the file, if it could not be mapped */
    void           (*close)(struct bb_container *c);  /* releases it with all that its tensors
                                                         point to */
} bb_container;

void bb_container_close(bb_container *c);             /* NULL is allowed */

/* Sort by the bytes of the names, which are expected to differ. */
void bb_tensors_sort(bb_tensor *list, size_t n);

/* The tensor of that name in a sorted list; NULL if there is none. */
const bb_tensor *bb_tensors_find(const bb_tensor *list, size_t n, const char *name);

/* "BF16 [16768, 4096]" for messages; returned by value so that two fit into one call. */
typedef struct bb_shape_text { char s[192]; } bb_shape_text;
bb_shape_text bb_shape_show(bb_type dtype, int n_dims, const size_t *dim);

/* Bytes of a name to print in a message, for "%.*s": whole characters, at most 100, so that
   what follows a hostile name is still seen. */
int bb_name_width(const char *name);

#endif
