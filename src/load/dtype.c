/* dtype.c - element types of stored tensors.
 * Source: huggingface/safetensors, safetensors/src/tensor.rs, enum Dtype. */
#include "load/dtype.h"

#include <string.h>

static const struct {
    const char *name;
    unsigned    bits;
} table[BB_N_DTYPES] = {
    [BB_DTYPE_NONE]  = { "?",           0 },
    [BB_F32]         = { "F32",        32 },
    [BB_BF16]        = { "BF16",       16 },
    [BB_F16]         = { "F16",        16 },
    [BB_F64]         = { "F64",        64 },
    [BB_F8_E4M3]     = { "F8_E4M3",     8 },
    [BB_F8_E5M2]     = { "F8_E5M2",     8 },
    [BB_F8_E8M0]     = { "F8_E8M0",     8 },
    [BB_F8_E4M3FNUZ] = { "F8_E4M3FNUZ", 8 },
    [BB_F8_E5M2FNUZ] = { "F8_E5M2FNUZ", 8 },
    [BB_F6_E2M3]     = { "F6_E2M3",     6 },
    [BB_F6_E3M2]     = { "F6_E3M2",     6 },
    [BB_F4]          = { "F4",          4 },
    [BB_I8]          = { "I8",          8 },
    [BB_U8]          = { "U8",          8 },
    [BB_I16]         = { "I16",        16 },
    [BB_U16]         = { "U16",        16 },
    [BB_I32]         = { "I32",        32 },
    [BB_U32]         = { "U32",        32 },
    [BB_I64]         = { "I64",        64 },
    [BB_U64]         = { "U64",        64 },
    [BB_BOOL]        = { "BOOL",        8 },
    [BB_C64]         = { "C64",        64 },
};

const char *bb_dtype_name(bb_dtype t) { return table[t].name; }

unsigned bb_dtype_bits(bb_dtype t) { return table[t].bits; }

bb_dtype bb_dtype_find(const char *name, size_t n)
{
    for (int t = BB_DTYPE_NONE + 1; t < BB_N_DTYPES; t++)
        if (strlen(table[t].name) == n && memcmp(table[t].name, name, n) == 0)
            return (bb_dtype)t;
    return BB_DTYPE_NONE;
}

bb_dtype bb_dtype_of(bamba_type t)
{
    switch (t) {
    case BAMBA_TYPE_F32:     return BB_F32;
    case BAMBA_TYPE_BF16:    return BB_BF16;
    case BAMBA_TYPE_F16:     return BB_F16;
    case BAMBA_TYPE_DEFAULT: break;
    }
    return BB_DTYPE_NONE;
}

bamba_type bb_dtype_public(bb_dtype t)
{
    switch (t) {
    case BB_F32:  return BAMBA_TYPE_F32;
    case BB_BF16: return BAMBA_TYPE_BF16;
    case BB_F16:  return BAMBA_TYPE_F16;
    default:      return BAMBA_TYPE_DEFAULT;
    }
}
