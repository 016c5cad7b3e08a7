/* dtype.h - element types of stored tensors.
 *
 * Owns:    names and sizes of the safetensors dtypes.
 * Not:     arithmetic on them (kernels/).
 */
#ifndef BB_LOAD_DTYPE_H
#define BB_LOAD_DTYPE_H

#include "kernels.h"

const char *bb_type_name(bb_type t);                 /* "BF16"; "?" for NONE */
unsigned    bb_type_bits(bb_type t);                 /* of one element */
bb_type     bb_type_find(const char *name, size_t n);         /* NONE: not a name of the format */

#endif
