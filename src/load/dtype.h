/* dtype.h - element types of stored tensors.
 *
 * Owns:    names and sizes of the safetensors dtypes.
 * Not:     arithmetic on them (kernels/).
 */
#ifndef BB_LOAD_DTYPE_H
#define BB_LOAD_DTYPE_H

#include "kernels.h"

const char *bb_type_name(bb_type t);      /* "BF16"; "?" for NONE */
unsigned    bb_type_bits(bb_type t);      /* of one element */
/* The type of a name of n bytes; NONE if safetensors have no such type. */
bb_type     bb_type_find(const char *name, size_t n);

#endif
