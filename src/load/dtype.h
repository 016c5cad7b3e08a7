/* dtype.h - element types of stored tensors.
 *
 * Owns:    names and sizes of the safetensors dtypes.
 * Not:     arithmetic on them (kernels/).
 */
#ifndef BB_LOAD_DTYPE_H
#define BB_LOAD_DTYPE_H

#include "bamba.h"

#include <stddef.h>

typedef enum bb_dtype {
    BB_DTYPE_NONE,                        /* not a name of the format */
    BB_F32, BB_BF16, BB_F16,              /* the ones this version computes with */
    BB_F64, BB_F8_E4M3, BB_F8_E5M2, BB_F8_E8M0, BB_F8_E4M3FNUZ, BB_F8_E5M2FNUZ,
    BB_F6_E2M3, BB_F6_E3M2, BB_F4,
    BB_I8, BB_U8, BB_I16, BB_U16, BB_I32, BB_U32, BB_I64, BB_U64, BB_BOOL, BB_C64,
    BB_N_DTYPES
} bb_dtype;

const char *bb_dtype_name(bb_dtype t);               /* "BF16"; "?" for NONE */
unsigned    bb_dtype_bits(bb_dtype t);               /* of one element */
bb_dtype    bb_dtype_find(const char *name, size_t n);

/* BB_F32 / BB_BF16 / BB_F16 <-> the public names. */
bb_dtype    bb_dtype_of(bamba_type t);               /* NONE for DEFAULT */
bamba_type  bb_dtype_public(bb_dtype t);             /* DEFAULT for the rest */

#endif
